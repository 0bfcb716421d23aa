"""Clients have bad days, too: killed anywhere, talking noise, half gone, deaf, or too eager.
Their servers come back, nobody else notices, and the broker's memory stays what it was."""
import pathlib
import random
import socket
import statistics
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import meter
import pg_standin
import protocol
import story
from world import World

# What one client may make the broker hold: two buffers each way, and what an allocator keeps of them.
ONE_CLIENT_KB = 2048


class Faults(story.Story):
    """A world with one environment and the pool a story wants."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

    def quiet(self, daemon, count=0):
        """All clients but `count` have gone, and no server is lent or being cleaned."""
        def rested():
            pool = daemon.pool()
            return (len(daemon.show("CLIENTS", database="prod")) == count
                    and pool["sv_active"] == 0 and pool["sv_tested"] == 0 and pool["sv_login"] == 0)
        self.until(rested, "the pool to be at rest")

    def rest(self, client):
        """The messages up to the end of the connection."""
        seen = []
        try:
            while True:
                seen.append(client.read())
        except (protocol.Gone, ConnectionError):
            return seen

    @staticmethod
    def fill(client, data, patience=1.0, most=1 << 40):
        """Sends the data over and over until nothing has been taken for so long; how many bytes were taken."""
        client.sock.setblocking(False)
        sent, quiet, view = 0, time.monotonic(), memoryview(data)
        while time.monotonic() - quiet < patience and sent < most:
            try:
                sent, quiet = sent + client.sock.send(view[sent % len(data):]), time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            except ConnectionError:
                break
        client.sock.setblocking(True)
        return sent


class Noise(Faults):
    """Bytes that are no protocol."""

    def startups(self):
        dice = random.Random(4711)
        long = protocol.startup_message({"user": "u", "database": "prod", "options": "x" * 20000})
        return [b"", b"\0", b"\0\0\0", dice.randbytes(3), dice.randbytes(500), b"\xff" * 64, b"\0" * 64,
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500),
                struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104) * 50,
                struct.pack("!II", 0x7fffffff, 196608), struct.pack("!II", 4, 196608), struct.pack("!II", 9, 196608),
                struct.pack("!II", 8, 0x00020000), long, long[:-5],
                protocol.startup_message({"user": "u", "database": "prod"})[:-1],
                protocol.startup_message({"database": "prod"}), protocol.startup_message({"user": "u"}),
                struct.pack("!II", 16, 80877102) + b"12345678", struct.pack("!II", 12, 80877102) + b"1234",
                protocol.startup_message({f"p{n}": "v" for n in range(2000)})]

    def test_noise_before_the_login_is_refused_and_leaves_nothing(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            noises = self.startups()

            def once(data):
                client = daemon.raw()
                client.send(data)
                client.sock.shutdown(socket.SHUT_WR)
                self.assertTrue(client.closed(), data[:20])
                client.close(politely=False)
            with daemon.connect() as other:
                for data in noises:
                    once(data)
                self.quiet(daemon, 1)
                with meter.holding(self, daemon):
                    for number in range(400):
                        once(noises[number % len(noises)])
                    self.quiet(daemon, 1)
                self.assertEqual(other.query("SELECT 1").value(), "1")

    def test_noise_after_the_login_is_a_protocol_violation_and_leaves_nothing(self):
        dice = random.Random(815)
        noises = [b"\0" * 20, b"\xff" * 20, b"GET / HTTP/1.1\r\n\r\n", protocol.startup_message({"user": "u"}),
                  b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"S\0\0\0\x05\0", b"p\0\0\0\x05x", b"Z\0\0\0\x05I",
                  b"d\0\0\0\x01", b"Q\x7f\xff\xff\xffSELECT", b"B\0\0\0\x04", b"!" + dice.randbytes(100)]

        def once(daemon, number, data):
            client = daemon.connect()
            if number % 2:
                client.query("BEGIN")
            client.send(data)
            errors = [protocol.error_fields(payload) for kind, payload in self.rest(client) if kind == "E"]
            self.assertEqual([fields["C"] for fields in errors], ["08P01"], data[:20])
            client.close(politely=False)
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                for number, data in enumerate(noises):
                    once(daemon, number, data)
                self.quiet(daemon, 1)
                with meter.holding(self, daemon, growth_kb=meter.GROWTH_TLS_KB):
                    for number in range(200):
                        once(daemon, number, noises[number % len(noises)])
                    self.quiet(daemon, 1)
                self.assertEqual(other.query("SELECT 1").value(), "1")


class Leaving(Faults):
    """Clients that go without a word, wherever they are."""

    def leavers(self):
        big = protocol.copy_data(b"x" * 300000)
        return {
            "in a transaction": lambda client: client.query("BEGIN"),
            "in a failed one": lambda client: client.send(protocol.query("BEGIN; SELECT 1/0")),
            "in a query": lambda client: client.send(protocol.query("SELECT pg_sleep(0.2)")),
            "in a result": lambda client: client.send(protocol.query("SELECT repeat('x', 3000000)")),
            "in a COPY from it": lambda client: client.send(protocol.query("COPY kept FROM STDIN") + big[:100000]),
            "in a COPY to it": lambda client: client.send(protocol.query(
                "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 5000)) TO STDOUT")),
            "in a header": lambda client: client.send(protocol.query("BEGIN") + b"Q\0\0"),
            "in a message": lambda client: client.send(protocol.query("SELECT '" + "x" * 200000 + "'")[:150000]),
            "before its Sync": lambda client: client.send(protocol.parse("SELECT 1") + protocol.bind()
                                                          + protocol.execute() + protocol.flush()),
            "in a pipeline": lambda client: client.send((protocol.parse("SELECT 1") + protocol.bind()
                                                         + protocol.execute() + protocol.sync()) * 50),
            "pinned": lambda client: client.query("CREATE TEMP TABLE mine (v int); LISTEN news"),
            "half closed in a query": self.half_close,
        }

    @staticmethod
    def half_close(client, data=protocol.query("SELECT pg_sleep(0.1)")):
        client.send(data)
        client.sock.shutdown(socket.SHUT_WR)

    def test_a_client_that_is_killed_anywhere_gives_everything_back(self):
        with self.world(pool_size=3) as world:
            daemon = self.watch(world.start())
            leavers = self.leavers()

            def once():
                for leave in leavers.values():
                    client = daemon.connect()
                    leave(client)
                    client.close(politely=False)
            with daemon.connect() as other:
                other.query("CREATE TABLE kept (v text)")
                once()
                self.quiet(daemon, 1)
                with meter.holding(self, daemon, growth_kb=meter.GROWTH_TLS_KB):
                    for _ in range(15):
                        once()
                    self.quiet(daemon, 1)
                self.assertEqual(other.query("SELECT count(*) FROM kept").value(), "0")
            self.assertNotIn("out of sync", daemon.log())

    def test_who_leaves_while_he_waits_is_forgotten(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            holder = daemon.connect()
            holder.query("BEGIN")
            with meter.holding(self, daemon):
                for number in range(200):
                    client = daemon.connect()
                    client.send(protocol.query("SELECT 1"))
                    if number % 2:
                        client.sock.shutdown(socket.SHUT_RDWR)
                    client.close(politely=False)
                self.quiet_but_one(daemon)
            self.assertEqual(holder.query("COMMIT").tags, ["COMMIT"])
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def quiet_but_one(self, daemon):
        self.until(lambda: daemon.pool()["cl_waiting"] == 0 and len(daemon.show("CLIENTS", database="prod")) == 1,
                   "the waiting clients to be forgotten")

    def test_a_half_closed_client_gets_its_answers_and_holds_no_server_afterwards(self):
        big = "SELECT repeat('x', 1000) FROM generate_series(1, 3000)"
        said = {"one": (protocol.query("SELECT pg_sleep(0.1)"), 1),
                "several": (protocol.query("SELECT pg_sleep(0.1)") + protocol.query("SELECT 1") * 20, 21),
                "that pins": (protocol.query("CREATE TEMP TABLE mine (v int)") + protocol.query("RESET ALL; SELECT 1"), 2),
                "in a transaction": (protocol.query("BEGIN") + protocol.query("SELECT pg_sleep(0.1)"), 2),
                "a pipeline": ((protocol.parse("SELECT 1") + protocol.bind() + protocol.execute() + protocol.sync()) * 5, 5),
                "without a Sync": (protocol.query("SELECT 1") + protocol.parse("SELECT 1"), 1),
                "a part of one": (protocol.query("SELECT pg_sleep(0.1)") + protocol.query("SELECT 1")[:9], 1),
                "a part of a big one": (protocol.query("SELECT 1") + protocol.query(f"SELECT '{'x' * 300000}'")[:-3], 1),
                "with its goodbye": (protocol.query(big) + protocol.query("SELECT 1") + protocol.message("X"), 2),
                "a big one": (protocol.query(big) * 2, 2)}
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            for name, (data, answers) in said.items():
                with self.subTest(name):
                    client = daemon.connect()
                    self.half_close(client, data)
                    for _ in range(answers):
                        client.read_until("Z")
                    self.assertTrue(client.closed())
                    self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
            self.until(lambda: daemon.pool()["sv_active"] == 0, "no server to be held")

    def test_one_that_half_closed_and_then_went_is_noticed(self):
        big = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            for sql in (big, "SELECT pg_sleep(60)"):
                client = daemon.connect()
                self.half_close(client, protocol.query(sql))
                self.until(lambda: daemon.pool()["sv_active"] == 1, "it to be at work")
                time.sleep(0.3)
                spent = meter.processor_seconds(daemon)
                client.close(politely=False)
                self.until(lambda: daemon.pool()["sv_active"] == 0, "its server to be given back", 5)
                time.sleep(1)
                self.assertLess(meter.processor_seconds(daemon) - spent, 0.5)
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_a_client_that_half_closes_while_it_waits_is_served_in_its_turn(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            holder, client, other = daemon.connect(), daemon.connect(), daemon.connect()
            holder.query("BEGIN")
            self.half_close(client, protocol.query("SELECT 7") * 3)
            self.half_close(other, protocol.query("SELECT 8"))
            self.until(lambda: daemon.pool()["cl_waiting"] == 2, "both to wait")
            other.close(politely=False)
            holder.query("COMMIT")
            for _ in range(3):
                client.read_until("Z")
            self.assertTrue(client.closed())
            self.assertEqual(holder.query("SELECT 1").value(), "1")


class Deaf(Faults):
    """Clients that do not read, and servers that do not."""

    def test_a_client_that_never_reads_costs_two_buffers_and_stops_its_server(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                other.query("SELECT repeat('x', 1000000)")
                meter.forget_peak(daemon)
                before = daemon.resident_kb()
                client = daemon.connect(timeout=60)
                client.send(protocol.query("SELECT repeat('x', 10000) FROM generate_series(1, 50000)"))
                self.until(lambda: other.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' "
                                               "AND usename = current_user").value() == "1", "the server to be stopped")
                spent = meter.processor_seconds(daemon)
                began = time.monotonic()
                while time.monotonic() - began < 1.5:
                    other.query("SELECT pg_sleep(0.25)")
                self.assertLess(meter.processor_seconds(daemon) - spent, 0.5, "the broker spins")
                if not meter.sanitized(daemon):
                    self.assertLess(meter.peak_kb(daemon) - before, ONE_CLIENT_KB)
                rows = size = 0
                for kind, payload in iter(client.read, ("Z", b"I")):
                    rows, size = rows + (kind == "D"), size + len(payload)
                self.assertEqual(rows, 50000)
                self.assertGreater(size, 500_000_000)
                if not meter.sanitized(daemon):
                    self.assertLess(meter.peak_kb(daemon) - before, ONE_CLIENT_KB)

    def test_a_pipeline_of_fifty_megabytes_without_reading_neither_locks_up_nor_is_kept(self):
        """Both sides write and neither reads: the client is stopped, and goes on where it was."""
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(timeout=60) as client:
                client.query("SELECT repeat('x', 1000000)")
                meter.forget_peak(daemon)
                before = daemon.resident_kb()
                one = protocol.query("SELECT repeat('x', 5000)" + " " * 4970)
                taken = self.fill(client, one, most=50_000_000)
                self.assertLess(taken, 40_000_000)          # most of it in the kernel's buffers
                if not meter.sanitized(daemon):
                    self.assertLess(meter.peak_kb(daemon) - before, ONE_CLIENT_KB)
                whole = 50_000_000 // len(one)
                writer = threading.Thread(target=client.sock.sendall, daemon=True, args=(
                    one[taken % len(one):] + one * (whole - taken // len(one) - 1),))
                client.sock.settimeout(60)
                writer.start()
                for number in range(whole):
                    self.assertEqual(len(client.answer().value()), 5000, number)
                writer.join()

    def test_a_server_that_does_not_read_stops_its_client(self):
        def deaf(session, _):
            session.send(protocol.message("G", b"\0\0\0"))
            session.server.released.wait(60)
            while session.read()[0] != "c":
                pass
            session.send(protocol.message("C", b"COPY 1\0") + pg_standin.READY)
        standin = self.enterContext(pg_standin.PgStandin(pg_standin.on_query("COPY", deaf)))
        standin.released = threading.Event()
        world = World(None)
        world.manager.create("forecaster/database/prod", standin.secret())
        world.config["prod"] = {"pool": {"pool_size": 2}}
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect(timeout=60) as client, daemon.connect() as other:
                other.query("SELECT 'warm'")
                meter.forget_peak(daemon)
                before = daemon.resident_kb()
                client.send(protocol.query("COPY t FROM STDIN"))
                client.read_until("G")
                line = protocol.copy_data(b"x" * 8187)
                taken = self.fill(client, line)
                self.assertLess(taken, 30_000_000)          # most of it in the kernel's buffers
                if not meter.sanitized(daemon):
                    self.assertLess(meter.peak_kb(daemon) - before, ONE_CLIENT_KB)
                self.assertEqual(other.query("SELECT 'fine'").value(), "SELECT 'fine'")
                standin.released.set()
                client.send(line[taken % len(line):] + line * 100 + protocol.copy_done())
                self.assertEqual(client.answer().tags, ["COPY 1"])

    def test_a_gigabyte_for_one_does_not_starve_the_others(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            done, seen = threading.Event(), []

            def read_all():
                with daemon.connect(timeout=60) as client:
                    client.send(protocol.query("SELECT repeat('x', 100000) FROM generate_series(1, 10000)"))
                    last = b""
                    while not last.endswith(b"Z\0\0\0\x05I"):
                        data = client.sock.recv(1 << 20)
                        seen.append(len(data))
                        last = (last + data)[-6:]
                done.set()
            reader = threading.Thread(target=read_all, daemon=True)
            waits = []
            with daemon.connect() as client:
                client.query("SELECT 1")
                reader.start()
                while not done.is_set():
                    began = time.monotonic()
                    client.query("SELECT 1")
                    waits.append(time.monotonic() - began)
            reader.join()
            self.assertGreater(sum(seen), 1_000_000_000)
            self.assertGreater(len(waits), 20)
            self.assertLess(statistics.median(waits), 0.05)
            self.assertLess(statistics.quantiles(waits, n=20)[-1], 1.0)


if __name__ == "__main__":
    story.main()
