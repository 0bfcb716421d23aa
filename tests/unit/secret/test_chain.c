#include "pretend.h"
#include <sys/stat.h>
#include "secret/chain.h"

/* ---- A place: a loop, a folder for the files, an environment ---- */

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
static struct chain *chain;
static char *folder, *credentials_path, *config_path;

static int set_up(void **state)
{
        (void) state;
        memset(variables, 0, sizeof variables);
        set_variable("AWS_EC2_METADATA_DISABLED", "true");
        loop = pretend_loop();
        http = http_new(loop);
        folder = pretend_folder();
        credentials_path = own_format("%s/credentials", folder);
        config_path = own_format("%s/config", folder);
        set_variable("AWS_SHARED_CREDENTIALS_FILE", credentials_path);
        set_variable("AWS_CONFIG_FILE", config_path);
        return 0;
}

static int take_down(void **state)
{
        (void) state;
        chain_free(TAKE(chain));
        assert_int_equal(http->under_way, 0);
        assert_int_equal(loop->resolves, 0);
        pretend_run(loop, 0);
        http_free(http);
        pretend_loop_free(loop);
        unlink(credentials_path);
        unlink(config_path);
        pretend_remove(folder);
        free(credentials_path);
        free(config_path);
        return 0;
}

static void write_file(const char *name, const char *text)
{
        free(pretend_file(folder, name, text));
}

static void open_chain(void)
{
        chain = chain_new(loop, http, get_variable);
}

/* ---- What a lookup gave ---- */

static struct {
        unsigned calls;
        char id[64], key[64], token[64], provider[64], error[512], hint[256];
} got;

static void take(void *arg, const struct aws_credentials *c, const struct error *e)
{
        (void) arg;
        got.calls++;
        snprintf(got.id, sizeof got.id, "%s", c ? c->access_key_id : "");
        snprintf(got.key, sizeof got.key, "%s", c ? sealed_open(c->secret_access_key) : "");
        snprintf(got.token, sizeof got.token, "%s",
                 c && c->session_token ? sealed_open(c->session_token) : "");
        snprintf(got.provider, sizeof got.provider, "%s", c ? c->provider : "");
        snprintf(got.error, sizeof got.error, "%s", e ? e->text : "");
        snprintf(got.hint, sizeof got.hint, "%s", e ? e->hint : "");
}

static void look(void)
{
        memset(&got, 0, sizeof got);
        chain_get(chain, take, NULL);
        assert_int_equal(got.calls, 0);
        pretend_run(loop, 5000);
        assert_int_equal(got.calls, 1);
}

static void finds(const char *id, const char *key, const char *token, const char *provider)
{
        look();
        assert_string_equal(got.error, "");
        assert_string_equal(got.id, id);
        assert_string_equal(got.key, key);
        assert_string_equal(got.token, token);
        assert_string_equal(got.provider, provider);
}

static void fails(const char *error)
{
        look();
        assert_string_equal(got.id, "");
        assert_non_null(strstr(got.error, error));
        assert_null(strstr(got.error, "s3cret"));
        assert_string_not_equal(got.hint, "");
}

/* ---- Where credentials come from ---- */

static void the_environment_comes_first(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s3cret\n");
        set_variable("AWS_ACCESS_KEY_ID", "E");
        set_variable("AWS_SECRET_ACCESS_KEY", "k");
        set_variable("AWS_SESSION_TOKEN", "t");
        open_chain();
        finds("E", "k", "t", "environment");
}

static void half_a_pair_is_an_error(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s3cret\n");
        set_variable("AWS_SECRET_ACCESS_KEY", "s3cret");
        set_variable("AWS_ACCESS_KEY_ID", "");
        open_chain();
        fails("AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not");
}

static void then_the_profile_of_the_credentials_file(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n"
                                  "aws_session_token=t\n");
        write_file("config", "[default]\naws_access_key_id=C\naws_secret_access_key=c\n");
        open_chain();
        finds("F", "s", "t", "shared file");
}

