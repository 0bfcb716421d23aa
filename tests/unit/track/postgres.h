/* A small PostgreSQL to hold the broker's tracking against: one session as a state machine after
 * the manual's chapter "Message Flow" (what it leaves open was seen on PostgreSQL 15). The SQL it
 * knows is in postgres_sql.h. It says nothing but what it is asked, in order; it processes one
 * message at a time, whenever the test wants it to. */
#ifndef PGB_TEST_POSTGRES_H
#define PGB_TEST_POSTGRES_H

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "wire/frame.h"

enum pg_setting { PG_TIMEZONE, PG_DATESTYLE, PG_APPLICATION, PG_WORK_MEM, PG_SEARCH_PATH, PG_ROLE,
                  PG_SETTINGS };

/* The first value is the default; a value is known by its place. */
static const struct pg_parameter {
        const char *name;
        bool reported, reset_all;
        const char *values[4];
} pg_parameters[PG_SETTINGS] = {
        {"TimeZone", true, true, {"UTC", "Europe/Berlin", "Asia/Tokyo", "<+03>-03"}},
        {"DateStyle", true, true, {"ISO, MDY", "ISO, DMY", "German, DMY", "SQL, MDY"}},
        {"application_name", true, true, {"", "a", "it's", "back\\slash"}},
        {"work_mem", false, true, {"4MB", "1MB", "2MB", "8MB"}},
        {"search_path", false, true, {"\"$user\", public", "a, b", "\"A b\", c", ""}},
        {"role", false, false, {"none", "r1", "r2", "r3"}},
};

#define PG_TEXT   160
#define PG_NAMED  12                    /* statements at once, the unnamed one first; portals: "", "1" */
#define PG_LOCAL  0x80                  /* of a setting: SET LOCAL holds a value on top */
#define PG_OWNERS 256

struct pg_statement {
        bool there;
        char name[32];
        char sql[PG_TEXT];
        unsigned altered;               /* how often tables had been, when it was parsed */
};

struct pg_portal {
        bool there, done;
        unsigned left;                  /* rows, when it was suspended */
        char sql[PG_TEXT];
};

/* What a rollback takes back. */
struct pg_undo {
        uint8_t set[PG_SETTINGS], local[PG_SETTINGS];
        bool session[PG_SETTINGS];      /* it was SET, and not RESET */
        bool listen, temp, cursor, deferred;
        unsigned rows;
};

struct pg {
        struct bytes in, out;
        bool dead;
        char tx;                        /* 'N' none, 'I' implicit, 'B' block, 'F' failed block */
        bool skipping, unsynced, savepoint;
        unsigned executed;              /* in this pipeline */
        struct pg_undo now, before, saved;
        bool lock, sequence, prepared;
        char prepared_sql[PG_TEXT];
        struct pg_statement statement[PG_NAMED];
        struct pg_portal portal[2];
        bool copying, copy_extended;
        unsigned copied;
        char query[6000];               /* of a simple Query: what is still to be run */
        bool one_statement, ran_any;
        uint8_t reset_value[PG_SETTINGS], reported[PG_SETTINGS];
        bool eager;                     /* reports at once, as servers before 14 do */
        int version;
        const unsigned *altered;        /* how often tables have been; NULL: it makes its plans anew by itself */
        int borrower;                   /* whose statements may be run; -1 anyone's */
        unsigned *ledger;               /* rows committed, by owner */
        int owner;                      /* of the open transaction's rows */
        /* What a test wants to know. */
        bool unnamed_unsure;            /* a message that would change the unnamed statement was skipped */
        bool reset_ran;                 /* a RESET */
        bool copy_open;                 /* a COPY began, and neither CopyDone nor CopyFail came */
        bool copy_synced;               /* a Sync came in it, and was ignored */
        bool copy_doubt;                /* it failed before it read anything, or behind a Sync; a request
                                           came in it */
};

/* ---- saying something ---- */

