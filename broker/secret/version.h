/* What rotation remembers of one version of a secret: an id, how its logins went, and nothing that
 * is secret. A handful of them stand in a fixed table; the one not seen for longest makes room. */
#ifndef PGB_SECRET_VERSION_H
#define PGB_SECRET_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#define VERSION_ID 65                   /* bytes of an id with its NUL */
#define VERSION_COUNT 8                 /* how many are remembered */

/* SPENT: its password worked once and doesn't now, which is how a rotated one ends. REFUSED: it
 * never worked, which is how one begins that isn't set in the database yet. */
#define VERSION_STANDINGS(X)                                                                       \
        X(UNTRIED, V(WORKS) | V(REFUSED))                                                          \
        X(WORKS, V(SPENT))                                                                         \
        X(SPENT, V(WORKS))                                                                         \
        X(REFUSED, V(WORKS))

enum version_standing {
#define X(name, moves) VERSION_##name,
        VERSION_STANDINGS(X)
#undef X
};

struct version {
        char id[VERSION_ID];            /* "" = a free place */
        enum version_standing standing;
        uint64_t seen;                  /* a count */
        unsigned refused_as;            /* the labels it has been refused under: 1 << stage */
        uint64_t refused_at;
        unsigned tries;                 /* logins in a row that didn't work */
        uint64_t prove_at;              /* not proven again before, while another one works */
        uint64_t left_at;               /* when another was adopted in its place; 0 = never */
};

struct versions {
        struct version all[VERSION_COUNT];
        uint64_t seen;
};

struct version *versions_find(struct versions *vs, const char *id);     /* NULL: not known */
/* Finds or adds; never throws away one that is among `kept`, of which some may be NULL. */
struct version *versions_know(struct versions *vs, const char *id, struct version *const *kept,
                              unsigned count);

/* A login worked; or was refused, under these labels. */
void version_worked(struct version *v);
void version_refused(struct version *v, unsigned labels, uint64_t now);
static inline bool version_is_bad(const struct version *v)
{
        return v->standing == VERSION_SPENT || v->standing == VERSION_REFUSED;
}

#endif
