#include "stage.h"

static struct stage s;

static int setup(void **state)
{
        (void) state;
        stage_open(&s, (const char *[]){"jit", "off", "search_path", "a, b", "TimeZone", "Asia/Tokyo", "role", "r", NULL});
        lend(&s, false);
        says(&s, "C:SET T D:x C:SELECT_1 C:SET S:TimeZone=Asia/Tokyo C:SET ZI");
        sent_first(&s);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        stage_close(&s);
        return 0;
}

static const char *query(const char *sql)
{
        ask_query(&s, sql);
        return sent_first(&s);
}

/* Bound and executed, within whatever is open; the Sync is not sent. */
static const char *executed(const char *sql)
{
        ask_parse(&s, "", sql);
        ask_bind(&s, "", "");
        sent_first(&s);
        ask_execute(&s, "");
        return sent_first(&s);
}

#define BACK_JIT  "Q:RESET jit; SET \"jit\" = 'off'; "
#define FOLLOWS(sql) "E P:=" sql ";  B E"

static void begin(void)
{
        done(&s, "BEGIN", "C:BEGIN ZT");
}

static void a_reset_alone_in_a_transaction_takes_the_client_to_its_start(void **state)
{
        (void) state;
        begin();
        assert_string_equal(query("RESET jit"), BACK_JIT);
        assert_string_equal(says(&s, "C:RESET C:SET ZT"), "fsf");
        assert_string_equal(query("reset jit ;\n"), "Q:reset jit; SET \"jit\" = 'off'; ");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(query("SET SESSION jit = DEFAULT"), "Q:SET SESSION jit = DEFAULT; SET \"jit\" = 'off'; ");
        says(&s, "C:SET C:SET ZT");
        assert_string_equal(query("SET search_path TO default"), "Q:SET search_path TO default; "
                            "SELECT pg_catalog.set_config('search_path', 'a, b', false); ");
        assert_string_equal(says(&s, "C:SET T D:x C:SELECT_1 ZT"), "fsssf");
        assert_string_equal(query("SET LOCAL TIME ZONE DEFAULT"),
                            "Q:SET LOCAL TIME ZONE DEFAULT; SET LOCAL \"TimeZone\" = 'Asia/Tokyo'; ");
        assert_string_equal(says(&s, "C:SET C:SET ZT"), "fsf");
        assert_string_equal(query("RESET ROLE"), "Q:RESET ROLE; SET \"role\" = 'r'; ");
        assert_string_equal(says(&s, "C:RESET C:SET ZT"), "fsf");
}

static void reset_all_leaves_the_role(void **state)
{
        (void) state;
        begin();
        assert_string_equal(query("RESET ALL"), "Q:RESET ALL; SET \"jit\" = 'off'; SELECT pg_catalog.set_config('search_path', "
                            "'a, b', false); SET \"TimeZone\" = 'Asia/Tokyo'; ");
        assert_string_equal(says(&s, "C:RESET C:SET T D:x C:SELECT_1 S:TimeZone=UTC C:SET ZT"), "fssssfsf");
}

static void outside_of_a_transaction_the_server_is_asked_afterwards(void **state)
{
        (void) state;
        assert_string_equal(query("RESET jit"), "");
        assert_string_equal(says(&s, "C:RESET ZI"), "fs");
}

static void only_what_is_plainly_one_statement_is_touched(void **state)
{
        static const char *const others[] = {
                "RESET jit; SELECT 1", "RESET geqo", "SET jit = on", "SET LOCAL jit = on", "RESET jit -- a word", "RESET \"jit\"",
                "SELECT 1", "SET LOCAL jit = undefault", "SELECT pg_catalog.set_config('jit', NULL, false)",
                "RESET SESSION AUTHORIZATION", "DISCARD PLANS", "RESET", ""};
        (void) state;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                begin();
                assert_string_equal(query(others[i]), "");
                assert_string_equal(says(&s, "C:RESET ZT"), "ff");
                assert_string_equal(executed(others[i]), "");
                ask(&s, 'S');
                assert_string_equal(says(&s, "1 2 C:RESET ZT"), "ffff");
        }
}

static void long_texts_are_let_be(void **state)
{
        char sql[300];
        (void) state;
        begin();
        snprintf(sql, sizeof sql, "RESET%*sjit", 230, "");
        assert_string_equal(query(sql), "");
        says(&s, "C:RESET ZT");
        assert_string_equal(executed(sql), "");
}

