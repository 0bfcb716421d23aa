"""The protocol: who is who, startup in all its forms, messages of any size, and what comes unasked."""
import pathlib
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import meter
import pg_standin
import process
import protocol
import story
from world import OneEnvironment, World

TLS, GSS = (struct.pack("!II", 8, code) for code in (80877103, 80877104))
LENGTH = (256 if story.LONG else 64) << 20      # of a long message
ROOM_KB = 4096                                  # that the broker may take for one


class Wired(OneEnvironment):
    """What comes by the wire, unasked."""

    def heard(self, client):
        """The next notification, which may be on its way: process id, channel, payload."""
        kind, payload = client.read()
        self.assertEqual(kind, "A")
        return (struct.unpack_from("!I", payload)[0], *payload[4:-1].decode().split("\0"))


class Identity(Wired):
    """Process ids: BackendKeyData, NotificationResponse, pg_backend_pid()."""

    def test_a_client_knows_its_own_notifications_and_those_of_another(self):
        for mode in ("transaction", "session"):
            with self.subTest(mode), self.world(pool_size=2, pool_mode=mode) as world:
                daemon = self.watch(world.start())
                with daemon.connect() as listener, daemon.connect() as sender:
                    listener.query("LISTEN news")
                    result = listener.query("BEGIN; NOTIFY news, 'mine'; COMMIT")
                    self.assertEqual(result.notifications, [(listener.pid, "news", "mine")])
                    sender.query("SELECT pg_notify('news', 'of another')")
                    self.assertEqual(self.heard(listener), (sender.pid, "news", "of another"))
                    listener.query("BEGIN")
                    sender.query("NOTIFY news")
                    sender.query("NOTIFY news, 'second'")
                    result = listener.query("COMMIT")
                    self.assertEqual(result.notifications, [(sender.pid, "news", ""), (sender.pid, "news", "second")])

    def test_one_that_has_just_connected_is_known_where_nobody_else_was_lately(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as listener:
                listener.query("LISTEN news")
                with daemon.connect() as third:
                    third.query("SELECT 1")
                time.sleep(0.5)                     # a notification of the third would be here by now
                with daemon.connect() as sender:
                    sender.query("NOTIFY news, 'at once'")
                    self.assertEqual(self.heard(listener), (sender.pid, "news", "at once"))

    def test_the_process_id_is_the_server_s_own_in_session_mode_only(self):
        for mode in ("transaction", "session"):
            with self.subTest(mode), self.world(pool_size=2, pool_mode=mode) as world:
                daemon = self.watch(world.start())
                with daemon.connect() as client:
                    same = client.query("SELECT pg_backend_pid()").value() == str(client.pid)
                    self.assertEqual(same, mode == "session")

    def test_a_notification_from_elsewhere_bears_the_server_s_process_id(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as listener:
                listener.query("LISTEN news")
                rows = self.server.sql("NOTIFY news, 'hello'; SELECT pg_backend_pid()",
                                       world.environments["prod"].database)
                self.assertEqual(self.heard(listener), (int(rows[-1][0]), "news", "hello"))


class Startup(Wired):
    """What a client may say first."""

    def hello(self, client, version, **options):
        """The kinds of messages up to ReadyForQuery, and what NegotiateProtocolVersion says."""
        client.send(protocol.startup_message({"user": "story", "database": "prod", **options}, version))
        seen = client.read_until("ZE")
        return "".join(kind for kind, _ in seen), [payload for kind, payload in seen if kind == "v"]

    def test_a_startup_may_come_byte_by_byte_and_be_of_any_length(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.raw() as client:
                for byte in protocol.startup_message({"user": "story", "database": "prod"}):
                    client.send(bytes((byte,)))
                client.read_until("Z")
                self.assertEqual(client.query("SELECT 1").value(), "1")
            for length in (63, 64, 1000, 5000, 9900, 10001, 60000):
                with self.subTest(length=length), daemon.raw() as client:
                    client.send(protocol.startup_message({"user": "story", "database": "x" * length}))
                    kind, payload = client.read()
                    self.assertEqual(kind, "E")
                    self.assertEqual(protocol.error_fields(payload)["C"], "3D000" if length < 9950 else "08P01")
                    self.assertTrue(client.closed())

    def test_versions_are_negotiated_once_and_the_session_goes_on(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            for version, options, said in (
                    (0x30000, {}, []), (0x30002, {}, []),
                    (0x30009, {}, [struct.pack("!II", 0x30002, 0)]),
                    (0x30000, {"_pq_.new": "1"}, [struct.pack("!II", 0x30000, 1) + b"_pq_.new\0"]),
                    (0x30009, {"_pq_.new": "1", "work_mem": "1MB"}, [struct.pack("!II", 0x30002, 1) + b"_pq_.new\0"])):
                with self.subTest(version=hex(version), options=options), daemon.raw() as client:
                    kinds, negotiated = self.hello(client, version, **options)
                    self.assertEqual(negotiated, said)
                    self.assertRegex(kinds, "^v?RS+KZ$")
                    self.assertEqual(client.query("SELECT 1").value(), "1")

    def test_cancel_keys_are_longer_where_the_client_may_have_it_so(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            self.assertEqual([len(daemon.connect(version=version).key) for version in (0x30000, 0x30002, 0x30009)], [4, 8, 8])

    def test_values_are_told_as_the_server_spells_them_and_reset_leads_back_to_them(self):
        said = {"client_encoding": "latin1", "timezone": "etc/gmt+5", "datestyle": "german", "intervalstyle": "ISO_8601"}
        told = {"client_encoding": "LATIN1", "TimeZone": "Etc/GMT+5", "DateStyle": "German, DMY",
                "IntervalStyle": "iso_8601"}
        changed = ("SET client_encoding TO utf8; SET timezone TO 'europe/rome'; SET datestyle TO iso; "
                   "SET intervalstyle TO POSTGRES_VERBOSE")
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                for _ in range(2):              # the second login needs no server
                    with daemon.connect(**said) as client:
                        for how in ("RESET ALL", "DISCARD ALL", "; ".join(f"RESET {name}" for name in told)):
                            self.assertEqual({name: client.parameters.get(name) for name in told}, told, how)
                            new = client.query(changed).parameters
                            self.assertEqual(new, {"client_encoding": "UTF8", "TimeZone": "Europe/Rome",
                                                   "DateStyle": "ISO, DMY", "IntervalStyle": "postgres_verbose"})
                            self.assertEqual(other.query("SHOW client_encoding").value(), "UTF8")
                            self.assertEqual(other.query("SHOW timezone").value(), other.parameters["TimeZone"])
                            client.query(how)
                        self.assertEqual({name: client.parameters.get(name) for name in told}, told)
                        self.assertEqual({name: client.query(f"SHOW {name}").value() for name in told}, told)

    def test_encryption_is_declined_once_each_in_any_order(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            for asked in ((TLS,), (GSS,), (TLS, GSS), (GSS, TLS)):
                with daemon.raw() as client:
                    for request in asked:
                        client.send(request)
                        self.assertEqual(client.read_bytes(1), b"N")
                    self.assertEqual(client.login("prod").query("SELECT 1").value(), "1")
            for asked in ((TLS, TLS), (GSS, TLS, GSS)):
                with daemon.raw() as client:
                    for request in asked[:-1]:
                        client.send(request)
                        self.assertEqual(client.read_bytes(1), b"N")
                    client.send(asked[-1])
                    kind, payload = client.read()
                    self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "08P01"))


class Long(Wired):
    """A message may be as long as PostgreSQL takes it: it goes on as it comes."""

    def streaming(self, daemon):
        self.before = daemon.resident_kb()
        meter.forget_peak(daemon)

    def streamed(self, daemon):
        if not meter.sanitized(daemon):
            self.assertLess(meter.peak_kb(daemon) - self.before, ROOM_KB)

    def send_long(self, client, kind, head, tail=b""):
        """A message of that kind with LENGTH times x between head and tail."""
        block = b"x" * (1 << 20)
        client.sock.sendall(kind + struct.pack("!I", 4 + len(head) + LENGTH + len(tail)) + head)
        for _ in range(LENGTH >> 20):
            client.sock.sendall(block)
        client.sock.sendall(tail)

    def read_long(self, client, kind, before):
        """Reads up to the message of that kind; the CRC of its payload without the first bytes."""
        while client.buffer[:1] != kind:
            client.read() if len(client.buffer) >= 5 else client._fill(5)
        client._fill(5 + before)
        left = struct.unpack_from("!I", client.buffer, 1)[0] - 4 - before
        data, crc = client.buffer[5 + before:5 + before + left], 0
        client.buffer = client.buffer[5 + before + len(data):]
        while data:
            crc, left = zlib.crc32(data, crc), left - len(data)
            data = client.sock.recv(min(left, 1 << 20)) if left else b""
        return left, crc

    def test_it_costs_the_broker_no_memory(self):
        crc = 0
        for _ in range(LENGTH >> 20):
            crc = zlib.crc32(b"x" * (1 << 20), crc)
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(timeout=60) as client:
                client.query("CREATE UNLOGGED TABLE long (t text); ALTER TABLE long ALTER t SET STORAGE EXTERNAL")
                self.streaming(daemon)
                self.send_long(client, b"Q", b"SELECT length('", b"')\0")
                self.assertEqual(client.answer().value(), str(LENGTH))
                client.send(protocol.parse("SELECT length($1)"))
                self.send_long(client, b"B", b"\0\0" + struct.pack("!HHI", 0, 1, LENGTH), b"\0\0")
                client.send(protocol.execute() + protocol.sync())
                self.assertEqual(client.answer().value(), str(LENGTH))
                client.send(protocol.query("COPY long FROM STDIN"))
                client.read_until("G")
                self.send_long(client, b"d", b"", b"\n")
                client.send(protocol.copy_done())
                self.assertEqual(client.answer().tags, ["COPY 1"])
                client.send(protocol.query("SELECT t FROM long"))
                self.assertEqual(self.read_long(client, b"D", 6), (0, crc))
                self.assertEqual(client.answer().tags, ["SELECT 1"])
                client.send(protocol.query("COPY long TO STDOUT"))
                self.assertEqual(self.read_long(client, b"d", 0), (0, zlib.crc32(b"\n", crc)))
                self.assertEqual(client.answer().tags, ["COPY 1"])
                self.streamed(daemon)


class Unasked(Wired):
    """What a server says when nothing was asked."""

    def test_notices_and_parameters_reach_an_idle_client_that_has_a_server(self):
        say = threading.Event()

        def behave(session):
            session.login()
            while True:
                kind, payload = session.read()
                session.answer(kind, payload)
                if b"LISTEN" in payload:
                    say.wait(20)
                    session.send(pg_standin.message("N", b"SNOTICE\0C00000\0Mhello\0\0")
                                 + pg_standin.parameter("TimeZone", "Asia/Tokyo"))
        standin = self.enterContext(pg_standin.PgStandin(behave))
        world = World(self.server)
        world.manager.create("forecaster/database/prod", standin.secret())
        world.config["prod"] = {"pool": {"pool_size": 1}}
        with world:
            daemon = self.watch(world.start(ready=False))
            with daemon.connect() as client:
                client.query("LISTEN news")
                say.set()
                kind, payload = client.read()
                self.assertEqual((kind, protocol.error_fields(payload)["M"]), ("N", "hello"))
                self.assertEqual(client.read(), ("S", b"TimeZone\0Asia/Tokyo\0"))
                self.assertEqual(client.query("SELECT 'on'").value(), "SELECT 'on'")

    def test_a_server_that_goes_while_its_client_is_idle_says_why_in_its_own_words(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                backend = client.query("LISTEN news; SELECT pg_backend_pid()").value()
                self.server.sql(f"SELECT pg_terminate_backend({backend})")
                kind, payload = client.read()
                fields = protocol.error_fields(payload)
                self.assertEqual((kind, fields["V"], fields["C"]), ("E", "FATAL", "57P01"))
                self.assertIn("administrator command", fields["M"])
                self.assertTrue(client.closed())


if __name__ == "__main__":
    story.main()
