#include "track/track.h"

#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/reply.h"
#include "wire/sqlword.h"

/* ---- sending it ---- */

/* The unnamed statement that a Bind or Describe means must be the client's own. */
static void bring_unnamed(struct track_client *c, struct track_server *t, struct bytes *before)
{
        static const uint8_t close_unnamed[] = {'C', 0, 0, 0, 6, 'S', 0};
        struct statements *s = &c->statements;
        if (s->here || t->turns.skipping)
                return;
        s->here = true;
        if (s->unnamed_size) {
                bytes_append(before, s->unnamed, s->unnamed_size);
                turns_sent(&t->turns, TURN_PARSE, TURN_REPARSE);
                t->unnamed = true;
        } else if (t->unnamed) {
                bytes_append(before, close_unnamed, sizeof close_unnamed);
                turns_sent(&t->turns, TURN_CLOSE, TURN_REPARSE);
                t->unnamed = false;
        }
}

static void send_query(struct track_client *c, struct track_server *t, const struct track_request *r,
                       const struct frame_piece *piece)
{
        if (!t->turns.skipping)
                t->unsynced = false;
        statements_forget(&c->statements);
        c->statements.here = true;
        t->unnamed = false;
        pins_drop(&c->pins, PIN_UNNAMED);
        look_apply(c, t, r, piece, true);
        turns_sent(&t->turns, TURN_QUERY, TURN_CLIENT);
}

static void send_parse(struct track_client *c, struct track_server *t, const struct track_request *r,
                       const struct frame_piece *piece)
{
        struct statements *s = &c->statements;
        look_apply(c, t, r, piece, false);
        if (!t->turns.skipping)
                statements_sent(s, r->unnamed);
        else if (r->unnamed)
                return;                 /* the server skips it, too, and keeps the one it has */
        if (r->named) {
                pins_add(&c->pins, PIN_STATEMENT, NULL);
                s->named_effects |= r->effects;
        } else {
                s->here = true;
                s->unnamed_effects = r->effects;
                t->unnamed = true;
                pins_drop(&c->pins, PIN_UNNAMED);
                if (r->whole)
                        statements_remember(s, piece->data, piece->size);
                if (piece->length > STATEMENTS_UNNAMED_MAX) {
                        statements_forget(s);
                        pins_add(&c->pins, PIN_UNNAMED, NULL);
                }
                s->unnamed_effects = r->effects;
        }
        turns_sent(&t->turns, TURN_PARSE, TURN_CLIENT);
}

static void send_execute(struct track_client *c, struct track_server *t)
{
        uint32_t effects = c->statements.named_effects | c->statements.unnamed_effects;
        if (effects)
                look_execute(c, t, effects);
        turns_sent(&t->turns, TURN_EXECUTE, TURN_CLIENT);
}

static void send_close(struct track_client *c, struct track_server *t, const struct track_request *r)
{
        if (r->unnamed) {
                statements_forget(&c->statements);
                c->statements.here = true;
                t->unnamed = false;
        } else if (r->named) {
                pins_see(&c->pins, SQL_DEALLOCATE, NULL);
        }
        turns_sent(&t->turns, TURN_CLOSE, TURN_CLIENT);
}

