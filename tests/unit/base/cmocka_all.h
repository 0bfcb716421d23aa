/* What cmocka.h wants included before it, and a way to see a process die. */
#ifndef PGB_TEST_CMOCKA_ALL_H
#define PGB_TEST_CMOCKA_ALL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Runs fn in a child; true if it aborted. `said` gets what it wrote to stderr. */
static inline bool aborts(void (*fn)(void), char *said, size_t size)
{
        int ends[2], status;
        size_t used = 0;
        ssize_t n;

        assert_int_equal(pipe(ends), 0);

        pid_t child = fork();

        if (child == 0) {
                signal(SIGABRT, SIG_DFL);
                setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
                dup2(ends[1], STDERR_FILENO);
                fn();
                _exit(0);
        }
        close(ends[1]);
        while (used < size - 1 && (n = read(ends[0], said + used, size - 1 - used)) > 0)
                used += (size_t) n;
        said[used] = 0;
        close(ends[0]);
        waitpid(child, &status, 0);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
