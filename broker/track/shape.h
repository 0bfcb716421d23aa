/* What a statement takes and gives, as the server described it. Digests, see reply_digest(); 0: not known. */
#ifndef PGB_TRACK_SHAPE_H
#define PGB_TRACK_SHAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "wire/frame.h"

struct shape {
        uint64_t parameters, rows;
};

/* A client's, with the parameters' types, so that a text whose types PostgreSQL has found out can be parsed once
 * more to take the same. */
struct told_shape {
        struct shape is;
        uint16_t count;
        uint8_t types[];                /* four bytes each, as in a Parse */
};

#define SHAPE_TYPES 256                 /* kept of a statement; of one with more, none are */

/* From a ParameterDescription. */
struct told_shape *shape_parameters(const struct frame_piece *piece);
/* From a RowDescription or a NoData. */
uint64_t shape_rows(const struct frame_piece *piece);
/* Where both are known, are they the same? */
static inline bool shape_agrees(uint64_t a, uint64_t b)
{
        return !a || !b || a == b;
}

#endif
