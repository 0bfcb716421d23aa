#include "pretend.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include "secret/source.h"

static const char value[] =
        "{\"host\":\"db.example\",\"username\":\"u\",\"password\":\"s3cret\",\"database\":\"d\"}";
static const char found[] =
        "{\"ARN\":\"a\",\"Name\":\"n\",\"VersionId\":\"v-1\",\"SecretString\":"
        "\"{\\\"host\\\":\\\"db.example\\\",\\\"username\\\":\\\"u\\\",\\\"password\\\":"
        "\\\"s3cret\\\","
        "\\\"database\\\":\\\"d\\\"}\",\"VersionStages\":[\"AWSCURRENT\"],\"CreatedDate\":1.5E9}";
static const char not_found[] =
        "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"can't find it\"}";
static const char denied[] =
        "{\"__type\":\"AccessDeniedException\",\"Message\":\"User x may not\"}";
static const char throttled[] =
        "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate exceeded\"}";
static const char expired[] = "{\"__type\":\"ExpiredTokenException\",\"Message\":\"expired\"}";
static const char bad_signature[] =
        "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired\"}";

static const char too_skewed[] = "{\"__type\":\"RequestTimeTooSkewed\",\"message\":\"too far\"}";

/* ---- A place ---- */

static struct {
        const char *name, *value;
} variables[16];

static const char *get_variable(const char *name)
{
        for (size_t i = 0; i < 16 && variables[i].name; i++)
                if (strcmp(variables[i].name, name) == 0)
                        return variables[i].value;
        return NULL;
}

static void set_variable(const char *name, const char *value_)
{
        size_t i = 0;

        while (variables[i].name && strcmp(variables[i].name, name) != 0)
                i++;
        variables[i].name = name;
        variables[i].value = value_;
}

static struct loop *loop;
static struct http *http;
static struct chain *chain;
static struct log *journal;
static int journal_pipe[2];
static struct source *source;
static uint32_t dice_share = 1; /* 1 = the most, 0 = nothing */

static uint32_t dice(void *arg, uint32_t below)
{
        (void) arg;
        return dice_share ? below - 1 : 0;
}

static int set_up(void **state)
{
        (void) state;
        memset(variables, 0, sizeof variables);
        set_variable("AWS_ACCESS_KEY_ID", "AKID");
        set_variable("AWS_SECRET_ACCESS_KEY", "aws-key");
        set_variable("AWS_REGION", "eu-west-1");
        set_variable("AWS_EC2_METADATA_DISABLED", "true");
        loop = pretend_loop();
        http = http_new(loop);
        chain = NULL;
        source = NULL;
        dice_share = 1;
        assert_int_equal(pipe2(journal_pipe, O_NONBLOCK), 0);
        journal = log_new(journal_pipe[1], LOG_DEBUG, LOG_LOGFMT);
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        source_free(TAKE(source));
        assert_int_equal(http->under_way, 0);
        pretend_run(loop, 0);
        chain_free(TAKE(chain));
        http_free(http);
        pretend_loop_free(loop);
        log_free(journal);
        close(journal_pipe[0]);
        close(journal_pipe[1]);
        return 0;
}

/* What the log said so far; no secret is ever among it. */
static char *logged(void)
{
        char *text = own_alloc(65536);
        size_t n = 0;
        ssize_t got;

        log_free(TAKE(journal));
        while ((got = read(journal_pipe[0], text + n, 65535 - n)) > 0)
                n += (size_t) got;
        assert_null(strstr(text, "s3cret"));
        return text;
}

static bool make(struct source_options *o, struct error *e)
{
        if (!chain)
                chain = chain_new(loop, http, get_variable);
        if (!o->environment)
                o->environment = "prod";
        o->getenv_ = get_variable;
        o->dice = dice;
        source = source_new(loop, http, chain, journal, o, e);
        return source;
}

static void make_aws(void)
{
        struct error e = {0};
        struct source_options o = {.kind = SOURCE_AWS, .secret_name = "forecaster/database/prod"};

        if (!make(&o, &e))
                print_error("%s\n", e.text);
        assert_non_null(source);
}

