#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/own.h"
#include "base/expect.h"

/* Callers append whole lines to `queue` under the lock; the thread swaps it for its own empty
 * buffer and writes that one without the lock. So a caller waits for a memcpy at most.
 * The first line is written at once, and those behind it wait a moment for company: waking the thread
 * and writing costs more than the line, and there is a line for each client that connects. What is wrong
 * is written at once. */
enum {
        QUEUE = 1 << 20, /* bytes; there are two of them, touched only as far as needed */
        LINE = 8192,     /* longer lines lose their last fields */
        VALUE = 2048,    /* longer values lose their end; counted after escaping */
        GATHER_MS = 20,
        CLOSING_MS = 500,
};

struct log {
        int fd;
        atomic_int level, format;
        atomic_uint_least64_t dropped;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t news, end;
        char *queue; /* these five under the lock */
        size_t queued;
        bool hurry; /* the queue is not to wait for more */
        bool closing, ended, abandoned;
        char *batch; /* these five are the thread's */
        struct timespec window; /* its end */
        bool wrote;             /* in it */
        uint64_t reported;
        bool torn; /* what was written last lacks its newline */
};

/* ---- A line ---- */

struct line {
        enum log_format format;
        size_t used;
        bool full;
        char text[LINE];
};

static void add(struct line *l, const char *s, size_t n)
{
        /* The last bytes are kept for the mark of a cut line and its end. */
        if (n > sizeof l->text - 32 - l->used)
                l->full = true;
        if (l->full)
                return;
        memcpy(l->text + l->used, s, n);
        l->used += n;
}

static void add_text(struct line *l, const char *s)
{
        add(l, s, strlen(s));
}

/* Decodes one UTF-8 character: its length, or 0 where there is none. */
static size_t character(const unsigned char *s, uint32_t *code)
{
        static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
        size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

        if (n == 0 || s[0] > 0xf4)
                return 0;
        *code = n == 1 ? s[0] : s[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                *code = *code << 6 | (s[i] & 0x3f);
        }
        if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
                return 0;
        return n;
}

/* Control characters, and those that turn or break the line in a terminal or a viewer. */
static bool misleading(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

/* Writes the character at s, escaped as both JSON and logfmt readers understand it, into `out`;
 * `plain` says whether it could stand in a logfmt value without quotes. Returns what it read. */
static size_t escape(const char *s, char out[8], bool *plain)
{
        uint32_t code;
        size_t n = character((const unsigned char *) s, &code);
        const char *letters = "n\nr\rt\t\"\"\\\\";

        *plain = false;
        if (n == 0) {
                memcpy(out, "\\ufffd", 7);
                return 1;
        }
        for (; *letters; letters += 2) {
                if (code != (unsigned char) letters[1])
                        continue;
                out[0] = '\\';
                out[1] = letters[0];
                out[2] = 0;
                return n;
        }
        if (misleading(code)) {
                snprintf(out, 8, "\\u%04x", (unsigned) code & 0xffff);
                return n;
        }
        memcpy(out, s, n);
        out[n] = 0;
        *plain = code != ' ' && code != '=';
        return n;
}

static bool needs_quotes(const char *s)
{
        char out[8];
        bool plain;

        if (!*s)
                return true;
        for (size_t n = 0; *s && n < VALUE; n++) {
                s += escape(s, out, &plain);
                if (!plain)
                        return true;
        }
        return false;
}

static void add_value(struct line *l, const char *s)
{
        bool quotes = l->format == LOG_JSON || needs_quotes(s), plain;
        size_t length = 0;
        char out[8];

        if (quotes)
                add_text(l, "\"");
        while (*s) {
                s += escape(s, out, &plain);

                size_t n = strlen(out);

                length += n;
                if (length > VALUE) {
                        add_text(l, "...");
                        break;
                }
                add(l, out, n);
        }
        if (quotes)
                add_text(l, "\"");
}

static void add_key(struct line *l, const char *key)
{
        if (l->format == LOG_JSON)
                add_text(l, l->used ? ",\"" : "{\"");
        else if (l->used)
                add_text(l, " ");
        add_text(l, key);
        add_text(l, l->format == LOG_JSON ? "\":" : "=");
}

static void add_number(struct line *l, int64_t number)
{
        char text[24];

        snprintf(text, sizeof text, "%lld", (long long) number);
        add_text(l, text);
}

static void add_time(struct line *l)
{
        struct timespec now;
        struct tm utc;
        char text[64];

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);

        size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);

        snprintf(text + n, sizeof text - n, ".%03dZ", (int) (now.tv_nsec / 1000000));
        add_key(l, "ts");
        add_value(l, text);
}

