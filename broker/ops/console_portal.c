#include "ops/console_portal.h"

#include <string.h>
#include <time.h>
#include "base/expect.h"
#include "wire/compose.h"

/* ---- rows ---- */

/* The columns as they are composed: in a row of binary columns, a text column among them has its
 * text either way, so one that is wanted as text is given out as one. */
struct outline {
        struct compose_column columns[SNAPSHOT_COLUMNS];
        size_t count;
        bool binary; /* any is */
        struct bytes *out;
};

static struct outline outline_of(const struct command *c, const bool *binary, struct bytes *out)
{
        const struct snapshot_column *columns;
        struct outline s = {.count = command_columns(c, &columns), .out = out};
        for (size_t i = 0; i < s.count; i++) {
                s.binary |= binary[i];
                s.columns[i] =
                        (struct compose_column){columns[i].name, binary[i] ? columns[i].type : 's'};
        }
        return s;
}

static void put_row(void *arg, const char *const *values)
{
        struct outline *s = arg;
        compose_row(s->out, s->columns, values, s->count, s->binary);
}

static void put_value(const struct command *c, const struct portal_world *w, struct outline *s)
{
        const char *value = c->value;
        if (c->kind == COMMAND_PARAMETER && settings_get(w->told, c->column.name))
                value = settings_get(w->told, c->column.name);
        put_row(s, &value);
}

static void put_rows(const struct command *c, const struct portal_world *w, const bool *binary,
                     struct bytes *out)
{
        const struct console_world *console = w->console;
        struct outline s = outline_of(c, binary, out);
        if (c->kind != COMMAND_SHOW) {
                put_value(c, w, &s);
                return;
        }
        struct snapshot_world from = {.sessions = console->sessions,
                                      .elders = console->elders,
                                      .now = time(NULL),
                                      .config = console->config(console->arg)};
        snapshot_gather(c->show, &from, put_row, &s);
}

/* The description names each column's true type, and the format that each was wanted in, where
 * compose_row_description() knows one for all: it ends each column's part. */
static bool put_description(const struct command *c, const bool *binary, struct bytes *out)
{
        const struct snapshot_column *columns;
        struct compose_column composed[SNAPSHOT_COLUMNS];
        size_t count = command_columns(c, &columns), start = bytes_length(out);
        for (size_t i = 0; i < count; i++)
                composed[i] = (struct compose_column){columns[i].name, columns[i].type};
        if (count == 0)
                return false;
        compose_row_description(out, composed, count, false);
        if (out->failed)
                return true;
        uint8_t *at = out->memory + out->begin + start + FRAME_HEADER + 2;
        for (size_t i = 0; i < count; i++) {
                at += strlen(columns[i].name) + 1 + 18;
                at[-1] = binary[i];
        }
        return true;
}

static const bool all_text[SNAPSHOT_COLUMNS];

void portal_answer(const struct command *c, const struct portal_world *w, struct bytes *out)
{
        if (put_description(c, all_text, out))
                put_rows(c, w, all_text, out);
}

bool portal_rows(struct portal *portal, const struct portal_world *w, uint32_t max_rows,
                 struct bytes *out)
{
        const struct snapshot_column *columns;
        struct bytes *rows = &portal->rows;
        uint32_t sent = 0;
        if (!portal->started && command_columns(&portal->command, &columns))
                put_rows(&portal->command, w, portal->binary, rows);
        portal->started = true;
        while (bytes_length(rows) && (max_rows == 0 || sent < max_rows)) {
                size_t n = 1 + (size_t) frame_get32(bytes_data(rows) + 1);
                bytes_append(out, bytes_data(rows), n);
                bytes_consume(rows, n);
                sent++;
        }
        return max_rows == 0 || sent < max_rows;
}

/* ---- the two maps ---- */

static void drop_portal(void *p)
{
        struct portal *portal = p;
        bytes_free(&portal->rows);
        free(portal);
}

void portals_init(struct portals *ps)
{
        ps->statements = map_new(free);
        ps->portals = map_new(drop_portal);
}

void portals_free(struct portals *ps)
{
        map_free(ps->statements);
        map_free(ps->portals);
}

void portals_close_all(struct portals *ps)
{
        if (map_count(ps->portals) == 0)
                return;
        map_free(ps->portals);
        ps->portals = map_new(drop_portal);
}

void portals_deallocate(struct portals *ps, const char *name)
{
        if (*name) {
                map_remove(ps->statements, name);
                return;
        }
        map_free(ps->statements);
        ps->statements = map_new(free);
}

void portals_forget_unnamed(struct portals *ps)
{
        map_remove(ps->statements, "");
        map_remove(ps->portals, "");
}

static bool malformed(struct error *e, const char *message)
{
        return error_set(e, "08P01", "malformed %s message", message);
}

/* May one more of this name be made? An unnamed one replaces the last. */
static bool may_add(const struct map *m, const char *name, size_t most, const char *what,
                    const char *sqlstate, struct error *e)
{
        if (!*name)
                return true;
        if (map_get(m, name))
                return error_set(e, sqlstate, "%s \"%s\" already exists", what, name);
        if (map_count(m) < most)
                return true;
        error_set(e, "54000", "too many of a kind: %zu times \"%s\"", most, what);
        return error_hint(e, "Close those that are not needed any more.");
}