static void cannot_make(struct source_options o, const char *why)
{
        struct error e = {0};

        assert_false(make(&o, &e));
        if (!strstr(e.text, why))
                print_error("%s\n", e.text);
        assert_non_null(strstr(e.text, why));
        assert_string_not_equal(e.hint, "");
}

/* ---- What a fetch gave ---- */

static struct {
        unsigned calls;
        enum source_verdict verdict;
        char version_id[65], request_id[65], error[512], hint[256], host[64], password[64];
        unsigned retry_ms;
        uint64_t at;
        bool free_it;
} got;

static void take(void *arg, struct source_answer *a)
{
        (void) arg;
        got.calls++;
        got.verdict = a->verdict;
        got.retry_ms = a->retry_ms;
        got.at = loop->now;
        snprintf(got.version_id, sizeof got.version_id, "%s", a->version_id);
        snprintf(got.request_id, sizeof got.request_id, "%s", a->request_id);
        snprintf(got.error, sizeof got.error, "%s", a->error.text);
        snprintf(got.hint, sizeof got.hint, "%s", a->error.hint);
        snprintf(got.host, sizeof got.host, "%s", a->document ? a->document->host : "");
        snprintf(got.password, sizeof got.password, "%s",
                 a->document ? sealed_open(a->document->password) : "");
        assert_null(strstr(a->error.text, "s3cret"));
        assert_int_equal(a->document != NULL, a->verdict == SOURCE_FOUND);
        assert_int_equal(error_is_set(&a->error), a->verdict != SOURCE_FOUND);
        if (got.free_it)
                source_free(TAKE(source));
}

static void fetch(enum secret_stage stage)
{
        bool free_it = got.free_it;

        memset(&got, 0, sizeof got);
        got.free_it = free_it;
        source_fetch(source, stage, take, NULL);
        assert_int_equal(got.calls, 0);
        pretend_run(loop, 60000);
        assert_int_equal(got.calls, 1);
}

static void gives(enum secret_stage stage, enum source_verdict verdict)
{
        fetch(stage);
        if (got.verdict != verdict)
                print_error("%s\n", got.error);
        assert_int_equal(got.verdict, verdict);
}

/* ---- One request ---- */

