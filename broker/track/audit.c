#include "track/audit.h"

#include <string.h>
#include <strings.h>
#include "base/own.h"
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/reply.h"

#define NAMES_MAX 64                    /* parameters that are followed, and asked about at once; more pin */

/* Why a parameter is asked about; of all but the first also where its value comes from. */
#define SET   "set"
#define TOLD  "told"
#define RESET "reset"
#define AGAIN "set again"               /* after a RESET */
#define PARTLY "partly set"             /* some of it was undone; it was not RESET ... */
#define MIXED "mixed"                   /* ... it may have been */

/* ---- what there is to ask ---- */

/* What a client wants is set anew on each server that it gets: not without end. */
static bool too_much(const struct track_client *c, const char *name)
{
        size_t at = 0, names = settings_count(c->touched);
        const char *own, *value;
        if (names >= NAMES_MAX || settings_size(c->wanted) > TRACK_SETTINGS_MAX)
                return true;
        if (restore_own(c, name))
                return false;
        while (settings_next(c->own, &at, &own, &value))
                names += !settings_get(c->touched, own);
        return names >= NAMES_MAX;
}

static bool is(const char *reason, const char *one)
{
        return reason && strcmp(reason, one) == 0;
}

/* What both come to. */
static const char *together(const char *before, const char *how)
{
        if (!before || is(how, MIXED) || is(before, SET) || (is(before, TOLD) && !is(how, SET)))
                return how;
        if (is(before, PARTLY))
                return is(how, RESET) || is(how, AGAIN) ? MIXED : before;
        if (is(before, RESET) && is(how, SET))
                return AGAIN;
        return (is(how, RESET) || is(how, AGAIN)) && !is(before, MIXED) ? how : before;
}

static void touch(struct track_client *c, const char *name, const char *how)
{
        const char *before = settings_get(c->touched, name), *now = together(before, how);
        bool room = is(how, RESET) ? settings_count(c->touched) < NAMES_MAX : !too_much(c, name);
        if (!before && !room)
                pins_add(&c->pins, PIN_SET);
        else if (now != before)
                settings_put(&c->touched, name, now);
}

void audit_touch(struct track_client *c, const char *name, bool reset)
{
        static const char *const characteristics[] = {"default_transaction_isolation",
                                                      "default_transaction_read_only",
                                                      "default_transaction_deferrable"};
        const char *how = reset ? RESET : c->reset_all ? AGAIN : SET;
        /* Of the transaction alone, or refused; with the one the role is another. */
        if (strcmp(name, "session_authorization") == 0)
                name = "role";
        if (strncmp(name, "transaction_", 12) == 0 || !restore_settable(name))
                return;
        if (strcmp(name, "session characteristics") != 0) {
                touch(c, name, how);
                return;
        }
        for (size_t i = 0; i < sizeof characteristics / sizeof *characteristics; i++)
                touch(c, characteristics[i], how);
}

void audit_told(struct track_client *c, const char *name)
{
        if (restore_settable(name) && !restore_own(c, name))
                touch(c, name, TOLD);
}

void audit_encoding(struct track_client *c)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(c->wanted, &at, &name, &value)) {
                if (!bytes_ascii(value, strlen(value)) && restore_settable(name) && restore_own(c, name))
                        touch(c, name, SET);
        }
}

void audit_touch_all(struct track_client *c, bool last)
{
        size_t at = 0;
        const char *name, *how;
        struct settings *before = settings_ref(c->touched);
        while (settings_next(before, &at, &name, &how)) {
                if (is(how, AGAIN))
                        touch(c, name, RESET);
        }
        settings_unref(before);
        c->reset_all = true;
        c->reset_unsure = c->reset_unsure || !last;
}

/* RESET ALL may have changed what is the client's own, unless it has SET nothing of it and the server
 * reports what it said at its start. */
static void touch_those(struct track_client *c, const struct track_server *t,
                        const struct settings *set)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(set, &at, &name, &value)) {
                const char *reported = settings_get(t->reported, name);
                bool as_it_was = reported && !settings_get(c->own, name) && strcmp(reported, value) == 0;
                bool stays = as_it_was || is(name, "role") || is(settings_get(c->touched, name), AGAIN);
                if (restore_settable(name) && !stays)
                        touch(c, name, RESET);
        }
}

