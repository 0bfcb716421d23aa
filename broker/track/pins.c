#include "track/pins.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/own.h"

/* Operators are named with their schema: the client's search_path has no say in the answer. Written so,
 * all bind alike, from the left: hence the parentheses. */
const char pins_audit_sql[] =
        "SELECT (EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_backend_pid() AND locktype OPERATOR(pg_catalog.=) 'advisory'))::int4 "
        "OPERATOR(pg_catalog.+) (2 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_listening_channels()))::int4) "
        "OPERATOR(pg_catalog.+) (4 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_prepared_statements))::int4) "
        "OPERATOR(pg_catalog.+) (8 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable))::int4) "
        "OPERATOR(pg_catalog.+) (16 OPERATOR(pg_catalog.*) "
        "(EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_my_temp_schema()) OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE "
        "pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) OR EXISTS (SELECT FROM "
        "pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_my_temp_schema()))::int4)";

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
         EFFECT(DROP) | EFFECT(DISCARD_TEMP) | EFFECT(DISCARD_ALL))

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

static void forget_names(struct pins *p, uint16_t which)
{
        for (unsigned i = 0; i < PINS_NAMES; i++) {
                if (!(which & 1u << i))
                        continue;
                p->forgotten = p->forgotten || p->name[i];
                free(p->name[i]);
                p->name[i] = NULL;
                p->fresh_names &= (uint16_t) ~(1u << i);
        }
}

void pins_free(struct pins *p)
{
        forget_names(p, UINT16_MAX);
        pins_init(p);
}

static bool any_name(const struct pins *p)
{
        for (unsigned i = 0; i < PINS_NAMES; i++) {
                if (p->name[i])
                        return true;
        }
        return p->many_names;
}

int pins_kind_of(enum sql_effect effect, const char *name)
{
        switch (effect) {
        case SQL_SET:
                return name && strcmp(name, "seed") == 0 ? PIN_SEED : PIN_SET;
        case SQL_SET_CONFIG:
                return PIN_SET_CONFIG;
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

static void add_name(struct pins *p, const char *name)
{
        int empty = -1;
        for (int i = 0; name && i < PINS_NAMES; i++) {
                if (!p->name[i]) {
                        empty = i;
                } else if (strcasecmp(p->name[i], name) == 0) {
                        p->reset_names &= (uint16_t) ~(1u << i);
                        return;
                }
        }
        if (empty < 0) {
                p->many_names = true;
                p->reset_many = false;
                return;
        }
        p->name[empty] = own_string(name);
        p->fresh_names |= (uint16_t) (1u << empty);
}

void pins_add(struct pins *p, enum pin_kind kind, const char *name)
{
        if (!(p->kinds & PIN_BIT(kind)))
                p->fresh |= PIN_BIT(kind);
        p->kinds |= PIN_BIT(kind);
        p->since_audit |= PIN_BIT(kind);
        p->reset_kinds &= ~PIN_BIT(kind);
        if (kind == PIN_SET)
                add_name(p, name);
}

void pins_add_again(struct pins *p, uint32_t which)
{
        bool known = p->kinds & PIN_BIT(PIN_SET) && !p->forgotten && !p->reset_names;
        for (unsigned k = 0; which && k < PIN_KINDS; k++) {
                if (which & PIN_BIT(k) && !(k == PIN_SET && known))
                        pins_add(p, (enum pin_kind) k, NULL);
        }
}

void pins_drop(struct pins *p, enum pin_kind kind)
{
        p->kinds &= ~PIN_BIT(kind);
        p->fresh &= ~PIN_BIT(kind);
}

bool pins_may_set(const struct pins *p, const char *name)
{
        for (unsigned i = 0; i < PINS_NAMES; i++) {
                if (p->name[i] && strcasecmp(p->name[i], name) == 0)
                        return true;
        }
        return p->many_names || p->kinds & PIN_BIT(PIN_SET_CONFIG);
}

static void reset_name(struct pins *p, const char *name)
{
        for (unsigned i = 0; i < PINS_NAMES; i++) {
                if (p->name[i] && strcasecmp(p->name[i], name) == 0)
                        p->reset_names |= (uint16_t) (1u << i);
        }
}

/* RESET ALL leaves these two alone. */
static bool survives_reset_all(const char *name)
{
        return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

static void reset_all(struct pins *p, bool discard)
{
        for (unsigned i = 0; i < PINS_NAMES; i++) {
                if (p->name[i] && (discard || !survives_reset_all(p->name[i])))
                        p->reset_names |= (uint16_t) (1u << i);
        }
        p->reset_kinds |= PIN_BIT(PIN_SET_CONFIG);
        p->reset_many = p->reset_many || discard;
}

/* What is ended is what came before: pins_add() takes it back. */
static void see_end(struct pins *p, enum sql_effect effect, const char *name)
{
        p->ended |= 1u << effect;
        if (effect == SQL_RESET && name)
                reset_name(p, name);
        if (effect == SQL_RESET_ALL || effect == SQL_DISCARD_ALL)
                reset_all(p, effect == SQL_DISCARD_ALL);
        if (effect == SQL_DISCARD_SEQUENCES || effect == SQL_DISCARD_ALL)
                p->reset_kinds |= PIN_BIT(PIN_SEQUENCE);
}

void pins_see(struct pins *p, enum sql_effect effect, const char *name)
{
        int kind = pins_kind_of(effect, name);
        if (kind >= 0)
                pins_add(p, (enum pin_kind) kind, name);
        else
                see_end(p, effect, name);
}

static void done(struct pins *p)
{
        p->kinds &= ~p->reset_kinds;
        p->many_names = p->many_names && !p->reset_many;
        forget_names(p, p->reset_names);
}

static void undone(struct pins *p)
{
        p->many_names = p->many_names && !(p->fresh & PIN_BIT(PIN_SET));
        p->kinds &= ~(p->fresh & undone_kinds());
        forget_names(p, p->fresh_names);
}

void pins_settle(struct pins *p, enum pins_outcome outcome)
{
        if (outcome == PINS_DONE)
                done(p);
        else if (outcome == PINS_UNDONE)
                undone(p);
        if (!any_name(p))
                pins_drop(p, PIN_SET);
        if (p->kinds && (p->ended & MAY_END || outcome != PINS_DONE))
                p->doubt = true;
        p->fresh = p->ended = p->reset_kinds = 0;
        p->fresh_names = p->reset_names = 0;
        p->reset_many = false;
        p->forgotten = p->forgotten && p->kinds;
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
}

const char *pins_reason(const struct pins *p, char *text, size_t size)
{
        const char *label = "", *name = "";
        for (int k = PIN_KINDS - 1; k >= 0; k--) {
                if (p->kinds & PIN_BIT(k))
                        label = kinds[k].label;
        }
        for (unsigned i = 0; p->kinds & PIN_BIT(PIN_SET) && i < PINS_NAMES; i++) {
                if (p->name[i])
                        name = p->name[i];
        }
        snprintf(text, size, "%s%s%s", label, *name ? " " : "", name);
        return text;
}

bool pins_indelible(const struct pins *p)
{
        return p->kinds & (PIN_BIT(PIN_LOAD) | PIN_BIT(PIN_SEED) | PIN_BIT(PIN_BACKUP));
}
