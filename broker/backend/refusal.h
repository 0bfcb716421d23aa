/* Why libpq could not log in, told from its message: a kind that decides what is done about it, the
 * SQLSTATE, a sentence of cause in the server's own words and one of remedy. Pure. */
#ifndef PGB_BACKEND_REFUSAL_H
#define PGB_BACKEND_REFUSAL_H

#include <stdbool.h>
#include "base/error.h"

#define CONNECT_FAILURES(X)                                                                        \
        X(REFUSED, "refused")   /* 28P01, or libpq's own word for it: no password, SCRAM signature */ \
        X(DENIED, "denied")     /* 28000 */                                                        \
        X(SERVER, "server")     /* another SQLSTATE: 3D000, 53300, 57P03, ... (in error.sqlstate) */ \
        X(TLS, "tls")           /* handshake, certificate, no TLS though required, policy */       \
        X(NETWORK, "network")   /* resolve, refused, reset, garbage */                             \
        X(TIMEOUT, "timeout")                                                                      \
        X(ROLE, "role")         /* it is not what target_session_attrs asks for */

enum connect_failure {
#define X(name, text) CONNECT_##name,
        CONNECT_FAILURES(X)
#undef X
};
const char *connect_failure_name(enum connect_failure f);

/* How far libpq had come before the step that failed. */
enum refusal_stage { REFUSAL_REACHING, REFUSAL_HANDSHAKE, REFUSAL_LOGIN };

struct refusal {
        enum connect_failure failure;
        struct error error;
        bool no_tls;                    /* the server answered that it has no TLS */
        bool elsewhere;                 /* another address of the host may do better */
};

/* `message` is PQerrorMessage() of a connection to one address with PQERRORS_VERBOSE. The place in
 * front of it ("connection to server at ... failed: ") is left out: libpq names host or address. */
void refusal_read(const char *message, enum refusal_stage stage, struct refusal *out);
/* 57P01, 57P03 and their like: it starts, stops or recovers. */
bool refusal_passes(const char *sqlstate);
/* The same for an ErrorResponse that was read without libpq. */
void refusal_answer(const char *sqlstate, const char *message, struct refusal *out);

#endif
