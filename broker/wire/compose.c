#include "wire/compose.h"

#include <string.h>
#include "wire/value.h"

/* The largest length field that PostgreSQL takes (PQ_LARGE_MESSAGE_LIMIT). */
#define LARGEST 0x3ffffffeu

enum { CANCEL_CODE = 80877102, SSL_CODE = 80877103, PROTOCOL_3 = 3 << 16 };

static void put8(struct bytes *b, uint8_t v)
{
        bytes_append(b, &v, 1);
}

static void put16(struct bytes *b, uint16_t v)
{
        bytes_append(b, (uint8_t[]){(uint8_t) (v >> 8), (uint8_t) v}, 2);
}

static void put32(struct bytes *b, uint32_t v)
{
        bytes_append(b, (uint8_t[]){(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8),
                                    (uint8_t) v}, 4);
}

static void put_string(struct bytes *b, const char *s)
{
        bytes_append(b, s, strlen(s) + 1);
}

static void patch32(struct bytes *b, size_t at, uint32_t v)
{
        uint8_t *p = b->memory + b->begin + at;
        p[0] = (uint8_t) (v >> 24);
        p[1] = (uint8_t) (v >> 16);
        p[2] = (uint8_t) (v >> 8);
        p[3] = (uint8_t) v;
}

/* Begins a message and returns where it does: an offset, for the memory may move. Type 0 is for
 * the packets of the start, which have no type byte. */
static size_t begin(struct bytes *b, char type)
{
        size_t start = bytes_length(b);
        if (type)
                put8(b, (uint8_t) type);
        put32(b, 0);
        return start;
}

/* Fills in the length, or takes the message back if it could not be built. */
static void end(struct bytes *b, size_t start, char type)
{
        size_t at = start + (type ? 1 : 0);
        if (!b->failed && bytes_length(b) - at > LARGEST)
                b->failed = true;
        if (b->failed)
                b->end = b->begin + start;
        else
                patch32(b, at, (uint32_t) (bytes_length(b) - at));
}

static void bare(struct bytes *b, char type)
{
        end(b, begin(b, type), type);
}

void compose_query(struct bytes *b, const char *sql)
{
        size_t start = begin(b, 'Q');
        put_string(b, sql);
        end(b, start, 'Q');
}

void compose_parse(struct bytes *b, const char *name, const char *sql, size_t sql_size)
{
        size_t start = begin(b, 'P');
        put_string(b, name);
        bytes_append(b, sql, sql_size);
        put8(b, 0);
        put16(b, 0);
        end(b, start, 'P');
}

static void unnamed_bind(struct bytes *b, const char *statement)
{
        size_t start = begin(b, 'B');
        put_string(b, "");
        put_string(b, statement);
        put16(b, 0);
        put16(b, 0);
        put16(b, 0);
        end(b, start, 'B');
}

void compose_run(struct bytes *b, const char *statement, const char *sql, size_t sql_size)
{
        static const uint8_t execute[] = {'E', 0, 0, 0, 9, 0, 0, 0, 0, 0};
        compose_parse(b, statement, sql, sql_size);
        unnamed_bind(b, statement);
        bytes_append(b, execute, sizeof execute);
}

void compose_named_parse(struct bytes *b, const char *name, const uint8_t *body, size_t size)
{
        size_t start = begin(b, 'P');
        put_string(b, name);
        bytes_append(b, body, size);
        end(b, start, 'P');
}

void compose_close(struct bytes *b, char kind, const char *name)
{
        size_t start = begin(b, 'C');
        put8(b, (uint8_t) kind);
        put_string(b, name);
        end(b, start, 'C');
}

void compose_describe(struct bytes *b, const char *name)
{
        size_t start = begin(b, 'D');
        put8(b, 'S');
        put_string(b, name);
        end(b, start, 'D');
}

void compose_head(struct bytes *b, uint8_t type, uint32_t length)
{
        put8(b, type);
        put32(b, length);
}

void compose_sync(struct bytes *b)
{
        bare(b, 'S');
}

void compose_flush(struct bytes *b)
{
        bare(b, 'H');
}

void compose_terminate(struct bytes *b)
{
        bare(b, 'X');
}

void compose_cancel(struct bytes *b, uint32_t pid, const uint8_t *key, size_t key_size)
{
        size_t start = begin(b, 0);
        put32(b, CANCEL_CODE);
        put32(b, pid);
        bytes_append(b, key, key_size);
        end(b, start, 0);
}

void compose_ssl_request(struct bytes *b)
{
        size_t start = begin(b, 0);
        put32(b, SSL_CODE);
        end(b, start, 0);
}

void compose_startup(struct bytes *b, uint16_t minor, const char *const *parameters)
{
        size_t start = begin(b, 0);
        put32(b, PROTOCOL_3 | minor);
        for (; parameters[0]; parameters += 2) {
                put_string(b, parameters[0]);
                put_string(b, parameters[1]);
        }
        put8(b, 0);
        end(b, start, 0);
}

void compose_authentication_ok(struct bytes *b)
{
        size_t start = begin(b, 'R');
        put32(b, 0);
        end(b, start, 'R');
}

void compose_parameter(struct bytes *b, const char *name, const char *value)
{
        size_t start = begin(b, 'S');
        put_string(b, name);
        put_string(b, value);
        end(b, start, 'S');
}

void compose_key(struct bytes *b, uint32_t pid, const uint8_t *key, size_t key_size)
{
        size_t start = begin(b, 'K');
        put32(b, pid);
        bytes_append(b, key, key_size);
        end(b, start, 'K');
}

void compose_ready(struct bytes *b, char status)
{
        size_t start = begin(b, 'Z');
        put8(b, (uint8_t) status);
        end(b, start, 'Z');
}

