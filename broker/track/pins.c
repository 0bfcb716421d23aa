#include "track/pins.h"

#include <stdio.h>
#include <string.h>
#include "base/own.h"
#include "wire/sqlbrief.h"

/* Operators are named with their schema: the client's search_path has no say in the answer. Written so,
 * all bind alike, from the left: hence the parentheses. */
const char pins_audit_sql[] =
        "(EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_backend_pid() AND locktype OPERATOR(pg_catalog.=) 'advisory'))::int4 "
        "OPERATOR(pg_catalog.+) (2 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_listening_channels()))::int4) "
        "OPERATOR(pg_catalog.+) (4 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql OR "
        "pg_catalog.left(name, 9) OPERATOR(pg_catalog.<>) 'pgbroker_'))::int4) "
        "OPERATOR(pg_catalog.+) (8 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable))::int4) "
        "OPERATOR(pg_catalog.+) (16 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) "
        "'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_my_temp_schema()))::int4) "
        "OPERATOR(pg_catalog.+) (32 OPERATOR(pg_catalog.*) "
        "(SELECT SESSION_USER OPERATOR(pg_catalog.<>) pg_catalog.pg_get_userbyid(usesysid) FROM "
        "pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))::int4)";

struct kind {
        const char *label;
        bool undone;
        uint32_t bit;
};

static const struct kind kinds[PIN_KINDS] = {
#define X(name, label, undone, bit) [PIN_##name] = {label, undone, bit},
        PINS_KINDS(X)
#undef X
};

#define EFFECT(e) (1u << SQL_##e)

/* Effects after which something audited may be gone. */
#define MAY_END                                                                                    \
        (EFFECT(UNLISTEN) | EFFECT(ADVISORY_UNLOCK) | EFFECT(CLOSE) | EFFECT(DEALLOCATE) |         \
         EFFECT(DROP) | EFFECT(DISCARD_TEMP) | EFFECT(DISCARD_ALL) | EFFECT(RESET))

static uint32_t audited_kinds(void)
{
        uint32_t mask = 0;
        for (unsigned k = 0; k < PIN_KINDS; k++)
                mask |= kinds[k].bit ? PIN_BIT(k) : 0;
        return mask;
}

static uint32_t undone_kinds(void)
{
        uint32_t mask = 0;
        for (unsigned k = 0; k < PIN_KINDS; k++)
                mask |= kinds[k].undone ? PIN_BIT(k) : 0;
        return mask;
}

void pins_init(struct pins *p)
{
        memset(p, 0, sizeof *p);
}

void pins_free(struct pins *p)
{
        free(p->query);
        pins_init(p);
}

/* A parameter of which the server can be asked does not pin. */
static int kind_of_parameter(const char *name)
{
        if (strcmp(name, "seed") == 0)
                return PIN_SEED;
        return strcmp(name, "session_authorization") == 0 ? PIN_AUTHORIZATION : -1;
}

int pins_kind_of(enum sql_effect effect, const char *name)
{
        switch (effect) {
        case SQL_SET:
                return name ? kind_of_parameter(name) : PIN_SET;
        case SQL_SET_CONFIG:
                return name ? kind_of_parameter(name) : PIN_SET_CONFIG;
        case SQL_TEMP:
                return PIN_TEMP;
        case SQL_LISTEN:
                return PIN_LISTEN;
        case SQL_ADVISORY:
                return PIN_ADVISORY;
        case SQL_HOLD_CURSOR:
                return PIN_CURSOR;
        case SQL_PREPARE:
                return PIN_PREPARE;
        case SQL_SEQUENCE:
                return PIN_SEQUENCE;
        case SQL_LOAD:
                return PIN_LOAD;
        case SQL_BACKUP:
                return PIN_BACKUP;
        default:
                return -1;
        }
}

void pins_add(struct pins *p, enum pin_kind kind)
{
        if (!(p->kinds & PIN_BIT(kind)))
                p->fresh |= PIN_BIT(kind);
        p->kinds |= PIN_BIT(kind);
        p->since_audit |= PIN_BIT(kind);
        p->reset_kinds &= ~PIN_BIT(kind);
}

void pins_found(struct pins *p, enum pin_kind kind)
{
        p->kinds |= PIN_BIT(kind);
        p->fresh &= ~PIN_BIT(kind);
}

void pins_add_all(struct pins *p, uint32_t which)
{
        for (unsigned k = 0; which && k < PIN_KINDS; k++) {
                if (which & PIN_BIT(k))
                        pins_add(p, (enum pin_kind) k);
        }
}

void pins_drop(struct pins *p, enum pin_kind kind)
{
        p->kinds &= ~PIN_BIT(kind);
        p->fresh &= ~PIN_BIT(kind);
}

