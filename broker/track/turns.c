#include "track/turns.h"

#include <string.h>
#include "base/expect.h"
#include "base/own.h"

void turns_init(struct turns *t)
{
        *t = (struct turns){0};
}

void turns_free(struct turns *t)
{
        free(t->ring);
        turns_init(t);
}

static void grow(struct turns *t)
{
        uint32_t size = t->size ? t->size * 2 : 16;
        uint8_t *ring = own_alloc(size);
        for (uint32_t i = 0; i < t->count; i++)
                ring[i] = t->ring[(t->head + i) & (t->size - 1)];
        free(t->ring);
        t->ring = ring;
        t->head = 0;
        t->size = size;
}

static bool is_change(enum turn_kind kind)
{
        return kind == TURN_NAMED || kind == TURN_SHAPE || kind == TURN_FORGET;
}

/* `by` is 1 or -1: it comes or goes. */
static void reckon(struct turns *t, enum turn_kind kind, enum turn_owner owner, uint32_t by)
{
        t->count += by;
        t->of[kind] += by;
        t->changes += is_change(kind) ? by : 0;
        t->clients += owner == TURN_CLIENT ? by : 0;
}

static void push(struct turns *t, enum turn_kind kind, enum turn_owner owner)
{
        if (t->count == t->size)
                grow(t);
        t->ring[(t->head + t->count) & (t->size - 1)] = (uint8_t) (kind | owner << 4);
        reckon(t, kind, owner, 1);
}

static void drop_head(struct turns *t)
{
        expect(t->count > 0);
        reckon(t, turns_kind(t), turns_owner(t), -1u);
        t->head = (t->head + 1) & (t->size - 1);
}

/* Drops the head, and the ends of COPYs behind it that never began: nobody answers those. */
static void pop(struct turns *t)
{
        do {
                drop_head(t);
        } while (t->count > 0 && turns_kind(t) == TURN_COPY_END);
        t->answered = false;
}

static enum turn_kind kind_at(const struct turns *t, uint32_t i)
{
        return (enum turn_kind) (t->ring[(t->head + i) & (t->size - 1)] & 15);
}

static enum turn_owner owner_at(const struct turns *t, uint32_t i)
{
        return (enum turn_owner) (t->ring[(t->head + i) & (t->size - 1)] >> 4);
}

void turns_sent(struct turns *t, enum turn_kind kind, enum turn_owner owner)
{
        if (t->skipping) {
                t->lost = t->lost || (t->stray && kind != TURN_SYNC && kind != TURN_COPY_END);
                if (kind != TURN_SYNC)
                        return;
                t->skipping = false;
        } else if (t->copy == COPY_IN) {
                /* The end of the COPY, or what breaks it off: neither is answered. */
                t->lost = t->lost || (kind != TURN_SYNC && kind != TURN_COPY_END);
                t->ahead += kind == TURN_SYNC;
                if (kind != TURN_SYNC)
                        t->copy = COPY_NONE;
                return;
        }
        if (kind == TURN_COPY_END && t->count == 0)
                return;
        push(t, kind, owner);
}

uint32_t turns_readies(const struct turns *t)
{
        return t->of[TURN_SYNC] + t->of[TURN_QUERY] + t->of[TURN_FUNCTION];
}

uint32_t turns_of_batch(const struct turns *t)
{
        bool one = t->count > 0 && owner_at(t, 0) == TURN_CLIENT && owner_at(t, t->count - 1) == TURN_CLIENT &&
                   kind_at(t, t->count - 1) == TURN_SYNC && t->of[TURN_SYNC] == 1;
        return one ? t->clients : 0;
}

bool turns_change_unnamed(const struct turns *t, bool all)
{
        for (uint32_t i = 0; i < t->count && (all || kind_at(t, i) != TURN_SYNC); i++) {
                enum turn_kind kind = kind_at(t, i);
                if (kind == TURN_UNNAMED || kind == TURN_QUERY || kind == TURN_CLOSE ||
                    owner_at(t, i) == TURN_REPARSE)
                        return true;
        }
        return false;
}

bool turns_own_only(const struct turns *t)
{
        return t->clients == 0 && !t->skipping && t->copy == COPY_NONE && !t->lost;
}

/* A statement that is parsed anew for the client is the client's. */
static bool for_client(const struct turns *t, uint32_t i)
{
        enum turn_owner owner = owner_at(t, i);
        return owner == TURN_CLIENT || owner == TURN_REPARSE || owner == TURN_BACK || owner == TURN_STATEMENT;
}

bool turns_owe_client(const struct turns *t, bool *now)
{
        uint32_t i = 0;
        while (i < t->count && !for_client(t, i))
                i++;
        *now = t->count > 0 && i == 0;
        return i < t->count;
}

