#include "track/track.h"

#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/audit.h"
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

/* There is no unnamed statement any more, neither the client's nor, on this server, anyone's. */
static void drop_unnamed(struct track_client *c)
{
        statements_forget(&c->statements);
        statements_come(&c->statements);
        pins_drop(&c->pins, PIN_UNNAMED);
}

static void send_query(struct track_client *c, struct track_server *t, const struct track_request *r,
                       const struct frame_piece *piece)
{
        if (turns_heeded(&t->turns)) {
                t->unsynced = false;
                drop_unnamed(c);
                look_apply(c, t, r, piece, true);
        }
        turns_sent(&t->turns, TURN_QUERY, TURN_CLIENT);
}

static void remember_unnamed(struct track_client *c, const struct track_request *r,
                             const struct frame_piece *piece)
{
        struct statements *s = &c->statements;
        drop_unnamed(c);
        if (statements_fit(piece))
                statements_remember(s, piece->data, piece->size);
        else
                pins_add(&c->pins, PIN_UNNAMED);
        s->unnamed = r->marks;
        statements_mark(&s->portals, r->marks.effects, r->marks.pins);
}

static void send_parse(struct track_client *c, struct track_server *t, const struct track_request *r,
                       const struct frame_piece *piece)
{
        enum turn_kind kind = r->named ? TURN_PARSE : TURN_UNNAMED;
        if (turns_heeded(&t->turns)) {
                look_apply(c, t, r, piece, false);
                if (r->named) {
                        pins_add(&c->pins, PIN_STATEMENT);
                        statements_mark(&c->statements.named, r->marks.effects, r->marks.pins);
                } else {
                        remember_unnamed(c, r, piece);
                }
        }
        turns_sent(&t->turns, kind, TURN_CLIENT);
}

static void send_bind(struct track_client *c, struct track_server *t, const struct track_request *r,
                      struct bytes *before)
{
        if (r->unnamed) {
                bring_unnamed(c, t, before);
                /* The portal may outlive the statement. */
                statements_mark(&c->statements.portals, c->statements.unnamed.effects,
                                c->statements.unnamed.pins);
        }
        if (r->portal && turns_heeded(&t->turns))
                c->statements.bound = r->unnamed && c->statements.size;
        turns_sent(&t->turns, TURN_BIND, TURN_CLIENT);
}

static void send_close(struct track_client *c, struct track_server *t, const struct track_request *r)
{
        if (r->unnamed && turns_heeded(&t->turns))
                drop_unnamed(c);
        else if (r->named)
                pins_see(&c->pins, SQL_DEALLOCATE, NULL);
        turns_sent(&t->turns, TURN_CLOSE, TURN_CLIENT);
}

