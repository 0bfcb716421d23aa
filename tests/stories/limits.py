"""Limits: what may take how long, how many there may be, and who has to wait for whom."""
import os
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
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
        with self.world(pool_size=1, query_timeout="3s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect(timeout=60) as other:
                client.send(protocol.query("SELECT pg_sleep(0.4)") * 8)
                for _ in range(8):
                    client.answer()
                other.send((protocol.parse("SELECT pg_sleep(0.4)") + protocol.bind() + protocol.execute()
                            + protocol.flush()) * 8 + protocol.sync())
                other.answer()

    def test_the_next_query_of_the_pipeline_is_done(self):
        with self.world(pool_size=1, query_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(5):
                    client.send(protocol.query("SELECT pg_sleep(60)") + protocol.query("SELECT 2"))
                    self.assertIn("query_timeout", client.collect().error.message)
                    after = client.collect()
                    if not after.error:             # PostgreSQL signals twice what it cancels: that may hit both
                        break
                self.assertEqual(after.value(), "2")

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
        with self.world(pool_size=1, query_timeout="3s") as world:
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
            self.until(standin.cancels, "the cancel request")
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
        with self.world(pool_size=1, transaction_timeout="3s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.query("SELECT pg_sleep(0.4)") * 8)     # one after the other, without a pause
                for _ in range(8):
                    client.answer()
                for _ in range(8):
                    client.query("BEGIN")
                    client.query("SELECT pg_sleep(0.4)")
                    client.query("COMMIT")

    def test_an_idle_transaction_is_rolled_back_and_its_server_survives(self):
        with self.world(pool_size=1, idle_transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                began = time.monotonic()
                mine = self.backend(client)
                fields = protocol.error_fields(client.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "25P03")
                self.assertGreater(time.monotonic() - began, 0.9)
            with daemon.connect() as other:
                self.assertEqual(self.backend(other), mine)

    def test_each_query_gives_an_open_transaction_its_time_again(self):
        with self.world(pool_size=1, idle_transaction_timeout="3s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                for _ in range(8):
                    time.sleep(0.4)
                    client.query("SELECT 1")
                client.query("SELECT pg_sleep(3.2)")        # at work is not idle
                client.query("COMMIT")

    def test_a_batch_without_its_sync_is_idle_in_a_transaction(self):
        with self.world(pool_size=1, idle_transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.parse("SELECT 5") + protocol.bind() + protocol.execute() + protocol.flush())
                client.read_until("C")
                self.assertEqual(protocol.error_fields(client.read_until("E")[-1][1])["C"], "25P03")

    def test_an_idle_client_is_sent_away_and_one_at_work_is_not(self):
        with self.world(client_idle_timeout="3s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(8):
                    time.sleep(0.4)
                    client.query("SELECT 1")
                client.query("SELECT pg_sleep(3.2)")
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


class Waiting(Limited):
    """query_wait_timeout, query_wait_notify, and whose turn it is."""

    def test_who_waits_for_long_is_told_for_what_and_is_served_all_the_same(self):
        with self.world(pool_size=1, query_wait_notify="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                waiter.send(protocol.parse("SELECT 5") + protocol.bind() + protocol.execute() + protocol.sync())
                kind, payload = waiter.read()
                fields = protocol.error_fields(payload)
                self.assertEqual((kind, fields["S"], fields["C"]), ("N", "NOTICE", "00000"))
                self.assertRegex(fields["M"], r"prod: waiting for server, \d s so far: ")
                self.assertIn(f"pid {os.getpid()}", fields["M"])
                self.assertTrue(waiter.silent(2.5))             # once
                holder.query("COMMIT")
                self.assertEqual(waiter.answer().value(), "5")
                self.assertEqual(waiter.query("SELECT 6").notices, [])

    def test_who_waits_for_leave_to_pin_is_told_so(self):
        with self.world(pool_size=2, max_pinned=1, query_wait_notify="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as pinned, daemon.connect() as waiter:
                pinned.query("CREATE TEMP TABLE t (x int)")
                waiter.send(protocol.query("CREATE TEMP TABLE t (x int)"))
                kind, payload = waiter.read()
                self.assertEqual(kind, "N")
                self.assertIn("leave to pin", protocol.error_fields(payload)["M"])
                pinned.query("DISCARD ALL")
                self.assertEqual(waiter.answer().tags, ["CREATE TABLE"])

    def test_no_notice_comes_before_the_welcome(self):
        with self.world(pool_size=1, query_wait_notify="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.raw() as late:
                holder.query("BEGIN")
                late.send(protocol.startup_message({"user": "story", "database": "prod", "application_name": "late"}))
                self.assertTrue(late.silent(2.5))
                holder.query("COMMIT")
                self.assertEqual(late.read()[0], "R")

    def test_the_wait_goes_on_across_a_pause_and_says_so(self):
        with self.world(pool_size=1, query_wait_timeout="3s", query_wait_notify="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as first, daemon.connect() as second:
                daemon.console("PAUSE prod")
                first.send(protocol.query("SELECT 1"))
                self.assertIn("paused", protocol.error_fields(first.read_until("N")[-1][1])["M"])
                error = protocol.error_fields(first.read_until("E")[-1][1])
                self.assertEqual(error["C"], "53400")
                self.assertIn("paused", error["M"])
                second.send(protocol.query("SELECT 2"))
                daemon.console("RESUME prod")
                self.assertEqual(second.answer().value(), "2")

    def test_an_open_transaction_is_no_wait(self):
        with self.world(pool_size=1, query_wait_timeout="1s", query_wait_notify="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                result = client.query("SELECT pg_sleep(3)")
                self.assertEqual(result.notices, [])
                client.query("COMMIT")

    def test_one_user_with_many_clients_does_not_starve_another(self):
        self.need_root()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 1}, access={"users": [1001, 1002]})
            daemon = self.watch(world.start())
            with daemon.connect() as holder:
                holder.query("CREATE UNLOGGED TABLE arrivals (place serial, who int); "
                             "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC")
                holder.query("BEGIN")
                many = [daemon.connect(uid=1001) for _ in range(40)]
                for client in many:
                    client.send(protocol.query("INSERT INTO arrivals (who) VALUES (1001)"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 40, "forty to queue")
                few = [daemon.connect(uid=1002) for _ in range(2)]
                for client in few:
                    client.send(protocol.query("INSERT INTO arrivals (who) VALUES (1002)"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 42, "two more to queue")
                holder.query("COMMIT")
                for client in few + many:
                    client.answer()
                places = [int(place) for place, in
                          holder.query("SELECT place FROM arrivals WHERE who = 1002 ORDER BY place").rows]
                self.assertEqual(places, [2, 4])
                for client in few + many:
                    client.close()


class Users(Limited):
    """How much one local user may have."""

    def world(self, **pool):
        self.need_root()
        world = World(self.server)
        world.add("prod", pool=pool, access={"users": [1001, 1002]})
        return world

    def test_max_user_client_connections(self):
        with self.world(max_user_client_connections=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect(uid=1001), daemon.connect(uid=1001) as second:
                error = self.refused("53300", daemon.connect, uid=1001)
                self.assertIn("uid 1001", error.message)
                self.assertIn("max_user_client_connections", error.message)
                daemon.connect(uid=1002).close()
                second.close()
                self.until(lambda: not self.is_refused(daemon, uid=1001), "the place to be free again")

    def is_refused(self, daemon, **options):
        try:
            daemon.connect(**options).close()
            return False
        except protocol.ServerError:
            return True

    def test_max_user_connections_lets_other_users_pass(self):
        with self.world(pool_size=3, max_user_connections=1, query_wait_timeout="3s") as world:
            daemon = self.watch(world.start())
            with daemon.connect(uid=1001) as holder, daemon.connect(uid=1001) as second, \
                    daemon.connect(uid=1002) as other:
                holder.query("BEGIN")
                second.send(protocol.query("SELECT 2"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 1, "the second to queue")
                for _ in range(3):
                    self.assertEqual(other.query("SELECT 1").value(), "1")
                holder.query("COMMIT")
                self.assertEqual(second.answer().value(), "2")
                holder.query("BEGIN")
                error = self.refused("53400", second.query, "SELECT 3")
                self.assertIn("max_user_connections", error.message)

    def test_max_user_connections_is_free_again_when_a_client_vanishes(self):
        with self.world(pool_size=3, max_user_connections=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(uid=1001) as gone, daemon.connect(uid=1001) as second:
                gone.query("BEGIN")
                second.send(protocol.query("SELECT 2"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 1, "the second to queue")
                gone.close(politely=False)
                self.assertEqual(second.answer().value(), "2")

    def test_max_db_connections_caps_pool_and_reserve(self):
        with self.world(pool_size=5, reserve_pool_size=5, reserve_pool_timeout="250ms",
                        max_db_connections=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as one, daemon.connect() as two:
                for client in (one, two):
                    client.query("BEGIN")
                others = [daemon.connect() for _ in range(4)]
                for client in others:
                    client.send(protocol.query("SELECT 1"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 4, "the others to wait")
                self.assertTrue(others[0].silent(0.6))          # the reserve would be there by now
                self.assertEqual(len(self.sessions(world)), 2)
                for client in (one, two):
                    client.query("COMMIT")
                for client in others:
                    client.answer()
                    client.close()
                self.assertEqual(len(self.sessions(world)), 2)

    def test_max_db_client_connections(self):
        with self.world(max_db_client_connections=1) as world:
            daemon = self.watch(world.start())
            self.until(lambda: daemon.pool()["cl_active"] == 0, "the story's own first client to go")
            with daemon.connect():
                self.assertIn("max_db_client_connections", self.refused("53300", daemon.connect).message)


def test_goes(how):
    """A server whose first session takes "SELECT 'test'" for something special."""
    def behave(session):
        session.login()
        while True:
            kind, payload = session.read()
            if payload == b"SELECT 'test'\0" and session.is_first():
                how(session)
            else:
                session.answer(kind, payload)
    return behave


class Checks(Limited):
    """server_check_delay: a server that was unused for long is tested before it is lent."""

    def test_only_a_server_that_was_unused_for_long_is_tested(self):
        standin, world = self.standin(pg_standin.serve, server_check_delay="2s", server_check_query="SELECT 'test'")
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                for name in ("one", "two"):
                    client.query(f"SELECT '{name}'")
                time.sleep(2.2)
                for name in ("three", "four"):
                    self.assertEqual(client.query(f"SELECT '{name}'").value(), f"SELECT '{name}'")
            asked = standin.logins()[0].queries()
            self.assertEqual([sql.split("'")[1] for sql in asked if sql],
                             ["one", "two", "test", "three", "four"])

    def test_the_default_is_an_empty_query_after_30_seconds(self):
        done = broker.run("--print-config", config={"environments": {"prod": {}}})
        self.assertRegex(done.stdout, r"server_check_delay: 30s")
        self.assertRegex(done.stdout, r"server_check_query: .<empty>.")
        standin, world = self.standin(pg_standin.serve, server_check_delay="0")
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                client.query("SELECT 'one'")
                client.query("SELECT 'two'")
            queries = standin.logins()[0].queries()
            if queries[:2] == ["", ""]:                 # the login had the server for a moment, too
                queries = queries[1:]
            self.assertEqual(queries, ["", "SELECT 'one'", "", "SELECT 'two'"])

    def test_an_empty_text_makes_no_test(self):
        standin, world = self.standin(pg_standin.serve, server_check_delay="0", server_check_query="")
        with world:
            daemon = self.watch(world.start(ready=False))
            daemon.connect().query("SELECT 'one'")
            self.assertEqual(standin.logins()[0].queries(), ["SELECT 'one'"])

    def test_a_server_that_fails_its_test_is_dropped_unseen(self):
        ways = {"an error": lambda session: session.send(pg_standin.error("XX000", "no", "ERROR") + pg_standin.READY),
                "the end": lambda session: session.sock.shutdown(2),
                "nonsense": lambda session: session.send(pg_standin.message("D", b"\0\0"))}
        for way, how in ways.items():
            with self.subTest(way=way):
                standin, world = self.standin(test_goes(how), server_check_delay="1s", server_check_query="SELECT 'test'",
                                              server_connect_timeout="3s")
                with world:
                    daemon = self.watch(world.start(ready=False))
                    with daemon.connect() as client:
                        client.query("SELECT 'one'")
                        time.sleep(1.2)
                        self.assertEqual(client.query("SELECT 'two'").value(), "SELECT 'two'")
                    self.assertEqual(len(standin.logins()), 2)
                    self.until(lambda: standin.logins()[0].ended, "the odd server to be dropped")
                    daemon.stop()

    def test_a_test_that_hangs_holds_up_nobody(self):
        standin, world = self.standin(test_goes(lambda _: None), pool_size=2, server_check_delay="1s", server_connect_timeout="4s",
                                      server_check_query="SELECT 'test'")
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                client.query("SELECT 'one'")
                time.sleep(1.2)
                self.assertEqual(client.query("SELECT 'two'").value(), "SELECT 'two'")
                self.assertEqual(daemon.pool()["sv_tested"], 1)
                self.until(lambda: standin.logins()[0].ended, "the silent server to be given up")

    def test_no_more_are_tested_than_are_waited_for(self):
        standin, world = self.standin(pg_standin.serve, pool_size=3, min_pool_size=3, server_check_delay="1s",
                                      server_check_query="SELECT 'test'")
        with world:
            daemon = self.watch(world.start(ready=False))
            self.until(lambda: daemon.pool().get("sv_idle") == 3, "three servers")
            time.sleep(1.2)
            daemon.connect().query("SELECT 'one'")
            asked = [sql for session in standin.logins() for sql in session.queries()]
            self.assertEqual(asked, ["SELECT 'test'", "SELECT 'one'"])


class Choice(Limited):
    """Which server is lent, for how long it lives, and what is done to it first."""

    def backends(self, client, times=6):
        return [self.backend(client) for _ in range(times)]

    def three(self, **pool):
        world = self.enterContext(self.world(pool_size=3, min_pool_size=3, **pool))
        daemon = self.watch(world.start())
        self.until(lambda: daemon.pool()["sv_idle"] == 3, "three servers")
        return daemon

    def test_the_server_used_last_is_used_first(self):
        with self.three().connect() as client:
            self.assertEqual(len(set(self.backends(client))), 1)

    def test_server_round_robin_lets_servers_take_turns(self):
        with self.three(server_round_robin=True).connect() as client:
            pids = self.backends(client)
            self.assertEqual(len(set(pids)), 3)
            self.assertEqual(pids[:3], pids[3:])

    def test_round_robin_goes_on_with_tests(self):
        with self.three(server_round_robin=True, server_check_delay="0").connect() as client:
            self.assertEqual(len(set(self.backends(client))), 3)

    def test_server_lifetime_0_uses_each_server_once(self):
        with self.world(pool_size=1, server_lifetime="0") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                self.assertEqual(len(set(self.backends(client, 4))), 4)
                client.query("BEGIN")
                self.assertEqual(len(set(self.backends(client, 3))), 1)
                client.query("COMMIT")

    def test_connect_query_is_run_before_anybody_has_the_server(self):
        with self.world(pool_size=1, connect_query="SET my.mark TO 'here'; SELECT generate_series(1, 1000)") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(2):
                    self.assertEqual(client.query("SELECT current_setting('my.mark', true)").value(), "here")
                    self.server.kill_sessions(world.environments["prod"].role)

    def test_an_error_in_connect_query_is_logged_and_ignored(self):
        with self.world(pool_size=1, connect_query="SET my.mark TO 'here'; SELECT 1/0") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                self.assertEqual(client.query("SELECT coalesce(current_setting('my.mark', true), '')").value(), "")
            daemon.wait_for_log("connect_query failed.*division by zero.*22012")

    def test_a_connect_query_that_never_ends_is_given_up(self):
        with self.world(pool_size=1, connect_query="SELECT pg_sleep(60)", server_connect_timeout="2s") as world:
            daemon = self.watch(world.start(ready=False))
            daemon.wait_for_log("connect_query took too long")

    def test_server_fast_close_ends_session_mode_at_the_end_of_the_transaction(self):
        with self.world(pool_size=2, pool_mode="session", server_fast_close=True) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as idle, daemon.connect() as busy:
                busy.query("BEGIN")
                daemon.console("RECONNECT prod")
                self.assertEqual(protocol.error_fields(idle.read_until("E")[-1][1])["C"], "57P01")
                self.assertTrue(busy.silent(1.5))
                self.assertEqual(busy.query("SELECT 1").value(), "1")
                busy.send(protocol.query("COMMIT"))
                busy.read_until("Z")
                self.assertEqual(protocol.error_fields(busy.read_until("E")[-1][1])["C"], "57P01")

    def test_without_it_session_mode_keeps_its_server(self):
        with self.world(pool_size=2, pool_mode="session") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as idle:
                daemon.console("RECONNECT prod")
                self.assertTrue(idle.silent(2.5))
                self.assertEqual(idle.query("SELECT 1").value(), "1")


class Storms(Limited):
    """Many at once."""

    def test_logins_are_bounded_in_each_environment_and_in_all(self):
        standin = self.enterContext(pg_standin.PgStandin(pg_standin.gated))
        with World(self.server) as world:
            names = [f"env{number}" for number in range(6)]
            for name in names:
                world.manager.create(f"forecaster/database/{name}", standin.secret(ssl_mode="disable"))
                world.config[name] = {"pool": {"pool_size": 6}, "tls": {"min_ssl_mode": "disable"}}
            daemon = self.watch(world.start(ready=False))
            clients = [daemon.connect(name, timeout=60) for name in names for _ in range(6)]
            standin.gate.clear()
            for client in clients:
                client.send(protocol.query("BEGIN"))            # keeps its server: another one is needed

            def logins():
                now = [int(row["sv_login"]) for row in daemon.show("POOLS") if row["database"] in names]
                return sum(now), max(now)
            self.until(lambda: logins() == (16, 4), "as many logins as there may be")
            time.sleep(0.3)
            self.assertEqual(logins(), (16, 4))
            standin.gate.set()
            for client in clients:
                client.answer()
                client.close()

    def test_when_descriptors_run_out_clients_wait_and_it_is_said_once(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            open_now = len(list(pathlib.Path(f"/proc/{daemon.child.pid}/fd").iterdir()))
            before = resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE, (open_now + 5, before[1]))
            clients = [daemon.raw() for _ in range(40)]
            for client in clients:
                client.send(protocol.startup_message({"user": "story", "database": "prod"}))
            daemon.wait_for_log("clients can't be accepted and wait.*open files")
            spent = self.cpu(daemon)
            time.sleep(1)
            self.assertLess(self.cpu(daemon) - spent, 0.3)      # it does not spin
            self.assertEqual(daemon.log().count("clients can't be accepted"), 1)
            resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE, before)
            for client in clients:
                client.read_until("Z")
                self.assertEqual(client.query("SELECT 1").value(), "1")
                client.close()
            daemon.wait_for_log("clients are accepted again")

    @staticmethod
    def cpu(daemon):
        """Seconds of CPU it has used."""
        fields = pathlib.Path(f"/proc/{daemon.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    story.main()
