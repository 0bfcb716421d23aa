#include "../base/cmocka_all.h"
#include "backend/target.h"

static const char primary[] = "off", standby[] = "on";

static void the_table_is_libpqs(void **state)
{
        static const struct {
                enum target_session_attrs target;
                /* in_hot_standby off and on, each with default_transaction_read_only off and on */
                bool fits[4];
        } table[] = {
                {TARGET_ANY, {true, true, true, true}},
                {TARGET_READ_WRITE, {true, false, false, false}},
                {TARGET_READ_ONLY, {false, true, true, true}},
                {TARGET_PRIMARY, {true, true, false, false}},
                {TARGET_STANDBY, {false, false, true, true}},
                {TARGET_PREFER_STANDBY, {true, true, true, true}},
        };

        (void) state;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                for (unsigned j = 0; j < 4; j++)
                        assert_int_equal(target_judge(table[i].target, j & 2 ? standby : primary,
                                                      j & 1 ? "on" : "off"),
                                         table[i].fits[j] ? TARGET_FITS : TARGET_UNFIT);
}

static void a_server_that_does_not_say_is_asked(void **state)
{
        (void) state;
        assert_int_equal(target_judge(TARGET_ANY, NULL, NULL), TARGET_FITS);
        assert_int_equal(target_judge(TARGET_PREFER_STANDBY, NULL, NULL), TARGET_FITS);
        for (enum target_session_attrs t = TARGET_READ_WRITE; t <= TARGET_STANDBY; t++)
                assert_int_equal(target_judge(t, NULL, NULL), TARGET_UNSAID);
}

static void its_answer_counts(void **state)
{
        (void) state;
        assert_string_equal(target_question(TARGET_READ_WRITE), "SHOW transaction_read_only");
        assert_int_equal(target_answer(TARGET_READ_WRITE, "off"), TARGET_FITS);
        assert_int_equal(target_answer(TARGET_READ_WRITE, "on"), TARGET_UNFIT);
        assert_string_equal(target_question(TARGET_READ_ONLY), "SHOW transaction_read_only");
        assert_int_equal(target_answer(TARGET_READ_ONLY, "off"), TARGET_UNFIT);
        assert_int_equal(target_answer(TARGET_READ_ONLY, "on"), TARGET_FITS);
        assert_string_equal(target_question(TARGET_PRIMARY), "SELECT pg_catalog.pg_is_in_recovery()");
        assert_int_equal(target_answer(TARGET_PRIMARY, "f"), TARGET_FITS);
        assert_int_equal(target_answer(TARGET_PRIMARY, "t"), TARGET_UNFIT);
        assert_int_equal(target_answer(TARGET_STANDBY, "f"), TARGET_UNFIT);
        assert_int_equal(target_answer(TARGET_STANDBY, "t"), TARGET_FITS);
}

static void the_names_are_libpqs(void **state)
{
        struct error e = {0};

        (void) state;
        assert_string_equal(target_name(TARGET_ANY), "any");
        assert_string_equal(target_name(TARGET_READ_WRITE), "read-write");
        assert_string_equal(target_name(TARGET_PREFER_STANDBY), "prefer-standby");
        target_complain(TARGET_PRIMARY, &e);
        assert_string_equal(e.text, "it is a standby, and target_session_attrs is primary");
        assert_string_equal(e.sqlstate, "08001");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_is_libpqs),
                cmocka_unit_test(a_server_that_does_not_say_is_asked),
                cmocka_unit_test(its_answer_counts),
                cmocka_unit_test(the_names_are_libpqs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
