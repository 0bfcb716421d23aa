#include "ops/rules.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/map.h"
#include "base/own.h"
#include "ops/account.h"
#include "secret/document.h"
#include "secret/endpoint.h"
#include "secret/source.h"

OWN_DEFINE(struct map, map_free)

enum { NAME_MAX_BYTES = 63 };

/* ---- names ---- */

bool rules_name(const char *what, const char *name, struct tree_mark mark, struct error *e)
{
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        size_t length = strlen(name);
        OWN(free) char *quoted = tree_quote(name);

        if (length == 0 || length > NAME_MAX_BYTES || strspn(name, letters) != length)
                return tree_error(e, mark,
                                  "%s: found %s, expected a name of letters, digits and _ . - "
                                  "(at most %d)",
                                  what, quoted, NAME_MAX_BYTES);
        if (strcmp(name, "pgbroker") == 0 || strcmp(name, "pgbouncer") == 0) {
                tree_error(e, mark, "%s: found the name %s, expected another one", what, quoted);
                return error_hint(e, "pgbroker and pgbouncer are the names of the console.");
        }
        return true;
}

static bool take_alias(struct map *seen, const struct value_item *alias, const char *environment,
                       struct error *e)
{
        const char *other = map_get(seen, alias->text);

        if (other)
                return tree_error(e, alias->mark,
                                  "aliases: found \"%s\" for the environment %s, expected "
                                  "a name that is not taken (it leads to %s)",
                                  alias->text, environment, other);
        map_put(seen, alias->text, (void *) (uintptr_t) environment);
        return true;
}

bool rules_names(struct sheet *const *environments, size_t count, struct error *e)
{
        OWN(map_free) struct map *seen = map_new(NULL);

        for (size_t i = 0; i < count; i++) {
                const char *name = sheet_environment(environments[i]);

                map_put(seen, name, (void *) (uintptr_t) name);
        }
        for (size_t i = 0; i < count; i++) {
                const struct value *aliases = sheet_value(environments[i], "aliases");

                for (size_t j = 0; j < aliases->count; j++)
                        if (!take_alias(seen, &aliases->items[j],
                                        sheet_environment(environments[i]), e))
                                return false;
        }
        return true;
}

char *rules_environment_of(const char *secret_name, struct tree_mark mark, struct error *e)
{
        static const char prefix[] = "forecaster/database/";
        const char *wrong = source_check_name(secret_name, "database"), *name = secret_name;
        OWN(free) char *quoted = tree_quote(secret_name);
        struct arn arn;

        if (!*wrong && endpoint_looks_like_arn(secret_name) && !*endpoint_arn(secret_name, &arn))
                name = arn.name;
        if (*wrong || strncmp(name, prefix, strlen(prefix)) != 0) {
                tree_error(e, mark,
                           "found %s%s%s%s, expected forecaster/database/ENVIRONMENT or its ARN",
                           quoted, *wrong ? " (" : "", wrong, *wrong ? ")" : "");
                return NULL;
        }
        name += strlen(prefix);
        return rules_name("environment", name, mark, e) ? own_string(name) : NULL;
}

/* ---- the broker ---- */

static bool check_socket(const struct sheet *s, struct error *e)
{
        const char *directory = sheet_text(s, "socket.directory");
        const char *group = sheet_text(s, "socket.group");
        unsigned port = (unsigned) sheet_number(s, "socket.port");
        OWN(free) char *path = own_format("%s/.s.PGSQL.%u", directory, port);
        OWN(free) char *quoted = tree_quote(directory);
        size_t limit = sizeof((struct sockaddr_un *) NULL)->sun_path - 1;
        gid_t gid;
        int why;

        if (*directory != '/')
                return sheet_error(s, "socket.directory", e,
                                   "found %s, expected a path that begins with /", quoted);
        if (strlen(path) > limit) {
                sheet_error(s, "socket.directory", e,
                            "found %s, which makes a socket path of %zu bytes, "
                            "expected at most %zu",
                            quoted, strlen(path), limit);
                return error_hint(e,
                                  "The kernel sets this limit: use a folder with a shorter path.");
        }
        if (*group && !account_group(group, &gid, &why)) {
                OWN(free) char *name = tree_quote(group);

                sheet_error(s, "socket.group", e,
                            "found %s, expected the name of a group of this system", name);
                return error_hint(e, "Create the group, or correct the name.");
        }
        return true;
}

