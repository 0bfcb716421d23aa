"""Rotations go by unnoticed: each moment at which one user's password changes, under queries that never stop.

Every story runs both pool modes, with clients that stay and clients that connect for each transaction.
rotations_other.py changes more than a password.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rotation
import story
from load import everywhere, follows, logins, under_load

HOLD = 20 if story.LONG else 4


class SingleUser(story.Story):
    """One user whose password changes: in the gap only AWSPENDING's is right."""

    timeout = 300

    def test_without_a_rotation_no_login_is_refused(self):
        with under_load(self) as world:
            time.sleep(HOLD)
        for environment in world.environments.values():
            self.server.need_own()
            self.assertEqual(self.server.count_refused_logins(environment.role), 0)
            self.assertGreater(self.server.count_logins(environment.role), 5)

    def test_between_rotate_and_create_the_pending_version_is_empty(self):
        with under_load(self) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(
                before={"create_secret": lambda: time.sleep(HOLD)}))
            follows(self, world)

    def test_between_create_and_set_the_pending_password_is_not_tried(self):
        with under_load(self) as world:
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
        with under_load(self) as world:
            everywhere(world, lambda *words: rotation.Rotation(*words).run(until="set_secret"))
            before = logins(world) if self.server.own else 0
            if self.server.own:
                self.until(lambda: logins(world) > before + 3, "logins in the gap", 40)
            else:
                time.sleep(HOLD)
            for environment in world.environments.values():
                store = world.manager.store
                store.update_stage(environment.secret_name, "AWSCURRENT",
                                   move_to=store.version_id(environment.secret_name, "AWSPENDING"),
                                   remove_from=store.version_id(environment.secret_name))
            follows(self, world, timeout=40)

    def test_after_the_promotion_a_stale_read_does_no_harm(self):
        with under_load(self) as world:
            everywhere(world, lambda *words: rotation.rotate_single_user(*words, gap=1))
            world.manager.fault("stale", times=4, stage="AWSCURRENT")
            time.sleep(4)
            follows(self, world, timeout=40)

    def test_a_rotation_that_died_after_set_secret_is_lived_with_and_healed_later(self):
        with under_load(self) as world:
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
        with under_load(self, poll_interval="1s") as world:
            everywhere(world, lambda *words: rotation.rotate_secret_first(*words, gap=HOLD))
            follows(self, world, timeout=40)

    def test_a_restored_database_takes_the_previous_password(self):
        with under_load(self) as world:
            old = {name: environment.password for name, environment in world.environments.items()}
            everywhere(world, lambda *words: rotation.rotate_single_user(*words))
            follows(self, world)
            for name, environment in world.environments.items():
                self.server.set_password(environment.role, old[name])
            time.sleep(HOLD)

    def test_three_rotations_in_a_row(self):
        with under_load(self) as world:
            for _ in range(3):
                everywhere(world, lambda *words: rotation.rotate_single_user(*words, gap=1))
                time.sleep(1)
            follows(self, world, timeout=40)


if __name__ == "__main__":
    story.main()
