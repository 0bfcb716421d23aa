#include "track/back.h"

#include <string.h>
#include <strings.h>
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/sqlword.h"

#define LONGEST 200                     /* bytes of a text that is looked at */
#define EFFECT(e) (1u << SQL_##e)

/* What a text does: one statement has one effect. */
struct doing {
        unsigned count;
        bool all, local;
        char name[LONGEST];             /* "": none */
};

static void found(void *arg, enum sql_effect effect, const char *name)
{
        struct doing *d = arg;
        d->count++;
        d->all = effect == SQL_RESET_ALL;
        d->local = effect == SQL_SET_LOCAL;
        d->name[0] = '\0';
        if ((effect == SQL_RESET || d->local) && name)
                strncat(d->name, name, sizeof d->name - 1);
}

/* Words alone: no string, no comment, and nothing behind a semicolon. */
static size_t plain(const char *sql, size_t size)
{
        while (size && strchr(" \t\r\n;", sql[size - 1]))
                size--;
        for (size_t i = 0; i < size; i++) {
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.= \t\r\n", sql[i]))
                        return 0;
        }
        return size < LONGEST ? size : 0;
}

static bool ends_with_default(const char *sql, size_t size)
{
        return size > 8 && strncasecmp(sql + size - 7, "default", 7) == 0 && strchr(" \t\r\n=", sql[size - 8]);
}

/* Is this text one that leads to a default? Then its size, without what ends it; else 0. */
static size_t is_one(const char *sql, size_t length, struct doing *d)
{
        struct sqlword w;
        size_t at = 0, size = plain(sql, length);
        while (at < size && strchr(" \t\r\n", sql[at]))
                at++;
        *d = (struct doing){0};
        if (size - at < 6 || (strncasecmp(sql + at, "reset", 5) != 0 && strncasecmp(sql + at, "set", 3) != 0))
                return 0;
        sqlword_init(&w, false, found, d);
        sqlword_feed(&w, sql, size);
        sqlword_end(&w);
        bool one = d->count == 1 && (d->all || d->name[0]) && (!d->local || ends_with_default(sql, size));
        return one ? size : 0;
}

/* May it be one, by what is known of its text? Most are not, and are not read a second time. */
static bool may_be(const struct track_client *c, const struct text_marks *m)
{
        return (m->effects == EFFECT(RESET) || m->effects == EFFECT(RESET_ALL) || m->effects == EFFECT(SET_LOCAL)) &&
               settings_count(c->startup) > 0;
}

/* RESET ALL leaves these alone. */
static bool is_spared(const char *name)
{
        return strcasecmp(name, "role") == 0 || strncasecmp(name, "transaction_", 12) == 0;
}

/* The SETs of what it has led away from what the client said at its start, one after the other; `at` begins as 0. */
static bool next_set(const struct track_client *c, const struct doing *d, size_t *at, struct bytes *sql)
{
        const char *name, *value;
        while (settings_next(c->startup, at, &name, &value)) {
                if (!restore_settable(name) || (d->all ? is_spared(name) : strcasecmp(name, d->name) != 0) ||
                    !bytes_ascii(value, strlen(value)))
                        continue;
                if (d->local)
                        restore_append_set_local(sql, name, value);
                else
                        restore_append_set(sql, name, value);
                return true;
        }
        return false;
}

bool back_rewrite(const struct track_client *c, const struct track_server *t, const struct text_marks *marks,
                  const struct frame_piece *piece, struct bytes *message)
{
        struct doing d;
        struct bytes sql;
        size_t at = 0;
        bool leads = false;
        if (!may_be(c, marks) || t->status != 'T' || t->unsynced || !turns_own_only(&t->turns) || !frame_whole(piece))
                return false;
        const char *text = (const char *) frame_payload(piece);
        size_t size = is_one(text, strnlen(text, frame_payload_size(piece)), &d);
        if (!size)
                return false;
        bytes_init(&sql, 0);
        bytes_append(&sql, text, size);
        bytes_text(&sql, "; ");
        while (next_set(c, &d, &at, &sql))
                leads = true;
        bytes_append(&sql, "", 1);
        if (leads)
                compose_query(message, (const char *) bytes_data(&sql));
        bytes_free(&sql);
        return leads;
}

bool back_swallows(struct track_server *t, uint8_t type)
{
        if (t->back == BACK_SET)
                return strchr("TDC", type) != NULL;
        if (t->back == BACK_RESET && type == 'C')
                t->back = BACK_SET;
        return false;
}

/* The unnamed portal is another one then, but one that can't be executed again either. */
static void follow(struct track_client *c, struct track_server *t, const struct bytes *sql, struct bytes *out)
{
        compose_run(out, (const char *) bytes_data(sql), bytes_length(sql));
        turns_sent(&t->turns, TURN_PARSE, TURN_REPARSE);
        turns_sent(&t->turns, TURN_BIND, TURN_REPARSE);
        turns_sent(&t->turns, TURN_EXECUTE, TURN_REPARSE);
        statements_go(&c->statements);
}

size_t back_follow(struct track_client *c, struct track_server *t, const struct text_marks *marks,
                   const struct frame_piece *execute, struct bytes *out)
{
        struct doing d;
        struct bytes sql;
        size_t at = 0, replaced = 0;
        const char *text = may_be(c, marks) && frame_whole(execute) ? statements_running(&c->statements) : NULL;
        if (!text || !is_one(text, strlen(text), &d))
                return 0;
        bytes_init(&sql, 0);
        for (; next_set(c, &d, &at, &sql); bytes_clear(&sql)) {
                if (!replaced)
                        bytes_append(out, execute->data, execute->size);
                replaced = execute->size;
                follow(c, t, &sql, out);
        }
        bytes_free(&sql);
        return replaced;
}
