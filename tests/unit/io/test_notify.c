#include "turns.h"
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "io/notify.h"

/* A service manager at that name ('@': abstract). */
static int manager(const char *name)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        size_t n = strlen(name);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        memcpy(a.sun_path, name, n);
        if (name[0] == '@')
                a.sun_path[0] = '\0';
        assert_int_equal(
                bind(fd, (struct sockaddr *) &a, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)), 0);
        setenv("NOTIFY_SOCKET", name, 1);
        return fd;
}

static const char *heard(int fd)
{
        static char text[200];
        ssize_t n = recv(fd, text, sizeof text - 1, 0);

        if (n < 0)
                return "";
        text[n] = '\0';
        return text;
}

static void what_is_said_arrives_as_one_datagram(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *path = own_format("%s/notify", folder);
        OWN(free) char *abstract = own_format("@pgbroker-test-%d", (int) getpid());
        const char *const names[] = {path, abstract};

        for (size_t i = 0; i < 2; i++) {
                int fd = manager(names[i]);
                struct notify n = notify_open();

                assert_true(notify_send(&n, "READY=1\nSTATUS=prod: ok"));
                assert_string_equal(heard(fd), "READY=1\nSTATUS=prod: ok");
                assert_string_equal(heard(fd), "");
                notify_close(&n);
                close(fd);
        }
}

static void nobody_who_is_run_can_speak_for_the_broker(void **state)
{
        (void) state;
        OWN(free) char *name = own_format("@pgbroker-test-%d", (int) getpid());
        int fd = manager(name);
        setenv("WATCHDOG_USEC", "30000000", 1);
        struct notify n = notify_open();

        assert_null(getenv("NOTIFY_SOCKET"));
        assert_null(getenv("WATCHDOG_USEC"));
        assert_int_equal(n.watchdog_ms, 30000);
        assert_true(fcntl(n.fd, F_GETFD) & FD_CLOEXEC);
        notify_close(&n);
        close(fd);
}

static void a_watchdog_for_another_process_is_not_ours(void **state)
{
        (void) state;
        OWN(free) char *name = own_format("@pgbroker-test-%d", (int) getpid());
        int fd = manager(name);
        setenv("WATCHDOG_USEC", "30000000", 1);
        setenv("WATCHDOG_PID", "1", 1);
        struct notify n = notify_open();

        assert_int_equal(n.watchdog_ms, 0);
        assert_null(getenv("WATCHDOG_PID"));
        notify_close(&n);
        close(fd);
}

static void without_a_manager_nothing_is_said(void **state)
{
        (void) state;
        OWN(free) char *long_name = own_format("/%0200d", 1);
        const char *const names[] = {NULL, "", "@", "vsock:2:1234", "relative", "/no/such/socket", long_name};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if (names[i])
                        setenv("NOTIFY_SOCKET", names[i], 1);
                struct notify n = notify_open();
                assert_int_equal(n.fd, -1);
                assert_true(notify_send(&n, "READY=1"));
        }
}

static void a_manager_that_does_not_read_is_not_waited_for(void **state)
{
        (void) state;
        OWN(free) char *name = own_format("@pgbroker-test-%d", (int) getpid());
        int fd = manager(name);
        struct notify n = notify_open();
        bool went = true;

        for (int i = 0; went && i < 100000; i++)
                went = notify_send(&n, "WATCHDOG=1");
        assert_false(went);
        notify_close(&n);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_said_arrives_as_one_datagram),
                cmocka_unit_test(nobody_who_is_run_can_speak_for_the_broker),
                cmocka_unit_test(a_watchdog_for_another_process_is_not_ours),
                cmocka_unit_test(without_a_manager_nothing_is_said),
                cmocka_unit_test(a_manager_that_does_not_read_is_not_waited_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