static void the_request_is_what_the_service_wants(void **state)
{
        const struct pretend_request *r = &http->requests[0];

        (void) state;
        set_variable("AWS_SESSION_TOKEN", "the-token");
        pretend_answers(http, 200, found);
        make_aws();
        assert_string_equal(source_name(source),
                            "secretsmanager eu-west-1 forecaster/database/prod");
        assert_true(source_can_rotate(source));
        gives(STAGE_PENDING, SOURCE_FOUND);
        r = &http->requests[0];
        assert_string_equal(r->url, "https://secretsmanager.eu-west-1.amazonaws.com/");
        assert_string_equal(
                r->body,
                "{\"SecretId\":\"forecaster/database/prod\",\"VersionStage\":\"AWSPENDING\"}");
        assert_non_null(strstr(r->headers, "Host: secretsmanager.eu-west-1.amazonaws.com\n"));
        assert_non_null(strstr(r->headers, "Content-Type: application/x-amz-json-1.1\n"));
        assert_non_null(strstr(r->headers, "X-Amz-Target: secretsmanager.GetSecretValue\n"));
        assert_non_null(strstr(r->headers, "X-Amz-Security-Token: the-token\n"));
        assert_non_null(strstr(r->headers, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/"));
        assert_non_null(strstr(r->headers, "SignedHeaders=content-type;host;x-amz-date;"
                                           "x-amz-security-token;x-amz-target, Signature="));
        assert_int_equal(r->timeout_ms, 5000);
        assert_string_equal(got.version_id, "v-1");
        assert_string_equal(got.request_id, "request-1");
        assert_string_equal(got.host, "db.example");
        assert_string_equal(got.password, "s3cret");
}

/* What is news is for whoever asked to tell. */
static void each_answer_is_a_line_for_debugging(void **state)
{
        (void) state;
        pretend_answers(http, 200, found);
        pretend_answers(http, 200, found);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        gives(STAGE_CURRENT, SOURCE_FOUND);

        OWN(free) char *log = logged();
        const char *first = strstr(log, "level=debug event=\"secret answered\"");

        assert_non_null(first);
        assert_non_null(strstr(first + 1, "level=debug event=\"secret answered\""));
        assert_null(strstr(log, "level=info"));
        assert_non_null(strstr(log, "version_id=v-1"));
        assert_non_null(strstr(log, "request_id=request-1"));
        assert_non_null(strstr(log, "stage=AWSCURRENT"));
}

/* AWS is paid for each request, also for those that were refused and made again. */
static void requests_are_counted(void **state)
{
        uint64_t calls = 0;

        (void) state;
        make_aws();
        assert_true(source_calls(source, &calls));
        assert_int_equal(calls, 0);
        pretend_answers(http, 400, throttled);
        pretend_answers(http, 200, found);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        pretend_answers(http, 200, found);
        gives(STAGE_PENDING, SOURCE_FOUND);
        assert_true(source_calls(source, &calls));
        assert_int_equal(calls, 3);
}

/* ---- Errors ---- */

static void a_label_that_is_not_there_is_none(void **state)
{
        (void) state;
        pretend_answers(http, 400, not_found);
        pretend_answers(http, 400, not_found);
        make_aws();
        gives(STAGE_PENDING, SOURCE_NONE);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_string_equal(got.error, "Secrets Manager in eu-west-1, forecaster/database/prod "
                                       "AWSCURRENT: ResourceNotFoundException: can't find it");
        assert_true(got.retry_ms >= 30000 && got.retry_ms <= 60000);
        assert_int_equal(http->asked, 2);
}

static void a_label_that_is_forbidden_is_warned_of_once(void **state)
{
        (void) state;
        pretend_answers(http, 400, denied);
        pretend_answers(http, 400, denied);
        pretend_answers(http, 400, denied);
        make_aws();
        gives(STAGE_PENDING, SOURCE_NONE);
        gives(STAGE_PREVIOUS, SOURCE_NONE);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "User x may not"));

        OWN(free) char *log = logged();
        const char *warning = strstr(log, "level=warn");

        assert_non_null(warning);
        assert_null(strstr(warning + 1, "level=warn"));
}

static void trouble_is_tried_three_times(void **state)
{
        (void) state;
        pretend_answers(http, 503, "");
        pretend_answers(http, 0, NULL);
        pretend_answers(http, 200, "<html>");
        make_aws();
        gives(STAGE_CURRENT, SOURCE_RETRY);
        assert_int_equal(http->asked, 3);
        assert_non_null(strstr(got.error, "this is not Secrets Manager"));
}

static void it_comes_through_in_the_end(void **state)
{
        (void) state;
        pretend_answers(http, 500, "{\"__type\":\"InternalServiceError\"}");
        pretend_answers(http, 502, "");
        pretend_answers(http, 200, found);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        /* Pauses of almost 50 and 100 ms, and 20 ms for each answer. */
        assert_int_equal(http->requests[1].at - http->requests[0].at, 20 + 49);
        assert_int_equal(http->requests[2].at - http->requests[1].at, 20 + 99);
}

static void throttling_is_given_more_time(void **state)
{
        (void) state;
        for (int i = 0; i < 3; i++)
                pretend_answers(http, 400, throttled);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_RETRY);
        assert_int_equal(http->asked, 3);
        assert_int_equal(http->requests[1].at - http->requests[0].at, 20 + 999);
        assert_int_equal(http->requests[2].at - http->requests[1].at, 20 + 1999);
        assert_true(got.retry_ms >= 5000);
}

static void jitter_may_be_nothing(void **state)
{
        (void) state;
        dice_share = 0;
        pretend_answers(http, 400, throttled);
        pretend_answers(http, 200, found);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_int_equal(http->requests[1].at - http->requests[0].at, 20);
}

