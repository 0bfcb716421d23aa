"""Who may connect: the kernel says who they are, lists say who may, and default is deny."""
import os
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import World

ALICE, BOB, MALLORY, STAFF = 20001, 20002, 20003, 30001


class Access(story.Story):
    """Root connects as whoever it likes."""

    def setUp(self):
        self.need_root()

    def world(self, access=None, **more):
        world = World(self.server, **more)
        world.add("prod", access=access or {"users": [ALICE]})
        return world

    def test_a_listed_uid_may_and_another_may_not(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            self.assertEqual(daemon.connect(uid=ALICE).query("SELECT 1").value(), "1")
            error = self.refused("28000", daemon.connect, uid=MALLORY)
            self.assertEqual(error.severity, "FATAL")
            self.assertIn(str(MALLORY), error.message + error.hint)

    def test_what_a_peer_says_its_user_name_is_does_not_matter(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            for name in ("root", "postgres", str(ALICE)):
                self.refused("28000", daemon.connect, uid=MALLORY, user=name)

    def test_groups_count_primary_and_supplementary(self):
        with self.world({"groups": [STAFF]}) as world:
            daemon = self.watch(world.start())
            daemon.connect(uid=BOB, gid=STAFF).close()
            daemon.connect(uid=BOB, groups=(7, STAFF, 9)).close()
            self.refused("28000", daemon.connect, uid=BOB, groups=(7, 9))

    def test_the_overflow_uid_never_matches_a_list(self):
        with self.world({"users": [ALICE, 65534]}) as world:
            daemon = self.watch(world.start())
            self.refused("28000", daemon.connect, uid=65534)

    def test_the_brokers_own_uid_needs_no_list_and_root_has_no_privilege(self):
        with self.world({"users": []}) as world:
            daemon = self.watch(world.start(ready=False, uid=BOB))
            daemon.wait_ready("prod", uid=BOB)
            self.refused("28000", daemon.connect)

    def test_lists_are_per_environment(self):
        with self.world({"users": [ALICE]}) as world:
            world.add("dev", access={"users": [BOB]})
            daemon = self.watch(world.start())
            daemon.connect("prod", uid=ALICE).close()
            daemon.connect("dev", uid=BOB).close()
            self.refused("28000", daemon.connect, "dev", uid=ALICE)
            self.refused("28000", daemon.connect, "prod", uid=BOB)

    def test_only_admins_open_the_console(self):
        with self.world({"users": [ALICE]}, admin={"users": [BOB]}) as world:
            daemon = self.watch(world.start())
            daemon.connect("pgbroker", uid=BOB).query("SHOW VERSION")
            for console in ("pgbroker", "pgbouncer"):
                self.refused("28000", daemon.connect, console, uid=ALICE)
            self.refused("28000", daemon.connect, "prod", uid=BOB)

    def test_a_peer_on_no_list_takes_no_client_slot(self):
        with self.world({"users": [ALICE]}, socket={"max_client_conn": 4}) as world:
            daemon = self.watch(world.start())
            strangers = [daemon.raw(uid=MALLORY) for _ in range(20)]
            daemon.connect(uid=ALICE).close()
            for stranger in strangers:
                self.assertTrue(stranger.closed())
                stranger.close(politely=False)

    def test_the_same_answer_for_what_is_forbidden_and_what_is_not_there(self):
        with self.world({"users": [ALICE]}) as world:
            daemon = self.watch(world.start())
            messages = {self.refused("28000", daemon.connect, name, uid=MALLORY).message.replace(name, "NAME")
                        for name in ("prod", "nothing_there")}
            self.assertEqual(len(messages), 1, messages)

    def test_the_socket_has_its_mode_when_it_appears(self):
        with self.world(socket={"mode": "0660"}) as world:
            daemon = self.watch(world.start())
            path = protocol.socket_path(daemon.directory)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
            with self.assertRaises(PermissionError):
                daemon.raw(uid=MALLORY)

    def test_allow_on_the_command_line_adds_to_the_list(self):
        with self.world({"users": []}) as world:
            daemon = self.watch(world.start(args=["--allow", str(ALICE)]))
            daemon.connect(uid=ALICE).close()
            self.refused("28000", daemon.connect, uid=BOB)

    def test_a_reload_changes_the_list_for_new_connections(self):
        with self.world({"users": [ALICE]}) as world:
            daemon = self.watch(world.start())
            self.refused("28000", daemon.connect, uid=BOB)
            world.config["prod"]["access"] = {"users": [BOB]}
            daemon.reload(world.configuration())
            self.until(lambda: self.may(daemon, BOB), "the new list to hold")
            self.refused("28000", daemon.connect, uid=ALICE)

    @staticmethod
    def may(daemon, uid):
        try:
            daemon.connect(uid=uid).close()
            return True
        except protocol.ServerError:
            return False

    def test_a_peer_that_never_speaks_is_sent_away(self):
        with self.world({"users": [ALICE]}) as world:
            world.config["prod"]["pool"] = {"client_login_timeout": "1s"}
            daemon = self.watch(world.start())
            silent = daemon.raw(uid=ALICE)
            self.assertTrue(silent.closed())

    def test_tls_and_gss_requests_are_declined_and_the_startup_goes_on(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.raw(uid=ALICE) as client:
                for code in (80877103, 80877104):
                    client.send(b"\0\0\0\x08" + code.to_bytes(4, "big"))
                    self.assertEqual(client.read_bytes(1), b"N")
                client.login("prod")
                self.assertEqual(client.query("SELECT 7").value(), "7")

    def test_bytes_behind_a_tls_request_are_a_violation(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.raw(uid=ALICE) as client:
                client.send(b"\0\0\0\x08" + (80877103).to_bytes(4, "big")
                            + protocol.startup_message({"user": "u", "database": "prod"}))
                kind, payload = client.read()
                self.assertEqual((kind, protocol.error_fields(payload)["C"]), ("E", "08P01"))
                self.assertTrue(client.closed())


if __name__ == "__main__":
    story.main()
