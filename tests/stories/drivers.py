"""Real drivers over the socket: psql, pgbench, psycopg, asyncpg, node-postgres, each with a workload of its own."""
import asyncio
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import pgbench
import place
import process
import story
from world import World

NODE = """
const { Pool } = require('pg');
const pool = new Pool({ host: process.argv[2], port: 5432, database: 'prod', user: 'node', max: 5 });
async function main() {
  await pool.query('CREATE TABLE IF NOT EXISTS node_rows (id int primary key, t text)');
  await Promise.all(Array.from({ length: 40 }, async (_, n) => {
    await pool.query('INSERT INTO node_rows VALUES ($1, $2)', [n, 'row ' + n]);
    const r = await pool.query({ name: 'by-id', text: 'SELECT t FROM node_rows WHERE id = $1', values: [n] });
    if (r.rows[0].t !== 'row ' + n) throw new Error('wrong row ' + JSON.stringify(r.rows));
  }));
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query('DELETE FROM node_rows');
  await client.query('ROLLBACK');
  client.release();
  await pool.query('SELECT 1/0').then(() => { throw new Error('no error'); },
    e => { if (e.code !== '22012') throw e; });
  console.log((await pool.query('SELECT count(*)::int AS n FROM node_rows')).rows[0].n);
  await pool.end();
}
main().catch(e => { console.error(e); process.exit(1); });
"""


