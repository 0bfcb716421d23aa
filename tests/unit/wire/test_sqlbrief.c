/* A statement in short: what is shown of it, and what is not. */
#include "cmocka_all.h"
#include "wire/sqlbrief.h"

static void check(const char *sql, const char *expected, const char *rest)
{
        char out[100];
        size_t n = strlen(sql);
        uint8_t *copy = exactly(sql, n);
        size_t used = sqlbrief((char *) copy, n, out, sizeof out);
        free(copy);
        assert_string_equal(out, expected);
        assert_true(used <= n);
        assert_string_equal(sql + used, rest);
}

static void words_and_names_are_shown(void **state)
{
        (void) state;
        check("LISTEN  news", "LISTEN news", "");
        check("create temp table t(x int, \"Y\" text)", "create temp table t(x int, \"Y\" text)", "");
        check("SELECT count(*) FROM a.b WHERE c>=d::int", "SELECT count(*) FROM a.b WHERE c >= d::int", "");
        check("", "", "");
        check(" -- nothing", "", "");
}

static void constants_are_not(void **state)
{
        (void) state;
        check("SELECT 'a', E'b\\'c', $$d$$, $x$ e $$ $x$, B'1', U&'f', 42, 1.5e3, $1",
              "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", "");
        check("DO $$ BEGIN PERFORM set_config('my.key', 'secret', false); END $$", "DO ?", "");
        check("SELECT dblink_connect('password=secret')", "SELECT dblink_connect(?)", "");
        check("LISTEN x -- secret\n/* secret /* nested */ */ ", "LISTEN x", "");
        check("SELECT 'not ended secret", "SELECT", "");
        check("SELECT \"not ended secret", "SELECT", "");
}

static void what_a_set_sets_is_a_constant_too(void **state)
{
        (void) state;
        check("SET my.key = secret", "SET my.key = ?", "");
        check("set session my.key TO \"secret\", more", "set session my.key TO ?, ?", "");
        check("SELECT pg_advisory_lock(1) AS set", "SELECT pg_advisory_lock(?) AS set", "");
}

static void statements_come_one_by_one(void **state)
{
        (void) state;
        check("SELECT ';'; LISTEN x", "SELECT ?", " LISTEN x");
        check("SET a = b; SELECT c = d", "SET a = ?", " SELECT c = d");
        check("CREATE RULE r AS ON INSERT TO t DO (SELECT a; SELECT b); LISTEN x",
              "CREATE RULE r AS ON INSERT TO t DO(SELECT a; SELECT b)", " LISTEN x");
        check(";LISTEN x", "", "LISTEN x");
}

static void it_is_cut_and_printable(void **state)
{
        char out[20], longer[5000];
        (void) state;
        check("LISTEN gr\xc3\xbcn", "LISTEN gr??n", "");
        check("LISTEN a\x01", "LISTEN a ?", "");
        assert_int_equal(sqlbrief("SELECT abcdefghijkl, x", 22, out, sizeof out), 22);
        assert_string_equal(out, "SELECT abcdefghi...");
        assert_int_equal(sqlbrief("SELECT abcdefghi", 16, out, sizeof out), 16);
        assert_string_equal(out, "SELECT abcdefghi");
        memset(longer, 'w', sizeof longer);
        assert_int_equal(sqlbrief(longer, sizeof longer, out, sizeof out), sizeof longer);
        assert_string_equal(out, "wwwwwwwwwwwwwwww...");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(words_and_names_are_shown),
                cmocka_unit_test(constants_are_not),
                cmocka_unit_test(what_a_set_sets_is_a_constant_too),
                cmocka_unit_test(statements_come_one_by_one),
                cmocka_unit_test(it_is_cut_and_printable),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
