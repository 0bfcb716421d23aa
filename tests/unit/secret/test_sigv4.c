#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include <openssl/sha.h>
#include "base/own.h"
#include "secret/sigv4.h"

static const char key_text[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

static void assert_bytes(const struct bytes *b, const char *text, const char *name)
{
        OWN(free) char *is = bytes_string(b);

        if (strcmp(is, text) != 0)
                print_error("%s\n", name);
        assert_string_equal(is, text);
}

static void assert_signature(const struct sigv4_signature *s, const char *hex)
{
        const char *authorization = (const char *) bytes_data(&s->authorization);
        const char *signature = strstr(authorization, ", Signature=");

        assert_non_null(signature);
        assert_string_equal(signature + strlen(", Signature="), hex);
        assert_int_equal(strlen(authorization), bytes_length(&s->authorization));
}

/* ---- AWS's vectors ---- */

static const char *text(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

/* "GET /path?query HTTP/1.1", headers "Name:value", an empty line, the body. */
static size_t split_request(char *request, struct sigv4_request *r, struct sigv4_header *headers)
{
        char *line = strsep(&request, "\n");
        size_t count = 0;

        r->method = strsep(&line, " ");
        r->path = strsep(&line, "? ");
        r->query = line && strncmp(line, "HTTP/", 5) != 0 ? strsep(&line, " ") : "";
        while (request && *(line = strsep(&request, "\n"))) {
                headers[count].name = strsep(&line, ":");
                headers[count++].value = line;
        }
        r->body = request ? request : "";
        r->body_size = strlen(r->body);
        return count;
}

static time_t moment(const char *text_)
{
        struct tm tm = {0};

        assert_non_null(strptime(text_, "%Y-%m-%dT%H:%M:%SZ", &tm));
        return timegm(&tm);
}

/* NULL = it can be tried; else why not. */
static const char *not_ours(const struct sigv4_request *r, size_t headers)
{
        if (strstr(r->path, "//") || strstr(r->path, "/."))
                return "a path that needs normalising is refused";
        for (size_t i = 0; i < headers; i++)
                if (!r->headers[i].value)
                        return "folded headers are not ours";
        return NULL;
}

static bool try_vector(const json_t *vector)
{
        const json_t *context = json_object_get(vector, "context");
        const json_t *credentials = json_object_get(context, "credentials");
        struct sigv4_header headers[SIGV4_HEADERS_MAX];
        OWN(free) char *request = own_string(text(vector, "request"));
        const char *token = text(credentials, "token");
        const char *key = text(credentials, "secret_access_key");
        OWN(sealed_free) struct sealed *secret = sealed_new(key, strlen(key));
        struct sigv4_request r = {.headers = headers,
                                  .region = text(context, "region"),
                                  .service = text(context, "service"),
                                  .access_key_id = text(credentials, "access_key_id"),
                                  .secret_access_key = secret,
                                  .when = moment(text(context, "timestamp"))};
        size_t count = split_request(request, &r, headers);
        const char *reason = not_ours(&r, count);
        struct sigv4_signature s;
        unsigned char hash[SHA256_DIGEST_LENGTH];
        char hex[2 * SHA256_DIGEST_LENGTH + 1];

        if (reason) {
                print_message("skipped %s: %s\n", text(vector, "name"), reason);
                return false;
        }
        if (token && !json_is_true(json_object_get(context, "omit_session_token")))
                headers[count++] = (struct sigv4_header){"X-Amz-Security-Token", token};
        SHA256(r.body, r.body_size, hash);
        for (size_t i = 0; i < sizeof hash; i++)
                snprintf(hex + 2 * i, 3, "%02x", hash[i]);
        if (json_is_true(json_object_get(context, "sign_body")))
                headers[count++] = (struct sigv4_header){"x-amz-content-sha256", hex};
        r.header_count = count;

        assert_true(sigv4_sign(&r, &s));
        assert_bytes(&s.canonical_request, text(vector, "canonical_request"), text(vector, "name"));
        assert_bytes(&s.string_to_sign, text(vector, "string_to_sign"), text(vector, "name"));
        assert_signature(&s, text(vector, "signature"));
        sigv4_free(&s);
        return true;
}

static void it_agrees_with_the_vectors_that_aws_publishes(void **state)
{
        json_error_t e;
        json_t *all = json_load_file(TEST_DATA "/sigv4-vectors.json", 0, &e);
        size_t i;
        json_t *vector;
        unsigned matched = 0;

        (void) state;
        assert_non_null(all);
        json_array_foreach(json_object_get(all, "vectors"), i, vector)
        {
                matched += try_vector(vector);
        }
        print_message("%u of %zu vectors match\n", matched,
                      json_array_size(json_object_get(all, "vectors")));
        assert_int_equal(matched, 20);
        json_decref(all);
}

/* ---- What Secrets Manager is sent; the signatures are botocore's ---- */

static const struct {
        const char *host, *path, *query, *token, *stage, *signature;
} requests[] = {
        {"secretsmanager.eu-west-1.amazonaws.com", "/", "", NULL, "AWSCURRENT",
         "ea1b9d5715b7dc65bcdf27e4f04191292a11740cdc2a4428d00876d7bd419ef9"},
        {"secretsmanager.eu-west-1.amazonaws.com", "/", "", "TOKEN/with+signs==", "AWSPENDING",
         "509e0d0a0b4a17d9fcb0b6e889e0babcc1df82cc8664fccaeadcb08c67ba3cf3"},
        {"127.0.0.1:4566", "/some%20place/", "", NULL, "AWSCURRENT",
         "2c2469260ade37464ed5ccf086bc186f1ce3d4aa6b8d61e0b05d2bf5c3094804"},
        {"127.0.0.1:4566", "/", "b=2&a=1&a=0&c", NULL, "AWSCURRENT",
         "00a2f6ef10be82d88dfd8929cee50b189913ca086f7a79f63d7ed30653d26617"},
};

static void it_signs_requests_for_secrets_as_botocore_does(void **state)
{
        OWN(sealed_free) struct sealed *secret = sealed_new(key_text, strlen(key_text));

        (void) state;
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
                char body[128];
                struct sigv4_header headers[] = {
                        {"Host", requests[i].host},
                        {"Content-Type", "application/x-amz-json-1.1"},
                        {"X-Amz-Target", "secretsmanager.GetSecretValue"},
                        {"X-Amz-Security-Token", requests[i].token},
                };
                struct sigv4_signature s;

                snprintf(body, sizeof body,
                         "{\"SecretId\":\"forecaster/database/prod\",\"VersionStage\":\"%s\"}",
                         requests[i].stage);
                assert_true(sigv4_sign(
                        &(struct sigv4_request){.method = "POST",
                                                .path = requests[i].path,
                                                .query = requests[i].query,
                                                .headers = headers,
                                                .header_count = requests[i].token ? 4 : 3,
                                                .body = body,
                                                .body_size = strlen(body),
                                                .region = "eu-west-1",
                                                .service = "secretsmanager",
                                                .access_key_id = "AKIDEXAMPLE",
                                                .secret_access_key = secret,
                                                .when = moment("2026-11-22T13:20:33Z")},
                        &s));
                assert_string_equal(s.date, "20261122T132033Z");
                assert_signature(&s, requests[i].signature);
                sigv4_free(&s);
        }
}

static bool signs(const char *path, size_t headers)
{
        OWN(sealed_free) struct sealed *secret = sealed_new(key_text, strlen(key_text));
        struct sigv4_header many[SIGV4_HEADERS_MAX + 1];
        struct sigv4_signature s;

        for (size_t i = 0; i <= SIGV4_HEADERS_MAX; i++)
                many[i] = (struct sigv4_header){"host", "h"};

        bool signed_ = sigv4_sign(&(struct sigv4_request){.method = "GET",
                                                          .path = path,
                                                          .headers = many,
                                                          .header_count = headers,
                                                          .region = "r",
                                                          .service = "s",
                                                          .access_key_id = "a",
                                                          .secret_access_key = secret},
                                  &s);

        sigv4_free(&s);
        return signed_;
}

static void it_refuses_what_servers_might_read_in_two_ways(void **state)
{
        (void) state;
        assert_true(signs("/a/.b/..c/d.", 1));
        assert_false(signs("/a/../b", 1));
        assert_false(signs("/a/.", 1));
        assert_false(signs("/./a", 1));
        assert_false(signs("/a//b", 1));
        assert_false(signs("a", 1));
        assert_true(signs("/", SIGV4_HEADERS_MAX - 1));
        assert_false(signs("/", SIGV4_HEADERS_MAX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_agrees_with_the_vectors_that_aws_publishes),
                cmocka_unit_test(it_signs_requests_for_secrets_as_botocore_does),
                cmocka_unit_test(it_refuses_what_servers_might_read_in_two_ways),
        };

        return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
