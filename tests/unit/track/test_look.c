#include "stage.h"

static struct stage s;

static int setup(void **state)
{
        (void) state;
        stage_open(&s, NULL);
        lend(&s, false);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        stage_close(&s);
        return 0;
}

/* A request of a client that has no server. */
static enum track_verdict looked(char type, const void *payload, size_t n)
{
        uint8_t m[256];
        struct error e = {0};
        if (n)
                memcpy(m + 5, payload, n);
        size_t size = put_header(m, type, n);
        struct frame_piece piece = {.type = (uint8_t) type, .begins = true, .ends = true, .messages = 1,
                                    .length = size, .data = m, .size = size};
        enum track_verdict v = track_look(&s.c, NULL, &piece, &s.q, &e);
        assert_int_equal(v == TRACK_BAD, error_is_set(&e));
        if (v == TRACK_BAD)
                assert_string_equal(e.sqlstate, "08P01");
        return v;
}

static uint32_t pins_of(const char *sql)
{
        assert_int_equal(looked('Q', sql, strlen(sql) + 1), TRACK_FORWARD);
        return s.q.pins;
}

static void without_a_server_sync_is_answered_and_copy_data_swallowed(void **state)
{
        (void) state;
        assert_int_equal(looked('S', NULL, 0), TRACK_ANSWER);
        assert_int_equal(looked('H', NULL, 0), TRACK_SWALLOW);
        assert_int_equal(looked('d', "1\n", 2), TRACK_SWALLOW);
        assert_int_equal(looked('c', NULL, 0), TRACK_SWALLOW);
        assert_int_equal(looked('f', "no", 3), TRACK_SWALLOW);
        assert_int_equal(looked('X', NULL, 0), TRACK_GOODBYE);
}

static void what_was_swallowed_from_its_beginning_is_to_its_end(void **state)
{
        struct error e = {0};
        struct frame_piece middle = {.type = 'd', .ends = true, .messages = 1, .length = 100,
                                     .data = (const uint8_t *) "Q\0\0\0\5", .size = 5};
        (void) state;
        assert_int_equal(track_look(&s.c, NULL, &middle, &s.q, &e), TRACK_SWALLOW);
}

static void with_a_server_all_goes_on(void **state)
{
        (void) state;
        for (const char *type = "SHc"; *type; type++) {
                assert_int_equal(ask_bytes(&s, *type, NULL, 0), TRACK_FORWARD);
                if (*type == 'S')
                        says(&s, "ZI");
        }
}

static void malformed_requests_are_refused(void **state)
{
        (void) state;
        assert_int_equal(looked('Q', "SELECT 1", 8), TRACK_BAD);
        assert_int_equal(looked('Q', "a\0b", 4), TRACK_BAD);
        assert_int_equal(looked('P', "name", 4), TRACK_BAD);
        assert_int_equal(looked('P', "\0SELECT 1\0\0\5", 12), TRACK_BAD);
        assert_int_equal(looked('B', "\0name", 5), TRACK_BAD);
        assert_int_equal(looked('D', "Xname", 6), TRACK_BAD);
        assert_int_equal(looked('C', "Sname", 5), TRACK_BAD);
        assert_int_equal(looked('E', "\0\0\0", 3), TRACK_BAD);
}

static void names_are_told_apart(void **state)
{
        (void) state;
        looked('P', "\0SELECT 1\0\0", 12);
        assert_true(s.q.unnamed && !s.q.named);
        looked('P', "a\0SELECT 1\0\0", 13);
        assert_true(s.q.named && !s.q.unnamed);
        looked('B', "\0\0\0\0\0\0\0\0", 8);
        assert_true(s.q.unnamed && s.q.portal);
        looked('B', "p\0a\0\0\0\0\0\0\0", 10);
        assert_true(!s.q.unnamed && !s.q.portal);
        looked('C', "P", 2);
        assert_true(!s.q.unnamed && !s.q.named);
        looked('C', "Sa", 3);
        assert_true(s.q.named);
        looked('D', "S", 2);
        assert_true(s.q.unnamed);
        looked('E', "\0\0\0\0", 5);
        assert_true(s.q.portal);
}

