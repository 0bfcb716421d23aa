#include "cmocka_all.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include "base/log.h"
#include "base/own.h"

/* A log into memory: what it wrote is read back when the log is freed. */
static int memory(void)
{
        int fd = memfd_create("log", 0);

        assert_true(fd >= 0);
        return fd;
}

static char *written(int fd)
{
        off_t size = lseek(fd, 0, SEEK_END);
        char *text = own_alloc((size_t) size + 1);

        assert_int_equal(pread(fd, text, (size_t) size, 0), size);
        close(fd);
        return text;
}

static char *one_line(enum log_format format, const char *event, const struct log_field *fields)
{
        int fd = memory();
        struct log *l = log_new(fd, LOG_INFO, format);

        log_write(l, LOG_INFO, event, fields);
        log_free(l);
        return written(fd);
}

/* Behind the time, which is different each time. */
static void assert_rest(const char *line, const char *expected)
{
        const char *level = strstr(line, "level");

        assert_non_null(level);
        assert_string_equal(level, expected);
}

static double seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void a_line_bears_time_level_event_and_fields(void **state)
{
        (void) state;
        OWN(free)
        char *line = one_line(
                LOG_LOGFMT, "client connected",
                (struct log_field[]){log_int("pid", -12), log_str("environment", "prod"), {0}});

        assert_rest(line, "level=info event=\"client connected\" pid=-12 environment=prod\n");
        assert_memory_equal(line, "ts=20", 5);
        assert_int_equal(strcspn(line, " "), strlen("ts=2025-01-02T03:04:05.678Z"));
        assert_int_equal(line[strcspn(line, " ") - 1], 'Z');
        assert_int_equal(line[13], 'T');
        assert_int_equal(line[22], '.');
}

static void json_bears_the_same(void **state)
{
        (void) state;
        OWN(free)
        char *line = one_line(
                LOG_JSON, "client connected",
                (struct log_field[]){log_int("pid", -12), log_str("environment", "prod"), {0}});

        assert_rest(line, "level\":\"info\",\"event\":\"client connected\",\"pid\":-12,"
                          "\"environment\":\"prod\"}\n");
        assert_memory_equal(line, "{\"ts\":\"20", 9);
}

static void empty_texts_are_left_out(void **state)
{
        (void) state;
        struct error e = {0};

        error_set(&e, "08001", "refused");

        OWN(free)
        char *line = one_line(LOG_LOGFMT, "x",
                              (struct log_field[]){log_str("a", NULL), log_reason(&e), {0}});

        assert_rest(line, "level=info event=x reason=refused sqlstate=08001\n");
}

