#include "../base/cmocka_all.h"
#include <stdio.h>
#include "track/pins.h"

static struct pins p;

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
        return pins_reason(&p);
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
                pins_init(&p);
                see(cases[i].effect);
                assert_string_equal(reason(), cases[i].reason);
        }
        pins_init(&p);
        set("seed");
        assert_string_equal(reason(), "random seed");
        pins_init(&p);
        set("session_authorization");
        assert_string_equal(reason(), "SET SESSION AUTHORIZATION");
        pins_init(&p);
        pins_see(&p, SQL_SET_CONFIG, "seed");
        assert_string_equal(reason(), "random seed");
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

static void a_parameter_of_which_the_server_can_be_asked_is_no_reason(void **state)
{
        (void) state;
        set("work_mem");
        pins_see(&p, SQL_SET_CONFIG, "role");
        assert_false(pins_hold(&p));
}

static void discard_all_does_not_free_what_comes_after_it(void **state)
{
        (void) state;
        see(SQL_DISCARD_ALL);
        see(SQL_SET_CONFIG);
        settled(PINS_DONE);
        assert_string_equal(reason(), "set_config()");
        see(SQL_DISCARD_ALL);
        see(SQL_SEQUENCE);
        settled(PINS_DONE);
        assert_string_equal(reason(), "sequence value");
}

static void a_name_that_is_not_known_stays_until_discard_all(void **state)
{
        (void) state;
        set(NULL);
        assert_string_equal(reason(), "SET");
        see(SQL_RESET_ALL);
        settled(PINS_DONE);
        assert_true(pins_hold(&p));
        see(SQL_DISCARD_ALL);
        settled(PINS_MIXED);
        assert_true(pins_hold(&p));
        see(SQL_DISCARD_ALL);
        settled(PINS_DONE);
        assert_false(pins_hold(&p));
}

static void a_rollback_frees_what_came_in_it(void **state)
{
        (void) state;
        set(NULL);
        see(SQL_LISTEN);
        see(SQL_TEMP);
        see(SQL_SET_CONFIG);
        see(SQL_HOLD_CURSOR);
        settled(PINS_UNDONE);
        assert_false(pins_hold(&p));
}

static void a_rollback_does_not_free_what_was_there_before(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        settled(PINS_DONE);
        see(SQL_TEMP);
        see(SQL_LISTEN);
        settled(PINS_UNDONE);
        assert_int_equal(p.kinds, PIN_BIT(PIN_LISTEN));
}

static void some_state_no_rollback_undoes(void **state)
{
        static const enum sql_effect effects[] = {SQL_ADVISORY, SQL_PREPARE, SQL_SEQUENCE, SQL_LOAD,
                                                  SQL_BACKUP};
        (void) state;
        for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
                pins_init(&p);
                see(effects[i]);
                settled(PINS_UNDONE);
                assert_true(pins_hold(&p));
        }
}

static void an_outcome_that_is_not_known_frees_nothing(void **state)
{
        (void) state;
        set(NULL);
        see(SQL_LISTEN);
        settled(PINS_MIXED);
        assert_int_equal(p.kinds, PIN_BIT(PIN_SET) | PIN_BIT(PIN_LISTEN));
        assert_true(pins_want_audit(&p));
}

static void the_server_is_asked_when_something_may_have_ended(void **state)
{
        static const enum sql_effect effects[] = {SQL_UNLISTEN, SQL_ADVISORY_UNLOCK, SQL_CLOSE,
                                                  SQL_DEALLOCATE, SQL_DROP, SQL_DISCARD_TEMP,
                                                  SQL_DISCARD_ALL, SQL_RESET};
        (void) state;
        for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
                pins_init(&p);
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
        set(NULL);
        see(SQL_SEQUENCE);
        settled(PINS_MIXED);
        assert_false(pins_want_audit(&p));
}

static void nor_while_the_question_would_destroy_the_unnamed_statement(void **state)
{
        (void) state;
        see(SQL_LISTEN);
        pins_add(&p, PIN_UNNAMED);
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
        see(SQL_PREPARE);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        assert_false(pins_want_audit(&p));
        pins_audited(&p, 1 + 4);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_PREPARE));
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
        see(SQL_PREPARE);
        settled(PINS_MIXED);
        pins_audit_sent(&p);
        pins_audited(&p, 1 + 4);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_PREPARE));
        settled(PINS_UNDONE);
        assert_int_equal(p.kinds, PIN_BIT(PIN_ADVISORY) | PIN_BIT(PIN_PREPARE));
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

