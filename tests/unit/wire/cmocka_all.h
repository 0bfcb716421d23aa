/* What cmocka.h wants included before it, and a payload that ends where memory does. */
#ifndef PGB_TEST_WIRE_CMOCKA_ALL_H
#define PGB_TEST_WIRE_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A copy of exactly n bytes, so that a sanitizer sees a read beyond them; free() it. */
static inline uint8_t *exactly(const void *p, size_t n)
{
        uint8_t *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, p, n);
        return copy;
}

/* A string literal with NULs in it: its bytes without the last NUL. */
#define LITERAL(s) (s), sizeof(s) - 1

#endif
