#include "track/namesakes.h"

#include <string.h>
#include <strings.h>
#include "wire/compose.h"
#include "wire/sqllex.h"

#define NAMESAKES_MAX 16                /* of one text; others are not found */

struct names {
        struct sqllex lex;
        bool over;
        char name[SQLTOKEN_KEPT];
        char seen[NAMESAKES_MAX][SQLTOKEN_KEPT];        /* each is brought once */
        unsigned count;
};

static const struct sqltoken *next_token(struct names *n)
{
        const struct sqltoken *t = sqllex_next(&n->lex);
        if (t || n->over)
                return t;
        n->over = true;
        sqllex_feed(&n->lex, ";", 1);           /* ends an unfinished word, too */
        return sqllex_next(&n->lex);
}

static bool is_word(const struct sqltoken *t, const char *word)
{
        return t->kind == SQLTOKEN_WORD && t->length == strlen(word) && strncasecmp(t->text, word, t->length) == 0;
}

static void keep(struct names *n, const struct sqltoken *t)
{
        size_t size = t->length < sizeof n->name ? t->length : sizeof n->name - 1;
        for (size_t i = 0; i < size; i++) {
                char c = t->text[i];
                n->name[i] = t->kind == SQLTOKEN_WORD && c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
        }
        n->name[size] = 0;
}

/* What may be the name of a statement: behind EXECUTE or PREPARE. */
static bool next_name(struct names *n)
{
        const struct sqltoken *t;
        bool behind = false;
        while ((t = next_token(n))) {
                if (behind && (t->kind == SQLTOKEN_WORD || t->kind == SQLTOKEN_QUOTED)) {
                        keep(n, t);
                        return true;
                }
                behind = is_word(t, "execute") || is_word(t, "prepare");
        }
        return false;
}

/* A name of the broker's own is another one on servers. */
static bool possible(const char *name)
{
        return strncmp(name, TEXTS_PREFIX, sizeof TEXTS_PREFIX - 1) != 0;
}

static bool was_seen(const struct names *n)
{
        for (unsigned i = 0; i < n->count; i++) {
                if (strcmp(n->seen[i], n->name) == 0)
                        return true;
        }
        return false;
}

unsigned namesakes_in(const struct track_client *c, const char *sql, size_t size, struct bytes *out)
{
        struct names n = {.over = false};
        if (!statements_count(&c->statements))
                return 0;
        sqllex_init(&n.lex, false);
        sqllex_feed(&n.lex, sql, size);
        while (n.count < NAMESAKES_MAX && next_name(&n)) {
                const struct text *x = statements_meaning(&c->statements, n.name);
                if (!x || !x->key || !possible(n.name) || was_seen(&n))
                        continue;
                memcpy(n.seen[n.count++], n.name, sizeof n.name);
                if (!out)
                        continue;
                compose_close(out, 'S', n.name);
                compose_named_parse(out, n.name, x->body, x->size);
        }
        return n.count;
}

void namesakes_close(struct track_client *c, struct track_server *t, const char *name, struct bytes *out)
{
        if (!(c->pins.kinds & PIN_BIT(PIN_PREPARE)) || !possible(name))
                return;
        compose_close(out, 'S', name);
        turns_sent(&t->turns, TURN_CLOSE, TURN_STATEMENT);
        c->pins.doubt = true;
}
