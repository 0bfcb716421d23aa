"""Under a service manager: what it hears (sd_notify), and the socket that it keeps (socket activation)."""
import os
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import protocol
import story
from world import World

# What systemd does between fork and exec: the socket is descriptor 3, and the process id is only known here.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="pgbroker.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, name):
        self.name, self.heard = str(name), []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if self.name[0] == "@" else self.name)

    def words(self):
        """Every assignment heard so far."""
        while True:
            try:
                self.heard += self.socket.recv(4096, socket.MSG_DONTWAIT).decode().split("\n")
            except BlockingIOError:
                return self.heard


class Notify(story.Story):
    """sd_notify."""

    def start(self, world, name=None, **variables):
        self.manager = Manager(name or place.directory("notify") / "socket")
        self.addCleanup(self.manager.socket.close)
        world.add("prod")
        return self.watch(world.start(NOTIFY_SOCKET=self.manager.name, **variables))

    def hears(self, word, timeout=20.0):
        self.until(lambda: word in self.manager.words(), f"{word} among {self.manager.heard}", timeout)

    def test_it_is_ready_when_it_can_be_used_and_says_how_it_is(self):
        with World(self.server) as world:
            self.start(world)
            self.hears("READY=1")
            self.hears("STATUS=prod: ok")
            world.broker.console("PAUSE prod")
            self.hears("STATUS=prod: paused")

    def test_it_is_ready_after_the_first_good_login_and_asks_for_time_until_then(self):
        with World(self.server) as world:
            world.manager.start()
            world.manager.outage()
            self.manager = Manager(place.directory("notify") / "socket")
            self.addCleanup(self.manager.socket.close)
            world.add("prod")
            self.watch(world.start(ready=False, NOTIFY_SOCKET=self.manager.name))
            self.hears("STATUS=prod: no credentials yet")
            self.until(lambda: self.manager.words().count("EXTEND_TIMEOUT_USEC=10000000") > 1, "it to ask for more time")
            world.broker.reload()
            world.broker.wait_for_log("configuration reloaded")
            self.assertNotIn("READY=1", self.manager.words())
            world.manager.clear_faults()
            self.hears("READY=1")
            self.hears("STATUS=prod: ok")
            self.assertNotIn("RELOADING=1", self.manager.heard)

    def test_one_environment_that_can_be_used_is_enough(self):
        with World(self.server) as world:
            world.manager.start()
            world.manager.error(400, "AccessDeniedException", "no", None, secret_id="forecaster/database/staging")
            world.add("staging")
            self.start(world, ready=False)
            self.hears("READY=1")
            self.hears("STATUS=staging: no credentials yet; prod: ok")

    def test_an_abstract_name_is_heard_too(self):
        with World(self.server) as world:
            self.start(world, name=f"@pgbroker-story-{os.getpid()}")
            self.hears("READY=1")

    def test_a_reload_is_told_from_its_beginning_to_its_end(self):
        with World(self.server) as world:
            self.start(world)
            self.hears("READY=1")
            for config in (world.configuration(), "nonsense: [\n"):
                self.manager.words().clear()
                world.broker.reload(config)
                self.hears("READY=1")
                words = [word for word in self.manager.heard if not word.startswith("STATUS=")]
                self.assertEqual(words[0], "RELOADING=1")
                self.assertRegex(words[1], r"MONOTONIC_USEC=\d+$")
            world.broker.reload(world.configuration())

    def test_it_says_that_it_stops(self):
        with World(self.server) as world:
            daemon = self.start(world)
            with daemon.connect() as client:
                client.query("BEGIN")
                daemon.signal(signal.SIGTERM)
                self.hears("STOPPING=1")
                self.assertTrue(daemon.running())
                client.query("COMMIT")
                self.assertEqual(daemon.wait(), 0)

    def test_signs_of_life_come_while_the_loop_turns(self):
        with World(self.server) as world:
            daemon = self.start(world, WATCHDOG_USEC="400000")
            self.until(lambda: self.manager.words().count("WATCHDOG=1") > 3, "signs of life")
            daemon.signal(signal.SIGSTOP)
            self.until(lambda: self.state(daemon) == "T", "the broker to be stopped")
            self.manager.words().clear()
            time.sleep(1.0)
            self.assertEqual(self.manager.words(), [])
            daemon.signal(signal.SIGCONT)
            self.hears("WATCHDOG=1")

    @staticmethod
    def state(daemon):
        return pathlib.Path(f"/proc/{daemon.child.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def test_the_one_that_is_replaced_names_the_one_that_is_the_service_now(self):
        with World(self.server) as world:
            daemon = self.start(world)
            new = broker.Broker(world.configuration(), world.manager, args=["--replace"], directory=daemon.directory)
            self.watch(new.start(wait=False))
            self.hears(f"MAINPID={new.child.pid}")
            self.assertEqual(daemon.wait(), 0)
            world.broker = new.wait_ready()


class Activated(story.Story):
    """Socket activation."""

    def setUp(self):
        self.directory = place.directory("s")
        self.path = protocol.socket_path(self.directory)
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o640)
        self.listener.listen(64)

    def start(self, world, listener=None, args=(), **options):
        fd = (listener or self.listener).fileno()
        daemon = broker.Broker(world.configuration(), world.manager, directory=self.directory, **options)
        daemon.write_config(daemon.config)
        with open(daemon.log_path, "ab") as log:
            daemon.child = process.start([sys.executable, "-c", ACTIVATE, fd, daemon.program, "-c", daemon.config_path, *args],
                                         stdout=log, stderr=log, cwd=daemon.place, pass_fds=[fd],
                                         env=broker.environment(daemon.place, world.manager))
        return self.watch(daemon)

    def test_the_socket_outlives_the_broker_and_who_connects_meanwhile_is_served_by_the_next(self):
        with World(self.server) as world:
            world.add("prod")
            first = self.start(world).wait_ready()
            before = os.stat(self.path)
            self.assertEqual(before.st_mode & 0o777, 0o640)
            self.assertEqual(sorted(os.listdir(self.directory)), [".s.PGSQL.5432"])
            first.stop()
            self.assertEqual(os.stat(self.path).st_ino, before.st_ino)
            waits = protocol.Connection(self.directory)
            world.broker = self.start(world)
            self.assertEqual(waits.login("prod").query("SELECT 1").value(), "1")
            waits.close()

    def test_a_socket_that_is_not_the_configured_one_is_refused(self):
        with World(self.server) as world:
            world.add("prod")
            other = socket.socket(socket.AF_UNIX)
            self.addCleanup(other.close)
            other.bind(str(place.directory("other") / "socket"))
            other.listen(1)
            daemon = self.start(world, other)
            self.assertEqual(daemon.wait(), 1)
            self.assertIn("ListenStream=", daemon.log())

    def test_a_broker_that_was_given_its_socket_can_be_replaced_and_none_removes_it(self):
        with World(self.server) as world:
            world.add("prod")
            first = self.start(world).wait_ready()
            with first.connect() as client:
                world.broker = new = broker.Broker(world.configuration(), world.manager, args=["--replace"],
                                                   directory=self.directory)
                self.watch(new.start(wait=False)).wait_for_log("event=listening")
                self.assertEqual(client.query("SELECT 1").value(), "1")
            self.assertEqual(first.wait(), 0)
            self.assertEqual(new.connect().query("SELECT 2").value(), "2")
            new.stop()
            self.assertTrue(os.path.exists(self.path))

    def test_a_given_socket_and_replace_do_not_go_together(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.start(world, args=["--replace"])
            self.assertEqual(daemon.wait(), 1)
            self.assertRegex(daemon.log(), r"--replace.*LISTEN_FDS")


if __name__ == "__main__":
    story.main()
