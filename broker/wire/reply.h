/* Reads the payloads of a server's messages. All fields of an ErrorResponse are optional: a field
 * that is not there is "". Source: PostgreSQL manual, "Message Formats", "Error and Notice
 * Message Fields". Pointers point into the payload; verdicts are READY or BAD. */
#ifndef PGB_WIRE_REPLY_H
#define PGB_WIRE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/frame.h"

struct reply_error {
        const char *severity;           /* field V, else S */
        const char *sqlstate;           /* C */
        const char *message;            /* M */
        const char *detail, *hint;      /* D, H */
        const char *routine;            /* R: of PostgreSQL's source code */
};
/* Of ErrorResponse and NoticeResponse. */
enum frame_verdict reply_error(const uint8_t *p, size_t n, struct reply_error *out);

/* The same of a message that is there as a whole; false: it is not, or can't be read. */
bool reply_error_in(const struct frame_piece *piece, struct reply_error *out);

struct reply_parameter {
        const char *name, *value;
};
enum frame_verdict reply_parameter(const uint8_t *p, size_t n, struct reply_parameter *out);

/* The tag of a CommandComplete, e.g. "SELECT 1". */
enum frame_verdict reply_complete(const uint8_t *p, size_t n, const char **tag);
/* The status of a ReadyForQuery: 'I', 'T' or 'E'; BAD for anything else. */
enum frame_verdict reply_ready(const uint8_t *p, size_t n, char *status);
/* The columns of a DataRow: pointers and lengths (-1 = NULL) of up to `max`; *count is how many
 * the row has. */
enum frame_verdict reply_row(const uint8_t *p, size_t n, const char **column, int32_t *length,
                             size_t max, size_t *count);

/* What tells one kind of answer from another, 0 if the payload can't be read: of a RowDescription ('T') the
 * columns' names, types and type modifiers (PostgreSQL takes results that differ in nothing else for the same), of
 * a ParameterDescription ('t') the types, of a NoData ('n') that it is one. */
uint64_t reply_digest(uint8_t type, const uint8_t *p, size_t n);

#endif
