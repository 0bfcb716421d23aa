#include "turns.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/error.h"
#include "io/watch.h"

OWN_DEFINE(struct watch_file, watch_file_free)

struct seen {
        int calls;
        unsigned events;
        struct watch *watch;
        bool free_it;
        int fd;
};

static void ready(void *arg, unsigned events)
{
        struct seen *s = arg;

        s->calls++;
        s->events = events;
        if (!s->free_it) {
                watch_for(s->watch, 0);
                return;
        }
        watch_free(s->watch);
        close(s->fd);
        s->watch = NULL;
}

static void pair(int fd[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void only_what_is_asked_for_is_told(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct seen s = {0};
        int fd[2];

        pair(fd);
        s.watch = watch_new(l, fd[0], ready, &s);
        assert_int_equal(write(fd[1], "x", 1), 1);
        turns_for(l, 20);
        assert_int_equal(s.calls, 0);
        watch_for(s.watch, WATCH_READABLE);
        assert_true(turns_until(l, &s.calls, 1, 2000));
        assert_int_equal(s.events, WATCH_READABLE);
        turns_for(l, 20);
        assert_int_equal(s.calls, 1);
        watch_for(s.watch, WATCH_WRITABLE);
        assert_true(turns_until(l, &s.calls, 2, 2000));
        assert_int_equal(s.events, WATCH_WRITABLE);
        watch_for(s.watch, WATCH_READABLE | WATCH_WRITABLE);
        assert_true(turns_until(l, &s.calls, 3, 2000));
        assert_int_equal(s.events, WATCH_READABLE | WATCH_WRITABLE);
        watch_free(s.watch);
        close(fd[0]);
        close(fd[1]);
}

static void it_may_be_freed_while_it_calls(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct seen s = {.free_it = true};
        int fd[2];

        pair(fd);
        s.fd = fd[0];
        s.watch = watch_new(l, fd[0], ready, &s);
        watch_for(s.watch, WATCH_READABLE);
        close(fd[1]);
        assert_true(turns_until(l, &s.calls, 1, 2000));
        turns_for(l, 20);
        assert_int_equal(s.calls, 1);
}

static void the_descriptor_may_be_closed_and_used_anew_at_once(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct seen old = {0}, new = {0};
        int fd[2], again[2];

        pair(fd);
        old.watch = watch_new(l, fd[0], ready, &old);
        watch_for(old.watch, WATCH_READABLE);
        assert_int_equal(write(fd[1], "x", 1), 1);
        watch_free(old.watch);
        close(fd[0]);
        pair(again);
        assert_int_equal(again[0], fd[0]);
        new.watch = watch_new(l, again[0], ready, &new);
        watch_for(new.watch, WATCH_WRITABLE);
        assert_true(turns_until(l, &new.calls, 1, 2000));
        assert_int_equal(old.calls, 0);
        watch_free(new.watch);
        close(fd[1]);
        close(again[0]);
        close(again[1]);
}

static void an_error_is_told_and_reading_tells_why(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct seen s = {0};
        int ends[2];

        /* A pipe without a reader is in error for its writer. */
        assert_int_equal(pipe(ends), 0);
        s.watch = watch_new(l, ends[1], ready, &s);
        close(ends[0]);
        watch_for(s.watch, WATCH_WRITABLE);
        assert_true(turns_until(l, &s.calls, 1, 2000));
        assert_true(s.events & WATCH_ERROR);
        assert_true(s.events & WATCH_WRITABLE);
        watch_for(s.watch, WATCH_WRITABLE);
        assert_true(turns_until(l, &s.calls, 2, 2000));
        watch_free(s.watch);
        close(ends[1]);
}

static void what_cannot_be_polled_is_an_error_that_comes_later(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct seen s = {0};
        char name[] = "/tmp/pgbroker-test-XXXXXX";
        int fd = mkstemp(name);

        s.watch = watch_new(l, fd, ready, &s);
        watch_for(s.watch, WATCH_READABLE);
        assert_int_equal(s.calls, 0);
        assert_true(turns_until(l, &s.calls, 1, 2000));
        assert_int_equal(s.events, WATCH_ERROR | WATCH_READABLE);
        watch_for(s.watch, WATCH_READABLE);
        watch_free(s.watch);
        watch_free(NULL);
        turns_for(l, 10);
        assert_int_equal(s.calls, 1);
        close(fd);
        unlink(name);
}

/* ---- files ---- */

static void changed(void *arg)
{
        ++*(int *) arg;
}

static void put(const char *folder, const char *name, const char *text)
{
        OWN(free) char *path = own_format("%s/%s", folder, name);
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static void move(const char *folder, const char *from, const char *to)
{
        OWN(free) char *a = own_format("%s/%s", folder, from);
        OWN(free) char *b = own_format("%s/%s", folder, to);

        assert_int_equal(rename(a, b), 0);
}

static void link_to(const char *folder, const char *target, const char *name)
{
        OWN(free) char *path = own_format("%s/%s", folder, name);

        assert_int_equal(symlink(target, path), 0);
}

static struct watch_file *watch_it(struct loop *l, const char *folder, const char *name, int *calls)
{
        OWN(free) char *path = own_format("%s/%s", folder, name);
        struct error e = {0};
        struct watch_file *w = watch_file_new(l, path, changed, calls, &e);

        assert_string_equal(e.text, "");
        assert_non_null(w);
        return w;
}

/* One more call, and no further one. */
static void one_call(struct loop *l, const int *calls, int wanted)
{
        assert_true(turns_until(l, calls, wanted, 3000));
        turns_for(l, 250);
        assert_int_equal(*calls, wanted);
}

static void writing_replacing_and_removing_are_changes(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(watch_file_free) struct watch_file *w = NULL;
        OWN(free) char *path = own_format("%s/secret.json", folder);
        int calls = 0;

        put(folder, "secret.json", "one");
        w = watch_it(l, folder, "secret.json", &calls);
        turns_for(l, 250);
        assert_int_equal(calls, 0);
        put(folder, "secret.json", "two");
        put(folder, "secret.json", "three");
        one_call(l, &calls, 1);
        put(folder, "new", "four!");
        move(folder, "new", "secret.json");
        one_call(l, &calls, 2);
        assert_int_equal(chmod(path, 0600), 0);
        one_call(l, &calls, 3);
        unlink(path);
        one_call(l, &calls, 4);
        put(folder, "secret.json", "five");
        one_call(l, &calls, 5);
}

static void other_files_are_no_changes(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(watch_file_free) struct watch_file *w = NULL;
        int calls = 0;

        put(folder, "secret.json", "one");
        w = watch_it(l, folder, "secret.json", &calls);
        put(folder, "other.json", "one");
        turns_for(l, 300);
        assert_int_equal(calls, 0);
}

static void a_mounted_secret_changes_by_its_links(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(watch_file_free) struct watch_file *w = NULL;
        OWN(free) char *first = own_format("%s/..2026_1", folder);
        OWN(free) char *second = own_format("%s/..2026_2", folder);
        int calls = 0;

        mkdir(first, 0700);
        put(first, "key", "one");
        link_to(folder, "..2026_1", "..data");
        link_to(folder, "..data/key", "key");
        w = watch_it(l, folder, "key", &calls);

        mkdir(second, 0700);
        put(second, "key", "two");
        link_to(folder, "..2026_2", "..data_tmp");
        move(folder, "..data_tmp", "..data");
        one_call(l, &calls, 1);
        /* And the folder that it lies in now is watched, too. */
        put(second, "key", "three");
        one_call(l, &calls, 2);
}

static void a_folder_that_was_made_anew_is_found_again(void **state)
{
        (void) state;
        OWN(folder_remove) char *root = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(watch_file_free) struct watch_file *w = NULL;
        OWN(free) char *folder = own_format("%s/conf", root);
        OWN(free) char *path = own_format("%s/secret", folder);
        int calls = 0;

        mkdir(folder, 0700);
        put(folder, "secret", "one");
        w = watch_it(l, folder, "secret", &calls);
        unlink(path);
        rmdir(folder);
        one_call(l, &calls, 1);
        mkdir(folder, 0700);
        put(folder, "secret", "two");
        one_call(l, &calls, 2);
        put(folder, "secret", "three");
        one_call(l, &calls, 3);
        unlink(path);
        rmdir(folder);
        mkdir(folder, 0700);
        put(folder, "secret", "four!");
        one_call(l, &calls, 4);
        put(folder, "secret", "five");
        one_call(l, &calls, 5);
}

static void a_folder_that_is_missing_is_refused(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct error e = {0};
        int calls = 0;

        assert_null(watch_file_new(l, "/nonexistent/secret.json", changed, &calls, &e));
        assert_non_null(strstr(e.text, "/nonexistent/secret.json"));
        assert_non_null(strstr(e.text, "No such file"));
        assert_true(e.hint[0]);
}

static void it_may_be_freed_while_a_look_is_under_way(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        int calls = 0;

        for (unsigned ms = 95; ms < 107; ms += 2) {
                struct watch_file *w = watch_it(l, folder, "secret", &calls);

                put(folder, "secret", ms % 4 ? "a" : "bb");
                turns_for(l, ms);
                watch_file_free(w);
        }
        watch_file_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_what_is_asked_for_is_told),
                cmocka_unit_test(it_may_be_freed_while_it_calls),
                cmocka_unit_test(the_descriptor_may_be_closed_and_used_anew_at_once),
                cmocka_unit_test(an_error_is_told_and_reading_tells_why),
                cmocka_unit_test(what_cannot_be_polled_is_an_error_that_comes_later),
                cmocka_unit_test(writing_replacing_and_removing_are_changes),
                cmocka_unit_test(other_files_are_no_changes),
                cmocka_unit_test(a_mounted_secret_changes_by_its_links),
                cmocka_unit_test(a_folder_that_was_made_anew_is_found_again),
                cmocka_unit_test(a_folder_that_is_missing_is_refused),
                cmocka_unit_test(it_may_be_freed_while_a_look_is_under_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
