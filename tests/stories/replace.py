"""pgbrokerd --replace: a new broker takes the socket over from the one that runs; nobody is refused, nobody loses a
connection, and what was replaced goes when its clients have gone. Fifty times under load with PGBROKER_LONG=1."""
import array
import contextlib
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import pgbench
import protocol
import rotation
import story
from world import World

TIMES = 50 if story.LONG else 12
SUCCESSOR = struct.pack("!iHH", 8, 1234, 5431)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Replace(story.Story):
    """A broker, and those that come after it."""

    timeout = 60 + 8 * TIMES

    @contextlib.contextmanager
    def world(self, **config):
        top = {"socket": config.pop("socket")} if "socket" in config else {}
        with World(self.server, **top) as world:
            world.add("prod", counters=True, **config)
            world.first = self.watch(world.start())
            yield world

    def replace(self, world, wait=True, **options):
        """The next broker, in the place of the one before."""
        new = broker.Broker(world.configuration(), world.manager, args=["--replace"], directory=world.first.directory,
                            **options)
        self.watch(new.start(wait=False))
        if wait:
            new.wait_for_log(r"event=listening", timeout=60)
        return new

    @staticmethod
    def connects_all_the_time(daemon, stop, counts, complaints):
        while not stop.is_set():
            try:
                with daemon.connect(timeout=60) as client:
                    if client.query("SELECT 41 + 1").value() != "42":
                        complaints.append("a wrong answer")
                counts.append(1)
            except Exception as error:
                complaints.append(repr(error))

    @staticmethod
    def psycopg_all_the_time(daemon, stop, counts, complaints):
        """The same with a driver, if there is one: it connects in steps of its own."""
        try:
            import psycopg
        except ImportError:
            return
        while not stop.is_set():
            try:
                with psycopg.connect(daemon.uri(connect_timeout=60), prepare_threshold=None) as client:
                    if client.execute("SELECT 41 + %s", [1]).fetchone() != (42,):
                        complaints.append("psycopg had a wrong answer")
                counts.append(1)
            except Exception as error:
                complaints.append(repr(error))

    def test_over_and_over_under_load_it_costs_nobody_a_connection_or_a_transaction(self):
        with self.world(pool={"pool_size": 8}) as world:
            uri, seconds = world.first.uri(application_name="stays"), 3600
            loads = [pgbench.Pgbench(uri, seconds=seconds, clients=4, rate=80),
                     pgbench.Pgbench(uri, seconds=seconds, clients=2, rate=40, query_mode="extended",
                                     script=pgbench.READ_AND_ADD_IN_BLOCK),
                     pgbench.Pgbench(world.first.uri(), seconds=seconds, clients=2, rate=20, reconnect=True)]
            stop, counts, complaints = threading.Event(), [], []
            threads = [threading.Thread(target=call, args=(world.first, stop, counts, complaints))
                       for call in (self.connects_all_the_time, self.psycopg_all_the_time)]
            for thread in threads:
                thread.start()
            self.addCleanup(stop.set)
            for bench in loads:
                self.addCleanup(bench.stop)
            self.until(lambda: len(world.first.show("CLIENTS", application_name="stays")) == 6, "pgbench to be connected")
            line = [world.first]
            for _ in range(TIMES):
                line.append(self.replace(world))
                before = len(counts)
                self.until(lambda: len(counts) > before + 20, "new clients of the new broker", timeout=60)
                self.assertEqual(complaints, [])
            newest = line[-1]
            self.assertTrue(line[0].running(), "the first one still has the clients that stay connected")
            for middle in line[1:-1]:
                self.assertEqual(middle.wait(), 0)
            self.until(lambda: [row["pid"] for row in newest.show("PREDECESSORS")] == [str(line[0].child.pid)],
                       "only the first to be left")
            stop.set()
            for thread in threads:
                thread.join()
            for bench in loads:
                self.assertIsNone(bench.child.poll(), bench.output.read_text())
                bench.child.send_signal(signal.SIGTERM)
                bench.child.wait(30)
                self.assertNotRegex(bench.output.read_text(), r"error:|aborted|ERROR:|FATAL:")
            self.assertEqual(complaints, [])
            self.assertEqual(line[0].wait(), 0)
            self.until(lambda: newest.show("PREDECESSORS") == [], "the first to be forgotten")
            self.assertLess(newest.resident_kb(), 64 * 1024 * (8 if "asan" in self.maps(newest) else 1))
            self.until(lambda: descriptors(newest.child.pid) < 60, "the descriptors to be given back")
            newest.stop()
            self.assertEqual(os.listdir(world.first.directory), [])
            world.broker = None

    @staticmethod
    def maps(daemon):
        return pathlib.Path(f"/proc/{daemon.child.pid}/maps").read_text()

    def test_a_client_of_the_one_before_goes_on_and_status_names_it(self):
        with self.world() as world:
            with world.first.connect() as client:
                client.query("SET application_name = 'stays'")
                client.query("BEGIN")
                new = self.replace(world)
                self.assertEqual(client.query("SHOW application_name").value(), "stays")
                client.query("COMMIT")
                self.until(lambda: new.show("PREDECESSORS", pid=world.first.child.pid, clients=1), "one client there")
                said = new.ctl("status")
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertRegex(said.stdout, rf"pid {world.first.child.pid} was replaced \d+ s ago and still has 1 client\n")
                self.until(lambda: self.servers(new, world) == 0, "the idle servers of the one before to be closed")
                self.assertEqual(client.query("SHOW application_name").value(), "stays")
            self.assertEqual(world.first.wait(), 0)
            self.until(lambda: not new.show("PREDECESSORS"), "the one before to be forgotten")
            world.broker = new

    def test_what_a_client_has_pinned_goes_on_in_either_mode(self):
        for mode in ("transaction", "session"):
            with self.subTest(mode), self.world(pool={"pool_mode": mode}) as world:
                with world.first.connect() as client:
                    client.query("CREATE TEMP TABLE mine (x int)")
                    client.query("LISTEN news")
                    world.broker = self.replace(world)
                    world.broker.connect().query("NOTIFY news, 'from the other side'")
                    self.assertIn(b"from the other side", client.read_until("A")[-1][1])
                    client.query("INSERT INTO mine VALUES (7)")
                    self.assertEqual(client.query("SELECT x FROM mine").value(), "7")
                self.assertEqual(world.first.wait(), 0)

    def servers(self, new, world):
        """Sessions in PostgreSQL that are not the new broker's."""
        return len(self.server.sessions(world.environments["prod"].role)) - new.pool()["sv_idle"] - new.pool()["sv_active"]

    def test_a_cancel_request_reaches_the_client_of_any_broker_that_was_replaced(self):
        with self.world() as world:
            with world.first.connect() as oldest:
                second = self.replace(world)
                with second.connect(version=0x30002) as old:        # its key is longer
                    newest = self.replace(world)
                    with newest.connect() as new:
                        for client in (oldest, old, new):
                            client.send(protocol.query("SELECT pg_sleep(60)"))
                            self.until(lambda: self.asleep(world), "the query to run")
                            self.cancel(newest, client)
                            self.assertEqual(self.refused("57014", client.answer).sqlstate, "57014")
                            self.assertEqual(client.query("SELECT 1").value(), "1")
            for daemon in (world.first, second):
                self.assertEqual(daemon.wait(), 0)
            world.broker = newest

    def asleep(self, world):
        return self.server.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")

    @staticmethod
    def cancel(daemon, client):
        with daemon.raw() as request:
            request.send(protocol.cancel_request(client.pid, client.key))
            request.closed()

    def test_somebody_elses_cancel_request_reaches_nobody(self):
        self.need_root()
        with self.world(access={"users": ["1000", "1001"]}) as world:
            with world.first.connect(uid=1000) as client:
                new = self.replace(world)
                client.send(protocol.query("SELECT pg_sleep(1)"))
                self.until(lambda: self.asleep(world) or not client.silent(0), "the query to run")
                with new.raw(uid=1001) as request:
                    request.send(protocol.cancel_request(client.pid, client.key))
                    request.closed()
                client.answer()
            world.broker = new

    def test_one_that_cannot_serve_changes_nothing(self):
        """Its secret is missing, which is said at once; or the server refuses it, for half a minute."""
        with self.world() as world:
            world.manager.create("forecaster/database/refused", {
                "host": self.server.host, "port": str(self.server.port), "username": "nobody_at_all",
                "password": "wrong", "database": "none", "ssl_mode": "require"})
            for name in ("missing", "refused") if story.LONG else ("missing",):
                with self.subTest(name), world.first.connect() as client:
                    self.fail_to_replace(world, name)
                    self.assertEqual(client.query("SELECT 1").value(), "1")
                    self.assertEqual(world.first.connect().query("SELECT 2").value(), "2")
                    self.assertNotIn("takes this one's place", world.first.log())

    def fail_to_replace(self, world, name):
        config = {"environments": {**world.configuration()["environments"], name: {}}}
        new = broker.Broker(config, world.manager, args=["--replace"], directory=world.first.directory)
        self.watch(new.start(wait=False))
        self.assertEqual(new.wait(timeout=60), 1)
        self.assertRegex(new.log(), rf'environment \\?"{name}\\?"')

    def test_with_nobody_there_it_just_starts(self):
        with World(self.server) as world:
            world.add("prod")
            world.broker = broker.Broker(world.configuration(), world.manager, args=["--replace"])
            self.watch(world.broker.start()).wait_ready()
            world.broker.wait_for_log("no broker to replace")

    def ask(self, daemon, uid=None):
        """A process that asks for the place, and what it gets: (kind, number, descriptors)."""
        asker = daemon.raw(uid=uid)
        asker.send(SUCCESSOR)
        data, control, _flags, _address = asker.sock.recvmsg(16, 64)
        fds = array.array("i")
        for level, kind, content in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content)
        return asker, data[1] if data else 0, struct.unpack("=I", data[4:8])[0] if data else 0, list(fds)

    def test_one_that_dies_in_the_middle_leaves_everything_as_it_was(self):
        with self.world() as world:
            asker, kind, number, fds = self.ask(world.first)
            self.assertEqual((kind, number, len(fds)), (1, world.first.child.pid, 2))
            waits = world.first.raw()                   # connects at once, and waits for either of them
            for fd in fds:
                os.close(fd)
            asker.close(politely=False)
            waits.close(politely=False)
            self.assertEqual(world.first.connect(timeout=20).query("SELECT 1").value(), "1")
            self.assertTrue(os.path.exists(protocol.socket_path(world.first.directory)))

    def test_a_second_one_at_the_same_time_is_refused(self):
        with self.world() as world:
            early = world.first.raw()
            world.first.connect().close()               # it is accepted by now
            asker, _kind, _number, fds = self.ask(world.first)
            early.send(SUCCESSOR)
            data = early.sock.recv(16)
            self.assertEqual((data[1], data[4]), (2, 1))        # REFUSED, BUSY
            for fd in fds:
                os.close(fd)
            asker.close(politely=False)
            world.first.connect(timeout=20).close()

    def test_only_the_brokers_own_user_may_ask(self):
        self.need_root()
        with self.world(access={"users": ["1000"]}) as world:
            asker, kind, number, fds = self.ask(world.first, uid=1000)
            self.assertEqual((kind, number, fds), (2, 0, []))   # REFUSED, STRANGER
            asker.close(politely=False)
            self.assertEqual(world.first.connect().query("SELECT 1").value(), "1")

    def test_what_an_administrator_has_paused_is_not_replaced(self):
        with self.world() as world:
            world.first.console("PAUSE prod")
            new = self.replace(world, wait=False)
            self.assertEqual(new.wait(timeout=60), 1)
            self.assertIn("RESUME", new.log())
            world.first.console("RESUME prod")
            self.assertEqual(world.first.connect().query("SELECT 1").value(), "1")

    def test_after_linger_timeout_clients_go_when_nothing_of_theirs_is_open(self):
        with self.world(socket={"linger_timeout": "2s"}) as world:
            with world.first.connect() as idle, world.first.connect() as busy:
                busy.query("BEGIN")
                busy.query("UPDATE counters SET n = n + 1 WHERE id = 1")
                new = self.replace(world)
                fields = protocol.error_fields(idle.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "57P01")
                busy.query("UPDATE counters SET n = n + 1 WHERE id = 1")
                busy.query("COMMIT")
                self.assertTrue(busy.closed())
            self.assertEqual(world.first.wait(), 0)
            self.assertEqual(world.counted(), 2)
            world.broker = new

    def test_when_the_newest_is_told_to_end_so_are_those_it_has_replaced(self):
        with self.world() as world:
            with world.first.connect() as oldest, world.first.connect() as busy:
                busy.query("BEGIN")
                second = self.replace(world)
                with second.connect() as old:
                    newest = self.replace(world)
                    newest.signal(signal.SIGTERM)
                    for client in (oldest, old):
                        self.assertEqual(protocol.error_fields(client.read_until("E")[-1][1])["C"], "57P01")
                    self.assertTrue(newest.running(), "a transaction is open in the first one")
                    busy.query("COMMIT")
                    self.assertTrue(busy.closed())
            for daemon in (newest, second, world.first):
                self.assertEqual(daemon.wait(), 0)

    def test_when_the_newest_is_killed_the_clients_of_the_others_stay_and_another_can_be_started(self):
        with self.world() as world:
            with world.first.connect() as client:
                new = self.replace(world)
                new.kill()
                self.assertEqual(client.query("SELECT 1").value(), "1")
                world.broker = third = self.replace(world)
                self.assertEqual(third.connect().query("SELECT 3").value(), "3")
                self.assertEqual(client.query("SELECT 1").value(), "1")
            self.assertEqual(world.first.wait(), 0)

    def test_the_console_moves_to_the_new_broker(self):
        with self.world() as world:
            with world.first.connect("pgbroker") as console:
                console.query("SHOW VERSION")
                world.broker = self.replace(world)
                self.assertEqual(protocol.error_fields(console.read_until("E")[-1][1])["C"], "57P01")
            self.assertEqual(world.first.wait(), 0)

    def test_a_rotation_reaches_the_clients_of_both(self):
        with self.world(pool={"server_lifetime": "1s"}) as world:
            with world.first.connect() as old:
                world.broker = self.replace(world)
                environment = world.environments["prod"]
                rotation.rotate_single_user(world.manager, environment.secret_name, self.server, gap=2)
                old.query("SELECT pg_sleep(1.2)")                   # its server is too old by now
                for client in (old, world.broker.connect(timeout=30)):
                    self.assertEqual(client.query("SELECT 1").value(), "1")
            self.assertEqual(world.first.wait(), 0)


if __name__ == "__main__":
    story.main()
