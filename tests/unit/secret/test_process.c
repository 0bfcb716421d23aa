#include "pretend.h"
#include <time.h>
#include "secret/process.h"
#include "secret/process_words.h"

/* ---- Words ---- */

static void splits(const char *command, const char *expected)
{
        struct process_words w;
        struct error e = {0};
        char text[256] = "";

        assert_true(process_words_split(command, &w, &e));
        for (unsigned i = 0; i < w.count; i++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "[%s]", w.words[i]);
        assert_null(w.words[w.count]);
        assert_string_equal(text, expected);
        process_words_clear(&w);
}

static void does_not_split(const char *command, const char *why)
{
        struct process_words w;
        struct error e = {0};

        assert_false(process_words_split(command, &w, &e));
        assert_string_equal(e.text, why);
        process_words_clear(&w);
}

static void a_command_is_split_without_a_shell(void **state)
{
        (void) state;
        splits("/opt/bin/creds --profile x", "[/opt/bin/creds][--profile][x]");
        splits("  a \t b  ", "[a][b]");
        splits("\"/opt/my bin/creds\" \"two words\"", "[/opt/my bin/creds][two words]");
        splits("a 'b \"c\" \\' d", "[a][b \"c\" \\][d]");
        splits("a \"b\\\"c\\\\d\\e\"", "[a][b\"c\\d\\e]");
        splits("a b\\ c \\\"d", "[a][b c][\"d]");
        splits("a --x=\"y z\"w ''", "[a][--x=y zw][]");
        splits("a $HOME ~ `id` $(id) | b > c; d && e *", "[a][$HOME][~][`id`][$(id)][|][b][>][c;]"
                                                         "[d][&&][e][*]");
        splits("a b\\", "[a][b\\]");
}

static void what_can_not_be_split_is_told(void **state)
{
        char many[256] = "";

        (void) state;
        does_not_split("", "it names no program");
        does_not_split("  ", "it names no program");
        does_not_split("\"\" a", "it names no program");
        does_not_split("a \"b", "a quote is not closed");
        does_not_split("a 'b", "a quote is not closed");
        for (int i = 0; i < PROCESS_WORDS; i++)
                strcat(many, "a ");
        splits("a", "[a]");
        strcat(many, "a");
        does_not_split(many, "it has more than 64 words");
}

/* ---- A place ---- */

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static struct loop *loop;
static struct process *process;
static unsigned settlings;
static char printed[256];

static void settled(void *arg)
{
        (void) arg;
        settlings++;
}

static uint32_t dice(void *arg, uint32_t below)
{
        (void) arg;
        (void) below;
        return 0;
}

static int set_up(void **state)
{
        (void) state;
        settlings = 0;
        loop = pretend_loop();
        process = process_new(loop, "/opt/creds --of \"some one\"",
                              &(struct lease_user){.settled = settled, .dice = dice});
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        process_free(TAKE(process));
        assert_int_equal(loop->runs, 0);
        pretend_loop_free(loop);
        return 0;
}

