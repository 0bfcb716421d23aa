#!/usr/bin/python3
"""The server goes away and comes back, here or elsewhere: who has nothing in flight never sees it."""
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import cluster
import pg_standin
import place
import process
import protocol
import story
from world import World

# What may be said to somebody whose query was running when its server went: the server's own words, or
# that it said none.
IN_FLIGHT = ("57P01", "57P02", "08006")


class Worker(threading.Thread):
    """A client that asks without end; it connects again after an error, and keeps count of all."""

    def __init__(self, daemon, sql="SELECT 1", pause=0.005, database="prod"):
        super().__init__(daemon=True)
        self.daemon_under, self.sql, self.pause, self.database = daemon, sql, pause, database
        self.done, self.failures, self.answers, self.stopped = [], [], [], threading.Event()
        self.broken = None
        self.start()

    def run(self):
        try:
            self.work()
        except Exception as error:                  # told by finish()
            self.broken = error

    def work(self):
        client = None
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                client = client or self.daemon_under.connect(self.database, timeout=60)
                self.answers.append((time.monotonic(), client.query(self.sql).value()))
                self.done.append((began, time.monotonic()))
            except protocol.ServerError as error:
                self.failures.append((began, error.sqlstate, str(error)))
                client.close(politely=False) if client else None
                client = None
            time.sleep(self.pause)
        if client:
            client.close()

    def finish(self):
        self.stopped.set()
        self.join(90)
        if self.broken:
            raise self.broken

    def latency_after(self, back):
        """Of the answers that were waited for when the server was back, how much later they came."""
        return [ended - back for began, ended in self.done if began < back < ended]


class Restarts(story.Story):
    """One server, stopped and started again."""

    timeout = 300.0

    def test_restarts_under_load_cost_only_what_was_in_flight(self):
        self.server.need_own()
        rounds = 20 if story.LONG else 5
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 4})
            daemon = self.watch(world.start())
            idle = [daemon.connect(timeout=60) for _ in range(3)]
            for client in idle:
                client.query("SELECT 1")
            workers = [Worker(daemon) for _ in range(6)]
            late = []
            for number in range(rounds):
                # Each has a query done since the last time, so that each failure has a restart of its own.
                before = [len(worker.done) for worker in workers]
                self.until(lambda: all(len(worker.done) > count + 5 for worker, count in zip(workers, before)),
                           "all to work")
                self.server.pause(signal.SIGQUIT if number % 2 else signal.SIGINT)
                time.sleep(0.3 * (number % 4))      # for other lengths of the outage; nothing waits for it
                self.server.resume()
                back = time.monotonic()
                self.until(lambda: all(worker.done and worker.done[-1][0] > back for worker in workers),
                           "all to work again")
                late += [seconds for worker in workers for seconds in worker.latency_after(back)]
                for client in idle:
                    self.assertEqual(client.query("SELECT 7").value(), "7")
            for worker in workers:
                worker.finish()
                self.assertLessEqual(len(worker.failures), rounds, worker.failures)
                for _, sqlstate, text in worker.failures:
                    self.assertIn(sqlstate, IN_FLIGHT, text)
            if late:                                    # the long version has the machine for itself
                late.sort()
                self.assertLess(late[len(late) * (99 if story.LONG else 50) // 100], 1.0, late)
            for client in idle:
                client.close()

    def test_who_waits_during_an_outage_is_served_after_it_however_short_server_login_retry_is(self):
        self.server.need_own()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 2, "server_login_retry": "200ms"})
            daemon = self.watch(world.start())
            idle = daemon.connect(timeout=60)
            idle.query("SELECT 1")
            self.server.pause()
            idle.send(protocol.query("SELECT 1"))
            self.until(lambda: any("refused" in row["why"] for row in daemon.show("WAITS")), "it to wait, and why")
            time.sleep(1.0)                         # many times server_login_retry
            newcomer = daemon.connect(timeout=60)
            newcomer.send(protocol.query("SELECT 2"))
            self.server.resume()
            idle.answer()
            newcomer.answer()
            idle.close()
            newcomer.close()

    def test_a_long_outage_does_not_slow_the_tries_while_somebody_waits(self):
        self.server.need_own()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 2})
            daemon = self.watch(world.start())
            client = daemon.connect(timeout=60)
            client.query("SELECT 1")

            def tries():
                return sum(int(row["count"]) for row in daemon.show("ERRORS", source="login"))
            self.server.pause()
            client.send(protocol.query("SELECT 1"))
            self.until(lambda: tries() >= 6, "six tries", 30)
            began = time.monotonic()
            self.until(lambda: tries() >= 10, "four more", 30)
            self.assertLess(time.monotonic() - began, 10)   # twice a second; pauses that doubled on: 18 s
            self.server.resume()
            client.answer()
            client.close()

    def test_an_outage_that_outlasts_query_wait_timeout_is_told_with_its_reason(self):
        self.server.need_own()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 2, "query_wait_timeout": "2s"})
            daemon = self.watch(world.start())
            client = daemon.connect(timeout=60)
            client.query("SELECT 1")
            self.server.pause()
            try:
                error = self.refused("08001", client.query, "SELECT 1")
                self.assertIn("refused", str(error))
            finally:
                self.server.resume()

    def test_a_host_that_never_was_reached_is_told_after_server_login_retry(self):
        with World(self.server) as world:
            world.manager.create("forecaster/database/prod", {
                "host": "127.0.0.1", "port": str(place.free_port()), "username": "app", "password": "p", "database": "d"})
            world.config["prod"] = {"pool": {"server_login_retry": "1s"}}
            daemon = self.watch(world.start(ready=False))
            began = time.monotonic()
            self.refused("08001", lambda: daemon.connect(timeout=60).query("SELECT 1"))
            self.assertLess(time.monotonic() - began, 30)

    def test_a_server_that_starts_slowly_is_waited_for_and_not_pestered(self):
        starting = time.monotonic() + 3.0

        def behave(session):
            if time.monotonic() < starting:
                pg_standin.refuse("57P03", "the database system is starting up")(session)
            else:
                pg_standin.serve(session)
        with pg_standin.PgStandin(behave) as standin, World(self.server) as world:
            world.manager.create("forecaster/database/prod", standin.secret())
            world.config["prod"] = {"pool": {"pool_size": 2, "server_login_retry": "500ms"}}
            daemon = self.watch(world.start(ready=False))
            self.assertEqual(daemon.connect(timeout=60).query("SELECT 1").value(), "SELECT 1")
            self.assertLess(time.monotonic() - starting, 10)
            self.assertLessEqual(len(standin.logins()), 30)
            self.assertLessEqual(daemon.log().count("server login failed"), 8)


