#include "../base/cmocka_all.h"
#include <stdio.h>
#include "base/bytes.h"
#include "ops/tree.h"

static struct tree *read_text(const char *text, struct error *e)
{
        *e = (struct error){0};
        return tree_read("f.yaml", text, strlen(text), e);
}

static void every_value_knows_where_it_stands(void **state)
{
        (void) state;
        struct error e;
        OWN(tree_free)
        struct tree *t = read_text("# first\na:\n  b: [x, 'y z']\n  \"c d\": \n", &e);
        const struct tree *a, *b, *c;

        assert_non_null(t);
        assert_int_equal(t->kind, TREE_MAP);
        assert_non_null(a = tree_child(t, "a"));
        assert_non_null(b = tree_child(a, "b"));
        assert_non_null(c = tree_child(a, "c d"));
        assert_null(tree_child(a, "x"));
        assert_null(tree_child(b, "x"));
        assert_null(tree_child(NULL, "x"));
        assert_int_equal(b->kind, TREE_LIST);
        assert_int_equal(b->key_mark.line, 3);
        assert_int_equal(b->key_mark.column, 3);
        assert_int_equal(b->count, 2);
        assert_string_equal(b->children[1]->text, "y z");
        assert_int_equal(b->children[1]->mark.line, 3);
        assert_int_equal(b->children[1]->mark.column, 10);
        assert_string_equal(b->children[1]->mark.file, "f.yaml");
        assert_int_equal(c->kind, TREE_NOTHING);
}

static void nothing_has_several_spellings(void **state)
{
        (void) state;
        static const char *const nothing[] = {"", "# only words\n", "~", "null", "---\n...\n"};
        static const char *const text[] = {"\"\"", "'~'", "\"null\"", "none"};
        struct error e;

        for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
                OWN(tree_free) struct tree *t = read_text(nothing[i], &e);

                assert_non_null(t);
                assert_int_equal(t->kind, TREE_NOTHING);
        }
        for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
                OWN(tree_free) struct tree *t = read_text(text[i], &e);

                assert_non_null(t);
                assert_int_equal(t->kind, TREE_TEXT);
        }
}

