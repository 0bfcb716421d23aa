/* Work off the loop, on libuv's thread pool. */
#ifndef PGB_IO_WORK_H
#define PGB_IO_WORK_H

#include "io/loop.h"

/* run(arg) on a pool thread, then done(arg) on the loop. `arg` must live until done; work that was
 * submitted can't be taken back. Threads: UV_THREADPOOL_SIZE, set by main before any use. */
void work_submit(struct loop *l, void (*run)(void *arg), void (*done)(void *arg), void *arg);

#endif