static void what_could_be_misread_is_quoted_and_escaped(void **state)
{
        (void) state;
        static const struct {
                const char *value, *logfmt, *json;
        } cases[] = {
                {"a b", "\"a b\"", "\"a b\""},
                {"a=b", "\"a=b\"", "\"a=b\""},
                {"say \"no\"", "\"say \\\"no\\\"\"", "\"say \\\"no\\\"\""},
                {"C:\\x", "\"C:\\\\x\"", "\"C:\\\\x\""},
                {"one\ntwo\r\t", "\"one\\ntwo\\r\\t\"", "\"one\\ntwo\\r\\t\""},
                {"\x1b[31m\x7f", "\"\\u001b[31m\\u007f\"", "\"\\u001b[31m\\u007f\""},
                {"k\xc3\xb6nig\xf0\x9f\x90\x98", "k\xc3\xb6nig\xf0\x9f\x90\x98",
                 "\"k\xc3\xb6nig\xf0\x9f\x90\x98\""},
                {"bad\xff", "\"bad\\ufffd\"", "\"bad\\ufffd\""},
                {"\xc3", "\"\\ufffd\"", "\"\\ufffd\""},
                {"\xe2\x82", "\"\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\""},
                {"\xc0\xaf", "\"\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\""},
                {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\\ufffd\""},
                {"\xf5\x80\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"",
                 "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
                {"\xc2\x9b", "\"\\u009b\"", "\"\\u009b\""},
                {"\xe2\x80\xae!", "\"\\u202e!\"", "\"\\u202e!\""},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct log_field fields[] = {log_str("v", cases[i].value), {0}};
                OWN(free) char *logfmt = one_line(LOG_LOGFMT, "x", fields);
                OWN(free) char *json = one_line(LOG_JSON, "x", fields);
                OWN(free) char *a = own_format("level=info event=x v=%s\n", cases[i].logfmt);
                OWN(free)
                char *b = own_format("level\":\"info\",\"event\":\"x\",\"v\":%s}\n", cases[i].json);

                assert_rest(logfmt, a);
                assert_rest(json, b);
        }
}

static void long_values_and_lines_are_cut_and_say_so(void **state)
{
        (void) state;
        char text[20000];
        struct log_field fields[] = {log_str("a", text), log_str("b", text), log_str("c", text),
                                     log_str("d", text), log_int("e", 1),    {0}};

        memset(text, '\n', sizeof text - 1);
        text[sizeof text - 1] = 0;

        OWN(free) char *json = one_line(LOG_JSON, "x", fields);
        OWN(free) char *logfmt = one_line(LOG_LOGFMT, "x", fields);

        assert_true(strlen(json) < 8192 && strlen(logfmt) < 8192);
        assert_non_null(strstr(json, "\\n...\",\"b\":\"\\n"));
        assert_string_equal(json + strlen(json) - 14, "...\",\"cut\":1}\n");
        assert_null(strstr(json, "\"d\""));
        assert_string_equal(logfmt + strlen(logfmt) - 11, "...\" cut=1\n");
}

static void only_wanted_levels_are_written(void **state)
{
        (void) state;
        int fd = memory(), counted = 0;
        struct log *l = log_new(fd, LOG_WARN, LOG_LOGFMT);

        log_info(l, "no", log_int("n", ++counted));
        log_write(l, LOG_DEBUG, "no", NULL);
        log_warn(l, "one", log_int("n", ++counted));
        log_set(l, LOG_DEBUG, LOG_JSON);
        log_debug(l, "two", log_int("n", ++counted));
        log_error(l, "three", log_str("s", "t"));
        log_free(l);

        OWN(free) char *text = written(fd);

        assert_int_equal(counted, 2);
        assert_null(strstr(text, "no"));
        assert_non_null(strstr(text, "level=warn event=one n=1\n"));
        assert_non_null(strstr(text, "\"level\":\"debug\",\"event\":\"two\",\"n\":2}\n"));
        assert_non_null(strstr(text, "\"level\":\"error\""));
}

static void no_log_logs_nothing(void **state)
{
        (void) state;
        log_error(NULL, "x", log_int("n", 1));
        log_write(NULL, LOG_ERROR, "x", NULL);
        log_set(NULL, LOG_DEBUG, LOG_JSON);
        assert_false(log_wants(NULL, LOG_ERROR));
        assert_int_equal(log_dropped(NULL), 0);
        log_free(NULL);
}

static void write_many(struct log *l, int from, int to)
{
        char filler[500];

        memset(filler, 'f', sizeof filler - 1);
        filler[sizeof filler - 1] = 0;
        for (int i = from; i < to; i++)
                log_info(l, "line", log_int("i", i), log_str("filler", filler));
}

/* Reads a pipe to its end and counts what came, checking that each line is whole. */
struct reader {
        int fd;
        uint64_t lines, reported;
        bool torn;
};

static void *read_all(void *arg)
{
        struct reader *r = arg;
        FILE *f = fdopen(r->fd, "r");
        char line[9000];

        while (fgets(line, sizeof line, f)) {
                const char *lost = strstr(line, "lines dropped\" count=");

                r->torn |= strncmp(line, "ts=", 3) != 0 || !strchr(line, '\n') ||
                           strstr(line + 3, "ts=");
                if (lost)
                        r->reported += strtoull(strchr(lost, '=') + 1, NULL, 10);
                else
                        r->lines++;
        }
        fclose(f);
        return NULL;
}

static void a_reader_that_sleeps_blocks_nobody_and_learns_what_was_dropped(void **state)
{
        (void) state;
        int ends[2];
        pthread_t thread;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

        struct log *l = log_new(ends[1], LOG_INFO, LOG_LOGFMT);
        struct reader r = {.fd = ends[0]};
        double began = seconds();

        write_many(l, 0, 6000);
        assert_true(seconds() - began < 60);    /* for ever, if it blocked */
        assert_true(log_dropped(l) > 0);
        pthread_create(&thread, NULL, read_all, &r);
        log_info(l, "last", log_int("i", 1));

        uint64_t dropped = log_dropped(l);

        log_free(l);
        close(ends[1]);
        pthread_join(thread, NULL);
        assert_false(r.torn);
        assert_int_equal(r.reported, dropped);
        assert_int_equal(r.lines + dropped, 6001);
}

static void a_nonblocking_descriptor_loses_nothing(void **state)
{
        (void) state;
        int ends[2];
        pthread_t thread;

        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        fcntl(ends[0], F_SETFL, 0);

        struct log *l = log_new(ends[1], LOG_INFO, LOG_LOGFMT);
        struct reader r = {.fd = ends[0]};

        write_many(l, 0, 800);
        pthread_create(&thread, NULL, read_all, &r);
        write_many(l, 800, 1000);
        log_free(l);
        close(ends[1]);
        pthread_join(thread, NULL);
        assert_false(r.torn);
        assert_int_equal(r.lines, 1000);
}

static void a_full_disk_drops_and_counts(void **state)
{
        (void) state;
        int fd = open("/dev/full", O_WRONLY);
        struct log *l = log_new(fd, LOG_INFO, LOG_LOGFMT);
        double until = seconds() + 10;

        write_many(l, 0, 100);
        while (log_dropped(l) < 100 && seconds() < until)
                poll(NULL, 0, 1);
        assert_int_equal(log_dropped(l), 100);
        log_free(l);
        close(fd);
}

static void limit_file_size(rlim_t size)
{
        struct rlimit limit;

        getrlimit(RLIMIT_FSIZE, &limit);
        limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A disk that takes 10 kB at first: the line that it cut is ended before the next one begins. */
static void a_disk_with_room_again_goes_on_with_whole_lines(void **state)
{
        (void) state;
        char path[] = "/tmp/test_log.XXXXXX";
        int fd = mkstemp(path);

        unlink(path);
        limit_file_size(10000);

        struct log *l = log_new(fd, LOG_INFO, LOG_LOGFMT);
        double until = seconds() + 10;

        write_many(l, 0, 100);
        while (log_dropped(l) < 70 && seconds() < until)
                poll(NULL, 0, 1);
        limit_file_size(RLIM_INFINITY);
        write_many(l, 100, 110);
        log_free(l);

        OWN(free) char *text = written(fd);
        size_t whole = 0, torn = 0, reports = 0;

        assert_non_null(strstr(text, " i=109 "));
        for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
                assert_memory_equal(line, "ts=", 3);
                assert_null(strstr(line + 3, "ts="));
                if (strstr(line, "event=\"log lines dropped\" count="))
                        reports++;
                else if (strlen(line) > 500 && strstr(line, " i="))
                        whole++;
                else
                        torn++;
        }
        assert_true(whole >= 20 && whole <= 40);
        assert_true(torn <= 1);
        assert_true(reports >= 1);
}

static void a_reader_that_is_gone_does_not_end_the_process(void **state)
{
        (void) state;
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        close(ends[0]);
        signal(SIGPIPE, SIG_DFL);

        struct log *l = log_new(ends[1], LOG_INFO, LOG_LOGFMT);
        double until = seconds() + 10;

        write_many(l, 0, 10);
        while (log_dropped(l) < 10 && seconds() < until)
                poll(NULL, 0, 1);
        assert_int_equal(log_dropped(l), 10);
        log_free(l);
        close(ends[1]);
}

static void freeing_waits_a_second_at_most_for_a_reader_that_sleeps(void **state)
{
        (void) state;
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);

        struct log *l = log_new(ends[1], LOG_INFO, LOG_LOGFMT);
        double began = seconds();

        write_many(l, 0, 300);
        log_free(l);
        assert_true(seconds() - began >= 0.4 && seconds() - began < 30);
        close(ends[0]);                 /* ends the thread, which has the other end as long as that takes */
}