class Full(story.Story):
    """The server takes no more connections."""

    def test_a_role_at_its_limit_lets_clients_wait_for_the_servers_there_are(self):
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 6, "server_login_retry": "500ms"})
            self.server.sql(f'ALTER ROLE "{environment.role}" CONNECTION LIMIT 2')
            daemon = self.watch(world.start())
            workers = [Worker(daemon, "SELECT pg_sleep(0.02)", pause=0) for _ in range(8)]
            self.until(lambda: any(row["sqlstate"] == "53300" for row in daemon.show("ERRORS")), "the limit to be hit")
            marks = [len(worker.done) for worker in workers]
            self.until(lambda: all(len(worker.done) >= mark + 5 for worker, mark in zip(workers, marks)),
                       "all to be served in turn")
            self.server.sql(f'ALTER ROLE "{environment.role}" CONNECTION LIMIT -1')
            self.until(lambda: len(daemon.show("SERVERS", database="prod")) > 2, "more servers")
            for worker in workers:
                worker.finish()
                self.assertEqual(worker.failures, [])

    def test_when_others_have_every_connection_clients_wait_until_one_is_free(self):
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 2, "server_login_retry": "200ms"})
            self.server.sql(f'ALTER ROLE "{environment.role}" CONNECTION LIMIT 0')
            daemon = self.watch(world.start(ready=False))
            client = daemon.raw(timeout=60)
            client.send(protocol.startup_message({"user": "story", "database": "prod"}))
            self.until(lambda: any(row["sqlstate"] == "53300" for row in daemon.show("ERRORS")), "the limit to be hit")
            time.sleep(1.0)                         # many times server_login_retry
            self.server.sql(f'ALTER ROLE "{environment.role}" CONNECTION LIMIT -1')
            client.read_until("Z")
            self.assertEqual(client.query("SELECT 1").value(), "1")
            client.close()


