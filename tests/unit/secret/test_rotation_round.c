#include "world.h"

/* ---- Trouble elsewhere ---- */

static void secrets_manager_down_keeps_what_works(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->verdict[0] = w->verdict[1] = w->verdict[2] = SOURCE_RETRY;
        world_run(w, 7200000);
        assert_int_equal(w->active, 1);
        assert_true(w->may_login);
        assert_in_range(w->fetches, 10, 60);
        w->verdict[0] = w->verdict[1] = w->verdict[2] = SOURCE_FOUND;
        world_run(w, 400000);
        is(w, 1, "settled");
        world_free(w);
}

static void secrets_manager_down_in_a_bridge_leaves_second_tries(void **state)
{
        struct world *w = settled(true);
        uint64_t set;

        (void) state;
        w->verdict[0] = w->verdict[1] = w->verdict[2] = SOURCE_RETRY;
        w->retry_ms = 20000;
        w->accepts = 0;
        world_run(w, 10000);
        is(w, 1, "login refused");
        assert_in_range(w->fetches, 1, 2);
        w->accepts = ONLY(1);
        set = w->now;
        world_run(w, 20000);
        back_within(w, set, 12000);
        world_free(w);
}

static void denied_logins_cause_one_refresh_in_thirty_seconds(void **state)
{
        struct world *w = settled(true);
        uint64_t mended;

        (void) state;
        w->network = ROTATION_DENIED;
        world_run(w, 29000);
        is(w, 1, "login denied");
        assert_int_equal(w->fetches, 2); /* CURRENT and PENDING, never PREVIOUS */
        world_run(w, 31000);
        assert_in_range(w->fetches, 4, 6);
        w->network = ROTATION_OK;
        mended = w->now;
        world_run(w, 30000);
        is(w, 1, "settled");
        back_within(w, mended, 25000);
        assert_in_range(w->refused, 2, 12);
        world_free(w);
}

static void denied_logins_find_a_new_version_all_the_same(void **state)
{
        struct world *w = settled(true);

        (void) state;
        world_promote(w, 2);
        w->accepts = ONLY(2);
        rotation_logged_in(w->r, "v1", ROTATION_DENIED, w->now);
        world_run(w, 1000);
        is(w, 2, "settled");
        world_free(w);
}

static void logins_that_fail_otherwise_are_no_rotation(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->network = ROTATION_FAILED;
        world_run(w, 120000);
        is(w, 1, "settled");
        assert_true(w->may_login);
        /* The host may have moved, so AWSCURRENT is looked at, but not for each of them. */
        assert_in_range(w->fetches, 3, 5);
        world_free(w);
}

static void a_moved_host_is_found_before_the_poll(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->network = ROTATION_FAILED;
        world_run(w, 40000);
        w->network = ROTATION_OK;
        world_promote(w, 2);
        w->accepts = ONLY(1) | ONLY(2);
        rotation_logged_in(w->r, "v1", ROTATION_FAILED, w->now);
        world_run(w, 31000);
        is(w, 2, "settled");
        world_free(w);
}

static void a_new_version_whose_host_is_unreachable_is_not_adopted(void **state)
{
        struct world *w = settled(false);

        (void) state;
        world_promote(w, 2);
        w->network = ROTATION_FAILED;
        rotation_refresh(w->r, w->now);
        world_run(w, 120000);
        is(w, 1, "provisional");
        w->network = ROTATION_OK;
        w->accepts = ONLY(1) | ONLY(2);
        world_run(w, 300000);
        is(w, 2, "settled");
        world_free(w);
}

/* ---- The start ---- */

static void the_first_version_is_proven(void **state)
{
        struct world *w = world_new(3);

        (void) state;
        world_run(w, 200);
        is(w, 1, "settled");
        assert_int_equal(w->probes, 1);
        world_free(w);
}

static void an_unreachable_server_leaves_the_first_version_to_ordinary_logins(void **state)
{
        struct world *w = world_new(3);
        uint64_t back;

        (void) state;
        w->load = true;
        w->network = ROTATION_FAILED;
        world_run(w, 100000);
        is(w, 1, "unproven");
        assert_true(w->may_login);
        assert_false(w->given_up);
        w->network = ROTATION_OK;
        back = w->now;
        world_run(w, 1000);
        is(w, 1, "settled");
        assert_true(w->now - back <= 1000);
        world_free(w);
}

