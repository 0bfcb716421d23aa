#include "turns.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "io/pass.h"

static int ends[2];

static int connect_them(void **state)
{
        (void) state;
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int part_them(void **state)
{
        (void) state;
        for (int i = 0; i < 2; i++) {
                if (ends[i] >= 0)
                        close(ends[i]);
        }
        return 0;
}

static int open_descriptors(void)
{
        int count = 0;

        for (int fd = 0; fd < 256; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static void a_message_brings_its_descriptors(void **state)
{
        (void) state;
        int pipes[2], fds[PASS_MOST];
        char text[8];

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_true(pass_send(ends[0], "message", 8, pipes, 2));
        assert_int_equal(pass_receive(ends[1], text, 8, fds), PASS_READY);
        assert_string_equal(text, "message");
        assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(read(pipes[0], text, 1), 1);
        for (int i = 0; i < 2; i++) {
                close(fds[i]);
                close(pipes[i]);
        }
}

static void messages_stay_apart(void **state)
{
        (void) state;
        int fds[PASS_MOST];
        char text[4];

        assert_int_equal(pass_receive(ends[1], text, 4, fds), PASS_SHORT);
        assert_true(pass_send(ends[0], "one", 4, NULL, 0));
        assert_true(pass_send(ends[0], "two", 4, &ends[0], 1));
        assert_true(pass_send(ends[0], "tri", 4, NULL, 0));
        static const char *const words[] = {"one", "two", "tri"};
        for (int i = 0; i < 3; i++) {
                assert_int_equal(pass_receive(ends[1], text, 4, fds), PASS_READY);
                assert_string_equal(text, words[i]);
                assert_int_equal(fds[0] >= 0, i == 1);
                assert_int_equal(fds[1], -1);
                if (fds[0] >= 0)
                        close(fds[0]);
        }
        assert_int_equal(pass_receive(ends[1], text, 4, fds), PASS_SHORT);
}

static void the_end_and_half_a_message_are_the_end(void **state)
{
        (void) state;
        int fds[PASS_MOST];
        char text[8];

        assert_true(pass_send(ends[0], "half", 4, NULL, 0));
        assert_int_equal(pass_receive(ends[1], text, 8, fds), PASS_OVER);
        close(ends[0]);
        ends[0] = -1;
        assert_int_equal(pass_receive(ends[1], text, 8, fds), PASS_OVER);
}

static void descriptors_nobody_asked_for_are_not_kept(void **state)
{
        (void) state;
        int given[5];
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof given)] = {0};
        struct iovec bytes = {.iov_base = (char[]){"message"}, .iov_len = 8};
        struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int fds[PASS_MOST], before = open_descriptors();
        char text[8];

        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof given), .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS};
        for (int i = 0; i < 5; i++)
                given[i] = ends[0];
        memcpy(CMSG_DATA(header), given, sizeof given);
        assert_int_equal(sendmsg(ends[0], &message, 0), 8);
        assert_int_equal(pass_receive(ends[1], text, 8, fds), PASS_OVER);
        assert_int_equal(fds[0], -1);
        assert_int_equal(open_descriptors(), before);
}

static void who_does_not_read_is_not_waited_for(void **state)
{
        (void) state;
        bool went = true;

        for (int i = 0; went && i < 1000000; i++)
                went = pass_send(ends[0], "message", 8, NULL, 0);
        assert_false(went);
}

static void the_kernel_tells_who_is_there(void **state)
{
        (void) state;
        pid_t pid;
        uid_t uid;

        assert_true(pass_peer(ends[0], &pid, &uid));
        assert_int_equal(pid, getpid());
        assert_int_equal(uid, getuid());
        assert_false(pass_peer(-1, &pid, &uid));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_message_brings_its_descriptors, connect_them, part_them),
                cmocka_unit_test_setup_teardown(messages_stay_apart, connect_them, part_them),
                cmocka_unit_test_setup_teardown(the_end_and_half_a_message_are_the_end, connect_them, part_them),
                cmocka_unit_test_setup_teardown(descriptors_nobody_asked_for_are_not_kept, connect_them, part_them),
                cmocka_unit_test_setup_teardown(who_does_not_read_is_not_waited_for, connect_them, part_them),
                cmocka_unit_test_setup_teardown(the_kernel_tells_who_is_there, connect_them, part_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
