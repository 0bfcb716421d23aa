"""AWS credentials from web identities, roles and programs; and Secrets Manager that refuses for longer."""
import json
import pathlib
import shlex
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import certificates
import place
import story
from aws_endpoints import Endpoint, Keys, Sts
from secrets_manager import SecretsManager
from world import World

SECRET = "forecaster/database/prod"
CALLER = {"AKIDCALLEREXAMPLE": ("a/caller+secret", None)}


class Providers(story.Story):
    """A world whose Secrets Manager takes only the keys that a provider issues."""

    def world(self, keys, **config):
        manager = SecretsManager()
        manager.keys = keys
        world = World(self.server, manager)
        world.add("prod", rotation={"poll_interval": "1s"}, **config)
        return world

    @staticmethod
    def variables(sts=None, config=None, credentials=None, **more):
        """The environment of a broker without keys, with these files."""
        folder = place.directory("aws")
        values = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        for name, variable, text in (("config", "AWS_CONFIG_FILE", config),
                                     ("credentials", "AWS_SHARED_CREDENTIALS_FILE", credentials)):
            if text:
                (folder / name).write_text(text)
                values[variable] = folder / name
        if sts:
            values["AWS_ENDPOINT_URL_STS"] = sts.url
        return {**values, **more}

    def goes_on(self, world, fetches=5):
        """The next fetches go through."""
        since = time.monotonic()
        asked = self.until(lambda: len(new := world.manager.asked(since=since)) >= fetches and new, "fetches", 60)
        self.assertEqual([request.code for request in asked if request.status != 200], [])

    def goes_on_past(self, world, keys):
        """Every fetch goes through until the first key has expired and the third is in use."""
        self.until(lambda: len(set(keys.used)) >= 3 and time.time() > min(keys.ends.values()), "the third key", 60)
        self.goes_on(world, 2)
        self.assertEqual([request.code for request in world.manager.asked() if request.status != 200], [])

    def says_nothing(self, daemon, keys, *words):
        for key, (secret, token) in keys.items():
            for word in (key, secret, token, *words):
                self.assertNotIn(word, daemon.log())

    def ready_again(self, daemon):
        """After somebody has mended it; an administrator asks, who may be told once more of what just failed."""
        def ready():
            daemon.console("REFRESH prod")
            try:
                return daemon.connect().query("SELECT 1").value() == "1"
            except broker.protocol.ServerError:
                return False
        self.until(ready, "the broker to be ready", 60)

    def checked(self, world, status, *texts, **variables):
        done = broker.run("--check", config=world.configuration(), manager=world.manager, **variables)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for text in texts:
            self.assertIn(text, done.stdout + done.stderr)


