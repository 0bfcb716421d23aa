#include "turns.h"
#include <sys/socket.h>
#include <unistd.h>
#include "base/bytes.h"
#include "io/stream.h"

/* One end is the stream's, the other the test's. */
struct place {
        struct loop *loop;
        struct stream *stream;
        int fd;
        int received, blocked, drained, ended;
        size_t take;                    /* so much of what comes is used up */
        bool rests;                     /* after each piece, and the next is there already */
        bool stays;                     /* for a peer that may yet read */
        struct bytes seen;
};

static size_t received(void *arg, const uint8_t *p, size_t n)
{
        struct place *l = arg;
        size_t used = n < l->take ? n : l->take;

        l->received++;
        bytes_append(&l->seen, p, used);
        if (l->rests) {
                assert_int_equal(write(l->fd, "next", 4), 4);
                stream_rest(l->stream);
        }
        return used;
}

static void blocked(void *arg)
{
        ((struct place *) arg)->blocked++;
}

static void drained(void *arg)
{
        ((struct place *) arg)->drained++;
}

static void ended(void *arg, const struct error *e)
{
        (void) e;
        ((struct place *) arg)->ended++;
}

static bool finished(void *arg)
{
        return ((struct place *) arg)->stays;
}

static const struct stream_events events = {received, blocked, drained, ended, finished};

static int set_up(void **state)
{
        struct place *l = own_new(struct place);
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        l->loop = loop_new();
        l->fd = pair[1];
        l->take = SIZE_MAX;
        l->stream = stream_new(l->loop, pair[0], NULL, &events, l);
        *state = l;
        return 0;
}

static int tear_down(void **state)
{
        struct place *l = *state;

        stream_free(l->stream);
        loop_free(l->loop);
        bytes_free(&l->seen);
        close(l->fd);
        free(l);
        return 0;
}

/* What the other end has got, checked against 0, 1, 2, ... */
static size_t read_all(struct place *l, size_t from)
{
        uint8_t text[4096];
        ssize_t n;

        while ((n = read(l->fd, text, sizeof text)) > 0) {
                for (ssize_t i = 0; i < n; i++, from++)
                        assert_int_equal(text[i], (uint8_t) (from % 251));
        }
        return from;
}

static uint8_t *numbers(size_t n)
{
        uint8_t *p = own_alloc(n);

        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t) (i % 251);
        return p;
}

static void a_full_socket_blocks_once_and_is_drained_once(void **state)
{
        struct place *l = *state;
        size_t size = 4 << 20, got = 0;
        OWN(free) char *p = (char *) numbers(size);

        stream_send_copy(l->stream, p, size);
        turns_for(l->loop, 5);
        assert_true(stream_blocked(l->stream));
        assert_int_equal(l->blocked, 1);

        size_t waiting = stream_waiting(l->stream);

        assert_in_range(waiting, 1, size - 1);
        turns_for(l->loop, 5);
        assert_int_equal(stream_waiting(l->stream), waiting);
        for (int i = 0; i < 1000 && got < size; i++) {
                got = read_all(l, got);
                turns_for(l->loop, 1);
        }
        assert_int_equal(got, size);
        assert_int_equal(l->blocked, 1);
        assert_int_equal(l->drained, 1);
        assert_int_equal(stream_waiting(l->stream), 0);
}

static void many_ranges_go_out_in_their_order(void **state)
{
        struct place *l = *state;
        size_t size = 3000;
        OWN(free) char *p = (char *) numbers(size);

        /* Every third byte as a copy, so that no range joins the one before. */
        for (size_t i = 0; i < size; i += 3) {
                stream_send(l->stream, p + i, 1);
                stream_send(l->stream, p + i + 1, 1);
                stream_send_copy(l->stream, p + i + 2, 1);
        }
        turns_for(l->loop, 0);
        assert_int_equal(read_all(l, 0), size);
        for (size_t i = 0; i < 100; i++)
                stream_send(l->stream, p + (i * 2) % 251, 1);
        turns_for(l->loop, 0);

        uint8_t text[200];

        assert_int_equal(read(l->fd, text, sizeof text), 100);
        for (size_t i = 0; i < 100; i++)
                assert_int_equal(text[i], (i * 2) % 251);
}

