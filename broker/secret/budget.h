/* How many refused logins one environment may cause: 12 in the first minute of a bridge, then 4 a
 * minute. Ordinary logins count; up to 4 may be under way when the first one is refused. Second tries
 * of what is known to be bad are spread over the time and leave 4 of the 12 and 1 of the 4 to news,
 * which can so be tried at once whenever it comes. Only the first second try of a bridge may use what is
 * left of the twelve of the last minute: a rotation that is rolled back begins a bridge soon after another. */
#ifndef PGB_SECRET_BUDGET_H
#define PGB_SECRET_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_REFUSALS 32              /* remembered; more than any of the limits */

struct budget {
        uint64_t refusals[BUDGET_REFUSALS];
        unsigned count;
        uint64_t began;                 /* the bridge; DEADLINE_NEVER outside of one */
        uint64_t last;                  /* when the last bridge began, over or not */
        unsigned news, again;           /* refused probes in this bridge */
        uint64_t again_at;              /* the last refused probe; the bridge's beginning */
};

void budget_init(struct budget *b);
void budget_bridge_begins(struct budget *b, uint64_t now);
void budget_bridge_ends(struct budget *b);
void budget_refused(struct budget *b, uint64_t now);            /* any login */
void budget_probe_refused(struct budget *b, bool news, uint64_t now);   /* besides, if it was ours */

bool budget_allows_news(const struct budget *b, uint64_t now);
bool budget_allows_again(const struct budget *b, uint64_t now);
/* Is it time for another second try in this bridge? */
bool budget_again_due(const struct budget *b, uint64_t now);

#endif
