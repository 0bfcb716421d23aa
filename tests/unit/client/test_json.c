#include "../base/cmocka_all.h"
#include <stdio.h>
#include "json.h"
#include "text.h"

static char *written;
static size_t written_size;

static struct json start(void)
{
        return (struct json){.to = open_memstream(&written, &written_size)};
}

static void finish(struct json *j, const char *wanted)
{
        fclose(j->to);
        assert_string_equal(written, wanted);
        free(written);
}

static void objects_and_arrays_have_commas_where_they_belong(void **state)
{
        (void) state;
        struct json j = start();

        json_object(&j, NULL);
        json_array(&j, "none");
        json_end_array(&j);
        json_array(&j, "two");
        json_count(&j, NULL, -1);
        json_bool(&j, NULL, true);
        json_end_array(&j);
        json_null(&j, "last");
        json_end_object(&j);
        finish(&j, "{\n  \"none\": [],\n  \"two\": [\n    -1,\n    true\n  ],\n  \"last\": null\n}\n");
}

static void text(const char *given, const char *wanted)
{
        struct json j = start();

        json_text(&j, NULL, given);
        finish(&j, wanted);
}

static void whatever_a_client_calls_itself_is_a_good_string(void **state)
{
        (void) state;
        text("plain", "\"plain\"");
        text("\"\\\n\t\b\f\r", "\"\\\"\\\\\\n\\t\\b\\f\\r\"");
        text("\x01\x1b[31m\x7f", "\"\\u0001\\u001b[31m\\u007f\"");
        text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98", "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98\"");
        text("\xff-\xc3", "\"\xef\xbf\xbd-\xef\xbf\xbd\"");
        text("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");               /* overlong */
        text("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");       /* half a pair */
        text("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
        text(NULL, "null");
}

static void number(const char *given, const char *wanted)
{
        struct json j = start();

        json_number(&j, NULL, given);
        finish(&j, wanted);
}

static void only_numbers_are_written_as_numbers(void **state)
{
        (void) state;
        number("0", "0");
        number("-12.50", "-12.50");
        number("123456789012345678901234567890", "123456789012345678901234567890");
        number("NaN", "\"NaN\"");
        number("01", "\"01\"");
        number("1.", "\"1.\"");
        number(".5", "\".5\"");
        number("-", "\"-\"");
        number("", "\"\"");
        number(NULL, "null");
}

static void shown(const char *given, size_t least, size_t most, const char *wanted)
{
        FILE *to = open_memstream(&written, &written_size);

        text_print(to, given, least, most);
        fclose(to);
        assert_string_equal(written, wanted);
        free(written);
}

static void a_terminal_is_never_commanded(void **state)
{
        (void) state;
        shown("a\x1b[2Jb\nc", 0, 100, "a?[2Jb?c");
        shown("\xc2\x9b" "31m", 0, 100, "?31m");
        shown("\xff", 0, 100, "?");
}

static void text_is_padded_and_cut_by_characters(void **state)
{
        (void) state;
        shown("\xc3\xa9t\xc3\xa9", 5, 100, "\xc3\xa9t\xc3\xa9  ");
        shown("abcdef", 0, 6, "abcdef");
        shown("abcdef", 0, 5, "abcd~");
        shown("abcdef", 8, 5, "abcd~   ");
        shown("abc", 0, 0, "");
        assert_int_equal(text_width("\xc3\xa9\xff."), 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(objects_and_arrays_have_commas_where_they_belong),
                cmocka_unit_test(whatever_a_client_calls_itself_is_a_good_string),
                cmocka_unit_test(only_numbers_are_written_as_numbers),
                cmocka_unit_test(a_terminal_is_never_commanded),
                cmocka_unit_test(text_is_padded_and_cut_by_characters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
