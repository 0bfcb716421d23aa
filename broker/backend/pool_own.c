/* Servers that nobody has, and what the broker asks them for itself: a reset, a test, connect_query. */
#include "backend/pool_parts.h"

#include <string.h>
#include "base/own.h"
#include "wire/compose.h"
#include "wire/frame.h"

/* Nothing is owed by a server that is idle or held back: what it says is a notice, a changed parameter,
 * or a reason to close it. */
static bool is_asked(const struct server *s)
{
        return s->state != SERVER_IDLE && s->state != SERVER_CANCELED;
}

static bool consume(struct server *s, const uint8_t *p, size_t n, size_t *used, const char **why)
{
        struct frame_piece piece;
        struct bytes nothing;
        bytes_init(&nothing, 0);
        for (*used = 0; *used < n; *used += piece.size) {
                enum frame_verdict v = frame_next(&s->cutter, &frame_from_server, p + *used, n - *used,
                                                  STREAM_HOLD, &piece);
                if (v == FRAME_SHORT)
                        return true;
                if (v == FRAME_BAD || (!is_asked(s) && piece.type != 'N' && piece.type != 'S') ||
                    track_reply(NULL, &s->track, &piece, &nothing) == TRACK_BAD) {
                        *why = v != FRAME_BAD && piece.type == 'E' ? "the server ended the session"
                                                                   : "bytes that nobody asked for";
                        return false;
                }
        }
        return true;
}

/* ---- what was asked is answered ---- */

static void become_idle(struct server *s)
{
        struct pool *p = s->pool;
        server_become(s, SERVER_IDLE, loop_now(p->loop));
        if (s->dedicated)
                pool_dedicated_opened(s);
        else
                pool_settle_idle(s);
}

static void cleaned(struct server *s)
{
        if (s->track.restore_failed || s->close_needed) {
                pool_close(s, "it could not be reset");
                return;
        }
        s->used = false;
        become_idle(s);
}

/* Whose turn it was has it again. */
static void tested(struct server *s)
{
        struct pool *p = s->pool;
        if (s->track.restore_failed) {
                pool_close(s, "its test failed");
                return;
        }
        s->tested = true;
        server_become(s, SERVER_IDLE, loop_now(p->loop));
        if (p->config.options.server_round_robin) {
                list_remove(&s->link);
                list_push_back(&s->lists->in[SERVER_IDLE], &s->link);
        }
        pool_settle_idle(s);
}

/* An error in it is logged and else ignored, as in PgBouncer. */
static void prepared(struct server *s)
{
        struct pool *p = s->pool;
        if (s->track.restore_failed) {
                const struct error *why = s->track.restore_reason;
                log_warn(p->log, "connect_query failed", log_str("environment", p->environment),
                         log_int("server", (int64_t) s->id), log_str("reason", why ? why->text : ""),
                         log_str("sqlstate", why ? why->sqlstate : ""));
                track_recover(&s->track);
        }
        become_idle(s);
}

static void answered(struct server *s)
{
        switch (s->state) {
        case SERVER_CLEANING:
                cleaned(s);
                break;
        case SERVER_TESTING:
                tested(s);
                break;
        case SERVER_PREPARING:
                prepared(s);
                break;
        default:
                break;
        }
}

/* ---- the stream ---- */

static size_t received(void *arg, const uint8_t *bytes, size_t n)
{
        struct server *s = arg;
        struct pool *p = s->pool;
        const char *why;
        size_t used;
        if (!consume(s, bytes, n, &used, &why)) {
                log_info(p->log, "idle server dropped", log_str("environment", p->environment),
                         log_int("server", (int64_t) s->id), log_str("reason", why));
                pool_close(s, why);
                return n;
        }
        if (is_asked(s) && track_quiet(&s->track))
                answered(s);
        return used;
}

static void ended(void *arg, const struct error *e)
{
        struct server *s = arg;
        pool_close(s, e ? e->text : "the server closed the connection");
}

static void nothing(void *arg)
{
        (void) arg;
}

const struct stream_events pool_own_events = {received, nothing, nothing, ended, NULL};

/* ---- asking ---- */

void pool_clean(struct server *s, struct bytes *reset)
{
        stream_send_copy(server_stream(s), bytes_data(reset), bytes_length(reset));
        bytes_free(reset);
}

static void ask(struct server *s, const char *sql, enum server_state state)
{
        struct pool *p = s->pool;
        struct bytes b;
        bytes_init(&b, 0);
        compose_query(&b, sql);
        turns_sent(&s->track.turns, TURN_QUERY, TURN_CLEAN);
        pool_clean(s, &b);
        server_become(s, state, loop_now(p->loop));
}

void pool_test(struct server *s)
{
        const struct pool *p = s->pool;
        const char *sql = p->config.options.server_check_query;
        ask(s, strcmp(sql, "<empty>") == 0 ? "" : sql, SERVER_TESTING);
}

void pool_prepare(struct server *s)
{
        const struct pool *p = s->pool;
        ask(s, p->config.options.connect_query, SERVER_PREPARING);
}
