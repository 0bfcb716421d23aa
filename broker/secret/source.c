#include "secret/source.h"

#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "io/watch.h"
#include "secret/endpoint.h"
#include "secret/source_aws.h"
#include "secret/source_file.h"

struct source {
        struct loop *l;
        struct log *log;
        char *environment, *name, *variable, *host, *database;
        struct document_endpoint fill;
        const char *(*getenv_)(const char *name);
        struct source_aws *aws;             /* AWS, and ENV with something to fall back on */
        struct source_file *file;           /* FILE */
        struct deferred environment_answer; /* ENV */
        bool injected_given;
        struct watch_file *watch;
        char *path;

        enum secret_stage stage;
        void (*done)(void *arg, struct source_answer *answer); /* NULL = no fetch */
        void *arg;

        bool warned_denied, warned_twice;
};

/* ---- Names ---- */

static const char *check_name(const char *name, const char *component)
{
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        static const char prefix[] = "forecaster/";
        bool rds = strncmp(name, "rds!", 4) == 0;
        size_t component_size = strlen(component);

        if (strlen(name) >= ENDPOINT_NAME)
                return "it is longer than 512 characters";
        if (rds && strcmp(component, "database") != 0)
                return "rds! secrets are for `database` only";
        if (!rds) {
                if (strncmp(name, prefix, strlen(prefix)) != 0)
                        return "expected forecaster/COMPONENT/ENVIRONMENT, its full ARN, or "
                               "rds!...";
                name += strlen(prefix);
                if (strncmp(name, component, component_size) != 0 || name[component_size] != '/')
                        return "its component (forecaster/COMPONENT/...) is not the one of this "
                               "key";
                name += component_size + 1;
        } else {
                name += 4;
        }
        if (!*name)
                return "nothing stands where the environment's name belongs";
        while (*name && (strchr(letters, *name) || strchr("/_+=.@-", *name)))
                name++;
        return *name ? "it holds a character that secret names can't have" : "";
}

const char *source_check_name(const char *name, const char *component)
{
        struct arn arn;

        if (!endpoint_looks_like_arn(name))
                return check_name(name, component);

        const char *wrong = endpoint_arn(name, &arn);

        return *wrong ? wrong : check_name(arn.name, component);
}

/* ---- The log ---- */

static void report_warnings(struct source *s, const struct source_answer *a)
{
        if (a->denied && a->verdict == SOURCE_NONE && !s->warned_denied) {
                s->warned_denied = true;
                log_warn(s->log, "secret label may not be read",
                         log_str("environment", s->environment), log_str("source", s->name),
                         log_str("stage", secret_stage_name(s->stage)), log_reason(&a->error));
        }
        if (a->document && a->document->spelled_twice && !s->warned_twice) {
                s->warned_twice = true;
                log_warn(s->log,
                         "two spellings of a key disagree in the secret; the forecaster's is used",
                         log_str("environment", s->environment), log_str("source", s->name),
                         log_str("version_id", a->version_id));
        }
}

/* What is news, and what goes wrong, is told by whoever asked: he knows whether it matters. */
static void report(struct source *s, const struct source_answer *a)
{
        log_debug(s->log, a->verdict == SOURCE_FOUND ? "secret answered" : "secret not answered",
                  log_str("environment", s->environment), log_str("source", s->name),
                  log_str("stage", secret_stage_name(s->stage)),
                  log_str("version_id", a->version_id), log_str("request_id", a->request_id),
                  log_str("reason", a->error.text));
        report_warnings(s, a);
}

/* The callee may free `s`, so this is the last thing that anyone does with it. */
static void answered(void *arg, struct source_answer *answer)
{
        struct source *s = arg;
        void (*done)(void *, struct source_answer *) = TAKE(s->done);

        report(s, answer);
        done(s->arg, answer);
}

/* ---- The environment ---- */

static void read_variables(struct source *s, struct source_answer *out)
{
        struct document *d = document_read_variables(s->getenv_, &out->error);
        struct bytes content;

        out->document = d;
        out->verdict = d ? SOURCE_FOUND : SOURCE_REFUSED;
        if (!d)
                return;
        bytes_init(&content, 0);
        bytes_format(&content, "%s\n%u\n%s\n%s\n%d\n", d->host, d->port, d->username, d->database,
                     (int) d->ssl_mode);
        bytes_append(&content, sealed_open(d->password), sealed_length(d->password));
        source_file_digest(bytes_data(&content), bytes_length(&content), out->version_id);
        bytes_wipe(&content);
}

static void read_injected(struct source *s, struct source_answer *out)
{
        const char *json = s->getenv_(s->variable);

        if (json && *json) {
                source_file_answer(json, strlen(json), &s->fill, s->variable, out);
                return;
        }
        out->verdict = SOURCE_REFUSED;
        error_set(&out->error, "08001", "%s is not set in the environment", s->variable);
        error_hint(&out->error, "Have the secret injected into it, or use another source.");
}

static void answer_environment(struct deferred *d)
{
        struct source *s = container_of(d, struct source, environment_answer);
        struct source_answer answer = {.verdict = SOURCE_NONE};

        if (s->stage != STAGE_CURRENT)
                error_set(&answer.error, "08001", "the environment has no %s",
                          secret_stage_name(s->stage));
        else if (s->variable[0])
                read_injected(s, &answer);
        else
                read_variables(s, &answer);
        if (answer.verdict == SOURCE_REFUSED) {
                /* Nobody changes the environment of a process that runs. */
                answer.retry_ms = 60000;
                if (s->aws) {
                        log_warn(s->log, "injected secret is no good, asking Secrets Manager",
                                 log_str("environment", s->environment), log_reason(&answer.error));
                        s->injected_given = true;
                        source_aws_fetch(s->aws, s->stage, answered, s);
                        return;
                }
        }
        s->injected_given = true;

        answered(s, &answer);
        document_free(answer.document);
}

