/* Drives the rotation machine with any events in any order, sensible or not, and checks what must
 * hold all the same. Three bytes are one event: what, of which version, how (or how much later). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/deadline.h"
#include "base/expect.h"
#include "secret/rotation.h"

enum { VERSIONS = 16, EVENTS = 4000 };

struct play {
        struct rotation *r;
        uint64_t now, seed;
        bool refused_last[VERSIONS];
        uint64_t own[EVENTS]; /* when probes were refused */
        unsigned own_count;
        uint32_t serial;
        char active[ROTATION_VERSION];
};

static uint32_t dice(void *arg, uint32_t below)
{
        struct play *p = arg;

        expect(below > 0);
        p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t) ((p->seed >> 33) % below);
}

static void name_of(unsigned version, char out[16])
{
        snprintf(out, 16, "v%u", version % VERSIONS);
}

static void check_budget(const struct play *p)
{
        uint64_t began = rotation_bridge_began(p->r);
        unsigned first = 0, later = 0;

        for (unsigned i = 0; i < p->own_count; i++) {
                first += p->own[i] >= began && p->own[i] < began + 60000;
                later += p->own[i] >= began + 60000 && p->own[i] + 60000 > p->now;
        }
        expect(!rotation_bridging(p->r) || (first <= 12 && later <= 4));
}

/* What the machine has forgotten, or never knew, it can't be blamed for. */
static void forget(struct play *p)
{
        char id[16];

        for (unsigned i = 0; i < VERSIONS; i++) {
                name_of(i, id);
                p->refused_last[i] = p->refused_last[i] && rotation_knows(p->r, id);
        }
}

static void check_adoption(struct play *p)
{
        const char *active = rotation_active(p->r);

        if (!strcmp(active, p->active))
                return;
        expect(*active);
        expect(!p->refused_last[atoi(active + 1)]);
        snprintf(p->active, sizeof p->active, "%s", active);
}

static void check(struct play *p)
{
        enum rotation_action action = rotation_next(p->r, p->now);
        uint32_t serial = rotation_serial(p->r);
        enum secret_stage stage = rotation_stage(p->r);
        bool bridging = rotation_bridging(p->r), may = rotation_may_login(p->r);

        expect(rotation_next(p->r, p->now) == action && rotation_serial(p->r) == serial);
        expect(action != ROTATION_WAIT || rotation_wake(p->r) > p->now);
        expect((action == ROTATION_PROBE) == (*rotation_candidate(p->r) != 0));
        expect(!*rotation_candidate(p->r) || rotation_knows(p->r, rotation_candidate(p->r)));
        expect(!(may && bridging) && !(may && rotation_given_up(p->r, p->now)));
        expect(!may || (*rotation_active(p->r) && rotation_knows(p->r, rotation_active(p->r))));
        expect(!rotation_provisional(p->r) || rotation_proven(p->r));
        /* Other labels than AWSCURRENT are for bridges; one that ends after the question was asked
         * gets its answer all the same. */
        expect(serial == p->serial || action == ROTATION_WAIT || stage == STAGE_CURRENT ||
               bridging);
        p->serial = serial;
        forget(p);
        check_adoption(p);
        check_budget(p);
}

static void login(struct play *p, const char *id, enum rotation_login how)
{
        bool asked = !strcmp(rotation_candidate(p->r), id);

        rotation_logged_in(p->r, id, how, p->now);
        if (how != ROTATION_FAILED)
                p->refused_last[atoi(id + 1)] = how != ROTATION_OK;
        if (asked && (how == ROTATION_REFUSED || how == ROTATION_DENIED) && p->own_count < EVENTS)
                p->own[p->own_count++] = p->now;
}

static void answer(struct play *p, uint8_t version, uint8_t how)
{
        char id[16];

        name_of(version, id);
        switch (rotation_next(p->r, p->now)) {
        case ROTATION_FETCH:
                rotation_fetched(p->r, rotation_stage(p->r), (enum source_verdict)(how % 4), id,
                                 how & 128 ? version & 64 : true, (how & 64) * 500u, p->now);
                break;
        case ROTATION_PROBE:
                snprintf(id, sizeof id, "%s", rotation_candidate(p->r));
                login(p, id, (enum rotation_login)(how % 4));
                break;
        case ROTATION_WAIT:
                p->now = rotation_wake(p->r) == DEADLINE_NEVER ? p->now : rotation_wake(p->r);
                break;
        }
}

static void event(struct play *p, const uint8_t *b)
{
        struct rotation_options o = {b[1] * 1000u, b[2] * 1000u, dice, p};
        char id[16];

        name_of(b[1], id);
        switch (b[0] % 8) {
        case 0:
        case 1:
        case 2:
                answer(p, b[1], b[2]);
                break;
        case 3:
                p->now += b[1] * b[2];
                break;
        case 4:
                login(p, id, (enum rotation_login)(b[2] % 4));
                break;
        case 5:
                rotation_fetched(p->r, (enum secret_stage)(b[2] % 3),
                                 (enum source_verdict)(b[2] / 3 % 4), b[1] ? id : "", b[2] & 64, 0,
                                 p->now);
                break;
        case 6:
                if (b[1] & 1)
                        rotation_refresh(p->r, p->now);
                else
                        rotation_demand(p->r, b[2] & 1, p->now);
                break;
        case 7:
                if (b[1] < 32)
                        rotation_set(p->r, &o, p->now);
                else
                        p->now += b[2];
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct play *p = calloc(1, sizeof *p);
        struct rotation_options o = {300000, 90000, dice, p};

        expect(p);
        p->now = 5000;
        p->seed = size;
        p->r = rotation_new(&o, p->now);
        check(p);
        for (size_t i = 0; i + 3 <= size && i < (size_t) EVENTS * 3; i += 3) {
                event(p, data + i);
                check(p);
        }
        rotation_free(p->r);
        free(p);
        return 0;
}
