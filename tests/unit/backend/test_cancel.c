#include "fake_server.h"
#include "../io/certificate.h"
#include "../io/turns.h"
#include "backend/cancel.h"

#define CANCEL_REQUEST 80877102
#define PID            4242u
#define KEY            0x80000001u

/* ---- scripts: what the server does with the connection ---- */

static void quiet(int fd)
{
        char c;

        while (recv(fd, &c, 1, 0) > 0)
                continue;
}

static void closes(struct fake *f, int fd)
{
        fake_packet(f, fd);
}

static void closes_after_a_while(struct fake *f, int fd)
{
        fake_packet(f, fd);
        usleep(200000);
}

static void talks_and_closes(struct fake *f, int fd)
{
        fake_packet(f, fd);
        for (int i = 0; i < 1000; i++)
                fake_write(fd, "whatever it says", 16);
}

static void never_closes(struct fake *f, int fd)
{
        fake_packet(f, fd);
        quiet(fd);
}

static void resets(struct fake *f, int fd)
{
        struct linger at_once = {.l_onoff = 1};

        fake_packet(f, fd);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void is_silent(struct fake *f, int fd)
{
        fake_packet(f, fd);
        quiet(fd);
}

static void has_no_tls(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "N", 1);
        fake_packet(f, fd);
}

static void says_an_error(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "E\0\0\0\5\0", 6);
        fake_packet(f, fd);
}

/* What the client of a server with TLS said inside it. */
static uint8_t tls_said[64];
static int tls_size;

static SSL *shake_hands(struct fake *f, int fd)
{
        struct certificate c = certificate_make("", "DNS:db.example");
        SSL_CTX *context;
        SSL *ssl;

        if (fake_packet(f, fd) != FAKE_SSL_REQUEST) {
                certificate_free(&c);
                return NULL;
        }
        certificate_write(&c, "ca.crt");        /* the client reads it after the 'S' */
        fake_write(fd, "S", 1);
        context = certificate_server(&c);
        ssl = SSL_new(context);
        SSL_CTX_free(context);
        certificate_free(&c);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1)
                return ssl;
        SSL_free(ssl);
        return NULL;
}

static void has_tls(struct fake *f, int fd)
{
        SSL *ssl = shake_hands(f, fd);

        if (!ssl)
                return;
        tls_size = SSL_read(ssl, tls_said, sizeof tls_said);
        SSL_shutdown(ssl);
        SSL_free(ssl);
}

static void has_tls_and_never_closes(struct fake *f, int fd)
{
        SSL *ssl = shake_hands(f, fd);

        if (!ssl)
                return;
        tls_size = SSL_read(ssl, tls_said, sizeof tls_said);
        quiet(fd);
        SSL_free(ssl);
}

static void shakes_no_hands(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "S", 1);
        quiet(fd);
}

/* ---- one request ---- */

struct outcome {
        struct loop *loop;
        struct fake fake;
        int calls;
        enum cancel_outcome is;
        struct error e;
        uint64_t ms;
};

static void done(void *arg, enum cancel_outcome is, const struct error *e)
{
        struct outcome *o = arg;

        o->calls++;
        o->is = is;
        assert_int_equal(e != NULL, is != CANCEL_DELIVERED);
        if (e)
                o->e = *e;
}

static struct connection session_of(const struct fake *f, const char *sslmode, const char *folder)
{
        struct connection c = {.pid = PID, .key = KEY, .has_key = true, .port = f->port};

        snprintf(c.address, sizeof c.address, "%s", folder ? folder : "127.0.0.1");
        snprintf(c.sslmode, sizeof c.sslmode, "%s", sslmode);
        if (strcmp(sslmode, "disable") != 0)
                strcpy(c.tls, "TLSv1.3/X");
        return c;
}

static void ask(struct outcome *o, void (*script)(struct fake *f, int fd), const char *sslmode,
                const char *host, unsigned timeout_ms, const char *folder)
{
        uint64_t began = loop_us();

        memset(o, 0, sizeof *o);
        tls_size = 0;
        o->loop = loop_new();
        fake_start(&o->fake, script, folder);

        struct connection c = session_of(&o->fake, sslmode, folder);
        struct cancel_options options = {
                .connection = &c, .host = host, .root_cert = "ca.crt", .timeout_ms = timeout_ms};

        assert_non_null(cancel_start(o->loop, &options, done, o));
        memset(&c, 0xff, sizeof c);     /* all of it was copied */
        assert_int_equal(o->calls, 0);
        assert_true(turns_until(o->loop, &o->calls, 1, 10000));
        o->ms = (loop_us() - began) / 1000;
        turns_for(o->loop, 20);
        assert_int_equal(o->calls, 1);
        loop_free(o->loop);
        fake_stop(&o->fake);
}

