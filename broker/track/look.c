#include "track/look.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/again.h"
#include "track/audit.h"
#include "track/fit.h"
#include "track/named.h"
#include "track/namesakes.h"
#include "track/reading.h"
#include "track/restore.h"
#include "wire/request.h"
#include "wire/sqlword.h"

#define EFFECT(e) (1u << SQL_##e)

/* Effects that end what only the broker knows of. The others are asked about, so that it is enough
 * to know that they may have happened. */
#define RESETS (EFFECT(RESET) | EFFECT(RESET_ALL) | EFFECT(DISCARD_ALL))
#define ENDINGS (RESETS | EFFECT(DISCARD_SEQUENCES))
#define NAMING  (EFFECT(EXECUTE) | EFFECT(PREPARE))
#define SETS    (EFFECT(SET) | EFFECT(SET_CONFIG))
#define LOCALS  (EFFECT(SET_LOCAL) | EFFECT(RESET_LOCAL))

/* Gathers what the lexer finds; with `apply`, it takes effect at once. */
struct finding {
        struct track_client *c;
        const struct settings *reported;
        struct text_marks marks;
        bool apply, executed, pieces;
        bool certain;                   /* the text has one reading: what ends state may be believed */
};

/* A parameter that servers report and that can be SET is followed: nobody need be asked. */
static void set(struct track_client *c, const struct settings *reported, const char *name)
{
        bool followed = restore_settable(name) && settings_get(reported, name);
        if (followed)
                settings_put(&c->own, name, "");
        /* What is being asked about it was asked before this. */
        if (!followed || settings_get(c->asked, name))
                audit_touch(c, name, false);
}

/* It will be SET when the text is executed, whenever that is. */
static void remember(struct track_client *c, const char *name)
{
        struct statements *s = &c->statements;
        if (settings_count(s->names) < STATEMENTS_NAMES)
                settings_put(&s->names, name, "");
        else if (!settings_get(s->names, name))
                pins_add(&c->pins, PIN_SET);
}

/* Texts may be read otherwise from here on. `name` NULL: any parameter may be another one. */
static void reread(struct track_client *c, const char *name)
{
        c->rereads = c->rereads || !name || reading_depends(name);
}

/* A RESET of it, or DISCARD ALL; RESET ALL leaves it. */
static void discard_role(struct track_client *c)
{
        if (restore_own(c, "role") || settings_get(c->touched, "role") || settings_get(c->asked, "role"))
                audit_touch(c, "role", true);
}

/* Something of this may happen, in an order and with names that aren't known. */
static void apply_marks(struct track_client *c, const struct settings *reported,
                        const struct text_marks *m, bool executed)
{
        size_t at = 0;
        const char *name, *value;
        pins_add_all(&c->pins, m->pins);
        if (!executed)
                return;
        while (m->effects & SETS && settings_next(c->statements.names, &at, &name, &value))
                set(c, reported, name);
        if (m->effects & (SETS | RESETS | LOCALS))
                c->rereads = true;
        if (m->effects & RESETS) {
                audit_touch_all(c, false);
                discard_role(c);
        }
        if (m->effects & (EFFECT(DISCARD_ALL) | EFFECT(DEALLOCATE)))
                c->statements.barrier = c->statements.dropping = c->statements.soiling = true;
        c->pins.doubt = c->pins.doubt || m->effects & RESETS;
        c->pins.ended |= m->effects & ~ENDINGS;
}

/* All of them, or one that the client has in the protocol: the server must have it of that name. */
static void deallocate(struct statements *s, const char *name)
{
        if (!name)
                statements_bar(s);
        s->soiling = s->soiling || (name && text_name(name));
        if (!name || !statements_meaning(s, name))
                return;
        statements_find(s, name)->freed = s->dropping = true;
        statements_deallocate(s, name);
}

