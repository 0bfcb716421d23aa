"""The daemon's life: start, reload, drain, end, and the socket file that outlives nobody."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import protocol
import story
from secrets_manager import SecretsManager
from world import World


class Life(story.Story):
    """One environment, one broker."""

    def world(self, **config):
        world = World(self.server)
        world.add("prod", **config)
        return world

    # ---- start ----

    def test_e_prod_with_no_file_is_a_working_broker(self):
        with World(self.server) as world:
            world.add("prod", secret={"ssl_mode": "prefer"})
            directory = place.directory("s")
            daemon = broker.Broker(None, world.manager, args=["-e", "prod", "-c", self.socket_only(directory)],
                                   directory=directory)
            self.watch(daemon.start()).wait_ready("prod")
            daemon.stop()

    @staticmethod
    def socket_only(directory):
        path = directory / "socket.yaml"
        path.write_text(f"socket: {{directory: {directory}}}\n")
        return path

    def test_db_secret_name_names_the_one_environment(self):
        with World(self.server) as world:
            world.add("staging", secret={"ssl_mode": "prefer"})
            done = broker.run("--check", manager=world.manager, DB_SECRET_NAME="forecaster/database/staging")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"(?m)^ok staging ")

    def test_local_takes_its_credentials_from_the_environment(self):
        role, password = self.server.create_login("local")
        database = self.server.create_database("local", owner=role)
        config = {"environments": {"local": {"database": {"source": "env"}}}}
        daemon = broker.Broker(config, DB_HOST=self.server.host, DB_PORT=self.server.port, DB_USER=role,
                               DB_PASSWORD=password, DB_NAME=database, DB_SSL_MODE="prefer")
        self.watch(daemon.start()).wait_ready("local")
        self.assertEqual(daemon.connect("local").query("SELECT current_user").value(), role)
        daemon.stop()

    def test_db_config_as_ecs_injects_it(self):
        role, password = self.server.create_login("ecs")
        database = self.server.create_database("ecs", owner=role)
        document = broker.json.dumps({"host": self.server.host, "port": str(self.server.port), "username": role,
                                      "password": password, "database": database, "ssl_mode": "prefer"})
        config = {"environments": {"prod": {"database": {"source": "env", "variable": "DB_CONFIG"}}}}
        daemon = broker.Broker(config, DB_CONFIG=document)
        self.watch(daemon.start()).wait_ready("prod")
        daemon.stop()
        done = broker.run("--check", config=config, DB_CONFIG=document)
        self.assertRegex(done.stdout, r"(?m)^warn prod ")

    def test_a_secret_in_a_file_is_read_and_watched_and_others_must_not_read_it(self):
        role, password = self.server.create_login("file")
        database = self.server.create_database("file", owner=role)
        document = {"host": self.server.host, "port": str(self.server.port), "username": role, "password": password,
                    "database": database, "ssl_mode": "prefer"}
        path = place.directory("secret") / "secret.json"
        path.write_text(broker.json.dumps(document))
        path.chmod(0o600)
        config = {"environments": {"prod": {"database": {"source": "file", "path": str(path)},
                                            "pool": {"server_lifetime": "1s"}}}}
        daemon = broker.Broker(config)
        self.watch(daemon.start()).wait_ready("prod")
        self.server.set_password(role, "changed")
        path.write_text(broker.json.dumps({**document, "password": "changed"}))
        self.server.kill_sessions(role)
        self.until(lambda: daemon.pool("prod")["sv_idle"] == 0, "the broker to see its server gone")
        self.assertEqual(daemon.connect("prod", timeout=30).query("SELECT 1").value(), "1")
        daemon.stop()
        path.chmod(0o644)
        done = broker.run("--check", config=config)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("secret.json", done.stdout + done.stderr)

    def test_credentials_from_a_shared_file_and_profile(self):
        with World(self.server) as world:
            world.add("prod")
            home = place.directory("home")
            (home / ".aws").mkdir()
            (home / ".aws" / "credentials").write_text(
                f"[default]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n\n[forecaster]\n"
                f"aws_access_key_id = {world.manager.access_key}\naws_secret_access_key = {world.manager.secret_key}\n")
            (home / ".aws" / "config").write_text("[profile forecaster]\nregion = us-east-1\n")
            done = broker.run("--check", config=world.configuration(), home=home, AWS_PROFILE="forecaster",
                              AWS_ENDPOINT_URL_SECRETS_MANAGER=world.manager.url)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_root_is_warned(self):
        self.need_root()
        with self.world() as world:
            daemon = self.watch(world.start())
            daemon.wait_for_log(r"(?i)warn.*root")

    def test_the_version_is_printed(self):
        done = broker.run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"pgbroker.* \d+\.\d+")

    # ---- the socket ----

    def test_a_socket_left_by_a_killed_broker_is_replaced(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            daemon.kill()
            self.assertTrue(os.path.exists(protocol.socket_path(daemon.directory)))
            daemon.start().wait_ready("prod")

    def test_a_live_brokers_socket_is_refused(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            second = broker.Broker(world.configuration(), world.manager, directory=daemon.directory)
            self.watch(second.start(wait=False))
            self.assertNotEqual(second.wait(), 0)
            self.assertIn(".s.PGSQL.5432", second.log())
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_a_file_that_is_no_socket_is_left_alone(self):
        with self.world() as world:
            directory = place.directory("s")
            path = pathlib.Path(protocol.socket_path(directory))
            path.write_text("somebody's notes")
            daemon = broker.Broker(world.configuration(), world.manager, directory=directory)
            self.watch(daemon.start(wait=False))
            self.assertNotEqual(daemon.wait(), 0)
            self.assertEqual(path.read_text(), "somebody's notes")

    def test_the_socket_goes_when_the_broker_ends(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            path = protocol.socket_path(daemon.directory)
            daemon.stop()
            self.assertFalse(os.path.exists(path))

    # ---- reload ----

    def test_sighup_adds_an_environment_and_changes_a_pool(self):
        with self.world(pool={"pool_size": 2}) as world:
            daemon = self.watch(world.start())
            self.refused("3D000", daemon.connect, "dev")
            world.add("dev")
            world.config["prod"]["pool"] = {"pool_size": 5}
            daemon.reload(world.configuration())
            daemon.wait_ready("dev")
            self.assertEqual(daemon.show("DATABASES", name="prod")[0]["pool_size"], "5")

    def test_a_bad_file_at_sighup_changes_nothing(self):
        with self.world(pool={"pool_size": 2}) as world:
            daemon = self.watch(world.start())
            daemon.reload("environments:\n  prod: {pool: {pool_size: lots}}\n")
            daemon.wait_for_log(r"pgbroker\.yaml:2:\d+")
            self.assertEqual(daemon.show("DATABASES", name="prod")[0]["pool_size"], "2")
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_a_session_lives_through_a_reload(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("BEGIN")
                client.query("CREATE TABLE half_way (x int)")
                daemon.reload()
                daemon.wait_for_log(r"(?i)reload|configuration")
                client.query("INSERT INTO half_way VALUES (1)")
                client.query("COMMIT")
                self.assertEqual(client.query("SELECT x FROM half_way").value(), "1")

    def test_an_environment_taken_away_drains(self):
        with self.world() as world:
            world.add("dev")
            daemon = self.watch(world.start())
            with daemon.connect("dev") as client:
                client.query("BEGIN")
                del world.config["dev"]
                daemon.reload(world.configuration())
                self.until(lambda: self.gone(daemon, "dev"), "dev to be gone for new clients")
                self.assertEqual(client.query("SELECT 1").value(), "1")
                client.query("COMMIT")

    @staticmethod
    def gone(daemon, name):
        try:
            daemon.connect(name).close()
            return False
        except protocol.ServerError as error:
            return error.sqlstate in ("3D000", "57P01")

    # ---- end ----

    def test_sigterm_lets_transactions_end_and_sends_idle_clients_away(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as idle, daemon.connect() as busy:
                idle.query("SELECT 1")
                busy.query("BEGIN")
                busy.query("CREATE TABLE survived (x int)")
                daemon.signal(signal.SIGTERM)
                fields = protocol.error_fields(idle.read_until("E")[-1][1])
                self.assertEqual(fields["C"], "57P01")
                self.assertTrue(daemon.running())
                busy.query("INSERT INTO survived VALUES (1)")
                busy.query("COMMIT")
                self.assertTrue(busy.closed())
            self.assertEqual(daemon.wait(), 0)
            self.assertEqual(self.server.sql("SELECT x FROM survived", world.environments["prod"].database), [("1",)])

    def test_new_clients_are_refused_while_it_drains(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as busy:
                busy.query("BEGIN")
                daemon.signal(signal.SIGTERM)

                def refused():
                    try:
                        daemon.connect(timeout=5).close()
                        return False
                    except (OSError, protocol.Gone):
                        return True
                    except protocol.ServerError as error:
                        return error.sqlstate == "57P01"
                self.until(refused, "new clients to be refused")
                busy.query("COMMIT")
            self.assertEqual(daemon.wait(), 0)

    def test_a_second_sigterm_ends_it_at_once(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as busy:
                busy.query("BEGIN")
                daemon.signal(signal.SIGTERM)
                daemon.wait_for_log("event=drain")
                self.assertTrue(daemon.running())
                daemon.signal(signal.SIGTERM)
                daemon.wait()
                self.assertFalse(os.path.exists(protocol.socket_path(daemon.directory)))

    def test_no_server_connection_is_left_behind(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("SELECT 1")
            daemon.stop()
            role = world.environments["prod"].role
            self.until(lambda: not self.server.sessions(role), "the sessions to end")

    # ---- the log ----

    def test_a_login_is_one_line_with_pid_uid_and_environment(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            daemon.connect().close()
            pid, uid = os.getpid(), os.geteuid()
            self.until(lambda: [line for line in daemon.log().splitlines()
                                if "prod" in line and f"pid={pid}" in line and f"uid={uid}" in line], "the line")

    def test_a_fetch_is_logged_with_version_and_request_id(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            version = world.manager.store.version_id("forecaster/database/prod")
            daemon.wait_for_log(rf"{version}.* request_id=\"?[0-9a-f-]{{36}}|request_id=\"?[0-9a-f-]{{36}}.*{version}")

    def test_json_lines_are_json(self):
        with World(self.server, log={"format": "json", "level": "debug"}) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            daemon.connect().close()
            daemon.stop()
            lines = daemon.log().splitlines()
            self.assertGreater(len(lines), 5)
            for line in lines:
                self.assertIsInstance(broker.json.loads(line), dict)

    # ---- hygiene ----

    def test_no_core_is_dumped_and_memory_is_not_readable_by_others(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            limits = pathlib.Path(f"/proc/{daemon.child.pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 ")
            if re.search(r"lib[at]san", pathlib.Path(f"/proc/{daemon.child.pid}/maps").read_text()):
                self.skipTest("sanitizers make mlock() do nothing")
            locked = pathlib.Path(f"/proc/{daemon.child.pid}/status").read_text()
            self.assertNotRegex(locked, r"VmLck:\s+0 kB")

    def test_the_password_is_not_in_argv_or_environment(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            for file in ("cmdline", "environ"):
                content = pathlib.Path(f"/proc/{daemon.child.pid}/{file}").read_bytes()
                self.assertNotIn(world.environments["prod"].password.encode(), content)

    def test_the_callers_pg_variables_mean_nothing(self):
        with self.world() as world:
            daemon = self.watch(world.start(
                PGHOST="192.0.2.1", PGPORT="1", PGUSER="nobody", PGPASSWORD="wrong", PGDATABASE="nothing",
                PGSSLMODE="disable", PGSERVICE="none", PGOPTIONS="-c search_path=nowhere", PGAPPNAME="leak",
                PGTARGETSESSIONATTRS="standby"))
            row = daemon.connect().query("SELECT current_setting('search_path'), current_setting('application_name')")
            self.assertNotIn("nowhere", row.rows[0][0])
            self.assertNotEqual(row.rows[0][1], "leak")


class Ports(story.Story):
    """More than one broker on a host."""

    def test_two_brokers_share_a_directory_by_port(self):
        with SecretsManager() as manager:
            directory = place.directory("s")
            config = {"environments": {"prod": {}}}
            one = self.watch(broker.Broker(config, manager, directory=directory, port=5432).start())
            two = self.watch(broker.Broker(config, manager, directory=directory, port=5433).start())
            for daemon in (one, two):
                self.assertTrue(daemon.show("VERSION"))
            one.stop()
            two.stop()

    def test_the_socket_is_no_tcp_port(self):
        with SecretsManager() as manager:
            daemon = self.watch(broker.Broker({"environments": {"prod": {}}}, manager).start())
            inodes = set()
            for fd in os.listdir(f"/proc/{daemon.child.pid}/fd"):
                with contextlib.suppress(FileNotFoundError):    # it may close one meanwhile
                    inodes.add(os.readlink(f"/proc/{daemon.child.pid}/fd/{fd}"))
            listening = [line.split()[9] for table in ("tcp", "tcp6")
                         for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]
                         if line.split()[3] == "0A"]
            self.assertFalse([inode for inode in listening if f"socket:[{inode}]" in inodes])
            daemon.stop()
            with self.assertRaises(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(protocol.socket_path(daemon.directory))


if __name__ == "__main__":
    story.main()
