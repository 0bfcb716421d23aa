"""ssl_mode: every mode of the secret, every floor, every server gives what the contract says, and no less."""
import concurrent.futures
import itertools
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import cluster
import pg_standin
import place
import process
import protocol
import story
from secrets_manager import SecretsManager

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OUTSIDE = place.outside_address()
_clusters = {}


def tls_cluster():
    """A server that also listens on this machine's own address, and has certificates to choose from."""
    if "one" not in _clusters:
        _clusters["one"] = cluster.Cluster(addresses=[OUTSIDE] if OUTSIDE else []).start()
    return _clusters["one"]


def tearDownModule():
    for one in _clusters.values():
        one.stop()


def expected(mode, floor, remote, server_tls, root_cert, host_name):
    """ "tls", "plain" or "refused", written from the contract's words alone (1.4).

    mode and floor: None if absent; root_cert: None, "right" or "wrong"; host_name: does the certificate bear it.
    """
    demanded = floor or ("require" if remote else "disable")
    strongest = max(mode or ("require" if remote else "prefer"), demanded, key=MODES.index)
    if mode == "disable" and demanded not in ("disable", "allow", "prefer"):
        return "refused" if floor is None else "not plain"
    if strongest == "disable":
        return "plain"
    if not server_tls:
        return "plain" if strongest in ("allow", "prefer") else "refused"
    if root_cert == "wrong":                        # require with a root certificate verifies as verify-ca
        return "refused"
    return "refused" if strongest == "verify-full" and not host_name else "tls"


class Table(story.Story):
    """The table, over TCP to loopback and to an address that is not."""

    timeout = 600

    def setUp(self):
        if not self.server_is_own():
            self.skipTest("needs a server of its own (PGBROKER_TEST_SERVER is set)")
        self.one = tls_cluster()
        self.role, self.password = self.one.create_login("tls")
        self.database = self.one.create_database("tls", owner=self.role)

    @staticmethod
    def server_is_own():
        return "PGBROKER_TEST_SERVER" not in broker.os.environ

    def tell(self, cases, host):
        """One broker with an environment a case; each must answer as the table expects."""
        with SecretsManager() as manager:
            environments, wanted = {}, {}
            for number, (mode, floor, root_cert) in enumerate(cases):
                name = f"e{number}"
                document = {"host": host, "port": str(self.one.port), "username": self.role,
                            "password": self.password, "database": self.database}
                manager.create(f"forecaster/database/{name}",
                               {**document, **({"ssl_mode": mode} if mode else {})})
                tls = {"min_ssl_mode": floor} if floor else {}
                if root_cert:
                    tls["root_cert"] = str({"right": self.one.root_cert, "wrong": self.one.wrong_root_cert}[root_cert])
                environments[name] = {"tls": tls, "pool": {"server_connect_timeout": "5s", "query_wait_timeout": "3s"}}
                wanted[name] = expected(mode, floor, host not in ("localhost", "127.0.0.1"),
                                        self.one.settings["ssl"] == "on", root_cert, self.host_name_fits())
            daemon = self.watch(broker.Broker({"environments": environments}, manager).start())
            with concurrent.futures.ThreadPoolExecutor(16) as pool:      # who is refused may wait for it
                outcomes = list(pool.map(lambda name: self.outcome(daemon, name, wanted[name]), wanted))
            for word, outcome, case in zip(wanted.values(), outcomes, cases):
                with self.subTest(host=host, mode=case[0], floor=case[1], root_cert=case[2],
                                  server_tls=self.one.settings["ssl"], certificate=self.certificate()):
                    if word == "not plain":
                        self.assertNotEqual(outcome, "plain")
                    else:
                        self.assertEqual(outcome, word)
            daemon.stop()

    def certificate(self):
        return pathlib.Path(self.one.settings["ssl_cert_file"]).stem

    def host_name_fits(self):
        return self.certificate() == "server"

    @staticmethod
    def outcome(daemon, name, wanted):
        """What a query over this environment shows about its own server connection. Many logins at once may take
        longer than a client waits: where none should be refused, it asks again."""
        end = time.monotonic() + (60 if wanted in ("tls", "plain") else 0)
        while True:
            try:
                with daemon.connect(name, timeout=30) as connection:
                    encrypted = connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").value()
                    return "tls" if encrypted == "t" else "plain"
            except protocol.ServerError as error:
                if error.sqlstate not in ("08001", "57P03", "53400"):
                    raise
                if time.monotonic() > end:
                    return "refused"

    def cases(self, floors):
        every = itertools.product((None, *MODES), floors, (None, "right", "wrong"))
        return [(mode, floor, root) for mode, floor, root in every
                if not (root is None and "verify" in (mode or "") + (floor or ""))]

    def sweep(self, host):
        floors = (None, "disable", "prefer", "require", "verify-ca", "verify-full")
        if not story.LONG:
            floors = (None, "require", "verify-full") if host == "localhost" else (None, "disable")
        for ssl, certificate in (("on", "server"), ("on", "elsewhere"), ("off", "server")):
            self.one.settings["ssl"] = ssl
            self.one.use_certificate(certificate)
            self.tell(self.cases(floors), host)

    def test_to_a_loopback_host(self):
        self.sweep("localhost")

    def test_to_a_host_that_is_not_loopback(self):
        if not OUTSIDE:
            self.skipTest("this machine has no address but loopback")
        self.sweep(OUTSIDE)


