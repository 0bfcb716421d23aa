#include "cmocka_all.h"
#include "base/bytes.h"

static void assert_content(const struct bytes *b, const char *expected)
{
        OWN(free) char *s = bytes_string(b);

        assert_string_equal(s, expected);
        assert_int_equal(bytes_length(b), strlen(expected));
}

static void an_empty_one_owns_no_memory(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        assert_int_equal(bytes_length(&b), 0);
        assert_null(bytes_data(&b));
        assert_true(bytes_append(&b, "", 0));
        assert_true(bytes_text(&b, ""));
        assert_content(&b, "");
        assert_null(b.memory);
        bytes_free(&b);
        bytes_free(NULL);
        bytes_wipe(NULL);
}

static void what_goes_in_at_the_tail_comes_out_at_the_head(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        assert_true(bytes_append(&b, "one ", 4));
        assert_true(bytes_text(&b, "two "));
        assert_true(bytes_format(&b, "%s %d", "three", 4));
        assert_content(&b, "one two three 4");
        bytes_consume(&b, 4);
        assert_content(&b, "two three 4");
        assert_memory_equal(bytes_data(&b), "two", 3);
        bytes_free(&b);
        assert_content(&b, "");
}

static void room_becomes_content_when_added(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);

        uint8_t *room = bytes_room(&b, 1000);

        memset(room, 'x', 1000);
        assert_int_equal(bytes_length(&b), 0);
        bytes_added(&b, 3);
        assert_content(&b, "xxx");
        bytes_free(&b);
}

static void consuming_all_releases_the_memory(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        bytes_text(&b, "abc");
        bytes_consume(&b, 1);
        assert_non_null(b.memory);
        bytes_consume(&b, 2);
        assert_null(b.memory);
        bytes_text(&b, "again");
        assert_content(&b, "again");
        bytes_free(&b);
}

static void a_long_stream_stays_small(void **state)
{
        (void) state;
        struct bytes b;
        unsigned char in = 0, out = 0;

        bytes_init(&b, 0);
        for (int i = 0; i < 20000; i++) {
                unsigned char chunk[7];

                for (size_t k = 0; k < sizeof chunk; k++)
                        chunk[k] = in++;
                bytes_append(&b, chunk, sizeof chunk);
                for (; bytes_length(&b) > 20; bytes_consume(&b, 1))
                        assert_int_equal(bytes_data(&b)[0], out++);
        }
        assert_true(b.size <= 256);
        bytes_free(&b);
}

static void clearing_keeps_the_memory(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        bytes_text(&b, "abc");
        bytes_clear(&b);
        assert_content(&b, "");
        assert_non_null(b.memory);
        bytes_free(&b);
}

static void the_limit_holds_and_the_first_failure_sticks(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 10);
        assert_true(bytes_text(&b, "1234567890"));
        assert_false(b.failed);
        assert_null(bytes_room(&b, 1));
        assert_true(b.failed);
        bytes_consume(&b, 5);
        assert_false(bytes_text(&b, "x"));
        assert_false(bytes_append(&b, "", 0));
        assert_false(bytes_format(&b, "x"));
        assert_content(&b, "67890");
        bytes_clear(&b);
        assert_true(bytes_text(&b, "x"));
        bytes_free(&b);
        assert_int_equal(b.limit, 10);
}

static void a_format_may_fill_the_limit_to_the_last_byte(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 4);
        assert_true(bytes_format(&b, "%d", 1234));
        assert_content(&b, "1234");
        assert_false(bytes_format(&b, "%d", 5));
        bytes_free(&b);
}

static void a_limit_counts_the_content_and_not_what_was_consumed(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 100);
        for (int i = 0; i < 1000; i++) {
                assert_true(bytes_text(&b, "0123456789"));
                if (bytes_length(&b) > 90)
                        bytes_consume(&b, 10);
        }
        assert_true(b.size <= 200);
        bytes_free(&b);
}

static void absurd_sizes_fail(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        bytes_text(&b, "abc");
        assert_null(bytes_room(&b, SIZE_MAX - 1));
        assert_true(b.failed);
        bytes_free(&b);
}

static void wiping_leaves_an_empty_one(void **state)
{
        (void) state;
        struct bytes b;

        bytes_init(&b, 0);
        bytes_text(&b, "secret");
        bytes_wipe(&b);
        assert_null(b.memory);
        bytes_text(&b, "next");
        assert_content(&b, "next");
        bytes_wipe(&b);
}

static void consume_too_much(void)
{
        struct bytes b;

        bytes_init(&b, 0);
        bytes_text(&b, "abc");
        bytes_consume(&b, 4);
}

static void consuming_more_than_there_is_is_fatal(void **state)
{
        (void) state;
        char said[600];

        assert_true(aborts(consume_too_much, said, sizeof said));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_one_owns_no_memory),
                cmocka_unit_test(what_goes_in_at_the_tail_comes_out_at_the_head),
                cmocka_unit_test(room_becomes_content_when_added),
                cmocka_unit_test(consuming_all_releases_the_memory),
                cmocka_unit_test(a_long_stream_stays_small),
                cmocka_unit_test(clearing_keeps_the_memory),
                cmocka_unit_test(the_limit_holds_and_the_first_failure_sticks),
                cmocka_unit_test(a_format_may_fill_the_limit_to_the_last_byte),
                cmocka_unit_test(a_limit_counts_the_content_and_not_what_was_consumed),
                cmocka_unit_test(absurd_sizes_fail),
                cmocka_unit_test(wiping_leaves_an_empty_one),
                cmocka_unit_test(consuming_more_than_there_is_is_fatal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
