#include "../base/cmocka_all.h"
#include <stdio.h>
#include "track/pins.h"

static struct pins p;
static char text[64];

static int setup(void **state)
{
        (void) state;
        pins_init(&p);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        pins_free(&p);
        return 0;
}

static void see(enum sql_effect effect)
{
        pins_see(&p, effect, NULL);
}

static void set(const char *name)
{
        pins_see(&p, SQL_SET, name);
}

static void settled(enum pins_outcome how)
{
        pins_settle(&p, how);
}

static const char *reason(void)
{
        return pins_reason(&p, text, sizeof text);
}

static void a_fresh_client_is_free(void **state)
{
        (void) state;
        assert_false(pins_hold(&p));
        assert_string_equal(reason(), "");
        settled(PINS_MIXED);
        assert_false(pins_hold(&p) || pins_want_audit(&p) || p.doubt);
}

static void each_effect_has_its_reason(void **state)
{
        static const struct {
                enum sql_effect effect;
                const char *reason;
        } cases[] = {{SQL_SET, "SET"}, {SQL_SET_CONFIG, "set_config()"}, {SQL_TEMP, "temporary object"},
                     {SQL_LISTEN, "LISTEN"}, {SQL_ADVISORY, "advisory lock"},
                     {SQL_HOLD_CURSOR, "cursor WITH HOLD"}, {SQL_PREPARE, "PREPARE"},
                     {SQL_SEQUENCE, "sequence value"}, {SQL_LOAD, "LOAD"},
                     {SQL_BACKUP, "backup or temporary slot"}};
        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                pins_free(&p);
                see(cases[i].effect);
                assert_string_equal(reason(), cases[i].reason);
        }
        pins_free(&p);
        set("seed");
        assert_string_equal(reason(), "random seed");
        pins_free(&p);
        set("work_mem");
        assert_string_equal(reason(), "SET work_mem");
        see(SQL_LISTEN);
        assert_string_equal(reason(), "SET work_mem");
}

static void what_ends_state_is_no_reason(void **state)
{
        (void) state;
        see(SQL_UNLISTEN);
        see(SQL_RESET_ALL);
        see(SQL_BEGIN);
        see(SQL_COPY);
        assert_false(pins_hold(&p));
}

static void reset_of_the_last_name_frees(void **state)
{
        (void) state;
        set("work_mem");
        set("jit");
        settled(PINS_DONE);
        pins_see(&p, SQL_RESET, "Work_Mem");
        settled(PINS_DONE);
        assert_string_equal(reason(), "SET jit");
        pins_see(&p, SQL_RESET, "jit");
        assert_true(pins_hold(&p));
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
}

static void a_reset_that_was_rolled_back_frees_nobody(void **state)
{
        (void) state;
        set("jit");
        settled(PINS_DONE);
        pins_see(&p, SQL_RESET, "jit");
        settled(PINS_UNDONE);
        assert_true(pins_hold(&p));
        pins_see(&p, SQL_RESET, "jit");
        settled(PINS_MIXED);
        assert_true(pins_hold(&p));
        settled(PINS_DONE);
        assert_true(pins_hold(&p));
}

static void the_order_of_set_and_reset_counts(void **state)
{
        (void) state;
        pins_see(&p, SQL_RESET, "jit");
        set("jit");
        settled(PINS_DONE);
        assert_true(pins_hold(&p));
        set("jit");
        pins_see(&p, SQL_RESET, "jit");
        set("jit");
        settled(PINS_DONE);
        assert_string_equal(reason(), "SET jit");
}

static void reset_all_frees_what_came_before_it(void **state)
{
        (void) state;
        set("jit");
        see(SQL_SET_CONFIG);
        settled(PINS_DONE);
        see(SQL_RESET_ALL);
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
}

static void reset_all_does_not_free_what_comes_after_it(void **state)
{
        (void) state;
        set("jit");
        settled(PINS_DONE);
        see(SQL_RESET_ALL);
        set("work_mem");
        settled(PINS_DONE);
        assert_string_equal(reason(), "SET work_mem");
        see(SQL_RESET_ALL);
        see(SQL_SET_CONFIG);
        settled(PINS_DONE);
        assert_string_equal(reason(), "set_config()");
        see(SQL_DISCARD_ALL);
        see(SQL_SEQUENCE);
        settled(PINS_DONE);
        assert_string_equal(reason(), "sequence value");
}

