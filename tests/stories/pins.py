"""Pins: who keeps a server, why, since which statement, for how long at most, and what is left of it afterwards."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import OneEnvironment


class Shown(OneEnvironment):
    """SHOW PINS."""

    def pin(self, daemon):
        row, = self.until(lambda: daemon.show("PINS"), "the pin")
        return row["reason"], row["query"]

    def free(self, daemon, client, sql):
        client.query(sql)
        self.until(lambda: not daemon.show("PINS"), "the pin to end")

    def test_the_statement_that_pinned_is_shown_without_its_constants(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("SELECT 'hidden'; CREATE TEMP TABLE mine AS SELECT 'hidden'::text AS t, 4711 AS n; SELECT 2")
                self.assertEqual(self.pin(daemon), ("temporary object",
                                                    "CREATE TEMP TABLE mine AS SELECT ?::text AS t, ? AS n"))
                client.query("LISTEN news")
                self.assertEqual(self.pin(daemon), ("temporary object, LISTEN",
                                                    "CREATE TEMP TABLE mine AS SELECT ?::text AS t, ? AS n"))
                client.query("DROP TABLE mine")
                self.until(lambda: self.pin(daemon)[0] == "LISTEN", "the table to be forgotten")
                self.free(daemon, client, "UNLISTEN *")
            self.assertNotIn("hidden", daemon.log())

    def test_it_is_shown_for_prepared_statements_whenever_they_pin(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.extended("SELECT pg_advisory_lock($1::int)", [1])
                self.assertEqual(self.pin(daemon), ("advisory lock", "SELECT pg_advisory_lock(?::int)"))
                self.free(daemon, client, "SELECT pg_advisory_unlock(1)")
                parse = protocol.parse("SELECT pg_advisory_lock($1::int) -- hidden", "lock")
                for first in (parse, b""):      # the second time it is only bound
                    client.send(first + protocol.bind([1], "lock") + protocol.execute() + protocol.sync())
                    client.answer()
                    self.assertEqual(self.pin(daemon), ("advisory lock", "SELECT pg_advisory_lock(?::int)"))
                    self.free(daemon, client, "SELECT pg_advisory_unlock(1)")

    def test_a_text_that_can_be_read_in_two_ways_is_not_shown(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("SET standard_conforming_strings TO off")
                client.query(r"SELECT 'it\'s hidden'; LISTEN news")
                self.assertEqual(self.pin(daemon), ("LISTEN", None))


class Limits(OneEnvironment):
    """pin_idle_timeout, pin_notice, and a pool of one."""

    def test_an_idle_pinned_client_is_sent_away_and_no_other(self):
        with self.world(pool_size=2, pin_idle_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                other.query("SELECT 1")
                mine = client.query("CREATE TEMP TABLE mine (x int); LISTEN news; SELECT pg_backend_pid()").value()
                with self.assertRaises(protocol.ServerError) as caught:
                    client.collect()
                error = caught.exception
                self.assertEqual((error.severity, error.sqlstate), ("FATAL", "57P05"))
                self.assertRegex(error.message, r"pin_idle_timeout.*\(1 s\).*temporary object, LISTEN")
                self.assertRegex(error.hint, "UNLISTEN.*pin_idle_timeout")
                self.assertTrue(client.closed())
                self.until(lambda: not daemon.show("PINS"), "the pin to end")
                self.assertEqual(other.query("SELECT to_regclass('pg_temp.mine'), 1").rows, [(None, "1")])
                self.assertIn(int(mine), self.server.sessions(world.environments["prod"].role))

    def test_a_client_is_told_that_it_is_pinned_if_it_is_to_be(self):
        with self.world(pool_size=2, pin_notice="true") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                self.assertEqual(client.query("SELECT 1").notices, [])
                client.query("BEGIN")
                self.assertEqual(client.query("LISTEN news").notices, [])       # it may be rolled back
                notice, = client.query("COMMIT").notices
                self.assertRegex(notice["M"], r"keeps its server connection.*\(LISTEN\)")
                self.assertEqual(notice["V"], "NOTICE")
                self.assertEqual(client.query("CREATE TEMP TABLE mine (x int)").notices, [])    # it knows
                client.query("DISCARD ALL")
                self.until(lambda: not daemon.show("PINS"), "the pin to end")
                self.assertEqual(len(client.query("LISTEN news").notices), 1)
            with daemon.connect(client_min_messages="warning") as client:
                self.assertEqual(client.query("LISTEN news").notices, [])

    def test_without_it_nobody_is_told(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                self.assertEqual(client.query("LISTEN news").notices, [])

    def test_a_pool_of_one_may_be_pinned_and_the_next_is_told_by_whom(self):
        with self.world(pool_size=1, query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                client.query("CREATE TEMP TABLE mine AS SELECT 5 AS x")
                self.assertEqual(client.query("SELECT x FROM mine").value(), "5")
                error = self.refused("53400", other.query, "LISTEN news")
                self.assertIn("temporary object", error.message)


class Left(OneEnvironment):
    """What a client leaves behind when it goes without a word."""

    STATE = ("CREATE TEMP TABLE mine (x int); SELECT pg_advisory_lock(4242); LISTEN news; PREPARE mine AS SELECT 1; "
             "DECLARE mine CURSOR WITH HOLD FOR SELECT 1; SET my.tag TO 'mine'; SET work_mem TO '99kB'")
    GONE = ("SELECT to_regclass('pg_temp.mine') IS NULL, "
            "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
            "NOT EXISTS (SELECT FROM pg_listening_channels()), "
            "NOT EXISTS (SELECT FROM pg_prepared_statements), NOT EXISTS (SELECT FROM pg_cursors WHERE is_holdable), "
            "coalesce(current_setting('my.tag', true), '') = '', current_setting('work_mem') <> '99kB'")

    def test_nothing_of_it_is_there_for_the_next_one_of_the_same_user(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            batch = protocol.parse("SELECT 1/0") + protocol.bind() + protocol.execute() + protocol.flush()
            for last, until in ((b"", ""), (protocol.query("BEGIN"), "Z"),
                                (protocol.query("BEGIN") + protocol.query("SELECT 1/0"), "EZ"), (batch, "E")):
                client = daemon.connect()
                client.query(self.STATE)
                mine = self.backend(client)
                client.send(last)
                for kind in until:
                    client.read_until(kind)
                client.close(politely=False)
                with daemon.connect() as other:
                    self.assertEqual(other.query(self.GONE).rows, [("t",) * 7], last)
                    self.assertEqual(self.backend(other), mine, "another server connection: this story tested nothing")
                self.assertEqual(daemon.show("PINS"), [])


if __name__ == "__main__":
    story.main()
