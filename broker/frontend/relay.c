#include "frontend/relay.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "backend/pool_notifier.h"
#include "base/expect.h"
#include "base/own.h"
#include "track/again.h"
#include "track/audit.h"
#include "track/fit.h"
#include "wire/compose.h"
#include "wire/reply.h"

static void send_own(struct stream *to, struct bytes *b)
{
        if (bytes_length(b)) {
                stream_send_copy(to, bytes_data(b), bytes_length(b));
                bytes_free(b);
        }
}

static void tell_client(struct relay *r, struct bytes *b)
{
        if (r->muted)
                bytes_free(b);
        else
                send_own(r->client, b);
}

static void count_request(struct stats *s, const struct frame_piece *piece)
{
        switch (piece->type) {
        case 'Q':
        case 'E':
        case 'F':
                s->total.query_count += piece->begins;
                break;
        case 'P':
                s->total.client_parse_count += piece->begins;
                s->total.server_parse_count += piece->begins;
                break;
        case 'B':
                s->total.bind_count += piece->begins;
                break;
        default:
                break;
        }
}

/* A client that keeps its server may want other settings by now. */
static void realign(struct relay *r, struct bytes *first, struct bytes *tell)
{
        struct track_server *t = &r->server->track;
        if (t->aligned != r->track.wanted && track_idle(t))
                track_realign(&r->track, t, first, tell);
}

/* Forwards a piece, and before it what the server must hear first. `lasts`: to the end of the loop's turn. */
static void forward(struct relay *r, const struct track_request *request,
                    const struct frame_piece *piece, bool lasts)
{
        void (*send)(struct stream *, const void *, size_t) = lasts ? stream_send : stream_send_copy;
        struct track_server *t = &r->server->track;
        struct bytes first, tell;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        if (piece->begins)
                realign(r, &first, &tell);
        size_t replaced = track_send(&r->track, t, request, piece, &first);
        send_own(server_stream(r->server), &first);
        tell_client(r, &tell);
        if (replaced < piece->size)
                send(server_stream(r->server), piece->data + replaced, piece->size - replaced);
}

/* What must be known before the piece is sent; RELAY_MORE: it is known by now. */
static enum relay_verdict question(struct relay *r, const struct frame_piece *piece)
{
        struct track_server *t = &r->server->track;
        struct bytes first, tell;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        realign(r, &first, &tell);
        fit_ask(&r->track, t, piece, &first);
        send_own(server_stream(r->server), &first);
        tell_client(r, &tell);
        return r->track.check == CHECK_ASKED ? RELAY_FULL : RELAY_MORE;
}

static void answer_sync(struct relay *r)
{
        struct bytes b;
        bytes_init(&b, 0);
        compose_ready(&b, 'I');
        send_own(r->client, &b);
}

/* Of a replication connection: its server is nobody else's, before or after. */
static enum relay_verdict request_raw(struct relay *r, const struct frame_piece *piece)
{
        if (piece->type == 'X')
                return RELAY_GOODBYE;
        stream_send(server_stream(r->server), piece->data, piece->size);
        return RELAY_MORE;
}

static enum relay_verdict request(struct relay *r, const struct frame_piece *piece, struct error *e)
{
        struct track_request q;
        if (r->raw)
                return request_raw(r, piece);
        if (!piece->begins && r->swallowing) {
                r->swallowing = !piece->ends;
                return RELAY_MORE;
        }
        switch (track_look(&r->track, r->server ? &r->server->track : NULL, piece, &q, e)) {
        case TRACK_BAD:
                return RELAY_BAD;
        case TRACK_GOODBYE:
                return RELAY_GOODBYE;
        case TRACK_SWALLOW:
                r->swallowing = !piece->ends;
                return RELAY_MORE;
        case TRACK_ANSWER:
                answer_sync(r);
                return RELAY_MORE;
        case TRACK_WAIT:
                return RELAY_FULL;
        case TRACK_ASK:
                return question(r, piece) == RELAY_MORE ? request(r, piece, e) : RELAY_FULL;
        case TRACK_FORWARD:
                break;
        }
        /* Leave to pin comes first: nobody holds a server while he waits for that, if he has none. */
        if (q.pins && !r->may_pin)
                return RELAY_NEED_PIN;
        if (!r->server)
                return RELAY_NEED_SERVER;
        if (piece->begins && turns_full(&r->server->track.turns))
                return RELAY_FULL;
        forward(r, &q, piece, true);
        count_request(r->stats, piece);
        return RELAY_MORE;
}

/* The client's messages that failed unseen, once more. Nothing but an answer was lacking when they were judged
 * first, so nothing is now. */