static void apply_ending(struct finding *f, enum sql_effect effect, const char *name)
{
        struct track_client *c = f->c;
        if (effect == SQL_DISCARD_ALL) {
                statements_bar(&c->statements);
                discard_role(c);
        }
        if (!f->certain && ENDINGS & 1u << effect) {
                apply_marks(c, f->reported, &(struct text_marks){.effects = 1u << effect}, true);
                return;
        }
        pins_see(&c->pins, effect, name);
        if (effect == SQL_RESET)
                audit_touch(c, name, true);
        else if (RESETS & 1u << effect)
                audit_touch_all(c, true);
        else if (effect == SQL_DEALLOCATE)
                deallocate(&c->statements, name);
        else if (effect == SQL_EXECUTE)
                apply_marks(c, f->reported, &c->statements.named, true);
}

static void apply_effect(struct finding *f, enum sql_effect effect, const char *name)
{
        bool prepares = f->marks.effects & EFFECT(PREPARE);
        if (prepares)
                statements_mark(&f->c->statements.named, f->marks.effects, f->marks.pins);
        if (pins_kind_of(effect, name) >= 0) {
                pins_see(&f->c->pins, effect, name);
        } else if (SETS & 1u << effect) {
                if (prepares || !f->executed)
                        remember(f->c, name);
                if (f->executed)
                        set(f->c, f->reported, name);
        } else if (f->executed) {
                apply_ending(f, effect, name);
        }
}

static void found(void *arg, enum sql_effect effect, const char *name)
{
        struct finding *f = arg;
        int kind = pins_kind_of(effect, name);
        bool sets = SETS & 1u << effect, reads = 1u << effect & (SETS | RESETS | LOCALS);
        statements_mark(&f->marks, 1u << effect, kind >= 0 ? PIN_BIT(kind) : 0);
        if (effect == SQL_CURRVAL)
                texts_ask_sequences(f->c->statements.texts);
        if (reads && !(RESETS & 1u << effect) && f->apply &&
            (!name || strcmp(name, "standard_conforming_strings") == 0))
                f->c->two_readings = true;
        if (reads && f->apply && f->executed)
                reread(f->c, name);
        if (f->apply)
                apply_effect(f, effect, name);
        else if (sets && f->pieces && kind < 0)
                remember(f->c, name);
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
        bool named;                     /* it is a named statement's */
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

static void begin_pieces(struct track_client *c, const struct settings *reported, bool named,
                         const char *sql, size_t size)
{
        struct look_pieces *p = own_new(struct look_pieces);
        free(c->lexer);
        c->lexer = p;
        p->named = named;
        p->finding.c = c;
        p->finding.pieces = true;
        p->finding.reported = reported;
        sqlword_init(&p->word, false, found, &p->finding);
        sqlword_init(&p->other, true, found, &p->finding);
        sqlword_encoding(&p->word, settings_get(c->wanted, "client_encoding"));
        sqlword_encoding(&p->other, settings_get(c->wanted, "client_encoding"));
        feed_pieces(p, sql, size);
}

static bool too_many(const struct statements *s, const struct frame_piece *piece, struct error *e)
{
        if (statements_count(s) < STATEMENTS_MAX ||
            statements_find(s, (const char *) frame_payload(piece)))
                return false;
        error_set(e, "54000", "the session has %d named prepared statements, and may have no more", STATEMENTS_MAX);
        error_hint(e, "Close those that are not needed, or prepare statements without a name.");
        return true;
}

static enum track_verdict look_text(struct track_client *c, const struct track_server *t,
                                    const struct frame_piece *piece, struct track_request *out,
                                    struct error *e)
{
        const char *sql;
        size_t size;
        if (!text_of(piece, out, &sql, &size, e) || (out->named && too_many(&c->statements, piece, e)))
                return TRACK_BAD;
        struct finding f = {.c = c, .reported = t ? t->reported : c->known};
        if (piece->ends) {
                read_text(&f, sql, size);
                out->marks = f.marks;
        } else {
                begin_pieces(c, f.reported, out->named, sql, size);
                out->marks = c->lexer->finding.marks;
        }
        out->pins = out->marks.pins;
        if (piece->ends && out->marks.effects & NAMING && namesakes_in(c, sql, size, NULL))
                out->pins |= PIN_BIT(PIN_PREPARE);
        if (out->named && !statements_share(&c->statements, piece))
                out->pins |= PIN_BIT(PIN_STATEMENT);
        if (out->unnamed && !statements_fit(piece))
                out->pins |= PIN_BIT(PIN_UNNAMED);
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
                out->named = !out->unnamed;
                out->portal = bind.portal[0] == '\0';
                return true;
        case 'D':
        case 'C':
                if (request_target(p, n, &target) != FRAME_READY)
                        return violation(e, "a malformed Describe or Close");
                out->unnamed = target.kind == 'S' && target.name[0] == '\0';
                out->named = target.kind == 'S' && target.name[0] != '\0';
                out->portal = target.kind == 'P' && target.name[0] == '\0';
                return true;
        case 'E':
                if (request_execute(p, n, &execute) != FRAME_READY)
                        return violation(e, "a malformed Execute");
                out->portal = execute.portal[0] == '\0';
                return true;
        default:
                return true;
        }
}

