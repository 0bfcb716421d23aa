-- Roles for a database whose password is rotated, by one user or by two alternating ones.
--
--     psql -v login=forecaster_user -d forecaster_db -f sql/10_roles.sql
--
-- Run it as an administrator, connected to the database it is about; run it again whenever you like.
-- Variables: login   the user in the secret                (forecaster_user)
--            clone   the other user of alternating ones     (login with _clone behind, as AWS's lambda names it)
--            owner   who owns what the logins create        (forecaster_owner)
--            schema  where they work                        (public)
--
-- No password stands here, and none is needed: a login without one is refused until the first rotation
-- (or an administrator's \password) gives it one. A script with passwords ends in somebody's history.
\set ON_ERROR_STOP on
\if :{?login}
\else
  \set login forecaster_user
\endif
\if :{?clone}
\else
  \set clone :login _clone
\endif
\if :{?owner}
\else
  \set owner forecaster_owner
\endif
\if :{?schema}
\else
  \set schema public
\endif

BEGIN;

-- The owner never logs in. Tables belong to it, so it does not matter which of the logins made them,
-- and a login can be replaced without a table being touched.
SELECT format('CREATE ROLE %I NOLOGIN', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
ALTER ROLE :"owner" NOLOGIN;

-- Both logins exist from the start: the alternating lambda then only sets a password. Left to create the
-- second one itself, it would make it a member of the first, and each would own what it creates.
SELECT format('CREATE ROLE %I LOGIN', name)
  FROM (VALUES (:'login'), (:'clone')) AS logins (name)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

GRANT :"owner" TO :"login", :"clone";

-- In this database a login acts as the owner from its first statement on. In this one only: the single-user
-- lambda changes the password as the user itself, which PostgreSQL allows to nobody acting as another role.
-- That lambda logs in to the database in the secret's `dbname`, or to `postgres` if there is none. So let the
-- secret name the database by `database` alone, and rotation and ownership both work.
ALTER ROLE :"login" IN DATABASE :"DBNAME" SET role TO :"owner";
ALTER ROLE :"clone" IN DATABASE :"DBNAME" SET role TO :"owner";

GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME" TO :"owner";
CREATE SCHEMA IF NOT EXISTS :"schema";
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"owner";

-- What a login owned before this script ran goes to the owner too: the other login could not alter it.
SELECT format('REASSIGN OWNED BY %I TO %I', rolname, :'owner')
  FROM pg_roles
 WHERE rolname IN (:'login', :'clone')
   AND EXISTS (SELECT FROM pg_shdepend
                WHERE refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid AND deptype = 'o'
                  AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) \gexec

-- What does not belong to the owner: what an administrator makes in the schema, and what a login makes under its
-- own name (SET ROLE NONE). From here on the owner, and so both logins, may use it. For logins this takes an
-- administrator who is a superuser or a member of them; to others PostgreSQL does not allow it, and it is left out.
SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT ALL ON %s TO %I', :'schema', kind, :'owner')
  FROM (VALUES ('TABLES'), ('SEQUENCES'), ('ROUTINES'), ('TYPES')) AS kinds (kind) \gexec
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I', login, kind, :'owner')
  FROM (VALUES (:'login'), (:'clone')) AS logins (login),
       (VALUES ('TABLES'), ('SEQUENCES'), ('ROUTINES'), ('TYPES'), ('SCHEMAS')) AS kinds (kind)
 WHERE pg_has_role(login, 'USAGE') \gexec

COMMIT;
