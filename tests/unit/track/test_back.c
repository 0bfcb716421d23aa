#include "stage.h"

static struct stage s;

/* The client said this at its start, and has a server, which says this to what is SET for it. */
static void open_with(const char *const *said, const char *words)
{
        stage_open(&s, said);
        lend(&s, false);
        says(&s, words);
        sent_first(&s);
}

static int setup(void **state)
{
        (void) state;
        open_with((const char *[]){"jit", "off", "search_path", "a, b", "TimeZone", "Asia/Tokyo", "role", "r", NULL},
                  "C:SET T D:x C:SELECT_1 C:SET S:TimeZone=Asia/Tokyo C:SET ZI");
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

#define BACK_JIT  "Q:RESET jit\n; SET \"jit\" = 'off'"
#define ONE(sql) " C P:pgbroker_back=" sql " B E C"
#define FOLLOWS(sql) "E" ONE(sql)

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
        assert_string_equal(query("reset jit ;\n"), "Q:reset jit \n; SET \"jit\" = 'off'");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(query("SET SESSION jit = DEFAULT"), "Q:SET SESSION jit = DEFAULT\n; SET \"jit\" = 'off'");
        says(&s, "C:SET C:SET ZT");
        assert_string_equal(query("SET search_path TO default"), "Q:SET search_path TO default\n; "
                            "SET \"search_path\" = 'a', 'b'");
        assert_string_equal(says(&s, "C:SET C:SET ZT"), "fsf");
        assert_string_equal(query("SET LOCAL TIME ZONE DEFAULT"),
                            "Q:SET LOCAL TIME ZONE DEFAULT\n; SET LOCAL \"TimeZone\" = 'Asia/Tokyo'");
        assert_string_equal(says(&s, "C:SET C:SET ZT"), "fsf");
        assert_string_equal(query("RESET ROLE"), "Q:RESET ROLE\n; SET \"role\" = 'r'");
        assert_string_equal(says(&s, "C:RESET C:SET ZT"), "fsf");
}

static void reset_all_leaves_some_and_a_superusers_waits(void **state)
{
        static const char *const start[] = {"jit", "off", "seed", "0.5", "transaction_isolation", "serializable", NULL};
        (void) state;
        stage_close(&s);
        open_with(start, "C:SET C:SET C:SET ZI");
        begin();
        assert_string_equal(query("RESET ALL"), "Q:RESET ALL\n; SET \"jit\" = 'off'");
        assert_string_equal(says(&s, "C:RESET C:SET ZT"), "fsf");
        assert_string_equal(query("RESET transaction_isolation"), "");
        says(&s, "C:RESET ZT");
        settings_put(&s.c.known, "is_superuser", "on");
        assert_string_equal(query("RESET ALL"), "");
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
                "RESET jit; SELECT 1", "RESET geqo", "SET jit = on", "SET LOCAL jit = on", "RESET jit /* open /* */", "RESET \"jit", "RESET jit /*/", "RESET jit -- a\r; SELECT 1", "RESET jit; -- b",
                "SELECT 1", "SET LOCAL jit = undefault", "SELECT pg_catalog.set_config('jit', NULL, false)",
                "DISCARD PLANS", "RESET", ""};
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
        char sql[2200];
        (void) state;
        begin();
        snprintf(sql, sizeof sql, "RESET%*sjit", 2100, "");
        assert_string_equal(query(sql), "");
}

static void an_execute_is_followed_by_what_leads_back(void **state)
{
        (void) state;
        assert_string_equal(executed("RESET jit"), FOLLOWS("SET \"jit\" = 'off'"));
        assert_string_equal(executed("SET LOCAL jit =DEFAULT;"), FOLLOWS("SET LOCAL \"jit\" = 'off'"));
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 2 C:RESET 3 1 2 C:SET 3 1 2 C:SET 3 1 2 C:SET 3 ZI"), "fffsssssfffssssss");
        stage_close(&s);
        open_with((const char *[]){"jit", "off", "TimeZone", "Asia/Tokyo", NULL},
                  "C:SET S:TimeZone=Asia/Tokyo C:SET ZI");
        assert_string_equal(executed("RESET ALL"), FOLLOWS("SET \"jit\" = 'off'") ONE("SET \"TimeZone\" = 'Asia/Tokyo'"));
        assert_string_equal(says(&s, "1 2 S:TimeZone=UTC C:RESET 3 1 2 C:SET 3 3 1 2 S:TimeZone=Asia/Tokyo C:SET 3"),
                            "ffffssssssssfss");
}

