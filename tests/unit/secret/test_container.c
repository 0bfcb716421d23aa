#include "pretend.h"
#include "secret/container.h"

#define NOW       1900000000LL /* 2030-03-17T17:46:40Z, by the endpoint's clock */
#define RELATIVE  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL      "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN     "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define FILE_NAME "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

/* ---- A place ---- */

static struct {
        const char *name, *value;
} variables[8];

static const char *get_variable(const char *name)
{
        for (size_t i = 0; i < 8 && variables[i].name; i++)
                if (strcmp(variables[i].name, name) == 0)
                        return variables[i].value;
        return NULL;
}

static void set_variable(const char *name, const char *value)
{
        size_t i = 0;

        while (variables[i].name && strcmp(variables[i].name, name) != 0)
                i++;
        variables[i].name = name;
        variables[i].value = value;
}

static struct loop *loop;
static struct http *http;
static struct container *container;
static unsigned settlings;
static bool most; /* of what the dice can give; else the least */

static void settled(void *arg)
{
        (void) arg;
        settlings++;
}

static uint32_t dice(void *arg, uint32_t below)
{
        (void) arg;
        return most ? below - 1 : 0;
}

static int set_up(void **state)
{
        (void) state;
        memset(variables, 0, sizeof variables);
        loop = pretend_loop();
        http = http_new(loop);
        settlings = 0;
        most = false;
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        container_free(TAKE(container));
        assert_int_equal(http->under_way, 0);
        assert_int_equal(loop->resolves, 0);
        pretend_run(loop, 0);
        http_free(http);
        pretend_loop_free(loop);
        return 0;
}

static void open_container(void)
{
        container = container_new(loop, http, get_variable,
                                  &(struct lease_user){.settled = settled, .dice = dice});
        assert_non_null(container);
}

static void answers(int status, const char *body)
{
        pretend_answers(http, status, body);
        http->answers[http->answer_count - 1].date = NOW;
}

/* Credentials that end at this time of 2030-03-17; it is 17:46:40. */
static void gives(const char *id, const char *ends)
{
        static char bodies[8][256];
        char *body = bodies[http->answer_count % 8];

        snprintf(body, sizeof bodies[0],
                 "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"t\","
                 "\"Expiration\":\"2030-03-17T%sZ\"}",
                 id, ends);
        answers(200, body);
}

/* Time goes on, whether or not anything is to be done. */
static void pass(uint64_t ms)
{
        uint64_t end = loop->now + ms;

        pretend_run(loop, ms);
        loop->now = end;
}

/* ---- What a look gave ---- */

static struct aws_credentials got;
static struct error error;

static enum lease_state look(void)
{
        got = (struct aws_credentials){0};
        error_clear(&error);
        return lease_look(container_lease(container), &got, &error);
}

static void has(const char *id)
{
        assert_int_equal(look(), LEASE_GOOD);
        assert_string_equal(got.access_key_id, id);
        assert_string_equal(got.provider, "container endpoint");
}

/* Someone waits until the asking has ended, and gets this. */
static void finds(const char *id)
{
        assert_int_equal(look(), LEASE_WAITING);
        pass(10000);
        has(id);
        assert_string_equal(sealed_open(got.secret_access_key), "s3cret");
}

static bool settles(void)
{
        unsigned before = settlings;

        for (int i = 0; i < 1000 && settlings == before; i++)
                pass(10);
        return settlings == before + 1;
}

static void fails(const char *text)
{
        enum lease_state state = look();

        if (state == LEASE_WAITING && settles())
                state = look();
        assert_int_equal(state, LEASE_FAILED);
        if (!strstr(error.text, text))
                print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, text));
        assert_null(strstr(error.text, "s3cret"));
        assert_null(strstr(error.hint, "s3cret"));
        assert_string_not_equal(error.hint, "");
}

static void asks(const char *url, const char *headers)
{
        gives("A", "18:46:40");
        open_container();
        finds("A");
        assert_string_equal(http->requests[0].url, url);
        assert_string_equal(http->requests[0].headers, headers);
        assert_string_equal(http->requests[0].method, "GET");
        assert_true(http->requests[0].no_proxy);
}