void track_send(struct track_client *c, struct track_server *t, const struct track_request *r,
                const struct frame_piece *piece, struct bytes *before)
{
        if (!piece->begins) {
                if (c->lexer && (piece->type == 'Q' || piece->type == 'P'))
                        look_continue(c, piece);
                return;
        }
        if (strchr("PBDEC", piece->type))
                t->unsynced = true;
        switch (piece->type) {
        case 'Q':
                send_query(c, t, r, piece);
                break;
        case 'P':
                send_parse(c, t, r, piece);
                break;
        case 'B':
                if (r->unnamed)
                        bring_unnamed(c, t, before);
                turns_sent(&t->turns, TURN_BIND, TURN_CLIENT);
                break;
        case 'D':
                if (r->unnamed)
                        bring_unnamed(c, t, before);
                turns_sent(&t->turns, TURN_DESCRIBE, TURN_CLIENT);
                break;
        case 'E':
                send_execute(c, t);
                break;
        case 'C':
                send_close(c, t, r);
                break;
        case 'S':
                t->unsynced = false;
                turns_sent(&t->turns, TURN_SYNC, TURN_CLIENT);
                break;
        case 'F':
                /* A function by its number: it may do anything that a function can. */
                pins_add(&c->pins, PIN_ADVISORY, NULL);
                c->pins.doubt = true;
                if (!t->turns.skipping)
                        t->unsynced = false;
                turns_sent(&t->turns, TURN_FUNCTION, TURN_CLIENT);
                break;
        case 'c':
        case 'f':
                turns_sent(&t->turns, TURN_COPY_END, TURN_CLIENT);
                break;
        default:
                break;
        }
}

static const char fail_as_canceled[] =
        "DO $pgbroker$ BEGIN RAISE EXCEPTION 'canceling statement due to user request' "
        "USING ERRCODE = 'query_canceled'; END $pgbroker$";

/* In the extended protocol: only the error reaches the client, and the server skips to its Sync. */
static void cancel_extended(struct track_client *c, struct track_server *t, struct bytes *instead)
{
        static const uint8_t bind[] = {'B', 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0};
        static const uint8_t execute[] = {'E', 0, 0, 0, 9, 0, 0, 0, 0, 0};
        compose_parse(instead, "", fail_as_canceled, sizeof fail_as_canceled - 1);
        bytes_append(instead, bind, sizeof bind);
        bytes_append(instead, execute, sizeof execute);
        turns_sent(&t->turns, TURN_PARSE, TURN_REPARSE);
        turns_sent(&t->turns, TURN_BIND, TURN_REPARSE);
        turns_sent(&t->turns, TURN_EXECUTE, TURN_CLIENT);
        c->statements.here = false;
        t->unnamed = t->unsynced = true;
}

void track_cancel(struct track_client *c, struct track_server *t, uint8_t type, struct bytes *instead)
{
        if (t->turns.skipping)
                return;                 /* the server would not even have looked at it */
        if (type != 'Q' && type != 'F') {
                cancel_extended(c, t, instead);
                return;
        }
        compose_query(instead, fail_as_canceled);
        turns_sent(&t->turns, TURN_QUERY, TURN_CLIENT);
        statements_forget(&c->statements);
        c->statements.here = true;
        t->unsynced = t->unnamed = false;
}

/* ---- lending ---- */

void track_lend(struct track_client *c, struct track_server *t, bool reset, struct bytes *first,
                struct bytes *tell)
{
        expect(track_quiet(t));
        memset(&t->span, 0, sizeof t->span);
        c->statements.here = false;
        if (reset || t->soiled || t->aligned != c->wanted)
                restore_align(c, t, reset || t->soiled, first, tell);
}

void track_realign(struct track_client *c, struct track_server *t, struct bytes *first,
                   struct bytes *tell)
{
        if (t->aligned != c->wanted && !(c->pins.kinds & PIN_BIT(PIN_UNNAMED)))
                restore_align(c, t, false, first, tell);
}

bool track_quiet(const struct track_server *t)
{
        return t->status == 'I' && !t->unsynced && turns_empty(&t->turns);
}

bool track_idle(const struct track_server *t)
{
        return t->status == 'I' && !t->unsynced && turns_own_only(&t->turns);
}

bool track_lendable(const struct track_client *c, const struct track_server *t)
{
        return track_quiet(t) && !pins_hold(&c->pins) && !c->lexer && !t->restore_failed;
}

