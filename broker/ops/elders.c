#include "ops/elders.h"

#include <string.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/own.h"
#include "ops/handover.h"

static void drop(struct elder *v)
{
        list_remove(&v->link);
        watch_free(v->watch);
        close(v->fd);
        free(v);
}

static void take(struct elder *v, const struct handover *h, int *fds)
{
        switch (h->kind) {
        case HANDOVER_CLIENTS:
                v->clients = h->number[0];
                break;
        case HANDOVER_ELDER:
                if (fds[0] >= 0)
                        elders_add(v->all, fds[0], (pid_t) h->number[0], h->number[1],
                                   (uint64_t) h->number[2] * 1000);
                fds[0] = -1;
                break;
        default:
                break;
        }
        handover_close(fds);
}

static void readable(void *arg, unsigned events)
{
        struct elder *v = arg;
        struct handover h;
        int fds[PASS_MOST];
        (void) events;
        switch (handover_receive(v->fd, &h, fds)) {
        case PASS_READY:
                take(v, &h, fds);
                break;
        case PASS_SHORT:
                watch_for(v->watch, WATCH_READABLE);
                break;
        case PASS_OVER:
                log_info(v->all->log, "the broker that was replaced has ended", log_int("pid", v->pid));
                drop(v);
                break;
        }
}

void elders_init(struct elders *es, struct loop *l, struct log *log)
{
        *es = (struct elders){.loop = l, .log = log};
        list_init(&es->list);
}

void elders_free(struct elders *es)
{
        struct elder *v;
        list_each(v, &es->list, struct elder, link)
                drop(v);
}

void elders_add(struct elders *es, int fd, pid_t pid, unsigned clients, uint64_t age_ms)
{
        struct elder *v = own_new(struct elder);
        uint64_t now = loop_now(es->loop);
        *v = (struct elder){.all = es, .fd = fd, .pid = pid, .clients = clients,
                            .since = now > age_ms ? now - age_ms : 0};
        list_push_back(&es->list, &v->link);
        v->watch = watch_new(es->loop, fd, readable, v);
        watch_for(v->watch, WATCH_READABLE);
}

void elders_cancel(struct elders *es, int fd, uint32_t pid, const uint8_t *key, size_t size)
{
        struct elder *v;
        struct handover h = {.kind = HANDOVER_CANCEL, .key_size = (uint8_t) size, .number = {pid}};
        expect(size <= HANDOVER_KEY);
        memcpy(&h.number[1], key, size);
        list_each(v, &es->list, struct elder, link) {
                if (!handover_send(v->fd, h, &fd, 1))
                        log_warn(es->log, "cancel request not passed on", log_int("broker", v->pid),
                                 log_str("reason", "too many are under way"));
        }
}

void elders_end(struct elders *es, bool at_once)
{
        struct elder *v;
        list_each(v, &es->list, struct elder, link)
                handover_send(v->fd, (struct handover){.kind = HANDOVER_END, .number = {at_once}}, NULL, 0);
}

void elders_hand_on(struct elders *es, int to)
{
        struct elder *v;
        uint64_t now = loop_now(es->loop);
        list_each(v, &es->list, struct elder, link) {
                struct handover h = {.kind = HANDOVER_ELDER,
                                     .number = {(uint32_t) v->pid, v->clients,
                                                (uint32_t) ((now - v->since) / 1000)}};
                if (!handover_send(to, h, &v->fd, 1))
                        log_warn(es->log, "the new broker will not know of one replaced before",
                                 log_int("broker", v->pid));
                drop(v);
        }
}
