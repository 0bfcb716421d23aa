/* Proves that a connection taken over from libpq is quiet: a Sync of ours must be answered by
 * ReadyForQuery 'I'. Before it only notices, parameters and notifications may come, after it
 * nothing. What libpq has read too much of shows up here as a message without its beginning. Pure. */
#ifndef PGB_BACKEND_PROBE_H
#define PGB_BACKEND_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/refusal.h"
#include "track/settings.h"
#include "wire/frame.h"

struct probe {
        struct frame_cutter cutter;
        bool ready;                     /* 'Z' came */
};

/* The next bytes after the Sync was sent; *used of them are done with. READY: quiet. BAD: `why` is
 * set. ParameterStatus goes into *reported. */
enum frame_verdict probe_read(struct probe *p, const uint8_t *b, size_t n, size_t *used,
                              struct settings **reported, struct refusal *why);

#endif
