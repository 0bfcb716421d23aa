"""Python's drivers and object mappers in processes of their own, with more threads than the pool has servers."""
import asyncio
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import process
import story
import workload
from world import World

PYTHON = "/usr/bin/python3"                         # the one that Debian's packages are for


class Python(story.Story):
    """Programs in two processes with three lanes each, and what is better said here."""

    timeout = 180

    # ---- programs of tests/workloads ----

    def work(self, program, needs, names_statements=False, pins=()):
        for module in needs:
            if process.run([PYTHON, "-c", f"import {module}"], check=False).returncode != 0:
                self.skipTest(f"python3-{module} is not installed")
        with World(self.server) as world:
            world.add("prod", pool=workload.pool())
            self.watch(world.start())
            workload.run(self, world, [PYTHON, program], names_statements, pins)

    def test_psycopg2_works_in_threads_without_a_pin_but_for_LISTEN(self):
        self.work("psycopg2_threads.py", ["psycopg2"], pins=["LISTEN"])

    def test_asyncpg_works_in_tasks_over_a_pool_of_its_own(self):
        self.work("asyncpg_tasks.py", ["asyncpg"], names_statements=True, pins=["LISTEN"])

    def test_sqlalchemy_core_works_in_threads_without_a_pin(self):
        self.work("sqlalchemy_core.py", ["sqlalchemy", "psycopg2"])

    def test_sqlalchemy_orm_works_in_threads_without_a_pin(self):
        self.work("sqlalchemy_orm.py", ["sqlalchemy", "psycopg2"])

    def test_django_works_in_threads_and_pins_only_for_a_cursor_with_hold(self):
        self.work("django_threads.py", ["django", "psycopg2"], pins=["cursor WITH HOLD"])

    # ---- in this process ----

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool={"pool_size": 4, **pool})
        return world

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
                self.until(lambda: len(self.server.sessions(world.environments["prod"].role)) <= 4, "at most four sessions")

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
            self.assertGreater(len(unpinned), 5, "unpinned traffic stood still")
            self.assertLess(max(unpinned), 7.0, "unpinned traffic stood still")
            self.assertGreater(sum(done), 30)

    def need(self, module):
        try:
            return __import__(module)
        except ImportError:
            self.skipTest(f"python3-{module} is not installed")


if __name__ == "__main__":
    story.main()
