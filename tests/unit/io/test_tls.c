#include "turns.h"
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include "io/tls.h"

struct ends {
        SSL_CTX *client_context, *server_context;
        SSL *client, *server;
        int fd[2];
};

static void sign_yourself(SSL_CTX *context)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *c = X509_new();

        ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
        X509_gmtime_adj(X509_getm_notBefore(c), 0);
        X509_gmtime_adj(X509_getm_notAfter(c), 3600);
        X509_set_pubkey(c, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                   (const unsigned char *) "test", -1, -1, 0);
        X509_set_issuer_name(c, X509_get_subject_name(c));
        assert_true(X509_sign(c, key, EVP_sha256()) > 0);
        assert_int_equal(SSL_CTX_use_certificate(context, c), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
        X509_free(c);
        EVP_PKEY_free(key);
}

static void open_ends(struct ends *t, int version)
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t->fd), 0);
        t->client_context = SSL_CTX_new(TLS_client_method());
        t->server_context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_security_level(t->client_context, 0);
        SSL_CTX_set_security_level(t->server_context, 0);
        SSL_CTX_set_min_proto_version(t->client_context, version);
        SSL_CTX_set_max_proto_version(t->client_context, version);
        SSL_CTX_set_min_proto_version(t->server_context, version);
        sign_yourself(t->server_context);
        t->client = SSL_new(t->client_context);
        t->server = SSL_new(t->server_context);
        SSL_set_fd(t->client, t->fd[0]);
        SSL_set_fd(t->server, t->fd[1]);
        SSL_set_connect_state(t->client);
        SSL_set_accept_state(t->server);
}

static void shake_hands(struct ends *t)
{
        for (int i = 0; i < 10; i++) {
                SSL_do_handshake(t->client);
                SSL_do_handshake(t->server);
        }
        assert_true(SSL_is_init_finished(t->client));
        assert_true(SSL_is_init_finished(t->server));
}

static void close_ends(struct ends *t)
{
        SSL_free(t->client);
        SSL_free(t->server);
        SSL_CTX_free(t->client_context);
        SSL_CTX_free(t->server_context);
        close(t->fd[0]);
        close(t->fd[1]);
}

enum { PIECE = 65536 };

/* Fills the socket; what was written. The last piece is left half done inside the session. */
static size_t fill(SSL *ssl, const char *piece)
{
        size_t written = 0;
        int n;

        while ((n = SSL_write(ssl, piece, PIECE)) > 0) {
                /* A part of it, though there was room for more. */
                assert_true(n < PIECE);
                written += (size_t) n;
        }
        assert_int_equal(SSL_get_error(ssl, n), SSL_ERROR_WANT_WRITE);
        return written;
}

static size_t drain(SSL *ssl)
{
        static char into[PIECE];
        size_t got = 0;
        int n;

        while ((n = SSL_read(ssl, into, sizeof into)) > 0) {
                assert_int_equal(into[0], 'x');
                assert_int_equal(into[n - 1], 'x');
                got += (size_t) n;
        }
        return got;
}

static void an_adopted_session_writes_in_parts_from_wherever(void **state)
{
        (void) state;
        static char first[PIECE], second[PIECE];
        struct ends t;
        struct error e = {0};
        size_t written, got;
        int n;

        memset(first, 'x', sizeof first);
        memset(second, 'x', sizeof second);
        open_ends(&t, TLS1_3_VERSION);
        shake_hands(&t);
        assert_true(tls_adopt(t.client, t.fd[0], &e));
        assert_int_equal(SSL_get_read_ahead(t.client), 1);
        written = fill(t.client, first);
        got = drain(t.server);
        n = SSL_write(t.client, second, PIECE);
        assert_true(n > 0);
        written += (size_t) n;
        assert_int_equal(got + drain(t.server), written);
        close_ends(&t);
}

static void writing_to_one_who_has_gone_fails(void **state)
{
        (void) state;
        struct ends t;
        struct error e = {0};
        int n;

        open_ends(&t, TLS1_3_VERSION);
        shake_hands(&t);
        assert_true(tls_adopt(t.client, t.fd[0], &e));
        close(t.fd[1]);
        t.fd[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
        n = SSL_write(t.client, "x", 1);
        assert_int_equal(n, -1);
        assert_int_equal(SSL_get_error(t.client, n), SSL_ERROR_SYSCALL);
        close_ends(&t);
}

static void bytes_that_came_before_are_not_lost(void **state)
{
        (void) state;
        struct ends t;
        struct error e = {0};
        char text[16] = "";

        open_ends(&t, TLS1_2_VERSION);
        shake_hands(&t);
        assert_int_equal(SSL_write(t.server, "hello", 5), 5);
        assert_int_equal(SSL_read(t.client, text, 2), 2);
        assert_true(tls_adopt(t.client, t.fd[0], &e));
        assert_int_equal(SSL_read(t.client, text + 2, 10), 3);
        assert_string_equal(text, "hello");
        close_ends(&t);
}

static void only_a_finished_modern_session_is_adopted(void **state)
{
        (void) state;
        struct ends t;
        struct error e = {0};
        char text[64];

        open_ends(&t, TLS1_3_VERSION);
        assert_null(tls_describe(t.client, text, sizeof text));
        assert_false(tls_adopt(t.client, t.fd[0], &e));
        assert_string_equal(e.sqlstate, "08001");
        close_ends(&t);

        open_ends(&t, TLS1_1_VERSION);
        shake_hands(&t);
        assert_null(tls_describe(t.client, text, sizeof text));
        assert_false(tls_adopt(t.client, t.fd[0], &e));
        assert_non_null(strstr(e.text, "TLSv1.1"));
        close_ends(&t);
}

static void it_is_described(void **state)
{
        (void) state;
        struct ends t;
        char text[64], little[8];

        open_ends(&t, TLS1_3_VERSION);
        shake_hands(&t);
        assert_string_equal(tls_describe(t.client, text, sizeof text),
                            "TLSv1.3/TLS_AES_256_GCM_SHA384");
        assert_string_equal(tls_describe(t.client, little, sizeof little), "TLSv1.3");
        assert_null(tls_describe(NULL, text, sizeof text));
        close_ends(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_adopted_session_writes_in_parts_from_wherever),
                cmocka_unit_test(writing_to_one_who_has_gone_fails),
                cmocka_unit_test(bytes_that_came_before_are_not_lost),
                cmocka_unit_test(only_a_finished_modern_session_is_adopted),
                cmocka_unit_test(it_is_described),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
