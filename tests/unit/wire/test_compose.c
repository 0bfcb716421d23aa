/* What is composed is read back by the frame, and byte by byte as the manual has it. */
#include "cmocka_all.h"
#include "wire/compose.h"
#include "wire/frame.h"
#include "wire/reply.h"
#include "wire/request.h"
#include "wire/startup.h"

static struct bytes b;

static int setup(void **state)
{
        (void) state;
        bytes_init(&b, 0);
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        bytes_free(&b);
        return 0;
}

static void made(const char *image, size_t n)
{
        assert_false(b.failed);
        assert_int_equal(bytes_length(&b), n);
        assert_memory_equal(bytes_data(&b), image, n);
        bytes_clear(&b);
}

static void text_is(const char *expected)
{
        made(expected, strlen(expected));
}

static void messages_to_a_server(void **state)
{
        (void) state;
        compose_query(&b, "SELECT 1");
        made(LITERAL("Q\0\0\0\015SELECT 1\0"));
        compose_parse(&b, "n", "SELECT 1xxx", 8);
        made(LITERAL("P\0\0\0\021n\0SELECT 1\0\0\0"));
        compose_sync(&b);
        made(LITERAL("S\0\0\0\4"));
        compose_flush(&b);
        made(LITERAL("H\0\0\0\4"));
        compose_terminate(&b);
        made(LITERAL("X\0\0\0\4"));
        compose_cancel(&b, 258, (const uint8_t *) "abcd", 4);
        made(LITERAL("\0\0\0\20\4\xd2\x16\x2e\0\0\1\2abcd"));
        compose_ssl_request(&b);
        made(LITERAL("\0\0\0\10\4\xd2\x16\x2f"));
        compose_startup(&b, 2, (const char *const[]){"user", "me", NULL});
        made(LITERAL("\0\0\0\21\0\3\0\2user\0me\0\0"));
}

static void messages_to_a_client(void **state)
{
        (void) state;
        compose_authentication_ok(&b);
        made(LITERAL("R\0\0\0\10\0\0\0\0"));
        compose_parameter(&b, "a", "b");
        made(LITERAL("S\0\0\0\10a\0b\0"));
        compose_key(&b, 1, (const uint8_t *) "keykey", 6);
        made(LITERAL("K\0\0\0\016\0\0\0\1keykey"));
        compose_ready(&b, 'I');
        made(LITERAL("Z\0\0\0\5I"));
        compose_negotiate(&b, 2, (const char *const[]){"_pq_.x"}, 1);
        made(LITERAL("v\0\0\0\023\0\3\0\2\0\0\0\1_pq_.x\0"));
        compose_complete(&b, "SHOW");
        made(LITERAL("C\0\0\0\11SHOW\0"));
        compose_empty(&b);
        compose_parse_complete(&b);
        compose_bind_complete(&b);
        compose_close_complete(&b);
        compose_no_data(&b);
        compose_parameter_description(&b);
        made(LITERAL("I\0\0\0\4"
                     "1\0\0\0\4"
                     "2\0\0\0\4"
                     "3\0\0\0\4"
                     "n\0\0\0\4"
                     "t\0\0\0\6\0\0"));
}

static void errors_have_five_fields_at_most(void **state)
{
        (void) state;
        struct error e = {0};
        struct reply_error r;
        error_set(&e, "53300", "too many");
        compose_error(&b, "FATAL", &e);
        made(LITERAL("E\0\0\0\44SFATAL\0VFATAL\0C53300\0Mtoo many\0\0"));
        error_hint(&e, "Close some.");
        compose_error(&b, "ERROR", &e);
        assert_int_equal(reply_error(bytes_data(&b) + 5, bytes_length(&b) - 5, &r), FRAME_READY);
        assert_string_equal(r.hint, "Close some.");
        assert_string_equal(r.sqlstate, "53300");
        bytes_clear(&b);
        compose_error(&b, "ERROR", &(struct error){.text = "x"});
        assert_int_equal(reply_error(bytes_data(&b) + 5, bytes_length(&b) - 5, &r), FRAME_READY);
        assert_string_equal(r.sqlstate, "XX000");
        bytes_clear(&b);
        compose_notice(&b, "01000", "look");
        made(LITERAL("N\0\0\0\42SNOTICE\0VNOTICE\0C01000\0Mlook\0\0"));
}

static const struct compose_column columns[] = {
        {"name", 's'}, {"n", 'i'}, {"big", 'q'}, {"sum", 'N'}, {"at", 'T'}, {"on", 'b'},
};

static void columns_have_types(void **state)
{
        (void) state;
        compose_row_description(&b, columns, 2, false);
        made(LITERAL("T\0\0\0\61\0\2"
                     "name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
                     "n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"));
        compose_row_description(&b, columns + 4, 1, true);
        made(LITERAL("T\0\0\0\33\0\1at\0\0\0\0\0\0\0\0\0\4\xa0\0\10\xff\xff\xff\xff\0\1"));
}

