"""What broker/deploy and docker-compose.yml promise, as far as it can be held without a docker engine."""
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import moto
import place
import process
import protocol
import story
from world import World

DEPLOY = place.ROOT / "broker" / "deploy"
COMPILERS = ("libasan", "libubsan", "libtsan", "libgcc_s")     # what a sanitizer's build needs more


def stages(path):
    """The Dockerfile's stages, each a list of (WORD, rest) with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.M))
    found = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


class Compose(story.Story):
    """docker-compose.yml, read by docker-compose itself."""

    def config(self):
        if shutil.which("docker-compose") is None:
            self.skipTest("docker-compose is not installed")
        try:
            import yaml                             # Debian's docker-compose needs it too
        except ImportError:
            self.skipTest("python3-yaml is not installed")
        done = process.run(["docker-compose", "-f", place.ROOT / "docker-compose.yml", "config"], cwd=place.ROOT,
                           env=broker.environment("/nonexistent"))
        return yaml.safe_load(done.stdout)

    def test_docker_compose_takes_the_file_and_all_that_it_names_is_there(self):
        config = self.config()
        for name, service in config["services"].items():
            with self.subTest(service=name):
                for mount in service.get("volumes", []):
                    source = mount.split(":")[0]
                    self.assertTrue(pathlib.Path(source).is_dir() if source.startswith("/")
                                    else source in config["volumes"], mount)
                if "build" in service:
                    self.assertTrue(pathlib.Path(service["build"]["context"], service["build"]["dockerfile"]).is_file())
                for other, how in service.get("depends_on", {}).items():
                    there = config["services"][other]
                    self.assertTrue(how["condition"] != "service_healthy" or "healthcheck" in there or "build" in there)

    def test_every_script_and_file_in_a_mounted_folder_is_there(self):
        text = (place.ROOT / "docker-compose.yml").read_text()
        named = set(re.findall(r"(?<!broker)/(?:deploy|etc/pgbroker)/([\w.]+)", text))
        self.assertEqual(named, {path.name for path in (DEPLOY / "compose").iterdir()})
        for name in re.findall(r"entrypoint: \[/deploy/(\w+)", text):
            self.assertTrue(os.access(DEPLOY / "compose" / name, os.X_OK), name)

    def test_nothing_is_published_beyond_this_host_and_no_password_is_written_down(self):
        for name, service in self.config()["services"].items():
            for port in service.get("ports", []):
                self.assertTrue(str(port).startswith("127.0.0.1:"), f"{name} publishes {port}")
            for variable in service.get("environment", {}):
                self.assertNotRegex(variable, r"PASSWORD$", f"{name} is given a password in its environment")


class Image(story.Story):
    """broker/deploy/Dockerfile, a step at a time."""

    def setUp(self):
        self.build, self.final = stages(DEPLOY / "Dockerfile")

    def test_what_is_copied_is_enough_to_build_the_daemon(self):
        allowed = [line[1:] for line in (place.ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
        tree = place.directory("image")
        for word, rest in self.build:
            if word == "COPY":
                source, target = rest.split()
                self.assertIn(source, allowed, ".dockerignore leaves it out")
                target = tree / target / (pathlib.Path(source).name if target.endswith("/") else "")
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (place.ROOT / source).is_dir() else shutil.copy
                copy(place.ROOT / source, target)
        commands = [rest for word, rest in self.build if word == "RUN" and "cmake" in rest]
        self.assertEqual(len(commands), 1)
        configure, _, build = commands[0].partition(" && ")
        process.run(["bash", "-c", configure], cwd=tree, timeout=80)
        process.run(["bash", "-c", build + " -- -n"], cwd=tree, timeout=80)     # ninja looks whether all is there

    def test_its_last_stage_has_the_libraries_that_the_programs_need(self):
        install = next(rest for word, rest in self.final if word == "RUN")
        packages = set(install.partition("--no-install-recommends ")[2].partition(" && ")[0].split()) | {"libc6"}
        words = process.run(["readelf", "-d", broker.binaries() / "pgbrokerd", broker.binaries() / "pgbrokerctl"],
                            env={**os.environ, "LC_ALL": "C"}).stdout
        needed = {library for library in re.findall(r"\(NEEDED\).*\[(.+)\]", words)
                  if not library.startswith(COMPILERS)}
        self.assertIn("libpq.so.5", needed)
        found = process.run(["dpkg", "-S", *(f"*/{library}" for library in needed)]).stdout
        for library in needed:
            owners = re.findall(rf"^([\w.+-]+).*/{re.escape(library)}$", found, re.M)
            self.assertTrue(packages & set(owners), f"{library} is in {owners}")

    def test_it_ends_as_a_user_of_its_own_and_bears_no_secret(self):
        words = dict(self.final)
        self.assertEqual(words["USER"], "pgbroker")
        self.assertIn("--uid 10001", words["RUN"])
        for word, _ in self.build + self.final:
            self.assertNotIn(word, ("ENV", "ARG", "ADD"))


class Unit(story.Story):
    """broker/deploy/pgbroker.service."""

    def analyze(self, *words, unit="pgbroker.service"):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        folder = place.directory("unit")
        for file in ("pgbroker.service", "pgbroker.socket"):
            text = (DEPLOY / file).read_text()
            (folder / file).write_text(text.replace("/usr/local/bin/pgbrokerd", str(broker.binaries().resolve() / "pgbrokerd")))
        self.assertIn("/usr/local/bin/pgbrokerd", (DEPLOY / "pgbroker.service").read_text())
        return process.run(["systemd-analyze", *words, folder / unit], check=False, env={**os.environ, "SYSTEMD_PAGER": "cat"})

    def test_systemd_understands_every_line_of_it(self):
        for unit in ("pgbroker.service", "pgbroker.socket"):
            done = self.analyze("verify", unit=unit)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_two_services_that_take_turns_are_made_from_it(self):
        made = re.search(r"sed '(s/.*/)' broker/deploy/pgbroker.service", (DEPLOY / "README.md").read_text())
        text = process.run(["sed", made[1], DEPLOY / "pgbroker.service"]).stdout
        program = str(broker.binaries().resolve() / "pgbrokerd")
        self.assertIn("\nExecStart=/usr/local/bin/pgbrokerd --replace -c ", text)
        folder = place.directory("unit")
        (folder / "pgbroker@.service").write_text(text.replace("/usr/local/bin/pgbrokerd", program))
        done = process.run(["systemd-analyze", "verify", folder / "pgbroker@.service"], check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_socket_unit_names_the_socket_of_the_default_configuration(self):
        unit = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "pgbroker.socket").read_text(), re.M))
        config = dict(re.findall(r'^  (\w+): "?([^"\n]*)"?$', broker.run("-e", "prod", "--print-config").stdout, re.M))
        self.assertEqual(unit["ListenStream"], f"{config['directory']}/.s.PGSQL.{config['port']}")
        self.assertEqual(unit["SocketMode"], config["mode"])

    def test_systemd_finds_it_well_shut_in(self):
        done = self.analyze("security", "--offline=yes", "--threshold=20", "--no-pager")
        self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)

    def test_the_daemon_works_where_no_memory_may_become_executable(self):
        """As MemoryDenyWriteExecute= has it, by the kernel's own switch for it."""
        program = place.directory("unit") / "pgbrokerd"
        program.write_text(f"#!{sys.executable}\nimport ctypes, os, sys\n"
                           "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"       # PR_SET_MDWE
                           f"os.execv({str(broker.binaries() / 'pgbrokerd')!r}, sys.argv)\n")
        program.chmod(0o755)
        if process.run([program, "--version"], check=False).returncode == 77:
            self.skipTest("this kernel has no PR_SET_MDWE")
        with World(self.server) as world:
            world.add("prod")
            world.broker = broker.Broker(world.configuration(), world.manager)
            world.broker.program = program
            self.watch(world.broker.start()).wait_ready()
            self.assertEqual(world.broker.psql("SELECT 1").stdout, "1\n")


