#include "io/run.h"

#include <signal.h>
#include <string.h>
#include <linux/close_range.h>
#include <unistd.h>
#include <uv.h>
#include "base/bytes.h"
#include "base/own.h"
#include "base/sealed.h"

enum { PIECE = 4096 };

struct run_pipe {
        uv_pipe_t pipe;
        struct run *run;
        struct bytes text;
        char piece[PIECE];
        bool open;
};

/* It outlives done() until libuv has closed its handles, and the program has ended. */
struct run {
        struct loop *loop;
        void (*done)(void *arg, const struct run_result *result, const struct error *e);
        void *arg; /* done NULL: nobody waits (any more) */
        uv_process_t process;
        struct run_pipe output, complaint;
        struct deadline over;
        struct deferred answer;
        bool exited; /* or never began */
        int status, signal;
        struct error error;
        unsigned timeout_ms, handles; /* handles: not closed yet */
};

/* ---- The end ---- */

static void closed(uv_handle_t *handle)
{
        struct run *r = handle->data;

        if (--r->handles > 0)
                return;
        bytes_wipe(&r->output.text);
        bytes_wipe(&r->complaint.text);
        sealed_wipe(r->output.piece, sizeof r->output.piece);
        sealed_wipe(r->complaint.piece, sizeof r->complaint.piece);
        free(r);
}

static void close_handle(void *handle)
{
        if (!uv_is_closing(handle))
                uv_close(handle, closed);
}

/* It leads a process group of its own, so that what it started goes with it. */
static void kill_all(struct run *r)
{
        if (!r->exited || r->output.open || r->complaint.open)
                kill(-r->process.pid, SIGKILL);
}

/* The process's handle stays until it has ended: libuv must wait for it. */
static void let_go(struct run *r)
{
        kill_all(r);
        r->done = NULL;
        loop_clear(r->loop, &r->over);
        deferred_clear(&r->answer);
        close_handle(&r->output.pipe);
        close_handle(&r->complaint.pipe);
        if (r->exited)
                close_handle(&r->process);
}

void run_cancel(struct run *r)
{
        if (r)
                let_go(r);
}

static void tell(struct deferred *d)
{
        struct run *r = container_of(d, struct run, answer);
        bool failed = error_is_set(&r->error);
        struct run_result result = {.ran = !failed,
                                    .status = r->status,
                                    .signal = r->signal,
                                    .output_size = bytes_length(&r->output.text),
                                    .complaint_size = bytes_length(&r->complaint.text)};
        void (*done)(void *, const struct run_result *, const struct error *) = TAKE(r->done);

        bytes_append(&r->output.text, "", 1);
        bytes_append(&r->complaint.text, "", 1);
        result.output = (const char *) bytes_data(&r->output.text);
        result.complaint = (const char *) bytes_data(&r->complaint.text);
        done(r->arg, &result, failed ? &r->error : NULL);
        let_go(r);
}

/* Answers later if there is an answer. */
static void settle(struct run *r)
{
        bool over = r->exited && !r->output.open && !r->complaint.open;

        if (r->done && (over || error_is_set(&r->error)))
                loop_defer(r->loop, &r->answer);
}

static void over_expired(struct deadline *d)
{
        struct run *r = container_of(d, struct run, over);

        error_set(&r->error, "08001", "it did not end within %g s", r->timeout_ms / 1000.0);
        settle(r);
}

static void ended(uv_process_t *process, int64_t status, int signal)
{
        struct run *r = process->data;

        r->exited = true;
        r->status = (int) status;
        r->signal = signal;
        if (r->done)
                settle(r);
        else
                close_handle(&r->process);
}

/* ---- What it prints ---- */

static void give_piece(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
        struct run_pipe *p = container_of(handle, struct run_pipe, pipe);

        (void) wanted;
        *buffer = uv_buf_init(p->piece, sizeof p->piece);
}

/* One byte of the limit is for the NUL. */
static bool take_piece(struct run_pipe *p, size_t n)
{
        size_t room = p->text.limit - bytes_length(&p->text) - 1;

        bytes_append(&p->text, p->piece, n < room ? n : room);
        return n <= room;
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
        struct run_pipe *p = container_of(stream, struct run_pipe, pipe);
        struct run *r = p->run;

        (void) buffer;
        if (n > 0 && !take_piece(p, (size_t) n) && p == &r->output)
                error_set(&r->error, "08001", "it printed more than %zu bytes", p->text.limit - 1);
        if (n < 0) {
                uv_read_stop(stream);
                p->open = false;
        }
        settle(r);
}

static void init_pipe(struct run *r, struct run_pipe *p, size_t limit)
{
        p->run = r;
        bytes_init(&p->text, limit + 1);
        uv_pipe_init(loop_uv(r->loop), &p->pipe, 0);
        p->pipe.data = r;
        r->handles++;
}

static void read_pipe(struct run_pipe *p)
{
        p->open = uv_read_start((uv_stream_t *) &p->pipe, give_piece, came) == 0;
}

/* ---- Its beginning ---- */

static uv_stdio_container_t into(struct run_pipe *p)
{
        return (uv_stdio_container_t){.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
                                      .data.stream = (uv_stream_t *) &p->pipe};
}

static void begin(struct run *r, char *const *words)
{
        uv_stdio_container_t stdio[] = {
                {.flags = UV_IGNORE}, into(&r->output), into(&r->complaint)};
        uv_process_options_t options = {.exit_cb = ended,
                                        .file = words[0],
                                        .args = (char **) words,
                                        .flags = UV_PROCESS_DETACHED,
                                        .stdio = stdio,
                                        .stdio_count = 3};
        int status;

        /* Libraries leave descriptors open that would go along: libcurl's sockets, for one. */
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        status = uv_spawn(loop_uv(r->loop), &r->process, &options);
        r->process.data = r;
        r->handles++;
        if (status == 0) {
                read_pipe(&r->output);
                read_pipe(&r->complaint);
                return;
        }
        r->exited = true;
        error_set(&r->error, "08001", "%.200s: %s", words[0], uv_strerror(status));
        settle(r);
}

struct run *run_start(struct loop *l, const struct run_request *request,
                      void (*done)(void *arg, const struct run_result *result,
                                   const struct error *e),
                      void *arg)
{
        struct run *r = own_new(struct run);

        r->loop = l;
        r->done = done;
        r->arg = arg;
        r->timeout_ms = request->timeout_ms;
        deadline_init(&r->over, over_expired);
        deferred_init(&r->answer, tell);
        init_pipe(r, &r->output, request->output_limit);
        init_pipe(r, &r->complaint, request->complaint_limit);
        loop_set(l, &r->over, loop_now(l) + request->timeout_ms);
        begin(r, request->words);
        return r;
}
