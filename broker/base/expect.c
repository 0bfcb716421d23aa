#include "base/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* write(2), not the log: its thread may never get to run again. */
void expect_failed(const char *condition, const char *file, int line, const char *function)
{
        char text[512];
        int n = snprintf(text, sizeof text, "pgbroker: %s:%d: %s: expected %s\n", file, line,
                         function, condition);

        if (n >= (int) sizeof text) {
                n = (int) sizeof text - 1;
                text[n - 1] = '\n';
        }
        if (n > 0 && write(STDERR_FILENO, text, (size_t) n) < 0)
                _exit(134);
        abort();
}
