#include "secret/sts.h"

#include <stdio.h>
#include <string.h>
#include "secret/json.h"
#include "secret/xml.h"

/* ---- The form ---- */

static void add(struct bytes *out, const char *key, const char *value)
{
        static const char plain[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

        bytes_format(out, "&%s=", key);
        for (; *value; value++)
                if (strchr(plain, *value))
                        bytes_append(out, value, 1);
                else
                        bytes_format(out, "%%%02X", (unsigned char) *value);
}

void sts_compose(const struct sts_request *r, struct bytes *out)
{
        bytes_format(out, "Action=%s&Version=2011-06-15",
                     r->web_identity_token ? "AssumeRoleWithWebIdentity" : "AssumeRole");
        add(out, "RoleArn", r->role_arn);
        add(out, "RoleSessionName", r->session_name);
        if (r->duration_s)
                bytes_format(out, "&DurationSeconds=%u", r->duration_s);
        if (r->external_id && !r->web_identity_token)
                add(out, "ExternalId", r->external_id);
        if (r->web_identity_token)
                add(out, "WebIdentityToken", r->web_identity_token);
}

/* ---- Answers ---- */

static const char *const names[] = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"};
#define NAMES (sizeof names / sizeof *names)

/* As the object that JSON answers have. */
static json_t *from_xml(const struct http_answer *a, struct error *e)
{
        struct xml_field fields[NAMES] = {{.path = "Credentials/AccessKeyId"},
                                          {.path = "Credentials/SecretAccessKey"},
                                          {.path = "Credentials/SessionToken"},
                                          {.path = "Credentials/Expiration"}};
        json_t *object = NULL;

        if (xml_read(a->body, a->body_size, fields, NAMES, e)) {
                object = json_new_object();
                for (size_t i = 0; i < NAMES; i++)
                        if (bytes_length(&fields[i].text))
                                json_object_set_new(
                                        object, names[i],
                                        json_stringn((const char *) bytes_data(&fields[i].text),
                                                     bytes_length(&fields[i].text)));
        }
        xml_clear(fields, NAMES);
        return object;
}

/* {"XResponse": {"XResult": {"Credentials": {...}}}}, where X is the action. */
static json_t *from_json(const struct http_answer *a, struct error *e)
{
        static const char *const actions[] = {"AssumeRole", "AssumeRoleWithWebIdentity"};
        OWN(json_decref) json_t *all = json_read(a->body, a->body_size, e);
        json_t *credentials = NULL;

        for (size_t i = 0; i < 2 && all && !credentials; i++) {
                char response[64], result[64];

                snprintf(response, sizeof response, "%sResponse", actions[i]);
                snprintf(result, sizeof result, "%sResult", actions[i]);
                credentials = json_object_get(
                        json_object_get(json_object_get(all, response), result), "Credentials");
        }
        if (all && !credentials)
                error_set(e, "08001", "the answer has no Credentials");
        return credentials ? json_incref(credentials) : NULL;
}

/* In JSON it is a number: seconds since 1970. Taken out of the object. */
static long long take_expiration(json_t *object)
{
        const json_t *value = json_object_get(object, "Expiration");
        double seconds = json_number_value(value);

        if (json_is_number(value))
                json_object_del(object, "Expiration");
        return seconds > 0 && seconds < 1e11 ? (long long) seconds : 0;
}

static bool is_xml(const struct http_answer *a)
{
        return a->body[strspn(a->body, " \t\r\n")] == '<';
}

bool sts_read(const struct http_answer *a, const struct error *e, struct aws_credentials *out,
              struct answer *why)
{
        OWN(json_decref) json_t *object = NULL;
        struct error wrong = {0};
        long long expires;

        *out = (struct aws_credentials){0};
        if (!a || a->status != 200) {
                answer_read_error(a, e, why);
                return false;
        }
        object = is_xml(a) ? from_xml(a, &wrong) : from_json(a, &wrong);
        expires = take_expiration(object);
        if (object && aws_credentials_take(object, "SessionToken", out, &wrong)) {
                if (expires)
                        out->expires = expires;
                return true;
        }
        *why = (struct answer){.kind = ANSWER_NONSENSE};
        snprintf(why->message, sizeof why->message, "%.200s", wrong.text);
        return false;
}