static void what_a_configuration_does_not_need_is_refused(void **state)
{
        (void) state;
        static const struct {
                const char *text, *place, *says;
        } cases[] = {
                {"a: &x 1", "f.yaml:1:4: ", "anchor (&x)"},
                {"a: 1\nb: *x", "f.yaml:2:4: ", "alias (*x)"},
                {"&k a: 1", "f.yaml:1:1: ", "anchor"},
                {"a: !!int 1", "f.yaml:1:4: ", "tag"},
                {"a: !secret [x]", "f.yaml:1:4: ", "tag (!secret)"},
                {"a: 1\nb: 2\na: 3", "f.yaml:3:1: ", "\"a\" again (first in line 1)"},
                {"? [a]\n: 1", "f.yaml:1:3: ", "where a key belongs"},
                {"*x : 1", "f.yaml:1:1: ", "alias"},
                {"a: 1\n---\nb: 2", "f.yaml:3:1: ", "second document"},
                {"a: \"x\\0y\"", "f.yaml:1:4: ", "NUL"},
                {"a: [1", "f.yaml:2:1: ", "not YAML"},
                {"a:\n\tb: 1", "f.yaml:2:1: ", "not YAML"},
                {"a: b: c", "f.yaml:1:5: ", "not YAML"},
                {"a: 1\nbb: \xff", "f.yaml:2:5: ", "UTF-8"},
                {"a: 1\nbb: \x01", "f.yaml:2:5: ", "UTF-8"},
                {"<<: {a: 1}\n<<: {b: 1}", "f.yaml:2:1: ", "again"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct error e;

                assert_null(read_text(cases[i].text, &e));
                assert_string_equal(e.sqlstate, "F0000");
                if (strncmp(e.text, cases[i].place, strlen(cases[i].place)) != 0 ||
                    !strstr(e.text, cases[i].says) || !strstr(e.text, "expected"))
                        fail_msg("case %zu: %s", i, e.text);
        }
}

static void a_tab_gets_a_hint(void **state)
{
        (void) state;
        struct error e;

        assert_null(read_text("a:\n\tb: 1", &e));
        assert_non_null(strstr(e.hint, "spaces"));
}

static void limits_hold(void **state)
{
        (void) state;
        struct error e;
        struct bytes text;

        bytes_init(&text, 0);
        for (int i = 0; i < 100000; i++)
                bytes_text(&text, "[");
        assert_null(tree_read("f", (const char *) bytes_data(&text), bytes_length(&text), &e));
        assert_non_null(strstr(e.text, "deep"));

        bytes_clear(&text);
        bytes_text(&text, "[");
        for (int i = 0; i < TREE_VALUES; i++)
                bytes_text(&text, "a,");
        bytes_text(&text, "]");
        assert_null(tree_read("f", (const char *) bytes_data(&text), bytes_length(&text), &e));
        assert_non_null(strstr(e.text, "more than 50000 values"));

        bytes_clear(&text);
        for (int i = 0; i <= TREE_SIZE; i++)
                bytes_text(&text, "#");
        assert_null(tree_read("f", (const char *) bytes_data(&text), bytes_length(&text), &e));
        assert_non_null(strstr(e.text, "more than 1048576 bytes"));
        bytes_free(&text);
}

static void as_deep_as_allowed_is_fine(void **state)
{
        (void) state;
        struct error e;
        char text[2 * TREE_DEPTH + 3] = "";

        memset(text, '[', TREE_DEPTH);
        memset(text + TREE_DEPTH, ']', TREE_DEPTH);
        OWN(tree_free) struct tree *t = read_text(text, &e);

        assert_non_null(t);
        memset(text, '[', TREE_DEPTH + 1);
        memset(text + TREE_DEPTH + 1, ']', TREE_DEPTH + 1);
        assert_null(read_text(text, &e));
}

static void what_is_written_reads_back(void **state)
{
        (void) state;
        static const char *const texts[] = {
                "",
                "plain",
                "with \"quotes\" and \\",
                "a\nb\tc\r",
                "\x01\x1f\x7f",
                "~",
                "null",
                "[x]",
                "  ends ",
                "\xc3\xa9",
                "\xc2\x85",
                "\xc2\x80",
                "\xe2\x80\xa8",
                "\xef\xbb\xbf",
                "\xef\xbf\xbf",
                "\xf0\x9f\x90\x98",
                "# no comment",
                "a: b",
        };
        struct error e;

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                OWN(free) char *written = tree_write(texts[i]);
                OWN(tree_free) struct tree *t = read_text(written, &e);

                if (!t)
                        fail_msg("%s: %s", written, e.text);
                assert_int_equal(t->kind, TREE_TEXT);
                assert_string_equal(t->text, texts[i]);
        }
}

static void a_byte_that_is_no_character_is_written_as_one(void **state)
{
        (void) state;
        OWN(free) char *written = tree_write("a\xff\xc3");

        assert_string_equal(written, "\"a\\u00ff\\u00c3\"");
}

static void messages_stay_on_one_short_line(void **state)
{
        (void) state;
        struct error e = {0};
        char lengthy[1000];
        OWN(free) char *controls = tree_quote("a\nb\x1b[0m");

        assert_string_equal(controls, "\"a?b?[0m\"");
        memset(lengthy, 'x', sizeof lengthy - 1);
        lengthy[sizeof lengthy - 1] = 0;
        OWN(free) char *cut = tree_quote(lengthy);

        assert_int_equal(strlen(cut), 60 + 2 + 3);
        assert_false(tree_error(&e, (struct tree_mark){lengthy, 7, 8}, "found %s", "it"));
        assert_non_null(strstr(e.text, "x:7:8: found it"));
        assert_false(tree_error(&e, (struct tree_mark){"-e prod", 0, 0}, "found %s", "it"));
        assert_string_equal(e.text, "-e prod: found it");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
        (void) state;
        struct error e = {0};
        size_t size;

        assert_null(tree_load("/nonexistent/x.yaml", &size, &e));
        assert_non_null(
                strstr(e.text, "/nonexistent/x.yaml: the file cannot be opened (No such file"));
        assert_true(e.hint[0]);
        assert_null(tree_load("/", &size, &e));
        assert_non_null(strstr(e.text, "cannot be read"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_value_knows_where_it_stands),
                cmocka_unit_test(nothing_has_several_spellings),
                cmocka_unit_test(what_a_configuration_does_not_need_is_refused),
                cmocka_unit_test(a_tab_gets_a_hint),
                cmocka_unit_test(limits_hold),
                cmocka_unit_test(as_deep_as_allowed_is_fine),
                cmocka_unit_test(what_is_written_reads_back),
                cmocka_unit_test(a_byte_that_is_no_character_is_written_as_one),
                cmocka_unit_test(messages_stay_on_one_short_line),
                cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
