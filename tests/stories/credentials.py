"""Secrets Manager has bad days: throttling, outages, slow and broken answers, wrong clocks, expired tokens.
AWS credentials that expire come from a container endpoint or from instance metadata."""
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import certificates
import place
import protocol
import story
from aws_endpoints import Endpoint
from secrets_manager import SecretsManager
from world import World

SECRET = "forecaster/database/prod"


class AtStart(story.Story):
    """The first fetch goes wrong; the broker asks again and then works."""

    def starts_in_spite_of(self, disturb, timeout=40):
        with World(self.server) as world:
            world.add("prod")
            disturb(world.manager)
            daemon = self.watch(world.start(ready=False))
            with daemon.connect(timeout=timeout) as client:
                self.assertEqual(client.query("SELECT 1").value(), "1")
            return world.manager.asked(secret_id=SECRET)

    def test_throttling_is_waited_out(self):
        asked = self.starts_in_spite_of(lambda manager: manager.throttle(2))
        self.assertEqual([request.code for request in asked[:3]], ["ThrottlingException"] * 2 + [""])

    def test_server_errors_by_status_and_by_code(self):
        def disturb(manager):
            manager.error(503, "ServiceUnavailable")
            manager.error(400, "InternalServiceError")
        self.starts_in_spite_of(disturb)

    def test_an_answer_cut_short(self):
        self.starts_in_spite_of(lambda manager: manager.fault("cut"))

    def test_a_connection_reset(self):
        self.starts_in_spite_of(lambda manager: manager.fault("reset"))

    def test_a_web_page_instead_of_an_answer(self):
        self.starts_in_spite_of(lambda manager: manager.fault("html"))

    def test_something_that_is_not_http(self):
        self.starts_in_spite_of(lambda manager: manager.fault("garbage"))

    def test_an_xml_error_from_a_proxy(self):
        self.starts_in_spite_of(lambda manager: manager.fault("xml", status=503, code="ServiceUnavailable"))

    def test_an_answer_far_too_big(self):
        self.starts_in_spite_of(lambda manager: manager.fault("huge"))

    def test_an_answer_that_never_comes(self):
        self.starts_in_spite_of(lambda manager: manager.fault("hang"))

    def test_an_expired_token_makes_it_read_its_credentials_again(self):
        self.starts_in_spite_of(lambda manager: manager.expire_token())

    def test_a_key_not_yet_known_everywhere(self):
        self.starts_in_spite_of(lambda manager: manager.forget_key())

    def test_a_clock_that_is_wrong_is_corrected_from_the_servers_date(self):
        for offset in (3600, -3600):
            with self.subTest(offset=offset):
                def disturb(manager):
                    manager.clock_offset = offset
                asked = self.starts_in_spite_of(disturb)
                self.assertEqual(asked[-1].status, 200)
                self.assertLess(len(asked), 6)