static void rows_are_text_or_binary(void **state)
{
        (void) state;
        static const char *const values[] = {"a", "7", "-1", "1.5", "2000-01-01 00:00:00.000001+00",
                                             "t"};
        const char *column[6];
        int32_t length[6];
        size_t count;
        compose_row(&b, columns, (const char *const[]){"a", NULL}, 2, false);
        made(LITERAL("D\0\0\0\17\0\2\0\0\0\1a\xff\xff\xff\xff"));
        compose_row(&b, columns, values, 6, true);
        assert_int_equal(
                reply_row(bytes_data(&b) + 5, bytes_length(&b) - 5, column, length, 6, &count),
                FRAME_READY);
        assert_int_equal(count, 6);
        static const int32_t expected[] = {1, 4, 8, 12, 8, 1};
        assert_memory_equal(length, expected, sizeof expected);
        assert_memory_equal(column[1], "\0\0\0\7", 4);
        assert_memory_equal(column[3], "\0\2\0\0\0\0\0\1\0\1\x13\x88", 12);
        assert_memory_equal(column[4], "\0\0\0\0\0\0\0\1", 8);
        bytes_clear(&b);
        compose_row(&b, columns, (const char *const[]){NULL, NULL}, 2, true);
        made(LITERAL("D\0\0\0\16\0\2\xff\xff\xff\xff\xff\xff\xff\xff"));
}

static void what_cannot_be_built_leaves_nothing(void **state)
{
        (void) state;
        compose_row(&b, columns, (const char *const[]){"a", "x"}, 2, true);
        assert_true(b.failed);
        assert_int_equal(bytes_length(&b), 0);
        bytes_free(&b);
        bytes_init(&b, 20);
        compose_sync(&b);
        compose_query(&b, "SELECT 1234567890");
        assert_true(b.failed);
        assert_int_equal(bytes_length(&b), 5);
        compose_sync(&b);
        compose_row_description(&b, columns, 6, true);
        compose_literal(&b, "x");
        compose_identifier(&b, "x");
        assert_int_equal(bytes_length(&b), 5);
        b.failed = false;
        compose_literal(&b, "it's too long for it");
        assert_true(b.failed);
        assert_int_equal(bytes_length(&b), 5);
        b.failed = false;
        compose_identifier(&b, "it\"s too long for it");
        assert_true(b.failed);
        assert_int_equal(bytes_length(&b), 5);
}

static void every_limit_is_met_cleanly(void **state)
{
        (void) state;
        static const char *const values[] = {"a", "7", "-1", "1.5", "2000-01-01 00:00:00+00", "t"};
        for (size_t limit = 1; limit < 80; limit++) {
                struct bytes small;
                bytes_init(&small, limit);
                compose_row(&small, columns, values, 6, true);
                assert_int_equal(bytes_length(&small), small.failed ? 0 : 65);
                bytes_free(&small);
        }
}

static void a_consumed_head_is_no_hindrance(void **state)
{
        (void) state;
        for (int i = 0; i < 1000; i++) {
                compose_query(&b, "SELECT 1");
                compose_parameter(&b, "a", "b");
                bytes_consume(&b, i % 2 ? 14 : 9);
                bytes_consume(&b, bytes_length(&b) > 40 ? 30 : 0);
        }
        assert_false(b.failed);
}

static void literals_are_quoted_for_every_setting(void **state)
{
        (void) state;
        static const struct {
                const char *text, *literal;
        } table[] = {
                {"", "''"},
                {"plain", "'plain'"},
                {"it's", "'it''s'"},
                {"''", "''''''"},
                {"a\\b", "E'a\\\\b'"},
                {"\\'", "E'\\\\'''"},
                {"\\\\", "E'\\\\\\\\'"},
                {"\xe8\xa1\xa8", "'\xe8\xa1\xa8'"},
                {"\x95\x5c", "E'\x95\\134'"},
                {"\x95\x5c'", "E'\x95\\134'''"},
                {"\x95\x5c\\", "E'\x95\\134\\\\'"},
        };
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                compose_literal(&b, table[i].text);
                text_is(table[i].literal);
        }
}

static void identifiers_are_always_quoted(void **state)
{
        (void) state;
        compose_identifier(&b, "a");
        text_is("\"a\"");
        compose_identifier(&b, "a\"b\"\"");
        text_is("\"a\"\"b\"\"\"\"\"");
        compose_identifier(&b, "a\\'");
        text_is("\"a\\'\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(messages_to_a_server, setup, teardown),
                cmocka_unit_test_setup_teardown(messages_to_a_client, setup, teardown),
                cmocka_unit_test_setup_teardown(errors_have_five_fields_at_most, setup, teardown),
                cmocka_unit_test_setup_teardown(columns_have_types, setup, teardown),
                cmocka_unit_test_setup_teardown(rows_are_text_or_binary, setup, teardown),
                cmocka_unit_test_setup_teardown(what_cannot_be_built_leaves_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(every_limit_is_met_cleanly, setup, teardown),
                cmocka_unit_test_setup_teardown(a_consumed_head_is_no_hindrance, setup, teardown),
                cmocka_unit_test_setup_teardown(literals_are_quoted_for_every_setting, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(identifiers_are_always_quoted, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
