/* How long to wait after logins that failed, before the next one. Pure. */
#ifndef PGB_BACKEND_BACKOFF_H
#define PGB_BACKEND_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST 100               /* ms */
#define BACKOFF_URGENT 500              /* the longest while clients wait: they are served soon after
                                           the server is back */

/* ms, for the failures'th in a row (from 1): 100 ms, doubled each time, at most `most`
 * (server_login_retry), or BACKOFF_URGENT if that is less and clients wait. Up to half of it is taken
 * off by `dice`, any number, so that brokers do not come all at once. */
uint64_t backoff_pause(unsigned failures, uint64_t most, bool urgent, uint32_t dice);
/* Is it a failure of which something is said in the log? The first of a row is, then ever fewer. */
bool backoff_worth_saying(unsigned failures);

#endif
