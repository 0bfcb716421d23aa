#include "secret/document.h"

#include <string.h>
#include <strings.h>
#include "base/expect.h"
#include "secret/json.h"

/* What Secrets Manager holds at most. */
enum { DOCUMENT_LIMIT = 65536, DEFAULT_PORT = 5432 };

#define PORT_HINT                                                                                  \
        "5432 is PostgreSQL's port if nobody changed it; a list of hosts has one port, or as many."

enum field { HOST, PORT, USERNAME, PASSWORD, DATABASE, SSL_MODE, ENGINE, FIELDS };

/* The spellings of each field, the one that wins first. */
typedef const char *const spellings[FIELDS][5];

static spellings secret_spellings = {
        [HOST] = {"host"},
        [PORT] = {"port"},
        [USERNAME] = {"username", "user"},
        [PASSWORD] = {"password"},
        [DATABASE] = {"database", "dbname", "db", "dbName"},
        [SSL_MODE] = {"ssl_mode", "sslmode", "ssl"},
        [ENGINE] = {"engine"},
};

static spellings variables = {
        [HOST] = {"DB_HOST"},     [PORT] = {"DB_PORT"},
        [USERNAME] = {"DB_USER"}, [PASSWORD] = {"DB_PASSWORD"},
        [DATABASE] = {"DB_NAME"}, [SSL_MODE] = {"DB_SSL_MODE"},
        [ENGINE] = {NULL},
};

static const char *const variable_defaults[FIELDS] = {
        [HOST] = "localhost",          [PORT] = "5432",
        [USERNAME] = "dev_user",       [PASSWORD] = "dev_password",
        [DATABASE] = "forecaster_dev",
};

struct reading {
        const json_t *json;
        const char *const (*spelled)[5];
        const struct document_endpoint *endpoint;
        struct error *e;
        bool twice;
};

/* A field's value with its spelling; text and number as the field needs. */
struct value {
        const char *key; /* NULL = the field isn't there */
        const char *text;
        size_t length;
        int number;
};

/* ---- ssl_mode ---- */

static const char *const mode_names[] = {
#define X(name, text) text,
        DOCUMENT_SSL_MODES(X)
#undef X
};

enum { MODES = sizeof mode_names / sizeof mode_names[0] };

const char *ssl_mode_name(enum ssl_mode m)
{
        expect((size_t) m < MODES);
        return mode_names[m];
}

bool ssl_mode_parse(const char *text, enum ssl_mode *out)
{
        for (int i = 0; i < MODES; i++)
                if (strcmp(text, mode_names[i]) == 0) {
                        *out = (enum ssl_mode) i;
                        return true;
                }
        return false;
}

/* ---- One value ---- */

static bool read_text(const json_t *json, struct value *v, struct error *e)
{
        if (!json_is_string(json)) {
                error_set(e, "08001", "%s: found %s, expected text", v->key, json_kind(json));
                return error_hint(e, "Put the value of \"%s\" in quotes.", v->key);
        }
        v->text = json_string_value(json);
        v->length = json_string_length(json);
        if (memchr(v->text, 0, v->length))
                return error_set(e, "08001", "%s: it holds a NUL character", v->key);
        return true;
}

static bool read_filled_text(const json_t *json, struct value *v, struct error *e)
{
        if (!read_text(json, v, e))
                return false;
        if (v->length > 0)
                return true;
        error_set(e, "08001", "%s: it is empty", v->key);
        return error_hint(e, "Give \"%s\" a value.", v->key);
}

static bool bad_port(const char *key, struct error *e)
{
        error_set(e, "08001", "%s: not a port, expected a whole number from 1 to 65535", key);
        return error_hint(e, PORT_HINT);
}

/* A number, or text with one or a list of them, which is read with the hosts. */
static bool read_port(const json_t *json, struct value *v, struct error *e)
{
        long long port = 0;

        if (json_is_integer(json)) {
                port = json_integer_value(json);
        } else {
                return json_is_string(json) ? read_text(json, v, e) : bad_port(v->key, e);
        }
        if (port < 1 || port > 65535)
                return bad_port(v->key, e);
        v->number = (int) port;
        return true;
}

