#include "fake_server.h"
#include <stdio.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include "backend/connect.h"

OWN_DEFINE(struct loop, loop_free)

/* ---- scripts ---- */

static void quiet(int fd)
{
        char c;

        while (recv(fd, &c, 1, 0) > 0)
                continue;
}

static void error_message(struct bytes *b, const char *sqlstate, const char *text)
{
        struct error e = {0};

        error_set(&e, sqlstate, "%s", text);
        compose_error(b, "FATAL", &e);
}

static void refuses(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        error_message(&b, f->sqlstate, "the server's own words");
        fake_send(fd, &b);
}

/* Not every server sends one. */
static void refuses_without_sqlstate(struct fake *f, int fd)
{
        static const char message[] = "E\0\0\0\x1cSFATAL\0Mthe server's own\0";

        if (fake_startup(f, fd))
                fake_write(fd, message, sizeof message);
}

static void talks_http(struct fake *f, int fd)
{
        fake_startup(f, fd);
        fake_write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void talks_http_at_once(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void is_silent(struct fake *f, int fd)
{
        (void) f;
        quiet(fd);
}

static void is_silent_after_startup(struct fake *f, int fd)
{
        fake_startup(f, fd);
        quiet(fd);
}

static void is_silent_in_tls(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "S", 1);
        quiet(fd);
}

static void hangs_up(struct fake *f, int fd)
{
        fake_packet(f, fd);
}

static void talks_rubbish_in_tls(struct fake *f, int fd)
{
        fake_packet(f, fd);
        fake_write(fd, "S", 1);
        fake_write(fd, "this is no ServerHello, to be sure", 34);
        quiet(fd);
}

static void asks_for_a_password(struct fake *f, int fd)
{
        if (!fake_startup(f, fd))
                return;
        fake_write(fd, "R\0\0\0\x08\0\0\0\x03", 9);
        fake_message(f, fd);
        f->sqlstate = "28P01";

        struct bytes b = {0};

        error_message(&b, f->sqlstate, "password authentication failed for user \"app\"");
        fake_send(fd, &b);
}

static void greet(struct bytes *b)
{
        compose_authentication_ok(b);
        compose_parameter(b, "server_version", "15.20");
        compose_parameter(b, "client_encoding", "UTF8");
        compose_notice(b, "00000", "hello");
        compose_parameter(b, "TimeZone", "UTC");
        compose_key(b, 4242, (const uint8_t[]){0xff, 0, 0, 7}, 4);
        compose_ready(b, 'I');
}

/* Answers each Sync with `text` and 'Z', until the good-bye. */
static void answer_syncs(struct fake *f, int fd, const void *text, size_t n)
{
        char type;

        while ((type = fake_message(f, fd)) && type != 'X') {
                struct bytes b = {0};

                bytes_append(&b, text, n);
                compose_ready(&b, 'I');
                fake_send(fd, &b);
        }
}

static void trusts(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        fake_send(fd, &b);
        answer_syncs(f, fd, NULL, 0);
}

static void trusts_in_small_pieces(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        for (; bytes_length(&b); bytes_consume(&b, 1)) {
                fake_write(fd, bytes_data(&b), 1);
                usleep(100);
        }
        answer_syncs(f, fd, NULL, 0);
}

/* Notices, parameters and notifications may come at any time. */
static void trusts_and_talks(struct fake *f, int fd)
{
        struct bytes b = {0}, more = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        compose_parameter(&b, "TimeZone", "Europe/Berlin");
        fake_send(fd, &b);
        compose_notice(&more, "00000", "by the way");
        compose_parameter(&more, "in_hot_standby", "off");
        compose_parameter(&more, "client_encoding", "LATIN1");
        bytes_append(&more, "A\0\0\0\x0a\0\0\0\1c\0\0", 11);
        answer_syncs(f, fd, bytes_data(&more), bytes_length(&more));
        bytes_free(&more);
}

/* libpq takes the first part of the message for itself. */
static void ends_the_login_inside_a_message(struct fake *f, int fd)
{
        struct bytes b = {0}, more = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        compose_parameter(&more, "TimeZone", "Europe/Berlin");
        bytes_append(&b, bytes_data(&more), 10);
        bytes_consume(&more, 10);
        fake_send(fd, &b);
        answer_syncs(f, fd, bytes_data(&more), bytes_length(&more));
        bytes_free(&more);
}

static void says_good_bye_with_the_greeting(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        error_message(&b, "57P01", "terminating connection");
        fake_send(fd, &b);
        quiet(fd);
}

static void says_good_bye_to_the_sync(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        fake_send(fd, &b);
        fake_message(f, fd);
        error_message(&b, "57P01", "terminating connection");
        fake_send(fd, &b);
}

static void hangs_up_at_the_sync(struct fake *f, int fd)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        fake_send(fd, &b);
        fake_message(f, fd);
}

