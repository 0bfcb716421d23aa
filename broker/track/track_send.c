/* Part of track: a client's message is sent. */
#include "track/track_parts.h"

#include <string.h>
#include "track/again.h"
#include "track/back.h"
#include "track/bring.h"
#include "track/fit.h"
#include "track/named.h"
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/request.h"

/* The unnamed statement that a Bind or Describe means must be the client's own. */
static void bring_unnamed(struct track_client *c, struct track_server *t, struct bytes *before)
{
        static const uint8_t close_unnamed[] = {'C', 0, 0, 0, 6, 'S', 0};
        struct statements *s = &c->statements;
        if (s->here || !turns_heeded(&t->turns))
                return;
        statements_come(s);
        if (s->size) {
                bytes_append(before, s->message, s->size);
                turns_sent(&t->turns, TURN_PARSE, TURN_REPARSE);
        } else {
                bytes_append(before, close_unnamed, sizeof close_unnamed);
                turns_sent(&t->turns, TURN_CLOSE, TURN_REPARSE);
        }
}

void track_drop_unnamed(struct track_client *c)
{
        statements_forget(&c->statements);
        statements_come(&c->statements);
        pins_drop(&c->pins, PIN_UNNAMED);
}

/* A Query behind them must be read even if one of them can't be parsed any more: hence a Sync of its own. */
static void bring_namesakes(struct track_client *c, struct track_server *t, unsigned count, struct bytes *messages,
                            bool sync, struct bytes *before)
{
        if (!count)
                return;
        pins_add(&c->pins, PIN_PREPARE);
        bytes_append(before, bytes_data(messages), bytes_length(messages));
        bytes_free(messages);
        while (count-- > 0) {
                turns_sent(&t->turns, TURN_CLOSE, TURN_STATEMENT);
                turns_sent(&t->turns, TURN_PARSE, TURN_STATEMENT);
        }
        if (sync)
                bring_sync(c, t, TURN_STATEMENT, before);
}

static void query(struct track_client *c, struct track_server *t, const struct track_request *r,
                  const struct frame_piece *piece, struct bytes *before)
{
        if (turns_heeded(&t->turns)) {
                struct bytes namesakes;
                bytes_init(&namesakes, 0);
                /* The Sync must not end what the client itself has not ended yet. */
                unsigned count = t->unsynced ? 0 : look_namesakes(c, r, piece, &namesakes);
                track_drop_unnamed(c);
                statements_bound(&c->statements, false, NULL);
                look_apply(c, t, r, piece, true);
                named_deallocate(c, t, before);
                bring_namesakes(c, t, count, &namesakes, true, before);
        }
        turns_sent(&t->turns, TURN_QUERY, TURN_CLIENT);
}

/* How many of its bytes are replaced. */
static size_t send_query(struct track_client *c, struct track_server *t, const struct track_request *r,
                         const struct frame_piece *piece, struct bytes *before)
{
        struct bytes message;
        bytes_init(&message, 0);
        bool rewritten = back_rewrite(c, t, &r->marks, piece, &message);
        query(c, t, r, piece, before);
        if (!rewritten)
                return 0;
        bytes_append(before, bytes_data(&message), bytes_length(&message));
        bytes_free(&message);
        t->back = BACK_RESET;
        return piece->size;
}

static void pin_long(struct track_client *c, const struct frame_piece *piece)
{
        struct request_parse parse;
        if (frame_whole(piece) &&
            request_parse(frame_payload(piece), frame_payload_size(piece), false, &parse) == FRAME_READY)
                track_client_note(c, PIN_BIT(PIN_UNNAMED), parse.query, parse.query_size);
        pins_add(&c->pins, PIN_UNNAMED);
}

static void remember_unnamed(struct track_client *c, const struct track_request *r,
                             const struct frame_piece *piece)
{
        struct statements *s = &c->statements;
        track_drop_unnamed(c);
        if (statements_fit(piece))
                statements_remember(s, piece->data, piece->size);
        else
                pin_long(c, piece);
        s->unnamed = r->marks;
        s->two_readings = c->two_readings;
        statements_mark(&s->portals, r->marks.effects, r->marks.pins);
}