/* What an Execute may do. Certain is only what the unnamed portal runs, if it was bound to the unnamed
 * statement. */
static struct text_marks executed_marks(const struct statements *s, const struct track_request *r)
{
        struct text_marks m = r->portal && s->bound_text ? s->bound_text->marks : s->unnamed;
        if (!r->portal || (!s->bound && !s->bound_text)) {
                statements_mark(&m, s->named.effects, s->named.pins);
                statements_mark(&m, s->portals.effects, s->portals.pins);
        } else if (m.effects & EFFECT(EXECUTE)) {
                statements_mark(&m, s->named.effects, s->named.pins);
        }
        return m;
}

static enum track_verdict look_begin(struct track_client *c, const struct track_server *t,
                                     const struct frame_piece *piece, struct track_request *out,
                                     struct error *e)
{
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
        case 'F':
                /* A function by its number: most may do anything that a function can. */
                if (!request_on_large_object(frame_payload(piece), frame_payload_size(piece)))
                        out->pins = out->marks.pins = PIN_BIT(PIN_ADVISORY);
                return TRACK_FORWARD;
        case 'E':
                if (!look_names(piece, out, e))
                        return TRACK_BAD;
                out->marks = executed_marks(&c->statements, out);
                out->pins = out->marks.pins;
                return TRACK_FORWARD;
        default:
                return look_names(piece, out, e) ? TRACK_FORWARD : TRACK_BAD;
        }
}

/* Is the statement that it means here, and by what is its text read? Sometimes that is not known before what was
 * sent is answered. */
static bool must_await(const struct track_client *c, const struct track_server *t,
                       const struct track_request *r, const struct frame_piece *piece)
{
        const struct statements *s = &c->statements;
        bool names = r->marks.effects & (NAMING | EFFECT(DEALLOCATE));
        bool resets = r->type != 'P' && r->marks.effects & (RESETS | EFFECT(RESET_LOCAL)) && settings_count(c->startup);
        if (!(r->unnamed || r->named || names || resets) || !turns_will_end(&t->turns))
                return false;
        if (resets && !turns_own_only(&t->turns))
                return true;            /* what fails before a RESET has nothing to do with that */
        if (names && r->type != 'P')
                return named_changing(c, t);
        if (r->named && ((r->type == 'P' && c->rereads && c->asked) || (r->type == 'B' && fit_must_wait(c, t, piece))))
                return true;
        return r->named ? named_unsettled(c, t, piece)
                        : (r->type == 'B' || r->type == 'D') && s->hoped && !s->here;
}

/* Was something RESET by what is not answered yet? What comes next must find it led back. */
static bool leads_back(const struct track_client *c, const struct track_server *t)
{
        return (c->touched || c->reset_all) && !turns_own_only(&t->turns) && turns_will_end(&t->turns) &&
               audit_leads_back(c);
}

