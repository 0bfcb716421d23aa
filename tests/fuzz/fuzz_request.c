/* Any bytes as the payload of a client's message: what is read lies within, and what a whole
 * message holds, its first bytes do not contradict. The first byte is the message's type; the
 * second how much of it a partial one has (in 255ths). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "wire/compose.h"
#include "wire/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is this text, with its NUL, within p[0..n)? */
static void check_text(const char *text, const uint8_t *p, size_t n)
{
        const uint8_t *at = (const uint8_t *) text;
        expect(at >= p && at < p + n && memchr(at, 0, n - (size_t) (at - p)));
}

static void check_parse(const uint8_t *p, size_t n, size_t part)
{
        struct request_parse whole, partial, again;
        bool good = request_parse(p, n, false, &whole) == FRAME_READY;
        if (request_parse(p, part, true, &partial) == FRAME_READY) {
                check_text(partial.name, p, part);
                expect((const uint8_t *) partial.query + partial.query_size + partial.query_ends <=
                       p + part);
                expect(!memchr(partial.query, 0, partial.query_size));
                if (good)
                        expect(partial.query == whole.query &&
                               partial.query_size <= whole.query_size &&
                               (!partial.query_ends || partial.query_size == whole.query_size));
        }
        if (!good)
                return;
        check_text(whole.name, p, n);
        check_text(whole.query, p, n);
        expect(whole.query_ends && strlen(whole.query) == whole.query_size);
        struct bytes b;
        bytes_init(&b, 0);
        compose_parse(&b, whole.name, whole.query, whole.query_size);
        expect(request_parse(bytes_data(&b) + 5, bytes_length(&b) - 5, false, &again) ==
               FRAME_READY);
        expect(strcmp(again.name, whole.name) == 0 && strcmp(again.query, whole.query) == 0);
        bytes_free(&b);
}

static void check_bind(const uint8_t *p, size_t n, size_t part)
{
        struct request_bind whole, partial;
        bool good = request_bind(p, n, false, &whole) == FRAME_READY;
        if (request_bind(p, part, true, &partial) == FRAME_READY)
                expect(good && partial.portal == whole.portal &&
                       partial.statement == whole.statement);
        if (good) {
                check_text(whole.portal, p, n);
                check_text(whole.statement, p, n);
        }
}

static void check_query(const uint8_t *p, size_t n, size_t part)
{
        const char *sql;
        size_t length;
        if (request_query(p, n, false, &sql, &length) == FRAME_READY) {
                expect((const uint8_t *) sql == p && strlen(sql) == length && length + 1 == n);
                struct bytes b;
                bytes_init(&b, 0);
                compose_query(&b, sql);
                expect(bytes_length(&b) == n + 5 && memcmp(bytes_data(&b) + 5, p, n) == 0);
                bytes_free(&b);
                expect(part == n || request_query(p, part, true, &sql, &length) == FRAME_READY);
        }
        if (request_query(p, part, true, &sql, &length) == FRAME_READY)
                expect(length == part && !(part && memchr(p, 0, part)));
}

static void check_message(uint8_t type, const uint8_t *p, size_t n, size_t part)
{
        struct request_target target;
        struct request_execute execute;
        switch (type) {
        case 'P':
                check_parse(p, n, part);
                break;
        case 'B':
                check_bind(p, n, part);
                break;
        case 'Q':
                check_query(p, n, part);
                break;
        case 'C':
        case 'D':
                if (request_target(p, n, &target) == FRAME_READY) {
                        check_text(target.name, p, n);
                        expect(target.kind == 'S' || target.kind == 'P');
                        expect(strlen(target.name) + 2 == n);
                }
                break;
        case 'E':
                if (request_execute(p, n, &execute) == FRAME_READY) {
                        check_text(execute.portal, p, n);
                        expect(strlen(execute.portal) + 5 == n && execute.max_rows <= INT32_MAX);
                }
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2)
                return 0;
        size_t n = size - 2;
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, data + 2, n);
        check_message(data[0], copy, n, n * data[1] / 255);
        free(copy);
        return 0;
}