static bool check_region(const struct sheet *s, const char *path, struct error *e)
{
        const char *region = sheet_text(s, path);
        OWN(free) char *quoted = tree_quote(region);

        return !*region || endpoint_is_region(region) ||
               sheet_error(s, path, e, "found %s, expected a region such as eu-west-1", quoted);
}

bool rules_broker(const struct sheet *s, struct error *e)
{
        const char *url = sheet_text(s, "aws.endpoint_url");
        struct endpoint endpoint;
        struct error why = {0};

        if (!check_socket(s, e) || !check_region(s, "aws.region", e))
                return false;
        if (*url && !endpoint_parse(url, &endpoint, &why)) {
                OWN(free) char *quoted = tree_quote(url);

                sheet_error(s, "aws.endpoint_url", e,
                            "found %s (%s), expected the address of a service", quoted, why.text);
                return error_hint(e, "%s", why.hint);
        }
        return true;
}

/* ---- where the secret comes from ---- */

static bool is_given(const struct sheet *s, const char *path)
{
        return *sheet_text(s, path) != 0;
}

/* A key that says something where nothing listens. */
static bool useless(const struct sheet *s, const char *path, const char *source, struct error *e)
{
        OWN(free) char *quoted = tree_quote(sheet_text(s, path));

        return sheet_error(s, path, e, "found %s, expected nothing, since %s does not use it",
                           quoted, source);
}

static bool complete_endpoint(const struct sheet *s, struct error *e)
{
        const char *missing = !is_given(s, "endpoint.host")       ? "endpoint.host"
                              : !sheet_number(s, "endpoint.port") ? "endpoint.port"
                              : !is_given(s, "endpoint.database") ? "endpoint.database"
                                                                  : NULL;

        if (!missing)
                return true;
        sheet_error(s, "database.secret_name", e,
                    "found a secret that RDS manages, expected %s beside it", missing);
        return error_hint(e,
                          "Such a secret holds a username and a password only: endpoint says where "
                          "the server is.");
}

static bool check_secret_name(const struct sheet *s, struct error *e)
{
        const char *name = sheet_text(s, "database.secret_name");
        const char *wrong = source_check_name(name, "database");
        OWN(free) char *quoted = tree_quote(name);
        struct arn arn = {.name = ""};

        if (*wrong) {
                sheet_error(s, "database.secret_name", e,
                            "found %s (%s), expected "
                            "forecaster/database/ENVIRONMENT, its ARN, or "
                            "rds!...",
                            quoted, wrong);
                return error_hint(e,
                                  "The secret of this environment would be forecaster/database/%s.",
                                  sheet_environment(s));
        }
        if (endpoint_looks_like_arn(name))
                endpoint_arn(name, &arn);
        if (strncmp(name, "rds!", 4) == 0 || strncmp(arn.name, "rds!", 4) == 0)
                return complete_endpoint(s, e);
        return true;
}

static bool check_aws(const struct sheet *s, struct error *e)
{
        if (is_given(s, "database.path"))
                return useless(s, "database.path", "source: aws", e);
        if (is_given(s, "database.variable"))
                return useless(s, "database.variable", "source: aws", e);
        return check_secret_name(s, e);
}

static bool check_file(const struct sheet *s, struct error *e)
{
        static const char *const others[] = {"config", "database.secret_name",
                                             "database.secret_region", "database.variable"};

        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                if (is_given(s, others[i]))
                        return useless(s, others[i], "source: file", e);
        if (is_given(s, "database.path"))
                return true;
        sheet_error(s, "database.source", e,
                    "found file without database.path, expected the path of a "
                    "JSON file");
        return error_hint(e, "Add path: /the/secret.json to the database block.");
}

