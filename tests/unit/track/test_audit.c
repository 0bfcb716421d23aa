/* What a client's statements do to parameters is asked of the server, and its answer goes along. */
#include "stage.h"
#include "track/audit.h"

static struct stage s;

static int teardown(void **state)
{
        (void) state;
        stage_close(&s);
        return 0;
}

/* A client that said `said` at its start has a server that is as it wants it. */
static void open_with(const char *const *said)
{
        stage_open(&s, said);
        lend(&s, false);
        if (said)
                says(&s, "C:SET ZI");
        sent_first(&s);
        told(&s);
}

/* The question is put, and is this but for its first column; the server answers. */
static void audited(const char *about, const char *answer)
{
        char words[300];
        assert_true(track_audit(&s.c, &s.t, &s.before));
        const char *sql = sent_first(&s);
        assert_non_null(strstr(sql, about));
        snprintf(words, sizeof words, "T D:%s C:SELECT_1 ZI", answer);
        assert_null(strpbrk(says(&s, words), "fb"));
}

static const char *wanted(const char *name)
{
        const char *value = settings_get(s.c.wanted, name);
        return value ? value : "(none)";
}

static void what_was_set_goes_along_as_the_server_spells_it(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET jit = off", "C:SET ZI");
        assert_false(lendable(&s));
        audited("current_setting('jit', true)", "0|off");
        assert_true(lendable(&s));
        assert_string_equal(wanted("jit"), "off");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"jit\" = 'off'; ");
}

static void the_next_client_does_not_have_it(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SELECT set_config('jit', 'off', false)", "T D:off C:SELECT_1 ZI");
        audited("'jit'", "0|off");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"jit\"; ");
}

static void a_set_keeps_nobody_waiting(void **state)
{
        (void) state;
        open_with(NULL);
        assert_string_equal((done(&s, "SET jit = off", "C:SET ZI"), s.fates), "ff");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_false(track_settling(&s.c, &s.t));
        ask_query(&s, "SELECT 1");
        assert_string_equal(says(&s, "T D:0|off C:SELECT_1 ZI C:SELECT_1 ZI"), "ssssff");
        assert_true(lendable(&s));
}

static void what_is_set_behind_the_question_is_asked_about_again(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET jit = off", "C:SET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        ask_query(&s, "SET jit = on");
        says(&s, "T D:0|off C:SELECT_1 ZI C:SET ZI");
        assert_false(lendable(&s));
        audited("'jit'", "0|on");
        assert_string_equal(wanted("jit"), "on");
}

static void set_local_and_a_transactions_own_are_nobodys_concern(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "BEGIN; SET LOCAL jit = off; SET TRANSACTION READ ONLY; COMMIT",
             "C:BEGIN C:SET C:SET C:COMMIT ZI");
        done(&s, "SET transaction_read_only = on", "C:SET ZI");
        assert_true(lendable(&s));
}

static void session_characteristics_are_three_parameters(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "C:SET ZI");
        audited("'default_transaction_deferrable'", "0|serializable|off|off");
        assert_string_equal(wanted("default_transaction_isolation"), "serializable");
}

static void a_rollback_is_asked_for_where_values_come_from(void **state)
{
        (void) state;
        open_with(NULL);
        assert_string_equal((done(&s, "BEGIN; SET jit = off; ROLLBACK", "C:BEGIN C:SET C:ROLLBACK ZI"), s.fates),
                            "fffs");
        audited("pg_settings", "0|on|jit=default");
        assert_string_equal(told(&s), "Z");
        assert_string_equal(wanted("jit"), "(none)");
        done(&s, "SET jit = off", "C:SET ZI");
        audited("'jit'", "0|off");
        done(&s, "BEGIN; SET jit = on; ROLLBACK", "C:BEGIN C:SET C:ROLLBACK ZI");
        audited("pg_settings", "0|off|jit=session");
        assert_string_equal(wanted("jit"), "off");
        assert_true(lendable(&s));
}

