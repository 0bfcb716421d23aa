#include "wire/sqlword.h"

#include <string.h>
#include "wire/sqlname.h"

/* Where in a statement the judge is. */
enum state {
        FIRST,                  /* its first word comes */
        REST,                   /* nothing more to learn but functions and INTO TEMP */
        PARAMETER,              /* of SET or RESET */
        DISCARD,
        DEALLOCATE,
        CREATE,
        TABLE,                  /* CREATE TABLE ... AS EXECUTE */
        AS,
        TEMP_TABLE,             /* and views, and so on */
        FUNCTION,
        DECLARE,
        PREPARE,
        PREPARE_TRANSACTION,
        END,                    /* COMMIT or ROLLBACK, but not PREPARED */
        EXPLAIN,
        BLOCK                   /* DO: any word may begin something */
};

static void found(struct sqlword *w, enum sql_effect effect, const char *name)
{
        w->found(w->arg, effect, name);
}

static bool is(const struct sqlword *w, enum sqlname name)
{
        return w->name_id == name;
}

/* --- statements --- */

/* How a statement begins: what is found at once, and where it goes on. */
static const struct {
        uint8_t found;          /* effect + 1 */
        uint8_t state;
        uint8_t pending;
} openings[SQLNAME_COUNT] = {
#define FOUND(effect) SQL_##effect + 1, REST, 0
        [SQLNAME_BEGIN] = {FOUND(BEGIN)}, [SQLNAME_START] = {FOUND(BEGIN)},
        [SQLNAME_CALL] = {FOUND(CALL)}, [SQLNAME_CLOSE] = {FOUND(CLOSE)}, [SQLNAME_COPY] = {FOUND(COPY)},
        [SQLNAME_DROP] = {FOUND(DROP)},
        [SQLNAME_EXECUTE] = {FOUND(EXECUTE)},
        [SQLNAME_LISTEN] = {FOUND(LISTEN)},
        [SQLNAME_LOAD] = {FOUND(LOAD)},
        [SQLNAME_UNLISTEN] = {FOUND(UNLISTEN)},
        [SQLNAME_COMMIT] = {0, END, SQL_COMMIT}, [SQLNAME_END] = {0, END, SQL_COMMIT},
        [SQLNAME_ROLLBACK] = {0, END, SQL_ROLLBACK}, [SQLNAME_ABORT] = {0, END, SQL_ROLLBACK},
        [SQLNAME_CREATE] = {0, CREATE, 0},
        [SQLNAME_DEALLOCATE] = {0, DEALLOCATE, 0},
        [SQLNAME_DECLARE] = {0, DECLARE, 0},
        [SQLNAME_DISCARD] = {0, DISCARD, 0},
        [SQLNAME_DO] = {SQL_CALL + 1, BLOCK, 0},
        [SQLNAME_EXPLAIN] = {0, EXPLAIN, 0},
        [SQLNAME_PREPARE] = {0, PREPARE, 0},
        [SQLNAME_RESET] = {0, PARAMETER, 0},
        [SQLNAME_SET] = {0, PARAMETER, 0},
};

static void step_first(struct sqlword *w, const struct sqltoken *t)
{
        if (t->mark == '(' || t->mark == ';')
                return;
        w->state = REST;
        if (t->kind != SQLTOKEN_WORD)
                return;
        if (w->atomic && is(w, SQLNAME_END)) {          /* of the function's body */
                w->atomic = false;
                return;
        }
        if (openings[w->name_id].found)
                found(w, openings[w->name_id].found - 1, NULL);
        if (openings[w->name_id].state)
                w->state = openings[w->name_id].state;
        w->pending = openings[w->name_id].pending;
        if (w->state == PARAMETER)
                sqlset_begin(&w->set, is(w, SQLNAME_RESET));
        w->setting = is(w, SQLNAME_SET);
        w->block = w->state == BLOCK;
        w->lex.quote.inner = w->setting || w->block;
}

