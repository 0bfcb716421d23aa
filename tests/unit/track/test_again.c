/* A batch that met a plan from before a table was changed is done again, unseen, where that misleads nobody. */
#include "stage.h"
#include "track/again.h"

static struct stage s;

static int setup(void **state)
{
        (void) state;
        stage_open(&s, NULL);
        lend(&s, false);
        ask_parse(&s, "s1", "SELECT * FROM t");
        ask(&s, 'S');
        says(&s, "1 ZI");
        sent_first(&s);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        stage_close(&s);
        return 0;
}

static void bind(void)
{
        ask_bind(&s, "", "s1");
}

static void described(void)
{
        bind();
        ask_target(&s, 'D', 'P', "");
        ask_execute(&s, "");
        ask(&s, 'S');
}

static void blind(void)
{
        bind();
        ask_execute(&s, "");
        ask(&s, 'S');
}

/* "cached plan must not change result type": will the client hear it? */
static enum track_verdict stale(void)
{
        static const char refusal[] = "SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0"
                                      "RRevalidateCachedQuery\0";
        sent_first(&s);
        return hear_error(&s, refusal, sizeof refusal);
}

/* Sends what is to be sent again; its messages' types. */
static const char *again(void)
{
        static char types[20];
        struct frame_piece piece;
        unsigned n = 0;
        for (size_t at = 0; again_next(&s.t, &at, &piece);) {
                types[n++] = (char) piece.type;
                assert_int_equal(ask_piece(&s, piece.data, piece.size, true, true, piece.size, (char) piece.type),
                                 TRACK_FORWARD);
        }
        types[n] = 0;
        return types;
}

/* The client has heard of the change, or prepared after it: this server may not have. */
static void later(void)
{
        statements_doubt(&s.c.statements);
}

static void what_is_described_is_parsed_anew_and_done_again(void **state)
{
        (void) state;
        described();
        assert_int_equal(stale(), TRACK_SWALLOW);
        assert_string_equal(again(), "");
        assert_string_equal(says(&s, "ZI"), "s");
        assert_string_equal(again(), "BDES");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        assert_string_equal(says(&s, "3 1 2 T C:SELECT_1 ZI"), "ssffff");
        assert_true(lendable(&s) && !s.t.soiled);
        described();
        assert_string_equal(sent_first(&s), "B");
        says(&s, "2 T C:SELECT_1 ZI");
}

static void only_what_was_not_answered_is_sent_again(void **state)
{
        (void) state;
        ask_parse(&s, "s2", "SELECT 2");
        ask_target(&s, 'D', 'S', "s2");
        bind();
        ask(&s, 'H');
        ask_target(&s, 'D', 'P', "");
        ask_target(&s, 'C', 'S', "s2");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 t T"), "fff");
        assert_int_equal(stale(), TRACK_SWALLOW);
        says(&s, "ZI");
        assert_string_equal(again(), "BHDCS");
        assert_string_equal(says(&s, "3 1 2 T 3 ZI"), "ssffff");
        assert_true(lendable(&s));
}

static void until_it_is_sent_again_the_client_waits(void **state)
{
        (void) state;
        described();
        stale();
        assert_true(track_settling(&s.c, &s.t));
        ask_query(&s, "SELECT 1");
        assert_int_equal(s.v, TRACK_WAIT);
        says(&s, "ZI");
        again();
        assert_false(track_settling(&s.c, &s.t));
        ask_query(&s, "SELECT 1");
        assert_int_equal(s.v, TRACK_FORWARD);
        assert_string_equal(says(&s, "3 1 2 T C:SELECT_1 ZI T C:SELECT_1 ZI"), "ssfffffff");
}

static void once_is_enough(void **state)
{
        (void) state;
        described();
        stale();
        says(&s, "ZI");
        again();
        says(&s, "3 1");
        assert_int_equal(stale(), TRACK_FORWARD);
        assert_string_equal(says(&s, "ZI"), "f");
        assert_string_equal(again(), "");
        assert_true(lendable(&s));
}

static void another_error_instead_of_the_end_is_heard_with_the_end(void **state)
{
        (void) state;
        described();
        stale();
        assert_string_equal(says(&s, "E ZI"), "ff");
        assert_string_equal(again(), "");
        assert_true(lendable(&s));
}

static void who_is_not_told_what_comes_hears_the_error(void **state)
{
        (void) state;
        blind();
        assert_int_equal(stale(), TRACK_FORWARD);
        assert_string_equal(says(&s, "ZI"), "f");
        blind();                        /* and then counts on the new one */
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        says(&s, "3 1 2 C:SELECT_1 ZI");
}

static void binary_parameters_go_by_what_they_were(void **state)
{
        static const char payload[] = "\0s1\0\0\1\0\1\0\1\0\0\0\1x\0";
        (void) state;
        ask_bytes(&s, 'B', payload, sizeof payload);
        ask_target(&s, 'D', 'P', "");
        ask_execute(&s, "");
        ask(&s, 'S');
        assert_int_equal(stale(), TRACK_FORWARD);
        says(&s, "ZI");
}

static void nothing_is_executed_twice(void **state)
{
        (void) state;
        bind();
        ask_target(&s, 'D', 'P', "");
        ask_execute(&s, "");
        described();
        says(&s, "2 T C:SELECT_1");
        assert_int_equal(stale(), TRACK_FORWARD);
        assert_string_equal(says(&s, "ZI"), "f");
        ask_extended(&s, "INSERT INTO t VALUES (1)");
        says(&s, "1 2 C:INSERT ZI");
        ask_parse(&s, "", "INSERT INTO t VALUES (1)");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        described();
        says(&s, "1 2 C:INSERT 3 1");
        assert_int_equal(stale(), TRACK_FORWARD);
        says(&s, "ZI");
}

