#include "ops/console_visit.h"

#include <string.h>
#include "base/expect.h"
#include "ops/console_welcome.h"
#include "wire/compose.h"

#define TO(state) (1u << VISIT_##state)

static const unsigned moves[VISIT_STATE_COUNT] = {
        [VISIT_READING] = TO(ORDERED) | TO(FULL) | TO(ENDED),
        [VISIT_ORDERED] = TO(READING) | TO(ENDED),
        [VISIT_FULL] = TO(READING) | TO(ENDED),
        [VISIT_ENDED] = 0,
};

/* The only writer of the state: it is read from the client while it is READING, and only then. */
static void become(struct visit *v, enum visit_state state)
{
        expect(moves[v->state] & 1u << state);
        v->state = state;
        if (state == VISIT_READING)
                stream_resume(v->stream);
        else if (state != VISIT_ENDED)
                stream_pause(v->stream);
}

static void flush(struct visit *v)
{
        stream_send_copy(v->stream, bytes_data(&v->out), bytes_length(&v->out));
        bytes_free(&v->out);
}

static bool too_much(const struct visit *v)
{
        return bytes_length(&v->out) + stream_waiting(v->stream) > STREAM_HIGH;
}

/* ---- answers ---- */

static void say_error(struct visit *v, const char *severity, const struct error *e)
{
        struct error clean = *e;
        snapshot_clean(clean.text);
        snapshot_clean(clean.hint);
        compose_error(&v->out, severity, &clean);
}

/* A SHUTDOWN is not done before its answer is complete. */
static void leave(struct visit *v)
{
        switch (v->leaving) {
        case COMMAND_SHUTDOWN:
                v->keeper->shutdown(v->keeper_arg, SHUTDOWN_NOW);
                break;
        case COMMAND_SHUTDOWN_SERVERS:
                v->keeper->shutdown(v->keeper_arg, SHUTDOWN_WAIT_FOR_SERVERS);
                break;
        case COMMAND_SHUTDOWN_CLIENTS:
                v->keeper->shutdown(v->keeper_arg, SHUTDOWN_WAIT_FOR_CLIENTS);
                break;
        default:
                break;
        }
        v->leaving = COMMAND_NOTED;
}

static void ready(struct visit *v)
{
        compose_ready(&v->out, v->transaction);
        leave(v);
}

static void end_script(struct visit *v)
{
        free(TAKE(v->script));
        ready(v);
}

/* What was being done has failed: the rest of the script, or up to Sync, is not done. */
static void fail(struct visit *v, const struct error *e)
{
        say_error(v, "ERROR", e);
        if (v->script)
                end_script(v);
        else
                v->skipping = true;
}

static struct portal_world portal_world(const struct visit *v)
{
        return (struct portal_world){v->world, v->told};
}

/* ---- doing ---- */

static enum order_verdict order(struct visit *v, const struct command *c, struct error *e)
{
        log_info(v->world->log, "console command", log_str("command", c->tag),
                 log_str("argument", c->argument), log_int("pid", v->pid),
                 log_int("uid", v->uid));
        v->tag = c->tag;
        enum order_verdict verdict = order_start(&v->order, c, e);
        if (verdict == ORDER_WAIT)
                become(v, VISIT_ORDERED);
        return verdict;
}

static void shut_down(struct visit *v, const struct command *c)
{
        log_info(v->world->log, "console command", log_str("command", c->tag),
                 log_int("pid", v->pid), log_int("uid", v->uid));
        v->leaving = c->kind;
}

static bool may(const struct visit *v, const struct command *c, struct error *e)
{
        if (v->rights & 1u << c->right)
                return true;
        return error_set(e, "42501", "permission denied for %s", c->tag);
}

/* What gives no rows. */
static enum order_verdict perform(struct visit *v, const struct command *c, struct error *e)
{
        switch (c->kind) {
        case COMMAND_BEGIN:
                v->transaction = 'T';
                return ORDER_DONE;
        case COMMAND_COMMIT:
                v->transaction = 'I';
                return ORDER_DONE;
        case COMMAND_DEALLOCATE:
                portals_deallocate(&v->portals, c->argument);
                return ORDER_DONE;
        case COMMAND_SHUTDOWN:
        case COMMAND_SHUTDOWN_SERVERS:
        case COMMAND_SHUTDOWN_CLIENTS:
                shut_down(v, c);
                return ORDER_DONE;
        default:
                return command_is_order(c) ? order(v, c, e) : ORDER_DONE;
        }
}

/* ---- the simple protocol ---- */

