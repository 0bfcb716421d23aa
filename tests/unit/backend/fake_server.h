/* A server of a few lines on loopback, in a thread: it plays a script for each connection. */
#ifndef PGB_TEST_FAKE_SERVER_H
#define PGB_TEST_FAKE_SERVER_H

#include "../base/cmocka_all.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/bytes.h"
#include "base/error.h"
#include "wire/compose.h"
#include "wire/frame.h"

#define FAKE_SSL_REQUEST 80877103

struct fake {
        void (*script)(struct fake *f, int fd);
        const char *sqlstate; /* for scripts that refuse */
        pthread_t thread;
        int listener;
        unsigned port;
        /* What it saw; to be read after fake_stop(). */
        int accepted, ssl_requests, startups;
        uint8_t startup[1024];
        size_t startup_size;
        char said[64]; /* types of the messages after the startup */
};

static inline bool fake_read(int fd, void *p, size_t n)
{
        return n == 0 || recv(fd, p, n, MSG_WAITALL) == (ssize_t) n;
}

static inline void fake_write(int fd, const void *p, size_t n)
{
        assert_true(send(fd, p, n, MSG_NOSIGNAL) == (ssize_t) n || n == 0);
}

/* Sends what was composed, and forgets it. */
static inline void fake_send(int fd, struct bytes *b)
{
        fake_write(fd, bytes_data(b), bytes_length(b));
        bytes_free(b);
}

/* A packet without type byte: its code, 0 at the end. */
static inline uint32_t fake_packet(struct fake *f, int fd)
{
        uint8_t head[8];

        if (!fake_read(fd, head, sizeof head))
                return 0;

        size_t rest = frame_get32(head) - sizeof head;

        if (frame_get32(head + 4) == FAKE_SSL_REQUEST) {
                f->ssl_requests++;
                return FAKE_SSL_REQUEST;
        }
        if (rest > sizeof f->startup || !fake_read(fd, f->startup, rest))
                return 0;
        f->startup_size = rest;
        f->startups++;
        return frame_get32(head + 4);
}

/* The StartupMessage, after saying that there is no TLS; false if the peer went away. */
static inline bool fake_startup(struct fake *f, int fd)
{
        uint32_t code = fake_packet(f, fd);

        if (code == FAKE_SSL_REQUEST) {
                fake_write(fd, "N", 1);
                code = fake_packet(f, fd);
        }
        return code == 3 << 16;
}

/* Reads one message and notes its type; 0 at the end. */
static inline char fake_message(struct fake *f, int fd)
{
        uint8_t head[5], body[1024];
        size_t n = strlen(f->said);

        if (!fake_read(fd, head, sizeof head))
                return 0;

        size_t rest = frame_get32(head + 1) - 4;

        if (rest > sizeof body || !fake_read(fd, body, rest))
                return 0;
        if (n < sizeof f->said - 1)
                f->said[n] = (char) head[0];
        return (char) head[0];
}

/* The value of a startup parameter, NULL if it was not sent. */
static inline const char *fake_parameter(const struct fake *f, const char *name)
{
        const char *p = (const char *) f->startup, *end = p + f->startup_size;

        while (p < end && *p) {
                const char *value = p + strlen(p) + 1;

                if (strcmp(p, name) == 0)
                        return value;
                p = value + strlen(value) + 1;
        }
        return NULL;
}

static inline void *fake_run(void *arg)
{
        struct fake *f = arg;
        int fd;

        while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
                f->accepted++;
                f->script(f, fd);
                close(fd);
        }
        return NULL;
}

/* folder NULL: on 127.0.0.1. */
static inline void fake_start(struct fake *f, void (*script)(struct fake *f, int fd),
                              const char *folder)
{
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        socklen_t size = sizeof in;

        f->script = script;
        f->listener = socket(folder ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        f->port = 5432;
        if (folder) {
                snprintf(un.sun_path, sizeof un.sun_path, "%s/.s.PGSQL.%u", folder, f->port);
                assert_int_equal(bind(f->listener, (struct sockaddr *) &un, sizeof un), 0);
        } else {
                assert_int_equal(bind(f->listener, (struct sockaddr *) &in, sizeof in), 0);
                getsockname(f->listener, (struct sockaddr *) &in, &size);
                f->port = ntohs(in.sin_port);
        }
        assert_int_equal(listen(f->listener, 16), 0);
        assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static inline void fake_stop(struct fake *f)
{
        shutdown(f->listener, SHUT_RDWR);
        pthread_join(f->thread, NULL);
        close(f->listener);
}

#endif
