"""Cancel requests: they hit the query they are meant for, or nothing, whatever the moment."""
import concurrent.futures
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import cluster
import pg_standin
import process
import protocol
import story
from world import World

ALICE, BOB = 20001, 20002
VIRTUAL = 4194304
CANCELED = "canceling statement due to user request"


def send_cancel(daemon, pid, key, uid=None, wait=True, timeout=20):
    """One cancel request; waits, as libpq does, until the other side has closed."""
    connection = daemon.raw(uid=uid, timeout=timeout)
    connection.send(protocol.cancel_request(pid, key))
    if wait:
        assert connection.closed(timeout), "the connection of a cancel request was not closed"
    connection.close(politely=False)


def cancel(daemon, client, **options):
    send_cancel(daemon, client.pid, client.key, **options)


class Cancel(story.Story):
    def world(self, secret=None, **pool):
        world = self.enterContext(World(self.server))
        world.add("prod", secret=secret, pool={"pool_size": 3, **pool}, access={"users": [ALICE, BOB]})
        return world, self.watch(world.start())

    def count_running(self, world, words):
        role = cluster.literal(world.environments["prod"].role)
        return int(self.server.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE usename = {role} AND state = 'active' "
            f"AND query LIKE '%{words}%' AND pid <> pg_backend_pid()")[0][0])

    def running(self, world, words, count=1):
        """Waits until so many statements with these words run on the server."""
        self.until(lambda: self.count_running(world, words) == count, f"{words} to run")

    def running_or_done(self, world, client, words):
        """The same for one that ends by itself, and may have: then nothing is left to be canceled."""
        self.until(lambda: self.count_running(world, words) or not client.silent(0), f"{words} to run")

    def waiting(self, daemon, count=1):
        self.until(lambda: daemon.pool()["cl_waiting"] == count, "clients to wait")

    def no_request(self, daemon):
        self.until(lambda: [row[name] for row in [daemon.pool()] for name in row if "cancel" in name] == [0, 0, 0, 0],
                   "every request to be over")

    def expect_canceled(self, client, status="I"):
        result = client.collect()
        self.assertIsNotNone(result.error)
        self.assertEqual((result.error.severity, result.error.sqlstate, result.error.message, result.status),
                         ("ERROR", "57014", CANCELED, status))
        return result


