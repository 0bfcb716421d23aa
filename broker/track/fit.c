#include "track/fit.h"

#include <string.h>
#include "base/own.h"
#include "track/again.h"
#include "track/bring.h"
#include "track/reading.h"
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/reply.h"
#include "wire/request.h"

enum fit {
        FITS,
        CHANGED,
        ANOTHERS,                       /* others have parsed it for something else: it needs an edition of its own */
        NOT_KNOWN
};

/* Was it parsed here before the client learnt what it counts on? */
static bool is_older(const struct prepared_one *one, const struct statement *s)
{
        return !one || one->proved < s->since;
}

static enum fit judge(const struct track_server *t, const struct statement *s, const struct text *x)
{
        const struct told_shape *told = s ? s->told : NULL;
        const struct prepared_one *one = x ? prepared_find(&t->prepared, x) : NULL;
        if (!x || !x->key || !told)
                return FITS;            /* the client counts on nothing */
        if (!one || !one->shape.rows || (x->inferred && !one->shape.parameters))
                return NOT_KNOWN;
        bool same_types = !x->inferred || shape_agrees(told->is.parameters, one->shape.parameters);
        bool doubtful = x->inferred && !told->is.parameters && is_older(one, s);
        if (same_types && shape_agrees(told->is.rows, one->shape.rows) && !doubtful)
                return FITS;
        if (is_older(one, s))
                return NOT_KNOWN;       /* a new Parse may fit */
        return x->edition ? CHANGED : ANOTHERS;
}

static enum fit judge_name(const struct track_client *c, const struct track_server *t, const char *name)
{
        const struct statement *s = statements_find(&c->statements, name);
        return judge(t, s, statements_meant(&c->statements, s));
}

/* One that fits may be as old as it likes, and read as it was. */
struct text *fit_meant(struct track_client *c, const struct track_server *t, const char *name, uint64_t *since,
                       bool *holds)
{
        const struct statement *s = statements_find(&c->statements, name);
        struct text *x = statements_meant(&c->statements, s);
        bool fits = x && s->told && judge(t, s, x) == FITS;
        *since = 0;
        if (!fits)
                x = bring_meant(c, t, name, since);
        *holds = t->status == 'E' || (!fit_has_refusal(c) && (fits || judge_name(c, t, name) != CHANGED));
        return x;
}

/* ---- asking ---- */

/* Has this server not got it, and would it be parsed there as texts were not read when the client prepared it? */
static bool reads_otherwise(const struct track_client *c, const struct track_server *t, const char *name)
{
        const struct statement *s = statements_find(&c->statements, name);
        const struct text *x = statements_meant(&c->statements, s);
        if (!x || !x->key || s->pending)
                return false;
        if (s->told ? judge(t, s, x) != NOT_KNOWN : again_usable(t, x, s->since) != NULL)
                return false;
        OWN(free) char *way = reading_of(c);
        return !text_read_so(x, way) && x->key[0] != '?';
}

static bool was_asked(const struct track_client *c, const char *name)
{
        return c->check == CHECK_ANSWERED && c->question->about == statements_meaning(&c->statements, name);
}

bool fit_must_ask(const struct track_client *c, const struct track_server *t, const struct frame_piece *bind)
{
        if (t->status == 'E' || !turns_heeded(&t->turns))
                return false;           /* it will fail, or is skipped */
        const char *name = request_statement(bind);
        const struct statement *s = statements_find(&c->statements, name);
        enum fit fit = judge(t, s, statements_meant(&c->statements, s));
        if (fit == ANOTHERS || (fit == FITS && s && s->told))
                return fit == ANOTHERS;
        return !was_asked(c, name) && (fit == NOT_KNOWN || (track_fresh(c, t) && reads_otherwise(c, t, name)));
}

bool fit_must_wait(const struct track_client *c, const struct track_server *t, const struct frame_piece *bind)
{
        return !track_fresh(c, t) && !t->unsynced && turns_heeded(&t->turns) &&
               reads_otherwise(c, t, request_statement(bind));
}

/* The same text for who was told the same, with the types of its parameters. */
static struct text *edition(struct statements *s, const char *name, struct text *x)
{
        const struct told_shape *told = statements_find(s, name)->told;
        struct bytes body;
        bytes_init(&body, 0);
        bytes_append(&body, x->body, strlen((const char *) x->body) + 1);
        bytes_append(&body, (const uint8_t[]){(uint8_t) (told->count >> 8), (uint8_t) told->count}, 2);
        bytes_append(&body, told->types, 4 * (size_t) told->count);
        bool typed = told->count > 0;
        struct text *now = texts_edition(x, told->is.rows * 31 + told->is.parameters,
                                         typed ? bytes_data(&body) : x->body, typed ? bytes_length(&body) : x->size);
        bytes_free(&body);
        return bring_instead(s, name, now);
}

static void put_question(struct track_server *t, struct text *x, uint64_t since, struct bytes *out)
{
        bring(t, x, since, out);
        compose_describe(out, x->name);
        bring_change(t, TURN_SHAPE, TURN_STATEMENT, (struct prepared_change){.described = x});
}

/* Outside of a transaction an error of it is the broker's own: the Bind will get one that is the client's. Within
 * one that would fail the transaction, so there the error is the client's. */
static void ask_plainly(struct track_client *c, struct track_server *t, struct text *x, uint64_t since,
                        struct bytes *out)
{
        put_question(t, x, since, out);
        if (t->status == 'I' && !t->unsynced) {
                bring_sync(c, t, TURN_STATEMENT, out);
                return;
        }
        compose_flush(out);
        t->unsynced = true;
}

