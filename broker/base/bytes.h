/* A growable run of bytes with a read end: append at the tail, consume at the head.
 * A limit makes growth fail instead of going on; the first failure sticks (`failed`) and later
 * appends do nothing, so a builder checks once, at its end. An empty one owns no memory. */
#ifndef PGB_BASE_BYTES_H
#define PGB_BASE_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/own.h"

struct bytes {
        uint8_t *memory;
        size_t begin, end, size;        /* content is memory[begin..end) */
        size_t limit;                   /* 0 = none */
        bool failed;
};

void bytes_init(struct bytes *b, size_t limit);
void bytes_free(struct bytes *b);       /* releases the memory; the struct is empty and reusable */
void bytes_wipe(struct bytes *b);       /* the same, after overwriting what was in it */

static inline const uint8_t *bytes_data(const struct bytes *b)
{
        /* Adding even 0 to a null pointer is undefined, and UBSan stops there. */
        return b->memory ? b->memory + b->begin : NULL;
}
static inline size_t bytes_length(const struct bytes *b)
{
        return b->end - b->begin;
}
/* Room for n more at the tail (NULL: over the limit); bytes_added() then makes it content. */
uint8_t *bytes_room(struct bytes *b, size_t n);
void bytes_added(struct bytes *b, size_t n);
bool bytes_append(struct bytes *b, const void *p, size_t n);
bool bytes_text(struct bytes *b, const char *s);        /* without its NUL */
bool bytes_format(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops n from the head; releases the memory when nothing is left. */
void bytes_consume(struct bytes *b, size_t n);
/* Forgets the content, keeps the memory. */
void bytes_clear(struct bytes *b);
/* A NUL-terminated copy of the content that the caller frees. */
char *bytes_string(const struct bytes *b);

bool bytes_ascii(const void *p, size_t n);     /* has it no byte above 127? */

#endif
