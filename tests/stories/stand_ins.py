"""The stand-ins themselves: what they take for AWS and PostgreSQL must be so, or the other stories prove nothing."""
import datetime
import json
import pathlib
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import pg_standin
import protocol
import secret_store
import sigv4
import story
from secrets_manager import CONTENT_TYPE, SecretsManager

# The example account and two signatures AWS publishes with its SigV4 test suite.
KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SCOPE, TIME = "20150830/us-east-1/service/aws4_request", "20150830T123600Z"
POST_VANILLA = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
GET_WITH_TOKEN = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"


class Signatures(story.Story):
    """Against AWS's own numbers."""

    def signed(self, method, headers, signature):
        names = sorted(name.lower() for name, _ in headers)
        authorization = (f"AWS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, SignedHeaders={';'.join(names)}, "
                         f"Signature={signature}")
        return [*headers, ("Authorization", authorization)]

    def verify(self, method, headers, signature, token=None, minutes=0, payload=b""):
        now = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.timezone.utc)
        sigv4.verify(method, "/", self.signed(method, headers, signature), payload, keys={KEY: (SECRET_KEY, token)},
                     region="us-east-1", service="service", now=now + datetime.timedelta(minutes=minutes))

    HEADERS = [("Host", "example.amazonaws.com"), ("X-Amz-Date", TIME)]

    def test_the_published_signatures_are_taken(self):
        self.verify("POST", self.HEADERS, POST_VANILLA)
        self.verify("GET", [*self.HEADERS, ("X-Amz-Security-Token", TOKEN)], GET_WITH_TOKEN, TOKEN)

    def refuses(self, code, *words, **options):
        with self.assertRaises(sigv4.Refused) as caught:
            self.verify(*words, **options)
        self.assertEqual(caught.exception.code, code)

    def test_whatever_differs_is_refused(self):
        self.refuses("InvalidSignatureException", "GET", self.HEADERS, POST_VANILLA)
        self.refuses("InvalidSignatureException", "POST", self.HEADERS, POST_VANILLA, payload=b"x")
        self.refuses("InvalidSignatureException", "POST", [("Host", "other.example"), self.HEADERS[1]], POST_VANILLA)
        self.refuses("UnrecognizedClientException", "POST", self.HEADERS, POST_VANILLA, token="expected")
        self.refuses("UnrecognizedClientException", "GET", [*self.HEADERS, ("X-Amz-Security-Token", TOKEN)],
                     GET_WITH_TOKEN, "another")

    def test_five_minutes_of_skew_are_taken_and_six_are_not(self):
        for minutes in (4.9, -4.9):
            self.verify("POST", self.HEADERS, POST_VANILLA, minutes=minutes)
        for minutes in (6, -6):
            self.refuses("InvalidSignatureException", "POST", self.HEADERS, POST_VANILLA, minutes=minutes)

    def test_an_unsigned_request_is_refused_over_http(self):
        with SecretsManager() as manager:
            request = urllib.request.Request(manager.url, data=b"{}", headers={
                "Content-Type": CONTENT_TYPE, "X-Amz-Target": "secretsmanager.GetSecretValue"})
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=10)
            answer = json.loads(caught.exception.read())
            self.assertEqual((caught.exception.code, answer["__type"]), (400, "MissingAuthenticationTokenException"))


