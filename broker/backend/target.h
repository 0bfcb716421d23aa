/* target_session_attrs, libpq's: which of several servers will do, by what a server says of itself.
 * Pure. PostgreSQL 14 and later report in_hot_standby and default_transaction_read_only at login, and
 * again when they change; others are asked. */
#ifndef PGB_BACKEND_TARGET_H
#define PGB_BACKEND_TARGET_H

#include <stdbool.h>
#include "base/error.h"

#define TARGETS(X)                                                                                 \
        X(ANY, "any")                                                                              \
        X(READ_WRITE, "read-write")                                                                \
        X(READ_ONLY, "read-only")                                                                  \
        X(PRIMARY, "primary")                                                                      \
        X(STANDBY, "standby")                                                                      \
        X(PREFER_STANDBY, "prefer-standby")     /* any, when no standby is there */

enum target_session_attrs {
#define X(name, text) TARGET_##name,
        TARGETS(X)
#undef X
};
const char *target_name(enum target_session_attrs t);

enum target_verdict { TARGET_FITS, TARGET_UNFIT, TARGET_UNSAID };

/* "on", "off", or NULL where it does not report that. */
enum target_verdict target_judge(enum target_session_attrs t, const char *in_hot_standby,
                                 const char *default_transaction_read_only);
/* What to ask then: one row of one column. And the answer, judged. */
const char *target_question(enum target_session_attrs t);
enum target_verdict target_answer(enum target_session_attrs t, const char *answer);
/* Says what is wrong with a server that does not fit (08001). */
void target_complain(enum target_session_attrs t, struct error *e);
/* What a session that sets default_transaction_read_only for itself can be judged by: the host's part of it. */
enum target_session_attrs target_of_host(enum target_session_attrs t);
/* Is there but one server of a cluster that can fit? */
bool target_writes(enum target_session_attrs t);

#endif
