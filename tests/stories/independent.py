"""An independent Secrets Manager: moto_server, with its labels, its errors, and its IAM that checks signatures; AWS's own
program rotates a secret there."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import moto
import pgbench
import place
import rotation
import story
from world import World

SECRET = "forecaster/database/prod"


# The policy of README.md, as far as moto can tell: it holds every action of Secrets Manager against the resource "*".
ENOUGH = {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}
NOT_ENOUGH = {"Action": ["secretsmanager:DescribeSecret", "secretsmanager:ListSecrets"], "Resource": "*"}


class Independent(story.Story):
    """Skipped where moto_server is not on PATH."""

    timeout = 400

    def world(self, **config):
        """A world whose secrets are moto's. Its broker is started by the story."""
        world = World(self.server, manager=moto.shared())
        self.enterContext(world)
        world.add("prod", counters=True, pool={"pool_size": 4, "server_lifetime": "1s"}, **config)
        return world

    def check(self, world):
        """(exit status, output) of --check."""
        done = broker.run("--check", config=world.configuration(), manager=world.manager)
        return done.returncode, done.stdout + done.stderr

    def on_current(self, world):
        version = world.manager.version_id(SECRET)
        self.until(lambda: world.broker.show("SECRETS", environment="prod", version_id=version),
                   f"the broker to be on {version}", 30)

    # ---- fetch and rotation ----

    def test_a_secret_is_fetched_and_logged_in_with(self):
        world = self.world()
        self.assertEqual(self.check(world)[0], 0)
        daemon = self.watch(world.start())
        row, = daemon.show("SECRETS", environment="prod")
        self.assertEqual((row["name"], row["version_id"], row["stage"]),
                         (SECRET, world.manager.version_id(SECRET), "AWSCURRENT"))
        self.assertEqual(daemon.psql("SELECT count(*) FROM counters").stdout, "1000\n")

    def rotate_under_load(self, rotate, world=None, **variables):
        world = world or self.world()
        daemon = self.watch(world.start(**variables))
        loads = [pgbench.Pgbench(daemon.uri(), clients=2, rate=40, reconnect=reconnect)
                 for reconnect in (False, True)]
        for load in loads:
            self.addCleanup(load.stop)
        rotate(world)
        self.on_current(world)
        outcomes = [load.end() for load in loads]
        for outcome in outcomes:
            self.assertTrue(outcome.clean and outcome.transactions > 0, str(outcome))
        self.assertEqual(world.counted(), sum(outcome.transactions for outcome in outcomes))
        return daemon

    def rotate_through_the_gap(self, world, manager):
        """All four steps; the third waits until the broker has found its way to AWSPENDING."""
        def bridged():
            self.assertEqual(world.broker.connect().query("SELECT 1").value(), "1")
            return world.broker.show("SECRETS", stage="AWSPENDING")
        moto.Rotation(manager, SECRET, self.server).run(before={
            "test_secret": lambda: self.until(bridged, "AWSPENDING to be taken", 30)})

    def told_its_steps(self, world, daemon):
        """The rotation through the gap, as SHOW ROTATIONS tells it."""
        row, = self.until(lambda: [row for row in daemon.show("ROTATIONS", environment="prod", stage="AWSPENDING")
                                   if row["outcome"] == "adopted"], "AWSCURRENT to be found to be the same", 40)
        new = world.manager.version_id(SECRET)[:8]
        self.assertRegex(row["steps"], rf"^0 ms login refused; .*\d+ ms AWSPENDING is {new} \(\d+ ms\); "
                         rf"\d+ ms {new} tried as AWSPENDING; \d+ ms gap bridged \(\d+ ms, \d+ waited\); "
                         rf"\d+ ms {new} works: provisional; .*it is AWSCURRENT")

    def test_a_rotation_of_one_user_costs_no_query_though_only_AWSPENDING_works_for_a_while(self):
        """The broker has a role's session token, and leave to get secret values."""
        world = self.guarded(NOT_ENOUGH)
        name, secret = self.role(world)
        variables = self.in_files(world, f"[default]\nrole_arn = {self.ROLE}\nsource_profile = default\n"
                                         f"aws_access_key_id = {name}\naws_secret_access_key = {secret}\n")
        daemon = self.rotate_under_load(lambda world: self.rotate_through_the_gap(world, world.manager), world,
                                        **variables)
        self.told_its_steps(world, daemon)

    def test_a_rotation_that_the_awscli_drives_costs_no_query(self):
        world = self.guarded(ENOUGH)
        cli = moto.CommandLine(world.manager)
        daemon = self.rotate_under_load(lambda world: self.rotate_through_the_gap(world, cli), world)
        self.told_its_steps(world, daemon)

    def test_a_rotation_of_alternating_users_costs_no_query(self):
        def rotate(world):
            role = world.environments["prod"].role
            for name in (role, rotation.other_user(role)):
                self.server.adopt_role(name)
            moto.Rotation(world.manager, SECRET, self.server, alternate=True).run()
            world.broker.console("REFRESH prod")
        daemon = self.rotate_under_load(rotate)
        self.assertTrue(daemon.psql("SELECT session_user").stdout.endswith("_clone\n"))

    def test_a_secret_that_was_written_before_the_database_costs_no_query(self):
        self.rotate_under_load(lambda world: rotation.rotate_secret_first(world.manager, SECRET, self.server, gap=3))

    def test_a_label_moved_to_an_older_version_is_followed(self):
        world = self.world(rotation={"poll_interval": "1s"})
        first = world.manager.version_id(SECRET)
        second = world.manager.put(SECRET, {**world.manager.document(SECRET), "note": "the same password"})
        self.watch(world.start())
        self.on_current(world)
        world.manager.update_stage(SECRET, "AWSCURRENT", move_to=first, remove_from=second)
        self.on_current(world)

    # ---- what it refuses ----

    def test_a_secret_that_is_not_there_is_named(self):
        world = self.world()
        world.manager.ask("DeleteSecret", SecretId=SECRET, ForceDeleteWithoutRecovery=True)
        status, output = self.check(world)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, f"fail prod .*{SECRET}.*ResourceNotFoundException")

    def test_a_version_without_a_value_is_not_taken_for_one(self):
        world = self.world()
        world.manager.ask("RotateSecret", SecretId=SECRET)         # moto's: without a lambda AWSCURRENT is empty
        status, output = self.check(world)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, "fail prod .*ResourceNotFoundException")

    def test_a_broker_whose_secret_is_deleted_serves_on_and_follows_when_it_is_restored(self):
        world = self.world()
        daemon = self.watch(world.start())
        world.manager.ask("DeleteSecret", SecretId=SECRET)
        daemon.console("REFRESH prod")
        self.until(lambda: "InvalidRequestException" in (daemon.show("SECRETS")[0]["last_error"] or ""),
                   "SHOW SECRETS to say that the secret is marked for deletion")
        self.assertEqual(daemon.psql("SELECT count(*) FROM counters").stdout, "1000\n")
        world.manager.ask("RestoreSecret", SecretId=SECRET)
        moto.Rotation(world.manager, SECRET, self.server).run()
        daemon.console("REFRESH prod")
        self.on_current(world)

    # ---- signatures and policies ----

    def guarded(self, statement):
        """A world in which every request is signed by somebody whom IAM knows; the broker's policy says this."""
        world = self.world()
        world.manager.broker_key = world.manager.user("broker", statement)
        world.manager.check_signatures()
        return world

    def test_leave_to_get_secret_values_is_enough_for_a_whole_rotation(self):
        world = self.guarded(ENOUGH)
        daemon = self.watch(world.start())
        self.assertEqual(daemon.psql("SELECT 1").stdout, "1\n")
        moto.Rotation(world.manager, SECRET, self.server).run(until="set_secret")
        self.server.kill_sessions(world.environments["prod"].role)
        self.assertEqual(daemon.psql("SELECT 2").stdout, "2\n")
        self.assertTrue(daemon.show("SECRETS", stage="AWSPENDING"))

    def test_who_has_no_leave_is_told_which_permission_is_missing(self):
        world = self.guarded(NOT_ENOUGH)
        status, output = self.check(world)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, "fail prod .*AccessDenied")
        self.assertIn("secretsmanager:GetSecretValue", output.partition(" - ")[2], "the remedy")

    # ---- roles ----

    ROLE = "arn:aws:iam::123456789012:role/forecaster"

    def role(self, world):
        """A role that may read the secret, and a user who may assume it; the user's key."""
        manager = world.manager
        manager.ask_iam("CreateRole", RoleName="forecaster", AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"},
                                                     "Action": "sts:AssumeRole"}]}))
        manager.ask_iam("PutRolePolicy", RoleName="forecaster", PolicyName="its", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **ENOUGH}]}))
        return manager.user("caller", {"Action": "sts:AssumeRole", "Resource": "*"})

    @staticmethod
    def in_files(world, config):
        """The environment of a broker that finds what it needs in AWS's files, and STS at moto."""
        path = place.directory("aws") / "config"
        path.write_text(config)
        return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": path,
                "AWS_ENDPOINT_URL_STS": world.manager.url}

    def check_in_files(self, world, config, **variables):
        done = broker.run("--check", config=world.configuration(), manager=world.manager,
                          **{**self.in_files(world, config), **variables})
        return done.returncode, done.stdout + done.stderr

    def test_a_role_is_assumed_by_who_signs_rightly_and_by_nobody_else(self):
        world = self.guarded(NOT_ENOUGH)
        name, secret = self.role(world)
        config = f"[default]\nrole_arn = {self.ROLE}\nsource_profile = default\naws_access_key_id = {name}\n"
        status, output = self.check_in_files(world, config + f"aws_secret_access_key = {secret}\n")
        self.assertEqual(status, 0, output)
        status, output = self.check_in_files(world, config + f"aws_secret_access_key = {secret}x\n")
        self.assertEqual(status, 1, output)
        self.assertIn("STS: SignatureDoesNotMatch", output)

    def test_a_web_identity_needs_no_signature(self):
        world = self.world()
        token = place.directory("token") / "token"
        token.write_text("header.payload.signature")
        status, output = self.check_in_files(world, "", AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=self.ROLE)
        self.assertEqual(status, 0, output)

    def test_leave_that_is_given_later_is_found_without_a_restart(self):
        world = self.guarded(NOT_ENOUGH)
        daemon = self.watch(world.start(ready=False))
        self.until(lambda: "AccessDenied" in (daemon.show("SECRETS")[0]["last_error"] or ""), "the refusal")
        world.manager.allow("broker", ENOUGH)
        daemon.console("REFRESH prod")
        daemon.wait_ready()

    def test_a_wrong_secret_key_and_an_unknown_key_are_told_apart(self):
        world = self.guarded(ENOUGH)
        right = world.manager.broker_key
        for key, code in (((right[0], right[1][::-1]), "SignatureDoesNotMatch"),
                          (("AKIDNOBODYKNOWSTHIS0", right[1]), "InvalidClientTokenId")):
            with self.subTest(code=code):
                world.manager.broker_key = key
                status, output = self.check(world)
                self.assertEqual((status, code in output), (1, True), output)
                self.assertNotIn(key[1], output)

    # ---- an instance ----

    def test_the_credentials_of_an_instance_come_by_IMDSv2(self):
        world = self.world()
        world.manager.instance = True
        daemon = self.watch(world.start())
        self.assertEqual(daemon.psql("SELECT 1").stdout, "1\n")


if __name__ == "__main__":
    story.main()
