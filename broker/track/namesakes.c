#include "track/namesakes.h"

#include <string.h>
#include "track/bring.h"
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

/* What may be the name of a statement: behind EXECUTE or PREPARE. */
static bool next_name(struct names *n)
{
        const struct sqltoken *t;
        bool behind = false;
        while ((t = sqllex_walk(&n->lex, &n->over))) {
                if (behind && (t->kind == SQLTOKEN_WORD || t->kind == SQLTOKEN_QUOTED)) {
                        sqltoken_name(t, n->name);
                        return true;
                }
                behind = sqltoken_is(t, "execute") || sqltoken_is(t, "prepare");
        }
        return false;
}

/* A name of the broker's own is another one on servers. */
static bool possible(const char *name)
{
        return !text_name(name);
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

static bool pinned(const struct track_client *c)
{
        return c->pins.kinds & PIN_BIT(PIN_PREPARE);
}

/* An empty statement of that name: the server refuses it in its own words if the name is taken. */
void namesakes_probe(const struct track_client *c, struct track_server *t, const char *name, struct bytes *out)
{
        if (!pinned(c) || t->soiled || !possible(name))
                return;
        bring_empty(t, name, out);
        bring_close(t, name, out);
}

void namesakes_close(struct track_client *c, struct track_server *t, const char *name, struct bytes *out)
{
        /* A DEALLOCATE that failed leaves an empty statement of that name, and a server to be reset. */
        if (!(pinned(c) || t->soiled) || !possible(name))
                return;
        bring_close(t, name, out);
        c->pins.doubt = c->pins.doubt || pinned(c);
}
