#include "track/again.h"

#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "wire/request.h"

/* ---- kept ---- */

void again_drop(struct track_server *t)
{
        struct track_again *a = &t->again;
        bytes_clear(&a->batch);
        text_unref(TAKE(a->tried));
        a->state = AGAIN_NOT;
        a->executed = false;
}

/* Messages that execute nothing, and with which a batch may begin. */
static bool prepares(uint8_t type)
{
        return type == 'B' || type == 'P' || type == 'D' || type == 'C';
}

static void keep(struct track_again *a, const struct frame_piece *piece)
{
        bytes_append(&a->batch, piece->data, piece->size);
        a->executed = a->executed || piece->type == 'E';
        a->last = piece->type;
        if (piece->type == 'S')
                a->state = AGAIN_SENT;
}

/* What comes before the first Bind that may fail so need not be kept: it won't be done again. (A Describe of a
 * statement fails so behind its ParameterDescription, which the client has by then.) */
void again_sent(struct track_server *t, const struct frame_piece *piece, bool named, bool unnamed_portal)
{
        struct track_again *a = &t->again;
        bool whole = frame_whole(piece);
        expect(a->state != AGAIN_FAILED);
        if (a->state == AGAIN_DUE) {
                if (piece->type == 'S')         /* once is enough */
                        again_drop(t);
                return;
        }
        if ((a->state == AGAIN_NOT || a->state == AGAIN_SENT) && whole && prepares(piece->type) && track_idle(t) &&
            !t->turns.stray) {
                again_drop(t);
                a->state = AGAIN_BEGUN;
        }
        if (a->state == AGAIN_NOT)
                return;
        if (a->state == AGAIN_BEGUN && named && piece->type == 'B')
                a->state = AGAIN_KEPT;
        /* A named portal would be gone when what comes behind it is done again. */
        bool fits = whole && (piece->type != 'B' || unnamed_portal);
        bool quiet = prepares(piece->type) || piece->type == 'H';
        if (a->state == AGAIN_KEPT && fits && (quiet || piece->type == 'E' || piece->type == 'S') &&
            bytes_length(&a->batch) + piece->size <= AGAIN_MAX)
                keep(a, piece);
        else if (a->state != AGAIN_BEGUN || !fits || !quiet)
                again_drop(t);
}

static bool may_try(const struct track_again *a, const struct text *x)
{
        return a->state == AGAIN_KEPT && a->last == 'B' && !a->executed && (!a->tried || a->tried == x);
}

struct prepared_one *again_usable(const struct track_server *t, const struct text *x, uint64_t since)
{
        struct prepared_one *one = prepared_find(&t->prepared, x);
        /* Should the server have found out other types for its parameters, no error would tell. */
        bool tried = one && one->proved && !x->inferred && may_try(&t->again, x);
        return one && (!x->key || one->proved >= since || tried) ? one : NULL;
}

void again_use(struct track_server *t, struct prepared_one *one, uint64_t since)
{
        struct track_again *a = &t->again;
        if (one->proved >= since || !one->text->key)
                return;
        if (!a->tried) {
                a->tried = text_ref(one->text);
                a->proved = one->proved;
        }
        one->proved = since;
}

/* ---- done again ---- */

/* The client's messages, one after the other, as they are in a batch that was kept. */
static bool next(const struct bytes *batch, size_t *at, struct frame_piece *piece)
{
        const uint8_t *p = bytes_data(batch) + *at;
        if (*at == bytes_length(batch))
                return false;
        size_t size = 1 + (size_t) frame_get32(p + 1);
        *piece = (struct frame_piece){.type = *p, .begins = true, .ends = true, .messages = 1,
                                      .length = size, .data = p, .size = size};
        *at += size;
        return true;
}

bool again_next(const struct track_server *t, size_t *at, struct frame_piece *piece)
{
        *at = *at ? *at : t->again.from;
        return t->again.state == AGAIN_DUE && next(&t->again.batch, at, piece);
}