struct writer {
        struct log *log;
        int from;
};

static void *write_some_lines(void *arg)
{
        struct writer *w = arg;

        write_many(w->log, w->from, w->from + 300);
        log_set(w->log, LOG_INFO, LOG_LOGFMT);
        return NULL;
}

static void threads_share_it_line_by_line(void **state)
{
        (void) state;
        int fd = memory();
        struct log *l = log_new(fd, LOG_INFO, LOG_LOGFMT);
        pthread_t threads[4];
        struct writer w[4];

        for (int i = 0; i < 4; i++) {
                w[i] = (struct writer){l, 1000 + i * 300};
                pthread_create(&threads[i], NULL, write_some_lines, &w[i]);
        }
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(log_dropped(l), 0);
        log_free(l);

        OWN(free) char *text = written(fd);
        size_t lines = 0;
        char want[16];

        for (char *rest = text; (rest = strchr(rest, '\n')); rest++)
                lines++;
        assert_int_equal(lines, 1200);
        for (int i = 1000; i < 2200; i += 50) {
                snprintf(want, sizeof want, " i=%d ", i);
                assert_non_null(strstr(text, want));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_bears_time_level_event_and_fields),
                cmocka_unit_test(json_bears_the_same),
                cmocka_unit_test(empty_texts_are_left_out),
                cmocka_unit_test(what_could_be_misread_is_quoted_and_escaped),
                cmocka_unit_test(long_values_and_lines_are_cut_and_say_so),
                cmocka_unit_test(only_wanted_levels_are_written),
                cmocka_unit_test(no_log_logs_nothing),
                cmocka_unit_test(a_reader_that_sleeps_blocks_nobody_and_learns_what_was_dropped),
                cmocka_unit_test(a_nonblocking_descriptor_loses_nothing),
                cmocka_unit_test(a_full_disk_drops_and_counts),
                cmocka_unit_test(a_disk_with_room_again_goes_on_with_whole_lines),
                cmocka_unit_test(a_reader_that_is_gone_does_not_end_the_process),
                cmocka_unit_test(freeing_waits_a_second_at_most_for_a_reader_that_sleeps),
                cmocka_unit_test(threads_share_it_line_by_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
