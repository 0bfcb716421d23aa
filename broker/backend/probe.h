/* Proves that a connection taken over from libpq is quiet: a Sync of ours (or a question) must be
 * answered by ReadyForQuery 'I'. Before it only notices, parameters and notifications may come, after it
 * nothing. What libpq has read too much of shows up here as a message without its beginning. */
#ifndef PGB_BACKEND_PROBE_H
#define PGB_BACKEND_PROBE_H

#include "backend/refusal.h"
#include "io/stream.h"
#include "track/settings.h"

struct probe;

/* A query that gives one short text. */
struct probe_question {
        const char *sql;                /* NULL: nothing is asked, a Sync is sent */
        char answer[8];                 /* "" = none, NULL, or too long */
};

/* Sends the Sync or the question, which stays until then. done() is called later, once: NULL = quiet, else why not. ParameterStatus goes
 * into *reported. Events of the stream that come after done() are nobody's until it is retargeted. */
struct probe *probe_start(struct loop *l, struct stream *stream, struct settings **reported,
                          struct probe_question *question,
                          void (*done)(void *arg, const struct refusal *why), void *arg);
/* Free it before the stream, after done() too. NULL is fine. */
void probe_free(struct probe *p);

#endif