/* Credentials that end in so many seconds from now, by this machine's clock. */
static void prints(const char *id, int life_s)
{
        time_t end = time(NULL) + life_s;
        struct tm tm;
        char text[32];

        gmtime_r(&end, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        snprintf(printed, sizeof printed,
                 "{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s3cret\","
                 "\"SessionToken\":\"t\",\"Expiration\":\"%s\"}\n",
                 id, text);
        loop->prints = printed;
        loop->run_status = 0;
}

static struct aws_credentials got;
static struct error error;

static enum lease_state look(void)
{
        return lease_look(process_lease(process), &got, &error);
}

/* Time goes on, whether or not anything is to be done. */
static void pass(uint64_t ms)
{
        uint64_t end = loop->now + ms;

        pretend_run(loop, ms);
        loop->now = end;
}

static void finds(const char *id)
{
        if (look() == LEASE_WAITING)
                pretend_run(loop, 100);
        assert_int_equal(look(), LEASE_GOOD);
        assert_string_equal(got.access_key_id, id);
        assert_string_equal(got.provider, "credential_process");
}

static void fails(const char *why)
{
        look();
        pretend_run(loop, 100);
        assert_int_equal(look(), LEASE_FAILED);
        assert_string_equal(error.text, why);
        assert_string_not_equal(error.hint, "");
        loop->now += 2000;
}

/* ---- Running ---- */

static void what_it_prints_is_taken(void **state)
{
        (void) state;
        prints("A", 3600);
        finds("A");
        assert_string_equal(loop->ran_words, "[/opt/creds][--of][some one]");
        assert_string_equal(sealed_open(got.session_token), "t");
        finds("A");
        assert_int_equal(loop->ran, 1);
}

static void it_runs_again_a_quarter_of_an_hour_before_they_end(void **state)
{
        (void) state;
        prints("A", 3600);
        finds("A");
        prints("B", 7200);
        pass(44 * MINUTE);
        finds("A");
        pass(2 * MINUTE);
        finds("B");
        assert_int_equal(loop->ran, 2);
}

static void a_failure_then_takes_nothing_away(void **state)
{
        (void) state;
        prints("A", 3600);
        finds("A");
        loop->prints = NULL;
        pass(50 * MINUTE);
        finds("A");
        assert_true(loop->ran > 2);
        prints("B", 7200);
        pass(MINUTE);
        finds("B");
}

static void without_an_end_it_runs_every_quarter_of_an_hour(void **state)
{
        (void) state;
        loop->prints = "{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"k\"}";
        finds("A");
        assert_null(got.session_token);
        pass(16 * MINUTE);
        finds("A");
        assert_int_equal(loop->ran, 2);
}

static void how_it_fails_is_told(void **state)
{
        (void) state;
        loop->prints = NULL;
        fails("credential_process: no such file or directory");
        loop->prints = "";
        fails("credential_process: what it printed: not valid JSON: it is empty");
        loop->prints = "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}";
        fails("credential_process: what it printed: its Version is not 1");
        loop->prints = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}";
        fails("credential_process: what it printed: its Version is not 1");
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"A\"}";
        fails("credential_process: what it printed: SecretAccessKey is missing");
        prints("A", -10);
        fails("credential_process: the credentials that it gave have expired");
        loop->prints = "s3cret";
        loop->run_status = 7;
        fails("credential_process: it ended with status 7");
}

static void what_it_complains_of_is_told_without_keys(void **state)
{
        (void) state;
        loop->prints = "";
        loop->run_status = 1;
        loop->complains = "\n no profile x-1 in /etc/conf.d\nsecond line";
        fails("credential_process: it ended with status 1: no profile x-1 in /etc/conf.d");
        loop->complains =
                "key AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K+MDENG/bPxRfiCYEXAMPLEKEY\x01!";
        fails("credential_process: it ended with status 1: key ... and ...?!");
        loop->complains = "A_name_with_more_than_sixteen letters";
        fails("credential_process: it ended with status 1: A_name_with_more_than_sixteen letters");
}

static void a_bad_command_is_not_run(void **state)
{
        (void) state;
        process_free(process);
        process =
                process_new(loop, "a \"b", &(struct lease_user){.settled = settled, .dice = dice});
        assert_int_equal(look(), LEASE_FAILED);
        assert_string_equal(error.text, "credential_process: a quote is not closed");
        assert_int_equal(loop->ran, 0);
}

static void it_can_go_while_it_runs(void **state)
{
        (void) state;
        prints("A", 3600);
        look();
        assert_int_equal(loop->runs, 1);
        process_free(TAKE(process));
        pretend_run(loop, 1000);
        assert_int_equal(settlings, 0);
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_command_is_split_without_a_shell),
                cmocka_unit_test(what_can_not_be_split_is_told),
                in_a_place(what_it_prints_is_taken),
                in_a_place(it_runs_again_a_quarter_of_an_hour_before_they_end),
                in_a_place(a_failure_then_takes_nothing_away),
                in_a_place(without_an_end_it_runs_every_quarter_of_an_hour),
                in_a_place(how_it_fails_is_told),
                in_a_place(what_it_complains_of_is_told_without_keys),
                in_a_place(a_bad_command_is_not_run),
                in_a_place(it_can_go_while_it_runs),
        };

        return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