enum track_verdict track_look(struct track_client *c, const struct track_server *t,
                              const struct frame_piece *piece, struct track_request *out,
                              struct error *e)
{
        *out = (struct track_request){.type = piece->type, .begins = piece->begins,
                                      .ends = piece->ends, .whole = frame_whole(piece)};
        /* A message that began without a server was swallowed, and is to its end. */
        if (!piece->begins)
                return t ? TRACK_FORWARD : TRACK_SWALLOW;
        if (t && (again_waits(t) || c->check == CHECK_ASKED || t->rereading))
                return TRACK_WAIT;
        enum track_verdict v = look_begin(c, t, piece, out, e);
        if (look_creates_unnamed(c, piece->type))
                out->pins |= PIN_BIT(PIN_TEMP);
        out->pins &= ~c->pins.kinds;
        c->awaits = v == TRACK_FORWARD && t && (must_await(c, t, out, piece) || leads_back(c, t));
        if (c->awaits)
                return TRACK_WAIT;
        bool uses = out->named && (piece->type == 'B' || piece->type == 'D');
        return v == TRACK_FORWARD && t && uses && fit_must_ask(c, t, piece) ? TRACK_ASK : v;
}

/* ---- taking effect ---- */

/* The text of a message that was looked at before, and is whole. */
static const char *text_judged(const struct frame_piece *piece)
{
        const char *sql;
        size_t size;
        struct error e;
        struct track_request ignored;
        expect(text_of(piece, &ignored, &sql, &size, &e));
        return sql;
}

static void apply_text(struct track_client *c, const struct track_server *t, const struct track_request *r,
                       const char *sql, bool executed)
{
        struct finding f = {.c = c, .reported = t->reported, .apply = true, .executed = executed};
        track_client_note(c, r->marks.pins, sql, strlen(sql));
        read_text(&f, sql, strlen(sql));
}

/* A first piece: from here on what the lexer finds takes effect as it comes. It is never certain: the
 * text is read both ways. */
static void apply_pieces(struct track_client *c, bool executed)
{
        struct look_pieces *p = c->lexer;
        p->finding.apply = true;
        p->finding.executed = executed;
        apply_marks(c, p->finding.reported, &p->finding.marks, executed);
}

void look_apply(struct track_client *c, const struct track_server *t, const struct track_request *r,
                const struct frame_piece *piece, bool executed)
{
        if (!piece->ends)
                apply_pieces(c, executed);
        else if (r->marks.effects)
                apply_text(c, t, r, text_judged(piece), executed);
}

unsigned look_namesakes(const struct track_client *c, const struct track_request *r,
                        const struct frame_piece *piece, struct bytes *out)
{
        if (!piece->ends || !(r->marks.effects & NAMING))
                return 0;
        const char *sql = text_judged(piece);
        return namesakes_in(c, sql, strlen(sql), out);
}

bool look_continue(struct track_client *c, const struct track_server *t,
                   const struct frame_piece *piece)
{
        struct look_pieces *p = c->lexer;
        struct statements *s = &c->statements;
        p->finding.reported = t->reported;      /* it may be another one at each piece */
        feed_pieces(p, (const char *) piece->data, piece->size);
        if (piece->type == 'P') {
                const struct text_marks *m = &p->finding.marks;
                statements_mark(p->named ? &s->named : &s->unnamed, m->effects, m->pins);
                statements_mark(&s->portals, m->effects, m->pins);
        }
        if (!piece->ends)
                return false;
        look_drop(c);
        return true;
}

void look_drop(struct track_client *c)
{
        free(c->lexer);
        c->lexer = NULL;
}

void look_execute(struct track_client *c, const struct track_server *t, const struct track_request *r)
{
        if (!r->marks.effects && !r->marks.pins)
                return;
        const char *sql = r->portal ? reading_running(c) : NULL;
        if (sql)
                apply_text(c, t, r, sql, true);
        else
                apply_marks(c, t->reported, &r->marks, true);
}
