#include "base/sealed.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/expect.h"

/* A secret begins on a block. The struct lies in the locked memory itself, before its text, so
 * that not even the length is anywhere else. */
enum { BLOCK = 64, REGION = 16384 };

struct sealed {
        size_t length;
        char text[];
};

/* Locked pages between two that can't be touched. What says which blocks are taken is ordinary
 * memory: writing past a secret can't reach it. */
struct region {
        struct region *next;
        char *memory;
        size_t blocks, taken;
        uint8_t used[]; /* one a block */
};

/* The one mutable global of this floor, for what it manages is the process's own: locked pages
 * count against one RLIMIT_MEMLOCK, a secret freed by any thread must find its page, and secrets
 * of all environments share pages so that a small limit is enough. */
static struct {
        pthread_mutex_t lock;
        struct region *regions;
        bool unlocked;
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t page_size(void)
{
        return (size_t) sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t n, size_t to)
{
        return (n + to - 1) / to * to;
}

static struct region *region_new(size_t wanted)
{
        size_t page = page_size();
        size_t size = round_up(wanted > REGION ? wanted : REGION, page);
        struct region *r = own_alloc(sizeof *r + size / BLOCK);
        char *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        expect(all != MAP_FAILED);
        r->memory = all + page;
        r->blocks = size / BLOCK;
        expect(mprotect(r->memory, size, PROT_READ | PROT_WRITE) == 0);
        /* A refusal is told (sealed_unlocked) but isn't fatal: a container may allow no locking. */
        if (mlock(r->memory, size) != 0)
                arena.unlocked = true;
        madvise(r->memory, size, MADV_DONTDUMP);
        r->next = arena.regions;
        arena.regions = r;
        return r;
}

static void region_free(struct region *r)
{
        struct region **at = &arena.regions;
        size_t page = page_size();

        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        munmap(r->memory - page, r->blocks * BLOCK + 2 * page);
        free(r);
}

/* The first of n free blocks in a row, or r->blocks. */
static size_t region_find(const struct region *r, size_t n)
{
        size_t run = 0;

        if (n > r->blocks - r->taken)
                return r->blocks;
        for (size_t i = 0; i < r->blocks; i++) {
                run = r->used[i] ? 0 : run + 1;
                if (run == n)
                        return i + 1 - n;
        }
        return r->blocks;
}

static void *region_take(struct region *r, size_t first, size_t n)
{
        memset(r->used + first, 1, n);
        r->taken += n;
        return r->memory + first * BLOCK;
}

static void *take(size_t size)
{
        size_t n = round_up(size, BLOCK) / BLOCK;
        struct region *r;

        for (r = arena.regions; r; r = r->next) {
                size_t first = region_find(r, n);

                if (first < r->blocks)
                        return region_take(r, first, n);
        }
        return region_take(region_new(size), 0, n);
}

static void give(void *p, size_t size)
{
        size_t n = round_up(size, BLOCK) / BLOCK;
        struct region *r = arena.regions;

        while (r && ((char *) p < r->memory || (char *) p >= r->memory + r->blocks * BLOCK))
                r = r->next;
        expect(r);

        size_t first = (size_t) ((char *) p - r->memory) / BLOCK;

        /* Neither freed twice nor with its length overwritten. */
        expect(first + n <= r->blocks && r->used[first] && r->used[first + n - 1]);
        explicit_bzero(p, n * BLOCK);
        memset(r->used + first, 0, n);
        r->taken -= n;
        if (r->taken == 0)
                region_free(r);
}

struct sealed *sealed_new(const void *secret, size_t n)
{
        expect(n < SIZE_MAX / 2);
        pthread_mutex_lock(&arena.lock);

        struct sealed *s = take(sizeof *s + n + 1);

        pthread_mutex_unlock(&arena.lock);
        s->length = n;
        if (n)
                memcpy(s->text, secret, n);
        s->text[n] = 0;
        return s;
}

void sealed_free(struct sealed *s)
{
        if (!s)
                return;
        pthread_mutex_lock(&arena.lock);
        give(s, sizeof *s + s->length + 1);
        pthread_mutex_unlock(&arena.lock);
}

const char *sealed_open(const struct sealed *s)
{
        return s->text;
}

size_t sealed_length(const struct sealed *s)
{
        return s->length;
}

bool sealed_equal(const struct sealed *a, const struct sealed *b)
{
        /* The time tells whether the lengths differ, nothing about the text. */
        if (!a || !b || a->length != b->length)
                return a == b;

        const volatile char *x = a->text, *y = b->text;
        unsigned char differ = 0;

        for (size_t i = 0; i < a->length; i++)
                differ |= (unsigned char) (x[i] ^ y[i]);
        return differ == 0;
}

void sealed_wipe(void *p, size_t n)
{
        if (p && n)
                explicit_bzero(p, n);
}

void sealed_harden_process(void)
{
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool sealed_unlocked(void)
{
        pthread_mutex_lock(&arena.lock);

        bool unlocked = arena.unlocked;

        pthread_mutex_unlock(&arena.lock);
        return unlocked;
}
