/* The replies a server owes, in order: one turn for each request that will be answered. Who asked
 * (the client, or the broker for itself), what kind of request, and so which reply ends it.
 *
 * Source: PostgreSQL manual, "Message Flow". The corners that matter:
 *  - a ReadyForQuery owed by a Sync is not one owed by a Query: after an error in the extended
 *    protocol the server skips everything up to the next Sync, a pipelined Query included;
 *  - during COPY FROM STDIN the server ignores Sync and Flush, and any other request but CopyData,
 *    CopyDone and CopyFail ends the COPY with an error and is itself lost;
 *  - CopyDone and CopyFail outside a COPY are ignored;
 *  - a Sync sent ahead of a COPY FROM STDIN is ignored, too, if the server reads it during the COPY;
 *    if the COPY fails before that, it is answered. That can't be told from outside: such a stray
 *    ReadyForQuery may come until the server has answered something that was sent later. Of other
 *    requests sent ahead it is the same, but nobody sends them; nobody else gets that server. */
#ifndef PGB_TRACK_TURNS_H
#define PGB_TRACK_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURNS_KINDS(X)                                                                             \
        X(QUERY) X(FUNCTION) X(SYNC)                                                               \
        X(PARSE) X(UNNAMED) X(NAMED) X(BIND) X(DESCRIBE) X(SHAPE) X(EXECUTE) X(CLOSE) X(FORGET) X(COPY_END)

/* UNNAMED: the Parse of the client's unnamed statement. NAMED, SHAPE and FORGET: the Parse, a Describe and the
 * Close of a named one; each has a change in `struct prepared`. */
enum turn_kind {
#define X(name) TURN_##name,
        TURNS_KINDS(X)
#undef X
        TURN_KIND_COUNT
};

/* Whose request it was; all but CLIENT are the broker's own. */
enum turn_owner {
        TURN_CLIENT,
        TURN_RESTORE,                   /* settings brought in line, or a full reset, before a request */
        TURN_REPARSE,                   /* the client's unnamed statement, parsed here again */
        TURN_BACK,                      /* what leads a RESET of the client's back to its start */
        TURN_STATEMENT,                 /* a named one, brought here or made room for */
        TURN_AUDIT,                     /* which session state is still alive? */
        TURN_CLEAN                      /* nobody's any more: rolled back and reset before it is lent */
};

#define TURNS_MAX     65536             /* more than this waits at the client's side ... */
#define TURNS_CHANGES 2048              /* ... or of changes: more than a server's buffer holds answers, so
                                           that some come even if the client never asks for them */

struct turns {
        uint8_t *ring;
        uint32_t head, count, size;     /* size is a power of two, or 0 */
        uint32_t changes, clients;      /* of these: changes of named statements; the client's ... */
        uint32_t of[TURN_KIND_COUNT];   /* ... of each kind: long pipelines are not walked for every message */
        bool skipping;                  /* an error came and the Sync that ends it isn't sent yet */
        enum turns_copy { COPY_NONE, COPY_IN, COPY_OUT } copy;
        bool answered;                  /* the Query or FunctionCall at the head has had a reply */
        uint32_t ahead;                 /* Syncs sent ahead of this COPY FROM STDIN, or during it */
        uint32_t stray;                 /* that many ReadyForQuery may come for them: it failed */
        bool lost;                      /* a request was, or was not, and then it is answered */
};

void turns_init(struct turns *t);
void turns_free(struct turns *t);

/* A request was sent. Not every request leaves a turn. */
void turns_sent(struct turns *t, enum turn_kind kind, enum turn_owner owner);
static inline bool turns_full(const struct turns *t)
{
        return t->count >= TURNS_MAX || t->changes >= TURNS_CHANGES;
}
/* Will the server do what is sent now? It skips to a Sync, or it is in a COPY and would give it up. */
static inline bool turns_heeded(const struct turns *t)
{
        return !t->skipping && t->copy != COPY_IN;
}
static inline bool turns_empty(const struct turns *t)
{
        return t->count == 0 && !t->skipping && t->copy == COPY_NONE && !t->lost;
}
/* The one being answered; only if count > 0. */
static inline enum turn_kind turns_kind(const struct turns *t)
{
        return (enum turn_kind) (t->ring[t->head] & 15);
}
static inline enum turn_owner turns_owner(const struct turns *t)
{
        return (enum turn_owner) (t->ring[t->head] >> 4);
}

bool turns_own_only(const struct turns *t);     /* all that is owed, if anything, is owed to the broker itself */
/* Something is owed to the client; *now: it is what the server is at, and not something of the
 * broker's own before it. */
bool turns_owe_client(const struct turns *t, bool *now);
static inline bool turns_have(const struct turns *t, enum turn_kind kind)
{
        return t->of[kind] > 0;
}
uint32_t turns_readies(const struct turns *t);          /* how many ReadyForQuery are owed */
/* The client's requests, if they are one batch that ends with its Sync; else 0. */
uint32_t turns_of_batch(const struct turns *t);
/* Is a change of a named statement being answered? */
static inline bool turns_at_change(const struct turns *t)
{
        return t->count > 0 &&
               (turns_kind(t) == TURN_NAMED || turns_kind(t) == TURN_SHAPE || turns_kind(t) == TURN_FORGET);
}
/* Will a ReadyForQuery come, whatever the client sends or does not send? */
static inline bool turns_will_end(const struct turns *t)
{
        return t->copy != COPY_IN && turns_readies(t) > 0;
}
/* Would any request change the unnamed statement: of those up to the next Sync, or of all? */
bool turns_change_unnamed(const struct turns *t, bool all);
/* Would a ReadyForQuery now be a stray one? */
bool turns_stray(const struct turns *t);
/* A reply of this type came. False: it can't be the answer to what was asked, the connection can't
 * be trusted any more. NoticeResponse, ParameterStatus and NotificationResponse don't come here. */
bool turns_replied(struct turns *t, uint8_t type);

#endif
