#include "secret/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/bytes.h"
#include "base/own.h"
#include "io/work.h"
#include "secret/shared.h"

enum { TOKEN_LIMIT = 65536 };

/* Work on the thread pool can't be taken back, so it may outlive whoever waits. */
struct token_reading {
        char *path, *setting;
        void (*done)(void *arg, struct sealed *token,
                     const struct error *e); /* NULL = nobody waits */
        void *arg;
        struct sealed *token;
        struct error error;
};

/* It becomes a header's value: with a line break in it, it would become other headers as well. */
bool token_check(const char *token, size_t n, const char *where, struct error *e)
{
        const char *wrong = NULL;

        if (n == 0)
                wrong = "it is empty";
        for (size_t i = 0; i < n; i++)
                if (token[i] == '\r' || token[i] == '\n')
                        wrong = "it holds a line break";
                else if (!wrong && (unsigned char) token[i] < ' ')
                        wrong = "it holds a control character";
        if (!wrong)
                return true;
        error_set(e, "08001", "the token in %s is no good: %s", where, wrong);
        return error_hint(e, "It must be the token alone, without an end of line.");
}

static void read_it(void *arg)
{
        struct token_reading *r = arg;
        struct bytes content;
        int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        bytes_init(&content, TOKEN_LIMIT);
        if (fd < 0 || !shared_read_all(fd, &content)) {
                error_set(&r->error, "08001", "%s (%s): %s", r->path, r->setting,
                          strerrordesc_np(errno));
                error_hint(&r->error, "The broker's user must be able to read it.");
        } else {
                size_t n = bytes_length(&content);
                const char *token = n ? (const char *) bytes_data(&content) : "";

                if (token_check(token, n, r->path, &r->error))
                        r->token = sealed_new(token, n);
        }
        bytes_wipe(&content);
        if (fd >= 0)
                close(fd);
}

static void was_read(void *arg)
{
        struct token_reading *r = arg;

        if (r->done)
                r->done(r->arg, TAKE(r->token), &r->error);
        sealed_free(r->token);
        free(r->path);
        free(r->setting);
        free(r);
}

struct token_reading *
token_read(struct loop *l, const char *path, const char *setting,
           void (*done)(void *arg, struct sealed *token, const struct error *e), void *arg)
{
        struct token_reading *r = own_new(struct token_reading);

        r->path = own_string(path);
        r->setting = own_string(setting);
        r->done = done;
        r->arg = arg;
        work_submit(l, read_it, was_read, r);
        return r;
}

void token_cancel(struct token_reading *r)
{
        if (r)
                r->done = NULL;
}
