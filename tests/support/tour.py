#!/usr/bin/python3
"""The quickstart's tour: everything a broker needs, thrown away at the end, and three rotations under load.

A PostgreSQL cluster with TLS and SCRAM, the Secrets Manager stand-in, roles by sql/10_roles.sql, pgbrokerd,
and pgbench through its socket: some clients that stay, some that connect for each transaction.
"""
import argparse
import signal
import sys
import time

import broker
import cluster
import pgbench
import place
import process
import rotation
from secrets_manager import SecretsManager

LOGIN, OWNER, SECRET = "forecaster_user", "forecaster_owner", "forecaster/database/prod"

CONFIG = """\
socket: {{directory: {directory}}}
environments:
  prod:
    tls: {{root_cert: {root_cert}}}
    pool: {{pool_size: 8, server_lifetime: 1s}}     # so that logins never stop: the hard case
    rotation: {{poll_interval: 2s}}
"""


def say(words):
    print(words, flush=True)


def prepare_database(server, manager):
    """The database, its roles without passwords, and the first password in both places."""
    server.sql("CREATE DATABASE forecaster_db")
    server.psql(file=place.ROOT / "sql" / "10_roles.sql", database="forecaster_db",
                variables={"login": LOGIN, "owner": OWNER})
    password = rotation.new_password()
    server.set_password(LOGIN, password)
    manager.create(SECRET, {"engine": "postgres", "host": "localhost", "port": str(server.port),
                            "username": LOGIN, "password": password,
                            "database": "forecaster_db", "ssl_mode": "verify-full"})
    server.sql(pgbench.SETUP, "forecaster_db", LOGIN, password)


def start_broker(server, manager):
    """Its socket directory is known only now, so the configuration is written here."""
    daemon = broker.Broker(manager=manager)
    daemon.config = CONFIG.format(directory=daemon.directory, root_cert=server.root_cert)
    return daemon.start().wait_ready("prod")


def rotations(server, manager):
    """The three rotations as (what, call)."""
    return [
        ("single user, the gap held open 10 s", lambda: rotation.rotate_single_user(manager, SECRET, server, gap=10)),
        ("alternating users", lambda: rotation.rotate_alternating_users(manager, SECRET, server)),
        ("the secret written before the database", lambda: rotation.rotate_secret_first(manager, SECRET, server, gap=4)),
    ]


def on_version(daemon, version):
    """True when the broker logs in with this version of the secret."""
    return any(row["version_id"] == version for row in daemon.show("SECRETS", environment="prod"))


def rotate_under_load(server, manager, daemon):
    """(transactions, failed, rotations survived)."""
    loads = [pgbench.Pgbench(daemon.uri(), seconds=32, clients=6, rate=300),
             pgbench.Pgbench(daemon.uri(), seconds=32, clients=2, rate=40, reconnect=True)]
    survived = 0
    for what, rotate in rotations(server, manager):
        time.sleep(1.5)
        rotate()
        version = manager.store.version_id(SECRET)
        process.wait_until(lambda: on_version(daemon, version), f"the broker to follow: {what}", timeout=30)
        alive = all(load.child.poll() is None for load in loads)
        say(f"  rotated ({what}): {'queries go on' if alive else 'THE LOAD ENDED EARLY'}")
        survived += alive
    outcomes = [load.finish() for load in loads]
    for outcome in outcomes:
        if not outcome.clean:
            say(outcome.output)
    transactions = sum(outcome.transactions for outcome in outcomes)
    counted = int(server.sql("SELECT sum(n) FROM counters", "forecaster_db")[0][0])
    failed = sum(outcome.failed + (not outcome.clean) for outcome in outcomes) + abs(counted - transactions)
    return transactions, failed, survived


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--once", action="store_true", help="end after the rotations")
    options = arguments.parse_args()
    process.end_cleanly_on_signals()
    with cluster.Cluster(access="tls").start() as server, SecretsManager() as manager:
        say(f"PostgreSQL with TLS and SCRAM on localhost:{server.port}; Secrets Manager stand-in on {manager.url}")
        prepare_database(server, manager)
        with start_broker(server, manager) as daemon:
            say(f"pgbrokerd listens on {daemon.directory}; pgbench runs while the password is rotated three times")
            try:
                transactions, failed, survived = rotate_under_load(server, manager, daemon)
            except Exception:
                say(daemon.tail())
                raise
            say(f"transactions {transactions}, failed {failed}")
            say(f"rotations survived {survived}")
            status = daemon.ctl("status")
            say(status.stdout.rstrip("\n") + status.stderr)
            well = failed == 0 and survived == 3 and transactions > 0 and status.returncode == 0
            if well and not options.once:
                say(f'\nTry it:  psql "{daemon.uri()}"\n'
                    f'Console: psql "{daemon.uri("pgbroker")}" -c "SHOW POOLS"\nCtrl-C ends it all.')
                signal.pause()
    return 0 if well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("")
        sys.exit(0)
