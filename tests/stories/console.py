"""The console: PgBouncer's columns exactly, ours beside them, in either protocol, and pgbrokerctl on top."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import protocol
import rotation
import story
from world import World

TEXT, INT4, INT8, NUMERIC, TIMESTAMPTZ = 25, 23, 20, 1700, 1184
LETTERS = {"s": TEXT, "i": INT4, "q": INT8, "N": NUMERIC, "T": TEXT}

_SOCKETS = ("type user database replication state addr port local_addr local_port connect_time request_time wait "
            "wait_us close_needed ptr link remote_pid tls application_name prepared_statements id")
_STATS = ("server_assignment_count xact_count query_count {received} {sent} xact_time query_time wait_time "
          "client_parse_count server_parse_count bind_count client_login_count")


def _stats(prefix, received, sent):
    return " ".join(prefix + name for name in _STATS.format(received=received, sent=sent).split())


# thing -> (columns, PgBouncer's type letters)
PGBOUNCER = {
    "POOLS": ("database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active "
              "sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode "
              "load_balance_hosts", "ssiiiiiiiiiiiiiss"),
    "CLIENTS": (_SOCKETS, "ssssssisiTTiiississii"),
    "SERVERS": (_SOCKETS, "ssssssisiTTiiississii"),
    "STATS": (f"database {_stats('total_', 'received', 'sent')} {_stats('avg_', 'recv', 'sent')}", "s" + "N" * 24),
    "STATS_TOTALS": (f"database {_stats('', 'bytes_received', 'bytes_sent')}", "s" + "N" * 12),
    "STATS_AVERAGES": ("database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time "
                       "query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count "
                       "avg_client_login_count", "s" + "N" * 12),
    "TOTALS": ("name value", "sN"),
    "DATABASES": ("name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime "
                  "pool_mode load_balance_hosts max_connections current_connections max_client_connections "
                  "current_client_connections paused disabled", "ssissiiiissiiiiii"),
    "USERS": ("name pool_size reserve_pool_size pool_mode max_user_connections current_connections "
              "max_user_client_connections current_client_connections", "ssssiiii"),
    "LISTS": ("list items", "si"),
    "STATE": ("key value", "ss"),
    "MEM": ("name size used free memtotal", "siiii"),
    "CONFIG": ("key value default changeable", "ssss"),
    "VERSION": ("version", "s"),
}
OURS = {
    "SECRETS": ("environment:25 name:25 version_id:25 stage:25 fetched:1184 age_s:20 next_poll_s:20 generation:23 "
                "last_error:25 calls:20 calls_30d:20 polls_30d:20 usd_30d:1700"),
    "ROTATIONS": ("environment:25 started:1184 trigger:25 from_version:25 to_version:25 stage:25 login_failures:23 "
                  "waiters:23 bridged_ms:20 outcome:25 drained_ms:20 steps:25"),
    "WAITS": ("environment:25 client_id:20 pid:23 uid:23 user:25 waiting_for:25 since:1184 age_ms:20 why:25"),
    "ERRORS": "environment:25 source:25 sqlstate:25 text:25 count:20 last:1184",
    "LATENCY": "environment:25 of:25 count:20 p50_us:20 p90_us:20 p99_us:20 max_us:20",
    "PINS": "environment:25 client_id:20 pid:23 uid:23 reason:25 age_s:20 query:25",
}
LISTS = ("databases users peers pools peer_pools free_clients used_clients login_clients free_servers used_servers "
         "dns_names dns_zones dns_queries dns_pending").split()


class Console(story.Story):
    """One broker for each story, and a query before, so that there is something to show."""

    def world(self, **config):
        world = World(self.server)
        world.add("prod", **config)
        return world

    def test_pgbouncers_columns_names_order_and_types_in_both_protocols(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("prod"), daemon.connect("pgbroker") as console:
                for thing, (columns, letters) in PGBOUNCER.items():
                    for ask in (console.query, console.extended):
                        with self.subTest(thing=thing, protocol=ask.__name__):
                            result = ask(f"SHOW {thing}")
                            self.assertEqual(result.columns, columns.split())
                            self.assertEqual(result.types, [LETTERS[letter] for letter in letters])
                            self.assertTrue(result.rows)
                            self.assertEqual(result.tags, ["SHOW"])

    def test_our_own_columns_and_types_in_both_protocols(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                for thing, columns in OURS.items():
                    for ask in (console.query, console.extended):
                        with self.subTest(thing=thing, protocol=ask.__name__):
                            result = ask(f"SHOW {thing}")
                            self.assertEqual([f"{name}:{oid}" for name, oid in zip(result.columns, result.types)],
                                             columns.split())

    def test_lists_has_pgbouncers_rows(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            self.assertEqual([row["list"] for row in daemon.console("SHOW LISTS")], LISTS)

    def test_totals_and_state_have_pgbouncers_rows(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            names = ("server_assignment_count xact_count query_count client_bytes server_bytes xact_time query_time "
                     "wait_time ps_client_parse_count ps_server_parse_count ps_bind_count client_login_count").split()
            self.assertEqual([row["name"] for row in daemon.console("SHOW TOTALS")],
                             [prefix + name for prefix in ("total_", "avg_") for name in names])
            self.assertEqual([(row["key"], row["value"]) for row in daemon.console("SHOW STATE")],
                             [("active", "yes"), ("paused", "no"), ("suspended", "no")])

    def test_columns_of_older_pgbouncers_come_only_when_asked_for(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbouncer", options="-c pgbroker.former_columns=on") as console:
                for thing, former in (("STATS", ["total_requests", "avg_req", "avg_query"]),
                                      ("DATABASES", ["reserve_pool"])):
                    columns, letters = PGBOUNCER[thing]
                    for ask in (console.query, console.extended):
                        result = ask(f"SHOW {thing}")
                        self.assertEqual(result.columns, columns.split() + former)
                        self.assertEqual(len(result.rows[0]), len(letters) + len(former))

    def test_pools_counts_clients_and_servers(self):
        with self.world(pool={"pool_size": 1}) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as busy, daemon.connect() as waiting:
                busy.query("BEGIN")
                waiting.send(protocol.query("SELECT 1"))
                self.until(lambda: daemon.pool().get("cl_waiting") == 1, "the second client to wait")
                pool = daemon.pool()
                self.assertEqual((pool["database"], pool["user"]), ("prod", world.environments["prod"].role))
                self.assertEqual((pool["cl_active"], pool["sv_active"], pool["sv_idle"]), (1, 1, 0))
                busy.query("COMMIT")
                waiting.answer()
                self.until(lambda: daemon.pool()["sv_idle"] == 1, "the server to be idle again")

    def test_clients_and_servers_say_who_and_what(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect(application_name="the forecaster", user="anybody") as client:
                client.query("BEGIN")
                row, = daemon.show("CLIENTS", database="prod")
                self.assertEqual((row["type"], row["user"], row["state"], row["application_name"]),
                                 ("C", "anybody", "active", "the forecaster"))
                self.assertEqual(row["remote_pid"], str(broker.os.getpid()))
                self.assertRegex(row["connect_time"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
                server, = daemon.show("SERVERS", database="prod", state="active")
                self.assertEqual((server["type"], server["user"]), ("S", world.environments["prod"].role))
                self.assertEqual(server["port"], str(self.server.port))
                self.assertEqual((row["link"], server["link"]), (server["ptr"], row["ptr"]))
                self.assertEqual(server["remote_pid"], client.query("SELECT pg_backend_pid()").value())
                if self.server.own:
                    self.assertIn("TLS", server["tls"])

    def test_stats_count_transactions_and_queries(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            before = daemon.show("STATS", database="prod")[0]
            with daemon.connect() as client:
                for _ in range(10):
                    client.query("SELECT 1")
                client.query("BEGIN")
                client.query("SELECT 2")
                client.query("COMMIT")
            after = daemon.show("STATS", database="prod")[0]
            grown = {name: int(after[name]) - int(before[name]) for name in after if name.startswith("total_")}
            self.assertEqual((grown["total_xact_count"], grown["total_query_count"]), (11, 13))
            self.assertGreater(grown["total_received"], 100)
            self.assertEqual(grown["total_client_login_count"], 1)

    def test_secrets_tells_the_version_in_use(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            row, = daemon.show("SECRETS")
            self.assertEqual(row["version_id"], world.manager.store.version_id("forecaster/database/prod"))
            self.assertEqual((row["environment"], row["name"], row["stage"]),
                             ("prod", "forecaster/database/prod", "AWSCURRENT"))
            self.assertIn(row["last_error"], (None, ""))
            self.assertTrue(0 <= int(row["age_s"]) < 60 and 0 < int(row["next_poll_s"]) <= 360)
            self.assertEqual((int(row["calls"]), row["polls_30d"]), (len(world.manager.asked()), "8640"))
            self.assertAlmostEqual(float(row["usd_30d"]), int(row["calls_30d"]) * 0.05 / 10000, 6)

    def test_refresh_follows_a_rotation_at_once_and_rotations_records_it(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            name = world.environments["prod"].secret_name
            old = world.manager.store.version_id(name)
            rotation.rotate_single_user(world.manager, name, self.server)
            new = world.manager.store.version_id(name)
            daemon.console("REFRESH prod")
            self.until(lambda: daemon.show("SECRETS", version_id=new), "the new version")
            row = self.until(lambda: daemon.show("ROTATIONS", to_version=new), "the rotation to be recorded")[0]
            self.assertEqual((row["environment"], row["from_version"]), ("prod", old))
            self.assertGreater(int(daemon.show("SECRETS")[0]["generation"]), 0)

    def test_each_step_of_a_rotation_is_a_line_of_the_log_and_a_part_of_its_story(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            name = world.environments["prod"].secret_name
            rotation.rotate_alternating_users(world.manager, name, self.server)
            new = world.manager.store.version_id(name)
            daemon.console("REFRESH prod")
            row, = self.until(lambda: [row for row in daemon.show("ROTATIONS", to_version=new) if row["drained_ms"]],
                              "the connections of the other user to be closed", 30)
            self.assertRegex(row["steps"], rf"^0 ms refresh; \d+ ms AWSCURRENT is {new[:8]} \(\d+ ms\); "
                             rf"\d+ ms {new[:8]} tried as AWSCURRENT; \d+ ms {new[:8]} works: adopted; "
                             r"\d+ ms drained: \d+ older connections are closed$")
            steps = ("secret fetched", "new version of the secret", "trying credentials", "credential proven by a login",
                     "credentials adopted", "older connections drained")
            lines = self.until(lambda: (found := [line for line in daemon.log().splitlines() if new in line
                                                  or "new version of the secret" in line]) and len(found) >= 6 and found,
                               "the lines of the log")
            for line, step in zip(lines, steps):
                self.assertIn(f'level=info event="{step}"', line)
                self.assertRegex(line, "took_ms=|at_ms=|trigger=refresh")

    def test_pins_name_client_and_reason(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("CREATE TEMP TABLE t (x int)")
                row, = self.until(lambda: daemon.show("PINS"), "the pin")
                self.assertEqual((row["environment"], row["pid"]), ("prod", str(broker.os.getpid())))
                self.assertRegex(row["reason"].lower(), "temp")
                client.query("DISCARD ALL")
                self.until(lambda: not daemon.show("PINS"), "the pin to end")

    def test_pause_holds_queries_and_resume_lets_them_go(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                daemon.console("PAUSE prod")
                self.assertEqual(daemon.show("DATABASES", name="prod")[0]["paused"], "1")
                client.send(protocol.query("SELECT 5"))
                self.assertTrue(client.silent(0.5))
                daemon.console("RESUME prod")
                self.assertEqual(client.answer().value(), "5")

    def test_reload_answers_and_reports_a_bad_file(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                self.assertEqual(console.query("RELOAD").tags, ["RELOAD"])
                daemon.config_path.write_text("enviroments: {}\n")
                error = self.refused_by(console, "RELOAD")
                self.assertRegex(error.message + error.hint, r":1:1: ")
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def refused_by(self, console, sql):
        with self.assertRaises(protocol.ServerError) as caught:
            console.query(sql)
        return caught.exception

    def test_what_it_does_not_know_is_an_error_and_the_session_goes_on(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                for words in ("SHOW NONSENSE", "DROP TABLE x", "REFRESH nowhere", "PAUSE nowhere"):
                    self.refused_by(console, words)
                self.assertEqual(len(console.query("SHOW VERSION").rows), 1)
                self.refused_by(console, "SHOW FDS")

    def test_several_statements_case_blanks_and_semicolons(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbouncer") as console:
                self.assertTrue(console.query("  show   pools ; ").rows)
                self.assertEqual(console.query("").tags, [])
                self.assertIn("SHOW", console.query("SHOW HELP").tags + ["SHOW"])

    def test_what_drivers_ask_first_is_answered(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect("pgbroker") as console:
                for words in ("SHOW client_encoding", "SHOW standard_conforming_strings", "SHOW timezone"):
                    self.assertEqual(len(console.query(words).rows), 1)
            self.assertIn("server_version", console.parameters)

    def test_no_password_is_shown_anywhere(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            shown = "".join(json.dumps(daemon.console(f"SHOW {thing}")) for thing in (*PGBOUNCER, *OURS))
            shown += daemon.ctl("status").stdout + daemon.log()
            for word in (world.environments["prod"].password, world.manager.secret_key):
                self.assertNotIn(word, shown)


class Shutdown(story.Story):
    """SHUTDOWN from the console."""

    def test_shutdown_ends_the_broker(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            try:
                daemon.console("SHUTDOWN")
            except (protocol.ServerError, protocol.Gone):
                pass
            self.assertEqual(daemon.wait(), 0)


class Ctl(story.Story):
    """pgbrokerctl: exit 0 fine, 1 not healthy or refused, 2 usage or no broker."""

    def test_status_answers_is_it_healthy_on_what_and_who_waits(self):
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 1})
            daemon = self.watch(world.start())
            done = daemon.ctl("status")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("prod", done.stdout)
            self.assertIn(world.manager.store.version_id(environment.secret_name)[:5], done.stdout)
            self.assertLess(len(done.stdout.splitlines()), 50, "more than one screen")
            with daemon.connect() as holder, daemon.connect() as waiter:
                holder.query("BEGIN")
                waiter.send(protocol.query("SELECT 1"))
                self.until(lambda: re.search(r"wait", daemon.ctl("status").stdout), "the waiting client to be shown")

    def test_status_as_json_can_be_read(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            document = json.loads(daemon.ctl("--json", "status").stdout)
            self.assertIn("prod", json.dumps(document))

    def test_show_and_orders(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            self.assertIn("cl_active", daemon.ctl("show", "pools").stdout)
            for words in (("reload",), ("pause", "prod"), ("resume", "prod"), ("refresh", "prod"),
                          ("disable", "prod"), ("enable", "prod"), ("reconnect",), ("wait_close", "prod"),
                          ("kill", "prod"), ("resume",)):
                done = daemon.ctl(*words)
                self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
            self.assertEqual(daemon.ctl("pause", "nowhere").returncode, 1)
            self.assertEqual(daemon.ctl("kill_client", "999999").returncode, 1)
            with daemon.connect() as client:
                self.assertEqual(daemon.ctl("kill_client", daemon.show("CLIENTS", database="prod")[0]["id"]).returncode, 0)
                self.refused("57P01", client.answer)
            self.assertEqual(daemon.ctl("shutdown").returncode, 0)
            self.assertEqual(daemon.wait(), 0)

    def test_usage_and_no_broker_are_2(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            self.assertEqual(daemon.ctl("frobnicate").returncode, 2)
            self.assertEqual(daemon.ctl().returncode, 2)
        self.assertEqual(broker.ctl("status", directory="/nowhere").returncode, 2)

    def test_an_environment_without_credentials_is_not_healthy(self):
        with World(self.server) as world:
            world.add("prod")
            world.manager.outage()
            daemon = self.watch(world.start(ready=False))
            self.until(lambda: daemon.show("SECRETS")[0]["last_error"], "the outage to be met")
            done = daemon.ctl("status")
            self.assertEqual(done.returncode, 1, done.stdout)


if __name__ == "__main__":
    story.main()
