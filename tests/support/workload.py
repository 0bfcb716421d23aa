"""The programs of tests/workloads: real drivers in processes of their own, and the reckoning afterwards.

    workload.run(story, world, [python, file], names_statements=False)

Each process works in some lanes at once, over a pool smaller than their number. When all have ended, the rows
they left are counted on the server, not through the broker.
"""
import threading

import broker
import place
import process

FOLDER = place.ROOT / "tests" / "workloads"
PROCESSES, LANES, ACCOUNTS, TRANSFERS = 2, 3, 10, 20
SMALL_POOL = 4
UNDER_WAY = "a statement that may pin is under way"

SETUP = f"""
CREATE TABLE entries (id bigint PRIMARY KEY, lane int NOT NULL, n int NOT NULL, body text NOT NULL);
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, moves int NOT NULL);
INSERT INTO accounts SELECT g, 100, 0 FROM generate_series(1, {ACCOUNTS}) g;
"""

# What lanes.py says that a lane leaves behind.
LEFT = """
SELECT lane, count(*), bool_and(id = lane * 10000 + n),
       bool_and(body = lane || ':' || n || CASE WHEN n <= 15 AND n % 2 = 0 THEN ' changed' ELSE '' END),
       count(*) FILTER (WHERE n <= 15), count(*) FILTER (WHERE n IN (100, 102)),
       count(*) FILTER (WHERE n BETWEEN 201 AND 250), count(*) FILTER (WHERE n BETWEEN 1001 AND 1500)
  FROM entries GROUP BY lane ORDER BY lane
"""


def pool():
    """Pool settings: fewer servers than clients, whatever these prepare."""
    return {"pool_size": SMALL_POOL, "query_wait_timeout": "60s"}


class Pins:
    """Why clients are pinned, and how much is prepared, seen again and again while something runs."""

    def __init__(self, daemon):
        self.daemon, self.reasons, self.looks, self.prepared = daemon, set(), 0, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        with self.daemon.connect("pgbroker") as console:
            while not self.ended.wait(0.05):
                self.look(console)

    def look(self, console):
        self.reasons |= {row["reason"] for row in console.query("SHOW PINS").dicts()}
        for row in console.query("SHOW SERVERS").dicts():
            self.prepared = max(self.prepared, int(row["prepared_statements"]))
        self.looks += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def allowed(*reasons):
    """The reasons that SHOW PINS may give while the program runs."""
    return {*reasons, UNDER_WAY} if reasons else set()


def run(story, world, words, names_statements=False, pins=(), **variables):
    """Runs the program in its processes, and checks their ends, the rows, and why anybody was pinned."""
    environment = world.environments["prod"]
    world.server.sql(SETUP, environment.database, environment.role, environment.password)
    daemon = world.broker
    home = place.directory("work")
    children = []
    with Pins(daemon) as seen:
        for worker in range(PROCESSES):
            output = open(home / f"{worker}.txt", "wb+")
            story.addCleanup(output.close)
            children.append((output, process.start(
                [words[0], FOLDER / words[1], daemon.directory, worker, LANES, *words[2:]], stdout=output,
                stderr=output, cwd=home, env=broker.environment(home, PYTHONDONTWRITEBYTECODE=1, **variables))))
        for output, child in children:
            status = child.wait(story.timeout)
            output.seek(0)
            story.assertEqual(status, 0, output.read().decode(errors="replace")[-4000:])
    reckon(story, world)
    story.assertGreater(seen.looks, 0)
    story.assertLessEqual(seen.reasons, allowed(*pins))
    if names_statements:
        story.assertGreater(seen.prepared, 0, "the driver names no statement: this story says nothing")


def reckon(story, world):
    """The rows that are left, as the server has them, and no more sessions than the pool may have."""
    environment = world.environments["prod"]
    lanes = sorted(str(worker * 10 + lane) for worker in range(PROCESSES) for lane in range(LANES))
    left = world.server.sql(LEFT, environment.database)
    story.assertEqual(sorted(left), [(lane, "567", "t", "t", "15", "2", "50", "500") for lane in lanes])
    story.assertEqual(world.server.sql("SELECT sum(balance), sum(moves) FROM accounts", environment.database),
                      [(str(100 * ACCOUNTS), str(TRANSFERS * len(lanes)))])
    size = world.config["prod"]["pool"]["pool_size"]
    story.until(lambda: len(world.server.sessions(environment.role)) <= size, f"at most {size} sessions")
