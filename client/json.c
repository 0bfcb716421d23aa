#include "json.h"

#include <string.h>
#include "text.h"

static void put_quoted(FILE *to, const char *text)
{
        static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

        fputc('"', to);
        for (const char *p = text; *p;) {
                size_t length = text_character(p);
                const char *found = strchr(special, *p);

                if (found)
                        fprintf(to, "\\%c", letters[found - special]);
                else if (length == 1 && ((unsigned char) *p < 0x20 || *p == 0x7f))
                        fprintf(to, "\\u%04x", (unsigned) (unsigned char) *p);
                else if (length)
                        fwrite(p, 1, length, to);
                else
                        fputs("\xef\xbf\xbd", to);
                p += length ? length : 1;
        }
        fputc('"', to);
}

static void new_line(struct json *j)
{
        fputc('\n', j->to);
        for (unsigned i = 0; i < j->depth; i++)
                fputs("  ", j->to);
}

static void begin(struct json *j, const char *key)
{
        if (j->follows)
                fputc(',', j->to);
        if (j->depth)
                new_line(j);
        j->follows = true;
        if (!key)
                return;
        put_quoted(j->to, key);
        fputs(": ", j->to);
}

static void open_with(struct json *j, const char *key, char bracket)
{
        begin(j, key);
        fputc(bracket, j->to);
        j->depth++;
        j->follows = false;
}

static void close_with(struct json *j, char bracket)
{
        j->depth--;
        if (j->follows)
                new_line(j);
        fputc(bracket, j->to);
        j->follows = true;
        if (j->depth == 0)
                fputc('\n', j->to);
}

void json_object(struct json *j, const char *key)
{
        open_with(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
        open_with(j, key, '[');
}

void json_end_object(struct json *j)
{
        close_with(j, '}');
}

void json_end_array(struct json *j)
{
        close_with(j, ']');
}

void json_null(struct json *j, const char *key)
{
        begin(j, key);
        fputs("null", j->to);
}

void json_text(struct json *j, const char *key, const char *text)
{
        if (!text) {
                json_null(j, key);
                return;
        }
        begin(j, key);
        put_quoted(j->to, text);
}

static const char *skip_digits(const char *p)
{
        return p + strspn(p, "0123456789");
}

/* JSON's own grammar, without exponents: no "+1", "01", ".5", "NaN". */
static bool is_number(const char *text)
{
        const char *p = text + (*text == '-'), *end = skip_digits(p);

        if (end == p || (*p == '0' && end > p + 1))
                return false;
        if (*end != '.')
                return *end == '\0';
        p = end + 1;
        end = skip_digits(p);
        return end > p && *end == '\0';
}

void json_number(struct json *j, const char *key, const char *digits)
{
        if (!digits || !is_number(digits)) {
                json_text(j, key, digits);
                return;
        }
        begin(j, key);
        fputs(digits, j->to);
}

void json_count(struct json *j, const char *key, long long number)
{
        begin(j, key);
        fprintf(j->to, "%lld", number);
}

void json_seconds(struct json *j, const char *key, double seconds)
{
        begin(j, key);
        fprintf(j->to, "%.6f", seconds);
}

void json_bool(struct json *j, const char *key, bool value)
{
        begin(j, key);
        fputs(value ? "true" : "false", j->to);
}
