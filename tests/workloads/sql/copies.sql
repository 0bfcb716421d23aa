-- COPY in and out, with mistakes in it.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
CREATE TABLE t (a int, b text);
COPY t FROM STDIN;
1	one
2	two
\.
COPY t FROM STDIN (FORMAT csv, HEADER);
a,b
3,"th,ree"
4,
\.
COPY t FROM STDIN;
x	bad
5	after
\.
COPY t (a) FROM STDIN;
6	too many
\.
SELECT * FROM t ORDER BY a;
COPY t TO STDOUT;
COPY (SELECT a, b FROM t WHERE a < 3 ORDER BY a) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY (SELECT 1/0) TO STDOUT;
COPY nowhere FROM STDIN;
COPY (SELECT 1) TO STDOUT\; COPY (SELECT 2) TO STDOUT\; SELECT 3;
COPY t FROM STDIN\; SELECT count(*) FROM t\; COPY t FROM STDIN;
7	seven
\.
8	eight
\.
BEGIN; COPY t FROM STDIN;
9	nine
\.
ROLLBACK;
SELECT max(a) FROM t;
\copy t from pstdin csv
10,ten
\.
\copy (select * from t where a = 10) to pstdout
CREATE FUNCTION angry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.a > 50 THEN RAISE EXCEPTION 'no %', NEW.a; END IF; RAISE NOTICE 'row %', NEW.a; RETURN NEW; END $$;
CREATE TRIGGER angry BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION angry();
COPY t FROM STDIN;
20	fine
60	not
21	never
\.
SELECT count(*) FROM t;
CREATE TEMP TABLE tt (a int); COPY tt FROM STDIN;
1
2
\.
SELECT sum(a) FROM tt; DROP TABLE tt;
COPY t FROM STDIN (FORMAT binary);
nonsense
\.
SELECT 'still here';