/* A field is in the line whole, or not at all. */
static void add_field(struct line *l, const struct log_field *f)
{
        size_t before = l->used;

        if (l->full || (f->text && !*f->text))
                return;
        add_key(l, f->key);
        if (f->text)
                add_value(l, f->text);
        else
                add_number(l, f->number);
        if (l->full)
                l->used = before;
}

static void compose(struct line *l, enum log_format format, enum log_level level, const char *event,
                    const struct log_field *fields)
{
        static const char *const names[] = {"debug", "info", "warn", "error"};

        l->format = format;
        l->used = 0;
        l->full = false;
        add_time(l);
        add_key(l, "level");
        add_value(l, names[level]);
        add_key(l, "event");
        add_value(l, event);
        for (; fields && fields->key; fields++)
                add_field(l, fields);

        const char *cut = !l->full ? "" : format == LOG_JSON ? ",\"cut\":1" : " cut=1";
        const char *end = format == LOG_JSON ? "}\n" : "\n";

        l->used += (size_t) snprintf(l->text + l->used, sizeof l->text - l->used, "%s%s", cut, end);
}

/* ---- The thread ---- */

/* Waits until there is room, then writes no more than a pipe takes at once: so the thread is not
 * held by a reader that sleeps, except where another process writes to the same pipe. */
static ssize_t write_some(int fd, const char *s, size_t n)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t written;

        do {
                poll(&p, 1, -1);
                written = write(fd, s, n);
        } while (written < 0 && (errno == EINTR || errno == EAGAIN));
        return written;
}

/* As many whole lines as fit; a piece of the first if it is longer. */
static size_t piece(const char *s, size_t n)
{
        if (n <= PIPE_BUF)
                return n;

        const char *newline = memrchr(s, '\n', PIPE_BUF);

        return newline ? (size_t) (newline - s) + 1 : PIPE_BUF;
}

static size_t first_line(const char *s, size_t n)
{
        const char *newline = memchr(s, '\n', n);

        return newline ? (size_t) (newline - s) + 1 : n;
}

/* Writes lines; returns how many it had to leave out because the file took no more (a full disk,
 * a reader that is gone). Each line is tried: there may be room again. */
static uint64_t write_lines(struct log *l, const char *s, size_t n)
{
        uint64_t lost = 0;

        while (n > 0) {
                if (l->torn && write_some(l->fd, "\n", 1) == 1)
                        l->torn = false;

                /* Behind half a line that can't be ended nothing can be written. */
                ssize_t written = l->torn ? -1 : write_some(l->fd, s, piece(s, n));
                size_t done = written > 0 ? (size_t) written : 0;

                while (done > 0 && done < n && s[done - 1] != '\n') {
                        ssize_t more = write_some(l->fd, s + done, first_line(s + done, n - done));

                        if (more <= 0) {
                                l->torn = true;
                                break;
                        }
                        done += (size_t) more;
                }
                if (done == 0 || l->torn) {
                        done += first_line(s + done, n - done);
                        lost++;
                }
                s += done;
                n -= done;
        }
        return lost;
}

static void report_dropped(struct log *l)
{
        uint64_t dropped = atomic_load(&l->dropped);
        struct line line;

        if (dropped == l->reported)
                return;
        compose(&line, (enum log_format) atomic_load(&l->format), LOG_WARN, "log lines dropped",
                (struct log_field[]){log_int("count", (int64_t) (dropped - l->reported)), {0}});
        /* If this line is lost too it isn't counted: the next report says the same and more. */
        if (write_lines(l, line.text, line.used) == 0)
                l->reported = dropped;
}

static struct timespec in_ms(long ms)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += ms * 1000000L;
        t.tv_sec += t.tv_nsec / 1000000000L;
        t.tv_nsec %= 1000000000L;
        return t;
}

/* Is this not the first write in this window? Opens a new one when it is over. */
static bool many(struct log *l)
{
        struct timespec now = in_ms(0);
        const struct timespec *end = &l->window;

        if (now.tv_sec > end->tv_sec || (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec)) {
                l->window = in_ms(GATHER_MS);
                l->wrote = false;
        }
        bool before = l->wrote;
        l->wrote = true;
        return before;
}

