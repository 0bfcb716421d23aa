"""Clients of every kind that never stop, a row of `counters` each: what a client believes in can be counted.

    with MixedLoad(daemon, "prod", TRANSACTION_MODE) as load: ...
    load.failures(), load.reckon(story, world)

A transaction begins only while the gate is open. A marked client heeds no gate, so that it may have a transaction
under way when its server goes.
"""
import contextlib
import random
import threading
import time

import protocol

try:
    import sqlalchemy
    import sqlalchemy.orm
except ImportError:                                 # one kind of client less
    sqlalchemy = None

PATIENCE = 180.0
LINES = 20                                          # that one COPY brings
SETUP = "CREATE TABLE lines (client int NOT NULL, n int NOT NULL)"


class Gate:
    """Who is through it is in a transaction; shut() waits until nobody is."""

    def __init__(self):
        self.condition, self.open, self.inside = threading.Condition(), True, 0

    @contextlib.contextmanager
    def passing(self):
        with self.condition:
            self.condition.wait_for(lambda: self.open)
            self.inside += 1
        try:
            yield
        finally:
            with self.condition:
                self.inside -= 1
                self.condition.notify_all()

    def shut(self):
        with self.condition:
            self.open = False
            if not self.condition.wait_for(lambda: self.inside == 0, PATIENCE):
                raise AssertionError(f"{self.inside} transactions did not end in {PATIENCE:g} s")

    def reopen(self):
        with self.condition:
            self.open = True
            self.condition.notify_all()


class Failure:
    """One transaction that a client was told has failed, or of which it heard nothing."""

    def __init__(self, client, began, error):
        self.client, self.began, self.ended, self.error = client, began, time.monotonic(), error
        self.sqlstate = getattr(error, "sqlstate", "")
        self.clock = time.strftime("%H:%M:%S", time.gmtime())

    def __str__(self):
        return (f"{self.clock} {self.client.name}, after {self.ended - self.began:.2f} s: "
                f"{type(self.error).__name__} {self.error}")


class Client(threading.Thread):
    """One client. A kind overrides transaction(), which adds 1 to the client's counter."""

    rate, marked = 5.0, False
    adds = 1                                        # what one transaction() adds

    def __init__(self, load, number):
        super().__init__(daemon=True, name=f"{load.environment}/{type(self).__name__}-{number}")
        self.load, self.number, self.done, self.failures, self.connection = load, number, 0, [], None
        self.broken = None

    def run(self):
        try:
            while not self.load.stopped.is_set():
                with contextlib.nullcontext() if self.marked else self.load.gate.passing():
                    self.once()
                self.load.stopped.wait(self.load.dice.uniform(0.5, 1.5) / self.rate)
            self.leave()
        except Exception as error:                  # told by MixedLoad.reckon()
            self.broken = error

    def once(self):
        began = time.monotonic()
        try:
            self.transaction()
            self.done += self.adds
        except (protocol.ServerError, protocol.Gone, OSError, RuntimeError) as error:
            self.failures.append(Failure(self, began, error))
            self.leave(politely=False)

    def stay(self):
        """The connection it keeps."""
        if self.connection is None:
            self.connection = self.connect()
            self.prepare(self.connection)
        return self.connection

    def connect(self):
        return self.load.daemon.connect(self.load.environment, timeout=PATIENCE)

    def prepare(self, connection):
        """What a new connection needs."""

    def leave(self, politely=True):
        if self.connection is not None:
            self.connection.close(politely)
            self.connection = None

    def add(self):
        return f"UPDATE counters SET n = n + 1 WHERE id = {self.number}"

    def transaction(self):
        raise NotImplementedError


class Simple(Client):
    rate = 10.0

    def transaction(self):
        self.stay().query(self.add())


class Marked(Simple):
    rate, marked = 30.0, True


class Block(Client):
    def transaction(self):
        connection = self.stay()
        connection.query("BEGIN")
        connection.query(f"SELECT n FROM counters WHERE id = {self.number}")
        connection.query(self.add())
        connection.query("COMMIT")


class Extended(Client):
    def transaction(self):
        self.stay().extended("UPDATE counters SET n = n + $1 WHERE id = $2", (1, self.number))


class Prepared(Client):
    rate = 10.0

    def prepare(self, connection):
        connection.send(protocol.parse("UPDATE counters SET n = n + $1 WHERE id = $2", "one") + protocol.sync())
        connection.answer()

    def transaction(self):
        connection = self.stay()
        connection.send(protocol.bind((1, self.number), "one") + protocol.execute() + protocol.sync())
        connection.answer()


