/* ssl_mode, decided: what the secret says and what the environment demands at least, for one host.
 * Pure. The stronger of the two holds; a mode that can be talked down is never given to libpq. */
#ifndef PGB_BACKEND_ENFORCE_H
#define PGB_BACKEND_ENFORCE_H

#include <stdbool.h>
#include "base/error.h"
#include "secret/document.h"

struct enforce_options {
        enum ssl_mode min_ssl_mode;     /* UNSET: none for loopback, require for any other host;
                                           DISABLE..: said by the administrator */
        const char *root_cert;          /* "" = none */
        enum enforce_binding { BINDING_PREFER, BINDING_REQUIRE, BINDING_DISABLE } channel_binding;
};

struct enforce_decision {
        const char *sslmode;            /* for libpq: "disable", "require", "verify-ca", "verify-full";
                                           require with a root_cert is "verify-ca" */
        bool plain_allowed;             /* after sslmode, and only if the server says that it has no
                                           TLS: once more with "disable" */
        const char *channel_binding;    /* "prefer", "require", "disable" */
        bool tls_expected;              /* a connection without TLS must be closed */
        bool warn_unverified;           /* require without root_cert and channel binding: --check warns */
};

/* `loopback`: enforce_loopback_host() and every address it resolves to is loopback. A host that
 * starts with '/' is a unix socket. False and `e` (F0000, with the key to change) if the demands
 * can't be met. */
bool enforce_decide(enum ssl_mode secret, const struct enforce_options *options, const char *host,
                    bool loopback, struct enforce_decision *out, struct error *e);
/* localhost, 127/8 or ::1, by its text alone. */
bool enforce_loopback_host(const char *host);

#endif
