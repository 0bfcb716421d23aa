#include "track/back.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "track/restore.h"
#include "track/texts.h"
#include "wire/compose.h"
#include "wire/sqllex.h"
#include "wire/sqlword.h"

#define LONGEST 2000                    /* bytes of a text that is looked at */
#define OWN_NAME TEXTS_PREFIX "back"    /* of a statement, for a moment: the unnamed one is the client's */
#define EFFECT(e) (1u << SQL_##e)

/* What a text does: one statement has one effect. */
struct doing {
        unsigned count;
        bool all, local;
        char name[SQLSET_NAME];         /* "": none */
};

/* RESET SESSION AUTHORIZATION takes the role with it. */
static void found(void *arg, enum sql_effect effect, const char *name)
{
        struct doing *d = arg;
        d->count++;
        d->all = effect == SQL_RESET_ALL;
        d->local = effect == SQL_RESET_LOCAL;
        d->name[0] = '\0';
        if ((effect == SQL_RESET || d->local) && name)
                strncat(d->name, strcmp(name, "session_authorization") == 0 ? "role" : name, sizeof d->name - 1);
}

static const struct sqltoken *behind_words(struct sqllex *l)
{
        const struct sqltoken *t;
        do {
                t = sqllex_next(l);
        } while (t && (t->kind == SQLTOKEN_WORD || t->kind == SQLTOKEN_QUOTED || t->mark == '=' || t->mark == '.'));
        return t;
}

/* Words, quoted or not, and comments: no other statement, and nothing is left open that would take what is put behind
 * it for its own. */
static bool is_plain(const char *sql, size_t size)
{
        struct sqllex l;
        sqllex_init(&l, false);
        sqllex_feed(&l, sql, size);
        if (behind_words(&l))
                return false;
        sqllex_feed(&l, "\n;", 2);
        const struct sqltoken *t = behind_words(&l);
        return t && t->mark == ';';
}

/* Is this text one that leads to a default? Then its size, without the semicolons that end it; else 0. */
static size_t is_one(const char *sql, size_t size, struct doing *d)
{
        struct sqlword w;
        while (size && strchr("; \t\r\n\f", sql[size - 1]))
                size--;
        size += strcspn(sql + size, ";");
        *d = (struct doing){0};
        if (size >= LONGEST || !is_plain(sql, size))
                return 0;
        sqlword_init(&w, false, found, d);
        sqlword_feed(&w, sql, size);
        sqlword_end(&w);
        return d->count == 1 && (d->all || d->name[0]) ? size : 0;
}

/* May it be one, by what is known of its text? Most are not, and are not read a second time. RESET ALL takes no rights,
 * the SETs behind it may take those of a superuser, who may be under another role. */
static bool may_be(const struct track_client *c, const struct text_marks *m)
{
        const char *superuser = settings_get(c->known, "is_superuser");
        bool all = m->effects == EFFECT(RESET_ALL) && !(superuser && strcmp(superuser, "on") == 0);
        return settings_count(c->startup) && (all || m->effects == EFFECT(RESET) || m->effects == EFFECT(RESET_LOCAL));
}

/* RESET ALL leaves these alone; and what is the transaction's is nothing of the start's. */
static bool is_spared(const char *name, bool all)
{
        return strncasecmp(name, "transaction_", 12) == 0 ||
               (all && (strcasecmp(name, "role") == 0 || strcasecmp(name, "seed") == 0));
}

/* The names in a list, as PostgreSQL reads it, each as a literal: SET quotes it again where that is needed. */
static void append_names(struct bytes *sql, const char *list)
{
        static const char blanks[] = " \t\r\n\f";
        const char *p = list;
        do {
                struct bytes one;
                bytes_init(&one, 0);
                bytes_text(sql, p == list ? "" : ", ");
                p += *p == ',';
                p += strspn(p, blanks);
                if (*p == '"') {
                        for (p++; *p && (*p != '"' || p[1] == '"'); p++)
                                bytes_append(&one, *p == '"' ? p++ : p, 1);
                        p += *p == '"';
                } else {
                        for (; *p && *p != ',' && !strchr(blanks, *p); p++)
                                bytes_append(&one, &(char){(char) tolower((unsigned char) *p)}, 1);
                }
                bytes_append(&one, "", 1);
                compose_literal(sql, (const char *) bytes_data(&one));
                bytes_free(&one);
                p += strspn(p, blanks);
        } while (*p == ',');
}

/* Not by set_config(): a SELECT takes the transaction's snapshot, which may be too early for it. */
static void append_set(struct bytes *sql, const char *name, const char *value, bool local)
{
        bytes_text(sql, local ? "SET LOCAL " : "SET ");
        compose_identifier(sql, name);
        bytes_text(sql, " = ");
        if (restore_quotes(name))
                append_names(sql, value);
        else
                compose_literal(sql, value);
}

/* The SETs of what it has led away from what the client said at its start, one after the other; `at` begins as 0. */
static bool next_set(const struct track_client *c, const struct doing *d, size_t *at, struct bytes *sql)
{
        const char *name, *value;
        while (settings_next(c->startup, at, &name, &value)) {
                if (!restore_settable(name) || is_spared(name, d->all) || !bytes_ascii(value, strlen(value)) ||
                    !(d->all || strcasecmp(name, d->name) == 0))
                        continue;
                append_set(sql, name, value, d->local);
                return true;
        }
        return false;
}

bool back_rewrite(const struct track_client *c, const struct track_server *t, const struct text_marks *marks,
                  const struct frame_piece *piece, struct bytes *message)
{
        struct doing d;
        struct bytes sql, set;
        size_t at = 0;
        bool leads = false;
        if (!may_be(c, marks) || t->status != 'T' || t->unsynced || !turns_own_only(&t->turns) || !frame_whole(piece))
                return false;
        const char *text = (const char *) frame_payload(piece);
        size_t size = is_one(text, strnlen(text, frame_payload_size(piece)), &d);
        if (!size)
                return false;
        bytes_init(&sql, 0);
        bytes_init(&set, 0);
        bytes_append(&sql, text, size);
        bytes_text(&sql, "\n");                 /* it may end with a comment */
        for (; next_set(c, &d, &at, &set); bytes_clear(&set), leads = true) {
                bytes_text(&sql, "; ");
                bytes_append(&sql, bytes_data(&set), bytes_length(&set));
        }
        bytes_append(&sql, "", 1);
        if (leads)
                compose_query(message, (const char *) bytes_data(&sql));
        bytes_free(&sql);
        bytes_free(&set);
        return leads;
}

bool back_swallows(struct track_server *t, uint8_t type)
{
        bool of_set = t->back == BACK_SET;
        if (t->back == BACK_NONE || type != 'C')
                return false;
        t->back = BACK_SET;
        return of_set;
}

/* The unnamed portal is another one then, but one that can't be executed again either. */
static void follow(struct track_server *t, const struct bytes *sql, struct bytes *out)
{
        static const enum turn_kind kinds[] = {TURN_CLOSE, TURN_PARSE, TURN_BIND, TURN_EXECUTE, TURN_CLOSE};
        compose_close(out, 'S', OWN_NAME);      /* of one that failed */
        compose_run(out, OWN_NAME, (const char *) bytes_data(sql), bytes_length(sql));
        compose_close(out, 'S', OWN_NAME);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
                turns_sent(&t->turns, kinds[i], TURN_BACK);
}

size_t back_follow(const struct track_client *c, struct track_server *t, const struct text_marks *marks,
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
                follow(t, &sql, out);
        }
        bytes_free(&sql);
        return replaced;
}
