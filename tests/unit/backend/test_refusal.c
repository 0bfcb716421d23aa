#include "../base/cmocka_all.h"
#include <stdio.h>
#include "backend/refusal.h"

#define AT "connection to server at \"db\" (10.0.0.1), port 5432 failed: "

static const struct row {
        const char *said; /* after AT */
        enum refusal_stage stage;
        enum connect_failure failure;
        const char *sqlstate, *text; /* text NULL: as it was said */
} rows[] = {
        {"FATAL:  28P01: password authentication failed for user \"app\"\nLOCATION:  auth_failed, "
         "auth.c:334\n",
         REFUSAL_LOGIN, CONNECT_REFUSED, "28P01",
         "password authentication failed for user \"app\""},
        {"FEHLER:  28P01: falsch\n", REFUSAL_LOGIN, CONNECT_REFUSED, "28P01", "falsch"},
        {"FATAL:  28P01", REFUSAL_LOGIN, CONNECT_REFUSED, "28P01", "no reason was given"},
        {"FATAL:  28000: no pg_hba.conf entry for host \"10.0.0.2\", user \"app\", database \"d\", "
         "no encryption\n",
         REFUSAL_LOGIN, CONNECT_DENIED, "28000",
         "no pg_hba.conf entry for host \"10.0.0.2\", user \"app\", database \"d\", no encryption"},
        {"FATAL:  3D000: database \"x failed: FATAL:  28P01: y\" does not exist\n", REFUSAL_LOGIN,
         CONNECT_SERVER, "3D000", "database \"x failed: FATAL: 28P01: y\" does not exist"},
        {"FATAL:  53300: too many connections\nDETAIL:  many\nHINT:  fewer\nLOCATION:  here\n",
         REFUSAL_LOGIN, CONNECT_SERVER, "53300", "too many connections DETAIL: many HINT: fewer"},
        {"FATAL:  57P03: the database system is starting up\n", REFUSAL_LOGIN, CONNECT_SERVER,
         "57P03", "the database system is starting up"},
        {"FATAL:  no state at all\n", REFUSAL_LOGIN, CONNECT_SERVER, "08001", "no state at all"},
        {"FATAL:  sorry, 28P01: no\n", REFUSAL_LOGIN, CONNECT_SERVER, "08001", "sorry, 28P01: no"},
        {"fe_sendauth: no password supplied\n", REFUSAL_LOGIN, CONNECT_REFUSED, "28P01",
         "fe_sendauth: no password supplied"},
        {"incorrect server signature\n", REFUSAL_LOGIN, CONNECT_REFUSED, "28P01",
         "incorrect server signature"},
        {"channel binding is required, but server did not offer an authentication method that "
         "supports channel binding\n",
         REFUSAL_LOGIN, CONNECT_TLS, "08001", NULL},
        {"server does not support SSL, but SSL was required\n", REFUSAL_HANDSHAKE, CONNECT_TLS,
         "08001", NULL},
        {"SSL error: certificate verify failed\n", REFUSAL_HANDSHAKE, CONNECT_TLS, "08001", NULL},
        {"server certificate for \"elsewhere\" does not match host name \"db\"\n",
         REFUSAL_HANDSHAKE, CONNECT_TLS, "08001", NULL},
        {"root certificate file \"/x\" does not exist\nEither provide the file or change "
         "sslmode.\n",
         REFUSAL_HANDSHAKE, CONNECT_TLS, "08001", "root certificate file \"/x\" does not exist"},
        {"SSL SYSCALL error: EOF detected\n", REFUSAL_HANDSHAKE, CONNECT_TLS, "08001", NULL},
        {"SSL SYSCALL error: EOF detected\n", REFUSAL_LOGIN, CONNECT_NETWORK, "08001", NULL},
        {"SSL error: tlsv13 alert certificate required\n", REFUSAL_LOGIN, CONNECT_TLS, "08001",
         NULL},
        {"server closed the connection unexpectedly\n\tThis probably means ...\n",
         REFUSAL_HANDSHAKE, CONNECT_NETWORK, "08001", "server closed the connection unexpectedly"},
        {"server closed the connection unexpectedly\n\tThis probably means ...\n", REFUSAL_LOGIN,
         CONNECT_NETWORK, "08001", "server closed the connection unexpectedly"},
        {"received invalid response to SSL negotiation: H\n", REFUSAL_HANDSHAKE, CONNECT_NETWORK,
         "08001", NULL},
        {"expected authentication request from server, but received H\n", REFUSAL_LOGIN,
         CONNECT_NETWORK, "08001", NULL},
        {"Connection refused\n\tIs the server running on that host?\n", REFUSAL_REACHING,
         CONNECT_NETWORK, "08001", "Connection refused"},
        {"authentication method 7 not supported\n", REFUSAL_LOGIN, CONNECT_SERVER, "08001", NULL},
        {"something new\n", REFUSAL_REACHING, CONNECT_NETWORK, "08001", "something new"},
        {"something new\n", REFUSAL_HANDSHAKE, CONNECT_TLS, "08001", "something new"},
        {"something new\n", REFUSAL_LOGIN, CONNECT_NETWORK, "08001", "something new"},
        {"", REFUSAL_LOGIN, CONNECT_NETWORK, "08001", "no reason was given"},
};

