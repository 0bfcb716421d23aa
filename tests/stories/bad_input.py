"""Bad input: each mistake gets one clear message with cause and remedy, and nothing is opened before."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import story
from secrets_manager import SecretsManager
from world import World


class Configuration(story.Story):
    """file:line:column: what was found, what was expected; exit status 2."""

    def refuses(self, text, where, *words):
        """The configuration is refused at line[:column], with all these words (regular expressions)."""
        done = broker.run(config=text, timeout=20)
        said = done.stderr + done.stdout
        self.assertEqual(done.returncode, 2, said)
        self.assertRegex(said, rf"pgbroker\.yaml:{where}(:\d+)*: ", text)
        for word in words:
            self.assertRegex(said, word)

    def test_an_unknown_key_names_the_nearest_valid_one(self):
        self.refuses("socket:\n  directry: /x\n", "2:3", "directry", "directory")
        self.refuses("environments:\n  prod:\n    pool:\n      pool_sice: 3\n", "4:7", "pool_sice", "pool_size")
        self.refuses("enviroments: {}\n", "1:1", "enviroments", "environments")

    def test_a_value_of_the_wrong_kind_says_what_was_expected(self):
        self.refuses("socket: {port: many}\n", "1:16", "many")
        self.refuses("socket: {port: 70000}\n", "1:16", "70000", "65535")
        self.refuses("environments:\n  prod: {pool: {pool_size: -1}}\n", "2", "-1")
        self.refuses("environments:\n  prod: [1, 2]\n", "2")
        self.refuses("log: {level: loud}\n", "1:14", "loud", "info")
        self.refuses("environments:\n  prod: {pool: {pool_mode: statement}}\n", "2", "statement", "transaction")

    def test_a_duration_needs_a_unit_it_knows(self):
        self.refuses("environments:\n  prod:\n    rotation: {poll_interval: 5 parsecs}\n", "3:31", "parsecs")

    def test_broken_yaml_is_found_where_it_breaks(self):
        self.refuses("socket: {port: 1\nenvironments: {}\n", r"\d+")
        self.refuses("environments:\n\tprod: {}\n", "2")

    def test_a_key_that_stands_twice(self):
        self.refuses("environments:\n  prod: {}\n  prod: {}\n", "3", "prod")

    def test_reserved_names_and_names_used_twice(self):
        self.refuses("environments:\n  pgbroker: {}\n", "2", "pgbroker")
        self.refuses("environments:\n  pgbouncer: {}\n", "2", "pgbouncer")
        self.refuses("environments:\n  prod: {aliases: [pgbouncer]}\n", "2", "pgbouncer")
        self.refuses("environments:\n  prod: {aliases: [main]}\n  dev: {aliases: [main]}\n", "3", "main")
        self.refuses("environments:\n  prod: {aliases: [dev]}\n  dev: {}\n", r"\d", "dev")

    def test_secret_names_off_the_convention(self):
        for name in ("prod/database", "forecaster/databse/prod", "forecaster/database", "forecaster/database/",
                     "other/database/prod"):
            self.refuses(f"environments:\n  prod:\n    database: {{secret_name: {name}}}\n", "3",
                         name, "forecaster/")

    def test_a_managed_secret_needs_an_endpoint(self):
        self.refuses("environments:\n  prod:\n    database: {secret_name: 'rds!cluster-1'}\n", r"\d", "endpoint")

    def test_the_environment_source_is_for_local_only(self):
        self.refuses("environments:\n  prod:\n    database: {source: env}\n", "3", "local")

    def test_a_socket_path_that_does_not_fit_says_how_long_it_may_be(self):
        self.refuses(f"socket:\n  directory: /tmp/{'long/' * 30}\nenvironments: {{prod: {{}}}}\n", "2", "107")

    def test_a_user_nobody_has_heard_of(self):
        self.refuses("environments:\n  prod:\n    access: {users: [no-such-user-here]}\n", "3", "no-such-user-here")

    def test_no_environment_at_all(self):
        done = broker.run(config="log: {level: info}\n", timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"environment")
        done = broker.run(timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"DB_SECRET_NAME|environment")

    def test_a_configuration_file_that_is_not_there(self):
        done = broker.run("-c", "/nowhere/pgbroker.yaml", timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nowhere/pgbroker.yaml", done.stderr)

    def test_words_nobody_knows(self):
        done = broker.run("--frobnicate", timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertIn("frobnicate", done.stderr)

    def test_a_plain_endpoint_elsewhere_is_refused(self):
        done = broker.run("--check", config='aws: {endpoint_url: "http://192.0.2.1:80", region: eu-west-1}\n'
                          "environments: {prod: {}}\n", timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr + done.stdout, r"https")

    def test_what_print_config_prints_is_a_configuration_that_means_the_same(self):
        home = place.directory("print")
        text = ("environments:\n  prod: {aliases: [main], pool: {pool_size: 7, server_lifetime: 10m},\n"
                "         rotation: {poll_interval: 90}}\n")
        first = broker.run("--print-config", config=text, home=home, timeout=20)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout, r"pool_size: 7")
        second = broker.run("--print-config", config=first.stdout, home=home, timeout=20)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(second.stdout, first.stdout)


class ForecasterConfiguration(story.Story):
    """The forecaster's own config/prod.yml names the secrets."""

    def test_its_secret_name_and_region_are_taken_over(self):
        home = place.directory("seed")
        (home / "prod.yml").write_text(
            'database:\n  secret_name: "forecaster/database/prod"\n  secret_region: "us-east-1"\n\n'
            'api_keys:\n  secret_name: "forecaster/api-keys/prod"\n  secret_region: "us-east-1"\n\n'
            'auth:\n  secret_name: "forecaster/auth/prod"\n  secret_region: "us-east-1"\n')
        done = broker.run("--print-config", config=f"environments:\n  prod: {{config: {home}/prod.yml}}\n", timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"secret_region: \"?us-east-1")

    def test_a_mistake_in_it_is_reported_in_its_own_file(self):
        home = place.directory("seed")
        (home / "prod.yml").write_text("database:\n  secret_name: 'somewhere/else'\n")
        done = broker.run(config=f"environments:\n  prod: {{config: {home}/prod.yml}}\n", timeout=20)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"prod\.yml:2:")


