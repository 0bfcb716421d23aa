#include "ops/config_parts.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "base/bytes.h"
#include "ops/account.h"
#include "ops/forecaster.h"
#include "ops/rules.h"
#include "ops/tree.h"

/* ---- its life ---- */

struct config *config_new(const char *file)
{
        struct config *c = own_new(struct config);
        struct config_memory *m = c->memory = own_new(struct config_memory);

        m->file = own_string(file ? file : "");
        m->broker = sheet_new(SETTING_BROKER, NULL, (struct tree_mark){m->file, 1, 1});
        return c;
}

static void memory_free(struct config_memory *m)
{
        for (size_t i = 0; i < m->count; i++) {
                sheet_free(m->environments[i]);
                free(m->aliases[i]);
        }
        for (size_t i = 0; i < m->word_count; i++)
                free(m->words[i]);
        free(m->environments);
        free(m->aliases);
        free(m->words);
        sheet_free(m->broker);
        free(m->file);
        free(m);
}

void config_free(struct config *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < c->environment_count; i++)
                access_list_free(&c->environments[i].access);
        access_list_free(&c->admin);
        free(c->environments);
        memory_free(c->memory);
        free(c);
}

/* A mark for what no file says; takes the words. */
static struct tree_mark mark_words(struct config_memory *m, char *words)
{
        m->words = own_grow(m->words, (m->word_count + 1) * sizeof *m->words);
        m->words[m->word_count++] = words;
        return (struct tree_mark){words, 0, 0};
}

static struct sheet *find_sheet(const struct config_memory *m, const char *environment)
{
        for (size_t i = 0; i < m->count; i++)
                if (strcmp(sheet_environment(m->environments[i]), environment) == 0)
                        return m->environments[i];
        return NULL;
}

void config_add(struct config_memory *m, struct sheet *s)
{
        m->environments = own_grow(m->environments, (m->count + 1) * sizeof(struct sheet *));
        m->aliases = own_grow(m->aliases, (m->count + 1) * sizeof(const char **));
        m->environments[m->count] = s;
        m->aliases[m->count++] = NULL;
}

static struct sheet *add_sheet(struct config_memory *m, const char *name, struct tree_mark mark)
{
        struct sheet *s = sheet_new(SETTING_ENVIRONMENT, name, mark);

        config_add(m, s);
        return s;
}

/* ---- from the file ---- */

static bool read_environments(struct config_memory *m, const struct tree *map, struct error *e)
{
        if (map->kind != TREE_MAP && map->kind != TREE_NOTHING) {
                OWN(free) char *found = tree_describe(map);

                return tree_error(e, map->mark,
                                  "environments: found %s, expected names of environments, "
                                  "each with its settings",
                                  found);
        }
        for (size_t i = 0; i < map->count; i++) {
                const struct tree *t = map->children[i];

                if (!rules_name("environments", t->key, t->key_mark, e) ||
                    !sheet_fill(add_sheet(m, t->key, t->key_mark), t, e))
                        return false;
        }
        return true;
}

static bool read_file(struct config_memory *m, const char *text, size_t size, struct error *e)
{
        OWN(tree_free) struct tree *root = tree_read(m->file, text, size, e);

        if (!root || !sheet_fill(m->broker, root, e))
                return false;

        const struct tree *environments = tree_child(root, "environments");

        return !environments || read_environments(m, environments, e);
}

/* ---- from the command line and the environment ---- */

static bool add_named(struct config_memory *m, const struct config_arguments *a, struct error *e)
{
        for (size_t i = 0; i < a->environment_count; i++) {
                const char *name = a->environments[i];
                struct tree_mark mark = mark_words(m, own_format("-e %s", name));

                if (!rules_name("environment", name, (struct tree_mark){"-e", 0, 0}, e))
                        return false;
                if (!find_sheet(m, name))
                        add_sheet(m, name, mark);
        }
        return true;
}

static const char *variable(const struct config_arguments *a, const char *name)
{
        const char *value = a->getenv_ ? a->getenv_(name) : getenv(name);

        return value ? value : "";
}

/* DB_SECRET_NAME and DB_SECRET_REGION: the forecaster's own variables. */
static bool add_from_variables(struct config_memory *m, const struct config_arguments *a,
                               struct error *e)
{
        const char *secret_name = variable(a, "DB_SECRET_NAME"),
                   *region = variable(a, "DB_SECRET_REGION");
        struct tree_mark mark = mark_words(m, own_string("DB_SECRET_NAME"));
        OWN(free) char *name = NULL;

