#include "pretend.h"
#include "secret/imds.h"

#define NOW      1900000000LL /* 2030-03-17T17:46:40Z, by the instance's clock */
#define DISABLED "AWS_EC2_METADATA_DISABLED"
#define ENDPOINT "AWS_EC2_METADATA_SERVICE_ENDPOINT"
#define ROLES    "/latest/meta-data/iam/security-credentials/"

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
static struct imds *imds;

static void settled(void *arg)
{
        (void) arg;
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
        memset(variables, 0, sizeof variables);
        loop = pretend_loop();
        http = http_new(loop);
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        imds_free(TAKE(imds));
        assert_int_equal(http->under_way, 0);
        http_free(http);
        pretend_loop_free(loop);
        return 0;
}

static void open_imds(void)
{
        imds = imds_new(loop, http, get_variable,
                        &(struct lease_user){.settled = settled, .dice = dice});
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
                 "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s3cret\","
                 "\"Token\":\"t\",\"Expiration\":\"2030-03-17T%sZ\"}",
                 id, ends);
        answers(200, body);
}

static void gives_all(const char *id, const char *ends)
{
        answers(200, "token-1");
        answers(200, "role");
        gives(id, ends);
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
        return lease_look(imds_lease(imds), &got, &error);
}

static void has(const char *id)
{
        assert_int_equal(look(), LEASE_GOOD);
        assert_string_equal(got.access_key_id, id);
        assert_string_equal(got.provider, "instance metadata");
}

static void finds(const char *id)
{
        assert_int_equal(look(), LEASE_WAITING);
        for (int i = 0; i < 1000 && look() == LEASE_WAITING; i++)
                pass(10);
        has(id);
}

static void fails(const char *text)
{
        if (look() == LEASE_WAITING)
                for (int i = 0; i < 1000 && look() == LEASE_WAITING; i++)
                        pass(10);
        assert_int_equal(look(), LEASE_FAILED);
        if (!strstr(error.text, text))
                print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, text));
        assert_null(strstr(error.text, "s3cret"));
        assert_string_not_equal(error.hint, "");
}

/* ---- How it asks ---- */

static void a_token_then_the_role_then_its_credentials(void **state)
{
        (void) state;
        open_imds();
        answers(200, "token-1");
        answers(200, "forecaster\nanother");
        gives("A", "23:46:40");
        finds("A");
        assert_string_equal(http->requests[0].method, "PUT");
        assert_string_equal(http->requests[0].url, "http://169.254.169.254/latest/api/token");
        assert_string_equal(http->requests[0].headers,
                            "X-aws-ec2-metadata-token-ttl-seconds: 21600\n");
        assert_string_equal(http->requests[1].method, "GET");
        assert_string_equal(http->requests[1].url, "http://169.254.169.254" ROLES);
        assert_string_equal(http->requests[1].headers, "X-aws-ec2-metadata-token: token-1\n");
        assert_string_equal(http->requests[2].url, "http://169.254.169.254" ROLES "forecaster");
        assert_string_equal(http->requests[2].headers, "X-aws-ec2-metadata-token: token-1\n");
        for (int i = 0; i < 3; i++) {
                assert_true(http->requests[i].no_proxy);
                assert_int_equal(http->requests[i].timeout_ms, 1000);
        }
}

static void the_variables_say_where(void **state)
{
        static const struct {
                const char *name, *value, *url;
        } cases[] = {
                {ENDPOINT "_MODE", "IPv6", "http://[fd00:ec2::254]/latest/api/token"},
                {ENDPOINT "_MODE", "ipv4", "http://169.254.169.254/latest/api/token"},
                {ENDPOINT, "http://127.0.0.1:81/", "http://127.0.0.1:81/latest/api/token"},
                {ENDPOINT, "http://stand-in/path", "http://stand-in/path/latest/api/token"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                memset(variables, 0, sizeof variables);
                set_variable(cases[i].name, cases[i].value);
                open_imds();
                gives_all("A", "23:46:40");
                finds("A");
                assert_string_equal(http->requests[3 * i].url, cases[i].url);
                imds_free(TAKE(imds));
        }
}

static void variables_that_are_no_good_are_told(void **state)
{
        static const char *const cases[][2] = {
                {ENDPOINT "_MODE", "IPv5"},
                {ENDPOINT, "169.254.169.254"},
                {ENDPOINT, "http://user@127.0.0.1/"},
                {ENDPOINT, "http://127.0.0.1/?x"},
                {"AWS_METADATA_SERVICE_TIMEOUT", "soon"},
                {"AWS_METADATA_SERVICE_TIMEOUT", "0"},
                {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "nan"},
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                memset(variables, 0, sizeof variables);
                set_variable(cases[i][0], cases[i][1]);
                open_imds();
                fails(cases[i][0]);
                imds_free(TAKE(imds));
        }
        assert_int_equal(http->asked, 0);
}

static void it_can_be_switched_off(void **state)
{
        (void) state;
        set_variable(DISABLED, "True");
        open_imds();
        assert_null(imds);
        set_variable(DISABLED, "false");
        open_imds();
        assert_non_null(imds);
}

/* ---- The token ---- */

static void the_token_is_kept(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "23:46:40");
        finds("A");
        answers(200, "role");
        gives("B", "23:46:40");
        lease_forget(imds_lease(imds));
        finds("B");
        assert_string_equal(http->requests[3].headers, "X-aws-ec2-metadata-token: token-1\n");
}

