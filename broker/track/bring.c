#include "track/bring.h"

#include <string.h>
#include "base/own.h"
#include "track/again.h"
#include "track/reading.h"
#include "wire/compose.h"

bool bring_from_before(uint32_t pending, uint32_t batch, const struct track_server *t)
{
        return pending > 0 && batch != t->prepared.batch;
}

static void pend(struct track_server *t, struct prepared_one *one)
{
        one->pending++;
        one->batch = t->prepared.batch;
}

void bring_change(struct track_server *t, enum turn_kind kind, enum turn_owner owner, struct prepared_change ch)
{
        ch.text = text_ref(ch.text);
        ch.described = text_ref(ch.described);
        prepared_sent(&t->prepared, &ch);
        turns_sent(&t->turns, kind, owner);
}

void bring_sync_sent(struct track_client *c, struct track_server *t, enum turn_owner owner)
{
        t->prepared.batch++;
        statements_synced(&c->statements);
        turns_sent(&t->turns, TURN_SYNC, owner);
}

void bring_sync(struct track_client *c, struct track_server *t, enum turn_owner owner, struct bytes *out)
{
        compose_sync(out);
        bring_sync_sent(c, t, owner);
}

void bring_close(struct track_server *t, const char *name, struct bytes *out)
{
        compose_close(out, 'S', name);
        turns_sent(&t->turns, TURN_CLOSE, TURN_STATEMENT);
}

void bring_empty(struct track_server *t, const char *name, struct bytes *out)
{
        compose_named_parse(out, name, (const uint8_t *) "\0\0", 3);
        turns_sent(&t->turns, TURN_PARSE, TURN_STATEMENT);
}

/* Closes one that has not been used for long. */
static void make_room(struct track_server *t, struct bytes *out)
{
        struct prepared_one *old = prepared_oldest(&t->prepared);
        if (!old)
                return;
        compose_close(out, 'S', old->text->name);
        bring_change(t, TURN_FORGET, TURN_STATEMENT,
                     (struct prepared_change){.text = old->text, .proved = old->proved, .had = true});
        prepared_remove(&t->prepared, old);
}

bool bring_clear(struct track_server *t, struct text *x, struct bytes *out)
{
        bool there = prepared_find(&t->prepared, x) != NULL;
        if (!there)
                make_room(t, out);
        /* What was to close it may be skipped. */
        if (!there && !prepared_next(&t->prepared, 0, x, false))
                return false;
        bring_close(t, x->name, out);
        return there;
}

uint64_t bring_noted(struct track_server *t, struct text *x)
{
        struct prepared_one *one = prepared_find(&t->prepared, x);
        if (!one)
                one = prepared_add(&t->prepared, x);
        prepared_use(&t->prepared, one);
        uint64_t proved = one->proved;
        one->proved = text_now(x);
        one->shape = (struct shape){0};
        pend(t, one);
        return proved;
}

/* (Who finds that his name means another text now, and that another of his names has brought that in a batch
 * that may fail, was not made to wait for it: it is parsed anew.) */
void bring(struct track_server *t, struct text *x, uint64_t since, struct bytes *out)
{
        struct prepared_one *one = again_usable(t, x, since);
        if (one && !bring_from_before(one->pending, one->batch, t)) {
                prepared_use(&t->prepared, one);
                again_use(t, one, since);
                return;
        }
        bool had = bring_clear(t, x, out);
        compose_named_parse(out, x->name, x->body, x->size);
        uint64_t proved = bring_noted(t, x);
        bring_change(t, TURN_NAMED, TURN_STATEMENT,
                     (struct prepared_change){.text = x, .proved = proved, .parse = true, .had = had});
}

struct text *bring_instead(struct statements *s, const char *name, struct text *now)
{
        struct statement *one = statements_find(s, name);
        struct told_shape *told = TAKE(one->told);
        text_unref(statements_put(s, name, now));
        one->told = told;
        return now;
}

struct text *bring_meant(struct track_client *c, const struct track_server *t, const char *name, uint64_t *since)
{
        struct statements *s = &c->statements;
        struct statement *one = statements_find(s, name);
        struct text *x = statements_meant(s, one);
        *since = x ? one->since : 0;
        if (!x || !x->key || again_usable(t, x, *since))
                return x;
        OWN(free) char *way = reading_of(c);
        if (text_read_so(x, way) || one->pending)
                return x;
        return bring_instead(s, name, texts_share(s->texts, way, x->body, x->size, x->marks));
}