        if (!*secret_name) {
                error_set(e, "F0000",
                          "found no environment, expected -c FILE, -e ENVIRONMENT, or "
                          "DB_SECRET_NAME in the environment");
                return error_hint(e, "Try: pgbrokerd -e prod");
        }
        name = rules_environment_of(secret_name, mark, e);
        if (!name)
                return false;

        struct sheet *s = add_sheet(m, name, mark);

        sheet_put(s, "database.secret_name", secret_name, mark);
        if (*region)
                sheet_put(s, "database.secret_region", region,
                          mark_words(m, own_string("DB_SECRET_REGION")));
        return true;
}

static bool add_environments(struct config_memory *m, const struct config_arguments *a,
                             struct error *e)
{
        struct tree_mark allow = mark_words(m, own_string("--allow"));
        bool named = *m->file || a->environment_count;

        if (!add_named(m, a, e) || (!named && !add_from_variables(m, a, e)))
                return false;
        if (m->count == 0) {
                tree_error(e, (struct tree_mark){m->file, 0, 0},
                           "found no environment, expected one under "
                           "the key environments");
                return error_hint(e, "Add \"environments: {prod: {}}\", or start with -e prod.");
        }
        for (size_t i = 0; i < m->count; i++)
                for (size_t j = 0; j < a->allow_count; j++)
                        sheet_add(m->environments[i], "access.users", a->allow[j], allow);
        return true;
}

/* ---- completing ---- */

/* The path seen from the file's folder, from the root. */
static char *path_from(const char *file, const char *path)
{
        const char *slash = strrchr(file, '/');
        char here[PATH_MAX] = "";

        if (*file != '/' && !getcwd(here, sizeof here))
                here[0] = 0;
        return own_format("%s%s%.*s%s", here, *here ? "/" : "",
                          slash ? (int) (slash + 1 - file) : 0, file, path);
}

static void settle_path(const struct config_memory *m, struct sheet *s, const char *path)
{
        const char *text = sheet_text(s, path);

        if (!*text || *text == '/')
                return;

        OWN(free) char *whole = path_from(m->file, text);

        sheet_put(s, path, whole, sheet_mark(s, path));
}

static bool complete(const struct config_memory *m, struct sheet *s, struct error *e)
{
        settle_path(m, s, "config");
        settle_path(m, s, "database.path");
        settle_path(m, s, "tls.root_cert");
        if (!forecaster_import(s, e))
                return false;
        /* Only Secrets Manager has a name that goes without saying. */
        if (sheet_number(s, "database.source") != SOURCE_AWS &&
            !sheet_value(s, "database.secret_name")->given)
                sheet_put(s, "database.secret_name", "", sheet_mark(s, "database.source"));
        return rules_environment(s, e);
}

/* ---- making the structs ---- */

static_assert(SOURCE_AWS == 0 && SOURCE_FILE == 1 && SOURCE_ENV == 2, "the table has this order");

static void fill_source(const struct config *c, const struct sheet *s, struct source_options *out)
{
        const struct sheet *b = c->memory->broker;

        out->kind = (int) sheet_number(s, "database.source");
        out->environment = sheet_environment(s);
        out->secret_name = sheet_text(s, "database.secret_name");
        out->secret_region = sheet_text(s, "database.secret_region");
        out->region = sheet_text(b, "aws.region");
        out->endpoint_url = sheet_text(b, "aws.endpoint_url");
        out->path = sheet_text(s, "database.path");
        out->variable = sheet_text(s, "database.variable");
        out->endpoint.host = sheet_text(s, "endpoint.host");
        out->endpoint.port = (uint16_t) sheet_number(s, "endpoint.port");
        out->endpoint.database = sheet_text(s, "endpoint.database");
}

