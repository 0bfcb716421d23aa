#include "io/work.h"

#include <uv.h>
#include "base/expect.h"
#include "base/own.h"

struct work {
        uv_work_t request;
        void (*run)(void *arg);
        void (*done)(void *arg);
        void *arg;
};

static void run(uv_work_t *request)
{
        struct work *w = request->data;

        w->run(w->arg);
}

/* Nothing here cancels a request, so `status` is always 0. */
static void finished(uv_work_t *request, int status)
{
        struct work *w = request->data;
        void (*done)(void *arg) = w->done;
        void *arg = w->arg;

        (void) status;
        free(w);
        done(arg);
}

void work_submit(struct loop *l, void (*run_)(void *arg), void (*done)(void *arg), void *arg)
{
        struct work *w = own_new(struct work);

        *w = (struct work){.run = run_, .done = done, .arg = arg};
        w->request.data = w;
        expect(uv_queue_work(loop_uv(l), &w->request, run, finished) == 0);
}
