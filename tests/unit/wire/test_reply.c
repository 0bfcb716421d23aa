/* A server's messages are read field by field, missing fields are empty, and what does not add up
 * is bad. */
#include "cmocka_all.h"
#include "wire/reply.h"

static const uint8_t *bytes(const char *p, size_t n)
{
        static uint8_t *copy;
        free(copy);
        return copy = exactly(p, n);
}

static void an_error_has_fields(void **state)
{
        (void) state;
        struct reply_error r;
        static const char p[] = "SFATAL\0VFATAL\0C28P01\0Mno\0Dd\0Hh\0Fauth.c\0L1\0";
        assert_int_equal(reply_error(bytes(p, sizeof p), sizeof p, &r), FRAME_READY);
        assert_string_equal(r.severity, "FATAL");
        assert_string_equal(r.sqlstate, "28P01");
        assert_string_equal(r.message, "no");
        assert_string_equal(r.detail, "d");
        assert_string_equal(r.hint, "h");
        for (size_t n = 0; n < sizeof p; n++)
                assert_int_equal(reply_error(bytes(p, n), n, &r), FRAME_BAD);
}

static void all_fields_are_optional(void **state)
{
        (void) state;
        struct reply_error r;
        assert_int_equal(reply_error(bytes(LITERAL("\0")), 1, &r), FRAME_READY);
        assert_string_equal(r.sqlstate, "");
        assert_string_equal(r.severity, "");
        assert_string_equal(r.message, "");
        assert_string_equal(r.hint, "");
        assert_string_equal(r.detail, "");
        assert_int_equal(reply_error(bytes(LITERAL("VERROR\0SFEHLER\0\0")), 16, &r), FRAME_READY);
        assert_string_equal(r.severity, "ERROR");
        assert_int_equal(reply_error(bytes(LITERAL("SFEHLER\0\0")), 9, &r), FRAME_READY);
        assert_string_equal(r.severity, "FEHLER");
        assert_int_equal(reply_error(bytes(LITERAL("\0x")), 2, &r), FRAME_BAD);
        assert_int_equal(reply_error(bytes(LITERAL("S\0")), 2, &r), FRAME_BAD);
        assert_int_equal(reply_error(bytes(LITERAL("M")), 1, &r), FRAME_BAD);
}

static void a_parameter_has_a_name_and_a_value(void **state)
{
        (void) state;
        struct reply_parameter r;
        assert_int_equal(reply_parameter(bytes(LITERAL("a\0b\0")), 4, &r), FRAME_READY);
        assert_string_equal(r.name, "a");
        assert_string_equal(r.value, "b");
        assert_int_equal(reply_parameter(bytes(LITERAL("a\0\0")), 3, &r), FRAME_READY);
        assert_int_equal(reply_parameter(bytes(LITERAL("a\0b")), 3, &r), FRAME_BAD);
        assert_int_equal(reply_parameter(bytes(LITERAL("a\0")), 2, &r), FRAME_BAD);
        assert_int_equal(reply_parameter(bytes(LITERAL("a\0b\0c")), 5, &r), FRAME_BAD);
        assert_int_equal(reply_parameter(bytes(LITERAL("")), 0, &r), FRAME_BAD);
}

static void tags_and_states(void **state)
{
        (void) state;
        const char *tag;
        char status;
        assert_int_equal(reply_complete(bytes(LITERAL("SELECT 1\0")), 9, &tag), FRAME_READY);
        assert_string_equal(tag, "SELECT 1");
        assert_int_equal(reply_complete(bytes(LITERAL("SELECT 1")), 8, &tag), FRAME_BAD);
        assert_int_equal(reply_complete(bytes(LITERAL("a\0b\0")), 4, &tag), FRAME_BAD);
        assert_int_equal(reply_complete(bytes(LITERAL("")), 0, &tag), FRAME_BAD);
        assert_int_equal(reply_ready(bytes(LITERAL("I")), 1, &status), FRAME_READY);
        assert_int_equal(status, 'I');
        assert_int_equal(reply_ready(bytes(LITERAL("T")), 1, &status), FRAME_READY);
        assert_int_equal(reply_ready(bytes(LITERAL("E")), 1, &status), FRAME_READY);
        assert_int_equal(reply_ready(bytes(LITERAL("X")), 1, &status), FRAME_BAD);
        assert_int_equal(reply_ready(bytes(LITERAL("II")), 2, &status), FRAME_BAD);
        assert_int_equal(reply_ready(bytes(LITERAL("")), 0, &status), FRAME_BAD);
}