static void an_unproven_version_that_nobody_uses_is_proven_all_the_same(void **state)
{
        struct world *w = world_new(3);

        (void) state;
        w->network = ROTATION_FAILED;
        world_run(w, 100000);
        w->network = ROTATION_OK;
        world_run(w, 40000);
        is(w, 1, "settled");
        world_free(w);
}

static void a_secret_that_cannot_be_read_is_told_at_once(void **state)
{
        struct world *w = world_new(3);

        (void) state;
        w->load = true;
        w->verdict[STAGE_CURRENT] = SOURCE_REFUSED;
        w->retry_ms = 30000;
        world_run(w, 1000);
        is(w, NOBODY, "secret not readable");
        assert_true(w->given_up);
        world_run(w, 600000);
        assert_in_range(w->fetches, 10, 22);
        w->verdict[STAGE_CURRENT] = SOURCE_FOUND;
        world_run(w, 35000);
        is(w, 1, "settled");
        world_free(w);
}

static void a_secret_that_cannot_be_reached_is_waited_for(void **state)
{
        struct world *w = world_new(3);
        uint64_t began = w->now;

        (void) state;
        w->load = true;
        w->verdict[STAGE_CURRENT] = SOURCE_RETRY;
        world_run(w, 89000);
        assert_int_equal(w->told_at, 0);
        world_run(w, 5000);
        assert_in_range(w->told_at - began, 90000, 90200);
        w->verdict[STAGE_CURRENT] = SOURCE_FOUND;
        world_run(w, 11000);
        is(w, 1, "settled");
        world_free(w);
}

/* ---- The end of patience ---- */

static void clients_are_told_after_the_bridge_timeout_and_it_goes_on(void **state)
{
        struct world *w = settled(true);
        uint64_t began;

        (void) state;
        w->accepts = 0;
        world_run(w, 85000);
        began = rotation_bridge_began(w->r);
        assert_int_equal(w->told_at, 0);
        world_run(w, 10000);
        assert_in_range(w->told_at - began, 90000, 90300);
        world_run(w, 3600000);
        is(w, 1, "login refused");
        w->accepts = ONLY(2);
        world_promote(w, 2);
        world_run(w, 30000);
        is(w, 2, "settled");
        back_within(w, w->moved, 10500);
        world_free(w);
}

static void who_comes_after_that_starts_a_round_and_hears_its_end(void **state)
{
        struct world *w = settled(true);
        unsigned fetches;

        (void) state;
        w->accepts = 0;
        world_run(w, 200000);
        w->load = false;
        world_run(w, 600000);
        assert_true(w->given_up);
        /* Until the next round of its own accord it would be up to 30 s. */
        fetches = w->fetches;
        rotation_demand(w->r, true, w->now);
        w->load = true;
        if (!rotation_given_up(w->r, w->now)) {
                world_run(w, 600);
                assert_true(w->fetches > fetches);
                assert_true(w->given_up);
        }
        world_free(w);
}

static void without_a_bridge_timeout_nobody_is_told(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->options.bridge_ms = 0;
        rotation_set(w->r, &w->options, w->now);
        w->accepts = 0;
        world_run(w, 3600000);
        assert_int_equal(w->told_at, 0);
        world_free(w);
}

static void a_bridge_nobody_waits_on_goes_slowly(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->accepts = 0;
        world_run(w, 1000);
        w->load = false;
        w->fetches = 0;
        world_run(w, 3600000);
        assert_in_range(w->fetches, 3 * 150, 3 * 400);
        world_free(w);
}

/* ---- Late and odd results ---- */

static void an_old_version_refused_late_changes_nothing(void **state)
{
        struct world *w = settled(false);

        (void) state;
        w->accepts = ONLY(2);
        world_promote(w, 2);
        rotation_refresh(w->r, w->now);
        world_run(w, 2000);
        is(w, 2, "settled");
        for (unsigned i = 0; i < 20; i++)
                rotation_logged_in(w->r, "v1", ROTATION_REFUSED, w->now);
        is(w, 2, "settled");
        assert_int_equal(rotation_next(w->r, w->now), ROTATION_WAIT);
        world_free(w);
}

