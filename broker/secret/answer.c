#include "secret/answer.h"

#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "secret/json.h"
#include "secret/xml.h"

const char *secret_stage_name(enum secret_stage s)
{
        static const char *const names[SECRET_STAGES] = {"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"};

        return names[s];
}

const char *answer_kind_name(enum answer_kind k)
{
        static const char *const names[] = {
#define X(name, text) text,
                ANSWER_KINDS(X)
#undef X
        };

        return names[k];
}

const struct answer_rule *answer_rule(enum answer_kind k)
{
        static const struct answer_rule rules[] = {
                [ANSWER_VALUE] = {SOURCE_FOUND, SOURCE_FOUND, ANSWER_STOP, 0, ""},
                [ANSWER_NOT_FOUND] = {SOURCE_REFUSED, SOURCE_NONE, ANSWER_STOP, 30000,
                                      "Check the secret's name, its region and the account."},
                [ANSWER_DENIED] = {SOURCE_REFUSED, SOURCE_NONE, ANSWER_STOP, 30000,
                                   "Allow secretsmanager:GetSecretValue on it (and kms:Decrypt for "
                                   "a key of your own)."},
                [ANSWER_BAD_REQUEST] = {SOURCE_REFUSED, SOURCE_REFUSED, ANSWER_STOP, 60000,
                                        "Check secret_name and secret_region."},
                [ANSWER_BAD_STATE] = {SOURCE_REFUSED, SOURCE_NONE, ANSWER_STOP, 60000,
                                      "If the secret is scheduled for deletion, restore it."},
                [ANSWER_KMS] = {SOURCE_RETRY, SOURCE_RETRY, ANSWER_STOP, 30000,
                                "Check that the KMS key is enabled and kms:Decrypt allowed."},
                [ANSWER_BAD_KEY] = {SOURCE_REFUSED, SOURCE_REFUSED, ANSWER_OTHER_KEY, 30000,
                                    "Give the broker AWS credentials that are valid."},
                [ANSWER_BAD_SIGNATURE] =
                        {SOURCE_REFUSED, SOURCE_REFUSED, ANSWER_OTHER_CLOCK, 30000,
                         "Check the AWS secret access key, and this host's clock."},
                [ANSWER_NOT_ENTITLED] = {SOURCE_REFUSED, SOURCE_REFUSED, ANSWER_STOP, 60000,
                                         "Check the AWS account and the endpoint."},
                [ANSWER_THROTTLED] =
                        {SOURCE_RETRY, SOURCE_RETRY, ANSWER_LATER, 5000,
                         "Too many requests come from this account; the broker goes on trying."},
                [ANSWER_TROUBLE] =
                        {SOURCE_RETRY, SOURCE_RETRY, ANSWER_SOON, 1000,
                         "Check the network and AWS's status; the broker goes on trying."},
                [ANSWER_NONSENSE] =
                        {SOURCE_RETRY, SOURCE_RETRY, ANSWER_SOON, 5000,
                         "Check that no proxy or other service answers at that endpoint."},
                [ANSWER_UNKNOWN] = {SOURCE_REFUSED, SOURCE_REFUSED, ANSWER_STOP, 30000, ""},
        };

        return &rules[k];
}

/* ---- Codes ---- */

struct code {
        const char *name;
        enum answer_kind kind;
};