static void it_is_over_after_twelve_seconds(void **state)
{
        uint64_t began;

        (void) state;
        for (int i = 0; i < 3; i++)
                pretend_answers(http, -1, NULL);
        make_aws();
        began = loop->now;
        gives(STAGE_CURRENT, SOURCE_RETRY);
        assert_int_equal(http->asked, 3);
        assert_int_equal(http->requests[0].timeout_ms, 5000);
        assert_int_equal(http->requests[2].timeout_ms, 12000 - 10000 - 49 - 99);
        assert_true(got.at - began <= 12000);
}

static void expired_credentials_are_looked_up_again_once(void **state)
{
        (void) state;
        pretend_answers(http, 400, expired);
        pretend_answers(http, 400, expired);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_int_equal(http->asked, 2);
        assert_int_equal(http->requests[1].at - http->requests[0].at, 20);
}

static void new_credentials_in_the_file_are_used_at_once(void **state)
{
        OWN(free) char *folder = pretend_folder();
        char *path = pretend_file(folder, "credentials",
                                  "[default]\naws_access_key_id=OLD\naws_secret_access_key=1\n");

        (void) state;
        set_variable("AWS_ACCESS_KEY_ID", NULL);
        set_variable("AWS_SECRET_ACCESS_KEY", NULL);
        set_variable("AWS_SHARED_CREDENTIALS_FILE", path);
        pretend_answers(http, 400, expired);
        pretend_answers(http, 200, found);
        make_aws();
        free(pretend_file(folder, "credentials",
                          "[default]\naws_access_key_id=NEW\naws_secret_access_key=2\n"));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_non_null(strstr(http->requests[0].headers, "Credential=OLD/"));
        assert_non_null(strstr(http->requests[1].headers, "Credential=NEW/"));
        pretend_remove(path);
        rmdir(folder);
}

static time_t date_sent(const struct pretend_request *r)
{
        struct tm tm = {0};
        const char *date = strstr(r->headers, "X-Amz-Date: ");

        assert_non_null(date);
        assert_non_null(strptime(date + strlen("X-Amz-Date: "), "%Y%m%dT%H%M%SZ", &tm));
        return timegm(&tm);
}

static void a_wrong_clock_is_mended_by_the_servers_date(void **state)
{
        long long there = (long long) time(NULL) + 3600;

        (void) state;
        http->answers[http->answer_count++] =
                (struct pretend_answer){400, bad_signature, "", there};
        pretend_answers(http, 200, found);
        pretend_answers(http, 200, found);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_int_equal(http->asked, 2);
        assert_true(llabs(date_sent(&http->requests[0]) - (there - 3600)) < 60);
        assert_true(llabs(date_sent(&http->requests[1]) - there) < 60);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_true(llabs(date_sent(&http->requests[2]) - there) < 60);
}

/* What counts is how far the two are apart: it is all the same whose clock was set. */
static void a_clock_that_is_set_back_is_mended_again(void **state)
{
        long long here = (long long) time(NULL);

        (void) state;
        http->answers[http->answer_count++] =
                (struct pretend_answer){403, too_skewed, "", here - 5 * 3600};
        pretend_answers(http, 200, found);
        http->answers[http->answer_count++] = (struct pretend_answer){403, too_skewed, "", here};
        pretend_answers(http, 200, found);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_true(llabs(date_sent(&http->requests[1]) - (here - 5 * 3600)) < 60);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_int_equal(http->asked, 4);
        assert_true(llabs(date_sent(&http->requests[2]) - (here - 5 * 3600)) < 60);
        assert_true(llabs(date_sent(&http->requests[3]) - here) < 60);
}

static void with_a_right_clock_a_bad_signature_is_a_bad_key(void **state)
{
        long long there = (long long) time(NULL) - 200;

        (void) state;
        http->answers[http->answer_count++] =
                (struct pretend_answer){400, bad_signature, "", there};
        http->answers[http->answer_count++] =
                (struct pretend_answer){400, bad_signature, "", there};
        make_aws();
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_int_equal(http->asked, 2);
        assert_true(llabs(date_sent(&http->requests[1]) - (there + 200)) < 60);
}

