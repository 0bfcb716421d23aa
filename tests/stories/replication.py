"""Replication through the broker: each such client has a server connection of its own, and all that a direct one gives."""
import filecmp
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import cluster
import process
import protocol
import rotation
import story
from world import World

HBA = ["host all all all scram-sha-256", "host replication all all scram-sha-256"]
TIMELINE = "00000001"


class Replicating(story.Story):
    """A primary whose role may replicate."""

    timeout = 240.0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.primary = None

    def setUp(self):
        self.server.need_own()
        if not self.primary:
            type(self).primary = cluster.Cluster(settings={"wal_level": "logical", "wal_sender_timeout": "30s"}).start()
            self.addClassCleanup(self.primary.stop)
            self.primary.set_access(hba_lines=HBA)

    def world(self, role="REPLICATION", aliases=(), access=None, **pool):
        world = self.enterContext(World(self.primary))
        self.environment = world.add("prod", pool=pool, aliases=list(aliases), access={"users": access or []})
        self.primary.sql(f"ALTER ROLE {self.environment.role} {role}")
        return world

    def start(self, **options):
        self.daemon = self.watch(self.world(**options).start())
        return self.daemon

    def tool(self, name, *words, check=True, **more):
        """One of PostgreSQL's programs for replication, pointed at the broker's socket."""
        return process.run(self.command(name, *words), check=check, env=broker.environment("/nonexistent"), cwd="/", **more)

    def command(self, name, *words):
        return [cluster.BINARIES / name, "-h", self.daemon.directory, "-p", str(self.daemon.port), *words]

    def psql(self, sql, replication="database", check=True, **more):
        return process.run(["psql", "-XqAt", self.daemon.uri(replication=replication, **more), "-c", sql], check=check,
                           env=broker.environment("/nonexistent"), cwd="/")

    def folder(self):
        return pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def walsenders(self, *columns):
        return self.primary.sql(f"SELECT {', '.join(columns or ['pid'])} FROM pg_stat_replication ORDER BY 1")

    def gone(self):
        self.until(lambda: not self.walsenders() and not self.daemon.show("PINS"), "the walsender to end")


class Tools(Replicating):
    """PostgreSQL's own programs do what they do on a direct connection."""

    def test_a_base_backup_is_complete_and_starts(self):
        self.start()
        target = self.folder() / "data"
        self.primary.sql("CREATE TABLE IF NOT EXISTS heap AS SELECT n, repeat('x', 500) AS t FROM generate_series(1, 40000) n")
        self.tool("pg_basebackup", "-D", target, "-X", "stream", "-c", "fast", timeout=120)
        process.run([cluster.BINARIES / "pg_verifybackup", target])
        self.gone()

    def test_wal_is_received_as_it_is_on_the_server(self):
        self.start()
        target = self.folder()
        self.tool("pg_receivewal", "--slot=archive", "--create-slot", "-D", target)
        self.addCleanup(self.primary.sql, "SELECT pg_drop_replication_slot('archive')")
        receiver = process.start(self.command("pg_receivewal", "--slot=archive", "-D", target, "--synchronous"),
                                 env=broker.environment("/nonexistent"), cwd="/")
        self.addCleanup(process.stop, receiver)
        self.until(lambda: self.walsenders("state") == [("streaming",)], "the stream")
        name, = self.primary.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[0]
        self.primary.sql("CREATE TABLE received AS SELECT generate_series(1, 50000) AS n")
        self.primary.sql("SELECT pg_switch_wal()")
        self.until((target / name).exists, "the segment")
        self.assertEqual(process.stop(receiver, signal.SIGINT), 0)
        self.assertTrue(filecmp.cmp(target / name, self.primary.data / "pg_wal" / name, shallow=False))
        self.gone()

    def test_changes_are_decoded_as_they_come(self):
        self.start()
        out = self.folder() / "changes"
        self.tool("pg_recvlogical", "-d", "prod", "--slot=changes", "--create-slot", "-P", "test_decoding")
        receiver = process.start(self.command("pg_recvlogical", "-d", "prod", "--slot=changes", "--start", "-f", out, "-s", "1"),
                                 env=broker.environment("/nonexistent"), cwd="/")
        self.addCleanup(process.stop, receiver)
        self.until(lambda: self.walsenders("state") == [("streaming",)], "the stream")
        with self.daemon.connect() as client:
            client.query("CREATE TABLE spoken (n int)")
            client.query("INSERT INTO spoken SELECT generate_series(1, 1000)")
        self.until(lambda: out.exists() and out.read_text().count("INSERT: n[integer]:") == 1000, "the changes")
        self.assertEqual(process.stop(receiver, signal.SIGINT), 0)
        self.gone()
        self.tool("pg_recvlogical", "-d", "prod", "--slot=changes", "--drop-slot")

    def test_a_standby_follows_and_is_known_by_its_name(self):
        self.start(access=[str(process.unprivileged_uid() or os.getuid())])
        standby = self.enterContext(cluster.Cluster(standby_of=self.primary))
        standby.settings["primary_conninfo"] = self.daemon.uri("replication", application_name="follower")
        standby.start()
        self.primary.sql("CREATE TABLE followed AS SELECT generate_series(1, 1000) AS n")
        self.until(lambda: standby.caught_up(self.primary), "the standby to follow")
        self.assertEqual(self.walsenders("application_name", "state"), [("follower", "streaming")])
        self.primary.configure(synchronous_standby_names="follower")
        self.addCleanup(self.primary.configure, synchronous_standby_names="")
        self.until(lambda: self.walsenders("sync_state") == [("sync",)], "the standby to be a synchronous one")
        row, = self.daemon.show("CLIENTS", replication="physical")
        self.assertEqual((row["state"], row["application_name"]), ("active", "follower"))

    def test_a_subscription_has_what_is_published(self):
        self.start(access=[str(process.unprivileged_uid() or os.getuid())])
        database = self.environment.database
        with self.daemon.connect() as client:
            client.query("CREATE TABLE published (n int PRIMARY KEY); INSERT INTO published SELECT generate_series(1, 500)")
        self.primary.sql("CREATE PUBLICATION everything FOR ALL TABLES", database)
        subscriber = self.enterContext(cluster.Cluster().start())
        subscriber.sql("CREATE TABLE published (n int PRIMARY KEY)")
        subscriber.sql(f"CREATE SUBSCRIPTION there CONNECTION '{self.daemon.uri()}' PUBLICATION everything")
        with self.daemon.connect() as client:
            client.query("INSERT INTO published SELECT generate_series(501, 600)")
        self.until(lambda: subscriber.sql("SELECT count(*) FROM published") == [("600",)], "the rows", 60)
        subscriber.sql("DROP SUBSCRIPTION there")
        self.gone()


