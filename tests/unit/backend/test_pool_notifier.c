/* Which client a notification is said to come from. */
#include "../base/cmocka_all.h"
#include <string.h>
#include "backend/pool.h"
#include "backend/pool_notifier.h"

enum { LISTENER = 5000001, SENDER = 5000002, OTHER = 5000003, SECOND = 1000000 };

static struct pool pool;
static struct connection connections[2];
static struct server listening, sending;

static void set_up(struct server *s, struct connection *c, uint32_t pid, enum server_state state)
{
        *s = (struct server){.lists = &pool.servers, .pool = &pool, .connection = c, .state = state};
        *c = (struct connection){.pid = pid, .has_key = true, .address = "127.0.0.1", .port = 5432};
        list_push_front(&pool.servers.in[state], &s->link);
}

static int setup(void **state)
{
        (void) state;
        server_lists_init(&pool.servers);
        set_up(&listening, &connections[0], 77, SERVER_LENT);
        set_up(&sending, &connections[1], 78, SERVER_IDLE);
        pool_notifier_lent(&listening, LISTENER, 10 * SECOND);
        return 0;
}

static uint32_t sender(uint32_t pid, uint64_t since_us)
{
        return pool_notifier(&listening, LISTENER, pid, since_us);
}

static void ones_own_bears_ones_own_process_id(void **state)
{
        (void) state;
        assert_int_equal(sender(77, 0), LISTENER);
        pool_notifier_lent(&listening, OTHER, 11 * SECOND);
        pool_notifier_lent(&listening, LISTENER, 12 * SECOND);
        assert_int_equal(sender(77, 12 * SECOND), LISTENER);
}

static void anothers_bears_that_client_s(void **state)
{
        (void) state;
        pool_notifier_lent(&sending, SENDER, 20 * SECOND);
        assert_int_equal(sender(78, 20 * SECOND), SENDER);      /* nobody had the server before */
        pool_notifier_lent(&sending, SENDER, 30 * SECOND);
        assert_int_equal(sender(78, 30 * SECOND), SENDER);
}

static void one_that_a_third_may_have_sent_is_not_named(void **state)
{
        (void) state;
        pool_notifier_lent(&sending, OTHER, 20 * SECOND);
        pool_notifier_left(&sending, 30 * SECOND);
        pool_notifier_lent(&sending, SENDER, 30 * SECOND);
        assert_int_equal(sender(78, 30 * SECOND), 78);
        assert_int_equal(sender(78, 30 * SECOND + SECOND / 4 - 1), 78);
        assert_int_equal(sender(78, 30 * SECOND + SECOND / 4), SENDER);
        assert_int_equal(sender(78, 25 * SECOND), 78);          /* the listener was in a transaction */
}

static void who_left_long_ago_can_not_have_sent_it(void **state)
{
        (void) state;
        pool_notifier_lent(&sending, OTHER, 20 * SECOND);
        pool_notifier_left(&sending, 21 * SECOND);
        pool_notifier_lent(&sending, SENDER, 30 * SECOND);
        assert_int_equal(sender(78, 30 * SECOND), SENDER);
        pool_notifier_lent(&sending, SENDER, 31 * SECOND);
        assert_int_equal(sender(78, 25 * SECOND), SENDER);
        assert_int_equal(sender(78, 21 * SECOND + SECOND / 4 - 1), 78);
}

static void a_server_that_no_client_had_or_that_is_none_of_ours_is_not_named(void **state)
{
        (void) state;
        assert_int_equal(sender(78, 20 * SECOND), 78);
        assert_int_equal(sender(79, 20 * SECOND), 79);
        pool_notifier_lent(&sending, SENDER, 20 * SECOND);
        strcpy(connections[1].address, "127.0.0.2");
        assert_int_equal(sender(78, 30 * SECOND), 78);
        strcpy(connections[1].address, "127.0.0.1");
        connections[1].port++;
        assert_int_equal(sender(78, 30 * SECOND), 78);
        connections[1].port--;
        connections[1].has_key = false;
        assert_int_equal(sender(78, 30 * SECOND), 78);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(ones_own_bears_ones_own_process_id, setup),
                cmocka_unit_test_setup(anothers_bears_that_client_s, setup),
                cmocka_unit_test_setup(one_that_a_third_may_have_sent_is_not_named, setup),
                cmocka_unit_test_setup(who_left_long_ago_can_not_have_sent_it, setup),
                cmocka_unit_test_setup(a_server_that_no_client_had_or_that_is_none_of_ours_is_not_named, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