static void do_simple(struct visit *v, const struct command *c)
{
        struct error e = {0};
        struct portal_world w = portal_world(v);
        if (!may(v, c, &e)) {
                fail(v, &e);
                return;
        }
        portal_answer(c, &w, &v->out);
        switch (perform(v, c, &e)) {
        case ORDER_DONE:
                compose_complete(&v->out, c->tag);
                break;
        case ORDER_WAIT:
                break;
        case ORDER_FAILED:
                fail(v, &e);
                break;
        }
}

static void go_on(struct visit *v)
{
        while (v->script && v->state == VISIT_READING) {
                struct command c;
                struct error e = {0};
                if (too_much(v)) {
                        become(v, VISIT_FULL);
                        return;
                }
                switch (command_next(&v->reader, &c, &e)) {
                case COMMAND_READ:
                        v->answered = true;
                        do_simple(v, &c);
                        break;
                case COMMAND_BAD:
                        fail(v, &e);
                        break;
                case COMMAND_END:
                        if (!v->answered)
                                compose_empty(&v->out);
                        end_script(v);
                        break;
                }
        }
}

static void query(struct visit *v, const uint8_t *p, size_t n)
{
        const char *sql;
        size_t size;
        struct error e = {0};
        portals_forget_unnamed(&v->portals);
        if (request_query(p, n, false, &sql, &size) != FRAME_READY) {
                error_set(&e, "08P01", "malformed Query message");
                say_error(v, "ERROR", &e);
                ready(v);
                return;
        }
        v->script = own_text(sql, size);
        v->answered = false;
        command_reader_init(&v->reader, v->script, size);
        v->reader.former = v->portals.former;
        go_on(v);
}

/* ---- the extended protocol ---- */

static void execute(struct visit *v, const uint8_t *p, size_t n)
{
        struct error e = {0};
        uint32_t max_rows;
        struct portal_world w = portal_world(v);
        struct portal *portal = portals_execute(&v->portals, p, n, &max_rows, &e);
        if (portal && !portal->command.tag) {
                compose_empty(&v->out);
                return;
        }
        if (!portal || !may(v, &portal->command, &e)) {
                fail(v, &e);
                return;
        }
        const struct command c = portal->command;
        if (!portal_rows(portal, &w, max_rows, &v->out)) {
                bytes_append(&v->out, "s\0\0\0\4", 5); /* PortalSuspended */
                return;
        }
        enum order_verdict verdict = perform(v, &c, &e);
        if (verdict == ORDER_DONE)
                compose_complete(&v->out, c.tag);
        else if (verdict == ORDER_FAILED)
                fail(v, &e);
}

static void synchronise(struct visit *v)
{
        v->skipping = false;
        if (v->transaction == 'I')
                portals_close_all(&v->portals);
        ready(v);
}

static void extended(struct visit *v, uint8_t type, const uint8_t *p, size_t n)
{
        struct error e = {0};
        bool good = true;
        switch (type) {
        case 'P':
                good = portals_parse(&v->portals, p, n, &e);
                if (good)
                        compose_parse_complete(&v->out);
                break;
        case 'B':
                good = portals_bind(&v->portals, p, n, &e);
                if (good)
                        compose_bind_complete(&v->out);
                break;
        case 'D':
                good = portals_describe(&v->portals, p, n, &v->out, &e);
                break;
        case 'C':
                good = portals_close(&v->portals, p, n, &e);
                if (good)
                        compose_close_complete(&v->out);
                break;
        case 'E':
                execute(v, p, n);
                break;
        default: /* Flush: everything goes out at the turn's end anyway */
                break;
        }
        if (!good)
                fail(v, &e);
}

/* ---- messages ---- */

/* A request that is answered with an error alone: with one that ends it, too, if it is of the kind
 * that no Sync follows. */
static void refuse(struct visit *v, uint8_t type, const struct error *e)
{
        fail(v, e);
        if (type != 'Q' && type != 'F')
                return;
        v->skipping = false;
        ready(v);
}

static void too_long(struct visit *v, const struct frame_piece *piece)
{
        struct error e = {0};
        if (!piece->ends)
                return;
        error_set(&e, "54000", "a message to the console may have %d bytes at most", VISIT_MESSAGE);
        refuse(v, piece->type, &e);
}

static void function_call(struct visit *v)
{
        struct error e = {0};
        error_set(&e, "0A000", "the console has no functions");
        refuse(v, 'F', &e);
}