/* `ssl` is AWS's: true, "true", false, "false". The names of the modes are taken there too. */
static bool read_ssl_mode(const json_t *json, struct value *v, struct error *e)
{
        enum ssl_mode mode = SSL_MODE_UNSET;
        bool as_switch = strcmp(v->key, "ssl") == 0;

        if (as_switch && json_is_boolean(json)) {
                v->number = json_is_true(json) ? SSL_MODE_VERIFY_FULL : SSL_MODE_DISABLE;
                return true;
        }
        if (!read_text(json, v, e))
                return false;
        if (as_switch && strcasecmp(v->text, "true") == 0) {
                mode = SSL_MODE_VERIFY_FULL;
        } else if (as_switch && strcasecmp(v->text, "false") == 0) {
                mode = SSL_MODE_DISABLE;
        } else if (!ssl_mode_parse(v->text, &mode)) {
                error_set(e, "08001", "%s: not an ssl_mode", v->key);
                return error_hint(
                        e,
                        "It is one of disable, allow, prefer, require, verify-ca, verify-full%s.",
                        as_switch ? ", true, false" : "");
        }
        v->number = mode;
        return true;
}

static bool read_engine(const json_t *json, struct value *v, struct error *e)
{
        if (!read_text(json, v, e))
                return false;
        if (strcmp(v->text, "postgres") == 0 || strcmp(v->text, "aurora-postgresql") == 0)
                return true;
        error_set(e, "08001", "%s: not a PostgreSQL database", v->key);
        return error_hint(e, "It is \"postgres\" or \"aurora-postgresql\"; check that this is the "
                             "right secret.");
}

static bool read_value(enum field f, const json_t *json, struct value *v, struct error *e)
{
        switch (f) {
        case PORT:
                return read_port(json, v, e);
        case SSL_MODE:
                return read_ssl_mode(json, v, e);
        case ENGINE:
                return read_engine(json, v, e);
        default:
                return read_filled_text(json, v, e);
        }
}

static bool same_value(enum field f, const struct value *a, const struct value *b)
{
        if (f == SSL_MODE)
                return a->number == b->number;
        return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* Every spelling that is there is checked; the first one counts. */
static bool read_field(struct reading *r, enum field f, struct value *out)
{
        *out = (struct value){0};
        for (const char *const *key = r->spelled[f]; *key; key++) {
                const json_t *json = json_object_get(r->json, *key);
                struct value v = {.key = *key};

                if (!json || json_is_null(json))
                        continue;
                if (!read_value(f, json, &v, r->e))
                        return false;
                if (!out->key)
                        *out = v;
                else if (!same_value(f, out, &v))
                        r->twice = true;
        }
        return true;
}

/* ---- The fields ---- */

static bool missing(struct reading *r, const char *key, const char *hint)
{
        error_set(r->e, "08001", "%s: missing", key);
        return error_hint(r->e, "%s", hint);
}

static bool fill_hosts(struct reading *r, struct document *d)
{
        struct value v;

        if (!read_field(r, HOST, &v))
                return false;

        const char *key = v.key ? v.key : "endpoint.host";
        const char *host = v.key ? v.text : r->endpoint->host;

        if (!host || !host[0])
                return missing(
                        r, "host",
                        "Add \"host\" to the secret, or set endpoint.host of the environment.");

        const char *complaint = hosts_read_names(&d->hosts, host);

        if (complaint)
                return error_set(r->e, "08001", "%s: %s", key, complaint);
        d->host = hosts_text(&d->hosts);
        return true;
}

static bool fill_ports(struct reading *r, struct document *d)
{
        struct value v;

        if (!read_field(r, PORT, &v))
                return false;
        if (v.text) {
                const char *complaint = hosts_read_ports(&d->hosts, v.text);

                if (complaint) {
                        error_set(r->e, "08001", "%s: %s", v.key, complaint);
                        return error_hint(r->e, PORT_HINT);
                }
        } else {
                hosts_set_port(&d->hosts, v.key               ? (uint16_t) v.number
                                          : r->endpoint->port ? r->endpoint->port
                                                              : DEFAULT_PORT);
        }
        d->port = d->hosts.at[0].port;
        return true;
}

static bool fill_username(struct reading *r, struct document *d)
{
        struct value v;

        if (!read_field(r, USERNAME, &v))
                return false;
        if (!v.key)
                return missing(r, "username", "Add \"username\" to the secret.");
        d->username = own_string(v.text);
        return true;
}

static bool fill_password(struct reading *r, struct document *d)
{
        struct value v;

        if (!read_field(r, PASSWORD, &v))
                return false;
        if (!v.key)
                return missing(r, "password", "Add \"password\" to the secret.");
        d->password = sealed_new(v.text, v.length);
        return true;
}

static bool fill_database(struct reading *r, struct document *d)
{
        struct value v;

        if (!read_field(r, DATABASE, &v))
                return false;

        const char *database = v.key ? v.text : r->endpoint->database;

        if (!database || !database[0])
                return missing(r, "database",
                               "Add \"database\" (or \"dbname\") to the secret, or set "
                               "endpoint.database of the environment.");
        d->database = own_string(database);
        return true;
}

static bool fill(struct reading *r, struct document *d)
{
        struct value engine, ssl_mode;

        if (!read_field(r, ENGINE, &engine) || !fill_hosts(r, d) || !fill_ports(r, d) ||
            !fill_username(r, d) || !fill_password(r, d) || !fill_database(r, d) ||
            !read_field(r, SSL_MODE, &ssl_mode))
                return false;
        d->ssl_mode = ssl_mode.key ? (enum ssl_mode) ssl_mode.number : SSL_MODE_UNSET;
        d->spelled_twice = r->twice;
        return true;
}

/* Values that nobody asked for must be free of NUL as well: whoever wrote one there didn't mean
 * to, and it is better said than found out field by field. */
static bool free_of_nul(const json_t *json, struct error *e)
{
        json_t *object = (json_t *) json;

        for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
                const json_t *value = json_object_iter_value(at);

                if (json_is_string(value) &&
                    memchr(json_string_value(value), 0, json_string_length(value)))
                        return error_set(e, "08001", "%.64s: it holds a NUL character",
                                         json_object_iter_key(at));
        }
        return true;
}