static void answers_the_sync_with(struct fake *f, int fd, const void *p, size_t n)
{
        struct bytes b = {0};

        if (!fake_startup(f, fd))
                return;
        greet(&b);
        fake_send(fd, &b);
        fake_message(f, fd);
        fake_write(fd, p, n);
        quiet(fd);
}

static void is_in_a_transaction(struct fake *f, int fd)
{
        answers_the_sync_with(f, fd, "Z\0\0\0\x05T", 6);
}

static void answers_twice(struct fake *f, int fd)
{
        answers_the_sync_with(f, fd, "Z\0\0\0\x05IZ\0\0\0\x05I", 12);
}

static void sends_a_row(struct fake *f, int fd)
{
        answers_the_sync_with(f, fd, "D\0\0\0\x06\0\0", 7);
}

static void never_answers_the_sync(struct fake *f, int fd)
{
        answers_the_sync_with(f, fd, NULL, 0);
}

/* ---- one try ---- */

struct outcome {
        struct loop *loop;
        int calls, unfit;
        struct connection *connection;
        enum connect_failure failure;
        struct error error;
        struct connect *connect;
        int keepalive, keepcnt, keepidle, keepintvl, user_timeout;      /* of its socket */
};

static void done(void *arg, struct connection *c, enum connect_failure failure,
                 const struct error *e)
{
        struct outcome *o = arg;

        o->calls++;
        o->connection = c;
        o->failure = failure;
        if (e)
                o->error = *e;
        assert_int_equal(c == NULL, e != NULL);
        connect_cancel(o->connect); /* harmless by now */
        loop_stop(o->loop);
}

struct
try {
        const char *host, *root_cert;
        enum ssl_mode secret, floor;
        unsigned timeout_ms;
        struct tcp_options tcp;
        enum target_session_attrs target;
};

static void unfit(void *arg, const struct connection *c)
{
        struct outcome *o = arg;

        o->unfit++;
        assert_string_equal(c->address, "127.0.0.1");
}

static struct connect *start(struct outcome *o, const struct try *t, unsigned port)
{
        struct server_host host = {(char *) (uintptr_t) (t->host ? t->host : "127.0.0.1"), (uint16_t) port};
        struct document d = {.username = (char *) (uintptr_t) "app",
                             .password = sealed_new("s3cret", 6),
                             .database = (char *) (uintptr_t) "forecasts",
                             .ssl_mode = t->secret};
        struct connect_options options = {.document = &d,
                                          .host = &host,
                                          .tls = {t->floor, t->root_cert, BINDING_PREFER},
                                          .timeout_ms = t->timeout_ms ? t->timeout_ms : 20000,
                                          .session = {.application_name = "pgbroker"},
                                          .tcp = t->tcp,
                                          .target = t->target,
                                          .unfit = t->target ? unfit : NULL};
        struct connect *c = connect_start(o->loop, &options, done, o);

        sealed_free(d.password);
        return c;
}

static int socket_option(const struct outcome *o, int level, int name)
{
        int value = -1;
        socklen_t size = sizeof value;

        getsockopt(stream_fd(o->connection->stream), level, name, &value, &size);
        return value;
}

static void read_socket(struct outcome *o)
{
        o->keepalive = socket_option(o, SOL_SOCKET, SO_KEEPALIVE);
        o->keepcnt = socket_option(o, IPPROTO_TCP, TCP_KEEPCNT);
        o->keepidle = socket_option(o, IPPROTO_TCP, TCP_KEEPIDLE);
        o->keepintvl = socket_option(o, IPPROTO_TCP, TCP_KEEPINTVL);
        o->user_timeout = socket_option(o, IPPROTO_TCP, TCP_USER_TIMEOUT);
}

static struct outcome try_port(struct try t, unsigned port)
{
        OWN(loop_free) struct loop *loop = loop_new();
        struct outcome o = {.loop = loop};

