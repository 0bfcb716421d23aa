#include "stage.h"
#include "track/fit.h"

static struct stage s;
static struct track_server here, elsewhere;     /* the one that the client has not got at the moment */

static int setup(void **state)
{
        (void) state;
        stage_open(&s, NULL);
        here = s.t;
        stage_server(&s);
        elsewhere = s.t;
        s.t = here;
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        track_server_free(&elsewhere);
        stage_close(&s);
        return 0;
}

/* The client goes to the other server. */
static void move(void)
{
        struct track_server t = s.t;
        assert_true(lendable(&s));
        s.t = elsewhere;
        elsewhere = t;
        lend(&s, false);
        bytes_free(&s.before);
}

/* What a server says of a statement: types of its parameters, one column of a type. */
static const char *describes(uint8_t parameter, uint8_t column)
{
        uint8_t t[11] = {'t', 0, 0, 0, 10, 0, 1, 0, 0, 0, parameter};
        uint8_t r[27] = {'T', 0, 0, 0, 26, 0, 1, 'c'};
        r[18] = column;
        s.fates[0] = hear(&s, &s.c, t, sizeof t) == TRACK_FORWARD ? 'f' : 's';
        s.fates[1] = hear(&s, &s.c, r, sizeof r) == TRACK_FORWARD ? 'f' : 's';
        s.fates[2] = 0;
        return s.fates;
}

/* The same behind a Parse, and the end of it. */
static void parsed_and_described(const char *words, uint8_t parameter, uint8_t column)
{
        says(&s, words);
        describes(parameter, column);
        says(&s, "ZI");
}

/* It has prepared s1 and knows that it takes an int4 (23) and gives a text (25). */
static void prepared_and_told(const char *sql)
{
        ask_parse(&s, "s1", sql);
        ask_target(&s, 'D', 'S', "s1");
        ask(&s, 'S');
        says(&s, "1");
        assert_string_equal(describes(23, 25), "ff");
        says(&s, "ZI");
        bytes_free(&s.before);
}

static void run(void)
{
        ask_bind(&s, "", "s1");
        if (s.v == TRACK_ASK) {
                struct frame_piece bind = {.type = 'B', .begins = true, .ends = true, .messages = 1, .length = 14,
                                           .data = (const uint8_t *) "B\0\0\0\15\0s1\0\0\0\0\0", .size = 14};
                fit_ask(&s.c, &s.t, &bind, &s.before);
        }
}

static void on(void)
{
        ask_execute(&s, "");
        ask(&s, 'S');
}

static const char refusal[] = "SERROR\0C26000\0Mprepared statement \"" FIT_NOBODY "\" does not exist\0";
static const char text[] = "SELECT c FROM t WHERE a = $1";

static void where_it_was_described_it_is_bound_at_once(void **state)
{
        (void) state;
        prepared_and_told(text);
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
        on();
        assert_string_equal(says(&s, "2 D:1 C:SELECT_1 ZI"), "ffff");
}

static void elsewhere_the_server_is_asked_once(void **state)
{
        (void) state;
        prepared_and_told(text);
        move();
        run();
        assert_int_equal(s.v, TRACK_ASK);
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT c FROM t WHERE a = $1 D S");
        assert_true(track_settling(&s.c, &s.t));
        run();
        assert_int_equal(s.v, TRACK_WAIT);
        assert_string_equal(says(&s, "1"), "s");
        assert_string_equal(describes(23, 25), "ss");
        assert_false(track_settling(&s.c, &s.t));
        assert_string_equal(says(&s, "ZI"), "s");
        assert_false(lendable(&s));             /* the Bind is still to come */
        for (int i = 0; i < 2; i++) {
                run();
                assert_int_equal(s.v, TRACK_FORWARD);
                assert_string_equal(sent_first(&s), "B");
                on();
                assert_string_equal(says(&s, "2 D:1 C:SELECT_1 ZI"), "ffff");
                assert_true(lendable(&s));
        }
}

static void rows_that_have_changed_fail(void **state)
{
        (void) state;
        prepared_and_told(text);
        move();
        for (int i = 0; i < 2; i++) {           /* the shared one, and an edition of its own */
                run();
                assert_int_equal(s.v, TRACK_ASK);
                parsed_and_described("1", 23, 20);
        }
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
        on();
        assert_int_equal(hear_error(&s, refusal, sizeof refusal), TRACK_SWALLOW);
        assert_string_equal(told(&s), "E");
}

static void other_parameters_are_parsed_with_the_types_it_knows(void **state)
{
        (void) state;
        prepared_and_told(text);
        move();
        run();
        parsed_and_described("1", 20, 25);
        bytes_free(&s.before);
        run();
        assert_int_equal(s.v, TRACK_ASK);
        assert_string_equal(sent_first(&s), "P:pgbroker_2=SELECT c FROM t WHERE a = $1 D S");
        parsed_and_described("1", 23, 25);
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
        on();
        assert_string_equal(says(&s, "2 D:1 C:SELECT_1 ZI"), "ffff");
        move();                                 /* the same where it was described first */
        run();
        assert_int_equal(s.v, TRACK_ASK);
}