static void an_execute_is_followed_by_what_leads_back(void **state)
{
        (void) state;
        assert_string_equal(executed("RESET jit"), FOLLOWS("SET \"jit\" = 'off'"));
        assert_string_equal(executed("SET LOCAL jit =DEFAULT;"), FOLLOWS("SET LOCAL \"jit\" = 'off'"));
        assert_string_equal(executed("RESET ALL"), FOLLOWS("SET \"jit\" = 'off'")
                            " P:=SELECT pg_catalog.set_config('search_path', 'a, b', false);  B E"
                            " P:=SET \"TimeZone\" = 'Asia/Tokyo';  B E");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 2 C:RESET 1 2 C:SET 1 2 C:SET 1 2 C:SET 1 2 C:RESET"), "fffsssfffsssfff");
        assert_string_equal(says(&s, "1 2 C:SET 1 2 D:x C:SELECT_1 S:TimeZone=UTC 1 2 S:TimeZone=Asia/Tokyo C:SET"), "sssssssfssfs");
}

static void its_unnamed_statement_is_brought_back(void **state)
{
        (void) state;
        ask_parse(&s, "named", "RESET jit");
        ask_parse(&s, "", "SELECT 1");
        ask_bind(&s, "", "named");
        sent_first(&s);
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), FOLLOWS("SET \"jit\" = 'off'"));
        ask_bind(&s, "", "");
        assert_string_equal(sent_first(&s), "P:=SELECT 1");
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "");        /* of SELECT 1 */
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 1 2 C:RESET 1 2 C:SET 1 2 C:SELECT_1 ZI"), "ffffssssffs");
}

static void what_the_server_skips_leads_nowhere(void **state)
{
        (void) state;
        ask_parse(&s, "", "RESET jit");
        ask_bind(&s, "", "");
        says(&s, "1 E");
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "");
        ask(&s, 'S');
        assert_string_equal(says(&s, "ZI"), "f");
        begin();
        ask_extended(&s, "RESET jit");
        assert_string_equal(says(&s, "1 2 E ZE"), "ffff");
        sent_first(&s);
        assert_string_equal(query("RESET jit"), "");
}

static void a_portal_with_a_name_is_not_known(void **state)
{
        (void) state;
        ask_parse(&s, "", "RESET jit");
        ask_bind(&s, "", "");
        ask_bind(&s, "p", "");
        ask_execute(&s, "p");
        assert_string_equal(sent_first(&s), "");
        ask_parse(&s, "", "SELECT 1");          /* the portal lives on, its statement does not */
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "");
}

/* They were said in the encoding of the start, which may be another one by now. */
static void values_that_are_not_ascii_are_left_for_later(void **state)
{
        (void) state;
        stage_close(&s);
        stage_open(&s, (const char *[]){"client_encoding", "LATIN1", "my.word", "n\351e", NULL});
        lend(&s, false);
        says(&s, "C:SET S:client_encoding=LATIN1 ZI C:SET C:SET ZI");
        begin();
        sent_first(&s);
        assert_string_equal(query("RESET my.word"), "");
        says(&s, "C:RESET ZT");
        assert_string_equal(query("RESET ALL"), "Q:RESET ALL; SET \"client_encoding\" = 'LATIN1'; ");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(executed("RESET my.word"), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_reset_alone_in_a_transaction_takes_the_client_to_its_start, setup, teardown),
                cmocka_unit_test_setup_teardown(reset_all_leaves_the_role, setup, teardown),
                cmocka_unit_test_setup_teardown(outside_of_a_transaction_the_server_is_asked_afterwards, setup, teardown),
                cmocka_unit_test_setup_teardown(only_what_is_plainly_one_statement_is_touched, setup, teardown),
                cmocka_unit_test_setup_teardown(long_texts_are_let_be, setup, teardown),
                cmocka_unit_test_setup_teardown(an_execute_is_followed_by_what_leads_back, setup, teardown),
                cmocka_unit_test_setup_teardown(its_unnamed_statement_is_brought_back, setup, teardown),
                cmocka_unit_test_setup_teardown(what_the_server_skips_leads_nowhere, setup, teardown),
                cmocka_unit_test_setup_teardown(a_portal_with_a_name_is_not_known, setup, teardown),
                cmocka_unit_test_setup_teardown(values_that_are_not_ascii_are_left_for_later, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
