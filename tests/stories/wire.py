"""The protocol: who is who, startup in all its forms, messages of any size, and what comes unasked."""
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import World


class Wired(story.Story):
    """A world with one environment and the pool a story wants."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

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


if __name__ == "__main__":
    story.main()
