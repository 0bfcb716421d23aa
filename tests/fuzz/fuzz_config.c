/* A configuration of any bytes: it is refused with a reason, or loads; what loads is printed as a
 * configuration that loads again and prints the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "ops/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *no_variables(const char *name)
{
        (void) name;
        return NULL;
}

static struct config *load(const char *text, size_t size, struct error *e)
{
        struct config_arguments arguments = {.getenv_ = no_variables};
        struct config *c = NULL;
        bool good = config_load_text(&arguments, "fuzz.yaml", text, size, &c, e);

        expect(good == (c != NULL) && good == !error_is_set(e));
        return c;
}

static char *printed(const struct config *c, size_t *size)
{
        char *text = NULL;
        FILE *f = open_memstream(&text, size);

        config_print(c, f);
        fclose(f);
        return text;
}

static void row(void *arg, const char *key, const char *value, const char *fallback,
                bool changeable)
{
        (void) arg;
        (void) changeable;
        expect(key && value && fallback);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error e = {0};
        size_t once_size, twice_size;
        OWN(config_free) struct config *first = load((const char *) data, size, &e);

        if (!first)
                return 0;

        OWN(free) char *once = printed(first, &once_size);
        OWN(config_free) struct config *second = load(once, once_size, &e);

        expect(second != NULL);

        OWN(free) char *twice = printed(second, &twice_size);

        expect(once_size == twice_size && memcmp(once, twice, once_size) == 0);
        config_rows(second, row, NULL);
        expect(!config_needs_restart(first, second));
        return 0;
}
