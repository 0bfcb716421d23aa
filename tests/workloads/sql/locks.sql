-- Advisory locks, of sessions and of transactions.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
SELECT pg_advisory_lock(hashtext(:'me')), pg_advisory_lock(hashtext(:'me'));
SELECT mode, granted FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT pg_advisory_unlock(hashtext(:'me'));
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT pg_advisory_unlock(hashtext(:'me'));
SELECT pg_advisory_unlock(hashtext(:'me'));
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
BEGIN; SELECT pg_advisory_xact_lock(hashtext(:'me')); SELECT pg_try_advisory_lock_shared(hashtext(:'me'), 1); ROLLBACK;
SELECT mode, classid IS NULL, objsubid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT pg_advisory_unlock_shared(hashtext(:'me'), 1);
SELECT pg_advisory_lock_shared(hashtext(:'me')), pg_try_advisory_lock(hashtext(:'me')); 
SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1;
SELECT pg_advisory_unlock_all();
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
WITH l AS (SELECT pg_advisory_lock(hashtext(:'me'), g) FROM generate_series(1, 3) g) SELECT count(*) FROM l;
WITH l AS MATERIALIZED (SELECT pg_advisory_lock(hashtext(:'me'), g) AS x FROM generate_series(1, 3) g) SELECT count(x) FROM l;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
DISCARD ALL;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
DO $$ BEGIN PERFORM pg_advisory_lock(hashtext(current_schema())); END $$;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT pg_advisory_unlock(hashtext(:'me'));
\set VERBOSITY verbose
SELECT pg_advisory_unlock(hashtext(:'me'));
SELECT 1/0;