static void what_a_text_would_pin_is_known_without_a_server(void **state)
{
        (void) state;
        assert_int_equal(pins_of("SELECT 1"), 0);
        assert_int_equal(pins_of("LISTEN a"), PIN_BIT(PIN_LISTEN));
        assert_int_equal(pins_of("SET work_mem = '1MB'; CREATE TEMP TABLE t (a int)"),
                         PIN_BIT(PIN_TEMP));
        assert_int_equal(pins_of("BEGIN; SET LOCAL work_mem = '1MB'; COMMIT"), 0);
        looked('P', "a\0LISTEN b\0\0", 13);
        assert_int_equal(s.q.pins, PIN_BIT(PIN_LISTEN));
        looked('F', "\0\0\0\1\0\0\0\0\0", 10);
        assert_int_equal(s.q.pins, PIN_BIT(PIN_ADVISORY));
        looked('F', "\0\0\3\270\0\0\0\0\0", 10);       /* lo_open() */
        assert_int_equal(s.q.pins, 0);
}

static void parameters_pin_nobody(void **state)
{
        (void) state;
        assert_int_equal(pins_of("SET timezone = 'UTC'"), 0);
        assert_int_equal(pins_of("SET TIME ZONE 'UTC'"), 0);
        assert_int_equal(pins_of("SET NAMES 'UTF8'"), 0);
        assert_int_equal(pins_of("SET search_path = a"), 0);
        assert_int_equal(pins_of("SELECT set_config('my.tag', $1, false)"), 0);
        assert_int_equal(pins_of("SET SESSION AUTHORIZATION x"), PIN_BIT(PIN_AUTHORIZATION));
        assert_int_equal(pins_of("SELECT set_config($1, $2, false)"), PIN_BIT(PIN_SET_CONFIG));
        assert_int_equal(pins_of("SELECT setseed(0.5)"), PIN_BIT(PIN_SEED));
}

static void what_is_pinned_already_is_not_asked_for_again(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        assert_int_equal(pins_of("LISTEN b"), 0);
        assert_int_equal(pins_of("LISTEN b; LOAD 'x'"), PIN_BIT(PIN_LOAD));
}

static void nothing_is_pinned_before_it_is_sent(void **state)
{
        (void) state;
        pins_of("LISTEN a");
        assert_false(pins_hold(&s.c.pins));
        ask_query(&s, "LISTEN a");
        assert_true(pins_hold(&s.c.pins));
}

static void an_execute_asks_for_the_pin_that_its_statement_needs(void **state)
{
        (void) state;
        ask_extended(&s, "SELECT pg_advisory_lock(1)");
        says(&s, "1 2 C:SELECT_1 ZI");
        pins_drop(&s.c.pins, PIN_ADVISORY);
        ask_bind(&s, "", "");
        assert_int_equal(s.q.pins, 0);
        ask_execute(&s, "");
        assert_int_equal(s.q.pins, PIN_BIT(PIN_ADVISORY));
        assert_string_equal(reason(&s), "advisory lock");
}

static void executing_a_named_statement_again_pins_again(void **state)
{
        (void) state;
        ask_parse(&s, "a", "LISTEN a");
        ask_bind(&s, "", "a");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "1 2 C:LISTEN ZI");
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:0 C:SELECT_1 ZI");
        assert_true(lendable(&s));
        ask_bind(&s, "", "a");
        ask_execute(&s, "");
        assert_int_equal(s.q.pins, PIN_BIT(PIN_LISTEN));
        ask(&s, 'S');
        says(&s, "2 C:LISTEN ZI");
        assert_string_equal(reason(&s), "LISTEN");
}

static void what_other_named_statements_would_do_does_not_count(void **state)
{
        (void) state;
        ask_parse(&s, "a", "SET jit = off");
        ask_parse(&s, "b", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 1 ZI");
        ask_bind(&s, "", "b");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "2 C:SELECT_1 ZI");
        assert_true(lendable(&s));
        ask_bind(&s, "", "a");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "2 C:SET ZI");
        assert_string_equal(settings_get(s.c.touched, "jit"), "set");
}

static void executing_what_was_prepared_in_sql_pins_too(void **state)
{
        (void) state;
        done(&s, "PREPARE p AS SELECT pg_advisory_lock(1)", "C:PREPARE ZI");
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:4 C:SELECT_1 ZI");
        assert_string_equal(reason(&s), "PREPARE");
        done(&s, "EXECUTE p; DEALLOCATE p", "T D:1 C:SELECT_1 C:DEALLOCATE ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:1 C:SELECT_1 ZI");
        assert_string_equal(reason(&s), "advisory lock");
        assert_false(lendable(&s));
}

