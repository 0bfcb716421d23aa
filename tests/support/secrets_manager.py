#!/usr/bin/python3
"""A stand-in for AWS Secrets Manager: its JSON 1.1 protocol, real signature checks, and faults on demand.

In a test:     with SecretsManager() as manager: manager.create("forecaster/database/prod", {...})
As a program:  secrets_manager.py --port 0 [--secret NAME=FILE]...   prints its URLs, one `name value` a line

A second port (`/_control`, POST of {"do": "...", ...}) takes the same orders from other programs, so
that no request of the service itself can ever reach them.
"""
import argparse
import base64
import collections
import datetime
import email.utils
import http.server
import json
import random
import re
import signal
import ssl
import string
import sys
import threading
import time
import uuid

import process
import sigv4
from secret_store import CURRENT, Store, invalid_parameter
from sigv4 import Refused

TARGET = "secretsmanager."
CONTENT_TYPE = "application/x-amz-json-1.1"
Request = collections.namedtuple("Request", "time action secret_id stage version_id status code version")


class Fault:
    """Something that goes wrong with the next `times` requests that match (None: for ever)."""

    KINDS = ("error", "slow", "hang", "cut", "reset", "html", "xml", "wrong_type", "huge", "garbage", "stale", "empty",
             "redirect", "said")

    def __init__(self, kind, times=1, stage=None, action="GetSecretValue", secret_id=None, **details):
        if kind not in self.KINDS:
            raise ValueError(f"no fault {kind}: one of {', '.join(self.KINDS)}")
        self.kind, self.times, self.details = kind, times, details
        self.stage, self.action, self.secret_id = stage, action, secret_id

    def matches(self, action, body):
        return ((self.times is None or self.times > 0) and self.action in (None, action)
                and self.stage in (None, body.get("VersionStage", CURRENT))
                and self.secret_id in (None, body.get("SecretId")))


