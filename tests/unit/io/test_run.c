#include "turns.h"
#include <signal.h>
#include <unistd.h>
#include "io/run.h"

static struct {
        int calls;
        bool ran;
        int status, signal;
        char output[256], complaint[256], error[512];
        size_t output_size;
} got;

static void done(void *arg, const struct run_result *r, const struct error *e)
{
        (void) arg;
        got.calls++;
        got.ran = r->ran;
        got.status = r->status;
        got.signal = r->signal;
        got.output_size = r->output_size;
        snprintf(got.output, sizeof got.output, "%s", r->output);
        snprintf(got.complaint, sizeof got.complaint, "%s", r->complaint);
        snprintf(got.error, sizeof got.error, "%s", e ? e->text : "");
        assert_int_equal(r->ran, !e);
}

static struct run *start(struct loop *l, char *const *words, unsigned timeout_ms)
{
        memset(&got, 0, sizeof got);
        return run_start(l,
                         &(struct run_request){.words = words,
                                               .output_limit = 100,
                                               .complaint_limit = 10,
                                               .timeout_ms = timeout_ms},
                         done, NULL);
}

#define SH(text)                                                                                   \
        (char *[])                                                                                 \
        {                                                                                          \
                "sh", "-c", text, NULL                                                             \
        }

static void runs(struct loop *l, char *const *words, unsigned timeout_ms)
{
        start(l, words, timeout_ms);
        assert_int_equal(got.calls, 0);
        assert_true(turns_until(l, &got.calls, 1, 20000));
        turns_for(l, 20);
        assert_int_equal(got.calls, 1);
}

static void what_it_prints_and_how_it_ends_is_told(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, SH("echo out; echo oops >&2; exit 3"), 20000);
        assert_true(got.ran);
        assert_int_equal(got.status, 3);
        assert_int_equal(got.signal, 0);
        assert_string_equal(got.output, "out\n");
        assert_string_equal(got.complaint, "oops\n");
        runs(l, SH("kill -9 $$"), 20000);
        assert_int_equal(got.signal, SIGKILL);
}

static void words_are_what_it_gets(void **state)
{
        char *const words[] = {"printf", "[%s]", "a b", "$HOME", "*", NULL};

        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, words, 20000);
        assert_string_equal(got.output, "[a b][$HOME][*]");
}

static void it_has_nothing_to_read(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, SH("cat; echo end"), 20000);
        assert_string_equal(got.output, "end\n");
}

static void it_has_no_files_of_this_process(void **state)
{
        OWN(free) char *text = NULL;
        int fd[2];

        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        assert_int_equal(pipe(fd), 0);
        text = own_format("ls -l /proc/self/fd | grep -c -- '^.* %d -> pipe'", fd[1]);
        runs(l, SH(text), 20000);
        assert_string_equal(got.output, "0\n");
        close(fd[0]);
        close(fd[1]);
}

static void what_does_not_exist_is_told(void **state)
{
        char *const words[] = {"/nonexistent/program", NULL};

        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, words, 20000);
        assert_false(got.ran);
        assert_string_equal(got.error, "/nonexistent/program: no such file or directory");
}

static void too_much_output_ends_it(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, SH("printf '%100s' x"), 20000);
        assert_true(got.ran);
        assert_int_equal(got.output_size, 100);
        runs(l, SH("exec yes"), 20000);
        assert_string_equal(got.error, "it printed more than 100 bytes");
}

static void too_many_complaints_are_dropped(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, SH("echo 0123456789abc >&2; echo out"), 20000);
        assert_true(got.ran);
        assert_string_equal(got.complaint, "0123456789");
        assert_string_equal(got.output, "out\n");
}

static bool is_alive(const char *pid)
{
        return kill((pid_t) atoi(pid), 0) == 0;
}

static void dies(struct loop *l, const char *pid)
{
        for (int i = 0; i < 500 && is_alive(pid); i++)
                turns_for(l, 10);
        assert_false(is_alive(pid));
}

static void when_its_time_is_over_it_dies_with_all_it_started(void **state)
{
        char *space;

        (void) state;
        OWN(loop_free) struct loop *l = loop_new();

        runs(l, SH("sleep 600 & echo $$ $!; wait"), 1000);
        assert_false(got.ran);
        assert_string_equal(got.error, "it did not end within 1 s");
        space = strchr(got.output, ' ');
        assert_non_null(space);
        dies(l, got.output);
        /* Whoever takes in orphans here may not wait for them; then a zombie is left. */
        OWN(free) char *stat = own_format("/proc/%d/stat", atoi(space));
        FILE *f = fopen(stat, "r");
        char kind = 'Z';

        if (f && fscanf(f, "%*d (%*[^)]) %c", &kind) != 1)
                kind = 'Z';
        if (f)
                fclose(f);
        assert_int_equal(kind, 'Z');
}

static void cancelling_kills_it(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *path = own_format("%s/pid", folder);
        OWN(free)
        char *text = own_format("echo $$ > %s.new; mv %s.new %s; sleep 600", path, path, path);
        OWN(loop_free) struct loop *l = loop_new();
        struct run *r = start(l, SH(text), 20000);
        char pid[32] = "";
        FILE *f = NULL;

        for (int i = 0; i < 1000 && !(f = fopen(path, "r")); i++)
                turns_for(l, 10);
        assert_non_null(f);
        assert_non_null(fgets(pid, sizeof pid, f));
        fclose(f);
        run_cancel(r);
        run_cancel(NULL);
        dies(l, pid);
        assert_int_equal(got.calls, 0);
}

static void the_loop_may_end_first(void **state)
{
        (void) state;
        struct loop *l = loop_new();
        struct run *r = start(l, SH("sleep 600"), 20000);

        run_cancel(r);
        loop_free(l);
        assert_int_equal(got.calls, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_it_prints_and_how_it_ends_is_told),
                cmocka_unit_test(words_are_what_it_gets),
                cmocka_unit_test(it_has_nothing_to_read),
                cmocka_unit_test(it_has_no_files_of_this_process),
                cmocka_unit_test(what_does_not_exist_is_told),
                cmocka_unit_test(too_much_output_ends_it),
                cmocka_unit_test(too_many_complaints_are_dropped),
                cmocka_unit_test(when_its_time_is_over_it_dies_with_all_it_started),
                cmocka_unit_test(cancelling_kills_it),
                cmocka_unit_test(the_loop_may_end_first),
        };

        return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
