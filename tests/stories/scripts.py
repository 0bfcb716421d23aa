"""Scripts that psql runs: several at once over a small pool say, byte for byte, what one says to PostgreSQL directly.

Each file of tests/workloads/sql is about one kind of session state. It runs in a schema of its own, whose name is :me.
"""
import concurrent.futures
import difflib
import pathlib
import random
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import protocol
import story
from world import World

SCRIPTS = sorted((place.ROOT / "tests" / "workloads" / "sql").glob("*.sql"))
LANES, ROUNDS = 3, 10 if story.LONG else 1
POOL_SIZE = 3

# What others of the same uid do meanwhile: set, pin, fail, and take the servers in turn.
NEIGHBOUR = ("SET work_mem TO '100kB'", "SET search_path TO pg_catalog", "SET DateStyle TO German", "SET ROLE pg_monitor",
             "RESET ROLE", "BEGIN; CREATE TEMP TABLE other (a int) ON COMMIT DROP; COMMIT", "SET my.tag TO 'neighbour'",
             "CREATE TEMP TABLE pinned (a int)", "DROP TABLE pinned", "SET client_min_messages TO error", "SELECT 1/0",
             "SELECT set_config('bytea_output', 'escape', false)", "SET statement_timeout TO '30s'", "RESET ALL",
             "BEGIN; SELECT 1; ROLLBACK", "SET default_transaction_isolation TO 'repeatable read'", "SELECT pg_sleep(0.01)")


class Scripts(story.Story):
    """All files, in three lanes."""

    timeout = 120 * ROUNDS

    def start(self, script, uri, lane):
        """psql in a process of its own, and the file it writes to: all that it says, errors where they come."""
        home = place.directory("sql")
        said = open(home / "said", "wb+")
        self.addCleanup(said.close)
        return process.start(["psql", "-X", "-a", "-v", f"me=lane_{lane}", "-f", script, uri], stdout=said, stderr=said,
                             cwd="/", env=broker.environment(home, PGOPTIONS=f"-c search_path=lane_{lane},public")), said

    def play(self, uri, lanes):
        """In each lane all scripts, one behind the other; for each lane what they said."""
        waiting = {lane: SCRIPTS * ROUNDS for lane in lanes}
        running, heard = {}, {lane: [] for lane in lanes}
        for lane in lanes:
            random.Random(lane).shuffle(waiting[lane])
        while any(waiting.values()) or running:
            for lane in lanes:
                if lane not in running and waiting[lane]:
                    script = waiting[lane].pop()
                    running[lane] = script, *self.start(script, uri, lane)
            self.until(lambda: any(child.poll() is not None for _, child, _ in running.values()), "a script's end", 90)
            for lane, (script, child, said) in list(running.items()):
                if child.poll() is not None:
                    said.seek(0)
                    heard[lane].append((script, f"{self.plain(said.read(), script, lane)}status {child.wait()}\n"))
                    del running[lane]
        return heard

    @staticmethod
    def plain(said, script, lane):
        text = said.decode(errors="replace").replace(str(script), script.name).replace(f"lane_{lane}", "lane")
        return re.sub(r"process with PID \d+", "process with PID N", text)

    def neighbour(self, daemon, over):
        dice = random.Random(7)
        with daemon.connect() as client:
            while not over.wait(0.01):
                try:
                    client.query(dice.choice(NEIGHBOUR))
                except protocol.ServerError as e:
                    if e.sqlstate not in ("22012", "42P07", "42P01", "42501"):
                        raise

    def test_several_scripts_at_once_say_what_each_says_directly(self):
        self.server.need_own()
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": POOL_SIZE, "query_wait_timeout": "60s"})
            direct = self.server.create_database("direct", owner=environment.role)
            self.server.sql(f"ALTER ROLE {environment.role} SUPERUSER")
            self.server.set_access(hba_lines=[f"hostnossl {direct} {environment.role} 127.0.0.1/32 trust",
                                              "host all all all scram-sha-256"])
            daemon = self.watch(world.start())
            directly = f"host=127.0.0.1 port={self.server.port} dbname={direct} user={environment.role} sslmode=disable"
            told = dict(self.play(directly, [0])[0])
            self.assertGreater(len(told), 9)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                over = threading.Event()
                other = pool.submit(self.neighbour, daemon, over)
                try:
                    heard = self.play(daemon.uri(user="anybody"), range(1, LANES + 1))
                finally:
                    over.set()
                other.result()
            for lane, scripts in heard.items():
                self.assertEqual(len(scripts), len(SCRIPTS) * ROUNDS)
                for script, said in scripts:
                    self.compare(f"{script.name} in lane {lane}", told[script], said)

    def compare(self, what, told, said):
        if said != told:
            self.fail("\n".join(difflib.unified_diff(told.splitlines(), said.splitlines(), "directly", what, lineterm="")))


if __name__ == "__main__":
    story.main()