static void reset_leads_back_to_what_the_client_said_at_its_start(void **state)
{
        (void) state;
        open_with((const char *[]){"jit", "off", NULL});
        done(&s, "SET jit = on", "C:SET ZI");
        audited("'jit'", "0|on");
        assert_string_equal((done(&s, "RESET jit", "C:RESET ZI"), s.fates), "fs");
        audited("'jit'", "0|on|jit=default");
        assert_string_equal(wanted("jit"), "off");
        ask_query(&s, "SELECT 1");
        assert_string_equal(sent_first(&s), "Q:SET \"jit\" = 'off'; ");
}

static void the_client_hears_of_it_before_its_statement_is_done(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"TimeZone", "Asia/Tokyo", NULL});
        lend(&s, false);
        says(&s, "C:SET S:TimeZone=Asia/Tokyo ZI");
        assert_string_equal((done(&s, "RESET TIME ZONE", "C:RESET S:TimeZone=UTC ZI"), s.fates), "ffs");
        assert_true(track_settling(&s.c, &s.t));
        audited("'timezone'", "0|UTC|TimeZone=default");
        assert_string_equal(told(&s), "S:TimeZone=Asia/Tokyo Z");
        assert_false(track_settling(&s.c, &s.t));
}

static void reset_all_asks_only_about_what_is_not_as_it_was(void **state)
{
        (void) state;
        open_with((const char *[]){"jit", "off", NULL});
        done(&s, "SET geqo = off", "C:SET ZI");
        audited("'geqo'", "0|off");
        done(&s, "RESET ALL; SET enable_sort = off", "C:RESET C:SET ZI");
        assert_int_equal(settings_count(s.c.touched), 3);
        audited("'geqo'", "0|off|on|on|jit=default,geqo=default");
        assert_string_equal(wanted("enable_sort"), "off");
        assert_string_equal(wanted("jit"), "off");
        assert_string_equal(wanted("geqo"), "(none)");
}

static void with_nothing_to_lead_back_to_reset_all_asks_nothing(void **state)
{
        (void) state;
        open_with(NULL);
        assert_string_equal((done(&s, "RESET ALL", "C:RESET ZI"), s.fates), "ff");
        assert_true(lendable(&s));
}

static void a_parameter_of_nobodys_is_reset_when_it_is_empty(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET my.tag = 'a'", "C:SET ZI");
        audited("'my.tag'", "0|a");
        done(&s, "RESET my.tag; SET my.other = 'b'", "C:RESET C:SET ZI");
        audited("'my.tag'", "0||b|~");
        assert_string_equal(wanted("my.tag"), "(none)");
        assert_string_equal(wanted("my.other"), "b");
}

static void a_reset_waits_for_the_clients_own_requests_only(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"work_mem", "1MB", NULL});
        lend(&s, false);
        ask_query(&s, "RESET work_mem");        /* behind what the broker SETs */
        assert_int_equal(s.v, TRACK_FORWARD);
        ask_query(&s, "SELECT 1");              /* must find it led back */
        assert_int_equal(s.v, TRACK_WAIT);
        says(&s, "C:SET ZI C:RESET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:0|64kB|work_mem=default C:SELECT_1 ZI");
        ask_query(&s, "SELECT 1/0");
        assert_int_equal(s.v, TRACK_FORWARD);
        ask_query(&s, "RESET work_mem");
        assert_int_equal(s.v, TRACK_WAIT);      /* that it fails says nothing of this */
}

static void without_an_answer_the_client_is_pinned(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET jit = off", "C:SET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        ask_query(&s, "SELECT 1/0");            /* what fails behind it has nothing to do with that */
        assert_string_equal(says(&s, "E ZI E ZI"), "ssff");
        assert_string_equal(reason(&s), "SET");
        done(&s, "BEGIN; ROLLBACK", "C:BEGIN C:ROLLBACK ZI");
        assert_string_equal(reason(&s), "SET");
        done(&s, "DISCARD ALL", "C:DISCARD_ALL ZI");
        assert_true(lendable(&s));
        done(&s, "SET jit = off", "C:SET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T D:0 C:SELECT_1 ZI");
        assert_string_equal(reason(&s), "SET");
}