/* ---- Making one ---- */

static const char *text(const char *s)
{
        return s ? s : "";
}

static bool make_aws(struct source *s, struct http *http, struct chain *chain,
                     const struct source_options *o, struct error *e)
{
        const char *name = text(o->secret_name);
        const char *wrong = source_check_name(name, "database");

        if (*wrong) {
                error_set(e, "08001", "environment %s: secret_name \"%.100s\": %s", s->environment,
                          name, wrong);
                return error_hint(e, "A name is e.g. forecaster/database/%s.", s->environment);
        }
        s->aws =
                source_aws_new(s->l, http, chain, s->log,
                               &(struct source_aws_options){.secret_name = name,
                                                            .secret_region = text(o->secret_region),
                                                            .region = text(o->region),
                                                            .endpoint_url = text(o->endpoint_url),
                                                            .endpoint = s->fill,
                                                            .dice = o->dice,
                                                            .dice_arg = o->dice_arg},
                               e);
        if (!s->aws)
                return error_context(e, "environment %s", s->environment);

        const char *region = source_aws_region(s->aws);

        s->name = own_format("secretsmanager %s %s", *region ? region : "(instance's region)", name);
        return true;
}

static bool make_file(struct source *s, const struct source_options *o, struct error *e)
{
        if (!text(o->path)[0]) {
                error_set(e, "08001", "environment %s: source file without a path", s->environment);
                return error_hint(e, "Set database.path.");
        }
        s->path = own_string(o->path);
        s->file = source_file_new(s->l, o->path, &s->fill);
        s->name = own_format("file %s", o->path);
        return true;
}

static bool make_env(struct source *s, struct http *http, struct chain *chain,
                     const struct source_options *o, struct error *e)
{
        if (!s->variable[0] && strcmp(s->environment, "local") != 0) {
                error_set(e, "08001",
                          "environment %s: source env without `variable` is for the "
                          "environment `local` only",
                          s->environment);
                return error_hint(e, "Use source aws, or name the variable that holds the secret.");
        }
        if (s->variable[0] && text(o->secret_name)[0]) {
                if (!make_aws(s, http, chain, o, e))
                        return false;

                char *behind = TAKE(s->name);

                s->name = own_format("environment %s, then %s", s->variable, behind);
                free(behind);
                return true;
        }
        s->name = own_format("environment %s", s->variable[0] ? s->variable : "DB_*");
        return true;
}

static const char *process_getenv(const char *name)
{
        return getenv(name);
}

struct source *source_new(struct loop *l, struct http *http, struct chain *chain, struct log *log,
                          const struct source_options *options, struct error *e)
{
        OWN(source_free) struct source *s = own_new(struct source);
        bool made = false;

        s->l = l;
        s->log = log;
        s->environment = own_string(text(options->environment));
        s->variable = own_string(text(options->variable));
        s->host = own_string(text(options->endpoint.host));
        s->database = own_string(text(options->endpoint.database));
        s->fill = (struct document_endpoint){s->host, options->endpoint.port, s->database};
        s->getenv_ = options->getenv_ ? options->getenv_ : process_getenv;
        deferred_init(&s->environment_answer, answer_environment);
        switch (options->kind) {
        case SOURCE_AWS:
                made = make_aws(s, http, chain, options, e);
                break;
        case SOURCE_FILE:
                made = make_file(s, options, e);
                break;
        case SOURCE_ENV:
                made = make_env(s, http, chain, options, e);
                break;
        }
        return made ? TAKE(s) : NULL;
}

void source_free(struct source *s)
{
        if (!s)
                return;
        watch_file_free(s->watch);
        deferred_clear(&s->environment_answer);
        source_aws_free(s->aws);
        source_file_free(s->file);
        free(s->path);
        free(s->environment);
        free(s->name);
        free(s->variable);
        free(s->host);
        free(s->database);
        free(s);
}

/* ---- From outside ---- */

void source_fetch(struct source *s, enum secret_stage stage,
                  void (*done)(void *arg, struct source_answer *answer), void *arg)
{
        bool injected = s->aws && s->variable[0] && stage == STAGE_CURRENT && !s->injected_given;

        expect(!s->done);
        s->done = done;
        s->arg = arg;
        s->stage = stage;
        if (s->file)
                source_file_fetch(s->file, stage, answered, s);
        else if (s->aws && !injected)
                source_aws_fetch(s->aws, stage, answered, s);
        else
                loop_defer(s->l, &s->environment_answer);
}

void source_on_change(struct source *s, void (*changed)(void *arg), void *arg)
{
        struct error e = {0};

        watch_file_free(TAKE(s->watch));
        if (!s->file || !changed)
                return;
        s->watch = watch_file_new(s->l, s->path, changed, arg, &e);
        if (!s->watch)
                log_warn(s->log, "file can't be watched; it is read again at each poll",
                         log_str("environment", s->environment), log_reason(&e));
}

bool source_can_rotate(const struct source *s)
{
        return s->aws || s->file;
}

const char *source_name(const struct source *s)
{
        return s->name;
}

bool source_calls(const struct source *s, uint64_t *calls)
{
        *calls = s->aws ? source_aws_calls(s->aws) : 0;
        return s->aws;
}