/* ---- Whom it asks ---- */

static void without_its_variables_there_is_none(void **state)
{
        struct lease_user user = {.settled = settled};

        (void) state;
        set_variable(TOKEN, "s3cret");
        set_variable(FULL, "");
        assert_null(container_new(loop, http, get_variable, &user));
}

static void ecs_is_asked_at_its_address(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/v2/credentials?id=1");
        set_variable(FULL, "http://127.0.0.1/elsewhere");
        asks("http://169.254.170.2/v2/credentials?id=1",
             "Host: 169.254.170.2\nAccept: application/json\n");
}

static void pod_identity_is_asked_with_its_token(void **state)
{
        (void) state;
        set_variable(FULL, "http://[fd00:ec2::23]/v1/credentials");
        set_variable(TOKEN, "s3cret");
        asks("http://[fd00:ec2::23]/v1/credentials",
             "Host: [fd00:ec2::23]\nAccept: application/json\nAuthorization: s3cret\n");
}

static void an_address_that_was_checked_takes_the_names_place(void **state)
{
        (void) state;
        loop->addresses[0] = "127.0.0.1";
        set_variable(FULL, "http://agent.local:8080?x=1");
        asks("http://127.0.0.1:8080/?x=1", "Host: agent.local:8080\nAccept: application/json\n");
}

static void over_https_any_host_is_asked_by_its_name(void **state)
{
        (void) state;
        loop->addresses[0] = "10.0.0.1";
        set_variable(FULL, "https://credentials.example/x");
        asks("https://credentials.example/x",
             "Host: credentials.example\nAccept: application/json\n");
}