class Pair(story.Story):
    """A primary and a standby that follows it."""

    timeout = 300.0

    def setUp(self):
        self.server.need_own()

    def pair(self):
        primary = self.enterContext(cluster.Cluster().start())
        standby = self.enterContext(cluster.Cluster(standby_of=primary).start())
        return primary, standby

    def world(self, primary, standby, order=None, secret=None, **pool):
        first, second = order or (primary, standby)
        world = self.enterContext(World(primary))
        environment = world.add("prod", pool=pool, tls={"root_cert": str(self.both(primary, standby))},
                                secret={"host": "localhost,127.0.0.1", "port": f"{first.port},{second.port}",
                                        **(secret or {})})
        primary.sql("CREATE TABLE written (n int); GRANT ALL ON written TO PUBLIC", environment.database)
        self.until(lambda: standby.caught_up(primary), "the standby to have it all")
        return world

    def both(self, *servers):
        """Each has an authority of its own."""
        path = servers[0].place / "both.crt"
        path.write_text("".join(server.root_cert.read_text() for server in servers))
        return path

    def ports(self, daemon):
        return {int(row["port"]) for row in daemon.show("SERVERS", database="prod") if row["state"] != "new"}

    def only_on(self, server, daemon):
        return self.ports(daemon) == {server.port}

    SAYS = "SELECT pg_is_in_recovery()::text || ' ' || current_setting('port')"

    def test_read_write_follows_the_primary_through_a_promotion_under_load(self):
        primary, standby = self.pair()
        # Both orders of the list: where the primary stands in it makes no difference.
        world = self.world(primary, standby, order=(standby, primary), pool_size=4,
                           target_session_attrs="read-write")
        daemon = self.watch(world.start())
        idle = [daemon.connect(timeout=60) for _ in range(3)]
        for client in idle:
            client.query("SELECT 1")
        workers = [Worker(daemon, "WITH w AS (INSERT INTO written VALUES (1)) " + self.SAYS) for _ in range(4)]
        self.until(lambda: all(len(worker.done) > 20 for worker in workers), "all to work")
        self.until(lambda: self.only_on(primary, daemon), "servers on the primary")
        primary.pause()
        standby.promote()
        back = time.monotonic()
        self.until(lambda: all(worker.done[-1][0] > back for worker in workers), "all to work again", 60)
        for client in idle:
            self.assertEqual(client.query(self.SAYS).value(), f"false {standby.port}")
        # The old one comes back as a standby of the new one: it is not used.
        primary.follow(standby)
        primary.resume()
        daemon.console("RECONNECT prod")
        marks = [len(worker.done) for worker in workers]
        self.until(lambda: all(len(worker.done) > mark + 20 for worker, mark in zip(workers, marks)), "more work")
        self.until(lambda: self.only_on(standby, daemon), "servers on the new primary")
        for worker in workers:
            worker.finish()
            self.assertLessEqual(len(worker.failures), 1, worker.failures)
            for _, sqlstate, text in worker.failures:
                self.assertIn(sqlstate, IN_FLIGHT, text)
            self.assertLessEqual({value for moment, value in worker.answers if moment > back},
                                 {f"false {standby.port}"})
        for client in idle:
            client.close()

    def test_a_standby_that_is_promoted_is_left_by_who_wants_to_read_there(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, pool_size=2, target_session_attrs="standby")
        daemon = self.watch(world.start())
        client = daemon.connect(timeout=60)
        self.assertEqual(client.query(self.SAYS).value(), f"true {standby.port}")
        primary.pause()
        standby.promote()
        primary.follow(standby)
        primary.resume()
        # The first one finds out; its own answer still comes from where it was sent to.
        client.query("SELECT 1")
        self.assertEqual(client.query(self.SAYS).value(), f"true {primary.port}")
        daemon.wait_for_log("of another role now")
        client.close()

    def test_prefer_standby_reads_there_and_falls_back(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, pool_size=2, target_session_attrs="prefer-standby",
                           server_connect_timeout="5s")
        daemon = self.watch(world.start())
        client = daemon.connect(timeout=60)
        self.assertEqual(client.query(self.SAYS).value(), f"true {standby.port}")
        standby.pause()
        self.assertEqual(client.query(self.SAYS).value(), f"false {primary.port}")
        standby.resume()
        daemon.console("RECONNECT prod")
        self.assertEqual(client.query(self.SAYS).value(), f"true {standby.port}")
        client.close()

    def test_without_one_that_fits_clients_wait_and_hear_of_each_host(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, pool_size=2, target_session_attrs="read-write",
                           query_wait_timeout="3s")
        daemon = self.watch(world.start())
        client = daemon.connect(timeout=60)
        client.query("SELECT 1")
        primary.pause()
        error = self.refused("08001", client.query, "SELECT 1")
        self.assertIn("none of the 2 hosts will do", str(error))
        self.assertIn(f"port {primary.port} failed: connection refused".lower(), str(error).lower().replace(
            "could not connect to server: ", ""))
        self.assertIn(f"port {standby.port} failed: its sessions are read-only", str(error))
        daemon.console("SET prod.query_wait_timeout = '60s'")
        waiting = daemon.raw(timeout=60)
        waiting.send(protocol.startup_message({"user": "story", "database": "prod"}))
        standby.promote()
        waiting.read_until("Z")
        waiting.close()

    def test_a_client_that_only_wanted_to_read_costs_one_connection(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, pool_size=3, target_session_attrs="read-write")
        daemon = self.watch(world.start())
        client = daemon.connect(timeout=60)
        client.query("BEGIN READ ONLY")
        self.refused("25006", client.query, "INSERT INTO written VALUES (4)")
        client.query("ROLLBACK")
        client.query("INSERT INTO written VALUES (5)")
        client.query("SET default_transaction_read_only = on")
        self.assertEqual(client.query("SHOW default_transaction_read_only").value(), "on")
        self.assertNotIn("of another role now", daemon.log())
        client.close()

    def test_what_a_server_makes_of_a_parameter_is_nobodys_wish_on_another(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, pool_size=2, target_session_attrs="read-write")
        daemon = self.watch(world.start())
        clients = [daemon.connect(timeout=60) for _ in range(3)]
        clients[0].query("SET TimeZone = 'Asia/Tokyo'")
        for client in clients:
            client.query("INSERT INTO written VALUES (6)")
        primary.configure(default_transaction_read_only="on")
        self.until(lambda: "on" in [client.query("SHOW default_transaction_read_only").value() for client in clients],
                   "a session to be read-only")
        standby.promote()
        self.refused("25006", clients[0].query, "INSERT INTO written VALUES (7)")    # and the broker knows
        for client in clients:
            client.query("INSERT INTO written VALUES (8)")
            self.assertEqual(client.query(self.SAYS).value(), f"false {standby.port}")
            self.assertEqual(client.query("SHOW default_transaction_read_only").value(), "off")
        self.assertEqual([client.query("SHOW TimeZone").value() == "Asia/Tokyo" for client in clients],
                         [True, False, False])
        for client in clients:
            client.close()

    def test_each_host_is_verified_by_its_own_name(self):
        primary, standby = self.pair()
        standby.use_certificate("elsewhere")
        world = self.world(primary, standby, pool_size=2, query_wait_timeout="3s", target_session_attrs="standby")
        daemon = self.watch(world.start(ready=False))
        self.until(lambda: daemon.show("ERRORS", source="login"), "both to have been tried")
        error = self.refused("08001", lambda: daemon.connect(timeout=60).query("SELECT 1"))
        self.assertIn("does not match host name", str(error))
        self.assertIn("it is not a standby", str(error))

    def test_check_says_which_host_it_found(self):
        primary, standby = self.pair()
        world = self.world(primary, standby, order=(standby, primary), target_session_attrs="primary")
        daemon = self.watch(world.start())
        done = broker.run("-c", daemon.config_path, "--check", manager=world.manager)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"127.0.0.1:{primary.port}", done.stdout)


