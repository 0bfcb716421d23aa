#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "secret/answer.h"

static void read(int status, const char *body, const char *error_type, struct answer *out)
{
        answer_read(&(struct http_answer){.status = status,
                                          .body = body,
                                          .body_size = strlen(body),
                                          .content_type = "",
                                          .request_id = "id-1",
                                          .error_type = error_type},
                    NULL, out);
        assert_string_equal(out->request_id, "id-1");
}

static void is(int status, const char *body, enum answer_kind kind)
{
        struct answer a;

        read(status, body, "", &a);
        if (a.kind != kind)
                print_error("%d %s\n", status, body);
        assert_int_equal(a.kind, kind);
        assert_true(kind == ANSWER_VALUE || a.message[0] || a.code[0]);
        answer_clear(&a);
}

static void is_value(const char *body, const char *value)
{
        struct answer a;

        read(200, body, "", &a);
        assert_int_equal(a.kind, ANSWER_VALUE);
        assert_string_equal(a.version_id, "v-1");
        assert_string_equal(sealed_open(a.value), value);
        answer_clear(&a);
}

static void a_secret_is_a_value(void **state)
{
        (void) state;
        is_value("{\"ARN\":\"a\",\"Name\":\"n\",\"VersionId\":\"v-1\",\"SecretString\":\"{}\","
                 "\"VersionStages\":[\"AWSCURRENT\"],\"CreatedDate\":1.523477145713E9}",
                 "{}");
        is_value("{\"VersionId\":\"v-1\",\"SecretBinary\":\"eyJhIjoiYiJ9\"}", "{\"a\":\"b\"}");
        is_value("{\"VersionId\":\"v-1\",\"SecretBinary\":\"YQ==\"}", "a");
        is_value("{\"VersionId\":\"v-1\",\"SecretBinary\":\"\"}", "");
}

static void an_answer_without_a_secret_is_nonsense(void **state)
{
        (void) state;
        is(200, "", ANSWER_NONSENSE);
        is(200, "<html>Sign in</html>", ANSWER_NONSENSE);
        is(200, "<ListAllMyBucketsResult/>", ANSWER_NONSENSE);
        is(200, "[]", ANSWER_NONSENSE);
        is(200, "{}", ANSWER_NONSENSE);
        is(200, "{\"VersionId\":\"v\"}", ANSWER_NONSENSE);
        is(200, "{\"VersionId\":\"\",\"SecretString\":\"x\"}", ANSWER_NONSENSE);
        is(200, "{\"VersionId\":\"v\",\"SecretString\":1}", ANSWER_NONSENSE);
        is(200, "{\"VersionId\":\"v\",\"SecretBinary\":\"%\"}", ANSWER_NONSENSE);
        is(200, "{\"VersionId\":\"v\",\"SecretString\":\"cut of", ANSWER_NONSENSE);
        is(400, "{\"VersionId\":\"v\",\"SecretString\":\"x\"}", ANSWER_UNKNOWN);
}

static void the_code_decides_and_not_the_status(void **state)
{
        (void) state;
        is(400, "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"m\"}", ANSWER_NOT_FOUND);
        is(404, "{\"__type\":\"ResourceNotFoundException\"}", ANSWER_NOT_FOUND);
        is(400, "{\"__type\":\"AccessDeniedException\"}", ANSWER_DENIED);
        is(403, "{\"__type\":\"AccessDeniedException\"}", ANSWER_DENIED);
        is(400, "{\"__type\":\"ThrottlingException\"}", ANSWER_THROTTLED);
        is(400, "{\"__type\":\"InternalServiceError\"}", ANSWER_TROUBLE);
        is(500, "{\"__type\":\"ExpiredTokenException\"}", ANSWER_BAD_KEY);
        is(403, "{\"__type\":\"InvalidSignatureException\"}", ANSWER_BAD_SIGNATURE);
        is(403, "{\"__type\":\"RequestTimeTooSkewed\"}", ANSWER_BAD_SIGNATURE);
        is(400, "{\"__type\":\"RequestExpired\"}", ANSWER_BAD_SIGNATURE);
        is(400, "{\"__type\":\"RequestInTheFuture\"}", ANSWER_BAD_SIGNATURE);
        is(400, "{\"__type\":\"InvalidRequestException\"}", ANSWER_BAD_STATE);
        is(400, "{\"__type\":\"InvalidParameterException\"}", ANSWER_BAD_REQUEST);
        is(400, "{\"__type\":\"DecryptionFailure\"}", ANSWER_KMS);
        is(400, "{\"__type\":\"KMSDisabledException\"}", ANSWER_KMS);
        is(400, "{\"__type\":\"KMSInvalidStateException\"}", ANSWER_KMS);
        is(400, "{\"__type\":\"KMSAccessDeniedException\"}", ANSWER_KMS);
        is(400, "{\"__type\":\"KMSNotFoundException\"}", ANSWER_KMS);
        is(400, "{\"__type\":\"MissingAuthenticationTokenException\"}", ANSWER_NOT_ENTITLED);
        is(200, "{\"__type\":\"ThrottlingException\"}", ANSWER_THROTTLED);
}