static void ask_plain(struct outcome *o, void (*script)(struct fake *f, int fd))
{
        ask(o, script, "disable", "", 1000, NULL);
}

/* The process id and the key, in the packet that was read last. */
static void assert_request(const uint8_t *p)
{
        assert_int_equal(frame_get32(p), PID);
        assert_int_equal(frame_get32(p + 4), KEY);
}

static void assert_says(const struct outcome *o, const char *text)
{
        if (!strstr(o->e.text, text))
                fail_msg("\"%s\" does not say \"%s\"", o->e.text, text);
}

static void nothing_was_asked(const struct outcome *o)
{
        assert_int_equal(o->is, CANCEL_NOT_SENT);
        assert_int_equal(o->fake.startups, 0);
        assert_true(tls_size <= 0);
}

/* ---- plain ---- */

static void a_plain_session_is_canceled_in_plain_text(void **state)
{
        struct outcome o;
        (void) state;

        ask_plain(&o, closes);
        assert_int_equal(o.is, CANCEL_DELIVERED);
        assert_int_equal(o.fake.ssl_requests, 0);
        assert_int_equal(o.fake.startups, 1);
        assert_int_equal(o.fake.startup_size, 8);
        assert_request(o.fake.startup);
}

static void over_a_unix_socket_too(void **state)
{
        struct outcome o;
        char folder[200];
        (void) state;

        assert_non_null(getcwd(folder, sizeof folder));
        ask(&o, closes, "disable", "", 1000, folder);
        assert_int_equal(o.is, CANCEL_DELIVERED);
        assert_request(o.fake.startup);
}

static void it_is_over_when_the_server_closes(void **state)
{
        struct outcome o;
        (void) state;

        ask_plain(&o, closes_after_a_while);
        assert_int_equal(o.is, CANCEL_DELIVERED);
        assert_true(o.ms >= 190);
}

static void what_the_server_says_is_of_no_interest(void **state)
{
        struct outcome o;
        (void) state;

        ask_plain(&o, talks_and_closes);
        assert_int_equal(o.is, CANCEL_DELIVERED);
}

static void a_server_that_does_not_close_leaves_a_doubt(void **state)
{
        struct outcome o;
        (void) state;

        ask(&o, never_closes, "disable", "", 150, NULL);
        assert_int_equal(o.is, CANCEL_DOUBTFUL);
        assert_true(o.ms >= 140 && o.ms < 2000);
        assert_says(&o, "within 150 ms");
        ask_plain(&o, resets);
        assert_int_equal(o.is, CANCEL_DOUBTFUL);
}

static void a_server_that_is_not_there_was_asked_nothing(void **state)
{
        struct outcome o = {.loop = loop_new()};
        struct connection c = {.pid = PID, .key = KEY, .has_key = true, .address = "/nonexistent",
                               .port = 5432, .sslmode = "disable"};
        struct cancel_options options = {.connection = &c, .timeout_ms = 1000};
        struct fake gone;
        (void) state;

        cancel_start(o.loop, &options, done, &o);
        assert_true(turns_until(o.loop, &o.calls, 1, 5000));
        assert_int_equal(o.is, CANCEL_NOT_SENT);

        fake_start(&gone, closes, NULL);
        fake_stop(&gone);
        c = session_of(&gone, "disable", NULL);
        cancel_start(o.loop, &options, done, &o);
        assert_true(turns_until(o.loop, &o.calls, 2, 5000));
        assert_int_equal(o.is, CANCEL_NOT_SENT);
        assert_says(&o, "refused");
        loop_free(o.loop);
}

/* ---- TLS ---- */

static void a_tls_session_is_canceled_over_tls(void **state)
{
        static const char *const modes[] = {"require", "verify-ca", "verify-full"};
        struct outcome o;
        (void) state;

        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
                ask(&o, has_tls, modes[i], "db.example", 5000, NULL);
                assert_int_equal(o.is, CANCEL_DELIVERED);
                assert_int_equal(o.fake.ssl_requests, 1);
                assert_int_equal(o.fake.startups, 0);
                assert_int_equal(tls_size, 16);
                assert_int_equal(frame_get32(tls_said), 16);
                assert_int_equal(frame_get32(tls_said + 4), CANCEL_REQUEST);
                assert_request(tls_said + 8);
        }
}