bool track_audit(struct track_client *c, struct track_server *t, struct bytes *out)
{
        if (!track_quiet(t) || !pins_want_audit(&c->pins))
                return false;
        compose_query(out, pins_audit_sql);
        turns_sent(&t->turns, TURN_QUERY, TURN_AUDIT);
        t->audit_bits = UINT32_MAX;
        t->unnamed = false;
        c->statements.here = false;
        pins_audit_sent(&c->pins);
        return true;
}

bool track_clean(const struct track_client *c, struct track_server *t, struct bytes *out)
{
        if (t->turns.count > 0 || t->turns.copy != COPY_NONE || t->restore_failed ||
            pins_indelible(&c->pins) || c->lexer)
                return false;
        bool open = t->unsynced || t->turns.skipping || t->status != 'I';
        if (!open && !pins_hold(&c->pins))
                return true;
        if (t->unsynced || t->turns.skipping) {
                compose_sync(out);
                turns_sent(&t->turns, TURN_SYNC, TURN_CLEAN);
                t->unsynced = false;
        }
        restore_clean(t, open, out);
        return true;
}

void track_recover(struct track_server *t)
{
        free(t->restore_reason);
        t->restore_reason = NULL;
        t->restore_failed = false;
        t->soiled = true;
        restore_forget(t);
}

/* ---- replies ---- */

static void count_tag(struct track_span *span, const struct frame_piece *piece)
{
        const char *tag;
        if (reply_complete(frame_payload(piece), frame_payload_size(piece), &tag) != FRAME_READY)
                return;
        bool begin = strcmp(tag, "BEGIN") == 0 || strcmp(tag, "START TRANSACTION") == 0;
        span->last_rollback = strcmp(tag, "ROLLBACK") == 0;
        if (span->tags++ == 0)
                span->first_begin = begin;
        span->begins += begin;
        span->rollbacks += span->last_rollback;
        span->commits += strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0;
}

static enum pins_outcome outcome(const struct track_span *s)
{
        if (!s->error && !s->rollbacks)
                return PINS_DONE;
        if (s->first_begin && s->begins == 1 && s->last_rollback && !s->commits)
                return PINS_UNDONE;
        if (!s->begins && !s->commits && !s->rollbacks && s->readies == 1)
                return PINS_UNDONE;
        return PINS_MIXED;
}

/* The server is quiet: what the client's statements have brought about is known now. */
static void settle(struct track_client *c, struct track_server *t, struct bytes *extra)
{
        enum pins_outcome how = outcome(&t->span);
        memset(&t->span, 0, sizeof t->span);
        pins_settle(&c->pins, how);
        if (!(c->pins.kinds & PIN_BIT(PIN_STATEMENT)))
                c->statements.named_effects = 0;
        if (how == PINS_DONE && (c->reset_all || c->reset_one[0]))
                restore_after_reset(c, t, extra);
        if (c->maybe_reset) {
                t->soiled = true;
                restore_forget(t);
        }
        c->reset_all = c->maybe_reset = false;
        c->reset_one[0] = '\0';
}

static enum track_verdict reply_status(struct track_client *c, struct track_server *t,
                                       const struct frame_piece *piece)
{
        struct reply_parameter p;
        if (!frame_whole(piece) ||
            reply_parameter(frame_payload(piece), frame_payload_size(piece), &p) != FRAME_READY)
                return TRACK_BAD;
        settings_put(&t->reported, p.name, p.value);
        if (!c) {
                settings_unref(t->aligned);
                t->aligned = NULL;
                return TRACK_SWALLOW;
        }
        if (t->turns.count > 0 && turns_owner(&t->turns) != TURN_CLIENT)
                return TRACK_SWALLOW;
        restore_told(c, t, p.name, p.value);
        return TRACK_FORWARD;
}