static struct document *read_object(struct reading *r)
{
        OWN(document_free) struct document *d = own_new(struct document);

        if (!json_is_object(r->json)) {
                error_set(r->e, "08001", "found %s, expected a JSON object", json_kind(r->json));
                return NULL;
        }
        return free_of_nul(r->json, r->e) && fill(r, d) ? TAKE(d) : NULL;
}

struct document *document_read(const char *json, size_t size,
                               const struct document_endpoint *endpoint, struct error *e)
{
        static const struct document_endpoint none;

        if (size > DOCUMENT_LIMIT) {
                error_set(e, "08001", "it is %zu bytes long, expected %d at most", size,
                          DOCUMENT_LIMIT);
                return NULL;
        }

        OWN(json_decref) json_t *object = json_read(json, size, e);

        if (!object) {
                error_hint(e, "A JSON object with host, port, username, password, database and "
                              "ssl_mode is expected.");
                return NULL;
        }
        return read_object(&(struct reading){.json = object,
                                             .spelled = secret_spellings,
                                             .endpoint = endpoint ? endpoint : &none,
                                             .e = e});
}

struct document *document_read_variables(const char *(*getenv_)(const char *name), struct error *e)
{
        static const struct document_endpoint none;
        OWN(json_decref) json_t *object = json_new_object();

        for (int f = 0; f < FIELDS; f++) {
                const char *name = variables[f][0];
                const char *value = name ? getenv_(name) : NULL;

                if (!value || !value[0])
                        value = variable_defaults[f];
                if (name && value)
                        json_object_set_new_nocheck(object, name, json_string_nocheck(value));
        }
        return read_object(
                &(struct reading){.json = object, .spelled = variables, .endpoint = &none, .e = e});
}

void document_free(struct document *d)
{
        if (!d)
                return;
        hosts_free(&d->hosts);
        free(d->host);
        free(d->username);
        sealed_free(d->password);
        free(d->database);
        free(d);
}

bool document_same_endpoint(const struct document *a, const struct document *b)
{
        return hosts_equal(&a->hosts, &b->hosts) && strcmp(a->database, b->database) == 0;
}

bool document_equal(const struct document *a, const struct document *b)
{
        return document_same_endpoint(a, b) && strcmp(a->username, b->username) == 0 &&
               a->ssl_mode == b->ssl_mode && sealed_equal(a->password, b->password);
}