class Words(story.Story):
    """What is refused says which key to change."""

    def check(self, secret, environment, manager=None):
        with SecretsManager() as manager:
            manager.create("forecaster/database/prod", {"username": "u", "password": "p", "database": "d", **secret})
            return broker.run("--check", config={"environments": {"prod": environment}}, manager=manager)

    def test_a_remote_host_with_disable_names_the_key_to_change(self):
        done = self.check({"host": "192.0.2.77", "ssl_mode": "disable"}, {})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"fail prod .*(min_)?ssl_mode")

    def test_a_socket_host_refuses_a_demand_for_tls_with_the_reason(self):
        for mode in ("require", "verify-ca", "verify-full"):
            done = self.check({"host": "/var/run/postgresql", "ssl_mode": mode}, {"tls": {"root_cert": __file__}})
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stdout + done.stderr, r"(?i)fail prod .*socket")

    def test_verify_needs_a_root_certificate(self):
        done = self.check({"host": "localhost", "ssl_mode": "verify-full"}, {})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"fail prod .*root_cert")

    def test_a_missing_ca_file_is_named(self):
        missing = place.directory("ca") / "nobody-made-this.crt"
        done = self.check({"host": "localhost", "ssl_mode": "verify-full"}, {"tls": {"root_cert": str(missing)}})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(missing.name, done.stdout + done.stderr)

    def test_require_without_verification_draws_a_warning(self):
        one = tls_cluster() if Table.server_is_own() else self.server
        role, password = one.create_login("warn")
        done = self.check({"host": one.host, "port": str(one.port), "username": role, "password": password,
                           "database": one.create_database("warn", owner=role), "ssl_mode": "require"}, {})
        self.assertRegex(done.stdout, r"(?m)^warn prod ")