/* In a DO block only what is plainly a SET is believed, and nothing that ends state. */
static void step_parameter(struct sqlword *w, const struct sqltoken *t)
{
        enum sqlset_verdict v = sqlset_step(&w->set, t, w->name_id);
        if (v == SQLSET_MORE)
                return;
        w->state = w->block ? BLOCK : REST;
        if (v == SQLSET_RESET_ALL)
                found(w, SQL_RESET_ALL, NULL);
        else if (v == SQLSET_RESET_LOCAL)
                found(w, SQL_RESET_LOCAL, w->set.name);
        else if (v == SQLSET_RESET && !w->block)
                found(w, SQL_RESET, w->set.name);
        else if (v == SQLSET_NOTHING && w->set.local)
                found(w, SQL_SET_LOCAL, w->set.name);
        else if (v == SQLSET_SET || v == SQLSET_RESET || (v == SQLSET_UNSURE && !w->block))
                found(w, SQL_SET, w->set.name);
        if (v != SQLSET_NOTHING && v != SQLSET_RESET_LOCAL && (w->set.cut || (v == SQLSET_UNSURE && w->block)))
                found(w, SQL_SET_CONFIG, NULL);
}

static void step_discard(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        w->state = REST;
        if (is(w, SQLNAME_ALL))
                found(w, SQL_DISCARD_ALL, NULL);
        else if (is(w, SQLNAME_TEMP) || is(w, SQLNAME_TEMPORARY))
                found(w, SQL_DISCARD_TEMP, NULL);
        else if (is(w, SQLNAME_SEQUENCES))
                found(w, SQL_DISCARD_SEQUENCES, NULL);
}

static void step_deallocate(struct sqlword *w, const struct sqltoken *t)
{
        if (is(w, SQLNAME_PREPARE))
                return;
        w->state = REST;
        if (is(w, SQLNAME_ALL) || (t->kind != SQLTOKEN_WORD && t->kind != SQLTOKEN_QUOTED)) {
                found(w, SQL_DEALLOCATE, NULL);
                return;
        }
        sqltoken_name(t, w->set.name);
        found(w, SQL_DEALLOCATE, w->set.name);
}

static void step_create(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        switch (w->name_id) {
        case SQLNAME_OR:
        case SQLNAME_REPLACE:
        case SQLNAME_GLOBAL:
        case SQLNAME_LOCAL:
        case SQLNAME_UNLOGGED:
                return;
        case SQLNAME_TEMP:
        case SQLNAME_TEMPORARY:
                w->dropped = false;
                w->state = TEMP_TABLE;
                return;
        case SQLNAME_TABLE:
                w->state = TABLE;
                return;
        case SQLNAME_FUNCTION:
        case SQLNAME_PROCEDURE:
                w->state = FUNCTION;
                return;
        default:
                w->state = REST;
        }
}

static void step_table(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        if (is(w, SQLNAME_AS) && w->depth == 0)
                w->state = AS;
}

static void step_as(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        w->state = REST;
        if (is(w, SQLNAME_EXECUTE))
                found(w, SQL_EXECUTE, NULL);
}

static void step_temp_table(struct sqlword *w, const struct sqltoken *t)
{
        if (is(w, SQLNAME_DROP) && w->before == SQLNAME_COMMIT && w->depth == 0)
                w->dropped = true;
        bool as = is(w, SQLNAME_AS) && w->depth == 0;
        if (!as && t->mark != ';')
                return;
        w->state = as ? AS : REST;
        if (!w->dropped)
                found(w, SQL_TEMP, NULL);
}

/* The statements of BEGIN ATOMIC ... END are ended by semicolons, too. */
static void step_function(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        if (is(w, SQLNAME_ATOMIC) && w->before == SQLNAME_BEGIN && w->depth == 0) {
                w->atomic = true;
                w->state = FIRST;
        }
}

static void step_declare(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        if (is(w, SQLNAME_HOLD) && w->before == SQLNAME_WITH)
                found(w, SQL_HOLD_CURSOR, NULL);
        if (is(w, SQLNAME_FOR))
                w->state = REST;
}

