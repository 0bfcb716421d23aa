#include "turns.h"
#include <openssl/err.h>
#include <sys/socket.h>
#include "certificate.h"
#include "io/tls_client.h"

struct ends {
        char *folder;
        char root_cert[200];
        SSL_CTX *context;
        SSL *server;
        struct tls_client *client;
        int fd[2];
        struct error e;
};

/* A server with a certificate for these names; the client trusts it, or (`trusts` false) another. */
static void open_ends(struct ends *t, const char *common_name, const char *names, bool trusts,
                      enum tls_verify verify, const char *host)
{
        struct certificate own = certificate_make(common_name, names);
        struct certificate other = certificate_make("other", NULL);

        *t = (struct ends){.folder = folder_make()};
        snprintf(t->root_cert, sizeof t->root_cert, "%s/ca.crt", t->folder);
        certificate_write(trusts ? &own : &other, t->root_cert);
        t->context = certificate_server(&own);
        certificate_free(&own);
        certificate_free(&other);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t->fd), 0);
        t->server = SSL_new(t->context);
        SSL_set_fd(t->server, t->fd[1]);
        SSL_set_accept_state(t->server);

        struct tls_client_options o = {
                .fd = t->fd[0], .verify = verify, .root_cert = t->root_cert, .host = host};

        t->client = tls_client_new(&o);
}

static void close_ends(struct ends *t)
{
        tls_client_free(t->client);
        SSL_free(t->server);
        SSL_CTX_free(t->context);
        close(t->fd[0]);
        close(t->fd[1]);
        folder_remove(t->folder);
}

/* Until the client has come to an end. */
static enum tls_step shake_hands(struct ends *t)
{
        enum tls_step step = TLS_FAILED;

        for (int i = 0; i < 10; i++) {
                step = tls_client_step(t->client, &t->e);
                if (step == TLS_DONE || step == TLS_FAILED)
                        break;
                SSL_do_handshake(t->server);
        }
        ERR_clear_error();
        return step;
}

static void what_is_written_arrives(void **state)
{
        struct ends t;
        char got[20] = "";
        (void) state;

        open_ends(&t, "db.example", NULL, true, TLS_VERIFY_FULL, "db.example");
        assert_int_equal(shake_hands(&t), TLS_DONE);
        SSL_do_handshake(t.server);
        assert_true(tls_client_write(t.client, "a few bytes", 11, &t.e));
        assert_int_equal(SSL_read(t.server, got, sizeof got), 11);
        assert_string_equal(got, "a few bytes");
        assert_string_equal(SSL_get_servername(t.server, TLSEXT_NAMETYPE_host_name), "db.example");
        close_ends(&t);
}

static enum tls_step outcome(const char *common_name, const char *names, const char *host)
{
        struct ends t;

        open_ends(&t, common_name, names, true, TLS_VERIFY_FULL, host);

        enum tls_step step = shake_hands(&t);

        if (step == TLS_FAILED)
                assert_non_null(strstr(t.e.text, "does not bear the host name"));
        close_ends(&t);
        return step;
}

/* As libpq has it: "SSL Support" in the manual, and fe-secure-common.c. */
static void a_certificate_must_bear_the_host_name(void **state)
{
        static const struct {
                const char *common_name, *names, *host;
                bool fits;
        } cases[] = {
                {"db.example", NULL, "db.example", true},
                {"DB.Example", NULL, "db.exAMPLE", true},
                {"db.example", NULL, "other.example", false},
                {"db.example", NULL, "db.example.org", false},
                {"", "DNS:a.example,DNS:b.example", "b.example", true},
                {"c.example", "DNS:a.example", "c.example", false},
                {"c.example", "IP:10.0.0.1", "c.example", true},
                {"*.example", NULL, "db.example", true},
                {"", "DNS:*.example", "db.example", true},
                {"", "DNS:*.example", "a.b.example", false},
                {"", "DNS:*.example", "example", false},
                {"", "DNS:d*.example", "db.example", false},
                {"", "DNS:*", "example", false},
                {"", "IP:127.0.0.1", "127.0.0.1", true},
                {"", "IP:127.0.0.2", "127.0.0.1", false},
                {"", "IP:::1", "::1", true},
                {"", "IP:::1", "0:0::1", true},
                {"127.0.0.1", NULL, "127.0.0.1", true},
                {"127.0.0.1", "DNS:a.example", "127.0.0.1", true},
                {"127.0.0.1", "IP:127.0.0.2", "127.0.0.1", false},
                {"", "DNS:127.0.0.1", "127.0.0.1", true},
                {"", "DNS:*.0.0.1", "127.0.0.1", false},
                {"", "email:db@db.example", "db.example", false},
                {"db.example", NULL, "", false},
        };
        (void) state;

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                enum tls_step step = outcome(cases[i].common_name, cases[i].names, cases[i].host);

                if ((step == TLS_DONE) != cases[i].fits)
                        fail_msg("CN %s, %s, host %s", cases[i].common_name,
                                 cases[i].names ? cases[i].names : "-", cases[i].host);
        }
}