static void a_login_that_works_after_all_ends_the_bridge(void **state)
{
        struct world *w = settled(false);

        (void) state;
        rotation_logged_in(w->r, "v1", ROTATION_REFUSED, w->now);
        assert_false(rotation_may_login(w->r));
        rotation_logged_in(w->r, "v1", ROTATION_OK, w->now);
        assert_true(rotation_may_login(w->r));
        assert_false(rotation_bridging(w->r));
        world_run(w, 400000);
        is(w, 1, "settled");
        world_free(w);
}

static void a_bridge_that_ends_by_itself_leaves_the_pending_version_alone(void **state)
{
        struct world *w = settled(false);

        (void) state;
        rotation_logged_in(w->r, "v1", ROTATION_REFUSED, w->now);
        assert_int_equal(rotation_next(w->r, w->now), ROTATION_FETCH);
        rotation_fetched(w->r, STAGE_CURRENT, SOURCE_FOUND, "v1", true, 0, w->now);
        rotation_logged_in(w->r, "v1", ROTATION_OK, w->now);
        assert_int_equal(rotation_next(w->r, w->now), ROTATION_WAIT);
        world_free(w);
}

static void a_burst_of_refusals_does_not_keep_news_waiting(void **state)
{
        struct world *w = settled(false);

        (void) state;
        world_label(w, STAGE_PENDING, 2);
        w->accepts = ONLY(2);
        for (unsigned i = 0; i < 40; i++)
                rotation_logged_in(w->r, "v1", ROTATION_REFUSED, w->now);
        world_run(w, 1000);
        is(w, 2, "provisional");
        world_free(w);
}

static void two_servers_with_a_password_each_do_not_cause_a_storm(void **state)
{
        struct world *w = settled(true);

        (void) state;
        world_promote(w, 2);
        w->refused = 0;
        for (unsigned i = 0; i < 6000; i++) {
                w->accepts = world_dice(w, 2) ? ONLY(1) : ONLY(2);
                world_run(w, 100);
        }
        /* Ten minutes: each bridge begins with what was under way, and gets few second tries. */
        assert_in_range(w->refused, 20, 300);
        world_free(w);
}

static void many_versions_are_no_problem(void **state)
{
        struct world *w = settled(true);

        (void) state;
        for (int v = 2; v < 32; v++) {
                w->accepts = ONLY(v);
                world_label(w, STAGE_PENDING, v);
                world_run(w, 1500);
                is(w, v, "provisional");
                world_promote(w, v);
                world_run(w, 8000);
                is(w, v, "settled");
                assert_true(rotation_knows(w->r, rotation_active(w->r)));
        }
        assert_false(rotation_knows(w->r, "v1"));
        world_free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(secrets_manager_down_keeps_what_works),
                cmocka_unit_test(secrets_manager_down_in_a_bridge_leaves_second_tries),
                cmocka_unit_test(denied_logins_cause_one_refresh_in_thirty_seconds),
                cmocka_unit_test(denied_logins_find_a_new_version_all_the_same),
                cmocka_unit_test(logins_that_fail_otherwise_are_no_rotation),
                cmocka_unit_test(a_moved_host_is_found_before_the_poll),
                cmocka_unit_test(a_new_version_whose_host_is_unreachable_is_not_adopted),
                cmocka_unit_test(the_first_version_is_proven),
                cmocka_unit_test(an_unreachable_server_leaves_the_first_version_to_ordinary_logins),
                cmocka_unit_test(an_unproven_version_that_nobody_uses_is_proven_all_the_same),
                cmocka_unit_test(a_secret_that_cannot_be_read_is_told_at_once),
                cmocka_unit_test(a_secret_that_cannot_be_reached_is_waited_for),
                cmocka_unit_test(clients_are_told_after_the_bridge_timeout_and_it_goes_on),
                cmocka_unit_test(who_comes_after_that_starts_a_round_and_hears_its_end),
                cmocka_unit_test(without_a_bridge_timeout_nobody_is_told),
                cmocka_unit_test(a_bridge_nobody_waits_on_goes_slowly),
                cmocka_unit_test(an_old_version_refused_late_changes_nothing),
                cmocka_unit_test(a_login_that_works_after_all_ends_the_bridge),
                cmocka_unit_test(a_bridge_that_ends_by_itself_leaves_the_pending_version_alone),
                cmocka_unit_test(a_burst_of_refusals_does_not_keep_news_waiting),
                cmocka_unit_test(two_servers_with_a_password_each_do_not_cause_a_storm),
                cmocka_unit_test(many_versions_are_no_problem),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