class Running(Cancel):
    """A server works for the client."""

    def test_a_running_query_is_canceled_and_no_other(self):
        world, daemon = self.world()
        with daemon.connect() as client, daemon.connect() as other:
            self.assertGreater(client.pid, VIRTUAL)
            self.assertLess(client.pid, 2 ** 31)
            client.send(protocol.query("SELECT 'mine', pg_sleep(60)"))
            other.send(protocol.query("SELECT 'other', pg_sleep(1.5)"))
            self.running(world, "pg_sleep(", 2)
            cancel(daemon, client)
            self.expect_canceled(client)
            self.assertEqual(other.answer().rows, [("other", "")])
            self.assertEqual(client.query("SELECT 1").value(), "1")

    def test_psql_cancels_as_it_is_used_to(self):
        world, daemon = self.world()
        psql = process.start(["psql", "-Xq", daemon.uri(), "-c", "SELECT pg_sleep(60)"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=broker.environment("/nonexistent"))
        self.running(world, "pg_sleep(60)")
        psql.send_signal(signal.SIGINT)
        _, said = psql.communicate(timeout=20)
        self.assertIn(CANCELED, said)

    def test_in_the_extended_protocol_and_inside_a_transaction(self):
        world, daemon = self.world()
        with daemon.connect() as client:
            client.query("BEGIN")
            client.send(protocol.parse("SELECT pg_sleep(60)") + protocol.bind() + protocol.execute() + protocol.sync())
            self.running(world, "pg_sleep(60)")
            cancel(daemon, client)
            self.expect_canceled(client, status="E")
            self.assertEqual(client.query("ROLLBACK").status, "I")

    def test_a_copy_from_the_client_is_canceled(self):
        world, daemon = self.world()
        with daemon.connect() as client:
            client.query("CREATE TABLE copied (a int)")
            client.send(protocol.query("COPY copied FROM STDIN"))
            client.read_until("G")
            client.send(protocol.copy_data(b"1\n"))
            self.running(world, "COPY copied")
            cancel(daemon, client)
            client.send(protocol.copy_data(b"2\n"))         # PostgreSQL looks when there is data again
            self.expect_canceled(client)
            client.send(protocol.copy_data(b"3\n") + protocol.copy_done())
            self.assertEqual(client.query("SELECT count(*) FROM copied").value(), "0")

    def test_a_client_that_does_not_wait_is_heard_too(self):
        world, daemon = self.world()
        with daemon.connect() as client:
            for _ in range(5):
                client.send(protocol.query("SELECT pg_sleep(60)"))
                self.running(world, "pg_sleep(60)")
                cancel(daemon, client, wait=False)
                self.expect_canceled(client)

    def test_a_query_is_canceled_even_if_its_client_leaves(self):
        world, daemon = self.world()
        client = daemon.connect()
        client.send(protocol.query("SELECT pg_sleep(60)"))
        self.running(world, "pg_sleep(60)")
        cancel(daemon, client, wait=False)
        daemon.show("VERSION")                      # who comes later is answered: it has read the request
        client.close(politely=False)
        self.running(world, "pg_sleep(60)", 0)

    def test_session_mode_tells_the_server_s_own_process_id(self):
        world, daemon = self.world(pool_mode="session")
        with daemon.connect() as client:
            self.assertEqual(client.query("SELECT pg_backend_pid()").value(), str(client.pid))
            client.send(protocol.query("SELECT pg_sleep(60)"))
            self.running(world, "pg_sleep(60)")
            cancel(daemon, client)
            self.expect_canceled(client)

    def test_many_requests_for_one_query_cost_nobody_anything(self):
        world, daemon = self.world(pool_size=1)
        with daemon.connect() as client:
            client.send(protocol.query("SELECT pg_sleep(60)"))
            self.running(world, "pg_sleep(60)")
            requests = [daemon.raw() for _ in range(100)]
            for request in requests:
                request.send(protocol.cancel_request(client.pid, client.key))
            self.expect_canceled(client)
            for request in requests:
                self.assertTrue(request.closed())
                request.close(politely=False)
            self.assertEqual(client.query("SELECT 1").value(), "1")
            self.no_request(daemon)

    def test_when_all_places_are_taken_a_request_still_comes_through(self):
        with World(self.server, socket={"max_client_conn": 2}) as world:
            world.add("prod", pool={"pool_size": 2})
            daemon = self.watch(world.start())
            clients = [self.let_in(daemon) for _ in range(2)]
            self.refused("53300", daemon.connect)
            clients[0].send(protocol.query("SELECT pg_sleep(60)"))
            self.running(world, "pg_sleep(60)")
            cancel(daemon, clients[0])
            self.expect_canceled(clients[0])
            for client in clients:
                client.close()


class NotMeant(Cancel):
    """Nothing happens to who is not meant."""

    def test_a_wrong_key_or_process_id_does_nothing(self):
        world, daemon = self.world()
        with daemon.connect() as client:
            client.send(protocol.query("SELECT 'untouched', pg_sleep(3)"))
            self.running_or_done(world, client, "untouched")
            for bit in range(32):
                wrong = struct.pack("!I", struct.unpack("!I", client.key)[0] ^ 1 << bit)
                send_cancel(daemon, client.pid, wrong)
            send_cancel(daemon, client.pid, client.key + b"\0")
            send_cancel(daemon, client.pid, client.key + bytes(252))
            for pid in (client.pid + 1, client.pid + 1024, client.pid ^ 1 << 31, 0, 1):
                send_cancel(daemon, pid, client.key)
            server_pid, = self.server.sessions(world.environments["prod"].role)
            send_cancel(daemon, server_pid, client.key)
            self.assertEqual(client.answer().rows, [("untouched", "")])

    def test_another_user_can_not_cancel_with_the_right_key(self):
        self.need_root()
        world, daemon = self.world()
        with daemon.connect(uid=ALICE) as client:
            client.send(protocol.query("SELECT 'untouched', pg_sleep(2)"))
            self.running_or_done(world, client, "untouched")
            cancel(daemon, client, uid=BOB)
            cancel(daemon, client)
            self.assertEqual(client.answer().rows, [("untouched", "")])
            client.send(protocol.query("SELECT pg_sleep(60)"))
            self.running(world, "pg_sleep(60)")
            cancel(daemon, client, uid=ALICE)
            self.expect_canceled(client)

    def test_an_idle_session_has_nothing_to_cancel(self):
        _, daemon = self.world()
        with daemon.connect() as client:
            for words in ("SELECT 1", "BEGIN", "SELECT pg_advisory_lock(5)"):
                client.query(words)
                cancel(daemon, client)
                self.assertEqual(client.query("SELECT 'untouched', pg_sleep(0.2)").rows, [("untouched", "")])

    def test_keys_differ_and_leave_room_for_a_loop_number(self):
        _, daemon = self.world()
        clients = [daemon.connect() for _ in range(50)]
        self.assertEqual(len({(client.key) for client in clients}), 50)
        self.assertEqual({client.key[0] for client in clients}, {0})
        self.assertEqual(len({client.pid for client in clients}), 50)
        for client in clients:
            client.close()


class Waiting(Cancel):
    """The query has not been sent yet: it never is."""

    def taken(self, **pool):
        """A world whose one server is held by a transaction, and a client beside it."""
        world, daemon = self.world(pool_size=1, **pool)
        holder, client = daemon.connect(), daemon.connect()
        self.addCleanup(holder.close)
        self.addCleanup(client.close)
        holder.query("CREATE TABLE IF NOT EXISTS done (what text)")
        holder.query("BEGIN")
        return daemon, holder, client

    def done(self, client):
        return [what for (what,) in client.query("SELECT what FROM done ORDER BY what").rows]

    def test_a_query_that_waits_for_a_server_is_answered_at_once(self):
        daemon, holder, client = self.taken()
        client.send(protocol.query("INSERT INTO done VALUES ('canceled')") + protocol.query("INSERT INTO done VALUES ('next')"))
        self.waiting(daemon)
        cancel(daemon, client)
        self.expect_canceled(client)
        self.waiting(daemon)                        # its next query is still in line
        holder.query("COMMIT")
        client.answer()
        self.assertEqual(self.done(client), ["next"])

    def test_a_long_key_must_be_whole(self):
        _, daemon = self.world()
        with daemon.connect(version=0x30002) as client:
            client.send(protocol.query("SELECT pg_sleep(60)"))
            self.until(lambda: daemon.pool()["sv_active"] == 1, "the query to run")
            for key in (client.key[:4], client.key + b"\0", client.key[:-1] + bytes((client.key[-1] ^ 1,)), client.key * 32):
                send_cancel(daemon, client.pid, key)
            self.assertTrue(client.silent(0.5))
            send_cancel(daemon, client.pid, client.key)
            self.assertEqual(self.refused("57014", client.answer).sqlstate, "57014")

    def test_a_long_query_that_waits_is_thrown_away_whole(self):
        daemon, holder, client = self.taken()
        words = protocol.query("INSERT INTO done VALUES ('canceled') -- " + "x" * 3000000)
        sender = threading.Thread(target=client.send, args=(words + protocol.query("SELECT 'next'"),))
        sender.start()
        self.waiting(daemon)
        cancel(daemon, client)
        self.expect_canceled(client)
        sender.join()
        holder.query("COMMIT")
        self.assertEqual(client.answer().rows, [("next",)])
        self.assertEqual(self.done(client), [])

    def test_a_batch_that_waits_is_skipped_up_to_its_sync(self):
        daemon, holder, client = self.taken()
        batch = (protocol.parse("INSERT INTO done VALUES ($1)") + protocol.bind(["canceled"]) + protocol.describe()
                 + protocol.execute() + protocol.flush() + protocol.bind(["canceled"]) + protocol.execute())
        client.send(batch)
        self.waiting(daemon)
        cancel(daemon, client)
        kind, payload = client.read()
        self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "57014"))
        client.send(protocol.query("INSERT INTO done VALUES ('skipped, too')") + protocol.execute())
        self.assertTrue(client.silent())
        client.send(protocol.sync() + protocol.parse("INSERT INTO done VALUES ('next')") + protocol.bind()
                    + protocol.execute() + protocol.sync())
        self.assertEqual(client.read(), ("Z", b"I"))
        holder.query("COMMIT")
        client.answer()
        self.assertEqual(self.done(client), ["next"])

    def test_a_batch_sent_with_its_sync_is_answered_whole(self):
        daemon, holder, client = self.taken()
        client.send(protocol.parse("INSERT INTO done VALUES ('canceled')") + protocol.bind() + protocol.execute()
                    + protocol.sync())
        self.waiting(daemon)
        cancel(daemon, client)
        self.expect_canceled(client)
        self.assertEqual(client.buffer, b"")
        holder.query("COMMIT")
        self.assertEqual(self.done(client), [])

    def test_leave_to_pin_is_not_waited_for_any_more(self):
        _, daemon = self.world(pool_size=2, max_pinned=1)
        with daemon.connect() as holder, daemon.connect() as client:
            holder.query("SELECT pg_advisory_lock(1)")
            for words in (protocol.query("LISTEN something"), protocol.parse("LISTEN something") + protocol.bind()
                          + protocol.execute() + protocol.sync()):
                client.send(words)
                self.waiting(daemon)
                cancel(daemon, client)
                self.expect_canceled(client)
            self.assertEqual(client.query("SELECT count(*) FROM pg_listening_channels()").value(), "0")
            self.assertEqual(daemon.show("PINS"), daemon.show("PINS", reason="advisory lock"))

    def in_a_transaction(self, words):
        """A request that waits for leave to pin while its client's transaction has a server."""
        _, daemon = self.world(pool_size=2, max_pinned=1)
        with daemon.connect() as holder, daemon.connect() as client:
            holder.query("SELECT pg_advisory_lock(1)")
            client.query("CREATE TABLE done (what text)")
            client.query("BEGIN")
            client.query("INSERT INTO done VALUES ('undone')")
            client.send(words)
            self.waiting(daemon)
            cancel(daemon, client)
            result = client.collect()
            self.assertEqual((result.error.sqlstate, result.error.message, result.status), ("57014", CANCELED, "E"))
            self.assertEqual(result.tags, [])
            self.refused("25P02", client.query, "SELECT 1")
            self.assertEqual(client.query("COMMIT").tags, ["ROLLBACK"])
            self.assertEqual(self.done(client), [])
            self.assertEqual(client.query("SELECT count(*) FROM pg_listening_channels()").value(), "0")

    def test_canceled_leave_to_pin_fails_the_transaction_as_the_query_would(self):
        self.in_a_transaction(protocol.query("LISTEN something"))

    def test_the_same_in_the_extended_protocol(self):
        self.in_a_transaction(protocol.parse("LISTEN something") + protocol.bind() + protocol.describe()
                              + protocol.execute() + protocol.sync())