void compose_negotiate(struct bytes *b, uint32_t minor, const char *const *options, size_t count)
{
        size_t start = begin(b, 'v');
        /* The manual says "minor version"; servers send, and libpq reads, the whole number. */
        put32(b, PROTOCOL_3 | minor);
        put32(b, (uint32_t) count);
        for (size_t i = 0; i < count; i++)
                put_string(b, options[i]);
        end(b, start, 'v');
}

static void put_field(struct bytes *b, char field, const char *text)
{
        put8(b, (uint8_t) field);
        put_string(b, text);
}

void compose_error(struct bytes *b, const char *severity, const struct error *e)
{
        size_t start = begin(b, 'E');
        put_field(b, 'S', severity);
        put_field(b, 'V', severity);
        put_field(b, 'C', e->sqlstate[0] ? e->sqlstate : "XX000");
        put_field(b, 'M', e->text);
        if (e->hint[0])
                put_field(b, 'H', e->hint);
        put8(b, 0);
        end(b, start, 'E');
}

bool compose_error_renamed(struct bytes *b, const uint8_t *message, size_t size, const char *from,
                           const char *to)
{
        const uint8_t *p = message + 5, *e = message + size;
        while (p < e && *p != 'M' && *p)
                p += strnlen((const char *) p, (size_t) (e - p)) + 1;
        const uint8_t *at = p < e && *p ? memmem(p, strnlen((const char *) p, (size_t) (e - p)), from, strlen(from))
                                        : NULL;
        if (!at)
                return false;
        compose_head(b, 'E', (uint32_t) (size - 1 - strlen(from) + strlen(to)));
        bytes_append(b, message + 5, (size_t) (at - message) - 5);
        bytes_text(b, to);
        bytes_append(b, at + strlen(from), (size_t) (e - at) - strlen(from));
        return true;
}

void compose_notice(struct bytes *b, const char *sqlstate, const char *text)
{
        size_t start = begin(b, 'N');
        put_field(b, 'S', "NOTICE");
        put_field(b, 'V', "NOTICE");
        put_field(b, 'C', sqlstate);
        put_field(b, 'M', text);
        put8(b, 0);
        end(b, start, 'N');
}

void compose_complete(struct bytes *b, const char *tag)
{
        size_t start = begin(b, 'C');
        put_string(b, tag);
        end(b, start, 'C');
}

void compose_empty(struct bytes *b)
{
        bare(b, 'I');
}

void compose_parse_complete(struct bytes *b)
{
        bare(b, '1');
}

void compose_bind_complete(struct bytes *b)
{
        bare(b, '2');
}

void compose_close_complete(struct bytes *b)
{
        bare(b, '3');
}

void compose_no_data(struct bytes *b)
{
        bare(b, 'n');
}

void compose_parameter_description(struct bytes *b)
{
        size_t start = begin(b, 't');
        put16(b, 0);
        end(b, start, 't');
}

void compose_row_description(struct bytes *b, const struct compose_column *columns, size_t count,
                             bool binary)
{
        size_t start = begin(b, 'T');
        put16(b, (uint16_t) count);
        for (size_t i = 0; i < count; i++) {
                put_string(b, columns[i].name);
                put32(b, 0);            /* of no table */
                put16(b, 0);
                put32(b, value_oid(columns[i].type));
                put16(b, (uint16_t) value_length(columns[i].type));
                put32(b, UINT32_MAX);   /* no type modifier */
                put16(b, binary);
        }
        end(b, start, 'T');
}

void compose_row(struct bytes *b, const struct compose_column *columns, const char *const *values,
                 size_t count, bool binary)
{
        size_t start = begin(b, 'D');
        put16(b, (uint16_t) count);
        for (size_t i = 0; i < count; i++) {
                size_t at = bytes_length(b);
                put32(b, UINT32_MAX);   /* NULL, until it is known better */
                if (!values[i])
                        continue;
                if (!binary)
                        bytes_text(b, values[i]);
                else if (!value_binary(b, columns[i].type, values[i]))
                        b->failed = true;
                if (!b->failed)
                        patch32(b, at, (uint32_t) (bytes_length(b) - at - 4));
        }
        end(b, start, 'D');
}

/* A backslash makes the string an E'' string, which means the same whatever
 * standard_conforming_strings says. After a byte above 0x7f the backslash is written as an octal
 * escape: in SJIS, BIG5, GBK and their like a character may end in the backslash's code, and
 * doubling it would let the second one escape the quote that follows. */
void compose_literal(struct bytes *b, const char *text)
{
        size_t start = bytes_length(b);
        bytes_text(b, strchr(text, '\\') ? "E'" : "'");
        for (const char *p = text; *p;) {
                size_t plain = strcspn(p, "'\\");
                bytes_append(b, p, plain);
                p += plain;
                if (*p == '\'')
                        bytes_text(b, "''");
                else if (*p && p > text && (uint8_t) p[-1] > 0x7f)
                        bytes_text(b, "\\134");
                else if (*p)
                        bytes_text(b, "\\\\");
                if (*p)
                        p++;
        }
        put8(b, '\'');
        if (b->failed)
                b->end = b->begin + start;
}

void compose_identifier(struct bytes *b, const char *name)
{
        size_t start = bytes_length(b);
        put8(b, '"');
        for (const char *p = name; *p;) {
                size_t plain = strcspn(p, "\"");
                bytes_append(b, p, plain);
                p += plain;
                if (*p) {
                        bytes_text(b, "\"\"");
                        p++;
                }
        }
        put8(b, '"');
        if (b->failed)
                b->end = b->begin + start;
}
