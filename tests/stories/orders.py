"""What an administrator orders on the console: KILL, RECONNECT, WAIT_CLOSE, DISABLE, in either protocol."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import load
import protocol
import story
from world import World


class Orders(story.Story):
    """Two environments, so that an order for one can be seen to leave the other alone."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool={"pool_size": 3, **pool})
        world.add("staging")
        return world

    def client_id(self, daemon, client):
        """The client's number: it has a server for the moment of the question."""
        client.query("BEGIN")
        row, = daemon.show("CLIENTS", database="prod", state="active")
        client.query("COMMIT")
        return row["id"]

    def pids(self, daemon, database="prod"):
        return {row["remote_pid"] for row in daemon.show("SERVERS", database=database)}

    # ---- KILL ----

    def test_kill_ends_clients_and_servers_of_the_environment_and_pauses_it(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("staging") as other, daemon.connect() as idle, daemon.connect() as busy:
                busy.query("BEGIN")
                busy.send(protocol.query("SELECT pg_sleep(60)"))
                self.until(lambda: daemon.pool()["sv_active"] == 1, "the query to run")
                self.assertEqual(daemon.console("KILL prod"), [])
                for client in (idle, busy):
                    self.assertIn("killed by an administrator", self.refused("57P01", client.answer).message)
                self.assertEqual(self.pids(daemon), set())
                self.assertEqual(daemon.show("DATABASES", name="prod")[0]["paused"], "1")
                self.assertEqual(other.query("SELECT 1").value(), "1")
                with daemon.connect() as later:
                    later.send(protocol.query("SELECT 7"))
                    self.assertTrue(later.silent(0.3))
                    daemon.console("RESUME prod")
                    self.assertEqual(later.answer().value(), "7")

    def test_kill_without_a_name_is_for_all(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("staging") as one, daemon.connect("prod") as other:
                daemon.console("KILL")
                for client in (one, other):
                    self.refused("57P01", client.answer)
            daemon.console("RESUME")

    def test_kill_client_ends_the_one_with_that_number(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as doomed, daemon.connect() as other, daemon.connect("pgbroker") as console:
                number = self.client_id(daemon, doomed)
                self.assertEqual(console.extended(f"KILL_CLIENT {number}").tags, ["KILL_CLIENT"])
                self.refused("57P01", doomed.answer)
                self.assertEqual(other.query("SELECT 1").value(), "1")
                self.refused("42704", console.query, f"KILL_CLIENT {number}")

    def test_a_killed_client_s_transaction_is_rolled_back(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as doomed, daemon.connect() as other:
                other.query("CREATE TABLE kept (x int)")
                number = self.client_id(daemon, doomed)
                doomed.query("BEGIN")
                doomed.query("INSERT INTO kept VALUES (1)")
                daemon.console(f"KILL_CLIENT {number}")
                self.assertEqual(other.query("SELECT count(*) FROM kept").value(), "0")

    # ---- RECONNECT and WAIT_CLOSE ----

    def test_reconnect_replaces_servers_when_they_come_back_and_wait_close_waits_for_that(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect("pgbroker") as console:
                others = self.pids(daemon, "staging")
                client.query("BEGIN")
                old = client.query("SELECT pg_backend_pid()").value()
                self.assertEqual(console.query("RECONNECT prod").tags, ["RECONNECT"])
                row, = daemon.show("SERVERS", database="prod")
                self.assertEqual((row["remote_pid"], row["close_needed"]), (old, "1"))
                console.send(protocol.query("WAIT_CLOSE prod"))
                self.assertTrue(console.silent(0.3))
                self.assertEqual(client.query("SELECT pg_backend_pid()").value(), old)
                client.query("COMMIT")
                self.assertEqual(console.answer().tags, ["WAIT_CLOSE"])
                self.assertNotEqual(client.query("SELECT pg_backend_pid()").value(), old)
                self.assertEqual(self.pids(daemon, "staging"), others)
                self.assertEqual(console.extended("WAIT_CLOSE").tags, ["WAIT_CLOSE"])

    def test_a_reload_that_changes_tls_marks_servers_too(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect("pgbroker") as console:
                client.query("BEGIN")
                world.config["prod"].setdefault("tls", {})["channel_binding"] = "disable"
                daemon.write_config(world.configuration())
                console.query("RELOAD")
                self.assertEqual(daemon.show("SERVERS", database="prod")[0]["close_needed"], "1")
                client.query("COMMIT")
                console.query("WAIT_CLOSE")
                console.query("RELOAD")
                self.assertEqual(client.query("SELECT 1").value(), "1")
                self.assertEqual(daemon.show("SERVERS", database="prod")[0]["close_needed"], "0")

    def test_reconnect_and_set_under_load_cost_no_query(self):
        with load.under_load(self) as world:
            with world.broker.connect("pgbroker") as console:
                for size in (4, 8, 5, 8):
                    console.query(f"SET pool_size = {size}; RECONNECT")
                    time.sleep(0.5)

    # ---- DISABLE ----

    def test_disable_refuses_new_clients_only_and_enable_ends_that(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                daemon.console("DISABLE prod")
                self.assertEqual(daemon.show("DATABASES", name="prod")[0]["disabled"], "1")
                self.assertIn("disabled", self.refused("57P03", daemon.connect).message)
                self.assertEqual(client.query("SELECT 1").value(), "1")
                daemon.connect("staging").close()
                self.assertEqual(daemon.ctl("status").returncode, 1)
                daemon.console("ENABLE prod")
                daemon.connect().close()

    # ---- SET ----

    def config(self, daemon, key):
        return daemon.show("CONFIG", key=key)[0]["value"]

    def test_set_changes_one_environment_or_all_until_the_file_is_read_again(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                self.assertEqual(console.query("SET prod.pool_size = 7").tags, ["SET"])
                self.assertEqual(console.extended("SET query_wait_timeout TO '2500ms'").tags, ["SET"])
                self.assertEqual([self.config(daemon, f"environments.{name}.pool.{key}")
                                  for name in ("prod", "staging") for key in ("pool_size", "query_wait_timeout")],
                                 ["7", "2500ms", "20", "2500ms"])
                self.assertEqual(daemon.show("DATABASES", name="prod")[0]["pool_size"], "7")
                console.query("RELOAD")
                self.assertEqual(self.config(daemon, "environments.prod.pool.pool_size"), "3")
                self.assertEqual(self.config(daemon, "environments.staging.pool.query_wait_timeout"), "120s")

    def test_set_lets_waiting_clients_go_on_at_once(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                waiter.send(protocol.query("SELECT 3"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 1, "the second client to wait")
                self.assertEqual(daemon.ctl("set", "prod.pool_size", "=", "2").returncode, 0)
                self.assertEqual(waiter.answer().value(), "3")

    def test_set_refuses_what_it_does_not_know_and_what_needs_a_restart(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                for ask in (console.query, console.extended):
                    self.assertIn("pool.pool_size", self.refused("42704", ask, "SET pool_sise = 3").hint)
                    self.refused("55P02", ask, "SET socket.port = 3")
                    self.assertIn("whole number", self.refused("22023", ask, "SET pool_size = many").message)
                    self.refused("22023", ask, "SET prod.min_pool_size = 4")    # more than pool_size
                for ask in (console.query, console.extended):
                    self.assertEqual(ask("SET application_name = 'x'").tags, ["SET"])
            self.assertEqual(daemon.ctl("set", "pool_sise", "=", "3").returncode, 1)

    def test_an_order_for_an_environment_that_is_not_there_is_refused(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                for order in ("KILL", "RECONNECT", "WAIT_CLOSE", "DISABLE", "ENABLE"):
                    for ask in (console.query, console.extended):
                        self.refused("3D000", ask, f"{order} nowhere")


if __name__ == "__main__":
    story.main()
