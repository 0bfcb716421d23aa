"""Rotations go by unnoticed: another user, another host, another version in between, under queries that never stop."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import cluster
import pgbench
import rotation
import story
from load import everywhere, follows, under_load
from world import World


class OtherChanges(story.Story):
    """The user or the host changes: the pool drains and switches."""

    timeout = 300

    def test_alternating_users_change_without_a_refused_login(self):
        with under_load(self, poll_interval="1s") as world:
            for _ in range(3):
                everywhere(world, lambda *words: rotation.rotate_alternating_users(*words))
                follows(self, world)
                time.sleep(1)
            for environment in world.environments.values():
                user = world.manager.document(environment.secret_name)["username"]
                if environment.name == "prod":      # in session mode who stays keeps the one that it has
                    self.until(lambda: not self.server.sessions(environment.role),
                               f"{environment.role} to have no sessions left", 40)
                self.assertTrue(user.endswith("_clone"))
                if self.server.own:     # its sessions live a second each
                    self.assertGreater(self.server.count_logins(user), 0)
        if self.server.own:
            for environment in world.environments.values():
                self.assertEqual(self.server.count_refused_logins(environment.role), 0)

    def test_another_host_takes_over_once_the_secret_says_so(self):
        self.server.need_own()
        with cluster.Cluster().start() as other, World(self.server) as world:
            environment = world.add("prod", counters=True, rotation={"poll_interval": "1s"},
                                    tls={"root_cert": self.both_authorities(other)},
                                    pool={"pool_size": 6, "server_lifetime": "1s"})
            self.mirror(environment, other)
            daemon = self.watch(world.start())
            loads = [pgbench.Pgbench(daemon.uri(), clients=3, rate=60),
                     pgbench.Pgbench(daemon.uri(), clients=2, rate=20, reconnect=True)]
            for load in loads:
                self.addCleanup(load.stop)
            self.until(lambda: world.counted() > 50, "the load to be there")
            world.manager.put(environment.secret_name, {
                **world.manager.document(environment.secret_name), "host": "127.0.0.1", "port": str(other.port)})
            follows(self, world)
            self.until(lambda: other.sessions(environment.role), "sessions on the new host")
            self.until(lambda: not self.server.sessions(environment.role), "the old host to be left")
            outcomes = [load.end() for load in loads]
            for outcome in outcomes:
                self.assertTrue(outcome.clean, str(outcome))
            there = int(other.sql("SELECT sum(n) FROM counters", environment.database)[0][0])
            self.assertGreater(there, 0)
            self.assertEqual(world.counted() + there, sum(outcome.transactions for outcome in outcomes))

    def both_authorities(self, other):
        path = other.place / "both.crt"
        path.write_text(self.server.root_cert.read_text() + other.root_cert.read_text())
        return str(path)

    @staticmethod
    def mirror(environment, other):
        """The same role and database on the other server."""
        role = cluster.identifier(environment.role)
        other.sql(f"CREATE ROLE {role} LOGIN PASSWORD {cluster.literal(environment.password)}")
        other.sql(f"CREATE DATABASE {cluster.identifier(environment.database)} OWNER {role}")
        other.sql(pgbench.SETUP, environment.database, environment.role, environment.password)

    def test_a_pending_version_of_another_host_is_never_tried(self):
        self.server.need_own()
        with cluster.Cluster().start() as other, World(self.server) as world:
            environment = world.add("prod", rotation={"bridge_timeout": "4s"}, pool={"server_lifetime": "1s"})
            daemon = self.watch(world.start())
            document = world.manager.document(environment.secret_name)
            world.manager.put(environment.secret_name, {**document, "port": str(other.port), "password": "new"},
                              stages=["AWSPENDING"])
            self.server.set_password(environment.role, "new")
            self.server.kill_sessions(environment.role)
            self.until(lambda: not self.server.sessions(environment.role), "the old sessions to go")
            refused = self.refused("08001", lambda: daemon.connect("prod").query("SELECT 1"))
            self.assertNotIn("new", refused.message + refused.hint)
            self.assertEqual(other.count_refused_logins(), 0)
            self.assertFalse([line for line in other.log_lines() if line["remote"].startswith("127.")])

    def test_a_third_version_that_an_operator_writes_in_the_gap_is_adopted(self):
        with under_load(self) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(until="set_secret"))
            time.sleep(3)
            everywhere(world, lambda *words: rotation.rotate_secret_first(*words))
            follows(self, world, timeout=40)

    def test_a_rotation_that_is_rolled_back_in_the_gap_leads_back_to_the_password_before(self):
        with under_load(self) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(until="set_secret"))
            follows(self, world, stage="AWSPENDING")
            for environment in world.environments.values():
                store = world.manager.store
                self.server.set_password(environment.role, environment.password)
                store.update_stage(environment.secret_name, "AWSPENDING",
                                   remove_from=store.version_id(environment.secret_name, "AWSPENDING"))
            follows(self, world, timeout=60)

    def test_a_label_that_is_moved_back_by_hand_is_followed_when_its_password_is_right_again(self):
        with under_load(self, poll_interval="1s") as world:
            everywhere(world, lambda *words: rotation.rotate_single_user(*words))
            follows(self, world)
            for environment in world.environments.values():
                store = world.manager.store
                store.update_stage(environment.secret_name, "AWSCURRENT",
                                   move_to=store.version_id(environment.secret_name, "AWSPREVIOUS"),
                                   remove_from=store.version_id(environment.secret_name))
                self.server.set_password(environment.role, environment.password)
            follows(self, world, timeout=60)


if __name__ == "__main__":
    story.main()