static inline void pg_say(struct pg *p, char type, const void *payload, size_t n)
{
        uint32_t length = (uint32_t) n + 4;
        uint8_t head[5] = {(uint8_t) type, (uint8_t) (length >> 24), (uint8_t) (length >> 16),
                           (uint8_t) (length >> 8), (uint8_t) length};
        bytes_append(&p->out, head, sizeof head);
        if (n)
                bytes_append(&p->out, payload, n);
}

static inline void pg_say_tag(struct pg *p, const char *tag)
{
        pg_say(p, 'C', tag, strlen(tag) + 1);
}

static inline void pg_say_fields(struct pg *p, char type, const char *severity, const char *state,
                                 const char *text)
{
        char fields[400];
        int n = snprintf(fields, sizeof fields, "S%s%cV%s%cC%s%cM%s%cR%s%c", severity, 0, severity, 0, state,
                         0, text, 0, strcmp(state, "0A000") == 0 ? "RevalidateCachedQuery" : "other", 0);
        pg_say(p, type, fields, (size_t) n + 1);
}

static inline void pg_say_row_of(struct pg *p, const char *const *values, unsigned count)
{
        uint8_t row[1000] = {0, (uint8_t) count};
        size_t n = 2;
        for (unsigned i = 0; i < count; i++) {
                size_t length = strlen(values[i]);
                memcpy(row + n, (uint8_t[]){0, 0, 0, (uint8_t) length}, 4);
                memcpy(row + n + 4, values[i], length);
                n += 4 + length;
        }
        pg_say(p, 'D', row, n);
}

static inline void pg_say_row(struct pg *p, const char *value)
{
        pg_say_row_of(p, &value, 1);
}

static inline void pg_say_columns(struct pg *p)
{
        pg_say(p, 'T', "\0\1c\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0", 22);
}

static inline uint8_t pg_value(const struct pg *p, unsigned s)
{
        return p->now.local[s] & PG_LOCAL ? p->now.local[s] & 3 : p->now.set[s];
}

static inline void pg_say_status(struct pg *p, const char *name, const char *value)
{
        char text[200];
        int n = snprintf(text, sizeof text, "%s%c%s", name, 0, value);
        pg_say(p, 'S', text, (size_t) n + 1);
}

static inline void pg_report(struct pg *p)
{
        for (unsigned s = 0; s < PG_SETTINGS; s++) {
                uint8_t value = pg_value(p, s);
                if (!pg_parameters[s].reported || p->reported[s] == value)
                        continue;
                p->reported[s] = value;
                pg_say_status(p, pg_parameters[s].name, pg_parameters[s].values[value]);
        }
}

/* All that a statement could see of its session, as a notice. */
static inline void pg_say_digest(struct pg *p)
{
        char text[100];
        int n = 0;
        for (unsigned s = 0; s < PG_SETTINGS; s++)
                n += snprintf(text + n, sizeof text - (size_t) n, "%d", pg_value(p, s));
        snprintf(text + n, sizeof text - (size_t) n, " listen %d temp %d hold %d lock %d prepare %d seq %d",
                 p->now.listen, p->now.temp, p->now.cursor, p->lock, p->prepared, p->sequence);
        pg_say_fields(p, 'N', "NOTICE", "00000", text);
}

/* ---- transactions ---- */

static inline void pg_begin(struct pg *p)
{
        if (p->tx != 'N')
                return;
        p->tx = 'I';
        p->before = p->now;
        p->savepoint = false;
        p->owner = 0;
}

static inline void pg_over(struct pg *p)
{
        p->tx = 'N';
        p->executed = 0;
        p->savepoint = false;
        memset(p->now.local, 0, sizeof p->now.local);
        p->now.deferred = false;
        p->portal[0].there = p->portal[1].there = false;
        if (p->eager)
                pg_report(p);
}

static inline void pg_roll_back(struct pg *p)
{
        if (p->tx != 'N')
                p->now = p->before;
        pg_over(p);
}

