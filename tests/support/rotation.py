"""Password rotations as AWS's PostgreSQL lambdas do them, a step at a time.

    rotation = Rotation(manager, "forecaster/database/prod", server)
    rotation.run(gap=10)              # the four steps, with ten seconds between setSecret and testSecret
    rotation.run(until="set_secret")  # a rotation that died: only AWSPENDING's password works from now on

Between set_secret and finish_secret AWSCURRENT's password is refused: that gap is what the broker hides.
"""
import time

import secrets_manager
from cluster import identifier, literal
from secret_store import CURRENT, PENDING, PREVIOUS
from sigv4 import Refused

EXCLUDED = ":/@\"'\\"                 # what AWS's lambdas leave out of a password
CLONE = "_clone"
STEPS = ("start", "create_secret", "set_secret", "test_secret", "finish_secret")


class RotationFailed(Exception):
    """A step refused to go on, as the lambda would."""


def new_password():
    return secrets_manager.random_password(32, EXCLUDED)


class Rotation:
    """One rotation of one database secret; alternate=True is the strategy with two users."""

    def __init__(self, manager, name, server, alternate=False):
        self.manager, self.name, self.server, self.alternate = manager, name, server, alternate
        self.store, self.token = manager.store, None

    def start(self):
        """RotateSecret: AWSPENDING is on an empty version from here on."""
        self.token = self.store.rotate(self.name)[1].id

    def create_secret(self):
        document = self._document(CURRENT)
        if self.alternate:
            document["username"] = other_user(document["username"])
        document["password"] = new_password()
        self.manager.put(self.name, document, stages=[PENDING], token=self.token)

    def set_secret(self):
        pending = self._document(PENDING)
        if self._login_works(pending):
            return
        if self.alternate:
            self._set_as_master(pending)
        else:
            self._set_as_the_user(pending)

    def _set_as_the_user(self, pending):
        """Into `dbname`, else database postgres, as the lambda does: there no ALTER ROLE … SET role applies."""
        for stage in (CURRENT, PREVIOUS):
            known = self._document(stage)
            if known and self._login_works(known):
                if (known["username"], known["host"]) != (pending["username"], pending["host"]):
                    raise RotationFailed("AWSPENDING is about another user or host")
                self.server.sql(f"ALTER ROLE {identifier(pending['username'])} "
                                f"WITH PASSWORD {literal(pending['password'])}",
                                database=known.get("dbname", self.server.admin_database),
                                user=known["username"], password=known["password"])
                return
        raise RotationFailed("neither AWSCURRENT nor AWSPREVIOUS can log in")

    def _set_as_master(self, pending):
        current = self._document(CURRENT)
        if not self._login_works(current):
            raise RotationFailed("AWSCURRENT cannot log in")
        user = identifier(pending["username"])
        known = self.server.sql(f"SELECT 1 FROM pg_roles WHERE rolname = {literal(pending['username'])}")
        if not known:
            self.server.sql(f"CREATE ROLE {user} LOGIN; GRANT {identifier(current['username'])} TO {user}")
            self.server.adopt_role(pending["username"])
        self.server.set_password(pending["username"], pending["password"])

    def test_secret(self):
        if not self._login_works(self._document(PENDING)):
            raise RotationFailed("AWSPENDING cannot log in")

    def finish_secret(self):
        self.store.update_stage(self.name, CURRENT, move_to=self.token,
                                remove_from=self.store.version_id(self.name, CURRENT))

    def run(self, gap=0.0, until="finish_secret", before=None):
        """The steps in order up to and with `until`, sleeping `gap` after set_secret.

        before maps a step's name to something to call right before it.
        """
        for step in STEPS:
            if before and step in before:
                before[step]()
            getattr(self, step)()
            if step == until:
                return self
            if step == "set_secret" and gap:
                time.sleep(gap)
        return self

    def _document(self, stage):
        try:
            return self.manager.document(self.name, stage)
        except Refused:
            return None

    def _login_works(self, document):
        return self.server.login_works(document["username"], document["password"],
                                       document.get("dbname", self.server.admin_database))


def other_user(name):
    """app → app_clone → app, as the lambda alternates."""
    return name.removesuffix(CLONE) if name.endswith(CLONE) else name + CLONE


def rotate_single_user(manager, name, server, gap=0.0):
    return Rotation(manager, name, server).run(gap)


def rotate_alternating_users(manager, name, server, gap=0.0):
    return Rotation(manager, name, server, alternate=True).run(gap)


def rotate_secret_first(manager, name, server, gap=0.0):
    """An operator who writes the secret first and the database `gap` seconds later."""
    document = manager.document(name)
    document["password"] = new_password()
    manager.put(name, document)
    time.sleep(gap)
    server.set_password(document["username"], document["password"])