static void then_that_of_the_config_file(void **state)
{
        (void) state;
        set_variable("AWS_PROFILE", "ci");
        write_file("config", "[ci]\naws_access_key_id=X\n[profile ci]\naws_access_key_id=C\n"
                             "aws_secret_access_key=c\n");
        open_chain();
        finds("C", "c", "", "shared file");
}

static void a_profile_that_is_asked_for_must_be_there(void **state)
{
        (void) state;
        set_variable("AWS_PROFILE", "ci");
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n");
        open_chain();
        look();
        assert_non_null(strstr(got.error, "there is no profile ci (AWS_PROFILE)"));
}

static void half_a_pair_in_a_file_is_an_error(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_secret_access_key=s3cret\n");
        open_chain();
        fails("profile default: aws_access_key_id is missing");
}

static void nothing_anywhere_says_where_it_looked(void **state)
{
        (void) state;
        open_chain();
        fails("no AWS credentials");
        assert_non_null(strstr(got.error, credentials_path));
        assert_non_null(strstr(got.error, "instance metadata is switched off"));
}

static void a_file_that_is_broken_is_named_with_the_line(void **state)
{
        OWN(free) char *expected = own_format("%s: line 2: expected [section]", credentials_path);

        (void) state;
        write_file("credentials", "[default]\ns3cret\n");
        open_chain();
        look();
        assert_non_null(strstr(got.error, expected));
        assert_null(strstr(got.error, "s3cret"));
}

static void what_needs_a_person_is_refused_by_name(void **state)
{
        static const char *const keys[] = {"sso_session", "sso_start_url", "login_session"};

        (void) state;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
                OWN(free) char *text = own_format("[default]\n%s = x\n", keys[i]);
                OWN(free) char *expected =
                        own_format("profile default: %s needs a person to log in", keys[i]);

                write_file("config", text);
                open_chain();
                fails(expected);
                assert_non_null(strstr(got.hint, "aws configure export-credentials"));
                chain_free(TAKE(chain));
        }
        write_file("config", "[default]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=p\n"
                             "mfa_serial=arn:aws:iam::1:mfa/me\n");
        open_chain();
        fails("profile default: mfa_serial asks for a code");
}

static void a_role_goes_before_static_keys_and_a_process_behind(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n"
                                  "credential_process=/bin/x\n");
        open_chain();
        finds("F", "s", "", "shared file");
        chain_free(TAKE(chain));
        write_file("config", "[default]\nrole_arn=arn:aws:iam::1:role/x\n");
        open_chain();
        fails("role_arn is set, and nothing to assume it with");
}

/* ---- Roles and processes ---- */

#define ROLE "role_arn=arn:aws:iam::123456789012:role/forecaster\n"

static const char sts_gives[] =
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>R1</AccessKeyId>"
        "<SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken>"
        "<Expiration>2030-03-17T18:46:40Z</Expiration></Credentials></AssumeRoleResult>"
        "</AssumeRoleResponse>";

static void answers(int status, const char *body);

static void is_signed_by(unsigned i, const char *id)
{
        OWN(free) char *expected = own_format("Credential=%s/", id);

        assert_non_null(strstr(http->requests[i].headers, expected));
        assert_non_null(strstr(http->requests[i].headers, "/eu-west-1/sts/aws4_request"));
}

static void in_a_region(void)
{
        set_variable("AWS_REGION", "eu-west-1");
}

static void a_web_identity_of_the_environment_goes_before_profiles(void **state)
{
        OWN(free) char *path = pretend_file(folder, "token", "s3cret-jwt");

        (void) state;
        in_a_region();
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n");
        set_variable("AWS_WEB_IDENTITY_TOKEN_FILE", path);
        open_chain();
        fails("environment: AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
        chain_free(TAKE(chain));
        set_variable("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa");
        set_variable("AWS_ROLE_SESSION_NAME", "pod-1");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "web identity");
        assert_string_equal(http->requests[0].url, "https://sts.eu-west-1.amazonaws.com/");
        assert_non_null(strstr(http->requests[0].body, "&WebIdentityToken=s3cret-jwt"));
        assert_non_null(strstr(http->requests[0].body, "&RoleSessionName=pod-1"));
        assert_null(strstr(http->requests[0].headers, "Authorization"));
        unlink(path);
}

