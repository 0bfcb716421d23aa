#include "secret/process.h"

#include <ctype.h>
#include <string.h>
#include "base/own.h"
#include "io/run.h"
#include "secret/process_words.h"

enum {
        RUN_MS = 30000,
        OUTPUT_LIMIT = 65536,
        COMPLAINT_LIMIT = 4096,
        COMPLAINT_SHOWN = 160,
        LIKE_A_KEY_ID = 16, /* so many letters with a digit among them in a row look like one, */
        LIKE_A_KEY = 32,    /* and so many of any kind */
};

struct process {
        struct loop *l;
        struct lease *lease;
        struct process_words words;
        struct error wrong; /* the command is no good: nothing is run */
        struct run *run;
};

static void fail(struct process *p, struct error *e)
{
        error_context(e, "credential_process");
        lease_refuse(p->lease, e);
}

/* ---- What it complains of ---- */

/* How many characters of keys stand here in a row, and whether they may be one. */
static size_t of_key(const char *s, bool *hidden)
{
        bool digit = false;
        size_t n = 0;

        for (; s[n] && (isalnum((unsigned char) s[n]) || strchr("+/=_", s[n])); n++)
                digit |= isdigit((unsigned char) s[n]) != 0;
        *hidden = n >= LIKE_A_KEY || (digit && n >= LIKE_A_KEY_ID);
        return n;
}

/* Its first line, for people: what may be a key becomes "...". */
static void shorten(const char *complaint, char out[COMPLAINT_SHOWN])
{
        size_t used = 0;

        complaint += strspn(complaint, " \t\r\n");
        while (*complaint && *complaint != '\n' && *complaint != '\r') {
                bool hidden;
                size_t n = of_key(complaint, &hidden);
                size_t shown = hidden ? 3 : n ? n : 1;

                if (used + shown >= COMPLAINT_SHOWN)
                        break;
                memcpy(out + used, hidden ? "..." : complaint, shown);
                if (!n && !isprint((unsigned char) *complaint))
                        out[used] = '?';
                used += shown;
                complaint += n ? n : 1;
        }
        out[used] = 0;
}

static void failed(struct process *p, const struct run_result *result)
{
        char complaint[COMPLAINT_SHOWN];
        struct error e = {0};

        shorten(result->complaint, complaint);
        if (result->signal)
                error_set(&e, "08001", "a signal (%d) ended it", result->signal);
        else
                error_set(&e, "08001", "it ended with status %d%s%s", result->status,
                          *complaint ? ": " : "", complaint);
        error_hint(&e, "Run it by hand as the broker's user.");
        fail(p, &e);
}

/* ---- Running it ---- */

static void ran(void *arg, const struct run_result *result, const struct error *e)
{
        struct process *p = arg;
        struct aws_credentials credentials;
        struct error wrong = {0};

        p->run = NULL;
        if (!result->ran) {
                wrong = *e;
                error_hint(&wrong, "Write its full path; no shell looks at it. Run it by hand as "
                                   "the broker's user.");
                fail(p, &wrong);
        } else if (result->status || result->signal) {
                failed(p, result);
        } else if (aws_credentials_read_process(result->output, result->output_size, &credentials,
                                                &wrong)) {
                lease_grant(p->lease, &credentials, 0);
        } else {
                error_hint(&wrong, "It must print {\"Version\": 1, \"AccessKeyId\": ..., "
                                   "\"SecretAccessKey\": ...} and nothing else.");
                error_context(&wrong, "what it printed");
                fail(p, &wrong);
        }
}

static void ask(void *arg)
{
        struct process *p = arg;
        struct error copy = p->wrong;

        if (error_is_set(&copy))
                fail(p, &copy);
        else
                p->run = run_start(p->l,
                                   &(struct run_request){.words = p->words.words,
                                                         .output_limit = OUTPUT_LIMIT,
                                                         .complaint_limit = COMPLAINT_LIMIT,
                                                         .timeout_ms = RUN_MS},
                                   ran, p);
}

struct process *process_new(struct loop *l, const char *command, const struct lease_user *user)
{
        struct process *p = own_new(struct process);

        p->l = l;
        p->lease = lease_new(
                l, &(struct lease_provider){.name = "credential_process", .ask = ask, .arg = p},
                user);
        if (!process_words_split(command, &p->words, &p->wrong))
                error_hint(&p->wrong, "Write the program and its arguments; put what holds a "
                                      "blank into double quotes.");
        return p;
}

void process_free(struct process *p)
{
        if (!p)
                return;
        run_cancel(p->run);
        lease_free(p->lease);
        process_words_clear(&p->words);
        free(p);
}

struct lease *process_lease(struct process *p)
{
        return p->lease;
}
