#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "secret/document.h"

static const struct document_endpoint nowhere = {"", 0, ""};

static struct document *read(const char *json, struct error *e)
{
        return document_read(json, strlen(json), &nowhere, e);
}

/* The document must be refused with this text (and never show "s3cret"). */
static void refused(const char *json, const char *text)
{
        struct error e = {0};

        assert_null(read(json, &e));
        assert_string_equal(e.text, text);
        assert_string_equal(e.sqlstate, "08001");
        assert_null(strstr(e.text, "s3cret"));
        assert_null(strstr(e.hint, "s3cret"));
}

static void is(const struct document *d, const char *host, int port, const char *username,
               const char *password, const char *database, enum ssl_mode ssl_mode)
{
        assert_non_null(d);
        assert_string_equal(d->host, host);
        assert_int_equal(d->port, port);
        assert_string_equal(d->username, username);
        assert_string_equal(sealed_open(d->password), password);
        assert_string_equal(d->database, database);
        assert_int_equal(d->ssl_mode, ssl_mode);
}

static void the_forecasters_spelling_is_read(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d = read(
                "{\"host\": \"db.example\", \"port\": \"6432\", \"username\": \"forecaster_user\","
                " \"password\": \"s3cret\", \"database\": \"forecaster_db\","
                " \"ssl_mode\": \"require\", \"more\": [1, {}]}",
                &e);

        (void) state;
        is(d, "db.example", 6432, "forecaster_user", "s3cret", "forecaster_db", SSL_MODE_REQUIRE);
        assert_false(d->spelled_twice);
}

static void the_spelling_of_rds_and_its_rotation_is_read(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d = read(
                "{\"engine\":\"aurora-postgresql\",\"host\":\"db.example\",\"port\":5433,"
                "\"username\":\"u\",\"password\":\"p w'\\\\\\u00e9\",\"dbname\":\"d\",\"ssl\":true,"
                "\"masterarn\":\"arn:aws:x\",\"dbInstanceIdentifier\":\"i\"}",
                &e);

        (void) state;
        is(d, "db.example", 5433, "u", "p w'\\\xc3\xa9", "d", SSL_MODE_VERIFY_FULL);
}

static void a_port_may_be_missing_or_null(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d =
                read("{\"host\":\"h\",\"user\":\"u\",\"password\":\"p\",\"db\":\"d\"}", &e);
        OWN(document_free)
        struct document *null = read(
                "{\"host\":\"h\",\"user\":\"u\",\"password\":\"p\",\"dbName\":\"d\",\"port\":null}",
                &e);

        (void) state;
        is(d, "h", 5432, "u", "p", "d", SSL_MODE_UNSET);
        is(null, "h", 5432, "u", "p", "d", SSL_MODE_UNSET);
}

static void two_spellings_that_agree_are_fine(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d =
                read("{\"host\":\"h\",\"username\":\"u\",\"user\":\"u\",\"password\":\"p\","
                     "\"database\":\"d\",\"dbname\":\"d\",\"ssl_mode\":\"verify-full\",\"ssl\":"
                     "\"True\"}",
                     &e);

        (void) state;
        is(d, "h", 5432, "u", "p", "d", SSL_MODE_VERIFY_FULL);
        assert_false(d->spelled_twice);
}

static void where_they_disagree_the_forecasters_wins(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d = read(
                "{\"host\":\"h\",\"user\":\"other\",\"username\":\"u\",\"password\":\"p\","
                "\"dbname\":\"other\",\"database\":\"d\",\"ssl\":false,\"ssl_mode\":\"require\"}",
                &e);

        (void) state;
        is(d, "h", 5432, "u", "p", "d", SSL_MODE_REQUIRE);
        assert_true(d->spelled_twice);
}

static void the_endpoint_fills_what_rds_leaves_out(void **state)
{
        const struct document_endpoint endpoint = {"db.example", 6000, "forecaster"};
        const char *json = "{\"username\":\"u\",\"password\":\"p\"}";
        struct error e = {0};
        OWN(document_free) struct document *d = document_read(json, strlen(json), &endpoint, &e);

        (void) state;
        is(d, "db.example", 6000, "u", "p", "forecaster", SSL_MODE_UNSET);
}

static void the_secret_wins_over_the_endpoint(void **state)
{
        const struct document_endpoint endpoint = {"other", 6000, "other"};
        const char *json = "{\"host\":\"h\",\"port\":1,\"username\":\"u\",\"password\":\"p\","
                           "\"database\":\"d\"}";
        struct error e = {0};
        OWN(document_free) struct document *d = document_read(json, strlen(json), &endpoint, &e);

        (void) state;
        is(d, "h", 1, "u", "p", "d", SSL_MODE_UNSET);
}

static void what_is_missing_is_named_with_the_remedy(void **state)
{
        struct error e = {0};

        (void) state;
        refused("{}", "host: missing");
        refused("{\"host\":\"h\",\"password\":\"s3cret\"}", "username: missing");
        refused("{\"host\":\"h\",\"username\":\"u\"}", "password: missing");
        assert_null(read("{\"host\":\"h\",\"username\":\"u\",\"password\":\"s3cret\"}", &e));
        assert_string_equal(e.text, "database: missing");
        assert_string_equal(e.hint, "Add \"database\" (or \"dbname\") to the secret, or set "
                                    "endpoint.database of the environment.");
}