static void a_web_identity_of_a_profile(void **state)
{
        OWN(free) char *path = pretend_file(folder, "token", "s3cret-jwt");
        OWN(free) char *text = own_format("[default]\n" ROLE "web_identity_token_file=%s\n", path);

        (void) state;
        in_a_region();
        write_file("config", text);
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "web identity");
        unlink(path);
        chain_free(TAKE(chain));
        write_file("config", "[default]\nweb_identity_token_file=x\n");
        open_chain();
        fails("web_identity_token_file is set, role_arn is not");
}

static void a_role_is_assumed_with_the_keys_of_another_profile(void **state)
{
        (void) state;
        in_a_region();
        write_file("config", "[default]\n" ROLE "source_profile=base\nexternal_id=e\n"
                             "role_session_name=me\nduration_seconds=900\n");
        write_file("credentials", "[base]\naws_access_key_id=B\naws_secret_access_key=s3cret\n");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(0, "B");
        assert_non_null(strstr(http->requests[0].body, "&RoleSessionName=me&DurationSeconds=900"
                                                       "&ExternalId=e"));
        finds("R1", "k", "t", "assumed role");
        assert_int_equal(http->asked, 1);
}

static void or_with_its_own(void **state)
{
        (void) state;
        in_a_region();
        set_variable("AWS_PROFILE", "p");
        write_file("credentials",
                   "[p]\n" ROLE "source_profile=p\naws_access_key_id=P\n"
                   "aws_secret_access_key=s3cret\n");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(0, "P");
        chain_free(TAKE(chain));
        write_file("credentials", "[p]\n" ROLE "source_profile=p\n");
        open_chain();
        fails("profile p: source_profile: profile p: it is its own source_profile and has no keys");
}

static void or_with_what_a_process_prints(void **state)
{
        (void) state;
        in_a_region();
        write_file("config", "[default]\n" ROLE "source_profile=base\n[profile base]\n"
                             "credential_process=/opt/creds\n");
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"k\"}";
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(0, "C");
        assert_int_equal(loop->ran, 1);
}

static void or_with_those_of_the_environment(void **state)
{
        (void) state;
        in_a_region();
        write_file("config", "[default]\n" ROLE "credential_source=Environment\n");
        open_chain();
        fails("credential_source: AWS_ACCESS_KEY_ID is not in the environment");
        chain_free(TAKE(chain));
        set_variable("AWS_ACCESS_KEY_ID", "E");
        set_variable("AWS_SECRET_ACCESS_KEY", "k");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(0, "E");
}

static void or_with_those_of_the_instance_or_the_task(void **state)
{
        (void) state;
        in_a_region();
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        set_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
        write_file("config", "[default]\n" ROLE "credential_source=Ec2InstanceMetadata\n");
        open_chain();
        answers(200, "a-token");
        answers(200, "forecaster\n");
        answers(200, "{\"Code\":\"Success\",\"AccessKeyId\":\"I\",\"SecretAccessKey\":\"k\","
                     "\"Token\":\"t\",\"Expiration\":\"2030-03-17T23:46:40Z\"}");
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(3, "I");
        chain_free(TAKE(chain));
        write_file("config", "[default]\n" ROLE "credential_source=EcsContainer\n");
        open_chain();
        answers(200, "{\"AccessKeyId\":\"T\",\"SecretAccessKey\":\"k\",\"Token\":\"t\","
                     "\"Expiration\":\"2030-03-17T23:46:40Z\"}");
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        is_signed_by(5, "T");
}

