-- PREPARE, EXECUTE, DEALLOCATE; plans that a changed table or search_path makes stale.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
PREPARE p AS SELECT 1;
EXECUTE p;
PREPARE p AS SELECT 2;
DEALLOCATE p;
EXECUTE p;
PREPARE q(int, text) AS SELECT $1 + 1 AS n, upper($2) AS t;
EXECUTE q(1, 'a');
EXECUTE q(1);
EXECUTE q('x', 'a');
SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements WHERE from_sql ORDER BY name;
BEGIN; PREPARE in_tx AS SELECT 'in tx'; ROLLBACK;
EXECUTE in_tx;
CREATE TABLE made AS EXECUTE q(41, 'made');
SELECT * FROM made;
EXPLAIN (COSTS OFF) EXECUTE q(1, 'b');
PREPARE of_made AS SELECT * FROM made;
EXECUTE of_made;
ALTER TABLE made ADD COLUMN more int DEFAULT 3;
EXECUTE of_made;
ALTER TABLE made DROP COLUMN more;
EXECUTE of_made;
DROP TABLE made;
EXECUTE of_made;
DEALLOCATE ALL;
SELECT count(*) FROM pg_prepared_statements WHERE from_sql;
PREPARE path AS SELECT current_schema();
EXECUTE path;
SET search_path TO pg_catalog;
EXECUTE path;
RESET search_path;
PREPARE upd(int) AS INSERT INTO nowhere VALUES ($1);
SET plan_cache_mode TO force_generic_plan;
PREPARE gen(int) AS SELECT * FROM generate_series(1, $1) g;
EXPLAIN (COSTS OFF) EXECUTE gen(2);
EXECUTE gen(2);
DISCARD PLANS;
EXECUTE gen(3);
DISCARD ALL;
EXECUTE gen(1);
PREPARE "Odd ""Name" AS SELECT 'odd'; EXECUTE "Odd ""Name"; DEALLOCATE PREPARE "Odd ""Name";
SELECT 1 AS a, 'x' AS b \gdesc
SELECT $1::int \gdesc
SELEC \gdesc
SELECT 1 \gdesc
PREPARE s AS SELECT 1\; EXECUTE s\; DEALLOCATE s;
