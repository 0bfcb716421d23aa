"""A physical replica is behind: for a while it takes the password before, and the primary the new one."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import cluster
import mixed_load
import rotation
import story
from load import REFUSED_LOGINS, everywhere, follows
from world import World

LATER = 4                                           # a minute, after the first


class Behind(story.Story):
    """The replica has its replay paused while the password changes on the primary."""

    timeout = 240.0

    def setUp(self):
        self.server.need_own()
        self.primary = self.enterContext(cluster.Cluster().start())
        self.replica = self.enterContext(cluster.Cluster(standby_of=self.primary).start())

    def world(self, host, port):
        world = self.enterContext(World(self.primary))
        both = self.primary.place / "both.crt"
        both.write_text(self.primary.root_cert.read_text() + self.replica.root_cert.read_text())
        self.environment = world.add("prod", secret={"host": host, "port": port}, tls={"root_cert": str(both)},
                                     rotation={"poll_interval": "1s"},
                                     pool={"pool_size": 3, "server_lifetime": "1s"})
        self.until(lambda: self.replica.caught_up(self.primary), "the replica to have it all")
        self.watch(world.start())
        return world

    def fall_behind(self):
        self.replica.sql("SELECT pg_wal_replay_pause()")
        self.until(lambda: self.replica.sql("SELECT pg_get_wal_replay_pause_state()") == [("paused",)], "no more replay")

    def catch_up(self):
        self.replica.sql("SELECT pg_wal_replay_resume()")

    def logins(self):
        return self.replica.count_logins(self.environment.role)

    def rotated_behind(self, world, wait=lambda: None):
        """A rotation that reaches the replica later; who reads meanwhile must not notice."""
        with mixed_load.MixedLoad(world.broker, "prod", (mixed_load.Reader,) * 3 + (mixed_load.NewReader,) * 2) as load:
            self.fall_behind()
            everywhere(world, lambda *words: rotation.rotate_single_user(*words))
            new = world.manager.document(self.environment.secret_name)["password"]
            self.assertFalse(self.replica.login_works(self.environment.role, new, self.environment.database))
            self.until(lambda: self.replica.count_refused_logins(self.environment.role), "the replica to refuse the new one")
            wait()
            self.catch_up()
            follows(self, world, timeout=90)
            marks = [client.done for client in load.clients]
            self.until(lambda: all(client.done >= mark + 5 for client, mark in zip(load.clients, marks)), "all to go on", 60)
        self.assertEqual([str(failure) for failure in load.failures()], [])
        self.assertLessEqual(self.refused(), REFUSED_LOGINS + LATER)

    def refused(self):
        return sum(server.count_refused_logins(self.environment.role) for server in (self.primary, self.replica))

    def test_who_reads_from_it_goes_on_with_the_password_before(self):
        def logins_go_on():
            before = self.logins()
            self.until(lambda: self.logins() >= before + 4, "logins to go on", 60)
        self.rotated_behind(self.world("localhost", str(self.replica.port)), logins_go_on)

    def test_who_reads_from_either_waits_for_the_one_that_takes_the_password(self):
        self.rotated_behind(self.world("localhost,127.0.0.1", f"{self.primary.port},{self.replica.port}"))


if __name__ == "__main__":
    story.main()
