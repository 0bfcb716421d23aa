/* Builds messages at the end of a `struct bytes`. A message that can't be built (over the limit)
 * leaves `failed` set and nothing half-written behind it. */
#ifndef PGB_WIRE_COMPOSE_H
#define PGB_WIRE_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/error.h"

/* To a server. */
void compose_query(struct bytes *b, const char *sql);
void compose_parse(struct bytes *b, const char *name, const char *sql, size_t sql_size);
/* Parse of this statement, Bind and Execute of the unnamed portal. */
void compose_run(struct bytes *b, const char *statement, const char *sql, size_t sql_size);
/* With what stands behind the name: text, NUL, number and types of parameters. */
void compose_named_parse(struct bytes *b, const char *name, const uint8_t *body, size_t size);
void compose_close(struct bytes *b, char kind, const char *name);
void compose_describe(struct bytes *b, const char *name);       /* of a statement */
/* A type and a length field; what follows is the caller's. */
void compose_head(struct bytes *b, uint8_t type, uint32_t length);
void compose_sync(struct bytes *b);
void compose_flush(struct bytes *b);
void compose_terminate(struct bytes *b);
void compose_cancel(struct bytes *b, uint32_t pid, const uint8_t *key, size_t key_size);
void compose_ssl_request(struct bytes *b);
/* name, value, name, value, NULL */
void compose_startup(struct bytes *b, uint16_t minor, const char *const *parameters);

/* To a client. */
void compose_authentication_ok(struct bytes *b);
void compose_parameter(struct bytes *b, const char *name, const char *value);
void compose_key(struct bytes *b, uint32_t pid, const uint8_t *key, size_t key_size);
void compose_ready(struct bytes *b, char status);
/* NegotiateProtocolVersion: the newest minor version supported and the options not known. */
void compose_negotiate(struct bytes *b, uint32_t minor, const char *const *options, size_t count);
/* severity: "ERROR", "FATAL"; fields S V C M and H if there is a hint. */
void compose_error(struct bytes *b, const char *severity, const struct error *e);
/* An ErrorResponse again, with one text in place of another in its message. False: that isn't there. */
bool compose_error_renamed(struct bytes *b, const uint8_t *message, size_t size, const char *from,
                           const char *to);
void compose_notice(struct bytes *b, const char *sqlstate, const char *text);
void compose_complete(struct bytes *b, const char *tag);
void compose_empty(struct bytes *b);
void compose_parse_complete(struct bytes *b);
void compose_bind_complete(struct bytes *b);
void compose_close_complete(struct bytes *b);
void compose_no_data(struct bytes *b);
void compose_parameter_description(struct bytes *b);            /* no parameters */

/* Rows. Column types are given by these letters: s text, i int4, q int8, N numeric, T timestamptz,
 * b bool; the texts in rows are PostgreSQL's text format; NULL pointer = SQL NULL. With `binary`
 * set, the format code of every column is 1 and int4/int8/text/bool are sent in binary (for
 * drivers that ask for it); numeric and timestamptz too. */
struct compose_column {
        const char *name;
        char type;
};
void compose_row_description(struct bytes *b, const struct compose_column *columns, size_t count,
                             bool binary);
void compose_row(struct bytes *b, const struct compose_column *columns, const char *const *values,
                 size_t count, bool binary);

/* SQL text for a simple Query. */
void compose_literal(struct bytes *b, const char *text);        /* 'it''s', E'' where needed */
void compose_identifier(struct bytes *b, const char *name);     /* "always quoted" */

#endif
