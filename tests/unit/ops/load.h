/* A folder with files, and configurations loaded from it. */
#ifndef PGB_TEST_LOAD_H
#define PGB_TEST_LOAD_H

#include "../base/cmocka_all.h"
#include <stdio.h>
#include <sys/stat.h>
#include "ops/config.h"

static char folder[] = "/tmp/pgb-config-XXXXXX";

static inline int make_folder(void **state)
{
        (void) state;
        return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int remove_folder(void **state)
{
        (void) state;
        static const char *const files[] = {"ca.pem", "prod.yml", "b.yaml"};

        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
                unlink(files[i]);
        return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static inline void write_file(const char *name, const char *text)
{
        FILE *f = fopen(name, "w");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

/* NULL and `e`. */
static inline struct config *load_as(const struct config_arguments *a, const char *text, struct error *e)
{
        struct config *c = NULL;

        *e = (struct error){0};
        if (!config_load_text(a, text ? "b.yaml" : NULL, text, text ? strlen(text) : 0, &c, e)) {
                assert_null(c);
                assert_true(error_is_set(e));
                return NULL;
        }
        return c;
}

static inline struct config *load(const char *text)
{
        struct error e;
        struct config *c = load_as(&(struct config_arguments){0}, text, &e);

        if (!c)
                fail_msg("%s", e.text);
        return c;
}

/* The text is refused, the message begins with `place` and contains `says`. */
static inline void refuse(const char *text, const char *place, const char *says)
{
        struct error e;

        if (load_as(&(struct config_arguments){0}, text, &e))
                fail_msg("taken: %s", text);
        assert_string_equal(e.sqlstate, "F0000");
        if (strncmp(e.text, place, strlen(place)) != 0 || !strstr(e.text, says) ||
            !strstr(e.text, "expected"))
                fail_msg("for %s\nis said: %s\nnot: %s ... %s", text, e.text, place, says);
}

#define PROD(inside) "environments: {prod: {" inside "}}"

#endif
