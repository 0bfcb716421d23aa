#include "../base/cmocka_all.h"
#include "track/turns.h"

static struct turns t;

static int setup(void **state)
{
        (void) state;
        turns_init(&t);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        turns_free(&t);
        return 0;
}

/* Requests by letter: Q Query, F FunctionCall, S Sync, P Parse, U Parse of the unnamed, N of a named
 * one, B Bind, D Describe, W of a named statement, E Execute, C Close, G of a named statement, c CopyDone. */
static void sent(const char *letters)
{
        static const char kinds[] = "QFSPUNBDWECGc";
        for (; *letters; letters++)
                turns_sent(&t, (enum turn_kind) (strchr(kinds, *letters) - kinds), TURN_CLIENT);
}

/* The types that come, all of them good. */
static void replied(const char *types)
{
        for (; *types; types++)
                assert_true(turns_replied(&t, (uint8_t) *types));
}

static void refused(const char *requests, const char *types, char last)
{
        turns_free(&t);
        sent(requests);
        replied(types);
        assert_false(turns_replied(&t, (uint8_t) last));
}

static void a_query_ends_with_its_own_ready_for_query(void **state)
{
        (void) state;
        sent("QQ");
        replied("TDDC");
        assert_int_equal(t.count, 2);
        replied("Z");
        assert_int_equal(t.count, 1);
        replied("CICEZ");
        assert_true(turns_empty(&t));
}

static void a_pipeline_is_answered_in_order(void **state)
{
        (void) state;
        sent("PUBDECSQFS");
        replied("1" "1" "2" "tT" "DDC" "3" "Z" "CZ" "VZ" "Z");
        assert_true(turns_empty(&t));
}

static void each_request_has_its_own_last_replies(void **state)
{
        (void) state;
        sent("DDEEES");
        replied("n" "T" "s" "I" "DC" "Z");
        assert_true(turns_empty(&t));
}

static void flush_without_sync_owes_nothing_more(void **state)
{
        (void) state;
        sent("PBE");
        replied("12DC");
        assert_true(turns_empty(&t));
}

static void what_nobody_asked_for_is_bad(void **state)
{
        (void) state;
        refused("", "", 'Z');
        refused("", "", 'T');
        refused("Q", "", '1');
        refused("Q", "TDC", 's');
        refused("P", "", '2');
        refused("B", "", 'D');
        refused("E", "", 'T');
        refused("D", "", 'C');
        refused("S", "", 'C');
        refused("F", "", 'C');
        refused("E", "C", 'Z');
        refused("Q", "CZ", 'C');
        refused("Q", "", 'x');
        refused("Q", "", 'd');
        refused("Q", "H", 'D');
        refused("Q", "H", 'G');
        refused("Q", "", 'c');
        refused("QS", "T", '3');
}

static void a_query_is_never_answered_by_a_ready_for_query_alone(void **state)
{
        (void) state;
        refused("Q", "", 'Z');
        refused("F", "", 'Z');
        refused("SQ", "Z", 'Z');
        refused("QQ", "EZ", 'Z');
}

static void an_error_skips_to_the_sync_a_pipelined_query_included(void **state)
{
        (void) state;
        sent("PBQFES");
        replied("1" "E");
        assert_int_equal(t.count, 1);
        assert_false(t.skipping);
        replied("Z");
        assert_true(turns_empty(&t));
}

static void an_error_before_the_sync_was_sent_goes_on_skipping(void **state)
{
        (void) state;
        sent("BE");
        replied("E");
        assert_true(t.skipping);
        assert_false(turns_empty(&t));
        sent("QPBEFCc");
        assert_int_equal(t.count, 0);
        sent("SQ");
        assert_int_equal(t.count, 2);
        replied("ZCZ");
        assert_true(turns_empty(&t));
}

static void only_the_pipeline_that_failed_is_skipped(void **state)
{
        (void) state;
        sent("PBES" "PBES");
        replied("1E" "Z" "12DCZ");
        assert_true(turns_empty(&t));
}

static void a_sync_may_fail_itself(void **state)
{
        (void) state;
        sent("ES");
        replied("C" "EZ");
        assert_true(turns_empty(&t));
}

