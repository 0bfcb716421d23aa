/* Secrets at rest in memory: pages that are locked (mlock), left out of core dumps
 * (MADV_DONTDUMP) and wiped when freed. The type holds no printable field on purpose: only
 * sealed_open() gives the text, and it is called where the secret is handed over. */
#ifndef PGB_BASE_SEALED_H
#define PGB_BASE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include "base/own.h"

struct sealed;

/* Copies n bytes in (and a NUL behind them). Many small secrets share a page. */
struct sealed *sealed_new(const void *secret, size_t n);
void sealed_free(struct sealed *s);             /* wipes; NULL is fine */
const char *sealed_open(const struct sealed *s);
size_t sealed_length(const struct sealed *s);
bool sealed_equal(const struct sealed *a, const struct sealed *b);     /* constant time */
/* Overwrites n bytes in a way that the compiler keeps. */
void sealed_wipe(void *p, size_t n);
/* No core dumps, no ptrace by the same user (PR_SET_DUMPABLE 0, RLIMIT_CORE 0). */
void sealed_harden_process(void);
/* True where mlock was refused (RLIMIT_MEMLOCK): worth a warning in the log, once. */
bool sealed_unlocked(void);

OWN_DEFINE(struct sealed, sealed_free)

#endif
