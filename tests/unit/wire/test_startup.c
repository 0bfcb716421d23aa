/* The first packets of a client are told apart, and bad ones refused with a reason. */
#include "cmocka_all.h"
#include "base/bytes.h"
#include "wire/compose.h"
#include "wire/startup.h"

static struct startup s;
static struct error e;

static enum frame_verdict reads(const void *p, size_t n)
{
        static uint8_t *copy;
        free(copy);
        copy = exactly(p, n);
        memset(&s, 0xa5, sizeof s);
        error_clear(&e);
        return startup_read(copy, n, &s, &e);
}

static void encryption_requests_are_told_apart(void **state)
{
        (void) state;
        assert_int_equal(reads("\0\0\0\10\4\xd2\x16\x2f", 8), FRAME_READY);
        assert_int_equal(s.kind, STARTUP_SSL);
        assert_int_equal(s.size, 8);
        assert_int_equal(reads("\0\0\0\10\4\xd2\x16\x30more", 12), FRAME_READY);
        assert_int_equal(s.kind, STARTUP_GSSENC);
        assert_int_equal(s.size, 8);
        assert_int_equal(reads("\x16\x03\x01", 1), FRAME_READY);
        assert_int_equal(s.kind, STARTUP_TLS_HELLO);
}

static void a_broker_that_replaces_this_one_says_so(void **state)
{
        (void) state;
        assert_int_equal(reads(STARTUP_SUCCESSOR_PACKET, 8), FRAME_READY);
        assert_int_equal(s.kind, STARTUP_SUCCESSOR);
        assert_int_equal(reads(STARTUP_SUCCESSOR_PACKET, 7), FRAME_SHORT);
        assert_int_equal(reads("\0\0\0\11\4\322\25\67x", 9), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\10\4\322\25\66", 8), FRAME_BAD);
}

static void a_cancel_request_has_a_key(void **state)
{
        (void) state;
        assert_int_equal(reads("\0\0\0\20\4\xd2\x16\x2e\0\0\1\2abcd", 16), FRAME_READY);
        assert_int_equal(s.kind, STARTUP_CANCEL);
        assert_int_equal(s.cancel_pid, 0x102);
        assert_int_equal(s.cancel_key_size, 4);
        assert_memory_equal(s.cancel_key, "abcd", 4);
        uint8_t packet[300] = {0, 0, 1, 0x0c, 4, 0xd2, 0x16, 0x2e};
        assert_int_equal(reads(packet, 268), FRAME_READY);
        assert_int_equal(s.cancel_key_size, 256);
        packet[3]++;
        assert_int_equal(reads(packet, 269), FRAME_BAD);
        packet[2] = 0;
        packet[3] = 15;
        assert_int_equal(reads(packet, 15), FRAME_BAD);
        assert_string_equal(e.sqlstate, "08P01");
}

static void a_session_has_parameters(void **state)
{
        (void) state;
        static char packet[] = "\0\0\0\72\0\3\0\2user\0me\0database\0prod\0user\0you\0"
                               "_pq_.x\0y\0options\0\0";
        for (size_t n = 0; n < sizeof packet; n++)
                assert_int_equal(reads(packet, n), FRAME_SHORT);
        assert_int_equal(reads(packet, sizeof packet), FRAME_READY);
        assert_int_equal(s.size, sizeof packet);
        assert_int_equal(s.kind, STARTUP_SESSION);
        assert_int_equal(s.major, 3);
        assert_int_equal(s.minor, 2);
        assert_int_equal(s.count, 5);
        assert_int_equal(s.unknown_options, 1);
        assert_string_equal(startup_get(&s, "user"), "you");
        assert_string_equal(s.parameters[0].value, "me");
        assert_string_equal(startup_get(&s, "options"), "");
        assert_null(startup_get(&s, "password"));
        packet[3]--; /* no terminator */
        assert_int_equal(reads(packet, sizeof packet), FRAME_BAD);
        packet[3]--; /* no value */
        assert_int_equal(reads(packet, sizeof packet), FRAME_BAD);
        assert_string_equal(e.sqlstate, "08P01");
}

static void versions_other_than_3_are_not_supported(void **state)
{
        (void) state;
        assert_int_equal(reads("\0\0\0\11\0\2\0\0", 8), FRAME_BAD);
        assert_string_equal(e.sqlstate, "0A000");
        assert_int_equal(reads("\0\0\0\11\4\xd2\x16\x2d", 8), FRAME_BAD);
        assert_string_equal(e.sqlstate, "0A000");
        assert_int_equal(reads("\0\0\0\11\0\3\0\x63\0", 9), FRAME_READY);
        assert_int_equal(s.minor, 99);
}

static void other_protocols_are_refused_at_once(void **state)
{
        (void) state;
        assert_int_equal(reads("GET / HTTP/1.0", 1), FRAME_BAD);
        assert_string_equal(e.sqlstate, "08P01");
        assert_int_equal(reads("\0\0\0\7", 4), FRAME_BAD);
        assert_int_equal(reads("\0\0\x27\x11", 4), FRAME_BAD);
        assert_int_equal(reads("\0\0\x27\x10", 4), FRAME_SHORT);
        assert_int_equal(reads("\0\xff\xff\xff", 4), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\11\4\xd2\x16\x2f\0", 9), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\10\0\3\0\0", 8), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\13\0\3\0\0\0a\0", 11), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\13\0\3\0\0a\0b", 11), FRAME_BAD);
        assert_int_equal(reads("\0\0\0\11\0\3\0\0a", 9), FRAME_BAD);
}

