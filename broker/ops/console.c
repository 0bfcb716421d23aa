#include "ops/console.h"

#include "wire/compose.h"

struct console {
        struct console_world world;
};

struct console *console_new(const struct console_world *w)
{
        struct console *c = own_new(struct console);
        c->world = *w;
        return c;
}

void console_free(struct console *c)
{
        free(c);
}

void console_serve(struct console *c, struct stream *stream, const struct listen_peer *peer,
                   const struct greet *greet)
{
        struct error e = {0};
        struct bytes b;
        (void) c, (void) peer, (void) greet;
        bytes_init(&b, 0);
        error_set(&e, "57P03", "the console is not open yet");
        compose_error(&b, "FATAL", &e);
        stream_send_copy(stream, bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
        stream_free(stream);
}
