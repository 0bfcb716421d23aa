/* A file that holds one token and nothing else, read off the loop: Kubernetes writes a new one into
 * it from time to time. */
#ifndef PGB_SECRET_TOKEN_H
#define PGB_SECRET_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/sealed.h"
#include "io/loop.h"

struct token_reading;

/* done() is called later, exactly once, with the token, which it takes, or with `e` set. `setting`
 * is what names the file, for messages. */
struct token_reading *token_read(struct loop *l, const char *path, const char *setting,
                                 void (*done)(void *arg, struct sealed *token,
                                              const struct error *e),
                                 void *arg);
void token_cancel(struct token_reading *r);     /* no call after this; NULL is fine */

/* Is it one line, without control characters? `where` it is, for messages. */
bool token_check(const char *token, size_t n, const char *where, struct error *e);

#endif
