"""PostgreSQL's own tools see the same through the broker as on a connection of their own: pg_dump, pg_restore, psql."""
import os
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import story
from world import World

COPIED = (200 if story.LONG else 20) << 20      # bytes of a \copy

SCHEMA = r"""
CREATE SCHEMA parts;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.t := NEW.t || '!'; RETURN NEW; END $$;
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR <#> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4mi);
DO $make$ BEGIN
    FOR n IN 1..{tables} LOOP
        EXECUTE format('CREATE TABLE %s.t%s (id serial PRIMARY KEY, t text NOT NULL DEFAULT ''x'', m mood, p pair, '
                       'n positive, at timestamptz DEFAULT ''2026-01-02 03:04:05+00'', CHECK (id < 100000))',
                       CASE WHEN n % 2 = 0 THEN 'parts' ELSE 'public' END, n);
        EXECUTE format('INSERT INTO %s.t%s (t, m, p, n) SELECT ''row'' || E''\t\\é'' || i, ''ok'', ROW(i, NULL)::pair, i '
                       'FROM generate_series(1, 3) i', CASE WHEN n % 2 = 0 THEN 'parts' ELSE 'public' END, n);
    END LOOP;
END $make$;
CREATE INDEX ON t1 (t) WHERE id > 1;
ALTER TABLE t3 ADD FOREIGN KEY (id) REFERENCES t1 (id);
CREATE TRIGGER touched BEFORE UPDATE ON t1 FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW v AS SELECT id, twice(id) AS two FROM t1;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM parts.t2;
CREATE TABLE measures (at date, x float8) PARTITION BY RANGE (at);
CREATE TABLE measures_2026 PARTITION OF measures FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO measures VALUES ('2026-05-06', 0.1), ('2026-07-08', 'NaN');
ALTER TABLE t5 ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON t5 USING (t = current_user);
CREATE RULE quiet AS ON DELETE TO t7 DO INSTEAD NOTHING;
GRANT SELECT ON t1 TO PUBLIC;
COMMENT ON TABLE t1 IS 'it''s the first';
"""

DESCRIBE = (r"\d \d+ \d_t1 \d+_parts.t2 \d_v \d+_measures \dt \dt+_parts.* \dti \dv+ \dm+ \ds \di+ \dE \df \df+_touch \da \dn \dn+ "
            r"\du \dg \l \dp \z_t1 \ddp \dT \dT+ \dD \dO \dC \dx \dy \db \dL \do_<#> \dP \dd \dF \dFd_english \dRp \drds \sf_twice "
            r"\sv_v \det \dew \dX").split()