#define HEAD "{\"host\":\"h\",\"username\":\"u\",\"password\":\"s3cret\",\"database\":\"d\""

static void values_of_the_wrong_kind_are_named(void **state)
{
        (void) state;
        refused(HEAD ",\"port\":0}", "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"port\":65536}",
                "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"port\":\"54 32\"}",
                "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"port\":\"\"}",
                "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"port\":5432.0}",
                "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"port\":[]}", "port: not a port, expected a whole number from 1 to 65535");
        refused(HEAD ",\"ssl_mode\":\"on\"}", "ssl_mode: not an ssl_mode");
        refused(HEAD ",\"ssl_mode\":true}", "ssl_mode: found true or false, expected text");
        refused(HEAD ",\"sslmode\":\"REQUIRE\"}", "sslmode: not an ssl_mode");
        refused(HEAD ",\"ssl\":\"yes\"}", "ssl: not an ssl_mode");
        refused(HEAD ",\"ssl\":1}", "ssl: found a number, expected text");
        refused(HEAD ",\"engine\":\"mysql\"}", "engine: not a PostgreSQL database");
        refused("{\"host\":\"h\",\"username\":\"u\",\"password\":12345}",
                "password: found a number, expected text");
        refused("{\"host\":{\"s3cret\":1}}", "host: found an object, expected text");
        refused("[\"s3cret\"]", "found an array, expected a JSON object");
        refused("\"s3cret\"", "found text, expected a JSON object");
}

static void an_ssl_mode_that_says_nothing_is_unset(void **state)
{
        struct error e = {0};
        OWN(document_free) struct document *d = read(HEAD ",\"ssl_mode\":\"\"}", &e);

        (void) state;
        assert_non_null(d);
        assert_int_equal(d->ssl_mode, SSL_MODE_UNSET);
}

static void empty_values_are_refused(void **state)
{
        (void) state;
        refused("{\"host\":\"\"}", "host: it is empty");
        refused("{\"host\":\"h\",\"username\":\"\"}", "username: it is empty");
        refused("{\"host\":\"h\",\"username\":\"u\",\"password\":\"\"}", "password: it is empty");
        refused("{\"host\":\"h\",\"username\":\"u\",\"password\":\"s3cret\",\"database\":\"\"}",
                "database: it is empty");
}

static void a_nul_is_refused_anywhere(void **state)
{
        (void) state;
        refused(HEAD ",\"port\":\"54\\u000032\"}", "port: it holds a NUL character");
        refused("{\"host\":\"h\",\"username\":\"u\",\"password\":\"s3cret\\u0000\"}",
                "password: it holds a NUL character");
        refused(HEAD ",\"note\":\"\\u0000s3cret\"}", "note: it holds a NUL character");
        refused("{\"ho\\u0000st\":\"s3cret\"}",
                "not valid JSON: line 1, column 13: a NUL character in a key");
}

static void a_host_is_a_name_or_a_list_of_them(void **state)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d = read("{\"host\":\"a, b\",\"port\":\"6432,6433\",\"username\":\"u\","
                                  "\"password\":\"p\",\"database\":\"d\"}",
                                  &e);

        (void) state;
        is(d, "a,b", 6432, "u", "p", "d", SSL_MODE_UNSET);
        assert_int_equal(d->hosts.count, 2);
        assert_string_equal(d->hosts.at[1].name, "b");
        assert_int_equal(d->hosts.at[1].port, 6433);
        refused("{\"host\":\"a,\"}", "host: a host in it has no name");
        refused("{\"host\":\"a,b\",\"port\":\"1,2,3\"}", "port: it lists more ports than there are hosts");
        refused("{\"host\":\"@socket\"}", "host: an abstract socket is not in this version");
        refused("{\"host\":\"a b\"}", "host: it holds a blank or a control character");
        refused("{\"host\":\"a\\n\"}", "host: it holds a blank or a control character");
}

static void bad_json_is_told_by_line_and_column(void **state)
{
        struct error e = {0};

        (void) state;
        refused("", "not valid JSON: it is empty");
        refused("{\n  \"password\": \"s3cret\",\n}", "not valid JSON: line 3, column 1: a syntax "
                                                     "error (often a missing quote or a comma "
                                                     "too many)");
        refused("{\"password\": s3cret}", "not valid JSON: line 1, column 14: a syntax error "
                                          "(often a missing quote or a comma "
                                          "too many)");
        refused("{\"password\": \"s3cret", "not valid JSON: line 1, column 20: it ends too early");
        refused("{\"password\": \"s3cret\", \"password\": \"s3cret\"}",
                "not valid JSON: line 1, column 33: a key that was there before");
        refused("{} s3cret", "not valid JSON: line 1, column 4: something stands behind its end");
        refused("{\"password\": \"\xff\"}",
                "not valid JSON: line 1, column 14: text that is not UTF-8");
        assert_null(document_read("{}\0", 3, &nowhere, &e));
}