static void an_answer_may_come_in_pieces(void **state)
{
        uint8_t m[64];
        (void) state;
        open_with(NULL);
        done(&s, "SET jit = off", "C:SET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        says(&s, "T");
        size_t size = put_header(m, 'D', put_row("0|off", m + 5));
        for (size_t at = 0; at < size; at += at ? 1 : 5) {
                struct frame_piece piece = {.type = 'D', .begins = at == 0, .ends = at + 1 >= size,
                                            .messages = at + 1 >= size, .length = size, .data = m + at,
                                            .size = at ? 1 : 5};
                assert_int_equal(track_reply(&s.c, &s.t, &piece, &s.told), TRACK_SWALLOW);
        }
        says(&s, "C:SELECT_1 ZI");
        assert_string_equal(wanted("jit"), "off");
}

static void more_parameters_than_can_be_asked_about_pin(void **state)
{
        char sql[40];
        (void) state;
        open_with(NULL);
        for (int i = 0; i < 65; i++) {
                snprintf(sql, sizeof sql, "SET my.p%d = 1", i);
                ask_query(&s, sql);
        }
        assert_string_equal(reason(&s), "SET");
}

static void only_so_many_parameters_go_along(void **state)
{
        char sql[64], question[64];
        (void) state;
        open_with(NULL);
        for (int i = 0; i < 64; i++) {
                snprintf(sql, sizeof sql, "SET my.p%d = 1", i);
                snprintf(question, sizeof question, "'my.p%d'", i);
                done(&s, sql, "C:SET ZI");
                audited(question, "0|1");
                assert_true(lendable(&s));
        }
        done(&s, "SET my.p7 = 2", "C:SET ZI");          /* which is one of them */
        audited("'my.p7'", "0|2");
        assert_true(lendable(&s));
        done(&s, "SET my.p64 = 1", "C:SET ZI");
        assert_string_equal(reason(&s), "SET");
        assert_string_equal(wanted("my.p64"), "(none)");
}

static void it_wants(const char *name, const char *value)
{
        settings_put(&s.c.wanted, name, value);
        lend(&s, false);
        says(&s, "C:SET ZI");
        bytes_free(&s.before);
}

static void nor_do_values_without_end(void **state)
{
        char *value = own_alloc(40000);
        (void) state;
        open_with(NULL);
        memset(value, 'x', 39999);
        it_wants("my.a", value);
        done(&s, "SET my.b = 1", "C:SET ZI");
        audited("'my.b'", "0|1");
        assert_true(lendable(&s));
        it_wants("my.b", value);
        free(value);
        done(&s, "SET my.c = 1", "C:SET ZI");
        assert_string_equal(reason(&s), "SET");
}

static void a_server_that_reports_without_end_is_not_believed(void **state)
{
        char report[100];
        int i = 0;
        (void) state;
        open_with(NULL);
        do {
                snprintf(report, sizeof report, "S:my.p%d=%050d", i, i);
        } while (++i < 3000 && says(&s, report)[0] != 'b');
        assert_in_range(i, 500, 2000);
}

static void a_client_that_leaves_meanwhile_leaves_a_server_that_can_be_cleaned(void **state)
{
        struct bytes out;
        (void) state;
        open_with(NULL);
        done(&s, "SET jit = off", "C:SET ZI");
        bytes_init(&out, 0);
        assert_true(track_clean(&s.c, &s.t, &out) && bytes_length(&out) > 0);
        bytes_free(&out);
        assert_string_equal(says_to(&s, NULL, "C:RESET ZI"), "ss");
        lend(&s, false);
        done(&s, "SET jit = off", "C:SET ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_true(track_clean(&s.c, &s.t, &out) && bytes_length(&out) > 0);
        bytes_free(&out);
        assert_string_equal(says_to(&s, NULL, "T D:0|off C:SELECT_1 ZI C:RESET ZI"), "ssssss");
        assert_true(track_quiet(&s.t));
}

static void what_the_server_changed_by_itself_is_told_and_goes_nowhere(void **state)
{
        (void) state;
        open_with(NULL);
        assert_string_equal((done(&s, "SELECT 1", "T D:1 C:SELECT_1 S:TimeZone=Asia/Tokyo ZI"), s.fates), "fffff");
        assert_false(lendable(&s));
        audited("pg_catalog.lower('TimeZone')", "0|Asia/Tokyo|TimeZone=configuration_file");
        assert_true(lendable(&s));
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "S:TimeZone=UTC");
}

static void what_a_function_set_and_the_server_reports_is_the_clients(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SELECT f()", "T D:1 C:SELECT_1 S:TimeZone=Asia/Tokyo ZI");
        audited("pg_catalog.lower('TimeZone')", "0|Asia/Tokyo|TimeZone=session");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"TimeZone\" = 'Asia/Tokyo'; ");
        says(&s, "C:SET S:TimeZone=Asia/Tokyo ZI");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"TimeZone\"; ");
}

