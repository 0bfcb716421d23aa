#include "backend/probe.h"

#include <string.h>
#include "base/bytes.h"
#include "wire/compose.h"
#include "wire/frame.h"
#include "wire/reply.h"

struct probe {
        struct loop *loop;
        struct stream *stream;
        struct settings **reported;
        struct probe_question *question;
        void (*done)(void *arg, const struct refusal *why);
        void *arg;
        struct frame_cutter cutter;
        bool ready; /* 'Z' came */
        struct refusal why;
        struct deferred answer; /* not from within a call of the stream's */
};

/* ---- what comes ---- */

static enum frame_verdict unexpected(struct refusal *why)
{
        *why = (struct refusal){.failure = CONNECT_NETWORK};
        error_set(&why->error, "08P01", "unexpected bytes after login");
        error_hint(&why->error,
                   "If it happens again, a proxy between broker and server may be in the "
                   "way.");
        return FRAME_BAD;
}

/* The server says good-bye: that is no garbage. */
static enum frame_verdict farewell(const uint8_t *p, size_t n, struct refusal *why)
{
        struct reply_error r;

        if (reply_error(p, n, &r) != FRAME_READY || !r.sqlstate[0])
                return unexpected(why);
        refusal_answer(r.sqlstate, r.message, why);
        error_context(&why->error, "the server ended the session after login");
        return FRAME_BAD;
}

static enum frame_verdict read_answer(struct probe *p, const uint8_t *payload, size_t size)
{
        struct probe_question *q = p->question;
        const char *column;
        int32_t length;
        size_t count;

        if (reply_row(payload, size, &column, &length, 1, &count) != FRAME_READY || count != 1)
                return unexpected(&p->why);
        if (length >= 0 && (size_t) length < sizeof q->answer) {
                memcpy(q->answer, column, (size_t) length);
                q->answer[length] = 0;
        }
        return FRAME_SHORT;
}

static enum frame_verdict read_message(struct probe *p, const struct frame_piece *piece)
{
        const uint8_t *payload = frame_payload(piece);
        size_t size = frame_payload_size(piece);
        struct reply_parameter parameter;
        struct reply_error notice;
        char status;

        switch (piece->type) {
        case 'Z':
                if (reply_ready(payload, size, &status) != FRAME_READY || status != 'I')
                        return unexpected(&p->why);
                p->ready = true;
                return FRAME_READY;
        case 'S':
                if (reply_parameter(payload, size, &parameter) != FRAME_READY)
                        return unexpected(&p->why);
                settings_put(p->reported, parameter.name, parameter.value);
                return FRAME_SHORT;
        case 'N':
                return reply_error(payload, size, &notice) == FRAME_READY ? FRAME_SHORT
                                                                          : unexpected(&p->why);
        case 'A':
                return FRAME_SHORT;
        case 'E':
                return farewell(payload, size, &p->why);
        case 'T':
        case 'C':
                return p->question->sql ? FRAME_SHORT : unexpected(&p->why);
        case 'D':
                return p->question->sql ? read_answer(p, payload, size) : unexpected(&p->why);
        default:
                return unexpected(&p->why);
        }
}

static enum frame_verdict read_all(struct probe *p, const uint8_t *b, size_t n, size_t *used)
{
        enum frame_verdict verdict = FRAME_SHORT;
        struct frame_piece piece;

        while (*used < n) {
                if (p->ready)
                        return unexpected(&p->why);
                verdict = frame_next(&p->cutter, &frame_from_server, b + *used, n - *used,
                                     STREAM_HOLD, &piece);
                if (verdict == FRAME_SHORT)
                        break;
                if (verdict == FRAME_BAD || !frame_whole(&piece))
                        return unexpected(&p->why);
                *used += piece.size;
                verdict = read_message(p, &piece);
                if (verdict == FRAME_BAD)
                        break;
        }
        return verdict;
}

/* ---- the stream ---- */

static size_t received(void *arg, const uint8_t *b, size_t n)
{
        struct probe *p = arg;
        size_t used = 0;

        if (error_is_set(&p->why.error))
                return n;
        if (read_all(p, b, n, &used) == FRAME_SHORT)
                return used;
        loop_defer(p->loop, &p->answer);
        return n;
}

static void ended(void *arg, const struct error *e)
{
        struct probe *p = arg;

        if (!error_is_set(&p->why.error)) {
                p->why.failure = CONNECT_NETWORK;
                error_set(&p->why.error, "08006", "%s",
                          e ? e->text : "the server closed the connection");
                error_context(&p->why.error, "right after login");
        }
        loop_defer(p->loop, &p->answer);
}

static void filled(void *arg)
{
        (void) arg;
}

static size_t received_by_nobody(void *arg, const uint8_t *b, size_t n)
{
        (void) arg;
        (void) b;
        (void) n;
        return 0;
}

static void ended_for_nobody(void *arg, const struct error *e)
{
        (void) arg;
        (void) e;
}

static const struct stream_events probing = {received, filled, filled, ended, NULL};
static const struct stream_events nobody = {received_by_nobody, filled, filled, ended_for_nobody, NULL};

static void answer(struct deferred *d)
{
        struct probe *p = container_of(d, struct probe, answer);

        stream_retarget(p->stream, &nobody, NULL);
        p->done(p->arg, error_is_set(&p->why.error) ? &p->why : NULL);
}

struct probe *probe_start(struct loop *l, struct stream *stream, struct settings **reported,
                          struct probe_question *question,
                          void (*done)(void *arg, const struct refusal *why), void *arg)
{
        struct probe *p = own_new(struct probe);
        struct bytes request;

        *p = (struct probe){
                .loop = l, .stream = stream, .reported = reported, .question = question,
                .done = done, .arg = arg};
        question->answer[0] = 0;
        deferred_init(&p->answer, answer);
        stream_retarget(stream, &probing, p);
        bytes_init(&request, 0);
        if (question->sql)
                compose_query(&request, question->sql);
        else
                compose_sync(&request);
        stream_send_copy(stream, bytes_data(&request), bytes_length(&request));
        bytes_free(&request);
        /* Bytes that are in the SSL already raise no event. */
        stream_again(stream);
        return p;
}

void probe_free(struct probe *p)
{
        if (!p)
                return;
        deferred_clear(&p->answer);
        stream_retarget(p->stream, &nobody, NULL);
        free(p);
}