/* A Parse: what it EXECUTEs is looked for when it is bound. */
static void name_statements(struct track_client *c, struct track_server *t, const struct track_request *r,
                            const struct frame_piece *piece, struct bytes *before)
{
        struct bytes namesakes;
        bytes_init(&namesakes, 0);
        bring_namesakes(c, t, look_namesakes(c, r, piece, &namesakes), &namesakes, false, before);
}

static void send_parse(struct track_client *c, struct track_server *t, const struct track_request *r,
                       const struct frame_piece *piece, struct bytes *before)
{
        if (turns_heeded(&t->turns)) {
                name_statements(c, t, r, piece, before);
                look_apply(c, t, r, piece, false);
                remember_unnamed(c, r, piece);
        }
        turns_sent(&t->turns, TURN_UNNAMED, TURN_CLIENT);
}

/* Of a named statement. What the server won't heed goes as it is. */
static size_t send_named(struct track_client *c, struct track_server *t, const struct track_request *r,
                         const struct frame_piece *piece, struct bytes *before)
{
        static const uint8_t kinds[] = {['P'] = TURN_PARSE, ['B'] = TURN_BIND, ['D'] = TURN_DESCRIBE,
                                        ['C'] = TURN_CLOSE};
        if (!turns_heeded(&t->turns)) {
                turns_sent(&t->turns, kinds[piece->type], TURN_CLIENT);
                return 0;
        }
        if (piece->type == 'P') {
                name_statements(c, t, r, piece, before);
                look_apply(c, t, r, piece, false);
                statements_mark(&c->statements.named, r->marks.effects, r->marks.pins);
        }
        return named_send(c, t, r->marks, piece, before);
}

static void send_bind(struct track_client *c, struct track_server *t, const struct track_request *r,
                      struct bytes *before)
{
        bring_unnamed(c, t, before);
        /* The portal may outlive the statement. */
        statements_mark(&c->statements.portals, c->statements.unnamed.effects,
                        c->statements.unnamed.pins);
        if (r->portal && turns_heeded(&t->turns))
                statements_bound(&c->statements, c->statements.size > 0, NULL);
        turns_sent(&t->turns, TURN_BIND, TURN_CLIENT);
}

static size_t send_execute(struct track_client *c, struct track_server *t, const struct track_request *r,
                           const struct frame_piece *piece, struct bytes *before)
{
        bool heeded = turns_heeded(&t->turns);
        if (heeded) {
                look_execute(c, t, r);
                named_deallocate(c, t, before);
        }
        turns_sent(&t->turns, TURN_EXECUTE, TURN_CLIENT);
        return heeded && r->portal ? back_follow(c, t, &r->marks, piece, before) : 0;
}

static void send_close(struct track_client *c, struct track_server *t, const struct track_request *r)
{
        if (r->unnamed && turns_heeded(&t->turns))
                track_drop_unnamed(c);
        turns_sent(&t->turns, TURN_CLOSE, TURN_CLIENT);
}

/* Whether it was one, the server is asked. */
static void see_creation(struct track_client *c, const struct track_server *t, uint8_t type)
{
        if (!look_creates_unnamed(c, type) || !turns_heeded(&t->turns))
                return;
        c->pins.doubt = true;
        pins_add(&c->pins, PIN_TEMP);
}

/* A transaction that has done more than begin may ask for what it has had itself. */
static void see_sequences(struct track_client *c, struct track_server *t, const struct track_request *r,
                          struct bytes *before)
{
        if (!t->foreign_sequences || !(r->marks.effects & (1u << SQL_SEQUENCE | 1u << SQL_CURRVAL)))
                return;
        if (track_fresh(c, t))
                restore_sequences(c, t, before);
        t->foreign_sequences = false;
}

