/* The database secret: a JSON object in the forecaster's spelling or in that of AWS's own rotation
 * functions and RDS, checked field by field. Messages name the field (for bad JSON: line and
 * column), never a value. */
#ifndef PGB_SECRET_DOCUMENT_H
#define PGB_SECRET_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/sealed.h"
#include "secret/hosts.h"

/* From weak to strong; UNSET = the document does not say. */
#define DOCUMENT_SSL_MODES(X)                                                                      \
        X(UNSET, "")                                                                               \
        X(DISABLE, "disable")                                                                      \
        X(ALLOW, "allow")                                                                          \
        X(PREFER, "prefer")                                                                        \
        X(REQUIRE, "require")                                                                      \
        X(VERIFY_CA, "verify-ca")                                                                  \
        X(VERIFY_FULL, "verify-full")

enum ssl_mode {
#define X(name, text) SSL_MODE_##name,
        DOCUMENT_SSL_MODES(X)
#undef X
};
const char *ssl_mode_name(enum ssl_mode m);
bool ssl_mode_parse(const char *text, enum ssl_mode *out);     /* "" = UNSET */

struct document {
        struct hosts hosts;             /* where the server may be; one at least */
        char *host;                     /* all of them, with commas between, for people ... */
        uint16_t port;                  /* ... and the first one's port */
        char *username;
        struct sealed *password;
        char *database;
        enum ssl_mode ssl_mode;
        bool spelled_twice;             /* two spellings of a field disagreed; the forecaster's won */
};

/* What fills fields that the secret lacks: the environment's `endpoint`. */
struct document_endpoint {
        const char *host;               /* "" = none; or a list */
        uint16_t port;                  /* 0 = none; of all of them */
        const char *database;           /* "" = none */
};

/* NULL and `e` (08001... with hint) when it is not a usable secret. */
struct document *document_read(const char *json, size_t size, const struct document_endpoint *endpoint,
                               struct error *e);
/* The same from DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME (each with a default for work at
 * one's own machine) and DB_SSL_MODE; messages name the variable. */
struct document *document_read_variables(const char *(*getenv_)(const char *name), struct error *e);
void document_free(struct document *d);         /* NULL is fine */
/* Same hosts, ports and database. */
bool document_same_endpoint(const struct document *a, const struct document *b);
/* Same in all fields, password included (compared in constant time). */
bool document_equal(const struct document *a, const struct document *b);

OWN_DEFINE(struct document, document_free)

#endif
