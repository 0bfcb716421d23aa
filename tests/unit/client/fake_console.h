/* A console that knows its answers by heart, on a unix socket in a folder of its own, one connection
 * after the other. */
#ifndef PGB_TEST_FAKE_CONSOLE_H
#define PGB_TEST_FAKE_CONSOLE_H

#include "../base/cmocka_all.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* `columns` is "name:25 age:23" (type after the colon), `rows` is "a|1\nb|2\n", where ~ is NULL.
 * Without columns only the tag comes back. columns "error": rows is "SQLSTATE|message|hint". */
struct answer {
        const char *command, *columns, *rows;
};

struct fake_console {
        char directory[64], path[96];
        const struct answer *answers;   /* ends with a NULL command; what is not there is refused */
        const char *refusal;            /* "28000|message|hint" for whoever connects */
        bool mute;                      /* says nothing at all */
        bool ends_on_shutdown;
        char startup[1024];             /* of the last client, each NUL shown as a blank */
        char asked[4096];               /* all commands, each with a ';' */
        int fd;
        pthread_t thread;
};

struct message {
        uint8_t bytes[65536];
        size_t size;
};

static inline void put(struct message *m, const void *bytes, size_t size)
{
        assert_true(m->size + size <= sizeof m->bytes);
        memcpy(m->bytes + m->size, bytes, size);
        m->size += size;
}

static inline void put_text(struct message *m, const char *text)
{
        put(m, text, strlen(text) + 1);
}

static inline void put16(struct message *m, unsigned value)
{
        put(m, &(uint16_t){htons((uint16_t) value)}, 2);
}

static inline void put32(struct message *m, uint32_t value)
{
        put(m, &(uint32_t){htonl(value)}, 4);
}

/* Begins a message; returns where its length stands. */
static inline size_t begin(struct message *m, char type)
{
        put(m, &type, 1);
        put32(m, 0);
        return m->size - 4;
}

static inline void end(struct message *m, size_t at)
{
        memcpy(m->bytes + at, &(uint32_t){htonl((uint32_t) (m->size - at))}, 4);
}

/* The words up to `until`, copied; moves on behind it. */
static inline char *word(const char **text, char until)
{
        static _Thread_local char copy[8][256];
        static _Thread_local unsigned turn;
        char *to = copy[turn++ % 8];
        size_t n = 0;

        while (**text && **text != until && n < 255)
                to[n++] = *(*text)++;
        to[n] = 0;
        *text += **text == until;
        return to;
}

static inline void put_error(struct message *m, const char *severity, const char *text)
{
        size_t at = begin(m, 'E');

        put(m, "S", 1), put_text(m, severity), put(m, "V", 1), put_text(m, severity);
        put(m, "C", 1), put_text(m, word(&text, '|'));
        put(m, "M", 1), put_text(m, word(&text, '|'));
        if (*text)
                put(m, "H", 1), put_text(m, text);
        put(m, "", 1);
        end(m, at);
}

static inline void put_ready(struct message *m)
{
        size_t at = begin(m, 'Z');

        put(m, "I", 1);
        end(m, at);
}

static inline unsigned put_columns(struct message *m, const char *columns)
{
        unsigned count = 0;
        size_t at = begin(m, 'T'), counted = m->size;

        put16(m, 0);
        for (; *columns; count++) {
                const char *one = word(&columns, ' ');

                put_text(m, word(&one, ':'));
                put32(m, 0), put16(m, 0), put32(m, (uint32_t) atoi(one));
                put16(m, 0xffff), put32(m, 0xffffffff), put16(m, 0);
        }
        memcpy(m->bytes + counted, &(uint16_t){htons((uint16_t) count)}, 2);
        end(m, at);
        return count;
}

static inline void put_row(struct message *m, const char *cells, unsigned count)
{
        size_t at = begin(m, 'D');

        put16(m, count);
        for (unsigned i = 0; i < count; i++) {
                const char *cell = word(&cells, '|');

                put32(m, strcmp(cell, "~") == 0 ? 0xffffffff : (uint32_t) strlen(cell));
                if (strcmp(cell, "~") != 0)
                        put(m, cell, strlen(cell));
        }
        end(m, at);
}

static inline void put_tag(struct message *m, const char *tag)
{
        size_t at = begin(m, 'C');

        put_text(m, tag);
        end(m, at);
}

static inline void put_answer(struct message *m, const struct answer *a)
{
        const char *rows = a->rows;

        if (a->columns && strcmp(a->columns, "error") == 0) {
                put_error(m, "ERROR", rows);
                return;
        }
        if (a->columns) {
                unsigned count = put_columns(m, a->columns);

                while (rows && *rows)
                        put_row(m, word(&rows, '\n'), count);
        }
        put_tag(m, a->columns ? "SHOW" : a->command);
}

