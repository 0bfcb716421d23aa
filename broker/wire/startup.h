/* The first packets of a client: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage; and one of
 * the broker's own, by which a new broker asks the running one for its place (pgbrokerd --replace).
 * Source: PostgreSQL manual, "Message Formats" (they have no type byte), "Start-up". */
#ifndef PGB_WIRE_STARTUP_H
#define PGB_WIRE_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "wire/frame.h"

#define STARTUP_MAX 10000               /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH */
#define STARTUP_MAX_PARAMETERS 128
#define STARTUP_SUCCESSOR_PACKET "\0\0\0\10\4\322\25\67"

enum startup_kind {
        STARTUP_SSL,            /* answer 'N', read on */
        STARTUP_GSSENC,         /* answer 'N', read on */
        STARTUP_CANCEL,
        STARTUP_SUCCESSOR,      /* length 8, code 1234.5431 */
        STARTUP_SESSION,
        STARTUP_TLS_HELLO       /* first byte 0x16: a direct TLS ClientHello */
};

struct startup_parameter {
        const char *name, *value;       /* NUL-terminated, inside the packet */
};

struct startup {
        enum startup_kind kind;
        size_t size;                    /* of the packet */
        uint16_t major, minor;          /* STARTUP_SESSION */
        uint32_t cancel_pid;            /* STARTUP_CANCEL */
        const uint8_t *cancel_key;
        size_t cancel_key_size;         /* 4, or 4..256 in protocol 3.2 */
        struct startup_parameter parameters[STARTUP_MAX_PARAMETERS];
        size_t count;
        size_t unknown_options;         /* how many parameters start with "_pq_." */
};

/* Reads the packet at p. BAD sets `e` (08P01: cause). Pointers in `s` point into p. Duplicate
 * names are kept in order (PostgreSQL lets the last one win). Versions: any major 3 with any
 * minor is READY (the caller negotiates down to 3.2); other majors are BAD with 0A000. */
enum frame_verdict startup_read(const uint8_t *p, size_t n, struct startup *s, struct error *e);
/* The value of a parameter, the last one if repeated; NULL if absent. */
const char *startup_get(const struct startup *s, const char *name);

/* What the startup parameter "replication" asks for; name, label in SHOW CLIENTS and SHOW SERVERS. Anything that
 * PostgreSQL would not take as false or as a database's name for it is PHYSICAL here: the server says what is
 * wrong with it. */
#define REPLICATIONS(X) X(NONE, "none") X(PHYSICAL, "physical") X(LOGICAL, "logical")

enum replication {
#define X(name, label) REPLICATION_##name,
        REPLICATIONS(X)
#undef X
};
enum replication startup_replication(const char *value);
const char *replication_name(enum replication r);

/* A parameter that only a session's start can set, or that has no effect later: PostgreSQL's contexts "backend" and
 * "superuser-backend", and the libraries to be loaded. */
bool startup_only(const char *name);

/* Splits the value of the startup parameter "options" as PostgreSQL does (pg_split_opts: blanks,
 * backslash escapes) and understands `-c name=value`, `-cname=value`, `--name=value` (dashes in
 * the name become underscores) and PostgreSQL's letters that stand for parameters (-e, -f, -S, ...:
 * process_postgres_switches()). Calls found() for each, with texts that live during the call.
 * Any other switch is refused: false, `e` set (42601). */
typedef void option_found(void *arg, const char *name, const char *value);
bool startup_options(const char *options, option_found *found, void *arg, struct error *e);

#endif
