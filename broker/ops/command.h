/* What can be said to the console, as a table: the commands, every SHOW of snapshot.h, and what
 * drivers say of their own accord. Reading is pure: nothing is done here. */
#ifndef PGB_OPS_COMMAND_H
#define PGB_OPS_COMMAND_H

#include <stdio.h>
#include "base/error.h"
#include "ops/command_words.h"
#include "ops/snapshot.h"

/* Who may say it: only whoever has the right that the table names. */
enum command_right { COMMAND_NOBODY, COMMAND_LOOK, COMMAND_CHANGE };

enum command_kind {
        COMMAND_NOTED,      /* nothing is to be done; without a tag: there was no statement */
        COMMAND_SHOW,       /* the rows of `show` */
        COMMAND_VALUE,      /* one row, `column`: `value` */
        COMMAND_PARAMETER,  /* the same; what the session was told counts more than `value` */
        COMMAND_BEGIN,      /* nothing either, but the transaction status changes */
        COMMAND_COMMIT,     /* or ROLLBACK */
        COMMAND_DEALLOCATE, /* of the prepared statement `argument`; "" = all */
        COMMAND_RELOAD,
        COMMAND_SET,   /* the setting `argument` to `value` */
        COMMAND_PAUSE, /* these eight: of the environment `argument`; "" = all */
        COMMAND_RESUME,
        COMMAND_REFRESH,
        COMMAND_DISABLE,
        COMMAND_ENABLE,
        COMMAND_RECONNECT,
        COMMAND_WAIT_CLOSE,
        COMMAND_KILL,
        COMMAND_KILL_CLIENT, /* of the number `argument` */
        COMMAND_SHUTDOWN,
        COMMAND_SHUTDOWN_SERVERS, /* WAIT_FOR_SERVERS */
        COMMAND_SHUTDOWN_CLIENTS  /* WAIT_FOR_CLIENTS */
};

#define COMMAND_ARGUMENT 128
#define COMMAND_FORMER   "pgbroker.former_columns" /* asks for snapshot's `former` ones */
#define COMMAND_VALUE_SIZE 512

struct command {
        enum command_kind kind;
        enum command_right right;
        const char *tag; /* of its CommandComplete */
        const struct snapshot *show;
        struct snapshot_column column;
        char value[COMMAND_VALUE_SIZE];
        char argument[COMMAND_ARGUMENT];
};

enum command_verdict {
        COMMAND_READ, /* *out is set */
        COMMAND_END,  /* there is no more in the text */
        COMMAND_BAD   /* see the error */
};

/* Is it one that console_order.h carries out? */
static inline bool command_is_order(const struct command *c)
{
        return c->kind >= COMMAND_RELOAD && c->kind <= COMMAND_KILL_CLIENT;
}

/* The next one in the text that the reader walks. */
enum command_verdict command_next(struct command_reader *r, struct command *out, struct error *e);

/* Its columns; 0 if it gives no rows. */
size_t command_columns(const struct command *c, const struct snapshot_column **columns);

/* The page that describes all that the console understands and shows, as Markdown. */
void command_describe(FILE *to);

#endif
