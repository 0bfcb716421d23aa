/* A client's first packets, up to the moment when it may send queries: what it asks for, and the
 * welcome it gets. TLS and GSS encryption are answered 'N': the socket is the kernel's. */
#ifndef PGB_FRONTEND_GREET_H
#define PGB_FRONTEND_GREET_H

#include <sys/types.h>
#include "base/bytes.h"
#include "base/error.h"
#include "track/settings.h"
#include "wire/startup.h"

struct greet {
        struct settings *settings;      /* the session parameters asked for, `options` included, but for ... */
        struct settings *at_start;      /* ... those that only a session's start can set; NULL = none */
        char *user, *database;          /* free text */
        char *replication;              /* as it was asked for; NULL: it was not */
        uint16_t minor;                 /* protocol 3.minor, as asked */
        struct bytes unknown;           /* names of "_pq_." options, each with its NUL */
        size_t unknown_count;
        uint32_t cancel_pid;            /* GREET_CANCEL */
        uint8_t cancel_key[256];
        size_t cancel_key_size;
        gid_t *groups;                  /* that the peer is in, as the kernel says */
        size_t group_count;
        uint64_t tried_at;              /* loop ms: since when the settings are tried on a server */
        bool tls_refused, gss_refused;  /* encryption was asked for: of each kind once */
};

enum greet_verdict {
        GREET_SHORT,                    /* more bytes are needed */
        GREET_AGAIN,                    /* `answer` is to be sent, the next packet to be read */
        GREET_SESSION,
        GREET_CANCEL,
        GREET_SUCCESSOR,                /* it is a new broker, which wants to take this one's place */
        GREET_BAD                       /* `e` is to be sent as FATAL */
};

void greet_init(struct greet *g);
void greet_free(struct greet *g);
enum greet_verdict greet_read(struct greet *g, const uint8_t *p, size_t n, size_t *used,
                              struct bytes *answer, struct error *e);
/* NegotiateProtocolVersion if need be (once, before anything else). */
void greet_negotiate(const struct greet *g, struct bytes *out);
/* AuthenticationOk, the parameters of `told` that `known` names, BackendKeyData, ReadyForQuery. */
void greet_welcome(const struct settings *told, const struct settings *known, uint32_t pid,
                   const uint8_t *key, size_t key_size, struct bytes *out);

#endif
