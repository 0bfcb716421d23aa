/* The container endpoint as a provider of temporary credentials: Amazon ECS
 * (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), EKS Pod Identity and others
 * (AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE]). Over http it asks
 * this machine and the addresses that AWS reserved for it, nobody else: an address that a name leads
 * to is checked and then used. */
#ifndef PGB_SECRET_CONTAINER_H
#define PGB_SECRET_CONTAINER_H

#include <stdbool.h>
#include "io/http.h"
#include "io/loop.h"
#include "secret/lease.h"

struct container;

/* NULL if neither URI is set. Variables that are no good make every asking fail. */
struct container *container_new(struct loop *l, struct http *http,
                                const char *(*getenv_)(const char *name),
                                const struct lease_user *user);
void container_free(struct container *c);       /* cancels what runs; NULL is fine */
struct lease *container_lease(struct container *c);

/* May a token be sent to this numeric address in clear? */
bool container_may_ask(const char *address);

OWN_DEFINE(struct container, container_free)

#endif
