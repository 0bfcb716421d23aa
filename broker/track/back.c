#include "track/back.h"

#include <string.h>
#include <strings.h>
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/sqlword.h"

#define LONGEST 200                     /* bytes of a text that is looked at */

/* What a text does: one statement has one effect. */
struct doing {
        unsigned count;
        bool all;
        char name[LONGEST];             /* "": none */
};

static void found(void *arg, enum sql_effect effect, const char *name)
{
        struct doing *d = arg;
        d->count++;
        d->all = effect == SQL_RESET_ALL;
        d->name[0] = '\0';
        if (effect == SQL_RESET && name)
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

static bool is_one(const char *sql, size_t size, struct doing *d)
{
        struct sqlword w;
        size_t at = 0;
        while (at < size && strchr(" \t\r\n", sql[at]))
                at++;
        *d = (struct doing){0};
        if (size - at < 6 || (strncasecmp(sql + at, "reset", 5) != 0 && strncasecmp(sql + at, "set", 3) != 0))
                return false;
        sqlword_init(&w, false, found, d);
        sqlword_feed(&w, sql, size);
        sqlword_end(&w);
        return d->count == 1 && (d->all || d->name[0]);
}

/* RESET ALL leaves these alone. */
static bool is_spared(const char *name)
{
        return strcasecmp(name, "role") == 0 || strncasecmp(name, "transaction_", 12) == 0;
}

static bool put_sets(const struct track_client *c, const struct doing *d, struct bytes *sql)
{
        size_t at = 0, before = bytes_length(sql);
        const char *name, *value;
        while (settings_next(c->startup, &at, &name, &value)) {
                if (restore_settable(name) && (d->all ? !is_spared(name) : strcasecmp(name, d->name) == 0))
                        restore_append_set(sql, name, value);
        }
        return bytes_length(sql) > before && bytes_ascii(bytes_data(sql), bytes_length(sql));
}

bool back_rewrite(const struct track_client *c, const struct track_server *t, uint32_t effects,
                  const struct frame_piece *piece, struct bytes *message)
{
        struct doing d;
        struct bytes sql;
        if ((effects != 1u << SQL_RESET && effects != 1u << SQL_RESET_ALL) || t->status != 'T' || t->unsynced || !turns_own_only(&t->turns) || !settings_count(c->startup) ||
            !frame_whole(piece))
                return false;
        const char *text = (const char *) frame_payload(piece);
        size_t size = plain(text, strnlen(text, frame_payload_size(piece)));
        if (!size || !is_one(text, size, &d))
                return false;
        bytes_init(&sql, 0);
        bytes_append(&sql, text, size);
        bytes_text(&sql, "; ");
        bool leads = put_sets(c, &d, &sql);
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
