/* What the broker knows of a server connection and of a client: the two halves of a session. Only
 * data; track.c, look.c and restore.c change it. */
#ifndef PGB_TRACK_STATE_H
#define PGB_TRACK_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/error.h"
#include "track/pins.h"
#include "track/prepared.h"
#include "track/settings.h"
#include "track/statements.h"
#include "track/turns.h"

#define TRACK_AUDIT_MAX 65536           /* bytes of an answer */
#define TRACK_SETTINGS_MAX 65536        /* bytes that a server reports, or a client wants everywhere */

/* The client's messages in a batch, as long as it may be done again: see again.h. */
struct track_again {
        enum again_state {
                AGAIN_NOT,              /* it may not */
                AGAIN_BEGUN,            /* nothing that could fail so has been sent */
                AGAIN_KEPT,             /* something has */
                AGAIN_SENT,             /* with its Sync, and nothing behind that */
                AGAIN_FAILED,           /* and the client has not heard of that */
                AGAIN_DUE               /* it is to be sent again, or being sent */
        } state;
        bool executed;                  /* an Execute is among them */
        uint8_t last;                   /* the type of the last */
        struct bytes batch;
        size_t from;                    /* FAILED, DUE: where in it what failed is */
        struct text *tried;             /* again_use(): may be older here than what the client counts on ... */
        uint64_t proved;                /* ... and how old */
};

struct track_server {
        struct turns turns;
        struct prepared prepared;
        char status;                    /* of the last ReadyForQuery: 'I', 'T', 'E' */
        uint8_t verdict;                /* on the message that is coming, an enum track_verdict */
        struct track_again again;
        /* A Query of the client's that leads back (back.h): its own answer is to come; others, to be swallowed. */
        enum track_back { BACK_NONE, BACK_RESET, BACK_SET } back;
        bool unsynced;                  /* extended messages were sent, their Sync was not; nor was a Query done since */
        bool soiled;                    /* the next client, whoever it is, needs a full reset first */
        bool inside;                    /* a client's message was sent in part */
        bool rereading;                 /* texts are read in another way for a moment, for the broker's own Parse */
        bool roles;                     /* some role may have SET what the login may not RESET */
        bool foreign_sequences;         /* currval() and lastval() may tell what another client had */
        bool restore_failed;            /* a reset or SET of the broker's own was refused ... */
        struct error *restore_reason;   /* ... with these words of the server; NULL = not yet */
        struct settings *reported;      /* what the server last reported */
        struct settings *applied;       /* what was SET here, by the broker or, as reported, by a client */
        struct settings *aligned;       /* the client settings that both agree with now, or NULL */
        struct bytes audit_row;         /* the server's answer to the audit, as far as it is here */
        struct track_span {
                uint32_t tags, begins, commits, rollbacks, readies;
                uint32_t idles;         /* ReadyForQuery outside of a transaction */
                uint32_t ends;          /* rollbacks since the last one inside: not TO SAVEPOINT */
                bool error, first_begin, last_rollback;
        } span;                         /* what came since the server was last quiet */
};

/* The server is asked what a statement takes and gives: see fit.h; and the Bind that waits for that may be sent. */
enum track_check { CHECK_NONE, CHECK_ASKED, CHECK_ANSWERED };

struct track_question {
        const struct text *about;       /* only compared */
        struct bytes refusal;           /* an error that answered it, and is the Bind's; empty: none */
};

struct track_client {
        struct settings *wanted;        /* what the client has been told, and the values of its own */
        struct settings *startup;       /* what it said at the start: where RESET leads back to */
        struct settings *own;           /* names that its statements SET since: with those of `startup` what
                                           it wants everywhere; any other is as its server has it */
        struct pins pins;
        struct statements statements;
        struct look_pieces *lexer;      /* inside a statement text that comes in pieces */
        struct settings *known;         /* the parameters that servers here report */
        bool trying;                    /* at login: no request follows what is SET for it */
        bool two_readings;              /* '\' in strings may or may not escape: read both ways */
        bool temporary_path;            /* all that it creates may be temporary */
        bool rereads;                   /* what texts are read by may have been SET, for this transaction at least */
        uint32_t ready_owed;            /* the ReadyForQuery that were kept back: see `holding` */
        struct settings *touched;       /* parameters to ask the server about, and why: see audit.c */
        struct settings *asked;         /* those that it is being asked about now */
        bool reset_all, reset_unsure;   /* RESET ALL, DISCARD ALL: any may lead back; maybe before what was SET */
        bool awaits;                    /* its next request can't be judged before the Sync is answered */
        bool auditing;                  /* it is asked about pins, too */
        bool holding;                   /* it must hear the answer first: something may have led back */
        uint8_t check;                  /* an enum track_check */
        struct track_question *question;        /* see fit.h; NULL: none ever */
};

/* Must texts be read both with and without '\' as an escape? (standard_conforming_strings is off,
 * or the client's encoding has characters that contain the byte '\'.) */
bool track_two_readings(const struct settings *wanted);
/* Does the search_path name pg_temp? Then what is created without a word of it may be temporary. */
bool track_temporary_path(const struct settings *wanted);

void track_server_init(struct track_server *t, struct settings *reported);     /* takes the reference */
void track_server_free(struct track_server *t);
/* The client has nothing open, though the broker itself may be waiting for an answer. */
static inline bool track_idle(const struct track_server *t)
{
        return t->status == 'I' && !t->unsynced && turns_own_only(&t->turns);
}
/* A Query of the broker's own would disturb nothing: no transaction is open, or nothing was done in it but begin. */
bool track_fresh(const struct track_client *c, const struct track_server *t);
/* Takes a reference to each: what the client is told, what of it it said itself, and what servers of this
 * pool report. `texts`: of the pool; `prepared`: how many of them a server may have. */
void track_client_init(struct track_client *c, struct settings *told, struct settings *said,
                       struct settings *known, struct texts *texts, unsigned prepared);
void track_client_free(struct track_client *c);
/* A text brings these kinds of pins: the statement is kept for SHOW PINS, if it is clear how it reads. */
void track_client_note(struct track_client *c, uint32_t pins, const char *sql, size_t size);

#endif
