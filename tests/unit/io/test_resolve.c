#include "turns.h"
#include "io/resolve.h"

struct answer {
        int calls;
        bool good;
        struct resolve_addresses addresses;
        struct error error;
        struct resolve *running;        /* cancelled in the call: which must do nothing */
};

static void done(void *arg, const struct resolve_addresses *addresses, const struct error *e)
{
        struct answer *a = arg;

        a->calls++;
        a->good = addresses != NULL;
        assert_true((e == NULL) == a->good);
        if (addresses)
                a->addresses = *addresses;
        else
                a->error = *e;
        resolve_cancel(a->running);
}

static struct answer ask(const char *host)
{
        OWN(loop_free) struct loop *l = loop_new();
        struct answer a = {0};

        a.running = resolve_start(l, host, 5000, done, &a);
        assert_int_equal(a.calls, 0);
        assert_true(turns_until(l, &a.calls, 1, 10000));
        turns_for(l, 5);
        assert_int_equal(a.calls, 1);
        return a;
}

static void one_address(const char *host, const char *text, bool loopback)
{
        struct answer a = ask(host);

        assert_true(a.good);
        assert_int_equal(a.addresses.count, 1);
        assert_string_equal(a.addresses.text[0], text);
        assert_int_equal(a.addresses.loopback, loopback);
}

static void numeric_addresses_are_their_own_answer(void **state)
{
        (void) state;
        one_address("10.1.2.3", "10.1.2.3", false);
        one_address("127.0.0.1", "127.0.0.1", true);
        one_address("127.255.0.9", "127.255.0.9", true);
        one_address("128.0.0.1", "128.0.0.1", false);
        one_address("::1", "::1", true);
        one_address("0:0::1", "::1", true);
        one_address("fd00:ec2::23", "fd00:ec2::23", false);
        one_address("::ffff:127.0.0.1", "::ffff:127.0.0.1", true);
        one_address("::ffff:10.0.0.1", "::ffff:10.0.0.1", false);
        one_address("fe80::1%lo", "fe80::1%lo", false);
}

static void localhost_is_loopback(void **state)
{
        (void) state;
        struct answer a = ask("localhost");

        assert_true(a.good);
        assert_true(a.addresses.count >= 1);
        assert_true(a.addresses.loopback);
        for (size_t i = 0; i < a.addresses.count; i++)
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(a.addresses.text[i], a.addresses.text[k]);
}

static void what_is_no_name_is_an_error(void **state)
{
        (void) state;
        const char *names[] = {"", "no such host", "a..b", "\xff\xfe"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                struct answer a = ask(names[i]);

                assert_false(a.good);
                assert_string_equal(a.error.sqlstate, "08001");
                assert_true(a.error.hint[0]);
        }

        char longest[400] = "";

        memset(longest, 'a', sizeof longest - 1);
        assert_false(ask(longest).good);
}

static void a_cancelled_one_never_calls(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct answer a = {0};

        resolve_cancel(resolve_start(l, "localhost", 5000, done, &a));
        resolve_cancel(resolve_start(l, "127.0.0.1", 5000, done, &a));
        /* More than there are threads: some are taken back before they have begun. */
        for (int i = 0; i < 20; i++)
                resolve_cancel(resolve_start(l, "localhost", 5000, done, &a));
        resolve_cancel(NULL);
        turns_for(l, 100);
        assert_int_equal(a.calls, 0);
}

static void a_late_answer_is_thrown_away(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct answer a[40] = {0};
        int answered = 0;

        /* Either comes first, the name or the end of the time; one call in any case. */
        for (int i = 0; i < 40; i++)
                resolve_start(l, "localhost", 1, done, &a[i]);
        turns_for(l, 1000);
        for (int i = 0; i < 40; i++)
                answered += a[i].calls;
        assert_int_equal(answered, 40);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(numeric_addresses_are_their_own_answer),
                cmocka_unit_test(localhost_is_loopback),
                cmocka_unit_test(what_is_no_name_is_an_error),
                cmocka_unit_test(a_cancelled_one_never_calls),
                cmocka_unit_test(a_late_answer_is_thrown_away),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
