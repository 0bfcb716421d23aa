/* Temporary credentials: kept, asked for anew before they expire, asked for once at a time however
 * many want them. While their provider fails, expired ones are used on until the service refuses
 * them. How they are asked for is the provider's business. */
#ifndef PGB_SECRET_LEASE_H
#define PGB_SECRET_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "io/loop.h"
#include "secret/aws_credentials.h"

struct lease_provider {
        const char *name;               /* "container endpoint", ... for logs */
        /* Begins an asking, which ends with one call of lease_grant() or lease_refuse(): later, or
         * within ask() where no one needs to be asked. */
        void (*ask)(void *arg);
        void *arg;
        bool outlives;                  /* what it gives may have expired: it has no others, and
                                           the service knows */
};

struct lease_user {
        void (*settled)(void *arg);     /* an asking has ended; may be called by lease_look() */
        void *arg;
        uint32_t (*dice)(void *arg, uint32_t below);    /* for jitter; NULL = the kernel's */
        void *dice_arg;
};

struct lease;
struct lease *lease_new(struct loop *l, const struct lease_provider *p, const struct lease_user *u);
void lease_free(struct lease *s);       /* NULL is fine; the provider ends its own asking */

enum lease_state {
        LEASE_GOOD,                     /* *out: the lease's own; valid until the loop goes on */
        LEASE_WAITING,                  /* an asking is under way, maybe since this call */
        LEASE_FAILED                    /* *e: the last asking's, which was just now */
};
enum lease_state lease_look(struct lease *s, struct aws_credentials *out, struct error *e);
/* The service refused them: they are not given any more. */
void lease_forget(struct lease *s);

/* From the provider. Takes what is in `c`. `date` is the clock of whoever gave them, in seconds
 * since 1970, so that a wrong clock of this machine does no harm; 0 = this machine's. */
void lease_grant(struct lease *s, struct aws_credentials *c, long long date);
void lease_refuse(struct lease *s, const struct error *e);

OWN_DEFINE(struct lease, lease_free)

#endif
