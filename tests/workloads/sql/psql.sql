-- What psql itself does with a session: \d, \gexec, \gset, \crosstabview, verbosity, notices.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
CREATE TABLE t (id int PRIMARY KEY, v text, CHECK (id > 0)); CREATE INDEX i ON t (v); CREATE VIEW vw AS SELECT * FROM t;
\d t
\d+ vw
\dt
SELECT 'SELECT ' || g || ' AS n' FROM generate_series(1, 3) g \gexec
SELECT 5 AS five, 'x' AS ex \gset
\echo :five :ex
SELECT r, c, r * c AS v FROM generate_series(1, 2) r, generate_series(1, 2) c \crosstabview
SELECT 1 \g | cat
\x on
SELECT 1 AS a, 2 AS b;
\x off
\pset null '(null)'
SELECT NULL;
\if :five
SELECT 'yes';
\endif
SELECT 1 \; SELECT 2 \; SELECT 3;
\timing off
\set SHOW_ALL_RESULTS off
SELECT 1 \; SELECT 2;
\set VERBOSITY verbose
SELECT 1/0;
\set VERBOSITY terse
SELECT * FROM missing;
\set VERBOSITY sqlstate
SELECT * FROM missing;
\set VERBOSITY default
INSERT INTO t VALUES (1, 'a'), (1, 'b');
INSERT INTO t VALUES (-1, 'a');
INSERT INTO t VALUES (1, 'a') ON CONFLICT DO NOTHING RETURNING *;
DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w'; RAISE INFO 'i'; RAISE LOG 'l'; RAISE DEBUG 'd'; END $$;
SET client_min_messages TO error;
DO $$ BEGIN RAISE WARNING 'not seen'; END $$;
RESET client_min_messages;
SHOW client_min_messages;
SHOW search_path;
;
SELECT;
-- only a comment
/* another */
SELECT count(*) FROM (TABLE t) x;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 1;
SET force_parallel_mode TO on; SELECT 1; SELECT count(*) FROM pg_class WHERE relname = 'pg_class'; RESET force_parallel_mode;