static inline bool pg_commit(struct pg *p)
{
        if (p->now.deferred) {
                pg_roll_back(p);
                pg_say_fields(p, 'E', "ERROR", "23505", "deferred");
                return false;
        }
        if (p->tx != 'N' && p->ledger)
                p->ledger[p->owner] += p->now.rows - p->before.rows;
        pg_over(p);
        return true;
}

static inline bool pg_fail(struct pg *p, const char *state, const char *text)
{
        pg_say_fields(p, 'E', "ERROR", state, text);
        if (p->tx == 'B')
                p->tx = 'F';
        else if (p->tx == 'I')
                pg_roll_back(p);
        p->copying = false;
        return false;
}

static inline void pg_ready(struct pg *p)
{
        pg_report(p);
        pg_say(p, 'Z', p->tx == 'B' ? "T" : p->tx == 'F' ? "E" : "I", 1);
}

/* The statement of this name, or a place for it. */
static inline struct pg_statement *pg_named(struct pg *p, const char *name)
{
        unsigned empty = 0;
        for (unsigned i = 1; *name && i < PG_NAMED; i++) {
                if (p->statement[i].there && strcmp(p->statement[i].name, name) == 0)
                        return &p->statement[i];
                if (!p->statement[i].there)
                        empty = i;
        }
        expect(!*name || empty);
        if (*name)
                snprintf(p->statement[empty].name, sizeof p->statement[empty].name, "%s", name);
        return &p->statement[empty];
}

static inline bool pg_fail_named(struct pg *p, const char *state, const char *name, const char *how)
{
        char text[100];
        snprintf(text, sizeof text, "prepared statement \"%s\" %s", name, how);
        return pg_fail(p, state, text);
}

#include "postgres_sql.h"

/* ---- simple protocol ---- */

/* Runs what is left of a Query, until its end or a COPY FROM STDIN. */
static inline void pg_run_query(struct pg *p)
{
        bool good = true;
        while (good && p->query[0]) {
                char one[sizeof p->query];
                size_t n = strcspn(p->query, ";");
                bool last = !p->query[n];
                expect(n < sizeof one);
                memcpy(one, p->query, n);
                one[n] = 0;
                memmove(p->query, p->query + n + !last, strlen(p->query + n + !last) + 1);
                if (pg_blank(one))
                        continue;
                p->ran_any = true;
                good = pg_run(p, one, NULL);
                if (p->copying)
                        return;
        }
        p->query[0] = 0;
        if (good && !p->ran_any)
                pg_say(p, 'I', NULL, 0);
        if (good && p->tx == 'I')
                pg_commit(p);
        pg_ready(p);
}

static inline void pg_query(struct pg *p, const char *sql)
{
        p->statement[0].there = p->portal[0].there = p->unsynced = false;
        p->unnamed_unsure = false;
        p->ran_any = false;
        snprintf(p->query, sizeof p->query, "%s", pg_without_padding(sql));
        p->one_statement = !strchr(p->query, ';');
        pg_run_query(p);
}

static inline void pg_function(struct pg *p)
{
        p->unsynced = false;
        if (p->tx == 'F') {
                pg_fail(p, "25P02", "aborted");
        } else {
                pg_begin(p);
                pg_say(p, 'V', "\377\377\377\377", 4);
                if (p->tx == 'I')
                        pg_commit(p);
        }
        pg_ready(p);
}

/* ---- extended protocol ---- */

static inline unsigned pg_place(const char *name)
{
        return *name == '1';
}

static inline bool pg_stale(const struct pg *p, const struct pg_statement *s)
{
        return p->altered && *s->name && s->altered != *p->altered && pg_returns_rows(s->sql);
}

