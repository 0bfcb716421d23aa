#include "io/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>
#include "base/own.h"

/* Two may hold it: the one who asked, until done() or resolve_cancel(), and libuv, until a thread
 * has come back. The last one frees it. */
struct resolve {
        uv_getaddrinfo_t request;
        struct loop *loop;
        void (*done)(void *arg, const struct resolve_addresses *addresses, const struct error *e);
        void *arg;                      /* done NULL: was called, or is not wanted any more */
        bool running;
        char *host;
        unsigned timeout_ms;
        struct deadline limit;
        struct deferred answer;         /* what is known at once is told later all the same */
        struct resolve_addresses addresses;
        struct error error;
};

static void release(struct resolve *r)
{
        if (r->done || r->running)
                return;
        free(r->host);
        free(r);
}

static void settle(struct resolve *r)
{
        void (*done)(void *arg, const struct resolve_addresses *addresses,
                     const struct error *e) = r->done;
        bool failed = error_is_set(&r->error);

        loop_clear(r->loop, &r->limit);
        deferred_clear(&r->answer);
        r->done = NULL;
        done(r->arg, failed ? NULL : &r->addresses, failed ? &r->error : NULL);
        release(r);
}

static bool is_loopback(const struct sockaddr *a)
{
        const struct sockaddr_in *v4 = (const void *) a;
        const struct sockaddr_in6 *v6 = (const void *) a;

        if (a->sa_family == AF_INET)
                return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
}

static void add(struct resolve_addresses *all, const struct sockaddr *a, socklen_t size)
{
        char text[sizeof all->text[0]] = "";

        if (getnameinfo(a, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
                return;
        /* Even one that finds no place below: "every one" is a promise. */
        all->loopback &= is_loopback(a);
        for (size_t i = 0; i < all->count; i++)
                if (strcmp(all->text[i], text) == 0)
                        return;
        if (all->count < RESOLVE_MAX)
                memcpy(all->text[all->count++], text, sizeof text);
}

static void collect(struct resolve *r, const struct addrinfo *list)
{
        r->addresses.count = 0;
        r->addresses.loopback = true;
        for (; list; list = list->ai_next)
                if (list->ai_family == AF_INET || list->ai_family == AF_INET6)
                        add(&r->addresses, list->ai_addr, list->ai_addrlen);
        if (r->addresses.count)
                return;
        r->addresses.loopback = false;
        error_set(&r->error, "08001", "host \"%s\" has no IPv4 or IPv6 address", r->host);
}

static void failed(struct resolve *r, int status)
{
        if (status == UV_EAI_AGAIN || status == UV_EAI_FAIL) {
                error_set(&r->error, "08001", "host \"%s\" could not be looked up: %s", r->host,
                          uv_strerror(status));
                error_hint(&r->error, "Check that the servers in /etc/resolv.conf can be reached.");
                return;
        }
        error_set(&r->error, "08001", "host \"%s\" was not found: %s", r->host,
                  uv_strerror(status));
        error_hint(&r->error, "Check its spelling, and that this machine's name servers know it.");
}

static void looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
        struct resolve *r = request->data;

        r->running = false;
        if (r->done && status == 0)
                collect(r, list);
        else if (r->done)
                failed(r, status);
        uv_freeaddrinfo(list);
        if (r->done)
                settle(r);
        else
                release(r);
}

static void too_late(struct deadline *d)
{
        struct resolve *r = container_of(d, struct resolve, limit);

        error_set(&r->error, "08001", "host \"%s\" was not looked up within %u ms", r->host,
                  r->timeout_ms);
        error_hint(&r->error, "Check that the servers in /etc/resolv.conf can be reached.");
        /* Helps while it waits for a thread; what runs already can't be stopped. */
        if (r->running)
                uv_cancel((uv_req_t *) &r->request);
        settle(r);
}

static void known_at_once(struct deferred *d)
{
        settle(container_of(d, struct resolve, answer));
}

static bool numeric(struct resolve *r)
{
        struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;

        /* Reads the text only: no file, no name server. */
        if (getaddrinfo(r->host, NULL, &hints, &list) != 0)
                return false;
        collect(r, list);
        freeaddrinfo(list);
        return true;
}

struct resolve *resolve_start(struct loop *l, const char *host, unsigned timeout_ms,
                              void (*done)(void *arg, const struct resolve_addresses *addresses,
                                           const struct error *e),
                              void *arg)
{
        /* Without AI_ADDRCONFIG: ::1 must be found on a machine that has no other IPv6 address. */
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct resolve *r = own_new(struct resolve);
        int status;

        *r = (struct resolve){.loop = l, .done = done, .arg = arg, .timeout_ms = timeout_ms};
        r->host = own_string(host);
        r->request.data = r;
        deadline_init(&r->limit, too_late);
        deferred_init(&r->answer, known_at_once);
        if (numeric(r)) {
                loop_defer(l, &r->answer);
                return r;
        }
        status = uv_getaddrinfo(loop_uv(l), &r->request, looked_up, host, NULL, &hints);
        r->running = status == 0;
        if (status != 0) {
                failed(r, status);
                loop_defer(l, &r->answer);
        } else if (timeout_ms) {
                loop_set(l, &r->limit, loop_now(l) + timeout_ms);
        }
        return r;
}

void resolve_cancel(struct resolve *r)
{
        if (!r || !r->done)
                return;
        r->done = NULL;
        loop_clear(r->loop, &r->limit);
        deferred_clear(&r->answer);
        if (r->running)
                uv_cancel((uv_req_t *) &r->request);
        release(r);
}
