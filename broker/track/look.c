#include "track/look.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/restore.h"
#include "wire/request.h"
#include "wire/sqlword.h"

/* Gathers what the lexer finds; with `apply`, it takes effect at once. */
struct finding {
        struct track_client *c;
        const struct settings *reported;
        uint32_t effects, pins;
        bool apply, executed;
        bool certain;                   /* the text has one reading: what ends state may be believed */
};

/* A parameter that servers report and that can be SET is followed, not pinned. */
static bool followed(const struct finding *f, const char *name)
{
        return name && restore_settable(name) && settings_get(f->reported, name);
}

static void apply_ending(struct finding *f, enum sql_effect effect, const char *name)
{
        struct track_client *c = f->c;
        bool resets = effect == SQL_RESET_ALL || effect == SQL_DISCARD_ALL || effect == SQL_RESET;
        if (effect == SQL_DISCARD_ALL || (resets && !f->certain))
                c->maybe_reset = true;
        if (!f->certain) {
                c->pins.doubt = true;
                return;
        }
        pins_see(&c->pins, effect, name);
        if (effect == SQL_RESET && name)
                snprintf(c->reset_one, sizeof c->reset_one, "%s", name);
        else if (resets)
                c->reset_all = true;
}

static void apply_effect(struct finding *f, enum sql_effect effect, const char *name)
{
        if (pins_kind_of(effect, name) >= 0)
                pins_see(&f->c->pins, effect, name);
        else if (f->executed)
                apply_ending(f, effect, name);
}

static void found(void *arg, enum sql_effect effect, const char *name)
{
        struct finding *f = arg;
        f->effects |= 1u << effect;
        if (effect == SQL_SET && name && strcmp(name, "standard_conforming_strings") == 0 && f->apply)
                f->c->two_readings = true;
        if (effect == SQL_SET && followed(f, name))
                return;
        int kind = pins_kind_of(effect, name);
        if (kind >= 0)
                f->pins |= PIN_BIT(kind);
        if (f->apply)
                apply_effect(f, effect, name);
}

static void read_one_way(struct finding *f, bool backslashes, const char *sql, size_t size)
{
        struct sqlword w;
        sqlword_init(&w, backslashes, found, f);
        if (f->c->two_readings)
                sqlword_encoding(&w, settings_get(f->c->wanted, "client_encoding"));
        sqlword_feed(&w, sql, size);
        sqlword_end(&w);
}

static void read_text(struct finding *f, const char *sql, size_t size)
{
        f->certain = !f->c->two_readings;
        read_one_way(f, false, sql, size);
        if (f->c->two_readings)
                read_one_way(f, true, sql, size);
}

static bool violation(struct error *e, const char *what)
{
        error_set(e, "08P01", "protocol violation: %s", what);
        return error_hint(e, "The client's driver sent a message that PostgreSQL would refuse, too.");
}

/* Finds the SQL text in a Query or Parse message, or in its first piece. */
static bool text_of(const struct frame_piece *piece, struct track_request *out, const char **sql,
                    size_t *size, struct error *e)
{
        const uint8_t *p = frame_payload(piece);
        size_t n = frame_payload_size(piece);
        bool partial = !piece->ends;
        if (piece->type == 'Q') {
                if (request_query(p, n, partial, sql, size) != FRAME_READY)
                        return violation(e, "a Query whose text does not end");
                return true;
        }
        struct request_parse parse;
        if (request_parse(p, n, partial, &parse) != FRAME_READY)
                return violation(e, "a malformed Parse");
        *sql = parse.query;
        *size = parse.query_size;
        out->unnamed = parse.name[0] == '\0';
        out->named = !out->unnamed;
        return true;
}

/* The lexer of a text that comes in pieces lives in the client from the first piece to the last. */
struct look_pieces {
        struct sqlword word, other;     /* the second for the other reading of '\' */
        struct finding finding;
        bool over;                      /* the text has ended; parameter types may follow */
};

static void feed_pieces(struct look_pieces *p, const char *text, size_t n)
{
        const char *nul = memchr(text, 0, n);
        if (p->over)
                return;
        size_t size = nul ? (size_t) (nul - text) : n;
        sqlword_feed(&p->word, text, size);
        sqlword_feed(&p->other, text, size);
        if (!nul)
                return;
        p->over = true;
        sqlword_end(&p->word);
        sqlword_end(&p->other);
}

static void begin_pieces(struct track_client *c, const char *sql, size_t size)
{
        struct look_pieces *p = own_new(struct look_pieces);
        free(c->lexer);
        c->lexer = p;
        p->finding.c = c;
        sqlword_init(&p->word, false, found, &p->finding);
        sqlword_init(&p->other, true, found, &p->finding);
        sqlword_encoding(&p->word, settings_get(c->wanted, "client_encoding"));
        sqlword_encoding(&p->other, settings_get(c->wanted, "client_encoding"));
        feed_pieces(p, sql, size);
}