static inline bool pg_parse(struct pg *p, const char *name, const char *sql)
{
        struct pg_statement *s = pg_named(p, name);
        if (!*name) {
                s->there = false;
                p->unnamed_unsure = false;
        }
        sql = pg_without_padding(sql);
        pg_begin(p);
        if (strncmp(sql, "SELEC ", 6) == 0 || strchr(sql, ';'))
                return pg_fail(p, "42601", "syntax");
        if (p->tx == 'F' && !pg_blank(sql) && !pg_ends_transaction(sql))
                return pg_fail(p, "25P02", "aborted");
        if (s->there)
                return pg_fail_named(p, "42P05", name, "already exists");
        s->there = true;
        snprintf(s->sql, sizeof s->sql, "%s", sql);
        s->altered = p->altered ? *p->altered : 0;
        pg_say(p, '1', NULL, 0);
        return true;
}

static inline bool pg_bind(struct pg *p, const char *portal, const char *name)
{
        struct pg_statement *s = pg_named(p, name);
        struct pg_portal *o = &p->portal[pg_place(portal) & 1];
        pg_begin(p);
        if (!s->there)
                return pg_fail_named(p, "26000", name, "does not exist");
        if (p->tx == 'F' && !pg_ends_transaction(s->sql))
                return pg_fail(p, "25P02", "aborted");
        if (*portal && o->there)
                return pg_fail(p, "42P03", "exists");
        if (pg_stale(p, s))
                return pg_fail(p, "0A000", "cached plan must not change result type");
        *o = (struct pg_portal){.there = true};
        memcpy(o->sql, s->sql, sizeof o->sql);
        pg_say(p, '2', NULL, 0);
        return true;
}

static inline bool pg_describe(struct pg *p, char kind, const char *name)
{
        struct pg_statement *s = pg_named(p, name);
        struct pg_portal *o = &p->portal[pg_place(name) & 1];
        bool there = kind == 'S' ? s->there : o->there;
        const char *sql = kind == 'S' ? s->sql : o->sql;
        pg_begin(p);
        if (!there && kind == 'S')
                return pg_fail_named(p, "26000", name, "does not exist");
        if (!there)
                return pg_fail(p, "34000", "nothing of that name");
        if (p->tx == 'F' && pg_returns_rows(sql))
                return pg_fail(p, "25P02", "aborted");
        if (kind == 'S')
                pg_say(p, 't', "\0\0", 2);
        if (kind == 'S' && pg_stale(p, s))
                return pg_fail(p, "0A000", "cached plan must not change result type");
        if (pg_returns_rows(sql))
                pg_say_columns(p);
        else
                pg_say(p, 'n', NULL, 0);
        return true;
}

static inline bool pg_execute(struct pg *p, const char *portal, uint32_t max_rows)
{
        struct pg_portal *o = &p->portal[pg_place(portal) & 1];
        pg_begin(p);
        if (!o->there)
                return pg_fail(p, "34000", "no portal");
        if (pg_blank(o->sql)) {
                pg_say(p, 'I', NULL, 0);
                return true;
        }
        if (o->done)
                return pg_fail(p, "55000", "can't be run");
        p->one_statement = p->executed++ == 0;
        o->done = max_rows == 0 || strncmp(o->sql, "SELECT many", 11) != 0;
        if (!o->done && ++o->left < 3) {
                pg_say_row(p, "1");
                pg_say(p, 's', NULL, 0);
                return true;
        }
        o->done = true;
        return pg_run(p, o->sql, o);
}

static inline bool pg_close(struct pg *p, char kind, const char *name)
{
        if (kind == 'S')
                pg_named(p, name)->there = false;
        else
                p->portal[pg_place(name) & 1].there = false;
        if (kind == 'S' && !*name)
                p->unnamed_unsure = false;
        pg_say(p, '3', NULL, 0);
        return true;
}

static inline void pg_sync(struct pg *p)
{
        p->skipping = p->unsynced = false;
        p->executed = 0;
        if (p->tx == 'I')
                pg_commit(p);
        pg_ready(p);
}