static void what_is_not_used_comes_again_before_what_follows(void **state)
{
        struct place *l = *state;

        l->take = 3;
        assert_int_equal(write(l->fd, "abcde", 5), 5);
        turns_for(l->loop, 2);
        assert_int_equal(stream_kept(l->stream), 2);
        assert_int_equal(write(l->fd, "fgh", 3), 3);
        turns_for(l->loop, 2);
        assert_int_equal(l->received, 2);
        stream_again(l->stream);
        turns_for(l->loop, 0);
        assert_int_equal(bytes_length(&l->seen), 8);
        assert_memory_equal(bytes_data(&l->seen), "abcdefgh", 8);
        assert_int_equal(stream_kept(l->stream), 0);
}

static void a_paused_one_hears_of_the_end_and_of_nothing_else(void **state)
{
        struct place *l = *state;

        stream_pause(l->stream);
        assert_int_equal(write(l->fd, "abc", 3), 3);
        turns_for(l->loop, 5);
        assert_int_equal(l->received, 0);
        close(l->fd);
        l->fd = -1;
        assert_true(turns_until(l->loop, &l->ended, 1, 2000));
        assert_int_equal(l->received, 0);
}

static void a_peer_that_says_no_more_may_be_sent_to(void **state)
{
        struct place *l = *state;
        size_t size = 4 << 20, got = 0;
        OWN(free) char *p = (char *) numbers(size);

        l->stays = true;
        assert_int_equal(write(l->fd, "abc", 3), 3);
        shutdown(l->fd, SHUT_WR);
        turns_for(l->loop, 5);
        assert_memory_equal(bytes_data(&l->seen), "abc", 3);
        assert_int_equal(l->ended, 0);
        stream_send_copy(l->stream, p, size);
        for (int i = 0; i < 1000 && got < size; i++) {
                turns_for(l->loop, 1);
                got = read_all(l, got);
        }
        assert_int_equal(got, size);
        assert_int_equal(l->drained, 1);
        assert_int_equal(l->received, 1);
        assert_int_equal(l->ended, 0);
}

static void nobody_stays_for_a_peer_that_has_gone(void **state)
{
        struct place *l = *state;

        l->stays = true;
        close(l->fd);
        l->fd = -1;
        assert_true(turns_until(l->loop, &l->ended, 1, 2000));
}

static void a_resting_one_is_woken_once_a_millisecond(void **state)
{
        struct place *l = *state;

        l->rests = true;
        assert_int_equal(write(l->fd, "next", 4), 4);
        turns_for(l->loop, 50);
        assert_in_range(l->received, 2, 60);
        l->rests = false;

        int before = l->received;

        /* The last rest ends, and then every byte is heard of as before. */
        assert_true(turns_until(l->loop, &l->received, before + 1, 2000));
        assert_int_equal(write(l->fd, "next", 4), 4);
        assert_true(turns_until(l->loop, &l->received, before + 2, 2000));
}

static void a_pause_outlasts_a_rest(void **state)
{
        struct place *l = *state;

        stream_rest(l->stream);
        stream_pause(l->stream);
        assert_int_equal(write(l->fd, "abc", 3), 3);
        turns_for(l->loop, 5);
        assert_int_equal(l->received, 0);
        stream_resume(l->stream);
        assert_true(turns_until(l->loop, &l->received, 1, 2000));
        stream_rest(l->stream);
        close(l->fd);
        l->fd = -1;
        assert_true(turns_until(l->loop, &l->ended, 1, 2000));
        stream_rest(l->stream);         /* too late, and no harm */
        turns_for(l->loop, 3);
        assert_int_equal(l->ended, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_full_socket_blocks_once_and_is_drained_once, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(many_ranges_go_out_in_their_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_not_used_comes_again_before_what_follows,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_paused_one_hears_of_the_end_and_of_nothing_else, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_peer_that_says_no_more_may_be_sent_to, set_up, tear_down),
                cmocka_unit_test_setup_teardown(nobody_stays_for_a_peer_that_has_gone, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_resting_one_is_woken_once_a_millisecond, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_pause_outlasts_a_rest, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
