#include "frontend/greet.h"

#include <string.h>
#include "base/own.h"
#include "wire/compose.h"

#define NEWEST_MINOR 2

void greet_init(struct greet *g)
{
        memset(g, 0, sizeof *g);
        bytes_init(&g->unknown, STARTUP_MAX);
}

void greet_free(struct greet *g)
{
        settings_unref(g->settings);
        settings_unref(g->at_start);
        free(g->user);
        free(g->database);
        free(g->replication);
        free(g->groups);
        bytes_free(&g->unknown);
        greet_init(g);
}

static void add_setting(void *arg, const char *name, const char *value)
{
        struct greet *g = arg;
        settings_put(startup_only(name) ? &g->at_start : &g->settings, name, value);
}

static void take_parameter(struct greet *g, const struct startup_parameter *p)
{
        static const char *const taken_before[] = {"user", "database", "replication",
                                                   "options" /* a parameter of its own wins over it */};
        for (size_t i = 0; i < sizeof taken_before / sizeof *taken_before; i++) {
                if (strcmp(p->name, taken_before[i]) == 0)
                        return;
        }
        if (strncmp(p->name, "_pq_.", 5) == 0) {
                bytes_append(&g->unknown, p->name, strlen(p->name) + 1);
                g->unknown_count++;
                return;
        }
        add_setting(g, p->name, p->value);
}

static enum greet_verdict take_session(struct greet *g, const struct startup *s, struct error *e)
{
        const char *user = startup_get(s, "user");
        const char *database = startup_get(s, "database");
        const char *options = startup_get(s, "options");
        const char *replication = startup_get(s, "replication");
        if (!user || !*user) {
                error_set(e, "28000", "no PostgreSQL user name specified in startup packet");
                return GREET_BAD;
        }
        if (replication && !*replication) {
                error_set(e, "22023", "invalid value for parameter \"replication\": \"\"");
                error_hint(e, "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
                return GREET_BAD;
        }
        g->minor = s->minor;
        g->user = own_string(user);
        g->database = own_string(database && *database ? database : user);
        if (replication && startup_replication(replication) != REPLICATION_NONE)
                g->replication = own_string(replication);
        g->settings = settings_new();
        if (options && !startup_options(options, add_setting, g, e))
                return GREET_BAD;
        for (size_t i = 0; i < s->count; i++)
                take_parameter(g, &s->parameters[i]);
        return GREET_SESSION;
}

static enum greet_verdict refuse_encryption(struct greet *g, const struct startup *s, size_t n,
                                            struct bytes *answer, struct error *e)
{
        if (n > s->size) {
                error_set(e, "08P01", "unencrypted data after a request for encryption");
                return GREET_BAD;
        }
        bool *refused = s->kind == STARTUP_SSL ? &g->tls_refused : &g->gss_refused;
        if (*refused) {
                error_set(e, "08P01", "encryption was refused and asked for again");
                return GREET_BAD;
        }
        *refused = true;
        bytes_append(answer, "N", 1);
        return GREET_AGAIN;
}

enum greet_verdict greet_read(struct greet *g, const uint8_t *p, size_t n, size_t *used,
                              struct bytes *answer, struct error *e)
{
        struct startup s;
        *used = 0;
        switch (startup_read(p, n, &s, e)) {
        case FRAME_SHORT:
                return GREET_SHORT;
        case FRAME_BAD:
                return GREET_BAD;
        case FRAME_READY:
                break;
        }
        *used = s.size;
        switch (s.kind) {
        case STARTUP_SSL:
        case STARTUP_GSSENC:
                return refuse_encryption(g, &s, n, answer, e);
        case STARTUP_CANCEL:
                g->cancel_pid = s.cancel_pid;
                g->cancel_key_size = s.cancel_key_size;
                memcpy(g->cancel_key, s.cancel_key, s.cancel_key_size);
                return GREET_CANCEL;
        case STARTUP_SUCCESSOR:
                return GREET_SUCCESSOR;
        case STARTUP_TLS_HELLO:
                error_set(e, "08P01", "TLS is not spoken on this unix socket");
                error_hint(e, "Connect with sslmode=disable or without sslnegotiation=direct: the "
                              "kernel says who you are, the broker encrypts to the server.");
                return GREET_BAD;
        case STARTUP_SESSION:
                return take_session(g, &s, e);
        }
        return GREET_BAD;
}

void greet_negotiate(const struct greet *g, struct bytes *out)
{
        if (g->minor <= NEWEST_MINOR && g->unknown_count == 0)
                return;
        const char *names[STARTUP_MAX_PARAMETERS];
        const char *at = (const char *) bytes_data(&g->unknown);
        for (size_t i = 0; i < g->unknown_count; i++, at += strlen(at) + 1)
                names[i] = at;
        compose_negotiate(out, g->minor < NEWEST_MINOR ? g->minor : NEWEST_MINOR, names,
                          g->unknown_count);
}

void greet_welcome(const struct settings *told, const struct settings *known, uint32_t pid,
                   const uint8_t *key, size_t key_size, struct bytes *out)
{
        size_t at = 0;
        const char *name, *value;
        compose_authentication_ok(out);
        while (settings_next(told, &at, &name, &value)) {
                if (settings_get(known, name))
                        compose_parameter(out, name, value);
        }
        compose_key(out, pid, key, key_size);
        compose_ready(out, 'I');
}