static void step_prepare(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        w->state = PREPARE_TRANSACTION;
        if (is(w, SQLNAME_TRANSACTION))
                return;
        w->state = REST;
        found(w, SQL_PREPARE, NULL);
}

static void step_prepare_transaction(struct sqlword *w, const struct sqltoken *t)
{
        w->state = REST;
        found(w, t->kind == SQLTOKEN_STRING ? SQL_COMMIT : SQL_PREPARE, NULL);
}

static void step_end(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        w->state = REST;
        if (!is(w, SQLNAME_PREPARED))
                found(w, w->pending, NULL);
}

static void step_explain(struct sqlword *w, const struct sqltoken *t)
{
        if (w->depth > 0 || t->kind != SQLTOKEN_WORD || is(w, SQLNAME_ANALYZE) ||
            is(w, SQLNAME_ANALYSE) || is(w, SQLNAME_VERBOSE))
                return;
        step_first(w, t);
}

static void step_block(struct sqlword *w, const struct sqltoken *t)
{
        (void) t;
        switch (w->name_id) {
        case SQLNAME_SET:
                sqlset_begin(&w->set, false);
                w->state = PARAMETER;
                break;
        case SQLNAME_LISTEN:
                found(w, SQL_LISTEN, NULL);
                break;
        case SQLNAME_TEMP:
        case SQLNAME_TEMPORARY:
                found(w, SQL_TEMP, NULL);
                break;
        case SQLNAME_PREPARE:
                found(w, SQL_PREPARE, NULL);
                break;
        case SQLNAME_LOAD:
                found(w, SQL_LOAD, NULL);
                break;
        case SQLNAME_HOLD:
                if (w->before == SQLNAME_WITH)
                        found(w, SQL_HOLD_CURSOR, NULL);
                break;
        }
}

static void (*const steps[])(struct sqlword *w, const struct sqltoken *t) = {
        [FIRST] = step_first,
        [PARAMETER] = step_parameter,
        [DISCARD] = step_discard,
        [DEALLOCATE] = step_deallocate,
        [CREATE] = step_create,
        [TABLE] = step_table,
        [AS] = step_as,
        [TEMP_TABLE] = step_temp_table,
        [FUNCTION] = step_function,
        [DECLARE] = step_declare,
        [PREPARE] = step_prepare,
        [PREPARE_TRANSACTION] = step_prepare_transaction,
        [END] = step_end,
        [EXPLAIN] = step_explain,
        [BLOCK] = step_block,
};

static void end_statement(struct sqlword *w)
{
        static const struct sqltoken semicolon = {.kind = SQLTOKEN_MARK, .mark = ';'};
        w->name_id = SQLNAME_NONE;
        if (w->state != REST)
                steps[w->state](w, &semicolon);
        w->state = FIRST;
        w->setting = w->block = w->into = w->lex.quote.inner = false;
        w->depth = 0;
}

/* --- anywhere --- */

static void end_config(struct sqlword *w)
{
        bool local = sqlconfig_end(&w->arguments);
        w->following = !local && w->arguments.column;
        const char *name = w->arguments.name[0] ? w->arguments.name : NULL;
        if (!w->following)
                found(w, local ? SQL_SET_LOCAL : w->arguments.null && name ? SQL_RESET : SQL_SET_CONFIG, name);
        w->config = 0;
        w->lex.quote.inner = w->setting || w->block;
}

static void follow_config(struct sqlword *w, const struct sqltoken *t)
{
        enum sqlconfig_verdict v = sqlconfig_follow(&w->arguments, t);
        w->following = v == SQLCONFIG_MORE;
        if (!w->following)
                found(w, SQL_SET_CONFIG, v == SQLCONFIG_KNOWN ? w->arguments.name : NULL);
}

