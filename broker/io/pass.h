/* Messages with open descriptors, from one process of this host to another: SCM_RIGHTS on a connected
 * unix stream socket. Messages are short and of one length, so each goes through whole. */
#ifndef PGB_IO_PASS_H
#define PGB_IO_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PASS_MOST 2                     /* descriptors in a message */

/* The descriptors stay the caller's. Never waits: false (errno) if the message can't go out now. */
bool pass_send(int socket, const void *p, size_t n, const int *fds, size_t count);

enum pass_verdict { PASS_READY, PASS_SHORT /* nothing is there yet */, PASS_OVER /* the end, or rubbish */ };
/* A message of n bytes; its descriptors (close-on-exec) are the caller's then: `fds` has PASS_MOST
 * places, those that came without one are -1. */
enum pass_verdict pass_receive(int socket, void *p, size_t n, int *fds);

/* Who made or listens on the other end, by the kernel's word. */
bool pass_peer(int socket, pid_t *pid, uid_t *uid);

#endif