static void one_hop_and_no_more(void **state)
{
        (void) state;
        in_a_region();
        write_file("config", "[default]\n" ROLE "source_profile=a\n[profile a]\n" ROLE
                             "source_profile=default\n");
        open_chain();
        fails("profile default: source_profile: profile a: role_arn would be a second role");
        assert_int_equal(http->asked, 0);
}

static void what_a_role_lacks_is_told(void **state)
{
        static const struct {
                const char *config, *error;
        } cases[] = {
                {"source_profile=a\n", "source_profile names a profile that is not there"},
                {"source_profile=a\n[profile a]\nregion=x\n",
                 "profile a: it is a source_profile and has no credentials"},
                {"source_profile=a\n[profile a]\nsso_session=x\n",
                 "profile a: sso_session needs a person"},
                {"source_profile=a\ncredential_source=Environment\n", "are both set"},
                {"credential_source=Moon\n", "credential_source is none that there is"},
                {"credential_source=EcsContainer\n", "no container endpoint is in the environment"},
                {"credential_source=Ec2InstanceMetadata\n", "instance metadata is switched off"},
                {"credential_source=Environment\nduration_seconds=60\n",
                 "duration_seconds is no number from 900 to 43200"},
        };

        (void) state;
        in_a_region();
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                OWN(free) char *text = own_format("[default]\n" ROLE "%s", cases[i].config);

                write_file("config", text);
                open_chain();
                fails(cases[i].error);
                chain_free(TAKE(chain));
        }
}

static void a_process_is_the_last_of_a_profile(void **state)
{
        (void) state;
        write_file("config", "[default]\ncredential_process = \"/opt/my creds\" x\n");
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"k\"}";
        open_chain();
        finds("C", "k", "", "credential_process");
        assert_string_equal(loop->ran_words, "[/opt/my creds][x]");
        chain_free(TAKE(chain));
        loop->prints = NULL;
        open_chain();
        fails("AWS credentials: profile default: credential_process: no such file");
}

static void providers_stay_while_the_files_say_the_same(void **state)
{
        (void) state;
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"k\"}";
        write_file("config", "[default]\ncredential_process=/opt/a\n");
        open_chain();
        finds("C", "k", "", "credential_process");
        loop->now += 10000;
        write_file("config", "[default]\nregion=eu-west-1\ncredential_process=/opt/a\n");
        finds("C", "k", "", "credential_process");
        assert_int_equal(loop->ran, 1);
        assert_string_equal(chain_setting(chain, "region"), "eu-west-1");
        loop->now += 10000;
        write_file("config", "[default]\ncredential_process=/opt/b\n");
        finds("C", "k", "", "credential_process");
        assert_string_equal(loop->ran_words, "[/opt/b]");
}

static void what_sts_does_not_know_is_looked_up_afresh(void **state)
{
        static const char unknown[] = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code>"
                                      "<Message>m</Message></Error></ErrorResponse>";

        (void) state;
        in_a_region();
        write_file("config", "[default]\n" ROLE "source_profile=base\n[profile base]\n"
                             "credential_process=/opt/creds\n");
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"k\"}";
        open_chain();
        answers(403, unknown);
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        assert_int_equal(loop->ran, 2);
        chain_forget(chain);
        answers(403, unknown);
        answers(403, unknown);
        fails("AWS credentials: profile default: role arn:aws:iam::123456789012:role/forecaster: "
              "STS: InvalidClientTokenId: m");
        assert_int_equal(http->asked, 4);
}

