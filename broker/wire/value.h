/* The few data types that the broker answers with: their OIDs, and their binary formats made from
 * PostgreSQL's text formats. Letters as in compose.h: s text, i int4, q int8, N numeric,
 * T timestamptz, b bool. Source: PostgreSQL manual, "Data Types", and the types' send functions
 * as drivers read them. */
#ifndef PGB_WIRE_VALUE_H
#define PGB_WIRE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"

uint32_t value_oid(char type);
int16_t value_length(char type);        /* -1 = it varies */
/* Appends the binary format; false, with `b` as it was, for a text that is no such value. */
bool value_binary(struct bytes *b, char type, const char *text);

/* Microseconds since 2000-01-01 00:00 UTC of a text like "2026-11-22 10:00:00.25+00". */
bool value_timestamp(const char *text, int64_t *microseconds);

#endif
