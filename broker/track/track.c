#include "track/track_parts.h"

#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "track/again.h"
#include "track/audit.h"
#include "track/back.h"
#include "track/fit.h"
#include "track/named.h"
#include "track/restore.h"
#include "wire/compose.h"
#include "wire/reply.h"
#include "wire/sqlword.h"

/* ---- lending ---- */

void track_lend(struct track_client *c, struct track_server *t, bool reset, struct bytes *first,
                struct bytes *tell)
{
        expect(track_quiet(t));
        memset(&t->span, 0, sizeof t->span);
        again_drop(t);
        t->rereading = false;
        c->check = CHECK_NONE;
        fit_forget_refusal(c);
        t->prepared.max = c->statements.max;
        statements_go(&c->statements);
        if (reset || t->soiled || t->aligned != c->wanted)
                restore_align(c, t, reset || t->soiled ? RESTORE_RESET : RESTORE_SHARED, first, tell);
        if (t->foreign_sequences && texts_asked_sequences(c->statements.texts))
                restore_sequences(c, t, first);
}

void track_realign(struct track_client *c, struct track_server *t, struct bytes *first,
                   struct bytes *tell)
{
        if (t->aligned != c->wanted && !(c->pins.kinds & PIN_BIT(PIN_UNNAMED)))
                restore_align(c, t, RESTORE_KEPT, first, tell);
}

bool track_quiet(const struct track_server *t)
{
        return t->status == 'I' && !t->unsynced && turns_empty(&t->turns);
}

bool track_lendable(const struct track_client *c, const struct track_server *t)
{
        return track_quiet(t) && !t->inside && !t->turns.stray && !track_holds(c) && !c->lexer &&
               !t->restore_failed && c->check == CHECK_NONE;
}

bool track_holds(const struct track_client *c)
{
        return pins_hold(&c->pins) || audit_open(c);
}