class Labels(story.Story):
    """Staging labels move as AWS's do."""

    def setUp(self):
        self.store = secret_store.Store()
        self.first = self.store.create("s", "1")[1].id

    def stages(self):
        return {stage: self.store.version_id("s", stage) for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")}

    def test_a_new_current_version_makes_the_old_one_previous(self):
        second = self.store.put("s", "2")[1].id
        self.assertEqual(self.stages(), {"AWSCURRENT": second, "AWSPENDING": None, "AWSPREVIOUS": self.first})
        third = self.store.put("s", "3")[1].id
        self.assertEqual(self.stages(), {"AWSCURRENT": third, "AWSPENDING": None, "AWSPREVIOUS": second})

    def test_a_rotation_starts_with_an_empty_pending_version(self):
        token = self.store.rotate("s")[1].id
        with self.assertRaises(sigv4.Refused) as caught:
            self.store.get("s", stage="AWSPENDING")
        self.assertEqual(caught.exception.code, "ResourceNotFoundException")
        self.store.put("s", "2", token=token, stages=["AWSPENDING"])
        self.assertEqual(self.store.get("s", stage="AWSPENDING")[1].string, "2")
        self.assertEqual(self.store.get("s")[1].string, "1")

    def test_finishing_moves_current_and_leaves_pending(self):
        token = self.store.rotate("s")[1].id
        self.store.put("s", "2", token=token, stages=["AWSPENDING"])
        self.store.update_stage("s", "AWSCURRENT", move_to=token, remove_from=self.first)
        self.assertEqual(self.stages(), {"AWSCURRENT": token, "AWSPENDING": token, "AWSPREVIOUS": self.first})

    def test_a_second_rotation_is_refused_while_one_is_open(self):
        self.store.rotate("s")
        with self.assertRaises(sigv4.Refused) as caught:
            self.store.rotate("s")
        self.assertEqual(caught.exception.code, "InvalidRequestException")

    def test_current_moves_only_from_the_version_that_has_it(self):
        second = self.store.put("s", "2", stages=["AWSPENDING"])[1].id
        for remove_from in (None, second):
            with self.assertRaises(sigv4.Refused):
                self.store.update_stage("s", "AWSCURRENT", move_to=second, remove_from=remove_from)
        with self.assertRaises(sigv4.Refused):
            self.store.update_stage("s", "AWSCURRENT", remove_from=self.first)

    def test_a_value_has_at_most_65536_bytes(self):
        self.store.put("s", "x" * 65536)
        with self.assertRaises(sigv4.Refused):
            self.store.put("s", "é" * 32769)


class ControlPort(story.Story):
    """Orders come over a port of their own."""

    def order(self, manager, **order):
        request = urllib.request.Request(manager.control_url, data=json.dumps(order).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["answer"]

    def test_secrets_and_faults_by_order(self):
        with SecretsManager() as manager:
            version = self.order(manager, do="create", name="forecaster/database/prod", value={"a": 1})
            self.assertEqual(self.order(manager, do="document", name="forecaster/database/prod"), {"a": 1})
            self.assertEqual(manager.store.version_id("forecaster/database/prod"), version)
            self.order(manager, do="fault", kind="cut", times=2)
            self.assertEqual(manager.faults[0].times, 2)
            self.order(manager, do="clear_faults")
            self.assertEqual(manager.faults, [])

    def test_the_service_port_takes_no_orders(self):
        with SecretsManager() as manager:
            request = urllib.request.Request(manager.url + "/_control", data=b'{"do": "clear_faults"}')
            with self.assertRaises(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=10)


class PostgresStandin(story.Story):
    """The server stand-in against the raw client, and the raw client against the real server."""

    def test_the_stand_in_answers_and_records(self):
        with pg_standin.PgStandin() as server:
            with protocol.Connection(host="127.0.0.1", port=server.port) as client:
                client.login("d", "app")
                self.assertEqual(client.query("SELECT 'x'").value(), "SELECT 'x'")
                client.extended("SELECT $1", ["a"])
            self.assertEqual(server.sessions[0].startup, {"user": "app", "database": "d"})
            self.assertEqual([kind for kind, _ in server.sessions[0].received[:6]], list("QPBDES"))

    def test_refusals_reach_the_client_with_their_sqlstate(self):
        with pg_standin.PgStandin(pg_standin.refuse("57P03", "starting up")) as server:
            with protocol.Connection(host="127.0.0.1", port=server.port) as client:
                self.refused("57P03", client.login, "d")

    def test_the_log_tells_refused_logins_from_good_ones(self):
        self.server.need_own()
        role, password = self.server.create_login("counted")
        words = f"host=127.0.0.1 port={self.server.port} user={role} dbname=postgres sslmode=require"
        for given in (password, "wrong", "wrong again"):
            environment = {**story.os.environ, "PGPASSWORD": given}
            story.process.run(["psql", "-Xc", "SELECT 1", words], check=False, env=environment)
        self.until(lambda: self.server.count_refused_logins(role) == 2, "two refusals in the log")
        self.assertEqual(self.server.count_logins(role), 1)


if __name__ == "__main__":
    story.main()
