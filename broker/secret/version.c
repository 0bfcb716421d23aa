#include "secret/version.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"

#define V(name) (1u << VERSION_##name)
static const unsigned moves[] = {
#define X(name, to) [VERSION_##name] = (to),
        VERSION_STANDINGS(X)
#undef X
};

static void stand(struct version *v, enum version_standing to)
{
        expect(v->standing == to || moves[v->standing] & 1u << to);
        v->standing = to;
}

struct version *versions_find(struct versions *vs, const char *id)
{
        for (unsigned i = 0; i < VERSION_COUNT; i++)
                if (*id && !strcmp(vs->all[i].id, id))
                        return &vs->all[i];
        return NULL;
}

static bool is_among(const struct version *v, struct version *const *kept, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                if (kept[i] == v)
                        return true;
        return false;
}

static struct version *make_room(struct versions *vs, struct version *const *kept, unsigned count)
{
        struct version *oldest = NULL;

        for (unsigned i = 0; i < VERSION_COUNT; i++) {
                struct version *v = &vs->all[i];

                if (!is_among(v, kept, count) && (!oldest || v->seen < oldest->seen))
                        oldest = v;
        }
        expect(oldest);
        *oldest = (struct version){.standing = VERSION_UNTRIED};
        return oldest;
}

struct version *versions_know(struct versions *vs, const char *id, struct version *const *kept,
                              unsigned count)
{
        struct version *v = versions_find(vs, id);

        if (!v) {
                v = make_room(vs, kept, count);
                snprintf(v->id, sizeof v->id, "%s", id);
        }
        v->seen = ++vs->seen;
        return v;
}

void version_worked(struct version *v)
{
        stand(v, VERSION_WORKS);
        v->refused_as = 0;
        v->tries = 0;
        v->prove_at = 0;
}

void version_refused(struct version *v, unsigned labels, uint64_t now)
{
        bool ever_worked = v->standing == VERSION_WORKS || v->standing == VERSION_SPENT;

        stand(v, ever_worked ? VERSION_SPENT : VERSION_REFUSED);
        v->refused_as |= labels;
        v->refused_at = now;
}
