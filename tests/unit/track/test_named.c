/* A client's named statements are there on whichever server it has. */
#include "stage.h"
#include "track/named.h"

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

/* The client has another server, that nobody had. */
static void another_server(void)
{
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        sent_first(&s);
}

static void prepare(const char *name, const char *sql)
{
        ask_parse(&s, name, sql);
        ask(&s, 'S');
        says(&s, "1 ZI");
        sent_first(&s);
}

/* Another client comes, and servers may have so many statements. */
static void allow(unsigned prepared)
{
        track_client_free(&s.c);
        s.prepared = prepared;
        stage_client(&s, NULL);
        lend(&s, false);
}

static void run(const char *name)
{
        ask_bind(&s, "", name);
        ask_execute(&s, "");
        ask(&s, 'S');
}

/* Is this name among what went to the server? */
static bool last_names(const char *name)
{
        size_t n = bytes_length(&s.before), length = strlen(name) + 1;
        return memmem(bytes_data(&s.before), n, name, length) != NULL;
}

static void a_name_is_the_brokers_own_on_the_server(void **state)
{
        (void) state;
        ask_parse(&s, "s1", "SELECT 1");
        assert_int_equal(s.q.pins, 0);
        assert_true(last_names("pgbroker_1"));
        assert_int_equal(s.replaced, 5 + 3);
        bytes_free(&s.before);
        ask_bind(&s, "p", "s1");
        assert_true(last_names("pgbroker_1"));
        assert_int_equal(s.replaced, 5 + 2 + 3);
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 2 ZI"), "fff");
        assert_true(lendable(&s));
}

static void another_server_gets_it_first_and_the_client_does_not_hear_of_it(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        another_server();
        run("s1");
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT 1 B");
        assert_string_equal(says(&s, "1 2 C:SELECT_1 ZI"), "sfff");
        run("s1");
        assert_string_equal(sent_first(&s), "B");
        assert_string_equal(says(&s, "2 C:SELECT_1 ZI"), "fff");
        assert_true(lendable(&s));
}

static void describe_brings_it_too(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        another_server();
        ask_target(&s, 'D', 'S', "s1");
        assert_true(last_names("pgbroker_1"));
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 t T ZI"), "sfff");
}

static void the_same_text_is_one_statement(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        ask_parse(&s, "other", "SELECT 1");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT 1");
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 1 ZI"), "sff");
        run("other");
        assert_true(last_names("pgbroker_1"));
        says(&s, "2 C:SELECT_1 ZI");
        bytes_free(&s.before);
        ask_parse(&s, "third", "SELECT 2");
        assert_string_equal(sent_first(&s), "P:pgbroker_2=SELECT 2");
}

static void other_parameters_to_read_it_by_make_another_one(void **state)
{
        (void) state;
        prepare("s1", "SELECT '1/2/2026'::date");
        done(&s, "SET DateStyle = 'ISO, DMY'", "C:SET S:DateStyle=ISO,_DMY ZI");
        run("s1");
        assert_true(last_names("pgbroker_1"));          /* here it was read before, and means the same */
        says(&s, "2 C:SELECT_1 ZI");
        bytes_free(&s.before);
        ask_parse(&s, "s2", "SELECT '1/2/2026'::date");
        assert_true(last_names("pgbroker_2"));
        ask(&s, 'S');
        says(&s, "1 ZI");
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        says(&s, "C:SET S:DateStyle=ISO,_DMY ZI");
        ask_bind(&s, "", "s1");
        assert_int_equal(s.v, TRACK_ASK);               /* elsewhere it must be read so once more */
        done(&s, "BEGIN", "C:BEGIN ZT");
        done(&s, "SELECT 1", "C:SELECT_1 ZT");
        bytes_free(&s.before);
        run("s1");                                      /* there is no room for that here */
        assert_string_equal(sent_first(&s), "P:pgbroker_2=SELECT '1/2/2026'::date B");
}

/* The text by which a new name's is known on the server. */
static const char *read_as(const char *name)
{
        static char own[32];
        ask_parse(&s, name, "SELECT '1/2/2026'::date");
        const char *words = sent_first(&s), *p = strstr(words, "P:");
        snprintf(own, sizeof own, "%.*s", (int) strcspn(p + 2, "="), p + 2);
        ask(&s, 'S');
        says(&s, strchr(words, 'C') ? "3 1 ZT" : "1 ZT");
        return own;
}

