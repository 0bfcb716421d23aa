"""A whole small world for a story: a server, a Secrets Manager, environments with secrets, one broker.

    with World(server) as world:
        world.add("prod", pool={"pool_size": 3})
        broker = world.start()
"""
import pgbench
import story
from broker import Broker
from secrets_manager import SecretsManager


class Environment:
    """One environment's role, database and secret."""

    def __init__(self, name, secret_name, role, password, database):
        self.name, self.secret_name = name, secret_name
        self.role, self.password, self.database = role, password, database


class World:
    """Owns the Secrets Manager and the broker; the server is shared and only gets roles and databases."""

    def __init__(self, server, manager=None, **top):
        self.server, self.top = server, top
        self.manager = manager or SecretsManager()
        self.environments, self.config, self.broker = {}, {}, None

    def __enter__(self):
        self.manager.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if self.broker and kind is None:
                self.broker.stop()
            elif self.broker:
                self.broker.kill()
        finally:
            self.manager.stop()

    def add(self, name="prod", secret=None, counters=False, **config):
        """An environment with a role of its own; secret overrides or (None) removes keys of its document."""
        role, password = self.server.create_login(name)
        database = self.server.create_database(name, owner=role)
        environment = Environment(name, f"forecaster/database/{name}", role, password, database)
        document = {"host": self.server.host, "port": str(self.server.port), "username": role,
                    "password": password, "database": database, "ssl_mode": self._ssl_mode(), **(secret or {})}
        self.manager.create(environment.secret_name,
                            {key: value for key, value in document.items() if value is not None})
        if self._ssl_mode().startswith("verify"):
            config = {"tls": {}, **config}
            config["tls"] = {"root_cert": str(self.server.root_cert), **config["tls"]}
        self.environments[name], self.config[name] = environment, config
        if counters:
            self.server.sql(pgbench.SETUP, database, role, password)
        return environment

    def _ssl_mode(self):
        return "verify-full" if self.server.own else self.server.ssl_mode

    def configuration(self):
        return {**self.top, "environments": self.config}

    def start(self, ready=True, **options):
        """The broker, with a first query gone through in each environment."""
        self.broker = Broker(self.configuration(), self.manager, **options).start()
        for name in self.config if ready else ():
            self.broker.wait_ready(name)
        return self.broker

    def counted(self, name="prod"):
        """How many transactions the database has seen."""
        environment = self.environments[name]
        return int(self.server.sql("SELECT sum(n) FROM counters", environment.database)[0][0])


class OneEnvironment(story.Story):
    """Stories in a world with one environment and the pool each wants."""

    def world(self, **pool):
        world = World(self.server)
        world.add("prod", pool=pool)
        return world

    def backend(self, client):
        return client.query("SELECT pg_backend_pid()").value()
