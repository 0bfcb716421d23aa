#include "base/own.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Speaks with write(2): stdio may want memory, and there is none. */
static _Noreturn void out_of_memory(size_t size)
{
        char line[80];
        int n = snprintf(line, sizeof line, "pgbroker: out of memory (%zu bytes wanted)\n", size);

        if (n > 0 && write(STDERR_FILENO, line, (size_t) n) < 0)
                _exit(134);
        abort();
}

void *own_alloc(size_t size)
{
        void *p = calloc(1, size ? size : 1);

        if (!p)
                out_of_memory(size);
        return p;
}

void *own_grow(void *p, size_t size)
{
        /* realloc(p, 0) may free p and give NULL, which is not what "grow" says. */
        void *q = realloc(p, size ? size : 1);

        if (!q)
                out_of_memory(size);
        return q;
}

char *own_text(const char *s, size_t n)
{
        if (n == SIZE_MAX)
                out_of_memory(n);

        char *copy = own_alloc(n + 1);

        if (n)
                memcpy(copy, s, n);
        return copy;
}

char *own_string(const char *s)
{
        return s ? own_text(s, strlen(s)) : NULL;
}

char *own_format(const char *format, ...)
{
        va_list args;
        char *text = NULL;

        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                out_of_memory(0);
        return text;
}
