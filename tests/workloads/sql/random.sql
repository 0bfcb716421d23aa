-- setseed() and random(); libraries that are loaded, and their parameters.
SET client_min_messages TO warning; DROP SCHEMA IF EXISTS :me CASCADE; CREATE SCHEMA :me; RESET client_min_messages;
SELECT setseed(0.25);
SELECT round(random()::numeric, 6); SELECT round(random()::numeric, 6); SELECT round(random()::numeric, 6);
SET seed TO 0.5;
SELECT round(random()::numeric, 6); SELECT 1; SELECT round(random()::numeric, 6);
RESET seed;
SHOW seed;
LOAD 'auto_explain';
SET auto_explain.log_min_duration TO '1h'; SHOW auto_explain.log_min_duration;
SET auto_explain.log_format TO nonsense;
SHOW auto_explain.log_format;
SET plpgsql.extra_warnings TO 'all'; SHOW plpgsql.extra_warnings;
DO $$ DECLARE a int; BEGIN DECLARE a int; BEGIN NULL; END; END $$;
DO $$ DECLARE a int; BEGIN DECLARE a int; BEGIN NULL; END; END $$;
