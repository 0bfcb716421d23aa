#include "pretend.h"
#include "secret/role.h"

#define NOW 1900000000LL /* 2030-03-17T17:46:40Z, by STS's clock */
#define ARN "arn:aws:iam::123456789012:role/forecaster"

enum { SECOND = 1000, MINUTE = 60 * SECOND };

/* ---- A place: STS, a source of keys, a token in a file ---- */

static struct loop *loop;
static struct http *http;
static struct role *role;
static char *folder, *path;
static unsigned settlings, refusals;
static enum lease_state source_state;
static const char *source_id, *source_token;

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

static bool sts(void *arg, struct role_sts *out, struct error *e)
{
        (void) arg;
        snprintf(out->region, sizeof out->region, "eu-west-1");
        out->ca_file = NULL;
        return endpoint_parse("https://sts.example/", &out->at, e);
}

static enum lease_state source(void *arg, struct aws_credentials *out, struct error *e)
{
        static struct aws_credentials credentials;

        (void) arg;
        aws_credentials_free(&credentials);
        if (source_state == LEASE_FAILED)
                error_hint((error_set(e, "08001", "no keys"), e), "Give some.");
        if (source_state != LEASE_GOOD)
                return source_state;
        credentials.access_key_id = own_string(source_id);
        credentials.secret_access_key = sealed_new("s3cret", 6);
        if (source_token)
                credentials.session_token = sealed_new(source_token, strlen(source_token));
        *out = credentials;
        return LEASE_GOOD;
}

static void source_refused(void *arg)
{
        (void) arg;
        refusals++;
        source_id = "B2";
}

static void open_role(const struct role_options *options)
{
        static const struct role_owner owner = {sts, source, source_refused, NULL};

        role = role_new(loop, http, options, &owner,
                        &(struct lease_user){.settled = settled, .dice = dice});
}

static void open_assumed(void)
{
        open_role(&(struct role_options){.role_arn = ARN, .session_name = "me"});
}

static void open_web_identity(void)
{
        open_role(&(struct role_options){
                .role_arn = ARN, .token_file = path, .token_setting = "THE_FILE"});
}

static void write_token(const char *text)
{
        free(path);
        path = pretend_file(folder, "token", text);
}

static int set_up(void **state)
{
        (void) state;
        loop = pretend_loop();
        http = http_new(loop);
        folder = pretend_folder();
        settlings = refusals = 0;
        source_state = LEASE_GOOD;
        source_id = "B1";
        source_token = NULL;
        write_token("jwt-1");
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        role_free(TAKE(role));
        assert_int_equal(http->under_way, 0);
        pretend_run(loop, 0);
        http_free(http);
        pretend_loop_free(loop);
        pretend_remove(TAKE(path));
        pretend_remove(folder);
        return 0;
}

static void answers(int status, const char *body)
{
        pretend_answers(http, status, body);
        http->answers[http->answer_count - 1].date = NOW;
}

/* Credentials that end at this time of 2030-03-17; it is 17:46:40. */
static void gives(const char *id, const char *ends)
{
        static char bodies[8][512];
        char *body = bodies[http->answer_count % 8];

        snprintf(body, sizeof bodies[0],
                 "<R><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>k</SecretAccessKey>"
                 "<SessionToken>t</SessionToken><Expiration>2030-03-17T%sZ</Expiration>"
                 "</Credentials></R>",
                 id, ends);
        answers(200, body);
}

static void refuses(int status, const char *code)
{
        static char bodies[8][128];
        char *body = bodies[http->answer_count % 8];

        snprintf(body, sizeof bodies[0], "{\"Error\":{\"Code\":\"%s\",\"Message\":\"m\"}}", code);
        answers(status, body);
}

static void pass(uint64_t ms)
{
        uint64_t end = loop->now + ms;

        pretend_run(loop, ms);
        loop->now = end;
}

static struct aws_credentials got;
static struct error error;

static enum lease_state look(void)
{
        return lease_look(role_lease(role), &got, &error);
}

static void has(const char *id)
{
        assert_int_equal(look(), LEASE_GOOD);
        assert_string_equal(got.access_key_id, id);
}