static void in_a_transaction_an_error_is_the_clients(void **state)
{
        (void) state;
        prepared_and_told(text);
        move();
        done(&s, "BEGIN", "C:BEGIN ZT");
        run();
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT c FROM t WHERE a = $1 D H");
        assert_string_equal(says(&s, "E"), "f");
        run();
        assert_int_equal(s.v, TRACK_FORWARD);   /* to be skipped */
        on();
        assert_string_equal(says(&s, "ZE"), "f");
}

static void outside_of_one_the_bind_gets_an_error_of_its_own(void **state)
{
        (void) state;
        prepared_and_told(text);
        move();
        run();
        assert_string_equal(says(&s, "E ZI"), "ss");
        bytes_free(&s.before);
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
        assert_string_equal(sent_first(&s), "P:pgbroker_1=SELECT c FROM t WHERE a = $1 B");
        on();
        assert_string_equal(says(&s, "E ZI"), "ff");
        assert_true(lendable(&s));
}

static void a_question_that_is_canceled_is_the_binds(void **state)
{
        static const char canceled[] = "SERROR\0C57014\0Mcanceling statement due to user request\0";
        (void) state;
        prepared_and_told(text);
        move();
        run();
        assert_int_equal(hear_error(&s, canceled, sizeof canceled), TRACK_SWALLOW);
        assert_string_equal(says(&s, "ZI"), "s");
        bytes_free(&s.before);
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
        assert_string_equal(sent_first(&s), "B");       /* of nobody's */
        on();
        assert_int_equal(hear_error(&s, refusal, sizeof refusal), TRACK_SWALLOW);
        assert_memory_equal(bytes_data(&s.told) + 5, canceled, sizeof canceled);
        bytes_free(&s.told);
        says(&s, "ZI");
        run();                                          /* and once only */
        assert_int_equal(s.v, TRACK_ASK);
}

static void who_was_told_nothing_is_not_kept_waiting(void **state)
{
        (void) state;
        ask_parse(&s, "s1", text);
        ask(&s, 'S');
        says(&s, "1 ZI");
        move();
        run();
        assert_int_equal(s.v, TRACK_FORWARD);
}

static void what_a_portal_gives_is_remembered_as_well(void **state)
{
        (void) state;
        ask_parse(&s, "s1", "SELECT c FROM t");
        ask_bind(&s, "", "s1");
        ask_target(&s, 'D', 'P', "");
        on();
        says(&s, "1 2 T C:SELECT_1 ZI");
        move();
        for (int i = 0; i < 2; i++) {
                run();
                assert_int_equal(s.v, TRACK_ASK);
                assert_string_equal(says(&s, "1 t n ZI"), "ssss");      /* no rows at all: another one */
        }
        bytes_free(&s.before);
        run();
        on();
        assert_string_equal(sent_first(&s), "B");
}

static void two_who_mean_different_things_have_an_edition_each(void **state)
{
        struct track_client one;
        (void) state;
        prepared_and_told(text);
        one = s.c;
        stage_client(&s, NULL);
        lend(&s, false);
        ask_parse(&s, "s1", text);              /* with another search_path, say */
        ask_target(&s, 'D', 'S', "s1");
        ask(&s, 'S');
        parsed_and_described("3 1", 20, 20);
        struct track_client other = s.c;
        s.c = one;
        lend(&s, false);
        bytes_free(&s.before);
        run();
        assert_int_equal(s.v, TRACK_ASK);
        assert_string_equal(sent_first(&s), "P:pgbroker_2=SELECT c FROM t WHERE a = $1 D S");
        parsed_and_described("1", 23, 25);
        for (int i = 0; i < 4; i++) {           /* in turn, and nobody asks again */
                run();
                assert_int_equal(s.v, TRACK_FORWARD);
                assert_string_equal(sent_first(&s), "B");
                on();
                says(&s, "2 D:1 C:SELECT_1 ZI");
                struct track_client turn = s.c;
                s.c = other;
                other = turn;
                lend(&s, false);
                bytes_free(&s.before);
        }
        track_client_free(&other);
}

static const char as_it_was_read[] =
        "; SET LOCAL \"DateStyle\" TO 'ISO, MDY'; SET LOCAL \"TimeZone\" TO 'UTC'; "
        "SET LOCAL \"IntervalStyle\" TO DEFAULT; "
        "SET LOCAL \"client_encoding\" TO 'UTF8'; SET LOCAL \"standard_conforming_strings\" TO 'on'; "
        "SET LOCAL \"transform_null_equals\" TO DEFAULT; SET LOCAL \"array_nulls\" TO DEFAULT; "
        "SET LOCAL \"xmloption\" TO DEFAULT; SET LOCAL \"extra_float_digits\" TO DEFAULT; "
        "SET LOCAL \"bytea_output\" TO DEFAULT; SET LOCAL \"lc_monetary\" TO DEFAULT; "
        "SET LOCAL \"timezone_abbreviations\" TO DEFAULT; SET LOCAL \"backslash_quote\" TO DEFAULT";

