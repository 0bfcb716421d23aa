#include "secret/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/expect.h"
#include "io/work.h"
#include "secret/sigv4.h"

enum { FILE_LIMIT = 65536, RETRY_MS = 5000, KEY_SIZE = 16 };

/* A reading on the thread pool; it can't be taken back, so it outlives the source. */
struct reading {
        struct source_file *source; /* NULL = nobody waits any more */
        char *path;
        struct bytes content;
        struct error error;
        bool read;
};

struct source_file {
        struct loop *l;
        char *path, *host, *database;
        struct document_endpoint fill;
        struct deferred no_such_label; /* a file has no other versions than the current one */
        struct reading *reading;
        enum secret_stage stage;
        void (*done)(void *arg, struct source_answer *answer); /* NULL = no fetch */
        void *arg;
};

/* ---- Version ids ---- */

/* The kernel gives every process sixteen random bytes (AT_RANDOM): a key that needs no place of
 * its own, and that no two processes share. */
void source_file_digest(const void *content, size_t size, char out[65])
{
        const void *key = (const void *) getauxval(AT_RANDOM);
        uint8_t digest[SIGV4_DIGEST];

        expect(key);
        sigv4_hmac(key, KEY_SIZE, content, size, digest);
        for (size_t i = 0; i < 16; i++)
                snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void source_file_answer(const char *json, size_t size, const struct document_endpoint *endpoint,
                        const char *what, struct source_answer *out)
{
        *out = (struct source_answer){.verdict = SOURCE_FOUND};
        source_file_digest(json, size, out->version_id);
        out->document = document_read(json, size, endpoint, &out->error);
        if (!out->document) {
                out->verdict = SOURCE_REFUSED;
                out->retry_ms = RETRY_MS;
                error_context(&out->error, "%s", what);
        }
}

/* ---- The file ---- */

static bool check(const char *path, const struct stat *st, struct error *e)
{
        unsigned mode = (unsigned) st->st_mode & 07777;

        if (!S_ISREG(st->st_mode))
                return error_set(e, "08001", "%s: not a plain file", path);
        if (mode & 0007) {
                error_set(e, "08001", "%s: it is open to everybody (mode %04o)", path, mode);
                return error_hint(
                        e, "Run chmod o-rwx %s; change the password if others may have read it.",
                        path);
        }
        if (mode & 0020) {
                error_set(e, "08001", "%s: its group may write to it (mode %04o)", path, mode);
                return error_hint(e, "Run chmod g-w %s.", path);
        }
        if (st->st_size > FILE_LIMIT)
                return error_set(e, "08001", "%s: longer than %d bytes", path, FILE_LIMIT);
        return true;
}

static bool failed(const char *path, struct error *e)
{
        error_set(e, "08001", "%s: %s", path, strerrordesc_np(errno));
        return error_hint(e, "The broker's user must be able to read it.");
}

static bool read_open(int fd, const char *path, struct bytes *content, struct error *e)
{
        struct stat st;

        if (fstat(fd, &st) != 0)
                return failed(path, e);
        if (!check(path, &st, e))
                return false;
        for (;;) {
                uint8_t *room = bytes_room(content, 4096);

                if (!room)
                        return error_set(e, "08001", "%s: longer than %d bytes", path, FILE_LIMIT);

                ssize_t n = read(fd, room, 4096);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return failed(path, e);
                if (n == 0)
                        return true;
                bytes_added(content, (size_t) n);
        }
}

bool source_file_read(const char *path, struct bytes *content, struct error *e)
{
        /* Not stopped by a FIFO that someone put there. */
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        bytes_init(content, FILE_LIMIT + 4096);
        if (fd < 0)
                return failed(path, e);

        bool read = read_open(fd, path, content, e);

        close(fd);
        return read;
}

/* ---- Fetching ---- */

/* The callee may free `s`, so this is the last thing that anyone does with it. */
static void finish(struct source_file *s, struct source_answer *answer)
{
        void (*done)(void *, struct source_answer *) = TAKE(s->done);

        done(s->arg, answer);
        document_free(answer->document);
}

static void read_file(void *arg)
{
        struct reading *r = arg;

        r->read = source_file_read(r->path, &r->content, &r->error);
}

static void file_read(void *arg)
{
        struct reading *r = arg;
        struct source_file *s = r->source;
        struct source_answer answer = {
                .verdict = SOURCE_REFUSED, .retry_ms = RETRY_MS, .error = r->error};
        size_t n = bytes_length(&r->content);

        if (s && r->read)
                source_file_answer(n ? (const char *) bytes_data(&r->content) : "", n, &s->fill,
                                   s->path, &answer);
        bytes_wipe(&r->content);
        free(r->path);
        free(r);
        if (s) {
                s->reading = NULL;
                finish(s, &answer);
        }
}

static void answer_none(struct deferred *d)
{
        struct source_file *s = container_of(d, struct source_file, no_such_label);
        struct source_answer answer = {.verdict = SOURCE_NONE};

        error_set(&answer.error, "08001", "a file has no %s", secret_stage_name(s->stage));
        finish(s, &answer);
}

struct source_file *source_file_new(struct loop *l, const char *path,
                                    const struct document_endpoint *endpoint)
{
        struct source_file *s = own_new(struct source_file);

        s->l = l;
        s->path = own_string(path);
        s->host = own_string(endpoint->host);
        s->database = own_string(endpoint->database);
        s->fill = (struct document_endpoint){s->host, endpoint->port, s->database};
        deferred_init(&s->no_such_label, answer_none);
        return s;
}

void source_file_free(struct source_file *s)
{
        if (!s)
                return;
        if (s->reading)
                s->reading->source = NULL;
        deferred_clear(&s->no_such_label);
        free(s->path);
        free(s->host);
        free(s->database);
        free(s);
}

void source_file_fetch(struct source_file *s, enum secret_stage stage,
                       void (*done)(void *arg, struct source_answer *answer), void *arg)
{
        expect(!s->done);
        s->done = done;
        s->arg = arg;
        s->stage = stage;
        if (stage != STAGE_CURRENT) {
                loop_defer(s->l, &s->no_such_label);
                return;
        }
        s->reading = own_new(struct reading);
        s->reading->source = s;
        s->reading->path = own_string(s->path);
        work_submit(s->l, read_file, file_read, s->reading);
}
