#include "../base/cmocka_all.h"
#include "track/settings.h"
#include "wire/startup.h"

static struct settings *three(void)
{
        struct settings *s = settings_new();

        settings_put(&s, "client_encoding", "UTF8");
        settings_put(&s, "TimeZone", "UTC");
        settings_put(&s, "application_name", "");
        return s;
}

/* All of it in order: "name=value,". */
static const char *written(const struct settings *s)
{
        static char text[512];
        const char *name, *value;

        text[0] = 0;
        for (size_t at = 0; settings_next(s, &at, &name, &value);) {
                strcat(text, name);
                strcat(text, "=");
                strcat(text, value);
                strcat(text, ",");
        }
        return text;
}

static void a_new_set_is_empty(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *s = settings_new();
        const char *name, *value;
        size_t at = 0;

        assert_int_equal(settings_count(s), 0);
        assert_null(settings_get(s, "TimeZone"));
        assert_false(settings_next(s, &at, &name, &value));
}

static void what_was_put_is_found_whatever_the_case(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *s = three();

        assert_int_equal(settings_count(s), 3);
        assert_string_equal(settings_get(s, "timezone"), "UTC");
        assert_string_equal(settings_get(s, "CLIENT_ENCODING"), "UTF8");
        assert_string_equal(settings_get(s, "application_name"), "");
        assert_null(settings_get(s, "Time"));
        assert_null(settings_get(s, "UTC"));
}

static void order_is_that_of_first_putting(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *s = three();

        settings_put(&s, "CLIENT_ENCODING", "LATIN1");
        assert_string_equal(written(s), "client_encoding=LATIN1,TimeZone=UTC,application_name=,");
        settings_put(&s, "timezone", "America/Argentina/Buenos_Aires");
        settings_remove(&s, "client_encoding");
        settings_put(&s, "client_encoding", "UTF8");
        assert_string_equal(written(s), "TimeZone=America/Argentina/Buenos_Aires,"
                                        "application_name=,client_encoding=UTF8,");
}

static void removing_and_clearing_leave_the_rest_whole(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *s = three();

        settings_remove(&s, "timezone");
        settings_remove(&s, "no_such");
        assert_string_equal(written(s), "client_encoding=UTF8,application_name=,");
        settings_remove(&s, "application_name");
        settings_remove(&s, "client_encoding");
        assert_int_equal(settings_count(s), 0);
        settings_put(&s, "a", "1");
        settings_clear(&s);
        assert_int_equal(settings_count(s), 0);
        settings_put(&s, "b", "2");
        assert_string_equal(written(s), "b=2,");
}

static void a_shared_set_is_copied_when_someone_writes(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = three();
        OWN(settings_unref) struct settings *b = settings_ref(a);
        OWN(settings_unref) struct settings *c = settings_ref(a);
        OWN(settings_unref) struct settings *d = settings_ref(a);

        settings_put(&b, "TimeZone", "Europe/Berlin");
        settings_remove(&c, "TimeZone");
        settings_clear(&d);
        assert_string_equal(settings_get(a, "TimeZone"), "UTC");
        assert_string_equal(settings_get(b, "TimeZone"), "Europe/Berlin");
        assert_null(settings_get(c, "TimeZone"));
        assert_int_equal(settings_count(d), 0);
}

static void writing_what_is_there_already_keeps_sharing(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = three();
        OWN(settings_unref) struct settings *b = settings_ref(a);

        settings_put(&b, "timezone", "UTC");
        settings_remove(&b, "no_such");
        assert_ptr_equal(a, b);
}

static void a_value_of_the_set_itself_can_be_put(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *s = three();

        settings_put(&s, "client_encoding", settings_get(s, "timezone"));
        settings_put(&s, settings_get(s, "timezone"), settings_get(s, "timezone"));
        assert_string_equal(written(s),
                            "client_encoding=UTC,TimeZone=UTC,application_name=,UTC=UTC,");
}

static void no_set_at_all_reads_as_an_empty_one(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *empty = settings_new();
        struct settings *s = NULL;

        assert_int_equal(settings_count(s), 0);
        assert_null(settings_get(s, "a"));
        assert_true(settings_equal(s, empty));
        assert_null(settings_ref(s));
        settings_remove(&s, "a");
        settings_unref(s);
        settings_put(&s, "a", "1");
        assert_string_equal(written(s), "a=1,");
        settings_unref(s);
}

static void equal_means_same_names_and_values_in_any_order(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = three();
        OWN(settings_unref) struct settings *b = settings_new();

        settings_put(&b, "timezone", "UTC");
        settings_put(&b, "application_name", "");
        assert_false(settings_equal(a, b));
        settings_put(&b, "client_encoding", "utf8");
        assert_false(settings_equal(a, b));
        settings_put(&b, "client_encoding", "UTF8");
        assert_true(settings_equal(a, b));
        assert_true(settings_equal(b, a));
        settings_remove(&b, "application_name");
        settings_put(&b, "other", "");
        assert_false(settings_equal(a, b));
}

static void keys_are_equal_just_when_sets_are(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = three();
        OWN(settings_unref) struct settings *b = settings_new();
        OWN(settings_unref) struct settings *none = settings_new();

        settings_put(&b, "APPLICATION_NAME", "");
        settings_put(&b, "timezone", "UTC");
        settings_put(&b, "Client_Encoding", "UTF8");

        OWN(free) char *of_a = settings_key(a);
        OWN(free) char *of_b = settings_key(b);
        OWN(free) char *of_none = settings_key(none);

        assert_string_equal(of_a, of_b);
        assert_string_equal(of_none, "");
}

static void a_value_cannot_forge_a_key(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = settings_new();
        OWN(settings_unref) struct settings *b = settings_new();

        settings_put(&a, "a", "1");
        settings_put(&a, "b", "2");
        settings_put(&b, "a", "11:b1:2");

        OWN(free) char *of_a = settings_key(a);
        OWN(free) char *of_b = settings_key(b);

        assert_string_not_equal(of_a, of_b);
}

static void put(void *to, const char *name, const char *value)
{
        settings_put(to, name, value);
}

static void as_options_they_are_read_back(void **state)
{
        (void) state;
        OWN(settings_unref) struct settings *a = settings_new(), *b = settings_new();
        struct error e = {0};
        struct bytes out;

        settings_put(&a, "application_name", " two  words\t\\and 'more' = -c x=y\n");
        settings_put(&a, "search_path", "");
        settings_put(&a, "work_mem", "4MB");
        bytes_init(&out, 0);
        settings_options(a, &out);
        bytes_append(&out, "", 1);
        assert_true(startup_options((const char *) bytes_data(&out), put, &b, &e));
        assert_true(settings_equal(a, b));
        bytes_free(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_new_set_is_empty),
                cmocka_unit_test(what_was_put_is_found_whatever_the_case),
                cmocka_unit_test(order_is_that_of_first_putting),
                cmocka_unit_test(removing_and_clearing_leave_the_rest_whole),
                cmocka_unit_test(a_shared_set_is_copied_when_someone_writes),
                cmocka_unit_test(writing_what_is_there_already_keeps_sharing),
                cmocka_unit_test(a_value_of_the_set_itself_can_be_put),
                cmocka_unit_test(no_set_at_all_reads_as_an_empty_one),
                cmocka_unit_test(equal_means_same_names_and_values_in_any_order),
                cmocka_unit_test(keys_are_equal_just_when_sets_are),
                cmocka_unit_test(a_value_cannot_forge_a_key),
                cmocka_unit_test(as_options_they_are_read_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
