"""Stand-ins for those who hand out AWS credentials: a container endpoint, instance metadata, and STS."""
import datetime
import email.utils
import html
import http.server
import json
import secrets
import threading
import time
import urllib.parse

import sigv4


class Keys(dict):
    """What a service takes, as in manager.keys: keys are unknown again once they have expired, or some time later."""

    def __init__(self, grace=0):
        super().__init__()
        self.ends, self.used, self.grace = {}, [], grace

    def issue(self, lifetime):
        """A new key as the endpoints hand it out."""
        name, key, token = f"ASIA{len(self)}EXAMPLE", secrets.token_urlsafe(30), secrets.token_urlsafe(60)
        self.ends[name] = time.time() + lifetime
        self[name] = key, token
        end = datetime.datetime.fromtimestamp(self.ends[name], datetime.timezone.utc)
        return {"AccessKeyId": name, "SecretAccessKey": key, "Token": token,
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def get(self, name, default=None):
        self.used.append(name)
        return super().get(name, default) if self.ends.get(name, 0) + self.grace > time.time() else default


class Loopback:
    """An HTTP server on a loopback port, for as long as it is entered; answer() is the subclass's."""

    def __init__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "Server", ""

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return email.utils.format_datetime(owner.now(), usegmt=True)

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, text = owner.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_PUT = do_POST = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.clock_offset = 0.0

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_offset)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Endpoint(Loopback):
    """A container endpoint and instance metadata."""

    ROLES = "/latest/meta-data/iam/security-credentials/"

    def __init__(self, lifetime, token=None, role="forecaster", region="us-east-1"):
        super().__init__()
        self.keys, self.lifetime, self.token, self.role = Keys(), lifetime, token, role
        self.region = region
        self.sessions, self.asked, self.failing = set(), [], False

    def answer(self, method, path, headers, _body):
        return self.put(path, headers) if method == "PUT" else self.get(path, headers)

    def get(self, path, headers):
        self.asked.append(path)
        if self.failing:
            return 503, "not now"
        if path == "/v1/credentials" and headers.get("Authorization") == self.token:
            return 200, json.dumps(self.keys.issue(self.lifetime))
        if not path.startswith("/latest/meta-data/"):
            return 403, "no"
        if headers.get("X-aws-ec2-metadata-token") not in self.sessions:
            return 401, ""
        if path == "/latest/meta-data/placement/region":
            return 200, self.region
        if path == self.ROLES and self.role:
            return 200, self.role
        if path == self.ROLES + str(self.role):
            return 200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **self.keys.issue(self.lifetime)})
        return 404, ""

    def put(self, path, headers):
        self.asked.append(path)
        if path != "/latest/api/token" or headers.get("X-aws-ec2-metadata-token-ttl-seconds") != "21600":
            return 400, ""
        session = secrets.token_urlsafe(40)
        self.sessions.add(session)
        return 200, session


class Sts(Loopback):
    """AssumeRole and AssumeRoleWithWebIdentity: XML, or JSON to who accepts it if `json` is set.

    `callers` are the keys that may assume the role, `tokens` the web identities that may.
    """

    XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
    ROLE = "arn:aws:iam::123456789012:role/forecaster"

    def __init__(self, lifetime, callers=None, tokens=(), external_id=None, region="us-east-1", speaks_json=False,
                 grace=0):
        super().__init__()
        self.keys, self.lifetime, self.region, self.speaks_json = Keys(grace), lifetime, region, speaks_json
        self.callers = {} if callers is None else callers
        self.tokens, self.external_id = set(tokens), external_id
        self.asked, self.failing = [], False

    def answer(self, method, path, headers, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)))
        code = ""
        try:
            if self.failing:
                raise sigv4.Refused(503, "ServiceUnavailable", "not now")
            self.check(method, path, headers, body, form)
            return 200, self.granted(form["Action"], "application/json" in headers.get("Accept", ""))
        except sigv4.Refused as refused:
            code = refused.code
            return refused.status, (f'<ErrorResponse xmlns="{self.XMLNS}"><Error><Type>Sender</Type><Code>{code}</Code>'
                                    f"<Message>{html.escape(refused.message)}</Message></Error></ErrorResponse>")
        finally:
            self.asked.append({**form, "code": code})

    def check(self, method, path, headers, body, form):
        if (method, path, form.get("Version")) != ("POST", "/", "2011-06-15"):
            raise sigv4.Refused(400, "InvalidAction", "no such action")
        denied = sigv4.Refused(403, "AccessDenied", f"not authorized to perform sts:{form.get('Action')} on resource: "
                                                    f"{form.get('RoleArn')}")
        if form["Action"] == "AssumeRoleWithWebIdentity":
            if form["WebIdentityToken"] not in self.tokens:
                raise sigv4.Refused(400, "ExpiredTokenException", "Token expired")
            if "Authorization" in headers:
                raise denied
        else:
            self.check_signature(method, path, headers, body)
            if form.get("ExternalId") != self.external_id:
                raise denied
        if form["RoleArn"] != self.ROLE or not 2 <= len(form["RoleSessionName"]) <= 64:
            raise denied

    def check_signature(self, method, path, headers, body):
        try:
            sigv4.verify(method, path, headers.items(), body, keys=self.callers, region=self.region, service="sts",
                         now=self.now())
        except sigv4.Refused as refused:
            code = {"UnrecognizedClientException": "InvalidClientTokenId",
                    "InvalidSignatureException": "SignatureDoesNotMatch"}.get(refused.code, refused.code)
            raise sigv4.Refused(403, code, refused.message) from None

    def granted(self, action, wants_json):
        key = self.keys.issue(self.lifetime)
        key["SessionToken"] = key.pop("Token")
        if wants_json and self.speaks_json:
            key["Expiration"] = self.keys.ends[key["AccessKeyId"]]
            return json.dumps({f"{action}Response": {f"{action}Result": {"Credentials": key}}})
        fields = "".join(f"<{name}>{html.escape(value)}</{name}>\n" for name, value in key.items())
        return (f'<{action}Response xmlns="{self.XMLNS}">\n<{action}Result><Credentials>\n{fields}</Credentials>'
                f"</{action}Result></{action}Response>\n")
