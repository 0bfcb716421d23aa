/* Any bytes from a client of the console: it answers with well-formed messages, and is done with
 * them when the client has stopped talking. The same bytes are read as a text of commands, too. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/expect.h"
#include "ops/command.h"
#include "ops/console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
        struct loop *loop;
        struct config *config;
        struct deadline look;
        struct bytes heard;
        struct frame_cutter cutter;
        int fd;
        unsigned turns;
        bool said_all;
        const uint8_t *data;
        size_t size;
};

static const char *no_variables(const char *name)
{
        (void) name;
        return NULL;
}

static const struct config *config_now(void *arg)
{
        struct world *w = arg;
        return w->config;
}

static void reload(void *arg, void (*done)(void *done_arg, const struct error *e), void *done_arg)
{
        (void) arg;
        done(done_arg, NULL);
}

static void set(void *arg, const char *key, const char *value,
                void (*done)(void *done_arg, const struct error *e), void *done_arg)
{
        struct world *w = arg;
        struct config *fresh;
        struct error e = {0};
        bool good = config_set(w->config, key, value, &fresh, &e);
        expect(good || (error_is_set(&e) && *e.sqlstate));
        if (good) {
                config_free(w->config);
                w->config = fresh;
        }
        done(done_arg, good ? NULL : &e);
}

static void shut_down(void *arg, enum console_shutdown how)
{
        (void) arg;
        (void) how;
}

static void say_more(struct world *w)
{
        ssize_t n = send(w->fd, w->data, w->size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
                w->data += n;
                w->size -= (size_t) n;
        }
        if ((w->size == 0 || (n < 0 && errno != EAGAIN)) && !w->said_all) {
                w->said_all = true;
                shutdown(w->fd, SHUT_WR);
        }
}

/* False when the console has closed. */
static bool hear_more(struct world *w)
{
        ssize_t n;
        while ((n = read(w->fd, bytes_room(&w->heard, 65536), 65536)) > 0)
                bytes_added(&w->heard, (size_t) n);
        for (;;) {
                struct frame_piece piece;
                enum frame_verdict v =
                        frame_next(&w->cutter, &frame_from_server, bytes_data(&w->heard),
                                   bytes_length(&w->heard), SIZE_MAX, &piece);
                expect(v != FRAME_BAD);
                if (v == FRAME_SHORT)
                        break;
                bytes_consume(&w->heard, piece.size);
        }
        return n < 0 && errno == EAGAIN;
}

static void look(struct deadline *d)
{
        struct world *w = container_of(d, struct world, look);
        expect(w->turns++ < 100000);
        say_more(w);
        if (hear_more(w))
                loop_set(w->loop, d, 0);
        else
                loop_stop(w->loop);
}

/* The welcome is not in the fuzzer's table of messages: it is read and thrown away. */
static void skip_welcome(struct world *w)
{
        uint8_t welcome[4096];
        expect(read(w->fd, welcome, sizeof welcome) > 100);
}

static void open_visit(struct world *w, struct console *console)
{
        static const struct stream_events none;
        struct listen_peer peer = {.pid = 1, .uid = 1, .gid = 1};
        struct greet greet;
        int ends[2];
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
        greet_init(&greet);
        greet.user = own_string("fuzz");
        console_serve(console, stream_new(w->loop, ends[0], NULL, &none, NULL), &peer, &greet);
        greet_free(&greet);
        w->fd = ends[1];
}

static void first_turn(struct deadline *d)
{
        struct world *w = container_of(d, struct world, look);
        if (w->turns++ < 2)
                loop_set(w->loop, d, 0);
        else
                loop_stop(w->loop);
}

static void talk(struct world *w)
{
        struct elders elders;
        elders_init(&elders, w->loop, NULL);
        struct console_world cw = {.loop = w->loop,
                                   .elders = &elders,
                                   .sessions = sessions_new(w->loop, NULL),
                                   .config = config_now,
                                   .reload = reload,
                                   .set = set,
                                   .shutdown = shut_down,
                                   .arg = w};
        struct console *console = console_new(&cw);
        open_visit(w, console);
        deadline_init(&w->look, first_turn);
        loop_set(w->loop, &w->look, 0);
        loop_run(w->loop);
        skip_welcome(w);
        deadline_init(&w->look, look);
        loop_set(w->loop, &w->look, 0);
        loop_run(w->loop);
        close(w->fd);
        console_free(console);
        sessions_free(cw.sessions);
}

static void read_commands(const uint8_t *data, size_t size)
{
        struct command_reader r;
        struct command c;
        struct error e = {0};
        command_reader_init(&r, (const char *) data, size);
        for (;;) {
                const struct snapshot_column *columns;
                error_clear(&e);
                enum command_verdict v = command_next(&r, &c, &e);
                expect((v == COMMAND_BAD) == error_is_set(&e));
                expect((v == COMMAND_READ) == (c.tag != NULL));
                expect(command_columns(&c, &columns) <= SNAPSHOT_COLUMNS);
                if (v == COMMAND_END)
                        break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char text[] = "environments: {prod: }\n";
        struct config_arguments arguments = {.getenv_ = no_variables};
        struct error e = {0};
        struct world w = {.data = data, .size = size};
        read_commands(data, size);
        expect(config_load_text(&arguments, "fuzz.yaml", text, strlen(text), &w.config, &e));
        w.loop = loop_new();
        talk(&w);
        loop_free(w.loop);
        config_free(w.config);
        bytes_free(&w.heard);
        return 0;
}