class Lists(story.Story):
    """Several hosts, of which any will do."""

    def test_they_take_turns_or_the_first_is_used(self):
        with pg_standin.PgStandin() as one, pg_standin.PgStandin() as two, World(self.server) as world:
            for name, balance in (("prod", "round-robin"), ("dev", "disable")):
                world.manager.create(f"forecaster/database/{name}", one.secret(host="127.0.0.1,127.0.0.1",
                                                                               port=f"{one.port},{two.port}"))
                world.config[name] = {"pool": {"pool_size": 4, "min_pool_size": 4, "load_balance_hosts": balance}}
            daemon = self.watch(world.start(ready=False))
            for name, ports in (("prod", {one.port: 2, two.port: 2}), ("dev", {one.port: 4})):
                def spread():
                    rows = [int(row["port"]) for row in daemon.show("SERVERS", database=name) if row["state"] == "idle"]
                    return {port: rows.count(port) for port in set(rows)} == ports
                self.until(spread, f"{name} on {ports}")
            self.assertEqual(daemon.pool("prod")["load_balance_hosts"], "round-robin")

    def test_a_primary_that_becomes_read_only_under_its_sessions_is_left(self):
        def of_role(hot_standby):
            return pg_standin.at_login(pg_standin.LOGGED_IN[:-len(pg_standin.READY)] + pg_standin.parameter(
                "in_hot_standby", hot_standby) + pg_standin.READY)

        def read_only(sql):
            return (pg_standin.error("25006", "cannot execute INSERT in a read-only transaction", "ERROR")
                    if sql.startswith("INSERT") else pg_standin.default_answer(sql))
        with pg_standin.PgStandin(of_role("off")) as one, pg_standin.PgStandin(of_role("on")) as two, \
                World(self.server) as world:
            world.manager.create("forecaster/database/prod", one.secret(host="127.0.0.1,127.0.0.1",
                                                                        port=f"{one.port},{two.port}"))
            world.config["prod"] = {"pool": {"pool_size": 3, "min_pool_size": 3, "target_session_attrs": "read-write"}}
            daemon = self.watch(world.start(ready=False))
            client = daemon.connect(timeout=60)
            self.until(lambda: len(one.open_sessions()) == 3, "servers on the first")
            one.behaviour, one.answer_query = of_role("on"), read_only
            two.behaviour = of_role("off")
            error = self.refused("25006", client.query, "INSERT 1")
            self.assertIn("read-only transaction", error.message)
            # One that was told so leaves; the login that follows finds out, and the others leave as well.
            self.until(lambda: not one.open_sessions() and len(two.open_sessions()) == 3, "all to be on the second")
            client.query("INSERT 2")
            client.close()

    def test_a_host_that_is_silent_leaves_time_for_the_others(self):
        with pg_standin.PgStandin(pg_standin.silent) as mute, World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 2, "server_connect_timeout": "4s",
                                                  "load_balance_hosts": "disable"},
                                    secret={"host": "127.0.0.1,localhost",
                                            "port": f"{mute.port},{self.server.port}"})
            daemon = self.watch(world.start(ready=False))
            began = time.monotonic()
            self.assertEqual(daemon.connect(timeout=60).query("SELECT current_user").value(), environment.role)
            self.assertLess(time.monotonic() - began, 20)