class SecretsManager:
    """The service with its state; both ports listen from start() to stop()."""

    def __init__(self, region="us-east-1", access_key="AKIDSTANDINEXAMPLE", secret_key=None, session_token=None,
                 port=0, control_port=0, certificate=None, host="127.0.0.1"):
        self.store = Store(region)
        self.region, self.access_key, self.session_token = region, access_key, session_token
        self.secret_key = secret_key or "".join(random.choices(string.ascii_letters + "/+", k=40))
        self.keys = {access_key: (self.secret_key, session_token)}
        self.clock_offset = 0.0                     # seconds this server's clock is ahead of ours
        self.skew_code = None                       # what a request by a wrong clock is told; as sigv4.py says
        self.requests, self.faults = [], []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.server = _Server((host, port), _ServiceHandler, self)
        self.control = _Server((host, control_port), _ControlHandler, self)
        self.scheme = "http"
        if certificate:                             # (certificate file, key file)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.tls, self.scheme = context, "https"
        self.host = host

    # ---- life ----

    def start(self):
        for server in (self.server, self.control):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.closing.set()
        for server in (self.server, self.control):
            server.shutdown()
            server.end_connections()
            server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.server.server_port}"

    @property
    def control_url(self):
        return f"http://{self.host}:{self.control.server_port}/_control"

    def environment(self):
        """What a client of this stand-in needs in its environment."""
        values = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url, "AWS_REGION": self.region,
                  "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
                  "AWS_EC2_METADATA_DISABLED": "true"}
        if self.session_token:
            values["AWS_SESSION_TOKEN"] = self.session_token
        return values

    # ---- secrets, from a test ----

    def create(self, name, value):
        """A secret with a first version; value is a dict, or text as it stands. Returns the version id."""
        return self.store.create(name, _text(value))[1].id

    def put(self, name, value, stages=(CURRENT,), token=None):
        return self.store.put(name, _text(value), token=token, stages=tuple(stages))[1].id

    def put_binary(self, name, value, stages=(CURRENT,)):
        return self.store.put(name, binary=value, stages=tuple(stages))[1].id

    def document(self, name, stage=CURRENT):
        return json.loads(self.store.get(name, stage=stage)[1].string)

    # ---- faults and what was asked, from a test ----

    def fault(self, kind, times=1, **details):
        """Adds a fault; the oldest that matches and has turns left is the one that happens."""
        fault = Fault(kind, times, **details)
        with self.lock:
            self.faults.append(fault)
        return fault

    def error(self, status, code, message="", times=1, **match):
        return self.fault("error", times, status=status, code=code, message=message, **match)

    def throttle(self, times=1, **match):
        return self.error(400, "ThrottlingException", "Rate exceeded", times, **match)

    def deny(self, stage, times=None):
        """As a policy on secretsmanager:VersionStage does."""
        return self.error(400, "AccessDeniedException",
                          f"User: arn:aws:sts::123456789012:assumed-role/forecaster/i-1 is not authorized to perform: "
                          f"secretsmanager:GetSecretValue because no policy allows VersionStage {stage}",
                          times, stage=stage)

    def expire_token(self, times=1):
        return self.error(400, "ExpiredTokenException", "The security token included in the request is expired", times,
                          action=None)

    def forget_key(self, times=1):
        return self.error(400, "UnrecognizedClientException",
                          "The security token included in the request is invalid.", times, action=None)

    def outage(self, status=503, times=None):
        return self.error(status, "ServiceUnavailable" if status == 503 else "InternalServiceError", "", times,
                          action=None)

    def clear_faults(self):
        with self.lock:
            self.faults.clear()
        self.clock_offset = 0.0

    def asked(self, stage=None, secret_id=None, since=0.0):
        """The GetSecretValue requests so far, oldest first; times are time.monotonic()."""
        with self.lock:
            return [request for request in self.requests
                    if request.action == "GetSecretValue" and stage in (None, request.stage)
                    and secret_id in (None, request.secret_id) and request.time >= since]

    # ---- the service ----

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_offset)

    def take_fault(self, action, body):
        with self.lock:
            for fault in self.faults:
                if fault.matches(action, body):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def note(self, action, body, status, code, answer):
        request = Request(time.monotonic(), action, body.get("SecretId"), body.get("VersionStage"),
                          body.get("VersionId"), status, code, (answer or {}).get("VersionId"))
        with self.lock:
            self.requests.append(request)

    def perform(self, action, body, stale=False):
        """One action's answer as a dict; raises Refused."""
        actions = {"GetSecretValue": self._get, "PutSecretValue": self._put, "CreateSecret": self._create,
                   "UpdateSecretVersionStage": self._update_stage, "DescribeSecret": self._describe,
                   "RotateSecret": self._rotate, "DeleteSecret": self._delete,
                   "GetRandomPassword": self._random_password}
        if action not in actions:
            raise Refused(400, "UnknownOperationException", "")
        if stale and body.get("VersionStage") == CURRENT:
            body = {**body, "VersionStage": "AWSPREVIOUS"}
            return {**self._get(body), "VersionStages": [CURRENT]}
        return actions[action](body)

    def _get(self, body):
        secret, version = self.store.get(_required(body, "SecretId"), body.get("VersionId"), body.get("VersionStage"))
        value = ({"SecretString": version.string} if version.string is not None
                 else {"SecretBinary": base64.b64encode(version.binary).decode()})
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id, **value,
                "VersionStages": list(version.stages), "CreatedDate": version.created}

    def _put(self, body):
        secret, version = self.store.put(_required(body, "SecretId"), body.get("SecretString"), _binary(body),
                                         body.get("ClientRequestToken"), tuple(body.get("VersionStages", (CURRENT,))))
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id, "VersionStages": list(version.stages)}

    def _create(self, body):
        secret, version = self.store.create(_required(body, "Name"), body.get("SecretString"), _binary(body),
                                            body.get("ClientRequestToken"))
        return {"ARN": secret.arn, "Name": secret.name, **({"VersionId": version.id} if version else {})}

    def _update_stage(self, body):
        secret = self.store.update_stage(_required(body, "SecretId"), _required(body, "VersionStage"),
                                         body.get("MoveToVersionId"), body.get("RemoveFromVersionId"))
        return {"ARN": secret.arn, "Name": secret.name}

    def _describe(self, body):
        secret = self.store.find(_required(body, "SecretId"))
        return {"ARN": secret.arn, "Name": secret.name, "CreatedDate": secret.created,
                **({"RotationEnabled": True} if secret.rotation else {}),
                "VersionIdsToStages": {version.id: list(version.stages)
                                       for version in secret.versions.values() if version.stages}}

    def _rotate(self, body):
        secret, version = self.store.rotate(_required(body, "SecretId"), body.get("ClientRequestToken"))
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id}

    def _delete(self, body):
        secret = self.store.delete(_required(body, "SecretId"))
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": time.time()}

    @staticmethod
    def _random_password(body):
        return {"RandomPassword": random_password(body.get("PasswordLength", 32), body.get("ExcludeCharacters", ""))}