static void a_document_is_no_longer_than_secrets_manager_allows(void **state)
{
        size_t size = 70000;
        char *json = malloc(size);
        struct error e = {0};

        (void) state;
        memset(json, ' ', size);
        assert_null(document_read(json, size, &nowhere, &e));
        assert_string_equal(e.text, "it is 70000 bytes long, expected 65536 at most");
        free(json);
}

static void it_does_not_fall_for_deep_nesting(void **state)
{
        char *json = malloc(60001);
        struct error e = {0};

        (void) state;
        memset(json, '[', 60000);
        json[60000] = 0;
        assert_null(read(json, &e));
        assert_non_null(strstr(e.text, "it is nested too deeply"));
        free(json);
}

/* ---- The environment of one's own machine ---- */

static const char *nothing_set(const char *name)
{
        (void) name;
        return NULL;
}

static const char *some_set(const char *name)
{
        if (strcmp(name, "DB_PORT") == 0)
                return "6543";
        if (strcmp(name, "DB_USER") == 0)
                return "";
        return strcmp(name, "DB_SSL_MODE") == 0 ? "prefer" : NULL;
}

static const char *bad_port_set(const char *name)
{
        return strcmp(name, "DB_PORT") == 0 ? "s3cret" : NULL;
}

static void variables_have_defaults(void **state)
{
        struct error e = {0};
        OWN(document_free) struct document *plain = document_read_variables(nothing_set, &e);
        OWN(document_free) struct document *some = document_read_variables(some_set, &e);

        (void) state;
        is(plain, "localhost", 5432, "dev_user", "dev_password", "forecaster_dev", SSL_MODE_UNSET);
        is(some, "localhost", 6543, "dev_user", "dev_password", "forecaster_dev", SSL_MODE_PREFER);
}

static void a_bad_variable_is_named(void **state)
{
        struct error e = {0};

        (void) state;
        assert_null(document_read_variables(bad_port_set, &e));
        assert_string_equal(e.text, "DB_PORT: not a port, expected a whole number from 1 to 65535");
}

/* ---- Comparing ---- */

static void documents_are_compared(void **state)
{
        struct error e = {0};
        OWN(document_free) struct document *a = read(HEAD "}", &e);
        OWN(document_free)
        struct document *same = read(
                "{\"host\":\"H\",\"user\":\"u\",\"password\":\"s3cret\",\"dbname\":\"d\"}", &e);
        OWN(document_free)
        struct document *password =
                read("{\"host\":\"h\",\"user\":\"u\",\"password\":\"new\",\"dbname\":\"d\"}", &e);
        OWN(document_free)
        struct document *user = read(
                "{\"host\":\"h\",\"user\":\"v\",\"password\":\"s3cret\",\"dbname\":\"d\"}", &e);
        OWN(document_free) struct document *elsewhere = read(HEAD ",\"port\":5433}", &e);

        (void) state;
        assert_true(document_equal(a, same));
        assert_false(document_equal(a, password));
        assert_true(document_same_endpoint(a, password));
        assert_false(document_equal(a, user));
        assert_true(document_same_endpoint(a, user));
        assert_false(document_same_endpoint(a, elsewhere));
        assert_false(document_equal(a, elsewhere));
}

static void ssl_modes_have_names(void **state)
{
        enum ssl_mode m;

        (void) state;
        for (int i = SSL_MODE_UNSET; i <= SSL_MODE_VERIFY_FULL; i++) {
                assert_true(ssl_mode_parse(ssl_mode_name((enum ssl_mode) i), &m));
                assert_int_equal(m, i);
        }
        assert_false(ssl_mode_parse("verify_ca", &m));
        document_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_forecasters_spelling_is_read),
                cmocka_unit_test(the_spelling_of_rds_and_its_rotation_is_read),
                cmocka_unit_test(a_port_may_be_missing_or_null),
                cmocka_unit_test(two_spellings_that_agree_are_fine),
                cmocka_unit_test(where_they_disagree_the_forecasters_wins),
                cmocka_unit_test(the_endpoint_fills_what_rds_leaves_out),
                cmocka_unit_test(the_secret_wins_over_the_endpoint),
                cmocka_unit_test(what_is_missing_is_named_with_the_remedy),
                cmocka_unit_test(values_of_the_wrong_kind_are_named),
                cmocka_unit_test(an_ssl_mode_that_says_nothing_is_unset),
                cmocka_unit_test(empty_values_are_refused),
                cmocka_unit_test(a_nul_is_refused_anywhere),
                cmocka_unit_test(a_host_is_a_name_or_a_list_of_them),
                cmocka_unit_test(bad_json_is_told_by_line_and_column),
                cmocka_unit_test(a_document_is_no_longer_than_secrets_manager_allows),
                cmocka_unit_test(it_does_not_fall_for_deep_nesting),
                cmocka_unit_test(variables_have_defaults),
                cmocka_unit_test(a_bad_variable_is_named),
                cmocka_unit_test(documents_are_compared),
                cmocka_unit_test(ssl_modes_have_names),
        };

        return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
