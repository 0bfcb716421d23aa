#include "world.h"

/* ---- Which password works when, row by row ---- */

static void idle_polls_now_and_then_and_logs_in_never(void **state)
{
        struct world *w = settled(false);

        (void) state;
        world_run(w, 3600000);
        is(w, 1, "settled");
        assert_in_range(w->fetches, 10, 15);
        assert_int_equal(w->probes, 0);
        world_free(w);
}

static void a_pending_version_is_left_alone_while_the_current_one_works(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->verdict[STAGE_PENDING] = SOURCE_NONE; /* created, still empty */
        world_run(w, 60000);
        w->verdict[STAGE_PENDING] = SOURCE_FOUND;
        world_label(w, STAGE_PENDING, 2); /* written, not yet set */
        world_run(w, 600000);
        rotation_refresh(w->r, w->now);
        world_run(w, 60000);
        is(w, 1, "settled");
        assert_int_equal(w->refused, 0);
        assert_int_equal(w->others_fetched, 0);
        world_free(w);
}

static void in_the_gap_the_pending_version_is_used_at_once(void **state)
{
        struct world *w = settled(true);
        uint64_t set;

        (void) state;
        world_label(w, STAGE_PENDING, 2);
        w->accepts = ONLY(2);
        set = w->now;
        world_run(w, 2000);
        is(w, 2, "provisional");
        back_within(w, set, 800);
        assert_true(rotation_provisional(w->r));
        world_run(w, 60000);
        world_promote(w, 2);
        world_run(w, 40000);
        is(w, 2, "settled");
        /* The ordinary logins that were under way, and no more. */
        assert_in_range(w->refused, 1, LOGINS);
        assert_int_equal(w->adoptions, 1);
        world_free(w);
}

static void a_promoted_version_is_found_by_the_first_refusal(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->accepts = ONLY(2);
        world_promote(w, 2);
        world_run(w, 2000);
        is(w, 2, "settled");
        back_within(w, w->moved, 800);
        assert_int_equal(w->others_fetched, 0);
        assert_in_range(w->refused, 1, LOGINS);
        world_free(w);
}

static void a_promoted_version_is_found_by_the_poll_and_proven(void **state)
{
        struct world *w = settled(false);

        (void) state;
        w->accepts = ONLY(2);
        world_promote(w, 2);
        world_run(w, 400000);
        is(w, 2, "settled");
        assert_int_equal(w->probes, 1);
        assert_int_equal(w->refused, 0);
        world_free(w);
}

static void a_rotation_that_died_after_setting_the_password_is_lived_with(void **state)
{
        struct world *w = settled(true);

        (void) state;
        world_label(w, STAGE_PENDING, 2);
        w->accepts = ONLY(2);
        world_run(w, 86400000);
        is(w, 2, "provisional");
        assert_in_range(w->refused, 1, LOGINS);
        /* ... and the next one that gets through, too. */
        world_label(w, STAGE_PENDING, 3);
        w->accepts = ONLY(3);
        world_run(w, 10000);
        is(w, 3, "provisional");
        world_promote(w, 3);
        world_run(w, 40000);
        is(w, 3, "settled");
        assert_in_range(w->refused, 2, 2 * LOGINS);
        world_free(w);
}

static void starting_in_the_gap_finds_the_pending_version(void **state)
{
        struct world *w = world_new(1);

        (void) state;
        w->load = true;
        world_label(w, STAGE_PENDING, 2);
        w->accepts = ONLY(2);
        world_run(w, 3000);
        is(w, 2, "provisional");
        back_within(w, w->moved, 600);
        assert_int_equal(w->refused, 1);
        world_run(w, 3600000);
        assert_int_equal(w->refused, 1);
        world_free(w);
}

static void a_replica_that_lags_behind_gets_the_previous_version(void **state)
{
        struct world *w = world_new(1);
        uint64_t caught_up;

        (void) state;
        w->load = true;
        world_promote(w, 2);
        world_run(w, 3000);
        is(w, 1, "provisional");
        back_within(w, w->moved, 600);
        world_run(w, 60000);
        w->accepts = ONLY(2);
        caught_up = w->now;
        world_run(w, 5000);
        is(w, 2, "settled");
        back_within(w, caught_up, 3000);
        world_free(w);
}

static void a_restored_snapshot_takes_its_password_back(void **state)
{
        struct world *w = settled(true);
        uint64_t restored, repaired;

        (void) state;
        w->accepts = ONLY(2);
        world_promote(w, 2);
        world_run(w, 3600000);
        w->accepts = ONLY(1);
        restored = w->now;
        world_run(w, 5000);
        is(w, 1, "provisional");
        back_within(w, restored, 2000);
        world_run(w, 600000);
        w->accepts = ONLY(2);
        repaired = w->now;
        world_run(w, 5000);
        is(w, 2, "settled");
        back_within(w, repaired, 2000);
        world_free(w);
}