static void what_is_read_by_parameters_that_are_being_set_is_nobody_elses(void **state)
{
        static const char *const changes[] = {
                "SET LOCAL array_nulls = off", "SELECT set_config('DateStyle', 'ISO, DMY', true)",
                "SET xmloption = document", "RESET xmloption", "SET DateStyle = 'ISO, DMY'"};
        (void) state;
        assert_string_equal(read_as("s0"), "pgbroker_1");
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                char name[8], other[8];
                snprintf(name, sizeof name, "a%zu", i);
                snprintf(other, sizeof other, "b%zu", i);
                done(&s, "BEGIN", "C:BEGIN ZT");
                done(&s, changes[i], "C:SET ZT");
                assert_string_not_equal(read_as(name), "pgbroker_1");
                done(&s, "ROLLBACK", "C:ROLLBACK ZI");
                if (track_audit(&s.c, &s.t, &s.before))
                        says(&s, "T D:0|content|xmloption=default C:SELECT_1 ZI");
                sent_first(&s);
                assert_true(lendable(&s));
                assert_string_equal(read_as(other), "pgbroker_1");
                done(&s, "ROLLBACK", "C:ROLLBACK ZI");
        }
}

static void a_name_is_known_by_its_first_63_bytes(void **state)
{
        static const char name[] = "a23456789b123456789c123456789d123456789e123456789f123456789g12345678";
        char cut[64] = {0};
        (void) state;
        memcpy(cut, name, sizeof cut - 1);
        prepare(name, "SELECT 1");
        run(cut);
        assert_true(last_names("pgbroker_1"));
        says(&s, "2 C:SELECT_1 ZI");
        bytes_free(&s.before);
        ask_bind(&s, "", "a23456789b123456789c123456789d123456789e123456789f123456789g1234");
        assert_true(last_names("pgbroker_1"));
        ask(&s, 'S');
        says(&s, "2 ZI");
        bytes_free(&s.before);
        ask_target(&s, 'C', 'S', cut);
        ask(&s, 'S');
        says(&s, "3 ZI");
        assert_int_equal(statements_count(&s.c.statements), 0);
}

/* Both names mean the same text under parameters that are others now, and one has brought it in a batch that fails. */
static void one_that_reads_otherwise_now_counts_on_no_batch_that_may_fail(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_parse(&s, "s2", "SELECT 1");
        ask(&s, 'S');
        says(&s, "3 1 ZI");
        done(&s, "SET TimeZone = 'Asia/Tokyo'", "C:SET S:TimeZone=Asia/Tokyo ZI");
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        says(&s, "C:SET S:TimeZone=Asia/Tokyo ZI");
        sent_first(&s);
        ask_bind(&s, "", "nothing");
        ask_parse(&s, "s1", "SELECT 2");
        assert_string_equal(sent_first(&s), "P:pgbroker_2=SELECT 1 P:pgbroker_2=SELECT 2");
        ask(&s, 'S');
        ask_bind(&s, "", "s2");
        assert_int_equal(s.v, TRACK_WAIT);
        assert_string_equal(says(&s, "E ZI"), "ff");
        ask_bind(&s, "", "s2");
        assert_int_equal(s.v, TRACK_ASK);               /* it is not there */
}

static void types_make_another_one(void **state)
{
        static const char typed[] = "s2\0SELECT $1\0\0\1\0\0\0\27";
        (void) state;
        prepare("s1", "SELECT $1");
        ask_bytes(&s, 'P', typed, sizeof typed - 1);
        assert_true(last_names("pgbroker_2"));
}

static void a_parse_that_fails_leaves_nothing(void **state)
{
        (void) state;
        ask_parse(&s, "s1", "SELEC 1");
        ask(&s, 'S');
        assert_string_equal(says(&s, "E ZI"), "ff");
        assert_true(lendable(&s));
        assert_null(statements_find(&s.c.statements, "s1"));
        assert_int_equal(s.t.prepared.count, 0);
        prepare("s1", "SELECT 1");
        assert_int_equal(s.t.prepared.count, 1);
}

