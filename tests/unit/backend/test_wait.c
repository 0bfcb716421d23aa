#include "../base/cmocka_all.h"
#include "backend/quota.h"

/* A line, what its users have, and who was served, as a text of letters. */
struct world {
        struct wait_line line;
        struct pool_options options;
        struct quota quota;
        char served[64];
        size_t count;
};

struct client {
        struct pool_wait wait;
        struct world *world;
        char name;
};

static void given(struct pool_wait *w, struct server *s)
{
        struct client *c = container_of(w, struct client, wait);
        (void) s;
        c->world->served[c->world->count++] = c->name;
}

static void failed(struct pool_wait *w, const struct error *e)
{
        (void) e;
        given(w, NULL);
}

static const struct pool_wait_events events = {.given = given, .failed = failed};

static void begin(struct world *w)
{
        *w = (struct world){0};
        wait_line_init(&w->line);
        quota_init(&w->quota, &w->line, &w->options);
}

static struct client client(struct world *w, char name, uid_t uid)
{
        struct client c = {.world = w, .name = name, .wait = {.events = &events}};
        struct error e = {0};

        c.wait.quota = quota_enter(&w->quota, uid, &e);
        assert_non_null(c.wait.quota);
        return c;
}

static void join(struct client *c, uint64_t now)
{
        list_init(&c->wait.link);
        list_init(&c->wait.in_line);
        wait_join(&c->world->line, &c->wait.quota->for_server, &c->wait, now, now * 1000);
}

static void leave_all(struct world *w, struct client *clients, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                wait_leave(&clients[i].wait);
                quota_leave(&w->quota, clients[i].wait.quota);
        }
        assert_int_equal(w->line.count, 0);
        assert_int_equal(w->line.ready, 0);
        assert_int_equal(map_count(w->quota.users), 0);
        quota_free(&w->quota);
}

static const char *serve(struct world *w, unsigned times)
{
        struct pool_wait *next;

        while (times-- && (next = wait_next(&w->line)))
                wait_give(next, NULL);
        w->served[w->count] = '\0';
        return w->served;
}

static void the_clients_of_one_user_are_served_as_they_came(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'c', 1)};

        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        assert_string_equal(serve(&w, 3), "abc");
        leave_all(&w, c, 3);
}

static void users_take_turns_however_many_clients_one_has(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'c', 1),
                             client(&w, 'd', 1), client(&w, 'x', 2), client(&w, 'y', 2),
                             client(&w, 'z', 3)};

        for (size_t i = 0; i < 7; i++)
                join(&c[i], i);
        assert_string_equal(serve(&w, 9), "axzbycd");
        leave_all(&w, c, 7);
}

static void who_comes_back_has_the_last_turn(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'x', 2)};

        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        serve(&w, 1);
        join(&c[0], 4);
        assert_string_equal(serve(&w, 9), "axba");
        leave_all(&w, c, 3);
}

static void the_oldest_is_the_oldest_whosever_turn_it_is(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'x', 2)};

        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        serve(&w, 1);
        assert_ptr_equal(wait_next(&w.line), &c[2].wait);
        assert_ptr_equal(wait_oldest(&w.line), &c[1].wait);
        leave_all(&w, c, 3);
}

static void one_who_leaves_is_not_served_and_its_user_keeps_the_turn(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'x', 2)};

        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        wait_leave(&c[0].wait);
        wait_leave(&c[0].wait);
        assert_string_equal(serve(&w, 9), "bx");
        leave_all(&w, c, 3);
}

static void a_user_with_all_its_servers_is_passed_over_until_one_comes_back(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        w.options.max_user_connections = 2;
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'x', 2)};
        struct quota_user *first = c[0].wait.quota;

        quota_lend(&w.quota, first);
        quota_lend(&w.quota, first);
        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        assert_int_equal(w.line.count, 3);
        assert_int_equal(w.line.ready, 1);
        assert_string_equal(serve(&w, 9), "x");
        assert_null(wait_next(&w.line));
        quota_return(&w.quota, first);
        assert_int_equal(w.line.ready, 2);
        assert_ptr_equal(wait_next(&w.line), &c[0].wait);
        quota_return(&w.quota, first);
        leave_all(&w, c, 3);
}

static void a_new_limit_counts_at_once(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1)};

        quota_lend(&w.quota, c[0].wait.quota);
        join(&c[0], 1);
        assert_int_equal(w.line.ready, 1);
        w.options.max_user_connections = 1;
        quota_look(&w.quota);
        assert_null(wait_next(&w.line));
        w.options.max_user_connections = 0;
        quota_look(&w.quota);
        assert_string_equal(serve(&w, 1), "a");
        quota_return(&w.quota, c[0].wait.quota);
        leave_all(&w, c, 1);
}

static void clients_of_a_user_are_counted_and_others_are_not(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        w.options.max_user_client_connections = 2;
        struct client c[] = {client(&w, 'a', 1), client(&w, 'b', 1), client(&w, 'x', 2)};
        struct error e = {0};

        assert_null(quota_enter(&w.quota, 1, &e));
        assert_string_equal(e.sqlstate, "53300");
        assert_non_null(strstr(e.text, "max_user_client_connections 2"));
        quota_leave(&w.quota, c[1].wait.quota);
        c[1] = client(&w, 'c', 1);
        leave_all(&w, c, 3);
}

static void all_fail_the_oldest_first_held_or_not(void **state)
{
        (void) state;
        struct world w;
        begin(&w);
        struct client c[] = {client(&w, 'a', 1), client(&w, 'x', 2), client(&w, 'b', 1)};
        struct error e = {0};

        for (size_t i = 0; i < 3; i++)
                join(&c[i], i);
        wait_hold(&w.line, &c[0].wait.quota->for_server, true);
        wait_fail_all(&w.line, &e);
        assert_string_equal(serve(&w, 1), "axb");
        leave_all(&w, c, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_clients_of_one_user_are_served_as_they_came),
                cmocka_unit_test(users_take_turns_however_many_clients_one_has),
                cmocka_unit_test(who_comes_back_has_the_last_turn),
                cmocka_unit_test(the_oldest_is_the_oldest_whosever_turn_it_is),
                cmocka_unit_test(one_who_leaves_is_not_served_and_its_user_keeps_the_turn),
                cmocka_unit_test(a_user_with_all_its_servers_is_passed_over_until_one_comes_back),
                cmocka_unit_test(a_new_limit_counts_at_once),
                cmocka_unit_test(clients_of_a_user_are_counted_and_others_are_not),
                cmocka_unit_test(all_fail_the_oldest_first_held_or_not),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
