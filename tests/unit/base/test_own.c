#include "cmocka_all.h"
#include "base/own.h"

static int freed;

struct thing {
        int n;
};

static void thing_free(struct thing *t)
{
        freed++;
        free(t);
}
OWN_DEFINE(struct thing, thing_free)

static void memory_comes_zeroed(void **state)
{
        (void) state;
        OWN(free) char *p = own_alloc(100);
        OWN(free) char *none = own_alloc(0);

        for (int i = 0; i < 100; i++)
                assert_int_equal(p[i], 0);
        assert_non_null(none);
}

static void growing_keeps_the_content(void **state)
{
        (void) state;
        OWN(free) char *p = own_string("forecast");

        p = own_grow(p, 4000);
        assert_string_equal(p, "forecast");
        p = own_grow(p, 0);
        assert_non_null(p);
}

static void texts_are_copies(void **state)
{
        (void) state;
        OWN(free) char *all = own_string("abc");
        OWN(free) char *part = own_text("abc", 2);
        OWN(free) char *empty = own_text(NULL, 0);
        OWN(free) char *made = own_format("%s-%d", all, 7);

        assert_string_equal(all, "abc");
        assert_string_equal(part, "ab");
        assert_string_equal(empty, "");
        assert_string_equal(made, "abc-7");
        assert_null(own_string(NULL));
}

static struct thing *made_and_taken(void)
{
        OWN(thing_free) struct thing *given = own_new(struct thing);
        OWN(thing_free) struct thing *kept = own_new(struct thing);
        OWN(thing_free) struct thing *none = NULL;

        given->n = kept->n = 5;
        (void) none;
        return TAKE(given);
}

static void a_scope_frees_what_it_owns_and_not_what_it_gave_away(void **state)
{
        (void) state;
        freed = 0;

        struct thing *t = made_and_taken();

        assert_int_equal(freed, 1);
        assert_int_equal(t->n, 5);
        thing_free(t);
}

static void a_member_leads_to_its_owner(void **state)
{
        (void) state;
        struct {
                int before;
                struct thing inner;
        } outer = {1, {2}};
        struct thing *inner = &outer.inner;

        assert_ptr_equal(container_of(inner, __typeof__(outer), inner), &outer);
}

static void want_everything(void)
{
        own_text("x", SIZE_MAX);
}

static void without_memory_the_process_dies_with_a_message(void **state)
{
        (void) state;
        char said[200];

        assert_true(aborts(want_everything, said, sizeof said));
        assert_non_null(strstr(said, "out of memory"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(memory_comes_zeroed),
                cmocka_unit_test(growing_keeps_the_content),
                cmocka_unit_test(texts_are_copies),
                cmocka_unit_test(a_scope_frees_what_it_owns_and_not_what_it_gave_away),
                cmocka_unit_test(a_member_leads_to_its_owner),
                cmocka_unit_test(without_memory_the_process_dies_with_a_message),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
