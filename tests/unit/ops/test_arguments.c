#include "../base/cmocka_all.h"
#include <stdio.h>
#include "ops/arguments.h"

/* Reads a line of words; `a` must be freed. */
#define READ(a, e, ...)                                                                            \
        read_line((a), (e), (char *[]){"pgbrokerd", __VA_ARGS__ __VA_OPT__(, ) NULL})

static bool read_line(struct arguments *a, struct error *e, char *words[])
{
        int count = 0;

        while (words[count])
                count++;
        *e = (struct error){0};
        return arguments_read(count, words, a, e);
}

static void no_words_mean_run(void **state)
{
        (void) state;
        struct arguments a;
        struct error e;

        assert_true(READ(&a, &e));
        assert_int_equal(a.wish, ARGUMENTS_RUN);
        assert_null(a.config.file);
        assert_int_equal(a.config.environment_count, 0);
        assert_int_equal(a.config.allow_count, 0);
        arguments_free(&a);
}

static void every_option_is_taken(void **state)
{
        (void) state;
        struct arguments a;
        struct error e;

        assert_true(READ(&a, &e, "-c", "x.yaml", "-e", "prod", "-edev", "--allow", "alice",
                         "--allow=1000", "--replace"));
        assert_int_equal(a.wish, ARGUMENTS_RUN);
        assert_true(a.replace);
        assert_string_equal(a.config.file, "x.yaml");
        assert_int_equal(a.config.environment_count, 2);
        assert_string_equal(a.config.environments[0], "prod");
        assert_string_equal(a.config.environments[1], "dev");
        assert_int_equal(a.config.allow_count, 2);
        assert_string_equal(a.config.allow[0], "alice");
        assert_string_equal(a.config.allow[1], "1000");
        arguments_free(&a);
        assert_int_equal(a.config.allow_count, 0);
}

static void each_wish_is_told_apart(void **state)
{
        (void) state;
        static const struct {
                char *word;
                enum arguments_wish wish;
        } cases[] = {
                {"--check", ARGUMENTS_CHECK},
                {"--print-config", ARGUMENTS_PRINT_CONFIG},
                {"--help", ARGUMENTS_HELP},
                {"--version", ARGUMENTS_VERSION},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct arguments a;
                struct error e;

                assert_true(READ(&a, &e, cases[i].word));
                assert_int_equal(a.wish, cases[i].wish);
                arguments_free(&a);
        }
}

static void what_cannot_be_understood_is_named(void **state)
{
        (void) state;
        static const struct {
                char *first, *second, *third, *says;
        } cases[] = {
                {"--chek", NULL, NULL, "--chek"},
                {"-x", NULL, NULL, "-x"},
                {"-e", "prod", "extra", "extra"},
                {"start", "-e", "prod", "start"},
                {"-c", NULL, NULL, "-c"},
                {"--check", "--allow", NULL, "--allow"},
                {"-ca", "-cb", NULL, "-c twice"},
                {"--check", "--print-config", NULL, "expected one"},
                {"--replace", "--check", NULL, "expected one"},
                {"--version=1", NULL, NULL, "--version=1"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct arguments a;
                struct error e;

                assert_false(READ(&a, &e, cases[i].first, cases[i].second, cases[i].third));
                assert_string_equal(e.sqlstate, "22023");
                if (!strstr(e.text, cases[i].says))
                        fail_msg("\"%s\" does not name %s", e.text, cases[i].says);
                assert_non_null(strstr(e.hint, "--help"));
                arguments_free(&a);
        }
}

/* What fn writes. */
static char *written(void (*fn)(FILE *))
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        fn(f);
        fclose(f);
        return text;
}

static void help_shows_every_option(void **state)
{
        (void) state;
        static const char *const options[] = {"-c FILE", "-e ENVIRONMENT", "--allow USER",
                                              "--check", "--print-config", "--version",
                                              "--help", "--replace"};
        char *help = written(arguments_help), *version = written(arguments_version);

        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
                assert_non_null(strstr(help, options[i]));
        assert_string_equal(version, "pgbrokerd " PGBROKER_VERSION "\n");
        free(help);
        free(version);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_words_mean_run),
                cmocka_unit_test(every_option_is_taken),
                cmocka_unit_test(each_wish_is_told_apart),
                cmocka_unit_test(what_cannot_be_understood_is_named),
                cmocka_unit_test(help_shows_every_option),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
