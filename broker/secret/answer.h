/* What comes of asking a source: the types, and the reading of Secrets Manager's answers, which is
 * pure. Errors are told apart by their code, never by the HTTP status. */
#ifndef PGB_SECRET_ANSWER_H
#define PGB_SECRET_ANSWER_H

#include <stdbool.h>
#include "base/error.h"
#include "base/sealed.h"
#include "io/http.h"
#include "secret/document.h"

enum secret_stage { STAGE_CURRENT, STAGE_PENDING, STAGE_PREVIOUS };
#define SECRET_STAGES 3
const char *secret_stage_name(enum secret_stage s);     /* "AWSCURRENT", ... */

enum source_verdict {
        SOURCE_FOUND,
        SOURCE_NONE,            /* no version with that label, or it may not be read: for PENDING and
                                   PREVIOUS that is normal */
        SOURCE_RETRY,           /* throttled, unreachable, 5xx, ...: worth another try, see retry_ms */
        SOURCE_REFUSED          /* denied, no such secret, bad document, ...: only a change elsewhere helps */
};

struct source_answer {
        enum source_verdict verdict;
        struct document *document;      /* FOUND: the callee takes it with TAKE() */
        char version_id[65];            /* FOUND, and of a document that is no good; of file and
                                           environment: a digest of the content that tells nothing
                                           of it (keyed hash, random key) */
        char request_id[65];            /* AWS's, or "" */
        unsigned retry_ms;              /* RETRY, REFUSED: not before */
        bool denied;                    /* NONE because it may not be read */
        struct error error;             /* all but FOUND */
};

/* ---- Secrets Manager's answers ---- */

#define ANSWER_KINDS(X)                                                                            \
        X(VALUE, "value")                       /* 200 with a secret in it */                      \
        X(NOT_FOUND, "not found")               /* no such secret, or no version with that label */\
        X(DENIED, "denied")                     /* a policy */                                     \
        X(BAD_REQUEST, "bad request")           /* our mistake, or the configuration's */          \
        X(BAD_STATE, "bad state")               /* scheduled for deletion, ... */                  \
        X(KMS, "not decrypted")                 /* its key is disabled or denied */                \
        X(BAD_KEY, "bad key")                   /* expired or unknown access key */                \
        X(BAD_SIGNATURE, "bad signature")       /* wrong clock, or wrong secret key */             \
        X(NOT_ENTITLED, "not entitled")         /* unsigned, or no subscription */                 \
        X(THROTTLED, "throttled")                                                                  \
        X(TROUBLE, "trouble")                   /* 5xx, timeout, no connection */                  \
        X(NONSENSE, "nonsense")                 /* not Secrets Manager's: a proxy, a portal, ... */\
        X(UNKNOWN, "unknown error")             /* a code that we don't know */

enum answer_kind {
#define X(name, text) ANSWER_##name,
        ANSWER_KINDS(X)
#undef X
};
const char *answer_kind_name(enum answer_kind k);

/* How the same fetch goes on. */
enum answer_again {
        ANSWER_STOP,
        ANSWER_SOON,            /* again, full jitter from 50 ms */
        ANSWER_LATER,           /* again, full jitter from 1 s */
        ANSWER_OTHER_KEY,       /* once more with credentials looked up afresh */
        ANSWER_OTHER_CLOCK      /* once more by the server's clock, if ours differs; else OTHER_KEY */
};

struct answer_rule {
        enum source_verdict current, other;     /* for AWSCURRENT, for the other labels */
        enum answer_again again;
        unsigned retry_ms;      /* for the next fetch */
        const char *hint;
};
const struct answer_rule *answer_rule(enum answer_kind k);

struct answer {
        enum answer_kind kind;
        char code[65];          /* AWS's error code, "" if none */
        char message[257];      /* plain ASCII, one line */
        char hint[257];         /* "" = that of the rule */
        char version_id[65], request_id[65];
        struct sealed *value;   /* VALUE: the secret's text */
};
/* `e` counts where there was no answer (status 0). answer_clear() when done with it. */
void answer_read(const struct http_answer *a, const struct error *e, struct answer *out);
/* The same of any AWS service, where no value is expected: of any kind but VALUE. */
void answer_read_error(const struct http_answer *a, const struct error *e, struct answer *out);
void answer_clear(struct answer *a);

#endif