class Wire(Cancel):
    """What the server sees: a stand-in that answers when it is told to."""

    def standin(self, secret=None, certificate=None, tls=None, isolation="tracked", **pool):
        server = self.enterContext(pg_standin.PgStandin(certificate=certificate))
        self.work, self.canceled, self.reset = threading.Event(), threading.Event(), threading.Event()
        self.reset.set()

        def answer(sql):
            if "RESET" in sql:
                self.reset.wait(60)
            if "work" in sql:
                self.work.wait(60)
                if self.canceled.is_set():
                    return pg_standin.error("57014", CANCELED, "ERROR")
            return pg_standin.default_answer(sql)

        server.answer_query = answer
        self.addCleanup(self.work.set)
        self.addCleanup(self.reset.set)
        world = self.enterContext(World(self.server))
        world.manager.create("forecaster/database/prod", server.secret(**(secret or {})))
        world.config["prod"] = {"pool": {"pool_size": 1, **pool}, "tls": tls or {}, "isolation": isolation}
        return server, self.watch(world.start(ready=False))

    def certificate(self, name="server"):
        """One whose key this user may read."""
        if not self.server.own:
            self.skipTest("needs a server of its own (PGBROKER_TEST_SERVER is set)")
        return self.server.place / f"{name}.crt", self.server.place / f"{name}.key"

    def working(self, server, client, words="SELECT 'work'"):
        client.send(protocol.query(words))
        self.until(lambda: any(words in session.queries() for session in server.sessions), "the query")

    def finish(self, server, canceled=True):
        if canceled:
            self.canceled.set()
        self.work.set()

    def test_tls_is_asked_for_before_anything_else(self):
        for mode in ("require", "verify-ca", "verify-full"):
            with self.subTest(mode=mode):
                server, daemon = self.standin({"ssl_mode": mode, "host": "localhost"}, self.certificate(),
                                              {"root_cert": str(self.server.root_cert)})
                with daemon.connect() as client:
                    self.working(server, client)
                    cancel(daemon, client)
                    session, = server.cancels()
                    self.assertEqual((session.tls_asked, session.startup), (1, None))
                    self.assertEqual(session.received, [("cancel", struct.pack("!II", 4711, 815))])
                    self.finish(server)
                    self.expect_canceled(client)

    def test_a_plain_session_is_canceled_in_plain_text(self):
        server, daemon = self.standin()
        with daemon.connect() as client:
            self.working(server, client)
            cancel(daemon, client)
            session, = server.cancels()
            self.assertEqual((session.tls_asked, session.received), (0, [("cancel", struct.pack("!II", 4711, 815))]))
            self.finish(server)
            self.expect_canceled(client)

    def test_a_server_that_has_lost_its_tls_or_its_name_is_sent_nothing(self):
        for change in ("no tls", "elsewhere"):
            with self.subTest(change=change):
                server, daemon = self.standin({"ssl_mode": "verify-full", "host": "localhost"}, self.certificate(),
                                              {"root_cert": str(self.server.root_cert)})
                with daemon.connect() as client:
                    self.working(server, client)
                    if change == "no tls":
                        server.tls = None
                    else:
                        server.tls.load_cert_chain(*self.certificate("elsewhere"))
                    before = len(server.sessions)
                    cancel(daemon, client)
                    self.assertEqual(len(server.sessions), before + 1)
                    self.assertEqual(server.sessions[-1].received, [])
                    daemon.wait_for_log("cancel request not delivered")
                    self.finish(server, canceled=False)
                    self.assertEqual(client.answer().value(), "SELECT 'work'")
                    self.assertEqual(client.query("SELECT 2").value(), "SELECT 2")

    def test_nobody_gets_the_server_before_the_cancel_connection_is_closed(self):
        server, daemon = self.standin()
        with daemon.connect() as client, daemon.connect() as other:
            server.cancels_end.clear()
            self.working(server, client)
            request = daemon.raw()
            request.send(protocol.cancel_request(client.pid, client.key))
            self.until(server.cancels, "the request")
            row = daemon.pool()
            self.assertEqual((row["cl_active_cancel_req"], row["sv_active_cancel"], row["sv_active"]), (1, 1, 1))
            self.finish(server)
            self.expect_canceled(client)
            other.send(protocol.query("SELECT 'other'"))
            client.send(protocol.query("SELECT 'again'"))
            self.waiting(daemon, 2)
            row = daemon.pool()
            self.assertEqual((row["sv_being_canceled"], row["sv_active"], row["sv_idle"]), (1, 0, 0))
            self.assertEqual([one["state"] for one in daemon.show("SERVERS")], ["being_canceled"])
            self.assertTrue(other.silent() and client.silent() and request.silent())
            server.cancels_end.set()
            self.assertEqual(other.answer().value(), "SELECT 'other'")
            self.assertEqual(client.answer().value(), "SELECT 'again'")
            self.assertTrue(request.closed())
            request.close(politely=False)
            self.no_request(daemon)

    def test_a_client_that_keeps_its_server_waits_as_well(self):
        server, daemon = self.standin(pool_mode="session")
        with daemon.connect() as client:
            server.cancels_end.clear()
            self.working(server, client)
            cancel(daemon, client, wait=False)
            self.until(server.cancels, "the request")
            self.finish(server)
            self.expect_canceled(client)
            client.send(protocol.query("SELECT 'again'"))
            self.assertTrue(client.silent())
            server.cancels_end.set()
            self.assertEqual(client.answer().value(), "SELECT 'again'")

    def test_a_request_for_the_next_query_is_not_lost_on_the_last_one(self):
        server, daemon = self.standin(pool_mode="session")
        with daemon.connect() as client:
            server.cancels_end.clear()
            self.working(server, client)
            cancel(daemon, client, wait=False)
            self.until(server.cancels, "the request")
            self.finish(server)
            self.expect_canceled(client)
            self.work.clear()
            client.send(protocol.query("SELECT 'work', too"))
            request = daemon.raw()
            request.send(protocol.cancel_request(client.pid, client.key))
            self.until(lambda: daemon.pool()["cl_waiting_cancel_req"] == 1, "the second request")
            server.cancels_end.set()
            self.until(lambda: len(server.cancels()) == 2, "it to be sent")
            self.assertTrue(request.closed())
            request.close(politely=False)
            self.finish(server)
            self.expect_canceled(client)

    def test_a_reset_before_the_query_is_let_go_through_first(self):
        server, daemon = self.standin(isolation="strict")
        with daemon.connect() as client:
            daemon.connect().query("SELECT 1")
            self.reset.clear()
            client.send(protocol.query("SELECT 'work'"))
            self.until(lambda: any("RESET" in words for words in server.sessions[-1].queries()), "the reset")
            request = daemon.raw()
            request.send(protocol.cancel_request(client.pid, client.key))
            self.until(lambda: daemon.pool()["cl_waiting_cancel_req"] == 1, "the request")
            self.assertTrue(request.silent())
            self.assertEqual(server.cancels(), [])
            self.reset.set()
            self.until(server.cancels, "it to be sent")
            self.assertTrue(request.closed())
            request.close(politely=False)
            self.finish(server)
            self.expect_canceled(client)

    def test_what_the_broker_asks_for_itself_is_not_hit(self):
        server, daemon = self.standin(pool_size=2)
        with daemon.connect() as client:
            client.query("LISTEN something")
            server.cancels_end.clear()
            self.working(server, client)
            cancel(daemon, client, wait=False)
            self.until(server.cancels, "the request")
            session = next(one for one in server.sessions if "SELECT 'work'" in one.queries())
            self.finish(server)                     # an error: which pins are left has to be asked
            self.expect_canceled(client)
            time.sleep(0.3)
            self.assertEqual(session.queries()[-1], "SELECT 'work'")
            server.cancels_end.set()
            self.until(lambda: "pg_listening_channels" in session.queries()[-1], "the broker's question")

    def test_a_server_whose_client_left_is_cleaned_after_the_request(self):
        server, daemon = self.standin(pool_size=2)
        client = daemon.connect()
        client.query("LISTEN something")
        server.cancels_end.clear()
        self.working(server, client)
        cancel(daemon, client, wait=False)
        self.until(server.cancels, "the request")
        session = next(one for one in server.sessions if "SELECT 'work'" in one.queries())
        self.finish(server, canceled=False)
        client.answer()
        client.close()
        self.until(lambda: daemon.pool()["sv_being_canceled"] == 1, "the server to be held")
        self.assertEqual(session.queries()[-1], "SELECT 'work'")
        server.cancels_end.set()
        self.until(lambda: "UNLISTEN" in session.queries()[-1], "the reset")
        self.until(lambda: daemon.pool()["sv_being_canceled"] == 0, "the server to come back")
        self.assertIsNone(session.ended)

    def test_a_server_that_never_closes_the_request_is_replaced(self):
        server, daemon = self.standin(cancel_wait_timeout="1s")
        with daemon.connect() as client:
            server.cancels_end.clear()
            self.working(server, client)
            began = time.monotonic()
            request = daemon.raw()
            request.send(protocol.cancel_request(client.pid, client.key))
            self.until(server.cancels, "the request")
            self.finish(server)
            self.expect_canceled(client)
            self.assertTrue(request.closed())
            request.close(politely=False)
            self.assertGreater(time.monotonic() - began, 0.9)
            self.assertEqual(client.query("SELECT 'again'").value(), "SELECT 'again'")
            one, other = [session for session in server.sessions if "SELECT 'work'" in session.queries()
                          or "SELECT 'again'" in session.queries()]
            self.until(lambda: one.ended, "the server in doubt to be closed")
            self.assertIsNone(other.ended)
            daemon.wait_for_log("cancel request in doubt")

    def test_requests_that_hang_are_bounded(self):
        server, daemon = self.standin(pool_size=1)
        server.cancels_end.clear()
        for number in range(6):
            client = daemon.connect()
            self.working(server, client, f"SELECT 'work {number}'")
            cancel(daemon, client, wait=False)
            self.until(lambda: daemon.pool()["sv_active_cancel"] == min(number + 1, 2), "the request")
            client.close(politely=False)            # its server is closed, the request is still on its way
            self.until(lambda: daemon.pool()["sv_active"] == 0, "the server to go")
        self.assertEqual(len(server.cancels()), 2)
        daemon.wait_for_log("too many are under way")
        server.cancels_end.set()
        self.work.set()
        self.assertEqual(daemon.connect().query("SELECT 1").value(), "SELECT 1")


