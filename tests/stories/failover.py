#!/usr/bin/python3
"""The server goes away and comes back, here or elsewhere: who has nothing in flight never sees it."""
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pg_standin
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
            late.sort()
            if late:
                self.assertLess(late[int(len(late) * 0.99)], 1.0, late)
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
            self.until(lambda: daemon.show("WAITS"), "it to wait")
            waits, = daemon.show("WAITS")
            failing = len(daemon.show("ERRORS"))
            self.assertGreater(failing, 0, waits)
            time.sleep(1.0)                         # many times server_login_retry
            newcomer = daemon.connect(timeout=60)
            newcomer.send(protocol.query("SELECT 2"))
            self.server.resume()
            idle.answer()
            newcomer.answer()
            idle.close()
            newcomer.close()

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
            standin = pg_standin.PgStandin()
            with standin:
                secret = standin.secret()
            world.manager.create("forecaster/database/prod", secret)
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


if __name__ == "__main__":
    story.main()