static bool check_env(const struct sheet *s, struct error *e)
{
        static const char *const others[] = {"config", "database.secret_name",
                                             "database.secret_region"};

        if (is_given(s, "database.path"))
                return useless(s, "database.path", "source: env", e);
        if (is_given(s, "database.variable"))
                return !is_given(s, "database.secret_name") || check_secret_name(s, e);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                if (is_given(s, others[i]))
                        return useless(s, others[i], "source: env without variable", e);
        if (strcmp(sheet_environment(s), "local") == 0)
                return true;
        sheet_error(s, "database.source", e,
                    "found env in the environment %s, expected it in local only",
                    sheet_environment(s));
        return error_hint(e, "Use source: aws, or name the variable that holds the whole secret in "
                             "database.variable.");
}

static bool check_source(const struct sheet *s, struct error *e)
{
        if (!check_region(s, "database.secret_region", e))
                return false;
        switch (sheet_number(s, "database.source")) {
        case SOURCE_FILE:
                return check_file(s, e);
        case SOURCE_ENV:
                return check_env(s, e);
        default:
                return check_aws(s, e);
        }
}

static bool check_endpoint(const struct sheet *s, struct error *e)
{
        const char *host = sheet_text(s, "endpoint.host");
        OWN(free) char *quoted = tree_quote(host);
        struct hosts hosts = {.count = 0};
        const char *wrong = *host ? hosts_read_names(&hosts, host) : NULL;

        hosts_free(&hosts);
        return !wrong || sheet_error(s, "endpoint.host", e,
                                     "found %s (%s), expected a host or a list of hosts", quoted, wrong);
}

/* ---- the connection ---- */

static bool check_tls(const struct sheet *s, struct error *e)
{
        const char *root_cert = sheet_text(s, "tls.root_cert");
        uint64_t least = sheet_number(s, "tls.min_ssl_mode");
        OWN(free) char *quoted = tree_quote(root_cert);
        struct stat file;

        if (!*root_cert && (least == SSL_MODE_VERIFY_CA || least == SSL_MODE_VERIFY_FULL)) {
                sheet_error(s, "tls.min_ssl_mode", e,
                            "found %s without tls.root_cert, expected both",
                            least == SSL_MODE_VERIFY_CA ? "verify-ca" : "verify-full");
                return error_hint(e, "Set tls.root_cert to the file with the CA certificates.");
        }
        if (!*root_cert)
                return true;
        errno = 0;
        if (stat(root_cert, &file) == 0 && S_ISREG(file.st_mode) && access(root_cert, R_OK) == 0)
                return true;
        sheet_error(s, "tls.root_cert", e, "found %s (%s), expected a file of CA certificates",
                    quoted, errno ? strerror(errno) : "not a file");
        return error_hint(e,
                          "Put the certificates there, readable for the broker's user, or correct "
                          "the path.");
}

static bool check_pool(const struct sheet *s, struct error *e)
{
        unsigned size = (unsigned) sheet_number(s, "pool.pool_size");
        unsigned least = (unsigned) sheet_number(s, "pool.min_pool_size");
        unsigned pinned = (unsigned) sheet_number(s, "pool.max_pinned");

        if (least > size)
                return sheet_error(s, "pool.min_pool_size", e,
                                   "found %u, expected at most pool_size (%u)", least, size);
        if (pinned < size)
                return true;
        sheet_error(s, "pool.max_pinned", e, "found %u, expected less than pool_size (%u)", pinned,
                    size);
        return error_hint(
                e, "A pool that is pinned as a whole serves nobody else; 0 is three quarters.");
}

bool rules_environment(const struct sheet *s, struct error *e)
{
        const struct value *aliases = sheet_value(s, "aliases");

        for (size_t i = 0; i < aliases->count; i++)
                if (!rules_name("aliases", aliases->items[i].text, aliases->items[i].mark, e))
                        return false;
        return check_source(s, e) && check_endpoint(s, e) && check_tls(s, e) && check_pool(s, e);
}
