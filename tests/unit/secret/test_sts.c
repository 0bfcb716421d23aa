#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/own.h"
#include "secret/sts.h"

static void composes(const struct sts_request *r, const char *form)
{
        struct bytes out;

        bytes_init(&out, 0);
        sts_compose(r, &out);
        OWN(free) char *text = bytes_string(&out);

        assert_string_equal(text, form);
        bytes_wipe(&out);
}

static void the_form_of_assume_role(void **state)
{
        (void) state;
        composes(&(struct sts_request){.role_arn = "arn:aws:iam::123456789012:role/a b",
                                       .session_name = "me@host",
                                       .external_id = "x=1&y",
                                       .duration_s = 900},
                 "Action=AssumeRole&Version=2011-06-15"
                 "&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fa%20b"
                 "&RoleSessionName=me%40host&DurationSeconds=900&ExternalId=x%3D1%26y");
}

static void the_form_of_web_identity(void **state)
{
        (void) state;
        composes(&(struct sts_request){.role_arn = "r",
                                       .session_name = "s",
                                       .web_identity_token = "ey.J-_~+/="},
                 "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&RoleSessionName=s"
                 "&WebIdentityToken=ey.J-_~%2B%2F%3D");
}

/* ---- Answers ---- */

static struct aws_credentials got;
static struct answer why;

static bool reads(int status, const char *body)
{
        aws_credentials_free(&got);
        return sts_read(&(struct http_answer){.status = status,
                                              .body = body,
                                              .body_size = strlen(body),
                                              .content_type = "",
                                              .request_id = "",
                                              .error_type = ""},
                        NULL, &got, &why);
}

static int clear(void **state)
{
        (void) state;
        aws_credentials_free(&got);
        return 0;
}

static void has(const char *id, const char *key, const char *token, long long expires)
{
        assert_string_equal(got.access_key_id, id);
        assert_string_equal(sealed_open(got.secret_access_key), key);
        assert_string_equal(sealed_open(got.session_token), token);
        assert_int_equal(got.expires, expires);
}

/* As the API reference of STS shows it. */
static void xml_as_documented(void **state)
{
        (void) state;
        assert_true(reads(
                200, "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
                     "  <AssumeRoleResult>\n"
                     "  <SourceIdentity>Alice</SourceIdentity>\n"
                     "    <AssumedRoleUser>\n"
                     "      <Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn>\n"
                     "      <AssumedRoleId>ARO123EXAMPLE123:TestAR</AssumedRoleId>\n"
                     "    </AssumedRoleUser>\n"
                     "    <Credentials>\n"
                     "      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\n"
                     "      <SecretAccessKey>wJalr&amp;XUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY"
                     "</SecretAccessKey>\n"
                     "      <SessionToken>AQoDYXdzEPT//////////wEXAMPLEtc764</SessionToken>\n"
                     "      <Expiration>2019-11-09T13:34:41.123Z</Expiration>\n"
                     "    </Credentials>\n"
                     "    <PackedPolicySize>6</PackedPolicySize>\n"
                     "  </AssumeRoleResult>\n"
                     "</AssumeRoleResponse>\n"));
        has("ASIAIOSFODNN7EXAMPLE", "wJalr&XUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
            "AQoDYXdzEPT//////////wEXAMPLEtc764", 1573306481);
}

static void json_to_who_accepts_it(void **state)
{
        (void) state;
        assert_true(reads(
                200, "{\"AssumeRoleWithWebIdentityResponse\":{\"AssumeRoleWithWebIdentityResult\":"
                     "{\"Audience\":\"x\",\"Credentials\":{\"AccessKeyId\":\"A\","
                     "\"SecretAccessKey\":\"k\",\"SessionToken\":\"t\","
                     "\"Expiration\":1.514869445E9}}}}"));
        has("A", "k", "t", 1514869445);
        assert_true(reads(200, "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":{"
                               "\"AccessKeyId\":\"B\",\"SecretAccessKey\":\"k\","
                               "\"SessionToken\":\"t\",\"Expiration\":1514869445}}}}"));
        has("B", "k", "t", 1514869445);
}

static void refused(int status, const char *body, enum answer_kind kind, const char *code,
                    const char *message)
{
        assert_false(reads(status, body));
        assert_null(got.access_key_id);
        assert_int_equal(why.kind, kind);
        assert_string_equal(why.code, code);
        assert_non_null(strstr(why.message, message));
        assert_null(strstr(why.message, "s3cret"));
}

static void refusals_of_both_kinds(void **state)
{
        (void) state;
        refused(403,
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n"
                "    <Type>Sender</Type>\n    <Code>AccessDenied</Code>\n"
                "    <Message>Not authorized to perform sts:AssumeRole</Message>\n  </Error>\n"
                "  <RequestId>1</RequestId>\n</ErrorResponse>\n",
                ANSWER_DENIED, "AccessDenied", "Not authorized to perform sts:AssumeRole");
        refused(400, "{\"Error\":{\"Code\":\"ExpiredTokenException\",\"Message\":\"m\"}}",
                ANSWER_BAD_KEY, "ExpiredTokenException", "m");
        refused(400, "{\"Error\":{\"Code\":\"InvalidIdentityToken\"}}", ANSWER_BAD_KEY,
                "InvalidIdentityToken", "");
        refused(400, "{\"Error\":{\"Code\":\"IDPCommunicationError\"}}", ANSWER_TROUBLE,
                "IDPCommunicationError", "");
        refused(503, "", ANSWER_TROUBLE, "", "status 503");
}

static void status_200_without_credentials_is_nonsense(void **state)
{
        (void) state;
        refused(200, "<html>s3cret</html>", ANSWER_NONSENSE, "", "AccessKeyId is missing");
        refused(200, "<html><p>s3cret", ANSWER_NONSENSE, "", "not valid XML");
        refused(200, "s3cret", ANSWER_NONSENSE, "", "not valid JSON");
        refused(200, "[]", ANSWER_NONSENSE, "", "no Credentials");
        refused(200, "{\"AssumeRoleResponse\":{\"AssumeRoleResult\":{\"Credentials\":7}}}",
                ANSWER_NONSENSE, "", "found a number");
        refused(200,
                "<A><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s3cret</"
                "SecretAccessKey><Expiration>soon</Expiration></Credentials></A>",
                ANSWER_NONSENSE, "", "Expiration");
}

#define cleared(test) cmocka_unit_test_teardown(test, clear)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_form_of_assume_role),
                cmocka_unit_test(the_form_of_web_identity),
                cleared(xml_as_documented),
                cleared(json_to_who_accepts_it),
                cleared(refusals_of_both_kinds),
                cleared(status_200_without_credentials_is_nonsense),
        };

        return cmocka_run_group_tests_name("sts", tests, NULL, NULL);
}
