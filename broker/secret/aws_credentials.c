#include "secret/aws_credentials.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "secret/json.h"

void aws_credentials_free(struct aws_credentials *c)
{
        if (!c)
                return;
        free(c->access_key_id);
        sealed_free(c->secret_access_key);
        sealed_free(c->session_token);
        *c = (struct aws_credentials){0};
}

/* ---- Times ---- */

/* Exactly n digits as a number, or -1. */
static int digits(const char *s, int n)
{
        int value = 0;

        for (int i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return -1;
                value = value * 10 + (s[i] - '0');
        }
        return value;
}

/* "Z", "+01:00": seconds that the clock of that place is ahead of UTC; false if it is neither. */
static bool read_zone(const char *s, long long *ahead)
{
        int hours, minutes;

        *ahead = 0;
        if ((*s == 'Z' || *s == 'z') && !s[1])
                return true;
        if ((*s != '+' && *s != '-') || (hours = digits(s + 1, 2)) < 0 || s[3] != ':' ||
            (minutes = digits(s + 4, 2)) < 0 || s[6] || hours > 23 || minutes > 59)
                return false;
        *ahead = (hours * 60LL + minutes) * (*s == '-' ? -60 : 60);
        return true;
}

long long aws_credentials_time(const char *text)
{
        static const char form[] = "dddd-dd-ddTdd:dd:dd";
        const char *rest = text + sizeof form - 1;
        struct tm tm = {0};
        long long ahead;

        for (size_t i = 0; form[i]; i++)
                if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
                        return 0;
        tm.tm_year = digits(text, 4) - 1900;
        tm.tm_mon = digits(text + 5, 2) - 1;
        tm.tm_mday = digits(text + 8, 2);
        tm.tm_hour = digits(text + 11, 2);
        tm.tm_min = digits(text + 14, 2);
        tm.tm_sec = digits(text + 17, 2);
        if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
            tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
                return 0;
        if (*rest == '.') {
                size_t n = strspn(rest + 1, "0123456789");

                rest += n ? n + 1 : 0;
        }
        return read_zone(rest, &ahead) ? (long long) timegm(&tm) - ahead : 0;
}

/* ---- Credentials ---- */

bool aws_credentials_is_visible(const char *text, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (text[i] <= ' ' || text[i] > '~')
                        return false;
        return true;
}

/* The text under a key; "" where it is missing, null or empty. NULL and `e` for anything else. */
static const char *visible(const json_t *object, const char *key, struct error *e)
{
        const json_t *value = json_object_get(object, key);

        if (!value || json_is_null(value))
                return "";
        if (!json_is_string(value))
                error_set(e, "08001", "%s: found %s, expected text", key, json_kind(value));
        else if (!aws_credentials_is_visible(json_string_value(value), json_string_length(value)))
                error_set(e, "08001", "%s: it holds a blank or a character that is not ASCII", key);
        else
                return json_string_value(value);
        return NULL;
}

/* Both keys must be there. */
static const char *required(const json_t *object, const char *key, struct error *e)
{
        const char *value = visible(object, key, e);

        if (value && !*value)
                error_set(e, "08001", "%s is missing", key);
        return value && *value ? value : NULL;
}

static bool read_expiration(const json_t *object, struct aws_credentials *out, struct error *e)
{
        const char *expiration = visible(object, "Expiration", e);

        if (!expiration)
                return false;
        out->expires = *expiration ? aws_credentials_time(expiration) : 0;
        if (*expiration && !out->expires)
                return error_set(e, "08001", "Expiration: not a time such as 2030-11-22T14:09:43Z");
        return true;
}

/* Instance metadata says with status 200 that it has none. */
static bool is_success(const json_t *object, const char *json, size_t size, struct error *e)
{
        const json_t *code = json_object_get(object, "Code");
        char complaint[AWS_CREDENTIALS_COMPLAINT];

        if (!code || (json_is_string(code) && strcmp(json_string_value(code), "Success") == 0))
                return true;
        aws_credentials_complaint(json, size, complaint);
        return error_set(e, "08001", "%s", *complaint ? complaint : "its Code is not Success");
}

bool aws_credentials_take(const json_t *object, const char *token_key, struct aws_credentials *out,
                          struct error *e)
{
        struct aws_credentials got = {0};
        const char *id, *key, *token;

        *out = got;
        if (!json_is_object(object))
                return error_set(e, "08001", "found %s, expected an object", json_kind(object));
        if (!(id = required(object, "AccessKeyId", e)) ||
            !(key = required(object, "SecretAccessKey", e)) ||
            !(token = visible(object, token_key, e)) || !read_expiration(object, &got, e))
                return false;
        /* It becomes a part of the scope KEY/DATE/REGION/... */
        if (strpbrk(id, "/,"))
                return error_set(e, "08001", "AccessKeyId: it holds a slash or a comma");
        got.access_key_id = own_string(id);
        got.secret_access_key = sealed_new(key, strlen(key));
        got.session_token = *token ? sealed_new(token, strlen(token)) : NULL;
        *out = got;
        return true;
}

bool aws_credentials_read(const char *json, size_t size, struct aws_credentials *out,
                          struct error *e)
{
        OWN(json_decref) json_t *object = json_read(json, size, e);

        *out = (struct aws_credentials){0};
        return object && is_success(object, json, size, e) &&
               aws_credentials_take(object, "Token", out, e);
}

bool aws_credentials_read_process(const char *json, size_t size, struct aws_credentials *out,
                                  struct error *e)
{
        OWN(json_decref) json_t *object = json_read(json, size, e);
        const json_t *version = json_object_get(object, "Version");

        *out = (struct aws_credentials){0};
        if (!object)
                return false;
        if (json_is_object(object) && json_integer_value(version) != 1)
                return error_set(e, "08001", "its Version is not 1");
        return aws_credentials_take(object, "SessionToken", out, e);
}

/* ---- Complaints ---- */

/* What can't be printed becomes a '?'; what is too long is cut. */
static size_t add_printable(char *out, size_t used, const char *text, size_t n)
{
        for (size_t i = 0; i < n && used < AWS_CREDENTIALS_COMPLAINT - 1; i++)
                out[used++] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
        out[used] = 0;
        return used;
}

static const json_t *either(const json_t *object, const char *key, const char *other)
{
        const json_t *value = json_object_get(object, key);

        return json_is_string(value) ? value : json_object_get(object, other);
}

void aws_credentials_complaint(const char *body, size_t size, char out[AWS_CREDENTIALS_COMPLAINT])
{
        OWN(json_decref) json_t *object = json_read(body, size, NULL);
        const json_t *code = either(object, "Code", "code");
        const json_t *message = either(object, "Message", "message");
        size_t used = 0, line = 0;
        bool is_text = size > 0 && !strchr("{[\"", body[0]);

        *out = 0;
        if (json_is_string(code))
                used = add_printable(out, used, json_string_value(code), json_string_length(code));
        if (used && json_is_string(message))
                used = add_printable(out, used, ": ", 2);
        if (json_is_string(message))
                used = add_printable(out, used, json_string_value(message),
                                     json_string_length(message));
        /* JSON that is no complaint, or a half of it, may hold secrets; a web page doesn't. */
        while (is_text && line < size && body[line] && body[line] != '\n' && body[line] != '\r')
                line++;
        if (!used)
                add_printable(out, 0, body, line);
}
