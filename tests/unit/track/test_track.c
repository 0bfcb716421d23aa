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

/* The client is gone: what is sent to the server, or NULL if it must be closed. */
static const char *cleaned(void)
{
        return track_clean(&s.c, &s.t, &s.before) ? sent_first(&s) : NULL;
}

#define RESET_ALL                                                                                  \
        "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; "              \
        "SELECT pg_catalog.pg_advisory_unlock_all(); DEALLOCATE ALL; DISCARD TEMP; "               \
        "DISCARD SEQUENCES; "

/* ---- when a server may be lent ---- */

static void after_its_ready_for_query_a_server_may_be_lent(void **state)
{
        (void) state;
        assert_true(lendable(&s));
        ask_query(&s, "SELECT 1");
        assert_false(lendable(&s));
        assert_string_equal(says(&s, "T D:1 C:SELECT_1"), "fff");
        assert_false(lendable(&s));
        assert_string_equal(says(&s, "ZI"), "f");
        assert_true(lendable(&s));
}

static void not_in_a_transaction(void **state)
{
        (void) state;
        done(&s, "BEGIN", "C:BEGIN ZT");
        assert_false(lendable(&s) || track_quiet(&s.t));
        done(&s, "SELECT 1/0", "E ZE");
        assert_false(lendable(&s));
        done(&s, "ROLLBACK", "C:ROLLBACK ZI");
        assert_true(lendable(&s));
}

static void not_before_all_of_a_pipeline_is_answered(void **state)
{
        (void) state;
        ask_query(&s, "SELECT 1");
        ask_extended(&s, "SELECT 2");
        says(&s, "C:SELECT_1 ZI");
        assert_false(lendable(&s));
        says(&s, "1 2 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void not_between_flush_and_sync(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'H');
        says(&s, "1");
        assert_false(lendable(&s));
        assert_false(track_idle(&s.t));         /* and nothing of the broker's own goes between */
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'H');
        says(&s, "2 C:SELECT_1");
        assert_false(lendable(&s));
        assert_false(track_idle(&s.t));
        ask(&s, 'S');
        says(&s, "ZI");
        assert_true(lendable(&s));
}

static void a_query_or_function_call_ends_the_pipeline_as_a_sync_does(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask_query(&s, "SELECT 2");
        says(&s, "1 C:SELECT_1 ZI");
        assert_true(lendable(&s));
        ask_parse(&s, "", "SELECT 1");
        ask_bytes(&s, 'F', "\0\0\0\1\0\0\0\0\0\0", 10);
        says(&s, "1 V ZI");
        assert_true(track_quiet(&s.t));
}

static void not_while_a_portal_is_suspended(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'H');
        says(&s, "1 2 D:1 s");
        assert_false(lendable(&s));
        done(&s, "BEGIN", "C:BEGIN ZT");
        ask_execute(&s, "");
        ask(&s, 'S');
        says(&s, "D:1 s ZT");
        assert_false(lendable(&s));
}

static void not_while_the_server_skips_to_a_sync(void **state)
{
        (void) state;
        ask_bind(&s, "", "missing");
        says(&s, "E");
        assert_false(lendable(&s));
        ask_query(&s, "SELECT 1");
        assert_false(lendable(&s));
        ask(&s, 'S');
        assert_string_equal(says(&s, "ZI"), "f");
        assert_true(lendable(&s));
}

static void not_while_half_a_message_is_on_its_way(void **state)
{
        uint8_t m[64] = {0};
        (void) state;
        put_header(m, 'd', 100);
        ask_piece(&s, m, 40, true, false, 105, 'd');
        assert_false(lendable(&s));
        assert_null(cleaned());
        ask_piece(&s, m, 65, false, true, 105, 'd');
        assert_true(lendable(&s));
}

/* ---- COPY ---- */

static void a_simple_copy_in(void **state)
{
        (void) state;
        ask_query(&s, "COPY t FROM STDIN");
        assert_string_equal(says(&s, "G"), "f");
        ask_bytes(&s, 'd', "1\n", 2);
        assert_false(lendable(&s));
        ask(&s, 'c');
        assert_false(lendable(&s));
        assert_string_equal(says(&s, "C:COPY_1 ZI"), "ff");
        assert_true(lendable(&s));
}

