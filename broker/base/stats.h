/* The counters of one pool, PgBouncer's names and meanings (times in microseconds), and their
 * averages per second over the last whole period (60 s). */
#ifndef PGB_BASE_STATS_H
#define PGB_BASE_STATS_H

#include <stdint.h>

#define STATS_COUNTERS(X)                                                                          \
        X(server_assignment_count)                                                                 \
        X(xact_count)                                                                              \
        X(query_count)                                                                             \
        X(bytes_received)                                                                          \
        X(bytes_sent)                                                                              \
        X(xact_time)                                                                               \
        X(query_time)                                                                              \
        X(wait_time)                                                                               \
        X(client_parse_count)                                                                      \
        X(server_parse_count)                                                                      \
        X(bind_count)                                                                              \
        X(client_login_count)

struct counters {
#define X(name) uint64_t name;
        STATS_COUNTERS(X)
#undef X
};

struct stats {
        struct counters total;
        struct counters at_start;       /* of the running period */
        struct counters average;        /* per second, of the last whole period; times are per query,
                                           transaction or assignment, as PgBouncer's are */
        uint64_t period_began;          /* monotonic ms */
};

#define STATS_PERIOD_MS 60000

void stats_init(struct stats *s, uint64_t now);
/* Closes the period if it is over at `now`. */
void stats_tick(struct stats *s, uint64_t now);

#endif
