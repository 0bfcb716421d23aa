/* Texts become the binary formats that drivers read. */
#include "cmocka_all.h"
#include "wire/value.h"

static void gives(char type, const char *text, const char *image, size_t n)
{
        struct bytes b;
        bytes_init(&b, 0);
        if (!value_binary(&b, type, text))
                fail_msg("'%c' \"%s\" was refused", type, text);
        assert_int_equal(bytes_length(&b), n);
        if (n)
                assert_memory_equal(bytes_data(&b), image, n);
        bytes_free(&b);
}

static void refused(char type, const char *text)
{
        struct bytes b;
        bytes_init(&b, 0);
        if (value_binary(&b, type, text))
                fail_msg("'%c' \"%s\" was taken", type, text);
        assert_int_equal(bytes_length(&b), 0);
        bytes_free(&b);
}

static void integers(void **state)
{
        (void) state;
        gives('i', "1", LITERAL("\0\0\0\1"));
        gives('i', "-1", LITERAL("\xff\xff\xff\xff"));
        gives('i', "2147483647", LITERAL("\x7f\xff\xff\xff"));
        gives('i', "-2147483648", LITERAL("\x80\0\0\0"));
        gives('q', "9223372036854775807", LITERAL("\x7f\xff\xff\xff\xff\xff\xff\xff"));
        gives('q', "-9223372036854775808", LITERAL("\x80\0\0\0\0\0\0\0"));
        refused('i', "2147483648");
        refused('i', "-2147483649");
        refused('q', "9223372036854775808");
        refused('q', "99999999999999999999999");
        refused('i', "");
        refused('i', "-");
        refused('i', "1x");
        refused('i', " 1");
}

static void texts_and_booleans(void **state)
{
        (void) state;
        gives('s', "", LITERAL(""));
        gives('s', "Grüße", LITERAL("Grüße"));
        gives('b', "t", LITERAL("\1"));
        gives('b', "true", LITERAL("\1"));
        gives('b', "f", LITERAL("\0"));
        gives('b', "false", LITERAL("\0"));
        refused('b', "x");
        refused('b', "");
}

/* ndigits, weight, sign, dscale, digits: as a server sends them (its infinities have a scale, too).
 */
static void numerics(void **state)
{
        (void) state;
        gives('N', "0", LITERAL("\0\0\0\0\0\0\0\0"));
        gives('N', "0.00", LITERAL("\0\0\0\0\0\0\0\2"));
        gives('N', "-0", LITERAL("\0\0\0\0\0\0\0\0"));
        gives('N', "1", LITERAL("\0\1\0\0\0\0\0\0\0\1"));
        gives('N', "-12345.678", LITERAL("\0\3\0\1\x40\0\0\3\0\1\x09\x29\x1a\x7c"));
        gives('N', "10000", LITERAL("\0\1\0\1\0\0\0\0\0\1"));
        gives('N', "0.0001", LITERAL("\0\1\xff\xff\0\0\0\4\0\1"));
        gives('N', "0.00000001", LITERAL("\0\1\xff\xfe\0\0\0\10\0\1"));
        gives('N', "0.5", LITERAL("\0\1\xff\xff\0\0\0\1\x13\x88"));
        gives('N', "100000000.5", LITERAL("\0\4\0\2\0\0\0\1\0\1\0\0\0\0\x13\x88"));
        gives('N', "0012", LITERAL("\0\1\0\0\0\0\0\0\0\x0c"));
        gives('N', ".5", LITERAL("\0\1\xff\xff\0\0\0\1\x13\x88"));
        gives('N', "NaN", LITERAL("\0\0\0\0\xc0\0\0\0"));
        gives('N', "Infinity", LITERAL("\0\0\0\0\xd0\0\0\0"));
        gives('N', "-Infinity", LITERAL("\0\0\0\0\xf0\0\0\0"));
        refused('N', "");
        refused('N', ".");
        refused('N', "-");
        refused('N', "1e5");
        refused('N', "1.2.3");
}

static void is_at(const char *text, int64_t expected)
{
        int64_t microseconds;
        if (!value_timestamp(text, &microseconds))
                fail_msg("\"%s\" was refused", text);
        if (microseconds != expected)
                fail_msg("\"%s\" is %lld", text, (long long) microseconds);
}

static void timestamps(void **state)
{
        (void) state;
        int64_t ignored;
        is_at("2000-01-01 00:00:00+00", 0);
        is_at("2000-01-01T00:00:00Z", 0);
        is_at("2000-01-01 00:00:00", 0);
        is_at("2000-01-01 02:00:00+02", 0);
        is_at("1999-12-31 18:30:00-05:30", 0);
        is_at("2000-01-01 00:53:28+00:53:28", 0);
        is_at("1970-01-01 00:00:00+00", INT64_C(-946684800000000));
        is_at("2026-11-22 10:00:00+00", INT64_C(848656800000000));
        is_at("2026-11-22 10:00:00.25+00", INT64_C(848656800250000));
        is_at("2026-11-22 10:00:00.123456+00", INT64_C(848656800123456));
        is_at("2024-02-29 12:00:00+00", INT64_C(762523200000000));
        is_at("2100-03-01 00:00:00+00", INT64_C(3160857600000000));
        is_at("0001-01-01 00:00:00+00", INT64_C(-63082281600000000));
        is_at("294276-12-31 23:59:59.999999+00", INT64_C(9223371331199999999));
        is_at("infinity", INT64_MAX);
        is_at("-infinity", INT64_MIN);
        static const char *const bad[] = {"",
                                          "now",
                                          "2026-13-01 00:00:00",
                                          "2025-02-29 00:00:00",
                                          "2026-01-01",
                                          "2026-01-01 25:00:00",
                                          "2026-1-1 00:00:00",
                                          "2026-01-01 00:00:00+",
                                          "2026-01-01 00:00:00+00x",
                                          "2026-01-01 00:00:00.",
                                          "0000-01-01 00:00:00",
                                          "2026-01-01 00:00:00 BC",
                                          "2026-01-32 00:00:00",
                                          "294277-01-01 00:00:00",
                                          "9999999-01-01 00:00:00"};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                assert_false(value_timestamp(bad[i], &ignored));
        gives('T', "2000-01-01 00:00:01+00", LITERAL("\0\0\0\0\0\x0f\x42\x40"));
        refused('T', "soon");
}

static void every_letter_has_a_type(void **state)
{
        (void) state;
        assert_int_equal(value_oid('s'), 25);
        assert_int_equal(value_oid('i'), 23);
        assert_int_equal(value_oid('q'), 20);
        assert_int_equal(value_oid('N'), 1700);
        assert_int_equal(value_oid('T'), 1184);
        assert_int_equal(value_oid('b'), 16);
        assert_int_equal(value_length('s'), -1);
        assert_int_equal(value_length('T'), 8);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(integers),
                cmocka_unit_test(texts_and_booleans),
                cmocka_unit_test(numerics),
                cmocka_unit_test(timestamps),
                cmocka_unit_test(every_letter_has_a_type),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
