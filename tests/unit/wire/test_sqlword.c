/* Each SQL text has its effects, however it is cut into chunks. */
#include "cmocka_all.h"
#include "wire/sqlword.h"

struct list {
        char text[4096];
        size_t size;
};

static void note(void *arg, enum sql_effect effect, const char *name)
{
        struct list *l = arg;
        l->size += (size_t) snprintf(l->text + l->size, sizeof l->text - l->size, "%s%s%s%s",
                                     l->size ? " " : "", sqlword_label(effect), name ? ":" : "",
                                     name ? name : "");
        assert_true(l->size < sizeof l->text);
}

struct expected {
        const char *sql, *effects;
};

static const char *encoding = "UTF8";

static void run(struct list *l, const char *sql, size_t n, size_t chunk, bool backslashes)
{
        struct sqlword w;
        l->size = 0;
        l->text[0] = 0;
        memset(&w, 0xa5, sizeof w);
        sqlword_init(&w, backslashes, note, l);
        sqlword_encoding(&w, encoding);
        for (size_t at = 0; at < n; at += chunk) {
                /* A copy of exactly this size, so that nothing beyond is read unseen. */
                char copy[8192];
                size_t size = n - at < chunk ? n - at : chunk;
                memcpy(copy + sizeof copy - size, sql + at, size);
                sqlword_feed(&w, copy + sizeof copy - size, size);
                memset(copy, '\'', sizeof copy);
        }
        sqlword_end(&w);
}

static void check(const struct expected *table, size_t count, bool backslashes)
{
        static struct list whole, cut;
        for (size_t i = 0; i < count; i++) {
                size_t n = strlen(table[i].sql);
                run(&whole, table[i].sql, n, n + 1, backslashes);
                if (strcmp(whole.text, table[i].effects) != 0)
                        fail_msg("%s\n  gave:     %s\n  expected: %s", table[i].sql, whole.text,
                                 table[i].effects);
                for (size_t chunk = 1; chunk < n; chunk++) {
                        run(&cut, table[i].sql, n, chunk, backslashes);
                        if (strcmp(cut.text, whole.text) != 0)
                                fail_msg("%s\n  in chunks of %zu: %s\n  whole: %s", table[i].sql,
                                         chunk, cut.text, whole.text);
                }
        }
}

#define CHECK(...)                                                                                 \
        do {                                                                                       \
                static const struct expected table[] = {__VA_ARGS__};                              \
                check(table, sizeof table / sizeof table[0], false);                               \
        } while (0)

static void plain_queries_have_no_effects(void **state)
{
        (void) state;
        CHECK({"", ""}, {";;", ""}, {"SELECT 1", ""}, {"  select 1 ; select 2 ;", ""},
              {"(SELECT 1) UNION (SELECT 2)", ""}, {"((select set_config from t))", ""},
              {"UPDATE t SET a = 1 WHERE b = 2", ""},
              {"INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", ""},
              {"WITH x AS (SELECT 1) DELETE FROM t USING x", ""},
              {"SELECT 'SET x = 1; LISTEN y'", ""}, {"SELECT listen, reset FROM set", ""},
              {"ALTER SYSTEM SET work_mem = '1GB'", ""}, {"ALTER ROLE x SET a = 1", ""},
              {"ALTER DATABASE d RESET ALL", ""}, {"ALTER TABLE t ALTER a SET DEFAULT 1", ""},
              {"SAVEPOINT s; RELEASE s", ""}, {"GRANT EXECUTE ON FUNCTION f() TO x", ""},
              {"CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION f()", ""},
              {"CREATE TABLE t (temp int, a text DEFAULT 'x')", ""},
              {"SHOW work_mem; SHOW ALL", ""}, {"SELECT count(*) FROM pg_locks", ""},
              {"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pg_temp%'", ""},
              {"NOTIFY x, 'y'", ""}, {"LOCK TABLE t", ""}, {"SELECT $1, $2::text", ""},
              {"VALUES (1), (2)", ""}, {"TABLE t", ""}, {"CALL p(1)", "CALL"});
}