static void begin_config(struct sqlword *w)
{
        if (w->block || w->config)              /* can't be followed: not plain */
                found(w, SQL_SET_CONFIG, NULL);
        if (w->block)
                return;
        w->config = w->depth;
        sqlconfig_begin(&w->arguments);
        w->lex.quote.inner = true;              /* for a pg_temp */
}

/* What a call of a function does: effect + 1. */
static const uint8_t calls[SQLNAME_COUNT] = {
        [SQLNAME_SET_CONFIG] = SQL_SET_CONFIG + 1,
        [SQLNAME_SETSEED] = SQL_SET + 1,
        [SQLNAME_SET_LIMIT] = SQL_SET + 1,
        [SQLNAME_LOCK] = SQL_ADVISORY + 1,
        [SQLNAME_LOCK_SHARED] = SQL_ADVISORY + 1,
        [SQLNAME_TRY_LOCK] = SQL_ADVISORY + 1,
        [SQLNAME_TRY_LOCK_SHARED] = SQL_ADVISORY + 1,
        [SQLNAME_UNLOCK] = SQL_ADVISORY_UNLOCK + 1,
        [SQLNAME_UNLOCK_SHARED] = SQL_ADVISORY_UNLOCK + 1,
        [SQLNAME_UNLOCK_ALL] = SQL_ADVISORY_UNLOCK + 1,
        [SQLNAME_CURRVAL] = SQL_CURRVAL + 1,
        [SQLNAME_LASTVAL] = SQL_CURRVAL + 1,
        [SQLNAME_NEXTVAL] = SQL_SEQUENCE + 1,
        [SQLNAME_SETVAL] = SQL_SEQUENCE + 1,
        [SQLNAME_BACKUP_START] = SQL_BACKUP + 1,
        [SQLNAME_START_BACKUP] = SQL_BACKUP + 1,
        [SQLNAME_COPY_LOGICAL] = SQL_BACKUP + 1,
        [SQLNAME_COPY_PHYSICAL] = SQL_BACKUP + 1,
        [SQLNAME_CREATE_LOGICAL] = SQL_BACKUP + 1,
        [SQLNAME_CREATE_PHYSICAL] = SQL_BACKUP + 1,
        [SQLNAME_ORIGIN] = SQL_BACKUP + 1,
        [SQLNAME_DBLINK_CONNECT] = SQL_BACKUP + 1,
        [SQLNAME_DBLINK_CONNECT_U] = SQL_BACKUP + 1,
};

static void call(struct sqlword *w, enum sqlname name)
{
        if (name == SQLNAME_SET_CONFIG)
                begin_config(w);
        else if (name == SQLNAME_SETSEED)
                found(w, SQL_SET, "seed");
        else if (name == SQLNAME_SET_LIMIT)
                found(w, SQL_SET, "pg_trgm.similarity_threshold");
        else if (calls[name])
                found(w, calls[name] - 1, NULL);
}

/* Within set_config(). */
static void step_config(struct sqlword *w, const struct sqltoken *t)
{
        if (t->kind == SQLTOKEN_INNER_WORD || t->kind == SQLTOKEN_INNER_MARK)
                return;
        if (w->depth == w->config && t->mark == ')')
                end_config(w);
        else
                sqlconfig_step(&w->arguments, t, w->name_id, w->depth == w->config);
}

/* An escape in its value may be a part of pg_temp. */
static bool sets_path(const struct sqlword *w)
{
        return strcmp(w->config ? w->arguments.name : w->setting ? w->set.name : "", "search_path") == 0;
}

static void step_mark(struct sqlword *w, const struct sqltoken *t)
{
        bool inner = t->kind == SQLTOKEN_INNER_MARK;
        if (t->mark == '(') {
                w->depth += !inner;
                call(w, w->before);
        } else if (t->mark == ')' && !inner) {
                w->depth -= w->depth > 0;
        } else if (t->mark == '.' && w->before == SQLNAME_PG_TEMP) {
                found(w, SQL_TEMP, NULL);
        } else if (t->mark == '\\' && inner && (w->block || sets_path(w))) {
                found(w, w->block ? SQL_SET_CONFIG : SQL_TEMP, NULL);
        }
}

