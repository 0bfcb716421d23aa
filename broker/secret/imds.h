/* Instance metadata of EC2 as a provider of temporary credentials, and of the region: version 2
 * (IMDSv2) only, which wants a token that nobody but this machine can get. AWS_EC2_METADATA_SERVICE_ENDPOINT[_MODE],
 * AWS_EC2_METADATA_DISABLED, AWS_METADATA_SERVICE_TIMEOUT, AWS_METADATA_SERVICE_NUM_ATTEMPTS. */
#ifndef PGB_SECRET_IMDS_H
#define PGB_SECRET_IMDS_H

#include "io/http.h"
#include "io/loop.h"
#include "secret/lease.h"

struct imds;

/* NULL if it is switched off. Variables that are no good make every asking fail. */
struct imds *imds_new(struct loop *l, struct http *http, const char *(*getenv_)(const char *name),
                      const struct lease_user *user);
void imds_free(struct imds *m);         /* cancels what runs; NULL is fine */
struct lease *imds_lease(struct imds *m);
/* The instance's region, which never changes: asked for once, by the same rules as lease_look(). */
enum lease_state imds_region(struct imds *m, const char **region, struct error *e);

OWN_DEFINE(struct imds, imds_free)

#endif
