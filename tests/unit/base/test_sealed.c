#include "cmocka_all.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include "base/sealed.h"

/* Sanitizers make mlock() do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_WORKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MLOCK_WORKS 0
#endif
#endif
#ifndef MLOCK_WORKS
#define MLOCK_WORKS 1
#endif

static void a_secret_comes_out_as_it_went_in(void **state)
{
        (void) state;
        OWN(sealed_free) struct sealed *s = sealed_new("p\0ss", 4);
        OWN(sealed_free) struct sealed *empty = sealed_new(NULL, 0);

        assert_int_equal(sealed_length(s), 4);
        assert_memory_equal(sealed_open(s), "p\0ss", 5);
        assert_int_equal(sealed_length(empty), 0);
        assert_string_equal(sealed_open(empty), "");
        sealed_free(NULL);
}

static void freed_is_wiped(void **state)
{
        (void) state;
        OWN(sealed_free) struct sealed *keeps_the_page = sealed_new("x", 1);
        struct sealed *s = sealed_new("hunter2", 7);
        const char *text = sealed_open(s);

        assert_non_null(keeps_the_page);
        assert_string_equal(text, "hunter2");
        sealed_free(s);
        for (int i = 0; i < 8; i++)
                assert_int_equal(text[i], 0);
}

static void small_ones_share_a_page_and_large_ones_fit(void **state)
{
        (void) state;
        struct sealed *small[3];
        char large[100000];

        memset(large, 'y', sizeof large);
        for (int i = 0; i < 3; i++)
                small[i] = sealed_new("password", 8);
        assert_true(sealed_open(small[2]) - sealed_open(small[0]) < 4096);

        struct sealed *big = sealed_new(large, sizeof large);

        assert_memory_equal(sealed_open(big), large, sizeof large);
        sealed_free(small[1]);
        small[1] = sealed_new("again", 5);
        assert_true(sealed_open(small[1]) < sealed_open(small[2]));
        for (int i = 0; i < 3; i++)
                sealed_free(small[i]);
        sealed_free(big);
}

static void many_of_all_sizes_stay_apart(void **state)
{
        (void) state;
        enum { MANY = 300 };
        struct sealed *s[MANY] = {0};
        char text[700];

        for (int round = 0; round < 3 * MANY; round++) {
                int i = round * 37 % MANY;

                sealed_free(s[i]);
                memset(text, 'a' + i % 26, sizeof text);
                s[i] = sealed_new(text, (size_t) (i * 13 % 700));
        }
        for (int i = 0; i < MANY; i++) {
                memset(text, 'a' + i % 26, sizeof text);
                assert_int_equal(sealed_length(s[i]), i * 13 % 700);
                assert_memory_equal(sealed_open(s[i]), text, sealed_length(s[i]));
                sealed_free(s[i]);
        }
}

static void equal_means_every_byte(void **state)
{
        (void) state;
        OWN(sealed_free) struct sealed *a = sealed_new("secret", 6);
        OWN(sealed_free) struct sealed *b = sealed_new("secret", 6);
        OWN(sealed_free) struct sealed *c = sealed_new("secreT", 6);
        OWN(sealed_free) struct sealed *d = sealed_new("secre", 5);

        assert_true(sealed_equal(a, a));
        assert_true(sealed_equal(a, b));
        assert_false(sealed_equal(a, c));
        assert_false(sealed_equal(a, d));
        assert_false(sealed_equal(a, NULL));
        assert_false(sealed_equal(NULL, a));
        assert_true(sealed_equal(NULL, NULL));
}

static void wiping_overwrites(void **state)
{
        (void) state;
        char text[] = "secret";

        sealed_wipe(text, 3);
        assert_memory_equal(text, "\0\0\0ret", 7);
        sealed_wipe(NULL, 0);
}

/* The kernel's flags of the mapping that holds p. */
static void flags_of(const void *p, char *flags, size_t size)
{
        FILE *f = fopen("/proc/self/smaps", "r");
        char line[512];
        bool here = false;

        assert_non_null(f);
        *flags = 0;
        while (fgets(line, sizeof line, f)) {
                unsigned long from, to;

                if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
                        here = (uintptr_t) p >= from && (uintptr_t) p < to;
                else if (here && strncmp(line, "VmFlags:", 8) == 0)
                        snprintf(flags, size, "%s", line);
        }
        fclose(f);
}

static void pages_are_locked_and_not_dumped(void **state)
{
        (void) state;
        OWN(sealed_free) struct sealed *s = sealed_new("secret", 6);
        char flags[512];

        flags_of(sealed_open(s), flags, sizeof flags);
        assert_non_null(strstr(flags, " dd"));
        if (MLOCK_WORKS && !sealed_unlocked())
                assert_non_null(strstr(flags, " lo"));
}

static int exit_code(int (*fn)(void))
{
        int status;
        pid_t child = fork();

        if (child == 0)
                _exit(fn());
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int without_locking(void)
{
        char text[50000] = "";

        setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0});
        if (getuid() == 0 && setuid(65534) != 0)
                return 1;

        struct sealed *s = sealed_new(text, sizeof text);

        return s && sealed_unlocked() ? 0 : 2;
}

static void a_refused_lock_is_told(void **state)
{
        (void) state;
        if (!MLOCK_WORKS)
                skip();
        assert_int_equal(exit_code(without_locking), 0);
}

static int hardened(void)
{
        struct rlimit core;

        sealed_harden_process();
        if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0)
                return 1;
        return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
}

static void a_hardened_process_leaves_no_core(void **state)
{
        (void) state;
        assert_int_equal(exit_code(hardened), 0);
}

static struct sealed *freed_already;

static void free_twice(void)
{
        struct sealed *keeps_the_page = sealed_new("x", 1);

        freed_already = sealed_new("y", 1);
        sealed_free(freed_already);
        sealed_free(freed_already);
        sealed_free(keeps_the_page);
}

static void freeing_twice_is_fatal(void **state)
{
        (void) state;
        char said[600];

        assert_true(aborts(free_twice, said, sizeof said));
}

static void *come_and_go(void *arg)
{
        const char *text = arg;
        bool *fine = calloc(1, sizeof *fine);

        *fine = true;
        for (int i = 0; i < 500; i++) {
                struct sealed *s = sealed_new(text, strlen(text));

                *fine &= strcmp(sealed_open(s), text) == 0;
                sealed_free(s);
        }
        return fine;
}

static void threads_may_share_it(void **state)
{
        (void) state;
        pthread_t threads[3];
        char *texts[] = {"one", "another", "the third"};

        for (int i = 0; i < 3; i++)
                pthread_create(&threads[i], NULL, come_and_go, texts[i]);
        for (int i = 0; i < 3; i++) {
                void *fine;

                pthread_join(threads[i], &fine);
                assert_true(*(bool *) fine);
                free(fine);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_secret_comes_out_as_it_went_in),
                cmocka_unit_test(freed_is_wiped),
                cmocka_unit_test(small_ones_share_a_page_and_large_ones_fit),
                cmocka_unit_test(many_of_all_sizes_stay_apart),
                cmocka_unit_test(equal_means_every_byte),
                cmocka_unit_test(wiping_overwrites),
                cmocka_unit_test(pages_are_locked_and_not_dumped),
                cmocka_unit_test(a_refused_lock_is_told),
                cmocka_unit_test(a_hardened_process_leaves_no_core),
                cmocka_unit_test(freeing_twice_is_fatal),
                cmocka_unit_test(threads_may_share_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
