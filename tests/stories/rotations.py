"""Rotations go by unnoticed: each moment of each strategy, under queries that never stop.

Every story runs both pool modes, with clients that stay and clients that connect for each transaction.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import cluster
import pgbench
import rotation
import story
from load import everywhere, follows, logins, under_load
from world import World

HOLD = 20 if story.LONG else 4


class SingleUser(story.Story):
    """One user whose password changes: in the gap only AWSPENDING's is right."""

    timeout = 180

    def test_without_a_rotation_no_login_is_refused(self):
        with under_load(self, 6) as world:
            pass
        for environment in world.environments.values():
            self.server.need_own()
            self.assertEqual(self.server.count_refused_logins(environment.role), 0)
            self.assertGreater(self.server.count_logins(environment.role), 5)

    def test_between_rotate_and_create_the_pending_version_is_empty(self):
        with under_load(self, HOLD + 5) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(
                before={"create_secret": lambda: time.sleep(HOLD)}))
            follows(self, world)

    def test_between_create_and_set_the_pending_password_is_not_tried(self):
        with under_load(self, HOLD + 6) as world:
            steps = {}
            everywhere(world, lambda manager, name, server: steps.update(
                {name: rotation.Rotation(manager, name, server).run(until="create_secret")}))
            time.sleep(HOLD)
            if self.server.own:
                for environment in world.environments.values():
                    self.assertEqual(self.server.count_refused_logins(environment.role), 0)
            for steps_of_one in steps.values():
                steps_of_one.set_secret()
                steps_of_one.test_secret()
                steps_of_one.finish_secret()
            follows(self, world)

    def test_in_the_gap_logins_go_on_with_the_pending_password(self):
        with under_load(self, HOLD + 7) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(until="set_secret"))
            before = logins(world) if self.server.own else 0
            time.sleep(HOLD + 1)
            if self.server.own:
                self.assertGreater(logins(world), before + 3, "logins stopped in the gap")
            for environment in world.environments.values():
                store = world.manager.store
                store.update_stage(environment.secret_name, "AWSCURRENT",
                                   move_to=store.version_id(environment.secret_name, "AWSPENDING"),
                                   remove_from=store.version_id(environment.secret_name))
            follows(self, world, timeout=40)

    def test_after_the_promotion_a_stale_read_does_no_harm(self):
        with under_load(self, 12) as world:
            everywhere(world, lambda *words: rotation.rotate_single_user(*words, gap=1))
            world.manager.fault("stale", times=4, stage="AWSCURRENT")
            time.sleep(4)
            follows(self, world, timeout=40)

    def test_a_rotation_that_died_after_set_secret_is_lived_with_and_healed_later(self):
        with under_load(self, HOLD + 8) as world:
            steps = {}
            everywhere(world, lambda manager, name, server: steps.update(
                {name: rotation.Rotation(manager, name, server).run(until="set_secret")}))
            time.sleep(HOLD + 2)
            for steps_of_one in steps.values():     # the next attempt of the same rotation
                steps_of_one.set_secret()
                steps_of_one.test_secret()
                steps_of_one.finish_secret()
            follows(self, world, timeout=40)

    def test_a_secret_written_before_the_database_is_not_adopted_too_early(self):
        with under_load(self, HOLD + 8, poll_interval="1s") as world:
            everywhere(world, lambda *words: rotation.rotate_secret_first(*words, gap=HOLD))
            follows(self, world, timeout=40)

    def test_a_restored_database_takes_the_previous_password(self):
        with under_load(self, HOLD + 8) as world:
            old = {name: environment.password for name, environment in world.environments.items()}
            everywhere(world, lambda *words: rotation.rotate_single_user(*words))
            follows(self, world)
            for name, environment in world.environments.items():
                self.server.set_password(environment.role, old[name])
            time.sleep(HOLD)

    def test_three_rotations_in_a_row(self):
        with under_load(self, 14) as world:
            for _ in range(3):
                everywhere(world, lambda *words: rotation.rotate_single_user(*words, gap=1))
                time.sleep(1)
            follows(self, world, timeout=40)


class OtherChanges(story.Story):
    """The user or the host changes: the pool drains and switches."""

    timeout = 180

    def test_alternating_users_change_without_a_refused_login(self):
        with under_load(self, 16, poll_interval="1s") as world:
            for _ in range(3):
                everywhere(world, lambda *words: rotation.rotate_alternating_users(*words))
                follows(self, world)
                time.sleep(1)
            for environment in world.environments.values():
                user = world.manager.document(environment.secret_name)["username"]
                self.until(lambda: not self.server.sessions(environment.role),
                           f"{environment.role} to have no sessions left")
                self.assertTrue(user.endswith("_clone"))
                if self.server.own:     # its sessions live a second each, and the load may be over
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
            loads = [pgbench.Pgbench(daemon.uri(), seconds=10, clients=3, rate=60),
                     pgbench.Pgbench(daemon.uri(), seconds=10, clients=2, rate=20, reconnect=True)]
            for load in loads:
                self.addCleanup(load.stop)
            time.sleep(2)
            world.manager.put(environment.secret_name, {
                **world.manager.document(environment.secret_name), "host": "127.0.0.1", "port": str(other.port)})
            follows(self, world)
            self.until(lambda: other.sessions(environment.role), "sessions on the new host")
            self.until(lambda: not self.server.sessions(environment.role), "the old host to be left")
            outcomes = [load.finish() for load in loads]
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
        with under_load(self, 12) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(until="set_secret"))
            time.sleep(3)
            everywhere(world, lambda *words: rotation.rotate_secret_first(*words))
            follows(self, world, timeout=40)


if __name__ == "__main__":
    story.main()