static void verify_ca_asks_for_no_name_but_for_an_authority(void **state)
{
        struct ends t;
        (void) state;

        open_ends(&t, "elsewhere", NULL, true, TLS_VERIFY_CA, "db.example");
        assert_int_equal(shake_hands(&t), TLS_DONE);
        close_ends(&t);
        for (enum tls_verify v = TLS_VERIFY_CA; v <= TLS_VERIFY_FULL; v++) {
                open_ends(&t, "db.example", NULL, false, v, "db.example");
                assert_int_equal(shake_hands(&t), TLS_FAILED);
                assert_non_null(strstr(t.e.text, "can't be verified"));
                close_ends(&t);
        }
}

static void require_takes_any_certificate(void **state)
{
        struct ends t;
        (void) state;

        open_ends(&t, "elsewhere", NULL, false, TLS_VERIFY_NONE, "db.example");
        assert_int_equal(shake_hands(&t), TLS_DONE);
        close_ends(&t);
}

static void tls_older_than_1_2_is_refused(void **state)
{
        struct ends t;
        (void) state;

        open_ends(&t, "db.example", NULL, true, TLS_VERIFY_NONE, "db.example");
        SSL_set_security_level(t.server, 0);
        SSL_set_min_proto_version(t.server, TLS1_VERSION);
        SSL_set_max_proto_version(t.server, TLS1_1_VERSION);
        assert_int_equal(shake_hands(&t), TLS_FAILED);
        assert_true(error_is_set(&t.e));
        close_ends(&t);
}

static void a_root_cert_that_is_not_there_is_an_error(void **state)
{
        struct ends t;
        (void) state;

        open_ends(&t, "db.example", NULL, true, TLS_VERIFY_CA, "db.example");
        unlink(t.root_cert);
        assert_int_equal(shake_hands(&t), TLS_FAILED);
        assert_non_null(strstr(t.e.text, "root_cert"));
        close_ends(&t);
}

static void a_peer_that_leaves_or_talks_rubbish_is_an_error(void **state)
{
        struct ends t;
        (void) state;

        open_ends(&t, "db.example", NULL, true, TLS_VERIFY_NONE, "");
        assert_int_equal(tls_client_step(t.client, &t.e), TLS_WANTS_READ);
        assert_int_equal(write(t.fd[1], "this is no ServerHello", 22), 22);
        assert_int_equal(tls_client_step(t.client, &t.e), TLS_FAILED);
        assert_true(error_is_set(&t.e));
        close_ends(&t);

        open_ends(&t, "db.example", NULL, true, TLS_VERIFY_NONE, "");
        assert_int_equal(tls_client_step(t.client, &t.e), TLS_WANTS_READ);
        shutdown(t.fd[1], SHUT_WR);
        assert_int_equal(tls_client_step(t.client, &t.e), TLS_FAILED);
        assert_true(error_is_set(&t.e));
        close_ends(&t);
}

static void nothing_can_be_freed(void **state)
{
        (void) state;
        tls_client_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_arrives),
                cmocka_unit_test(a_certificate_must_bear_the_host_name),
                cmocka_unit_test(verify_ca_asks_for_no_name_but_for_an_authority),
                cmocka_unit_test(require_takes_any_certificate),
                cmocka_unit_test(tls_older_than_1_2_is_refused),
                cmocka_unit_test(a_root_cert_that_is_not_there_is_an_error),
                cmocka_unit_test(a_peer_that_leaves_or_talks_rubbish_is_an_error),
                cmocka_unit_test(nothing_can_be_freed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