static const struct code codes[] = {
        {"ResourceNotFoundException", ANSWER_NOT_FOUND},
        {"AccessDeniedException", ANSWER_DENIED},
        {"AccessDenied", ANSWER_DENIED},
        {"InvalidParameterException", ANSWER_BAD_REQUEST},
        {"ValidationException", ANSWER_BAD_REQUEST},
        {"ValidationError", ANSWER_BAD_REQUEST},
        {"SerializationException", ANSWER_BAD_REQUEST},
        {"UnknownOperationException", ANSWER_BAD_REQUEST},
        {"InvalidAction", ANSWER_BAD_REQUEST},
        {"InvalidRequestException", ANSWER_BAD_STATE},
        {"DecryptionFailure", ANSWER_KMS},
        {"DecryptionFailureException", ANSWER_KMS},
        {"KMSDisabledException", ANSWER_KMS},
        {"KMSInvalidStateException", ANSWER_KMS},
        {"KMSAccessDeniedException", ANSWER_KMS},
        {"KMSNotFoundException", ANSWER_KMS},
        {"ExpiredTokenException", ANSWER_BAD_KEY},
        {"ExpiredToken", ANSWER_BAD_KEY},
        {"UnrecognizedClientException", ANSWER_BAD_KEY},
        {"InvalidClientTokenId", ANSWER_BAD_KEY},
        {"InvalidSignatureException", ANSWER_BAD_SIGNATURE},
        {"SignatureDoesNotMatch", ANSWER_BAD_SIGNATURE},
        {"RequestExpired", ANSWER_BAD_SIGNATURE},
        {"RequestTimeTooSkewed", ANSWER_BAD_SIGNATURE},
        {"RequestInTheFuture", ANSWER_BAD_SIGNATURE},
        {"AuthFailure", ANSWER_BAD_SIGNATURE},
        {"IncompleteSignature", ANSWER_NOT_ENTITLED},
        {"IncompleteSignatureException", ANSWER_NOT_ENTITLED},
        {"MissingAuthenticationToken", ANSWER_NOT_ENTITLED},
        {"MissingAuthenticationTokenException", ANSWER_NOT_ENTITLED},
        {"NotAuthorized", ANSWER_NOT_ENTITLED},
        {"OptInRequired", ANSWER_NOT_ENTITLED},
        {"Throttling", ANSWER_THROTTLED},
        {"ThrottlingException", ANSWER_THROTTLED},
        {"ThrottledException", ANSWER_THROTTLED},
        {"RequestThrottled", ANSWER_THROTTLED},
        {"RequestThrottledException", ANSWER_THROTTLED},
        {"TooManyRequestsException", ANSWER_THROTTLED},
        {"RequestLimitExceeded", ANSWER_THROTTLED},
        {"BandwidthLimitExceeded", ANSWER_THROTTLED},
        {"LimitExceededException", ANSWER_THROTTLED},
        {"SlowDown", ANSWER_THROTTLED},
        {"InternalServiceError", ANSWER_TROUBLE},
        {"InternalServiceErrorException", ANSWER_TROUBLE},
        {"InternalServerError", ANSWER_TROUBLE},
        {"InternalFailure", ANSWER_TROUBLE},
        {"ServiceUnavailable", ANSWER_TROUBLE},
        {"ServiceUnavailableException", ANSWER_TROUBLE},
        {"RequestTimeout", ANSWER_TROUBLE},
        {"RequestTimeoutException", ANSWER_TROUBLE},
        {"PriorRequestNotComplete", ANSWER_TROUBLE},
        /* Of STS. */
        {"IDPCommunicationError", ANSWER_TROUBLE},
        {"IDPRejectedClaim", ANSWER_DENIED},
        {"InvalidIdentityToken", ANSWER_BAD_KEY},
        {"RegionDisabledException", ANSWER_NOT_ENTITLED},
        {"MalformedPolicyDocument", ANSWER_BAD_REQUEST},
};

static enum answer_kind kind_of_status(int status)
{
        if (status == 429)
                return ANSWER_THROTTLED;
        if (status == 408 || status >= 500)
                return ANSWER_TROUBLE;
        return status == 200 ? ANSWER_NONSENSE : ANSWER_UNKNOWN;
}

static enum answer_kind kind_of(const char *code, int status)
{
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                if (strcmp(codes[i].name, code) == 0)
                        return codes[i].kind;
        return kind_of_status(status);
}

/* ---- Texts ---- */

/* Texts of others go into logs and messages: printable ASCII only, cut. */
static void copy_plain(char *into, size_t size, const char *from, size_t n)
{
        if (n > size - 1)
                n = size - 1;
        for (size_t i = 0; i < n; i++)
                into[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
        into[n] = 0;
}

/* As AWS's SDKs do it: up to a ':', then what is behind the last '#'. */
static void copy_code(char into[65], const char *from, size_t n)
{
        const char *colon = memchr(from, ':', n);

        if (colon)
                n = (size_t) (colon - from);

        const char *hash = memrchr(from, '#', n);

        if (hash) {
                n -= (size_t) (hash + 1 - from);
                from = hash + 1;
        }
        copy_plain(into, 65, from, n);
}

/* Proxies and other services answer in XML; what stands before a cut is taken. */
static void read_xml_error(const struct http_answer *a, struct answer *out)
{
        struct xml_field fields[] = {{.path = "Error/Code"}, {.path = "Error/Message"}};
        const struct bytes *code = &fields[0].text, *message = &fields[1].text;

        xml_read(a->body, a->body_size, fields, 2, NULL);
        if (bytes_length(code))
                copy_code(out->code, (const char *) bytes_data(code), bytes_length(code));
        if (bytes_length(message))
                copy_plain(out->message, sizeof out->message, (const char *) bytes_data(message),
                           bytes_length(message));
        xml_clear(fields, 2);
}

static const json_t *text_member(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        return json_is_string(value) ? value : NULL;
}

/* {"__type": ..., "message": ...}; STS says {"Error": {"Code": ..., "Message": ...}}. */
static void read_json_error(const json_t *object, struct answer *out)
{
        const json_t *inner = json_object_get(object, "Error");
        const json_t *code = text_member(inner, "Code");
        const json_t *message = text_member(inner, "Message");

        if (!code)
                code = text_member(object, "__type");
        if (!message)
                message = text_member(object, "message");
        if (!message)
                message = text_member(object, "Message");
        if (code)
                copy_code(out->code, json_string_value(code), json_string_length(code));
        if (message)
                copy_plain(out->message, sizeof out->message, json_string_value(message),
                           json_string_length(message));
}

/* ---- Values ---- */

static int base64_digit(char c)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;

        return at ? (int) (at - digits) : -1;
}