class Roles(Providers):
    """STS gives the keys."""

    def test_a_web_identity_is_renewed_with_the_token_of_the_day(self):
        token = place.directory("token") / "token"
        token.write_text("jwt-of-monday")
        with Sts(8, tokens=["jwt-of-monday"]) as sts, self.world(sts.keys) as world:
            daemon = self.watch(world.start(**self.variables(
                sts, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=sts.ROLE, AWS_ROLE_SESSION_NAME="pod-7")))
            token.write_text("jwt-of-tuesday")
            sts.tokens = {"jwt-of-tuesday"}
            self.goes_on_past(world, sts.keys)
            self.assertEqual({asked["RoleSessionName"] for asked in sts.asked}, {"pod-7"})
            self.assertEqual({asked["code"] for asked in sts.asked}, {""})
            self.says_nothing(daemon, sts.keys, "jwt-of")

    def test_a_web_identity_of_a_profile_and_answers_in_json(self):
        token = place.directory("token") / "token"
        token.write_text("jwt")
        config = f"[profile ci]\nrole_arn = {Sts.ROLE}\nweb_identity_token_file = {token}\n"
        with Sts(600, tokens=["jwt"], speaks_json=True) as sts, self.world(sts.keys) as world:
            self.watch(world.start(**self.variables(sts, config, AWS_PROFILE="ci")))
            self.assertEqual(len(sts.keys), 1)

    def test_a_role_is_assumed_with_the_keys_of_another_profile_and_renewed(self):
        config = (f"[default]\nrole_arn = {Sts.ROLE}\nsource_profile = base\nexternal_id = a b&c=d\n"
                  "duration_seconds = 900\n")
        credentials = "[base]\naws_access_key_id = AKIDCALLEREXAMPLE\naws_secret_access_key = a/caller+secret\n"
        with Sts(8, CALLER, external_id="a b&c=d") as sts, self.world(sts.keys) as world:
            daemon = self.watch(world.start(**self.variables(sts, config, credentials)))
            self.goes_on_past(world, sts.keys)
            self.assertEqual({asked["DurationSeconds"] for asked in sts.asked}, {"900"})
            self.says_nothing(daemon, sts.keys, "a/caller+secret")

    def test_a_role_is_assumed_with_the_instances_keys_in_the_instances_region(self):
        config = f"[default]\nrole_arn = {Sts.ROLE}\ncredential_source = Ec2InstanceMetadata\n"
        with Endpoint(600) as endpoint, Sts(600, endpoint.keys) as sts, self.world(sts.keys) as world:
            self.watch(world.start(**self.variables(
                sts, config, AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoint.url, AWS_EC2_METADATA_DISABLED="false",
                AWS_REGION="")))
            self.assertIn("/latest/meta-data/placement/region", endpoint.asked)
            self.assertEqual((len(endpoint.keys), len(sts.keys)), (1, 1))

    def test_the_region_is_the_instances_if_nobody_says_another(self):
        with Endpoint(600, region="eu-north-1") as endpoint:
            manager = SecretsManager(region="eu-north-1")
            manager.keys = endpoint.keys
            with World(self.server, manager) as world:
                world.add("prod")
                daemon = self.watch(world.start(**self.variables(
                    AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoint.url, AWS_EC2_METADATA_DISABLED="false", AWS_REGION="")))
                self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")

    def test_the_clock_of_sts_is_followed(self):
        credentials = (f"[default]\nrole_arn = {Sts.ROLE}\nsource_profile = default\n"
                       "aws_access_key_id = AKIDCALLEREXAMPLE\naws_secret_access_key = a/caller+secret\n")
        with Sts(7200, CALLER) as sts, self.world(sts.keys) as world:
            sts.clock_offset = 3600
            self.watch(world.start(**self.variables(sts, credentials=credentials)))
            self.assertEqual([asked["code"] for asked in sts.asked], ["SignatureDoesNotMatch", ""])

    def test_a_denied_role_is_told_to_who_waits_and_then_found(self):
        credentials = (f"[default]\nrole_arn = {Sts.ROLE}\nsource_profile = default\n"
                       "aws_access_key_id = AKIDCALLEREXAMPLE\naws_secret_access_key = a/caller+secret\n")
        with Sts(600, CALLER, external_id="wanted") as sts, \
                self.world(sts.keys, pool={"query_wait_timeout": "2s"}) as world:
            daemon = self.watch(world.start(ready=False, **self.variables(sts, credentials=credentials)))
            error = self.refused("57P03", lambda: daemon.connect(timeout=30).query("SELECT 1"))
            self.assertIn("STS: AccessDenied", str(error.fields))
            self.assertIn("sts:AssumeRole", str(error.fields))
            sts.external_id = None
            self.ready_again(daemon)

    def test_more_than_one_hop_is_refused(self):
        config = (f"[default]\nrole_arn = {Sts.ROLE}\nsource_profile = other\n"
                  f"[profile other]\nrole_arn = {Sts.ROLE}\nsource_profile = default\n")
        with Sts(600, CALLER) as sts, self.world(sts.keys) as world:
            self.checked(world, 1, "profile other", "second role", **self.variables(sts, config))
            self.assertEqual(sts.asked, [])