        o.connect = start(&o, &t, port);
        assert_int_equal(o.calls, 0);
        loop_run(loop);
        assert_int_equal(o.calls, 1);
        assert_null(strstr(o.error.text, "s3cret"));
        assert_null(strstr(o.error.hint, "s3cret"));
        if (o.connection) {
                assert_non_null(o.connection->stream);
                assert_int_equal(stream_kept(o.connection->stream), 0);
                assert_true(stream_quiet(o.connection->stream));
                read_socket(&o);
                connection_close(o.connection);
        } else {
                assert_true(error_is_set(&o.error));
                assert_int_equal(strlen(o.error.sqlstate), 5);
        }
        return o;
}

static struct outcome try_script(struct try t, struct fake *f,
                                 void (*script)(struct fake *f, int fd))
{
        struct outcome o;

        fake_start(f, script, NULL);
        o = try_port(t, f->port);
        fake_stop(f);
        return o;
}

#define assert_failure(o, kind)                                                                    \
        assert_string_equal(connect_failure_name((o).failure), connect_failure_name(kind))
#define assert_says(o, words) assert_non_null(strstr((o).error.text, words))

/* ---- failures ---- */

static void a_refusal_is_told_by_its_sqlstate(void **state)
{
        (void) state;
        static const struct {
                const char *sqlstate;
                enum connect_failure failure;
        } rows[] = {
                {"28P01", CONNECT_REFUSED}, {"28000", CONNECT_DENIED}, {"3D000", CONNECT_SERVER},
                {"53300", CONNECT_SERVER},  {"57P03", CONNECT_SERVER}, {"XX000", CONNECT_SERVER},
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fake f = {.sqlstate = rows[i].sqlstate};
                struct outcome o = try_script((struct try){0}, &f, refuses);

                assert_failure(o, rows[i].failure);
                assert_string_equal(o.error.sqlstate, rows[i].sqlstate);
                assert_says(o, "the server's own words");
                assert_says(o, "server at \"127.0.0.1\" (127.0.0.1), port");
                assert_null(strstr(o.error.text, "LOCATION"));
        }
}

static void a_refusal_without_sqlstate_is_the_servers(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){0}, &f, refuses_without_sqlstate);

        assert_failure(o, CONNECT_SERVER);
        assert_says(o, "the server's own");
}

static void a_wrong_password_is_sent_once(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){.host = "localhost"}, &f, asks_for_a_password);

        assert_failure(o, CONNECT_REFUSED);
        assert_string_equal(f.said, "p");
}

static void rubbish_is_a_network_failure(void **state)
{
        (void) state;
        struct fake f = {0}, g = {0}, h = {0};

        assert_failure(try_script((struct try){0}, &f, talks_http), CONNECT_NETWORK);
        assert_failure(try_script((struct try){0}, &g, talks_http_at_once), CONNECT_NETWORK);
        assert_failure(try_script((struct try){.secret = SSL_MODE_DISABLE}, &h, talks_http_at_once),
                       CONNECT_NETWORK);
}

static void nobody_there_is_a_network_failure(void **state)
{
        (void) state;
        struct fake f = {0};

        fake_start(&f, is_silent, NULL);
        fake_stop(&f);

        struct outcome o = try_port((struct try){0}, f.port);

        assert_failure(o, CONNECT_NETWORK);
        assert_says(o, "Connection refused");
}

static void an_unknown_host_is_named(void **state)
{
        (void) state;
        /* A resolver without name servers may need longer than that. */
        struct outcome o =
                try_port((struct try){.host = "no-such-host.invalid", .timeout_ms = 3000}, 5432);

        assert_true(o.failure == CONNECT_NETWORK || o.failure == CONNECT_TIMEOUT);
        assert_says(o, "no-such-host.invalid");
}

static void hanging_up_is_a_network_failure(void **state)
{
        (void) state;
        struct fake f = {0}, g = {0};
        struct outcome o = try_script((struct try){0}, &f, hangs_up);

        assert_failure(o, CONNECT_NETWORK);
        o = try_script((struct try){.secret = SSL_MODE_DISABLE}, &g, hangs_up);
        assert_failure(o, CONNECT_NETWORK);
}

static void silence_ends_at_the_time_limit(void **state)
{
        (void) state;
        static void (*const scripts[])(struct fake * f, int fd) = {
                is_silent, is_silent_after_startup, is_silent_in_tls, never_answers_the_sync};
        static const char *const missing[] = {"TLS handshake", "login", "TLS handshake", "Sync"};

        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
                struct fake f = {0};
                uint64_t began = loop_us();
                struct outcome o = try_script((struct try){.timeout_ms = 800}, &f, scripts[i]);

                assert_failure(o, CONNECT_TIMEOUT);
                assert_says(o, missing[i]);
                assert_in_range(loop_us() - began, 790000, 15000000);
        }
}