static void touch_all(struct track_client *c, const struct track_server *t)
{
        if (c->reset_all) {
                touch_those(c, t, c->own);
                touch_those(c, t, c->startup);
        }
        c->reset_all = false;
}

bool audit_leads_back(const struct track_client *c)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(c->startup, &at, &name, &value)) {
                if (c->reset_all || is(settings_get(c->touched, name), RESET))
                        return true;
        }
        return false;
}

/* Which of them were undone isn't known. */
static void mix(struct track_client *c)
{
        size_t at = 0;
        const char *name, *how;
        struct settings *all = settings_ref(c->touched);
        while (settings_next(all, &at, &name, &how))
                touch(c, name, is(how, RESET) || is(how, AGAIN) ? MIXED : PARTLY);
        settings_unref(all);
}

void audit_settle(struct track_client *c, const struct track_server *t, bool sure)
{
        touch_all(c, t);
        if (!sure || c->reset_unsure)
                mix(c);
        c->reset_unsure = false;
        if (c->pins.kinds & PIN_BIT(PIN_SET))
                pins_found(&c->pins, PIN_SET);
}

bool audit_open(const struct track_client *c)
{
        return c->reset_all || settings_count(c->touched) || settings_count(c->asked);
}

bool audit_wanted(const struct track_client *c)
{
        return pins_want_audit(&c->pins) ||
               (settings_count(c->touched) && !(c->pins.kinds & PIN_BIT(PIN_UNNAMED)));
}

/* Is one of them asked about for more than its value, and this reason? */
static bool with_sources(const struct settings *names, const char *but)
{
        size_t at = 0;
        const char *name, *how;
        while (settings_next(names, &at, &name, &how)) {
                if (!is(how, SET) && !is(but, how))
                        return true;
        }
        return false;
}

bool audit_pressing(const struct track_client *c)
{
        return audit_wanted(c) && with_sources(c->touched, TOLD);
}

/* ---- asking ---- */

/* Where the values come from, of those that the broker can't know it of. */
static void ask_sources(const struct settings *names, struct bytes *sql)
{
        size_t at = 0;
        const char *name, *how;
        bool first = true;
        bytes_text(sql, ", (SELECT pg_catalog.string_agg(pg_catalog.concat(name, '=', source), ',') FROM "
                        "pg_catalog.pg_settings WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY (ARRAY[");
        while (settings_next(names, &at, &name, &how)) {
                if (is(how, SET))
                        continue;
                bytes_text(sql, first ? "pg_catalog.lower(" : ", pg_catalog.lower(");
                compose_literal(sql, name);
                bytes_text(sql, ")");
                first = false;
        }
        bytes_text(sql, "]))");
}

void audit_ask(struct track_client *c, struct track_server *t, struct bytes *out)
{
        size_t at = 0;
        const char *name, *how;
        struct bytes sql;
        bytes_init(&sql, 0);
        c->holding = audit_pressing(c);
        settings_unref(c->asked);
        c->asked = TAKE(c->touched);
        bytes_text(&sql, "SELECT ");
        c->auditing = pins_want_audit(&c->pins);
        bytes_text(&sql, c->auditing ? pins_audit_sql : "0");
        if (c->auditing)
                pins_audit_sent(&c->pins);
        while (settings_next(c->asked, &at, &name, &how)) {
                bytes_text(&sql, ", pg_catalog.current_setting(");
                compose_literal(&sql, name);
                bytes_text(&sql, ", true)");
        }
        if (with_sources(c->asked, NULL))
                ask_sources(c->asked, &sql);
        restore_query(t, &sql, TURN_AUDIT, out);
        bytes_free(&t->audit_row);
        statements_go(&c->statements);
}

/* ---- the answer ---- */

void audit_row(struct track_server *t, const struct frame_piece *piece)
{
        bytes_append(&t->audit_row, piece->data, piece->size);
}

/* "session", "default", ...: where the value of this parameter comes from. NULL: the server does not
 * know it as one of its own. */