/* What is ended is what came before: pins_add() takes it back. */
static void see_end(struct pins *p, enum sql_effect effect)
{
        p->ended |= 1u << effect;
        if (effect == SQL_DISCARD_ALL)
                p->reset_kinds |= PIN_BIT(PIN_SET) | PIN_BIT(PIN_SET_CONFIG);
        if (effect == SQL_DISCARD_SEQUENCES || effect == SQL_DISCARD_ALL)
                p->reset_kinds |= PIN_BIT(PIN_SEQUENCE);
}

void pins_see(struct pins *p, enum sql_effect effect, const char *name)
{
        int kind = pins_kind_of(effect, name);
        if (kind >= 0)
                pins_add(p, (enum pin_kind) kind);
        else
                see_end(p, effect);
}

static void forget_query(struct pins *p)
{
        if (!(p->query_kinds & p->kinds))
                free(TAKE(p->query));
}

void pins_settle(struct pins *p, enum pins_outcome outcome)
{
        if (outcome == PINS_UNDONE && p->ended & EFFECT(CALL))
                outcome = PINS_MIXED;           /* it may have committed */
        if (outcome == PINS_DONE)
                p->kinds &= ~p->reset_kinds;
        else if (outcome == PINS_UNDONE)
                p->kinds &= ~(p->fresh & undone_kinds());
        if (p->kinds && (p->ended & MAY_END || outcome != PINS_DONE))
                p->doubt = true;
        p->fresh = p->ended = p->reset_kinds = 0;
        forget_query(p);
}

bool pins_want_audit(const struct pins *p)
{
        return p->doubt && p->kinds & audited_kinds() && !(p->kinds & PIN_BIT(PIN_UNNAMED));
}

void pins_audit_sent(struct pins *p)
{
        p->doubt = false;
        p->since_audit = 0;
}

void pins_audited(struct pins *p, uint32_t bits)
{
        uint32_t unexplained = bits;
        for (unsigned k = 0; k < PIN_KINDS; k++) {
                if (kinds[k].bit && !(kinds[k].bit & bits) && !(p->since_audit & PIN_BIT(k)))
                        pins_drop(p, (enum pin_kind) k);
                if (p->kinds & PIN_BIT(k))
                        unexplained &= ~kinds[k].bit;
        }
        /* What is there that nobody had seen coming. */
        for (unsigned k = 0; bits != UINT32_MAX && k < PIN_KINDS; k++) {
                if (kinds[k].bit & unexplained)
                        p->kinds |= PIN_BIT(k);
                unexplained &= ~kinds[k].bit;
        }
        forget_query(p);
}

const char *pins_reason(const struct pins *p)
{
        for (unsigned k = 0; k < PIN_KINDS; k++) {
                if (p->kinds & PIN_BIT(k))
                        return kinds[k].label;
        }
        return "";
}

const char *pins_reasons(const struct pins *p, char *text, size_t size)
{
        size_t at = 0;
        text[0] = '\0';
        for (unsigned k = 0; k < PIN_KINDS && at < size; k++) {
                if (!(p->kinds & PIN_BIT(k)))
                        continue;
                int n = snprintf(text + at, size - at, "%s%s", at ? ", " : "", kinds[k].label);
                at += n > 0 ? (size_t) n : 0;
        }
        return text;
}

/* ---- which statement it was ---- */

#define SHOWN 120                       /* bytes of a statement */

static void found(void *arg, enum sql_effect effect, const char *name)
{
        int kind = pins_kind_of(effect, name);
        *(uint32_t *) arg |= kind >= 0 ? PIN_BIT(kind) : 0;
}

static uint32_t kinds_in(const char *sql, size_t size)
{
        struct sqlword w;
        uint32_t which = 0;
        sqlword_init(&w, false, found, &which);
        sqlword_feed(&w, sql, size);
        sqlword_end(&w);
        return which;
}

void pins_note(struct pins *p, uint32_t which, const char *sql, size_t size)
{
        char brief[SHOWN + 1];
        size_t at = 0, used;
        if (p->query && p->query_kinds & p->kinds)
                return;
        free(p->query);
        /* If it is none alone (its name or its length pins), the first. */
        do {
                used = sqlbrief(sql + at, size - at, brief, sizeof brief);
                if (kinds_in(sql + at, used) & which)
                        break;
                at += used;
        } while (at < size);
        if (at == size)
                sqlbrief(sql, size, brief, sizeof brief);
        p->query = own_string(brief);
        p->query_kinds = which;
}

bool pins_indelible(const struct pins *p)
{
        return p->kinds & (PIN_BIT(PIN_LOAD) | PIN_BIT(PIN_SEED) | PIN_BIT(PIN_BACKUP));
}