static void sts_is_where_the_settings_say(void **state)
{
        (void) state;
        in_a_region();
        set_variable("AWS_ACCESS_KEY_ID", "");
        set_variable("AWS_STS_REGIONAL_ENDPOINTS", "legacy");
        write_file("config", "[default]\n" ROLE "source_profile=base\nca_bundle=/ca.pem\n"
                             "[profile base]\naws_access_key_id=B\naws_secret_access_key=k\n");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        assert_string_equal(http->requests[0].url, "https://sts.amazonaws.com/");
        assert_string_equal(http->requests[0].ca_file, "/ca.pem");
        assert_non_null(strstr(http->requests[0].headers, "/us-east-1/sts/aws4_request"));
        chain_free(TAKE(chain));
        set_variable("AWS_ENDPOINT_URL_STS", "https://vpce.example:8443");
        open_chain();
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        assert_string_equal(http->requests[1].url, "https://vpce.example:8443/");
        is_signed_by(1, "B");
        chain_free(TAKE(chain));
        set_variable("AWS_ENDPOINT_URL_STS", "http://sts.example");
        open_chain();
        fails("STS: endpoint_url: http:// to sts.example would show secrets");
}

static void without_a_region_sts_is_asked_where_secrets_are(void **state)
{
        (void) state;
        write_file("config", "[default]\n" ROLE "source_profile=base\n"
                             "[profile base]\naws_access_key_id=B\naws_secret_access_key=k\n");
        open_chain();
        fails("STS: \"\" is not an AWS region");
        loop->now += 2000;
        chain_used_region(chain, "eu-west-1");
        chain_used_region(chain, "eu-west-2");
        answers(200, sts_gives);
        finds("R1", "k", "t", "assumed role");
        assert_string_equal(http->requests[0].url, "https://sts.eu-west-1.amazonaws.com/");
}

static void it_can_go_while_a_role_waits(void **state)
{
        (void) state;
        memset(&got, 0, sizeof got);
        in_a_region();
        write_file("config", "[default]\n" ROLE "source_profile=base\n[profile base]\n"
                             "credential_process=/opt/creds\n");
        loop->prints = "{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"k\"}";
        for (int ms = 10; ms < 40; ms += 20) {
                open_chain();
                answers(200, sts_gives);
                chain_get(chain, take, NULL);
                pretend_run(loop, (uint64_t) ms);
                assert_int_equal(loop->runs + http->under_way, 1);
                chain_free(TAKE(chain));
                pretend_run(loop, 1000);
                assert_int_equal(loop->runs + http->under_way, 0);
        }
        assert_int_equal(got.calls, 0);
}

/* ---- The region ---- */

static struct {
        unsigned calls;
        char region[64], error[512];
} place;

static void take_region(void *arg, const char *region, const struct error *e)
{
        (void) arg;
        place.calls++;
        snprintf(place.region, sizeof place.region, "%s", region ? region : "");
        snprintf(place.error, sizeof place.error, "%s", e ? e->text : "");
}

static void the_region_is_that_of_the_instance_if_nobody_has_another(void **state)
{
        (void) state;
        memset(&place, 0, sizeof place);
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        open_chain();
        assert_true(chain_has_instance(chain));
        answers(200, "a-token");
        answers(200, "eu-north-1");
        chain_get_region(chain, take_region, NULL);
        chain_cancel(chain_get_region(chain, take_region, NULL));
        pretend_run(loop, 1000);
        assert_int_equal(place.calls, 1);
        assert_string_equal(place.region, "eu-north-1");
        set_variable("AWS_REGION", "eu-west-1");
        chain_get_region(chain, take_region, NULL);
        pretend_run(loop, 1000);
        assert_string_equal(place.region, "eu-west-1");
        assert_int_equal(http->asked, 2);
}

static void without_any_it_says_so(void **state)
{
        (void) state;
        memset(&place, 0, sizeof place);
        open_chain();
        assert_false(chain_has_instance(chain));
        chain_get_region(chain, take_region, NULL);
        pretend_run(loop, 1000);
        assert_string_equal(place.error, "no AWS region is set");
        chain_free(TAKE(chain));
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        open_chain();
        answers(0, NULL);
        chain_get_region(chain, take_region, NULL);
        pretend_run(loop, 1000);
        assert_string_equal(place.error, "no AWS region is set: instance metadata: its session "
                                         "token: connection refused");
}