class Tools(story.Story):
    """The same run twice: through the broker over a small pool, and straight to the server."""

    timeout = 240

    def world(self, *names, **pool):
        world = World(self.server)
        for name in names or ("prod",):
            world.add(name, pool={"pool_size": 3, "query_wait_timeout": "60s", **pool})
        return world

    def run_tool(self, *words, check=True):
        return process.run(words, env=broker.environment("/nonexistent"), cwd="/", check=check, timeout=200)

    def straight(self, world, name="prod"):
        """A connection string without the broker."""
        environment = world.environments[name]
        return (f"host={self.server.admin_host()} port={self.server.port} dbname={environment.database} "
                f"user={environment.role} password={environment.password}")

    def sql(self, world, text, name="prod"):
        environment = world.environments[name]
        return self.server.sql(text, environment.database, environment.role, environment.password)

    def dump(self, where, *words):
        """The lines of a dump; the words that keep psql from running what it should not are made up anew for each."""
        text = self.run_tool("pg_dump", "--no-owner", *words, where).stdout
        return [line for line in text.splitlines() if not re.match(r"\\(un)?restrict ", line)]

    def psql(self, where, *commands):
        """What psql says to these commands."""
        words = [word for command in commands for word in ("-c", command)]
        done = self.run_tool("psql", "-X", *words, where, check=False)
        return (done.stdout + done.stderr).splitlines()

    def test_a_schema_of_two_hundred_tables_is_dumped_and_restored(self):
        with self.world("prod", "copy") as world:
            self.sql(world, SCHEMA.replace("{tables}", "200"))
            daemon = self.watch(world.start())
            folder = place.directory("dump") / "d"
            original = self.dump(self.straight(world))
            self.assertEqual(self.dump(daemon.uri()), original)
            self.run_tool("pg_dump", "-Fd", "-j2", "-f", folder, daemon.uri())
            self.run_tool("pg_restore", "--no-owner", "--exit-on-error", "-j2", "-d", daemon.uri("copy"), folder)
            self.assertEqual(self.dump(self.straight(world, "copy")), original)
            self.assertEqual(daemon.show("PINS"), [])

    def test_psql_describes_the_same(self):
        with self.world(pool_size=1) as world:
            self.sql(world, SCHEMA.replace("{tables}", "20"))
            daemon = self.watch(world.start())
            commands = [command.replace("_", " ", 1) for command in DESCRIBE]
            said = self.psql(daemon.uri(), *commands)
            self.assertEqual(said, self.psql(self.straight(world), *commands))
            self.assertGreater(len(said), 500)
            self.assertNotIn("ERROR", "\n".join(said))

    def test_a_file_is_copied_in_and_out(self):
        with self.world(pool_size=2) as world:
            self.sql(world, "CREATE UNLOGGED TABLE rows (n bigint, t text)")
            daemon = self.watch(world.start())
            folder = place.directory("copy")
            block = "".join(f"{n}\t{'x' * 1000}\\\\é\n" for n in range(1000)).encode()
            with open(folder / "in", "wb") as file:
                for _ in range(COPIED // len(block) + 1):
                    file.write(block)
            done = self.psql(daemon.uri(), f"\\copy rows FROM {folder}/in", f"\\copy rows TO {folder}/out")
            self.assertEqual(len(set(done)), 1, done)
            self.run_tool("cmp", folder / "in", folder / "out")
            done = self.psql(daemon.uri(), f"\\copy (SELECT * FROM rows LIMIT 5000) TO {folder}/binary WITH (FORMAT binary)",
                             "TRUNCATE rows", f"\\copy rows FROM {folder}/binary WITH (FORMAT binary)")
            self.assertEqual(done, ["COPY 5000", "TRUNCATE TABLE", "COPY 5000"])
            self.assertEqual(self.sql(world, "SELECT count(*), max(length(t)) FROM rows"), [("5000", "1002")])

    def test_large_objects(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            folder = place.directory("lo")
            data = random.Random(4).randbytes(3 << 20)
            (folder / "in").write_bytes(data)
            said = self.psql(daemon.uri(), f"\\lo_import {folder}/in 'a picture'", r"\lo_list")
            oid, = re.findall(r"lo_import (\d+)", said[0])
            self.assertEqual(self.psql(self.straight(world), r"\lo_list"), said[1:])
            for where, name in ((daemon.uri(), "broker"), (self.straight(world), "straight")):
                self.assertEqual(self.psql(where, f"\\lo_export {oid} {folder}/{name}"), ["lo_export"])
                self.assertEqual((folder / name).read_bytes(), data)
            with daemon.connect() as client:
                client.query("BEGIN")
                fd = client.query(f"SELECT lo_open({oid}, x'60000'::int)").value()
                client.query(f"SELECT lo_lseek64({fd}, 1000, 0)")
                self.assertEqual(client.query(f"SELECT lowrite({fd}, 'here')").value(), "4")
                client.query(f"SELECT lo_lseek64({fd}, 998, 0)")
                self.assertEqual(client.query(f"SELECT loread({fd}, 8)").value(),
                                 "\\x" + (data[998:1000] + b"here" + data[1004:1006]).hex())
                client.query("COMMIT")
                self.assertEqual(client.query("SELECT lo_get(oid, 1000, 4) FROM pg_largeobject_metadata").value(),
                                 "\\x" + b"here".hex())
            self.assertEqual(self.psql(daemon.uri(), f"\\lo_unlink {oid}"), [f"lo_unlink {oid}"])
            self.assertEqual(self.sql(world, "SELECT count(*) FROM pg_largeobject_metadata"), [("0",)])

    def test_two_phases_of_a_commit_by_two_clients(self):
        if self.server.sql("SHOW max_prepared_transactions") == [("0",)]:
            self.skipTest("the server has max_prepared_transactions = 0")
        with self.world(pool_size=1) as world:
            self.sql(world, "CREATE TABLE done (what text)")
            daemon = self.watch(world.start())
            names = {end: f"{end}_{os.getpid()}" for end in ("COMMIT", "ROLLBACK")}
            with daemon.connect() as first:
                for end, name in names.items():
                    first.query(f"BEGIN; INSERT INTO done VALUES ('{end}')")
                    self.assertEqual(first.query(f"PREPARE TRANSACTION '{name}'").status, "I")
                self.assertEqual(daemon.show("PINS"), [])
                with daemon.connect() as second:
                    self.assertEqual(second.query("SELECT count(*) FROM done").value(), "0")
                    for end, name in names.items():
                        self.assertEqual(second.query(f"{end} PREPARED '{name}'").tags, [f"{end} PREPARED"])
                self.assertEqual(first.query("SELECT what FROM done").rows, [("COMMIT",)])
            self.assertEqual(self.sql(world, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"), [])


if __name__ == "__main__":
    story.main()