static void without_credentials_nothing_is_asked(void **state)
{
        (void) state;
        set_variable("AWS_ACCESS_KEY_ID", NULL);
        set_variable("AWS_SECRET_ACCESS_KEY", NULL);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "no AWS credentials"));
        assert_int_equal(http->asked, 0);
}

static void a_bad_document_is_refused_with_its_version(void **state)
{
        (void) state;
        pretend_answers(http, 200,
                        "{\"VersionId\":\"v-9\",\"SecretString\":\"{\\\"password\\\": s3cret}\"}");
        make_aws();
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "forecaster/database/prod AWSCURRENT, version v-9: "
                                          "not valid JSON: line 1, column 14"));
        assert_string_equal(got.version_id, "v-9");
}

static void disagreeing_spellings_are_warned_of_once(void **state)
{
        static const char two[] = "{\"VersionId\":\"v\",\"SecretString\":\"{\\\"host\\\":\\\"h\\\","
                                  "\\\"user\\\":\\\"a\\\",\\\"username\\\":\\\"b\\\","
                                  "\\\"password\\\":\\\"s3cret\\\",\\\"db\\\":\\\"d\\\"}\"}";

        (void) state;
        pretend_answers(http, 200, two);
        pretend_answers(http, 200, two);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        gives(STAGE_CURRENT, SOURCE_FOUND);

        OWN(free) char *log = logged();
        const char *warning = strstr(log, "level=warn");

        assert_non_null(warning);
        assert_null(strstr(warning + 1, "level=warn"));
}

/* ---- Ending ---- */

static void it_may_be_freed_at_any_moment(void **state)
{
        (void) state;
        for (uint64_t ms = 0; ms <= 100; ms += 10) {
                http->answer_count = http->asked = 0;
                pretend_answers(http, 503, "");
                pretend_answers(http, 503, "");
                pretend_answers(http, -1, NULL);
                make_aws();
                memset(&got, 0, sizeof got);
                source_fetch(source, STAGE_CURRENT, take, NULL);
                if (ms)
                        pretend_run(loop, ms);
                source_free(TAKE(source));
                pretend_run(loop, 60000);
                assert_int_equal(got.calls, 0);
                assert_int_equal(http->under_way, 0);
        }
}

static void it_may_be_freed_by_whoever_is_answered(void **state)
{
        (void) state;
        got.free_it = true;
        pretend_answers(http, 200, found);
        pretend_answers(http, 400, denied);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_FOUND);
        make_aws();
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        got.free_it = false;
}

/* ---- Names, regions, endpoints ---- */

static void good_name(const char *name, const char *component)
{
        assert_string_equal(source_check_name(name, component), "");
}

static void bad_name(const char *name, const char *component)
{
        assert_string_not_equal(source_check_name(name, component), "");
}

#define ARN "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"

static void names_follow_the_convention(void **state)
{
        (void) state;
        good_name("forecaster/database/prod", "database");
        good_name("forecaster/database/eu_1/prod+x=y.z@a-b", "database");
        good_name("forecaster/api-keys/prod", "api-keys");
        good_name("forecaster/auth/prod", "auth");
        good_name(ARN "forecaster/database/prod-a1B2c3", "database");
        good_name("rds!db-1234-5678", "database");
        good_name(ARN "rds!cluster-1234-a1B2c3", "database");
        bad_name("", "database");
        bad_name("prod", "database");
        bad_name("forecaster/database/", "database");
        bad_name("forecaster/database", "database");
        bad_name("forecaster/auth/prod", "database");
        bad_name("forecaster/databases/prod", "database");
        bad_name("forecaster/database/pr od", "database");
        bad_name("forecaster/database/\"prod", "database");
        bad_name("forecaster/database/pr\xc3\xb6", "database");
        bad_name("rds!", "database");
        bad_name("rds!db-1", "auth");
        bad_name(ARN "forecaster/database/prod", "database");
        bad_name(ARN "other/prod-a1B2c3", "database");
}

