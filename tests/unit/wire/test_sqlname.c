/* Every word is found by its spelling, and nothing else is. */
#include "cmocka_all.h"
#include <ctype.h>
#include "wire/sqlname.h"

static const struct {
        const char *text;
        enum sqlname name;
} all[] = {
#define X(name, text) {text, SQLNAME_##name},
        SQLNAMES(X)
#undef X
};

#define COUNT (sizeof all / sizeof all[0])

static void every_word_is_found(void **state)
{
        (void) state;
        for (size_t i = 0; i < COUNT; i++) {
                char upper[64];
                size_t n = strlen(all[i].text);
                for (size_t k = 0; k <= n; k++)
                        upper[k] = (char) toupper((unsigned char) all[i].text[k]);
                assert_int_equal(sqlname_find(all[i].text, n, true), all[i].name);
                assert_int_equal(sqlname_find(all[i].text, n, false), all[i].name);
                assert_int_equal(sqlname_find(upper, n, true), all[i].name);
                assert_int_equal(sqlname_find(upper, n, false), SQLNAME_NONE);
                assert_true(sqlname_likely(all[i].text, n));
                assert_true(sqlname_likely(upper, n));
        }
}

static void other_words_are_not(void **state)
{
        (void) state;
        static const char *const others[] = {
                "select",  "s",       "x",   "setvaL1",  "pg_tem",
                "_",       "0",       "[et", "sequence", "pg_advisory_xact_lock",
                "qg_temp", "\xc3\xa9"};
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
                assert_int_equal(sqlname_find(others[i], strlen(others[i]), true), SQLNAME_NONE);
        assert_int_equal(sqlname_find("", 0, true), SQLNAME_NONE);
        for (size_t i = 0; i < COUNT; i++) {
                char longer[65] = "";
                snprintf(longer, sizeof longer, "%sx", all[i].text);
                assert_int_equal(sqlname_find(longer, strlen(longer), true), SQLNAME_NONE);
        }
}

static void the_temporary_schema_has_many_names(void **state)
{
        (void) state;
        assert_int_equal(sqlname_find("pg_temp", 7, false), SQLNAME_PG_TEMP);
        assert_int_equal(sqlname_find("PG_Temp_12", 10, true), SQLNAME_PG_TEMP);
        assert_int_equal(sqlname_find("PG_TEMP", 7, false), SQLNAME_NONE);
        assert_true(sqlname_likely("Pg_temp_12", 10));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_word_is_found),
                cmocka_unit_test(other_words_are_not),
                cmocka_unit_test(the_temporary_schema_has_many_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
