/* Any bytes as the payload of a server's message: what is read lies within, and composing it again
 * gives the same bytes. The first byte is the message's type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "wire/compose.h"
#include "wire/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 8 };

static void check_text(const char *text, const uint8_t *p, size_t n)
{
        const uint8_t *at = (const uint8_t *) text;
        expect(!*text || (at >= p && at < p + n && memchr(at, 0, n - (size_t) (at - p))));
}

static void same(struct bytes *b, const uint8_t *p, size_t n)
{
        expect(!b->failed && bytes_length(b) == n + 5 && memcmp(bytes_data(b) + 5, p, n) == 0);
        bytes_free(b);
}

static void check_error(const uint8_t *p, size_t n)
{
        struct reply_error r, again;
        struct error e = {0};
        struct bytes b;
        if (reply_error(p, n, &r) != FRAME_READY)
                return;
        check_text(r.severity, p, n);
        check_text(r.sqlstate, p, n);
        check_text(r.message, p, n);
        check_text(r.detail, p, n);
        check_text(r.hint, p, n);
        error_set(&e, r.sqlstate, "%.100s", r.message);
        bytes_init(&b, 0);
        compose_error(&b, r.severity, &e);
        expect(reply_error(bytes_data(&b) + 5, bytes_length(&b) - 5, &again) == FRAME_READY);
        expect(strcmp(again.severity, r.severity) == 0 && strcmp(again.message, e.text) == 0);
        bytes_free(&b);
}

static void check_row(const uint8_t *p, size_t n)
{
        static const struct compose_column columns[COLUMNS];
        const char *column[COLUMNS], *values[COLUMNS] = {NULL};
        int32_t length[COLUMNS];
        size_t count;
        bool texts = true;
        struct bytes b;
        if (reply_row(p, n, column, length, COLUMNS, &count) != FRAME_READY)
                return;
        texts = count <= COLUMNS;
        for (size_t i = 0; i < count && i < COLUMNS; i++) {
                expect((length[i] < 0) == (column[i] == NULL) && length[i] >= -1);
                if (length[i] < 0)
                        continue;
                expect((const uint8_t *) column[i] >= p &&
                       (const uint8_t *) column[i] + length[i] <= p + n);
                texts = texts && !memchr(column[i], 0, (size_t) length[i]);
                char *copy = malloc((size_t) length[i] + 1);
                memcpy(copy, column[i], (size_t) length[i]);
                copy[length[i]] = 0;
                values[i] = copy;
        }
        bytes_init(&b, 0);
        if (texts) {
                compose_row(&b, columns, values, count, false);
                same(&b, p, n);
        }
        for (size_t i = 0; i < COLUMNS; i++)
                free((char *) values[i]);
}

static void check_message(uint8_t type, const uint8_t *p, size_t n)
{
        struct reply_parameter parameter;
        const char *tag;
        char status;
        struct bytes b;
        bytes_init(&b, 0);
        switch (type) {
        case 'E':
        case 'N':
                check_error(p, n);
                break;
        case 'S':
                if (reply_parameter(p, n, &parameter) == FRAME_READY) {
                        compose_parameter(&b, parameter.name, parameter.value);
                        same(&b, p, n);
                }
                break;
        case 'C':
                if (reply_complete(p, n, &tag) == FRAME_READY) {
                        compose_complete(&b, tag);
                        same(&b, p, n);
                }
                break;
        case 'Z':
                if (reply_ready(p, n, &status) == FRAME_READY) {
                        compose_ready(&b, status);
                        same(&b, p, n);
                }
                break;
        case 'D':
                check_row(p, n);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        uint8_t *copy = malloc(size);
        memcpy(copy, data + 1, size - 1);
        check_message(data[0], copy, size - 1);
        free(copy);
        return 0;
}