class Target:
    """One client under fire: queries with its tag, and when each ran."""

    def __init__(self, daemon, number, uid, ending, fair):
        self.daemon, self.number, self.uid, self.ending, self.fair = daemon, number, uid, ending, fair
        self.tag, self.dice = f"target-{number}", random.Random(number)
        self.client = daemon.connect("prod", uid=uid, timeout=60, application_name=self.tag)
        self.queries = self.hits = 0
        self.wrong, self.shots, self.lock = [], [], threading.Lock()

    def run(self):
        try:
            while not self.ending.is_set():
                self.one()
            self.client.close()
        except Exception as error:                  # told to the story at the end
            self.wrong.append(f"{self.tag}: {type(error).__name__}: {error}")

    def words(self):
        pause = self.dice.choice((0, 0.001, 0.01, 0.05, 0.2))
        return f"SELECT '{self.tag}-{self.queries}', current_setting('application_name'), pg_sleep({pause})"

    def one(self):
        self.queries += 1
        words, began = self.words(), time.monotonic()
        kind = self.dice.random()
        if kind < 0.1:
            self.transaction(words)
        elif kind < 0.5:
            self.client.send(protocol.query(words))
            self.judge(self.client.collect(), began)
        elif kind < 0.55:
            self.client.send(protocol.query(f"SELECT pg_advisory_lock({self.number}); {words}; "
                                            f"SELECT pg_advisory_unlock({self.number})"))
            self.judge(self.client.collect(), began)
            self.client.send(protocol.query("SELECT pg_advisory_unlock_all()"))
            self.judge(self.client.collect(), began, rows=False)
        else:
            self.client.send(protocol.parse(words) + protocol.bind() + protocol.describe() + protocol.execute()
                             + protocol.sync())
            self.judge(self.client.collect(), began)

    def transaction(self, words):
        """Until a ROLLBACK has gone through: it may be hit as well."""
        began = time.monotonic()
        for sql in ("BEGIN", words):
            self.client.send(protocol.query(sql))
            result = self.client.collect()
            self.judge(result, began, rows=sql == words and result.status == "T")
        while self.client_rolls_back(began) != "I":
            pass

    def client_rolls_back(self, began):
        self.client.send(protocol.query("ROLLBACK"))
        result = self.client.collect()
        self.judge(result, began, rows=False)
        return result.status

    def judge(self, result, began, rows=True):
        if result.error:
            self.hits += 1
            if result.error.sqlstate == "25P02":
                return
            if result.error.sqlstate != "57014" or not self.fair:
                self.wrong.append(f"{self.tag}: {result.error}")
            elif not self.was_shot_at(began):
                self.wrong.append(f"{self.tag}: canceled, but nobody asked for it: query {self.queries}")
        elif rows and (f"{self.tag}-{self.queries}", self.tag, "") not in result.rows:
            self.wrong.append(f"{self.tag}: query {self.queries} gave {result.rows}")

    def was_shot_at(self, began):
        """A request was under way at some time since then."""
        with self.lock:
            return any(ended is None or ended >= began for _, ended in self.shots[-50:])

    def shoot(self, wait):
        """One request. Of one that isn't waited for nobody knows when it ends: a while later, at most."""
        with self.lock:
            shot = [time.monotonic(), None]
            self.shots.append(shot)
        cancel(self.daemon, self.client, uid=self.uid, wait=wait, timeout=60)
        shot[1] = time.monotonic() + (0 if wait else 20)


