#include "cmocka_all.h"
#include "base/list.h"

struct item {
        int n;
        struct list link;
};

static void fill(struct list *head, struct item *items, int count)
{
        list_init(head);
        for (int i = 0; i < count; i++) {
                items[i].n = i;
                list_push_back(head, &items[i].link);
        }
}

static void a_new_list_is_empty(void **state)
{
        (void) state;
        struct list head;

        list_init(&head);
        assert_true(list_empty(&head));
        assert_int_equal(list_count(&head), 0);
        assert_null(list_pop_front(&head));
        assert_null(list_first(&head, struct item, link));
        assert_null(list_last(&head, struct item, link));
}

static void it_keeps_the_order(void **state)
{
        (void) state;
        struct item items[3], front = {.n = 9}, *item;
        struct list head;
        int sum = 0;

        fill(&head, items, 3);
        list_push_front(&head, &front.link);
        assert_int_equal(list_count(&head), 4);
        assert_int_equal(list_first(&head, struct item, link)->n, 9);
        assert_int_equal(list_last(&head, struct item, link)->n, 2);
        list_each(item, &head, struct item, link) sum = sum * 10 + item->n;
        assert_int_equal(sum, 9012);
        assert_ptr_equal(list_pop_front(&head), &front.link);
}

static void one_can_be_put_before_another(void **state)
{
        (void) state;
        struct item items[2], between = {.n = 5}, *item;
        struct list head;
        int sum = 0;

        fill(&head, items, 2);
        list_insert_before(&items[1].link, &between.link);
        list_each(item, &head, struct item, link) sum = sum * 10 + item->n;
        assert_int_equal(sum, 51);
}

static void the_current_one_may_be_removed_while_walking(void **state)
{
        (void) state;
        struct item items[5], *item;
        struct list head;

        fill(&head, items, 5);
        list_each(item, &head, struct item, link) if (item->n % 2 == 0) list_remove(&item->link);
        assert_int_equal(list_count(&head), 2);
        assert_int_equal(list_first(&head, struct item, link)->n, 1);
}

static void removing_one_that_is_in_no_list_is_fine(void **state)
{
        (void) state;
        struct item item;
        struct list head;

        fill(&head, &item, 1);
        list_remove(&item.link);
        list_remove(&item.link);
        assert_true(list_empty(&item.link));
        assert_true(list_empty(&head));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_new_list_is_empty),
                cmocka_unit_test(it_keeps_the_order),
                cmocka_unit_test(one_can_be_put_before_another),
                cmocka_unit_test(the_current_one_may_be_removed_while_walking),
                cmocka_unit_test(removing_one_that_is_in_no_list_is_fine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