class Secret(story.Story):
    """A secret that cannot be used: the message names the field, never its value."""

    GOOD = {"host": "localhost", "port": "5432", "username": "app", "password": "s3cr3t-w0rd", "database": "d"}

    def check(self, value, **environment):
        with SecretsManager() as manager:
            manager.create("forecaster/database/prod", value)
            done = broker.run("--check", config={"environments": {"prod": environment}}, manager=manager)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("s3cr3t-w0rd", done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^fail prod ")
        return done.stdout + done.stderr

    def test_a_missing_field_is_named(self):
        for field in ("host", "username", "password"):
            self.assertIn(field, self.check({key: value for key, value in self.GOOD.items() if key != field}))

    def test_a_secret_without_a_database_is_refused(self):
        self.assertIn("database", self.check({key: value for key, value in self.GOOD.items() if key != "database"}))

    def test_a_field_out_of_range_or_of_the_wrong_kind_is_named(self):
        self.assertIn("port", self.check({**self.GOOD, "port": "99999"}))
        self.assertIn("port", self.check({**self.GOOD, "port": "five"}))
        self.assertIn("ssl_mode", self.check({**self.GOOD, "ssl_mode": "perhaps"}))
        self.assertIn("password", self.check({**self.GOOD, "password": 12}))
        self.assertIn("engine", self.check({**self.GOOD, "engine": "mysql"}))

    def test_bad_json_is_found_by_line_and_column(self):
        said = self.check('{\n  "host": "localhost",\n  "password": "s3cr3t-w0rd" oops\n}')
        self.assertRegex(said, r"3\D+\d+|line 3")

    def test_a_field_that_stands_twice(self):
        self.assertIn("host", self.check('{"host": "a", "host": "b", "username": "u", "password": "s3cr3t-w0rd"}'))

    def test_no_object_at_all(self):
        self.check('["s3cr3t-w0rd"]')
        self.check("s3cr3t-w0rd")

    def test_a_secret_that_does_not_exist(self):
        with SecretsManager() as manager:
            done = broker.run("--check", config={"environments": {"prod": {}}}, manager=manager)
        self.assertEqual(done.returncode, 1)
        self.assertIn("forecaster/database/prod", done.stdout)
        self.assertRegex(done.stdout, "ResourceNotFoundException|can't find")

    def test_check_says_ok_where_all_is_well(self):
        with World(self.server) as world:
            world.add("prod")
            done = broker.run("--check", config=world.configuration(), manager=world.manager)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^ok prod ")
        self.assertNotRegex(done.stdout, r"(?m)^fail ")
        self.assertNotIn(world.environments["prod"].password, done.stdout + done.stderr)

    def test_check_names_the_refused_login(self):
        with World(self.server) as world:
            world.add("prod", secret={"password": "s3cr3t-w0rd"})
            done = broker.run("--check", config=world.configuration(), manager=world.manager)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^fail prod .*(28P01|password|credentials)")
        self.assertNotIn("s3cr3t-w0rd", done.stdout + done.stderr)


class Clients(story.Story):
    """What a client gets that asks for what it cannot have."""

    def test_an_unknown_environment(self):
        with World(self.server) as world:
            world.add("prod")
            daemon = self.watch(world.start())
            error = self.refused("3D000", daemon.connect, "prd")
            self.assertEqual(error.severity, "FATAL")
            self.assertIn("prd", error.message)
            self.assertIn("prod", error.message + error.hint)

    def test_a_secret_that_cannot_be_had_is_told_to_the_client(self):
        with SecretsManager() as manager:
            daemon = broker.Broker({"environments": {"prod": {"pool": {"query_wait_timeout": "2s"}}}}, manager)
            self.watch(daemon.start())
            error = self.refused("57P03", lambda: daemon.connect("prod", timeout=30).query("SELECT 1"))
            self.assertIn("forecaster/database/prod", error.message + error.hint + error.fields.get("D", ""))
            daemon.stop()

    def test_a_server_that_cannot_be_reached_is_told_to_the_client(self):
        with SecretsManager() as manager:
            manager.create("forecaster/database/prod", {
                "host": "127.0.0.1", "port": place.free_port(), "username": "u", "password": "s3cr3t-w0rd",
                "database": "d"})
            daemon = broker.Broker({"environments": {"prod": {"pool": {"query_wait_timeout": "2s"}}}}, manager)
            self.watch(daemon.start())
            self.until(lambda: daemon.show("ERRORS", source="login"), "a login to fail")
            with self.assertRaises(broker.protocol.ServerError) as caught:
                daemon.connect("prod", timeout=30).query("SELECT 1")
            error = caught.exception
            self.assertIn(error.sqlstate, ("08001", "53400"))
            self.assertIn("refused", (error.message + error.hint + error.fields.get("D", "")).lower())
            self.assertNotIn("s3cr3t-w0rd", json.dumps(error.fields) + daemon.log())
            daemon.stop()

    def test_a_login_that_has_expired_lets_nobody_in_until_it_is_renewed(self):
        with World(self.server) as world:
            role = world.add("prod", rotation={"bridge_timeout": "1s"}).role
            self.server.sql(f"ALTER ROLE \"{role}\" VALID UNTIL '2001-01-01'")
            daemon = self.watch(world.start(ready=False))
            error = self.refused("08001", lambda: daemon.connect("prod", timeout=30).query("SELECT 1"))
            self.assertIn("password authentication failed", str(error.fields))
            self.server.sql(f"ALTER ROLE \"{role}\" VALID UNTIL 'infinity'")
            daemon.wait_ready("prod", timeout=60)

    def test_a_database_that_is_not_there_gives_the_servers_own_error(self):
        with World(self.server) as world:
            world.add("prod", secret={"database": "nobody_made_this"}, pool={"query_wait_timeout": "3s"})
            daemon = self.watch(world.start(ready=False))
            self.until(lambda: daemon.show("ERRORS", source="login"), "a login to fail")
            with self.assertRaises(broker.protocol.ServerError) as caught:
                daemon.connect("prod", timeout=30).query("SELECT 1")
            self.assertIn("nobody_made_this", str(caught.exception))


if __name__ == "__main__":
    story.main()
