"""A schedule of rotations of every kind, with mishaps, as a pure function of its seed; and how each is done.

    for turn in write(seed, seconds, names): Performer(world, gate).perform(turn)

Each turn ends settled: AWSCURRENT's password is the database's, and no rotation is under way.
"""
import collections
import random
import time

from rotation import Rotation, new_password
from secret_store import CURRENT, PENDING, PREVIOUS

EVERY = 6.0                                         # seconds from one turn to the next, on the average
RESTARTS = 5                                        # one in so many turns has one
# at: seconds from the beginning; gap, down: seconds; fault: (its kind, how often or how much) or None;
# restart: None or (seconds down, how).
Turn = collections.namedtuple("Turn", "number at environment kind gap variant fault fault_at restart")

# How often each comes, of 100.
KINDS = {
    "single": 28,               # the lambda's four steps, and a pause in the gap
    "alternating": 18,
    "secret_first": 10,         # an operator who writes the secret, and later the database
    "database_first": 8,        # and the other way round: meanwhile no password that can be read works
    "died_before_set": 5,       # the lambda ends after create_secret; a later attempt goes on
    "died_after_set": 7,
    "rolled_back": 7,           # after set_secret somebody takes it all back
    "abandoned": 4,             # after create_secret likewise: nothing has changed
    "twice": 5,                 # two at once, without a pause
    "labels": 5,                # AWSCURRENT is moved back by hand, and the database follows, or leads
    "hidden": 3,                # AWSPENDING may not be read, or is empty
}
# Between setSecret and its end only these leave a password that works and can be read.
MAY_RESTART = {"single", "alternating", "secret_first", "died_before_set", "died_after_set"}
FAULTS = ("throttle", "error", "outage", "slow", "cut", "reset", "html", "expire_token", "forget_key", "clock", "stale",
          "hang")


def write(seed, seconds, environments):
    """The turns in order. Kinds are dealt like cards, so that a short schedule has many."""
    dice, turns, hand = random.Random(seed), [], []
    count = int(seconds / EVERY)
    restarting = dice.randrange(RESTARTS)
    for number in range(count):
        if not hand:
            hand = [kind for kind, share in KINDS.items() for _ in range(share)]
            dice.shuffle(hand)
        kind = hand.pop()
        gap = dice.choice((0, dice.uniform(0, 0.3), dice.uniform(0.3, 3), dice.uniform(1, 4)))
        fault = (dice.choice(FAULTS), dice.randint(1, 3)) if dice.random() < 0.45 else None
        if fault and fault[0] == "clock" and turns and turns[-1].fault and turns[-1].fault[0] == "clock":
            fault = None                            # a clock that is put right and wrong within one request is no clock
        restart = None
        if number % RESTARTS == restarting:
            restart = (dice.choice((0, dice.uniform(0, 1.5))), dice.choice(("fast", "immediate")))
        turns.append(Turn(number, (number + dice.uniform(0, 0.5)) * EVERY, environments[number % len(environments)], kind,
                          round(gap, 3), dice.randrange(2), fault, dice.choice(("before", "gap")), restart))
    return turns