static void an_end_counts_only_if_it_was_executed(void **state)
{
        (void) state;
        done(&s, "SELECT nextval('s')", "T D:1 C:SELECT_1 ZI");
        ask_parse(&s, "", "SELECT 1");
        ask_bind(&s, "p", "");
        ask_parse(&s, "", "DISCARD SEQUENCES");
        ask_execute(&s, "p");
        ask(&s, 'S');
        says(&s, "1 2 1 C:SELECT_1 ZI");
        assert_string_equal(reason(&s), "sequence value");
        ask_parse(&s, "", "DISCARD SEQUENCES");
        ask(&s, 'S');
        says(&s, "1 ZI");
        assert_false(lendable(&s));
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "2 C:DISCARD_SEQUENCES ZI");
        assert_true(lendable(&s));
}

/* Bound, executed, and closed already when that is answered. */
static void end_by_name(const char *portal)
{
        ask_parse(&s, "a", "DISCARD SEQUENCES");
        ask_bind(&s, portal, "a");
        ask_execute(&s, portal);
        ask_target(&s, 'C', 'S', "a");
        ask(&s, 'S');
        says(&s, "1 2 C:DISCARD_SEQUENCES 3 ZI");
}

static void an_end_of_a_named_statement_counts_if_the_portal_is_known(void **state)
{
        (void) state;
        done(&s, "SELECT nextval('s')", "T D:1 C:SELECT_1 ZI");
        end_by_name("");
        assert_true(lendable(&s));
        done(&s, "SELECT nextval('s')", "T D:1 C:SELECT_1 ZI");
        end_by_name("p");
        assert_string_equal(reason(&s), "sequence value");
}

static void what_was_prepared_in_sql_is_not_what_was_bound_before(void **state)
{
        (void) state;
        done(&s, "PREPARE q AS SELECT set_config('jit', 'off', false)", "C:PREPARE ZI");
        ask_extended(&s, "SELECT 1");
        says(&s, "1 2 C:SELECT_1 ZI");
        ask_bind(&s, "", "q");
        ask_execute(&s, "");
        assert_true(s.q.marks.effects & (1u << SQL_SET_CONFIG));
        ask(&s, 'S');
        says(&s, "2 C:SELECT_1 ZI");
        assert_string_equal(settings_get(s.c.touched, "jit"), "set");
}

/* Read so it locks, in the other way it is all one string. */
static void a_text_that_may_be_read_otherwise_now_is_known_by_its_marks(void **state)
{
        (void) state;
        done(&s, "SET standard_conforming_strings = off", "C:SET S:standard_conforming_strings=off ZI");
        ask_parse(&s, "a", "SELECT 'x\\'', pg_advisory_lock(1), ''");
        ask(&s, 'S');
        says(&s, "1 ZI");
        done(&s, "SET standard_conforming_strings = on", "C:SET S:standard_conforming_strings=on ZI");
        ask_bind(&s, "", "a");
        ask_execute(&s, "");
        assert_string_equal(reason(&s), "advisory lock");
}

static void words_are_read_the_same_in_every_way(void **state)
{
        (void) state;
        ask_parse(&s, "a", "SELECT 1");
        ask_parse(&s, "b", "DEALLOCATE a");
        ask(&s, 'S');
        says(&s, "1 1 ZI");
        done(&s, "BEGIN; SET LOCAL DateStyle = 'German'", "C:BEGIN C:SET ZT");
        sent_first(&s);
        ask_bind(&s, "", "b");
        sent_first(&s);
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "C P:a=");
}

static void what_an_unnamed_portal_runs_counts_though_its_statement_is_gone(void **state)
{
        (void) state;
        ask_parse(&s, "", "SET jit = off");
        ask(&s, 'S');
        says(&s, "1 ZI");
        ask_bind(&s, "", "");
        ask_parse(&s, "", "SELECT 1");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "2 1 C:SET ZI");
        assert_false(lendable(&s));
        assert_string_equal(settings_get(s.c.touched, "jit"), "set");
}

/* ---- texts in pieces ---- */

#define FIRST 70000

/* A Query of 200 KB, its text ending in `end`, in pieces that are cut anywhere. */
static void ask_in_pieces(char type, const char *begin, const char *end)
{
        size_t size = 200000, at = 0;
        uint8_t *m = own_alloc(size);
        char *text = (char *) m + 5;
        memset(text, ' ', size - 5);
        strcpy(text, begin);
        text[strlen(begin)] = begin[0] ? ' ' : 0;
        size_t tail = type == 'P' ? 3 : 1;
        memcpy(m + size - strlen(end) - tail, end, strlen(end));
        memset(m + size - tail, 0, tail);
        put_header(m, type, size - 5);
        for (size_t n = FIRST; at < size; at += n, n = 997) {
                n = n < size - at ? n : size - at;
                ask_piece(&s, m + at, n, at == 0, at + n == size, size, type);
                assert_true(at + n == size || (!lendable(&s) && s.t.inside));
        }
        free(m);
}

