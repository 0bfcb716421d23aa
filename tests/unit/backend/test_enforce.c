#include "../base/cmocka_all.h"
#include <stdio.h>
#include "backend/enforce.h"

enum host { REMOTE, LOOPBACK, SOCKET, HOSTS };

static const char *const host_names[HOSTS] = {"db.example.com", "localhost", "/run/postgresql"};

struct expected {
        bool possible;
        const char *sslmode;
        bool plain, tls, warn;
};

/* What a mode comes down to over TCP: [with a root_cert][with channel_binding: require]. */
static const struct expected over_tcp[][2][2] = {
        [SSL_MODE_DISABLE] = {{{true, "disable", false, false, false}, {0}},
                              {{true, "disable", false, false, false}, {0}}},
        [SSL_MODE_ALLOW] = {{{true, "require", true, true, false},
                             {true, "require", false, true, false}},
                            {{true, "verify-ca", true, true, false},
                             {true, "verify-ca", false, true, false}}},
        [SSL_MODE_PREFER] = {{{true, "require", true, true, false},
                              {true, "require", false, true, false}},
                             {{true, "verify-ca", true, true, false},
                              {true, "verify-ca", false, true, false}}},
        [SSL_MODE_REQUIRE] = {{{true, "require", false, true, true},
                               {true, "require", false, true, false}},
                              {{true, "verify-ca", false, true, false},
                               {true, "verify-ca", false, true, false}}},
        [SSL_MODE_VERIFY_CA] = {{{0}, {0}},
                                {{true, "verify-ca", false, true, false},
                                 {true, "verify-ca", false, true, false}}},
        [SSL_MODE_VERIFY_FULL] = {{{0}, {0}},
                                  {{true, "verify-full", false, true, false},
                                   {true, "verify-full", false, true, false}}},
};

/* The mode that holds: [loopback][secret][floor], in one letter each; '-': refused. Floors and
 * secrets in the order unset, disable, allow, prefer, require, verify-ca, verify-full. */
static const char *const holds[2][7] = {
        [false] = {"rrrrrcf", "-daprcf", "raaprcf", "rppprcf", "rrrrrcf", "ccccccf", "fffffff"},
        [true] = {"pppprcf", "ddaprcf", "aaaprcf", "pppprcf", "rrrrrcf", "ccccccf", "fffffff"},
};

static struct expected expect_of(enum host host, enum ssl_mode secret, enum ssl_mode floor,
                                 bool root_cert, enum enforce_binding binding)
{
        static const char letters[] = "daprcf";
        bool required = binding == BINDING_REQUIRE;

        if (host == SOCKET) {
                bool lowered = floor == SSL_MODE_DISABLE || floor == SSL_MODE_ALLOW ||
                               floor == SSL_MODE_PREFER;

                return (struct expected){lowered && !required, "disable", false, false, false};
        }

        char letter = holds[host == LOOPBACK][secret][floor];

        if (letter == '-')
                return (struct expected){0};
        return over_tcp[SSL_MODE_DISABLE + (strchr(letters, letter) - letters)][root_cert]
                       [required];
}

static void check(enum host host, enum ssl_mode secret, enum ssl_mode floor, bool root_cert,
                  enum enforce_binding binding)
{
        static const char *const bindings[] = {"prefer", "require", "disable"};
        struct enforce_options options = {floor, root_cert ? "/etc/ca.pem" : "", binding};
        struct expected x = expect_of(host, secret, floor, root_cert, binding);
        struct enforce_decision d = {0};
        struct error e = {0};
        bool possible =
                enforce_decide(secret, &options, host_names[host], host == LOOPBACK, &d, &e);

        if (possible != x.possible ||
            (possible && (strcmp(d.sslmode, x.sslmode) != 0 || d.plain_allowed != x.plain ||
                          d.tls_expected != x.tls || d.warn_unverified != x.warn)))
                fail_msg("%s, secret %s, floor %s, %s, binding %s: %s %s plain %d tls %d warn %d",
                         host_names[host], ssl_mode_name(secret), ssl_mode_name(floor),
                         root_cert ? "root_cert" : "no root_cert", bindings[binding],
                         possible ? "possible" : e.text, possible ? d.sslmode : "", d.plain_allowed,
                         d.tls_expected, d.warn_unverified);
        if (possible) {
                assert_string_equal(d.channel_binding, bindings[binding]);
                assert_false(error_is_set(&e));
        } else {
                assert_string_equal(e.sqlstate, "F0000");
                assert_true(strstr(e.hint, "tls.") != NULL);
        }
}

static void the_whole_table(void **state)
{
        (void) state;
        int rows = 0;

        for (int host = 0; host < HOSTS; host++)
                for (int secret = SSL_MODE_UNSET; secret <= SSL_MODE_VERIFY_FULL; secret++)
                        for (int floor = SSL_MODE_UNSET; floor <= SSL_MODE_VERIFY_FULL; floor++)
                                for (int rest = 0; rest < 6; rest++, rows++)
                                        check((enum host) host, (enum ssl_mode) secret,
                                              (enum ssl_mode) floor, rest % 2,
                                              (enum enforce_binding)(rest / 2));
        assert_int_equal(rows, 3 * 7 * 7 * 2 * 3);
}

/* ---- rows worth a sentence ---- */

static struct error refused(enum ssl_mode secret, struct enforce_options o, const char *host,
                            bool loopback)
{
        struct enforce_decision d;
        struct error e = {0};

        assert_false(enforce_decide(secret, &o, host, loopback, &d, &e));
        return e;
}

static struct enforce_decision decided(enum ssl_mode secret, struct enforce_options o,
                                       const char *host, bool loopback)
{
        struct enforce_decision d;
        struct error e = {0};

        if (!enforce_decide(secret, &o, host, loopback, &d, &e))
                fail_msg("%s", e.text);
        return d;
}

