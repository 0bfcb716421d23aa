#include "stage.h"
#include "track/restore.h"

#define FULL_RESET                                                                                 \
        "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; "              \
        "SELECT pg_catalog.pg_advisory_unlock_all(); DEALLOCATE ALL; DISCARD TEMP; "               \
        "DISCARD SEQUENCES; "

static struct stage s;

static int teardown(void **state)
{
        (void) state;
        stage_close(&s);
        return 0;
}

static void open_with(const char *name, const char *value)
{
        stage_open(&s, (const char *[]){name, value, NULL});
        lend(&s, false);
}

static void with_nothing_different_nothing_is_sent(void **state)
{
        (void) state;
        stage_open(&s, NULL);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "");
        assert_true(track_quiet(&s.t));
}

static void differences_are_set_in_one_query_that_the_client_does_not_hear(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"TimeZone", "Europe/Berlin", "work_mem", "1MB", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s),
                            "Q:SET \"TimeZone\" = 'Europe/Berlin'; SET \"work_mem\" = '1MB'; ");
        assert_string_equal(says(&s, "C:SET C:SET S:TimeZone=Europe/Berlin ZI"), "ssss");
        assert_string_equal(told(&s), "");
        assert_string_equal(settings_get(s.t.reported, "timezone"), "Europe/Berlin");
        assert_true(lendable(&s));
}

static void a_client_alike_costs_nothing(void **state)
{
        (void) state;
        open_with("work_mem", "1MB");
        says(&s, "C:SET ZI");
        sent_first(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
}

static void what_is_not_ascii_comes_behind_its_encoding(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"client_encoding", "LATIN1", "my.word", "n\351e", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"client_encoding\" = 'LATIN1';  Q:SET \"client_encoding\" = 'LATIN1'; "
                                            "SET \"my.word\" = 'n\351e'; ");
        assert_string_equal(says(&s, "C:SET S:client_encoding=LATIN1 ZI C:SET C:SET ZI"), "ssssss");
        assert_string_equal(told(&s), "");      /* nor of what is not set yet */
        assert_true(lendable(&s));
}

static void what_was_set_for_one_client_is_reset_for_the_next(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"work_mem", "1MB", "jit", "off", NULL});
        lend(&s, false);
        says(&s, "C:SET C:SET ZI");
        sent_first(&s);
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"jit", "off", "TimeZone", "Asia/Tokyo", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"work_mem\"; SET \"TimeZone\" = 'Asia/Tokyo'; ");
}

static void the_role_goes_before_all_others_and_comes_behind_them(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"role", "r", "jit", "off", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"jit\" = 'off'; SET \"role\" = 'r'; ");
        says(&s, "C:SET C:SET ZI");
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"role", "r", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"role\"; RESET ALL; SET \"role\" = 'r'; ");
        says(&s, "C:RESET C:RESET C:SET ZI");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"role\"; ");
}

static void what_may_not_be_reset_by_itself_is_reset_with_all(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"my.word", "one", "work_mem", "1MB", NULL});
        lend(&s, false);
        says(&s, "C:SET C:SET ZI");
        sent_first(&s);
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"work_mem", "1MB", "TimeZone", "Asia/Tokyo", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET ALL; SET \"TimeZone\" = 'Asia/Tokyo'; SET \"work_mem\" = '1MB'; ");
}

static void values_are_quoted(void **state)
{
        (void) state;
        open_with("application_name", "it's a \\");
        assert_string_equal(sent_first(&s), "Q:SET \"application_name\" = E'it''s a \\\\'; ");
        stage_close(&s);
        open_with("my.\"x", "1; DROP TABLE t");
        assert_string_equal(sent_first(&s), "Q:SET \"my.\"\"x\" = '1; DROP TABLE t'; ");
}

static void an_empty_application_name_is_a_value(void **state)
{
        (void) state;
        open_with("application_name", "a");
        says(&s, "C:SET S:application_name=a ZI");
        sent_first(&s);
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"application_name\"; ");
        assert_string_equal(says(&s, "C:RESET S:application_name= ZI"), "sss");
        assert_string_equal(told(&s), "");
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"application_name", "", NULL});
        track_server_free(&s.t);
        stage_server(&s);
        settings_put(&s.t.reported, "application_name", "the server's");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"application_name\" = ''; ");
}

static void lists_of_names_go_through_set_config(void **state)
{
        (void) state;
        open_with("search_path", "\"$user\", public, \"it's\"");
        assert_string_equal(sent_first(&s), "Q:SELECT pg_catalog.set_config('search_path', "
                                            "'\"$user\", public, \"it''s\"', false); ");
        assert_string_equal(says(&s, "T D:x C:SELECT_1 ZI"), "ssss");
        assert_true(lendable(&s));
}

