/* A JSON file as a source, read off the loop. Whoever may read or replace it has the password, so
 * its mode is checked at each reading. Also the version ids of what has none of its own. */
#ifndef PGB_SECRET_SOURCE_FILE_H
#define PGB_SECRET_SOURCE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"
#include "io/loop.h"
#include "secret/answer.h"

struct source_file;

struct source_file *source_file_new(struct loop *l, const char *path,
                                    const struct document_endpoint *endpoint);
void source_file_free(struct source_file *s);   /* no call after this; NULL is fine */
/* One at a time; done() is called later, exactly once, and may free the source. */
void source_file_fetch(struct source_file *s, enum secret_stage stage,
                       void (*done)(void *arg, struct source_answer *answer), void *arg);

/* The file's content; false and `e` for what is missing, too large, not a file, or open to others.
 * Blocks. */
bool source_file_read(const char *path, struct bytes *content, struct error *e);

/* The answer that a JSON document by itself makes; `what` names its place in the error. */
void source_file_answer(const char *json, size_t size, const struct document_endpoint *endpoint,
                        const char *what, struct source_answer *out);
/* 32 hexadecimal digits: a keyed hash, the same for the same content as long as the process lives,
 * and of no use to anyone outside it. */
void source_file_digest(const void *content, size_t size, char out[65]);

OWN_DEFINE(struct source_file, source_file_free)

#endif