static void nothing_said_means_require_for_a_remote_host(void **state)
{
        (void) state;
        struct enforce_decision d =
                decided(SSL_MODE_UNSET, (struct enforce_options){0}, "10.0.0.1", false);

        assert_string_equal(d.sslmode, "require");
        assert_true(d.tls_expected);
        assert_false(d.plain_allowed);
        assert_true(d.warn_unverified);
}

static void nothing_said_means_prefer_for_loopback(void **state)
{
        (void) state;
        struct enforce_decision d =
                decided(SSL_MODE_UNSET, (struct enforce_options){0}, "localhost", true);

        assert_string_equal(d.sslmode, "require");
        assert_true(d.plain_allowed);
        assert_false(d.warn_unverified);
}

static void a_remote_secret_that_says_disable_is_refused_by_default(void **state)
{
        (void) state;
        struct error e = refused(SSL_MODE_DISABLE, (struct enforce_options){0}, "db", false);

        assert_non_null(strstr(e.text, "ssl_mode is disable"));
        assert_non_null(strstr(e.hint, "tls.min_ssl_mode"));
        assert_non_null(strstr(e.hint, "secret's ssl_mode"));
}

static void the_administrators_word_settles_it(void **state)
{
        (void) state;
        struct enforce_options low = {.min_ssl_mode = SSL_MODE_DISABLE};
        struct enforce_options high = {.min_ssl_mode = SSL_MODE_REQUIRE};

        assert_string_equal(decided(SSL_MODE_DISABLE, low, "db", false).sslmode, "disable");
        assert_string_equal(decided(SSL_MODE_DISABLE, high, "db", false).sslmode, "require");
}

static void a_weak_floor_weakens_no_secret(void **state)
{
        (void) state;
        struct enforce_options o = {.min_ssl_mode = SSL_MODE_DISABLE, .root_cert = "ca"};
        struct enforce_decision d = decided(SSL_MODE_VERIFY_FULL, o, "db", false);

        assert_string_equal(d.sslmode, "verify-full");
        assert_false(d.plain_allowed);
}

static void verifying_needs_a_root_cert(void **state)
{
        (void) state;
        struct error e = refused(SSL_MODE_VERIFY_CA, (struct enforce_options){0}, "db", false);

        assert_non_null(strstr(e.text, "the secret's ssl_mode is verify-ca"));
        assert_non_null(strstr(e.hint, "tls.root_cert"));
        e = refused(SSL_MODE_REQUIRE,
                    (struct enforce_options){.min_ssl_mode = SSL_MODE_VERIFY_FULL}, "db", false);
        assert_non_null(strstr(e.text, "min_ssl_mode is verify-full"));
}

static void a_socket_has_no_tls_and_says_who_asks_for_it(void **state)
{
        (void) state;
        struct error e = refused(SSL_MODE_VERIFY_FULL, (struct enforce_options){0}, "/tmp", false);

        assert_non_null(strstr(e.text, "the secret's ssl_mode is verify-full"));
        assert_non_null(strstr(e.text, "unix socket"));
        e = refused(SSL_MODE_DISABLE, (struct enforce_options){.min_ssl_mode = SSL_MODE_REQUIRE},
                    "/tmp", false);
        assert_non_null(strstr(e.text, "min_ssl_mode is require"));
        e = refused(SSL_MODE_UNSET, (struct enforce_options){0}, "/tmp", true);
        assert_non_null(strstr(e.hint, "tls.min_ssl_mode"));
}

static void binding_needs_tls(void **state)
{
        (void) state;
        struct enforce_options o = {.min_ssl_mode = SSL_MODE_DISABLE,
                                    .channel_binding = BINDING_REQUIRE};

        assert_non_null(
                strstr(refused(SSL_MODE_DISABLE, o, "db", false).hint, "tls.channel_binding"));
        assert_non_null(
                strstr(refused(SSL_MODE_DISABLE, o, "/tmp", false).hint, "tls.channel_binding"));
        assert_false(decided(SSL_MODE_PREFER, o, "localhost", true).plain_allowed);
}

static void no_root_cert_at_all_is_none(void **state)
{
        (void) state;
        struct enforce_options o = {.root_cert = NULL};

        assert_string_equal(decided(SSL_MODE_REQUIRE, o, "db", false).sslmode, "require");
}

static void loopback_is_told_from_the_text(void **state)
{
        (void) state;
        static const char *const yes[] = {"localhost", "LocalHost", "127.0.0.1", "127.1.2.3",
                                          "::1"};
        static const char *const no[] = {"localhost.example.com",
                                         "128.0.0.1",
                                         "::2",
                                         "10.0.0.1",
                                         "",
                                         "127.0.0.1.example.com",
                                         "/tmp",
                                         "::ffff:10.0.0.1"};

        for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
                assert_true(enforce_loopback_host(yes[i]));
        for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
                assert_false(enforce_loopback_host(no[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_whole_table),
                cmocka_unit_test(nothing_said_means_require_for_a_remote_host),
                cmocka_unit_test(nothing_said_means_prefer_for_loopback),
                cmocka_unit_test(a_remote_secret_that_says_disable_is_refused_by_default),
                cmocka_unit_test(the_administrators_word_settles_it),
                cmocka_unit_test(a_weak_floor_weakens_no_secret),
                cmocka_unit_test(verifying_needs_a_root_cert),
                cmocka_unit_test(a_socket_has_no_tls_and_says_who_asks_for_it),
                cmocka_unit_test(binding_needs_tls),
                cmocka_unit_test(no_root_cert_at_all_is_none),
                cmocka_unit_test(loopback_is_told_from_the_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
