#include "backend/greeting.h"

#include <stdlib.h>
#include <string.h>
#include "base/sealed.h"

void greeting_init(struct greeting *g)
{
        memset(g, 0, sizeof *g);
        bytes_init(&g->names, 0);
}

void greeting_free(struct greeting *g)
{
        bytes_free(&g->names);
        sealed_wipe(g->line, sizeof g->line);
        g->used = 0;
}

/* What follows "B", a tab, the length and a tab, if the line starts so: a message of the server's.
 */
static const char *from_server(const char *line)
{
        if (strncmp(line, "B\t", 2) != 0)
                return NULL;
        line += 2;
        line += strspn(line, "0123456789");
        return *line == '\t' ? line + 1 : NULL;
}

/* ParameterStatus, tab, blank, "name" "value". The value may be cut off, the name may not. */
static void read_parameter(struct greeting *g, const char *text)
{
        const char *end = strchr(text, '"');

        if (!end || end == text)
                return;
        bytes_append(&g->names, text, (size_t) (end - text));
        bytes_append(&g->names, "", 1);
}

/* A signed number, and `after` it. */
static bool read_number(const char **text, char after, uint32_t *out)
{
        char *end;
        long n = strtol(*text, &end, 10);

        if (end == *text || *end != after || n < INT32_MIN || n > INT32_MAX)
                return false;
        *out = (uint32_t) n;
        *text = end + 1;
        return true;
}

/* BackendKeyData, tab, blank, pid, blank, key. */
static void read_key(struct greeting *g, const char *text)
{
        uint32_t pid, key;

        if (g->cut || !read_number(&text, ' ', &pid) || !read_number(&text, 0, &key))
                return;
        g->pid = pid;
        g->key = key;
        g->has_key = true;
}

static void read_line(struct greeting *g)
{
        static const char parameter[] = "ParameterStatus\t \"", key[] = "BackendKeyData\t ";
        const char *message;

        g->line[g->used] = 0;
        message = from_server(g->line);
        if (message && strncmp(message, parameter, sizeof parameter - 1) == 0)
                read_parameter(g, message + sizeof parameter - 1);
        else if (message && strncmp(message, key, sizeof key - 1) == 0)
                read_key(g, message + sizeof key - 1);
        g->used = 0;
        g->cut = false;
}

void greeting_read(struct greeting *g, const char *p, size_t n)
{
        for (; n > 0; p++, n--) {
                if (*p == '\n')
                        read_line(g);
                else if (g->used < sizeof g->line - 1)
                        g->line[g->used++] = *p;
                else
                        g->cut = true;
        }
}

const char *greeting_next(const struct greeting *g, size_t *at)
{
        const char *names = (const char *) bytes_data(&g->names), *name;

        if (!names || *at >= bytes_length(&g->names))
                return NULL;
        name = names + *at;
        *at += strlen(name) + 1;
        return name;
}
