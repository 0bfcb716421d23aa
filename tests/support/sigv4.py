"""AWS Signature Version 4, from the receiving side: recompute it, and say in AWS's words what is wrong."""
import datetime
import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = datetime.timedelta(minutes=5)
_TIME = "%Y%m%dT%H%M%SZ"


class Refused(Exception):
    """A request AWS would not take: HTTP status, error code, message."""

    def __init__(self, status, code, message):
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message


def canonical_request(method, target, headers, signed, payload):
    """The canonical request; headers is a list of (name, value) as received, signed the lower-case names."""
    path, _, query = target.partition("?")
    path = urllib.parse.quote(urllib.parse.unquote(path or "/"), safe="/-_.~")
    pairs = sorted(tuple(urllib.parse.quote(urllib.parse.unquote(part), safe="-_.~")
                         for part in (word.partition("=")[0], word.partition("=")[2]))
                   for word in query.split("&") if word)
    lines = []
    for name in signed:
        values = [" ".join(value.split()) for key, value in headers if key.lower() == name]
        lines.append(f"{name}:{','.join(values)}\n")
    return "\n".join([method, path, "&".join(f"{name}={value}" for name, value in pairs),
                      "".join(lines), ";".join(signed), hashlib.sha256(payload).hexdigest()])


def string_to_sign(time, scope, request):
    return "\n".join([ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()])


def signature(secret_key, scope, text):
    key = ("AWS4" + secret_key).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _parse_authorization(value):
    match = re.fullmatch(rf"{ALGORITHM} Credential=([^,/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{{64}})",
                         value)
    if not match:
        raise Refused(400, "IncompleteSignatureException",
                      f"Authorization header requires 'Credential', 'Signature', 'SignedHeaders': {value[:40]}")
    return match.groups()


def verify(method, target, headers, payload, *, keys, region, service, now):
    """Raises Refused unless the request is signed now, by a known key, for this region and service.

    keys maps an access key id to (secret key, session token or None).
    """
    first = {name.lower(): value for name, value in reversed(headers)}
    if "authorization" not in first:
        raise Refused(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
    key_id, scope, names, given = _parse_authorization(first["authorization"])
    signed = names.split(";")
    must = {"host"} | {name for name in first if name.startswith("x-amz-")}
    if signed != sorted(signed) or not must <= set(signed):
        raise Refused(400, "InvalidSignatureException",
                      f"headers that must be signed and are not: {', '.join(sorted(must - set(signed)))}")
    time = first.get("x-amz-date", "")
    _check_time(time, now)
    if scope != f"{time[:8]}/{region}/{service}/aws4_request":
        raise Refused(400, "InvalidSignatureException", f"Credential should be scoped to a valid region: {scope}")
    secret_key, token = keys.get(key_id, (None, None))
    if secret_key is None or first.get("x-amz-security-token") != token:
        raise Refused(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
    request = canonical_request(method, target, headers, signed, payload)
    wanted = signature(secret_key, scope, string_to_sign(time, scope, request))
    if not hmac.compare_digest(wanted, given):
        raise Refused(400, "InvalidSignatureException",
                      "The request signature we calculated does not match the signature you provided. "
                      "Check your AWS Secret Access Key and signing method.")


def _check_time(time, now):
    try:
        sent = datetime.datetime.strptime(time, _TIME).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused(400, "IncompleteSignatureException", f"X-Amz-Date is not a time: {time!r}") from None
    if sent < now - SKEW:
        raise Refused(400, "InvalidSignatureException",
                      f"Signature expired: {time} is now earlier than {(now - SKEW).strftime(_TIME)} "
                      f"({now.strftime(_TIME)} - 5 min.)")
    if sent > now + SKEW:
        raise Refused(400, "InvalidSignatureException",
                      f"Signature not yet current: {time} is still later than {(now + SKEW).strftime(_TIME)} "
                      f"({now.strftime(_TIME)} + 5 min.)")


def sign(method, host, target, headers, payload, *, key, region, service, now=None):
    """The headers with those that a signed request needs more; key is (access key id, secret key)."""
    time = (now or datetime.datetime.now(datetime.timezone.utc)).strftime(_TIME)
    headers = {**headers, "Host": host, "X-Amz-Date": time}
    signed = sorted(name.lower() for name in headers)
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    request = canonical_request(method, target, list(headers.items()), signed, payload)
    given = signature(key[1], scope, string_to_sign(time, scope, request))
    return {**headers, "Authorization": f"{ALGORITHM} Credential={key[0]}/{scope}, "
                                        f"SignedHeaders={';'.join(signed)}, Signature={given}"}
