"""Why is it slow, what fails: SHOW WAITS, SHOW ERRORS, SHOW LATENCY, and the times in SHOW STATS."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import protocol
import story
from world import World


class Waits(story.Story):
    """One row for each client that waits, with the reason."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool={"pool_size": 1, **pool})
        return world

    def only_wait(self, daemon, waiting_for):
        """The one row, once there is one for this."""
        row, = self.until(lambda: daemon.show("WAITS", waiting_for=waiting_for), f"a wait for {waiting_for}")
        self.assertEqual((row["environment"], row["pid"], row["uid"]), ("prod", str(os.getpid()), str(os.getuid())))
        self.assertGreaterEqual(int(row["age_ms"]), 0)
        return row

    def test_nobody_waits_at_first(self):
        with self.world() as world:
            self.assertEqual(self.watch(world.start()).show("WAITS"), [])

    def test_a_full_pool_names_who_holds_the_servers(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect(user="patience") as waiter:
                holder.query("BEGIN")
                waiter.send(protocol.query("SELECT 1"))
                row = self.only_wait(daemon, "server")
                self.assertEqual(row["user"], "patience")
                self.assertRegex(row["why"], rf"pool_size: 1 of 1 servers .* held by pid {os.getpid()} \(uid ")
                self.assertIn(row["client_id"], [client["id"] for client in daemon.show("CLIENTS", state="waiting")])
                holder.query("COMMIT")
                waiter.answer()
                self.assertEqual(daemon.show("WAITS"), [])

    def test_leave_to_pin_names_who_is_pinned(self):
        with self.world(pool_size=2, max_pinned=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as pinned, daemon.connect() as waiter:
                pinned.query("LISTEN somewhere")
                waiter.send(protocol.query("LISTEN elsewhere"))
                self.assertRegex(self.only_wait(daemon, "leave to pin")["why"],
                                 rf"max_pinned: all 1 .* held by pid {os.getpid()} \(uid \d+\) LISTEN")

    def test_a_pause_is_told(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                daemon.console("PAUSE")
                client.send(protocol.query("SELECT 1"))
                self.assertIn("paused", self.only_wait(daemon, "server")["why"])
                daemon.console("RESUME")
                client.answer()

    def test_startup_parameters_wait_for_a_login(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder:
                holder.query("BEGIN")
                client = daemon.raw()
                client.send(protocol.startup_message({"user": "new", "database": "prod", "statement_timeout": "4711"}))
                self.assertIn("pool_size", self.only_wait(daemon, "login")["why"])
                client.close(politely=False)

    def test_without_credentials_that_is_the_reason(self):
        with self.world() as world:
            world.manager.outage()
            daemon = self.watch(world.start(ready=False))
            client = daemon.raw()
            client.send(protocol.startup_message({"user": "new", "database": "prod"}))
            self.assertIn("no credentials yet", self.only_wait(daemon, "credentials")["why"])
            client.close(politely=False)


class Errors(story.Story):
    """Distinct errors, counted, without what queries or passwords say."""

    def test_what_clients_were_told_and_what_the_server_answered(self):
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 1, "query_wait_timeout": "500ms"})
            daemon = self.watch(world.start())
            self.assertEqual(daemon.show("ERRORS", environment="prod", sqlstate="42P01"), [])
            with daemon.connect() as client:
                for n in range(3):
                    self.refused("42P01", client.query, f"SELECT * FROM secret_table_{n}")
                client.query("BEGIN")
                for _ in range(2):
                    with daemon.connect() as other:
                        self.refused("53400", other.query, "SELECT 1")
            for _ in range(2):
                self.refused("3D000", daemon.connect, "nowhere")
            rows = {row["sqlstate"]: row for row in daemon.show("ERRORS")}
            self.assertEqual({state: (rows[state]["environment"], rows[state]["source"], rows[state]["count"])
                              for state in ("42P01", "53400", "3D000")},
                             {"42P01": ("prod", "server", "3"), "53400": ("prod", "client", "2"),
                              "3D000": ("", "client", "2")})
            self.assertIsNone(rows["42P01"]["text"])
            self.assertIn("query_wait_timeout", rows["53400"]["text"])
            self.assertRegex(rows["53400"]["last"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
            self.assertNotIn("secret_table", str(rows))

    def test_a_refused_login_is_there_without_the_password(self):
        with World(self.server) as world:
            environment = world.add("prod")
            self.server.sql(f"ALTER ROLE {environment.role} PASSWORD 'another one'")
            daemon = self.watch(world.start(ready=False))
            self.until(lambda: daemon.show("ERRORS", source="login", sqlstate="28P01"), "the refusal")
            self.assertNotIn(environment.password, str(daemon.show("ERRORS")))

    def test_a_session_that_the_server_ends_is_told_in_its_words(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                pid = client.query("BEGIN; SELECT pg_backend_pid()").value()
                self.server.sql(f"SELECT pg_terminate_backend({pid})")
                row, = self.until(lambda: daemon.show("ERRORS", source="server", sqlstate="57P01"), "the error")
                self.assertIn("administrator command", row["text"])


class Latency(story.Story):
    """Histograms and the times of SHOW STATS."""

    def rows(self, daemon):
        return {row["of"]: {name: int(value) for name, value in row.items() if name not in ("environment", "of")}
                for row in daemon.show("LATENCY", environment="prod")}

    def test_waits_logins_queries_and_transactions_are_measured_apart(self):
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 1})
            daemon = self.watch(world.start())
            before, stats = self.rows(daemon), daemon.show("STATS", database="prod")[0]
            with daemon.connect() as client, daemon.connect() as waiter:
                client.query("BEGIN")
                waiter.send(protocol.query("SELECT 1"))
                client.query("SELECT pg_sleep(0.2)")
                time.sleep(0.6)                             # idle in the transaction: no query's time
                client.query("COMMIT")
                waiter.answer()
            after = self.rows(daemon)
            counted = {name: after[name]["count"] - before[name]["count"] for name in after}
            self.assertEqual(counted, {"wait": 2, "login": 0, "query": 4, "transaction": 2})
            self.assertGreater(after["login"]["count"], 0)
            self.assertGreater(after["wait"]["max_us"], 700_000)
            self.assertGreater(after["transaction"]["max_us"], 800_000)
            self.assertGreaterEqual(after["query"]["max_us"], 200_000)
            for row in after.values():
                self.assertTrue(row["p50_us"] <= row["p90_us"] <= row["p99_us"] <= row["max_us"], row)
            later = daemon.show("STATS", database="prod")[0]
            grown = {name: int(later[name]) - int(stats[name]) for name in ("total_xact_time", "total_query_time")}
            self.assertGreater(grown["total_xact_time"], grown["total_query_time"] + 500_000)
            self.assertGreaterEqual(grown["total_query_time"], 200_000)

    def test_the_longest_turn_of_the_loop_is_told(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            before = {row["of"]: row for row in daemon.show("LATENCY", environment="")}
            with daemon.connect() as client:
                client.query("SELECT 1")
            after = {row["of"]: row for row in daemon.show("LATENCY", environment="")}
            self.assertEqual(set(after), {"turn", "turn_wall"})
            for name, row in after.items():
                self.assertGreater(int(row["count"]), int(before[name]["count"]))
                self.assertGreaterEqual(int(row["max_us"]), int(before[name]["max_us"]))
                self.assertGreater(int(row["max_us"]), 0)
                self.assertIsNone(row["p50_us"])


if __name__ == "__main__":
    story.main()
