"""Pools: who gets a server, for how long, in which order, and what those get who wait in vain."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pg_standin
import protocol
import story
from world import World


class Pool(story.Story):
    """A world with one environment and the pool a story wants."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

    def sessions(self, world):
        return self.server.sessions(world.environments["prod"].role)

    def backend(self, client):
        return client.query("SELECT pg_backend_pid()").value()


class Sharing(Pool):
    """Servers are lent for a transaction, in the order of asking."""

    def test_two_hundred_clients_run_over_two_servers(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            clients = [daemon.connect() for _ in range(200)]
            for client in clients:
                client.send(protocol.query("SELECT pg_backend_pid()"))
            backends = {client.answer().value() for client in clients}
            self.assertLessEqual(len(backends), 2)
            for client in clients:
                client.close()

    def test_waiting_clients_are_served_in_the_order_they_asked(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            holder = daemon.connect()
            holder.query("BEGIN")
            holder.query("CREATE TABLE arrivals (place serial, who int)")
            holder.query("COMMIT")
            holder.query("BEGIN")
            clients = [daemon.connect() for _ in range(8)]
            for number, client in enumerate(clients):
                client.send(protocol.query(f"INSERT INTO arrivals (who) VALUES ({number})"))
                self.until(lambda: daemon.pool()["cl_waiting"] == number + 1, "the client to queue")
            holder.query("COMMIT")
            for client in clients:
                client.answer()
            self.assertEqual([row[0] for row in holder.query("SELECT who FROM arrivals ORDER BY place").rows],
                             [str(number) for number in range(8)])

    def test_a_client_keeps_its_server_for_the_transaction_and_not_longer(self):
        with self.world(pool_size=1, query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as first, daemon.connect() as second:
                first.query("BEGIN")
                mine = self.backend(first)
                self.assertEqual(self.backend(first), mine)
                self.refused("53400", second.query, "SELECT 1")
                first.query("COMMIT")
                with daemon.connect() as third:
                    self.assertEqual(self.backend(third), mine)

    def test_session_mode_keeps_the_server_until_the_client_leaves(self):
        with self.world(pool_size=1, pool_mode="session", query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            first = daemon.connect()
            mine = self.backend(first)
            self.refused("53400", daemon.connect)       # a login takes the server, whose pid it is told
            first.close()
            with daemon.connect() as third:
                self.assertEqual(self.backend(third), mine)

    def test_session_mode_leaves_nothing_behind(self):
        with self.world(pool_size=1, pool_mode="session") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as first:
                first.query("SET my.mark TO 'here'; CREATE TEMP TABLE t (x int); LISTEN c; PREPARE p AS SELECT 1")
                first.query("SELECT pg_advisory_lock(1)")
            with daemon.connect() as second:
                row = second.query("SELECT coalesce(current_setting('my.mark', true), ''), to_regclass('pg_temp.t'), "
                                   "(SELECT count(*) FROM pg_prepared_statements), "
                                   "(SELECT count(*) FROM pg_listening_channels()), "
                                   "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())").rows
                self.assertEqual(row, [("", None, "0", "0", "0")])

    def test_a_transaction_of_a_client_that_vanished_is_rolled_back(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as setup:
                setup.query("CREATE TABLE kept (x int)")
            client = daemon.connect()
            client.query("BEGIN")
            client.query("INSERT INTO kept VALUES (1)")
            mine = self.backend(client)
            client.close(politely=False)
            with daemon.connect() as other:
                self.assertEqual(self.backend(other), mine)
                self.assertEqual(other.query("SELECT count(*) FROM kept").value(), "0")

    def test_half_messages_hold_no_server(self):
        """Two clients that stop half-way through a message do not stop a pool of two."""
        with self.world(pool_size=2, query_wait_timeout="3s") as world:
            daemon = self.watch(world.start())
            halves = [daemon.connect() for _ in range(2)]
            for half in halves:
                half.send(protocol.query("SELECT 'the rest comes later'")[:-5])
            with daemon.connect() as third:
                for _ in range(3):
                    self.assertEqual(third.query("SELECT 1").value(), "1")
            for half in halves:
                half.send(protocol.query("SELECT 'the rest comes later'")[-5:])
                self.assertEqual(half.answer().value(), "the rest comes later")

    def test_half_a_header_holds_no_server(self):
        with self.world(pool_size=1, query_wait_timeout="3s") as world:
            daemon = self.watch(world.start())
            half = daemon.connect()
            half.send(b"Q\0\0")
            with daemon.connect() as other:
                self.assertEqual(other.query("SELECT 1").value(), "1")
            half.send(protocol.query("SELECT 2")[3:])
            self.assertEqual(half.answer().value(), "2")

    def test_a_big_message_that_stalls_loses_its_server(self):
        with self.world(pool_size=1, message_timeout="1s", query_wait_timeout="20s") as world:
            daemon = self.watch(world.start())
            big = daemon.connect()
            message = protocol.query("SELECT length('" + "x" * (4 << 20) + "')")
            big.send(message[:2 << 20])
            with daemon.connect() as other:
                self.assertEqual(other.query("SELECT 1").value(), "1")
            self.assertTrue(big.closed())

    def test_a_big_message_in_pieces_arrives_whole(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            message = protocol.query("SELECT length('" + "x" * (3 << 20) + "')")
            with daemon.connect() as client:
                for at in range(0, len(message), 100_000):
                    client.send(message[at:at + 100_000])
                    time.sleep(0.005)
                self.assertEqual(client.answer().value(), str(3 << 20))


class Limits(Pool):
    """How many, how long, and what is said when there is no more."""

    def test_query_wait_timeout_says_what_it_waited_for_and_who_holds_the_servers(self):
        with self.world(pool_size=1, query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect(application_name="the holder") as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                began = time.monotonic()
                error = self.refused("53400", waiter.query, "SELECT 1")
                self.assertTrue(0.9 < time.monotonic() - began < 15)
                said = str(error.fields)
                self.assertIn("prod", said)
                self.assertRegex(said, str(os.getpid()))
                self.assertTrue(waiter.closed())

    def test_max_pinned_waits_and_then_names_the_holders(self):
        with self.world(pool_size=4, max_pinned=1, query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as pinned, daemon.connect() as second, daemon.connect() as plain:
                pinned.query("CREATE TEMP TABLE t (x int)")
                error = self.refused("53400", second.query, "CREATE TEMP TABLE t (x int)")
                self.assertIn("max_pinned", str(error.fields))
                self.assertRegex(str(error.fields), str(os.getpid()))
                self.assertEqual(plain.query("SELECT 1").value(), "1")

    def test_a_request_that_waits_for_a_pin_goes_on_when_one_ends(self):
        with self.world(pool_size=4, max_pinned=1, query_wait_timeout="20s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as pinned, daemon.connect() as second:
                pinned.query("CREATE TEMP TABLE t (x int)")
                second.send(protocol.query("CREATE TEMP TABLE t (x int)"))
                self.assertTrue(second.silent(0.5))
                pinned.query("DISCARD ALL")
                self.assertEqual(second.answer().tags, ["CREATE TABLE"])

    def test_pins_never_take_the_whole_pool(self):
        with self.world(pool_size=4, query_wait_timeout="1s") as world:
            daemon = self.watch(world.start())
            clients = [daemon.connect() for _ in range(4)]
            taken = 0
            for client in clients:
                try:
                    client.query("SELECT pg_advisory_lock(%d)" % taken)
                    taken += 1
                except protocol.ServerError as error:
                    self.assertEqual(error.sqlstate, "53400")
            self.assertEqual(taken, 3)
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_pool_size_is_never_passed(self):
        with self.world(pool_size=3) as world:
            daemon = self.watch(world.start())
            clients = [daemon.connect() for _ in range(12)]
            for client in clients:
                client.send(protocol.query("SELECT pg_backend_pid() FROM pg_sleep(0.2)"))
            while not all(client.buffer or not client.silent(0) for client in clients):
                self.assertLessEqual(len(self.sessions(world)), 3)
            self.assertLessEqual(len({client.answer().value() for client in clients}), 3)

    def test_min_pool_size_is_kept_without_clients(self):
        with self.world(pool_size=5, min_pool_size=3) as world:
            self.watch(world.start())
            self.until(lambda: len(self.sessions(world)) == 3, "three servers")
            self.server.kill_sessions(world.environments["prod"].role)
            self.until(lambda: len(self.sessions(world)) == 3, "three servers again")

    def test_idle_servers_go_after_server_idle_timeout(self):
        with self.world(pool_size=3, server_idle_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                self.assertTrue(self.sessions(world))
                client.query("COMMIT")
                self.until(lambda: not self.sessions(world), "the idle server to go")

    def test_old_servers_go_after_server_lifetime(self):
        with self.world(pool_size=1, server_lifetime="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                first = self.backend(client)
                self.until(lambda: self.backend(client) != first, "another server")

    def test_the_reserve_helps_after_its_timeout(self):
        with self.world(pool_size=1, reserve_pool_size=1, reserve_pool_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                began = time.monotonic()
                waiter.query("SELECT 1")
                self.assertGreater(time.monotonic() - began, 0.9)
                self.assertEqual(len(self.sessions(world)), 2)

    def test_max_client_conn_of_an_environment(self):
        with self.world(max_client_conn=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect(), daemon.connect():
                self.refused("53300", daemon.connect)
            self.let_in(daemon).query("SELECT 1")

    def test_max_client_conn_of_the_broker(self):
        with World(self.server, socket={"max_client_conn": 3}) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            clients = [self.let_in(daemon) for _ in range(3)]
            self.refused("53300", daemon.connect)
            for client in clients:
                client.close()

    def test_an_idle_transaction_is_ended_after_its_timeout(self):
        with self.world(pool_size=1, idle_transaction_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                fields = protocol.error_fields(client.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "25P03")
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_an_idle_client_is_sent_away_after_its_timeout(self):
        with self.world(client_idle_timeout="1s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                fields = protocol.error_fields(client.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "57P05")


class Servers(Pool):
    """Server connections die, and clients that have nothing to do with it do not see it."""

    def test_a_server_that_dies_idle_is_dropped_unseen(self):
        with self.world(pool_size=3) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(3):
                    client.query("SELECT 1")
                    self.server.kill_sessions(world.environments["prod"].role)
                    self.until(lambda: not self.sessions(world), "the session to end")
                    self.assertEqual(client.query("SELECT 2").value(), "2")

    def test_a_server_that_dies_at_work_gives_its_own_error(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                self.server.kill_sessions(world.environments["prod"].role)
                error = self.refused("57P01", client.query, "SELECT 1")
                self.assertIn("administrator command", error.message)
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_a_restart_of_the_server_costs_only_what_was_running(self):
        self.server.need_own()
        with self.world(pool_size=2, server_login_retry="250ms") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("SELECT 1")
                self.server.restart()
                self.assertEqual(client.query("SELECT 2").value(), "2")

    def standin(self, behaviour, **pool):
        """A broker over a server stand-in instead of a real one."""
        standin = self.enterContext(pg_standin.PgStandin(behaviour))
        world = World(self.server)
        world.manager.create("forecaster/database/prod", standin.secret())
        world.config["prod"] = {"pool": {"pool_size": 1, "server_login_retry": "200ms", **pool}}
        return standin, world

    def test_bytes_nobody_asked_for_close_the_server(self):
        for data in (pg_standin.one_row("somebody else's"), pg_standin.READY, b"\xff" * 20,
                     pg_standin.message("D", b"\0\0")):
            with self.subTest(data=data[:1]):
                standin, world = self.standin(pg_standin.say_when_idle(data))
                with world:
                    daemon = self.watch(world.start(ready=False))
                    with daemon.connect() as client:
                        self.assertEqual(client.query("SELECT 'one'").value(), "SELECT 'one'")
                        self.until(lambda: standin.logins()[0].ended, "the odd server to be dropped")
                        self.assertEqual(client.query("SELECT 'two'").value(), "SELECT 'two'")
                    self.assertGreaterEqual(len(standin.logins()), 2)

    def test_a_notice_or_a_parameter_on_an_idle_server_is_no_reason_to_close(self):
        data = (pg_standin.parameter("application_name", "") + pg_standin.message("N", b"SNOTICE\0C00000\0Mhello\0\0"))
        standin, world = self.standin(pg_standin.say_when_idle(data))
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                client.query("SELECT 'one'")
                time.sleep(0.6)
                self.assertEqual(client.query("SELECT 'two'").value(), "SELECT 'two'")
            self.assertEqual(len(standin.logins()), 1)

    def test_a_server_that_leaves_when_idle_is_not_missed(self):
        standin, world = self.standin(pg_standin.leave_when_idle())
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                client.query("SELECT 'one'")
                self.until(lambda: standin.logins()[0].ended, "it to leave")
                self.assertEqual(client.query("SELECT 'two'").value(), "SELECT 'two'")

    def test_a_server_that_speaks_in_single_bytes_is_understood(self):
        _, world = self.standin(pg_standin.in_pieces(1))
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect(timeout=40) as client:
                for number in range(3):
                    self.assertEqual(client.query(f"SELECT {number}").value(), f"SELECT {number}")

    def test_starting_up_and_too_many_are_waited_out(self):
        for code in ("57P03", "53300"):
            with self.subTest(code=code):
                standin, world = self.standin(pg_standin.refuse_first(2, code, "not now"), server_login_retry="10s")
                with world:
                    daemon = self.watch(world.start(ready=False))
                    self.assertEqual(daemon.connect(timeout=40).query("SELECT 1").value(), "SELECT 1")
                    self.assertGreaterEqual(len(standin.logins()), 3)

    def test_errors_without_sqlstate_garbage_and_silence_do_not_harm_the_broker(self):
        for behaviour in (pg_standin.refuse_without_sqlstate, pg_standin.garbage, pg_standin.silent):
            with self.subTest(behaviour=behaviour.__name__):
                _, world = self.standin(behaviour, query_wait_timeout="2s", server_connect_timeout="1s")
                with world:
                    daemon = self.watch(world.start(ready=False))
                    with self.assertRaises(protocol.ServerError) as caught:
                        daemon.connect(timeout=40).query("SELECT 1")
                    self.assertIn(caught.exception.sqlstate, ("08001", "53400"))
                    self.assertTrue(daemon.show("VERSION"))

    def test_what_a_server_may_say_or_leave_out_at_a_login(self):
        """Some proxies have no key to cancel with; notices and parameters may come at any time."""
        whole, notice = pg_standin.LOGGED_IN, pg_standin.message("N", b"SNOTICE\0C00000\0Mhello\0\0")
        authentication, rest = whole[:9], whole[9:]
        key = pg_standin.message("K", pg_standin.struct.pack("!II", 4711, 815))
        logins = {"keyless": whole.replace(key, b""), "chatty": authentication + notice + rest[:-6] + notice + rest[-6:],
                  "unheard": authentication + pg_standin.parameter("of_the_future", "1") * 2 + rest,
                  "talkative": authentication + notice * 2000 + rest}
        world = World(self.server)
        for name, words in logins.items():
            def behave(session, words=words):
                session.read_startup()
                session.send(words)
                session.serve()
            standin = self.enterContext(pg_standin.PgStandin(behave))
            world.manager.create(f"forecaster/database/{name}", standin.secret())
            world.config[name] = {"pool": {"query_wait_timeout": "10s"}}
        with world:
            daemon = self.watch(world.start(ready=False))
            for name in logins:
                with self.subTest(name=name), daemon.connect(name, timeout=40) as client:
                    self.assertEqual(len(client.key), 4)
                    self.assertEqual(client.query("SELECT 1").value(), "SELECT 1")

    def test_a_welcome_tells_what_servers_are_now(self):
        words = [pg_standin.LOGGED_IN]

        def behave(session):
            session.read_startup()
            session.send(words[0])
            session.serve()
        standin, world = self.standin(behave)
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                self.assertEqual(client.parameters["server_version"], "15.0")
                words[0] = words[0].replace(pg_standin.parameter("server_version", "15.0"),
                                            pg_standin.parameter("server_version", "16.0"))
                for session in standin.open_sessions():
                    session.sock.shutdown(pg_standin.socket.SHUT_RDWR)
                self.until(lambda: not standin.open_sessions(), "the old server to go")
                client.query("SELECT 1")
                self.assertEqual(client.parameters["server_version"], "16.0")
                with daemon.connect() as newcomer:
                    self.assertEqual(newcomer.parameters["server_version"], "16.0")

    def test_a_pool_that_shrinks_during_logins_has_no_more_servers_than_it_may(self):
        standin, world = self.standin(pg_standin.gated, pool_size=3)
        with world:
            daemon = self.watch(world.start(ready=False))
            holder, waiters = daemon.connect(), [daemon.connect() for _ in range(2)]
            standin.gate.clear()
            standin.answer_query = lambda sql: ("long" in sql and standin.gate.wait(), pg_standin.default_answer(sql))[1]
            holder.send(protocol.query("SELECT 'long'"))
            for client in waiters:
                client.send(protocol.query("SELECT 1"))
            self.until(lambda: len(standin.logins()) == 3, "two logins to be under way")
            daemon.console("SET pool_size = 1")
            standin.gate.set()
            for client in (holder, *waiters):
                self.assertEqual(client.answer().value()[:6], "SELECT")
            self.until(lambda: len(standin.open_sessions()) == 1, "one server to be left")

    def test_a_slow_login_stops_nobody_else(self):
        standin, world = self.standin(pg_standin.gated, server_connect_timeout="30s")
        standin.gate.clear()
        with world:
            world.add("dev")
            daemon = self.watch(world.start(ready=False)).wait_ready("dev")
            slow = daemon.raw(timeout=60)
            slow.send(protocol.startup_message({"user": "story", "database": "prod"}) + protocol.query("SELECT 1"))
            self.until(standin.logins, "the login to be under way")
            with daemon.connect("dev") as quick:
                for _ in range(20):
                    quick.query("SELECT 1")
            self.assertTrue(slow.silent(0))
            standin.gate.set()
            slow.read_until("Z")
            self.assertEqual(slow.answer().value(), "SELECT 1")
            slow.close()


if __name__ == "__main__":
    story.main()
