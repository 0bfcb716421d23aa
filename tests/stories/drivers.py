"""PostgreSQL's own clients over the socket: psql, pg_dump, pgbench. Other drivers have files of their own."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import pgbench
import place
import process
import story
from world import World


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
            loads = [pgbench.Pgbench(daemon.uri(), clients=8, transactions=50, query_mode=query_mode, script=script)
                     for script in (pgbench.READ_AND_ADD, pgbench.READ_AND_ADD_IN_BLOCK)]
            outcomes = [load.finish() for load in loads]
            for outcome in outcomes:
                self.assertTrue(outcome.clean and outcome.transactions == 8 * 50, str(outcome))
            self.assertEqual(world.counted(), sum(outcome.transactions for outcome in outcomes))

    def test_pgbench_simple(self):
        self.pgbench("simple")

    def test_pgbench_extended(self):
        self.pgbench("extended")

    def test_pgbench_prepared(self):
        self.pgbench("prepared", pool_size=24)

    def test_pgbench_in_session_mode(self):
        self.pgbench("extended", pool_size=16, pool_mode="session")


if __name__ == "__main__":
    story.main()