static void a_name_off_the_convention_is_refused_at_the_start(void **state)
{
        (void) state;
        cannot_make((struct source_options){.kind = SOURCE_AWS, .secret_name = "prod-password"},
                    "environment prod: secret_name \"prod-password\": expected "
                    "forecaster/COMPONENT/ENVIRONMENT");
        cannot_make((struct source_options){.kind = SOURCE_AWS}, "secret_name");
}

static void regions_are_chosen_in_order(void **state)
{
        struct source_options o = {.kind = SOURCE_AWS, .secret_name = "forecaster/database/prod"};
        struct error e = {0};

        (void) state;
        o.region = "eu-west-2";
        assert_true(make(&o, &e));
        assert_string_equal(source_name(source),
                            "secretsmanager eu-west-2 forecaster/database/prod");
        source_free(TAKE(source));
        o.secret_region = "eu-west-3";
        assert_true(make(&o, &e));
        assert_string_equal(source_name(source),
                            "secretsmanager eu-west-3 forecaster/database/prod");
        source_free(TAKE(source));
        o = (struct source_options){.kind = SOURCE_AWS,
                                    .secret_name =
                                            "arn:aws-cn:secretsmanager:cn-north-1:123456789012:"
                                            "secret:forecaster/database/prod-a1B2c3"};
        assert_true(make(&o, &e));
        assert_non_null(strstr(source_name(source), "secretsmanager cn-north-1 arn:"));
        source_free(TAKE(source));
        o.region = "eu-west-2";
        cannot_make(o, "an ARN in cn-north-1, but the region is set to eu-west-2");
        o.secret_region = "cn-north-1";
        assert_true(make(&o, &e));
}

static void a_region_is_needed_and_checked(void **state)
{
        struct source_options o = {.kind = SOURCE_AWS, .secret_name = "forecaster/database/prod"};

        (void) state;
        o.region = "evil.example/";
        cannot_make(o, "\"evil.example/\" is not an AWS region");
        set_variable("AWS_REGION", "");
        o.region = "";
        cannot_make(o, "no AWS region");
}

static void a_custom_endpoint_is_used_as_it_is(void **state)
{
        struct source_options o = {.kind = SOURCE_AWS, .secret_name = "forecaster/database/prod"};
        struct error e = {0};

        (void) state;
        set_variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:4566/aws");
        set_variable("AWS_CA_BUNDLE", "/ca.pem");
        pretend_answers(http, 200, found);
        pretend_answers(http, 200, found);
        assert_true(make(&o, &e));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(http->requests[0].url, "http://127.0.0.1:4566/aws/");
        assert_string_equal(http->requests[0].ca_file, "/ca.pem");
        assert_non_null(strstr(http->requests[0].headers, "Host: 127.0.0.1:4566\n"));
        source_free(TAKE(source));
        o.endpoint_url = "https://vpce.example";
        assert_true(make(&o, &e));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(http->requests[1].url, "https://vpce.example/");
        source_free(TAKE(source));
        o.endpoint_url = "http://vpce.example";
        cannot_make(o, "would show secrets to the network");
        set_variable("AWS_USE_FIPS_ENDPOINT", "true");
        o.endpoint_url = "https://vpce.example";
        cannot_make(o, "AWS_USE_FIPS_ENDPOINT exclude each other");
}

/* ---- Files ---- */

static unsigned changes;

static void count_change(void *arg)
{
        (void) arg;
        changes++;
}

