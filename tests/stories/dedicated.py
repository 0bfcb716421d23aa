"""A parameter that only a session's start can set: who asks for one has a server connection made for it."""
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import OneEnvironment, World

SAID = {"options": "-c ignore_system_indexes=on -c work_mem=8MB", "TimeZone": "Etc/GMT+5"}


class Asking(OneEnvironment):
    def shows(self, client, **values):
        self.assertEqual({name: client.query(f"SHOW {name}").value() for name in values}, values)


class Dedicated(Asking):
    """ignore_system_indexes, log_disconnections and their like."""

    def test_it_holds_for_the_whole_session_and_for_nobody_else(self):
        with self.world(pool_size=3) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**SAID) as client, daemon.connect() as other:
                self.assertEqual(client.parameters["TimeZone"], "Etc/GMT+5")
                for sql in ("RESET ALL", "SET work_mem TO '9MB'", "DISCARD ALL", "BEGIN; ROLLBACK", "SELECT 1"):
                    client.query(sql)
                    self.shows(client, ignore_system_indexes="on", TimeZone="Etc/GMT+5",
                               work_mem="9MB" if "9MB" in sql else "8MB")
                    self.shows(other, ignore_system_indexes="off")
                self.refused("55P02", client.query, "SET ignore_system_indexes TO off")
                self.assertEqual(client.extended("SELECT $1::int", [4]).value(), "4")

    def test_it_is_pinned_from_its_start_and_closed_with_its_client(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**SAID) as client:
                self.assertEqual(self.backend(client), str(client.pid))
                pin, = daemon.show("PINS")
                self.assertEqual((pin["reason"], pin["query"]), ("startup parameter", None))
                client.query("LISTEN news; CREATE TEMP TABLE mine (n int)")
                client.query("NOTIFY news")
                with daemon.connect() as other:
                    self.assertNotEqual(self.backend(other), str(client.pid))
            self.until(lambda: not daemon.show("PINS"), "the pin to end")
            self.until(lambda: not self.server.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {client.pid}"), "its server to end")

    def test_the_only_server_makes_room_and_is_waited_for(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                other.query("SELECT 1")
                with daemon.connect(**SAID) as client:
                    self.shows(client, ignore_system_indexes="on")
                    other.send(protocol.query("SELECT 2"))
                    self.assertTrue(other.silent(0.5))
                self.assertEqual(other.answer().value(), "2")

    def test_the_server_s_own_words_say_who_may_not(self):
        refusals = {"-c log_disconnections=on": "42501", "-c ignore_system_indexes=perhaps": "22023",
                    "-c local_preload_libraries=no_such": "58P01", "-c ignore_system_indexes=on -c no_such=1": "42704",
                    "-c ignore_system_indexes=on -c work_mem=x": "22023"}
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            for options, sqlstate in refusals.items():
                with self.subTest(options):
                    error = self.refused(sqlstate, daemon.connect, options=options)
                    self.assertEqual(error.fields["S"], "FATAL")
            with daemon.connect() as other:
                other.query("SELECT 1")
            self.until(lambda: not daemon.show("PINS") and daemon.pool()["sv_active"] == 0, "rest")

    def test_who_administers_the_server_can_have_what_only_he_may(self):
        with self.world(pool_size=2) as world:
            self.server.sql(f"ALTER ROLE {world.environments['prod'].role} SUPERUSER")
            daemon = self.watch(world.start())
            with daemon.connect(log_disconnections="on", session_preload_libraries="auto_explain") as client:
                self.shows(client, log_disconnections="on", session_preload_libraries="auto_explain")
                self.assertEqual(client.query("SHOW auto_explain.log_min_duration").value(), "-1")

    def test_with_several_hosts_the_words_of_the_first_are_the_last(self):
        self.server.need_own()
        with World(self.server) as world, socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            hosts = {"host": f"{self.server.host},{self.server.host}", "port": f"{self.server.port},{silent.getsockname()[1]}"}
            world.add("prod", secret=hosts, pool={"pool_size": 3, "target_session_attrs": "read-write"})
            daemon = self.watch(world.start())
            for _ in range(2):
                began = time.monotonic()
                self.refused("22023", daemon.connect, options="-c ignore_system_indexes=perhaps")
                with daemon.connect() as client, daemon.connect() as other:
                    client.query("BEGIN")
                    other.query("BEGIN")
                daemon.console("RECONNECT prod")
                self.assertLess(time.monotonic() - began, 5)

    def test_a_server_that_is_lost_is_told(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**SAID) as client:
                self.server.sql(f"SELECT pg_terminate_backend({client.pid})")
                kind, payload = client.read()
                self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "57P01"))


