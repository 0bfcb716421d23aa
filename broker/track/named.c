#include "track/named.h"

#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/again.h"
#include "track/bring.h"
#include "track/fit.h"
#include "track/namesakes.h"
#include "track/reading.h"
#include "wire/compose.h"
#include "wire/request.h"

#define NOBODY TEXTS_PREFIX "0"         /* a name that no statement has */

/* ---- which statement ---- */

static bool dropping(const struct statements *s)
{
        return s->barrier || s->deallocated;
}

bool named_changing(const struct track_client *c, const struct track_server *t)
{
        return dropping(&c->statements) || t->prepared.change_count > 0;
}

bool named_unsettled(const struct track_client *c, const struct track_server *t,
                     const struct frame_piece *piece)
{
        const struct statement *s = statements_find(&c->statements, request_statement(piece));
        if (dropping(&c->statements))
                return true;
        if (!s)
                return false;
        if (bring_from_before(s->pending, s->batch, t))
                return true;
        const struct prepared_one *one = s->text ? prepared_find(&t->prepared, s->text) : NULL;
        return one && bring_from_before(one->pending, one->batch, t);
}

/* ---- sending ---- */

/* A message's head with another name in it; `head` bytes of the old one are replaced. */
static size_t put_head(const struct frame_piece *piece, const char *first, const char *name,
                       const char *old, size_t head, struct bytes *out)
{
        compose_head(out, piece->type, (uint32_t) (piece->length - 1 - strlen(old) + strlen(name)));
        bytes_append(out, first, head - FRAME_HEADER - strlen(old) - 1);
        bytes_append(out, name, strlen(name) + 1);
        return head;
}

static void pend_name(struct track_client *c, const struct track_server *t, const char *name)
{
        struct statement *s = statements_find(&c->statements, name);
        s->pending++;
        s->batch = t->prepared.batch;
}

/* The client has that name already: the server says so, of its own. (If it did not, the statement that
 * others share would be another one now: then nobody may have that server any more.) */
static size_t send_doomed(struct track_client *c, struct track_server *t, const char *name,
                          const struct frame_piece *piece, struct bytes *before)
{
        uint64_t since;
        struct text *x = bring_meant(c, t, name, &since);
        bring(t, x, since, before);
        bring_change(t, TURN_NAMED, TURN_CLIENT,
               (struct prepared_change){.name = own_string(name), .before = text_ref(x), .doomed = true});
        pend_name(c, t, name);
        return put_head(piece, "", x->name, name, FRAME_HEADER + strlen(name) + 1, before);
}

static void pin_alone(struct track_client *c, const struct frame_piece *piece, size_t head)
{
        if (frame_whole(piece))
                track_client_note(c, PIN_BIT(PIN_STATEMENT), (const char *) piece->data + head,
                                  strlen((const char *) piece->data + head));
        pins_add(&c->pins, PIN_STATEMENT);
}

static size_t send_parse(struct track_client *c, struct track_server *t, struct text_marks marks,
                         const char *name, const struct frame_piece *piece, struct bytes *before)
{
        struct statements *s = &c->statements;
        size_t head = FRAME_HEADER + strlen(name) + 1;
        if (statements_meaning(s, name))
                return send_doomed(c, t, name, piece, before);
        bool share = statements_share(s, piece);
        OWN(free) char *way = share ? reading_of(c) : NULL;
        struct text *x = share ? texts_share(s->texts, way, piece->data + head, piece->size - head, marks)
                               : texts_alone(s->texts, marks);
        bool had = share && bring_clear(t, x, before);
        namesakes_probe(c, t, name, before);
        put_head(piece, "", x->name, name, head, before);
        uint64_t now = texts_tick(s->texts);
        struct prepared_change ch = {.name = own_string(name), .text = x, .parse = true, .had = had};
        ch.proved = bring_noted(t, x);
        fit_bound(s, NULL);
        ch.told = statements_untold(s, name);
        ch.before = statements_put(s, name, x);         /* which holds x now */
        statements_find(s, name)->since = now & STATEMENTS_CLOCK;
        pend_name(c, t, name);
        if (!share)
                pin_alone(c, piece, head);
        bring_change(t, TURN_NAMED, TURN_CLIENT, ch);
        return head;
}