static void step_word(struct sqlword *w)
{
        switch (w->name_id) {
        case SQLNAME_PG_TEMP:
                if (w->setting || w->block || w->config)
                        found(w, SQL_TEMP, NULL);
                break;
        case SQLNAME_UESCAPE:                   /* of U&"": what it spells is not known */
                if (w->kind_before == SQLTOKEN_QUOTED && w->lex.quote.unicode)
                        found(w, SQL_SET_CONFIG, NULL);
                break;
        case SQLNAME_UPDATE:                    /* ONLY pg_catalog.pg_settings */
                w->target = 4;
                break;
        case SQLNAME_PG_SETTINGS:               /* a rule of it calls set_config() */
                if (w->target)
                        found(w, SQL_SET_CONFIG, NULL);
                break;
        case SQLNAME_TEMP:
        case SQLNAME_TEMPORARY:
                if (w->into)
                        found(w, SQL_TEMP, NULL);
                break;
        }
        if (w->name_id != SQLNAME_LOCAL && w->name_id != SQLNAME_GLOBAL)
                w->into = is(w, SQLNAME_INTO) && w->before != SQLNAME_INSERT &&
                          w->before != SQLNAME_MERGE;
}

/* Quoted, no word is a key word, and upper case letters are others. */
static enum sqlname name_of(const struct sqltoken *t)
{
        if (t->kind == SQLTOKEN_WORD || t->kind == SQLTOKEN_INNER_WORD)
                return sqlname_find(t->text, t->length, true);
        if (t->kind != SQLTOKEN_QUOTED)
                return SQLNAME_NONE;
        enum sqlname name = sqlname_find(t->text, t->length, false);
        return calls[name] || name == SQLNAME_PG_TEMP || name == SQLNAME_PG_SETTINGS ? name : SQLNAME_NONE;
}

static void look(struct sqlword *w, const struct sqltoken *t)
{
        w->before = w->lex.skipped ? SQLNAME_NONE : w->name_id;
        w->lex.skipped = false;
        w->name_id = name_of(t);
        if (w->following)
                follow_config(w, t);
        if (w->config)
                step_config(w, t);
        if (t->mark)
                step_mark(w, t);
        if (w->name_id != SQLNAME_NONE)
                step_word(w);
        else
                w->into = false;
        w->target -= w->target > 0 && !is(w, SQLNAME_UPDATE);
        bool inner = t->kind == SQLTOKEN_INNER_WORD || t->kind == SQLTOKEN_INNER_MARK;
        if (t->mark == ';' && !inner && w->depth == 0)
                end_statement(w);
        else if (w->state != REST && (w->block || !inner))
                steps[w->state](w, t);
        w->kind_before = t->kind;
}

void sqlword_init(struct sqlword *w, bool backslashes, sqlword_found *callback, void *arg)
{
        memset(w, 0, offsetof(struct sqlword, lex));
        sqllex_init(&w->lex, backslashes);
        w->found = callback;
        w->arg = arg;
}

void sqlword_feed(struct sqlword *w, const char *text, size_t n)
{
        const struct sqltoken *t;
        sqllex_feed(&w->lex, text, n);
        while ((t = sqllex_next(&w->lex))) {
                look(w, t);
                w->lex.dull = w->state == REST && !w->config && !w->following && !w->into &&
                              w->name_id == SQLNAME_NONE;
        }
}

void sqlword_end(struct sqlword *w)
{
        sqlword_feed(w, ";", 1);        /* ends an unfinished word, too */
        if (w->config)
                end_config(w);
        if (w->following)
                found(w, SQL_SET_CONFIG, NULL);
        end_statement(w);
}

const char *sqlword_label(enum sql_effect effect)
{
        static const char *const labels[] = {
#define X(name, text) [SQL_##name] = #name,
                SQL_EFFECTS(X)
#undef X
        };
        return labels[effect];
}
