#include <stdio.h>
#include "../base/cmocka_all.h"
#include "secret/hosts.h"

/* "name:port name:port" of what was read, or the complaint. */
static const char *reading(const char *names, const char *ports)
{
        static char text[1024];
        struct hosts h = {.count = 0};
        const char *wrong = hosts_read_names(&h, names);
        int at = 0;

        hosts_set_port(&h, 5432);
        if (!wrong && ports)
                wrong = hosts_read_ports(&h, ports);
        for (unsigned i = 0; i < h.count; i++)
                at += snprintf(text + at, sizeof text - (size_t) at, "%s%s:%u", i ? " " : "", h.at[i].name,
                               h.at[i].port);
        hosts_free(&h);
        return wrong ? wrong : text;
}

static void one_host_is_a_list_of_one(void **state)
{
        (void) state;
        assert_string_equal(reading("db.example", NULL), "db.example:5432");
        assert_string_equal(reading("db.example", "6432"), "db.example:6432");
        assert_string_equal(reading("/run/postgresql", "1"), "/run/postgresql:1");
        assert_string_equal(reading("::1", "65535"), "::1:65535");
}

static void a_list_has_one_port_or_as_many(void **state)
{
        (void) state;
        assert_string_equal(reading("a,b,c", "6432"), "a:6432 b:6432 c:6432");
        assert_string_equal(reading("a,b,c", "1,2,3"), "a:1 b:2 c:3");
        assert_string_equal(reading(" a , b", "1 , 2"), "a:1 b:2");
        assert_string_equal(reading("a,/tmp", "1,2"), "a:1 /tmp:2");
        assert_string_equal(reading("a,b,c", "1,2"), "it lists fewer ports than there are hosts");
        assert_string_equal(reading("a,b", "1,2,3"), "it lists more ports than there are hosts");
        assert_string_equal(reading("a", "1,2"), "it lists more ports than there are hosts");
}

static void what_is_no_host_is_refused(void **state)
{
        (void) state;
        assert_string_equal(reading("", NULL), "a host in it has no name");
        assert_string_equal(reading("a,", NULL), "a host in it has no name");
        assert_string_equal(reading(",a", NULL), "a host in it has no name");
        assert_string_equal(reading("a, ,b", NULL), "a host in it has no name");
        assert_string_equal(reading("a,@b", NULL), "an abstract socket is not in this version");
        assert_string_equal(reading("a b,c", NULL), "it holds a blank or a control character");
        assert_string_equal(reading("a,b\n", NULL), "it holds a blank or a control character");
}

static void what_is_no_port_is_refused(void **state)
{
        static const char *const wrong[] = {"",   "0",     "65536", "54 32", "-1",     "1,",
                                            "x,1", ",1",    "1,,2",  "5432x", "99999999999"};

        (void) state;
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                assert_string_equal(reading("a,b", wrong[i]),
                                    "not a port, expected a whole number from 1 to 65535");
}

static void a_list_has_an_end(void **state)
{
        (void) state;
        assert_string_equal(reading("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "7"),
                            "1:7 2:7 3:7 4:7 5:7 6:7 7:7 8:7 9:7 10:7 11:7 12:7 13:7 14:7 15:7 16:7");
        assert_string_equal(reading("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL),
                            "it names more than 16 hosts");
}

static bool same(const char *a, const char *a_ports, const char *b, const char *b_ports)
{
        struct hosts x = {.count = 0}, y = {.count = 0};
        bool equal;

        assert_null(hosts_read_names(&x, a));
        assert_null(hosts_read_names(&y, b));
        assert_null(hosts_read_ports(&x, a_ports));
        assert_null(hosts_read_ports(&y, b_ports));
        equal = hosts_equal(&x, &y);
        hosts_free(&x);
        hosts_free(&y);
        return equal;
}

static void lists_are_the_same_host_by_host(void **state)
{
        (void) state;
        assert_true(same("a,b", "1", "A, b", "1,1"));
        assert_true(same("/a", "1", "/a", "1"));
        assert_false(same("/a", "1", "/A", "1"));
        assert_false(same("a,b", "1", "b,a", "1"));
        assert_false(same("a,b", "1", "a", "1"));
        assert_false(same("a,b", "1", "a,b", "1,2"));
        assert_false(same("a,b", "1", "a,c", "1"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_host_is_a_list_of_one),
                cmocka_unit_test(a_list_has_one_port_or_as_many),
                cmocka_unit_test(what_is_no_host_is_refused),
                cmocka_unit_test(what_is_no_port_is_refused),
                cmocka_unit_test(a_list_has_an_end),
                cmocka_unit_test(lists_are_the_same_host_by_host),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
