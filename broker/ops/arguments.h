/* The command line of pgbrokerd. */
#ifndef PGB_OPS_ARGUMENTS_H
#define PGB_OPS_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>
#include "base/error.h"
#include "ops/config.h"

enum arguments_wish {
        ARGUMENTS_RUN,
        ARGUMENTS_CHECK,                /* --check */
        ARGUMENTS_PRINT_CONFIG,         /* --print-config */
        ARGUMENTS_HELP,                 /* --help: arguments_help(stdout), exit 0 */
        ARGUMENTS_VERSION               /* --version: arguments_version(stdout), exit 0 */
};

struct arguments {
        enum arguments_wish wish;
        bool replace;                   /* --replace: in place of the broker that runs */
        struct config_arguments config; /* points into argv and into this struct's own memory */
};

/* False and `e` (22023, with a hint that names --help) when the line cannot be understood: exit 2.
 * Free `out` either way. argv is not reordered. */
bool arguments_read(int argc, char *const argv[], struct arguments *out, struct error *e);
void arguments_free(struct arguments *a);

void arguments_help(FILE *to);
void arguments_version(FILE *to);

#endif