static void a_secret_written_first_costs_no_client_anything(void **state)
{
        struct world *w = settled(true);
        uint64_t altered;

        (void) state;
        world_promote(w, 2);
        rotation_refresh(w->r, w->now);
        world_run(w, 120000);
        is(w, 1, "provisional");
        assert_true(w->up_at < w->moved);
        assert_in_range(w->refused, 3, 6);
        /* Later ones become rare. */
        w->refused = 0;
        world_run(w, 3600000);
        assert_in_range(w->refused, 8, 20);
        w->accepts = ONLY(2);
        altered = w->now;
        world_run(w, 5000);
        is(w, 2, "settled");
        back_within(w, altered, 2500);
        world_free(w);
}

static void a_secret_written_just_before_the_password_is_tried_again_at_once(void **state)
{
        struct world *w = settled(true);
        uint64_t altered;

        (void) state;
        world_promote(w, 2);
        rotation_refresh(w->r, w->now);
        world_run(w, 200);
        assert_int_equal(w->refused, 1);
        w->accepts = ONLY(2);
        altered = w->now;
        world_run(w, 5000);
        is(w, 2, "settled");
        back_within(w, altered, 2500);
        world_free(w);
}

/* ---- AWSPENDING does not help ---- */

static void gap_without_pending(enum source_verdict verdict, uint64_t gap, uint64_t seed)
{
        struct world *w = settled(true);

        w->seed = seed;
        w->verdict[STAGE_PENDING] = verdict;
        world_label(w, STAGE_PENDING, 2);
        w->accepts = ONLY(2);
        world_run(w, gap);
        is(w, 1, "login refused");
        assert_int_equal(w->told_at, 0);
        world_promote(w, 2);
        world_run(w, 10000);
        is(w, 2, "settled");
        back_within(w, w->moved, 3200);
        assert_in_range(w->refused, 2, 12);
        world_free(w);
}

static void a_gap_without_pending_is_waited_out(void **state)
{
        (void) state;
        for (uint64_t seed = 0; seed < 50; seed++) {
                gap_without_pending(SOURCE_NONE, 60000, seed);
                gap_without_pending(SOURCE_NONE, 1000 + 1700 * seed, seed);
                gap_without_pending(SOURCE_REFUSED, 10000, seed);
        }
}

static void a_password_set_later_under_a_known_version_is_found(void **state)
{
        (void) state;
        for (unsigned i = 1; i < 50; i++) {
                struct world *w = settled(true);
                uint64_t set;

                w->seed = i;
                w->accepts = 0;
                world_run(w, i * 2000);
                is(w, 1, "login refused");
                w->accepts = ONLY(1);
                set = w->now;
                world_run(w, 60000);
                is(w, 1, "settled");
                back_within(w, set, i < 4 ? 9000 : 48000);
                world_free(w);
        }
}

static void a_refresh_tries_a_known_version_at_once(void **state)
{
        struct world *w = settled(true);
        uint64_t told;

        (void) state;
        w->accepts = 0;
        world_run(w, 300000);
        w->accepts = ONLY(1);
        told = w->now;
        rotation_refresh(w->r, w->now);
        world_run(w, 60000);
        is(w, 1, "settled");
        back_within(w, told, 2500);
        world_free(w);
}

static void a_label_that_moves_to_a_refused_version_is_news(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->accepts = 0;
        world_label(w, STAGE_PENDING, 2);
        world_run(w, 40000);
        assert_true(w->refused_last[2]);
        w->accepts = ONLY(2);
        world_promote(w, 2);
        world_run(w, 10000);
        is(w, 2, "settled");
        back_within(w, w->moved, 3500);
        world_free(w);
}

/* ---- Other users, stale reads ---- */

static void alternating_users_change_without_a_bridge(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->accepts = ONLY(1) | ONLY(2);
        world_promote(w, 2);
        world_run(w, 400000);
        is(w, 2, "settled");
        assert_int_equal(w->refused, 0);
        assert_int_equal(w->adoptions, 1);
        world_free(w);
}

static void stale_reads_do_not_lead_back(void **state)
{
        (void) state;
        for (uint64_t seed = 0; seed < 200; seed++) {
                struct world *w = settled(true);

                w->seed = seed;
                w->lag = 20000;
                w->accepts = seed & 1 ? ONLY(2) : ONLY(1) | ONLY(2);
                world_promote(w, 2);
                for (unsigned i = 0; i < 10 && seed & 2; i++) {
                        rotation_refresh(w->r, w->now);
                        world_run(w, 2000);
                }
                world_run(w, 400000);
                is(w, 2, "settled");
                assert_int_equal(w->adoptions, 1);
                world_free(w);
        }
}