class Own(Replicating):
    """The server connection is the client's own: how it is made, shown, limited, and ended."""

    def test_it_is_shown_and_ends_with_its_client(self):
        daemon = self.start(pool_size=2)
        with daemon.connect(replication="database", application_name="it") as client:
            system, timeline, *_ = client.query("IDENTIFY_SYSTEM").rows[0]
            self.assertEqual((system, timeline), (self.primary.sql("SELECT system_identifier FROM pg_control_system()")[0][0], "1"))
            self.assertEqual(client.query("SELECT pg_backend_pid()").value(), str(client.pid))
            self.assertEqual(client.parameters["application_name"], "it")
            pin, = daemon.show("PINS")
            self.assertEqual((pin["reason"], pin["pid"]), ("replication", str(os.getpid())))
            self.assertEqual([(row["replication"], row["application_name"]) for row in daemon.show("CLIENTS", state="active")],
                             [("logical", "it")])
            server, = daemon.show("SERVERS", replication="logical")
            self.assertEqual((server["remote_pid"], server["state"]), (str(client.pid), "active"))
            with daemon.connect() as other:
                self.assertNotEqual(other.query("SELECT pg_backend_pid()").value(), str(client.pid))
                self.assertEqual(len(daemon.show("CLIENTS", replication="none")), 1)
        self.until(lambda: not daemon.show("SERVERS", replication="logical"), "it to be closed")
        self.until(lambda: not self.primary.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {client.pid}"), "its process to end")

    def test_its_parameters_are_those_of_its_startup_packet(self):
        daemon = self.start()
        said = {"application_name": r"a name\with 'odd' = signs", "TimeZone": "Etc/GMT+5", "options": r"-c work_mem=77kB -e"}
        with daemon.connect(replication="true", **said) as client:
            self.assertEqual(client.parameters["application_name"], said["application_name"])
            self.assertEqual(client.parameters["TimeZone"], "Etc/GMT+5")
            self.assertEqual(client.query("SHOW work_mem").value(), "77kB")
            self.assertEqual(client.query("SHOW datestyle").value(), "ISO, DMY")
        with daemon.connect() as other:
            self.assertNotEqual(other.parameters["TimeZone"], "Etc/GMT+5")
            self.assertNotEqual(other.query("SHOW application_name").value(), said["application_name"])

    def test_what_the_server_says_against_it_is_told_and_harms_nobody(self):
        daemon = self.start(role="NOREPLICATION")
        refusals = {"42501": {"replication": "true"}, "22023": {"replication": "perhaps"},
                    "3D000": {"replication": "nonsense", "database": "nowhere"}}
        for sqlstate, said in refusals.items():
            with self.subTest(sqlstate):
                error = self.refused(sqlstate, daemon.connect, **said)
                self.assertEqual(error.fields["S"], "FATAL")
                self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
        self.primary.set_access(hba_lines=HBA[:1])
        self.addCleanup(self.primary.set_access, hba_lines=HBA)
        error = self.refused("28000", daemon.connect, replication="true")
        self.assertIn("no pg_hba.conf entry for replication connection", error.message)
        self.assertEqual([row["trigger"] for row in daemon.show("ROTATIONS")], ["start"])
        self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_parameters_that_would_not_fit_into_a_startup_packet_are_refused(self):
        daemon = self.start()
        error = self.refused("54000", daemon.connect, replication="true", options="-c search_path=" + r"\ " * 4500)
        self.assertIn("8192", error.message)
        self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_its_session_may_be_read_only_where_others_must_not_be(self):
        daemon = self.start(target_session_attrs="read-write", pool_mode="session", server_fast_close=True)
        with daemon.connect() as other:
            pid = other.query("SELECT pg_backend_pid()").value()
            with daemon.connect(replication="database", options="-c default_transaction_read_only=on") as client:
                self.assertEqual(client.query("SHOW default_transaction_read_only").value(), "on")
                time.sleep(1.5)                 # those that must go would by now
                self.assertEqual(other.query("SELECT pg_backend_pid()").value(), pid)

    def test_an_empty_word_is_none(self):
        daemon = self.start()
        with daemon.raw() as client:
            client.ask("prod", replication="")
            self.refused("22023", client.welcomed)

    def test_a_setting_refuses_it(self):
        daemon = self.start(replication=False)
        for value in ("true", "database"):
            error = self.refused("0A000", daemon.connect, replication=value)
            self.assertIn("environments.prod.pool.replication is false", error.message)
            self.assertIn("Set it to true", error.hint)
        with daemon.connect(replication="off") as client:
            self.assertEqual(client.query("SELECT 1").value(), "1")

    def test_an_idle_server_makes_room_and_never_all_are_taken(self):
        daemon = self.start(pool_size=2, query_wait_timeout="2s")
        clients = [daemon.connect() for _ in range(2)]
        for client in clients:
            client.query("BEGIN")
        for client in clients:
            client.query("COMMIT")
        self.assertEqual(len(daemon.show("SERVERS")), 2)
        with daemon.connect(replication="database") as client:
            client.query("IDENTIFY_SYSTEM")
            self.assertEqual(len(daemon.show("SERVERS")), 2)
            error = self.refused("53400", daemon.connect, replication="database")
            self.assertRegex(error.message, r"no leave to pin .*max_pinned: all 1 of the 2.*replication for")
            self.assertEqual([other.query("SELECT 1").value() for other in clients], ["1", "1"])
        with daemon.connect(replication="database") as client:
            client.query("IDENTIFY_SYSTEM")

    def test_it_waits_for_its_turn_behind_who_came_before(self):
        daemon = self.start(pool_size=2)
        holders = [daemon.connect() for _ in range(2)]
        for holder in holders:
            holder.query("BEGIN")
        with daemon.connect() as waiting, daemon.raw() as replication:
            waiting.send(protocol.query("SELECT 'first'"))
            self.until(lambda: daemon.pool()["cl_waiting"] == 1, "one to wait")
            replication.ask("prod", replication="database")
            self.until(lambda: daemon.pool()["cl_waiting"] == 2, "two to wait")
            holders[0].query("COMMIT")
            self.assertEqual(waiting.answer().value(), "first")
            replication.welcomed()
            self.assertEqual(replication.query("SELECT 2").value(), "2")

    def test_who_leaves_while_it_is_made_leaves_nothing(self):
        daemon = self.start(pool_size=2)
        for _ in range(20):
            with daemon.raw() as client:
                client.ask("prod", replication="true")
        self.until(lambda: not daemon.show("SERVERS", replication="physical") and not daemon.show("PINS"), "all to be gone")
        with daemon.connect(replication="true") as client:
            self.assertEqual(client.query("SHOW server_version").rows[0][0][:2], "15")

    def test_a_running_command_is_canceled(self):
        daemon = self.start()
        with daemon.connect(replication="database") as client:
            client.send(protocol.query("SELECT pg_sleep(60)"))
            self.until(lambda: self.primary.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {client.pid} AND state = 'active'"),
                       "it to run")
            with daemon.raw() as other:
                other.send(protocol.cancel_request(client.pid, client.key))
            self.refused("57014", client.answer)
            self.assertEqual(client.query("SELECT 1").value(), "1")

    def test_who_half_closes_still_gets_the_answer(self):
        daemon = self.start()
        with daemon.connect(replication="database") as client:
            client.send(protocol.query("SELECT pg_sleep(0.5), 7"))
            client.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(client.answer().rows[0][1], "7")
            self.assertTrue(client.closed())
        self.gone()

    def test_a_stream_is_no_hope_for_who_waits_in_vain(self):
        daemon = self.start(pool_size=3)
        with daemon.connect(replication="true") as client:
            position = client.query("IDENTIFY_SYSTEM").rows[0][2]
            client.send(protocol.query(f"START_REPLICATION PHYSICAL {position} TIMELINE 1"))
            self.assertEqual(client.read()[0], "W")
            daemon.console("RECONNECT prod")
            self.until(lambda: len(daemon.show("SERVERS")) == 1, "the others to be closed")
            self.primary.sql(f"ALTER DATABASE {self.environment.database} RENAME TO elsewhere")
            self.addCleanup(self.primary.sql, "DROP DATABASE elsewhere")
            with daemon.connect() as other:
                self.refused("08001", other.query, "SELECT 1")

    def test_with_several_environments_physical_tools_need_an_alias(self):
        world = self.world()
        world.add("staging")
        self.daemon = self.watch(world.start())
        done = self.tool("pg_receivewal", "-n", "-D", self.folder(), check=False, timeout=20)
        self.assertIn('environment "replication" does not exist', done.stderr)
        self.assertEqual(self.psql("SHOW server_version_num", "true").stdout[:2], "15")
        world.config["prod"]["aliases"] = ["replication"]
        self.daemon.reload(world.configuration())
        self.assertEqual(self.psql("SHOW server_version_num", "true", dbname="replication").stdout[:2], "15")

    def test_a_shutdown_tells_it(self):
        daemon = self.start()
        with daemon.connect(replication="database") as client:
            client.query("IDENTIFY_SYSTEM")
            daemon.signal(signal.SIGTERM)
            kind, payload = client.read()
            self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "57P01"))
            daemon.wait()


