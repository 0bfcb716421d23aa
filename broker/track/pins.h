/* What ties a client to the server it has: session state that can't be carried over. Found in the
 * statements it sends, held until it is known to be gone: undone by a rollback, ended by a statement
 * that ends it for certain, or denied by the server itself (the audit). */
#ifndef PGB_TRACK_PINS_H
#define PGB_TRACK_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/sqlword.h"

/* name, label in SHOW PINS, undone by rollback, bit in the audit's answer (0 = not audited). SET and
 * SET_CONFIG are those of which the parameter can't be told; of the others the server is asked. */
#define PINS_KINDS(X)                                                                              \
        X(SET, "SET", true, 0)                                                                     \
        X(SET_CONFIG, "set_config()", true, 0)                                                     \
        X(AUTHORIZATION, "SET SESSION AUTHORIZATION", true, 32)                                    \
        X(TEMP, "temporary object", true, 16)                                                      \
        X(LISTEN, "LISTEN", true, 2)                                                               \
        X(ADVISORY, "advisory lock", false, 1)                                                     \
        X(CURSOR, "cursor WITH HOLD", true, 8)                                                     \
        X(PREPARE, "PREPARE", false, 4)                                                            \
        X(STATEMENT, "long prepared statement", false, 0)                                          \
        X(UNNAMED, "long unnamed statement", false, 0)                                             \
        X(SEQUENCE, "sequence value", false, 0)                                                    \
        X(SEED, "random seed", false, 0)                                                           \
        X(LOAD, "LOAD", false, 0)                                                                  \
        X(BACKUP, "backup or temporary slot", false, 0)                                            \
        X(REPLICATION, "replication", false, 0)                                                    \
        X(START, "startup parameter", false, 0)

enum pin_kind {
#define X(name, label, undone, bit) PIN_##name,
        PINS_KINDS(X)
#undef X
        PIN_KINDS
};

#define PIN_BIT(kind) (1u << (kind))

/* An SQL expression that tells which audited state is alive: a sum of the bits. */
extern const char pins_audit_sql[];

/* How all that was sent since the server was last quiet ended. */
enum pins_outcome {
        PINS_DONE,                      /* no error, nothing rolled back */
        PINS_UNDONE,                    /* all of it was rolled back, for certain */
        PINS_MIXED                      /* can't be told */
};

struct pins {
        uint32_t kinds;                 /* what holds now */
        uint32_t fresh;                 /* of these, what came since the server was last quiet */
        uint32_t ended;                 /* SQL effects seen since then that end something */
        uint32_t reset_kinds;           /* kinds that were ended for certain since then */
        uint32_t since_audit;           /* kinds that came after the audit was sent */
        bool doubt;                     /* something may have ended: ask the server */
        char *query;                    /* the statement that pinned, in short, for SHOW PINS; NULL: not seen */
        uint32_t query_kinds;           /* what it pinned by */
};

void pins_init(struct pins *p);
void pins_free(struct pins *p);

/* The kind that an effect stands for, -1 for none. `name`: of a SET, NULL if it can't be told. */
int pins_kind_of(enum sql_effect effect, const char *name);
/* An effect is about to be sent. */
void pins_see(struct pins *p, enum sql_effect effect, const char *name);
void pins_add(struct pins *p, enum pin_kind kind);
/* It has been there since before what is being done now: no rollback of that undoes it. */
void pins_found(struct pins *p, enum pin_kind kind);
/* Of each of these kinds. */
void pins_add_all(struct pins *p, uint32_t which);
void pins_drop(struct pins *p, enum pin_kind kind);
static inline bool pins_hold(const struct pins *p)
{
        return p->kinds != 0;
}
/* The server is quiet. */
void pins_settle(struct pins *p, enum pins_outcome outcome);
/* Should the audit be sent now? */
bool pins_want_audit(const struct pins *p);
void pins_audit_sent(struct pins *p);
void pins_audited(struct pins *p, uint32_t bits);
/* "LISTEN"; "" if nothing holds. */
const char *pins_reason(const struct pins *p);
/* All of them: "temporary object, LISTEN"; returns text. */
const char *pins_reasons(const struct pins *p, char *text, size_t size);
/* These kinds come with this text. Of the first of its statements that brings any, what sqlbrief() shows
 * is kept as long as any of these holds; the first stays. '\\' must not be an escape in it. */
void pins_note(struct pins *p, uint32_t which, const char *sql, size_t size);
/* State that no reset undoes: the server must be closed when the client goes. */
bool pins_indelible(const struct pins *p);

#endif