static void reset_all_leaves_the_role_and_the_user(void **state)
{
        (void) state;
        set("role");
        set("session_authorization");
        set("jit");
        see(SQL_RESET_ALL);
        settled(PINS_DONE);
        assert_true(pins_may_set(&p, "role") && pins_may_set(&p, "session_authorization"));
        assert_false(pins_may_set(&p, "jit"));
        see(SQL_DISCARD_ALL);
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
}

static void a_name_that_is_not_known_stays_until_discard_all(void **state)
{
        (void) state;
        set(NULL);
        assert_string_equal(reason(), "SET");
        see(SQL_RESET_ALL);
        settled(PINS_DONE);
        assert_true(pins_hold(&p) && pins_may_set(&p, "anything"));
        see(SQL_DISCARD_ALL);
        settled(PINS_DONE);
        assert_false(pins_hold(&p) || pins_may_set(&p, "anything"));
}

static void more_names_than_are_kept_stay_until_discard_all(void **state)
{
        char name[24];
        (void) state;
        for (int i = 0; i < PINS_NAMES + 1; i++) {
                snprintf(name, sizeof name, "name_%d", i);
                set(name);
        }
        for (int i = 0; i < PINS_NAMES + 1; i++) {
                snprintf(name, sizeof name, "name_%d", i);
                pins_see(&p, SQL_RESET, name);
        }
        settled(PINS_DONE);
        assert_true(pins_hold(&p));
        see(SQL_DISCARD_ALL);
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
}

static void a_rollback_frees_what_came_in_it(void **state)
{
        (void) state;
        set("jit");
        see(SQL_LISTEN);
        see(SQL_TEMP);
        see(SQL_SET_CONFIG);
        see(SQL_HOLD_CURSOR);
        settled(PINS_UNDONE);
        assert_false(pins_hold(&p));
        set(NULL);
        settled(PINS_UNDONE);
        assert_false(pins_hold(&p));
        set("jit");
        settled(PINS_DONE);
        assert_false(p.many_names);
}

static void a_rollback_does_not_free_what_was_there_before(void **state)
{
        (void) state;
        set("jit");
        see(SQL_LISTEN);
        settled(PINS_DONE);
        set("jit");
        set("work_mem");
        see(SQL_LISTEN);
        settled(PINS_UNDONE);
        assert_true(pins_may_set(&p, "jit"));
        assert_false(pins_may_set(&p, "work_mem"));
        assert_true(p.kinds & PIN_BIT(PIN_LISTEN));
}

static void some_state_no_rollback_undoes(void **state)
{
        static const enum sql_effect effects[] = {SQL_ADVISORY, SQL_PREPARE, SQL_SEQUENCE, SQL_LOAD,
                                                  SQL_BACKUP};
        (void) state;
        for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
                pins_free(&p);
                see(effects[i]);
                settled(PINS_UNDONE);
                assert_true(pins_hold(&p));
        }
}

static void an_outcome_that_is_not_known_frees_nothing(void **state)
{
        (void) state;
        set("jit");
        see(SQL_LISTEN);
        settled(PINS_MIXED);
        assert_int_equal(p.kinds, PIN_BIT(PIN_SET) | PIN_BIT(PIN_LISTEN));
        assert_true(pins_want_audit(&p));
}

static void the_server_is_asked_when_something_may_have_ended(void **state)
{
        static const enum sql_effect effects[] = {SQL_UNLISTEN, SQL_ADVISORY_UNLOCK, SQL_CLOSE,
                                                  SQL_DEALLOCATE, SQL_DROP, SQL_DISCARD_TEMP,
                                                  SQL_DISCARD_ALL};
        (void) state;
        for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
                pins_free(&p);
                see(SQL_LISTEN);
                settled(PINS_DONE);
                assert_false(pins_want_audit(&p));
                see(effects[i]);
                settled(PINS_DONE);
                assert_true(pins_want_audit(&p) && pins_hold(&p));
        }
}

static void it_is_not_asked_about_what_it_does_not_know(void **state)
{
        (void) state;
        set("jit");
        see(SQL_SEQUENCE);
        settled(PINS_MIXED);
        assert_false(pins_want_audit(&p));
}

