"""Secrets, their versions and staging labels, with the rules Secrets Manager has for them.

A label is on at most one version. Whatever takes AWSCURRENT from a version puts AWSPREVIOUS on it.
A rotation starts with an *empty* version labelled AWSPENDING: reading it is "not found".
"""
import random
import string
import threading
import time
import uuid

from sigv4 import Refused

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
VALUE_LIMIT = 65536
ACCOUNT = "123456789012"


def invalid_parameter(message):
    return Refused(400, "InvalidParameterException", message)


def invalid_request(message):
    return Refused(400, "InvalidRequestException", message)


def not_found(what="the specified secret."):
    return Refused(400, "ResourceNotFoundException", f"Secrets Manager can't find {what}")


class Version:
    """One version: the value is None until somebody puts one."""

    def __init__(self, version_id):
        self.id, self.string, self.binary, self.stages, self.created = version_id, None, None, [], time.time()

    def empty(self):
        return self.string is None and self.binary is None


class Secret:
    """One secret with its versions in order of creation."""

    def __init__(self, name, region):
        suffix = "".join(random.choices(string.ascii_letters + string.digits, k=6))
        self.name, self.arn = name, f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}"
        self.versions, self.deleted, self.rotation, self.created = {}, False, False, time.time()
        self.last_rotated = None

    def named(self, stage):
        return next((version for version in self.versions.values() if stage in version.stages), None)

    def version(self, version_id):
        return self.versions.setdefault(version_id, Version(version_id))

    def move(self, stage, to):
        """Puts the label on one version, or on none."""
        holder = self.named(stage)
        if holder is to:
            return
        if holder:
            holder.stages.remove(stage)
        if to:
            to.stages.append(stage)
        if stage == CURRENT and holder:
            self.move(PREVIOUS, holder)


class Store:
    """All secrets of one account and region; every call is atomic."""

    def __init__(self, region="us-east-1"):
        self.region, self.secrets, self.lock = region, {}, threading.RLock()

    def find(self, secret_id):
        """By name, ARN, or ARN without its random suffix."""
        for secret in self.secrets.values():
            if secret_id in (secret.name, secret.arn, secret.arn[:-7]):
                return secret
        raise not_found()

    def _usable(self, secret_id):
        secret = self.find(secret_id)
        if secret.deleted:
            raise invalid_request("You can't perform this operation on the secret because it was marked for deletion.")
        return secret

    def create(self, name, text=None, binary=None, token=None):
        with self.lock:
            if name in self.secrets:
                raise Refused(400, "ResourceExistsException",
                              f"The operation failed because the secret {name} already exists.")
            secret = self.secrets[name] = Secret(name, self.region)
            version = None
            if text is not None or binary is not None:
                version = self.put(name, text, binary, token)[1]
            return secret, version

    def put(self, secret_id, text=None, binary=None, token=None, stages=(CURRENT,)):
        """PutSecretValue: a new version, or the value of the empty one a rotation made."""
        with self.lock:
            secret = self._usable(secret_id)
            value = text if text is not None else binary
            if value is None or (text is not None and binary is not None):
                raise invalid_parameter("You must provide either SecretString or SecretBinary.")
            if len(value if isinstance(value, bytes) else value.encode()) > VALUE_LIMIT:
                raise Refused(400, "ValidationException",
                              "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
                              f"Member must have length less than or equal to {VALUE_LIMIT}")
            version_id = self._check_token(token)
            version = secret.version(version_id)
            if not version.empty():
                if (version.string, version.binary) == (text, binary):
                    return secret, version
                raise Refused(400, "ResourceExistsException", "A version with this ClientRequestToken already exists.")
            version.string, version.binary, version.created = text, binary, time.time()
            for stage in stages if secret.named(CURRENT) else {*stages, CURRENT}:
                secret.move(stage, version)
            return secret, version

    @staticmethod
    def _check_token(token):
        token = token or str(uuid.uuid4())
        if not 32 <= len(token) <= 64:
            raise invalid_parameter("ClientRequestToken must be 32-64 characters long.")
        return token

    def get(self, secret_id, version_id=None, stage=None):
        """GetSecretValue."""
        with self.lock:
            secret = self._usable(secret_id)
            if version_id:
                version = secret.versions.get(version_id)
                if version and stage and stage not in version.stages:
                    raise invalid_request("You provided a VersionStage that is not associated to the provided VersionId.")
                missing = f"the specified secret value for VersionId: {version_id}"
            else:
                version = secret.named(stage or CURRENT)
                missing = f"the specified secret value for staging label: {stage or CURRENT}"
            if version is None or version.empty():
                raise not_found(missing)
            return secret, version

    def update_stage(self, secret_id, stage, move_to=None, remove_from=None):
        """UpdateSecretVersionStage: the holder of the label must be named, or AWS refuses."""
        with self.lock:
            secret = self._usable(secret_id)
            holder = secret.named(stage)
            for version_id in filter(None, (move_to, remove_from)):
                if version_id not in secret.versions:
                    raise not_found(f"the specified secret value for VersionId: {version_id}")
            if holder and move_to and holder.id != move_to and remove_from != holder.id:
                raise invalid_parameter(f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is "
                                        f"currently attached to version {holder.id}, so you must explicitly reference "
                                        "that version in RemoveFromVersionId.")
            if remove_from and (holder is None or holder.id != remove_from):
                raise invalid_parameter(f"The staging label {stage} isn't attached to version {remove_from}.")
            if stage == CURRENT and not move_to:
                raise invalid_parameter("You can only move staging label AWSCURRENT to a different secret version. "
                                        "It can't be completely removed.")
            secret.move(stage, secret.versions[move_to] if move_to else None)
            return secret

    def rotate(self, secret_id, token=None):
        """RotateSecret: an empty version labelled AWSPENDING, before any step of a rotation runs."""
        with self.lock:
            secret = self._usable(secret_id)
            pending = secret.named(PENDING)
            if pending and pending is not secret.named(CURRENT):
                raise invalid_request("A previous rotation isn't complete. That rotation will be reattempted.")
            version = secret.version(self._check_token(token))
            secret.move(PENDING, version)
            secret.rotation = True
            return secret, version

    def delete(self, secret_id):
        with self.lock:
            secret = self._usable(secret_id)
            secret.deleted = True
            return secret

    def version_id(self, secret_id, stage=CURRENT):
        """The id of the version that bears the label, or None; for tests, without AWS's errors."""
        with self.lock:
            version = self.find(secret_id).named(stage)
            return version.id if version else None