static void each_message_has_its_kind_state_and_text(void **state)
{
        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                char message[1024], wanted[1024];
                struct refusal r;

                snprintf(message, sizeof message, AT "%s", rows[i].said);
                snprintf(wanted, sizeof wanted, "%s", rows[i].text ? rows[i].text : rows[i].said);
                if (!rows[i].text)
                        wanted[strlen(wanted) - 1] = 0;
                refusal_read(message, rows[i].stage, &r);
                assert_string_equal(r.error.text, wanted);
                assert_string_equal(connect_failure_name(r.failure),
                                    connect_failure_name(rows[i].failure));
                assert_string_equal(r.error.sqlstate, rows[i].sqlstate);
        }
}

static void what_can_be_remedied_has_a_hint(void **state)
{
        (void) state;
        struct refusal r;

        refusal_read(AT "FATAL:  28P01: no\n", REFUSAL_LOGIN, &r);
        assert_non_null(strstr(r.error.hint, "password of the secret"));
        refusal_read(AT "SSL error: certificate verify failed\n", REFUSAL_HANDSHAKE, &r);
        assert_non_null(strstr(r.error.hint, "tls.root_cert"));
        refusal_read(AT "Connection refused\n", REFUSAL_REACHING, &r);
        assert_non_null(strstr(r.error.hint, "listens"));
}

static void only_the_answer_no_tls_is_no_tls(void **state)
{
        (void) state;
        static const char no_tls[] = AT "server does not support SSL, but SSL was required\n";
        struct refusal r;

        refusal_read(no_tls, REFUSAL_HANDSHAKE, &r);
        assert_true(r.no_tls);
        refusal_read(no_tls, REFUSAL_LOGIN, &r);
        assert_false(r.no_tls);
        refusal_read(AT "FATAL:  08000: server does not support SSL\n", REFUSAL_HANDSHAKE, &r);
        assert_false(r.no_tls);
        refusal_read(AT "server closed the connection unexpectedly\n", REFUSAL_HANDSHAKE, &r);
        assert_false(r.no_tls);
}

static void only_absent_and_starting_servers_send_elsewhere(void **state)
{
        (void) state;
        struct refusal r;

        refusal_read(AT "Connection refused\n", REFUSAL_REACHING, &r);
        assert_true(r.elsewhere);
        refusal_read(AT "FATAL:  57P03: starting\n", REFUSAL_LOGIN, &r);
        assert_true(r.elsewhere);
        refusal_read(AT "FATAL:  28P01: no\n", REFUSAL_LOGIN, &r);
        assert_false(r.elsewhere);
        refusal_read(AT "FATAL:  53300: full\n", REFUSAL_LOGIN, &r);
        assert_false(r.elsewhere);
        refusal_read(AT "SSL error: certificate verify failed\n", REFUSAL_HANDSHAKE, &r);
        assert_false(r.elsewhere);
}

static void a_message_without_a_place_is_read_too(void **state)
{
        (void) state;
        struct refusal r;

        refusal_read("invalid sslmode value: \"x\"\n", REFUSAL_REACHING, &r);
        assert_string_equal(r.error.text, "invalid sslmode value: \"x\"");
        assert_int_equal(r.failure, CONNECT_NETWORK);
}

static void an_answer_read_without_libpq_is_judged_alike(void **state)
{
        (void) state;
        struct refusal r;

        refusal_answer("57P01", "terminating connection", &r);
        assert_int_equal(r.failure, CONNECT_SERVER);
        assert_string_equal(r.error.text, "terminating connection");
        refusal_answer("57P01", "", &r);
        assert_true(error_is_set(&r.error));
        refusal_answer("28P01", "no", &r);
        assert_int_equal(r.failure, CONNECT_REFUSED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_message_has_its_kind_state_and_text),
                cmocka_unit_test(what_can_be_remedied_has_a_hint),
                cmocka_unit_test(only_the_answer_no_tls_is_no_tls),
                cmocka_unit_test(only_absent_and_starting_servers_send_elsewhere),
                cmocka_unit_test(a_message_without_a_place_is_read_too),
                cmocka_unit_test(an_answer_read_without_libpq_is_judged_alike),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