static enum relay_verdict requests_again(struct relay *r)
{
        struct track_server *t = &r->server->track;
        struct track_request q;
        struct frame_piece piece;
        struct error e;
        for (size_t at = 0; again_next(t, &at, &piece);) {
                enum track_verdict v = track_look(&r->track, t, &piece, &q, &e);
                if ((v != TRACK_FORWARD && v != TRACK_ASK) || (q.pins && !r->may_pin))
                        return RELAY_BAD;
                forward(r, &q, &piece, false);
        }
        return RELAY_MORE;
}

/* ---- what is canceled before it was sent ---- */

void relay_cancel(struct relay *r)
{
        look_drop(&r->track);
        r->drop = RELAY_DROP_REQUEST;
}

static void answer_canceled(struct relay *r, uint8_t type)
{
        struct error e = {0};
        struct bytes b;
        bytes_init(&b, 0);
        if (r->server) {
                track_cancel(&r->track, &r->server->track, type, &b);
                send_own(server_stream(r->server), &b);
                return;
        }
        error_set(&e, "57014", "canceling statement due to user request");
        compose_error(&b, "ERROR", &e);
        if (type == 'Q' || type == 'F')
                compose_ready(&b, 'I');
        send_own(r->client, &b);
}

static enum relay_verdict drop(struct relay *r, const struct frame_piece *piece, struct error *e)
{
        bool batch = piece->type != 'Q' && piece->type != 'F';
        if (r->drop == RELAY_DROP_BATCH) {
                if (piece->type != 'S' && piece->type != 'X')
                        return RELAY_MORE;
                r->drop = RELAY_DROP_NOTHING;
                return request(r, piece, e);
        }
        if (!piece->ends)
                return RELAY_MORE;
        answer_canceled(r, piece->type);
        r->drop = batch ? RELAY_DROP_BATCH : RELAY_DROP_NOTHING;
        return RELAY_MORE;
}

enum relay_verdict relay_requests(struct relay *r, const uint8_t *p, size_t n, size_t *used,
                                  struct error *e)
{
        struct frame_piece piece;
        size_t at;
        enum relay_verdict v = RELAY_MORE;
        for (at = 0; at < n; at += piece.size) {
                struct frame_cutter before = r->cutter;
                enum frame_verdict f = frame_next(&r->cutter, &frame_from_client, p + at, n - at,
                                                  STREAM_HOLD, &piece);
                if (f == FRAME_SHORT)
                        break;
                if (f == FRAME_BAD) {
                        error_set(e, "08P01", "protocol violation: invalid message type or length "
                                  "(0x%02x)", p[at]);
                        v = RELAY_BAD;
                        break;
                }
                v = r->drop ? drop(r, &piece, e) : request(r, &piece, e);
                if (v != RELAY_MORE) {
                        r->cutter = before;
                        break;
                }
        }
        r->stats->total.bytes_received += at;
        *used = at;
        return v;
}

/* Does the server end the session with this message? `e` gets its words. Those of other errors may
 * hold parts of a query, or of data: they are counted by their SQLSTATE alone. */
static bool ends_session(struct relay *relay, const struct frame_piece *piece, struct error *e)
{
        struct reply_error r;
        if (piece->type != 'E' || !reply_error_in(piece, &r))
                return false;
        bool ends = strcmp(r.severity, "FATAL") == 0 || strcmp(r.severity, "PANIC") == 0;
        if (strcmp(r.sqlstate, "25006") == 0)
                relay->server->read_only = true;
        errors_note(relay->errors, "server", r.sqlstate, ends ? r.message : "", time(NULL));
        if (!ends)
                return false;
        error_set(e, *r.sqlstate ? r.sqlstate : "08006", "%s", r.message);
        return true;
}

static void count_answer(struct relay *r, const struct frame_piece *piece)
{
        bool ready = piece->type == 'Z';
        r->readies += ready;
        r->answers += ready || piece->type == 'C' || piece->type == 's' || piece->type == 'I';
}

/* The server says that somebody asked for the cancel; the client is told why. */
static bool reword_canceled(struct relay *r, const struct frame_piece *piece)
{
        struct reply_error said;
        struct bytes b;
        if (piece->type != 'E' || !reply_error_in(piece, &said) || strcmp(said.sqlstate, "57014") != 0)
                return false;
        bytes_init(&b, 0);
        compose_error(&b, "ERROR", r->canceled_for);
        send_own(r->client, &b);
        free(TAKE(r->canceled_for));
        return true;
}

/* Before the welcome no driver expects a notice. */
void relay_notice(struct relay *r, const char *text)
{
        const char *least = r->track.wanted ? settings_get(r->track.wanted, "client_min_messages") : NULL;
        struct bytes b;
        if (r->muted || !relay_may_speak(r))
                return;
        if (least && (strcmp(least, "warning") == 0 || strcmp(least, "error") == 0))
                return;
        bytes_init(&b, 0);
        compose_notice(&b, "00000", text);
        send_own(r->client, &b);
}