static void set_names_its_parameter(void **state)
{
        (void) state;
        CHECK({"SET work_mem = '64MB'", "SET:work_mem"}, {"set Work_Mem to 1", "SET:work_mem"},
              {"SET SESSION x = 1", "SET:x"}, {"SET session.x = 1", "SET:session.x"},
              {"SET \"TimeZone\" = 'UTC'", "SET:timezone"}, {"SET app.user = 'me'", "SET:app.user"},
              {"SET \"App\".\"User Id\" TO 1", "SET:app.user id"},
              {"SET a . b . c = 1", "SET:a.b.c"}, {"SET x=1;SET y=2", "SET:x SET:y"},
              {"SET x = a, b, c", "SET:x"},
              {"SET search_path TO \"$user\", public", "SET:search_path"},
              {"SET TIME ZONE 'Europe/Berlin'", "SET:timezone"},
              {"SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "SET:timezone"},
              {"SET TIME ZONE -7", "SET:timezone"}, {"SET SESSION TIME ZONE 'UTC'", "SET:timezone"},
              {"SET NAMES 'utf8'", "SET:client_encoding"}, {"SET SCHEMA 'x'", "SET:search_path"},
              {"SET ROLE admin", "SET:role"}, {"SET ROLE NONE", "SET:role"},
              {"SET role = 'x'", "SET:role"}, {"SET SESSION ROLE x", "SET:role"},
              {"SET SESSION AUTHORIZATION bob", "SET:session_authorization"},
              {"SET SESSION SESSION AUTHORIZATION 'bob'", "SET:session_authorization"},
              {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
               "SET:session characteristics"},
              {"SET XML OPTION DOCUMENT", "SET:xmloption"}, {"SET SEED TO 0.5", "SET:seed"},
              {"SET time.zone = 1", "SET:time.zone"}, {"SET local.x = 1", "SET:local.x"},
              {"SET transaction.x = 1", "SET:transaction.x"}, {"SET x FROM CURRENT", "SET:x"},
              {"SET \"local\" = 1", "SET:local"}, {"SET/**/x/**/=/**/1", "SET:x"},
              {"SET --\nx = 1", "SET:x"},
              {"SET standard_conforming_strings = off", "SET:standard_conforming_strings"},
              {"SET U&\"\\0073earch_path\" = x", "SET:search_path"},
              {"SET transaction_isolation = 'serializable'", "SET:transaction_isolation"},
              {"SET names = 1", "SET:names"}, {"SET x TO 'default'", "SET:x"},
              {"SET x TO \"default\"", "SET:x"}, {"SET x TO $$y$$", "SET:x"});
}

static void set_local_ends_with_the_transaction(void **state)
{
        (void) state;
        CHECK({"SET LOCAL work_mem = 1", "SET_LOCAL:work_mem"}, {"SET LOCAL a.b TO DEFAULT", "RESET_LOCAL:a.b"},
              {"SET LOCAL TIME ZONE 'UTC'", "SET_LOCAL:timezone"}, {"SET LOCAL ROLE x", "SET_LOCAL:role"},
              {"SET LOCAL SESSION AUTHORIZATION x", "SET_LOCAL:session_authorization"},
              {"SET LOCAL NAMES 'x'", "SET_LOCAL:client_encoding"},
              {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", ""},
              {"SET TRANSACTION SNAPSHOT 'x'", ""}, {"SET LOCAL TRANSACTION READ ONLY", "SET_LOCAL:transaction"},
              {"SET SESSION TRANSACTION READ ONLY", ""}, {"SET CONSTRAINTS ALL DEFERRED", ""},
              {"SET CONSTRAINTS a.b IMMEDIATE", ""}, {"SET LOCAL x = 1; SET x = 2", "SET_LOCAL:x SET:x"},
              {"SET LOCAL XML OPTION DOCUMENT", "SET_LOCAL:xmloption"}, {"SET LOCAL TIME ZONE LOCAL", "RESET_LOCAL:timezone"},
              {"DO $$ BEGIN SET LOCAL x TO DEFAULT; END $$", "CALL RESET_LOCAL:x"});
}

static void a_default_is_a_reset(void **state)
{
        (void) state;
        CHECK({"SET x TO DEFAULT", "RESET:x"}, {"SET x = default;", "RESET:x"},
              {"SET SESSION a.b TO DEFAULT", "RESET:a.b"},
              {"SET TIME ZONE LOCAL", "RESET:timezone"},
              {"SET TIME ZONE DEFAULT", "RESET:timezone"}, {"SET NAMES", "RESET:client_encoding"},
              {"SET NAMES DEFAULT", "RESET:client_encoding"},
              {"SET NAMES; SELECT 1", "RESET:client_encoding"},
              {"SET SESSION AUTHORIZATION DEFAULT", "RESET:session_authorization"},
              {"RESET x", "RESET:x"}, {"RESET A.\"B\";", "RESET:a.b"}, {"RESET ROLE", "RESET:role"},
              {"RESET SESSION AUTHORIZATION", "RESET:session_authorization"},
              {"RESET TIME ZONE", "RESET:timezone"}, {"RESET ALL", "RESET_ALL"},
              {"RESET \"all\"", "RESET:all"}, {"RESET time.x", "RESET:time.x"},
              {"RESET TRANSACTION ISOLATION LEVEL", "RESET:transaction_isolation"},
              {"RESET session", "RESET:session"}, {"RESET ;", ""}, {"RESET", ""});
}

static void long_names_are_cut_and_doubted(void **state)
{
        (void) state;
        static char sql[600], expected[600];
        char part[100], kept[100];
        memset(part, 'x', 80);
        part[80] = 0;
        memset(kept, 'x', 63);
        kept[63] = 0;
        snprintf(sql, sizeof sql, "SET a.%s = 1", part);
        snprintf(expected, sizeof expected, "SET:a.%s SET_CONFIG", kept);
        check(&(struct expected){sql, expected}, 1, false);
        snprintf(sql, sizeof sql, "SET a.%s = 1", kept);
        snprintf(expected, sizeof expected, "SET:a.%s", kept);
        check(&(struct expected){sql, expected}, 1, false);
        snprintf(sql, sizeof sql, "SET %s.%s.%s.%s = 1", kept, kept, kept, kept);
        snprintf(expected, sizeof expected, "SET:%s.%s.%.63s SET_CONFIG", kept, kept, kept);
        check(&(struct expected){sql, expected}, 1, false);
        snprintf(sql, sizeof sql, "SELECT %s(1), set_config%s(1), \"set_%s\"(2)", part, part, part);
        check(&(struct expected){sql, ""}, 1, false);
}

static void set_config_is_local_only_when_it_plainly_says_so(void **state)
{
        (void) state;
        CHECK({"UPDATE pg_settings SET setting = 1", "SET_CONFIG"},
              {"EXPLAIN ANALYZE UPDATE ONLY pg_catalog . \"pg_settings\" SET setting = 1", "SET_CONFIG"},
              {"WITH x AS (SELECT 1) UPDATE /* */ PG_SETTINGS AS s SET setting = 1", "SET_CONFIG"},
              {"DO 'BEGIN UPDATE pg_settings SET setting = 1; END'", "CALL SET_CONFIG SET:setting"},
              {"UPDATE t SET a = (SELECT setting FROM pg_settings)", ""},
              {"SELECT * FROM pg_settings", ""}, {"UPDATE pg_settings2 SET a = 1", ""});
        CHECK({"SELECT set_config('a', 'b', false)", "SET_CONFIG:a"},
              {"SELECT set_config('a', 'b', true)", "SET_LOCAL:a"}, {"SELECT set_config($1, $2, TRUE)", "SET_LOCAL"},
              {"SELECT set_config('a','b','t'), set_config('a','b','true')", "SET_LOCAL:a SET_LOCAL:a"},
              {"SELECT set_config('a','b', 'On'), set_config('a','b','1')", "SET_LOCAL:a SET_LOCAL:a"},
              {"SELECT set_config('a','b', 'f')", "SET_CONFIG:a"},
              {"SELECT set_config('a', NULL, false)", "RESET:a"}, {"SELECT set_config('a', null, true)", "SET_LOCAL:a"},
              {"SELECT set_config($1, NULL, false)", "SET_CONFIG"}, {"SELECT set_config('a', 'null', false)", "SET_CONFIG:a"},
              {"SELECT set_config('a', NULL || 'x', false)", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', 'truely')", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', $1)", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', true and false)", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', not true)", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', 't' 'f')", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', 't'\n'x')", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', true::text = 'x')", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', (true))", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', \"true\")", "SET_CONFIG:a"},
              {"SELECT set_config('a','b', E'true')", "SET_CONFIG:a"},
              {"SELECT set_config(is_local => true, setting_name => 'a', new_value => 'b')",
               "SET_CONFIG"},
              {"SELECT set_config('a', f(1, 2, (3)), true)", "SET_LOCAL:a"},
              {"SELECT set_config('a', 'x,true)', true)", "SET_LOCAL:a"},
              {"SELECT set_config('a', 'x,true)', false)", "SET_CONFIG:a"},
              {"SELECT set_config('a', f('b', true), false)", "SET_CONFIG:a"},
              {"SELECT set_config('a', set_config('b', 'c', true), true)", "SET_CONFIG SET_LOCAL:b"},
              {"SELECT set_config('a', 'it''s', true)", "SET_LOCAL:a"},
              {"SELECT pg_catalog.set_config('a','b',true)", "SET_LOCAL:a"},
              {"SELECT \"pg_catalog\" . \"set_config\" ('a','b',false)", "SET_CONFIG:a"},
              {"SELECT set_config /* x */ -- y\n ('a','b',false)", "SET_CONFIG:a"},
              {"SELECT Set_Config('a','b'", "SET_CONFIG:a"}, {"SELECT \"Set_Config\"('a','b')", ""},
              {"SELECT set_config", ""}, {"SELECT set_config, (1)", ""},
              {"SELECT U&\"set\\005fconfig\"('a','b',false)", "SET_CONFIG:a"},
              {"SELECT U&\"set\\+00005fconfig\"('a','b',true)", "SET_LOCAL:a"},
              {"SELECT U&\"set!005fconfig\" UESCAPE '!' ('a','b',true)", "SET_CONFIG"},
              {"SELECT set_config('search_path', 'pg_temp, x', true)", "TEMP SET_LOCAL:search_path"},
              {"SELECT set_config('a','b',true),set_config('a','b',false)", "SET_LOCAL:a SET_CONFIG:a"},
              {"SELECT set_config($1,'b',false)", "SET_CONFIG"},
              {"SELECT set_config('a'||'b','b',false)", "SET_CONFIG"},
              {"SELECT set_config(('a'),'b',false)", "SET_CONFIG"},
              {"SELECT set_config(E'a','b',false)", "SET_CONFIG"},
              {"SELECT set_config('a''b','b',false)", "SET_CONFIG"},
              {"SELECT set_config('','b',false)", "SET_CONFIG"},
              {"SELECT set_config('My.Tag', $1, $2)", "SET_CONFIG:my.tag"});
}