static void a_file_is_read_with_a_digest_for_its_version(void **state)
{
        char *folder = pretend_folder(), *path = pretend_file(folder, "secret.json", value);
        struct source_options o = {.kind = SOURCE_FILE, .path = path};
        struct error e = {0};
        char first[65];

        (void) state;
        assert_int_equal(chmod(path, 0640), 0);
        assert_true(make(&o, &e));
        assert_true(source_can_rotate(source));
        assert_memory_equal(source_name(source), "file /", 6);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.host, "db.example");
        assert_int_equal(strlen(got.version_id), 32);
        strcpy(first, got.version_id);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.version_id, first);
        free(pretend_file(folder, "secret.json",
                          "{\"host\":\"h\",\"user\":\"u\",\"password\":\"x\","
                          "\"db\":\"d\"}"));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_not_equal(got.version_id, first);
        gives(STAGE_PENDING, SOURCE_NONE);
        pretend_remove(path);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "No such file"));
        pretend_remove(folder);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
        static const struct {
                mode_t mode;
                const char *why;
        } cases[] = {
                {0644, "open to everybody (mode 0644)"},
                {0602, "open to everybody"},
                {0601, "open to everybody"},
                {0660, "its group may write to it"},
                {0600, ""},
                {0440, ""},
        };
        char *folder = pretend_folder(), *path = pretend_file(folder, "secret.json", value);
        struct source_options o = {.kind = SOURCE_FILE, .path = path};
        struct error e = {0};

        (void) state;
        assert_true(make(&o, &e));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                bool fine = !*cases[i].why;

                assert_int_equal(chmod(path, cases[i].mode), 0);
                gives(STAGE_CURRENT, fine ? SOURCE_FOUND : SOURCE_REFUSED);
                assert_non_null(strstr(got.error, cases[i].why));
                assert_true(fine || strstr(got.hint, "chmod"));
        }
        pretend_remove(path);
        pretend_remove(folder);
}

static void other_things_than_small_files_are_refused(void **state)
{
        char *folder = pretend_folder(), *path = own_format("%s/secret.json", folder);
        struct source_options o = {.kind = SOURCE_FILE, .path = path};
        struct error e = {0};

        (void) state;
        assert_true(make(&o, &e));
        assert_int_equal(mkfifo(path, 0600), 0);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "not a plain file"));
        unlink(path);
        free(pretend_file(folder, "secret.json", "{\"password\":\"s3cret"));
        assert_int_equal(chmod(path, 0600), 0);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "secret.json: not valid JSON: line 1"));
        assert_int_equal(truncate(path, 65537), 0);
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "longer than 65536 bytes"));
        source_free(TAKE(source));
        cannot_make((struct source_options){.kind = SOURCE_FILE}, "without a path");
        pretend_remove(path);
        pretend_remove(folder);
}

static void a_file_is_watched(void **state)
{
        struct source_options o = {.kind = SOURCE_FILE, .path = "/nowhere/x"};
        struct error e = {0};

        (void) state;
        assert_true(make(&o, &e));
        source_on_change(source, count_change, NULL);
        source_on_change(source, count_change, NULL);
        source_on_change(source, NULL, NULL);
        source_on_change(source, count_change, NULL);
}

static void a_file_source_may_be_freed_while_it_reads(void **state)
{
        struct source_options o = {.kind = SOURCE_FILE, .path = "/nowhere/x"};
        struct error e = {0};

        (void) state;
        memset(&got, 0, sizeof got);
        assert_true(make(&o, &e));
        source_fetch(source, STAGE_CURRENT, take, NULL);
        source_free(TAKE(source));
        assert_true(make(&o, &e));
        source_fetch(source, STAGE_PENDING, take, NULL);
        source_free(TAKE(source));
        pretend_run(loop, 10);
        assert_int_equal(got.calls, 0);
}

/* ---- The environment ---- */

static void variables_are_for_one_s_own_machine(void **state)
{
        struct source_options o = {.kind = SOURCE_ENV, .environment = "local"};
        struct error e = {0};
        char first[65];

        (void) state;
        cannot_make((struct source_options){.kind = SOURCE_ENV},
                    "for the environment `local` only");
        assert_true(make(&o, &e));
        assert_false(source_can_rotate(source));
        assert_string_equal(source_name(source), "environment DB_*");
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.host, "localhost");
        strcpy(first, got.version_id);
        set_variable("DB_PASSWORD", "other");
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.password, "other");
        assert_string_not_equal(got.version_id, first);
        gives(STAGE_PREVIOUS, SOURCE_NONE);
        set_variable("DB_PORT", "x");
        gives(STAGE_CURRENT, SOURCE_REFUSED);
}

