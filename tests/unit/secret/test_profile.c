#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "secret/profile.h"

static struct profile *parse(const char *text)
{
        struct error e = {0};
        struct profile *p = profile_parse(text, strlen(text), &e);

        if (!p)
                print_error("%s\n", e.text);
        assert_non_null(p);
        return p;
}

static void holds(const char *text, const char *kind, const char *name, const char *key,
                  const char *value)
{
        OWN(profile_free) struct profile *p = parse(text);
        const char *is = profile_get(p, kind, name, NULL, key);

        if (!value) {
                assert_null(is);
                return;
        }
        assert_non_null(is);
        assert_string_equal(is, value);
}

static void refused(const char *text, const char *why)
{
        struct error e = {0};

        assert_null(profile_parse(text, strlen(text), &e));
        assert_string_equal(e.text, why);
        assert_null(strstr(e.text, "s3cret"));
}

static void sections_hold_keys(void **state)
{
        const char *text = "[default]\naws_access_key_id = AKID\n"
                           "aws_secret_access_key=a/b+c==\n\n[ci]\naws_access_key_id=OTHER\n";

        (void) state;
        holds(text, "", "default", "aws_access_key_id", "AKID");
        holds(text, "", "default", "aws_secret_access_key", "a/b+c==");
        holds(text, "", "ci", "aws_access_key_id", "OTHER");
        holds(text, "", "ci", "aws_secret_access_key", NULL);
        holds(text, "", "none", "aws_access_key_id", NULL);
        holds(text, "profile", "default", "aws_access_key_id", NULL);
}

static void the_config_file_says_profile_before_the_name(void **state)
{
        const char *text = "[profile ci]\nregion = eu-west-1\n[ profile  \"my ci\" ]\nregion=x\n"
                           "[profile]\nregion=y\n[my profile]\nregion=z\n";

        (void) state;
        holds(text, "profile", "ci", "region", "eu-west-1");
        holds(text, "profile", "my ci", "region", "x");
        holds(text, "", "profile", "region", "y");
        holds(text, "", "my profile", "region", "z");
}

static void keys_are_the_same_in_any_case(void **state)
{
        (void) state;
        holds("[a]\nAWS_Access_Key_ID=x", "", "a", "aws_access_key_id", "x");
}

static void the_last_one_of_a_key_holds(void **state)
{
        (void) state;
        holds("[a]\nregion=x\n[b]\nregion=y\n[a]\nregion=z\n", "", "a", "region", "z");
}

static void empty_is_not_set(void **state)
{
        (void) state;
        holds("[a]\nregion =\n", "", "a", "region", NULL);
        holds("[a]\nregion = x\nregion =   # gone\n", "", "a", "region", NULL);
}

static void comments_begin_a_line_or_follow_a_blank(void **state)
{
        const char *text =
                "# one\n; two\n[a] ; three\n  # four\nregion = x # five\nk=a#b;c\nl=d\t;e\n";

        (void) state;
        holds(text, "", "a", "region", "x");
        holds(text, "", "a", "k", "a#b;c");
        holds(text, "", "a", "l", "d");
}

static void lines_may_end_as_on_windows(void **state)
{
        (void) state;
        holds("\xef\xbb\xbf[a]\r\nregion = x\r\n", "", "a", "region", "x");
}

static void indented_lines_belong_to_the_key_above(void **state)
{
        const char *text =
                "[services local]\nsecrets_manager =\n  endpoint_url = http://127.0.0.1:1/\n"
                "  other = 1\ns3 = \n\tendpoint_url = http://x/\nplain = 1\n";
        OWN(profile_free) struct profile *p = parse(text);

        (void) state;
        assert_string_equal(profile_get(p, "services", "local", "secrets_manager", "endpoint_url"),
                            "http://127.0.0.1:1/");
        assert_string_equal(profile_get(p, "services", "local", "S3", "endpoint_url"), "http://x/");
        assert_null(profile_get(p, "services", "local", NULL, "endpoint_url"));
        assert_null(profile_get(p, "services", "local", "s3", "plain"));
        assert_string_equal(profile_get(p, "services", "local", NULL, "plain"), "1");
}

static void a_whole_section_may_be_indented(void **state)
{
        const char *text = "[a]\n  region = x\n  output = json\n[b]\n    region = y\n";

        (void) state;
        holds(text, "", "a", "region", "x");
        holds(text, "", "a", "output", "json");
        holds(text, "", "b", "region", "y");
}

static void further_lines_of_a_value_are_passed_over(void **state)
{
        const char *text = "[a]\nwhatever = one\n   two\n   region = no\nregion = yes\n";

        (void) state;
        holds(text, "", "a", "region", "yes");
        holds(text, "", "a", "whatever", "one");
}

static void sections_are_known_even_if_empty(void **state)
{
        OWN(profile_free) struct profile *p = parse("[a]\n[profile b]\n");

        (void) state;
        assert_true(profile_has(p, "", "a"));
        assert_true(profile_has(p, "profile", "b"));
        assert_false(profile_has(p, "", "b"));
}

static void nothing_is_a_file_too(void **state)
{
        OWN(profile_free) struct profile *p = parse("");

        (void) state;
        assert_false(profile_has(p, "", "default"));
        profile_free(NULL);
}

static void complaints_name_the_line_and_not_what_is_on_it(void **state)
{
        struct error e = {0};

        (void) state;
        refused("[a]\nkey = 1\ns3cret\n", "line 3: expected [section] or key = value");
        refused("[a]\n= s3cret\n", "line 2: expected [section] or key = value");
        refused("\nkey = s3cret\n", "line 2: a key before the first [section]");
        refused("[s3cret\n", "line 1: a section without its ]");
        refused("[ ]\n", "line 1: a section without a name");
        assert_null(profile_parse("[a]\nk=\0", 8, &e));
        assert_string_equal(e.text, "it holds a NUL character");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sections_hold_keys),
                cmocka_unit_test(the_config_file_says_profile_before_the_name),
                cmocka_unit_test(keys_are_the_same_in_any_case),
                cmocka_unit_test(the_last_one_of_a_key_holds),
                cmocka_unit_test(empty_is_not_set),
                cmocka_unit_test(comments_begin_a_line_or_follow_a_blank),
                cmocka_unit_test(lines_may_end_as_on_windows),
                cmocka_unit_test(indented_lines_belong_to_the_key_above),
                cmocka_unit_test(a_whole_section_may_be_indented),
                cmocka_unit_test(further_lines_of_a_value_are_passed_over),
                cmocka_unit_test(sections_are_known_even_if_empty),
                cmocka_unit_test(nothing_is_a_file_too),
                cmocka_unit_test(complaints_name_the_line_and_not_what_is_on_it),
        };

        return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
