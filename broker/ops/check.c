#include "ops/check.h"

#include "backend/dial.h"
#include "base/own.h"

/* One environment after the other: a person reads along. */
struct check {
        struct loop *loop;
        struct http *http;
        struct chain *chain;
        struct log *log;
        const struct config *config;
        FILE *to;
        void (*done)(void *arg, bool ok);
        void *arg;
        size_t at;                      /* the environment looked at */
        struct source *source;
        struct document *document;
        struct dial *dial;
        struct deferred next;
        bool ok;
};

static const struct config_environment *environment(const struct check *c)
{
        return &c->config->environments[c->at];
}

static void say(struct check *c, const char *word, const char *what, const char *text)
{
        fprintf(c->to, "%s %s %s: %s\n", word, environment(c)->name, what, text);
        fflush(c->to);
}

static void say_error(struct check *c, const char *what, const struct error *e)
{
        char text[sizeof e->text + sizeof e->hint + 4];
        snprintf(text, sizeof text, "%s%s%s", e->text, e->hint[0] ? " - " : "", e->hint);
        c->ok = false;
        say(c, "fail", what, text);
}

static void step(struct check *c)
{
        c->at++;
        loop_defer(c->loop, &c->next);
}

static void connected(void *arg, struct connection *connection, unsigned host, enum connect_failure f,
                      const struct error *e)
{
        struct check *c = arg;
        char text[256];
        (void) host;
        c->dial = NULL;
        if (!connection) {
                struct error named = *e;
                error_context(&named, "%s", connect_failure_name(f));
                say_error(c, "login", &named);
        } else {
                snprintf(text, sizeof text, "%s@%s:%u/%s, server %s, %s%s", c->document->username,
                         connection->host, connection->port, c->document->database,
                         settings_get(connection->reported, "server_version"),
                         connection->tls[0] ? "TLS " : "without TLS",
                         connection->tls[0] ? connection->tls : "");
                say(c, "ok", "login", text);
                connection_close(connection);
        }
        step(c);
}

static void warn_about_tls(struct check *c)
{
        struct enforce_decision d;
        struct error e = {0};
        const struct hosts *hosts = &c->document->hosts;
        bool unverified = false;
        for (unsigned i = 0; i < hosts->count; i++) {
                const char *name = hosts->at[i].name;
                unverified |= enforce_decide(c->document->ssl_mode, &environment(c)->tls, name,
                                             enforce_loopback_host(name), &d, &e) &&
                              d.warn_unverified;
        }
        if (unverified)
                say(c, "warn", "tls", "the server's certificate is not checked: a false server could ask "
                    "for the password in clear text; set tls.root_cert, or channel_binding: require");
}

static void fetched(void *arg, struct source_answer *a)
{
        struct check *c = arg;
        char text[160];
        if (a->verdict != SOURCE_FOUND) {
                say_error(c, "secret", &a->error);
                step(c);
                return;
        }
        c->document = TAKE(a->document);
        snprintf(text, sizeof text, "%s, version %s", source_name(c->source), a->version_id);
        say(c, "ok", "secret", text);
        if (c->document->spelled_twice)
                say(c, "warn", "secret", "a field is there in two spellings that disagree; the "
                    "forecaster's own counts");
        if (!source_can_rotate(c->source))
                say(c, "warn", "rotation", "this source can't follow a rotation: add secret_name, or use "
                    "source aws or file");
        warn_about_tls(c);
        struct dial_options o = {
                .connect = {.document = c->document,
                            .tls = environment(c)->tls,
                            .timeout_ms = (unsigned) environment(c)->pool.server_connect_timeout,
                            .session = {.application_name = "pgbroker --check"},
                            .target = environment(c)->pool.target}};
        c->dial = dial_start(c->loop, &o, connected, c);
}

static void forget(struct check *c)
{
        dial_cancel(TAKE(c->dial));
        source_free(TAKE(c->source));
        document_free(TAKE(c->document));
}

static void look(struct deferred *d)
{
        struct check *c = container_of(d, struct check, next);
        struct error e = {0};
        forget(c);
        if (c->at == c->config->environment_count) {
                c->done(c->arg, c->ok);
                return;
        }
        c->source = source_new(c->loop, c->http, c->chain, c->log, &environment(c)->source, &e);
        if (!c->source) {
                say_error(c, "secret", &e);
                step(c);
                return;
        }
        source_fetch(c->source, STAGE_CURRENT, fetched, c);
}

struct check *check_start(struct loop *l, struct http *http, struct chain *chain, struct log *log,
                          const struct config *config, FILE *to, void (*done)(void *arg, bool ok),
                          void *arg)
{
        struct check *c = own_new(struct check);
        *c = (struct check){.loop = l, .http = http, .chain = chain, .log = log, .config = config,
                            .to = to, .done = done, .arg = arg, .ok = true};
        deferred_init(&c->next, look);
        loop_defer(l, &c->next);
        return c;
}

void check_free(struct check *c)
{
        if (!c)
                return;
        deferred_clear(&c->next);
        forget(c);
        free(c);
}