static void what_was_skipped_was_not_done(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_bind(&s, "", "nowhere");
        ask_parse(&s, "s2", "SELECT 2");
        ask_target(&s, 'C', 'S', "s1");
        ask_parse(&s, "s1", "SELECT 3");
        ask(&s, 'S');
        assert_string_equal(says(&s, "E ZI"), "ff");
        assert_null(statements_find(&s.c.statements, "s2"));
        bytes_free(&s.before);
        run("s1");
        assert_true(last_names("pgbroker_1"));
        assert_int_equal(s.t.prepared.count, 1);
}

static void a_name_that_is_taken_is_refused_with_the_clients_name(void **state)
{
        static const char refusal[] = "SERROR\0VERROR\0C42P05\0Mprepared statement \"pgbroker_1\" already exists\0";
        (void) state;
        prepare("s1", "SELECT 1");
        ask_parse(&s, "s1", "SELECT 2");
        ask(&s, 'S');
        assert_int_equal(hear_error(&s, refusal, sizeof refusal), TRACK_SWALLOW);
        assert_non_null(memmem(bytes_data(&s.told), bytes_length(&s.told), "\"s1\" already exists", 20));
        says(&s, "ZI");
        bytes_free(&s.told);
        bytes_free(&s.before);
        run("s1");
        assert_true(last_names("pgbroker_1"));
}

static void refuse_1_as_s1(void)
{
        static const char refusal[] = "SERROR\0VERROR\0C08P01\0Mprepared statement \"pgbroker_1\" requires 1\0";
        bytes_free(&s.told);
        assert_int_equal(hear_error(&s, refusal, sizeof refusal), TRACK_SWALLOW);
        assert_non_null(memmem(bytes_data(&s.told), bytes_length(&s.told), "\"s1\" requires 1", 15));
}

static void an_error_bears_a_name_whose_close_was_sent_behind_it(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        run("s1");
        says(&s, "2 C:SELECT_1 ZI");
        ask_bind(&s, "", "s1");
        ask_target(&s, 'C', 'S', "s1");
        ask(&s, 'S');
        refuse_1_as_s1();
        assert_string_equal(says(&s, "ZI"), "f");
        run("s1");
        assert_string_equal(says(&s, "2 C:SELECT_1 ZI"), "fff");
}

static void an_error_bears_a_name_that_is_closed_in_the_next_batch(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        run("s1");
        says(&s, "2 C:SELECT_1 ZI");
        ask_bind(&s, "", "s1");
        ask(&s, 'S');
        ask_target(&s, 'C', 'S', "s1");
        ask(&s, 'S');
        refuse_1_as_s1();
        assert_string_equal(says(&s, "ZI 3 ZI"), "fff");
        assert_null(statements_find(&s.c.statements, "s1"));
}

static void and_though_it_would_be_read_otherwise_by_then(void **state)
{
        (void) state;
        allow(1);
        prepare("s1", "SELECT 1");
        done(&s, "SET TimeZone = 'Asia/Tokyo'", "C:SET S:TimeZone=Asia/Tokyo ZI");
        run("s1");
        ask_parse(&s, "s2", "SELECT 2");        /* there is room for one */
        ask(&s, 'S');
        ask_target(&s, 'C', 'S', "s1");
        refuse_1_as_s1();
}

static void were_it_not_refused_nobody_may_have_that_server(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_parse(&s, "s1", "SELECT 2");
        assert_string_equal(says(&s, "1"), "b");
}

static void close_frees_the_name_and_leaves_the_statement_to_others(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_target(&s, 'C', 'S', "s1");
        assert_true(last_names("pgbroker_0"));
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 ZI"), "ff");
        assert_null(statements_find(&s.c.statements, "s1"));
        assert_int_equal(s.t.prepared.count, 1);
        bytes_free(&s.before);
        ask_bind(&s, "", "s1");
        assert_int_equal(s.replaced, 0);
        assert_string_equal(sent_first(&s), "");
}