class Drivers(story.Story):
    """A broker with a small pool for each story."""

    timeout = 150

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", counters=True, pool={"pool_size": 4, **pool})
        return world

    # ---- psql ----

    def test_psql_runs_a_script_with_copy_transactions_and_describe_commands(self):
        script = place.directory("psql") / "script.sql"
        script.write_text("CREATE TABLE psql_rows (id int, t text);\n"
                          "COPY psql_rows FROM STDIN;\n1\tone\n2\ttwo\n3\t\\N\n\\.\n"
                          "BEGIN; UPDATE psql_rows SET t = 'x'; ROLLBACK;\n"
                          "\\d psql_rows\n\\copy psql_rows TO STDOUT\nSELECT count(*) FROM psql_rows;\n"
                          "SELECT max(id) AS id FROM psql_rows \\gset got_\n\\echo most :got_id\n")
        with self.world() as world:
            daemon = self.watch(world.start())
            done = process.run(["psql", "-XqAt", daemon.uri(), "-f", script], cwd="/",
                               env=broker.environment("/nonexistent"))
            self.assertEqual(done.stderr, "")
            self.assertIn("1\tone\n2\ttwo\n3\t\\N\n3\nmost 3\n", done.stdout)
            self.assertIn("id|integer", done.stdout)

    def test_psql_restores_what_pg_dump_dumped(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            environment = broker.environment("/nonexistent")
            dump = process.run(["pg_dump", daemon.uri()], env=environment, cwd="/").stdout
            self.assertIn("CREATE TABLE public.counters", dump)
            daemon.psql("DROP TABLE counters")
            process.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", daemon.uri()], env=environment, cwd="/", input=dump)
            self.assertEqual(daemon.psql("SELECT count(*) FROM counters").stdout, "1000\n")

    def test_any_user_name_and_an_alias_work(self):
        with World(self.server) as world:
            environment = world.add("prod", aliases=["forecaster", "main"])
            daemon = self.watch(world.start())
            for name in ("prod", "forecaster", "main"):
                done = process.run(["psql", "-XqAt", daemon.uri(name, user="somebody"), "-c", "SELECT current_user"],
                                   env=broker.environment("/nonexistent"), cwd="/")
                self.assertEqual(done.stdout, environment.role + "\n")

    # ---- pgbench ----

    def pgbench(self, query_mode, **pool):
        with self.world(**pool) as world:
            daemon = self.watch(world.start())
            loads = [pgbench.Pgbench(daemon.uri(), clients=8, seconds=4, query_mode=query_mode, script=script)
                     for script in (pgbench.READ_AND_ADD, pgbench.READ_AND_ADD_IN_BLOCK)]
            outcomes = [load.finish() for load in loads]
            for outcome in outcomes:
                self.assertTrue(outcome.clean and outcome.transactions > 100, str(outcome))
            self.assertEqual(world.counted(), sum(outcome.transactions for outcome in outcomes))

    def test_pgbench_simple(self):
        self.pgbench("simple")

    def test_pgbench_extended(self):
        self.pgbench("extended")

    def test_pgbench_prepared(self):
        self.pgbench("prepared", pool_size=24)

    def test_pgbench_in_session_mode(self):
        self.pgbench("extended", pool_size=16, pool_mode="session")

    # ---- psycopg ----

    def test_psycopg_queries_pipelines_copies_and_rolls_back(self):
        psycopg = self.need("psycopg")
        with self.world() as world:
            daemon = self.watch(world.start())
            with psycopg.connect(daemon.uri()) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("CREATE TABLE py (id int, t text)")
                    cursor.executemany("INSERT INTO py VALUES (%s, %s)", [(n, f"row {n}") for n in range(100)])
                    with cursor.copy("COPY py FROM STDIN") as copy:
                        for n in range(100, 200):
                            copy.write_row((n, f"row {n}"))
                connection.commit()
                for _ in range(10):                 # past psycopg's prepare_threshold: a named statement
                    self.assertEqual(connection.execute("SELECT t FROM py WHERE id = %s", (150,)).fetchone(),
                                     ("row 150",))
                connection.commit()
                with self.assertRaises(psycopg.errors.DivisionByZero):
                    connection.execute("SELECT 1/0")
                connection.rollback()
                with connection.pipeline():
                    cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(20)]
                self.assertEqual([cursor.fetchone()[0] for cursor in cursors], list(range(20)))
                with connection.cursor("named") as cursor:
                    cursor.execute("SELECT id FROM py ORDER BY id")
                    self.assertEqual(len(cursor.fetchall()), 200)
                with self.assertRaises(ZeroDivisionError), connection.transaction():
                    connection.execute("DELETE FROM py")
                    raise ZeroDivisionError
                self.assertEqual(connection.execute("SELECT count(*) FROM py").fetchone(), (200,))

    def test_psycopg_connections_of_many_threads_share_four_servers(self):
        psycopg = self.need("psycopg")
        with self.world() as world:
            daemon = self.watch(world.start())

            def work(number):
                for turn in range(10):
                    with psycopg.connect(daemon.uri(), autocommit=True) as connection:
                        got = connection.execute("SELECT %s::int, %s::int", (number, turn)).fetchone()
                        if got != (number, turn):
                            raise AssertionError(f"{got}, not {(number, turn)}")

            async def all_of_them():
                await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(12)))
            asyncio.run(all_of_them())
            if self.server.own:
                self.assertLessEqual(len(self.server.sessions(world.environments["prod"].role)), 4)

    # ---- asyncpg ----

    def test_thirty_asyncpg_clients_on_a_pool_of_four_do_not_stop_unpinned_traffic(self):
        asyncpg = self.need("asyncpg")
        with self.world(query_wait_timeout="30s") as world:
            daemon = self.watch(world.start())
            end = time.monotonic() + 8
            done, refused, unpinned = [0] * 30, [0], []

            async def client(number):
                """asyncpg names its statements, which pins; what finds no place gets 53400, never a hang."""
                while time.monotonic() < end:
                    connection = await asyncpg.connect(host=str(daemon.directory), database="prod", user="a",
                                                       timeout=60, command_timeout=60)
                    try:
                        for turn in range(5):
                            got = await connection.fetchval("SELECT $1::int + $2::int", number, turn)
                            if got != number + turn:
                                raise AssertionError(f"{got}, not {number + turn}")
                            done[number] += 1
                    except asyncpg.exceptions.ConfigurationLimitExceededError:
                        refused[0] += 1
                    finally:
                        await connection.close()

            async def bystander():
                while time.monotonic() < end:
                    began = time.monotonic()
                    connection = await asyncio.to_thread(daemon.connect, "prod")
                    await asyncio.to_thread(connection.query, "SELECT 1")
                    await asyncio.to_thread(connection.close)
                    unpinned.append(time.monotonic() - began)

            async def everybody():
                await asyncio.gather(*(client(number) for number in range(30)), bystander())
            asyncio.run(everybody())
            self.assertGreater(len(unpinned), 20)
            self.assertLess(max(unpinned), 5.0, "unpinned traffic stood still")
            self.assertGreater(sum(done), 100)

    # ---- node-postgres ----

    def test_node_postgres_queries_with_a_pool_of_its_own(self):
        node, folder = shutil.which("node"), place.directory("node")
        if node is None:
            self.skipTest("node is not installed")
        paths = ["/usr/share/nodejs", str(place.ROOT / "build" / "node" / "node_modules")]
        (folder / "work.js").write_text(NODE)
        environment = broker.environment(folder, NODE_PATH=":".join(paths))
        if process.run([node, "-e", "require('pg')"], env=environment, check=False, cwd=folder).returncode != 0:
            self.install_node_postgres(paths[1])
        with self.world(pool_size=8) as world:
            daemon = self.watch(world.start())
            done = process.run([node, folder / "work.js", daemon.directory], env=environment, cwd=folder, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, "40\n"), done.stderr)

    def install_node_postgres(self, path):
        if shutil.which("npm") is None:
            self.skipTest("node-postgres is not installed, and npm is not there to fetch it")
        prefix = pathlib.Path(path).parent
        prefix.mkdir(parents=True, exist_ok=True)
        done = process.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, "pg@8"],
                           check=False, timeout=120, env=os.environ)
        if done.returncode != 0:
            self.skipTest(f"npm could not fetch node-postgres: {done.stderr.strip()[-200:]}")

    def need(self, module):
        try:
            return __import__(module)
        except ImportError:
            self.skipTest(f"python3-{module} is not installed")


if __name__ == "__main__":
    story.main()
