-- Large objects: descriptors live as long as a transaction.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
SELECT lo_from_bytea(0, 'hello') AS lo \gset
BEGIN; SELECT lo_open(:lo, 393216) AS fd \gset
SELECT loread(:fd, 3); SELECT lo_tell(:fd); SELECT lo_lseek(:fd, 0, 2); SELECT lowrite(:fd, ' world'); COMMIT;
SELECT convert_from(lo_get(:lo), 'UTF8');
SELECT loread(:fd, 3);
BEGIN; SELECT lo_open(:lo, 393216) AS fd \gset
SAVEPOINT s; SELECT lo_truncate(:fd, 2); ROLLBACK TO s; SELECT lo_truncate(:fd, 4); COMMIT;
SELECT lo_get(:lo);
\lo_export :lo /dev/null
SELECT lo_put(:lo, 1, 'E'); SELECT lo_get(:lo, 0, 3);
COMMENT ON LARGE OBJECT :lo IS 'x';
SELECT lo_unlink(:lo);
SELECT lo_get(1);
