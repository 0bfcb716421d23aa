#include "cmocka_all.h"
#include <stdio.h>
#include "base/errors.h"

static void an_empty_one_has_none(void **state)
{
        (void) state;
        struct errors e = {0};

        assert_null(errors_get(&e, 0));
}

static void the_same_is_counted_whatever_its_digits(void **state)
{
        (void) state;
        struct errors e = {0};

        errors_note(&e, "client", "53400", "waited 9 s; held by pid 12", 100);
        errors_note(&e, "client", "53400", "waited 10 s; held by pid 4711", 200);

        const struct errors_one *one = errors_get(&e, 0);

        assert_int_equal(one->count, 2);
        assert_int_equal(one->last, 200);
        assert_string_equal(one->text, "waited 10 s; held by pid 4711");
        assert_null(errors_get(&e, 1));
}

static void another_source_state_or_text_is_another(void **state)
{
        (void) state;
        static const char *const others[][3] = {
                {"login", "28P01", "refused"},  {"client", "28000", "refused"},
                {"client", "28P01", "refuse"},  {"client", "28P01", "refused 1"},
                {"client", "28P01", "refuse1"},
        };

        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                struct errors e = {0};

                errors_note(&e, "client", "28P01", "refused", 1);
                errors_note(&e, others[i][0], others[i][1], others[i][2], 2);
                assert_string_equal(errors_get(&e, 0)->text, others[i][2]);
                assert_int_equal(errors_get(&e, 1)->count, 1);
        }
}

static void the_newest_comes_first(void **state)
{
        (void) state;
        struct errors e = {0};

        errors_note(&e, "client", "08006", "a", 1);
        errors_note(&e, "client", "08006", "b", 2);
        errors_note(&e, "client", "08006", "a", 3);
        assert_string_equal(errors_get(&e, 0)->text, "a");
        assert_string_equal(errors_get(&e, 1)->text, "b");
}

static void the_one_unseen_for_longest_makes_room(void **state)
{
        (void) state;
        struct errors e = {0};
        char text[3] = "aa";

        for (int i = 0; i < ERRORS_KEPT; i++) {
                text[0] = (char) ('a' + i / 20);
                text[1] = (char) ('a' + i % 20);
                errors_note(&e, "client", "08006", text, i);
        }
        errors_note(&e, "client", "08006", "aa", 100);
        errors_note(&e, "client", "08006", "new", 101);
        assert_string_equal(errors_get(&e, 0)->text, "new");
        assert_int_equal(errors_get(&e, 1)->count, 2);
        assert_string_equal(errors_get(&e, ERRORS_KEPT - 1)->text, "ac");
        assert_null(errors_get(&e, ERRORS_KEPT));
}

static void long_texts_are_cut(void **state)
{
        (void) state;
        struct errors e = {0};
        char text[1000] = "";

        memset(text, 'x', sizeof text - 1);
        errors_note(&e, "client", "a state that is too long", text, 1);
        text[ERRORS_TEXT + 1] = 'y';
        errors_note(&e, "client", "a state that is too long", text, 1);
        assert_int_equal(errors_get(&e, 0)->count, 2);
        assert_int_equal(strlen(errors_get(&e, 0)->text), ERRORS_TEXT - 1);
        assert_string_equal(errors_get(&e, 0)->sqlstate, "a sta");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_one_has_none),
                cmocka_unit_test(the_same_is_counted_whatever_its_digits),
                cmocka_unit_test(another_source_state_or_text_is_another),
                cmocka_unit_test(the_newest_comes_first),
                cmocka_unit_test(the_one_unseen_for_longest_makes_room),
                cmocka_unit_test(long_texts_are_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
