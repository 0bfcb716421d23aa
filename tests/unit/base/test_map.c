#include "cmocka_all.h"
#include <stdio.h>
#include "base/map.h"
#include "base/own.h"

OWN_DEFINE(struct map, map_free)

static void what_was_put_is_found(void **state)
{
        (void) state;
        OWN(map_free) struct map *m = map_new(NULL);
        int a, b;

        assert_null(map_get(m, "prod"));
        assert_false(map_remove(m, "prod"));
        map_put(m, "prod", &a);
        map_put(m, "", &b);
        assert_ptr_equal(map_get(m, "prod"), &a);
        assert_ptr_equal(map_get(m, ""), &b);
        assert_null(map_get(m, "pro"));
        assert_int_equal(map_count(m), 2);
        assert_true(map_remove(m, "prod"));
        assert_null(map_get(m, "prod"));
        assert_int_equal(map_count(m), 1);
}

static void keys_are_copied(void **state)
{
        (void) state;
        OWN(map_free) struct map *m = map_new(NULL);
        char key[] = "dev";
        int a;

        map_put(m, key, &a);
        key[0] = 'x';
        assert_ptr_equal(map_get(m, "dev"), &a);
        assert_null(map_get(m, key));
}

static int dropped;

static void drop(void *value)
{
        dropped++;
        free(value);
}

static void values_are_dropped_once(void **state)
{
        (void) state;
        struct map *m = map_new(drop);
        char *same = own_string("same");

        dropped = 0;
        map_put(m, "a", own_string("1"));
        map_put(m, "a", own_string("2"));
        assert_int_equal(dropped, 1);
        assert_string_equal(map_get(m, "a"), "2");
        map_put(m, "b", same);
        map_put(m, "b", same);
        assert_int_equal(dropped, 1);
        map_remove(m, "a");
        assert_int_equal(dropped, 2);
        map_put(m, "c", own_string("3"));
        map_free(m);
        assert_int_equal(dropped, 4);
        map_free(NULL);
}

static void it_walks_in_insertion_order(void **state)
{
        (void) state;
        OWN(map_free) struct map *m = map_new(NULL);
        const char *names[] = {"zeta", "alpha", "mid", "beta"};
        const char *key, *expected[] = {"zeta", "mid", "beta", "alpha"};
        void *value;
        size_t at = 0;

        assert_false(map_next(m, &at, &key, &value));
        for (int i = 0; i < 4; i++)
                map_put(m, names[i], (void *) names[i]);
        map_put(m, "zeta", (void *) names[0]);
        map_remove(m, "alpha");
        map_put(m, "alpha", (void *) names[1]);
        for (int i = 0; i < 4; i++) {
                assert_true(map_next(m, &at, &key, &value));
                assert_string_equal(key, expected[i]);
                assert_string_equal(value, expected[i]);
        }
        assert_false(map_next(m, &at, &key, &value));
        at = 0;
        assert_true(map_next(m, &at, NULL, NULL));
}

/* Whatever comes and goes, it agrees with an array. */
static void it_survives_much_coming_and_going(void **state)
{
        (void) state;
        OWN(map_free) struct map *m = map_new(NULL);
        static int there[500];
        unsigned dice = 1;
        size_t count = 0;
        char key[16];

        memset(there, 0, sizeof there);
        for (int i = 0; i < 40000; i++) {
                dice = dice * 1103515245u + 12345u;

                unsigned k = (dice >> 8) % 500;

                snprintf(key, sizeof key, "key%u", k);
                assert_ptr_equal(map_get(m, key), there[k] ? &there[k] : NULL);
                if ((dice >> 24) % 2) {
                        count += !there[k];
                        there[k] = 1;
                        map_put(m, key, &there[k]);
                } else {
                        assert_int_equal(map_remove(m, key), there[k]);
                        count -= there[k];
                        there[k] = 0;
                }
                assert_int_equal(map_count(m), count);
        }

        size_t at = 0, seen = 0;

        while (map_next(m, &at, NULL, NULL))
                seen++;
        assert_int_equal(seen, count);
}

static void a_key_from_the_map_itself_may_be_removed(void **state)
{
        (void) state;
        OWN(map_free) struct map *m = map_new(NULL);
        const char *key;
        void *value;
        size_t at = 0;

        map_put(m, "only", NULL);
        assert_true(map_next(m, &at, &key, &value));
        assert_true(map_remove(m, key));
        assert_int_equal(map_count(m), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_put_is_found),
                cmocka_unit_test(keys_are_copied),
                cmocka_unit_test(values_are_dropped_once),
                cmocka_unit_test(it_walks_in_insertion_order),
                cmocka_unit_test(it_survives_much_coming_and_going),
                cmocka_unit_test(a_key_from_the_map_itself_may_be_removed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