static const char *source_of(const char *sources, const char *name, size_t *length)
{
        size_t n = strlen(name);
        for (const char *p = sources; p && *p; p += strcspn(p, ","), p += *p == ',') {
                if (strncasecmp(p, name, n) != 0 || p[n] != '=')
                        continue;
                *length = strcspn(p + n + 1, ",");
                return p + n + 1;
        }
        return NULL;
}

/* "" and no role are nothing. */
static bool is_nothing(const char *name, const char *value)
{
        return is(value, is(name, "role") ? "none" : "");
}

/* Of the role, and of a parameter that no library has defined, the server does not tell. It was RESET if it is
 * nothing, unless the client has said so, or had it so before something was undone (not so the role: in doubt rather
 * the rights of the start than the login's); and if that was said last where there is a start to lead back to, for all
 * may have a value of their own in this database. */
static bool was_set(const struct track_client *c, const char *how, const char *sources, const char *name,
                    const char *value)
{
        size_t length = 0;
        const char *source = source_of(sources, name, &length), *wanted = settings_get(c->wanted, name);
        bool started = settings_get(c->startup, name), role = is(name, "role");
        if (source)
                return length == 7 && strncmp(source, "session", 7) == 0;
        if (!is_nothing(name, value))
                return role || !is(how, RESET) || !started;
        return (is(how, PARTLY) && started) || (is(how, MIXED) && !role && is(wanted, value));
}

/* NULL is NULL. */
static char *column_text(const char *column, int32_t length)
{
        return length < 0 ? NULL : own_text(column, (size_t) length);
}

/* What the server has of it is led back for the next one, if that may be more than its own. */
static void back(struct track_client *c, struct track_server *t, const char *sources, const char *name,
                 const char *value, struct bytes *extra)
{
        size_t length;
        restore_back(c, t, name, extra);
        if (value && !source_of(sources, name, &length) && !is_nothing(name, value))
                settings_put(&t->applied, name, value);
}

static void take_values(struct track_client *c, struct track_server *t, const char **column,
                        const int32_t *length, bool sources_too, struct bytes *extra)
{
        size_t at = 0, i = 1, count = settings_count(c->asked);
        const char *name, *how;
        OWN(free) char *sources = sources_too ? column_text(column[count + 1], length[count + 1]) : NULL;
        for (; settings_next(c->asked, &at, &name, &how); i++) {
                OWN(free) char *value = column_text(column[i], length[i]);
                if (value && (is(how, SET) || was_set(c, how, sources, name, value)))
                        restore_keep(c, t, name, value);
                else
                        back(c, t, sources, name, value, extra);
        }
}

/* False: no such answer. */
static bool read_row(struct track_client *c, struct track_server *t, struct bytes *extra)
{
        const char *column[NAMES_MAX + 2];
        int32_t length[NAMES_MAX + 2];
        char bits[8] = {0};
        size_t size = bytes_length(&t->audit_row), count;
        if (t->audit_row.failed || size < FRAME_HEADER ||
            reply_row(bytes_data(&t->audit_row) + FRAME_HEADER, size - FRAME_HEADER, column, length,
                      NAMES_MAX + 2, &count) != FRAME_READY)
                return false;
        bool sources_too = with_sources(c->asked, NULL);
        if (count != 1 + settings_count(c->asked) + sources_too || length[0] < 1 || length[0] > 3)
                return false;
        memcpy(bits, column[0], (size_t) length[0]);
        if (c->auditing)
                pins_audited(&c->pins, (uint32_t) strtoul(bits, NULL, 10));
        take_values(c, t, column, length, sources_too, extra);
        return true;
}

void audit_answered(struct track_client *c, struct track_server *t, struct bytes *extra)
{
        if (!read_row(c, t, extra) && settings_count(c->asked))
                pins_found(&c->pins, PIN_SET);  /* the server would not say */
        bytes_free(&t->audit_row);
        settings_unref(TAKE(c->asked));
        for (; c->ready_owed; c->ready_owed--)
                compose_ready(extra, 'I');
        c->holding = false;
}