/* Its answer ends, and with it what is pinned stays: the client hears of that before the end. */
static void tell_pinned(struct relay *r)
{
        const struct pins *p = &r->track.pins;
        char text[360], why[240];
        if (!pins_hold(p))
                r->pin_told = false;
        if (!r->pin_notice || r->pin_told || !pins_hold(p) || !track_quiet(&r->server->track) ||
            audit_wanted(&r->track))
                return;
        r->pin_told = true;
        snprintf(text, sizeof text, "the session keeps its server connection from others from now on (%s)",
                 pins_reasons(p, why, sizeof why));
        relay_notice(r, text);
}

/* A notification bears the process id of the server that sent it: the client is told whose that is. */
static void notify(struct relay *r, const struct frame_piece *piece)
{
        enum { HEAD = FRAME_HEADER + 4 };
        const struct server *s = r->server;
        uint64_t since = track_quiet(&s->track) ? loop_us() : r->xact_us;
        uint32_t pid = pool_notifier(s, r->pid, frame_get32(frame_payload(piece)), since);
        const uint8_t named[4] = {pid >> 24 & 0xff, pid >> 16 & 0xff, pid >> 8 & 0xff, pid & 0xff};
        stream_send(r->client, piece->data, FRAME_HEADER);
        stream_send_copy(r->client, named, sizeof named);
        stream_send(r->client, piece->data + HEAD, piece->size - HEAD);
}

/* The client has all its answers, and what the server says now can't be one. */
static bool nothing_open(const struct relay *r)
{
        const struct track_server *t = &r->server->track;
        return t->turns.count == 0 && track_lendable(&r->track, t);
}

static enum relay_verdict reply(struct relay *r, const struct frame_piece *piece, struct error *e)
{
        struct track_server *t = &r->server->track;
        struct bytes extra;
        bool last = ends_session(r, piece, e);
        if (r->raw) {
                r->fatal |= last;
                stream_send(r->client, piece->data, piece->size);
                return RELAY_MORE;
        }
        if (last && nothing_open(r))
                return RELAY_LOST;
        bytes_init(&extra, 0);
        enum track_verdict v = track_reply(&r->track, t, piece, &extra);
        if (piece->type == 'Z')
                tell_pinned(r);
        tell_client(r, &extra);
        if (v == TRACK_BAD)
                return RELAY_BAD;
        if (v == TRACK_SWALLOW && piece->type == 'Z')
                return requests_again(r);
        if (v == TRACK_FORWARD && !r->muted) {
                r->fatal |= last;
                count_answer(r, piece);
                if (piece->type == 'A' && piece->begins)
                        notify(r, piece);
                else if (!r->canceled_for || !reword_canceled(r, piece))
                        stream_send(r->client, piece->data, piece->size);
        }
        return RELAY_MORE;
}

enum relay_verdict relay_replies(struct relay *r, const uint8_t *p, size_t n, size_t *used,
                                 struct error *e)
{
        struct server *s = r->server;
        struct frame_piece piece;
        size_t at;
        enum relay_verdict v = RELAY_MORE;
        for (at = 0; at < n; at += piece.size) {
                enum frame_verdict f = frame_next(&s->cutter, &frame_from_server, p + at, n - at,
                                                  STREAM_HOLD, &piece);
                if (f == FRAME_SHORT)
                        break;
                bool unseen = nothing_open(r);
                v = f == FRAME_BAD ? RELAY_BAD : reply(r, &piece, e);
                if (v == RELAY_BAD) {
                        error_set(e, "08P01", "the server sent a message that does not answer what "
                                  "was asked (type 0x%02x)", p[at]);
                        v = unseen ? RELAY_LOST : RELAY_BAD;
                }
                /* What follows was done without the settings it needs: not for the client. */
                if (v != RELAY_MORE || (s->track.restore_failed && !r->muted))
                        break;
        }
        r->stats->total.bytes_sent += at;
        *used = at;
        return v;
}

void relay_attach(struct relay *r, struct server *s, bool reset)
{
        struct bytes first, tell;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        r->server = s;
        track_lend(&r->track, &s->track, reset, &first, &tell);
        send_own(server_stream(s), &first);
        tell_client(r, &tell);
}

bool relay_audit(struct relay *r)
{
        struct bytes out;
        bytes_init(&out, 0);
        if (!frame_at_border(&r->cutter) || !track_audit(&r->track, &r->server->track, &out))
                return false;
        send_own(server_stream(r->server), &out);
        return true;
}
