#include "base/deadline.h"

#include <stdlib.h>
#include "base/own.h"
#include "base/expect.h"

/* A run takes what is due off the heap first, into due[], and calls from there: so what a
 * callback sets lands in the heap and waits for the next run. Slots with this bit are places
 * in due[]; a callback that clears or moves one of those empties its place. */
#define IN_DUE 0x80000000u

void deadlines_init(struct deadlines *ds)
{
        *ds = (struct deadlines){0};
}

void deadlines_free(struct deadlines *ds)
{
        if (!ds)
                return;
        expect(ds->due_count == 0);
        /* Owners that outlive the heap may still clear theirs. */
        for (uint32_t i = 1; i <= ds->count; i++)
                ds->heap[i]->slot = 0;
        free(ds->heap);
        free(ds->due);
        deadlines_init(ds);
}

void deadline_init(struct deadline *d, void (*expired)(struct deadline *d))
{
        *d = (struct deadline){.expired = expired};
}

static void put(struct deadlines *ds, uint32_t slot, struct deadline *d)
{
        ds->heap[slot] = d;
        d->slot = slot;
}

static void rise(struct deadlines *ds, uint32_t slot)
{
        struct deadline *d = ds->heap[slot];

        for (; slot > 1 && d->at < ds->heap[slot / 2]->at; slot /= 2)
                put(ds, slot, ds->heap[slot / 2]);
        put(ds, slot, d);
}

static void sink(struct deadlines *ds, uint32_t slot)
{
        struct deadline *d = ds->heap[slot];

        for (uint32_t child; (child = slot * 2) <= ds->count; slot = child) {
                if (child < ds->count && ds->heap[child + 1]->at < ds->heap[child]->at)
                        child++;
                if (d->at <= ds->heap[child]->at)
                        break;
                put(ds, slot, ds->heap[child]);
        }
        put(ds, slot, d);
}

void deadline_set(struct deadlines *ds, struct deadline *d, uint64_t at)
{
        if (d->slot & IN_DUE)
                deadline_clear(ds, d);
        d->at = at;
        if (d->slot == 0) {
                if (ds->count + 1 >= ds->size) {
                        ds->size = ds->size ? ds->size * 2 : 16;
                        expect(ds->size < IN_DUE);
                        ds->heap = own_grow(ds->heap, ds->size * sizeof(struct deadline *));
                }
                put(ds, ++ds->count, d);
        }
        expect(d->slot <= ds->count && ds->heap[d->slot] == d);
        rise(ds, d->slot);
        sink(ds, d->slot);
}

void deadline_clear(struct deadlines *ds, struct deadline *d)
{
        uint32_t slot = d->slot;

        if (slot == 0)
                return;
        d->slot = 0;
        if (slot & IN_DUE) {
                slot &= ~IN_DUE;
                expect(slot < ds->due_count && ds->due[slot] == d);
                ds->due[slot] = NULL;
                return;
        }
        expect(slot <= ds->count && ds->heap[slot] == d);

        struct deadline *last = ds->heap[ds->count--];

        if (last == d)
                return;
        put(ds, slot, last);
        rise(ds, slot);
        sink(ds, last->slot);
}

uint64_t deadlines_next(const struct deadlines *ds)
{
        /* Asked by a callback: what is yet to be called in this run is earlier than the heap,
         * unless a callback has set something earlier still. */
        uint64_t next = ds->count ? ds->heap[1]->at : DEADLINE_NEVER;

        for (uint32_t i = ds->due_at; i < ds->due_count; i++)
                if (ds->due[i])
                        return ds->due[i]->at < next ? ds->due[i]->at : next;
        return next;
}

static void take_due(struct deadlines *ds, uint64_t now)
{
        while (ds->count && ds->heap[1]->at <= now) {
                struct deadline *d = ds->heap[1];

                deadline_clear(ds, d);
                if (ds->due_count == ds->due_size) {
                        ds->due_size = ds->due_size ? ds->due_size * 2 : 16;
                        ds->due = own_grow(ds->due, ds->due_size * sizeof(struct deadline *));
                }
                d->slot = ds->due_count | IN_DUE;
                ds->due[ds->due_count++] = d;
        }
}

void deadlines_run(struct deadlines *ds, uint64_t now)
{
        /* A run inside a run would call the rest in the wrong order, or never. */
        expect(ds->due_count == 0);
        take_due(ds, now);
        while (ds->due_at < ds->due_count) {
                struct deadline *d = ds->due[ds->due_at++];

                if (!d)
                        continue;
                d->slot = 0;
                d->expired(d);
        }
        ds->due_at = ds->due_count = 0;
}