class Always(story.Story):
    """Rules that hold for every request."""

    def test_the_stage_is_always_named_and_the_first_is_awscurrent(self):
        with World(self.server) as world:
            world.add("prod", rotation={"poll_interval": "1s"})
            self.watch(world.start())
            self.until(lambda: len(world.manager.asked()) >= 3, "some polls")
            self.assertEqual({request.stage for request in world.manager.asked()}, {"AWSCURRENT"})

    def test_only_get_secret_value_is_ever_called(self):
        with World(self.server) as world:
            world.add("prod", rotation={"poll_interval": "1s"})
            self.watch(world.start())
            self.until(lambda: len(world.manager.requests) >= 3, "some polls")
            self.assertEqual({request.action for request in world.manager.requests}, {"GetSecretValue"})

    def test_polls_are_spread_around_the_interval(self):
        with World(self.server) as world:
            world.add("prod", rotation={"poll_interval": "1s"})
            self.watch(world.start())
            self.until(lambda: len(world.manager.asked()) >= 7, "polls")
            times = [request.time for request in world.manager.asked()][1:]
            gaps = [later - earlier for earlier, later in zip(times, times[1:])]
            self.assertTrue(0.7 <= statistics.median(gaps) <= 1.4, gaps)
            self.assertGreater(max(gaps) - min(gaps), 0.01, gaps)

    def test_two_hundred_waiting_clients_cost_one_fetch(self):
        with World(self.server) as world:
            world.add("prod")
            world.manager.fault("slow", seconds=2.0)
            daemon = self.watch(world.start(ready=False))
            clients = [daemon.raw() for _ in range(200)]
            for client in clients:
                client.timeout = 40
                client.send(protocol.startup_message({"user": "u", "database": "prod"}))
            for client in clients:
                client.read_until("Z")
                client.close()
            self.assertEqual(len(world.manager.asked()), 1)

    def test_an_outage_after_the_start_costs_nothing(self):
        with World(self.server) as world:
            world.add("prod", rotation={"poll_interval": "1s"}, pool={"server_lifetime": "1s"})
            daemon = self.watch(world.start())
            world.manager.outage()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
                time.sleep(0.05)
            self.until(lambda: daemon.show("SECRETS")[0]["last_error"], "the outage to be met")
            world.manager.clear_faults()
            self.until(lambda: not daemon.show("SECRETS")[0]["last_error"], "the error to be over", 60)

    def test_a_clock_that_is_set_by_hours_while_it_runs_costs_one_request_each_time(self):
        with World(self.server) as world:
            role = world.add("prod", rotation={"poll_interval": "1s"}).role
            daemon = self.watch(world.start())
            for hours, code in ((5, "RequestTimeTooSkewed"), (-7, "SignatureDoesNotMatch"), (0, "RequestExpired")):
                with self.subTest(hours=hours, code=code):
                    since = time.monotonic()
                    world.manager.skew_code, world.manager.clock_offset = code, hours * 3600.0

                    def asked():
                        codes = [request.code for request in world.manager.asked(since=since)]
                        return code in codes and codes[-1] == "" and codes
                    self.assertEqual(self.until(asked, "a request by the other clock").count(code), 1)
                    self.assertEqual(daemon.show("SECRETS")[0]["last_error"], "")
                    self.assertLess(int(daemon.show("SECRETS")[0]["age_s"]), 3600)
                    self.server.kill_sessions(role)
                    self.until(lambda: not daemon.show("SERVERS"), "the broker to have seen it")
                    self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
            self.assertIn("clock differs from Secrets Manager's", daemon.log())

    def test_the_loop_goes_on_while_secrets_manager_hangs(self):
        with World(self.server) as world:
            world.add("prod", rotation={"poll_interval": "1s"})
            daemon = self.watch(world.start())
            world.manager.fault("hang", times=None)
            with daemon.connect() as client:
                end, slowest = time.monotonic() + 4, 0.0
                while time.monotonic() < end:
                    began = time.monotonic()
                    client.query("SELECT 1")
                    slowest = max(slowest, time.monotonic() - began)
            self.assertLess(slowest, 4.0)               # a request is given up after 5 s

    def test_the_session_token_is_sent_and_signed(self):
        manager = SecretsManager(session_token="a/token+with=odd/characters==")
        with World(self.server, manager) as world:
            world.add("prod")
            self.watch(world.start())
            self.assertEqual(world.manager.asked()[0].status, 200)

    def test_a_wrong_key_is_told_and_not_hammered(self):
        with World(self.server) as world:
            world.add("prod", pool={"query_wait_timeout": "2s"})
            world.manager.keys = {world.manager.access_key: ("another", None)}
            daemon = self.watch(world.start(ready=False))
            self.refused("57P03", lambda: daemon.connect(timeout=30).query("SELECT 1"))
            daemon.wait_for_log("InvalidSignatureException")
            time.sleep(2)
            self.assertLess(len([r for r in world.manager.requests if r.action == "GetSecretValue"]), 8)

    def test_over_tls_with_a_ca_bundle_and_never_with_another(self):
        folder = certificates.make(place.directory("ca"))
        manager = SecretsManager(certificate=(folder / "server.crt", folder / "server.key"))
        with World(self.server, manager) as world:
            world.add("prod")
            for bundle, status in (("ca.crt", 0), ("wrong_ca.crt", 1)):
                done = broker.run("--check", config=world.configuration(), manager=manager,
                                  AWS_CA_BUNDLE=folder / bundle)
                self.assertEqual(done.returncode, status, f"{bundle}: {done.stdout}{done.stderr}")

    def test_half_a_pair_of_credentials_is_an_error(self):
        with World(self.server) as world:
            world.add("prod")
            done = broker.run("--check", config=world.configuration(), AWS_REGION="us-east-1",
                              AWS_ENDPOINT_URL_SECRETS_MANAGER=world.manager.url, AWS_ACCESS_KEY_ID="AKIDONLY")
            self.assertEqual(done.returncode, 1)
            self.assertIn("AWS_SECRET_ACCESS_KEY", done.stdout + done.stderr)

    def test_no_region_is_told(self):
        with World(self.server) as world:
            world.add("prod")
            variables = {**world.manager.environment(), "AWS_REGION": None}
            done = broker.run("--check", config=world.configuration(), **variables)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("AWS_REGION", done.stdout + done.stderr)


