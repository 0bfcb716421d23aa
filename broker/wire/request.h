/* Reads the payloads of a client's extended-protocol messages. Each takes a whole message's
 * payload, or the first bytes of one that came in pieces (`partial`): then only what must be
 * there in full is checked, and a field that does not end within n is BAD. Verdicts: READY or BAD.
 * Source: PostgreSQL manual, "Message Formats". Pointers point into the payload. */
#ifndef PGB_WIRE_REQUEST_H
#define PGB_WIRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/frame.h"

struct request_parse {
        const char *name;               /* "" = the unnamed statement */
        const char *query;
        size_t query_size;              /* without its NUL; what is there of it if partial */
        bool query_ends;                /* the NUL was seen */
};
enum frame_verdict request_parse(const uint8_t *p, size_t n, bool partial,
                                 struct request_parse *out);

struct request_bind {
        const char *portal, *statement;
};
enum frame_verdict request_bind(const uint8_t *p, size_t n, bool partial, struct request_bind *out);

/* Describe and Close. */
struct request_target {
        char kind;                      /* 'S' statement, 'P' portal */
        const char *name;
};
enum frame_verdict request_target(const uint8_t *p, size_t n, struct request_target *out);

struct request_execute {
        const char *portal;
        uint32_t max_rows;              /* 0 = all */
};
enum frame_verdict request_execute(const uint8_t *p, size_t n, struct request_execute *out);

/* The text of a simple Query; must end with its only NUL when not partial. */
enum frame_verdict request_query(const uint8_t *p, size_t n, bool partial, const char **sql,
                                 size_t *size);

/* The statement's name in a Parse, Bind, Describe or Close; "": the unnamed one, or a portal. */
const char *request_statement(const struct frame_piece *piece);

/* A FunctionCall, or the beginning of one: is it of loread(), lowrite() or one of the lo_...(), whose descriptors end
 * with the transaction? By their numbers in pg_proc. */
bool request_on_large_object(const uint8_t *p, size_t n);

#endif
