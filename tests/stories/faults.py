"""Servers have bad days: killed, crashed, silent, half closed, or saying what nobody asked for.
Who was idle sees nothing, who was at work hears why, and everybody else goes on."""
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import certificates
import meter
import pg_standin
import place
import protocol
import story
from pg_standin import message, one_row, READY
from world import World

ROWS = message("T", struct.pack("!H", 1) + b"answer\0" + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0))
ROW = message("D", struct.pack("!Hi", 1, 1) + b"1")
NOTICE = message("N", b"SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0")
ZONE = pg_standin.parameter("TimeZone", "Europe/Vienna")


class Faults(story.Story):
    """What every story here asks of a broker."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

    def standin(self, behaviour, certificate=None, secret=None, config=None, **pool):
        """(stand-in, running broker) with one environment that leads to the stand-in."""
        standin = self.enterContext(pg_standin.PgStandin(behaviour, certificate))
        world = World(None)
        world.manager.create("forecaster/database/prod", standin.secret(**(secret or {})))
        world.config["prod"] = {"pool": {"pool_size": 2, "server_login_retry": "200ms", **pool}, **(config or {})}
        self.enterContext(world)
        return standin, self.watch(world.start(ready=False))

    @staticmethod
    def logins(standin):
        return sum(1 for session in standin.sessions if session.startup is not None)

    def ended(self, client):
        """The messages up to the end of the connection, as (type, payload); what was cut off is left out."""
        seen = []
        try:
            while True:
                seen.append(client.read())
        except (protocol.Gone, ConnectionError):
            return seen

    def last_words(self, client):
        """The fields of the one FATAL that the client hears at its end; {} if the end came within a message."""
        errors = [protocol.error_fields(payload) for kind, payload in self.ended(client) if kind == "E"]
        self.assertLessEqual(len(errors), 1)
        for fields in errors:
            self.assertEqual(fields.get("V"), "FATAL")
        return errors[0] if errors else {}


class Killed(Faults):
    """Sessions that end on the server, over and over."""

    def pid(self, client):
        return client.query("SELECT pg_backend_pid()").value()

    def kill(self, other, pid):
        self.assertEqual(other.query(f"SELECT pg_terminate_backend({pid})").value(), "t")

    def in_a_transaction(self, daemon, other):
        client = daemon.connect()
        client.query("BEGIN")
        self.kill(other, self.pid(client))
        self.assertEqual(self.last_words(client)["C"], "57P01")

    def in_a_statement(self, daemon, other):
        client = daemon.connect()
        client.query("BEGIN")
        pid = self.pid(client)
        client.send(protocol.query("SELECT pg_sleep(60)"))
        self.kill(other, pid)
        self.assertEqual(self.last_words(client)["C"], "57P01")

    def in_a_result(self, daemon, other):
        client = daemon.connect()
        client.query("BEGIN")
        pid = self.pid(client)
        client.send(protocol.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
        client.read_until("T")
        self.kill(other, pid)
        # The server could not send its own word any more: ours, or none within a row.
        self.assertIn(self.last_words(client).get("C"), ("57P01", "08006", None))

    def in_a_copy(self, daemon, other):
        client = daemon.connect()
        client.query("BEGIN")
        client.query("CREATE TEMP TABLE lines (v text)")
        pid = self.pid(client)
        client.send(protocol.query("COPY lines FROM STDIN"))
        client.read_until("G")
        client.send(protocol.copy_data(b"one\n"))
        self.kill(other, pid)
        self.assertEqual(self.last_words(client)["C"], "57P01")

    def test_wherever_it_is_killed_the_client_hears_why_and_others_see_nothing(self):
        with self.world(pool_size=4) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                def once():
                    for mishap in (self.in_a_transaction, self.in_a_statement, self.in_a_result, self.in_a_copy):
                        mishap(daemon, other)
                        self.assertEqual(other.query("SELECT 1").value(), "1")
                for _ in range(3):
                    once()
                self.until(lambda: daemon.pool()["cl_active"] <= 1, "the others to have gone")
                with meter.holding(self, daemon, growth_kb=meter.GROWTH_TLS_KB):
                    for _ in range(25):
                        once()
            self.assertNotIn("out of sync", daemon.log())

    def test_idle_sessions_that_are_killed_are_never_missed(self):
        with self.world(pool_size=4) as world:
            daemon = self.watch(world.start())
            victims = [daemon.connect() for _ in range(3)]
            with daemon.connect() as other:
                for _ in range(20):
                    for client in victims:
                        client.send(protocol.query("SELECT pg_sleep(0.01)"))
                    for client in victims:
                        client.answer()
                    dead = {pid for pid, _ in other.query(
                        "SELECT pid, pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                        "WHERE usename = current_user AND pid <> pg_backend_pid()").rows}
                    self.until(lambda: not dead & {row["remote_pid"] for row in daemon.show("SERVERS")},
                               "the broker to notice")
                    for client in victims:
                        self.assertEqual(client.query("SELECT 7").value(), "7")
            for client in victims:
                client.close()

    def test_a_crash_of_the_server_is_told_to_those_at_work_and_waited_out_by_the_rest(self):
        self.server.need_own()
        with self.world(pool_size=3) as world:
            daemon = self.watch(world.start())
            idle, open_one, busy = (daemon.connect(timeout=60) for _ in range(3))
            idle.query("SELECT 1")
            open_one.query("BEGIN")
            busy.query("BEGIN")
            pid = int(self.pid(busy))
            busy.send(protocol.query("SELECT pg_sleep(60)"))
            pathlib.os.kill(pid, 9)
            self.assertEqual(self.last_words(busy)["C"], "08006")
            # The postmaster ends the others; what it tells them is a warning, and so ours follows.
            self.assertIn(self.last_words(open_one)["C"], ("57P02", "08006"))
            self.assertEqual(idle.query("SELECT 2").value(), "2")
            self.assertEqual(daemon.connect(timeout=60).query("SELECT 3").value(), "3")


class OutOfPlace(Faults):
    """Bytes that answer nothing: the server connection is closed, for nobody could say whose the next are."""

    NEVER = {
        "a type that does not exist": b"\x07\0\0\0\x04",
        "an authentication after the login": message("R", struct.pack("!I", 0)),
        "a key after the login": message("K", b"\0" * 8),
        "a negative length": b"D" + struct.pack("!i", -5),
        "a length that is no length": b"D\0\0\0\x03",
        "a ReadyForQuery of a gigabyte": b"Z\x3f\xff\xff\xff",
        "a status that does not exist": message("C", b"SELECT 1\0") + message("Z", b"Q"),
        "the end before any answer": READY,
        "an answer to a Parse": message("1"),
        "COPY data without a COPY": message("d", b"x"),
        "a suspended portal": message("s"),
        "a function's result": message("V", struct.pack("!i", -1)),
        "an HTTP answer": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "a row description, and then noise": ROWS + ROW + b"\xfe" * 50,
        "a parameter without its end": message("S", b"TimeZone\0UTC"),
    }

    def test_bytes_that_answer_nothing_cost_only_whom_they_were_sent_to(self):
        said = []
        standin, daemon = self.standin(pg_standin.on_query("odd", lambda session, _: session.send(said[0])))
        with daemon.connect() as other:
            other.query("SELECT 'warm'")
            for name, data in self.NEVER.items():
                with self.subTest(name=name):
                    said[:] = [data]
                    client = daemon.connect()
                    client.send(protocol.query("SELECT 'odd'"))
                    fields = self.last_words(client)
                    self.assertEqual(fields["C"], "08006")
                    self.assertIn("had to be closed", fields["M"])
                    self.assertTrue(fields["H"])
                    self.assertEqual(other.query("SELECT 'fine'").value(), "SELECT 'fine'")
            with meter.holding(self, daemon):
                for round_number in range(200):
                    said[:] = [list(self.NEVER.values())[round_number % len(self.NEVER)]]
                    client = daemon.connect()
                    client.send(protocol.query("SELECT 'odd'"))
                    self.assertEqual(self.last_words(client)["C"], "08006")
            self.assertEqual(other.query("SELECT 'fine'").value(), "SELECT 'fine'")
        self.assertLessEqual(len(standin.open_sessions()), 2)

    def test_what_follows_a_whole_answer_is_not_the_clients_loss(self):
        """The client has its answer; whether the noise comes with it or later must not matter to it."""
        said = []
        standin, daemon = self.standin(pg_standin.on_query(
            "odd", lambda session, _: session.send(one_row("all of it") + READY + said[0])), pool_size=1)
        with daemon.connect() as client:
            for data in (READY, ROW, b"\xff" * 20, one_row("somebody's") + READY, message("D", b"\0\0")):
                with self.subTest(data=data[:8]):
                    said[:] = [data]
                    before = self.logins(standin)
                    self.assertEqual(client.query("SELECT 'odd'").value(), "all of it")
                    self.assertEqual(client.query("SELECT 'next'").rows, [("SELECT 'next'",)])
                    self.assertEqual(self.logins(standin), before + 1)

    def test_messages_that_may_come_at_any_time_pass_wherever_they_stand(self):
        whole = [ROWS, ROW, message("C", b"SELECT 1\0"), READY]
        answers = [whole[:at] + [extra] + whole[at:] for extra in (NOTICE, ZONE, NOTICE + ZONE)
                   for at in range(len(whole) + 1)]
        said = []
        _, daemon = self.standin(pg_standin.on_query("odd", lambda session, _: session.send(said[0])), pool_size=1)
        with daemon.connect() as client:
            for answer in answers:
                said[:] = [b"".join(answer)]
                result = client.query("SELECT 'odd'")
                self.assertEqual((result.value(), result.status), ("1", "I"))
                self.assertEqual(client.query("SELECT 'next'").value(), "SELECT 'next'")

    def test_errors_that_lack_fields_pass_untouched(self):
        said = []
        _, daemon = self.standin(pg_standin.on_query("odd", lambda session, _: session.send(said[0] + READY)))
        with daemon.connect() as client:
            for payload in (b"\0", b"SERROR\0\0", b"SERROR\0VERROR\0Mno code today\0\0", b"Mnothing else\0\0",
                            b"SERROR\0VERROR\0CXX\0Mhalf a code\0\0", b"zwhat is z?\0\0", b"C\0M\0\0"):
                with self.subTest(payload=payload):
                    said[:] = [message("E", payload)]
                    client.send(protocol.query("SELECT 'odd'"))
                    self.assertEqual(client.read_until("Z"), [("E", payload), ("Z", b"I")])
            said[:] = [message("E", b"SFATAL\0\0")]
            client.send(protocol.query("SELECT 'odd'"))
            self.assertEqual(client.read(), ("E", b"SFATAL\0\0"))

    def test_a_server_that_is_never_right_at_a_trial_does_not_keep_a_client_for_ever(self):
        """Startup parameters are tried on a server; one that breaks each time must not be asked for ever."""
        standin, daemon = self.standin(pg_standin.on_query("SET", lambda session, _: session.send(b"\xff" * 9)))
        with self.assertRaises(protocol.ServerError) as caught:
            daemon.connect(timeout=20, work_mem="7MB")
        self.assertIn(caught.exception.sqlstate, ("08001", "08006"))
        self.assertLess(self.logins(standin), 6)
        self.assertEqual(daemon.connect().query("SELECT 1").value(), "SELECT 1")


class Silent(Faults):
    """Servers that accept and then say nothing, or stop in the middle."""

    def test_a_login_that_stops_anywhere_is_given_up_and_the_client_hears_it(self):
        whole = pg_standin.LOGGED_IN
        world, standins = World(None), {}
        for at in (0, 1, 9, 40, len(whole) - 6, len(whole) - 1, len(whole)):
            behaviour = pg_standin.at_login(whole[:at], then=pg_standin.deaf)
            standin = standins[f"at{at}"] = self.enterContext(pg_standin.PgStandin(behaviour))
            world.manager.create(f"forecaster/database/at{at}", standin.secret())
            world.config[f"at{at}"] = {"pool": {"query_wait_timeout": "3s", "server_connect_timeout": "1s"}}
        with world:
            daemon = self.watch(world.start(ready=False))
            clients = {name: daemon.raw(timeout=40) for name in standins}
            for name, client in clients.items():
                client.send(protocol.startup_message({"user": "story", "database": name}))
            for name, client in clients.items():
                with self.subTest(name=name):
                    self.assertIn(self.last_words(client)["C"], ("08001", "53400"))
                    self.until(lambda: len(standins[name].open_sessions()) <= 1, "the stuck logins to be closed")

    def test_a_trial_that_is_never_answered_ends(self):
        _, daemon = self.standin(pg_standin.on_query("SET", lambda *_: None), query_wait_timeout="2s",
                                 server_connect_timeout="2s")
        with self.assertRaises(protocol.ServerError) as caught:
            daemon.connect(timeout=40, work_mem="7MB")
        self.assertIn(caught.exception.sqlstate, ("08001", "08006", "53400"))

    def test_a_silent_answer_holds_up_nobody_else_and_its_place_is_free_when_the_client_leaves(self):
        for begun in (b"", ROWS, ROWS + ROW + ROW[:7]):
            with self.subTest(begun=len(begun)):
                standin, daemon = self.standin(pg_standin.on_query("odd", lambda session, _: session.send(begun)))
                stuck = [daemon.connect(), daemon.connect()]
                stuck[0].send(protocol.query("SELECT 'odd'"))
                self.until(lambda: any("SELECT 'odd'" in session.queries() for session in standin.sessions), "it")
                self.assertEqual(stuck[1].query("SELECT 'mine'").value(), "SELECT 'mine'")
                stuck[1].send(protocol.query("SELECT 'odd'"))
                late = daemon.connect(timeout=30)
                late.send(protocol.query("SELECT 'late'"))
                for client in stuck:
                    client.close(politely=False)
                self.assertEqual(late.answer().value(), "SELECT 'late'")
                late.close()

    def test_a_reset_that_is_never_answered_does_not_keep_its_place(self):
        _, daemon = self.standin(pg_standin.on_query("ROLLBACK", lambda *_: None), pool_size=1,
                                 server_connect_timeout="1s", query_wait_timeout="30s")
        begun = []
        client = daemon.connect()
        client.send(protocol.query("BEGIN"))
        begun.append(client.read_until("Z"))
        client.close(politely=False)
        self.assertEqual(daemon.connect(timeout=40).query("SELECT 1").value(), "SELECT 1")


class Halves(Faults):
    """Half-closed connections, and messages in the smallest and the oddest pieces."""

    @staticmethod
    def half_close(session, _):
        session.sock.shutdown(socket.SHUT_WR)
        session.wait(30)

    def test_a_server_that_half_closes_idle_is_not_missed_and_one_at_work_is(self):
        def idle(session, sql):
            session.send(one_row(sql) + READY)
            self.half_close(session, sql)
        _, daemon = self.standin(pg_standin.on_query("odd", idle))
        with daemon.connect() as client:
            for _ in range(3):
                self.assertEqual(client.query("SELECT 'odd'").value(), "SELECT 'odd'")
                self.until(lambda: daemon.pool()["sv_idle"] == 0, "the server to be dropped")
                self.assertEqual(client.query("SELECT 'next'").value(), "SELECT 'next'")
        _, daemon = self.standin(pg_standin.on_query("odd", self.half_close))
        with daemon.connect() as client:
            client.send(protocol.query("SELECT 'odd'"))
            self.assertEqual(self.last_words(client)["C"], "08006")

    def test_single_bytes_over_tls_are_understood(self):
        where = place.directory("tls")
        certificates.make(where)
        _, daemon = self.standin(pg_standin.in_pieces(1), (where / "server.crt", where / "server.key"),
                                 secret={"ssl_mode": "require"})
        with daemon.connect(timeout=40) as client:
            for number in range(3):
                self.assertEqual(client.query(f"SELECT {number}").value(), f"SELECT {number}")

    def test_messages_about_as_large_as_a_buffer_arrive_whole(self):
        """Over TLS, with what a read leaves inside the TLS library at each step."""
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for size in (*range(16280, 16400, 17), *range(65350, 65560, 7), 131072, 200001):
                    result = client.query(f"DO $$ BEGIN FOR i IN 1..3 LOOP RAISE NOTICE '%', repeat('x', {size}); "
                                          f"END LOOP; END $$; SELECT repeat('y', {size})")
                    self.assertEqual([len(notice["M"]) for notice in result.notices], [size] * 3)
                    self.assertEqual(len(result.value()), size)

    def test_noise_under_the_tls_session_is_the_end_of_it(self):
        where = place.directory("tls")
        certificates.make(where)

        def noise(session, _):
            session.send(ROWS)
            raw = socket.socket(fileno=pathlib.os.dup(session.sock.fileno()))
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\xaa" * 32)
            raw.close()
            session.wait(30)
        _, daemon = self.standin(pg_standin.on_query("odd", noise), (where / "server.crt", where / "server.key"),
                                 secret={"ssl_mode": "require"})
        with daemon.connect() as client, daemon.connect() as other:
            client.send(protocol.query("SELECT 'odd'"))
            self.assertEqual(self.last_words(client)["C"], "08006")
            self.assertEqual(other.query("SELECT 'fine'").value(), "SELECT 'fine'")


if __name__ == "__main__":
    story.main()