static void a_function_call_may_fail(void **state)
{
        (void) state;
        sent("F");
        replied("EZ");
        assert_true(turns_empty(&t));
}

static void copy_out_is_data_between_two_messages(void **state)
{
        (void) state;
        sent("QES");
        replied("HddcCZ");
        replied("HdcCZ");
        assert_true(turns_empty(&t));
        sent("Q");
        replied("HdEZ");
        assert_true(turns_empty(&t));
}

static void copy_in_waits_for_the_client(void **state)
{
        (void) state;
        sent("Q");
        replied("G");
        assert_int_equal(t.copy, COPY_IN);
        sent("c");
        assert_int_equal(t.copy, COPY_NONE);
        replied("CZ");
        assert_true(turns_empty(&t));
}

static void copy_done_may_be_sent_ahead(void **state)
{
        (void) state;
        sent("QcQ");
        replied("G");
        assert_int_equal(t.copy, COPY_NONE);
        replied("CZ" "TDCZ");
        assert_true(turns_empty(&t));
}

static void two_copies_in_one_query_take_a_copy_done_each(void **state)
{
        (void) state;
        sent("Qcc");
        replied("GC");
        assert_int_equal(t.count, 2);
        replied("GCZ");
        assert_true(turns_empty(&t));
}

static void a_late_copy_done_means_nothing(void **state)
{
        (void) state;
        sent("Q");
        replied("GEZ");
        sent("c");
        assert_true(turns_empty(&t));
        sent("QcccQ");
        replied("EZ" "CZ");
        assert_true(turns_empty(&t));
        sent("BcES");
        replied("EZ");
        assert_true(turns_empty(&t));
}

static void a_sync_is_ignored_during_a_copy(void **state)
{
        (void) state;
        sent("ES");
        replied("G");
        assert_int_equal(t.count, 1);
        sent("Sc" "S");
        replied("C" "Z");
        assert_true(turns_empty(&t));
        assert_int_equal(t.stray, 0);
}

static void a_sync_ahead_of_a_copy_that_fails_early_is_answered(void **state)
{
        (void) state;
        sent("ES");
        replied("GE");
        assert_true(t.skipping && turns_stray(&t));
        replied("Z");
        assert_true(turns_empty(&t));
        assert_int_equal(t.stray, 0);
        assert_false(turns_replied(&t, 'Z'));
}

static void both_syncs_of_a_failed_copy_may_be_answered(void **state)
{
        (void) state;
        sent("ES" "c" "S" "Q");
        replied("GE" "Z");
        assert_int_equal(t.count, 1);
        replied("Z" "CZ");
        assert_true(turns_empty(&t));
        assert_int_equal(t.stray, 0);
}

static void or_only_the_last_one(void **state)
{
        (void) state;
        sent("ES" "c" "S");
        replied("GE" "Z");
        assert_true(turns_empty(&t));
        assert_int_equal(t.stray, 1);
        sent("Q");
        replied("T");
        assert_int_equal(t.stray, 0);
        replied("DCZ");
        assert_true(turns_empty(&t));
}

static void of_a_simple_copy_the_same_holds(void **state)
{
        (void) state;
        sent("QS");
        replied("GEZ");
        assert_int_equal(t.stray, 1);
        replied("Z");
        assert_true(turns_empty(&t));
}

static void a_request_that_a_copy_may_have_swallowed_spoils_the_server(void **state)
{
        static const char *const before[] = {"QQ", "EP", "ESB", "QF"};
        (void) state;
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
                turns_free(&t);
                sent(before[i]);
                replied("GE");
                assert_true(t.lost);
                sent("S");
                assert_false(turns_empty(&t));
        }
        turns_free(&t);
        sent("Q");
        replied("G");
        sent("Q");
        assert_true(t.lost);
        turns_free(&t);
        sent("ES");
        replied("GE");
        sent("Q");
        assert_true(t.lost);
}

static void thousands_of_syncs_ahead_of_a_copy_take_no_time(void **state)
{
        (void) state;
        sent("E");
        for (int i = 1; i < TURNS_MAX; i++)
                sent("S");
        assert_true(turns_full(&t));
        replied("G");
        assert_int_equal(t.count, 1);
        assert_int_equal(t.ahead, TURNS_MAX - 1);
}