class Documents(story.Story):
    """Both spellings of a database secret, and the one RDS makes itself."""

    def works(self, rename, drop=(), endpoint=None, name=SECRET, **more):
        with World(self.server) as world:
            environment = world.add("prod")
            document = world.manager.document(SECRET)
            document = {rename.get(key, key): value for key, value in document.items() if key not in drop}
            document.update(more)
            config = world.config["prod"]
            if endpoint:
                config["endpoint"] = {"host": self.server.host, "port": self.server.port,
                                      "database": environment.database}
            config["database"] = {"secret_name": name}
            if name != SECRET:
                world.manager.create(name, document)
            else:
                world.manager.put(name, document)
            daemon = self.watch(world.start())
            self.assertEqual(daemon.connect().query("SELECT current_user").value(), environment.role)

    def test_the_seeds_spelling(self):
        self.works({})

    def test_the_spelling_of_awss_lambda(self):
        self.works({"database": "dbname"}, drop=("ssl_mode",), engine="postgres", ssl="true",
                   port=int(self.server.port))

    def test_an_rds_managed_secret_with_an_endpoint(self):
        self.works({}, drop=("host", "port", "database", "ssl_mode"), endpoint=True,
                   name="rds!db-00000000-0000-0000-0000-000000000000")

    def test_a_full_arn(self):
        with World(self.server) as world:
            world.add("prod")
            arn = world.manager.store.find(SECRET).arn
            world.config["prod"]["database"] = {"secret_name": arn}
            self.watch(world.start())
            self.assertEqual(world.manager.asked()[0].secret_id, arn)

    def test_a_binary_secret(self):
        with World(self.server) as world:
            world.add("prod")
            document = json.dumps(world.manager.document(SECRET)).encode()
            world.manager.put_binary(SECRET, document)
            self.watch(world.start())

    def test_a_password_may_hold_any_character(self):
        odd = " '\"\\ =%$#{}&;|<>`~é€\t§ host=evil"
        with World(self.server) as world:
            environment = world.add("prod")
            self.server.set_password(environment.role, odd)
            world.manager.put(SECRET, {**world.manager.document(SECRET), "password": odd})
            self.watch(world.start())


