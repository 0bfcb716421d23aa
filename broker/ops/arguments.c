#include "ops/arguments.h"

#include <getopt.h>
#include <string.h>
#include "base/own.h"

enum { HELP = 256, VERSION, CHECK, PRINT_CONFIG, ALLOW, REPLACE };

static void add(const char *const **list, size_t *count, const char *word)
{
        const char **grown = own_grow((void *) (uintptr_t) *list, (*count + 1) * sizeof *grown);

        grown[(*count)++] = word;
        *list = grown;
}

static bool wrong(struct error *e, const char *what, const char *word)
{
        error_set(e, "22023", "%s%s%s", what, *word ? " " : "", word);
        return error_hint(e, "pgbrokerd --help shows what can be said.");
}

static bool wish(struct arguments *out, enum arguments_wish w, struct error *e)
{
        if (out->wish != ARGUMENTS_RUN && out->wish != w)
                return wrong(
                        e,
                        "found two of --check, --print-config, --help and --version, expected one",
                        "");
        out->wish = w;
        return true;
}

/* One option that getopt has read; `word` as it stands in the line. */
static bool take(struct arguments *out, int option, const char *word, struct error *e)
{
        switch (option) {
        case 'c':
                if (out->config.file)
                        return wrong(e, "found -c twice, expected one configuration file", "");
                out->config.file = optarg;
                return true;
        case 'e':
                add(&out->config.environments, &out->config.environment_count, optarg);
                return true;
        case ALLOW:
                add(&out->config.allow, &out->config.allow_count, optarg);
                return true;
        case REPLACE:
                out->replace = true;
                return true;
        case CHECK:
                return wish(out, ARGUMENTS_CHECK, e);
        case PRINT_CONFIG:
                return wish(out, ARGUMENTS_PRINT_CONFIG, e);
        case HELP:
                return wish(out, ARGUMENTS_HELP, e);
        case VERSION:
                return wish(out, ARGUMENTS_VERSION, e);
        case ':':
                return wrong(e, "found no value behind the option", word);
        default:
                return wrong(e, "found an unknown option:", word);
        }
}

bool arguments_read(int argc, char *const argv[], struct arguments *out, struct error *e)
{
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},
                {"environment", required_argument, NULL, 'e'},
                {"allow", required_argument, NULL, ALLOW},
                {"replace", no_argument, NULL, REPLACE},
                {"check", no_argument, NULL, CHECK},
                {"print-config", no_argument, NULL, PRINT_CONFIG},
                {"help", no_argument, NULL, HELP},
                {"version", no_argument, NULL, VERSION},
                {0},
        };

        *out = (struct arguments){0};
        optind = 0; /* afresh, for whoever reads two lines in one process */
        opterr = 0;
        for (;;) {
                /* '+': stop at a word that is no option; ':': a missing value is told apart. */
                int before = optind ? optind : 1;
                int option = getopt_long(argc, argv, "+:c:e:", options, NULL);

                if (option == -1)
                        break;
                if (!take(out, option, argv[before], e))
                        return false;
        }
        if (optind < argc)
                return wrong(e, "found a word that is no option:", argv[optind]);
        if (out->replace && out->wish == ARGUMENTS_CHECK)
                return wrong(e, "found --replace and --check, expected one of them", "");
        return true;
}

void arguments_free(struct arguments *a)
{
        free((void *) (uintptr_t) a->config.environments);
        free((void *) (uintptr_t) a->config.allow);
        *a = (struct arguments){0};
}

void arguments_help(FILE *to)
{
        fputs("pgbrokerd lends connections to PostgreSQL to the processes of this host, with "
              "credentials\n"
              "from AWS Secrets Manager that it alone holds.\n"
              "\n"
              "  pgbrokerd [-c FILE] [-e ENVIRONMENT]... [--allow USER]... [--replace] [--check] "
              "[--print-config]\n"
              "\n"
              "  -c FILE          the configuration, as YAML\n"
              "  -e ENVIRONMENT   serve this environment; what the file does not say has its "
              "default\n"
              "  --allow USER     let this user (name or id) connect to every environment\n"
              "  --replace        take the place of the broker that runs on the same socket, which goes on\n"
              "                   for the clients it has; if this one can't serve, it goes on altogether\n"
              "  --check          try the configuration, secrets and logins, report, and end: 0 or "
              "1\n"
              "  --print-config   print the whole configuration, defaults included, and end\n"
              "  --version        print the version and end\n"
              "  --help           print this and end\n"
              "\n"
              "With neither -c nor -e, DB_SECRET_NAME and DB_SECRET_REGION name the one "
              "environment.\n"
              "Try: pgbrokerd -e prod --allow forecaster, then psql \"host=/run/pgbroker "
              "dbname=prod\".\n",
              to);
}

void arguments_version(FILE *to)
{
        fputs("pgbrokerd " PGBROKER_VERSION "\n", to);
}