static void the_client_is_told_how_the_server_spells_it_once(void **state)
{
        (void) state;
        open_with("DateStyle", "iso");
        assert_non_null(strstr(sent_first(&s), "SET \"DateStyle\" = 'iso'; "));
        assert_string_equal(says(&s, "C:SET ZI"), "ss");
        assert_string_equal(told(&s), "S:DateStyle=ISO, MDY");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "");
}

static void half_a_date_style_does_not_take_anothers_half(void **state)
{
        (void) state;
        open_with("DateStyle", "ISO, DMY");
        says(&s, "C:SET S:DateStyle=ISO,_DMY ZI");
        sent_first(&s);
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"DateStyle", "German", NULL});
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"DateStyle\"; SET \"DateStyle\" = 'German'; ");
}

static void what_can_not_be_set_is_told(void **state)
{
        (void) state;
        stage_open(&s, NULL);
        assert_string_equal(says_to(&s, NULL, "S:server_version=15.2 S:in_hot_standby=on"), "ss");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "S:server_version=15.2 S:in_hot_standby=on");
        lend(&s, false);
        assert_string_equal(told(&s), "");
}

static void what_can_not_be_set_is_never_set_on_a_server_that_does_not_report_it(void **state)
{
        (void) state;
        open_with("in_hot_standby", "off");
        assert_string_equal(sent_first(&s), "");
        assert_false(restore_settable("in_hot_standby") || restore_settable("Server_Version") ||
                     restore_settable("session_authorization"));
        assert_true(restore_settable("timezone"));
}

static void a_change_that_the_server_reports_is_followed_to_another_server(void **state)
{
        (void) state;
        open_with(NULL, NULL);
        done(&s, "SET TimeZone = 'Asia/Tokyo'", "C:SET S:TimeZone=Asia/Tokyo ZI");
        assert_true(lendable(&s));
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"TimeZone\" = 'Asia/Tokyo'; ");
}

static void a_change_while_nobody_had_the_server_is_told_to_the_next_client(void **state)
{
        (void) state;
        open_with(NULL, NULL);
        says_to(&s, NULL, "S:TimeZone=Asia/Tokyo");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(told(&s), "S:TimeZone=Asia/Tokyo");
}

static void what_the_client_said_itself_is_set_where_the_server_has_another_value(void **state)
{
        (void) state;
        open_with("TimeZone", "UTC");
        says_to(&s, NULL, "S:TimeZone=Asia/Tokyo");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"TimeZone\" = 'UTC'; ");
        assert_string_equal(told(&s), "");
}

/* Else a RESET that is rolled back would lead to the server's default, and that would look like the RESET's doing. */
static void what_a_statement_set_is_set_even_where_it_is_the_default(void **state)
{
        (void) state;
        open_with("TimeZone", "Asia/Tokyo");
        says(&s, "C:SET S:TimeZone=Asia/Tokyo ZI");
        done(&s, "SET TimeZone = 'UTC'", "C:SET S:TimeZone=UTC ZI");
        sent_first(&s);
        track_server_free(&s.t);
        stage_server(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:SET \"TimeZone\" = 'UTC'; ");
        says(&s, "C:SET ZI");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
}

static void what_another_client_set_is_not_told_but_led_back(void **state)
{
        (void) state;
        open_with(NULL, NULL);
        done(&s, "SET TimeZone = 'Asia/Tokyo'", "C:SET S:TimeZone=Asia/Tokyo ZI");
        track_client_free(&s.c);
        stage_client(&s, NULL);
        told(&s);
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"TimeZone\"; ");
        assert_string_equal(told(&s), "");
        assert_string_equal(says(&s, "C:RESET S:TimeZone=Etc/UTC ZI"), "sss");
        assert_string_equal(told(&s), "S:TimeZone=Etc/UTC");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
}

static void a_change_during_a_query_of_the_brokers_own_is_told_all_the_same(void **state)
{
        (void) state;
        open_with(NULL, NULL);
        done(&s, "LISTEN a", "C:LISTEN ZI");
        done(&s, "UNLISTEN a", "C:UNLISTEN ZI");
        assert_true(track_audit(&s.c, &s.t, &s.before));
        assert_string_equal(says(&s, "T D:0 C:SELECT_1 S:TimeZone=Asia/Tokyo ZI"), "sssfs");
        assert_string_equal(settings_get(s.c.wanted, "TimeZone"), "Asia/Tokyo");
        assert_ptr_equal(s.t.aligned, s.c.wanted);
}

/* The server that was to be asked whose a value is has died: what another one has is another client's. */
static void a_doubt_about_one_server_keeps_nothing_on_another(void **state)
{
        (void) state;
        open_with(NULL, NULL);
        done(&s, "SELECT f()", "T D:1 C:SELECT_1 S:TimeZone=Asia/Tokyo ZI");
        track_server_free(&s.t);
        stage_server(&s);
        settings_put(&s.t.reported, "TimeZone", "Europe/Berlin");
        settings_put(&s.t.applied, "TimeZone", "Europe/Berlin");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "Q:RESET \"TimeZone\"; ");
}