/* ---- Change ---- */

static void files_are_read_again(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=1\n");
        open_chain();
        finds("F", "1", "", "shared file");
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=2\n");
        finds("F", "1", "", "shared file");
        loop->now += 10000;
        finds("F", "2", "", "shared file");
}

static void forgetting_reads_them_at_once(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=1\n");
        open_chain();
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=2\n");
        chain_forget(chain);
        finds("F", "2", "", "shared file");
}

static void a_file_in_the_middle_of_being_written_takes_nothing_away(void **state)
{
        (void) state;
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=1\n");
        open_chain();
        loop->now += 10000;
        write_file("credentials", "[default]\naws_access_key_id=F\n");
        finds("F", "1", "", "shared file");
        chain_forget(chain);
        fails("aws_secret_access_key is missing");
}

static void lookups_can_be_cancelled(void **state)
{
        struct chain_lookup *first, *second;

        (void) state;
        memset(&got, 0, sizeof got);
        set_variable("AWS_ACCESS_KEY_ID", "E");
        set_variable("AWS_SECRET_ACCESS_KEY", "k");
        open_chain();
        first = chain_get(chain, take, NULL);
        second = chain_get(chain, take, NULL);
        chain_cancel(first);
        chain_cancel(NULL);
        pretend_run(loop, 0);
        assert_int_equal(got.calls, 1);
        (void) second;
}

static void it_can_go_while_files_are_read(void **state)
{
        (void) state;
        memset(&got, 0, sizeof got);
        open_chain();
        chain_forget(chain);
        chain_get(chain, take, NULL);
        chain_free(TAKE(chain));
        pretend_run(loop, 0);
        assert_int_equal(got.calls, 0);
}

/* ---- Credentials that expire ---- */

#define NOW 1900000000LL /* 2030-03-17T17:46:40Z, by the clock of those who are asked */

static void answers(int status, const char *body)
{
        pretend_answers(http, status, body);
        http->answers[http->answer_count - 1].date = NOW;
}

static void in_a_container(void)
{
        set_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/s3cret");
}

static const char first[] = "{\"AccessKeyId\":\"T1\",\"SecretAccessKey\":\"k\",\"Token\":\"t\","
                            "\"Expiration\":\"2030-03-17T18:46:40Z\"}";
static const char second[] = "{\"AccessKeyId\":\"T2\",\"SecretAccessKey\":\"k\",\"Token\":\"t\","
                             "\"Expiration\":\"2030-03-17T19:46:40Z\"}";
static const char of_instance[] =
        "{\"Code\":\"Success\",\"AccessKeyId\":\"I\",\"SecretAccessKey\":\"k\",\"Token\":\"t\","
        "\"Expiration\":\"2030-03-17T23:46:40Z\"}";

static void then_the_container_endpoint(void **state)
{
        (void) state;
        in_a_container();
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        open_chain();
        answers(200, first);
        finds("T1", "k", "t", "container endpoint");
        assert_string_equal(http->requests[0].url, "http://169.254.170.2/v2/credentials/s3cret");
        finds("T1", "k", "t", "container endpoint");
        assert_int_equal(http->asked, 1);
}

static void where_that_is_set_the_instance_is_not_asked(void **state)
{
        (void) state;
        in_a_container();
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        open_chain();
        answers(404, "{\"code\":\"InvalidIdInRequest\",\"message\":\"Credentials not found\"}");
        fails("AWS credentials: container endpoint 169.254.170.2: it answered with status 404: "
              "InvalidIdInRequest: Credentials not found");
        assert_int_equal(http->asked, 1);
}

static void then_instance_metadata(void **state)
{
        (void) state;
        set_variable("AWS_EC2_METADATA_DISABLED", "false");
        open_chain();
        answers(200, "a-token");
        answers(200, "forecaster\n");
        answers(200, of_instance);
        finds("I", "k", "t", "instance metadata");
        assert_string_equal(http->requests[2].url, "http://169.254.169.254/latest/meta-data/iam/"
                                                   "security-credentials/forecaster");
}