/* ---- TLS ---- */

static void require_fails_where_there_is_no_tls(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){.secret = SSL_MODE_REQUIRE}, &f, trusts);

        assert_failure(o, CONNECT_TLS);
        assert_says(o, "server does not support SSL");
        assert_int_equal(f.accepted, 1);
        assert_int_equal(f.startups, 0);
}

static void prefer_goes_on_where_there_is_no_tls(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){.secret = SSL_MODE_PREFER}, &f, trusts);

        assert_non_null(o.connection);
        assert_int_equal(f.ssl_requests, 1);
        assert_int_equal(f.startups, 1);
}

static void prefer_never_goes_on_after_another_failure(void **state)
{
        (void) state;
        static void (*const scripts[])(struct fake * f, int fd) = {
                hangs_up, talks_http_at_once, talks_rubbish_in_tls, is_silent, is_silent_in_tls};

        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
                struct fake f = {0};
                struct outcome o = try_script(
                        (struct try){.secret = SSL_MODE_PREFER, .timeout_ms = 300}, &f, scripts[i]);

                assert_null(o.connection);
                assert_int_equal(f.accepted, 1);
                assert_int_equal(f.startups, 0);
        }
}

static void disable_asks_for_no_tls(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){.secret = SSL_MODE_DISABLE}, &f, trusts);

        assert_non_null(o.connection);
        assert_int_equal(f.ssl_requests, 0);
}

static void a_missing_ca_file_is_named(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script(
                (struct try){.secret = SSL_MODE_REQUIRE, .root_cert = "/nonexistent/ca.pem"}, &f,
                talks_rubbish_in_tls);

        assert_failure(o, CONNECT_TLS);
        assert_says(o, "/nonexistent/ca.pem");
        assert_non_null(strstr(o.error.hint, "tls.root_cert"));
}

static void what_policy_forbids_opens_no_socket(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){.secret = SSL_MODE_VERIFY_FULL}, &f, trusts);

        assert_failure(o, CONNECT_TLS);
        assert_string_equal(o.error.sqlstate, "F0000");
        assert_int_equal(f.accepted, 0);
}

/* ---- logins ---- */

static void a_connection_is_handed_over_quiet_and_described(void **state)
{
        (void) state;
        static void (*const scripts[])(struct fake * f, int fd) = {trusts, trusts_in_small_pieces};

        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
                OWN(loop_free) struct loop *loop = loop_new();
                struct fake f = {0};
                struct outcome o = {.loop = loop};

                fake_start(&f, scripts[i], NULL);
                start(&o, &(struct try){0}, f.port);
                loop_run(loop);

                struct connection *c = o.connection;

                assert_non_null(c);
                assert_int_equal(settings_count(c->reported), 3);
                assert_string_equal(settings_get(c->reported, "server_version"), "15.20");
                assert_string_equal(settings_get(c->reported, "TimeZone"), "UTC");
                assert_true(c->has_key);
                assert_int_equal(c->pid, 4242);
                assert_int_equal(c->key, 0xff000007u);
                assert_string_equal(c->tls, "");
                assert_string_equal(c->sslmode, "disable");
                assert_string_equal(c->address, "127.0.0.1");
                assert_int_equal(c->port, f.port);
                connection_close(c);
                fake_stop(&f);
                /* One Sync, and a good-bye. */
                assert_string_equal(f.said, "SX");
        }
}

static void the_startup_says_what_the_secret_says(void **state)
{
        (void) state;
        struct fake f = {0};

        assert_non_null(try_script((struct try){0}, &f, trusts).connection);
        assert_string_equal(fake_parameter(&f, "user"), "app");
        assert_string_equal(fake_parameter(&f, "database"), "forecasts");
        assert_string_equal(fake_parameter(&f, "application_name"), "pgbroker");
        assert_null(fake_parameter(&f, "options"));
        assert_null(fake_parameter(&f, "client_encoding"));
}

static void later_parameters_count(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *loop = loop_new();
        struct fake f = {0};
        struct outcome o = {.loop = loop};

        fake_start(&f, trusts_and_talks, NULL);
        start(&o, &(struct try){0}, f.port);
        loop_run(loop);
        assert_non_null(o.connection);
        assert_string_equal(settings_get(o.connection->reported, "TimeZone"), "Europe/Berlin");
        assert_string_equal(settings_get(o.connection->reported, "client_encoding"), "LATIN1");
        assert_string_equal(settings_get(o.connection->reported, "in_hot_standby"), "off");
        connection_close(o.connection);
        fake_stop(&f);
}