static enum track_verdict reply_ready_for_query(struct track_client *c, struct track_server *t,
                                                const struct frame_piece *piece,
                                                enum turn_owner owner, struct bytes *extra)
{
        if (reply_ready(frame_payload(piece), frame_payload_size(piece), &t->status) != FRAME_READY)
                return TRACK_BAD;
        if (!c)
                return TRACK_SWALLOW;
        if (owner == TURN_CLIENT) {
                t->span.readies++;
                if (track_quiet(t))
                        settle(c, t, extra);
                return TRACK_FORWARD;
        }
        if (owner == TURN_AUDIT)
                pins_audited(&c->pins, t->audit_bits);
        if (owner == TURN_RESTORE)
                restore_tell(c, t, extra);
        return TRACK_SWALLOW;
}

static void audit_row(struct track_server *t, const struct frame_piece *piece)
{
        const char *column;
        int32_t length;
        size_t count;
        if (!frame_whole(piece) || reply_row(frame_payload(piece), frame_payload_size(piece), &column,
                                             &length, 1, &count) != FRAME_READY)
                return;
        if (count != 1 || length < 1 || length > 3)
                return;
        char text[4] = {0};
        memcpy(text, column, (size_t) length);
        t->audit_bits = (uint32_t) strtoul(text, NULL, 10);
}

static void restore_refused(struct track_server *t, const struct frame_piece *piece)
{
        struct reply_error e;
        t->restore_failed = true;
        if (t->restore_reason || !frame_whole(piece) ||
            reply_error(frame_payload(piece), frame_payload_size(piece), &e) != FRAME_READY)
                return;
        t->restore_reason = own_new(struct error);
        error_set(t->restore_reason, *e.sqlstate ? e.sqlstate : "XX000", "%s", e.message);
        if (*e.hint)
                error_hint(t->restore_reason, "%s", e.hint);
}

static enum track_verdict reply_error_response(struct track_client *c, struct track_server *t,
                                               const struct frame_piece *piece,
                                               enum turn_owner owner, bool extended)
{
        if (owner == TURN_RESTORE || owner == TURN_CLEAN) {
                restore_refused(t, piece);
                return TRACK_SWALLOW;
        }
        if (owner == TURN_AUDIT || !c)
                return TRACK_SWALLOW;
        t->span.error = true;
        if (extended) {
                c->statements.here = false;
                statements_refused(&c->statements, t->turns.refused);
        }
        return TRACK_FORWARD;
}

static enum track_verdict judge(struct track_client *c, struct track_server *t,
                                const struct frame_piece *piece, struct bytes *extra)
{
        struct turns *turns = &t->turns;
        enum turn_owner owner = turns->count > 0 ? turns_owner(turns) : TURN_CLIENT;
        enum track_verdict pass = c && owner == TURN_CLIENT ? TRACK_FORWARD : TRACK_SWALLOW;
        switch (piece->type) {
        case 'S':
                return reply_status(c, t, piece);
        case 'N':
                return pass;
        case 'A':
                return c ? TRACK_FORWARD : TRACK_SWALLOW;
        case 'E': {
                bool extended = turns->count > 0 && turns_kind(turns) >= TURN_PARSE;
                if (turns->count > 0 && !turns_replied(turns, 'E'))
                        return TRACK_BAD;
                return reply_error_response(c, t, piece, owner, extended);
        }
        default:
                break;
        }
        if (!turns_replied(turns, piece->type))
                return TRACK_BAD;
        if (piece->type == 'Z')
                return reply_ready_for_query(c, t, piece, owner, extra);
        if (piece->type == '1' && c && owner == TURN_CLIENT)
                statements_accepted(&c->statements);
        if (piece->type == 'C' && owner == TURN_CLIENT)
                count_tag(&t->span, piece);
        if (piece->type == 'D' && owner == TURN_AUDIT)
                audit_row(t, piece);
        return pass;
}

/* A message goes where its beginning went, whatever turn has come meanwhile. */
enum track_verdict track_reply(struct track_client *c, struct track_server *t,
                               const struct frame_piece *piece, struct bytes *extra)
{
        if (piece->begins)
                t->verdict = (uint8_t) judge(c, t, piece, extra);
        return (enum track_verdict) t->verdict;
}