class WithProgram(Providers):
    """A credential_process that prints the keys of the day, or fails."""

    SCRIPT = """import json, os, pathlib, sys, time
place = pathlib.Path(sys.argv[1])
with open(place / "runs", "a") as runs:
    files = sorted(map(int, os.listdir("/proc/self/fd")))
    runs.write(json.dumps({"arguments": sys.argv[2:], "input": sys.stdin.read(), "files": files}) + "\\n")
wrong = place / "wrong"
if wrong.exists():
    sys.stderr.write(wrong.read_text())
    sys.exit(3)
keys = json.loads((place / "keys").read_text())
if "Life" in keys:
    keys["Expiration"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + keys.pop("Life")))
sys.stdout.write(json.dumps(keys))
"""

    def setUp(self):
        self.place = place.directory("process")
        (self.place / "creds.py").write_text(self.SCRIPT)
        self.keys = Keys()

    def issue(self, lifetime, **more):
        key = self.keys.issue(lifetime)
        key["SessionToken"] = key.pop("Token")
        (self.place / "keys.new").write_text(json.dumps({"Version": 1, **key, **more}))
        (self.place / "keys.new").rename(self.place / "keys")

    def profile(self, more=""):
        command = f'"{sys.executable}" {shlex.quote(str(self.place / "creds.py"))} {self.place} {more}'
        return f"[profile tool]\ncredential_process = {command}\n"

    def runs(self):
        path = self.place / "runs"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

class Programs(WithProgram):
    """credential_process, and what needs a person."""

    def test_a_program_is_run_again_before_its_keys_expire(self):
        self.issue(600)
        variables = self.variables(config=self.profile('"two words" $HOME'), AWS_PROFILE="tool")
        with self.world(self.keys) as world:
            self.issue(8)
            daemon = self.watch(world.start(**variables))
            for _ in range(3):
                before = len(self.runs())
                self.issue(8)
                self.until(lambda: len(self.runs()) > before, "it to be run again")
            asked = world.manager.asked()
            self.assertEqual([request.code for request in asked if request.status != 200], [])
            for run in self.runs():
                self.assertEqual((run["arguments"], run["input"]), (["two words", "$HOME"], ""))
                self.assertEqual(run["files"], [0, 1, 2, 3, 4])         # 3 and 4: its own two
            self.says_nothing(daemon, self.keys)

    def test_a_program_that_fails_is_told_without_keys_until_it_works(self):
        self.issue(600)
        (self.place / "wrong").write_text("no vault, key AKIDSECRETEXAMPLE1 wJalrXUtnFEMI/K7MDENG+bPxRfiCY\nmore\n")
        with self.world(self.keys, pool={"query_wait_timeout": "2s"}) as world:
            daemon = self.watch(world.start(ready=False, **self.variables(config=self.profile(), AWS_PROFILE="tool")))
            error = self.refused("57P03", lambda: daemon.connect(timeout=30).query("SELECT 1"))
            self.assertIn("credential_process: it ended with status 3: no vault, key ... ...", str(error.fields))
            self.assertNotIn("AKIDSECRET", daemon.log())
            (self.place / "wrong").unlink()
            self.ready_again(daemon)

    def test_what_needs_a_person_is_refused_by_name(self):
        with self.world(self.keys) as world:
            for line, text in (("sso_session = me", "sso_session needs a person"),
                               ("login_session = me", "login_session needs a person"),
                               (f"role_arn = {Sts.ROLE}\nsource_profile = x\nmfa_serial = y", "mfa_serial asks")):
                self.checked(world, 1, text, **self.variables(config=f"[default]\n{line}\n"))


