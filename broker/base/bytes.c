#include "base/bytes.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"

enum { SMALLEST = 64 };

void bytes_init(struct bytes *b, size_t limit)
{
        *b = (struct bytes){.limit = limit};
}

void bytes_free(struct bytes *b)
{
        if (!b)
                return;
        free(b->memory);
        bytes_init(b, b->limit);
}

void bytes_wipe(struct bytes *b)
{
        if (!b)
                return;
        /* All of it: what was consumed or cleared is still there. */
        if (b->memory)
                explicit_bzero(b->memory, b->size);
        bytes_free(b);
}

static void move_to(struct bytes *b, size_t size)
{
        uint8_t *memory = own_grow(NULL, size);
        size_t length = bytes_length(b);

        if (b->memory) {
                memcpy(memory, b->memory + b->begin, length);
                /* Not realloc: it would leave a copy behind that bytes_wipe() can't reach. */
                explicit_bzero(b->memory, b->size);
                free(b->memory);
        }
        b->memory = memory;
        b->size = size;
        b->begin = 0;
        b->end = length;
}

/* Makes the tail hold n more; `spare` is memory beyond the content, which the limit doesn't count.
 */
static bool reserve(struct bytes *b, size_t n, size_t spare)
{
        size_t length = bytes_length(b);

        if (b->failed)
                return false;
        if (n > SIZE_MAX / 4 - length || (b->limit && length + n > b->limit)) {
                b->failed = true;
                return false;
        }
        if (b->memory && b->size - b->end >= n + spare)
                return true;
        /* Moving pays only where at least as much was consumed since the last move. */
        if (b->memory && b->begin >= length && b->size - length >= n + spare) {
                memmove(b->memory, b->memory + b->begin, length);
                b->begin = 0;
                b->end = length;
                return true;
        }

        size_t size = b->size * 2 > SMALLEST ? b->size * 2 : SMALLEST;

        if (b->limit && size > b->limit)
                size = b->limit;
        if (size < length + n + spare)
                size = length + n + spare;
        move_to(b, size ? size : 1);
        return true;
}

uint8_t *bytes_room(struct bytes *b, size_t n)
{
        return reserve(b, n, 0) ? b->memory + b->end : NULL;
}

void bytes_added(struct bytes *b, size_t n)
{
        expect(n <= b->size - b->end);
        b->end += n;
}

bool bytes_append(struct bytes *b, const void *p, size_t n)
{
        if (n == 0)
                return !b->failed;
        if (!reserve(b, n, 0))
                return false;
        memcpy(b->memory + b->end, p, n);
        b->end += n;
        return true;
}

bool bytes_text(struct bytes *b, const char *s)
{
        return bytes_append(b, s, strlen(s));
}

bool bytes_format(struct bytes *b, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0)
                b->failed = true;
        if (!reserve(b, n > 0 ? (size_t) n : 0, 1))
                return false;
        /* Straight into place: a copy elsewhere would escape bytes_wipe(). */
        va_start(args, format);
        vsnprintf((char *) b->memory + b->end, (size_t) n + 1, format, args);
        va_end(args);
        b->end += (size_t) n;
        return true;
}

void bytes_consume(struct bytes *b, size_t n)
{
        expect(n <= bytes_length(b));
        b->begin += n;
        if (b->begin < b->end)
                return;
        free(b->memory);
        b->memory = NULL;
        b->begin = b->end = b->size = 0;
}

void bytes_clear(struct bytes *b)
{
        b->begin = b->end = 0;
        b->failed = false;
}

char *bytes_string(const struct bytes *b)
{
        return own_text((const char *) bytes_data(b), bytes_length(b));
}

bool bytes_ascii(const void *p, size_t n)
{
        const uint8_t *byte = p;
        while (n > 0 && *byte < 128) {
                byte++;
                n--;
        }
        return n == 0;
}
