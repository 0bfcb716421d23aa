/* How one request to AWS goes on after an answer: again after a pause, again with other keys or by
 * another clock, each of these once; or it has failed. Pure. */
#ifndef PGB_SECRET_ATTEMPTS_H
#define PGB_SECRET_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "secret/answer.h"

struct attempts {
        unsigned made;
        bool other_key, other_clock;    /* mended once */
        int64_t ahead_s;                /* the service's clock before this machine's; stays */
        uint32_t (*dice)(void *arg, uint32_t below);    /* NULL = the kernel's */
        void *dice_arg;
};

enum attempts_verdict {
        ATTEMPTS_OVER,
        ATTEMPTS_AGAIN,
        ATTEMPTS_OTHER_KEY,             /* at once; the caller looks its keys up afresh */
        ATTEMPTS_OTHER_CLOCK            /* at once; `ahead_s` is new */
};

void attempts_begin(struct attempts *a);
/* `date`: the answer's; 0 = none. `left_ms`: until the caller gives up. *pause_ms: for AGAIN. */
enum attempts_verdict attempts_next(struct attempts *a, enum answer_kind kind, long long date,
                                    time_t now, uint64_t left_ms, uint32_t *pause_ms);
/* Below n; 0 for 0. */
uint32_t attempts_throw(struct attempts *a, uint32_t n);

#endif