static void without_a_known_code_the_status_does(void **state)
{
        (void) state;
        is(429, "", ANSWER_THROTTLED);
        is(408, "x", ANSWER_TROUBLE);
        is(500, "{\"__type\":\"Odd\"}", ANSWER_TROUBLE);
        is(502, "<html/>", ANSWER_TROUBLE);
        is(503, "", ANSWER_TROUBLE);
        is(400, "{\"__type\":\"Odd\"}", ANSWER_UNKNOWN);
        is(307, "", ANSWER_UNKNOWN);
        is(404, "{}", ANSWER_UNKNOWN);
}

static void a_code_is_cut_out_of_its_wrapping(void **state)
{
        struct answer a;

        (void) state;
        read(400,
             "{\"__type\":\"com.amazon#AccessDeniedException:http://x/#y\",\"message\":\"no\\n\"}",
             "", &a);
        assert_string_equal(a.code, "AccessDeniedException");
        assert_string_equal(a.message, "no?");
        assert_int_equal(a.kind, ANSWER_DENIED);
        answer_clear(&a);
}

static void a_header_and_xml_carry_codes_too(void **state)
{
        struct answer a;

        (void) state;
        read(400, "{\"message\":\"slow\"}", "ThrottlingException:http://x", &a);
        assert_int_equal(a.kind, ANSWER_THROTTLED);
        assert_string_equal(a.message, "slow");
        answer_clear(&a);
        read(403,
             "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>m &amp; n</Message>"
             "</Error></ErrorResponse>",
             "", &a);
        assert_int_equal(a.kind, ANSWER_BAD_SIGNATURE);
        assert_string_equal(a.code, "SignatureDoesNotMatch");
        answer_clear(&a);
        is(400, "<Code>", ANSWER_UNKNOWN);
        is(400, "<Code></Code>", ANSWER_UNKNOWN);
}

static void no_answer_at_all_is_trouble(void **state)
{
        struct answer a;
        struct error e = {0};

        (void) state;
        error_set(&e, "08001", "connection refused");
        answer_read(&(struct http_answer){0}, &e, &a);
        assert_int_equal(a.kind, ANSWER_TROUBLE);
        assert_string_equal(a.message, "connection refused");
        answer_clear(&a);
        answer_read(NULL, NULL, &a);
        assert_string_equal(a.message, "no answer");
        answer_clear(&a);
}

static void texts_of_others_are_made_printable_and_cut(void **state)
{
        char body[4096], name[1024];
        struct answer a;

        (void) state;
        memset(name, 'x', sizeof name - 1);
        name[sizeof name - 1] = 0;
        snprintf(body, sizeof body, "{\"__type\":\"%s\",\"message\":\"\\u001b[1m\xc3\xa9%s\"}",
                 name, name);
        read(400, body, "", &a);
        assert_int_equal(strlen(a.code), 64);
        assert_int_equal(strlen(a.message), 256);
        assert_memory_equal(a.message, "?[1m??x", 7);
        answer_clear(&a);
}

static void other_labels_may_be_missing_but_not_the_current_one(void **state)
{
        static const enum answer_kind none[] = {ANSWER_NOT_FOUND, ANSWER_DENIED, ANSWER_BAD_STATE};

        (void) state;
        for (int i = 0; i < 3; i++) {
                assert_int_equal(answer_rule(none[i])->current, SOURCE_REFUSED);
                assert_int_equal(answer_rule(none[i])->other, SOURCE_NONE);
        }
        assert_int_equal(answer_rule(ANSWER_TROUBLE)->other, SOURCE_RETRY);
        assert_string_equal(secret_stage_name(STAGE_PREVIOUS), "AWSPREVIOUS");
        assert_string_equal(answer_kind_name(ANSWER_KMS), "not decrypted");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_secret_is_a_value),
                cmocka_unit_test(an_answer_without_a_secret_is_nonsense),
                cmocka_unit_test(the_code_decides_and_not_the_status),
                cmocka_unit_test(without_a_known_code_the_status_does),
                cmocka_unit_test(a_code_is_cut_out_of_its_wrapping),
                cmocka_unit_test(a_header_and_xml_carry_codes_too),
                cmocka_unit_test(no_answer_at_all_is_trouble),
                cmocka_unit_test(texts_of_others_are_made_printable_and_cut),
                cmocka_unit_test(other_labels_may_be_missing_but_not_the_current_one),
        };

        return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
