#include "ops/snapshot.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/expect.h"
#include "ops/snapshot_broker.h"
#include "ops/snapshot_clients.h"
#include "ops/snapshot_pools.h"
#include "ops/snapshot_secrets.h"
#include "ops/snapshot_stats.h"
#include "ops/snapshot_waits.h"

#define NOTHING SIZE_MAX /* a place in the text that stands for NULL */

static const struct snapshot *const table[] = {
        &snapshot_pools,    &snapshot_clients,   &snapshot_servers,   &snapshot_pins,
        &snapshot_waits,    &snapshot_errors,    &snapshot_latency,   &snapshot_secrets,
        &snapshot_rotations, &snapshot_stats,    &snapshot_totals_of, &snapshot_averages,
        &snapshot_totals,   &snapshot_databases, &snapshot_users,     &snapshot_lists,
        &snapshot_config,   &snapshot_state,     &snapshot_memory,    &snapshot_version,
        &snapshot_predecessors,
};

const struct snapshot *const *snapshot_table(size_t *count)
{
        *count = sizeof table / sizeof *table;
        return table;
}

const struct snapshot *snapshot_find(const char *name)
{
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                if (strcasecmp(table[i]->name, name) == 0)
                        return table[i];
        }
        return NULL;
}

/* ---- rows ---- */

void snapshot_gather(const struct snapshot *s, const struct snapshot_world *w,
                     void (*row)(void *arg, const char *const *values), void *arg)
{
        struct snapshot_rows r = {.of = s, .row = row, .arg = arg};
        expect(s->column_count <= SNAPSHOT_COLUMNS);
        bytes_init(&r.text, 0);
        s->rows(w, &r);
        bytes_free(&r.text);
}

void snapshot_text(struct snapshot_rows *r, const char *text)
{
        size_t begin = bytes_length(&r->text);
        expect(r->count < r->of->column_count);
        r->at[r->count++] = text ? begin : NOTHING;
        if (!text)
                return;
        bytes_append(&r->text, text, strlen(text) + 1);
        snapshot_clean((char *) r->text.memory + r->text.begin + begin);
}

void snapshot_number(struct snapshot_rows *r, int64_t n)
{
        char text[24];
        if (r->of->columns[r->count].type == 'i')
                n = n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
        snprintf(text, sizeof text, "%" PRId64, n);
        snapshot_text(r, text);
}

void snapshot_count(struct snapshot_rows *r, uint64_t n)
{
        char text[24];
        if (r->of->columns[r->count].type != 'N') {
                snapshot_number(r, n > INT64_MAX ? INT64_MAX : (int64_t) n);
                return;
        }
        snprintf(text, sizeof text, "%" PRIu64, n);
        snapshot_text(r, text);
}

void snapshot_moment(struct snapshot_rows *r, int64_t seconds)
{
        char text[40];
        struct tm parts;
        time_t t = (time_t) seconds;
        bool zone = r->of->columns[r->count].type == 'T';
        if (seconds == 0 || !gmtime_r(&t, &parts)) {
                snapshot_text(r, NULL);
                return;
        }
        strftime(text, sizeof text, zone ? "%Y-%m-%d %H:%M:%S+00" : "%Y-%m-%d %H:%M:%S UTC",
                 &parts);
        snapshot_text(r, text);
}

void snapshot_end(struct snapshot_rows *r)
{
        const char *values[SNAPSHOT_COLUMNS];
        expect(r->count == r->of->column_count);
        for (size_t i = 0; i < r->count; i++)
                values[i] =
                        r->at[i] == NOTHING ? NULL : (const char *) bytes_data(&r->text) + r->at[i];
        r->row(r->arg, values);
        bytes_clear(&r->text);
        r->count = 0;
}

/* ---- UTF-8 ---- */

/* How many bytes the character at p takes; 0: none begins there. Neither surrogates nor what could
 * be written shorter. p ends with a NUL. */
static size_t character(const uint8_t *p)
{
        static const struct {
                uint8_t first, last, low, high; /* of the first byte, and of the second */
                size_t size;
        } forms[] = {
                {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
                {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
                {0xf4, 0xf4, 0x80, 0x8f, 4},
        };
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
                size_t n = 2;
                if (p[0] < forms[i].first || p[0] > forms[i].last)
                        continue;
                if (forms[i].size == 1)
                        return 1;
                if (p[1] < forms[i].low || p[1] > forms[i].high)
                        return 0;
                while (n < forms[i].size && (p[n] & 0xc0) == 0x80)
                        n++;
                return n == forms[i].size ? n : 0;
        }
        return 0;
}

void snapshot_clean(char *text)
{
        for (uint8_t *p = (uint8_t *) text; *p;) {
                size_t n = character(p);
                if (n == 0)
                        *p = '?';
                p += n ? n : 1;
        }
}