static size_t send_bind(struct track_client *c, struct track_server *t, struct text *x,
                        const char *name, bool fits, const struct frame_piece *piece, struct bytes *before)
{
        struct statements *s = &c->statements;
        const char *portal = (const char *) frame_payload(piece);
        size_t head = FRAME_HEADER + strlen(portal) + 1 + strlen(name) + 1;
        statements_mark(&s->portals, x->marks.effects, x->marks.pins);
        if (x->key)                     /* its Execute will pin */
                track_client_note(c, x->marks.pins, (const char *) x->body, strlen((const char *) x->body));
        if (!*portal) {
                /* One without a key may have come in pieces: its marks are the first's. */
                statements_bound(s, false, x->key ? x : NULL);
                fit_bound(s, name);
        }
        put_head(piece, portal, fits ? x->name : FIT_NOBODY, name, head, before);
        turns_sent(&t->turns, TURN_BIND, TURN_CLIENT);
        return head;
}

static size_t send_describe(struct track_server *t, struct text *x, const char *name,
                            const struct frame_piece *piece, struct bytes *before)
{
        put_head(piece, "S", x->name, name, piece->size, before);
        if (x->key)
                fit_describing(t, x, name);
        else
                turns_sent(&t->turns, TURN_DESCRIBE, TURN_CLIENT);
        return piece->size;
}

/* The statement stays where it is, for others, unless it is this client's alone. */
static size_t send_forget(struct track_client *c, struct track_server *t, struct text *x,
                          const char *name, const struct frame_piece *piece, struct bytes *before)
{
        struct prepared_one *one = prepared_find(&t->prepared, x);
        bool alone = !x->key;
        namesakes_close(c, t, name, before);
        compose_close(before, 'S', alone ? x->name : NOBODY);
        fit_bound(&c->statements, NULL);
        bring_change(t, TURN_FORGET, TURN_CLIENT,
                     (struct prepared_change){.name = own_string(name), .before = text_ref(x),
                                              .told = statements_untold(&c->statements, name),
                                              .text = alone ? x : NULL, .had = alone && one});
        if (alone && one)
                prepared_remove(&t->prepared, one);
        text_unref(statements_put(&c->statements, name, NULL));
        pend_name(c, t, name);
        return piece->size;
}

/* A name that means nothing goes on as it is, so that the server can say so; unless it is one of the
 * broker's. */
static size_t send_unknown(struct track_client *c, struct track_server *t, const char *name,
                           const struct frame_piece *piece, struct bytes *before)
{
        static const enum turn_kind kinds[] = {['B'] = TURN_BIND, ['D'] = TURN_DESCRIBE, ['C'] = TURN_CLOSE};
        const char *first = (const char *) frame_payload(piece);
        turns_sent(&t->turns, kinds[piece->type], TURN_CLIENT);
        c->pins.doubt = c->pins.doubt || piece->type == 'C';   /* it may be one that was PREPAREd */
        if (piece->type == 'B' && !*first)
                statements_bound(&c->statements, false, NULL);
        if (!text_name(name))
                return 0;
        return put_head(piece, first, NOBODY, name, (size_t) (name + strlen(name) + 1 - (const char *) piece->data),
                        before);
}

size_t named_send(struct track_client *c, struct track_server *t, struct text_marks marks,
                  const struct frame_piece *piece, struct bytes *before)
{
        const char *name = request_statement(piece);
        if (piece->type == 'P')
                return send_parse(c, t, marks, name, piece, before);
        uint64_t since;
        bool holds;
        /* What is closed is what was meant till now: errors about that may still come. */
        struct text *x = piece->type == 'C' ? statements_meaning(&c->statements, name) : fit_meant(c, t, name, &since, &holds);
        if (!x)
                return send_unknown(c, t, name, piece, before);
        if (piece->type == 'C')
                return send_forget(c, t, x, name, piece, before);
        if (piece->type == 'D')
                fit_forget_refusal(c);
        holds = holds || piece->type == 'D';
        if (holds)
                bring(t, x, since, before);
        return piece->type == 'D' ? send_describe(t, x, name, piece, before)
                                  : send_bind(c, t, x, name, holds, piece, before);
}