class Copy(Client):
    rate = 2.0
    DATA = b"".join(b"%d\n" % n for n in range(LINES))

    def transaction(self):
        connection = self.stay()
        connection.query("BEGIN")
        connection.send(protocol.query("COPY lines FROM STDIN"))
        kind, payload = connection.read_until("GE")[-1]
        if kind == "E":
            raise protocol.ServerError(protocol.error_fields(payload))
        connection.send(b"".join(protocol.copy_data(b"%d\t%d\n" % (self.number, n)) for n in range(LINES))
                        + protocol.copy_done())
        connection.answer()
        connection.query(self.add())
        connection.send(protocol.query(f"COPY (SELECT generate_series(0, {LINES - 1})) TO STDOUT"))
        data = b"".join(payload for kind, payload in connection.read_until("Z") if kind == "d")
        connection.query("COMMIT")
        if data != self.DATA:
            raise RuntimeError(f"COPY gave {data!r}")


class Long(Client):
    """A transaction of seconds: it outlives steps of rotations, and dies with its server."""

    rate, marked = 2.0, True

    def transaction(self):
        connection = self.stay()
        connection.query("BEGIN")
        connection.query(self.add())
        self.load.stopped.wait(self.load.dice.uniform(0.5, 5))
        connection.query("COMMIT")


class Reader(Simple):
    """It changes nothing, so that it may be on a replica."""

    def transaction(self):
        self.stay().query("SELECT 1")


class NewReader(Client):
    def transaction(self):
        with self.connect() as connection:
            connection.query("SELECT 1")


class Newcomer(Client):
    """A connection for each transaction."""

    def transaction(self):
        with self.connect() as connection:
            connection.query(self.add())


class Visitor(Client):
    """A connection for ten transactions: in session mode it keeps its server so long."""

    rate = 1.0
    adds = 10

    def transaction(self):
        with self.connect() as connection:
            for _ in range(self.adds):
                connection.query(self.add())


class Process(Client):
    """A process of its own for each transaction."""

    rate = 1.0

    def transaction(self):
        done = self.load.daemon.psql(self.add(), self.load.environment, check=False, timeout=PATIENCE)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")


class Orm(Client):
    """SQLAlchemy's ORM over psycopg2, with a pool of its own."""

    rate = 3.0

    def __init__(self, load, number):
        super().__init__(load, number)
        self.engine = sqlalchemy.create_engine(f"postgresql+psycopg2://orm@/{load.environment}", pool_size=1,
                                               connect_args={"host": str(load.daemon.directory),
                                                             "port": load.daemon.port}, future=True)
        self.counter = type("Counter", (sqlalchemy.orm.declarative_base(),), {
            "__tablename__": "counters", "id": sqlalchemy.Column(sqlalchemy.Integer, primary_key=True),
            "n": sqlalchemy.Column(sqlalchemy.BigInteger)})

    def transaction(self):
        try:
            with sqlalchemy.orm.Session(self.engine) as session, session.begin():
                session.get(self.counter, self.number).n += 1
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise RuntimeError(str(error)) from error

    def leave(self, politely=True):
        self.engine.dispose()


TRANSACTION_MODE = (Simple, Simple, Marked, Block, Extended, Prepared, Copy, Long, Newcomer, Process, Orm)
SESSION_MODE = (Newcomer, Visitor, Process)


class MixedLoad:
    """The clients of one environment; at the end they are reckoned with."""

    def __init__(self, daemon, environment, kinds, gate=None):
        self.daemon, self.environment, self.gate = daemon, environment, gate or Gate()
        self.dice = random.Random()
        self.stopped = threading.Event()
        self.clients = [kind(self, number) for number, kind in enumerate(kinds, 1) if sqlalchemy or kind is not Orm]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.finish()

    def finish(self):
        self.stopped.set()
        for client in self.clients:
            client.join(PATIENCE)

    def failures(self):
        return [failure for client in self.clients for failure in client.failures]

    def transactions(self):
        return sum(client.done for client in self.clients)

    def reckon(self, story, world):
        """Each worked, and what it believes in is what the database has; a failure may have been committed."""
        database = world.environments[self.environment].database
        counted = dict(world.server.sql("SELECT id, n FROM counters", database))
        lines = dict(world.server.sql("SELECT client, count(*) FROM lines GROUP BY client", database))
        for client in self.clients:
            story.assertFalse(client.is_alive(), f"{client.name} hangs")
            story.assertIsNone(client.broken, client.name)
            story.assertGreater(client.done, 0, client.name)
            n, most = int(counted[str(client.number)]), client.done + client.adds * len(client.failures)
            story.assertTrue(client.done <= n <= most, f"{client.name}: {client.done} to {most} done, {n} counted")
            if isinstance(client, Copy):
                story.assertEqual(int(lines[str(client.number)]), LINES * n, client.name)
