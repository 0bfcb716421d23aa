"""Secrets Manager breaks in every way it can, at the start and later: who has a credential serves on with it,
who has none says why."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from secrets_manager import SecretsManager
from world import World

GOOD = {"host": "127.0.0.1", "port": "5432", "username": "u", "password": "s3cr3t-w0rd", "database": "d"}


def answer(**changes):
    whole = {"ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf", "Name": "x",
             "VersionId": "0" * 32, "VersionStages": ["AWSCURRENT"], "SecretString": json.dumps(GOOD)}
    whole.update(changes)
    return json.dumps({name: value for name, value in whole.items() if value is not None})


# Environment: (what goes wrong, what the reason given must hold)
FAULTS = {
    "throttled": (("error", {"status": 400, "code": "ThrottlingException", "message": "Rate exceeded"}), "Throttling"),
    "down": (("error", {"status": 503, "code": "ServiceUnavailable"}), "503|ServiceUnavailable"),
    "broken": (("error", {"status": 500, "code": "InternalServiceError"}), "500|InternalServiceError"),
    "denied": (("error", {"status": 400, "code": "AccessDeniedException", "message": "no"}), "AccessDenied"),
    "hangs": (("hang", {}), "has not answered"),
    "cut": (("cut", {}), "."),
    "reset": (("reset", {}), "."),
    "html": (("html", {}), "."),
    "xml": (("xml", {"status": 502, "code": "BadGateway"}), "502|BadGateway"),
    "huge": (("huge", {}), "."),
    "garbage": (("garbage", {}), "."),
    "nojson": (("said", {"payload": '{"SecretString": "s3cr3t-w0rd'}), "."),
    "nosecret": (("said", {"payload": answer(SecretString=None)}), "SecretString"),
    "noversion": (("said", {"payload": answer(VersionId=None)}), "VersionId"),
    "oddvalue": (("said", {"payload": answer(SecretString=7)}), "."),
    "badsecret": (("said", {"payload": answer(SecretString='{"password": "s3cr3t-w0rd" oops}')}), "."),
    "nothing": (("said", {"payload": ""}), "."),
}


class Everything(story.Story):
    """An environment for each fault, all in one broker."""

    def afflict(self, manager, elsewhere):
        for name, ((kind, details), _) in {**FAULTS, **self.redirects(elsewhere)}.items():
            manager.fault(kind, times=None, secret_id=f"forecaster/database/{name}", **details)

    @staticmethod
    def redirects(elsewhere):
        """To where signed requests must never be sent."""
        return {f"redirect{status}": (("redirect", {"status": status, "to": elsewhere.url + "/"}), str(status))
                for status in (302, 307)}

    def elsewhere(self):
        return self.enterContext(SecretsManager())

    def test_without_a_credential_the_client_hears_why_and_no_value(self):
        elsewhere = self.elsewhere()
        faults = {**FAULTS, **self.redirects(elsewhere)}
        world = World(None)
        for name in faults:
            world.manager.create(f"forecaster/database/{name}", GOOD)
            world.config[name] = {"pool": {"query_wait_timeout": "3s"}}
        self.afflict(world.manager, elsewhere)
        with world:
            daemon = self.watch(world.start(ready=False))
            self.until(lambda: all(row["last_error"] for row in daemon.show("SECRETS") if row["environment"] != "hangs"),
                       "each to have failed")
            clients = {name: daemon.raw(timeout=60) for name in faults}
            for name, client in clients.items():
                client.send(protocol.startup_message({"user": "story", "database": name}))
            for name, client in clients.items():
                with self.subTest(name=name):
                    kind, payload = client.read()
                    fields = protocol.error_fields(payload)
                    self.assertEqual((kind, fields["C"], fields["V"]), ("E", "57P03", "FATAL"), fields)
                    said = " ".join(fields.values())
                    self.assertIn(f"forecaster/database/{name}", said)
                    self.assertRegex(said, faults[name][1])
            self.assertNotIn("s3cr3t-w0rd", daemon.log())
            self.assertTrue(daemon.show("SECRETS", environment="hangs"))
        self.assertEqual(elsewhere.requests, [])

    def test_with_a_credential_everything_serves_on_and_recovers(self):
        elsewhere = self.elsewhere()
        names = [*FAULTS, *self.redirects(elsewhere)]
        with World(self.server) as world:
            world.add("prod")
            document = world.manager.document("forecaster/database/prod")
            for name in names:
                world.manager.create(f"forecaster/database/{name}", document)
                world.config[name] = {"rotation": {"poll_interval": "1s"}, "pool": {"server_lifetime": "1s"},
                                      "tls": world.config["prod"].get("tls", {})}
            daemon = self.watch(world.start())
            self.afflict(world.manager, elsewhere)

            def all_failed():
                return all(row["last_error"] for row in daemon.show("SECRETS") if row["environment"] in names
                           and row["environment"] != "hangs")
            end = time.monotonic() + 6
            while time.monotonic() < end or not all_failed():
                for name in names:
                    self.assertEqual(daemon.connect(name).query("SELECT 1").value(), "1", name)
                self.assertLess(time.monotonic(), end + 40, daemon.show("SECRETS"))
            self.assertNotIn(document["password"], daemon.log())
            world.manager.clear_faults()
            for name in names:
                daemon.console(f"REFRESH {name}")
            self.until(lambda: all(not row["last_error"] for row in daemon.show("SECRETS")
                                   if row["environment"] != "hangs"), "the errors to be over", 60)
        self.assertEqual(elsewhere.requests, [])


if __name__ == "__main__":
    story.main()