static void another_uid_gets_a_full_reset_in_the_same_query(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"work_mem", "1MB", NULL});
        lend(&s, true);
        assert_string_equal(sent_first(&s),
                            "Q:" FULL_RESET "SET \"work_mem\" = '1MB'; ");
        assert_string_equal(says(&s, "C:RESET T D: C:SELECT_1 C:SET ZI"), "ssssss");
        assert_true(lendable(&s));
}

static void what_was_set_before_a_full_reset_is_not_reset_again(void **state)
{
        (void) state;
        open_with("jit", "off");
        says(&s, "C:SET ZI");
        sent_first(&s);
        track_client_free(&s.c);
        stage_client(&s, NULL);
        lend(&s, true);
        assert_null(strstr(sent_first(&s), "jit"));
}

static void a_refusal_is_kept_with_its_words(void **state)
{
        (void) state;
        open_with("role", "nobody");
        assert_string_equal(says(&s, "E ZI"), "ss");
        assert_true(s.t.restore_failed);
        assert_false(lendable(&s));
        assert_string_equal(s.t.restore_reason->sqlstate, "22000");
        assert_string_equal(s.t.restore_reason->text, "bad");
        track_recover(&s.t);
        track_client_free(&s.c);
        stage_client(&s, NULL);
        sent_first(&s);
        lend(&s, false);
        assert_non_null(strstr(sent_first(&s), FULL_RESET));
}

static void what_a_request_follows_ends_all_if_it_is_refused(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"role", "r", NULL});
        s.c.trying = false;
        lend(&s, false);
        assert_string_equal(sent_first(&s),
                            "Q:SET exit_on_error = on; SET \"role\" = 'r'; RESET \"exit_on_error\"; ");
        assert_string_equal(says(&s, "C:SET C:SET C:RESET ZI"), "ssss");
        lend(&s, false);
        assert_string_equal(sent_first(&s), "");
        lend(&s, true);
        assert_non_null(strstr(sent_first(&s), "RESET ALL; SET exit_on_error = on; CLOSE ALL; "));
}

static void who_wants_an_error_to_end_all_has_it_so(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"exit_on_error", "on", NULL});
        s.c.trying = false;
        lend(&s, false);
        assert_non_null(strstr(sent_first(&s), "SET \"exit_on_error\" = 'on'; SET \"exit_on_error\" = 'on'; "));
        says(&s, "C:SET C:SET C:SET ZI");
        track_client_free(&s.c);
        stage_client(&s, (const char *[]){"jit", "off", NULL});
        s.c.trying = false;
        lend(&s, false);
        assert_string_equal(sent_first(&s),
                            "Q:SET exit_on_error = on; RESET \"exit_on_error\"; SET exit_on_error = on; "
                            "SET \"jit\" = 'off'; RESET \"exit_on_error\"; ");
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(with_nothing_different_nothing_is_sent),
                TEST(differences_are_set_in_one_query_that_the_client_does_not_hear),
                TEST(a_client_alike_costs_nothing),
                TEST(what_is_not_ascii_comes_behind_its_encoding),
                TEST(what_was_set_for_one_client_is_reset_for_the_next),
                TEST(the_role_goes_before_all_others_and_comes_behind_them),
                TEST(what_may_not_be_reset_by_itself_is_reset_with_all),
                TEST(values_are_quoted),
                TEST(an_empty_application_name_is_a_value),
                TEST(lists_of_names_go_through_set_config),
                TEST(the_client_is_told_how_the_server_spells_it_once),
                TEST(half_a_date_style_does_not_take_anothers_half),
                TEST(what_can_not_be_set_is_told),
                TEST(what_can_not_be_set_is_never_set_on_a_server_that_does_not_report_it),
                TEST(a_change_that_the_server_reports_is_followed_to_another_server),
                TEST(a_change_while_nobody_had_the_server_is_told_to_the_next_client),
                TEST(what_the_client_said_itself_is_set_where_the_server_has_another_value),
                TEST(what_a_statement_set_is_set_even_where_it_is_the_default),
                TEST(what_another_client_set_is_not_told_but_led_back),
                TEST(a_change_during_a_query_of_the_brokers_own_is_told_all_the_same),
                TEST(a_doubt_about_one_server_keeps_nothing_on_another),
                TEST(another_uid_gets_a_full_reset_in_the_same_query),
                TEST(what_was_set_before_a_full_reset_is_not_reset_again),
                TEST(a_refusal_is_kept_with_its_words),
                TEST(what_a_request_follows_ends_all_if_it_is_refused),
                TEST(who_wants_an_error_to_end_all_has_it_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