/* The server must have something of the client's name that it can drop: an empty statement, since that
 * is parsed even in a transaction that has failed. */
void named_deallocate(struct track_client *c, struct track_server *t, struct bytes *before)
{
        struct deallocated *d = c->statements.deallocated;
        if (c->statements.dropping)
                c->statements.dropped = t->prepared.batch;
        t->soiled = t->soiled || c->statements.soiling;
        c->statements.dropping = c->statements.soiling = false;
        while (d && d->ready < bytes_length(&d->names)) {
                const char *name = (const char *) bytes_data(&d->names) + d->ready;
                d->ready += strlen(name) + 1;
                bring_close(t, name, before);
                bring_empty(t, name, before);
        }
}

/* ---- answers ---- */

static void settle_name(struct track_client *c, const char *name)
{
        struct statement *s = c && name ? statements_find(&c->statements, name) : NULL;
        if (!s)
                return;
        s->pending -= s->pending > 0;
        statements_tidy(&c->statements, name);
}

/* Only what no other server can have pins: a Close that was skipped has not ended it. */
static void follow_alone(struct track_client *c)
{
        if (c && c->statements.alone)
                pins_add(&c->pins, PIN_STATEMENT);
        else if (c)
                pins_drop(&c->pins, PIN_STATEMENT);
}

static void settle_one(struct track_server *t, const struct prepared_change *ch)
{
        struct prepared_one *one = ch->text && ch->parse ? prepared_find(&t->prepared, ch->text) : NULL;
        if (one)
                one->pending -= one->pending > 0;
}

bool named_done(struct track_client *c, struct track_server *t)
{
        struct prepared_change ch = prepared_answered(&t->prepared);
        bool possible = !ch.doomed;
        settle_one(t, &ch);
        settle_name(c, ch.name);
        follow_alone(c);
        prepared_change_free(&ch);
        return possible;
}

/* The server does not have it; what was sent later goes by that. */
static void not_there(struct track_server *t, const struct text *x, struct prepared_one *one)
{
        struct prepared *p = &t->prepared;
        for (uint32_t i = 0; one->pending && i < p->change_count; i++)
                prepared_change(p, i)->had = prepared_change(p, i)->had && prepared_change(p, i)->text != x;
        if (!one->pending)
                prepared_remove(p, one);
}

/* What was sent last is taken back first: the `i`th of `n`. `failed`: the server looked at it, else it was skipped. */
static void take_back(struct track_client *c, struct track_server *t, uint32_t i, uint32_t n, bool failed)
{
        struct prepared_change *again, *ch = prepared_change(&t->prepared, i);
        struct prepared_one *one = ch->text ? prepared_find(&t->prepared, ch->text) : NULL;
        settle_one(t, ch);
        if (ch->parse && one && (!ch->had || failed))
                not_there(t, ch->text, one);
        else if (!ch->parse && ch->text && ch->had && !one)
                prepared_add(&t->prepared, ch->text);
        else if (!ch->parse && ch->text && ch->had && (again = prepared_next(&t->prepared, n, ch->text, true)))
                again->had = true;
        if (c && ch->described && !ch->whose)
                c->check = CHECK_ANSWERED;
        if (ch->had)
                prepared_unproved(&t->prepared, n, ch);
        if (c && ch->name) {
                text_unref(statements_put(&c->statements, ch->name, TAKE(ch->before)));
                statements_find(&c->statements, ch->name)->told = TAKE(ch->told);
                settle_name(c, ch->name);
        }
        prepared_change_free(ch);
}

void named_undone(struct track_client *c, struct track_server *t, uint32_t n, bool failed)
{
        struct prepared *p = &t->prepared;
        expect(n <= p->change_count);
        for (uint32_t i = n; i > 0; i--)
                take_back(c, t, i - 1, n, failed && i == 1);
        p->change_first += n;
        p->change_count -= n;
        follow_alone(c);
}

static bool called(const struct text *x, const char *own, size_t size)
{
        return x && strlen(x->name) == size && memcmp(x->name, own, size) == 0;
}