/* In a transaction, or a part of one, that reads texts as they were read when this one was prepared. */
static void ask_as_read(struct track_client *c, struct track_server *t, struct text *x, uint64_t since,
                        struct bytes *out)
{
        bool open = t->status != 'I';
        struct bytes sql;
        bytes_init(&sql, 0);
        bytes_text(&sql, open ? "SAVEPOINT pgbroker" : "BEGIN");
        reading_set(x->key, &sql);
        restore_query(t, &sql, TURN_STATEMENT, out);
        put_question(t, x, since, out);
        bring_sync(c, t, TURN_STATEMENT, out);
        bytes_text(&sql, open ? "ROLLBACK TO pgbroker; RELEASE pgbroker" : "ROLLBACK");
        restore_query(t, &sql, TURN_STATEMENT, out);
        statements_go(&c->statements);
        t->rereading = true;
}

void fit_ask(struct track_client *c, struct track_server *t, const struct frame_piece *bind, struct bytes *out)
{
        const char *name = request_statement(bind);
        bool otherwise = track_fresh(c, t) && reads_otherwise(c, t, name);
        uint64_t since = statements_find(&c->statements, name)->since;
        struct text *x = otherwise ? statements_meaning(&c->statements, name) : bring_meant(c, t, name, &since);
        if (judge_name(c, t, name) == ANOTHERS)
                x = edition(&c->statements, name, x);
        c->check = CHECK_NONE;
        if (!otherwise && judge_name(c, t, name) != NOT_KNOWN)
                return;
        if (otherwise)
                ask_as_read(c, t, x, since, out);
        else
                ask_plainly(c, t, x, since, out);
        c->check = CHECK_ASKED;
        c->question = c->question ? c->question : own_new(struct track_question);
        c->question->about = x;
}

/* ---- refusing ---- */

bool fit_refused(const struct track_server *t, const struct frame_piece *error)
{
        struct reply_error e;
        return t->turns.count > 0 && turns_kind(&t->turns) == TURN_BIND && reply_error_in(error, &e) &&
               strcmp(e.sqlstate, "26000") == 0 && strstr(e.message, "\"" FIT_NOBODY "\"");
}

void fit_question_failed(struct track_client *c, const struct frame_piece *error)
{
        struct reply_error e;
        if (c->check != CHECK_ASKED || !reply_error_in(error, &e) ||
            (strcmp(e.sqlstate, "57014") != 0 && strcmp(e.sqlstate, "55P03") != 0))
                return;
        bytes_free(&c->question->refusal);
        bytes_append(&c->question->refusal, error->data, error->size);
}

/* Drivers tell it by the routine. */
void fit_say_refused(struct track_client *c, struct bytes *out)
{
        static const char fields[] = "SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0"
                                     "Fplancache.c\0RRevalidateCachedQuery\0";
        if (fit_has_refusal(c)) {
                bytes_append(out, bytes_data(&c->question->refusal), bytes_length(&c->question->refusal));
                fit_forget_refusal(c);
                return;
        }
        compose_head(out, 'E', 4 + sizeof fields);
        bytes_append(out, fields, sizeof fields);
}

void fit_forget_refusal(struct track_client *c)
{
        if (c->question)
                bytes_free(&c->question->refusal);
}

/* ---- learning ---- */

void fit_describing(struct track_server *t, struct text *x, const char *name)
{
        bring_change(t, TURN_SHAPE, TURN_CLIENT, (struct prepared_change){.described = x, .whose = own_string(name)});
}

bool fit_describing_portal(const struct track_client *c, struct track_server *t)
{
        const char *name = c->statements.learning;
        const struct statement *s = name ? statements_find(&c->statements, name) : NULL;
        if (!s || !s->text || !s->text->key)
                return false;
        fit_describing(t, s->text, name);
        return true;
}

void fit_bound(struct statements *s, const char *name)
{
        const struct statement *one = name ? statements_find(s, name) : NULL;
        bool learns = one && one->text && one->text->key && !(one->told && one->told->is.rows);
        free(s->learning);
        s->learning = learns ? own_string(name) : NULL;
}

/* A portal's description does not tell of the parameters. */
static void client_told(struct statement *s, struct told_shape *told)
{
        if (s->told && !told->is.parameters) {
                s->told->is.rows = told->is.rows;
                free(told);
                return;
        }
        free(s->told);
        s->told = told;
}

/* What was sent since may be skipped, and the name mean this again. */
static bool told_before(struct prepared *p, const struct prepared_change *ch, struct told_shape *told)
{
        for (uint32_t i = 0; i < p->change_count; i++) {
                struct prepared_change *later = prepared_change(p, i);
                if (later->name && strcmp(later->name, ch->whose) == 0 && later->before == ch->described) {
                        free(later->told);
                        later->told = told;
                        return true;
                }
        }
        return false;
}

void fit_described(struct track_client *c, struct track_server *t, const struct frame_piece *piece)
{
        struct prepared *p = &t->prepared;
        if (piece->type == 't') {
                free(p->coming);
                p->coming = shape_parameters(piece);
                return;
        }
        struct prepared_change ch = prepared_answered(p);
        struct told_shape *told = p->coming ? TAKE(p->coming) : own_new(struct told_shape);
        told->is.rows = shape_rows(piece);
        struct prepared_one *one = prepared_find(p, ch.described);
        if (one && !one->pending) {
                one->shape.rows = told->is.rows;
                if (told->is.parameters)
                        one->shape.parameters = told->is.parameters;
        }
        struct statement *s = c && ch.whose ? statements_find(&c->statements, ch.whose) : NULL;
        if (c && !ch.whose)
                c->check = CHECK_ANSWERED;
        if (s && s->text == ch.described && !s->pending)
                client_told(s, told);
        else if (!ch.whose || !told_before(p, &ch, told))
                free(told);
        prepared_change_free(&ch);
}