static void any_address_of_the_host_will_do(void **state)
{
        (void) state;
        struct fake f = {0};

        /* ::1 may come first, and nobody listens there. */
        assert_non_null(try_script((struct try){.host = "localhost"}, &f, trusts).connection);
}

static void a_unix_socket_will_do(void **state)
{
        (void) state;
        char folder[] = "/tmp/pgbroker-test-XXXXXX", path[64];
        struct fake f = {0};

        assert_non_null(mkdtemp(folder));
        fake_start(&f, trusts, folder);

        struct outcome o =
                try_port((struct try){.host = folder, .floor = SSL_MODE_DISABLE}, f.port);

        fake_stop(&f);
        assert_non_null(o.connection);
        assert_int_equal(f.ssl_requests, 0);
        o = try_port((struct try){.host = folder}, f.port);
        assert_failure(o, CONNECT_TLS);
        o = try_port((struct try){.host = folder, .floor = SSL_MODE_DISABLE}, 5433);
        assert_failure(o, CONNECT_NETWORK);
        snprintf(path, sizeof path, "%s/.s.PGSQL.5432", folder);
        unlink(path);
        rmdir(folder);
}

/* ---- what comes after the login ---- */

static void bytes_that_nobody_asked_for_end_it(void **state)
{
        (void) state;
        static void (*const scripts[])(struct fake * f, int fd) = {
                ends_the_login_inside_a_message, is_in_a_transaction, answers_twice, sends_a_row};

        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
                struct fake f = {0};
                struct outcome o = try_script((struct try){0}, &f, scripts[i]);

                assert_failure(o, CONNECT_NETWORK);
                assert_says(o, "unexpected bytes after login");
        }
}

static void a_good_bye_after_the_login_is_heard(void **state)
{
        (void) state;
        static void (*const scripts[])(struct fake * f, int fd) = {says_good_bye_with_the_greeting,
                                                                   says_good_bye_to_the_sync};

        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
                struct fake f = {0};
                struct outcome o = try_script((struct try){0}, &f, scripts[i]);

                assert_failure(o, CONNECT_SERVER);
                assert_string_equal(o.error.sqlstate, "57P01");
                assert_says(o, "terminating connection");
        }
}

static void hanging_up_after_the_login_is_seen(void **state)
{
        (void) state;
        struct fake f = {0};
        struct outcome o = try_script((struct try){0}, &f, hangs_up_at_the_sync);

        assert_failure(o, CONNECT_NETWORK);
        assert_says(o, "right after login");
}

/* ---- giving up ---- */

struct cancelling {
        struct deadline when, end;
        struct outcome *o;
};

static void cancel_now(struct deadline *d)
{
        struct cancelling *c = container_of(d, struct cancelling, when);

        connect_cancel(c->o->connect);
        loop_set(c->o->loop, &c->end, loop_now(c->o->loop) + 1);
}

static void end_now(struct deadline *d)
{
        loop_stop(container_of(d, struct cancelling, end)->o->loop);
}

static void cancel_after(unsigned ms, void (*script)(struct fake *f, int fd), const char *host)
{
        OWN(loop_free) struct loop *loop = loop_new();
        struct fake f = {0};
        struct outcome o = {.loop = loop};
        struct cancelling c = {.o = &o};

        fake_start(&f, script, NULL);
        deadline_init(&c.when, cancel_now);
        deadline_init(&c.end, end_now);
        loop_set(loop, &c.when, loop_now(loop) + ms);
        o.connect = start(&o, &(struct try){.host = host}, f.port);
        loop_run(loop);
        loop_free(TAKE(loop));
        fake_stop(&f);
        assert_int_equal(o.calls, 0);
}

static void after_cancel_nothing_is_heard(void **state)
{
        (void) state;
        for (unsigned ms = 0; ms < 12; ms++) {
                cancel_after(ms, never_answers_the_sync, NULL);
                cancel_after(ms, is_silent_after_startup, "localhost");
                cancel_after(ms, is_silent_in_tls, NULL);
        }
}

static void cancel_before_anything_happened(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *loop = loop_new();
        struct outcome o = {.loop = loop};

        connect_cancel(start(&o, &(struct try){0}, 1));
        connect_cancel(start(&o, &(struct try){.host = "localhost"}, 1));
        connect_cancel(start(&o, &(struct try){.host = "/nonexistent"}, 1));
        connect_cancel(NULL);
        loop_free(TAKE(loop));
        assert_int_equal(o.calls, 0);
}

