/* What the parts of config share: config.c (loading and asking), config_set.c (SET). */
#ifndef PGB_OPS_CONFIG_PARTS_H
#define PGB_OPS_CONFIG_PARTS_H

#include "ops/config.h"
#include "ops/sheet.h"

/* The texts of a config, and of its marks, are the sheets'. */
struct config_memory {
        char *file;
        char **words; /* names of marks that are no file: "-e prod" */
        size_t word_count;
        struct sheet *broker;
        struct sheet **environments; /* as many as the config has, in the same order */
        const char ***aliases;
        size_t count;
};

struct config *config_new(const char *file);
/* Takes the sheet of one more environment. */
void config_add(struct config_memory *m, struct sheet *s);
/* The structs from the sheets, which keep the rules but for names that are there twice. */
bool config_fill(struct config *c, struct error *e);

#endif