static void fill_pool(const struct sheet *s, struct pool_options *out)
{
        out->pool_mode = (enum pool_mode) sheet_number(s, "pool.pool_mode");
        out->pool_size = (uint32_t) sheet_number(s, "pool.pool_size");
        out->min_pool_size = (uint32_t) sheet_number(s, "pool.min_pool_size");
        out->reserve_pool_size = (uint32_t) sheet_number(s, "pool.reserve_pool_size");
        out->max_pinned = (uint32_t) sheet_number(s, "pool.max_pinned");
        out->max_prepared_statements = (uint32_t) sheet_number(s, "pool.max_prepared_statements");
        out->max_client_conn = (uint32_t) sheet_number(s, "pool.max_client_conn");
        out->max_db_connections = (uint32_t) sheet_number(s, "pool.max_db_connections");
        out->max_db_client_connections = (uint32_t) sheet_number(s, "pool.max_db_client_connections");
        out->max_user_connections = (uint32_t) sheet_number(s, "pool.max_user_connections");
        out->max_user_client_connections =
                (uint32_t) sheet_number(s, "pool.max_user_client_connections");
        out->reserve_pool_timeout = sheet_number(s, "pool.reserve_pool_timeout");
        out->query_wait_timeout = sheet_number(s, "pool.query_wait_timeout");
        out->cancel_wait_timeout = sheet_number(s, "pool.cancel_wait_timeout");
        out->server_lifetime = sheet_number(s, "pool.server_lifetime");
        out->server_idle_timeout = sheet_number(s, "pool.server_idle_timeout");
        out->server_connect_timeout = sheet_number(s, "pool.server_connect_timeout");
        out->server_login_retry = sheet_number(s, "pool.server_login_retry");
        out->pin_drain_timeout = sheet_number(s, "pool.pin_drain_timeout");
        out->pin_idle_timeout = sheet_number(s, "pool.pin_idle_timeout");
        out->replication = sheet_number(s, "pool.replication") != 0;
        out->pin_notice = sheet_number(s, "pool.pin_notice") != 0;
        out->message_timeout = sheet_number(s, "pool.message_timeout");
        out->client_login_timeout = sheet_number(s, "pool.client_login_timeout");
        out->client_idle_timeout = sheet_number(s, "pool.client_idle_timeout");
        out->idle_transaction_timeout = sheet_number(s, "pool.idle_transaction_timeout");
        out->server_check_delay = sheet_number(s, "pool.server_check_delay");
        out->server_check_query = sheet_text(s, "pool.server_check_query");
        out->connect_query = sheet_text(s, "pool.connect_query");
        out->target = (enum target_session_attrs) sheet_number(s, "pool.target_session_attrs");
        out->load_balance_hosts = (enum balance) sheet_number(s, "pool.load_balance_hosts");
        out->dns_max_ttl = sheet_number(s, "pool.dns_max_ttl");
        out->server_round_robin = sheet_number(s, "pool.server_round_robin") != 0;
        out->server_fast_close = sheet_number(s, "pool.server_fast_close") != 0;
        out->tcp = (struct tcp_options){sheet_number(s, "pool.tcp_keepalive") != 0,
                                        (uint32_t) sheet_number(s, "pool.tcp_keepcnt"),
                                        sheet_number(s, "pool.tcp_keepidle"),
                                        sheet_number(s, "pool.tcp_keepintvl"),
                                        sheet_number(s, "pool.tcp_user_timeout")};
        out->query_wait_notify = sheet_number(s, "pool.query_wait_notify");
        out->query_timeout = sheet_number(s, "pool.query_timeout");
        out->transaction_timeout = sheet_number(s, "pool.transaction_timeout");
}

static bool fill_environment(const struct config *c, size_t i, const struct access_self *self,
                             struct config_environment *out, struct error *e)
{
        const struct sheet *s = c->memory->environments[i];
        const struct value *aliases = sheet_value(s, "aliases");
        const char **names = own_alloc((aliases->count + 1) * sizeof *names);

        for (size_t j = 0; j < aliases->count; j++)
                names[j] = aliases->items[j].text;
        c->memory->aliases[i] = names;
        out->name = sheet_environment(s);
        out->aliases = names;
        out->alias_count = aliases->count;
        fill_source(c, s, &out->source);
        out->tls.min_ssl_mode = (enum ssl_mode) sheet_number(s, "tls.min_ssl_mode");
        out->tls.root_cert = sheet_text(s, "tls.root_cert");
        out->tls.channel_binding = (enum enforce_binding) sheet_number(s, "tls.channel_binding");
        fill_pool(s, &out->pool);
        out->isolation = (enum config_isolation) sheet_number(s, "isolation");
        out->poll_interval = sheet_number(s, "rotation.poll_interval");
        out->bridge_timeout = sheet_number(s, "rotation.bridge_timeout");
        return account_list(s, "access", self, &out->access, e);
}

