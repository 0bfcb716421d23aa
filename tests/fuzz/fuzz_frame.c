/* Any stream, in any chunks: the pieces are the stream, their borders are those that a plain walk
 * over the lengths finds, and what must come whole does. The first byte: bit 0 whose stream it is,
 * bits 1 and 2 what is held. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
        const struct frame_rules *rules;
        const uint8_t *data;
        size_t size, hold;
};

struct walk {
        size_t end; /* of the last whole message; what follows is cut or bad */
        size_t messages;
        bool bad;
};

/* How many messages end within data[0..size), found the slow way. */
static struct walk walk_to(const struct stream *s, size_t size)
{
        struct walk w = {0};
        while (w.end < size) {
                const uint8_t *p = s->data + w.end;
                if (s->rules->type[*p].kind == 0 ||
                    (s->size - w.end >= 5 && (frame_get32(p + 1) < s->rules->type[*p].min ||
                                              frame_get32(p + 1) > s->rules->type[*p].max))) {
                        w.bad = true;
                        break;
                }
                if (size - w.end < 5 || frame_get32(p + 1) + UINT64_C(1) > size - w.end)
                        break;
                w.end += frame_get32(p + 1) + 1;
                w.messages++;
        }
        return w;
}

static void check_piece(const struct stream *s, size_t at, const struct frame_piece *piece,
                        const struct frame_cutter *c)
{
        struct walk before = walk_to(s, at), after = walk_to(s, at + piece->size);
        expect(piece->size > 0 && piece->data == s->data + at);
        expect(piece->messages == after.messages - before.messages);
        expect(piece->begins == (before.end == at));
        expect(piece->ends == (after.end == at + piece->size));
        expect(piece->ends == frame_at_border(c));
        expect(piece->type == s->data[before.end]);
        bool whole = s->rules->type[piece->type].kind == 1;
        expect(!whole || piece->messages <= 1);
        expect(!whole || piece->length > s->hold || frame_whole(piece));
        expect(!whole || !piece->begins || piece->ends || piece->size >= s->hold);
        if (frame_whole(piece))
                expect(piece->length == piece->size &&
                       frame_payload_size(piece) + 5 == piece->size);
}

/* Cuts what has come so far; true: go on. */
static bool cut(const struct stream *s, struct frame_cutter *c, size_t *at, size_t come, bool *bad)
{
        for (;;) {
                struct frame_piece piece;
                /* A copy of what has come, so that a sanitizer sees a look beyond it. */
                uint8_t *copy = malloc(come - *at + 1);
                memcpy(copy, s->data + *at, come - *at);
                enum frame_verdict v = frame_next(c, s->rules, copy, come - *at, s->hold, &piece);
                if (v == FRAME_READY) {
                        expect(piece.data == copy && piece.size <= come - *at);
                        piece.data = s->data + *at;
                        check_piece(s, *at, &piece, c);
                        *at += piece.size;
                }
                free(copy);
                *bad = v == FRAME_BAD;
                if (v != FRAME_READY)
                        return v == FRAME_SHORT;
        }
}

static size_t run(const struct stream *s, uint32_t dice, bool *bad)
{
        struct frame_cutter c = {0};
        size_t at = 0, come = 0;
        *bad = false;
        while (come < s->size) {
                dice = dice * 1664525 + 1013904223;
                size_t step = dice >> 16 & 1 ? 1 + (dice >> 20) % 7 : 1 + (dice >> 20) % 300;
                come = s->size - come < step ? s->size : come + step;
                if (!cut(s, &c, &at, come, bad))
                        break;
        }
        return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const size_t holds[] = {64, 16, 5, 1000};
        if (size == 0 || size > 4096)
                return 0;
        struct stream s = {data[0] & 1 ? &frame_from_server : &frame_from_client, data + 1,
                           size - 1, holds[data[0] >> 1 & 3]};
        struct frame_cutter c = {0};
        bool bad, same_bad;
        size_t at = 0;
        cut(&s, &c, &at, s.size, &bad);
        expect(bad == walk_to(&s, s.size).bad);
        for (uint32_t dice = 1; dice <= 3; dice++) {
                expect(run(&s, dice * 77777 + (uint32_t) size, &same_bad) == at);
                expect(same_bad == bad);
        }
        return 0;
}
