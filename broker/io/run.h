/* A program that is run for what it prints. No shell; nothing to read for it; what it prints is
 * bounded, and so is its time: when that is over, it and all that it started are killed. */
#ifndef PGB_IO_RUN_H
#define PGB_IO_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "io/loop.h"

struct run;

struct run_request {
        char *const *words;             /* the program (looked up in PATH) and its arguments; NULL ends */
        size_t output_limit, complaint_limit;   /* stdout: more is an error; stderr: more is dropped */
        unsigned timeout_ms;
};

struct run_result {
        bool ran;                       /* else `e` says why it did not (to its end) */
        int status, signal;             /* how it ended; signal 0 = by itself */
        const char *output, *complaint; /* stdout and stderr, NUL-terminated; wiped after the call */
        size_t output_size, complaint_size;
};

/* Copies what it needs. done() is called later, exactly once, when the program has ended and all it
 * printed is read; the run is gone when it returns. `e` is NULL if it ran. */
struct run *run_start(struct loop *l, const struct run_request *request,
                      void (*done)(void *arg, const struct run_result *result,
                                   const struct error *e),
                      void *arg);
void run_cancel(struct run *r);         /* kills it; no call after this; NULL is fine */

#endif
