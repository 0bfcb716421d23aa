"""Limits: what may take how long, how many there may be, and who has to wait for whom."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import cluster
import pg_standin
import protocol
import story
from world import World


class Limited(story.Story):
    """A world with one environment and the pool a story wants."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

    def sessions(self, world):
        return self.server.sessions(world.environments["prod"].role)

    def running(self, world, words):
        """How many of the environment's servers run a query with these words."""
        rows = self.server.sql("SELECT query FROM pg_stat_activity WHERE state = 'active' AND usename = "
                               + cluster.literal(world.environments["prod"].role))
        return sum(words in query for query, in rows)

    def backend(self, client):
        return client.query("SELECT pg_backend_pid()").value()

    def standin(self, behaviour, **pool):
        """A broker over a server stand-in instead of a real one."""
        standin = self.enterContext(pg_standin.PgStandin(behaviour))
        world = World(self.server)
        world.manager.create("forecaster/database/prod", standin.secret())
        world.config["prod"] = {"pool": {"pool_size": 1, "server_login_retry": "200ms", **pool}}
        return standin, world


class Queries(Limited):
    """query_timeout: a query that runs for too long is canceled, and only that."""

    def test_a_query_that_runs_for_too_long_is_canceled_and_its_server_goes_on(self):
        with self.world(pool_size=1, query_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                mine = self.backend(client)
                error = self.refused("57014", client.query, "SELECT pg_sleep(60)")
                self.assertEqual(error.severity, "ERROR")
                self.assertIn("query_timeout", error.message)
                self.assertEqual(self.backend(client), mine)

    def test_it_holds_in_the_extended_protocol_too(self):
        with self.world(pool_size=1, query_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                self.assertIn("query_timeout", self.refused("57014", client.extended, "SELECT pg_sleep(60)").message)
                self.assertEqual(client.extended("SELECT $1::int", [1]).value(), "1")

    def test_each_query_of_a_pipeline_has_its_own_time(self):
        with self.world(pool_size=1, query_timeout="2s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.query("SELECT pg_sleep(0.8)") * 4)
                for _ in range(4):
                    client.answer()
                client.send((protocol.parse("SELECT pg_sleep(0.8)") + protocol.bind() + protocol.execute()) * 4
                            + protocol.sync())
                client.answer()

    def test_the_next_query_of_the_pipeline_is_done(self):
        with self.world(pool_size=1, query_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.query("SELECT pg_sleep(60)") + protocol.query("SELECT 2"))
                self.assertIn("query_timeout", client.collect().error.message)
                self.assertEqual(client.answer().value(), "2")

    def test_an_idle_client_is_not_canceled_in_a_transaction_or_out_of_it(self):
        with self.world(pool_size=1, query_timeout="500ms") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("SELECT 1")
                self.assertTrue(client.silent(1.2))
                client.query("BEGIN")
                self.assertTrue(client.silent(1.2))
                client.send(protocol.parse("SELECT 5") + protocol.bind() + protocol.execute() + protocol.flush())
                client.read_until("C")
                self.assertTrue(client.silent(1.2))
                client.send(protocol.sync())
                client.collect()
                self.assertEqual(client.query("COMMIT").tags, ["COMMIT"])
            self.assertNotIn("query_timeout", daemon.log())

    def test_a_copy_whose_rows_keep_coming_is_not_canceled(self):
        with self.world(pool_size=1, query_timeout="2s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("CREATE UNLOGGED TABLE rows (x int)")
                client.send(protocol.query("COPY rows FROM STDIN"))
                client.read_until("G")
                for _ in range(16):
                    client.send(protocol.copy_data(b"1\n"))
                    time.sleep(0.25)
                client.send(protocol.copy_done())
                self.assertEqual(client.answer().tags, ["COPY 16"])

    def test_waiting_for_a_server_is_not_running(self):
        with self.world(pool_size=1, query_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                waiter.send(protocol.query("SELECT 1"))
                self.assertTrue(waiter.silent(1.5))
                holder.query("COMMIT")
                self.assertEqual(waiter.answer().value(), "1")

    def test_a_server_that_does_not_heed_the_cancel_is_closed(self):
        def deaf(session):
            session.login()
            while True:
                kind, payload = session.read()
                if (kind, payload) != ("Q", b"SELECT 'hang'\0"):
                    session.answer(kind, payload)
        standin, world = self.standin(deaf, query_timeout="500ms", cancel_wait_timeout="1s")
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                error = self.refused("57014", client.query, "SELECT 'hang'")
                self.assertEqual(error.severity, "FATAL")
                self.assertIn("query_timeout", error.message)
                self.assertTrue(client.closed())
            self.assertEqual(len(standin.cancels()), 1)
            self.assertEqual(daemon.connect().query("SELECT 'two'").value(), "SELECT 'two'")


class Transactions(Limited):
    """transaction_timeout, idle_transaction_timeout, client_idle_timeout."""

    def test_a_transaction_that_lasts_for_too_long_is_ended(self):
        with self.world(pool_size=1, transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                client.query("CREATE TABLE undone (x int)")
                with self.assertRaises((protocol.ServerError, protocol.Gone)) as caught:
                    while True:                     # never idle for long: only the whole is too long
                        client.query("SELECT 1")
                        time.sleep(0.05)
                self.assertEqual(getattr(caught.exception, "sqlstate", "25P04"), "25P04")
            daemon.wait_for_log("transaction_timeout")
            with daemon.connect() as other:
                self.assertIsNone(other.query("SELECT to_regclass('undone')").value())

    def test_its_client_is_told_and_what_it_runs_is_canceled(self):
        with self.world(pool_size=1, transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                error = self.refused("25P04", client.query, "SELECT pg_sleep(61)")
                self.assertEqual(error.severity, "FATAL")
                self.assertTrue(client.closed())
            self.until(lambda: self.running(world, "pg_sleep(61)") == 0, "the query to be canceled")

    def test_one_transaction_after_the_other_may_go_on_for_ever(self):
        with self.world(pool_size=1, transaction_timeout="2s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.query("SELECT pg_sleep(0.8)") * 4)     # one after the other, without a pause
                for _ in range(4):
                    client.answer()
                for _ in range(4):
                    client.query("BEGIN")
                    client.query("SELECT pg_sleep(0.6)")
                    client.query("COMMIT")

    def test_an_idle_transaction_is_rolled_back_and_its_server_survives(self):
        with self.world(pool_size=1, idle_transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                mine = self.backend(client)
                began = time.monotonic()
                fields = protocol.error_fields(client.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "25P03")
                self.assertGreater(time.monotonic() - began, 0.7)
            with daemon.connect() as other:
                self.assertEqual(self.backend(other), mine)

    def test_each_query_gives_an_open_transaction_its_time_again(self):
        with self.world(pool_size=1, idle_transaction_timeout="1500ms") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                for _ in range(4):
                    time.sleep(0.5)
                    client.query("SELECT 1")
                client.query("SELECT pg_sleep(2)")          # at work is not idle
                client.query("COMMIT")

    def test_a_batch_without_its_sync_is_idle_in_a_transaction(self):
        with self.world(pool_size=1, idle_transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.parse("SELECT 5") + protocol.bind() + protocol.execute() + protocol.flush())
                client.read_until("C")
                self.assertEqual(protocol.error_fields(client.read_until("E")[-1][1])["C"], "25P03")

    def test_an_idle_client_is_sent_away_and_one_at_work_is_not(self):
        with self.world(client_idle_timeout="1500ms") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(4):
                    time.sleep(0.5)
                    client.query("SELECT 1")
                client.query("SELECT pg_sleep(2)")
                self.assertEqual(protocol.error_fields(client.read_until("E")[-1][1])["C"], "57P05")

    def test_an_idle_client_that_keeps_its_server_is_sent_away_too(self):
        for mode in ("transaction", "session"):
            with self.subTest(mode=mode), self.world(pool_mode=mode, client_idle_timeout="1s") as world:
                daemon = self.watch(world.start())
                with daemon.connect() as client:
                    client.query("CREATE TEMP TABLE t (x int)")
                    self.assertEqual(protocol.error_fields(client.read_until("E")[-1][1])["C"], "57P05")
                daemon.stop()

    def test_a_client_that_does_not_log_in_is_sent_away(self):
        with self.world(client_login_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.raw() as client:
                self.assertIn("client_login_timeout",
                              protocol.error_fields(client.read_until("E")[-1][1])["M"])
                self.assertTrue(client.closed())


if __name__ == "__main__":
    story.main()