void track_send(struct track_client *c, struct track_server *t, const struct track_request *r,
                const struct frame_piece *piece, struct bytes *before)
{
        t->inside = !piece->ends;
        c->awaits = false;
        if (!piece->begins) {
                if (c->lexer && (piece->type == 'Q' || piece->type == 'P'))
                        look_continue(c, t, piece);
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
                send_bind(c, t, r, before);
                break;
        case 'D':
                if (r->unnamed)
                        bring_unnamed(c, t, before);
                turns_sent(&t->turns, TURN_DESCRIBE, TURN_CLIENT);
                break;
        case 'E':
                if (turns_heeded(&t->turns))
                        look_execute(c, t, r);
                turns_sent(&t->turns, TURN_EXECUTE, TURN_CLIENT);
                break;
        case 'C':
                send_close(c, t, r);
                break;
        case 'S':
                /* During a COPY it is ignored. */
                t->unsynced = t->unsynced && t->turns.copy == COPY_IN;
                statements_synced(&c->statements);
                turns_sent(&t->turns, TURN_SYNC, TURN_CLIENT);
                break;
        case 'F':
                /* A function by its number: it may do anything that a function can. */
                if (turns_heeded(&t->turns)) {
                        pins_add(&c->pins, PIN_ADVISORY);
                        c->pins.doubt = true;
                        t->unsynced = false;
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
        statements_go(&c->statements);
        t->unsynced = true;
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
        drop_unnamed(c);
        t->unsynced = false;
}

/* ---- lending ---- */

void track_lend(struct track_client *c, struct track_server *t, bool reset, struct bytes *first,
                struct bytes *tell)
{
        expect(track_quiet(t));
        memset(&t->span, 0, sizeof t->span);
        statements_go(&c->statements);
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
        return track_quiet(t) && !t->inside && !t->turns.stray && !track_holds(c) && !c->lexer &&
               !t->restore_failed;
}

bool track_holds(const struct track_client *c)
{
        return pins_hold(&c->pins) || audit_open(c);
}

bool track_settling(const struct track_client *c, const struct track_server *t)
{
        return c->holding || c->ready_owed || (c->awaits && turns_will_end(&t->turns));
}

bool track_audit(struct track_client *c, struct track_server *t, struct bytes *out)
{
        bool stray = t->turns.stray && !(c->pins.kinds & PIN_BIT(PIN_UNNAMED));
        if (!track_quiet(t) || t->inside || !(stray || audit_wanted(c)))
                return false;
        audit_ask(c, t, out);
        return true;
}

bool track_clean(const struct track_client *c, struct track_server *t, struct bytes *out)
{
        if ((t->turns.count > 0 && !turns_own_only(&t->turns)) || t->turns.copy != COPY_NONE || t->turns.stray ||
            t->turns.lost || t->inside || t->restore_failed || pins_indelible(&c->pins) || c->lexer)
                return false;
        bool open = t->unsynced || t->turns.skipping || t->status != 'I';
        if (!open && !track_holds(c) && t->turns.count == 0)
                return true;
        /* Only there is nothing left that a Sync could commit. */
        if (t->turns.skipping) {
                compose_sync(out);
                turns_sent(&t->turns, TURN_SYNC, TURN_CLEAN);
        }
        t->unsynced = false;
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
        span->ends += span->last_rollback;
        span->commits += strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0;
}

static void count_ready(struct track_span *span, char status)
{
        span->readies++;
        span->idles += status == 'I';
        if (status != 'I')
                span->ends = 0;
}

/* A request was completed without a tag: what it did is done all the same. */
static void count_untagged(struct track_span *span)
{
        span->last_rollback = false;
        span->tags++;
}

static enum pins_outcome outcome(const struct track_span *s)
{
        if (!s->error && !s->rollbacks)
                return PINS_DONE;
        if (s->first_begin && s->begins == 1 && s->last_rollback && s->ends == 1 && s->idles == 1 &&
            !s->commits)
                return PINS_UNDONE;
        if (!s->begins && !s->commits && !s->rollbacks && s->readies == 1)
                return PINS_UNDONE;
        return PINS_MIXED;
}

/* The server is quiet: what the client's statements have brought about is known now. */
static void settle(struct track_client *c, struct track_server *t)
{
        enum pins_outcome how = outcome(&t->span);
        memset(&t->span, 0, sizeof t->span);
        pins_settle(&c->pins, how);
        audit_settle(c, t, how == PINS_DONE);
        c->statements.portals = (struct statement_marks){0};
        if (!(c->pins.kinds & (PIN_BIT(PIN_STATEMENT) | PIN_BIT(PIN_PREPARE))))
                c->statements.named = (struct statement_marks){0};
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
        if (t->turns.count > 0 && turns_owner(&t->turns) == TURN_RESTORE)
                return TRACK_SWALLOW;   /* told when all of it is done */
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
                count_ready(&t->span, t->status);
                if (!turns_have(&t->turns, TURN_SYNC))
                        statements_proved(&c->statements);
                if (!track_quiet(t))
                        return TRACK_FORWARD;
                settle(c, t);
                if (!audit_pressing(c) || t->inside)
                        return TRACK_FORWARD;
                c->ready_owed++;
                return TRACK_SWALLOW;
        }
        if (owner == TURN_AUDIT)
                audit_answered(c, t, extra);
        if (owner == TURN_RESTORE)
                restore_tell(c, t, extra);
        return TRACK_SWALLOW;
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

/* Without a request there is no error but the last one. */
static bool is_fatal(const struct frame_piece *piece)
{
        struct reply_error e;
        if (!frame_whole(piece))
                return true;
        return reply_error(frame_payload(piece), frame_payload_size(piece), &e) == FRAME_READY &&
               (strcmp(e.severity, "FATAL") == 0 || strcmp(e.severity, "PANIC") == 0);
}

static enum track_verdict reply_error_response(struct track_client *c, struct track_server *t,
                                               const struct frame_piece *piece, enum turn_owner owner)
{
        struct turns *turns = &t->turns;
        bool extended = turns->count > 0 && turns_kind(turns) >= TURN_PARSE;
        bool unnamed = extended && turns_have(turns, TURN_UNNAMED);
        bool changes = extended && turns_change_unnamed(turns, false);
        if (turns->count > 0 ? !turns_replied(turns, 'E') : !is_fatal(piece))
                return TRACK_BAD;
        if (owner == TURN_RESTORE || owner == TURN_CLEAN) {
                restore_refused(t, piece);
                return TRACK_SWALLOW;
        }
        if (owner == TURN_AUDIT || !c)
                return TRACK_SWALLOW;
        t->span.error = true;
        /* The last Parse of the unnamed statement failed or was skipped. */
        if (unnamed && !turns_have(turns, TURN_UNNAMED))
                drop_unnamed(c);
        if (changes && !turns_change_unnamed(turns, true))
                statements_go(&c->statements);
        return TRACK_FORWARD;
}

/* A Sync that was sent ahead of the COPY is ignored: what ends the transaction is still to come. */
static void copy_begun(struct track_server *t)
{
        struct turns *turns = &t->turns;
        if (turns->ahead && turns_kind(turns) == TURN_EXECUTE && !turns_have(turns, TURN_SYNC) &&
            !turns_have(turns, TURN_QUERY) && !turns_have(turns, TURN_FUNCTION))
                t->unsynced = true;
}

static enum track_verdict judge(struct track_client *c, struct track_server *t,
                                const struct frame_piece *piece, struct bytes *extra)
{
        struct turns *turns = &t->turns;
        bool stray = piece->type == 'Z' && turns_stray(turns);
        enum turn_owner owner = turns->count > 0 && !stray ? turns_owner(turns) : TURN_CLIENT;
        enum track_verdict pass = c && owner == TURN_CLIENT ? TRACK_FORWARD : TRACK_SWALLOW;
        switch (piece->type) {
        case 'S':
                return reply_status(c, t, piece);
        case 'N':
                return pass;
        case 'A':
                return c ? TRACK_FORWARD : TRACK_SWALLOW;
        case 'E':
                return reply_error_response(c, t, piece, owner);
        default:
                break;
        }
        if (!turns_replied(turns, piece->type))
                return TRACK_BAD;
        if (stray && turns->count == 0)
                t->unsynced = false;    /* that Sync was heeded */
        if (piece->type == 'Z')
                return reply_ready_for_query(c, t, piece, owner, extra);
        if (piece->type == 'G')
                copy_begun(t);
        if (piece->type == 'C' && owner == TURN_CLIENT)
                count_tag(&t->span, piece);
        if ((piece->type == 's' || piece->type == 'V') && owner == TURN_CLIENT)
                count_untagged(&t->span);
        return pass;
}

/* A message goes where its beginning went, whatever turn has come meanwhile. */
enum track_verdict track_reply(struct track_client *c, struct track_server *t,
                               const struct frame_piece *piece, struct bytes *extra)
{
        if (piece->begins)
                t->verdict = (uint8_t) judge(c, t, piece, extra);
        if (piece->type == 'D' && t->turns.count > 0 && turns_owner(&t->turns) == TURN_AUDIT)
                audit_row(t, piece);
        return (enum track_verdict) t->verdict;
}