static void until_just_before_its_end(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "23:59:59");
        finds("A");
        loop->now += 6 * HOUR - 5000;
        gives_all("B", "23:59:59");
        lease_forget(imds_lease(imds));
        finds("B");
        assert_string_equal(http->requests[3].method, "PUT");
}

static void a_token_that_is_refused_is_got_anew_once(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "23:46:40");
        finds("A");
        answers(200, "role");
        answers(401, "");
        answers(200, "token-2");
        answers(200, "role");
        gives("B", "23:46:40");
        lease_forget(imds_lease(imds));
        finds("B");
        assert_string_equal(http->requests[7].headers, "X-aws-ec2-metadata-token: token-2\n");
        answers(401, "");
        answers(200, "token-3");
        answers(401, "");
        lease_forget(imds_lease(imds));
        fails("instance metadata: the instance's role: status 401");
}

/* A header or another request could be made of it. */
static void a_token_that_is_none_is_refused(void **state)
{
        static const char *const tokens[] = {"", "a\r\nX: 1", "<html> </html>", "caf\xc3\xa9"};

        (void) state;
        open_imds();
        for (size_t i = 0; i < 4; i++) {
                answers(200, tokens[i]);
                fails("instance metadata: its session token: what it gave is no token");
                loop->now += MINUTE;
        }
}

static void there_is_no_way_back_to_version_1(void **state)
{
        static const int statuses[] = {400, 403, 404, 405};

        (void) state;
        open_imds();
        for (size_t i = 0; i < 4; i++) {
                answers(statuses[i], "");
                fails("does not offer IMDSv2");
                assert_int_equal(http->asked, i + 1);
                loop->now += MINUTE;
        }
}

static void a_token_that_does_not_come_is_told_with_the_hop_limit(void **state)
{
        (void) state;
        open_imds();
        answers(-1, NULL);
        fails("instance metadata: its session token: timeout");
        assert_non_null(strstr(error.hint, "HttpPutResponseHopLimit of the instance to 2"));
        assert_non_null(strstr(error.hint, DISABLED));
        loop->now += MINUTE;
        answers(0, NULL);
        fails("connection refused");
        assert_null(strstr(error.hint, "HttpPutResponseHopLimit"));
        assert_non_null(strstr(error.hint, DISABLED));
}

static void it_asks_as_long_and_often_as_it_is_told(void **state)
{
        (void) state;
        set_variable("AWS_METADATA_SERVICE_TIMEOUT", "2.5");
        set_variable("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3");
        open_imds();
        answers(-1, NULL);
        answers(503, "");
        answers(200, "token-1");
        answers(429, "");
        answers(200, "role");
        gives("A", "23:46:40");
        finds("A");
        assert_int_equal(http->requests[1].at, http->requests[0].at + 2500 + 100);
}

/* ---- The role ---- */

static void without_a_role_it_says_so(void **state)
{
        (void) state;
        open_imds();
        answers(200, "token-1");
        answers(404, "<html>not found</html>");
        fails("instance metadata: the instance's role: no role is attached to the instance");
        loop->now += MINUTE;
        answers(200, "\n");
        fails("no role is attached to the instance");
}

static void a_roles_name_must_be_one(void **state)
{
        static const char *const names[] = {"../../user-data", "a b", "a?b", "<html>"};

        (void) state;
        open_imds();
        answers(200, "token-1");
        for (size_t i = 0; i < 4; i++) {
                answers(200, names[i]);
                fails("what it gave is no role's name");
                loop->now += MINUTE;
        }
}

static void a_role_that_cannot_be_assumed_is_told(void **state)
{
        (void) state;
        open_imds();
        answers(200, "token-1");
        answers(200, "role");
        answers(200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume "
                     "the role role.\"}");
        fails("the role's credentials: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role");
        assert_non_null(strstr(error.hint, "role role: its trust policy"));
}

/* ---- Their end ---- */

static void they_are_renewed_before_their_end(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "18:46:40");
        finds("A");
        answers(200, "role");
        gives("B", "23:46:40");
        pass(45 * MINUTE + 1000);
        has("B");
        assert_int_equal(http->requests[3].at, http->requests[2].at + 20 + 45 * MINUTE);
}