/* An error in the extended protocol: all that was sent up to the next Sync is skipped. */
static void skip_to_sync(struct turns *t)
{
        for (bool first = true; t->count > 0 && turns_kind(t) != TURN_SYNC; first = false) {
                t->lost = t->lost || (t->stray && !first && turns_kind(t) != TURN_COPY_END);
                drop_head(t);
        }
        t->skipping = t->count == 0;
}

/* COPY FROM STDIN begins: what was sent ahead meets the server in that state. */
static void copy_in_begins(struct turns *t)
{
        uint8_t copying = t->ring[t->head];
        t->copy = COPY_IN;
        t->ahead = 0;
        while (t->count > 1 && t->copy == COPY_IN) {
                enum turn_kind kind = kind_at(t, 1);
                t->lost = t->lost || (kind != TURN_SYNC && kind != TURN_COPY_END);
                t->ahead += kind == TURN_SYNC;
                if (kind != TURN_SYNC)
                        t->copy = COPY_NONE;
                reckon(t, kind, owner_at(t, 1), -1u);
                t->head = (t->head + 1) & (t->size - 1);
        }
        t->ring[t->head] = copying;
}

static bool error(struct turns *t)
{
        t->stray = t->ahead;
        t->ahead = 0;
        if (t->count == 0)
                return t->skipping;
        t->copy = COPY_NONE;
        switch (turns_kind(t)) {
        case TURN_QUERY:
        case TURN_FUNCTION:
        case TURN_SYNC:
                t->answered = true;     /* its ReadyForQuery follows */
                return true;
        default:
                skip_to_sync(t);
                return true;
        }
}

static bool completes(struct turns *t)
{
        enum turn_kind kind = turns_kind(t);
        if (kind != TURN_QUERY && kind != TURN_EXECUTE)
                return false;
        t->copy = COPY_NONE;
        if (kind == TURN_EXECUTE)
                pop(t);
        return true;
}

/* May the head end with a ReadyForQuery now? A Query gets some other reply first. */
static bool may_end(const struct turns *t)
{
        enum turn_kind kind = turns_kind(t);
        return kind == TURN_SYNC || ((kind == TURN_QUERY || kind == TURN_FUNCTION) && t->answered);
}

bool turns_stray(const struct turns *t)
{
        return t->stray > 0 && (t->count == 0 || !may_end(t));
}

static bool ready(struct turns *t)
{
        if (turns_stray(t)) {
                t->stray--;
                t->skipping = false;
                return true;
        }
        if (t->count == 0 || !may_end(t) || t->copy != COPY_NONE)
                return false;
        pop(t);
        return true;
}

static bool ends(struct turns *t, enum turn_kind kind)
{
        if (turns_kind(t) != kind)
                return false;
        pop(t);
        return true;
}

static bool copy_begins(struct turns *t, enum turns_copy copy)
{
        if ((turns_kind(t) != TURN_QUERY && turns_kind(t) != TURN_EXECUTE) || t->copy != COPY_NONE)
                return false;
        if (copy == COPY_IN)
                copy_in_begins(t);
        else
                t->copy = COPY_OUT;
        return true;
}

static bool copy_out_ends(struct turns *t)
{
        bool was = t->copy == COPY_OUT;
        t->copy = COPY_NONE;
        return was;
}

static bool answers(struct turns *t, uint8_t type)
{
        switch (type) {
        case 'D':
                return t->copy == COPY_NONE &&
                       (turns_kind(t) == TURN_QUERY || turns_kind(t) == TURN_EXECUTE);
        case 'C':
        case 'I':
                return completes(t);
        case 'T':
                return turns_kind(t) == TURN_QUERY || ends(t, TURN_DESCRIBE) || ends(t, TURN_SHAPE);
        case '1':
                return ends(t, TURN_PARSE) || ends(t, TURN_UNNAMED) || ends(t, TURN_NAMED);
        case '2':
                return ends(t, TURN_BIND);
        case '3':
                return ends(t, TURN_CLOSE) || ends(t, TURN_FORGET);
        case 'n':
                return ends(t, TURN_DESCRIBE) || ends(t, TURN_SHAPE);
        case 's':
                return ends(t, TURN_EXECUTE);
        case 't':
                return turns_kind(t) == TURN_DESCRIBE || turns_kind(t) == TURN_SHAPE;
        case 'V':
                return turns_kind(t) == TURN_FUNCTION;
        case 'G':
                return copy_begins(t, COPY_IN);
        case 'H':
                return copy_begins(t, COPY_OUT);
        case 'd':
                return t->copy == COPY_OUT;
        case 'c':
                return copy_out_ends(t);
        default:
                return false;
        }
}

bool turns_replied(struct turns *t, uint8_t type)
{
        if (type == 'E')
                return error(t);
        if (type == 'Z')
                return ready(t);
        t->stray = t->ahead = 0;
        if (t->count == 0)
                return false;
        t->answered = true;
        return answers(t, type);
}