class Rotating(Replicating):
    """A rotation costs no replication connection either."""

    def password_set(self, world):
        """A rotation up to that. PostgreSQL 15 lets no role that may replicate change its own password: the superuser does."""
        steps = rotation.Rotation(world.manager, self.environment.secret_name, self.primary).run(until="create_secret")
        pending = world.manager.document(self.environment.secret_name, "AWSPENDING")
        self.primary.set_password(pending["username"], pending["password"])
        return steps

    def test_what_streams_goes_on_and_what_is_new_waits_out_the_gap(self):
        world = self.world(server_lifetime="1s")
        daemon = self.daemon = self.watch(world.start())
        with daemon.connect(replication="database") as old:
            old.query("IDENTIFY_SYSTEM")
            world.manager.deny("AWSPENDING")
            steps = self.password_set(world)
            with daemon.raw() as waiting:
                waiting.ask("prod", replication="true")
                self.assertTrue(waiting.silent(3), "answered before the promotion")
                steps.test_secret()
                steps.finish_secret()
                waiting.timeout = 40
                waiting.welcomed()
                self.assertEqual(waiting.query("SHOW server_version").rows[0][0][:2], "15")
            self.assertEqual(old.query("SELECT 1").value(), "1")

    def test_the_pending_password_serves_it(self):
        world = self.world()
        daemon = self.daemon = self.watch(world.start())
        self.password_set(world)
        for value in ("true", "database"):
            with daemon.connect(replication=value) as client:
                client.query("IDENTIFY_SYSTEM")

    def test_it_waits_for_a_server_that_starts_again(self):
        daemon = self.start()
        self.primary.pause()
        with daemon.raw() as client:
            client.ask("prod", replication="true")
            self.assertTrue(client.silent(2), "answered by a server that is down")
            self.primary.resume()
            client.timeout = 40
            client.welcomed()
            self.assertEqual(client.query("SHOW server_version").rows[0][0][:2], "15")


if __name__ == "__main__":
    story.main()