static void what_stands_late_in_a_long_text_pins(void **state)
{
        (void) state;
        ask_in_pieces('Q', "SELECT 1;", "LISTEN a");
        assert_string_equal(reason(&s), "LISTEN");
        says(&s, "C:SELECT_1 C:LISTEN ZI");
        assert_false(lendable(&s));
}

static void what_stands_early_in_it_pins_before_the_rest_is_sent(void **state)
{
        (void) state;
        ask_in_pieces('Q', "LISTEN a;", "");
        assert_true(s.q.pins == 0 && s.c.pins.kinds == PIN_BIT(PIN_LISTEN));
        says(&s, "C:LISTEN ZI");
        assert_false(lendable(&s));
}

static void a_long_text_that_does_nothing_pins_nobody(void **state)
{
        (void) state;
        ask_in_pieces('Q', "SELECT 1;", "SELECT 'LISTEN a'");
        says(&s, "C:SELECT_1 C:SELECT_1 ZI");
        assert_true(lendable(&s));
        assert_null(s.c.lexer);
}

static void a_followed_parameter_in_it_pins_nobody(void **state)
{
        (void) state;
        ask_in_pieces('Q', "SET TimeZone = 'UTC';", "SET TimeZone = 'Asia/Tokyo'");
        says(&s, "C:SET C:SET S:TimeZone=Asia/Tokyo ZI");
        assert_true(lendable(&s));
}

static void the_parameters_that_servers_report_may_change_between_two_pieces(void **state)
{
        static uint8_t m[100];
        (void) state;
        memset(m, ' ', sizeof m);
        put_header(m, 'Q', 1000);
        ask_piece(&s, m, sizeof m, true, false, 1005, 'Q');
        assert_string_equal(says(&s, "S:TimeZone=Asia/Tokyo"), "f");
        memset(m, ' ', sizeof m);
        memcpy(m, "; SET TimeZone = 'UTC'; SET jit = off;", 38);
        ask_piece(&s, m, sizeof m, false, false, 1005, 'Q');
        assert_string_equal(settings_get(s.c.touched, "timezone"), "told");
        assert_string_equal(settings_get(s.c.touched, "jit"), "set");
        assert_non_null(settings_get(s.c.own, "timezone"));
}

static void an_end_in_it_is_not_believed(void **state)
{
        (void) state;
        done(&s, "SELECT nextval('s')", "T D:1 C:SELECT_1 ZI");
        ask_in_pieces('Q', "DISCARD SEQUENCES;", "DISCARD SEQUENCES");
        says(&s, "C:DISCARD_SEQUENCES C:DISCARD_SEQUENCES ZI");
        assert_string_equal(reason(&s), "sequence value");
}

static void a_long_parse_pins_for_what_it_will_do(void **state)
{
        (void) state;
        ask_in_pieces('P', "", "SELECT pg_advisory_lock(1)");
        ask(&s, 'S');
        says(&s, "1 ZI");
        assert_int_equal(s.c.pins.kinds, PIN_BIT(PIN_UNNAMED) | PIN_BIT(PIN_ADVISORY));
        pins_drop(&s.c.pins, PIN_ADVISORY);
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        assert_true(s.c.pins.kinds & PIN_BIT(PIN_ADVISORY));
}

static void a_text_that_is_dropped_leaves_nothing(void **state)
{
        static uint8_t m[100];
        (void) state;
        memset(m, ' ', sizeof m);
        put_header(m, 'Q', 1000);
        struct frame_piece piece = {.type = 'Q', .begins = true, .length = 1005, .data = m,
                                    .size = sizeof m};
        struct error e;
        assert_int_equal(track_look(&s.c, NULL, &piece, &s.q, &e), TRACK_FORWARD);
        assert_int_equal(track_look(&s.c, NULL, &piece, &s.q, &e), TRACK_FORWARD);
        assert_false(lendable(&s));
        look_drop(&s.c);
        assert_true(lendable(&s));
}

/* ---- two readings ---- */

static void with_backslashes_that_may_escape_both_readings_count(void **state)
{
        static const char hidden[] = "SELECT 'a\\'; LISTEN b; SELECT '";
        static const char other[] = "SELECT '\\''; LISTEN b; SELECT '";
        (void) state;
        assert_int_equal(pins_of(hidden), PIN_BIT(PIN_LISTEN));
        assert_int_equal(pins_of(other), 0);
        says(&s, "S:standard_conforming_strings=off");
        assert_int_equal(pins_of(hidden), PIN_BIT(PIN_LISTEN));
        assert_int_equal(pins_of(other), PIN_BIT(PIN_LISTEN));
}

