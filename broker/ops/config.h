/* The configuration: read from YAML, the command line and the environment, checked as a whole
 * before anything is opened, and never changed afterwards. RELOAD loads another one beside it.
 * Each key is described once, in the table of ops/setting; an error says
 * "file:line:column: key: found ..., expected ...". */
#ifndef PGB_OPS_CONFIG_H
#define PGB_OPS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "backend/enforce.h"
#include "backend/options.h"
#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "frontend/access.h"
#include "secret/source.h"

enum config_isolation {
        ISOLATION_TRACKED,              /* a full reset between peers of different uid */
        ISOLATION_STRICT                /* ... between any two clients */
};

/* All texts live as long as the config; none is NULL, "" stands for "not given". */
struct config_environment {
        const char *name;
        const char *const *aliases;
        size_t alias_count;
        struct source_options source;   /* complete: for source_new() */
        struct enforce_options tls;
        struct pool_options pool;
        enum config_isolation isolation;
        struct access_list access;      /* besides the broker's own uid; --allow is in it */
        uint64_t poll_interval;         /* milliseconds; 0 = never */
        uint64_t bridge_timeout;        /* milliseconds */
};

struct config {
        struct {
                const char *directory;
                unsigned port;
                mode_t mode;
                const char *group;      /* "" = leave; known to exist */
                uint32_t max_client_conn;
                uint64_t linger_timeout;        /* milliseconds; 0 = no end. This one can change */
        } socket;                       /* cannot change while the broker runs */
        struct access_list admin;       /* besides the broker's own uid */
        struct {
                enum log_level level;
                enum log_format format;
        } log;
        struct config_environment *environments;        /* at least one, in the order given */
        size_t environment_count;
        struct config_memory *memory;   /* where the texts live, and what was given where */
};

/* What the command line said; borrowed until config_load() returns. */
struct config_arguments {
        const char *file;                       /* -c; NULL = none */
        const char *const *environments;        /* -e: those that the file lacks get all defaults */
        size_t environment_count;
        const char *const *allow;               /* --allow: may use every environment */
        size_t allow_count;
        const char *(*getenv_)(const char *name);       /* NULL = getenv; for DB_SECRET_NAME and
                                                           DB_SECRET_REGION */
};

/* False and `e` (the first fault; F0000) if anything is wrong; *out is untouched then. Looks up
 * users and groups, so it may take a while where these come over a network; uses no state of the
 * process, so it may run on another thread. */
bool config_load(const struct config_arguments *arguments, struct config **out, struct error *e);
/* The same with the file's text given; relative paths in it are relative to `file`'s folder. */
bool config_load_text(const struct config_arguments *arguments, const char *file, const char *text,
                      size_t size, struct config **out, struct error *e);
void config_free(struct config *c);             /* NULL is fine */
OWN_DEFINE(struct config, config_free)

/* SET: *out is as `running`, but for one key. That is a path as SHOW CONFIG has it, or shorter: a
 * path below an environment stands for all of them, the last word of a path for the path. `value` is
 * written as in the file. May take a while, like config_load(), and may run on another thread. */
bool config_set(const struct config *running, const char *key, const char *value,
                struct config **out, struct error *e);

/* The environment of this name or alias; NULL if there is none. */
const struct config_environment *config_find(const struct config *c, const char *name);

/* Every key with its value, as YAML that config_load() reads to the same configuration. */
void config_print(const struct config *c, FILE *to);

/* SHOW CONFIG: one call for each key. `changeable`: RELOAD applies a new value. */
void config_rows(const struct config *c,
                 void (*row)(void *arg, const char *key, const char *value, const char *fallback,
                             bool changeable),
                 void *arg);

/* The keys that differ and that RELOAD cannot apply ("socket.port, socket.mode"), for "needs a
 * restart"; NULL if there are none. The caller frees it. */
char *config_needs_restart(const struct config *running, const struct config *fresh);

#endif
