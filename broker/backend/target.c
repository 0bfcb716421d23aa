#include "backend/target.h"

#include <string.h>
#include "base/expect.h"

const char *target_name(enum target_session_attrs t)
{
        static const char *const names[] = {
#define X(name, text) text,
                TARGETS(X)
#undef X
        };

        expect((size_t) t < sizeof names / sizeof names[0]);
        return names[t];
}

static bool is_on(const char *value)
{
        return value && strcmp(value, "on") == 0;
}

static enum target_verdict fits(bool yes)
{
        return yes ? TARGET_FITS : TARGET_UNFIT;
}

enum target_verdict target_judge(enum target_session_attrs t, const char *in_hot_standby,
                                 const char *default_transaction_read_only)
{
        bool standby = is_on(in_hot_standby);
        bool read_only = standby || is_on(default_transaction_read_only);

        if (t == TARGET_ANY || t == TARGET_PREFER_STANDBY)
                return TARGET_FITS;
        if (!in_hot_standby)
                return TARGET_UNSAID;
        switch (t) {
        case TARGET_READ_WRITE:
                return fits(!read_only);
        case TARGET_READ_ONLY:
                return fits(read_only);
        case TARGET_PRIMARY:
                return fits(!standby);
        default:
                return fits(standby);
        }
}

const char *target_question(enum target_session_attrs t)
{
        return t == TARGET_READ_WRITE || t == TARGET_READ_ONLY
                       ? "SHOW transaction_read_only"
                       : "SELECT pg_catalog.pg_is_in_recovery()";
}

/* "on" and "off" of SHOW; "t" and "f" of a function. */
enum target_verdict target_answer(enum target_session_attrs t, const char *answer)
{
        bool yes = is_on(answer) || strcmp(answer, "t") == 0;

        return fits(yes != target_writes(t));
}

static const char *lack(enum target_session_attrs t)
{
        switch (t) {
        case TARGET_READ_WRITE:
                return "its sessions are read-only";
        case TARGET_READ_ONLY:
                return "its sessions are not read-only";
        case TARGET_PRIMARY:
                return "it is a standby";
        default:
                return "it is not a standby";
        }
}

void target_complain(enum target_session_attrs t, struct error *e)
{
        error_set(e, "08001", "%s, and target_session_attrs is %s", lack(t), target_name(t));
        error_hint(e, "Check that a server of that kind is among the hosts; after a failover one may yet "
                      "become it.");
}

bool target_writes(enum target_session_attrs t)
{
        return t == TARGET_READ_WRITE || t == TARGET_PRIMARY;
}

enum target_session_attrs target_of_host(enum target_session_attrs t)
{
        return t == TARGET_READ_WRITE ? TARGET_PRIMARY : t;
}