static void the_ring_grows_and_turns(void **state)
{
        (void) state;
        for (int i = 0; i < 1000; i++) {
                sent("PBES");
                if (i % 3)
                        replied("12");
                else
                        sent("Q");
                if (i % 3)
                        replied("CZ");
                else
                        replied("12CZ" "CZ");
        }
        assert_true(turns_empty(&t));
        for (int i = 0; i < 1000; i++)
                sent("Q");
        for (int i = 0; i < 1000; i++)
                replied("CZ");
        assert_true(turns_empty(&t));
}

static void owners_are_kept(void **state)
{
        bool now;
        (void) state;
        turns_sent(&t, TURN_QUERY, TURN_RESTORE);
        assert_int_equal(turns_owner(&t), TURN_RESTORE);
        assert_true(turns_own_only(&t));
        assert_false(turns_owe_client(&t, &now));
        turns_sent(&t, TURN_PARSE, TURN_REPARSE);
        sent("B");
        assert_true(turns_owe_client(&t, &now) && !now);
        assert_false(turns_own_only(&t));
        replied("CZ");
        assert_int_equal(turns_owner(&t), TURN_REPARSE);
        assert_true(turns_owe_client(&t, &now) && now);
        replied("1");
        assert_int_equal(turns_owner(&t), TURN_CLIENT);
}

static void what_would_change_the_unnamed_statement_is_seen_up_to_the_sync(void **state)
{
        static const struct {
                const char *requests;
                bool changes;
        } cases[] = {{"U", true}, {"BQ", true}, {"BC", true}, {"PBDE", false}, {"BSU", false}};
        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                turns_free(&t);
                sent(cases[i].requests);
                assert_int_equal(turns_change_unnamed(&t, false), cases[i].changes);
        }
        turns_free(&t);
        turns_sent(&t, TURN_CLOSE, TURN_REPARSE);
        assert_true(turns_change_unnamed(&t, false));
}

static void changes_of_named_statements_are_counted(void **state)
{
        (void) state;
        assert_false(turns_at_change(&t));
        sent("NBGSN");
        assert_true(turns_at_change(&t));
        assert_int_equal(t.changes, 3);
        replied("12");
        assert_true(turns_at_change(&t));
        replied("E");
        assert_int_equal(t.changes, 1);
        assert_true(turns_will_end(&t));
        replied("Z");
        assert_false(turns_will_end(&t));
        replied("1");
        assert_int_equal(t.changes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_query_ends_with_its_own_ready_for_query),
                TEST(a_pipeline_is_answered_in_order),
                TEST(each_request_has_its_own_last_replies),
                TEST(flush_without_sync_owes_nothing_more),
                TEST(what_nobody_asked_for_is_bad),
                TEST(a_query_is_never_answered_by_a_ready_for_query_alone),
                TEST(an_error_skips_to_the_sync_a_pipelined_query_included),
                TEST(an_error_before_the_sync_was_sent_goes_on_skipping),
                TEST(only_the_pipeline_that_failed_is_skipped),
                TEST(a_sync_may_fail_itself),
                TEST(a_function_call_may_fail),
                TEST(copy_out_is_data_between_two_messages),
                TEST(copy_in_waits_for_the_client),
                TEST(copy_done_may_be_sent_ahead),
                TEST(two_copies_in_one_query_take_a_copy_done_each),
                TEST(a_late_copy_done_means_nothing),
                TEST(a_sync_is_ignored_during_a_copy),
                TEST(a_sync_ahead_of_a_copy_that_fails_early_is_answered),
                TEST(both_syncs_of_a_failed_copy_may_be_answered),
                TEST(or_only_the_last_one),
                TEST(of_a_simple_copy_the_same_holds),
                TEST(a_request_that_a_copy_may_have_swallowed_spoils_the_server),
                TEST(thousands_of_syncs_ahead_of_a_copy_take_no_time),
                TEST(the_ring_grows_and_turns),
                TEST(owners_are_kept),
                TEST(what_would_change_the_unnamed_statement_is_seen_up_to_the_sync),
                TEST(changes_of_named_statements_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
