"""The host has bad days: no descriptors left, a storm of connects, a full disk, a log that nobody reads."""
import os
import pathlib
import resource
import signal
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import cluster
import meter
import protocol
import story
from world import World


class Host(story.Story):
    """A world with one environment, and a broker that is started in a hostile place."""

    def world(self, config=None, **pool):
        world = World(self.server, **(config or {}))
        world.add("prod", pool=pool)
        return world

    def works(self, daemon, timeout=30):
        self.assertEqual(daemon.connect(timeout=timeout).query("SELECT 1").value(), "1")

    def spends_little(self, daemon, seconds=1.5, share=0.4):
        """It does not spin."""
        before = meter.processor_seconds(daemon)
        time.sleep(seconds)
        self.assertLess(meter.processor_seconds(daemon) - before, seconds * share, "the broker spins")


class Descriptors(Host):
    """RLIMIT_NOFILE is reached."""

    def test_without_descriptors_it_waits_without_spinning_and_recovers(self):
        with self.world(pool_size=4) as world:
            daemon = self.watch(world.start())
            other = daemon.connect()
            other.query("SELECT 1")
            now = meter.descriptors(daemon)
            resource.prlimit(daemon.child.pid, resource.RLIMIT_NOFILE, (now + 20, now + 20))
            crowd = []
            for _ in range(100):
                client = daemon.raw(timeout=30)
                client.send(protocol.startup_message({"user": "story", "database": "prod"}))
                crowd.append(client)
            self.until(lambda: meter.descriptors(daemon) >= now + 18, "the descriptors to be used up")
            self.spends_little(daemon)
            self.assertEqual(other.query("SELECT 2").value(), "2")
            for client in crowd:
                client.close(politely=False)
            self.until(lambda: meter.descriptors(daemon) <= now + 6, "the descriptors to come back")
            self.works(daemon)
            # Servers that could not be opened then are opened now.
            holders = [daemon.connect() for _ in range(4)]
            for client in holders:
                client.query("BEGIN")
            for client in (other, *holders):
                client.close()

    def test_a_storm_of_connects_is_served_to_the_last(self):
        """Two thousand in a second or so: each is let in or told why not, none is lost."""
        with self.world({"socket": {"max_client_conn": 1000}}, pool_size=4) as world:
            daemon = self.watch(world.start())
            crowd, served, refused = [], 0, 0
            wanted = 2200
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

            def storm():
                for _ in range(wanted // 4):
                    client = daemon.raw(timeout=60)
                    client.send(protocol.startup_message({"user": "story", "database": "prod"}))
                    crowd.append(client)
            threads = [threading.Thread(target=storm, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(len(crowd), wanted)
            for client in crowd:
                kind, payload = client.read()
                if kind == "E":
                    self.assertEqual(protocol.error_fields(payload)["C"], "53300")
                    refused += 1
                else:
                    client.read_until("Z")
                    served += 1
            self.assertEqual(served + refused, wanted)
            self.assertGreaterEqual(served, 900)
            self.assertLessEqual(served, 1000)
            for client in crowd:
                client.close(politely=False)
            self.until(lambda: len(daemon.show("CLIENTS", database="prod")) == 0, "all to be gone")
            self.works(daemon)


class Log(Host):
    """Whatever becomes of the log, the broker serves."""

    def start_with(self, world, stderr):
        """The broker with this as its stderr; not World.start(), which gives it a file."""
        daemon = broker.Broker(world.configuration(), world.manager)
        daemon.write_config(daemon.config)
        daemon.child = broker.process.start([daemon.program, "-c", daemon.config_path], stdout=stderr, stderr=stderr,
                                            cwd=daemon.place, env=broker.environment(daemon.place, world.manager))
        world.broker = daemon
        self.watch(daemon)
        return daemon.wait_listening().wait_ready()

    @staticmethod
    def busy(daemon, rounds=300):
        """Much to log; how long each step took."""
        took = []
        for _ in range(rounds):
            began = time.monotonic()
            with daemon.connect(timeout=30) as client:
                client.query("SELECT 1")
            try:
                daemon.connect("nobody" + "x" * 500).close()
            except protocol.ServerError:
                took.append(time.monotonic() - began)
        return took

    def hardly_waits(self, took, rounds=300):
        """Nobody waited for the log: who has to waits until somebody reads it, or again and again."""
        self.assertEqual(len(took), rounds)
        self.assertLess(statistics.median(took), 0.5)
        self.assertLess(max(took), 10.0)

    def test_a_full_disk_stops_nothing(self):
        with self.world({"log": {"level": "debug"}}) as world, open("/dev/full", "wb") as full:
            daemon = self.start_with(world, full)
            self.hardly_waits(self.busy(daemon))
            self.spends_little(daemon)
            daemon.signal(signal.SIGHUP)
            self.works(daemon)

    def test_a_reader_that_is_gone_stops_nothing(self):
        with self.world({"log": {"level": "debug"}}) as world:
            reader, writer = os.pipe()
            daemon = self.start_with(world, writer)
            os.close(writer)
            os.close(reader)
            self.hardly_waits(self.busy(daemon))
            self.spends_little(daemon)
            self.works(daemon)

    def test_a_pipe_that_nobody_reads_stops_nothing_and_neither_does_its_end(self):
        with self.world({"log": {"level": "debug"}}) as world:
            reader, writer = os.pipe()
            self.addCleanup(os.close, reader)
            daemon = self.start_with(world, writer)
            os.close(writer)
            before = daemon.resident_kb()
            # More than the pipe and both of the log's buffers hold.
            self.hardly_waits(self.busy(daemon, 2500), 2500)
            if not meter.sanitized(daemon):
                self.assertLess(daemon.resident_kb() - before, 4096)
            self.spends_little(daemon)
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(), 0)

    def test_lines_that_were_dropped_are_counted_once_it_reads_again(self):
        with self.world({"log": {"level": "debug"}}) as world:
            reader, writer = os.pipe()
            daemon = self.start_with(world, writer)
            os.close(writer)
            self.busy(daemon, 2500)
            said = []

            def drain():
                with os.fdopen(reader, "rb") as file:
                    for line in file:
                        said.append(line)
            threading.Thread(target=drain, daemon=True).start()
            self.until(lambda: any(b"log lines dropped" in line for line in said), "the count of lost lines")
            self.works(daemon)

    def test_started_without_any_stderr_it_works(self):
        """Descriptors 0 to 2 are closed: nothing else may come to stand there and be written to."""
        with self.world() as world:
            daemon = broker.Broker(world.configuration(), world.manager)
            daemon.write_config(daemon.config)
            shell = f'exec {daemon.program} -c {daemon.config_path} 0<&- 1>&- 2>&-'
            daemon.child = broker.process.start(["sh", "-c", shell], cwd=daemon.place,
                                                env=broker.environment(daemon.place, world.manager))
            world.broker = daemon
            self.watch(daemon)
            daemon.wait_listening().wait_ready()
            self.busy(daemon, 20)
            kinds = {number: os.readlink(f"/proc/{daemon.child.pid}/fd/{number}") for number in (0, 1, 2)
                     if os.path.exists(f"/proc/{daemon.child.pid}/fd/{number}")}
            for number, what in kinds.items():
                self.assertEqual(what, "/dev/null", f"descriptor {number}")


class Ends(Host):
    """What was said is heard, even if the end comes right behind."""

    # More than a socket takes at once, and less than makes the broker stop the server.
    ROWS, WIDTH = 28, 10000

    def slow_reader(self, daemon, size=0):
        """A client whose answer of some hundred kilobytes has been given, but lies unread."""
        client = daemon.connect(timeout=30)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(protocol.query(f"SELECT repeat('x', {self.WIDTH}) FROM generate_series(1, {self.ROWS})"))
        return client

    def test_an_answer_is_delivered_whole_before_a_shutdown_ends_its_client(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            client = self.slow_reader(daemon)
            self.until(lambda: daemon.pool()["sv_active"] == 0, "the server to have done its part")
            daemon.signal(signal.SIGTERM)
            time.sleep(0.3)
            seen, rows = None, 0
            while seen != ("Z", b"I"):
                seen = client.read()
                rows += seen[0] == "D"
            self.assertEqual(rows, self.ROWS)
            kind, payload = client.read()
            self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "57P01"))
            client.close(politely=False)
            self.assertEqual(daemon.wait(20), 0)

    def test_the_servers_last_words_reach_a_client_that_reads_slowly(self):
        with self.world(pool_size=1, pool_mode="session") as world:
            daemon = self.watch(world.start())
            client = self.slow_reader(daemon)
            role = cluster.literal(world.environments["prod"].role)
            self.until(lambda: self.server.sql(f"SELECT 1 FROM pg_stat_activity WHERE usename = {role} "
                                               "AND state = 'idle' AND query LIKE 'SELECT repeat%'"),
                       "the server to have said it all")
            self.server.kill_sessions(world.environments["prod"].role)
            time.sleep(0.3)
            kinds = []
            try:
                while True:
                    kinds.append(client.read()[0])
            except protocol.Gone:
                pass
            self.assertEqual(kinds.count("D"), self.ROWS)
            self.assertEqual(kinds[-1], "E")


if __name__ == "__main__":
    story.main()
