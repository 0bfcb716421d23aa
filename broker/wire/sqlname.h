/* The words of SQL that say something about session state: key words, and functions by name. */
#ifndef PGB_WIRE_SQLNAME_H
#define PGB_WIRE_SQLNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By length: the first thing that is compared. */
#define SQLNAMES_2(X) X(AS, "as") X(DO, "do") X(OR, "or") X(TO, "to")
#define SQLNAMES_3(X) X(ALL, "all") X(END, "end") X(FOR, "for") X(SET, "set") X(XML, "xml")
#define SQLNAMES_4(X)                                                                              \
        X(CALL, "call") X(COPY, "copy") X(DROP, "drop") X(HOLD, "hold") X(INTO, "into") X(LOAD, "load")            \
        X(ROLE, "role") X(TEMP, "temp") X(TIME, "time") X(TRUE, "true") X(WITH, "with")            \
        X(ZONE, "zone")
#define SQLNAMES_5(X)                                                                              \
        X(ABORT, "abort") X(BEGIN, "begin") X(CLOSE, "close") X(LOCAL, "local")                    \
        X(MERGE, "merge") X(NAMES, "names") X(RESET, "reset") X(START, "start")                    \
        X(TABLE, "table")
#define SQLNAMES_6(X)                                                                              \
        X(ATOMIC, "atomic") X(COMMIT, "commit") X(CREATE, "create") X(GLOBAL, "global")            \
        X(INSERT, "insert") X(LISTEN, "listen") X(OPTION, "option") X(SCHEMA, "schema")            \
        X(SETVAL, "setval") X(UPDATE, "update")
#define SQLNAMES_7(X)                                                                              \
        X(ANALYSE, "analyse") X(ANALYZE, "analyze") X(DECLARE, "declare")                          \
        X(DEFAULT, "default") X(DISCARD, "discard") X(EXECUTE, "execute")                          \
        X(EXPLAIN, "explain") X(PREPARE, "prepare") X(REPLACE, "replace")                          \
        X(SESSION, "session") X(UESCAPE, "uescape") X(VERBOSE, "verbose")                          \
        X(CURRVAL, "currval") X(LASTVAL, "lastval") X(NEXTVAL, "nextval")                          \
        X(SETSEED, "setseed")
#define SQLNAMES_8(X)                                                                              \
        X(FUNCTION, "function") X(PREPARED, "prepared") X(ROLLBACK, "rollback")                    \
        X(UNLISTEN, "unlisten") X(UNLOGGED, "unlogged")
#define SQLNAMES_9(X)                                                                              \
        X(ISOLATION, "isolation") X(PROCEDURE, "procedure") X(SEQUENCES, "sequences")              \
        X(TEMPORARY, "temporary") X(SET_LIMIT, "set_limit")
#define SQLNAMES_10(X) X(DEALLOCATE, "deallocate") X(SET_CONFIG, "set_config")
#define SQLNAMES_11(X)                                                                             \
        X(CONSTRAINTS, "constraints") X(PG_SETTINGS, "pg_settings") X(TRANSACTION, "transaction")
#define SQLNAMES_13(X) X(AUTHORIZATION, "authorization")
#define SQLNAMES_14(X) X(DBLINK_CONNECT, "dblink_connect")
#define SQLNAMES_15(X)                                                                             \
        X(CHARACTERISTICS, "characteristics") X(BACKUP_START, "pg_backup_start")                   \
        X(START_BACKUP, "pg_start_backup")
#define SQLNAMES_16(X) X(DBLINK_CONNECT_U, "dblink_connect_u") X(LOCK, "pg_advisory_lock")
#define SQLNAMES_18(X) X(UNLOCK, "pg_advisory_unlock")
#define SQLNAMES_20(X) X(TRY_LOCK, "pg_try_advisory_lock")
#define SQLNAMES_22(X) X(UNLOCK_ALL, "pg_advisory_unlock_all")
#define SQLNAMES_23(X) X(LOCK_SHARED, "pg_advisory_lock_shared")
#define SQLNAMES_25(X) X(UNLOCK_SHARED, "pg_advisory_unlock_shared")
#define SQLNAMES_27(X) X(TRY_LOCK_SHARED, "pg_try_advisory_lock_shared")
#define SQLNAMES_32(X) X(COPY_LOGICAL, "pg_copy_logical_replication_slot")
#define SQLNAMES_33(X) X(COPY_PHYSICAL, "pg_copy_physical_replication_slot")
#define SQLNAMES_34(X) X(CREATE_LOGICAL, "pg_create_logical_replication_slot")
#define SQLNAMES_35(X)                                                                             \
        X(CREATE_PHYSICAL, "pg_create_physical_replication_slot")                                  \
        X(ORIGIN, "pg_replication_origin_session_setup")
#define SQLNAMES(X)                                                                                \
        SQLNAMES_2(X) SQLNAMES_3(X) SQLNAMES_4(X) SQLNAMES_5(X) SQLNAMES_6(X) SQLNAMES_7(X)        \
        SQLNAMES_8(X) SQLNAMES_9(X) SQLNAMES_10(X) SQLNAMES_11(X) SQLNAMES_13(X) SQLNAMES_14(X)    \
        SQLNAMES_15(X) SQLNAMES_16(X) SQLNAMES_18(X) SQLNAMES_20(X) SQLNAMES_22(X)                 \
        SQLNAMES_23(X) SQLNAMES_25(X) SQLNAMES_27(X) SQLNAMES_32(X) SQLNAMES_33(X)                 \
        SQLNAMES_34(X) SQLNAMES_35(X)

enum sqlname {
        SQLNAME_NONE,
#define X(name, text) SQLNAME_##name,
        SQLNAMES(X)
#undef X
        SQLNAME_PG_TEMP,        /* pg_temp, pg_temp_3: the schema of temporary objects */
        SQLNAME_COUNT
};

/* `fold`: upper case letters are as good as lower case ones. */
enum sqlname sqlname_find(const char *text, size_t n, bool fold);

/* By length: a bit for the first and last letters that there are. It rules out most words of a
 * query; n is not 0. */
#define SQLNAME_LONGEST 35
#define SQLNAME_BIT(first, last) (UINT64_C(1) << (((first) * 3 + (last)) & 63))
extern const uint64_t sqlname_ends[SQLNAME_LONGEST + 1];
static inline bool sqlname_likely(const char *text, size_t n)
{
        unsigned first = (uint8_t) text[0] | 0x20u;
        if (first == 'p' && n >= 7 && ((uint8_t) text[1] | 0x20) == 'g')
                return true;            /* pg_temp, pg_temp_3 */
        /* Of a longer word the last letter may not be there. */
        return n <= SQLNAME_LONGEST &&
               sqlname_ends[n] & SQLNAME_BIT(first, (uint8_t) text[n - 1] | 0x20u);
}

#endif