/* Waits for a line, and where there are many, for others; false at the end. Called with the lock. */
static bool gather(struct log *l)
{
        while (l->queued == 0 && !l->closing)
                pthread_cond_wait(&l->news, &l->lock);

        bool wait = many(l);

        while (wait && !l->hurry && !l->closing)
                wait = pthread_cond_timedwait(&l->news, &l->lock, &l->window) == 0;
        l->hurry = false;
        return l->queued > 0;
}

static void destroy(struct log *l)
{
        pthread_cond_destroy(&l->news);
        pthread_cond_destroy(&l->end);
        pthread_mutex_destroy(&l->lock);
        free(l->queue);
        free(l->batch);
        free(l);
}

static void *run(void *arg)
{
        struct log *l = arg;

        pthread_mutex_lock(&l->lock);
        while (gather(l)) {
                char *batch = l->queue;
                size_t n = l->queued;

                l->queue = l->batch;
                l->queued = 0;
                l->batch = batch;
                pthread_mutex_unlock(&l->lock);
                atomic_fetch_add(&l->dropped, write_lines(l, batch, n));
                report_dropped(l);
                pthread_mutex_lock(&l->lock);
        }
        l->ended = true;
        pthread_cond_signal(&l->end);
        bool abandoned = l->abandoned;
        pthread_mutex_unlock(&l->lock);
        if (abandoned)
                destroy(l);
        return NULL;
}

/* ---- The log ---- */

static void start_thread(struct log *l)
{
        pthread_condattr_t monotonic;
        sigset_t all, before;

        pthread_mutex_init(&l->lock, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&l->news, &monotonic);
        pthread_cond_init(&l->end, &monotonic);
        pthread_condattr_destroy(&monotonic);

        /* Signals are for the loop; and SIGPIPE must not end the broker when stderr closes. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        expect(pthread_create(&l->thread, NULL, run, l) == 0);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_setname_np(l->thread, "log");
}

struct log *log_new(int fd, enum log_level level, enum log_format format)
{
        struct log *l = own_new(struct log);

        l->fd = fd;
        atomic_init(&l->level, (int) level);
        atomic_init(&l->format, (int) format);
        atomic_init(&l->dropped, 0);
        l->queue = own_alloc(QUEUE);
        l->batch = own_alloc(QUEUE);
        start_thread(l);
        return l;
}

void log_free(struct log *l)
{
        struct timespec until = in_ms(CLOSING_MS);
        bool in_time = true;

        if (!l)
                return;
        pthread_mutex_lock(&l->lock);
        l->closing = true;
        pthread_cond_signal(&l->news);
        while (!l->ended && in_time)
                in_time = pthread_cond_timedwait(&l->end, &l->lock, &until) == 0;
        bool ended = l->ended;
        pthread_t thread = l->thread;
        l->abandoned = !ended;
        pthread_mutex_unlock(&l->lock);
        /* A thread that is held by a reader that sleeps frees the rest itself, if it ever ends. */
        if (!ended) {
                pthread_detach(thread);
                return;
        }
        pthread_join(thread, NULL);
        destroy(l);
}

void log_set(struct log *l, enum log_level level, enum log_format format)
{
        if (!l)
                return;
        atomic_store(&l->level, (int) level);
        atomic_store(&l->format, (int) format);
}

bool log_wants(const struct log *l, enum log_level level)
{
        return l && (int) level >= atomic_load(&l->level);
}

uint64_t log_dropped(const struct log *l)
{
        return l ? atomic_load(&l->dropped) : 0;
}

void log_write(struct log *l, enum log_level level, const char *event,
               const struct log_field *fields)
{
        struct line line;

        if (!log_wants(l, level))
                return;
        compose(&line, (enum log_format) atomic_load(&l->format), level, event, fields);
        pthread_mutex_lock(&l->lock);
        if (line.used > QUEUE - l->queued) {
                atomic_fetch_add(&l->dropped, 1);
        } else {
                bool first = l->queued == 0, hurry = level >= LOG_WARN || l->queued > QUEUE / 4;

                memcpy(l->queue + l->queued, line.text, line.used);
                l->queued += line.used;
                if (first || (hurry && !l->hurry))
                        pthread_cond_signal(&l->news);
                l->hurry |= hurry;
        }
        pthread_mutex_unlock(&l->lock);
}