static void a_row_has_columns(void **state)
{
        (void) state;
        const char *column[3];
        int32_t length[3];
        size_t count;
        static const char p[] = "\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0";
        size_t n = sizeof p - 1;
        assert_int_equal(reply_row(bytes(p, n), n, column, length, 3, &count), FRAME_READY);
        assert_int_equal(count, 3);
        assert_memory_equal(column[0], "ab", 2);
        assert_int_equal(length[0], 2);
        assert_null(column[1]);
        assert_int_equal(length[1], -1);
        assert_int_equal(length[2], 0);
        assert_int_equal(reply_row(bytes(p, n), n, column, length, 1, &count), FRAME_READY);
        assert_int_equal(count, 3);
        for (size_t cut = 0; cut < n; cut++)
                assert_int_equal(reply_row(bytes(p, cut), cut, column, length, 3, &count),
                                 FRAME_BAD);
        assert_int_equal(reply_row(bytes(p, n + 1), n + 1, column, length, 3, &count), FRAME_BAD);
        static const char minus[] = "\0\1\xff\xff\xff\xfe";
        assert_int_equal(reply_row(bytes(LITERAL(minus)), 6, column, length, 3, &count), FRAME_BAD);
        static const char huge[] = "\0\1\x7f\xff\xff\xffx";
        assert_int_equal(reply_row(bytes(LITERAL(huge)), 7, column, length, 3, &count), FRAME_BAD);
        assert_int_equal(reply_row(bytes(LITERAL("\0\0")), 2, NULL, NULL, 0, &count), FRAME_READY);
}

static uint64_t digest(char type, const char *p, size_t n)
{
        return reply_digest((uint8_t) type, bytes(p, n), n);
}

#define COLUMN(name, table, type, modifier, format) name "\0\0\0\0" table "\0\1\0\0\0" type "\0\4" modifier "\0" format

static void a_digest_tells_kinds_of_answers_apart(void **state)
{
        (void) state;
        static const char one[] = "\0\1" COLUMN("a", "\1", "\27", "\377\377\377\377", "\0");
        static const char moved[] = "\0\1" COLUMN("a", "\2", "\27", "\377\377\377\377", "\1");
        static const char named[] = "\0\1" COLUMN("b", "\1", "\27", "\377\377\377\377", "\0");
        static const char typed[] = "\0\1" COLUMN("a", "\1", "\24", "\377\377\377\377", "\0");
        static const char sized[] = "\0\1" COLUMN("a", "\1", "\27", "\0\0\0\7", "\0");
        uint64_t same = digest('T', LITERAL(one));
        assert_true(same);
        assert_true(digest('T', LITERAL(moved)) == same);
        assert_true(digest('T', LITERAL(named)) != same);
        assert_true(digest('T', LITERAL(typed)) != same);
        assert_true(digest('T', LITERAL(sized)) != same);
        assert_true(digest('n', "", 0) && digest('n', "", 0) != digest('T', LITERAL("\0\0")));
        for (size_t cut = 0; cut < sizeof one - 1; cut++)
                assert_false(digest('T', one, cut));
        assert_false(digest('T', one, sizeof one));
        assert_true(digest('t', LITERAL("\0\1\0\0\0\27")) != digest('t', LITERAL("\0\1\0\0\0\24")));
        assert_false(digest('t', LITERAL("\0\1\0\0\0")));
        assert_false(digest('t', LITERAL("\0\1\0\0\0\27x")));
        assert_false(digest('t', LITERAL("\0")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_error_has_fields),
                cmocka_unit_test(all_fields_are_optional),
                cmocka_unit_test(a_parameter_has_a_name_and_a_value),
                cmocka_unit_test(tags_and_states),
                cmocka_unit_test(a_row_has_columns),
                cmocka_unit_test(a_digest_tells_kinds_of_answers_apart),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