static void what_no_reset_undoes_closes_the_server(void **state)
{
        static const enum pin_kind kinds[] = {PIN_LOAD, PIN_SEED, PIN_BACKUP};
        (void) state;
        see(SQL_TEMP);
        set("session_authorization");
        assert_false(pins_indelible(&p));
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                pins_init(&p);
                pins_add(&p, kinds[i]);
                see(SQL_DISCARD_ALL);
                settled(PINS_DONE);
                assert_true(pins_indelible(&p));
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- which statement it was ---- */

static void note(uint32_t which, const char *sql)
{
        pins_note(&p, which, sql, strlen(sql));
}

static void the_statement_that_pins_is_picked_out_of_its_text(void **state)
{
        (void) state;
        note(PIN_BIT(PIN_LISTEN), "SET my.key = secret; SELECT 'x'; LISTEN news; SELECT 1");
        see(SQL_LISTEN);
        assert_string_equal(p.query, "LISTEN news");
        pins_free(&p);
        note(PIN_BIT(PIN_ADVISORY), "SELECT pg_advisory_lock(4711)");
        assert_string_equal(p.query, "SELECT pg_advisory_lock(?)");
        pins_free(&p);
        note(PIN_BIT(PIN_STATEMENT), "SELECT 'secret'");
        assert_string_equal(p.query, "SELECT ?");
        pins_free(&p);
        note(PIN_BIT(PIN_UNNAMED), "");
        assert_string_equal(p.query, "");
}

static void the_first_statement_stays_as_long_as_what_it_brought(void **state)
{
        (void) state;
        note(PIN_BIT(PIN_TEMP), "CREATE TEMP TABLE a (x int)");
        see(SQL_TEMP);
        settled(PINS_DONE);
        note(PIN_BIT(PIN_LISTEN), "LISTEN news");
        see(SQL_LISTEN);
        settled(PINS_DONE);
        assert_string_equal(p.query, "CREATE TEMP TABLE a(x int)");
        pins_audit_sent(&p);
        pins_audited(&p, 2);
        assert_string_equal(reason(), "LISTEN");
        assert_null(p.query);
        note(PIN_BIT(PIN_SEQUENCE), "SELECT nextval('s')");
        see(SQL_SEQUENCE);
        settled(PINS_DONE);
        assert_string_equal(p.query, "SELECT nextval(?)");
        see(SQL_DISCARD_ALL);
        settled(PINS_DONE);
        assert_null(p.query);
}

static void what_did_not_come_to_pin_is_forgotten(void **state)
{
        (void) state;
        note(PIN_BIT(PIN_LISTEN), "LISTEN news");
        settled(PINS_DONE);
        assert_null(p.query);
        note(PIN_BIT(PIN_LISTEN), "LISTEN news");
        note(PIN_BIT(PIN_TEMP), "CREATE TEMP TABLE a (x int)");
        assert_string_equal(p.query, "CREATE TEMP TABLE a(x int)");
        see(SQL_TEMP);
        settled(PINS_UNDONE);
        assert_null(p.query);
}

static void all_reasons_are_told(void **state)
{
        char text[60], little[12];
        (void) state;
        assert_string_equal(pins_reasons(&p, text, sizeof text), "");
        see(SQL_LISTEN);
        assert_string_equal(pins_reasons(&p, text, sizeof text), "LISTEN");
        see(SQL_TEMP);
        see(SQL_LOAD);
        assert_string_equal(pins_reasons(&p, text, sizeof text), "temporary object, LISTEN, LOAD");
        assert_string_equal(pins_reasons(&p, little, sizeof little), "temporary o");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_fresh_client_is_free),
                TEST(each_effect_has_its_reason),
                TEST(what_ends_state_is_no_reason),
                TEST(a_parameter_of_which_the_server_can_be_asked_is_no_reason),
                TEST(discard_all_does_not_free_what_comes_after_it),
                TEST(a_name_that_is_not_known_stays_until_discard_all),
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
                TEST(what_no_reset_undoes_closes_the_server),
                TEST(the_statement_that_pins_is_picked_out_of_its_text),
                TEST(the_first_statement_stays_as_long_as_what_it_brought),
                TEST(what_did_not_come_to_pin_is_forgotten),
                TEST(all_reasons_are_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