static void and_no_end_is_believed(void **state)
{
        (void) state;
        done(&s, "SELECT nextval('s')", "T D:1 C:SELECT_1 ZI");
        done(&s, "SET standard_conforming_strings = off",
             "C:SET S:standard_conforming_strings=off ZI");
        done(&s, "DISCARD SEQUENCES", "C:DISCARD_SEQUENCES ZI");
        assert_string_equal(reason(&s), "sequence value");
}

static void a_set_of_the_rule_counts_from_the_next_request_on(void **state)
{
        (void) state;
        ask_query(&s, "SET standard_conforming_strings = off");
        assert_int_equal(pins_of("SELECT '\\''; LISTEN b; SELECT '"), PIN_BIT(PIN_LISTEN));
}

static void the_doubt_is_over_when_the_server_has_said_how_it_reads(void **state)
{
        (void) state;
        done(&s, "SELECT set_config('a' || 'b', '1', false)", "T D:1 C:SELECT_1 ZI");
        assert_string_equal(reason(&s), "set_config()");
        done(&s, "DISCARD ALL", "C:DISCARD_ALL ZI");
        assert_string_equal(reason(&s), "");
}

static void but_not_about_a_text_that_was_parsed_before(void **state)
{
        (void) state;
        done(&s, "SET standard_conforming_strings = off",
             "C:SET S:standard_conforming_strings=off ZI");
        ask_parse(&s, "", "SELECT '\\''; SET work_mem = 1; SELECT '");
        ask(&s, 'S');
        says(&s, "1 S:standard_conforming_strings=on ZI");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        assert_non_null(settings_get(s.c.touched, "work_mem"));
}

static void encodings_with_a_backslash_in_their_characters_too(void **state)
{
        OWN(settings_unref) struct settings *told = settings_new();
        (void) state;
        assert_false(track_two_readings(told));
        settings_put(&told, "client_encoding", "LATIN1");
        assert_false(track_two_readings(told));
        settings_put(&told, "client_encoding", "sjis");
        assert_true(track_two_readings(told));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(without_a_server_sync_is_answered_and_copy_data_swallowed),
                TEST(what_was_swallowed_from_its_beginning_is_to_its_end),
                TEST(with_a_server_all_goes_on),
                TEST(malformed_requests_are_refused),
                TEST(names_are_told_apart),
                TEST(what_a_text_would_pin_is_known_without_a_server),
                TEST(parameters_pin_nobody),
                TEST(what_is_pinned_already_is_not_asked_for_again),
                TEST(nothing_is_pinned_before_it_is_sent),
                TEST(an_execute_asks_for_the_pin_that_its_statement_needs),
                TEST(executing_a_named_statement_again_pins_again),
                TEST(what_other_named_statements_would_do_does_not_count),
                TEST(executing_what_was_prepared_in_sql_pins_too),
                TEST(an_end_counts_only_if_it_was_executed),
                TEST(an_end_of_a_named_statement_counts_if_the_portal_is_known),
                TEST(a_text_that_may_be_read_otherwise_now_is_known_by_its_marks),
                TEST(words_are_read_the_same_in_every_way),
                TEST(what_was_prepared_in_sql_is_not_what_was_bound_before),
                TEST(what_an_unnamed_portal_runs_counts_though_its_statement_is_gone),
                TEST(what_stands_late_in_a_long_text_pins),
                TEST(what_stands_early_in_it_pins_before_the_rest_is_sent),
                TEST(a_long_text_that_does_nothing_pins_nobody),
                TEST(a_followed_parameter_in_it_pins_nobody),
                TEST(the_parameters_that_servers_report_may_change_between_two_pieces),
                TEST(an_end_in_it_is_not_believed),
                TEST(a_long_parse_pins_for_what_it_will_do),
                TEST(a_text_that_is_dropped_leaves_nothing),
                TEST(with_backslashes_that_may_escape_both_readings_count),
                TEST(and_no_end_is_believed),
                TEST(a_set_of_the_rule_counts_from_the_next_request_on),
                TEST(the_doubt_is_over_when_the_server_has_said_how_it_reads),
                TEST(but_not_about_a_text_that_was_parsed_before),
                TEST(encodings_with_a_backslash_in_their_characters_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
