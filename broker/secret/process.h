/* A program as a provider of credentials (credential_process of a profile): it is run without a
 * shell, and prints JSON. What it prints on stderr is told, shortened, only if it fails, without
 * whatever looks like a key. */
#ifndef PGB_SECRET_PROCESS_H
#define PGB_SECRET_PROCESS_H

#include "io/loop.h"
#include "secret/lease.h"

struct process;

struct process *process_new(struct loop *l, const char *command, const struct lease_user *user);
void process_free(struct process *p);   /* kills what runs; NULL is fine */
struct lease *process_lease(struct process *p);

OWN_DEFINE(struct process, process_free)

#endif
