#include "../base/cmocka_all.h"
#include "track/track.h"

struct pair {
        struct track_server server;
        struct track_client client;
};

static void pair_begin(struct pair *p)
{
        *p = (struct pair){0};
        track_server_init(&p->server, settings_new());
        track_client_init(&p->client, NULL, NULL, NULL, NULL, 0);
}

static void pair_end(struct pair *p)
{
        track_client_free(&p->client);
        track_server_free(&p->server);
}

/* The types of the messages that are in there. */
static const char *types(const struct bytes *b, char *text)
{
        const uint8_t *p = bytes_data(b);
        size_t n = 0;

        for (size_t at = 0; at < bytes_length(b); at += 1 + frame_get32(p + at + 1))
                text[n++] = (char) p[at];
        text[n] = 0;
        return text;
}

static void who_is_owed_something_now(void **state)
{
        struct turns t;
        bool now;
        (void) state;

        turns_init(&t);
        assert_false(turns_owe_client(&t, &now));
        turns_sent(&t, TURN_QUERY, TURN_AUDIT);
        assert_false(turns_owe_client(&t, &now));
        turns_sent(&t, TURN_QUERY, TURN_RESTORE);
        turns_sent(&t, TURN_QUERY, TURN_CLIENT);
        assert_true(turns_owe_client(&t, &now));
        assert_false(now);
        assert_true(turns_replied(&t, 'C'));
        assert_true(turns_replied(&t, 'Z'));
        assert_true(turns_owe_client(&t, &now));
        assert_false(now);
        assert_true(turns_replied(&t, 'C'));
        assert_true(turns_replied(&t, 'Z'));
        assert_true(turns_owe_client(&t, &now));
        assert_true(now);
        assert_true(turns_replied(&t, 'C'));
        assert_true(turns_replied(&t, 'Z'));
        assert_false(turns_owe_client(&t, &now));
        turns_free(&t);
}

static void a_statement_parsed_anew_is_the_client_s(void **state)
{
        struct turns t;
        bool now;
        (void) state;

        turns_init(&t);
        turns_sent(&t, TURN_PARSE, TURN_REPARSE);
        assert_true(turns_owe_client(&t, &now));
        assert_true(now);
        turns_free(&t);
}

static void after_an_error_nothing_is_at_work_until_the_sync(void **state)
{
        struct turns t;
        bool now;
        (void) state;

        turns_init(&t);
        turns_sent(&t, TURN_EXECUTE, TURN_CLIENT);
        assert_true(turns_replied(&t, 'E'));
        assert_true(t.skipping);
        assert_false(turns_owe_client(&t, &now));
        turns_free(&t);
}

static void a_canceled_query_is_replaced_by_one_that_fails(void **state)
{
        struct pair p;
        struct bytes b;
        char text[20];
        bool now;
        (void) state;

        pair_begin(&p);
        p.server.status = 'T';
        bytes_init(&b, 0);
        track_cancel(&p.client, &p.server, 'Q', &b);
        assert_string_equal(types(&b, text), "Q");
        assert_true(turns_owe_client(&p.server.turns, &now));
        assert_int_equal(turns_kind(&p.server.turns), TURN_QUERY);
        assert_true(turns_replied(&p.server.turns, 'E'));
        assert_true(turns_replied(&p.server.turns, 'Z'));
        assert_true(turns_empty(&p.server.turns));
        bytes_free(&b);
        pair_end(&p);
}

static void a_canceled_batch_fails_once_and_skips_to_its_sync(void **state)
{
        struct pair p;
        struct bytes b;
        char text[20];
        (void) state;

        pair_begin(&p);
        bytes_init(&b, 0);
        track_cancel(&p.client, &p.server, 'P', &b);
        assert_string_equal(types(&b, text), "PBE");
        assert_true(p.server.unsynced);
        assert_int_equal(turns_owner(&p.server.turns), TURN_REPARSE);
        assert_true(turns_replied(&p.server.turns, '1'));
        assert_int_equal(turns_owner(&p.server.turns), TURN_REPARSE);
        assert_true(turns_replied(&p.server.turns, '2'));
        assert_int_equal(turns_owner(&p.server.turns), TURN_CLIENT);
        assert_true(turns_replied(&p.server.turns, 'E'));
        assert_true(p.server.turns.skipping);
        bytes_free(&b);

        /* In a batch that has failed already the server looks at nothing. */
        track_cancel(&p.client, &p.server, 'P', &b);
        assert_int_equal(bytes_length(&b), 0);
        pair_end(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_is_owed_something_now),
                cmocka_unit_test(a_statement_parsed_anew_is_the_client_s),
                cmocka_unit_test(after_an_error_nothing_is_at_work_until_the_sync),
                cmocka_unit_test(a_canceled_query_is_replaced_by_one_that_fails),
                cmocka_unit_test(a_canceled_batch_fails_once_and_skips_to_its_sync),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