static void execute_in_sql_finds_a_statement_of_the_protocol(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_query(&s, "EXECUTE S1; SELECT 'EXECUTE s2'");
        assert_string_equal(sent_first(&s), "C P:s1=SELECT 1 S");
        assert_string_equal(says(&s, "3 1 ZI C:SELECT_1 C:SELECT_1 ZI"), "sssfff");
        assert_string_equal(reason(&s), "PREPARE");
        ask_extended(&s, "EXPLAIN EXECUTE \"s1\"");
        assert_string_equal(sent_first(&s), "C P:s1=SELECT 1");
        assert_string_equal(says(&s, "3 1 1 2 C:EXPLAIN ZI"), "ssffff");
        ask_target(&s, 'C', 'S', "s1");
        assert_true(last_names("s1"));
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 3 ZI"), "sff");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_non_null(strstr(sent_first(&s), "pgbroker_"));
        says(&s, "T D:0 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void one_that_can_not_be_parsed_any_more_keeps_nobody_waiting(void **state)
{
        (void) state;
        prepare("s1", "SELECT * FROM t");
        ask_query(&s, "EXECUTE s1");
        assert_string_equal(says(&s, "3 E ZI E ZI"), "sssff");
        assert_true(track_audit(&s.c, &s.t, &s.before));
}

static void a_query_in_an_open_batch_brings_none_with_a_sync_of_its_own(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_bind(&s, "", "s1");
        sent_first(&s);
        ask_query(&s, "EXECUTE s1");
        assert_string_equal(sent_first(&s), "");
        ask(&s, 'S');
        assert_string_equal(says(&s, "E ZI"), "ff");
        ask_query(&s, "EXECUTE s1");
        assert_string_equal(sent_first(&s), "C P:s1=SELECT 1 S");
}

static void it_is_found_before_the_same_text_deallocates_it(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_query(&s, "EXECUTE s1; DEALLOCATE s1");
        assert_string_equal(sent_first(&s), "C P:s1= C P:s1=SELECT 1 S");
        assert_string_equal(says(&s, "3 1 3 1 ZI C:SELECT_1 C:DEALLOCATE ZI"), "sssssfff");
        assert_null(statements_find(&s.c.statements, "s1"));
}

static void each_is_brought_once_and_not_too_many(void **state)
{
        char name[8], text[16], sql[900] = "EXECUTE s0; EXECUTE s0;";
        (void) state;
        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof name, "s%d", i);
                snprintf(text, sizeof text, "SELECT %d", i);
                prepare(name, text);
                sprintf(sql + strlen(sql), "EXECUTE %s;", name);
        }
        ask_query(&s, sql);
        assert_int_equal(s.t.turns.count, 16 * 2 + 2);
}

static void prepare_in_sql_finds_the_name_taken(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_query(&s, "PREPARE s1 AS SELECT 2");
        assert_string_equal(sent_first(&s), "C P:s1=SELECT 1 S");
        says(&s, "3 1 ZI E ZI");
        ask_query(&s, "EXECUTE s2");
        assert_string_equal(sent_first(&s), "");
}

static void a_name_of_the_brokers_own_is_nobodys(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_bind(&s, "", "pgbroker_1");
        assert_true(last_names("pgbroker_0"));
        assert_false(last_names("pgbroker_1"));
}

static void what_was_used_least_makes_room(void **state)
{
        (void) state;
        allow(2);
        prepare("s1", "SELECT 1");
        prepare("s2", "SELECT 2");
        run("s1");
        says(&s, "2 C:SELECT_1 ZI");
        sent_first(&s);
        ask_parse(&s, "s3", "SELECT 3");
        assert_string_equal(sent_first(&s), "C P:pgbroker_3=SELECT 3");
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 1 ZI"), "sff");
        run("s2");
        assert_string_equal(sent_first(&s), "C P:pgbroker_2=SELECT 2 B");
        assert_string_equal(says(&s, "3 1 2 C:SELECT_1 ZI"), "ssfff");
        assert_int_equal(s.t.prepared.count, 2);
}

static void what_is_on_its_way_makes_no_room(void **state)
{
        (void) state;
        allow(1);
        ask_parse(&s, "s1", "SELECT 1");
        ask_parse(&s, "s2", "SELECT 2");
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT 1 P:pgbroker_2=SELECT 2");
        ask_bind(&s, "", "s1");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 1 2 ZI"), "ffff");
        assert_int_equal(s.t.prepared.count, 2);
}

static void making_room_that_was_skipped_did_not_happen(void **state)
{
        (void) state;
        allow(1);
        prepare("s1", "SELECT 1");
        ask_bind(&s, "", "nowhere");
        ask_parse(&s, "s2", "SELECT 2");
        ask(&s, 'S');
        says(&s, "E ZI");
        sent_first(&s);
        run("s1");
        assert_string_equal(sent_first(&s), "B");
}