bool track_settling(const struct track_client *c, const struct track_server *t)
{
        bool asked = c->check == CHECK_ASKED || t->rereading;
        return c->holding || c->ready_owed || asked || again_waits(t) || (c->awaits && turns_will_end(&t->turns));
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

void track_calm(struct track_server *t, struct bytes *out)
{
        if (settings_get(t->applied, "idle_session_timeout"))
                restore_clean(t, false, out);
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

static void count_tag(struct track_client *c, struct track_server *t, const struct frame_piece *piece)
{
        struct track_span *span = &t->span;
        const char *tag;
        if (reply_complete(frame_payload(piece), frame_payload_size(piece), &tag) != FRAME_READY)
                return;
        named_complete(c, t, tag);
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

/* Does the broker know what the client's texts are read by? */
static void settle_reading(struct track_client *c, const struct track_server *t)
{
        if (track_quiet(t) && !audit_open(c) && !(c->pins.kinds & (PIN_BIT(PIN_SET) | PIN_BIT(PIN_SET_CONFIG))))
                c->rereads = false;
}

/* The server is quiet: what the client's statements have brought about is known now. */
static void settle(struct track_client *c, struct track_server *t)
{
        enum pins_outcome how = outcome(&t->span);
        memset(&t->span, 0, sizeof t->span);
        pins_settle(&c->pins, how);
        audit_settle(c, t, how == PINS_DONE);
        /* As the server has reported by now. */
        c->two_readings = c->two_readings && track_two_readings(c->wanted);
        settle_reading(c, t);
        c->statements.portals = (struct text_marks){0};
        if (!statements_count(&c->statements) && !(c->pins.kinds & PIN_BIT(PIN_PREPARE)))
                c->statements.named = (struct text_marks){0};
}

static enum track_verdict reply_status(struct track_client *c, struct track_server *t,
                                       const struct frame_piece *piece)
{
        struct reply_parameter p;
        if (!frame_whole(piece) ||
            reply_parameter(frame_payload(piece), frame_payload_size(piece), &p) != FRAME_READY)
                return TRACK_BAD;
        settings_put(&t->reported, p.name, p.value);
        if (settings_size(t->reported) > TRACK_SETTINGS_MAX)
                return TRACK_BAD;       /* no server reports that much */
        if (!c) {
                settings_unref(t->aligned);
                t->aligned = NULL;
                return TRACK_SWALLOW;
        }
        if (t->turns.count > 0 && turns_owner(&t->turns) == TURN_RESTORE)
                return TRACK_SWALLOW;   /* told when all of it is done */
        if (t->turns.count > 0 && turns_owner(&t->turns) == TURN_STATEMENT) {
                settings_unref(TAKE(t->aligned));       /* for a moment, or the next request looks after it */
                return TRACK_SWALLOW;
        }
        if (strcmp(p.name, "client_encoding") == 0)
                audit_encoding(c);
        restore_told(c, t, p.name, p.value);
        audit_told(c, p.name);
        return TRACK_FORWARD;
}

static enum track_verdict reply_ready_for_query(struct track_client *c, struct track_server *t,
                                                const struct frame_piece *piece,
                                                enum turn_owner owner, struct bytes *extra)
{
        if (reply_ready(frame_payload(piece), frame_payload_size(piece), &t->status) != FRAME_READY)
                return TRACK_BAD;
        if (owner == TURN_STATEMENT && t->turns.count == 0)
                t->rereading = false;
        if (!c)
                return TRACK_SWALLOW;
        if (owner == TURN_CLIENT) {
                t->back = BACK_NONE;
                t->unsynced = t->unsynced && t->turns.count > 0;        /* a Query ends what came before it, if it is done */
                count_ready(&t->span, t->status);
                if (!turns_will_end(&t->turns))
                        statements_proved(&c->statements);
                if (t->turns.count == 0)
                        named_settle(c, t);
                if (!track_quiet(t))
                        return t->again.state == AGAIN_FAILED ? TRACK_BAD : TRACK_FORWARD;
                settle(c, t);
                if (again_ready(t))
                        return TRACK_SWALLOW;
                if (!audit_pressing(c) || t->inside)
                        return TRACK_FORWARD;
                c->ready_owed++;
                return TRACK_SWALLOW;
        }
        if (owner == TURN_AUDIT) {
                audit_answered(c, t, extra);
                settle_reading(c, t);
        }
        if (owner == TURN_RESTORE && !(t->turns.count > 0 && turns_owner(&t->turns) == TURN_RESTORE))
                restore_tell(c, t, extra);
        return TRACK_SWALLOW;
}

static void restore_refused(struct track_server *t, const struct frame_piece *piece)
{
        struct reply_error e;
        t->restore_failed = true;
        if (t->restore_reason || !reply_error_in(piece, &e))
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
        return reply_error_in(piece, &e) && (strcmp(e.severity, "FATAL") == 0 || strcmp(e.severity, "PANIC") == 0);
}

/* An error skips what was sent up to the Sync, and a COPY what was sent ahead of it: changes of named
 * statements, too. */
static void undo_changes(struct track_client *c, struct track_server *t, bool failed)
{
        uint32_t left = t->turns.changes;
        if (left < t->prepared.change_count)
                named_undone(c, t, t->prepared.change_count - left, failed);
}

/* "cached plan must not change result type": a statement was prepared before a table was changed. */
static bool stale_plan(const struct frame_piece *piece)
{
        struct reply_error e;
        return reply_error_in(piece, &e) && strcmp(e.sqlstate, "0A000") == 0 &&
               strcmp(e.routine, "RevalidateCachedQuery") == 0;
}

static enum track_verdict reply_error_response(struct track_client *c, struct track_server *t,
                                               const struct frame_piece *piece, enum turn_owner owner,
                                               struct bytes *extra)
{
        struct turns *turns = &t->turns;
        bool change = turns_at_change(turns);
        bool extended = turns->count > 0 && turns_kind(turns) >= TURN_PARSE;
        bool unnamed = extended && turns_have(turns, TURN_UNNAMED);
        bool changes = extended && turns_change_unnamed(turns, false);
        bool heard = c && owner == TURN_CLIENT, changed = heard && fit_refused(t, piece);
        bool stale = heard && (changed ? !fit_has_refusal(c) : stale_plan(piece)), again = stale && again_failed(c, t);
        if (turns->count > 0 ? !turns_replied(turns, 'E') : !is_fatal(piece))
                return TRACK_BAD;
        bool restoring = owner == TURN_RESTORE || owner == TURN_CLEAN;
        /* A Query comes behind it all the same, and has an answer of its own. */
        bool own = extended ? turns->count > 0 && turns_owner(turns) == TURN_STATEMENT : owner == TURN_STATEMENT;
        if (c && own)
                fit_question_failed(c, piece);
        bool clients = c && !restoring && owner != TURN_AUDIT && !own;
        bool renamed = clients && !again && change && named_error(c, t, true, piece, extra);
        undo_changes(c, t, change);
        /* By now it has the name again, though its Close was sent behind what failed. */
        if (clients && !again && !change)
                renamed = named_error(c, t, false, piece, extra);
        if (restoring)
                restore_refused(t, piece);
        if (!clients)
                return TRACK_SWALLOW;
        t->span.error = true;
        if (extended && c->statements.dropped == t->prepared.batch - turns->of[TURN_SYNC])
                named_settle(c, t);     /* what was to DEALLOCATE is skipped */
        if (!again)
                again_refused(t);
        if (stale && !again) {
                statements_doubt(&c->statements);
                prepared_doubt(&t->prepared);
        }
        /* The last Parse of the unnamed statement failed or was skipped. */
        if (unnamed && !turns_have(turns, TURN_UNNAMED))
                track_drop_unnamed(c);
        /* A Bind may have been skipped: the unnamed portal is that of one before. */
        if (extended && !turns_have(turns, TURN_BIND))
                statements_bound(&c->statements, false, NULL);
        if (changes && !turns_change_unnamed(turns, true))
                statements_go(&c->statements);
        if (changed && !again)
                fit_say_refused(c, extra);
        return renamed || again || changed ? TRACK_SWALLOW : TRACK_FORWARD;
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
                return reply_error_response(c, t, piece, owner, extra);
        default:
                break;
        }
        bool change = turns_at_change(turns) && (piece->type == '1' || piece->type == '3');
        bool described = turns->count > 0 && turns_kind(turns) == TURN_SHAPE && strchr("tTn", piece->type);
        if (!turns_replied(turns, piece->type) || (change && !named_done(c, t)))
                return TRACK_BAD;
        if (described)
                fit_described(c, t, piece);
        undo_changes(c, t, false);
        if (stray && turns->count == 0)
                t->unsynced = false;    /* that Sync was heeded */
        if (piece->type == 'Z')
                return reply_ready_for_query(c, t, piece, owner, extra);
        if (piece->type == 'G')
                copy_begun(t);
        if (c && owner == TURN_CLIENT && back_swallows(t, piece->type))
                return TRACK_SWALLOW;
        if (piece->type == 'C' && c && owner == TURN_CLIENT)
                count_tag(c, t, piece);
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
