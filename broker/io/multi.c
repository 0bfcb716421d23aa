#include "io/multi.h"

#include <curl/curl.h>
#include <malloc.h>
#include <string.h>
#include "base/expect.h"
#include "base/list.h"
#include "base/own.h"
#include "base/sealed.h"
#include "io/watch.h"

enum { CACHED_CONNECTIONS = 8 };

/* libcurl's callbacks only note what it wants; nothing but act() calls into it, and act() is called
 * by the loop alone. */
struct multi {
        struct loop *loop;
        CURLM *curl;
        void (*finished)(void *transfer, int code);
        struct deadline timer;
        struct list sockets;
};

struct multi_socket {
        struct list link;
        struct multi *owner;
        curl_socket_t fd;
        struct watch *watch;
};

static void wiping_free(void *p)
{
        if (p)
                sealed_wipe(p, malloc_usable_size(p));
        free(p);
}

static void *wiping_realloc(void *p, size_t size)
{
        void *q = malloc(size ? size : 1);
        size_t old = p ? malloc_usable_size(p) : 0;

        if (!q)
                return NULL;
        if (p)
                memcpy(q, p, old < size ? old : size);
        wiping_free(p);
        return q;
}

static void act(struct multi *m, curl_socket_t fd, int events)
{
        int count;

        curl_multi_socket_action(m->curl, fd, events, &count);
        /* Every time: one that fails by a timeout is announced by nothing else. */
        for (CURLMsg *msg; (msg = curl_multi_info_read(m->curl, &count));) {
                void *transfer = NULL;
                CURLcode code = msg->data.result;

                if (msg->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
                m->finished(transfer, code);
        }
}

static void timer_due(struct deadline *d)
{
        act(container_of(d, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void socket_ready(void *arg, unsigned events)
{
        struct multi_socket *s = arg;

        act(s->owner, s->fd,
            (events & WATCH_READABLE ? CURL_CSELECT_IN : 0) |
                    (events & WATCH_WRITABLE ? CURL_CSELECT_OUT : 0) |
                    (events & WATCH_ERROR ? CURL_CSELECT_ERR : 0));
}

static int timer_wanted(CURLM *curl, long ms, void *arg)
{
        struct multi *m = arg;

        (void) curl;
        if (ms < 0)
                loop_clear(m->loop, &m->timer);
        else
                loop_set(m->loop, &m->timer, loop_now(m->loop) + (uint64_t) ms);
        return 0;
}

static void socket_free(struct multi_socket *s)
{
        list_remove(&s->link);
        watch_free(s->watch);
        free(s);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
        struct multi *m = arg;
        struct multi_socket *s = socket;

        (void) easy;
        if (what == CURL_POLL_REMOVE) {
                curl_multi_assign(m->curl, fd, NULL);
                if (s)
                        socket_free(s);
                return 0;
        }
        if (!s) {
                s = own_new(struct multi_socket);
                *s = (struct multi_socket){.owner = m, .fd = fd};
                s->watch = watch_new(m->loop, fd, socket_ready, s);
                list_push_back(&m->sockets, &s->link);
                curl_multi_assign(m->curl, fd, s);
        }
        watch_for(s->watch, (what & CURL_POLL_IN ? WATCH_READABLE : 0) |
                                    (what & CURL_POLL_OUT ? WATCH_WRITABLE : 0));
        return 0;
}

struct multi *multi_new(struct loop *l, void (*finished)(void *transfer, int code))
{
        struct multi *m = own_new(struct multi);

        /* libcurl counts these calls itself, under a lock; the first one's functions hold. */
        expect(curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
                                    strdup, calloc) == CURLE_OK);
        *m = (struct multi){.loop = l, .curl = curl_multi_init(), .finished = finished};
        expect(m->curl);
        list_init(&m->sockets);
        deadline_init(&m->timer, timer_due);
        curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, socket_wanted);
        curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
        curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, timer_wanted);
        curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
        curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long) CACHED_CONNECTIONS);
        return m;
}

void multi_free(struct multi *m)
{
        struct multi_socket *s;

        if (!m)
                return;
        curl_multi_cleanup(m->curl);
        list_each(s, &m->sockets, struct multi_socket, link)
                socket_free(s);
        loop_clear(m->loop, &m->timer);
        curl_global_cleanup();
        free(m);
}

void multi_add(struct multi *m, void *easy)
{
        expect(curl_multi_add_handle(m->curl, easy) == CURLM_OK);
}

void multi_remove(struct multi *m, void *easy)
{
        expect(curl_multi_remove_handle(m->curl, easy) == CURLM_OK);
}