/* What a Bind names; NULL: nothing, or what this client has not. */
static struct statement *bound_by(const struct track_client *c, const struct frame_piece *bind)
{
        struct request_bind b;
        if (bind->type != 'B' || request_bind(frame_payload(bind), frame_payload_size(bind), false, &b) != FRAME_READY)
                return NULL;
        return *b.statement ? statements_find(&c->statements, b.statement) : NULL;
}

/* Are all parameters text? What they are in binary goes by types that may be others now. */
static bool in_text(const struct frame_piece *bind)
{
        const uint8_t *end = bind->data + bind->size, *p = frame_payload(bind);
        p += strlen((const char *) p) + 1;
        p += strlen((const char *) p) + 1;
        size_t count = end - p >= 2 ? frame_get16(p) : 0;
        if ((size_t) (end - p) < 2 + 2 * count)
                return false;
        for (size_t i = 0; i < count; i++) {
                if (frame_get16(p + 2 + 2 * i) != 0)
                        return false;
        }
        return true;
}

/* Is what was bound described before it is executed? The rest of the batch from `at` on tells. */
static bool described(const struct track_again *a, size_t at)
{
        struct frame_piece piece;
        while (next(&a->batch, &at, &piece) && piece.type != 'B' && piece.type != 'E') {
                if (piece.type == 'D' && strcmp((const char *) frame_payload(&piece), "P") == 0)
                        return true;
        }
        return piece.type != 'E';
}

/* Would it mislead the client if the statement that it binds returned something else now? */
static bool misleads(const struct track_client *c, const struct track_again *a, const struct frame_piece *bind)
{
        const struct statement *s = bound_by(c, bind);
        if (!s || !s->text || !s->text->key)
                return true;
        size_t behind = (size_t) (bind->data - bytes_data(&a->batch)) + bind->size;
        return s->text != a->tried && !(in_text(bind) && described(a, behind));
}

/* Finds what failed: as many of the client's requests are answered with it as there are turns. */
static bool find_failed(struct track_again *a, uint32_t turns, struct frame_piece *piece)
{
        size_t at = 0;
        uint32_t count = 0;
        while (next(&a->batch, &at, piece))
                count += piece->type != 'H';
        if (count < turns)
                return false;
        for (at = 0, count -= turns; next(&a->batch, &at, piece) && (count > 0 || piece->type == 'H');) {
                if (piece->type == 'E')
                        return false;
                count -= piece->type != 'H';
        }
        a->from = (size_t) (piece->data - bytes_data(&a->batch));
        return true;
}

/* Those of its statements that may return something else are parsed anew. */
static void renew(struct track_client *c, const struct track_again *a)
{
        struct frame_piece piece;
        uint64_t now = texts_tick(c->statements.texts) & STATEMENTS_CLOCK;
        for (size_t at = a->from; next(&a->batch, &at, &piece);) {
                if (misleads(c, a, &piece))
                        continue;
                struct statement *s = bound_by(c, &piece);
                free(TAKE(s->told));
                s->since = now;
        }
}

/* What was tried has not proved to be right. */
static void unproved(struct track_server *t)
{
        const struct track_again *a = &t->again;
        struct prepared_one *one = a->tried ? prepared_find(&t->prepared, a->tried) : NULL;
        if (one)
                one->proved = a->proved;
}

bool again_failed(struct track_client *c, struct track_server *t)
{
        struct track_again *a = &t->again;
        struct frame_piece piece;
        uint32_t turns = turns_of_batch(&t->turns);
        if (a->state != AGAIN_SENT || t->status != 'I' || c->holding || c->ready_owed || !turns ||
            !find_failed(a, turns, &piece))
                return false;
        if (turns_kind(&t->turns) != TURN_BIND || misleads(c, a, &piece))
                return false;
        renew(c, a);
        unproved(t);
        a->state = AGAIN_FAILED;
        return true;
}

bool again_ready(struct track_server *t)
{
        if (t->again.state != AGAIN_FAILED)
                return false;
        t->again.state = AGAIN_DUE;
        return true;
}

void again_refused(struct track_server *t)
{
        unproved(t);
        again_drop(t);
}