/* ---- messages ---- */

bool portals_parse(struct portals *ps, const uint8_t *p, size_t n, struct error *e)
{
        struct request_parse m;
        struct command_reader r;
        struct command c, more;
        if (request_parse(p, n, false, &m) != FRAME_READY)
                return malformed(e, "Parse");
        if (!may_add(ps->statements, m.name, PORTAL_STATEMENTS, "prepared statement", "42P05", e))
                return false;
        command_reader_init(&r, m.query, m.query_size);
        r.former = ps->former;
        enum command_verdict v = command_next(&r, &c, e);
        if (v == COMMAND_BAD)
                return false;
        if (v == COMMAND_READ && command_next(&r, &more, e) != COMMAND_END)
                return error_is_set(e) ? false
                                       : error_set(e, "42601",
                                                   "cannot insert multiple commands "
                                                   "into a prepared statement");
        struct command *kept = own_new(struct command);
        *kept = c;
        map_put(ps->statements, m.name, kept);
        return true;
}

/* What stands behind the names of a Bind: parameter formats, parameters, result formats. */
static bool read_formats(const uint8_t *p, size_t n, size_t columns, bool *binary, struct error *e)
{
        size_t skip = n >= 2 ? 2 + 2 * (size_t) frame_get16(p) : n;
        if (n < skip + 4)
                return malformed(e, "Bind");
        if (frame_get16(p + skip) != 0)
                return error_set(e, "08P01",
                                 "bind message supplies %u parameters, but prepared statements "
                                 "of the console require 0",
                                 frame_get16(p + skip));
        size_t count = frame_get16(p + skip + 2);
        const uint8_t *codes = p + skip + 4;
        if (n != skip + 4 + 2 * count)
                return malformed(e, "Bind");
        if (count > 1 && count != columns)
                return error_set(e, "08P01",
                                 "bind message has %zu result formats but query has %zu "
                                 "columns",
                                 count, columns);
        for (size_t i = 0; i < (count == 1 ? columns : count); i++) {
                unsigned code = frame_get16(codes + (count == 1 ? 0 : 2 * i));
                if (code > 1)
                        return error_set(e, "22023", "unsupported format code: %u", code);
                binary[i] = code;
        }
        return true;
}

bool portals_bind(struct portals *ps, const uint8_t *p, size_t n, struct error *e)
{
        struct request_bind m;
        const struct snapshot_column *columns;
        bool binary[SNAPSHOT_COLUMNS] = {false};
        if (request_bind(p, n, false, &m) != FRAME_READY)
                return malformed(e, "Bind");
        const struct command *c = map_get(ps->statements, m.statement);
        if (!c)
                return error_set(e, "26000", "prepared statement \"%s\" does not exist",
                                 m.statement);
        size_t names = strlen(m.portal) + strlen(m.statement) + 2;
        if (!read_formats(p + names, n - names, command_columns(c, &columns), binary, e) ||
            !may_add(ps->portals, m.portal, PORTAL_PORTALS, "cursor", "42P03", e))
                return false;
        struct portal *portal = own_new(struct portal);
        portal->command = *c;
        memcpy(portal->binary, binary, sizeof binary);
        bytes_init(&portal->rows, 0);
        map_put(ps->portals, m.portal, portal);
        return true;
}

bool portals_describe(const struct portals *ps, const uint8_t *p, size_t n, struct bytes *out,
                      struct error *e)
{
        struct request_target m;
        if (request_target(p, n, &m) != FRAME_READY)
                return malformed(e, "Describe");
        const struct portal *portal = map_get(ps->portals, m.name);
        const struct command *c = map_get(ps->statements, m.name);
        if (m.kind == 'P' && !portal)
                return error_set(e, "34000", "portal \"%s\" does not exist", m.name);
        if (m.kind == 'S' && !c)
                return error_set(e, "26000", "prepared statement \"%s\" does not exist", m.name);
        if (m.kind == 'S')
                compose_parameter_description(out);
        if (!(m.kind == 'P' ? put_description(&portal->command, portal->binary, out)
                            : put_description(c, all_text, out)))
                compose_no_data(out);
        return true;
}

bool portals_close(struct portals *ps, const uint8_t *p, size_t n, struct error *e)
{
        struct request_target m;
        if (request_target(p, n, &m) != FRAME_READY)
                return malformed(e, "Close");
        map_remove(m.kind == 'S' ? ps->statements : ps->portals, m.name);
        return true;
}

struct portal *portals_execute(const struct portals *ps, const uint8_t *p, size_t n,
                               uint32_t *max_rows, struct error *e)
{
        struct request_execute m;
        const struct snapshot_column *columns;
        if (request_execute(p, n, &m) != FRAME_READY) {
                malformed(e, "Execute");
                return NULL;
        }
        struct portal *portal = map_get(ps->portals, m.portal);
        if (!portal)
                error_set(e, "34000", "portal \"%s\" does not exist", m.portal);
        else if (portal->started && !command_columns(&portal->command, &columns))
                error_set(e, "55000", "portal \"%s\" cannot be run anymore", m.portal);
        *max_rows = m.max_rows;
        return error_is_set(e) ? NULL : portal;
}
