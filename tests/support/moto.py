"""moto_server, where there is one: a Secrets Manager (and an IAM) that nobody here has written.

It stands where a World wants its manager: World(server, manager=moto.shared()). One process serves all
stories of a file, and forgets everything at each start(). It differs from AWS in small ways: RotateSecret
without a lambda empties AWSCURRENT, and an error comes as XML once signatures are checked.
"""
import json
import os
import re
import shutil
import ssl
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import place
import process
import rotation
import sigv4
from secret_store import CURRENT
from sigv4 import Refused

REGION = "eu-west-1"
ANYBODY = ("AKIDANYBODY", "anything")               # good enough until check_signatures()
_shared = {}


def shared():
    """The one of this process; skips the story where moto_server is not on PATH."""
    if shutil.which("moto_server") is None:
        raise unittest.SkipTest("moto_server is not on PATH")
    if "moto" not in _shared:
        _shared["moto"] = Moto()
    return _shared["moto"]


class Secrets:
    """Secrets by the names that the stand-in gives to what is done with them; ask() is the subclass's."""

    def create(self, name, value):
        return self.ask("CreateSecret", Name=name, SecretString=_text(value))["VersionId"]

    def put(self, name, value, stages=(CURRENT,), token=None):
        return self.ask("PutSecretValue", SecretId=name, SecretString=_text(value), VersionStages=list(stages),
                        ClientRequestToken=token or str(uuid.uuid4()))["VersionId"]

    def document(self, name, stage=CURRENT):
        return json.loads(self.ask("GetSecretValue", SecretId=name, VersionStage=stage)["SecretString"])

    def version_id(self, name, stage=CURRENT):
        return next(version for version, stages in self.ask("DescribeSecret", SecretId=name)["VersionIdsToStages"].items()
                    if stage in stages)

    def update_stage(self, name, stage, move_to=None, remove_from=None):
        self.ask("UpdateSecretVersionStage", SecretId=name, VersionStage=stage, MoveToVersionId=move_to,
                 RemoveFromVersionId=remove_from)


class Moto(Secrets):
    """The service as a story sees it; `key` signs the story's requests, `broker_key` the broker's."""

    def __init__(self, certificate=None, authority=None):
        self.child, self.port = None, None
        self.certificate, self.authority = certificate, authority       # (certificate, key) to serve TLS; its authority
        self.context = ssl.create_default_context(cafile=authority) if authority else None
        self.key = self.broker_key = ANYBODY
        self.instance = False                       # the broker's key comes from the instance's metadata
        self.store = self                           # what a Rotation asks of the stand-in's store

    # ---- life ----

    @property
    def url(self):
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        """Running and empty."""
        self.key, self.broker_key, self.instance = ANYBODY, ANYBODY, False
        for _ in range(3):
            if self.child is None or self.child.poll() is not None:
                self._start()
        self._plain("/moto-api/reset")
        self._plain("/moto-api/reset-auth", b"inf")
        return self

    def _start(self):
        self.port = place.free_port()
        tls = ["-c", self.certificate[0], "-k", self.certificate[1]] if self.certificate else []
        self.child = process.start(["moto_server", "-H", "127.0.0.1", "-p", self.port, *tls], death="TERM",
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        process.wait_until(lambda: self.child.poll() is not None or self._answers(), "moto_server to answer", 60)

    def _answers(self):
        try:
            return self._open(self.url + "/moto-api/").status == 200
        except OSError:
            return False

    def stop(self):
        """It goes on for the next story; the end of the process takes it along."""

    def end(self):
        if self.child:
            process.stop(self.child)
            self.child = None

    def environment(self):
        """What a client needs in its environment."""
        values = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url, "AWS_REGION": REGION}
        if self.authority:
            values["AWS_CA_BUNDLE"] = str(self.authority)
        if self.instance:
            return {**values, "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url}
        return {**values, "AWS_ACCESS_KEY_ID": self.broker_key[0], "AWS_SECRET_ACCESS_KEY": self.broker_key[1]}

    # ---- requests ----

    def _open(self, request):
        return urllib.request.urlopen(request, timeout=20, context=self.context)

    def _plain(self, path, body=b""):
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "text/plain"}, method="POST")
        return self._open(request).read()

    def _signed(self, service, headers, body):
        headers = sigv4.sign("POST", f"127.0.0.1:{self.port}", "/", headers, body, key=self.key, region=REGION,
                             service=service)
        try:
            return self._open(urllib.request.Request(self.url, body, headers)).read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            code = re.search(r'<Code>(\w+)<|"__type": ?"(\w+)"', text)
            raise Refused(error.code, code and (code[1] or code[2]), text) from None

    def ask(self, action, **body):
        """One action of Secrets Manager, as plain signed HTTP."""
        return json.loads(self._signed("secretsmanager", {
            "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{action}"},
            json.dumps(body).encode()) or "{}")

    def ask_iam(self, action, **words):
        form = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **words})
        return self._signed("iam", {"Content-Type": "application/x-www-form-urlencoded"}, form.encode())

    # ---- users and their policies ----

    def user(self, name, statement):
        """A user who may do what this statement says; returns its key."""
        self.ask_iam("CreateUser", UserName=name)
        self.allow(name, statement)
        answer = self.ask_iam("CreateAccessKey", UserName=name)
        return tuple(re.search(rf"<{field}>([^<]+)<", answer)[1] for field in ("AccessKeyId", "SecretAccessKey"))

    def allow(self, name, statement):
        """Replaces the user's policy."""
        self.ask_iam("PutUserPolicy", UserName=name, PolicyName="its", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}))

    def check_signatures(self):
        """From here on every request is held against IAM; the story's own are an administrator's."""
        self.key = self.user("administrator", {"Action": "*", "Resource": "*"})
        self._plain("/moto-api/reset-auth", b"0")


class CommandLine(Secrets):
    """The same service, asked by AWS's own program; skips the story where it is not on PATH."""

    def __init__(self, moto):
        if shutil.which("aws") is None:
            raise unittest.SkipTest("aws (awscli) is not on PATH")
        self.moto, self.store, self.place = moto, self, place.directory("aws")

    def ask(self, action, **body):
        command = re.sub(r"\B([A-Z])", r"-\1", action).lower()
        given = self.place / "input.json"           # not among the words, which everybody sees
        given.write_text(json.dumps(body))
        name, secret = self.moto.key
        done = process.run(
            ["aws", "secretsmanager", command, "--cli-input-json", f"file://{given}", "--output", "json",
             "--endpoint-url", self.moto.url], check=False, timeout=60, env={
                 "PATH": os.environ["PATH"], "HOME": str(self.place), "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true",
                 "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret})
        if done.returncode:
            code = re.search(r"An error occurred \((\w+)\)", done.stderr)
            raise Refused(400, code and code[1], done.stderr)
        return json.loads(done.stdout or "{}")


class Rotation(rotation.Rotation):
    """The lambda's steps; createSecret makes the version, since moto's RotateSecret wants a real lambda."""

    def start(self):
        self.token = str(uuid.uuid4())


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)
