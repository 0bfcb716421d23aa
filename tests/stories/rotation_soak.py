"""A soak of rotations: of every kind, one after another, under every kind of client, while Secrets Manager and the
server have their own mishaps. What must never be seen is a transaction that fails although it could be done.

22 rotations in 132 seconds, 5 under a sanitizer; with PGBROKER_LONG=1 200 in 20 minutes. The schedule is a pure
function of the seed, which is printed: PGBROKER_SEED=N does the same again.
"""
import calendar
import contextlib
import os
import pathlib
import random
import re
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import meter
import mixed_load
import rotation_schedule
import story
from load import REFUSED_LOGINS
from mixed_load import Gate, MixedLoad
from world import World

SECONDS = 1200 if story.LONG else 132
SANITIZED_SECONDS = 600 if story.LONG else 30
MODES = {"prod": ("transaction", mixed_load.TRANSACTION_MODE), "staging": ("session", mixed_load.SESSION_MODE)}
POOL = 8
# What may be said to somebody whose transaction was under way when its server went.
IN_FLIGHT = ("57P01", "57P02", "08006")
MINUTE = 60.0
GROWTH_KB = 4096


def quarters(numbers):
    """The medians of the first, second, third and last quarter; of too few numbers the last ones count for more."""
    numbers = numbers + numbers[-1:] * (4 - len(numbers))
    size = max(1, len(numbers) // 4)
    return [statistics.median(numbers[at * size:(at + 1) * size if at < 3 else None]) for at in range(4)]


class RotationSoak(story.Story):
    timeout = SECONDS + 420.0

    def world(self):
        world = World(self.server)
        for name, (mode, _) in MODES.items():
            environment = world.add(name, counters=True, rotation={"poll_interval": "5s"},
                                    pool={"pool_mode": mode, "pool_size": POOL, "server_lifetime": "3s"})
            self.server.sql(mixed_load.SETUP, environment.database, environment.role, environment.password)
        return world

    def restart(self, down, how):
        """Who has no transaction under way waits meanwhile, and is served afterwards."""
        self.gate.shut()
        began = time.monotonic()
        self.server.pause(signal.SIGQUIT if how == "immediate" else signal.SIGINT)
        self.gate.reopen()
        time.sleep(down)                            # for other lengths of the outage; nothing waits for it
        self.server.resume()
        self.restarts.append((began, time.monotonic()))

    def turns(self, performer, turns, daemon):
        """Each at its time, or when the one before is done; how much memory there was after each."""
        began, resident, done = time.monotonic(), [], 0
        seconds = turns[-1].at + rotation_schedule.EVERY
        for turn in turns:
            time.sleep(max(0.0, began + turn.at - time.monotonic()))
            if time.monotonic() - began > seconds + 30:         # a machine that busy does what it can
                break
            self.marks.append((time.monotonic(), turn))
            performer.perform(turn)
            resident.append(daemon.resident_kb())
            done += 1
        self.assertGreater(done, len(turns) // 2, "turns of the schedule were done in its time")
        return resident

    def test_random_rotations_and_mishaps_under_every_kind_of_load_cost_no_transaction(self):
        self.server.need_own()
        seed = int(os.environ.get("PGBROKER_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"      PGBROKER_SEED={seed}", flush=True)
        self.server.configure(synchronous_commit="on")         # what was committed outlives an immediate stop
        self.restarts, self.marks, self.gate = [], [], Gate()
        with self.world() as world:
            daemon = self.watch(world.start())
            sanitized = meter.sanitized(daemon)
            turns = rotation_schedule.write(seed, SANITIZED_SECONDS if sanitized else SECONDS, list(MODES))
            performer = rotation_schedule.Performer(world, self.restart)
            descriptors = meter.descriptors(daemon)
            with contextlib.ExitStack() as stack:
                loads = [stack.enter_context(MixedLoad(daemon, name, kinds, self.gate))
                         for name, (_, kinds) in MODES.items()]
                resident = self.turns(performer, turns, daemon)
                world.manager.clear_faults()
                for name, environment in world.environments.items():
                    version = world.manager.store.version_id(environment.secret_name)
                    self.until(lambda: daemon.show("SECRETS", environment=name, version_id=version),
                               f"{name} to be on version {version}", 90)
            self.told(loads, performer, world, resident)
            self.check_failures(loads)
            for load in loads:
                load.reckon(self, world)
            for name, environment in world.environments.items():
                self.check_refused_logins(name, environment, performer.changes[name])
            self.check_log(daemon, performer)
            self.until(lambda: meter.descriptors(daemon) <= descriptors + 2 * POOL * len(MODES),
                       "descriptors to be as few as before, and what the pools may hold")
            if not sanitized:
                _, warm, _, end = quarters(resident)
                self.assertLess(end - warm, GROWTH_KB, f"kB more than when it was warm: {resident}")

    def told(self, loads, performer, world, resident):
        failures = sum(len(load.failures()) for load in loads)
        refused = sum(len(self.refused_at(environment)) for environment in world.environments.values())
        changes = sum(map(len, performer.changes.values()))
        print(f"      {len(self.marks)} rotations, {len(self.restarts)} restarts; "
              f"{sum(load.transactions() for load in loads)} transactions, {failures} failed; {refused} logins refused "
              f"after {changes} changes of a password; resident kB by quarters {quarters(resident)}", flush=True)

    # ---- what must hold ----

    def check_failures(self, loads):
        """Only who was marked may have failed, and only by a restart in the middle."""
        lost = [f"{failure}\n    in turn {self.turn_at(failure.ended)}" for load in loads for failure in load.failures()
                if not self.excused(failure)]
        self.assertFalse(lost, "\n".join(lost))

    def excused(self, failure):
        return (failure.client.marked and failure.sqlstate in IN_FLIGHT
                and any(failure.began < back and stopped < failure.ended for stopped, back in self.restarts))

    def turn_at(self, moment):
        return next((turn for began, turn in reversed(self.marks) if began <= moment), None)

    def refused_at(self, environment):
        """When, in seconds since the epoch; the role and the one it alternates with."""
        return [calendar.timegm(time.strptime(line["time"][:19], "%Y-%m-%d %H:%M:%S"))
                for line in self.server.log_lines()
                if line["sqlstate"] in ("28P01", "28000") and "FATAL" in line["text"] and line["remote"] != "[local]"
                and line["user"].startswith(environment.role)]

    def check_refused_logins(self, name, environment, changes):
        """In no minute more than twelve for each bridge that may have begun in it, or was going on."""
        refused = self.refused_at(environment)
        for began in refused:
            count = sum(began <= moment < began + MINUTE for moment in refused)
            bridges = sum(began - MINUTE <= moment < began + MINUTE for moment in changes)
            self.assertLessEqual(count, REFUSED_LOGINS * max(1, bridges),
                                 f"refused logins of {name} in a minute with {bridges} changes of the password")

    def check_log(self, daemon, performer):
        log = daemon.log()
        self.assertNotRegex(log, r"out of sync|protocol violation|XX000")
        told = [password for password in performer.passwords if re.search(re.escape(password), log)]
        self.assertEqual(told, [])


if __name__ == "__main__":
    story.main()