static void message(struct visit *v, const struct frame_piece *piece)
{
        const uint8_t *p;
        if (piece->type == 'X') {
                visit_end(v, NULL);
                return;
        }
        if (v->skipping && piece->type != 'S')
                return;
        if (strchr("dcf", piece->type))
                return; /* of a COPY: outside of one they are ignored */
        if (piece->length > VISIT_MESSAGE) {
                too_long(v, piece);
                return;
        }
        expect(frame_whole(piece));
        p = frame_payload(piece);
        if (piece->type == 'Q')
                query(v, p, frame_payload_size(piece));
        else if (piece->type == 'F')
                function_call(v);
        else if (piece->type == 'S')
                synchronise(v);
        else
                extended(v, piece->type, p, frame_payload_size(piece));
        if (v->state == VISIT_READING && too_much(v))
                become(v, VISIT_FULL);
}

static void arrange(struct visit *v)
{
        if (v->state == VISIT_ENDED)
                return;
        flush(v);
        if (v->state == VISIT_FULL)
                loop_set(v->world->loop, &v->again, loop_now(v->world->loop));
}

static size_t received(void *arg, const uint8_t *p, size_t n)
{
        struct visit *v = arg;
        struct frame_piece piece;
        size_t at = 0;
        while (v->state == VISIT_READING) {
                enum frame_verdict verdict = frame_next(&v->cutter, &frame_from_client, p + at,
                                                        n - at, VISIT_MESSAGE, &piece);
                if (verdict == FRAME_BAD) {
                        struct error e = {0};
                        error_set(&e, "08P01", "invalid frontend message type %u or its length",
                                  p[at]);
                        visit_end(v, &e);
                        return n;
                }
                if (verdict == FRAME_SHORT)
                        break;
                at += piece.size;
                message(v, &piece);
        }
        arrange(v);
        return at;
}

/* ---- going on ---- */

static void proceed(struct visit *v)
{
        become(v, VISIT_READING);
        go_on(v);
        arrange(v);
}

static void drained(void *arg)
{
        struct visit *v = arg;
        if (v->state == VISIT_FULL)
                proceed(v);
}

static void look_again(struct deadline *d)
{
        struct visit *v = container_of(d, struct visit, again);
        if (v->state == VISIT_FULL && !stream_blocked(v->stream))
                proceed(v);
}

static void order_done(struct order *o, const struct error *e)
{
        struct visit *v = container_of(o, struct visit, order);
        become(v, VISIT_READING);
        if (e)
                fail(v, e);
        else
                compose_complete(&v->out, v->tag);
        go_on(v);
        arrange(v);
}

static void blocked(void *arg)
{
        (void) arg; /* seen by too_much() */
}

static void ended(void *arg, const struct error *e)
{
        (void) e;
        visit_end(arg, NULL);
}

static const struct stream_events events = {received, blocked, drained, ended, NULL};

/* ---- life ---- */

static void bury(struct deferred *d)
{
        struct visit *v = container_of(d, struct visit, burial);
        portals_free(&v->portals);
        settings_unref(v->told);
        bytes_free(&v->out);
        free(v->script);
        free(v);
}

void visit_end(struct visit *v, const struct error *e)
{
        if (v->state == VISIT_ENDED)
                return;
        if (e)
                say_error(v, "FATAL", e);
        flush(v);
        become(v, VISIT_ENDED);
        leave(v);
        order_forget(&v->order);
        loop_clear(v->world->loop, &v->again);
        stream_free(TAKE(v->stream));
        list_remove(&v->link);
        v->keeper->ended(v->keeper_arg);
        loop_defer(v->world->loop, &v->burial);
}

struct visit *visit_new(const struct console_world *world, const struct visit_keeper *keeper,
                        void *arg, struct stream *stream, const struct listen_peer *peer,
                        const struct greet *greet)
{
        struct visit *v = own_new(struct visit);
        *v = (struct visit){.world = world,
                            .keeper = keeper,
                            .keeper_arg = arg,
                            .stream = stream,
                            .pid = peer->pid,
                            .uid = peer->uid,
                            .transaction = 'I',
                            .rights = 1u << COMMAND_LOOK | 1u << COMMAND_CHANGE,
                            .leaving = COMMAND_NOTED};
        list_init(&v->link);
        bytes_init(&v->out, 0);
        portals_init(&v->portals);
        v->portals.former = console_wants_former(greet);
        order_init(&v->order, world, order_done);
        deadline_init(&v->again, look_again);
        deferred_init(&v->burial, bury);
        log_debug(world->log, "console opened", log_int("pid", v->pid), log_int("uid", v->uid));
        stream_retarget(stream, &events, v);
        v->told = console_welcome(greet, &v->out);
        flush(v);
        stream_resume(stream);
        stream_again(stream);
        return v;
}