class Storm(Cancel):
    timeout = 900

    def test_under_load_only_what_was_meant_is_canceled(self):
        world, daemon = self.world(pool_size=3)
        count, ending = (10000 if story.LONG else 1000), threading.Event()
        uids = (ALICE, BOB) if process.is_root() else (None,)
        targets = [Target(daemon, number, uids[number % len(uids)], ending, fair=number % 3 != 0)
                   for number in range(5)]
        threads = [threading.Thread(target=target.run) for target in targets]
        for thread in threads:
            thread.start()
        dice = random.Random(1)
        meant = [target for target in targets if target.fair]

        def shoot(_):
            time.sleep(dice.random() * 0.03)
            target = dice.choice(meant)
            target.shoot(wait=target is not meant[0])

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(shoot, range(count)))
        ending.set()
        for thread in threads:
            thread.join(120)
        self.assertFalse(any(thread.is_alive() for thread in threads), "a client hangs")
        self.assertEqual(sum((target.wrong for target in targets), []), [])
        for target in meant:
            self.assertGreater(target.hits, count // 100)
        self.healthy(world, daemon)

    def healthy(self, world, daemon):
        self.no_request(daemon)
        self.until(lambda: daemon.pool()["sv_active"] == 0, "the servers to come back")
        self.until(lambda: len(self.server.sessions(world.environments["prod"].role)) <= 3, "at most three sessions")
        self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
        self.assertIsNone(re.search(r"out of sync|in doubt", daemon.log()))


if __name__ == "__main__":
    story.main()