static void finds(const char *id)
{
        assert_int_equal(look(), LEASE_WAITING);
        for (int i = 0; i < 2000 && look() == LEASE_WAITING; i++)
                pass(10);
        has(id);
}

static void fails(const char *text)
{
        look();
        for (int i = 0; i < 2000 && look() == LEASE_WAITING; i++)
                pass(10);
        assert_int_equal(look(), LEASE_FAILED);
        if (!strstr(error.text, text))
                print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, text));
        assert_null(strstr(error.text, "s3cret"));
        assert_null(strstr(error.text, "jwt"));
        assert_string_not_equal(error.hint, "");
        pass(2 * SECOND);
}

/* ---- Asking ---- */

static void assume_role_is_signed(void **state)
{
        (void) state;
        source_token = "session";
        open_assumed();
        gives("R", "18:46:40");
        finds("R");
        assert_string_equal(got.provider, "assumed role");
        assert_string_equal(http->requests[0].method, "POST");
        assert_string_equal(http->requests[0].url, "https://sts.example/");
        assert_non_null(strstr(http->requests[0].headers, "Host: sts.example\n"));
        assert_non_null(strstr(http->requests[0].headers, "Accept: application/json\n"));
        assert_non_null(strstr(http->requests[0].headers, "X-Amz-Security-Token: session\n"));
        assert_non_null(strstr(http->requests[0].headers,
                               "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"));
        assert_non_null(strstr(http->requests[0].body, "Action=AssumeRole&"));
}

static void web_identity_is_not(void **state)
{
        (void) state;
        open_web_identity();
        gives("R", "18:46:40");
        finds("R");
        assert_string_equal(got.provider, "web identity");
        assert_null(strstr(http->requests[0].headers, "Authorization"));
        assert_null(strstr(http->requests[0].headers, "X-Amz-Date"));
        assert_non_null(strstr(http->requests[0].body, "&RoleSessionName=pgbroker-"));
}

static void the_token_is_read_at_each_asking(void **state)
{
        (void) state;
        open_web_identity();
        gives("R1", "18:46:40");
        finds("R1");
        write_token("jwt-2");
        gives("R2", "19:46:40");
        pass(46 * MINUTE);
        has("R2");
        assert_non_null(strstr(http->requests[1].body, "&WebIdentityToken=jwt-2"));
}

static void a_renewal_that_fails_takes_nothing_away(void **state)
{
        (void) state;
        open_assumed();
        gives("R1", "18:46:40");
        finds("R1");
        refuses(403, "AccessDenied");
        pass(45 * MINUTE + SECOND);
        has("R1");
        assert_int_equal(http->asked, 2);
        source_state = LEASE_FAILED;
        pass(20 * MINUTE);
        has("R1"); /* though it has expired */
        source_state = LEASE_GOOD;
        gives("R2", "20:46:40");
        pass(MINUTE);
        has("R2");
}

static void a_role_waits_for_its_source(void **state)
{
        (void) state;
        source_state = LEASE_WAITING;
        open_assumed();
        assert_int_equal(look(), LEASE_WAITING);
        role_source_settled(role);
        pass(SECOND);
        assert_int_equal(http->asked, 0);
        source_state = LEASE_GOOD;
        gives("R", "18:46:40");
        role_source_settled(role);
        role_source_settled(role);
        role_source_settled(NULL);
        pass(SECOND);
        has("R");
        assert_int_equal(http->asked, 1);
        source_state = LEASE_FAILED;
        lease_forget(role_lease(role));
        fails("role " ARN ": to assume it: no keys");
}

/* ---- What goes wrong ---- */

static void trouble_is_met_again(void **state)
{
        (void) state;
        open_assumed();
        answers(503, "");
        answers(0, NULL);
        gives("R", "18:46:40");
        finds("R");
}

static void three_times_at_most(void **state)
{
        (void) state;
        open_assumed();
        for (int i = 0; i < 3; i++)
                refuses(400, "ThrottlingException");
        fails("role " ARN ": STS: ThrottlingException: m");
        assert_int_equal(http->asked, 3);
}

static void a_refusal_is_told_at_once(void **state)
{
        (void) state;
        open_assumed();
        refuses(403, "AccessDenied");
        fails("role " ARN ": STS: AccessDenied: m");
        assert_non_null(strstr(error.hint, "sts:AssumeRole"));
        assert_int_equal(http->asked, 1);
}