static int open_files(void)
{
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void no_descriptor_is_left_behind(void **state)
{
        (void) state;
        struct fake f = {0}, g = {0}, h = {0};
        int before = open_files();

        try_script((struct try){0}, &f, trusts);
        try_script((struct try){.secret = SSL_MODE_REQUIRE}, &g, trusts);
        try_script((struct try){.timeout_ms = 100}, &h, is_silent_after_startup);
        cancel_after(3, never_answers_the_sync, NULL);
        assert_int_equal(open_files(), before);
}

static void the_environment_is_forgotten(void **state)
{
        (void) state;
        struct fake f = {0};

        setenv("PGHOST", "elsewhere.invalid", 1);
        setenv("PGOPTIONS", "-c geqo=off", 1);
        setenv("PGTZ", "Mars", 1);
        setenv("PGCLIENTENCODING", "LATIN1", 1);
        setenv("PG", "", 1);
        setenv("NOT_PGHOST", "stays", 1);
        connect_neutralise_environment();
        assert_null(getenv("PGHOST"));
        assert_null(getenv("PGOPTIONS"));
        assert_null(getenv("PGTZ"));
        assert_string_equal(getenv("NOT_PGHOST"), "stays");
        assert_non_null(try_script((struct try){0}, &f, trusts).connection);
        assert_null(fake_parameter(&f, "options"));
        assert_null(fake_parameter(&f, "TimeZone"));
        assert_null(fake_parameter(&f, "client_encoding"));
}

static void the_socket_has_the_keep_alives_that_were_asked_for(void **state)
{
        (void) state;
        struct fake f = {0};
        struct tcp_options tcp = {true, 7, 29001, 4000, 12500};
        struct outcome o = try_script((struct try){.tcp = tcp}, &f, trusts);

        assert_int_equal(o.keepalive, 1);
        assert_int_equal(o.keepcnt, 7);
        assert_int_equal(o.keepidle, 30);
        assert_int_equal(o.keepintvl, 4);
        assert_int_equal(o.user_timeout, 12500);
        tcp = (struct tcp_options){.keepalive = false, .keepcnt = 7};
        assert_int_equal(try_script((struct try){.tcp = tcp}, &f, trusts).keepalive, 0);
        /* What is longer than the kernel takes is as long as it takes. */
        tcp = (struct tcp_options){.keepalive = true, .keepidle = 3600000000};
        o = try_script((struct try){.tcp = tcp}, &f, trusts);
        assert_int_equal(o.keepidle, 32767);
        assert_int_equal(o.user_timeout, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_refusal_is_told_by_its_sqlstate),
                cmocka_unit_test(a_refusal_without_sqlstate_is_the_servers),
                cmocka_unit_test(a_wrong_password_is_sent_once),
                cmocka_unit_test(rubbish_is_a_network_failure),
                cmocka_unit_test(nobody_there_is_a_network_failure),
                cmocka_unit_test(an_unknown_host_is_named),
                cmocka_unit_test(hanging_up_is_a_network_failure),
                cmocka_unit_test(silence_ends_at_the_time_limit),
                cmocka_unit_test(require_fails_where_there_is_no_tls),
                cmocka_unit_test(prefer_goes_on_where_there_is_no_tls),
                cmocka_unit_test(prefer_never_goes_on_after_another_failure),
                cmocka_unit_test(disable_asks_for_no_tls),
                cmocka_unit_test(a_missing_ca_file_is_named),
                cmocka_unit_test(what_policy_forbids_opens_no_socket),
                cmocka_unit_test(a_connection_is_handed_over_quiet_and_described),
                cmocka_unit_test(the_startup_says_what_the_secret_says),
                cmocka_unit_test(later_parameters_count),
                cmocka_unit_test(any_address_of_the_host_will_do),
                cmocka_unit_test(a_unix_socket_will_do),
                cmocka_unit_test(bytes_that_nobody_asked_for_end_it),
                cmocka_unit_test(a_good_bye_after_the_login_is_heard),
                cmocka_unit_test(hanging_up_after_the_login_is_seen),
                cmocka_unit_test(after_cancel_nothing_is_heard),
                cmocka_unit_test(cancel_before_anything_happened),
                cmocka_unit_test(no_descriptor_is_left_behind),
                cmocka_unit_test(the_environment_is_forgotten),
                cmocka_unit_test(the_socket_has_the_keep_alives_that_were_asked_for),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
