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

/* The server goes to someone else, who leaves an unnamed statement there, and comes back. */
static void server_changes_hands(void)
{
        static struct stage other;
        assert_true(lendable(&s));
        memset(&other, 0, sizeof other);
        stage_client(&other, NULL);
        other.t = s.t;
        lend(&other, false);
        ask_parse(&other, "", "SELECT 'theirs'");
        ask(&other, 'S');
        assert_string_equal(says(&other, "1 ZI"), "ff");
        s.t = other.t;
        track_client_free(&other.c);
        bytes_free(&other.before);
        bytes_free(&other.told);
        lend(&s, false);
}

static void a_message_is_kept_as_it_came(void **state)
{
        struct statements kept;
        (void) state;
        statements_init(&kept);
        statements_remember(&kept, (const uint8_t *) "0123456789", 10);
        statements_remember(&kept, (const uint8_t *) "abc", 3);
        assert_int_equal(kept.size, 3);
        assert_memory_equal(kept.message, "abc", 3);
        statements_forget(&kept);
        assert_int_equal(kept.size, 0);
        statements_free(&kept);
}

static void on_the_same_server_nothing_is_repeated(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'S');
        assert_string_equal(sent_first(&s), "");
        assert_string_equal(says(&s, "2 C:SELECT_1 ZI"), "fff");
}

static void on_another_server_it_is_parsed_again_and_the_client_does_not_hear_of_it(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 'mine'");
        ask(&s, 'S');
        says(&s, "1 ZI");
        server_changes_hands();
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'S');
        assert_string_equal(sent_first(&s), "P:=SELECT 'mine'");
        assert_string_equal(says(&s, "1 2 D:mine C:SELECT_1 ZI"), "sffff");
}

static void describe_brings_it_too_but_only_once(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        server_changes_hands();
        ask_target(&s, 'D', 'S', "");
        ask_bind(&s, "", "");
        ask(&s, 'S');
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
        assert_string_equal(says(&s, "1 t T 2 ZI"), "sffff");
}

static void who_has_none_never_finds_anothers(void **state)
{
        (void) state;
        server_changes_hands();
        ask_bind(&s, "", "");
        ask(&s, 'S');
        assert_string_equal(sent_first(&s), "C");
        assert_string_equal(says(&s, "3 E ZI"), "sff");
}

static void a_query_ends_it_everywhere(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        ask_query(&s, "SELECT 2");
        says(&s, "1 ZI C:SELECT_1 ZI");
        server_changes_hands();
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "C");
}

static void so_does_close(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask_target(&s, 'C', 'S', "");
        ask(&s, 'S');
        says(&s, "1 3 ZI");
        server_changes_hands();
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "C");
}

static void close_of_the_unnamed_portal_does_not(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask_target(&s, 'C', 'P', "");
        ask(&s, 'S');
        says(&s, "1 3 ZI");
        server_changes_hands();
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
}

static void a_parse_that_failed_leaves_none(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        ask_parse(&s, "", "SELEC 2");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 ZI E ZI"), "ffff");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "C");
}

static void a_parse_that_was_skipped_is_never_run(void **state)
{
        (void) state;
        ask_bind(&s, "", "missing");
        ask_parse(&s, "", "DELETE FROM t");
        ask(&s, 'S');
        assert_string_equal(says(&s, "E ZI"), "ff");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "C");
}

static void a_parse_sent_while_the_server_skips_changes_nothing(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        server_changes_hands();
        ask_bind(&s, "", "missing");
        says(&s, "E");
        ask_parse(&s, "", "SELECT 2");
        ask_bind(&s, "", "");
        ask_query(&s, "SELECT 3");
        ask_target(&s, 'C', 'S', "");
        assert_string_equal(sent_first(&s), "");
        ask(&s, 'S');
        says(&s, "ZI");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
}

static void a_query_that_was_skipped_does_not_expose_anothers(void **state)
{
        (void) state;
        server_changes_hands();
        ask_bind(&s, "", "missing");
        ask_query(&s, "SELECT 3");
        ask(&s, 'S');
        says(&s, "E ZI");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "C");
}

static void the_repeated_parse_may_have_been_skipped_itself(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        server_changes_hands();
        ask_bind(&s, "", "missing");
        ask_bind(&s, "", "");
        ask(&s, 'S');
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
        assert_string_equal(says(&s, "E ZI"), "ff");
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
}

static void an_error_of_the_repeated_parse_is_the_clients(void **state)
{
        (void) state;
        ask_parse(&s, "", "SELECT 1");
        ask(&s, 'S');
        says(&s, "1 ZI");
        server_changes_hands();
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        ask(&s, 'S');
        assert_string_equal(says(&s, "E ZI"), "ff");
}

static void an_error_elsewhere_repeats_nothing(void **state)
{
        (void) state;
        ask_query(&s, "BEGIN");
        ask_extended(&s, "SELECT 1/0");
        assert_string_equal(says(&s, "C:BEGIN ZT 1 2 E ZE"), "ffffff");
        ask_target(&s, 'D', 'S', "");
        assert_string_equal(sent_first(&s), "");
}

static void ask_long_parse(void)
{
        char *payload = own_alloc(STATEMENTS_UNNAMED_MAX + 10);
        memset(payload + 1, ' ', STATEMENTS_UNNAMED_MAX);
        ask_bytes(&s, 'P', payload, STATEMENTS_UNNAMED_MAX + 4);
        assert_int_equal(s.q.pins, PIN_BIT(PIN_UNNAMED));
        free(payload);
        ask(&s, 'S');
}

static void a_long_one_pins_until_the_next(void **state)
{
        (void) state;
        ask_long_parse();
        says(&s, "1 ZI");
        assert_string_equal(reason(&s), "long unnamed statement");
        assert_false(lendable(&s));
        ask_extended(&s, "SELECT 1");
        says(&s, "1 2 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void a_query_ends_the_long_one_too(void **state)
{
        (void) state;
        ask_long_parse();
        says(&s, "1 ZI");
        done(&s, "SELECT 1", "C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_message_is_kept_as_it_came),
                TEST(on_the_same_server_nothing_is_repeated),
                TEST(on_another_server_it_is_parsed_again_and_the_client_does_not_hear_of_it),
                TEST(describe_brings_it_too_but_only_once),
                TEST(who_has_none_never_finds_anothers),
                TEST(a_query_ends_it_everywhere),
                TEST(so_does_close),
                TEST(close_of_the_unnamed_portal_does_not),
                TEST(a_parse_that_failed_leaves_none),
                TEST(a_parse_that_was_skipped_is_never_run),
                TEST(a_parse_sent_while_the_server_skips_changes_nothing),
                TEST(a_query_that_was_skipped_does_not_expose_anothers),
                TEST(the_repeated_parse_may_have_been_skipped_itself),
                TEST(an_error_of_the_repeated_parse_is_the_clients),
                TEST(an_error_elsewhere_repeats_nothing),
                TEST(a_long_one_pins_until_the_next),
                TEST(a_query_ends_the_long_one_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
