"""The gap when AWSPENDING cannot be read: nothing works until the promotion, so clients wait, and none fails."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import rotation
import story
from load import everywhere, follows, under_load
from world import World

GAP = 60 if story.LONG else 8


class Gap(story.Story):
    """setSecret has committed, finishSecret has not, and the new password is out of reach."""

    timeout = 240

    def wait_it_out(self, hide_pending):
        with under_load(self, before_start=hide_pending) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(gap=GAP))
            follows(self, world, timeout=40)
            bridged = [int(row["bridged_ms"]) for row in world.broker.show("ROTATIONS")]
            self.assertTrue(any(time_ > 1000 * GAP / 2 for time_ in bridged), f"bridged for {bridged} ms")

    def test_clients_wait_when_a_policy_denies_the_pending_stage(self):
        def deny(world):
            world.manager.deny("AWSPENDING")
        self.wait_it_out(deny)

    def test_clients_wait_when_the_pending_version_is_empty(self):
        def empty(world):
            world.manager.fault("empty", times=None, stage="AWSPENDING")
        self.wait_it_out(empty)

    def test_no_client_fails_before_bridge_timeout_even_if_query_wait_timeout_is_shorter(self):
        with World(self.server) as world:
            environment = world.add("prod", rotation={"bridge_timeout": "60s"},
                                    pool={"query_wait_timeout": "1s", "server_lifetime": "1s"})
            daemon = self.watch(world.start())
            world.manager.deny("AWSPENDING")
            steps = rotation.Rotation(world.manager, environment.secret_name, self.server).run(until="set_secret")
            self.server.kill_sessions(environment.role)
            with daemon.connect() as waiting:
                waiting.send(protocol.query("SELECT 1"))
                self.assertTrue(waiting.silent(4), "answered before the promotion")
                steps.test_secret()
                steps.finish_secret()
                waiting.timeout = 40
                self.assertEqual(waiting.answer().value(), "1")

    def test_after_bridge_timeout_the_error_names_versions_and_no_password(self):
        with World(self.server) as world:
            environment = world.add("prod", rotation={"bridge_timeout": "3s"}, pool={"server_lifetime": "1s"})
            daemon = self.watch(world.start())
            world.manager.deny("AWSPENDING")
            began = time.monotonic()
            rotation.Rotation(world.manager, environment.secret_name, self.server).run(until="set_secret")
            self.server.kill_sessions(environment.role)
            error = self.refused("08001", lambda: daemon.connect().query("SELECT 1"))
            self.assertGreater(time.monotonic() - began, 2.5)
            current = world.manager.store.version_id(environment.secret_name)
            self.assertIn(current[:5], error.message + error.hint + error.fields.get("D", ""))
            for stage in ("AWSCURRENT", "AWSPENDING"):
                password = world.manager.document(environment.secret_name, stage)["password"]
                self.assertNotIn(password, str(error.fields) + daemon.log())

    def test_the_pool_recovers_by_itself_long_after_the_bridge_gave_up(self):
        with World(self.server) as world:
            environment = world.add("prod", rotation={"bridge_timeout": "2s"}, pool={"server_lifetime": "1s"})
            daemon = self.watch(world.start())
            world.manager.deny("AWSPENDING")
            steps = rotation.Rotation(world.manager, environment.secret_name, self.server).run(until="set_secret")
            self.server.kill_sessions(environment.role)
            self.refused("08001", lambda: daemon.connect().query("SELECT 1"))
            steps.test_secret()
            steps.finish_secret()
            daemon.wait_ready("prod", timeout=60)


if __name__ == "__main__":
    story.main()
