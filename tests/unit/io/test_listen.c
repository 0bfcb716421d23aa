#include "turns.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "io/listen.h"

OWN_DEFINE(struct listener, listen_free)

struct guests {
        int calls;
        struct listen_peer peer;
        gid_t groups[1000];
        int flags, closes;
        struct listener *free_it;
        int fds[200];
};

static void accepted(void *arg, int fd, const struct listen_peer *peer)
{
        struct guests *g = arg;

        g->peer = *peer;
        assert_true(peer->group_count <= 1000);
        if (peer->group_count)
                memcpy(g->groups, peer->groups, peer->group_count * sizeof *g->groups);
        g->flags = fcntl(fd, F_GETFL);
        g->closes = fcntl(fd, F_GETFD);
        g->calls++;
        close(fd);
        listen_free(g->free_it);
}

static int dial(const char *folder)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.5432", folder);
        if (connect(fd, (struct sockaddr *) &a, sizeof a) == 0)
                return fd;
        close(fd);
        return -errno;
}

static struct listen_options options_of(const char *folder)
{
        return (struct listen_options){
                .directory = folder, .port = 5432, .mode = 0666, .group = "", .backlog = 128};
}

static struct listener *open_it(struct loop *l, const char *folder, struct guests *g)
{
        struct listen_options o = options_of(folder);
        struct error e = {0};
        struct listener *x = listen_unix(l, &o, accepted, g, &e);

        assert_string_equal(e.text, "");
        assert_non_null(x);
        return x;
}

static struct error refused(const struct listen_options *o)
{
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        struct error e = {0};

        assert_null(listen_unix(l, o, accepted, &g, &e));
        assert_true(error_is_set(&e));
        assert_true(e.hint[0]);
        return e;
}

static bool exists(const char *folder, const char *name)
{
        OWN(free) char *path = own_format("%s/%s", folder, name);

        return access(path, F_OK) == 0;
}

static void a_peer_is_known_by_the_kernels_word(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);
        gid_t groups[1000];
        int count = getgroups(1000, groups);
        int fd = dial(folder);

        assert_true(fd >= 0);
        assert_true(turns_until(l, &g.calls, 1, 2000));
        assert_int_equal(g.peer.pid, getpid());
        assert_int_equal(g.peer.uid, getuid());
        assert_int_equal(g.peer.gid, getgid());
        assert_int_equal(g.peer.group_count, count);
        assert_memory_equal(g.groups, groups, (size_t) count * sizeof *groups);
        assert_true(g.flags & O_NONBLOCK);
        assert_true(g.closes & FD_CLOEXEC);
        close(fd);
}

static void many_groups_are_all_seen(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);
        gid_t groups[500];
        pid_t child = fork();

        if (child == 0) {
                for (int i = 0; i < 500; i++)
                        groups[i] = (gid_t) (7000 + i);
                _exit(setgroups(500, groups) != 0 ? 1 : dial(folder) < 0 ? 2 : 0);
        }

        int status;

        waitpid(child, &status, 0);
        if (WEXITSTATUS(status) == 1)
                skip();         /* only root may take groups */
        assert_int_equal(status, 0);
        assert_true(turns_until(l, &g.calls, 1, 2000));
        assert_int_equal(g.peer.group_count, 500);
        assert_int_equal(g.groups[0], 7000);
        assert_int_equal(g.groups[499], 7499);
}

static void mode_and_group_are_set(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(free) char *path = own_format("%s/.s.PGSQL.5432", folder);
        struct listen_options o = options_of(folder);
        struct guests g = {0};
        struct error e = {0};
        struct stat s;
        const struct group *own = getgrgid(getgid());
        mode_t before = umask(077);

        o.mode = 0660;
        o.group = own ? own->gr_name : "";

        OWN(listen_free) struct listener *x = listen_unix(l, &o, accepted, &g, &e);

        assert_int_equal(umask(before), 077);
        assert_non_null(x);
        assert_int_equal(lstat(path, &s), 0);
        assert_true(S_ISSOCK(s.st_mode));
        assert_int_equal(s.st_mode & 07777, 0660);
        assert_int_equal(s.st_gid, getgid());
}

static void it_leaves_nothing_behind(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        struct listener *x = open_it(l, folder, &g);

        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_true(exists(folder, ".s.PGSQL.5432.lock"));
        listen_free(x);
        listen_free(NULL);
        assert_false(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));
        assert_int_equal(dial(folder), -ENOENT);
        /* And so it can begin again. */
        listen_free(open_it(l, folder, &g));
}

static void another_ones_socket_is_left_alone(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        OWN(free) char *path = own_format("%s/.s.PGSQL.5432", folder);
        struct guests g = {0};
        struct listener *x = open_it(l, folder, &g);

        unlink(path);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        listen_free(x);
        assert_true(exists(folder, ".s.PGSQL.5432"));
}

static void a_second_broker_is_refused(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);
        OWN(free) char *process = own_format("process %d", (int) getpid());
        struct listen_options o = options_of(folder);
        struct error e = refused(&o);

        assert_string_equal(e.sqlstate, "55006");
        assert_non_null(strstr(e.text, folder));
        assert_non_null(strstr(e.text, process));
        assert_true(exists(folder, ".s.PGSQL.5432.lock"));
        close(dial(folder));
        assert_true(turns_until(l, &g.calls, 1, 2000));
}

