/* What the console shows: each SHOW is a table of columns and a function that gives its rows, as
 * they are at the moment. The page CONSOLE.md comes from the same tables. */
#ifndef PGB_OPS_SNAPSHOT_H
#define PGB_OPS_SNAPSHOT_H

#include "base/bytes.h"
#include "frontend/sessions.h"
#include "ops/config.h"
#include "ops/elders.h"

#define SNAPSHOT_COLUMNS 32 /* the most that a SHOW has */

struct snapshot_column {
        const char *name;
        char type;               /* a letter of wire/compose.h */
        const char *description; /* one sentence */
};

/* Where rows come from. */
struct snapshot_world {
        const struct sessions *sessions;
        const struct config *config;
        const struct elders *elders;
        int64_t now; /* seconds since 1970 */
};

/* The row being built, and who gets it. */
struct snapshot_rows {
        const struct snapshot *of;
        void (*row)(void *arg, const char *const *values);
        void *arg;
        struct bytes text;           /* the values, each with its NUL */
        size_t at[SNAPSHOT_COLUMNS]; /* where each begins */
        size_t count;
};

struct snapshot {
        const char *name;        /* "POOLS" */
        const char *description; /* one sentence */
        const struct snapshot_column *columns;
        size_t column_count;
        void (*rows)(const struct snapshot_world *w, struct snapshot_rows *r);
        const struct snapshot *former; /* the same with columns that older PgBouncers had behind
                                          these, for those who ask for them; NULL: it has none */
};
#define SNAPSHOT_OF(columns_)                                                                      \
        .columns = (columns_), .column_count = sizeof(columns_) / sizeof *(columns_)

/* All of them but HELP, in the order of the page. */
const struct snapshot *const *snapshot_table(size_t *count);
/* By name, in any case; NULL if there is none. */
const struct snapshot *snapshot_find(const char *name);

/* One call for each row; a value that is NULL is SQL's NULL. The texts live during the call. */
void snapshot_gather(const struct snapshot *s, const struct snapshot_world *w,
                     void (*row)(void *arg, const char *const *values), void *arg);

/* For functions that give rows: one of these for each column in turn, then snapshot_end(). */
void snapshot_text(struct snapshot_rows *r, const char *text); /* NULL is fine */
void snapshot_number(struct snapshot_rows *r, int64_t n);      /* what an int4 can't hold is cut */
void snapshot_count(struct snapshot_rows *r, uint64_t n);
/* Seconds since 1970, as a timestamptz, or in PgBouncer's way in a text column; 0 is NULL. */
void snapshot_moment(struct snapshot_rows *r, int64_t seconds);
void snapshot_end(struct snapshot_rows *r);

/* Replaces what is not UTF-8, for clients name themselves as they like and answers are UTF-8. */
void snapshot_clean(char *text);

#endif