static void keys_that_sts_does_not_know_are_looked_up_afresh_once(void **state)
{
        (void) state;
        open_assumed();
        refuses(403, "ExpiredToken");
        gives("R", "18:46:40");
        finds("R");
        assert_int_equal(refusals, 1);
        assert_non_null(strstr(http->requests[1].headers, "Credential=B2/"));
        lease_forget(role_lease(role));
        refuses(403, "ExpiredToken");
        refuses(403, "ExpiredToken");
        fails("STS: ExpiredToken: m");
        assert_int_equal(http->asked, 4);
}

static void a_token_that_is_stale_is_read_again_once(void **state)
{
        (void) state;
        open_web_identity();
        refuses(400, "ExpiredTokenException");
        look();
        pass(500);
        write_token("jwt-2");
        gives("R", "18:46:40");
        pass(SECOND);
        has("R");
        assert_non_null(strstr(http->requests[1].body, "&WebIdentityToken=jwt-2"));
        assert_int_equal(refusals, 0);
        lease_forget(role_lease(role));
        refuses(400, "InvalidIdentityToken");
        refuses(400, "InvalidIdentityToken");
        fails("STS: InvalidIdentityToken");
}

static void the_clock_is_corrected_once(void **state)
{
        (void) state;
        open_assumed();
        refuses(403, "SignatureDoesNotMatch");
        gives("R", "18:46:40");
        finds("R");
        assert_int_equal(refusals, 0);
        assert_non_null(strstr(http->requests[1].headers, "X-Amz-Date: 20300317T"));
}

static void a_token_that_is_repeated_is_not_told(void **state)
{
        (void) state;
        open_web_identity();
        answers(400, "{\"Error\":{\"Code\":\"ValidationError\",\"Message\":\"bad: jwt-1\"}}");
        fails("STS: ValidationError");
}

static void a_file_that_is_no_good_is_told(void **state)
{
        (void) state;
        write_token("jwt-1\n");
        open_web_identity();
        fails("it holds a line break");
        unlink(path);
        fails("token (THE_FILE): No such file or directory");
        write_token("");
        fails("it is empty");
        assert_int_equal(http->asked, 0);
}

static void options_that_are_no_good_are_told(void **state)
{
        static const char *const names[] = {"x", "a b", "a/b",
                                            ("0123456789012345678901234567890123456789012345678901"
                                             "2345678901234")};

        (void) state;
        open_role(&(struct role_options){.role_arn = "forecaster"});
        fails("that is not the ARN of a role");
        role_free(TAKE(role));
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                open_role(&(struct role_options){.role_arn = ARN, .session_name = names[i]});
                fails("the session's name is no good");
                role_free(TAKE(role));
        }
        assert_int_equal(http->asked, 0);
}

static void it_can_go_at_any_moment(void **state)
{
        (void) state;
        open_web_identity();
        look();
        role_free(TAKE(role));
        pretend_run(loop, 0);
        open_web_identity();
        answers(503, "");
        look();
        pass(10);
        role_free(TAKE(role));
        source_state = LEASE_WAITING;
        open_assumed();
        look();
        role_free(TAKE(role));
        pass(MINUTE);
        assert_int_equal(settlings, 0);
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                in_a_place(assume_role_is_signed),
                in_a_place(web_identity_is_not),
                in_a_place(the_token_is_read_at_each_asking),
                in_a_place(a_renewal_that_fails_takes_nothing_away),
                in_a_place(a_role_waits_for_its_source),
                in_a_place(trouble_is_met_again),
                in_a_place(three_times_at_most),
                in_a_place(a_refusal_is_told_at_once),
                in_a_place(keys_that_sts_does_not_know_are_looked_up_afresh_once),
                in_a_place(a_token_that_is_stale_is_read_again_once),
                in_a_place(the_clock_is_corrected_once),
                in_a_place(a_token_that_is_repeated_is_not_told),
                in_a_place(a_file_that_is_no_good_is_told),
                in_a_place(options_that_are_no_good_are_told),
                in_a_place(it_can_go_at_any_moment),
        };

        return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
