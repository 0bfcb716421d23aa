#include "base/map.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include "base/own.h"
#include "base/expect.h"

/* Entries stand in insertion order in one array; an open-addressed table of their numbers finds
 * them. A removed entry keeps its place, keyless, until the array is packed. */
struct entry {
        char *key;
        void *value;
        uint64_t hash;
};

struct map {
        void (*drop)(void *value);
        struct entry *entries;
        size_t used, live, room; /* used counts the removed ones too */
        uint32_t *table;         /* entry number + 1, or 0 */
        size_t mask;
        uint64_t seed[2];
};

static inline uint64_t turn(uint64_t x, unsigned by)
{
        return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = turn(v[1], 13) ^ v[0];
        v[0] = turn(v[0], 32);
        v[2] += v[3];
        v[3] = turn(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = turn(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = turn(v[1], 17) ^ v[2];
        v[2] = turn(v[2], 32);
}

/* SipHash-1-3: keys come from clients, who must not be able to choose ones that collide. */
static uint64_t hash_of(const struct map *m, const char *key, size_t n)
{
        uint64_t v[4] = {m->seed[0] ^ 0x736f6d6570736575, m->seed[1] ^ 0x646f72616e646f6d,
                         m->seed[0] ^ 0x6c7967656e657261, m->seed[1] ^ 0x7465646279746573};
        uint64_t last = (uint64_t) n << 56;

        for (; n >= 8; n -= 8, key += 8) {
                uint64_t word;

                memcpy(&word, key, 8);
                v[3] ^= word;
                sip_round(v);
                v[0] ^= word;
        }
        for (size_t i = 0; i < n; i++)
                last |= (uint64_t) (unsigned char) key[i] << 8 * i;
        v[3] ^= last;
        sip_round(v);
        v[0] ^= last;
        v[2] ^= 0xff;
        for (int i = 0; i < 3; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void (*drop)(void *value))
{
        struct map *m = own_new(struct map);

        m->drop = drop;
        /* Without entropy (early boot) the map still works, only its collisions can be foreseen. */
        if (getrandom(m->seed, sizeof m->seed, GRND_NONBLOCK) != sizeof m->seed)
                m->seed[0] = (uint64_t) (uintptr_t) m;
        return m;
}

void map_free(struct map *m)
{
        if (!m)
                return;
        for (size_t i = 0; i < m->used; i++) {
                if (m->entries[i].key && m->drop)
                        m->drop(m->entries[i].value);
                free(m->entries[i].key);
        }
        free(m->entries);
        free(m->table);
        free(m);
}

static void enter(struct map *m, size_t number)
{
        size_t at = m->entries[number].hash & m->mask;

        while (m->table[at])
                at = (at + 1) & m->mask;
        m->table[at] = (uint32_t) number + 1;
}

/* Packs the entries, gives them room for one more at least, and builds the table anew. */
static void rebuild(struct map *m)
{
        size_t room = 8, kept = 0;

        while (room < m->live + m->live / 2 + 1)
                room *= 2;
        expect(room < UINT32_MAX);
        for (size_t i = 0; i < m->used; i++)
                if (m->entries[i].key)
                        m->entries[kept++] = m->entries[i];
        m->used = kept;
        m->entries = own_grow(m->entries, room * sizeof *m->entries);
        m->room = room;
        free(m->table);
        m->table = own_alloc(2 * room * sizeof *m->table);
        m->mask = 2 * room - 1;
        for (size_t i = 0; i < m->used; i++)
                enter(m, i);
}

static struct entry *find(const struct map *m, const char *key, uint64_t hash)
{
        if (!m->table)
                return NULL;
        for (size_t at = hash & m->mask; m->table[at]; at = (at + 1) & m->mask) {
                struct entry *e = &m->entries[m->table[at] - 1];

                if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
                        return e;
        }
        return NULL;
}

void map_put(struct map *m, const char *key, void *value)
{
        size_t length = strlen(key);
        uint64_t hash = hash_of(m, key, length);
        struct entry *e = find(m, key, hash);

        if (e) {
                void *old = e->value;

                e->value = value;
                if (m->drop && old != value)
                        m->drop(old);
                return;
        }
        if (m->used == m->room)
                rebuild(m);
        m->entries[m->used] = (struct entry){own_text(key, length), value, hash};
        enter(m, m->used++);
        m->live++;
}

void *map_get(const struct map *m, const char *key)
{
        struct entry *e = find(m, key, hash_of(m, key, strlen(key)));

        return e ? e->value : NULL;
}

bool map_remove(struct map *m, const char *key)
{
        struct entry *e = find(m, key, hash_of(m, key, strlen(key)));

        if (!e)
                return false;

        void *value = e->value;

        /* `key` may be the entry's own, so it is not looked at any more. */
        free(TAKE(e->key));
        e->value = NULL;
        m->live--;
        if (m->live == 0) {
                m->used = 0;
                memset(m->table, 0, (m->mask + 1) * sizeof *m->table);
        }
        if (m->drop)
                m->drop(value);
        return true;
}

size_t map_count(const struct map *m)
{
        return m->live;
}

bool map_next(const struct map *m, size_t *at, const char **key, void **value)
{
        while (*at < m->used) {
                const struct entry *e = &m->entries[(*at)++];

                if (!e->key)
                        continue;
                if (key)
                        *key = e->key;
                if (value)
                        *value = e->value;
                return true;
        }
        return false;
}