class Harmless(Asking):
    """What one client says at its start is no trouble for others."""

    def test_a_slow_start_keeps_nobody_waiting_and_ends_with_its_client(self):
        with self.world(pool_size=8, server_connect_timeout="60s") as world:
            daemon = self.watch(world.start())
            slow = [daemon.raw() for _ in range(5)]
            for client in slow:
                client.ask("prod", post_auth_delay="60")
            self.until(lambda: daemon.pool()["sv_login"] == 2, "two to be made")
            others = [daemon.connect() for _ in range(3)]
            for other in others:
                other.query("BEGIN")
            self.assertEqual((daemon.pool()["sv_active"], daemon.pool()["cl_waiting"]), (3, 5))
            for client in slow:
                client.close(politely=False)
            self.until(lambda: daemon.pool()["sv_login"] == 0 and not daemon.show("PINS"), "them to be given up", 5)
            for other in others:
                other.close()

    def test_a_slow_start_is_what_its_own_client_waits_for(self):
        with self.world(pool_size=2, server_connect_timeout="60s", query_wait_timeout="2s") as world:
            daemon = self.watch(world.start())
            with daemon.raw() as client:
                client.ask("prod", post_auth_delay="60")
                self.until(lambda: daemon.pool()["sv_login"], "it to be made")
                wait, = daemon.show("WAITS")
                self.assertEqual((wait["waiting_for"], wait["why"]), ("login", "1 server connections are being made"))
                self.assertIn("being made", self.refused("53400", client.welcomed).message)

    def test_its_user_s_share_of_servers_counts_those_that_are_being_made(self):
        with self.world(pool_size=8, max_user_connections=2, query_wait_timeout="2s") as world:
            daemon = self.watch(world.start())
            asking = [daemon.raw() for _ in range(4)]
            for client in asking:
                client.ask("prod", **SAID)
            for client in asking[:2]:
                client.welcomed()
            for client in asking[2:]:
                self.assertIn("max_user_connections", self.refused("53400", client.welcomed).message)
            self.assertEqual(len(daemon.show("PINS")), 2)
            for client in asking:
                client.close(politely=False)

    def test_it_makes_no_room_beyond_the_size_of_a_pool_that_uses_its_reserve(self):
        with self.world(pool_size=2, reserve_pool_size=3, reserve_pool_timeout="1s") as world:
            daemon = self.watch(world.start())
            held = [daemon.connect() for _ in range(4)]
            for client in held:
                client.query("BEGIN")
            held[0].query("COMMIT")
            with daemon.raw() as asking:
                asking.ask("prod", **SAID)
                self.assertTrue(asking.silent(1.5), "made beyond pool_size")
                for client in held[1:]:
                    client.query("COMMIT")
                asking.welcomed()
            for client in held:
                client.close()

    def test_local_users_take_turns(self):
        self.need_root()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 8, "max_pinned": 2}, access={"users": [20001]})
            daemon = self.watch(world.start())
            first = [daemon.connect(**SAID) for _ in range(2)]
            asking = [daemon.raw() for _ in range(4)] + [daemon.raw(uid=20001)]
            for client in asking:
                client.ask("prod", **SAID)
                waiting = len(daemon.show("CLIENTS", state="waiting"))
                self.until(lambda: len(daemon.show("CLIENTS", state="waiting")) >= waiting, "it to wait")
            first[0].close()
            asking[-1].welcomed()               # who has none yet comes before who has one
            for client in (first[1], *asking):
                client.close()

    def test_connect_query_is_run_before_it_is_given(self):
        with self.world(pool_size=2, connect_query="SET work_mem TO '7MB'") as world:
            daemon = self.watch(world.start())
            with daemon.connect(options="-c ignore_system_indexes=on") as client:
                self.shows(client, ignore_system_indexes="on", work_mem="7MB")
            for _ in range(10):
                with daemon.raw() as client:
                    client.ask("prod", **SAID)
            self.until(lambda: not daemon.show("PINS") and daemon.pool()["sv_login"] == 0, "all to be gone")

    def test_that_its_sessions_are_read_only_says_nothing_of_the_host(self):
        with self.world(pool_size=3, target_session_attrs="read-write", pool_mode="session", server_fast_close=True) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                pid = self.backend(other)
                with daemon.connect(**{**SAID, "options": "-c ignore_system_indexes=on -c default_transaction_read_only=on"}) as client:
                    self.shows(client, ignore_system_indexes="on", default_transaction_read_only="on")
                    time.sleep(1.5)             # those that must go would by now
                    self.assertEqual(self.backend(other), pid)


if __name__ == "__main__":
    story.main()