def random_password(length=32, exclude=""):
    """As GetRandomPassword: every kind of character at least once, blanks out."""
    kinds = [[c for c in kind if c not in exclude]
             for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)]
    dice = random.SystemRandom()
    letters = [dice.choice(kind) for kind in kinds if kind]
    letters += [dice.choice(sum(kinds, [])) for _ in range(length - len(letters))]
    dice.shuffle(letters)
    return "".join(letters)


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _binary(body):
    return base64.b64decode(body["SecretBinary"]) if "SecretBinary" in body else None


def _required(body, name):
    if not isinstance(body.get(name), str) or not body[name]:
        raise invalid_parameter(f"You must provide a value for {name}.")
    return body[name]


# ---- HTTP -------------------------------------------------------------------------------------

class _Server(http.server.ThreadingHTTPServer):
    """Threads that die with the process; connections are ended when the stand-in stops."""

    daemon_threads, block_on_close, request_queue_size = True, False, 128

    def __init__(self, address, handler, manager):
        super().__init__(address, handler)
        self.manager, self.tls, self.open = manager, None, set()

    def process_request_thread(self, request, client_address):
        self.open.add(request)
        try:
            if self.tls:
                request = self.tls.wrap_socket(request, server_side=True)
                self.open.add(request)
            super().process_request_thread(request, client_address)
        except OSError:                             # a client that broke off its handshake
            request.close()
        finally:
            self.open.discard(request)

    def handle_error(self, request, client_address):
        pass                                        # clients that hang up are part of the tests

    def end_connections(self):
        for request in list(self.open):
            try:
                request.shutdown(2)
            except OSError:
                pass


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Server", ""
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, payload, content_type=CONTENT_TYPE, **headers):
        self.head(status, len(payload), content_type, **headers)
        self.wfile.write(payload)

    def head(self, status, length, content_type=CONTENT_TYPE, **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


class _ServiceHandler(_Handler):
    """One request of the service: signature, fault, action, answer."""

    def date_time_string(self, timestamp=None):
        return email.utils.format_datetime(self.server.manager.now(), usegmt=True)

    def do_GET(self):
        self.refuse(Refused(404, "UnknownOperationException", ""))

    def do_POST(self):
        manager, payload = self.server.manager, self.body()
        action, request = self.headers.get("X-Amz-Target", "").removeprefix(TARGET), {}
        try:
            sigv4.verify("POST", self.path, self.headers.items(), payload, keys=manager.keys,
                         region=manager.region, service="secretsmanager", now=manager.now())
            request = self.parse(payload)
            fault = manager.take_fault(action, request)
            answer = None
            if fault and self.misbehave(fault, action, request):
                manager.note(action, request, 0, fault.kind, None)
                return
            answer = manager.perform(action, request, stale=bool(fault and fault.kind == "stale"))
        except Refused as refused:
            if manager.skew_code and re.match("Signature (expired|not yet current)", refused.message):
                refused = Refused(403, manager.skew_code, refused.message)
            manager.note(action, request, refused.status, refused.code, None)
            self.refuse(refused)
            return
        manager.note(action, request, 200, "", answer)
        self.answer(200, json.dumps(answer).encode(), x_amzn_RequestId=str(uuid.uuid4()))

    def parse(self, payload):
        if (self.headers.get("Content-Type") != CONTENT_TYPE
                or not self.headers.get("X-Amz-Target", "").startswith(TARGET)):
            raise Refused(404, "UnknownOperationException", "")
        try:
            request = json.loads(payload)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            raise Refused(400, "SerializationException", "")
        return request

    def refuse(self, refused):
        body = {"__type": refused.code, "Message": refused.message}
        self.answer(refused.status, json.dumps(body).encode(), x_amzn_RequestId=str(uuid.uuid4()))

    def misbehave(self, fault, action, request):
        """Does what the fault says; True if the request is thereby answered (or never will be)."""
        manager, details = self.server.manager, fault.details
        if fault.kind == "error":
            raise Refused(details["status"], details["code"], details.get("message", ""))
        if fault.kind == "empty":
            raise Refused(400, "ResourceNotFoundException",
                          "Secrets Manager can't find the specified secret value for staging label: "
                          + request.get("VersionStage", CURRENT))
        if fault.kind == "slow":
            manager.closing.wait(details.get("seconds", 1.0))
            return False
        if fault.kind == "stale":
            return False
        self.close_connection = True
        if fault.kind == "hang":
            manager.closing.wait(details.get("seconds", 600.0))
        elif fault.kind == "garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 20)
        elif fault.kind != "reset":
            self.false_answer(fault.kind, details, json.dumps(manager.perform(action, request)).encode())
        return True

    def false_answer(self, kind, details, truth):
        if kind == "cut":
            self.head(200, len(truth))
            self.wfile.write(truth[:len(truth) // 2])
        elif kind == "html":
            self.answer(200, b"<html><body>Sign in to the guest network</body></html>", "text/html")
        elif kind == "xml":
            self.answer(details.get("status", 400), b"<ErrorResponse><Error><Code>%s</Code><Message>m</Message></Error>"
                        b"</ErrorResponse>" % details.get("code", "Throttling").encode(), "text/xml")
        elif kind == "wrong_type":
            self.answer(200, truth, details.get("content_type", "text/plain"))
        elif kind == "redirect":
            self.answer(details.get("status", 302), b"", "text/html", Location=details["to"])
        elif kind == "said":                        # whatever the test says
            self.answer(details.get("status", 200), details["payload"].encode())
        elif kind == "huge":
            size = details.get("bytes", 8 << 20)
            self.answer(200, b'{"Name":"' + b"x" * size + b'"}')


class _ControlHandler(_Handler):
    """Orders from other programs: {"do": NAME, ...arguments}."""

    ORDERS = ("create", "put", "document", "fault", "clear_faults", "requests", "rotate", "update_stage", "clock")

    def do_POST(self):
        try:
            order = json.loads(self.body())
            name = order.pop("do")
            if name not in self.ORDERS or self.path != "/_control":
                raise KeyError(f"no order {name}: one of {', '.join(self.ORDERS)}")
            answer = getattr(self, "order_" + name)(self.server.manager, **order)
            self.answer(200, json.dumps({"answer": answer}).encode(), "application/json")
        except Exception as error:                  # whatever the caller got wrong is the answer to it
            self.answer(400, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode(), "application/json")

    @staticmethod
    def order_create(manager, name, value):
        return manager.create(name, value)

    @staticmethod
    def order_put(manager, name, value, stages=(CURRENT,), token=None):
        return manager.put(name, value, stages, token)

    @staticmethod
    def order_document(manager, name, stage=CURRENT):
        return manager.document(name, stage)

    @staticmethod
    def order_fault(manager, kind, **details):
        manager.fault(kind, **details)

    @staticmethod
    def order_clear_faults(manager):
        manager.clear_faults()

    @staticmethod
    def order_requests(manager):
        return [request._asdict() for request in list(manager.requests)]

    @staticmethod
    def order_rotate(manager, name, token=None):
        return manager.store.rotate(name, token)[1].id

    @staticmethod
    def order_update_stage(manager, name, stage, move_to=None, remove_from=None):
        manager.store.update_stage(name, stage, move_to, remove_from)

    @staticmethod
    def order_clock(manager, offset):
        manager.clock_offset = float(offset)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--control-port", type=int, default=0)
    arguments.add_argument("--region", default="us-east-1")
    arguments.add_argument("--access-key", default="AKIDSTANDINEXAMPLE")
    arguments.add_argument("--secret-key")
    arguments.add_argument("--session-token")
    arguments.add_argument("--certificate", nargs=2, metavar=("CERTIFICATE", "KEY"), help="serve TLS")
    arguments.add_argument("--secret", action="append", default=[], metavar="NAME=FILE", help="a secret's first value")
    options = arguments.parse_args()
    process.end_cleanly_on_signals()
    with SecretsManager(options.region, options.access_key, options.secret_key, options.session_token,
                        options.port, options.control_port, options.certificate) as manager:
        for word in options.secret:
            name, _, path = word.partition("=")
            with open(path, encoding="utf-8") as file:
                manager.create(name, file.read())
        for name, value in {**manager.environment(), "CONTROL_URL": manager.control_url}.items():
            print(f"{name}={value}", flush=True)
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
