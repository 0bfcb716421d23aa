#include "ops/console.h"
#include "base/own.h"
struct console { int x; };
struct console *console_new(const struct console_world *w) { (void)w; return own_new(struct console); }
void console_free(struct console *c) { free(c); }
void console_serve(struct console *c, struct stream *stream, const struct listen_peer *peer, const struct greet *greet) { (void)c;(void)peer;(void)greet; stream_free(stream); }