static void without_tls_nothing_is_sent(void **state)
{
        struct outcome o;
        (void) state;

        ask(&o, has_no_tls, "require", "db.example", 1000, NULL);
        nothing_was_asked(&o);
        assert_int_equal(o.fake.ssl_requests, 1);
        assert_says(&o, "no TLS");
        ask(&o, says_an_error, "require", "db.example", 1000, NULL);
        nothing_was_asked(&o);
        ask(&o, closes, "require", "db.example", 1000, NULL);
        nothing_was_asked(&o);
        assert_says(&o, "closed");
}

static void a_server_that_can_not_be_verified_is_sent_nothing(void **state)
{
        struct outcome o;
        struct certificate other = certificate_make("other", NULL);
        (void) state;

        ask(&o, has_tls, "verify-full", "other.example", 5000, NULL);
        nothing_was_asked(&o);
        assert_says(&o, "other.example");
        certificate_write(&other, "other.crt");
        certificate_free(&other);

        struct outcome p = {.loop = loop_new()};

        tls_size = 0;
        fake_start(&p.fake, has_tls, NULL);

        struct connection c = session_of(&p.fake, "verify-ca", NULL);
        struct cancel_options options = {
                .connection = &c, .host = "db.example", .root_cert = "other.crt", .timeout_ms = 5000};

        cancel_start(p.loop, &options, done, &p);
        assert_true(turns_until(p.loop, &p.calls, 1, 10000));
        loop_free(p.loop);
        fake_stop(&p.fake);
        nothing_was_asked(&p);
        assert_says(&p, "can't be verified");
}

static void a_silent_server_is_not_waited_for_without_end(void **state)
{
        struct outcome o;
        (void) state;

        ask(&o, is_silent, "require", "db.example", 150, NULL);
        nothing_was_asked(&o);
        assert_says(&o, "answer to the request for TLS");
        ask(&o, shakes_no_hands, "require", "db.example", 150, NULL);
        nothing_was_asked(&o);
        assert_says(&o, "handshake");
        ask(&o, has_tls_and_never_closes, "require", "db.example", 500, NULL);
        assert_int_equal(o.is, CANCEL_DOUBTFUL);
        assert_int_equal(tls_size, 16);
}

/* ---- abandoned ---- */

static void abandon_after(unsigned ms, void (*script)(struct fake *f, int fd), const char *sslmode)
{
        struct outcome o = {.loop = loop_new()};

        fake_start(&o.fake, script, NULL);

        struct connection c = session_of(&o.fake, sslmode, NULL);
        struct cancel_options options = {
                .connection = &c, .host = "db.example", .root_cert = "ca.crt", .timeout_ms = 5000};
        struct cancel *request = cancel_start(o.loop, &options, done, &o);

        if (ms)
                turns_for(o.loop, ms);
        if (!o.calls)
                cancel_abandon(request);

        int before = o.calls;

        turns_for(o.loop, 30);
        assert_int_equal(o.calls, before);
        loop_free(o.loop);
        fake_stop(&o.fake);
}

static void an_abandoned_request_is_not_heard_of_again(void **state)
{
        (void) state;
        cancel_abandon(NULL);
        for (unsigned ms = 0; ms < 9; ms++) {
                abandon_after(ms, never_closes, "disable");
                abandon_after(ms, is_silent, "require");
                abandon_after(ms, has_tls_and_never_closes, "require");
        }
}

static int enter_folder(void **state)
{
        signal(SIGPIPE, SIG_IGN);
        *state = folder_make();
        return chdir(*state);
}

static int leave_folder(void **state)
{
        folder_remove(*state);
        return chdir("/");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plain_session_is_canceled_in_plain_text),
                cmocka_unit_test(over_a_unix_socket_too),
                cmocka_unit_test(it_is_over_when_the_server_closes),
                cmocka_unit_test(what_the_server_says_is_of_no_interest),
                cmocka_unit_test(a_server_that_does_not_close_leaves_a_doubt),
                cmocka_unit_test(a_server_that_is_not_there_was_asked_nothing),
                cmocka_unit_test(a_tls_session_is_canceled_over_tls),
                cmocka_unit_test(without_tls_nothing_is_sent),
                cmocka_unit_test(a_server_that_can_not_be_verified_is_sent_nothing),
                cmocka_unit_test(a_silent_server_is_not_waited_for_without_end),
                cmocka_unit_test(an_abandoned_request_is_not_heard_of_again),
        };
        return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