static void over_http_only_certain_addresses(void **state)
{
        static const char *const good[] = {
                "127.0.0.1",     "127.255.0.9",    "::1",          "::ffff:127.0.0.1",
                "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "fd00:0ec2:0:0::0023"};
        static const char *const bad[] = {
                "10.0.0.1", "169.254.169.254", "169.254.170.3", "0.0.0.0",
                "::",       "fd00:ec2::254",   "fe80::1%eth0",  "localhost",
                "",         "::ffff:10.0.0.1", "128.0.0.1",     "fd00:ec2::23%lo"};

        (void) state;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                assert_true(container_may_ask(good[i]));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(container_may_ask(bad[i]));
}

static void what_a_name_leads_to_is_what_counts(void **state)
{
        (void) state;
        set_variable(FULL, "http://localhost/");
        set_variable(TOKEN, "s3cret");
        open_container();
        loop->addresses[0] = "127.0.0.1";
        loop->addresses[1] = "10.0.0.1";
        fails("container endpoint localhost: http:// to 10.0.0.1 would show the credentials");
        loop->addresses[0] = NULL;
        loop->now += MINUTE;
        fails("host was not found");
        assert_int_equal(http->asked, 0);
}

static void a_hosts_other_address_is_tried_at_once(void **state)
{
        (void) state;
        set_variable(FULL, "http://localhost:81/");
        loop->addresses[0] = "::1";
        loop->addresses[1] = "127.0.0.1";
        open_container();
        answers(0, NULL);
        gives("A", "18:46:40");
        finds("A");
        assert_string_equal(http->requests[0].url, "http://[::1]:81/");
        assert_string_equal(http->requests[1].url, "http://127.0.0.1:81/");
        assert_int_equal(http->requests[1].at, http->requests[0].at + 20);
}

static void addresses_that_are_none_are_refused(void **state)
{
        static const struct {
                const char *name, *value, *error;
        } cases[] = {
                {RELATIVE, "@evil.example/", RELATIVE ": it does not begin with a slash"},
                {RELATIVE, "/a b", RELATIVE ": it holds a character"},
                {FULL, "ftp://127.0.0.1/", FULL ": neither https:// nor http://"},
                {FULL, "http://s3cret@127.0.0.1/", FULL ": it holds a user name"},
                {FULL, "http://127.0.0.1:99999/", FULL ": not a host and port"},
                {FULL, "http://127.0.0.1/a\r\nb", FULL ": it holds a character"},
                {FULL, "http://127.0.0.1/#a", FULL ": it holds a character"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                memset(variables, 0, sizeof variables);
                set_variable(cases[i].name, cases[i].value);
                open_container();
                assert_int_equal(look(), LEASE_FAILED);
                fails(cases[i].error);
                container_free(TAKE(container));
        }
}

/* ---- The token ---- */

static void the_tokens_file_is_read_for_each_asking(void **state)
{
        char *folder = pretend_folder();
        char *path = pretend_file(folder, "token", "one");

        (void) state;
        set_variable(RELATIVE, "/x");
        set_variable(TOKEN, "s3cret");
        set_variable(FILE_NAME, path);
        open_container();
        gives("A", "18:46:40");
        finds("A");
        assert_non_null(strstr(http->requests[0].headers, "Authorization: one\n"));
        free(pretend_file(folder, "token", "two"));
        gives("B", "19:46:40");
        lease_forget(container_lease(container));
        finds("B");
        assert_non_null(strstr(http->requests[1].headers, "Authorization: two\n"));
        pretend_remove(path);
        pretend_remove(folder);
}

static void a_file_that_is_no_good_is_told_and_nobody_asked(void **state)
{
        char *folder = pretend_folder();
        char *path = pretend_file(folder, "token", "s3cret\n");

        (void) state;
        set_variable(RELATIVE, "/x");
        set_variable(FILE_NAME, path);
        open_container();
        fails("token is no good: it holds a line break");
        free(pretend_file(folder, "token", ""));
        loop->now += MINUTE;
        fails("token is no good: it is empty");
        pretend_remove(path);
        loop->now += MINUTE;
        fails("(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): No such file or directory");
        assert_int_equal(http->asked, 0);
        pretend_remove(folder);
}

static void a_line_break_in_the_token_is_refused(void **state)
{
        static const char *const tokens[] = {"s3cret\r\nX-Evil: 1", "s3cret\n", "s3cret\r"};

        (void) state;
        for (size_t i = 0; i < 3; i++) {
                set_variable(RELATIVE, "/x");
                set_variable(TOKEN, tokens[i]);
                open_container();
                fails("the token in " TOKEN " is no good: it holds a line break");
                container_free(TAKE(container));
        }
        assert_int_equal(http->asked, 0);
}

static void a_token_that_is_repeated_is_not_told(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        set_variable(TOKEN, "s3cret");
        open_container();
        answers(403, "{\"message\":\"bad token s3cret\"}");
        fails("it answered with status 403");
        assert_non_null(strstr(error.hint, FILE_NAME));
}

/* ---- Trouble ---- */

static void trouble_that_passes_is_waited_out(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        open_container();
        answers(500, "");
        answers(-1, NULL);
        gives("A", "18:46:40");
        finds("A");
        assert_int_equal(http->requests[1].at, http->requests[0].at + 20 + 1000);
        assert_int_equal(http->requests[2].at, http->requests[1].at + 2000 + 1000);
}

static void after_three_times_it_is_told(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        open_container();
        for (int i = 0; i < 3; i++)
                answers(i == 2 ? 0 : 503, "");
        fails("container endpoint 169.254.170.2: connection refused");
        assert_int_equal(http->asked, 3);
}

static void strange_answers_are_told_without_their_text(void **state)
{
        static const struct {
                const char *body, *error;
        } cases[] = {
                {"<html>s3cret</html>", "not valid JSON"},
                {"[\"s3cret\"]", "found an array, expected an object"},
                {"{\"AccessKeyId\":\"A\"}", "SecretAccessKey is missing"},
                {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\\u0000\"}",
                 "SecretAccessKey: it holds a blank"},
                {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"k\",\"Token\":\"s3cret\\r\\nX: 1\"}",
                 "Token: it holds a blank"},
                {"{\"AccessKeyId\":\"A/B\",\"SecretAccessKey\":\"k\"}", "AccessKeyId: it holds a"},
                {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"k\",\"Expiration\":\"s3cret\"}",
                 "Expiration: not a time"},
                {"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"k\",\"Expiration\":1}",
                 "Expiration: found a number"},
        };

        (void) state;
        set_variable(RELATIVE, "/x");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                open_container();
                answers(200, cases[i].body);
                fails(cases[i].error);
                container_free(TAKE(container));
        }
}

static void a_failure_answers_those_who_look_just_after_it(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        open_container();
        answers(404, "");
        fails("status 404");
        fails("status 404");
        assert_int_equal(http->asked, 1);
        loop->now += 1000;
        gives("A", "18:46:40");
        finds("A");
}

static void times_are_read(void **state)
{
        (void) state;
        assert_int_equal(aws_credentials_time("2030-03-17T17:46:40Z"), NOW);
        assert_int_equal(aws_credentials_time("2030-03-17T17:46:40.610142Z"), NOW);
        assert_int_equal(aws_credentials_time("2030-03-17T19:16:40+01:30"), NOW);
        assert_int_equal(aws_credentials_time("2030-03-17T16:46:40-01:00"), NOW);
        static const char *const bad[] = {"",
                                          "2030-03-17T17:46:40",
                                          "2030-03-17 17:46:40Z",
                                          "2030-13-17T17:46:40Z",
                                          "2030-03-17T25:46:40Z",
                                          "2030-03-17T17:46:40Zulu",
                                          "2030-03-17T17:46:40.Z",
                                          "2030-03-17T17:46:40+1",
                                          "1900000000"};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_int_equal(aws_credentials_time(bad[i]), 0);
}

/* ---- Before they expire ---- */

static void starts_with(const char *ends)
{
        set_variable(RELATIVE, "/x");
        open_container();
        gives("A", ends);
        assert_int_equal(look(), LEASE_WAITING);
        assert_true(settles());
        has("A");
}

/* When the asking number `n` came, counted from the answer to the first. */
static uint64_t asked_after(unsigned n)
{
        return http->requests[n].at - (http->requests[0].at + 20);
}

static void they_are_renewed_a_quarter_of_an_hour_before(void **state)
{
        (void) state;
        starts_with("18:46:40");
        gives("B", "20:46:40");
        pass(46 * MINUTE);
        assert_int_equal(asked_after(1), 45 * MINUTE);
        has("B");
        assert_int_equal(settlings, 2);
}

static void or_up_to_two_minutes_earlier(void **state)
{
        (void) state;
        most = true;
        starts_with("18:46:40");
        gives("B", "20:46:40");
        pass(46 * MINUTE);
        assert_int_equal(asked_after(1), 43 * MINUTE);
}

static void those_of_a_short_life_at_its_half(void **state)
{
        (void) state;
        starts_with("18:06:40");
        gives("B", "17:46:50");
        gives("C", "18:46:40");
        pass(11 * MINUTE);
        assert_int_equal(asked_after(1), 10 * MINUTE);
        assert_int_equal(asked_after(2), 10 * MINUTE + 20 + 5000);
        has("C");
}

static void where_no_end_is_known_every_quarter_of_an_hour(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        open_container();
        answers(200, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}");
        assert_int_equal(look(), LEASE_WAITING);
        assert_true(settles());
        assert_null((look(), got.session_token));
        answers(404, "");
        gives("B", "18:46:40");
        pass(15 * MINUTE + 10000);
        assert_int_equal(asked_after(1), 15 * MINUTE);
        has("A");
        pass(MINUTE);
        has("B");
}

static void the_endpoints_clock_counts_not_ours(void **state)
{
        (void) state;
        starts_with("17:56:40");
        pretend_answers(http, 200,
                        "{\"AccessKeyId\":\"B\",\"SecretAccessKey\":\"s3cret\","
                        "\"Expiration\":\"2001-01-01T00:10:00Z\"}");
        http->answers[1].date = 978307200; /* 2001-01-01 */
        gives("C", "18:46:40");
        pass(5 * MINUTE + 1000);
        has("B");
        pass(5 * MINUTE);
        has("C");
}

static void a_failed_renewal_is_repeated_and_costs_nothing(void **state)
{
        (void) state;
        starts_with("18:46:40");
        for (int i = 0; i < 2; i++)
                answers(404, "");
        gives("B", "20:46:40");
        pass(45 * MINUTE + 10000);
        has("A");
        assert_int_equal(http->asked, 2);
        most = true;
        pass(30000);
        has("A");
        assert_int_equal(asked_after(2), 45 * MINUTE + 20 + 30000);
        pass(60000);
        has("B");
        assert_int_equal(http->requests[3].at, http->requests[2].at + 20 + 60000);
}

static void at_their_end_everyone_waits_for_others(void **state)
{
        (void) state;
        starts_with("17:47:40");
        loop->now += 60000;
        gives("B", "18:46:40");
        finds("B");
}

static void where_there_are_none_the_old_ones_are_used_until_they_are_refused(void **state)
{
        (void) state;
        starts_with("17:47:40");
        for (int i = 0; i < 3; i++)
                answers(404, "");
        pass(100000);
        has("A");
        assert_int_equal(http->asked, 4);
        lease_forget(container_lease(container));
        answers(404, "");
        fails("status 404");
        loop->now += 1000;
        gives("B", "18:46:40");
        finds("B");
}

static void those_that_have_expired_already_are_refused(void **state)
{
        (void) state;
        set_variable(RELATIVE, "/x");
        open_container();
        gives("A", "17:46:40");
        fails("container endpoint: the credentials that it gave have expired");
}

static void those_that_were_refused_are_not_given_again(void **state)
{
        (void) state;
        starts_with("18:46:40");
        lease_forget(container_lease(container));
        answers(404, "");
        fails("status 404");
        loop->now += 1000;
        gives("A", "18:46:40");
        finds("A");
}

/* ---- Its end ---- */

static void it_can_go_at_any_moment(void **state)
{
        char *folder = pretend_folder();
        char *path = pretend_file(folder, "token", "one");

        (void) state;
        set_variable(RELATIVE, "/x");
        set_variable(FILE_NAME, path);
        for (int turns = 0; turns < 4; turns++) {
                open_container();
                gives("A", "18:46:40");
                look();
                for (int i = 0; i < turns; i++)
                        pretend_turn(loop);
                container_free(TAKE(container));
                pretend_run(loop, 0);
        }
        assert_int_equal(settlings, 0);
        pretend_remove(path);
        pretend_remove(folder);
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                in_a_place(without_its_variables_there_is_none),
                in_a_place(ecs_is_asked_at_its_address),
                in_a_place(pod_identity_is_asked_with_its_token),
                in_a_place(an_address_that_was_checked_takes_the_names_place),
                in_a_place(over_https_any_host_is_asked_by_its_name),
                in_a_place(over_http_only_certain_addresses),
                in_a_place(what_a_name_leads_to_is_what_counts),
                in_a_place(a_hosts_other_address_is_tried_at_once),
                in_a_place(addresses_that_are_none_are_refused),
                in_a_place(the_tokens_file_is_read_for_each_asking),
                in_a_place(a_file_that_is_no_good_is_told_and_nobody_asked),
                in_a_place(a_line_break_in_the_token_is_refused),
                in_a_place(a_token_that_is_repeated_is_not_told),
                in_a_place(trouble_that_passes_is_waited_out),
                in_a_place(after_three_times_it_is_told),
                in_a_place(strange_answers_are_told_without_their_text),
                in_a_place(a_failure_answers_those_who_look_just_after_it),
                in_a_place(times_are_read),
                in_a_place(they_are_renewed_a_quarter_of_an_hour_before),
                in_a_place(or_up_to_two_minutes_earlier),
                in_a_place(those_of_a_short_life_at_its_half),
                in_a_place(where_no_end_is_known_every_quarter_of_an_hour),
                in_a_place(the_endpoints_clock_counts_not_ours),
                in_a_place(a_failed_renewal_is_repeated_and_costs_nothing),
                in_a_place(at_their_end_everyone_waits_for_others),
                in_a_place(where_there_are_none_the_old_ones_are_used_until_they_are_refused),
                in_a_place(those_that_have_expired_already_are_refused),
                in_a_place(those_that_were_refused_are_not_given_again),
                in_a_place(it_can_go_at_any_moment),
        };

        return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
