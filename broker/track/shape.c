#include "track/shape.h"

#include <string.h>
#include "base/own.h"
#include "wire/reply.h"

struct told_shape *shape_parameters(const struct frame_piece *piece)
{
        const uint8_t *p = frame_payload(piece);
        size_t n = frame_payload_size(piece);
        uint64_t digest = frame_whole(piece) ? reply_digest('t', p, n) : 0;
        uint16_t count = digest ? frame_get16(p) : 0;
        count = count <= SHAPE_TYPES ? count : 0;
        struct told_shape *s = own_alloc(sizeof *s + 4 * (size_t) count);
        *s = (struct told_shape){.is = {.parameters = digest}, .count = count};
        memcpy(s->types, p + 2, 4 * (size_t) count);
        return s;
}

uint64_t shape_rows(const struct frame_piece *piece)
{
        return frame_whole(piece) ? reply_digest(piece->type, frame_payload(piece), frame_payload_size(piece)) : 0;
}