bool config_fill(struct config *c, struct error *e)
{
        const struct sheet *b = c->memory->broker;
        struct access_self self = access_self();

        if (!rules_names(c->memory->environments, c->memory->count, e))
                return false;
        c->socket.directory = sheet_text(b, "socket.directory");
        c->socket.port = (unsigned) sheet_number(b, "socket.port");
        c->socket.mode = (mode_t) sheet_number(b, "socket.mode");
        c->socket.group = sheet_text(b, "socket.group");
        c->socket.max_client_conn = (uint32_t) sheet_number(b, "socket.max_client_conn");
        c->socket.linger_timeout = sheet_number(b, "socket.linger_timeout");
        c->log.level = (enum log_level) sheet_number(b, "log.level");
        c->log.format = (enum log_format) sheet_number(b, "log.format");
        if (!account_list(b, "admin", &self, &c->admin, e))
                return false;
        c->environments = own_alloc(c->memory->count * sizeof *c->environments);
        c->environment_count = c->memory->count;
        for (size_t i = 0; i < c->environment_count; i++)
                if (!fill_environment(c, i, &self, &c->environments[i], e))
                        return false;
        return true;
}

/* ---- loading ---- */

bool config_load_text(const struct config_arguments *arguments, const char *file, const char *text,
                      size_t size, struct config **out, struct error *e)
{
        OWN(config_free) struct config *c = config_new(file);
        struct config_memory *m = c->memory;

        if (file && !read_file(m, text, size, e))
                return false;
        if (!rules_broker(m->broker, e) || !add_environments(m, arguments, e))
                return false;
        for (size_t i = 0; i < m->count; i++)
                if (!complete(m, m->environments[i], e))
                        return false;
        if (!config_fill(c, e))
                return false;
        *out = TAKE(c);
        return true;
}

bool config_load(const struct config_arguments *arguments, struct config **out, struct error *e)
{
        OWN(free) char *text = NULL;
        size_t size = 0;

        if (arguments->file && !(text = tree_load(arguments->file, &size, e)))
                return false;
        return config_load_text(arguments, arguments->file, text, size, out, e);
}

/* ---- asking ---- */

const struct config_environment *config_find(const struct config *c, const char *name)
{
        for (size_t i = 0; i < c->environment_count; i++) {
                const struct config_environment *environment = &c->environments[i];

                if (strcmp(environment->name, name) == 0)
                        return environment;
                for (size_t j = 0; j < environment->alias_count; j++)
                        if (strcmp(environment->aliases[j], name) == 0)
                                return environment;
        }
        return NULL;
}

void config_print(const struct config *c, FILE *to)
{
        sheet_print(c->memory->broker, 0, to);
        fprintf(to, "environments:\n");
        for (size_t i = 0; i < c->environment_count; i++) {
                OWN(free) char *name = tree_write(c->environments[i].name);

                fprintf(to, "  %s:\n", name);
                sheet_print(c->memory->environments[i], 4, to);
        }
}

struct rows {
        void (*row)(void *arg, const char *key, const char *value, const char *fallback,
                    bool changeable);
        void *arg;
        const char *environment;
};

static void give_row(void *arg, const struct setting *setting, const char *value,
                     const char *fallback)
{
        const struct rows *r = arg;
        const char *path = setting->path;
        OWN(free)
        char *key = r->environment ? own_format("environments.%s.%s", r->environment, path)
                                   : own_string(path);

        r->row(r->arg, key, value, fallback, setting->when == SETTING_RELOAD);
}

void config_rows(const struct config *c,
                 void (*row)(void *arg, const char *key, const char *value, const char *fallback,
                             bool changeable),
                 void *arg)
{
        struct rows r = {row, arg, NULL};

        sheet_rows(c->memory->broker, give_row, &r);
        for (size_t i = 0; i < c->environment_count; i++) {
                r.environment = c->environments[i].name;
                sheet_rows(c->memory->environments[i], give_row, &r);
        }
}

struct difference {
        const struct sheet *other;
        struct bytes keys;
};

static void compare(void *arg, const struct setting *setting, const char *value,
                    const char *fallback)
{
        struct difference *d = arg;
        OWN(free) char *other = NULL;

        (void) fallback;
        if (setting->when != SETTING_RESTART)
                return;
        other = value_show(setting, sheet_value(d->other, setting->path));
        if (strcmp(other, value) != 0)
                bytes_format(&d->keys, "%s%s", bytes_length(&d->keys) ? ", " : "", setting->path);
}

char *config_needs_restart(const struct config *running, const struct config *fresh)
{
        struct difference d = {.other = fresh->memory->broker};

        bytes_init(&d.keys, 0);
        sheet_rows(running->memory->broker, compare, &d);

        char *keys = bytes_length(&d.keys) ? bytes_string(&d.keys) : NULL;

        bytes_free(&d.keys);
        return keys;
}