static void lists_are_taken_apart(void **state)
{
        (void) state;
        stage_close(&s);
        open_with((const char *[]){"search_path", " Mine ,\"$user\", \"a \"\"b\"\", c\",d\"e,pg_catalog", "temp_tablespaces", "", NULL},
                  "T D:x C:SELECT_1 T D:x C:SELECT_1 ZI");
        begin();
        assert_string_equal(query("RESET search_path"), "Q:RESET search_path\n; SET \"search_path\" = "
                            "'mine', '$user', 'a \"b\", c', 'd\"e', 'pg_catalog'");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(query("RESET temp_tablespaces"), "Q:RESET temp_tablespaces\n; SET \"temp_tablespaces\" = ''");
}

static void comments_and_quotes_are_no_hindrance(void **state)
{
        static const char *const texts[] = {"RESET jit -- a word", "RESET \"jit\"", "/* a /* b */ c */ RESET jit /* ; */",
                                            "RESET\fjit", "-- it's /*\nRESET jit --\"", "/*/ */RESET jit/**/", "/* \303\251 */ RESET jit"};
        (void) state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                char wanted[200];
                begin();
                snprintf(wanted, sizeof wanted, "Q:%s\n; SET \"jit\" = 'off'", texts[i]);
                assert_string_equal(query(texts[i]), wanted);
                says(&s, "C:RESET C:SET ZT");
                assert_string_equal(executed(texts[i]), FOLLOWS("SET \"jit\" = 'off'"));
                ask(&s, 'S');
                says(&s, "1 2 C:RESET 3 1 2 C:SET 3 ZT");
        }
}

static void the_authorization_takes_the_role_with_it(void **state)
{
        (void) state;
        begin();
        assert_string_equal(query("RESET SESSION AUTHORIZATION"), "Q:RESET SESSION AUTHORIZATION\n; SET \"role\" = 'r'");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(query("SET LOCAL SESSION AUTHORIZATION DEFAULT"),
                            "Q:SET LOCAL SESSION AUTHORIZATION DEFAULT\n; SET LOCAL \"role\" = 'r'");
}

static void its_unnamed_statement_is_left_alone(void **state)
{
        (void) state;
        ask_parse(&s, "named", "RESET jit");
        ask_parse(&s, "", "SELECT 1");
        ask_bind(&s, "", "named");
        sent_first(&s);
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), FOLLOWS("SET \"jit\" = 'off'"));
        ask_bind(&s, "", "");
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "");
        ask(&s, 'S');
        assert_string_equal(says(&s, "1 1 2 C:RESET 3 1 2 C:SET 3 2 C:SELECT_1 ZI"), "ffffsssssffs");
}

static void a_bind_that_fails_is_no_bind(void **state)
{
        (void) state;
        ask_parse(&s, "named", "RESET jit");
        ask_bind(&s, "", "named");
        ask(&s, 'S');
        says(&s, "1 E ZE");
        ask_parse(&s, "back", "ROLLBACK TO s");
        ask_bind(&s, "another", "back");
        ask_execute(&s, "another");
        ask(&s, 'S');
        says(&s, "1 2 C:ROLLBACK ZT");
        sent_first(&s);
        ask_execute(&s, "");
        assert_string_equal(sent_first(&s), "");
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
        open_with((const char *[]){"client_encoding", "LATIN1", "my.word", "n\351e", NULL},
                  "C:SET S:client_encoding=LATIN1 ZI C:SET C:SET ZI");
        begin();
        assert_string_equal(query("RESET my.word"), "");
        says(&s, "C:RESET ZT");
        assert_string_equal(query("RESET ALL"), "Q:RESET ALL\n; SET \"client_encoding\" = 'LATIN1'");
        says(&s, "C:RESET C:SET ZT");
        assert_string_equal(executed("RESET my.word"), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_reset_alone_in_a_transaction_takes_the_client_to_its_start),
                TEST(reset_all_leaves_some_and_a_superusers_waits),
                TEST(outside_of_a_transaction_the_server_is_asked_afterwards),
                TEST(only_what_is_plainly_one_statement_is_touched),
                TEST(long_texts_are_let_be),
                TEST(an_execute_is_followed_by_what_leads_back),
                TEST(lists_are_taken_apart),
                TEST(comments_and_quotes_are_no_hindrance),
                TEST(the_authorization_takes_the_role_with_it),
                TEST(its_unnamed_statement_is_left_alone),
                TEST(a_bind_that_fails_is_no_bind),
                TEST(what_the_server_skips_leads_nowhere),
                TEST(a_portal_with_a_name_is_not_known),
                TEST(values_that_are_not_ascii_are_left_for_later),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