static void a_label_moved_back_is_followed(void **state)
{
        struct world *w = settled(true);

        (void) state;
        w->accepts = ONLY(1) | ONLY(2);
        world_promote(w, 2);
        rotation_refresh(w->r, w->now);
        world_run(w, 10000);
        is(w, 2, "settled");
        world_promote(w, 1);
        world_run(w, 700000);
        is(w, 1, "settled");
        assert_int_equal(w->refused, 0);
        world_free(w);
}

/* ---- Anything, in any order ---- */

static void something_happens(struct world *w, int *newest)
{
        static const enum source_verdict verdicts[] = {SOURCE_FOUND, SOURCE_FOUND, SOURCE_RETRY,
                                                       SOURCE_REFUSED, SOURCE_NONE};
        static const enum rotation_login networks[] = {ROTATION_OK, ROTATION_OK, ROTATION_OK,
                                                       ROTATION_FAILED, ROTATION_DENIED};

        switch (world_dice(w, 12)) {
        case 0:
        case 1:
                if (*newest < 31)
                        world_label(w, STAGE_PENDING, ++*newest);
                break;
        case 2:
        case 3:
                w->accepts = ONLY(*newest);
                break;
        case 4:
                world_promote(w, *newest);
                break;
        case 5:
                w->accepts = world_dice(w, 16) | ONLY(world_dice(w, (uint32_t) *newest + 1));
                break;
        case 6:
                w->verdict[world_dice(w, 3)] = verdicts[world_dice(w, 5)];
                w->retry_ms = world_dice(w, 2) * world_dice(w, 40000);
                break;
        case 7:
                w->network = networks[world_dice(w, 5)];
                break;
        case 8:
                w->load = world_dice(w, 3) != 0;
                break;
        case 9:
                rotation_refresh(w->r, w->now);
                break;
        case 10:
                w->fetch_ms = 1 + world_dice(w, world_dice(w, 8) ? 200 : 12000);
                w->login_ms = 1 + world_dice(w, world_dice(w, 8) ? 100 : 15000);
                break;
        case 11:
                w->lag = world_dice(w, 10000);
                break;
        }
}

static void any_history(uint64_t seed)
{
        struct world *w = world_new(seed * 7919 + 1);
        int newest = 1;

        w->pace_ms = 600;
        w->options.poll_ms = seed % 5 ? 300000 : 0;
        rotation_set(w->r, &w->options, w->now);
        for (unsigned i = 0; i < 20; i++) {
                world_run(w, world_dice(w, world_dice(w, 3) ? 3000 : 60000));
                something_happens(w, &newest);
        }
        /* In the end the secret is right and can be read, and clients are there. */
        w->accepts = ONLY(newest);
        world_promote(w, newest);
        memset(w->verdict, 0, sizeof w->verdict);
        w->network = ROTATION_OK;
        w->load = true;
        w->lag = 0;
        w->fetch_ms = w->login_ms = 50;
        w->longest_wait = 0;
        w->hopeful_since = w->now;
        world_run(w, 200000);
        is(w, newest, "settled");
        assert_in_range(w->longest_wait, 0, 85000);
        world_free(w);
}

static void whatever_happens_the_rules_hold(void **state)
{
        (void) state;
        assert_int_equal(SOURCE_FOUND, 0);
        for (uint64_t seed = 0; seed < 3000; seed++)
                any_history(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(idle_polls_now_and_then_and_logs_in_never),
                cmocka_unit_test(a_pending_version_is_left_alone_while_the_current_one_works),
                cmocka_unit_test(in_the_gap_the_pending_version_is_used_at_once),
                cmocka_unit_test(a_promoted_version_is_found_by_the_first_refusal),
                cmocka_unit_test(a_promoted_version_is_found_by_the_poll_and_proven),
                cmocka_unit_test(a_rotation_that_died_after_setting_the_password_is_lived_with),
                cmocka_unit_test(starting_in_the_gap_finds_the_pending_version),
                cmocka_unit_test(a_replica_that_lags_behind_gets_the_previous_version),
                cmocka_unit_test(a_restored_snapshot_takes_its_password_back),
                cmocka_unit_test(a_secret_written_first_costs_no_client_anything),
                cmocka_unit_test(a_secret_written_just_before_the_password_is_tried_again_at_once),
                cmocka_unit_test(a_gap_without_pending_is_waited_out),
                cmocka_unit_test(a_password_set_later_under_a_known_version_is_found),
                cmocka_unit_test(a_refresh_tries_a_known_version_at_once),
                cmocka_unit_test(a_label_that_moves_to_a_refused_version_is_news),
                cmocka_unit_test(alternating_users_change_without_a_bridge),
                cmocka_unit_test(stale_reads_do_not_lead_back),
                cmocka_unit_test(a_label_moved_back_is_followed),
                cmocka_unit_test(whatever_happens_the_rules_hold),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