/* The client's name of the statement that the broker calls so: now, or before what was sent since. */
static const char *name_of(const struct statements *s, const struct prepared *p, const char *own, size_t size)
{
        size_t at = 0;
        const char *name;
        void *value;
        while (s->by_name && map_next(s->by_name, &at, &name, &value)) {
                if (called(((const struct statement *) value)->text, own, size))
                        return name;
        }
        for (uint32_t i = 0; i < p->change_count; i++) {
                if (called(prepared_change(p, i)->before, own, size))
                        return prepared_change(p, i)->name;
        }
        return NULL;
}

bool named_error(const struct track_client *c, const struct track_server *t, bool change,
                 const struct frame_piece *piece, struct bytes *extra)
{
        static const char quoted[] = "\"" TEXTS_PREFIX;
        if (!frame_whole(piece))
                return false;
        const char *end = (const char *) piece->data + piece->size;
        const char *at = memmem(piece->data, piece->size, quoted, sizeof quoted - 1);
        const char *close = at ? memchr(at + 1, '"', (size_t) (end - at - 1)) : NULL;
        const char *name = close ? name_of(&c->statements, &t->prepared, at + 1, (size_t) (close - at - 1)) : NULL;
        if (change && prepared_change(&t->prepared, 0)->doomed)
                name = prepared_change(&t->prepared, 0)->name;     /* of several for this text, the one that is taken */
        if (!close || !name)
                return false;
        OWN(free) char *from = own_text(at, (size_t) (close - at + 1));
        OWN(free) char *to = own_format("\"%s\"", name);
        return compose_error_renamed(extra, piece->data, piece->size, from, to);
}

/* The first change behind it of each statement and name can't bring back what was before. */
static void forget_before(struct track_client *c, struct track_server *t, bool seen)
{
        struct prepared *p = &t->prepared;
        for (uint32_t i = 0; i < p->change_count; i++) {
                struct prepared_change *ch = prepared_change(p, i);
                struct prepared_one *one = ch->text ? prepared_find(p, ch->text) : NULL;
                struct statement *s = ch->name ? statements_find(&c->statements, ch->name) : NULL;
                ch->had = ch->had && one && (one->seen || !seen);
                if (s && !s->seen && seen && !ch->doomed)
                        text_unref(TAKE(ch->before));
                if (one)
                        one->seen = seen;
                if (s)
                        s->seen = seen;
        }
}

/* All are gone, here and there. */
static void clear(struct track_client *c, struct track_server *t)
{
        prepared_clear(&t->prepared);
        statements_clear(&c->statements);
        forget_before(c, t, true);
        forget_before(c, t, false);
        follow_alone(c);
}

void named_complete(struct track_client *c, struct track_server *t, const char *tag)
{
        struct deallocated *d = c->statements.deallocated;
        if (strcmp(tag, "DEALLOCATE ALL") == 0 || strcmp(tag, "DISCARD ALL") == 0) {
                clear(c, t);
        } else if (strcmp(tag, "DEALLOCATE") == 0 && d) {
                OWN(free) char *name = own_string((const char *) bytes_data(&d->names));
                struct statement *s = statements_find(&c->statements, name);
                bytes_consume(&d->names, strlen(name) + 1);
                d->ready -= strlen(name) + 1;
                if (!bytes_length(&d->names))
                        statements_deallocated(&c->statements);
                OWN(text_unref) struct text *x = s && !s->pending ? statements_put(&c->statements, name, NULL) : NULL;
                t->soiled = t->soiled || (x && !x->key);        /* nobody's any more, but still there */
                statements_tidy(&c->statements, name);
                follow_alone(c);
        }
}

void named_settle(struct track_client *c, struct track_server *t)
{
        const struct deallocated *d = c->statements.deallocated;
        for (size_t at = 0; d && at < bytes_length(&d->names);) {
                const char *name = (const char *) bytes_data(&d->names) + at;
                struct statement *s = statements_find(&c->statements, name);
                at += strlen(name) + 1;
                if (s)
                        s->freed = false;
                t->soiled = true;       /* an empty statement may be left under that name */
        }
        statements_deallocated(&c->statements);
        c->statements.barrier = false;
}