/* The question about a SET LOCAL is on its way when the client SETs it for good. */
static void what_is_set_behind_the_question_stays_the_clients_own(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "BEGIN; SET LOCAL TimeZone = 'GMT'", "C:BEGIN C:SET S:TimeZone=GMT ZT");
        done(&s, "COMMIT", "C:COMMIT S:TimeZone=UTC ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        sent_first(&s);
        ask_query(&s, "SELECT set_config('TimeZone', 'UTC', false)");
        assert_string_equal(says(&s, "T D:0|UTC|TimeZone=default C:SELECT_1 ZI T D:UTC C:SELECT_1 ZI"), "ssssffff");
        ask_query(&s, "SHOW TimeZone");
        assert_null(strstr(sent_first(&s), "RESET"));
        says(&s, "T D:UTC C:SHOW ZI");
        audited("current_setting('timezone', true)", "0|UTC");
        track_server_free(&s.t);
        stage_server(&s);
        settings_put(&s.t.reported, "TimeZone", "Asia/Tokyo");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"TimeZone\" = 'UTC'; ");
}

static void a_reset_gives_up_what_was_the_clients_own(void **state)
{
        (void) state;
        open_with(NULL);
        done(&s, "SET TimeZone = 'Asia/Tokyo'", "C:SET S:TimeZone=Asia/Tokyo ZI");
        assert_string_equal((done(&s, "RESET TimeZone", "C:RESET S:TimeZone=UTC ZI"), s.fates), "ffs");
        audited("pg_catalog.lower('timezone')", "0|UTC|TimeZone=default");
        says_to(&s, NULL, "S:TimeZone=Asia/Tokyo");
        told(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "S:TimeZone=Asia/Tokyo");
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_was_set_goes_along_as_the_server_spells_it),
                TEST(the_next_client_does_not_have_it),
                TEST(a_set_keeps_nobody_waiting),
                TEST(what_is_set_behind_the_question_is_asked_about_again),
                TEST(set_local_and_a_transactions_own_are_nobodys_concern),
                TEST(session_characteristics_are_three_parameters),
                TEST(a_rollback_is_asked_for_where_values_come_from),
                TEST(reset_leads_back_to_what_the_client_said_at_its_start),
                TEST(the_client_hears_of_it_before_its_statement_is_done),
                TEST(reset_all_asks_only_about_what_is_not_as_it_was),
                TEST(with_nothing_to_lead_back_to_reset_all_asks_nothing),
                TEST(a_parameter_of_nobodys_is_reset_when_it_is_empty),
                TEST(what_the_server_changed_by_itself_is_told_and_goes_nowhere),
                TEST(what_a_function_set_and_the_server_reports_is_the_clients),
                TEST(what_is_set_behind_the_question_stays_the_clients_own),
                TEST(a_reset_gives_up_what_was_the_clients_own),
                TEST(a_reset_waits_for_the_clients_own_requests_only),
                TEST(without_an_answer_the_client_is_pinned),
                TEST(an_answer_may_come_in_pieces),
                TEST(more_parameters_than_can_be_asked_about_pin),
                TEST(only_so_many_parameters_go_along),
                TEST(nor_do_values_without_end),
                TEST(a_server_that_reports_without_end_is_not_believed),
                TEST(a_client_that_leaves_meanwhile_leaves_a_server_that_can_be_cleaned),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