static void a_failed_copy_with_late_data(void **state)
{
        (void) state;
        ask_query(&s, "COPY t FROM STDIN");
        says(&s, "G E ZI");
        assert_true(lendable(&s));
        ask_bytes(&s, 'd', "1\n", 2);
        ask(&s, 'c');
        assert_true(lendable(&s));
        done(&s, "SELECT 1", "C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void an_extended_copy_is_not_over_before_its_sync(void **state)
{
        (void) state;
        ask_extended(&s, "COPY t FROM STDIN");
        says(&s, "1 2 G");
        ask_bytes(&s, 'd', "1\n", 2);
        ask(&s, 'c');
        assert_string_equal(says(&s, "C:COPY_1"), "f");
        assert_false(lendable(&s) || track_quiet(&s.t));
        ask(&s, 'S');
        assert_string_equal(says(&s, "ZI"), "f");
        assert_true(lendable(&s));
}

static void a_sync_inside_a_copy_does_not_end_it(void **state)
{
        (void) state;
        ask_parse(&s, "", "COPY t FROM STDIN");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        says(&s, "1 2 G");
        ask(&s, 'S');
        ask(&s, 'c');
        says(&s, "C:COPY_0");
        assert_false(lendable(&s));
        ask(&s, 'S');
        says(&s, "ZI");
        assert_true(lendable(&s));
}

static void an_extended_copy_all_sent_ahead(void **state)
{
        (void) state;
        ask_extended(&s, "COPY t FROM STDIN");
        ask_bytes(&s, 'd', "1\n", 2);
        ask(&s, 'c');
        ask(&s, 'S');
        ask_query(&s, "SELECT 1");
        assert_string_equal(says(&s, "1 2 G C:COPY_1 ZI C:SELECT_1 ZI"), "fffffff");
        assert_true(lendable(&s));
}

static void a_copy_that_fails_before_it_reads_gives_two_ready_for_query(void **state)
{
        (void) state;
        ask_extended(&s, "COPY view FROM STDIN");
        assert_string_equal(says(&s, "1 2 G E ZI"), "fffff");
        ask_bytes(&s, 'd', "1\n", 2);
        ask(&s, 'c');
        ask(&s, 'S');
        assert_string_equal(says(&s, "ZI"), "f");
        assert_true(lendable(&s));
}

static void when_that_is_not_sure_the_server_is_asked(void **state)
{
        (void) state;
        ask_extended(&s, "COPY t FROM STDIN");
        ask_bytes(&s, 'd', "x\n", 2);
        ask(&s, 'c');
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 2 G E ZI"), "fffff");
        assert_false(lendable(&s));
        assert_null(cleaned());
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_string_equal(says(&s, "T D:0 C:SELECT_1 ZI"), "ssss");
        assert_true(lendable(&s));
}

static void and_the_late_ready_for_query_is_the_clients(void **state)
{
        (void) state;
        ask_extended(&s, "COPY view FROM STDIN");
        ask(&s, 'c');
        ask(&s, 'S');
        says(&s, "1 2 G E ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_string_equal(says(&s, "ZI T D:0 C:SELECT_1 ZI"), "fssss");
        assert_true(lendable(&s));
}

static void a_request_sent_into_a_copy_spoils_the_server(void **state)
{
        (void) state;
        ask_query(&s, "COPY view FROM STDIN");
        ask_query(&s, "SELECT 1");
        says(&s, "G E ZI");
        assert_false(lendable(&s) || track_quiet(&s.t));
        assert_null(cleaned());
        assert_string_equal(says(&s, "T"), "b");
}

static void copy_out(void **state)
{
        (void) state;
        ask_query(&s, "COPY t TO STDOUT");
        assert_string_equal(says(&s, "H d d"), "fff");
        assert_false(lendable(&s));
        assert_string_equal(says(&s, "c C:COPY_2 ZI"), "fff");
        assert_true(lendable(&s));
}

/* ---- what comes unasked ---- */

static void garbage_is_bad(void **state)
{
        static const char *const words[] = {"ZI", "C:SELECT_1", "T", "1", "E", "G", "V", "s"};
        (void) state;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                assert_string_equal(says(&s, words[i]), "b");
        ask_query(&s, "SELECT 1");
        assert_string_equal(says(&s, "ZI"), "b");
        assert_string_equal(says(&s, "2"), "b");
        assert_string_equal(says(&s, "C:SELECT_1 Zx"), "fb");
}

static void a_fatal_error_may_come_at_any_time(void **state)
{
        (void) state;
        assert_string_equal(says(&s, "E:FATAL"), "f");
        assert_string_equal(says_to(&s, NULL, "E:FATAL"), "s");
        ask_query(&s, "SELECT 1");
        assert_string_equal(says(&s, "T E:FATAL"), "ff");
        assert_false(lendable(&s));
}

static void notices_and_notifications_go_to_the_client(void **state)
{
        (void) state;
        assert_string_equal(says(&s, "N A S:session_authorization=b"), "fff");
        assert_string_equal(says_to(&s, NULL, "N A"), "ss");
        ask_query(&s, "SELECT 1");
        assert_string_equal(says(&s, "N T N A D:1 C:SELECT_1 N ZI"), "ffffffff");
        assert_true(lendable(&s));
}

static void notices_of_the_brokers_own_do_not(void **state)
{
        (void) state;
        lend(&s, true);
        assert_string_equal(says(&s, "N C:RESET A S:TimeZone=UTC ZI"), "ssfss");
}

static void a_big_reply_goes_on_to_where_it_began(void **state)
{
        uint8_t m[64] = {0};
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        lend(&s, false);
        ask_target(&s, 'D', 'P', "");
        ask_bind(&s, "", "");
        put_header(m, 'T', 100);
        struct frame_piece first = {.type = 'T', .begins = true, .length = 105, .data = m, .size = 60};
        struct frame_piece rest = {.type = 'T', .ends = true, .messages = 1, .length = 105, .data = m,
                                   .size = 45};
        assert_int_equal(track_reply(&s.c, &s.t, &first, &s.told), TRACK_FORWARD);
        assert_int_equal(turns_owner(&s.t.turns), TURN_REPARSE);
        assert_int_equal(track_reply(&s.c, &s.t, &rest, &s.told), TRACK_FORWARD);
        assert_string_equal(says(&s, "1 2"), "sf");
}

/* ---- pins and how they end ---- */

static void state_ties_the_client_to_its_server(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        assert_true(track_quiet(&s.t));
        assert_false(lendable(&s));
        assert_false(track_audit(&s.c, &s.t, &s.before));
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_false(track_audit(&s.c, &s.t, &s.before));
        assert_string_equal(says(&s, "T D:0 C:SELECT_1 ZI"), "ssss");
        assert_true(lendable(&s));
}

static void a_client_may_go_on_while_the_server_is_asked(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        track_audit(&s.c, &s.t, &s.before);
        ask_query(&s, "LISTEN b");
        assert_string_equal(says(&s, "T D:0 C:SELECT_1 ZI C:LISTEN ZI"), "ssssff");
        assert_false(lendable(&s));
}

static void an_audit_that_fails_frees_nobody(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        track_audit(&s.c, &s.t, &s.before);
        assert_string_equal(says(&s, "E ZI"), "ss");
        assert_false(lendable(&s));
}

static void a_rollback_undoes_what_came_in_it(void **state)
{
        (void) state;
        done(&s, "BEGIN", "C:BEGIN ZT");
        done(&s, "LISTEN a", "C:LISTEN ZT");
        done(&s, "SAVEPOINT a; ROLLBACK TO a", "C:SAVEPOINT C:ROLLBACK ZT");
        done(&s, "ROLLBACK", "C:ROLLBACK ZI");
        assert_true(lendable(&s));
        done(&s, "LISTEN a; SELECT 1/0", "C:LISTEN E ZI");
        assert_true(lendable(&s));
        done(&s, "BEGIN; LISTEN a; SELECT 1/0", "C:BEGIN C:LISTEN E ZE");
        done(&s, "COMMIT", "C:ROLLBACK ZI");
        assert_true(lendable(&s));
}

static void what_was_committed_stays(void **state)
{
        static const char *const texts[][2] = {
                {"BEGIN; LISTEN a; COMMIT", "C:BEGIN C:LISTEN C:COMMIT ZI"},
                {"LISTEN a; BEGIN; ROLLBACK", "C:LISTEN C:BEGIN C:ROLLBACK ZI"},
                {"LISTEN a; COMMIT; SELECT 1/0", "C:LISTEN C:COMMIT E ZI"},
                {"BEGIN; LISTEN a; COMMIT; BEGIN; ROLLBACK",
                 "C:BEGIN C:LISTEN C:COMMIT C:BEGIN C:ROLLBACK ZI"},
                {"BEGIN; ROLLBACK; LISTEN a; ROLLBACK",
                 "C:BEGIN C:ROLLBACK C:LISTEN C:ROLLBACK ZI"},
        };
        (void) state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                done(&s, texts[i][0], texts[i][1]);
                assert_string_equal(reason(&s), "LISTEN");
                done(&s, "DISCARD ALL", "C:DISCARD_ALL ZI");
                assert_true(track_audit(&s.c, &s.t, &s.before));
                says(&s, "T D:0 C:SELECT_1 ZI");
                assert_true(lendable(&s));
        }
}

static void a_rollback_that_was_none_undoes_nothing(void **state)
{
        (void) state;
        ask_query(&s, "BEGIN");
        ask_query(&s, "COMMIT");
        ask_query(&s, "LISTEN x");
        ask_query(&s, "ROLLBACK");
        says(&s, "C:BEGIN ZT E ZI C:LISTEN ZI N C:ROLLBACK ZI");
        assert_string_equal(reason(&s), "LISTEN");
}

static void what_was_done_without_a_tag_is_done(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT set_config($1, 'off', false)");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'S');
        ask_query(&s, "BEGIN; ROLLBACK");
        says(&s, "1 2 D:off s ZI C:BEGIN C:ROLLBACK ZI");
        assert_string_equal(reason(&s), "set_config()");
}

static void a_function_call_may_take_a_lock(void **state)
{
        (void) state;
        ask_bytes(&s, 'F', "\0\0\0\1\0\0\0\0\0\0", 10);
        assert_string_equal(says(&s, "V ZI"), "ff");
        assert_string_equal(reason(&s), "advisory lock");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:0 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

/* ---- a client is gone ---- */

static void a_quiet_server_needs_no_cleaning(void **state)
{
        (void) state;
        assert_string_equal(cleaned(), "");
}

static void a_pinned_one_is_reset(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        assert_string_equal(cleaned(), "Q:" RESET_ALL);
        assert_string_equal(says_to(&s, NULL, "C:RESET S:TimeZone=UTC C:UNLISTEN ZI"), "ssss");
        assert_true(track_quiet(&s.t) && !s.t.restore_failed);
}

static void an_open_transaction_is_rolled_back_first(void **state)
{
        (void) state;
        done(&s, "BEGIN", "C:BEGIN ZT");
        assert_string_equal(cleaned(), "Q:ROLLBACK; " RESET_ALL);
        says_to(&s, NULL, "C:ROLLBACK C:RESET ZI");
        assert_true(track_quiet(&s.t));
}

static void nothing_is_committed_that_the_client_had_not_synced(void **state)
{
        (void) state;
        ask_parse(&s, "", "INSERT INTO t VALUES (1)");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'H');
        says(&s, "1 2 C:INSERT_0_1");
        assert_string_equal(cleaned(), "Q:ROLLBACK; " RESET_ALL);
        says_to(&s, NULL, "N C:ROLLBACK C:RESET ZI");
        assert_true(track_quiet(&s.t));
}

static void a_server_that_skips_is_synced_first(void **state)
{
        (void) state;
        ask_bind(&s, "", "missing");
        says(&s, "E");
        assert_string_equal(cleaned(), "S Q:ROLLBACK; " RESET_ALL);
        assert_string_equal(says_to(&s, NULL, "ZI C:ROLLBACK C:RESET ZI"), "ssss");
        assert_true(track_quiet(&s.t));
}

static void in_the_middle_of_something_it_is_closed(void **state)
{
        (void) state;
        ask_query(&s, "SELECT 1");
        assert_null(cleaned());
        says(&s, "C:SELECT_1 ZI");
        ask_query(&s, "COPY t FROM STDIN");
        says(&s, "G");
        assert_null(cleaned());
        ask(&s, 'c');
        says(&s, "C:COPY_0 ZI");
        assert_non_null(cleaned());
}

static void what_no_reset_undoes_closes_it(void **state)
{
        (void) state;
        done(&s, "LOAD 'x'", "C:LOAD ZI");
        assert_null(cleaned());
}

static void a_cleaning_that_fails_is_seen(void **state)
{
        (void) state;
        done(&s, "LISTEN a", "C:LISTEN ZI");
        assert_non_null(cleaned());
        assert_string_equal(says_to(&s, NULL, "E ZI"), "ss");
        assert_true(s.t.restore_failed);
}

/* ---- a request that was canceled while it waited ---- */

static void a_canceled_query_fails_in_its_turn(void **state)
{
        (void) state;
        done(&s, "BEGIN", "C:BEGIN ZT");
        track_cancel(&s.c, &s.t, 'Q', &s.before);
        assert_non_null(strstr(sent_first(&s), "query_canceled"));
        assert_string_equal(says(&s, "E ZE"), "ff");
        assert_false(lendable(&s));
        done(&s, "ROLLBACK", "C:ROLLBACK ZI");
        assert_true(lendable(&s));
}

static void a_canceled_extended_request_shows_only_its_error(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        track_cancel(&s.c, &s.t, 'B', &s.before);
        assert_non_null(strstr(sent_first(&s), "query_canceled"));
        ask_execute(&s, "");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 2 E ZI"), "ssff");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
}

static void while_the_server_skips_nothing_is_sent_for_it(void **state)
{
        (void) state;
        ask_bind(&s, "", "missing");
        says(&s, "E");
        track_cancel(&s.c, &s.t, 'Q', &s.before);
        assert_string_equal(sent_first(&s), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(after_its_ready_for_query_a_server_may_be_lent),
                TEST(not_in_a_transaction),
                TEST(not_before_all_of_a_pipeline_is_answered),
                TEST(not_between_flush_and_sync),
                TEST(a_query_or_function_call_ends_the_pipeline_as_a_sync_does),
                TEST(not_while_a_portal_is_suspended),
                TEST(not_while_the_server_skips_to_a_sync),
                TEST(not_while_half_a_message_is_on_its_way),
                TEST(a_simple_copy_in),
                TEST(a_failed_copy_with_late_data),
                TEST(an_extended_copy_is_not_over_before_its_sync),
                TEST(a_sync_inside_a_copy_does_not_end_it),
                TEST(an_extended_copy_all_sent_ahead),
                TEST(a_copy_that_fails_before_it_reads_gives_two_ready_for_query),
                TEST(when_that_is_not_sure_the_server_is_asked),
                TEST(and_the_late_ready_for_query_is_the_clients),
                TEST(a_request_sent_into_a_copy_spoils_the_server),
                TEST(copy_out),
                TEST(garbage_is_bad),
                TEST(a_fatal_error_may_come_at_any_time),
                TEST(notices_and_notifications_go_to_the_client),
                TEST(notices_of_the_brokers_own_do_not),
                TEST(a_big_reply_goes_on_to_where_it_began),
                TEST(state_ties_the_client_to_its_server),
                TEST(a_client_may_go_on_while_the_server_is_asked),
                TEST(an_audit_that_fails_frees_nobody),
                TEST(a_rollback_undoes_what_came_in_it),
                TEST(what_was_committed_stays),
                TEST(a_rollback_that_was_none_undoes_nothing),
                TEST(what_was_done_without_a_tag_is_done),
                TEST(a_function_call_may_take_a_lock),
                TEST(a_quiet_server_needs_no_cleaning),
                TEST(a_pinned_one_is_reset),
                TEST(an_open_transaction_is_rolled_back_first),
                TEST(nothing_is_committed_that_the_client_had_not_synced),
                TEST(a_server_that_skips_is_synced_first),
                TEST(in_the_middle_of_something_it_is_closed),
                TEST(what_no_reset_undoes_closes_it),
                TEST(a_cleaning_that_fails_is_seen),
                TEST(a_canceled_query_fails_in_its_turn),
                TEST(a_canceled_extended_request_shows_only_its_error),
                TEST(while_the_server_skips_nothing_is_sent_for_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