/* Has a statement prepared, then another DateStyle, then another server, with the first words of a transaction. */
static const char *elsewhere_later(const char *begin)
{
        static char words[2048];
        ask_parse(&s, "s1", "SELECT '1/2/2026'::date");
        ask(&s, 'S');
        says(&s, "1 ZI");
        done(&s, "SET DateStyle = 'ISO, DMY'", "C:SET S:DateStyle=ISO,_DMY ZI");
        move();
        says(&s, "C:SET S:DateStyle=ISO,_DMY ZI");
        if (begin)
                done(&s, begin, "C:BEGIN ZT");
        bytes_free(&s.before);
        run();
        snprintf(words, sizeof words, "%s", sent_first(&s));
        return words;
}

static void a_text_is_parsed_as_it_was_read(void **state)
{
        char wanted[2048];
        (void) state;
        snprintf(wanted, sizeof wanted, "Q:BEGIN%s P:pgbroker_1=SELECT '1/2/2026'::date D S Q:ROLLBACK", as_it_was_read);
        assert_string_equal(elsewhere_later(NULL), wanted);
        assert_string_equal(says(&s, "C:BEGIN C:SET S:DateStyle=ISO,_MDY ZT 1 t T ZT"), "ssssssss");
        run();
        assert_int_equal(s.v, TRACK_WAIT);
        assert_string_equal(says(&s, "C:ROLLBACK S:DateStyle=ISO,_DMY ZI"), "sss");
        assert_string_equal(told(&s), "");
        run();
        assert_string_equal(sent_first(&s), "B");
        on();
        says(&s, "2 C:SELECT_1 ZI");
        assert_true(lendable(&s));
}

static void a_server_whose_client_goes_meanwhile_serves_the_next(void **state)
{
        struct track_client next;
        struct bytes out;
        (void) state;
        elsewhere_later(NULL);
        bytes_init(&out, 0);
        assert_true(track_clean(&s.c, &s.t, &out));
        bytes_free(&out);
        next = s.c;
        says_to(&s, NULL, "C:BEGIN C:SET ZT 1 t T ZT C:ROLLBACK ZI C:RESET ZI");
        assert_true(track_quiet(&s.t));
        stage_client(&s, NULL);
        lend(&s, false);
        ask_query(&s, "SELECT 1");
        assert_int_equal(s.v, TRACK_FORWARD);
        track_client_free(&next);
}

static void in_a_transaction_that_has_just_begun_as_well(void **state)
{
        char wanted[2048];
        (void) state;
        snprintf(wanted, sizeof wanted, "Q:SAVEPOINT pgbroker%s P:pgbroker_1=SELECT '1/2/2026'::date D S "
                 "Q:ROLLBACK TO pgbroker; RELEASE pgbroker", as_it_was_read);
        assert_string_equal(elsewhere_later("BEGIN"), wanted);
        says(&s, "C:SAVEPOINT C:SET S:DateStyle=ISO,_MDY ZT E ZE C:ROLLBACK S:DateStyle=ISO,_DMY ZT");
        run();                                  /* the client's own gets the error */
        assert_int_equal(s.v, TRACK_FORWARD);
        on();
        says(&s, "E ZE");
}

static void a_client_that_goes_leaves_a_question_and_a_server_that_can_be_used(void **state)
{
        struct bytes out;
        (void) state;
        prepared_and_told(text);
        move();
        run();
        bytes_init(&out, 0);
        assert_true(track_clean(&s.c, &s.t, &out));
        bytes_free(&out);
        assert_string_equal(says_to(&s, NULL, "1 t T ZI C:RESET ZI"), "ssssss");
        assert_true(track_quiet(&s.t));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(where_it_was_described_it_is_bound_at_once),
                TEST(elsewhere_the_server_is_asked_once),
                TEST(rows_that_have_changed_fail),
                TEST(other_parameters_are_parsed_with_the_types_it_knows),
                TEST(in_a_transaction_an_error_is_the_clients),
                TEST(outside_of_one_the_bind_gets_an_error_of_its_own),
                TEST(a_question_that_is_canceled_is_the_binds),
                TEST(a_server_whose_client_goes_meanwhile_serves_the_next),
                TEST(who_was_told_nothing_is_not_kept_waiting),
                TEST(what_a_portal_gives_is_remembered_as_well),
                TEST(two_who_mean_different_things_have_an_edition_each),
                TEST(a_text_is_parsed_as_it_was_read),
                TEST(in_a_transaction_that_has_just_begun_as_well),
                TEST(a_client_that_goes_leaves_a_question_and_a_server_that_can_be_used),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