static inline void pg_extended(struct pg *p, char type, const char *payload)
{
        const char *second = payload + strlen(payload) + 1;
        bool good = true;
        p->unsynced = true;
        if (type == 'P')
                good = pg_parse(p, payload, second);
        else if (type == 'B')
                good = pg_bind(p, payload, second);
        else if (type == 'D')
                good = pg_describe(p, *payload, payload + 1);
        else if (type == 'E')
                good = pg_execute(p, payload, frame_get32((const uint8_t *) second));
        else if (type == 'C')
                good = pg_close(p, *payload, payload + 1);
        if (!good)
                p->skipping = true;
        if (p->eager)
                pg_report(p);
}

/* ---- COPY FROM STDIN ---- */

static inline void pg_copy_failed(struct pg *p, const char *state)
{
        pg_fail(p, state, "COPY");
        p->query[0] = 0;
        if (p->copy_extended)
                p->skipping = true;
        else
                pg_ready(p);
}

static inline void pg_copy_message(struct pg *p, char type, const char *payload, size_t n)
{
        char tag[32];
        if (type == 'H' || type == 'S') {
                p->copy_synced = p->copy_synced || type == 'S';
                return;
        }
        if (type == 'd' && n > 0 && *payload == '!') {
                p->copy_doubt = p->copy_doubt || p->copy_synced;
                pg_copy_failed(p, "22P02");
        } else if (type == 'd') {
                p->copied++;
        } else if (type == 'f') {
                pg_copy_failed(p, "57014");
        } else if (type == 'c') {
                p->copying = false;
                snprintf(tag, sizeof tag, "COPY %u", p->copied);
                pg_say_tag(p, tag);
                if (!p->copy_extended)
                        pg_run_query(p);
        } else {
                pg_fail(p, "08P01", "unexpected message");
                pg_say_fields(p, 'E', "FATAL", "08P01", "synchronization was lost");
                p->dead = true;
        }
}

/* ---- life ---- */

static inline void pg_skip(struct pg *p, char type, const char *payload)
{
        bool unnamed = (type == 'P' && !*payload) || type == 'Q' ||
                       (type == 'C' && payload[0] == 'S' && !payload[1]);
        p->unnamed_unsure = p->unnamed_unsure || unnamed;
}

static inline void pg_take(struct pg *p, char type, const char *payload, size_t n)
{
        if (p->copy_open && !strchr("dHS", type)) {
                p->copy_open = false;
                p->copy_doubt = p->copy_doubt || !strchr("cf", type);
        }
        if (p->copying)
                pg_copy_message(p, type, payload, n);
        else if (type == 'S')
                pg_sync(p);
        else if (p->skipping)
                pg_skip(p, type, payload);
        else if (type == 'Q')
                pg_query(p, payload);
        else if (type == 'F')
                pg_function(p);
        else if (strchr("PBDEC", type))
                pg_extended(p, type, payload);
        else
                expect(strchr("Hdcf", type));
}

/* Processes one message that has come in full. */
static inline bool pg_step(struct pg *p)
{
        const uint8_t *m = bytes_data(&p->in);
        size_t n = bytes_length(&p->in), size = n < 5 ? 5 : 1 + (size_t) frame_get32(m + 1);
        if (p->dead || n < size)
                return false;
        expect(frame_from_client.type[*m].kind && size < 1 << 20);
        pg_take(p, (char) *m, (const char *) m + 5, size - 5);
        bytes_consume(&p->in, size);
        return true;
}

static inline void pg_init(struct pg *p, int version, const uint8_t *reset_value)
{
        memset(p, 0, sizeof *p);
        bytes_init(&p->in, 0);
        bytes_init(&p->out, 0);
        p->tx = 'N';
        p->version = version;
        p->borrower = -1;
        if (reset_value)
                memcpy(p->reset_value, reset_value, PG_SETTINGS);
        memcpy(p->now.set, p->reset_value, PG_SETTINGS);
        memcpy(p->reported, p->reset_value, PG_SETTINGS);
}

static inline void pg_free(struct pg *p)
{
        bytes_free(&p->in);
        bytes_free(&p->out);
}

#endif