class Expiring(story.Story):
    """Credentials of a task, a pod or an instance are there before the old ones expire."""

    def world(self, endpoint, **config):
        manager = SecretsManager()
        manager.keys = endpoint.keys
        world = World(self.server, manager)
        world.add("prod", rotation={"poll_interval": "1s"}, **config)
        return world

    @staticmethod
    def without_keys(**variables):
        return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **variables}

    @staticmethod
    def of_container(endpoint, **variables):
        return Expiring.without_keys(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{endpoint.url}/v1/credentials", **variables)

    @staticmethod
    def of_instance(endpoint):
        return Expiring.without_keys(AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoint.url, AWS_EC2_METADATA_DISABLED="false")

    def lives_on(self, endpoint, variables):
        """Until long after the first key's end every fetch goes through, each with a key that is good."""
        with self.world(endpoint) as world:
            daemon = self.watch(world.start(**variables))
            self.until(lambda: len(set(endpoint.keys.used)) >= 4, "the fourth key to be used", 60)
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
            asked = world.manager.asked()
            self.assertEqual([request.code for request in asked if request.status != 200], [])
            self.assertGreater(len(asked), 5)
            for key, (secret, token) in endpoint.keys.items():
                for word in (key, secret, token, endpoint.token):
                    self.assertNotIn(word or "-none-", daemon.log())

    def test_a_container_endpoint_is_asked_again_before_keys_expire(self):
        path = place.directory("token") / "token"
        with Endpoint(8, token="pod-identity-token") as endpoint:
            path.write_text(endpoint.token)
            self.lives_on(endpoint, self.of_container(endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=path))

    def test_instance_metadata_is_asked_again_before_keys_expire(self):
        with Endpoint(8) as endpoint:
            self.lives_on(endpoint, self.of_instance(endpoint))
            self.assertEqual(endpoint.asked.count("/latest/api/token"), 1)

    def test_many_environments_ask_once(self):
        with Endpoint(600) as endpoint, self.world(endpoint) as world:
            for name in ("staging", "dev"):
                world.add(name)
            self.watch(world.start(**self.of_container(endpoint)))
            self.assertEqual(endpoint.asked, ["/v1/credentials"])

    def test_an_endpoint_that_is_down_takes_no_good_key_away(self):
        with Endpoint(8) as endpoint, self.world(endpoint) as world:
            daemon = self.watch(world.start(**self.of_container(endpoint)))
            endpoint.failing = True
            self.until(lambda: len(endpoint.asked) > 1, "the endpoint to be asked again")
            good = [request.code for request in world.manager.asked() if request.status != 200]
            self.assertTrue(not good or time.time() > max(endpoint.keys.ends.values()), good)
            self.until(lambda: "503" in str(daemon.show("SECRETS")[0]["last_error"]), "the key to be missed")
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
            endpoint.failing = False
            self.until(lambda: not daemon.show("SECRETS")[0]["last_error"], "a new key", 60)

    def test_a_container_endpoint_that_refuses_is_not_passed_over(self):
        with Endpoint(600, token="right") as endpoint, self.world(endpoint) as world:
            variables = {**self.of_instance(endpoint),
                         **self.of_container(endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong-token")}
            done = broker.run("--check", config=world.configuration(), manager=world.manager, **variables)
            self.assertEqual(done.returncode, 1)
            self.assertIn("status 403", done.stdout + done.stderr)
            self.assertNotIn("wrong-token", done.stdout + done.stderr)
            self.assertEqual(set(endpoint.asked), {"/v1/credentials"})

    def test_a_token_is_never_sent_over_http_to_a_host_elsewhere(self):
        with Endpoint(600) as endpoint, self.world(endpoint) as world:
            for uri in ("http://192.0.2.1/v1/credentials", "http://169.254.169.254/v1/credentials"):
                done = broker.run("--check", config=world.configuration(), manager=world.manager, timeout=20,
                                  **self.without_keys(AWS_CONTAINER_CREDENTIALS_FULL_URI=uri))
                self.assertEqual(done.returncode, 1)
                self.assertIn("would show the credentials to the network", done.stdout + done.stderr)

    def test_a_name_that_leads_to_loopback_is_asked_there(self):
        with Endpoint(600) as endpoint, self.world(endpoint) as world:
            uri = endpoint.url.replace("127.0.0.1", "localhost") + "/v1/credentials"
            self.watch(world.start(**self.without_keys(AWS_CONTAINER_CREDENTIALS_FULL_URI=uri)))

    def test_an_instance_without_a_role_is_told(self):
        with Endpoint(600, role=None) as endpoint, self.world(endpoint) as world:
            done = broker.run("--check", config=world.configuration(), manager=world.manager,
                              **self.of_instance(endpoint))
            self.assertEqual(done.returncode, 1)
            self.assertIn("no role is attached to the instance", done.stdout + done.stderr)

    def test_proxies_are_not_for_these_endpoints(self):
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
        for of in (self.of_container, self.of_instance):
            with self.subTest(of=of.__name__), Endpoint(600) as endpoint, self.world(endpoint) as world:
                broker.run("--check", config=world.configuration(), manager=world.manager, **of(endpoint), **proxies)
                self.assertEqual(len(endpoint.keys), 1)


if __name__ == "__main__":
    story.main()