class Scripts(story.Story):
    """prepare, roles and seed in the order of docker-compose.yml, against a server and a Secrets Manager of ours."""

    timeout = 150

    def setUp(self):
        self.need_root()                            # the client is uid 1000, and prepare gives files away
        self.server.need_own()
        self.manager, place_ = moto.shared(), place.directory("made")
        self.tls, self.passwords = place_ / "tls", place_ / "passwords"
        self.passwords.mkdir()
        (self.passwords / "superuser").touch(mode=0o600)
        (self.passwords / "superuser").write_text(self.server.superuser_password + "\n")   # what is there stays
        self.database = self.server.create_database("forecaster")

    def script(self, name, *words, program=(), **variables):
        values = {"PASSWORDS": self.passwords, "TLS": self.tls, **variables}
        done = process.run([*program, DEPLOY / "compose" / name, *words], cwd="/",
                           env={**broker.environment("/nonexistent"), **{key: str(value) for key, value in values.items()}})
        return done.stdout

    def prepare(self, *words):
        self.script("prepare", *words, OWNER=self.server.uid)

    def roles(self):
        self.script("roles", ROLES=place.ROOT / "sql" / "10_roles.sql", PGHOST="localhost", PGPORT=self.server.port,
                    PGDATABASE=self.database, PGSSLMODE="verify-full", PGSSLROOTCERT=self.tls / "ca.crt")

    def seed(self):
        if process.run(["python3", "-c", "import boto3"], check=False).returncode != 0:
            self.skipTest("python3 has no boto3")
        return self.script("seed", program=["python3"], DB_HOST="localhost", DB_PORT=self.server.port,
                           DB_NAME=self.database, AWS_DEFAULT_REGION=moto.REGION, **self.manager.environment())

    def serve(self):
        """PostgreSQL and moto with the certificates that prepare made."""
        hba = [line for line in (DEPLOY / "compose" / "pg_hba.conf").read_text().splitlines() if line[:4] == "host"]
        before = {name: self.server.settings[name] for name in ("ssl_cert_file", "ssl_key_file")}
        self.addCleanup(self.server.configure, **before)
        self.addCleanup(self.server.set_access, "both")
        self.server.set_access(hba_lines=hba)
        self.server.configure(ssl_cert_file=self.tls / "postgres.crt", ssl_key_file=self.tls / "postgres.key")
        self.manager = moto.Moto(certificate=(self.tls / "moto.crt", self.tls / "moto.key"), authority=self.tls / "ca.crt")
        self.addCleanup(self.manager.end)
        self.manager.start()

    def broker(self):
        """By the configuration of docker-compose.yml, but for the places of things."""
        daemon = broker.Broker((DEPLOY / "compose" / "pgbroker.yaml").read_text().replace("/made/tls", str(self.tls)),
                               self.manager)
        daemon.config += f"socket: {{directory: {daemon.directory}}}\n"
        return self.watch(daemon.start()).wait_ready(uid=1000)

    def test_prepare_makes_what_is_missing_and_lets_nobody_else_read_it(self):
        self.prepare()
        before = {path: path.read_bytes() for folder in (self.tls, self.passwords) for path in folder.iterdir()}
        self.assertEqual({path.name for path in before}, {"ca.crt", "postgres.crt", "postgres.key", "moto.crt", "moto.key",
                                                          "superuser", "forecaster"})
        for path in before:
            self.assertEqual(path.stat().st_mode & 0o077, 0 if path.suffix != ".crt" else 0o044, path.name)
        self.assertEqual((self.tls / "postgres.key").stat().st_uid, self.server.uid)
        self.prepare()
        self.assertEqual({path: path.read_bytes() for path in before}, before)
        self.prepare("rotate")
        changed = [path.name for path, value in before.items() if path.read_bytes() != value]
        self.assertEqual(changed, ["forecaster"])

    def test_the_broker_serves_what_they_have_set_up_and_follows_their_rotation(self):
        self.prepare()
        self.serve()
        self.roles()
        self.assertIn("created", self.seed())
        self.assertIn("is there", self.seed())
        with self.broker() as daemon:
            with daemon.connect(uid=1000) as client:
                self.assertEqual(client.query("SELECT session_user").value(), "forecaster_user")
            self.refused("28000", daemon.connect, "prod", uid=1001)
            self.prepare("rotate")
            self.roles()
            self.server.kill_sessions("forecaster_user")
            with daemon.connect(uid=1000, timeout=60) as client:
                client.send(protocol.query("SELECT 'waited'"))
                self.until(lambda: self.server.count_refused_logins("forecaster_user") > 0, "a refused login")
                self.assertTrue(client.silent())
                self.assertIn("new version", self.seed())
                self.assertEqual(client.collect().value(), "waited")


if __name__ == "__main__":
    story.main()