static void expired_ones_are_used_while_no_others_can_be_had(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "17:47:40");
        finds("A");
        for (int i = 0; i < 4; i++)
                answers(0, NULL);
        pass(31000);
        has("A");
        pass(60000);
        has("A");
        answers(200, "role");
        gives("B", "23:46:40");
        pass(60000);
        has("B");
}

static void at_their_end_a_look_waits_for_one_asking(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "17:46:42");
        finds("A");
        loop->now += 3000;
        answers(0, NULL);
        finds("A");
        assert_int_equal(http->asked, 4);
}

/* So that a metadata service that is down inside takes nothing away. */
static void expired_ones_that_it_gives_are_used_and_it_is_asked_again(void **state)
{
        (void) state;
        open_imds();
        gives_all("A", "16:46:40");
        finds("A");
        answers(200, "role");
        gives("B", "23:46:40");
        has("A");
        pass(31000);
        has("B");
        assert_int_equal(http->requests[3].at, http->requests[2].at + 20 + 30000);
}

/* ---- The region ---- */

static void region_is(enum lease_state state, const char *text)
{
        struct error e = {0};
        const char *region = "";

        assert_int_equal(imds_region(imds, &region, &e), state);
        if (state != LEASE_WAITING)
                assert_string_equal(state == LEASE_GOOD ? region : e.text, text);
}

static void the_region_is_asked_for_once(void **state)
{
        (void) state;
        open_imds();
        answers(200, "token-1");
        answers(200, "eu-west-1\n");
        region_is(LEASE_WAITING, "");
        region_is(LEASE_WAITING, "");
        pass(100);
        region_is(LEASE_GOOD, "eu-west-1");
        pass(HOUR);
        region_is(LEASE_GOOD, "eu-west-1");
        assert_int_equal(http->asked, 2);
        assert_string_equal(http->requests[1].url,
                            "http://169.254.169.254/latest/meta-data/placement/region");
        assert_non_null(strstr(http->requests[1].headers, "X-aws-ec2-metadata-token: token-1\n"));
        assert_true(http->requests[1].no_proxy);
}

static void what_goes_wrong_with_it_is_told_and_it_is_asked_again(void **state)
{
        (void) state;
        open_imds();
        answers(0, NULL);
        region_is(LEASE_WAITING, "");
        pass(100);
        region_is(LEASE_FAILED, "instance metadata: its session token: connection refused");
        pass(1000);
        answers(200, "token-1");
        answers(200, "eu-west-1.evil.example");
        region_is(LEASE_WAITING, "");
        pass(100);
        region_is(LEASE_FAILED,
                  "instance metadata: the instance's region: what it gave is no region");
        pass(1000);
        answers(401, "");
        answers(200, "token-2");
        answers(200, "eu-west-2");
        region_is(LEASE_WAITING, "");
        pass(100);
        region_is(LEASE_GOOD, "eu-west-2");
}

static void it_is_no_affair_of_the_credentials(void **state)
{
        (void) state;
        open_imds();
        answers(200, "token-1");
        answers(404, "");
        region_is(LEASE_WAITING, "");
        pass(100);
        gives_all("A", "23:46:40");
        finds("A");
}

static void it_can_go_at_any_moment(void **state)
{
        (void) state;
        for (int turns = 0; turns < 4; turns++) {
                open_imds();
                gives_all("A", "23:46:40");
                look();
                pass((uint64_t) turns * 15);
                imds_free(TAKE(imds));
                pretend_run(loop, 0);
        }
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                in_a_place(a_token_then_the_role_then_its_credentials),
                in_a_place(the_variables_say_where),
                in_a_place(variables_that_are_no_good_are_told),
                in_a_place(it_can_be_switched_off),
                in_a_place(the_token_is_kept),
                in_a_place(until_just_before_its_end),
                in_a_place(a_token_that_is_refused_is_got_anew_once),
                in_a_place(a_token_that_is_none_is_refused),
                in_a_place(there_is_no_way_back_to_version_1),
                in_a_place(a_token_that_does_not_come_is_told_with_the_hop_limit),
                in_a_place(it_asks_as_long_and_often_as_it_is_told),
                in_a_place(without_a_role_it_says_so),
                in_a_place(a_roles_name_must_be_one),
                in_a_place(a_role_that_cannot_be_assumed_is_told),
                in_a_place(they_are_renewed_before_their_end),
                in_a_place(expired_ones_are_used_while_no_others_can_be_had),
                in_a_place(at_their_end_a_look_waits_for_one_asking),
                in_a_place(expired_ones_that_it_gives_are_used_and_it_is_asked_again),
                in_a_place(the_region_is_asked_for_once),
                in_a_place(what_goes_wrong_with_it_is_told_and_it_is_asked_again),
                in_a_place(it_is_no_affair_of_the_credentials),
                in_a_place(it_can_go_at_any_moment),
        };

        return cmocka_run_group_tests_name("imds", tests, NULL, NULL);
}