static void there_may_be_128_parameters(void **state)
{
        (void) state;
        const char *list[2 * (STARTUP_MAX_PARAMETERS + 1) + 1] = {NULL};
        for (size_t i = 0; i < 2 * STARTUP_MAX_PARAMETERS; i++)
                list[i] = "x";
        struct bytes b;
        bytes_init(&b, 0);
        compose_startup(&b, 0, list);
        assert_int_equal(reads(bytes_data(&b), bytes_length(&b)), FRAME_READY);
        assert_int_equal(s.count, STARTUP_MAX_PARAMETERS);
        list[2 * STARTUP_MAX_PARAMETERS] = list[2 * STARTUP_MAX_PARAMETERS + 1] = "x";
        bytes_free(&b);
        compose_startup(&b, 0, list);
        assert_int_equal(reads(bytes_data(&b), bytes_length(&b)), FRAME_BAD);
        bytes_free(&b);
}

static void note(void *arg, const char *name, const char *value)
{
        char *text = arg;
        snprintf(text + strlen(text), 200, "%s=%s;", name, value);
}

static void options_are_split_as_postgresql_does(void **state)
{
        (void) state;
        static const struct {
                const char *options, *found;
        } good[] = {
                {"", ""},
                {"  \t\n", ""},
                {"-c a=b", "a=b;"},
                {"-ca=b", "a=b;"},
                {"--a=b", "a=b;"},
                {" -c  work-mem=1 --search-path=a,b ", "work_mem=1;search_path=a,b;"},
                {"-c a=b\\ c --d=\\\\e\\-", "a=b c;d=\\e-;"},
                {"-c a= -c b==", "a=;b==;"},
                {"--a.b=c\\", "a.b=c;"},
                {"-e", "DateStyle=euro;"},
                {"-S 2048 -S4MB -fs -f h", "work_mem=2048;work_mem=4MB;enable_seqscan=false;enable_hashjoin=false;"},
                {"-es -tpa -t planner -c a=b", "DateStyle=euro;log_statement_stats=true;log_parser_stats=true;"
                                               "log_planner_stats=true;a=b;"},
                {"-B 100", "shared_buffers=100;"},
                {"-c statement_timeout=5s\v-c\fgeqo=off", "statement_timeout=5s;geqo=off;"},
        };
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                char text[2000] = "";
                error_clear(&e);
                assert_true(startup_options(good[i].options, note, text, &e));
                assert_string_equal(text, good[i].found);
                assert_false(error_is_set(&e));
        }
}

static void other_switches_are_refused(void **state)
{
        (void) state;
        static const char *const bad[] = {"-Z", "-c",    "-c a",      "--", "--a",  "-S",  "-fx",
                                          "x",  "-c =1", "-c a=b -eZ", "-",  "--=1", "\\", "-t x", "-c a=b -f"};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                char text[2000] = "";
                error_clear(&e);
                assert_false(startup_options(bad[i], note, text, &e));
                assert_string_equal(e.sqlstate, "42601");
                assert_true(error_is_set(&e));
        }
        static char text[STARTUP_MAX + 10] = "-c a=";
        memset(text + 5, 'x', STARTUP_MAX);
        char found[20000] = "";
        assert_false(startup_options(text, note, found, &e));
}

static void replication_has_postgresql_s_words(void **state)
{
        (void) state;
        static const char *const none[] = {"false", "F", "fal", "no", "N", "off", "of", "0"};
        static const char *const physical[] = {"true", "on", "yes", "1", "o", "", "DATABASE", "falsely", "nonsense"};
        for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
                assert_int_equal(startup_replication(none[i]), REPLICATION_NONE);
        for (size_t i = 0; i < sizeof physical / sizeof physical[0]; i++)
                assert_int_equal(startup_replication(physical[i]), REPLICATION_PHYSICAL);
        assert_int_equal(startup_replication("database"), REPLICATION_LOGICAL);
        assert_string_equal(replication_name(REPLICATION_LOGICAL), "logical");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(encryption_requests_are_told_apart),
                cmocka_unit_test(a_broker_that_replaces_this_one_says_so),
                cmocka_unit_test(a_cancel_request_has_a_key),
                cmocka_unit_test(a_session_has_parameters),
                cmocka_unit_test(versions_other_than_3_are_not_supported),
                cmocka_unit_test(other_protocols_are_refused_at_once),
                cmocka_unit_test(there_may_be_128_parameters),
                cmocka_unit_test(options_are_split_as_postgresql_does),
                cmocka_unit_test(other_switches_are_refused),
                cmocka_unit_test(replication_has_postgresql_s_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