static enum track_verdict look_text(struct track_client *c, const struct track_server *t,
                                    const struct frame_piece *piece, struct track_request *out,
                                    struct error *e)
{
        const char *sql;
        size_t size;
        if (!text_of(piece, out, &sql, &size, e))
                return TRACK_BAD;
        struct finding f = {.c = c, .reported = t ? t->reported : c->known};
        if (piece->ends) {
                read_text(&f, sql, size);
        } else {
                begin_pieces(c, sql, size);
        }
        if (out->named)
                f.pins |= PIN_BIT(PIN_STATEMENT);
        if (out->unnamed && piece->length > STATEMENTS_UNNAMED_MAX)
                f.pins |= PIN_BIT(PIN_UNNAMED);
        out->effects = f.effects;
        out->pins = f.pins & ~c->pins.kinds;
        return TRACK_FORWARD;
}

static bool look_names(const struct frame_piece *piece, struct track_request *out, struct error *e)
{
        const uint8_t *p = frame_payload(piece);
        size_t n = frame_payload_size(piece);
        struct request_bind bind;
        struct request_target target;
        struct request_execute execute;
        switch (piece->type) {
        case 'B':
                if (request_bind(p, n, !piece->ends, &bind) != FRAME_READY)
                        return violation(e, "a malformed Bind");
                out->unnamed = bind.statement[0] == '\0';
                return true;
        case 'D':
        case 'C':
                if (request_target(p, n, &target) != FRAME_READY)
                        return violation(e, "a malformed Describe or Close");
                out->unnamed = target.kind == 'S' && target.name[0] == '\0';
                out->named = target.kind == 'S' && target.name[0] != '\0';
                return true;
        case 'E':
                if (request_execute(p, n, &execute) != FRAME_READY)
                        return violation(e, "a malformed Execute");
                return true;
        default:
                return true;
        }
}

enum track_verdict track_look(struct track_client *c, const struct track_server *t,
                              const struct frame_piece *piece, struct track_request *out,
                              struct error *e)
{
        *out = (struct track_request){.type = piece->type, .begins = piece->begins,
                                      .ends = piece->ends, .whole = frame_whole(piece)};
        if (!piece->begins)
                return TRACK_FORWARD;
        switch (piece->type) {
        case 'X':
                return TRACK_GOODBYE;
        case 'S':
                return t ? TRACK_FORWARD : TRACK_ANSWER;
        case 'H':
        case 'd':
        case 'c':
        case 'f':
                /* Without a server there is no COPY: the rest of one that failed, ignored by
                 * PostgreSQL as well. */
                return t ? TRACK_FORWARD : TRACK_SWALLOW;
        case 'Q':
        case 'P':
                return look_text(c, t, piece, out, e);
        default:
                return look_names(piece, out, e) ? TRACK_FORWARD : TRACK_BAD;
        }
}

/* ---- taking effect ---- */

static void apply_text(struct track_client *c, const struct track_server *t,
                       const struct frame_piece *piece, bool executed)
{
        const char *sql;
        size_t size;
        struct error e;
        struct track_request ignored;
        expect(text_of(piece, &ignored, &sql, &size, &e));
        struct finding f = {.c = c, .reported = t->reported, .apply = true, .executed = executed};
        read_text(&f, sql, size);
}

/* A first piece: from here on what the lexer finds takes effect as it comes. */
static void apply_pieces(struct track_client *c, const struct track_server *t, bool executed)
{
        struct look_pieces *p = c->lexer;
        p->finding.reported = t->reported;
        p->finding.apply = true;
        p->finding.executed = executed;
        for (unsigned e = 0; e < SQL_EFFECT_COUNT; e++) {
                if (p->finding.effects & 1u << e)
                        apply_effect(&p->finding, (enum sql_effect) e, NULL);
        }
}

void look_apply(struct track_client *c, const struct track_server *t,
                          const struct track_request *r, const struct frame_piece *piece,
                          bool executed)
{
        if (!piece->ends)
                apply_pieces(c, t, executed);
        else if (r->effects)
                apply_text(c, t, piece, executed);
}

bool look_continue(struct track_client *c, const struct frame_piece *piece)
{
        struct look_pieces *p = c->lexer;
        feed_pieces(p, (const char *) piece->data, piece->size);
        if (piece->type == 'P')
                c->statements.named_effects |= p->finding.effects;
        if (!piece->ends)
                return false;
        free(p);
        c->lexer = NULL;
        return true;
}

void look_drop(struct track_client *c)
{
        free(c->lexer);
        c->lexer = NULL;
}

void look_execute(struct track_client *c, const struct track_server *t, uint32_t effects)
{
        struct finding f = {.c = c, .reported = t->reported, .apply = true, .executed = true};
        for (unsigned e = 0; effects && e < SQL_EFFECT_COUNT; e++) {
                /* A SET of an unknown name was judged when it was parsed. */
                if (effects & 1u << e && e != SQL_SET)
                        apply_effect(&f, (enum sql_effect) e, NULL);
        }
        if (effects & 1u << SQL_SET && c->pins.kinds & PIN_BIT(PIN_SET))
                pins_add(&c->pins, PIN_SET, NULL);
}
