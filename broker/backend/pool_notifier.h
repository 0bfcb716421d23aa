/* Who sent a notification. PostgreSQL tells the process id of the server that did; clients know each other, and
 * themselves, by what they were told at their start (BackendKeyData). */
#ifndef PGB_BACKEND_POOL_NOTIFIER_H
#define PGB_BACKEND_POOL_NOTIFIER_H

#include "backend/server.h"

/* The server goes to the client that was told this process id (loop_us()). */
void pool_notifier_lent(struct server *s, uint32_t client_pid, uint64_t now_us);
/* It comes back; this was when that client's last request there was answered, or later. */
void pool_notifier_left(struct server *s, uint64_t now_us);
/* What to tell the client that has `heard_by` instead of the process id that came with a notification; that
 * was sent since `since_us`. Its own notifications bear its own; those of another client bear that one's if no
 * third had the server meanwhile (a quarter of a second before counts: notifications take their time); else it is `pid`
 * itself, which no client has. */
uint32_t pool_notifier(const struct server *heard_by, uint32_t client_pid, uint32_t pid, uint64_t since_us);

#endif