class Performer:
    """Does turns. restart(seconds, how) is called in a gap, or after a turn that has none for it."""

    def __init__(self, world, restart):
        self.world, self.manager, self.server, self.restart = world, world.manager, world.server, restart
        self.changes = collections.defaultdict(list)        # by environment: when the password in use changed
        self.passwords = set()

    def perform(self, turn):
        self.turn, self.restarted = turn, False
        self.name = self.world.environments[turn.environment].secret_name
        self.manager.clear_faults()
        self.no_more_pending()
        if turn.fault_at == "before":
            self.afflict()
        getattr(self, turn.kind)()
        self.passwords.add(self.manager.document(self.name)["password"])
        if turn.restart and not self.restarted:
            self.restart(*turn.restart)

    # ---- mishaps ----

    def afflict(self):
        kind, times = self.turn.fault or (None, 0)
        manager = self.manager
        if kind == "throttle":
            manager.throttle(times)
        elif kind == "error":
            manager.error(500, "InternalServiceError", "", times)
        elif kind == "outage":
            manager.outage(times=2 * times)
        elif kind == "slow":
            manager.fault("slow", times, seconds=0.7 * times)
        elif kind in ("cut", "reset", "html"):
            manager.fault(kind, times)
        elif kind == "hang":
            manager.fault("hang", 1, seconds=30.0)
        elif kind == "expire_token":
            manager.expire_token()
        elif kind == "forget_key":
            manager.forget_key()
        elif kind == "clock":
            manager.clock_offset = (-1) ** times * 700.0
        elif kind == "stale" and manager.store.version_id(self.name, PREVIOUS):
            manager.fault("stale", times, stage=CURRENT, secret_id=self.name)

    def gap(self):
        if self.turn.fault_at == "gap":
            self.afflict()
        if self.turn.restart and self.turn.kind in MAY_RESTART and not self.restarted:
            self.restarted = True
            self.restart(*self.turn.restart)
        time.sleep(self.turn.gap)

    # ---- what the kinds are made of ----

    def changed(self):
        """The password that is in use has changed: the next login with it will be refused."""
        self.changes[self.turn.environment].append(time.time())

    def steps(self, alternate=False):
        return Rotation(self.manager, self.name, self.server, alternate)

    def set_secret(self, steps):
        steps.set_secret()
        if not steps.alternate:
            self.changed()
        self.passwords.add(self.manager.document(self.name, PENDING)["password"])

    def whole(self, alternate=False, pause=True):
        steps = self.steps(alternate).run(until="create_secret")
        self.set_secret(steps)
        if pause:
            self.gap()
        steps.test_secret()
        steps.finish_secret()

    def no_more_pending(self):
        """The operator's end of a rotation, without which the next one may not begin."""
        holder = self.manager.store.version_id(self.name, PENDING)
        if holder:
            self.manager.store.update_stage(self.name, PENDING, remove_from=holder)

    def set_database(self, document):
        self.server.set_password(document["username"], document["password"])
        self.changed()

    # ---- the kinds ----

    def single(self):
        self.whole()

    def alternating(self):
        self.whole(alternate=True)

    def secret_first(self):
        document = {**self.manager.document(self.name), "password": new_password()}
        self.manager.put(self.name, document)
        self.gap()
        self.set_database(document)

    def database_first(self):
        document = {**self.manager.document(self.name), "password": new_password()}
        self.set_database(document)
        self.gap()
        self.manager.put(self.name, document)

    def died_before_set(self):
        steps = self.steps().run(until="create_secret")
        self.gap()
        self.set_secret(steps)
        steps.test_secret()
        steps.finish_secret()

    def died_after_set(self):
        steps = self.steps().run(until="create_secret")
        self.set_secret(steps)
        self.gap()
        steps.set_secret()                          # the next attempt begins there again, and finds it done
        steps.test_secret()
        steps.finish_secret()

    def rolled_back(self):
        steps = self.steps().run(until="create_secret")
        self.set_secret(steps)
        self.gap()
        if self.turn.variant:                       # in one order or the other
            self.no_more_pending()
        self.set_database(self.manager.document(self.name))
        if not self.turn.variant:
            self.no_more_pending()

    def abandoned(self):
        self.steps().run(until="create_secret")
        self.gap()
        self.no_more_pending()

    def twice(self):
        self.whole(pause=False)
        self.whole()

    def labels(self):
        self.whole(pause=False)
        before = self.manager.document(self.name, PREVIOUS)
        if self.turn.variant:
            self.set_database(before)
            self.gap()
        self.manager.store.update_stage(self.name, CURRENT, move_to=self.manager.store.version_id(self.name, PREVIOUS),
                                        remove_from=self.manager.store.version_id(self.name))
        if not self.turn.variant:
            self.gap()
            self.set_database(before)

    def hidden(self):
        if self.turn.variant:
            self.manager.error(400, "AccessDeniedException", "not authorized", None, stage=PENDING, secret_id=self.name)
        else:
            self.manager.fault("empty", None, stage=PENDING, secret_id=self.name)
        self.whole()