static void nor_while_the_question_would_destroy_the_unnamed_statement(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        pins_add(&p, PIN_UNNAMED, NULL);
        settled(PINS_MIXED);
        assert_false(pins_want_audit(&p));
        pins_drop(&p, PIN_UNNAMED);
        assert_true(pins_want_audit(&p));
}

static void the_answer_frees_what_is_not_there(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        see(SQL_ADVISORY);
        see(SQL_TEMP);
        pins_add(&p, PIN_STATEMENT, NULL);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        assert_false(pins_want_audit(&p));
        pins_audited(&p, 1 + 4);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_STATEMENT));
        pins_audited(&p, 0);
        assert_false(pins_hold(&p));
}

static void the_answer_does_not_free_what_came_after_the_question(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        see(SQL_LISTEN);
        see(SQL_TEMP);
        pins_audited(&p, 0);
        assert_int_equal(p.kinds, PIN_BIT(PIN_LISTEN) | PIN_BIT(PIN_TEMP));
}

static void the_answer_pins_what_nobody_had_seen(void **state)
{
        (void) state;
        pins_add(&p, PIN_STATEMENT, NULL);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        pins_audited(&p, 1 + 4);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_STATEMENT));
        settled(PINS_UNDONE);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_STATEMENT));
}

static void no_answer_changes_nothing(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        pins_audited(&p, UINT32_MAX);
        assert_int_equal(p.kinds, PIN_BIT(PIN_LISTEN));
}

static void discard_sequences_frees_sequence_values(void **state)
{
        (void) state;
        see(SQL_SEQUENCE);
        see(SQL_DISCARD_SEQUENCES);
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
        see(SQL_DISCARD_SEQUENCES);
        see(SQL_SEQUENCE);
        settled(PINS_DONE);
        assert_true(pins_hold(&p));
}

static void again_means_the_same_names_unless_one_was_forgotten(void **state)
{
        (void) state;
        set("jit");
        settled(PINS_DONE);
        pins_add_again(&p, PIN_BIT(PIN_SET) | PIN_BIT(PIN_LISTEN));
        assert_false(p.many_names);
        assert_true(p.kinds & PIN_BIT(PIN_LISTEN));
        set("work_mem");
        pins_see(&p, SQL_RESET, "jit");
        settled(PINS_DONE);
        pins_add_again(&p, PIN_BIT(PIN_SET));
        assert_true(p.many_names);
}

static void what_no_reset_undoes_closes_the_server(void **state)
{
        static const enum pin_kind kinds[] = {PIN_LOAD, PIN_SEED, PIN_BACKUP};
        (void) state;
        see(SQL_TEMP);
        set("role");
        assert_false(pins_indelible(&p));
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                pins_free(&p);
                pins_add(&p, kinds[i], NULL);
                see(SQL_DISCARD_ALL);
                settled(PINS_DONE);
                assert_true(pins_indelible(&p));
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_fresh_client_is_free),
                TEST(each_effect_has_its_reason),
                TEST(what_ends_state_is_no_reason),
                TEST(reset_of_the_last_name_frees),
                TEST(a_reset_that_was_rolled_back_frees_nobody),
                TEST(the_order_of_set_and_reset_counts),
                TEST(reset_all_frees_what_came_before_it),
                TEST(reset_all_does_not_free_what_comes_after_it),
                TEST(reset_all_leaves_the_role_and_the_user),
                TEST(a_name_that_is_not_known_stays_until_discard_all),
                TEST(more_names_than_are_kept_stay_until_discard_all),
                TEST(a_rollback_frees_what_came_in_it),
                TEST(a_rollback_does_not_free_what_was_there_before),
                TEST(some_state_no_rollback_undoes),
                TEST(an_outcome_that_is_not_known_frees_nothing),
                TEST(the_server_is_asked_when_something_may_have_ended),
                TEST(it_is_not_asked_about_what_it_does_not_know),
                TEST(nor_while_the_question_would_destroy_the_unnamed_statement),
                TEST(the_answer_frees_what_is_not_there),
                TEST(the_answer_does_not_free_what_came_after_the_question),
                TEST(the_answer_pins_what_nobody_had_seen),
                TEST(no_answer_changes_nothing),
                TEST(discard_sequences_frees_sequence_values),
                TEST(again_means_the_same_names_unless_one_was_forgotten),
                TEST(what_no_reset_undoes_closes_the_server),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