/* As pg_dump does it. */
static void a_row_of_pg_settings_names_its_parameter(void **state)
{
        (void) state;
        CHECK({"SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'Some_Thing'",
               "SET_CONFIG:some_thing"},
              {"select set_config(NAME,'a','off')from/**/PG_SETTINGS where name='b' ; LISTEN x", "SET_CONFIG:b LISTEN"},
              {"SELECT set_config(name, 'a', true) FROM pg_settings WHERE name = 'b'", "SET_LOCAL"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = 'b' OR true", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = 'b' 'c'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = ''", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = E'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = $1", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name >= 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE NOT name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings, t WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM mine WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false), 1 FROM pg_settings WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name || 'x', 'a', false) FROM pg_settings WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(\"name\", 'a', false) FROM pg_settings WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false); SELECT 1 FROM pg_settings WHERE name = 'b'", "SET_CONFIG"},
              {"SELECT set_config(name, 'a', false) FROM pg_settings WHERE name = 'b'; "
               "SELECT set_config(name, 'a', false) FROM t", "SET_CONFIG:b SET_CONFIG"});
}

static void functions_are_found_anywhere(void **state)
{
        (void) state;
        CHECK({"SELECT pg_advisory_lock(1)", "ADVISORY"},
              {"SELECT pg_advisory_lock_shared(1, 2)", "ADVISORY"},
              {"SELECT 1 WHERE pg_try_advisory_lock(1)", "ADVISORY"},
              {"SELECT * FROM pg_catalog.pg_try_advisory_lock_shared(1)", "ADVISORY"},
              {"SELECT \"pg_advisory_lock\"(1)", "ADVISORY"},
              {"SELECT PG_ADVISORY_LOCK (1)", "ADVISORY"}, {"SELECT \"PG_ADVISORY_LOCK\"(1)", ""},
              {"SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(1)", ""},
              {"SELECT pg_advisory_unlock(1)", "ADVISORY_UNLOCK"},
              {"SELECT pg_advisory_unlock_shared(1), pg_advisory_unlock_all()",
               "ADVISORY_UNLOCK ADVISORY_UNLOCK"},
              {"INSERT INTO t VALUES (nextval('s'))", "SEQUENCE"},
              {"SELECT currval('s'), lastval(), setval('s', 1)", "CURRVAL CURRVAL SEQUENCE"},
              {"COPY (SELECT nextval('s')) TO STDOUT", "COPY SEQUENCE"},
              {"SELECT setseed(0.5)", "SET:seed"}, {"SELECT pg_backup_start('x')", "BACKUP"},
              {"SELECT pg_start_backup('x')", "BACKUP"},
              {"SELECT pg_create_logical_replication_slot('a', 'b', true)", "BACKUP"},
              {"SELECT pg_create_physical_replication_slot('a', false, true)", "BACKUP"},
              {"SELECT pg_copy_logical_replication_slot('a', 'b', true)", "BACKUP"},
              {"SELECT pg_copy_physical_replication_slot('a', 'b', true)", "BACKUP"},
              {"SELECT pg_replication_origin_session_setup('a')", "BACKUP"},
              {"SELECT dblink_connect('a', 'b'), dblink_connect_u('a', 'b')", "BACKUP BACKUP"},
              {"SELECT set_limit(0.5)", "SET:pg_trgm.similarity_threshold"}, {"SELECT nextval", ""},
              {"SELECT 'nextval('", ""}, {"SELECT xnextval(1)", ""},
              {"SELECT $$nextval('s')$$", ""}, {"SELECT a.nextval.b(1)", ""},
              {"SELECT (SELECT ((nextval(('s')))))", "SEQUENCE"},
              {"EXPLAIN ANALYZE SELECT nextval('s')", "SEQUENCE"});
}

static void temporary_objects_are_found(void **state)
{
        (void) state;
        CHECK({"CREATE TEMP TABLE t (a int)", "TEMP"}, {"create temporary table t()", "TEMP"},
              {"CREATE LOCAL TEMP TABLE t ()", "TEMP"},
              {"CREATE GLOBAL TEMPORARY TABLE t ()", "TEMP"},
              {"CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "TEMP"},
              {"CREATE TEMP RECURSIVE VIEW v (a) AS SELECT 1", "TEMP"},
              {"CREATE TEMP SEQUENCE s AS bigint", "TEMP"},
              {"CREATE TEMP TABLE IF NOT EXISTS t AS SELECT 1", "TEMP"},
              {"CREATE TEMP TABLE t (a int) ON COMMIT DROP", ""},
              {"CREATE TEMP TABLE t (a int) ON COMMIT DROP;", ""},
              {"CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1", ""},
              {"CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS", "TEMP"},
              {"CREATE TEMP TABLE t (a int) ON COMMIT PRESERVE ROWS; SELECT 1", "TEMP"},
              {"CREATE TEMP TABLE a () ON COMMIT DROP; CREATE TEMP TABLE b ()", "TEMP"},
              {"CREATE TEMP TABLE t (commit drop)", "TEMP"}, {"CREATE UNLOGGED TABLE t ()", ""},
              {"CREATE TABLE temp ()", ""}, {"CREATE TEMP TABLE t AS EXECUTE p", "TEMP EXECUTE"},
              {"CREATE TABLE t AS EXECUTE p (1)", "EXECUTE"},
              {"CREATE TABLE t (a, b) WITH (x) TABLESPACE y AS EXECUTE p", "EXECUTE"},
              {"CREATE TABLE t AS SELECT execute FROM x", ""},
              {"EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", "TEMP"},
              {"CREATE TABLE pg_temp.t ()", "TEMP"}, {"CREATE TABLE \"pg_temp\".t ()", "TEMP"},
              {"SELECT * FROM pg_temp_3 . t", "TEMP"},
              {"CREATE FUNCTION PG_TEMP.f() RETURNS int", "TEMP"},
              {"CREATE FUNCTION f() SET search_path = pg_catalog, pg_temp", ""},
              {"SET search_path = public, pg_temp", "SET:search_path TEMP"},
              {"SET LOCAL search_path TO 'pg_temp'", "TEMP SET_LOCAL:search_path"},
              {"SET search_path = E'pg\\x5ftemp'", "TEMP SET:search_path"},
              {"SET search_path TO public, U&'pg\\005ftemp'", "SET:search_path TEMP TEMP"},
              {"SELECT set_config('search_path', E'pg\\137temp', false)", "TEMP SET_CONFIG:search_path"},
              {"SET work_mem = E'\\x31MB'", "SET:work_mem"}, {"SET search_path = E'it\\'s'", "SET:search_path"},
              {"SELECT a INTO TEMP t FROM x", "TEMP"}, {"SELECT a INTO TEMPORARY TABLE t", "TEMP"},
              {"SELECT a INTO LOCAL TEMP t", "TEMP"},
              {"SELECT a INTO GLOBAL /**/ TEMPORARY t", "TEMP"},
              {"WITH x AS (SELECT 1) SELECT * INTO TEMP t FROM x", "TEMP"},
              {"SELECT a INTO t FROM temp", ""}, {"INSERT INTO temp VALUES (1)", ""},
              {"MERGE INTO temp USING x ON true", ""}, {"SELECT a INTO UNLOGGED t", ""},
              {"SELECT a AS \"into\" temp", ""}, {"SELECT a INTO LOCAL, temp", ""});
}

static void statements_are_told_by_their_first_words(void **state)
{
        (void) state;
        CHECK({"DISCARD ALL", "DISCARD_ALL"}, {"DISCARD TEMP", "DISCARD_TEMP"},
              {"discard temporary;", "DISCARD_TEMP"}, {"DISCARD SEQUENCES", "DISCARD_SEQUENCES"},
              {"DISCARD PLANS", ""}, {"LISTEN x", "LISTEN"}, {"UNLISTEN *", "UNLISTEN"},
              {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "HOLD_CURSOR"},
              {"DECLARE c BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
               "HOLD_CURSOR"},
              {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", ""},
              {"DECLARE c CURSOR FOR SELECT 1 FROM x WITH hold", ""}, {"CLOSE c", "CLOSE"},
              {"CLOSE ALL", "CLOSE"}, {"PREPARE p AS SELECT 1", "PREPARE"},
              {"PREPARE p(int) AS SELECT $1", "PREPARE"}, {"PREPARE TRANSACTION 'x'", "COMMIT"},
              {"PREPARE transaction AS SELECT 1", "PREPARE"},
              {"PREPARE \"transaction\" AS SELECT 1", "PREPARE"}, {"COMMIT PREPARED 'x'", ""},
              {"ROLLBACK PREPARED 'x'", ""}, {"EXECUTE p(1)", "EXECUTE"},
              {"EXPLAIN EXECUTE p", "EXECUTE"}, {"EXPLAIN ANALYZE VERBOSE EXECUTE p", "EXECUTE"},
              {"EXPLAIN (ANALYZE, FORMAT json) EXECUTE p", "EXECUTE"},
              {"EXPLAIN (ANALYZE) SELECT 1", ""}, {"DEALLOCATE p", "DEALLOCATE:p"},
              {"DEALLOCATE PREPARE ALL", "DEALLOCATE"}, {"DEALLOCATE PREPARE \"A b\"", "DEALLOCATE:A b"},
              {"DEALLOCATE \"all\"; DEALLOCATE Px", "DEALLOCATE:all DEALLOCATE:px"}, {"LOAD 'auto_explain'", "LOAD"},
              {"DROP TABLE t", "DROP"}, {"BEGIN", "BEGIN"}, {"begin;", "BEGIN"},
              {"START TRANSACTION READ ONLY", "BEGIN"}, {"COMMIT", "COMMIT"},
              {"END TRANSACTION", "COMMIT"}, {"COMMIT AND CHAIN", "COMMIT"},
              {"ROLLBACK", "ROLLBACK"}, {"ABORT WORK", "ROLLBACK"},
              {"ROLLBACK TO SAVEPOINT x", "ROLLBACK"}, {"COPY t FROM STDIN", "COPY"},
              {"BEGIN; SET x = 1; COMMIT", "BEGIN SET:x COMMIT"},
              {"/* x */ LISTEN y -- z", "LISTEN"}, {"-- a\nLISTEN b", "LISTEN"},
              {";;LISTEN a;;LISTEN b;;", "LISTEN LISTEN"}, {"\"listen\" x", ""});
}

static void quotes_and_comments_hide_what_is_in_them(void **state)
{
        (void) state;
        CHECK({"SELECT 'it''s'; LISTEN x", "LISTEN"}, {"SELECT 'a\\'; LISTEN x", "LISTEN"},
              {"SELECT E'a\\'; LISTEN x'", ""}, {"SELECT e'a\\\\'; LISTEN x", "LISTEN"},
              {"SELECT foE'a\\'; LISTEN x --'", "LISTEN"}, {"SELECT E'a'\n'b\\'; LISTEN x'", ""},
              {"SELECT E'a' --c\n 'b\\'; LISTEN x'", ""}, {"SELECT E'a' 'b\\'; LISTEN x", "LISTEN"},
              {"SELECT E'a'/**/\n'b\\'; LISTEN x", "LISTEN"}, {"SELECT 'a'\nE'b\\'; LISTEN x'", ""},
              {"SELECT 'a' - 1; LISTEN x", "LISTEN"}, {"SELECT 'a'--'\n; LISTEN x", "LISTEN"},
              {"SELECT B'01\\'; LISTEN x", "LISTEN"}, {"SELECT x'1f\\'; LISTEN x", "LISTEN"},
              {"SELECT N'a\\'; LISTEN x", "LISTEN"}, {"SELECT U&'a\\'; LISTEN x", "LISTEN"},
              {"SELECT u&\"a\\\"; LISTEN x", "LISTEN"}, {"SELECT u & 'a'; LISTEN x", "LISTEN"},
              {"SELECT u&1; LISTEN x", "LISTEN"}, {"SELECT $$'$$; LISTEN x", "LISTEN"},
              {"SELECT $a$ $$ ' $b$ $a$; LISTEN x", "LISTEN"},
              {"SELECT $a$ $b$a$; LISTEN x", "LISTEN"},
              {"SELECT $a$ $a$a$; LISTEN x; --$a$", "LISTEN"},
              {"SELECT $aé_1$ ' $aé_1$; LISTEN x", "LISTEN"}, {"SELECT $A$ $a$; LISTEN x $A$", ""},
              {"SELECT a$b$ FROM t; LISTEN x; SELECT b$b$", "LISTEN"},
              {"SELECT $1$a$; LISTEN x $a$", ""}, {"SELECT 1$a$; LISTEN x $a$", ""},
              {"SELECT 1e5$a$; LISTEN x $a$", ""}, {"SELECT \"a\"\"'b\"; LISTEN x", "LISTEN"},
              {"SELECT \"a;b\"; LISTEN x", "LISTEN"},
              {"/* ; /* ' */ LISTEN x */ LISTEN y", "LISTEN"}, {"/*/**/ LISTEN x */", ""},
              {"/**/LISTEN x", "LISTEN"}, {"/***/LISTEN x", "LISTEN"},
              {"/*/*/ */ */LISTEN x", "LISTEN"}, {"SELECT 1 */* ' */ 2; LISTEN x", "LISTEN"},
              {"SELECT 1 //* ' */ 2; LISTEN x", "LISTEN"},
              {"SELECT 1 +-- '\n2; LISTEN x", "LISTEN"}, {"-- x\rLISTEN y", "LISTEN"}, {"--", ""},
              {"/*", ""}, {"'", ""}, {"\"", ""}, {"$$", ""}, {"$a", ""}, {"-", ""}, {"/", ""},
              {"1e", ""}, {"1e+", ""}, {"U&", ""}, {"E", ""});
}

static void numbers_end_where_words_begin(void **state)
{
        (void) state;
        CHECK({"SELECT 1into temp t", "TEMP"}, {"SELECT 1.5into temp t", "TEMP"},
              {"SELECT 1e5into temp t", "TEMP"}, {"SELECT 1E'\\'; LISTEN x'", ""},
              {"SELECT 1e--'\n; LISTEN x", "LISTEN"}, {"SELECT 1e+2; LISTEN x", "LISTEN"},
              {"SELECT .5e-3into temp t", "TEMP"}, {"SELECT 1;LISTEN x", "LISTEN"},
              {"SELECT $1into temp t", "TEMP"}, {"SELECT 1else,nextval('s')", "SEQUENCE"});
}

static void semicolons_count_at_the_statement_s_level_only(void **state)
{
        (void) state;
        CHECK({"CREATE RULE r AS ON INSERT TO t DO (LISTEN x; NOTIFY y); LISTEN z", "LISTEN"},
              {"SELECT ';LISTEN x'", ""},
              {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT nextval('s'); END",
               "SEQUENCE"},
              {"CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC INSERT INTO t VALUES (1); END; LISTEN "
               "x",
               "LISTEN"},
              {"CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END; END",
               "COMMIT"},
              {"CREATE FUNCTION f() BEGIN ATOMIC END; COMMIT", "COMMIT"},
              {"CREATE FUNCTION f(begin atomic) AS 'x'; END", "COMMIT"},
              {"CREATE FUNCTION f() AS 'LISTEN x; SET y = 1'", ""});
}

static void blocks_are_searched_for_words(void **state)
{
        (void) state;
        CHECK({"DO $$ BEGIN SET x = 1; END $$", "CALL SET:x"},
              {"DO LANGUAGE plpgsql $a$ BEGIN LISTEN y; END $a$; LISTEN z", "CALL LISTEN LISTEN"},
              {"DO 'BEGIN EXECUTE ''SET work_mem = 1''; END'", "CALL SET:work_mem"},
              {"DO $$ BEGIN EXECUTE 'SET ' || x || '=1'; END $$", "CALL SET_CONFIG"},
              {"DO $$ BEGIN EXECUTE format('SET %I = 1', y); END $$", "CALL SET_CONFIG"},
              {"DO $$ BEGIN SET LOCAL x = 1; END $$", "CALL SET_LOCAL:x"},
              {"DO $$ BEGIN SET x TO DEFAULT; RESET ALL; END $$", "CALL SET:x"},
              {"DO $$ BEGIN CREATE TEMP TABLE t (); END $$", "CALL TEMP"},
              {"DO $$ BEGIN PERFORM nextval('s'), pg_advisory_lock(1); END $$",
               "CALL SEQUENCE ADVISORY"},
              {"DO $$ BEGIN PERFORM set_config('a', 'b', true); END $$", "CALL SET_CONFIG"},
              {"DO E'BEGIN\\n \\x53ET x = 1; END'", "CALL SET_CONFIG"},
              {"DO E'BEGIN\\n NULL;\\tEND'", "CALL"}, {"DO U&'BEGIN NULL; END'", "CALL SET_CONFIG"},
              {"DO 'BEGIN S'\n'ET x = 1; END'", "CALL SET_CONFIG"},
              {"DO $$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; END $$",
               "CALL HOLD_CURSOR"},
              {"DO $$ BEGIN LOAD 'x'; EXECUTE 'PREPARE p AS SELECT 1'; END $$", "CALL LOAD PREPARE"},
              {"DO $$ BEGIN UPDATE t SET a = 1; END $$", "CALL SET:a"},
              {"DO $$ BEGIN NULL; END $$; SELECT 'LISTEN x'", "CALL"},
              {"DO $s$ x$set y = 1 $s$", "CALL SET:y"}, {"DO $$ SET", "CALL SET_CONFIG"},
              {"DO $$ pg_temp.f $$", "CALL TEMP TEMP"}, {"DO 'SET x'", "CALL SET_CONFIG"});
}

static void backslashes_escape_where_strings_do_not_conform(void **state)
{
        (void) state;
        static const struct expected table[] = {
                {"SELECT 'a\\'; LISTEN x'", ""},
                {"SELECT 'a\\\\'; LISTEN x", "LISTEN"},
                {"SELECT 'a'\n'b\\'; LISTEN x'", ""},
                {"SELECT B'1\\'; LISTEN x", "LISTEN"},
                {"SELECT N'a\\'; LISTEN x'", ""},
                {"SELECT $$\\$$; LISTEN x", "LISTEN"},
                {"SELECT \"\\\"; LISTEN x", "LISTEN"},
                {"SELECT set_config('a', 'b', 'true')", "SET_LOCAL:a"},
                {"SELECT set_config('a\\b', 'b', false)", "SET_CONFIG"},
                {"SELECT set_config('a', 'b', false)", "SET_CONFIG:a"},
        };
        check(table, sizeof table / sizeof table[0], true);
}

static void half_a_character_is_no_backslash(void **state)
{
        (void) state;
        static const struct expected sjis[] = {
                {"SELECT E'\x95\x5c'; LISTEN x", "LISTEN"},
                {"SELECT E'\xb1'; LISTEN x", "LISTEN"}, /* a character of one byte */
                {"SELECT E'\\\x95\x5c'; LISTEN x", "LISTEN"},
                {"SELECT $\x95\x5c$ ' $\x95\x5c$; LISTEN x", "LISTEN"},
        };
        static const struct expected gbk[] = {
                {"SELECT E'\xb1\x5c'; LISTEN x", "LISTEN"},
                {"SELECT E'\xb1\x5c\\'; LISTEN x'", ""},
        };
        static const struct expected utf8[] = {{"SELECT E'\xc3\xa9\\'; LISTEN x'", ""}};
        encoding = "SJIS";
        check(sjis, sizeof sjis / sizeof sjis[0], false);
        encoding = "gbk";
        check(gbk, sizeof gbk / sizeof gbk[0], false);
        encoding = "UTF8";
        check(utf8, sizeof utf8 / sizeof utf8[0], false);
}

static void long_tags_and_strings_are_followed(void **state)
{
        (void) state;
        static char sql[2000], tag[200];
        memset(tag, 'q', 150);
        snprintf(sql, sizeof sql, "SELECT $%s$ ' $%.149s$ ' $%.149sr$ ' $%s$; LISTEN x", tag, tag,
                 tag, tag);
        check(&(struct expected){sql, "LISTEN"}, 1, false);
        memset(tag, 'q', 63);
        tag[63] = 0;
        snprintf(sql, sizeof sql, "SELECT $%s$ ' $%sq$ $%.62s$ $%s$; LISTEN x", tag, tag, tag, tag);
        check(&(struct expected){sql, "LISTEN"}, 1, false);
}

static void a_nul_hides_nothing(void **state)
{
        (void) state;
        static struct list l;
        run(&l, "SELECT nextval\0(1); LISTEN x\0", 29, 100, false);
        assert_string_equal(l.text, "SEQUENCE LISTEN");
}

static void it_is_small_and_every_effect_has_a_label(void **state)
{
        (void) state;
        assert_true(sizeof(struct sqlword) < 1024);
        for (int i = 0; i < SQL_EFFECT_COUNT; i++)
                assert_non_null(sqlword_label((enum sql_effect) i));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_queries_have_no_effects),
                cmocka_unit_test(set_names_its_parameter),
                cmocka_unit_test(set_local_ends_with_the_transaction),
                cmocka_unit_test(a_default_is_a_reset),
                cmocka_unit_test(long_names_are_cut_and_doubted),
                cmocka_unit_test(set_config_is_local_only_when_it_plainly_says_so),
                cmocka_unit_test(a_row_of_pg_settings_names_its_parameter),
                cmocka_unit_test(functions_are_found_anywhere),
                cmocka_unit_test(temporary_objects_are_found),
                cmocka_unit_test(statements_are_told_by_their_first_words),
                cmocka_unit_test(quotes_and_comments_hide_what_is_in_them),
                cmocka_unit_test(numbers_end_where_words_begin),
                cmocka_unit_test(semicolons_count_at_the_statement_s_level_only),
                cmocka_unit_test(blocks_are_searched_for_words),
                cmocka_unit_test(backslashes_escape_where_strings_do_not_conform),
                cmocka_unit_test(half_a_character_is_no_backslash),
                cmocka_unit_test(long_tags_and_strings_are_followed),
                cmocka_unit_test(a_nul_hides_nothing),
                cmocka_unit_test(it_is_small_and_every_effect_has_a_label),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
