"""Queries without a pause while something happens underneath, and the reckoning afterwards.

Two environments, one in transaction and one in session mode, each under a pgbench that stays connected
and one that connects for every transaction. server_lifetime is a second, so logins never stop.
"""
import contextlib
import threading

import pgbench
from world import World

LIFETIME = "1s"
# So many are allowed in the first minute of a bridge, per environment.
REFUSED_LOGINS = 12
MODES = {"prod": "transaction", "staging": "session"}


@contextlib.contextmanager
def under_load(story, poll_interval="300s", before_start=None, **pool):
    """Yields the world when all are at work; at the end, when they have gone on for some more, everything is counted
    and compared."""
    with World(story.server) as world:
        for name, mode in MODES.items():
            world.add(name, counters=True, rotation={"poll_interval": poll_interval},
                      pool={"pool_mode": mode, "pool_size": 8, "server_lifetime": LIFETIME, **pool})
        if before_start:
            before_start(world)
        daemon = story.watch(world.start())
        loads = {name: [pgbench.Pgbench(daemon.uri(name), clients=3, rate=60),
                        pgbench.Pgbench(daemon.uri(name), clients=2, rate=20, reconnect=True)]
                 for name in MODES}
        for bench in sum(loads.values(), []):
            story.addCleanup(bench.stop)
        go_on(story, daemon)
        yield world
        go_on(story, daemon)
        bridges = {name: sum(int(row["login_failures"]) > 0 for row in daemon.show("ROTATIONS", environment=name))
                   for name in MODES}
        for name, benches in loads.items():
            reckon(story, world, name, [bench.end() for bench in benches], bridges[name])


def go_on(story, daemon, transactions=60):
    """Until each environment has seen so many more transactions."""
    def seen():
        return {row["database"]: int(row["xact_count"]) for row in daemon.show("STATS_TOTALS")}
    before = seen()
    story.until(lambda: all(seen()[name] >= before[name] + transactions for name in MODES), "the load to go on", 60)


def reckon(story, world, name, outcomes, bridges):
    """No transaction failed, none was lost or done twice, and the server refused few logins."""
    for outcome in outcomes:
        story.assertTrue(outcome.clean and outcome.transactions > 0, f"{name}: {outcome}")
    story.assertEqual(world.counted(name), sum(outcome.transactions for outcome in outcomes), name)
    if world.server.own:
        refused = world.server.count_refused_logins(world.environments[name].role)
        story.assertLessEqual(refused, REFUSED_LOGINS * max(1, bridges), f"refused logins of {name}")


def everywhere(world, call):
    """call(manager, secret name, server) for all environments at the same time."""
    failures = []

    def one(environment):
        try:
            call(world.manager, environment.secret_name, world.server)
        except Exception as error:                  # handed to the story's own thread below
            failures.append(error)

    threads = [threading.Thread(target=one, args=(environment,)) for environment in world.environments.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def follows(story, world, timeout=20, stage="AWSCURRENT"):
    """Waits until the broker is on the version of that label in every environment."""
    for environment in world.environments.values():
        version = world.manager.store.version_id(environment.secret_name, stage)
        story.until(lambda: world.broker.show("SECRETS", environment=environment.name, version_id=version),
                    f"{environment.name} to be on version {version}", timeout)


def logins(world, name="prod"):
    return world.server.count_logins(world.environments[name].role)
