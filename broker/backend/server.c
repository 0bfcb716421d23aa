#include "backend/server.h"

#include <time.h>
#include "base/expect.h"
#include "base/own.h"

static const char *const names[SERVER_STATE_COUNT] = {
#define X(name, label) [SERVER_##name] = label,
        SERVER_STATES(X)
#undef X
};

#define TO(state) (1u << SERVER_##state)

/* Which states may follow. */
static const unsigned moves[SERVER_STATE_COUNT] = {
        [SERVER_LOGIN] = TO(IDLE) | TO(CLOSED),
        [SERVER_IDLE] = TO(LENT) | TO(TESTING) | TO(PREPARING) | TO(CLOSED),
        [SERVER_LENT] = TO(IDLE) | TO(CLEANING) | TO(CANCELED) | TO(CLOSED),
        [SERVER_CLEANING] = TO(IDLE) | TO(CLOSED),
        [SERVER_TESTING] = TO(IDLE) | TO(CLOSED),
        [SERVER_PREPARING] = TO(IDLE) | TO(CLOSED),
        [SERVER_CANCELED] = TO(IDLE) | TO(CLEANING) | TO(CLOSED),
        [SERVER_CLOSED] = 0,
};

const char *server_state_name(enum server_state s)
{
        return names[s];
}

void server_lists_init(struct server_lists *l)
{
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_init(&l->in[i]);
                l->count[i] = 0;
        }
        l->ids = 0;
}

void server_become(struct server *s, enum server_state state, uint64_t now)
{
        expect(moves[s->state] & 1u << state);
        list_remove(&s->link);
        s->lists->count[s->state]--;
        s->state = state;
        s->since = now;
        s->lists->count[state]++;
        /* The one used last is lent first: what isn't needed grows idle and leaves. */
        list_push_front(&s->lists->in[state], &s->link);
}

struct server *server_new(struct server_lists *l, struct credential *c, uint64_t now)
{
        struct server *s = own_new(struct server);
        s->lists = l;
        s->id = ++l->ids;
        s->credential = credential_ref(c);
        s->since = now;
        bytes_init(&s->scratch, 0);
        l->count[SERVER_LOGIN]++;
        list_push_front(&l->in[SERVER_LOGIN], &s->link);
        return s;
}

void server_free(struct server *s)
{
        if (!s)
                return;
        list_remove(&s->link);
        s->lists->count[s->state]--;
        dial_cancel(s->dial);
        connection_close(s->connection);
        credential_unref(s->credential);
        free(s->root_cert);
        track_server_free(&s->track);
        bytes_free(&s->scratch);
        free(s);
}
