/* A client's first packets. */
#include "../base/cmocka_all.h"
#include "frontend/greet.h"
#include "wire/compose.h"

static struct greet g;
static struct bytes answer;
static struct error e;

static int setup(void **state)
{
        (void) state;
        greet_init(&g);
        bytes_init(&answer, 0);
        e = (struct error){0};
        return 0;
}

static int teardown(void **state)
{
        (void) state;
        greet_free(&g);
        bytes_free(&answer);
        return 0;
}

static enum greet_verdict reads(const char *packet, size_t n)
{
        size_t used;
        uint8_t *copy = malloc(n);
        memcpy(copy, packet, n);
        enum greet_verdict v = greet_read(&g, copy, n, &used, &answer, &e);
        free(copy);
        assert_true(used <= n);
        return v;
}

#define READS(packet) reads(packet, sizeof(packet) - 1)
#define TLS "\0\0\0\10\4\322\26\57"
#define GSS "\0\0\0\10\4\322\26\60"

/* Of version 3.minor, with these parameters: name, NUL, value, NUL ... */
static enum greet_verdict session(uint8_t minor, const char *parameters, size_t n)
{
        char packet[300] = {0, 0, 0, 0, 0, 3, 0, (char) minor};
        static const char user[] = "user\0me\0database\0prod";
        memcpy(packet + 8, user, sizeof user);
        memcpy(packet + 8 + sizeof user, parameters, n);
        size_t size = 8 + sizeof user + n + 1;
        packet[2] = (char) (size >> 8);
        packet[3] = (char) size;
        return reads(packet, size);
}

#define SESSION(minor, parameters) session(minor, parameters, sizeof(parameters) - 1)

static void said(const char *expected, size_t n)
{
        struct bytes out;
        bytes_init(&out, 0);
        greet_negotiate(&g, &out);
        assert_int_equal(bytes_length(&out), n);
        if (n)
                assert_memory_equal(bytes_data(&out), expected, n);
        bytes_free(&out);
}

#define NEGOTIATES(expected) said(expected, sizeof(expected) - 1)

static void encryption_is_declined_in_any_order(void **state)
{
        (void) state;
        assert_int_equal(READS(TLS), GREET_AGAIN);
        assert_int_equal(READS(GSS), GREET_AGAIN);
        assert_int_equal(SESSION(0, ""), GREET_SESSION);
        assert_int_equal(bytes_length(&answer), 2);
        assert_memory_equal(bytes_data(&answer), "NN", 2);
        assert_string_equal(g.database, "prod");
}

static void or_the_other_way_round(void **state)
{
        (void) state;
        assert_int_equal(READS(GSS), GREET_AGAIN);
        assert_int_equal(READS(TLS), GREET_AGAIN);
        assert_int_equal(SESSION(0, ""), GREET_SESSION);
        assert_memory_equal(bytes_data(&answer), "NN", 2);
}

static void but_once_each(void **state)
{
        (void) state;
        assert_int_equal(READS(TLS), GREET_AGAIN);
        assert_int_equal(READS(TLS), GREET_BAD);
        assert_string_equal(e.sqlstate, "08P01");
        greet_free(&g);
        assert_int_equal(READS(GSS), GREET_AGAIN);
        assert_int_equal(READS(GSS), GREET_BAD);
        assert_int_equal(bytes_length(&answer), 2);
}

static void what_was_sent_ahead_is_not_believed(void **state)
{
        (void) state;
        assert_int_equal(READS(TLS "\0"), GREET_BAD);
        assert_string_equal(e.sqlstate, "08P01");
        assert_int_equal(READS(GSS TLS), GREET_BAD);
        assert_int_equal(bytes_length(&answer), 0);
}

static void versions_3_0_to_3_2_need_no_words(void **state)
{
        (void) state;
        for (uint8_t minor = 0; minor <= 2; minor++) {
                assert_int_equal(SESSION(minor, ""), GREET_SESSION);
                NEGOTIATES("");
                greet_free(&g);
        }
}

static void a_later_one_is_brought_down_to_3_2(void **state)
{
        (void) state;
        assert_int_equal(SESSION(3, ""), GREET_SESSION);
        NEGOTIATES("v\0\0\0\14\0\3\0\2\0\0\0\0");
        greet_free(&g);
        assert_int_equal(SESSION(99, "_pq_.new\0on"), GREET_BAD);       /* a value that does not end */
        greet_free(&g);
        assert_int_equal(SESSION(99, "_pq_.new\0on\0"), GREET_SESSION);
        NEGOTIATES("v\0\0\0\25\0\3\0\2\0\0\0\1_pq_.new\0");
}

static void options_that_nobody_knows_are_named(void **state)
{
        (void) state;
        assert_int_equal(SESSION(0, "_pq_.a\0" "1\0DateStyle\0SQL\0_pq_.b\0" "2\0"), GREET_SESSION);
        NEGOTIATES("v\0\0\0\32\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0");
        assert_string_equal(settings_get(g.settings, "DateStyle"), "SQL");
        assert_null(settings_get(g.settings, "_pq_.a"));
}

static void replication_is_no_setting(void **state)
{
        (void) state;
        assert_int_equal(SESSION(0, "replication\0database\0"), GREET_SESSION);
        assert_string_equal(g.replication, "database");
        assert_null(settings_get(g.settings, "replication"));
        greet_free(&g);
        assert_int_equal(SESSION(0, "replication\0true\0replication\0off\0"), GREET_SESSION);
        assert_null(g.replication);
        assert_null(settings_get(g.settings, "replication"));
}

static void what_only_a_start_can_set_is_kept_apart(void **state)
{
        (void) state;
        assert_int_equal(SESSION(0, "options\0-c Log_Disconnections=on -c geqo=off\0post_auth_delay\0" "1\0"), GREET_SESSION);
        assert_string_equal(settings_get(g.settings, "geqo"), "off");
        assert_int_equal(settings_count(g.settings), 1);
        assert_string_equal(settings_get(g.at_start, "log_disconnections"), "on");
        assert_string_equal(settings_get(g.at_start, "post_auth_delay"), "1");
}

static void a_cancel_request_may_have_a_long_key(void **state)
{
        char packet[12 + 256] = {0, 0, 1, 12, 4, (char) 210, 22, 46, 0, 0, 0, 7, 'k'};
        (void) state;
        assert_int_equal(reads(packet, sizeof packet), GREET_CANCEL);
        assert_int_equal(g.cancel_pid, 7);
        assert_int_equal(g.cancel_key_size, 256);
        assert_memory_equal(g.cancel_key, packet + 12, 256);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(encryption_is_declined_in_any_order),
                TEST(or_the_other_way_round),
                TEST(but_once_each),
                TEST(what_was_sent_ahead_is_not_believed),
                TEST(versions_3_0_to_3_2_need_no_words),
                TEST(a_later_one_is_brought_down_to_3_2),
                TEST(options_that_nobody_knows_are_named),
                TEST(replication_is_no_setting),
                TEST(what_only_a_start_can_set_is_kept_apart),
                TEST(a_cancel_request_may_have_a_long_key),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