static void what_instance_metadata_says_ends_the_error(void **state)
{
        (void) state;
        set_variable("AWS_EC2_METADATA_DISABLED", "");
        open_chain();
        answers(-1, NULL);
        fails("no AWS credentials");
        assert_non_null(
                strstr(got.error, "has any; instance metadata: its session token: timeout"));
        assert_non_null(strstr(got.hint, "HttpPutResponseHopLimit"));
}

static void a_file_that_turns_up_goes_before_them(void **state)
{
        (void) state;
        in_a_container();
        open_chain();
        answers(200, first);
        finds("T1", "k", "t", "container endpoint");
        write_file("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=s\n");
        loop->now += 10000;
        finds("F", "s", "", "shared file");
}

static void lookups_wait_for_one_asking(void **state)
{
        (void) state;
        memset(&got, 0, sizeof got);
        in_a_container();
        open_chain();
        answers(200, first);
        for (int i = 0; i < 5; i++)
                chain_get(chain, take, NULL);
        pretend_run(loop, 10);
        assert_int_equal(got.calls, 0);
        for (int i = 0; i < 5; i++)
                chain_get(chain, take, NULL);
        pretend_run(loop, 1000);
        assert_int_equal(got.calls, 10);
        assert_string_equal(got.id, "T1");
        assert_int_equal(http->asked, 1);
}

static void one_that_was_cancelled_leaves_the_others(void **state)
{
        struct chain_lookup *x;

        (void) state;
        memset(&got, 0, sizeof got);
        in_a_container();
        open_chain();
        answers(200, first);
        x = chain_get(chain, take, NULL);
        chain_get(chain, take, NULL);
        pretend_run(loop, 10);
        chain_cancel(x);
        pretend_run(loop, 1000);
        assert_int_equal(got.calls, 1);
}

static void what_was_refused_is_asked_for_anew(void **state)
{
        (void) state;
        in_a_container();
        open_chain();
        answers(200, first);
        finds("T1", "k", "t", "container endpoint");
        answers(200, second);
        chain_forget(chain);
        finds("T2", "k", "t", "container endpoint");
        chain_forget(chain);
        answers(404, "");
        fails("status 404");
}

static void it_can_go_while_it_asks(void **state)
{
        (void) state;
        memset(&got, 0, sizeof got);
        in_a_container();
        open_chain();
        answers(200, first);
        chain_get(chain, take, NULL);
        pretend_run(loop, 10);
        assert_int_equal(http->under_way, 1);
        chain_free(TAKE(chain));
        pretend_run(loop, 5000);
        assert_int_equal(got.calls, 0);
}

/* ---- Settings ---- */

static void settings_come_from_the_environment_then_the_profile(void **state)
{
        (void) state;
        write_file("config", "[default]\nregion=eu-west-1\nca_bundle=/ca.pem\n");
        open_chain();
        assert_string_equal(chain_setting(chain, "region"), "eu-west-1");
        assert_string_equal(chain_setting(chain, "ca_bundle"), "/ca.pem");
        assert_string_equal(chain_setting(chain, "use_fips_endpoint"), "");
        assert_string_equal(chain_setting(chain, "nonsense"), "");
        set_variable("AWS_DEFAULT_REGION", "eu-west-2");
        assert_string_equal(chain_setting(chain, "region"), "eu-west-2");
        set_variable("AWS_REGION", "eu-west-3");
        assert_string_equal(chain_setting(chain, "region"), "eu-west-3");
}