static void what_made_room_in_a_batch_that_may_fail_is_closed_first(void **state)
{
        (void) state;
        allow(1);
        prepare("s1", "SELECT 1");
        for (unsigned skipped = 1; skipped <= 2; skipped++) {
                ask_bind(&s, "", "no such");
                ask_parse(&s, "s2", "SELECT 2");
                assert_string_equal(sent_first(&s), skipped == 1 ? "C P:pgbroker_2=SELECT 2"
                                                                 : "C P:pgbroker_3=SELECT 2");
                ask(&s, 'S');
                if (skipped == 2)
                        ask_bind(&s, "", "no such");
                run("s1");
                assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT 1 B");
                says(&s, skipped == 1 ? "E ZI 3 1 2 C:SELECT_1 ZI" : "E ZI E ZI");
                assert_int_equal(s.t.prepared.count, 1);
                run("s1");
                assert_string_equal(sent_first(&s), "B");
                says(&s, "2 C:SELECT_1 ZI");
        }
}

static void what_one_sync_may_have_undone_is_waited_for(void **state)
{
        (void) state;
        ask_parse(&s, "s1", "SELECT 1");
        ask_bind(&s, "", "s1");
        assert_int_equal(s.v, TRACK_FORWARD);
        ask(&s, 'S');
        ask_bind(&s, "", "s1");
        assert_int_equal(s.v, TRACK_WAIT);
        assert_true(track_settling(&s.c, &s.t));
        says(&s, "1 2 ZI");
        assert_false(track_settling(&s.c, &s.t));
        ask_bind(&s, "", "s1");
        assert_int_equal(s.v, TRACK_FORWARD);
}

static void deallocate_finds_a_statement_of_that_name(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        ask_query(&s, "DEALLOCATE s1");
        assert_string_equal(sent_first(&s), "C P:s1=");
        ask_bind(&s, "", "s1");
        assert_int_equal(s.v, TRACK_WAIT);
        assert_string_equal(says(&s, "3 1 C:DEALLOCATE ZI"), "ssff");
        assert_null(statements_find(&s.c.statements, "s1"));
        assert_true(lendable(&s) && !s.t.soiled);
}

static void a_deallocate_that_was_not_done_leaves_a_server_to_be_reset(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        done(&s, "SELECT 1/0; DEALLOCATE s1", "3 1 E ZI");
        assert_non_null(statements_find(&s.c.statements, "s1"));
        assert_true(s.t.soiled);
}

static void what_such_a_deallocate_left_goes_with_the_clients_own(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        done(&s, "BEGIN; SELECT 1/0", "C:BEGIN E ZE");
        done(&s, "DEALLOCATE s1", "3 1 E ZE");
        sent_first(&s);
        ask_target(&s, 'C', 'S', "s1");
        assert_string_equal(sent_first(&s), "C C");
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 3 ZE"), "sff");
        assert_null(statements_find(&s.c.statements, "s1"));
}

static void deallocate_all_leaves_nothing_here_or_there(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        done(&s, "DEALLOCATE ALL", "C:DEALLOCATE_ALL ZI");
        assert_null(statements_find(&s.c.statements, "s1"));
        assert_int_equal(s.t.prepared.count, 0);
        prepare("s1", "SELECT 1");
        done(&s, "DISCARD ALL", "C:DISCARD_ALL ZI");
        assert_int_equal(s.t.prepared.count + statements_count(&s.c.statements), 0);
        assert_true(lendable(&s));
}

static void a_full_reset_forgets_what_the_server_had(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        lend(&s, true);
        says(&s, "C:RESET ZI");
        sent_first(&s);
        run("s1");
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT 1 B");
}

static void a_plan_that_is_of_no_use_any_more_is_made_again_when_it_is_next_used(void **state)
{
        static const char refusal[] = "SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0"
                                      "RRevalidateCachedQuery\0";
        (void) state;
        prepare("s1", "SELECT * FROM t");
        prepare("s2", "SELECT 2");
        run("s1");
        sent_first(&s);
        assert_int_equal(hear_error(&s, refusal, sizeof refusal), TRACK_FORWARD);
        says(&s, "ZI");
        assert_true(lendable(&s) && !s.t.soiled);
        run("s1");
        assert_string_equal(sent_first(&s), "C P:pgbroker_1=SELECT * FROM t B");
        assert_string_equal(says(&s, "3 1 2 C:SELECT_1 ZI"), "ssfff");
        run("s1");
        assert_string_equal(sent_first(&s), "B");
        says(&s, "2 C:SELECT_1 ZI");
        run("s2");                      /* nobody knows which it was */
        assert_string_equal(sent_first(&s), "C P:pgbroker_2=SELECT 2 B");
        says(&s, "3 1 E ZI");
        assert_true(lendable(&s));
}