/* What a broker leaves that was killed. */
static void leave_stale(const char *folder)
{
        OWN(free) char *lock = own_format("%s/.s.PGSQL.5432.lock", folder);
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        FILE *f = fopen(lock, "we");

        snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.5432", folder);
        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof a), 0);
        listen(fd, 1);
        close(fd);
        fputs("1\n", f);
        fclose(f);
}

static void a_stale_socket_is_replaced(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};

        leave_stale(folder);

        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);

        close(dial(folder));
        assert_true(turns_until(l, &g.calls, 1, 2000));
}

static void a_server_of_another_kind_is_left_alone(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *lock = own_format("%s/.s.PGSQL.5432.lock", folder);
        struct listen_options o = options_of(folder);
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char text[8] = "";

        snprintf(a.sun_path, sizeof a.sun_path, "%s/.s.PGSQL.5432", folder);
        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof a), 0);
        assert_int_equal(listen(fd, 1), 0);

        struct error e = refused(&o);

        assert_string_equal(e.sqlstate, "55006");
        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));

        /* Its lock is neither written to nor removed. */
        FILE *f = fopen(lock, "we");

        fputs("4711\n", f);
        fclose(f);
        refused(&o);
        f = fopen(lock, "re");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof text, f));
        assert_string_equal(text, "4711\n");
        fclose(f);
        close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *path = own_format("%s/.s.PGSQL.5432", folder);
        struct listen_options o = options_of(folder);

        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

        struct error e = refused(&o);

        assert_non_null(strstr(e.text, "not a socket"));
        assert_true(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));
}

/* The same folder, by a name of that length. */
static void long_folder(char *deep, const char *folder, size_t length)
{
        memset(deep, '/', length);
        memcpy(deep, folder, strlen(folder));
        deep[length] = 0;
}

static void errors_name_cause_and_remedy(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        char deep[120];
        struct listen_options o = options_of(deep);
        struct error e;

        long_folder(deep, folder, 94);
        e = refused(&o);
        assert_non_null(strstr(e.text, "108 bytes"));
        assert_non_null(strstr(e.text, "107"));

        o.directory = "/nonexistent/pgbroker";
        e = refused(&o);
        assert_non_null(strstr(e.text, "/nonexistent/pgbroker/.s.PGSQL.5432.lock"));
        assert_non_null(strstr(e.hint, "Create the folder"));

        o.directory = folder;
        o.group = "no-such-group-here";
        e = refused(&o);
        assert_non_null(strstr(e.text, "no-such-group-here"));
        assert_non_null(strstr(e.text, "does not exist"));
        assert_false(exists(folder, ".s.PGSQL.5432"));
        assert_false(exists(folder, ".s.PGSQL.5432.lock"));
}

static void the_longest_path_is_good(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        char deep[120];
        struct listen_options o = options_of(deep);
        struct guests g = {0};
        struct error e = {0};

        long_folder(deep, folder, 93);

        OWN(listen_free) struct listener *x = listen_unix(l, &o, accepted, &g, &e);

        assert_non_null(x);
        close(dial(folder));
        assert_true(turns_until(l, &g.calls, 1, 2000));
}

static void a_crowd_is_let_in_in_turns(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);

        for (int i = 0; i < 100; i++)
                g.fds[i] = dial(folder);
        assert_true(turns_until(l, &g.calls, 100, 2000));
        for (int i = 0; i < 100; i++)
                close(g.fds[i]);
}

static void without_descriptors_it_pauses_and_goes_on(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        OWN(listen_free) struct listener *x __attribute__((unused)) = open_it(l, folder, &g);
        struct rlimit before, less;
        int fd, last;
        uint64_t turns;

        turns_for(l, 5);
        fd = dial(folder);
        last = dup(fd);
        close(last);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        less = before;
        less.rlim_cur = (rlim_t) last;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
        turns = loop_turns(l).count;
        turns_for(l, 250);
        assert_int_equal(g.calls, 0);
        /* It doesn't spin: the test itself looks every 2 ms. */
        assert_true(loop_turns(l).count - turns < 600);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(turns_until(l, &g.calls, 1, 2000));
        close(fd);
}

static void it_may_be_freed_while_it_calls(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(loop_free) struct loop *l = loop_new();
        struct guests g = {0};
        int first, second;

        g.free_it = open_it(l, folder, &g);
        first = dial(folder);
        second = dial(folder);
        assert_true(turns_until(l, &g.calls, 1, 2000));
        turns_for(l, 20);
        assert_int_equal(g.calls, 1);
        close(first);
        close(second);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_peer_is_known_by_the_kernels_word),
                cmocka_unit_test(many_groups_are_all_seen),
                cmocka_unit_test(mode_and_group_are_set),
                cmocka_unit_test(it_leaves_nothing_behind),
                cmocka_unit_test(another_ones_socket_is_left_alone),
                cmocka_unit_test(a_second_broker_is_refused),
                cmocka_unit_test(a_stale_socket_is_replaced),
                cmocka_unit_test(a_server_of_another_kind_is_left_alone),
                cmocka_unit_test(what_is_no_socket_is_left_alone),
                cmocka_unit_test(errors_name_cause_and_remedy),
                cmocka_unit_test(the_longest_path_is_good),
                cmocka_unit_test(a_crowd_is_let_in_in_turns),
                cmocka_unit_test(without_descriptors_it_pauses_and_goes_on),
                cmocka_unit_test(it_may_be_freed_while_it_calls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