class Renewals(WithProgram):
    """Keys are to be renewed, and their provider fails."""

    LIFE = 5

    def providers(self):
        """Name, keys, environment, break (True) or mend it, how often it was asked, what it is said to have said."""
        token = place.directory("token") / "token"
        token.write_text("jwt")
        config = (f"[default]\nrole_arn = {Sts.ROLE}\nsource_profile = default\n"
                  "aws_access_key_id = AKIDCALLEREXAMPLE\naws_secret_access_key = a/caller+secret\n")
        role, identity = (self.enterContext(Sts(self.LIFE, CALLER, tokens=["jwt"], grace=600)) for _ in range(2))
        instance, container = (self.enterContext(Endpoint(self.LIFE)) for _ in range(2))
        instance.keys.grace = container.keys.grace = 600
        self.issue(600, Life=self.LIFE)

        def endpoint(asked):
            return lambda fails: setattr(asked, "failing", fails), lambda: len(asked.asked)

        def program(fails):
            (self.place / "wrong").write_text("no vault") if fails else (self.place / "wrong").unlink()

        return (("role", role.keys, self.variables(role, config), *endpoint(role), "STS: ServiceUnavailable"),
                ("web identity", identity.keys, self.variables(
                    identity, AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=Sts.ROLE), *endpoint(identity),
                 "STS: ServiceUnavailable"),
                ("program", self.keys, self.variables(config=self.profile(), AWS_PROFILE="tool"), program,
                 lambda: len(self.runs()), "it ended with status 3: no vault"),
                ("container", container.keys, self.variables(
                    AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{container.url}/v1/credentials"), *endpoint(container), "503"),
                ("instance", instance.keys, self.variables(
                    AWS_EC2_METADATA_SERVICE_ENDPOINT=instance.url, AWS_EC2_METADATA_DISABLED="false"),
                 *endpoint(instance), "503"))

    def test_the_old_keys_are_used_past_their_end_and_missed_only_when_they_are_refused(self):
        """All at once, each with a broker of its own, for most of it is waiting."""
        providers, brokers = self.providers(), {}
        for name, keys, variables, *_ in providers:
            brokers[name] = self.enterContext(self.world(keys))
            self.watch(brokers[name].start(**variables))
        before = {name: asked() for name, _, _, _, asked, _ in providers}
        for _, _, _, fails, _, _ in providers:
            fails(True)
        expired = time.monotonic() + self.LIFE + 1
        for name, _, _, _, asked, _ in providers:
            self.until(lambda: asked() > before[name], f"the {name} to be asked in vain")
        self.until(lambda: time.monotonic() > expired, "all keys to expire")
        for world in brokers.values():
            self.goes_on(world, 2)
        for name, keys, _, fails, _, said in providers:
            with self.subTest(name):
                daemon = brokers[name].broker
                self.says_nothing(daemon, keys)
                keys.clear()                        # from here on the service knows none of them
                self.until(lambda: said in str(daemon.show("SECRETS")[0]["last_error"]), "the keys to be missed", 30)
                self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
                if name == "program":
                    self.issue(600)
                fails(False)

                def mended():
                    daemon.console("REFRESH prod")
                    return not daemon.show("SECRETS")[0]["last_error"]
                self.until(mended, "new keys", 30)


class Files(Providers):
    """Keys in a profile."""

    @staticmethod
    def write(path, key):
        path.with_suffix(".new").write_text(
            f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
            f"aws_session_token = {key['Token']}\n")
        path.with_suffix(".new").rename(path)

    def test_keys_that_are_replaced_in_the_file_are_found_before_the_old_ones_end(self):
        keys, path = Keys(), place.directory("aws") / "credentials"
        first, second = keys.issue(600), keys.issue(600)
        self.write(path, first)
        with self.world(keys) as world:
            daemon = self.watch(world.start(**self.variables(AWS_SHARED_CREDENTIALS_FILE=path)))
            self.assertEqual(set(keys.used), {first["AccessKeyId"]})
            self.write(path, second)
            self.until(lambda: second["AccessKeyId"] in keys.used, "the new keys to be found", 30)
            del keys[first["AccessKeyId"]]
            self.goes_on(world)
            self.says_nothing(daemon, keys)


class ConnectProxy:
    """An HTTP proxy that knows CONNECT, and says what it was asked for."""

    def __init__(self):
        self.asked, self.socket = [], socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        method, target, _ = head.split(b" ", 2)
        self.asked.append((method.decode(), target.decode()))
        host, _, port = target.decode().rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Ways(Providers):
    """Proxies and certificates."""

    def test_a_proxy_is_used_for_aws_and_not_where_no_proxy_says_so(self):
        folder = certificates.make(place.directory("ca"))
        manager = SecretsManager(certificate=(folder / "server.crt", folder / "server.key"))
        proxy = ConnectProxy()
        with World(self.server, manager) as world:
            world.add("prod")
            config = self.variables(config=f"[default]\nca_bundle = {folder / 'ca.crt'}\n",
                                    AWS_ACCESS_KEY_ID=manager.access_key, AWS_SECRET_ACCESS_KEY=manager.secret_key)
            self.checked(world, 0, HTTPS_PROXY=proxy.url, **config)
            self.assertEqual(proxy.asked, [("CONNECT", manager.url.removeprefix("https://"))])
            self.checked(world, 0, HTTPS_PROXY=proxy.url, NO_PROXY="127.0.0.1", **config)
            self.assertEqual(len(proxy.asked), 1)


class Degraded(Providers):
    """Secrets Manager refuses, for as long as somebody needs to mend that."""

    @staticmethod
    def deny(manager):
        manager.error(400, "AccessDeniedException", "User: x is not authorized to perform: GetSecretValue", times=None)

    @staticmethod
    def disable_key(manager):
        manager.error(400, "DecryptionFailure", "The KMS key is disabled", times=None)

    @staticmethod
    def throttle(manager):
        manager.throttle(times=None)

    @staticmethod
    def down(manager):
        manager.outage()

    @staticmethod
    def remove(manager):
        manager.error(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.", times=None)

    @staticmethod
    def delete(manager):
        manager.store.find(SECRET).deleted = True

    @staticmethod
    def spoil(manager):
        manager.put(SECRET, '{"host": "db", "password": "s3cret"')

    BAD = (("deny", "AccessDeniedException"), ("disable_key", "DecryptionFailure"), ("throttle", "ThrottlingException"),
           ("down", "ServiceUnavailable"), ("delete", "marked for deletion"), ("remove", "ResourceNotFoundException"),
           ("spoil", "not valid JSON"))

    def mend(self, manager, document):
        manager.clear_faults()
        if manager.store.find(SECRET).deleted:
            manager.store.find(SECRET).deleted = False
        else:
            manager.put(SECRET, document)

    def test_the_last_good_credential_serves_on(self):
        """Every query needs a new login, as the server has ended the sessions that there were."""
        for name, text in self.BAD:
            with self.subTest(name), World(self.server) as world:
                role = world.add("prod", rotation={"poll_interval": "1s"}).role
                daemon = self.watch(world.start())
                getattr(self, name)(world.manager)
                self.until(lambda: text in str(daemon.show("SECRETS")[0]["last_error"]), f"{text} to be met")
                servers = set()
                for _ in range(3):
                    self.server.kill_sessions(role)
                    self.until(lambda: not daemon.show("SERVERS"), "the broker to have seen it")
                    servers.add(daemon.connect().query("SELECT pg_backend_pid()").value())
                self.assertEqual(len(servers), 3)
                self.assertIn(text, daemon.log())
                self.assertNotIn("s3cret", daemon.log())

    def test_at_the_start_who_waits_is_told_why_until_it_is_mended(self):
        for name, text in self.BAD:
            with self.subTest(name), World(self.server) as world:
                world.add("prod", pool={"query_wait_timeout": "1s"})
                document = world.manager.document(SECRET)
                getattr(self, name)(world.manager)
                daemon = self.watch(world.start(ready=False))
                self.until(lambda: text in str(daemon.show("SECRETS")[0]["last_error"]), f"{text} to be met")
                error = self.refused("57P03", lambda: daemon.connect(timeout=30).query("SELECT 1"))
                self.assertIn(text, str(error.fields))
                self.assertNotIn("s3cret", str(error.fields) + daemon.log())
                self.mend(world.manager, document)
                self.ready_again(daemon)


if __name__ == "__main__":
    story.main()