class Names(story.Story):
    """The address behind a name changes."""

    WITH_HOSTS = """#!/bin/sh
exec unshare -m sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "{hosts}" "{program}" "$@"
"""

    def start(self, world, name, address):
        """A broker with an /etc/hosts of its own; the function that writes it."""
        self.need_root()
        if process.run(["unshare", "-m", "true"], check=False).returncode:
            self.skipTest("needs a mount namespace of its own")
        daemon = world.broker = broker.Broker(world.configuration(), world.manager)
        hosts, script = daemon.place / "hosts", daemon.place / "with_hosts"
        script.write_text(self.WITH_HOSTS.format(hosts=hosts, program=daemon.program))
        script.chmod(0o755)
        daemon.program = script

        def point(address):
            hosts.write_text("127.0.0.1 localhost\n" + (f"{address} {name}\n" if address else ""))
        point(address)
        self.watch(daemon)
        return daemon.start(), point

    def addresses(self, daemon):
        return {row["addr"] for row in daemon.show("SERVERS", database="prod") if row["state"] != "new"}

    def test_servers_at_an_address_that_is_the_names_no_more_leave_and_a_lost_name_costs_nothing(self):
        with pg_standin.PgStandin() as old, pg_standin.PgStandin(port=old.port, address="127.0.0.2") as new, \
                World(self.server) as world:
            world.manager.create("forecaster/database/prod", old.secret(host="db.story", ssl_mode="disable"))
            world.config["prod"] = {"pool": {"pool_size": 2, "dns_max_ttl": "1s"},
                                    "tls": {"min_ssl_mode": "disable"}}
            daemon, point = self.start(world, "db.story", "127.0.0.1")
            client = daemon.connect(timeout=60)
            client.query("SELECT 1")
            self.assertEqual(self.addresses(daemon), {"127.0.0.1"})
            point("127.0.0.2")
            self.until(lambda: not old.open_sessions(), "the server at the old address to leave")
            client.query("SELECT 2")
            self.assertEqual(self.addresses(daemon), {"127.0.0.2"})
            point(None)
            time.sleep(3.0)                         # some looks
            client.query("SELECT 3")
            self.assertEqual(len(new.logins()), 1)
            client.close()


if __name__ == "__main__":
    story.main()
