/* A stream is cut at message borders, whatever chunks it comes in. */
#include "cmocka_all.h"
#include "wire/frame.h"

static struct frame_piece next(struct frame_cutter *c, const struct frame_rules *rules,
                               const void *p, size_t n, size_t hold)
{
        struct frame_piece piece;
        assert_int_equal(frame_next(c, rules, p, n, hold, &piece), FRAME_READY);
        return piece;
}

static enum frame_verdict verdict(const struct frame_rules *rules, const void *p, size_t n,
                                  size_t hold)
{
        struct frame_cutter c = {0};
        struct frame_piece piece;
        uint8_t *copy = exactly(p, n);
        enum frame_verdict v = frame_next(&c, rules, copy, n, hold, &piece);
        free(copy);
        return v;
}

static void a_message_that_fits_comes_whole(void **state)
{
        (void) state;
        static const char text[] = "Q\0\0\0\015SELECT 1\0S\0\0\0\4";
        struct frame_cutter c = {0};
        for (size_t n = 0; n < 14; n++)
                assert_int_equal(verdict(&frame_from_client, text, n, 100), FRAME_SHORT);
        struct frame_piece piece = next(&c, &frame_from_client, LITERAL(text), 100);
        assert_int_equal(piece.type, 'Q');
        assert_true(frame_whole(&piece));
        assert_int_equal(piece.size, 14);
        assert_int_equal(piece.length, 14);
        assert_int_equal(frame_payload_size(&piece), 9);
        assert_string_equal((const char *) frame_payload(&piece), "SELECT 1");
        assert_true(frame_at_border(&c));
        piece = next(&c, &frame_from_client, text + 14, sizeof text - 15, 100);
        assert_int_equal(piece.type, 'S');
        assert_true(frame_whole(&piece));
        assert_int_equal(frame_payload_size(&piece), 0);
}

static void unlike_messages_are_never_joined(void **state)
{
        (void) state;
        static const char text[] = "1\0\0\0\4"
                                   "1\0\0\0\4"
                                   "2\0\0\0\4";
        struct frame_cutter c = {0};
        for (size_t at = 0; at < 15; at += 5) {
                struct frame_piece piece =
                        next(&c, &frame_from_server, text + at, sizeof text - 1 - at, 100);
                assert_true(frame_whole(&piece));
                assert_int_equal(piece.size, 5);
        }
}

static void rows_come_in_runs(void **state)
{
        (void) state;
        static const char text[] = "D\0\0\0\6\0\0"
                                   "D\0\0\0\7\0\0x"
                                   "D\0\0\0\6\0\0"
                                   "Z\0\0\0\5I";
        struct frame_cutter c = {0};
        struct frame_piece piece = next(&c, &frame_from_server, LITERAL(text), 100);
        assert_int_equal(piece.messages, 3);
        assert_int_equal(piece.size, 7 + 8 + 7);
        assert_true(piece.begins && piece.ends && !frame_whole(&piece));
        assert_int_equal(piece.length, 7);
        piece = next(&c, &frame_from_server, text + 22, sizeof text - 1 - 22, 100);
        assert_int_equal(piece.type, 'Z');
}

static void a_row_comes_as_it_arrives(void **state)
{
        (void) state;
        static const char text[] = "D\0\0\0\6\0\0"
                                   "D\0\0\0\17\0\1\0\0\0\5hello";
        struct frame_cutter c = {0};
        struct frame_piece piece = next(&c, &frame_from_server, text, 7 + 8, 100);
        assert_int_equal(piece.messages, 1);
        assert_int_equal(piece.size, 15);
        assert_int_equal(piece.length, 16);
        assert_true(piece.begins && !piece.ends && !frame_at_border(&c));
        assert_int_equal(c.left, 8);
        struct frame_piece none;
        assert_int_equal(frame_next(&c, &frame_from_server, (const uint8_t *) text, 0, 100, &none),
                         FRAME_SHORT);
        piece = next(&c, &frame_from_server, text + 15, 3, 100);
        assert_true(!piece.begins && !piece.ends && piece.messages == 0);
        piece = next(&c, &frame_from_server, text + 18, 5, 100);
        assert_true(!piece.begins && piece.ends && piece.messages == 1);
        assert_true(frame_at_border(&c));
        /* Its header is not waited for in vain: fewer than five bytes are left alone. */
        assert_int_equal(verdict(&frame_from_server, "D\0\0\0", 4, 100), FRAME_SHORT);
}