static void an_injected_document_alone_cannot_rotate(void **state)
{
        struct source_options o = {.kind = SOURCE_ENV, .variable = "DB_CONFIG"};
        struct error e = {0};

        (void) state;
        assert_true(make(&o, &e));
        assert_false(source_can_rotate(source));
        gives(STAGE_CURRENT, SOURCE_REFUSED);
        assert_non_null(strstr(got.error, "DB_CONFIG is not set"));
        set_variable("DB_CONFIG", value);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        gives(STAGE_PENDING, SOURCE_NONE);
}

static void an_injected_document_comes_first_then_secrets_manager(void **state)
{
        struct source_options o = {.kind = SOURCE_ENV,
                                   .variable = "DB_CONFIG",
                                   .secret_name = "forecaster/database/prod"};
        struct error e = {0};

        (void) state;
        set_variable("DB_CONFIG", value);
        pretend_answers(http, 200, found);
        pretend_answers(http, 400, not_found);
        assert_true(make(&o, &e));
        assert_true(source_can_rotate(source));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_int_equal(http->asked, 0);
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.version_id, "v-1");
        gives(STAGE_PENDING, SOURCE_NONE);
        assert_int_equal(http->asked, 2);
}

static void an_injected_document_that_is_no_good_is_passed_over(void **state)
{
        struct source_options o = {.kind = SOURCE_ENV,
                                   .variable = "DB_CONFIG",
                                   .secret_name = "forecaster/database/prod"};
        struct error e = {0};

        (void) state;
        set_variable("DB_CONFIG", "{\"password\": s3cret}");
        pretend_answers(http, 200, found);
        assert_true(make(&o, &e));
        gives(STAGE_CURRENT, SOURCE_FOUND);
        assert_string_equal(got.version_id, "v-1");

        OWN(free) char *log = logged();

        assert_non_null(strstr(log, "injected secret is no good"));
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                in_a_place(the_request_is_what_the_service_wants),
                in_a_place(each_answer_is_a_line_for_debugging),
                in_a_place(requests_are_counted),
                in_a_place(a_label_that_is_not_there_is_none),
                in_a_place(a_label_that_is_forbidden_is_warned_of_once),
                in_a_place(trouble_is_tried_three_times),
                in_a_place(it_comes_through_in_the_end),
                in_a_place(throttling_is_given_more_time),
                in_a_place(jitter_may_be_nothing),
                in_a_place(it_is_over_after_twelve_seconds),
                in_a_place(expired_credentials_are_looked_up_again_once),
                in_a_place(new_credentials_in_the_file_are_used_at_once),
                in_a_place(a_wrong_clock_is_mended_by_the_servers_date),
                in_a_place(a_clock_that_is_set_back_is_mended_again),
                in_a_place(with_a_right_clock_a_bad_signature_is_a_bad_key),
                in_a_place(without_credentials_nothing_is_asked),
                in_a_place(a_bad_document_is_refused_with_its_version),
                in_a_place(disagreeing_spellings_are_warned_of_once),
                in_a_place(it_may_be_freed_at_any_moment),
                in_a_place(it_may_be_freed_by_whoever_is_answered),
                in_a_place(names_follow_the_convention),
                in_a_place(a_name_off_the_convention_is_refused_at_the_start),
                in_a_place(regions_are_chosen_in_order),
                in_a_place(a_region_is_needed_and_checked),
                in_a_place(a_custom_endpoint_is_used_as_it_is),
                in_a_place(a_file_is_read_with_a_digest_for_its_version),
                in_a_place(a_file_that_others_may_read_is_refused),
                in_a_place(other_things_than_small_files_are_refused),
                in_a_place(a_file_is_watched),
                in_a_place(a_file_source_may_be_freed_while_it_reads),
                in_a_place(variables_are_for_one_s_own_machine),
                in_a_place(an_injected_document_alone_cannot_rotate),
                in_a_place(an_injected_document_comes_first_then_secrets_manager),
                in_a_place(an_injected_document_that_is_no_good_is_passed_over),
        };

        return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
