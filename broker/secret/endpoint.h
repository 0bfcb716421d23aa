/* Where a secret is asked for: its ARN, the region, the URL of the service. Pure. Source: the rule
 * set of AWS's SDKs (partitions, FIPS, dual stack, custom endpoints). */
#ifndef PGB_SECRET_ENDPOINT_H
#define PGB_SECRET_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define ENDPOINT_HOST   256
#define ENDPOINT_PATH   512
#define ENDPOINT_REGION 64
#define ENDPOINT_NAME   513             /* a secret's name, 512 characters */

struct endpoint {
        char host[ENDPOINT_HOST];       /* without brackets */
        char authority[ENDPOINT_HOST + 8];      /* the Host header: no default port */
        char path[ENDPOINT_PATH];       /* "/" or "/prefix/" */
        unsigned port;                  /* 0 = the usual one */
        bool tls;
};
/* Scheme, host and port of any http or https URL; *rest is what follows them in `url`. "" or what
 * is wrong. Whom it may lead to is the caller's affair. */
const char *endpoint_split(const char *url, struct endpoint *out, const char **rest);
/* http:// only to this machine; no user, query or fragment. */
bool endpoint_parse(const char *url, struct endpoint *out, struct error *e);
/* Secrets Manager's own in a region, and STS's. */
bool endpoint_of_region(const char *region, bool fips, bool dual_stack, struct endpoint *out,
                        struct error *e);
bool endpoint_of_sts(const char *region, bool fips, bool dual_stack, struct endpoint *out,
                     struct error *e);
/* AWS_STS_REGIONAL_ENDPOINTS=legacy means sts.amazonaws.com for the regions that were there before
 * it: true for those. It signs as us-east-1. */
bool endpoint_of_legacy_sts(const char *region, struct endpoint *out);
/* 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-': safe in a host name. */
bool endpoint_is_region(const char *region);

struct arn {
        char region[ENDPOINT_REGION];
        char name[ENDPOINT_NAME];       /* without the six random characters */
};
/* "" if it is the full ARN of a secret, else what is wrong with it. */
const char *endpoint_arn(const char *text, struct arn *out);
bool endpoint_looks_like_arn(const char *text);

#endif