static void in_a_transaction_or_before_its_sync_or_with_more_behind_it_is_heard(void **state)
{
        (void) state;
        done(&s, "BEGIN", "C:BEGIN ZT");
        described();
        assert_int_equal(stale(), TRACK_FORWARD);
        says(&s, "ZE");
        done(&s, "ROLLBACK", "C:ROLLBACK ZI");
        described();
        says(&s, "3 1 2 T C:SELECT_1 ZI");
        bind();
        ask_target(&s, 'D', 'P', "");
        assert_int_equal(stale(), TRACK_FORWARD);
        ask(&s, 'S');
        says(&s, "ZI");
        described();
        says(&s, "3 1 2 T C:SELECT_1 ZI");
        described();
        ask(&s, 'S');
        assert_int_equal(stale(), TRACK_FORWARD);
        assert_string_equal(says(&s, "ZI ZI"), "ff");
        assert_true(lendable(&s));
}

static void a_portal_that_would_be_gone_is_not_done_without(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask_bind(&s, "p", "");
        described();
        says(&s, "1 2");
        assert_int_equal(stale(), TRACK_FORWARD);
        says(&s, "ZI");
}

static void what_is_older_here_is_tried_and_if_it_is_of_no_use_nobody_hears(void **state)
{
        (void) state;
        later();
        blind();
        assert_string_equal(sent_first(&s), "B");
        assert_int_equal(stale(), TRACK_SWALLOW);
        says(&s, "ZI");
        assert_string_equal(again(), "BES");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        assert_string_equal(says(&s, "3 1 2 C:SELECT_1 ZI"), "ssfff");
        assert_true(lendable(&s));
}

static void what_has_proved_to_be_right_is_the_clients_to_hear_when_it_changes(void **state)
{
        (void) state;
        later();
        blind();
        says(&s, "2 C:SELECT_1 ZI");
        blind();
        assert_int_equal(stale(), TRACK_FORWARD);
        says(&s, "ZI");
}

static void an_error_of_another_kind_proves_nothing(void **state)
{
        (void) state;
        later();
        blind();
        says(&s, "E ZI");
        blind();
        assert_int_equal(stale(), TRACK_SWALLOW);
        says(&s, "ZI");
        again();
        says(&s, "3 1 2 C:SELECT_1 ZI");
}

static void a_parse_that_was_skipped_proves_nothing(void **state)
{
        (void) state;
        later();
        ask_bind(&s, "", "nowhere");
        ask_parse(&s, "s2", "SELECT * FROM t");
        ask(&s, 'S');
        says(&s, "E ZI");
        blind();
        assert_int_equal(stale(), TRACK_SWALLOW);
        says(&s, "ZI");
        again();
        says(&s, "3 1 2 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void nothing_goes_behind_what_is_tried_until_it_is_bound(void **state)
{
        (void) state;
        later();
        blind();
        assert_true(track_settling(&s.c, &s.t));
        ask_query(&s, "SELECT 1");
        assert_int_equal(s.v, TRACK_WAIT);
        says(&s, "2");
        assert_false(track_settling(&s.c, &s.t));
        ask_query(&s, "SELECT 1");
        assert_int_equal(s.v, TRACK_FORWARD);
        says(&s, "C:SELECT_1 ZI C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void what_could_not_be_done_again_is_not_tried(void **state)
{
        (void) state;
        later();
        ask_bind(&s, "p", "s1");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        ask(&s, 'S');
        says(&s, "3 1 2 ZI");
        later();
        done(&s, "BEGIN", "C:BEGIN ZT");
        blind();
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        says(&s, "3 1 2 C:SELECT_1 ZT");
        done(&s, "COMMIT", "C:COMMIT ZI");
        later();
        ask_target(&s, 'D', 'S', "s1");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t D");
        ask(&s, 'S');
        says(&s, "3 1 t T ZI");
}

static void what_one_client_left_is_not_the_next_ones(void **state)
{
        (void) state;
        later();
        described();
        stale();
        says_to(&s, NULL, "ZI");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        assert_string_equal(again(), "");
        done(&s, "SELECT 1", "T C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_is_described_is_parsed_anew_and_done_again),
                TEST(only_what_was_not_answered_is_sent_again),
                TEST(until_it_is_sent_again_the_client_waits),
                TEST(once_is_enough),
                TEST(another_error_instead_of_the_end_is_heard_with_the_end),
                TEST(who_is_not_told_what_comes_hears_the_error),
                TEST(binary_parameters_go_by_what_they_were),
                TEST(nothing_is_executed_twice),
                TEST(in_a_transaction_or_before_its_sync_or_with_more_behind_it_is_heard),
                TEST(a_portal_that_would_be_gone_is_not_done_without),
                TEST(what_is_older_here_is_tried_and_if_it_is_of_no_use_nobody_hears),
                TEST(what_has_proved_to_be_right_is_the_clients_to_hear_when_it_changes),
                TEST(an_error_of_another_kind_proves_nothing),
                TEST(a_parse_that_was_skipped_proves_nothing),
                TEST(nothing_goes_behind_what_is_tried_until_it_is_bound),
                TEST(what_could_not_be_done_again_is_not_tried),
                TEST(what_one_client_left_is_not_the_next_ones),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