static void a_message_that_outgrows_the_hold_begins_with_that_much(void **state)
{
        (void) state;
        uint8_t text[1000] = {'B', 0, 0, 0x03, 0xe7};
        struct frame_cutter c = {0};
        assert_int_equal(verdict(&frame_from_client, text, 5, 64), FRAME_SHORT);
        assert_int_equal(verdict(&frame_from_client, text, 63, 64), FRAME_SHORT);
        assert_int_equal(verdict(&frame_from_client, text, 999, 1000), FRAME_SHORT);
        struct frame_piece piece = next(&c, &frame_from_client, text, 64, 64);
        assert_true(piece.begins && !piece.ends && piece.size == 64 && piece.length == 1000);
        piece = next(&c, &frame_from_client, text + 64, 1, 64);
        assert_int_equal(piece.size, 1);
        piece = next(&c, &frame_from_client, text + 65, 935, 64);
        assert_true(piece.ends && frame_at_border(&c));
}

static void what_a_peer_may_not_send_is_bad(void **state)
{
        (void) state;
        assert_int_equal(verdict(&frame_from_client, "Z", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "p", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "\0", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "Q", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "K", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "W\0\0\0\6", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "\xff", 1, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "S\0\0\0\3", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "S\0\0\0\5", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "Q\0\0\0\4", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "Q\x3f\xff\xff\xff", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "Q\xff\xff\xff\xff", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "Q\x80\0\0\0", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_client, "D\0\0\x27\x11", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "Z\0\0\0\6", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "D\0\0\0\5", 5, 9), FRAME_BAD);
        assert_int_equal(verdict(&frame_from_server, "D\x40\0\0\4", 5, 9), FRAME_BAD);
}

static void the_largest_messages_pass(void **state)
{
        (void) state;
        struct frame_cutter c = {0};
        static const uint8_t query[] = "Q\x3f\xff\xff\xfe";
        struct frame_piece piece = next(&c, &frame_from_client, query, 5, 5);
        assert_int_equal(piece.length, 0x3fffffff);
        c = (struct frame_cutter){0};
        piece = next(&c, &frame_from_server, "D\x40\0\0\3", 5, 5);
        assert_int_equal(c.left, 0x40000004 - 5);
}

static void a_bad_message_in_a_run_is_told_when_its_turn_comes(void **state)
{
        (void) state;
        static const char text[] = "D\0\0\0\6\0\0"
                                   "D\0\0\0\1";
        struct frame_cutter c = {0};
        struct frame_piece piece = next(&c, &frame_from_server, LITERAL(text), 100);
        assert_int_equal(piece.size, 7);
        assert_true(frame_whole(&piece));
        assert_int_equal(
                frame_next(&c, &frame_from_server, (const uint8_t *) text + 7, 5, 100, &piece),
                FRAME_BAD);
}

/* Every message type of the protocol after the start is in one of the tables, and no other. */
static void the_tables_know_all_types(void **state)
{
        (void) state;
        for (int type = 0; type < 256; type++) {
                bool client = type && strchr("BCdcfDEHFPQSX", type);
                bool server = type && strchr("23CdcGHDIEVnNAtS1sZTW", type);
                assert_int_equal(frame_from_client.type[type].kind != 0, client);
                assert_int_equal(frame_from_server.type[type].kind != 0, server);
                if (client)
                        assert_in_range(frame_from_client.type[type].min, 4, 9);
                if (server)
                        assert_in_range(frame_from_server.type[type].min, 4, 10);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_message_that_fits_comes_whole),
                cmocka_unit_test(unlike_messages_are_never_joined),
                cmocka_unit_test(rows_come_in_runs),
                cmocka_unit_test(a_row_comes_as_it_arrives),
                cmocka_unit_test(a_message_that_outgrows_the_hold_begins_with_that_much),
                cmocka_unit_test(what_a_peer_may_not_send_is_bad),
                cmocka_unit_test(the_largest_messages_pass),
                cmocka_unit_test(a_bad_message_in_a_run_is_told_when_its_turn_comes),
                cmocka_unit_test(the_tables_know_all_types),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
