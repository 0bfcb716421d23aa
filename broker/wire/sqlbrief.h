/* A statement in short, for people to read: its words and names as they were written, `?` for every
 * constant (a string may be a password, a number an account), no comments. Printable ASCII only. */
#ifndef PGB_WIRE_SQLBRIEF_H
#define PGB_WIRE_SQLBRIEF_H

#include <stddef.h>

/* Writes the first statement of the text to `out`, as far as it fits (`size` > 4; "..." tells that there
 * is more), and returns how many bytes of the text it takes, its semicolon included. '\' must not be an
 * escape in the text's '' strings: what is in quotes and what is not would be confused. What a SET gives
 * its parameter is a constant, too, however it is written. */
size_t sqlbrief(const char *sql, size_t n, char *out, size_t size);

#endif