static void what_can_not_be_prepared_again_is_not_there(void **state)
{
        (void) state;
        prepare("s1", "SELECT * FROM t");
        prepared_doubt(&s.t.prepared);
        run("s1");
        sent_first(&s);
        assert_string_equal(says(&s, "3 E ZI"), "sff");
        run("s1");
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT * FROM t B");
        says(&s, "1 2 C:SELECT_1 ZI");
        prepared_doubt(&s.t.prepared);
        done(&s, "SET DateStyle = 'ISO, DMY'", "C:SET S:DateStyle=ISO,_DMY ZI");
        ask_bind(&s, "", "s1");         /* it would be read otherwise now */
        assert_int_equal(s.v, TRACK_ASK);
}

static void a_long_one_pins_until_it_is_closed(void **state)
{
        static uint8_t m[TEXTS_MAX + 100];
        (void) state;
        memset(m, ' ', sizeof m);
        memcpy(m + 5, "s1\0SELECT 1", 11);
        memcpy(m + sizeof m - 3, "\0\0\0", 3);
        size_t size = put_header(m, 'P', sizeof m - 5);
        ask_piece(&s, m, size, true, true, size, 'P');
        assert_int_equal(s.q.pins, PIN_BIT(PIN_STATEMENT));
        ask(&s, 'S');
        says(&s, "1 ZI");
        assert_string_equal(reason(&s), "long prepared statement");
        bytes_free(&s.before);
        ask_target(&s, 'C', 'S', "s1");
        assert_true(last_names("pgbroker_1"));
        ask(&s, 'S');
        assert_string_equal(says(&s, "3 ZI"), "ff");
        assert_true(lendable(&s));
}

static void a_close_that_was_skipped_does_not_end_a_pin(void **state)
{
        (void) state;
        allow(0);
        ask_parse(&s, "s1", "SELECT 1");
        ask_parse(&s, "s1", "SELECT 2");
        ask_target(&s, 'C', 'S', "s1");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 E ZI"), "fff");
        assert_non_null(statements_find(&s.c.statements, "s1"));
        assert_false(lendable(&s));
}

static void without_any_allowed_on_servers_each_pins(void **state)
{
        (void) state;
        allow(0);
        ask_parse(&s, "s1", "SELECT 1");
        assert_int_equal(s.q.pins, PIN_BIT(PIN_STATEMENT));
        ask(&s, 'S');
        says(&s, "1 ZI");
        assert_false(lendable(&s));
}

static void more_names_than_anybody_needs_are_refused(void **state)
{
        char name[24];
        (void) state;
        for (int i = 0; i < STATEMENTS_MAX; i++) {
                snprintf(name, sizeof name, "s%d", i);
                ask_parse(&s, name, "SELECT 1");
                says(&s, i ? "3 1" : "1");
                bytes_free(&s.before);
        }
        assert_int_equal(s.v, TRACK_FORWARD);
        ask_parse(&s, "one more", "SELECT 1");
        assert_int_equal(s.v, TRACK_BAD);
        ask_target(&s, 'C', 'S', "s7");
        says(&s, "3");
        ask_parse(&s, "one more", "SELECT 1");
        assert_int_equal(s.v, TRACK_FORWARD);
}

/* Each of another text, of 60000 bytes. */
static void prepare_long(int i)
{
        char *payload = own_alloc(60000);
        memset(payload, ' ', 60000);
        payload[snprintf(payload, 60000, "s%d", i)] = 0;
        payload[10 + snprintf(payload + 10, 100, "SELECT %d", i)] = ' ';
        memset(payload + 60000 - 3, 0, 3);
        ask_bytes(&s, 'P', payload, 60000);
        says(&s, "1");
        bytes_free(&s.before);
        free(payload);
}

static void more_text_than_goes_along_pins(void **state)
{
        int i = 0;
        (void) state;
        do {
                prepare_long(i++);
        } while (!*reason(&s) && i < 1000);
        assert_string_equal(reason(&s), "long prepared statement");
        assert_in_range(i, STATEMENTS_SHARED_MAX / 61000, STATEMENTS_SHARED_MAX / 59000 + 1);
        char name[16];
        snprintf(name, sizeof name, "s%d", i - 1);
        ask_target(&s, 'C', 'S', name);
        ask_target(&s, 'C', 'S', "s0");
        says(&s, "3 3");
        assert_string_equal(reason(&s), "");
        prepare_long(i);
        assert_string_equal(reason(&s), "");
}

