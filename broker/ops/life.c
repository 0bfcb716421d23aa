#include "ops/life.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEAT_MS   1000
#define STARTS_MS 100                   /* between looks whether it is up */
#define MORE_TIME "EXTEND_TIMEOUT_USEC=10000000"

static size_t add(char *to, size_t size, size_t at, const char *word, const char *name)
{
        int n = at < size ? snprintf(to + at, size - at, "%s%s", word, name) : 0;
        return at + (n > 0 ? (size_t) n : 0);
}

/* "prod: ok; dev: no credentials yet" */
static void describe(const struct sessions *ss, char *to, size_t size)
{
        const struct sessions_environment *v;
        size_t at = 0;
        to[0] = '\0';
        list_each(v, &ss->environments, struct sessions_environment, link) {
                const struct keyring *k = v->pool->keyring;
                at = add(to, size, at, at ? "; " : "", v->name);
                at = add(to, size, at, ": ",
                         !keyring_active(k)        ? "no credentials yet"
                         : keyring_bridging(k)     ? "credentials are refused"
                         : v->pool->paused         ? "paused"
                         : v->pool->disabled       ? "disabled"
                                                   : "ok");
        }
}

static void tell_status(struct life *v)
{
        char now[sizeof v->status], text[sizeof v->status + 16];
        describe(v->sessions, now, sizeof now);
        if (strcmp(now, v->status) == 0)
                return;
        snprintf(text, sizeof text, "STATUS=%s", now);
        if (notify_send(&v->notify, text))
                memcpy(v->status, now, sizeof now);
}

static bool served(const struct sessions *ss)
{
        const struct sessions_environment *v;
        list_each(v, &ss->environments, struct sessions_environment, link) {
                if (keyring_proven(v->pool->keyring))
                        return true;
        }
        return false;
}

static void tell_ready(struct life *v)
{
        v->up = v->up || served(v->sessions);
        if (v->ready_due && v->up)
                v->ready_due = !notify_send(&v->notify, "READY=1");
        else if (v->ready_due)
                notify_send(&v->notify, MORE_TIME);
}

static void beat(struct deadline *d)
{
        struct life *v = container_of(d, struct life, beat);
        uint64_t half = v->notify.watchdog_ms / 2, now = loop_now(v->loop);
        uint64_t pause = v->up ? BEAT_MS : STARTS_MS;
        loop_set(v->loop, d, now + (half && half < pause ? half : pause));
        if (half && now >= v->alive_at) {
                notify_send(&v->notify, "WATCHDOG=1");
                v->alive_at = now + half;
        }
        tell_ready(v);
        tell_status(v);
}

void life_init(struct life *v, struct notify n, struct loop *l, const struct sessions *ss)
{
        *v = (struct life){.notify = n, .loop = l, .sessions = ss};
        deadline_init(&v->beat, beat);
        if (n.fd >= 0)
                loop_set(l, &v->beat, loop_now(l));
}

void life_free(struct life *v)
{
        loop_clear(v->loop, &v->beat);
        notify_close(&v->notify);
}

void life_ready(struct life *v)
{
        v->ready_due = true;
        tell_ready(v);
}

void life_reloading(struct life *v)
{
        char text[64];
        struct timespec now = {0};
        if (!v->up)
                return;                 /* it still starts */
        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                 (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000);
        notify_send(&v->notify, text);
}

void life_stopping(struct life *v)
{
        notify_send(&v->notify, "STOPPING=1");
}

/* False also if it cannot be told. */
static bool control_group(pid_t pid, char *to, size_t size)
{
        char path[40];
        snprintf(path, sizeof path, "/proc/%d/cgroup", (int) pid);
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(to, 1, size - 1, f) : 0;
        to[n] = '\0';
        if (f)
                fclose(f);
        return n > 0 && n < size - 1;
}

void life_passed_on(struct life *v, pid_t pid)
{
        char text[32], ours[4096], its[sizeof ours];
        if (!control_group(getpid(), ours, sizeof ours) || !control_group(pid, its, sizeof its) ||
            strcmp(ours, its) != 0)
                return;
        snprintf(text, sizeof text, "MAINPID=%d", (int) pid);
        notify_send(&v->notify, text);
}
