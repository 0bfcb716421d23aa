#include "secret/attempts.h"

#include <sys/random.h>
#include "base/expect.h"

enum {
        ATTEMPTS = 3,
        SOON_MS = 50, /* first pauses; they double */
        LATER_MS = 1000,
        LEAST_MS = 200, /* with less time left than this no attempt is begun */
        SKEW_S = 240,   /* AWS takes five minutes, mostly */
};

uint32_t attempts_throw(struct attempts *a, uint32_t n)
{
        uint32_t any = 0;

        if (n == 0)
                return 0;
        if (a->dice)
                return a->dice(a->dice_arg, n);
        expect(getrandom(&any, sizeof any, 0) == sizeof any);
        return any % n;
}

void attempts_begin(struct attempts *a)
{
        a->made = 0;
        a->other_key = a->other_clock = false;
}

/* Full jitter: anything up to a pause that doubles. */
static enum attempts_verdict pause_for(struct attempts *a, uint32_t first_ms, uint64_t left_ms,
                                       uint32_t *pause_ms)
{
        *pause_ms = a->made ? attempts_throw(a, first_ms << (a->made - 1)) : 0;
        return a->made >= ATTEMPTS || *pause_ms + LEAST_MS > left_ms ? ATTEMPTS_OVER
                                                                     : ATTEMPTS_AGAIN;
}

/* The server's clock is adopted where it is so far from ours that signatures fail. */
static bool mend_clock(struct attempts *a, long long date, time_t now)
{
        int64_t ahead = date - (int64_t) now;
        int64_t error = ahead - a->ahead_s;

        if (a->other_clock || date == 0 || (error <= SKEW_S && error >= -SKEW_S))
                return false;
        a->other_clock = true;
        a->ahead_s = ahead;
        return true;
}

enum attempts_verdict attempts_next(struct attempts *a, enum answer_kind kind, long long date,
                                    time_t now, uint64_t left_ms, uint32_t *pause_ms)
{
        enum answer_again again = answer_rule(kind)->again;

        *pause_ms = 0;
        if (again == ANSWER_SOON)
                return pause_for(a, SOON_MS, left_ms, pause_ms);
        if (again == ANSWER_LATER)
                return pause_for(a, LATER_MS, left_ms, pause_ms);
        /* A mended attempt doesn't wait, and is granted beyond the usual number. */
        if (again == ANSWER_OTHER_CLOCK && mend_clock(a, date, now))
                return ATTEMPTS_OTHER_CLOCK;
        if (again == ANSWER_STOP || a->other_key)
                return ATTEMPTS_OVER;
        a->other_key = true;
        return ATTEMPTS_OTHER_KEY;
}