static void so_does_more_than_a_pools_clients_may_share(void **state)
{
        struct track_client client[20];
        unsigned clients = 0;
        (void) state;
        for (int i = 0; !*reason(&s) && clients < 20; i++) {
                prepare_long(i);
                if (s.c.statements.shared < STATEMENTS_SHARED_MAX - 60100)
                        continue;
                client[clients++] = s.c;
                stage_client(&s, NULL);
        }
        assert_string_equal(reason(&s), "long prepared statement");
        assert_int_equal(clients, TEXTS_ALL_MAX / STATEMENTS_SHARED_MAX / 2);
        while (clients > 0)
                track_client_free(&client[--clients]);
}

static void only_so_many_changes_wait_for_answers(void **state)
{
        (void) state;
        prepare("s1", "SELECT 1");
        for (int i = 0; i < TURNS_CHANGES / 2; i++) {
                assert_false(turns_full(&s.t.turns));
                ask_target(&s, 'C', 'S', "s1");
                ask_parse(&s, "s1", "SELECT 1");
        }
        assert_true(turns_full(&s.t.turns));
        bytes_free(&s.before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_name_is_the_brokers_own_on_the_server),
                TEST(another_server_gets_it_first_and_the_client_does_not_hear_of_it),
                TEST(describe_brings_it_too),
                TEST(the_same_text_is_one_statement),
                TEST(other_parameters_to_read_it_by_make_another_one),
                TEST(what_is_read_by_parameters_that_are_being_set_is_nobody_elses),
                TEST(a_name_is_known_by_its_first_63_bytes),
                TEST(one_that_reads_otherwise_now_counts_on_no_batch_that_may_fail),
                TEST(types_make_another_one),
                TEST(a_parse_that_fails_leaves_nothing),
                TEST(what_was_skipped_was_not_done),
                TEST(a_name_that_is_taken_is_refused_with_the_clients_name),
                TEST(an_error_bears_a_name_whose_close_was_sent_behind_it),
                TEST(an_error_bears_a_name_that_is_closed_in_the_next_batch),
                TEST(and_though_it_would_be_read_otherwise_by_then),
                TEST(were_it_not_refused_nobody_may_have_that_server),
                TEST(close_frees_the_name_and_leaves_the_statement_to_others),
                TEST(execute_in_sql_finds_a_statement_of_the_protocol),
                TEST(one_that_can_not_be_parsed_any_more_keeps_nobody_waiting),
                TEST(a_query_in_an_open_batch_brings_none_with_a_sync_of_its_own),
                TEST(it_is_found_before_the_same_text_deallocates_it),
                TEST(each_is_brought_once_and_not_too_many),
                TEST(prepare_in_sql_finds_the_name_taken),
                TEST(a_name_of_the_brokers_own_is_nobodys),
                TEST(what_was_used_least_makes_room),
                TEST(what_is_on_its_way_makes_no_room),
                TEST(making_room_that_was_skipped_did_not_happen),
                TEST(what_made_room_in_a_batch_that_may_fail_is_closed_first),
                TEST(what_one_sync_may_have_undone_is_waited_for),
                TEST(deallocate_finds_a_statement_of_that_name),
                TEST(a_deallocate_that_was_not_done_leaves_a_server_to_be_reset),
                TEST(what_such_a_deallocate_left_goes_with_the_clients_own),
                TEST(deallocate_all_leaves_nothing_here_or_there),
                TEST(a_full_reset_forgets_what_the_server_had),
                TEST(a_plan_that_is_of_no_use_any_more_is_made_again_when_it_is_next_used),
                TEST(what_can_not_be_prepared_again_is_not_there),
                TEST(a_long_one_pins_until_it_is_closed),
                TEST(a_close_that_was_skipped_does_not_end_a_pin),
                TEST(without_any_allowed_on_servers_each_pins),
                TEST(more_names_than_anybody_needs_are_refused),
                TEST(more_text_than_goes_along_pins),
                TEST(so_does_more_than_a_pools_clients_may_share),
                TEST(only_so_many_changes_wait_for_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