/* Without what padding stands for; NULL if it isn't base64. */
static struct sealed *decode_base64(const char *s, size_t n)
{
        struct sealed *value = NULL;
        struct bytes b;
        unsigned held = 0;
        int bits = 0;

        bytes_init(&b, 0);
        while (n > 0 && s[n - 1] == '=')
                n--;
        for (size_t i = 0; i < n; i++) {
                int digit = base64_digit(s[i]);

                if (digit < 0)
                        goto out;
                held = (held << 6 | (unsigned) digit) & 0xffff;
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        bytes_append(&b, &(uint8_t){(uint8_t) (held >> bits)}, 1);
                }
        }
        value = bytes_length(&b) ? sealed_new(bytes_data(&b), bytes_length(&b)) : sealed_new("", 0);
out:
        bytes_wipe(&b);
        return value;
}

static bool nonsense(struct answer *out, const char *what)
{
        out->kind = ANSWER_NONSENSE;
        snprintf(out->message, sizeof out->message, "%s", what);
        return false;
}

static bool read_value(const json_t *object, struct answer *out)
{
        const json_t *version = text_member(object, "VersionId");
        const json_t *text = text_member(object, "SecretString");
        const json_t *binary = text_member(object, "SecretBinary");

        if (!version || json_string_length(version) == 0 ||
            json_string_length(version) >= sizeof out->version_id)
                return nonsense(out, "the answer has no VersionId");
        copy_plain(out->version_id, sizeof out->version_id, json_string_value(version),
                   json_string_length(version));
        if (!text && !binary)
                return nonsense(out, "the answer has neither SecretString nor SecretBinary");
        out->value = text ? sealed_new(json_string_value(text), json_string_length(text))
                          : decode_base64(json_string_value(binary), json_string_length(binary));
        if (!out->value)
                return nonsense(out, "SecretBinary is not base64");
        out->kind = ANSWER_VALUE;
        return true;
}

/* ---- Answers ---- */

/* Every answer that isn't a value has something to say. */
static void say_something(const struct http_answer *a, struct answer *out)
{
        if (out->message[0] || out->code[0])
                return;
        if (out->kind == ANSWER_NONSENSE)
                nonsense(out, "status 200 without a JSON object: this is not Secrets Manager");
        else
                snprintf(out->message, sizeof out->message, "HTTP status %d without an error code",
                         a->status);
}

static void read_error(const struct http_answer *a, const json_t *json, struct answer *out)
{
        bool object = json_is_object(json);

        if (object)
                read_json_error(json, out);
        if (!out->code[0] && a->error_type[0])
                copy_code(out->code, a->error_type, strlen(a->error_type));
        if (!out->code[0] && !object && a->body_size > 0)
                read_xml_error(a, out);
        out->kind = kind_of(out->code, a->status);
        say_something(a, out);
}

/* What goes for every answer; false if there was none. */
static bool begin(const struct http_answer *a, const struct error *e, struct answer *out)
{
        *out = (struct answer){.kind = ANSWER_TROUBLE};
        if (a && a->status) {
                copy_plain(out->request_id, sizeof out->request_id, a->request_id,
                           strlen(a->request_id));
                return true;
        }
        const char *why = e && error_is_set(e) ? e->text : "no answer";

        copy_plain(out->message, sizeof out->message, why, strlen(why));
        if (e)
                copy_plain(out->hint, sizeof out->hint, e->hint, strlen(e->hint));
        return false;
}

void answer_read(const struct http_answer *a, const struct error *e, struct answer *out)
{
        if (!begin(a, e, out))
                return;

        OWN(json_decref) json_t *json = json_read(a->body, a->body_size, NULL);

        if (json_is_object(json) && a->status == 200 && !json_object_get(json, "__type"))
                read_value(json, out);
        else
                read_error(a, json, out);
}

void answer_read_error(const struct http_answer *a, const struct error *e, struct answer *out)
{
        if (!begin(a, e, out))
                return;

        OWN(json_decref) json_t *json = json_read(a->body, a->body_size, NULL);

        read_error(a, json, out);
}

void answer_clear(struct answer *a)
{
        sealed_free(a->value);
        *a = (struct answer){0};
}
