/* Listening sockets that come from elsewhere: from the service manager, or from another broker. */
#include "turns.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "io/listen.h"

OWN_DEFINE(struct listener, listen_free)

static void accepted(void *arg, int fd, const struct listen_peer *peer)
{
        int *calls = arg;

        (void) peer;
        ++*calls;
        close(fd);
}

static struct sockaddr_un address_in(const char *folder)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.5432", folder);
        return a;
}

static int dial(const char *folder)
{
        struct sockaddr_un a = address_in(folder);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (struct sockaddr *) &a, sizeof a) == 0)
                return fd;
        close(fd);
        return -errno;
}

/* As a service manager makes it: blocking, and without a lock file. */
static int made_by_a_manager(const char *folder)
{
        struct sockaddr_un a = address_in(folder);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof a), 0);
        assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static struct listener *listen_at(struct loop *l, const char *folder, const struct listen_given *given,
                                  int *calls, struct error *e)
{
        struct listen_options o = {.directory = folder, .port = 5432, .mode = 0666, .group = "",
                                   .backlog = 16, .given = given};

        return listen_unix(l, &o, accepted, calls, e);
}

static bool exists(const char *folder, const char *name)
{
        OWN(free) char *path = own_format("%s/%s", folder, name);

        return access(path, F_OK) == 0;
}

static void a_managers_socket_is_used_and_stays(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct listen_given given = {made_by_a_manager(folder), -1};
        int keeps = dup(given.fd), calls = 0;
        struct error e = {0};
        struct listener *x = listen_at(l, folder, &given, &calls, &e);

        assert_non_null(x);
        assert_true(fcntl(given.fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(given.fd, F_GETFD) & FD_CLOEXEC);
        close(dial(folder));
        turns_for(l, 20);
        assert_int_equal(calls, 0);             /* not before listen_open() */
        listen_open(x);
        assert_true(turns_until(l, &calls, 1, 2000));
        listen_free(x);
        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));
        int waits = dial(folder);
        assert_true(waits >= 0);
        close(waits);
        close(keeps);
}

static void one_that_is_elsewhere_or_no_listener_is_refused(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(folder_remove) char *other = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        int pipes[2], calls = 0, there = made_by_a_manager(folder);

        assert_int_equal(pipe(pipes), 0);
        const struct listen_given wrong[] = {{made_by_a_manager(other), -1}, {pipes[0], -1},
                                             {socket(AF_UNIX, SOCK_STREAM, 0), -1},
                                             {socket(AF_UNIX, SOCK_DGRAM, 0), -1}, {250, -1}};
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                struct error e = {0};
                assert_null(listen_at(l, folder, &wrong[i], &calls, &e));
                assert_non_null(strstr(e.hint, "ListenStream="));
                assert_int_equal(fcntl(wrong[i].fd, F_GETFD), -1);
        }
        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_true(exists(other, ".s.PGSQL.5432"));
        close(there);
        close(pipes[1]);
}

static void the_path_may_lead_there_by_another_name(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *alias = own_format("%s/alias", folder);
        OWN(loop_free) struct loop *l = loop_new();
        struct listen_given given = {made_by_a_manager(folder), -1};
        struct error e = {0};
        int calls = 0;

        assert_int_equal(symlink(folder, alias), 0);
        OWN(listen_free) struct listener *x = listen_at(l, alias, &given, &calls, &e);
        assert_non_null(x);
}

/* As another process has them: copies of the descriptors. */
static struct listen_given lent(struct listener *x)
{
        struct listen_given g;

        listen_lend(x, &g);
        return (struct listen_given){fcntl(g.fd, F_DUPFD_CLOEXEC, 0), fcntl(g.lock, F_DUPFD_CLOEXEC, 0)};
}

static void whoever_takes_it_over_removes_it_at_the_end(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct error e = {0};
        int old_calls = 0, new_calls = 0;
        struct listener *old = listen_at(l, folder, NULL, &old_calls, &e);
        struct listen_given given = lent(old);
        struct listener *new = listen_at(l, folder, &given, &new_calls, &e);

        assert_non_null(new);
        int waits = dial(folder);
        assert_true(waits >= 0);
        turns_for(l, 20);
        assert_int_equal(old_calls + new_calls, 0);
        listen_give_away(old);
        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_true(exists(folder, ".s.PGSQL.5432.lock"));
        listen_open(new);
        assert_true(turns_until(l, &new_calls, 1, 2000));
        /* The lock went along. */
        assert_null(listen_at(l, folder, NULL, &old_calls, &e));
        assert_string_equal(e.sqlstate, "55006");
        listen_free(new);
        assert_false(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));
        close(waits);
}

static void what_was_lent_can_be_opened_again(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct error e = {0};
        int calls = 0;
        OWN(listen_free) struct listener *x = listen_at(l, folder, NULL, &calls, &e);
        struct listen_given given = lent(x);
        int waits = dial(folder);

        turns_for(l, 20);
        assert_int_equal(calls, 0);
        close(given.fd);
        close(given.lock);
        listen_open(x);
        assert_true(turns_until(l, &calls, 1, 2000));
        close(waits);
}

static void pass_on(const char *count, pid_t pid)
{
        OWN(free) char *whose = own_format("%d", (int) pid);

        setenv("LISTEN_FDS", count, 1);
        setenv("LISTEN_PID", whose, 1);
        setenv("LISTEN_FDNAMES", "pgbroker.socket", 1);
}

static void what_was_inherited_is_told_by_the_environment(void **state)
{
        (void) state;
        struct error e = {0};
        int fd;

        assert_true(listen_inherited(&fd, &e));
        assert_int_equal(fd, -1);
        pass_on("1", getpid());
        assert_true(listen_inherited(&fd, &e));
        assert_int_equal(fd, 3);
        assert_null(getenv("LISTEN_FDS"));
        assert_null(getenv("LISTEN_PID"));
        assert_null(getenv("LISTEN_FDNAMES"));
        pass_on("1", getppid());                /* it was for a process that started us */
        assert_true(listen_inherited(&fd, &e));
        assert_int_equal(fd, -1);
        pass_on("2", getpid());
        assert_false(listen_inherited(&fd, &e));
        assert_non_null(strstr(e.text, "2 sockets"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_managers_socket_is_used_and_stays),
                cmocka_unit_test(one_that_is_elsewhere_or_no_listener_is_refused),
                cmocka_unit_test(the_path_may_lead_there_by_another_name),
                cmocka_unit_test(whoever_takes_it_over_removes_it_at_the_end),
                cmocka_unit_test(what_was_lent_can_be_opened_again),
                cmocka_unit_test(what_was_inherited_is_told_by_the_environment),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