class Downgrade(story.Story):
    """A server, or somebody in its place, that would like to talk in the clear."""

    def one_try(self, behaviour, secret, tls=None, certificate=None):
        """The stand-in after one login attempt through the broker, and the broker's error."""
        with SecretsManager() as manager, pg_standin.PgStandin(behaviour, certificate) as server:
            manager.create("forecaster/database/prod", server.secret(**secret))
            daemon = self.watch(broker.Broker({"environments": {"prod": {
                "tls": tls or {}, "pool": {"query_wait_timeout": "2s", "server_connect_timeout": "2s"}}}}, manager).start())
            self.until(lambda: daemon.show("ERRORS", source="login") or daemon.show("SERVERS", state="idle"),
                       "the first login to have ended")
            try:
                daemon.connect(timeout=20).query("SELECT 1")
                error = None
            except protocol.ServerError as caught:
                error = caught
            daemon.stop()
            return server, error

    def test_require_never_goes_on_in_plain(self):
        for mode in ("require", "verify-ca", "verify-full"):
            with self.subTest(mode=mode):
                tls = {"root_cert": str(tls_cluster().root_cert)}
                server, error = self.one_try(pg_standin.serve, {"ssl_mode": mode}, tls)
                self.assertEqual(error.sqlstate, "08001")
                self.assertTrue(server.sessions and all(session.startup is None for session in server.sessions))

    def test_prefer_goes_plain_only_after_the_server_said_it_has_no_tls(self):
        server, error = self.one_try(pg_standin.serve, {"ssl_mode": "prefer"})
        self.assertIsNone(error)
        self.assertTrue(any(session.startup for session in server.sessions))
        self.assertTrue(any(session.tls_asked for session in server.sessions))

    def test_prefer_does_not_go_plain_after_a_broken_handshake(self):
        def break_handshake(session):
            session.exactly(8)
            session.send(b"S")
            session.exactly(5)
            session.send(b"\x15\x03\x03\x00\x02\x02\x28")      # alert: handshake failure
        server, error = self.one_try(break_handshake, {"ssl_mode": "prefer"})
        self.assertEqual(error.sqlstate, "08001")
        self.assertTrue(all(session.startup is None for session in server.sessions))

    def test_prefer_does_not_go_plain_after_silence(self):
        server, error = self.one_try(pg_standin.silent, {"ssl_mode": "prefer"})
        self.assertIn(error.sqlstate, ("08001", "53400"))
        self.assertTrue(all(session.startup is None for session in server.sessions))

    def test_what_a_server_says_ahead_of_the_handshake_is_not_believed(self):
        """Whoever stands between may put it there, and needs no certificate for that."""
        words = pg_standin.error("42501", "put there by a stranger")

        def speak_ahead(session):
            session.exactly(8)
            session.send(b"S" + words)
            session.exactly(5)
        for mode in ("require", "prefer"):
            with self.subTest(mode=mode):
                server, error = self.one_try(speak_ahead, {"ssl_mode": mode})
                self.assertEqual(error.sqlstate, "08001")
                self.assertNotIn("stranger", str(error.fields))
                self.assertTrue(server.sessions and all(session.startup is None for session in server.sessions))

    def test_a_false_server_that_asks_for_clear_text_gets_no_password_under_verify_full(self):
        folder = place.directory("false")
        process.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-subj", "/CN=localhost", "-days", "2", "-keyout", folder / "key", "-out", folder / "crt"])
        server, error = self.one_try(pg_standin.ask_cleartext, {"ssl_mode": "verify-full", "password": "dont-tell"},
                                     {"root_cert": str(tls_cluster().root_cert)}, (folder / "crt", folder / "key"))
        self.assertEqual(error.sqlstate, "08001")
        self.assertFalse(any(re.search(b"dont-tell", payload) for session in server.sessions
                             for _, payload in session.received))

    def test_channel_binding_require_refuses_a_server_without_scram(self):
        own = tls_cluster()
        key = place.directory("keys") / "server.key"
        key.write_bytes((own.place / "server.key").read_bytes())
        server, error = self.one_try(pg_standin.ask_cleartext, {"ssl_mode": "verify-full", "host": "localhost",
                                                                "password": "dont-tell"},
                                     {"root_cert": str(own.root_cert), "channel_binding": "require"},
                                     (own.place / "server.crt", key))
        self.assertEqual(error.sqlstate, "08001")
        self.assertFalse(any(b"dont-tell" in payload for session in server.sessions
                             for _, payload in session.received))


if __name__ == "__main__":
    story.main()
