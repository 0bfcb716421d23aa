/* Tells which session state a query text may touch, without parsing SQL: a resumable lexer that
 * follows PostgreSQL's scan.l (strings, E'' and U&'' strings, dollar quotes, quoted identifiers,
 * nested comments, parameters) and looks at the first words of each statement and at the names
 * of functions called anywhere. It errs on the side of finding.
 *
 * Text may come in any chunks: the same bytes give the same findings. */
#ifndef PGB_WIRE_SQLWORD_H
#define PGB_WIRE_SQLWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/sqlconfig.h"
#include "wire/sqllex.h"
#include "wire/sqlset.h"

#define SQL_EFFECTS(X)                                                                             \
        X(SET, "SET of a session parameter; name = the parameter, lower case")                     \
        X(RESET, "RESET name, SET name TO DEFAULT, set_config(name, NULL, false); name = the parameter") \
        X(RESET_ALL, "RESET ALL")                                                                  \
        X(SET_CONFIG, "set_config() that is not plainly transaction-local, name = the parameter; UPDATE pg_settings") \
        X(SET_LOCAL, "SET LOCAL, or a set_config() that is plainly so; name = the parameter")      \
        X(RESET_LOCAL, "SET LOCAL name TO DEFAULT; name = the parameter")                          \
        X(DISCARD_ALL, "DISCARD ALL")                                                              \
        X(DISCARD_TEMP, "DISCARD TEMP")                                                            \
        X(DISCARD_SEQUENCES, "DISCARD SEQUENCES")                                                  \
        X(TEMP, "a temporary table, view, sequence, function; pg_temp named")                      \
        X(LISTEN, "LISTEN")                                                                        \
        X(UNLISTEN, "UNLISTEN")                                                                    \
        X(ADVISORY, "a session-level advisory lock function")                                      \
        X(ADVISORY_UNLOCK, "pg_advisory_unlock, _unlock_shared, _unlock_all")                      \
        X(HOLD_CURSOR, "DECLARE ... WITH HOLD")                                                    \
        X(CLOSE, "CLOSE of a cursor")                                                              \
        X(PREPARE, "PREPARE name AS (not PREPARE TRANSACTION)")                                    \
        X(EXECUTE, "EXECUTE of a prepared statement")                                              \
        X(DEALLOCATE, "DEALLOCATE; name = the statement, NULL = ALL")                              \
        X(LOAD, "LOAD of a library")                                                               \
        X(SEQUENCE, "nextval, setval: currval() follows them")                                     \
        X(CURRVAL, "currval, lastval: what the session has had of sequences")                      \
        X(DROP, "DROP of anything: temporary objects may be gone")                                 \
        X(BACKUP, "pg_backup_start, a temporary replication slot: bound to the session")           \
        X(CALL, "CALL, DO: transactions may have ended within")                                    \
        X(BEGIN, "BEGIN, START TRANSACTION")                                                       \
        X(COMMIT, "COMMIT, END, PREPARE TRANSACTION")                                              \
        X(ROLLBACK, "ROLLBACK, ABORT (also TO SAVEPOINT)")                                         \
        X(COPY, "COPY")

enum sql_effect {
#define X(name, text) SQL_##name,
        SQL_EFFECTS(X)
#undef X
        SQL_EFFECT_COUNT
};

/* name is NULL except for SET, SET_LOCAL, RESET, RESET_LOCAL, SET_CONFIG and DEALLOCATE, and of the latter two and of a
 * set_config() that is local, too, where it can't be told; it lives during the call. */
typedef void sqlword_found(void *arg, enum sql_effect effect, const char *name);

struct sqlword {
        sqlword_found *found;
        void *arg;

        /* The rest belongs to sqlword.c. */
        uint8_t state;
        uint8_t name_id, before;        /* enum sqlname of this token and of the one before */
        uint8_t kind_before;            /* enum sqltoken_kind of the one before */
        uint8_t pending;                /* COMMIT or ROLLBACK, until it is known of what */
        uint8_t target;                 /* so many tokens more may hold what UPDATE is about */
        bool into;                      /* SELECT ... INTO may go on with TEMP */
        bool setting, block, atomic;    /* in SET; in DO; in a function's BEGIN ATOMIC */
        bool dropped;                   /* ON COMMIT DROP */
        bool following;                 /* behind set_config(name, ...) */
        uint32_t config;                /* depth of set_config()'s parentheses, 0 = not in them */
        uint32_t depth;                 /* of parentheses */
        struct sqllex lex;
        struct sqlset set;
        struct sqlconfig arguments;
};

/* SET TRANSACTION and SET CONSTRAINTS end with the transaction: not found. SET SESSION
 * x, SET x, SET TIME ZONE (timezone), SET NAMES (client_encoding), SET ROLE (role), SET SESSION
 * AUTHORIZATION (session_authorization), SET SESSION CHARACTERISTICS (session characteristics),
 * SET XML OPTION (xmloption), SET SEED and setseed() (seed) are. CREATE TEMP ... ON COMMIT DROP is
 * not TEMP. In DO blocks the words inside the string are looked at too: SET, LISTEN, TEMP and the
 * functions are found there wherever they stand, and SET_CONFIG where an escape may hide a word.
 *
 * What ends state (RESET, DISCARD, UNLISTEN, CLOSE, DEALLOCATE, DROP, COMMIT, ROLLBACK) is found
 * only where a statement begins, never on suspicion.
 *
 * `backslashes`: standard_conforming_strings is off, '\' escapes in '' strings. */
void sqlword_init(struct sqlword *w, bool backslashes, sqlword_found *found, void *arg);
/* After init: the client's encoding, as the server reports it. In SJIS, BIG5, GBK and their like
 * half a character may look like a backslash. */
static inline void sqlword_encoding(struct sqlword *w, const char *client_encoding)
{
        w->lex.quote.encoding = sqlquote_encoding(client_encoding);
}
void sqlword_feed(struct sqlword *w, const char *text, size_t n);
/* The text is over: what was open (the last statement, an unfinished word) is judged. */
void sqlword_end(struct sqlword *w);
/* The label of an effect, e.g. "LISTEN". */
const char *sqlword_label(enum sql_effect effect);

#endif