static size_t send(struct track_client *c, struct track_server *t, const struct track_request *r,
                   const struct frame_piece *piece, struct bytes *before)
{
        t->inside = !piece->ends;
        c->awaits = false;
        if (!piece->begins) {
                if (c->lexer && (piece->type == 'Q' || piece->type == 'P'))
                        look_continue(c, t, piece);
                return 0;
        }
        see_sequences(c, t, r, before);
        see_creation(c, t, piece->type);
        c->check = CHECK_NONE;
        again_sent(t, piece, r->named, r->portal);
        if (strchr("PBDEC", piece->type))
                t->unsynced = true;
        if (r->named)
                return send_named(c, t, r, piece, before);
        switch (piece->type) {
        case 'Q':
                return send_query(c, t, r, piece, before);
        case 'P':
                send_parse(c, t, r, piece, before);
                break;
        case 'B':
                send_bind(c, t, r, before);
                break;
        case 'D':
                if (r->unnamed)
                        bring_unnamed(c, t, before);
                if (!r->portal || !turns_heeded(&t->turns) || !fit_describing_portal(c, t))
                        turns_sent(&t->turns, TURN_DESCRIBE, TURN_CLIENT);
                break;
        case 'E':
                return send_execute(c, t, r, piece, before);
        case 'C':
                send_close(c, t, r);
                break;
        case 'S':
                /* During a COPY it is ignored. */
                t->unsynced = t->unsynced && t->turns.copy == COPY_IN;
                bring_sync_sent(c, t, TURN_CLIENT);
                break;
        case 'F':
                if (turns_heeded(&t->turns)) {
                        pins_add_all(&c->pins, r->marks.pins);
                        c->pins.doubt = c->pins.doubt || r->marks.pins;
                }
                turns_sent(&t->turns, TURN_FUNCTION, TURN_CLIENT);
                break;
        case 'c':
        case 'f':
                turns_sent(&t->turns, TURN_COPY_END, TURN_CLIENT);
                break;
        default:
                break;
        }
        return 0;
}

/* A client's first temporary table makes PostgreSQL read its statements anew; not so on a server where anybody has
 * had one before. */
size_t track_send(struct track_client *c, struct track_server *t, const struct track_request *r,
                  const struct frame_piece *piece, struct bytes *before)
{
        bool had = c->pins.kinds & PIN_BIT(PIN_TEMP);
        size_t replaced = send(c, t, r, piece, before);
        if (!had && c->pins.kinds & PIN_BIT(PIN_TEMP)) {
                statements_doubt(&c->statements);
                prepared_doubt(&t->prepared);
        }
        return replaced;
}

static const char fail_as_canceled[] =
        "DO $pgbroker$ BEGIN RAISE EXCEPTION 'canceling statement due to user request' "
        "USING ERRCODE = 'query_canceled'; END $pgbroker$";

/* In the extended protocol: only the error reaches the client, and the server skips to its Sync. */
static void cancel_extended(struct track_client *c, struct track_server *t, struct bytes *instead)
{
        compose_run(instead, "", fail_as_canceled, sizeof fail_as_canceled - 1);
        turns_sent(&t->turns, TURN_PARSE, TURN_REPARSE);
        turns_sent(&t->turns, TURN_BIND, TURN_REPARSE);
        turns_sent(&t->turns, TURN_EXECUTE, TURN_CLIENT);
        statements_go(&c->statements);
        t->unsynced = true;
}

void track_cancel(struct track_client *c, struct track_server *t, uint8_t type, struct bytes *instead)
{
        c->check = CHECK_NONE;
        fit_forget_refusal(c);
        if (t->turns.skipping)
                return;                 /* the server would not even have looked at it */
        if (type != 'Q' && type != 'F') {
                cancel_extended(c, t, instead);
                return;
        }
        compose_query(instead, fail_as_canceled);
        turns_sent(&t->turns, TURN_QUERY, TURN_CLIENT);
        track_drop_unnamed(c);
}