static inline void answer(const struct fake_console *c, const char *command, struct message *m)
{
        static const struct answer unknown = {"", "error", "42601|invalid command|SHOW HELP lists them."};
        const struct answer *found = &unknown;

        for (const struct answer *a = c->answers; a && a->command; a++)
                if (strcmp(a->command, command) == 0)
                        found = a;
        put_answer(m, found);
        put_ready(m);
}

static inline bool read_all(int fd, void *bytes, size_t size)
{
        return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t) size;
}

static inline void send_all(int fd, struct message *m)
{
        if (send(fd, m->bytes, m->size, MSG_NOSIGNAL) < 0)
                m->size = 0;
        m->size = 0;
}

static inline bool greet(struct fake_console *c, int fd, struct message *m)
{
        uint32_t length;

        if (!read_all(fd, &length, 4) || ntohl(length) > sizeof c->startup ||
            !read_all(fd, c->startup, ntohl(length) - 4))
                return false;
        for (size_t i = 0; i + 5 < ntohl(length); i++)
                c->startup[i] = c->startup[i] ? c->startup[i] : ' ';
        while (c->mute && recv(fd, &length, 1, 0) > 0)
                continue;
        if (c->refusal)
                put_error(m, "FATAL", c->refusal);
        else {
                size_t at = begin(m, 'R');

                put32(m, 0);
                end(m, at);
                put_ready(m);
        }
        send_all(fd, m);
        return !c->refusal && !c->mute;
}

static inline void serve(struct fake_console *c, int fd)
{
        static _Thread_local struct message m;
        char type, text[1024];
        uint32_t length;

        m.size = 0;
        if (!greet(c, fd, &m))
                return;
        while (read_all(fd, &type, 1) && type == 'Q' && read_all(fd, &length, 4) &&
               ntohl(length) - 4 <= sizeof text && read_all(fd, text, ntohl(length) - 4)) {
                strncat(c->asked, text, sizeof c->asked - strlen(c->asked) - 1);
                strncat(c->asked, ";", sizeof c->asked - strlen(c->asked) - 1);
                if (c->ends_on_shutdown && strncmp(text, "SHUTDOWN", 8) == 0)
                        return;
                answer(c, text, &m);
                send_all(fd, &m);
        }
}

static inline void *fake_console_run(void *arg)
{
        struct fake_console *c = arg;
        int fd;

        while ((fd = accept(c->fd, NULL, NULL)) >= 0) {
                serve(c, fd);
                close(fd);
        }
        return NULL;
}

static inline void fake_console_start(struct fake_console *c)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        snprintf(c->directory, sizeof c->directory, "/tmp/pgbroker-test-XXXXXX");
        assert_non_null(mkdtemp(c->directory));
        snprintf(c->path, sizeof c->path, "%s/.s.PGSQL.5432", c->directory);
        snprintf(address.sun_path, sizeof address.sun_path, "%s", c->path);
        c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(c->fd, (struct sockaddr *) &address, sizeof address), 0);
        assert_int_equal(listen(c->fd, 8), 0);
        assert_int_equal(pthread_create(&c->thread, NULL, fake_console_run, c), 0);
}

/* The socket file stays: as a broker that was killed leaves it. */
static inline void fake_console_die(struct fake_console *c)
{
        shutdown(c->fd, SHUT_RDWR);
        pthread_join(c->thread, NULL);
        close(c->fd);
}

static inline void fake_console_tidy(struct fake_console *c)
{
        unlink(c->path);
        rmdir(c->directory);
}

static inline void fake_console_stop(struct fake_console *c)
{
        fake_console_die(c);
        fake_console_tidy(c);
}

/* Runs a program; its exit status, and what it wrote. */
struct ran {
        int status;
        char out[65536], err[4096];
};

static inline void run(struct ran *r, const char *program, const char *arguments)
{
        char line[2048], file[] = "/tmp/pgbroker-test-err-XXXXXX";
        int fd = mkstemp(file);

        snprintf(line, sizeof line, "'%s' %s 2>%s", program, arguments, file);

        FILE *from = popen(line, "r");

        assert_non_null(from);
        r->out[fread(r->out, 1, sizeof r->out - 1, from)] = 0;
        r->status = WEXITSTATUS(pclose(from));

        ssize_t n = read(fd, r->err, sizeof r->err - 1);

        r->err[n > 0 ? n : 0] = 0;
        close(fd);
        unlink(file);
}

#endif
