/* Prepared statements and portals of a console connection, and the rows of both protocols. What the
 * extended protocol's messages say is checked here; `e` is what the client is told. */
#ifndef PGB_OPS_CONSOLE_PORTAL_H
#define PGB_OPS_CONSOLE_PORTAL_H

#include "base/map.h"
#include "ops/command.h"
#include "ops/console.h"
#include "wire/request.h"

#define PORTAL_STATEMENTS 256 /* prepared at once */
#define PORTAL_PORTALS    16  /* open at once */

struct portal {
        struct command command;
        bool binary[SNAPSHOT_COLUMNS]; /* the format that each column is wanted in */
        bool started;
        struct bytes rows; /* those not sent yet */
};

struct portals {
        bool former;            /* see struct command_reader */
        struct map *statements; /* name -> struct command */
        struct map *portals;    /* name -> struct portal */
};

/* Where values come from. */
struct portal_world {
        const struct console_world *console;
        const struct settings *told; /* the session's parameters */
};

void portals_init(struct portals *ps);
void portals_free(struct portals *ps);
void portals_close_all(struct portals *ps);                    /* the portals */
void portals_deallocate(struct portals *ps, const char *name); /* "" = all */
void portals_forget_unnamed(struct portals *ps);               /* a simple Query does */

/* The four messages, whole. */
bool portals_parse(struct portals *ps, const uint8_t *p, size_t n, struct error *e);
bool portals_bind(struct portals *ps, const uint8_t *p, size_t n, struct error *e);
bool portals_describe(const struct portals *ps, const uint8_t *p, size_t n, struct bytes *out,
                      struct error *e);
bool portals_close(struct portals *ps, const uint8_t *p, size_t n, struct error *e);

/* Execute: the portal, and how many rows are wanted (0 = all). */
struct portal *portals_execute(const struct portals *ps, const uint8_t *p, size_t n,
                               uint32_t *max_rows, struct error *e);
/* The next rows; true when that was all (then CommandComplete is due), else PortalSuspended. */
bool portal_rows(struct portal *portal, const struct portal_world *w, uint32_t max_rows,
                 struct bytes *out);
/* RowDescription and all rows, as text. */
void portal_answer(const struct command *c, const struct portal_world *w, struct bytes *out);

#endif