static void the_endpoint_follows_the_rules_of_the_sdks(void **state)
{
        (void) state;
        write_file("config",
                   "[default]\nendpoint_url=http://profile\nservices = here\n"
                   "[services here]\nsecrets_manager =\n  endpoint_url = http://service\n");
        open_chain();
        assert_string_equal(chain_endpoint(chain, CHAIN_SECRETS_MANAGER), "http://service");
        set_variable("AWS_ENDPOINT_URL", "http://all");
        assert_string_equal(chain_endpoint(chain, CHAIN_SECRETS_MANAGER), "http://all");
        set_variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://one");
        assert_string_equal(chain_endpoint(chain, CHAIN_SECRETS_MANAGER), "http://one");
        set_variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_string_equal(chain_endpoint(chain, CHAIN_SECRETS_MANAGER), "");
}

static void the_profiles_own_endpoint_is_the_last(void **state)
{
        (void) state;
        write_file("config", "[default]\nendpoint_url=http://profile\n");
        open_chain();
        assert_string_equal(chain_endpoint(chain, CHAIN_SECRETS_MANAGER), "http://profile");
}

static void without_a_home_there_are_no_files(void **state)
{
        (void) state;
        memset(variables, 0, sizeof variables);
        set_variable("AWS_EC2_METADATA_DISABLED", "true");
        open_chain();
        look();
        assert_non_null(strstr(got.error, "no AWS credentials"));
        assert_string_equal(chain_setting(chain, "region"), "");
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                in_a_place(the_environment_comes_first),
                in_a_place(half_a_pair_is_an_error),
                in_a_place(then_the_profile_of_the_credentials_file),
                in_a_place(then_that_of_the_config_file),
                in_a_place(a_profile_that_is_asked_for_must_be_there),
                in_a_place(half_a_pair_in_a_file_is_an_error),
                in_a_place(nothing_anywhere_says_where_it_looked),
                in_a_place(a_file_that_is_broken_is_named_with_the_line),
                in_a_place(what_needs_a_person_is_refused_by_name),
                in_a_place(a_role_goes_before_static_keys_and_a_process_behind),
                in_a_place(a_web_identity_of_the_environment_goes_before_profiles),
                in_a_place(a_web_identity_of_a_profile),
                in_a_place(a_role_is_assumed_with_the_keys_of_another_profile),
                in_a_place(or_with_its_own),
                in_a_place(or_with_what_a_process_prints),
                in_a_place(or_with_those_of_the_environment),
                in_a_place(or_with_those_of_the_instance_or_the_task),
                in_a_place(one_hop_and_no_more),
                in_a_place(what_a_role_lacks_is_told),
                in_a_place(a_process_is_the_last_of_a_profile),
                in_a_place(providers_stay_while_the_files_say_the_same),
                in_a_place(what_sts_does_not_know_is_looked_up_afresh),
                in_a_place(sts_is_where_the_settings_say),
                in_a_place(without_a_region_sts_is_asked_where_secrets_are),
                in_a_place(it_can_go_while_a_role_waits),
                in_a_place(the_region_is_that_of_the_instance_if_nobody_has_another),
                in_a_place(without_any_it_says_so),
                in_a_place(files_are_read_again),
                in_a_place(forgetting_reads_them_at_once),
                in_a_place(a_file_in_the_middle_of_being_written_takes_nothing_away),
                in_a_place(lookups_can_be_cancelled),
                in_a_place(it_can_go_while_files_are_read),
                in_a_place(then_the_container_endpoint),
                in_a_place(where_that_is_set_the_instance_is_not_asked),
                in_a_place(then_instance_metadata),
                in_a_place(what_instance_metadata_says_ends_the_error),
                in_a_place(a_file_that_turns_up_goes_before_them),
                in_a_place(lookups_wait_for_one_asking),
                in_a_place(one_that_was_cancelled_leaves_the_others),
                in_a_place(what_was_refused_is_asked_for_anew),
                in_a_place(it_can_go_while_it_asks),
                in_a_place(settings_come_from_the_environment_then_the_profile),
                in_a_place(the_endpoint_follows_the_rules_of_the_sdks),
                in_a_place(the_profiles_own_endpoint_is_the_last),
                in_a_place(without_a_home_there_are_no_files),
        };

        return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
