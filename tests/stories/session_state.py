"""Session state, kind by kind: each client keeps its own, and no other meets it, on one server connection.

KINDS is a table, and the stories walk over it; the check-list is what PostgreSQL's manual says DISCARD ends, and
whatever else SET and functions leave in a session. A new kind is one more line. Each is tried with two clients of
one uid, of two uids, and under strict isolation; and once more where the broker can't see it, in a function.
"""
import contextlib
import dataclasses
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import process
import protocol
import story
from cluster import literal
from protocol import bind, close, execute, parse, query, sync
from world import World

UIDS = (20001, 20002)
NONE = None                                     # what is read where there is nothing: no row, or NULL


# ---- the table --------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of session state, with values that tell whose it is.

    `begin` brings it: SQL, or a function of the value that gives messages of the extended protocol. Of two values
    that were brought, `read` shows the later, or the greater. In texts `{v}` is a value, `{mine}` what `read` shows
    just now, `{n}` the number of a client, and {role}, {zone}, {slot} are the story's.
    """
    name: str
    begin: object
    read: object
    fresh: object = NONE                        # what `read` gives without it: text, NONE or an SQLSTATE
    ends: tuple = ()                            # each of these ends it, the last whatever there is of it
    pin: str = ""                               # the reason in SHOW PINS; none: it is carried along
    values: tuple = tuple("123456789")
    shows: str = "{v}"                          # what `read` gives then
    almost: str = ""                            # a statement that only looks as if it ended it
    undone: bool = True                         # a rollback takes it back
    local: bool = False                         # it ends with the transaction
    reported: bool = False                      # the server tells of it, wherever it was set
    frail: bool = False                         # an error ends it
    functions: bool = True                      # a function can bring it, and a reset end it
    startup: dict = dataclasses.field(default_factory=dict)

    def value(self, number):
        return self.values[number % len(self.values)]

    def shown(self, number):
        return self.fresh if number is NONE else fill(self.shows, v=self.value(number))

    def batch(self, number, then="", before=""):
        """Messages that bring it; other statements before or after share its fate."""
        if isinstance(self.begin, str):
            return query("; ".join(filter(None, (before, fill(self.begin, v=self.value(number)), then))))
        first, last = (parse(sql) + bind() + execute() if sql else b"" for sql in (before, then))
        return first + self.begin(self.value(number)) + last + sync()

    def question(self):
        return query(self.read) if isinstance(self.read, str) else self.read


def fill(text, **words):
    for name, word in words.items():
        text = text.replace("{%s}" % name, word)
    return text


def parameter(name, *values, fresh, begin="SET {p} TO '{v}'", called="", ends=None, **fields):
    """A run-time parameter; nearly all are carried along."""
    if ends is None:
        ends = ("RESET {p}", "SET {p} TO DEFAULT", "RESET ALL", "DISCARD ALL")
    return Kind(called or f"SET {name}", fill(begin, p=name), f"SELECT coalesce(current_setting('{name}', true), '')", fresh,
                tuple(fill(end, p=name) for end in ends), values=values, **fields)


def temporary(name, begin, drop, catalog="pg_class", prefix="rel", **fields):
    """Something in the session's own schema."""
    read = (f"SELECT max({prefix}name) FROM {catalog} WHERE {prefix}namespace = pg_my_temp_schema() "
            f"AND {prefix}name LIKE 'state%'")
    return Kind(name, begin, read, ends=(drop, "DISCARD TEMP", "DISCARD ALL"), pin="temporary object",
                shows="state_{v}", **fields)


def advisory(name, begin, *ends, **fields):
    return Kind(name, begin, LOCKED, ends=(*ends, "SELECT pg_advisory_unlock_all()", "DISCARD ALL"), pin="advisory lock",
                undone=False, **fields)


def long(sql, size):
    return sql + " " * size


LOCKED = "SELECT max(objid) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
DRAWN = "WITH drawn AS MATERIALIZED (SELECT random() AS r) SELECT seed FROM seeds JOIN drawn USING (r)"

KINDS = (
    # Parameters that the server reports.
    parameter("application_name", "one", "two words", "it's", fresh="pgbroker", begin="SET {p} TO $x${v}$x$", reported=True),
    parameter("DateStyle", "SQL, DMY", "German, YMD", "Postgres, MDY", fresh="ISO, MDY", reported=True),
    parameter("TimeZone", "Etc/GMT+1", "Etc/GMT+2", "Europe/Rome", fresh="{zone}", reported=True),
    parameter("TimeZone", "1", "2", "3", fresh="{zone}", begin="SET TIME ZONE {v}", called="SET TIME ZONE",
              shows="<+0{v}>-0{v}", reported=True),
    parameter("client_encoding", "LATIN1", "LATIN2", "SJIS", fresh="UTF8", begin="SET NAMES '{v}'", called="SET NAMES",
              reported=True),
    parameter("IntervalStyle", "iso_8601", "sql_standard", "postgres_verbose", fresh="postgres", reported=True),
    parameter("default_transaction_read_only", "on", "off", fresh="off", reported=True),
    # Parameters that it does not report.
    parameter("search_path", "1", "2", "3", fresh='"$user", public', begin='SET {p} TO "Odd, {v}", public',
              shows='"Odd, {v}", public'),
    parameter("statement_timeout", "1", "2", "3", fresh="0", begin="SET {p} TO '{v}min'", shows="{v}min"),
    parameter("work_mem", "101kB", "102kB", "103kB", fresh="4MB", begin="SET SESSION {p} = '{v}'"),
    parameter("bytea_output", "escape", "hex", fresh="hex"),
    parameter("extra_float_digits", "-1", "2", "3", fresh="1", begin="SET {p} TO {v}"),
    parameter("plan_cache_mode", "force_custom_plan", "force_generic_plan", fresh="auto"),
    parameter("session_replication_role", "replica", "local", fresh="origin"),
    parameter("xmloption", "document", "content", fresh="content", begin="SET XML OPTION {v}", called="SET XML OPTION"),
    parameter("my.mark", "one", "two", "it's", fresh="", begin="SET {p} TO $x${v}$x$"),
    parameter("lock_timeout", "1", "2", "3", fresh="0", begin="SELECT set_config('{p}', '{v}min', false)", shows="{v}min",
              called="set_config(false)"),
    parameter("default_transaction_isolation", "serializable", "repeatable read", "read uncommitted",
              fresh="read committed", begin="SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {v}",
              called="SET SESSION CHARACTERISTICS"),
    parameter("role", "pg_monitor", "pg_read_all_data", "pg_signal_backend", fresh="none", begin="SET ROLE {v}",
              called="SET ROLE", ends=("RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION",
                                       "SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL")),
    # Texts are read twice from here on, and a set_config() would not plainly name what it sets.
    parameter("standard_conforming_strings", "off", "on", fresh="on", reported=True),
    parameter("session_authorization", "pg_monitor", "pg_read_all_data", "pg_signal_backend", fresh="{role}",
              begin="SET SESSION AUTHORIZATION {v}", called="SET SESSION AUTHORIZATION",
              pin="SET SESSION AUTHORIZATION", almost="RESET ALL; RESET ROLE",
              ends=("RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL")),
    parameter("my.built", "1", "2", "3", fresh="", begin="SELECT set_config('my' || '.built', '{v}', false)",
              called="set_config() of a name that is built", pin="set_config()", ends=("DISCARD ALL",)),
    parameter("deadlock_timeout", "1", "2", "3", fresh="1s", shows="{v}min", pin="set_config()", ends=("DISCARD ALL",),
              begin="DO $$ BEGIN PERFORM set_config('{p}', '{v}min', false); END $$", called="set_config() in a DO block"),
    parameter("from_collapse_limit", "3", "4", "5", fresh="8", called="UPDATE pg_settings", pin="set_config()",
              ends=("DISCARD ALL",), begin="UPDATE pg_settings SET setting = '{v}' WHERE name = '{p}'"),
    # What a client says at its start is its own, and what RESET leads back to.
    parameter("my.start", "one", "two", "three", fresh="start{n}", startup={"options": "-c my.start=start{n}"},
              called="an option of the start"),
    parameter("TimeZone", "Etc/GMT+1", "Etc/GMT+2", "Europe/Rome", fresh="Etc/GMT-{n}", reported=True,
              startup={"TimeZone": "Etc/GMT-{n}"}, called="a parameter of the start"),
    parameter("role", "pg_monitor", "none", "pg_signal_backend", fresh="pg_read_all_settings", begin="SET ROLE {v}",
              startup={"options": "-c role=pg_read_all_settings"}, called="a role of the start", functions=False,
              ends=("RESET ROLE", "RESET SESSION AUTHORIZATION", "SET ROLE TO DEFAULT", "DISCARD ALL")),
    parameter("my.nothing", "one", "", "three", fresh="start{n}", begin="SET {p} TO '{v}'",
              startup={"options": "-c my.nothing=start{n}"}, called="an option of the start that is SET to nothing"),
    parameter("maintenance_work_mem", "3", "4", "5", fresh="1{n}MB", begin="SET {p} TO '{v}MB'", shows="{v}MB",
              startup={"maintenance_work_mem": "1{n}MB"}, called="an unreported parameter of the start"),
    # What ends with the transaction.
    parameter("work_mem", "111kB", "112kB", fresh="4MB", begin="SET LOCAL {p} TO '{v}'", called="SET LOCAL", local=True),
    parameter("my.mark", "one", "two", fresh="", begin="SELECT set_config('{p}', '{v}', true)",
              called="set_config(true)", local=True),
    parameter("transaction_isolation", "serializable", "repeatable read", fresh="read committed",
              begin="SET TRANSACTION ISOLATION LEVEL {v}", called="SET TRANSACTION", local=True),
    Kind("temporary table ON COMMIT DROP", "CREATE TEMP TABLE passing ON COMMIT DROP AS SELECT '{v}' AS v",
         "SELECT v FROM passing", "42P01", local=True),
    Kind("advisory lock of the transaction", "SELECT pg_advisory_xact_lock({v})",
         LOCKED, local=True),
    Kind("cursor", "DECLARE passing CURSOR FOR SELECT '{v}'", "SELECT max(name) FROM pg_cursors WHERE name <> ''",
         shows="passing", local=True),
    Kind("descriptor of a large object", "SELECT lo_open((SELECT min(oid) FROM pg_largeobject_metadata), 262144)",
         "SELECT lo_tell(0)", "42704", values=("0",), local=True),
    # Temporary objects.
    temporary("temporary table", "CREATE TEMP TABLE state_{v} (x int)", "DROP TABLE {mine}",
              almost="CREATE TEMP TABLE t (x int); DROP TABLE t"),
    temporary("temporary table that a commit empties", "CREATE TEMP TABLE state_{v} (x int) ON COMMIT DELETE ROWS",
              "DROP TABLE {mine}"),
    temporary("SELECT INTO TEMP", "SELECT 1 AS x INTO TEMP state_{v}", "DROP TABLE {mine}", functions=False),
    temporary("table in pg_temp", "CREATE TABLE pg_temp.state_{v} AS SELECT 1", "DROP TABLE {mine}"),
    temporary("temporary view", "CREATE TEMP VIEW state_{v} AS SELECT 1", "DROP VIEW {mine}"),
    temporary("temporary sequence", "CREATE TEMP SEQUENCE state_{v}", "DROP SEQUENCE {mine}"),
    temporary("function in pg_temp", "CREATE FUNCTION pg_temp.state_{v}() RETURNS int LANGUAGE sql AS 'SELECT 1'",
              "DROP FUNCTION pg_temp.{mine}", "pg_proc", "pro"),
    temporary("collation in pg_temp", "CREATE COLLATION pg_temp.state_{v} FROM \"C\"", "DROP COLLATION pg_temp.{mine}",
              "pg_collation", "coll", almost="RESET work_mem"),
    temporary("text search dictionary in pg_temp", "CREATE TEXT SEARCH DICTIONARY pg_temp.state_{v} (TEMPLATE = simple)",
              "DROP TEXT SEARCH DICTIONARY pg_temp.{mine}", "pg_ts_dict", "dict", almost="RESET work_mem"),
    temporary("type in pg_temp", "CREATE TYPE pg_temp.state_{v} AS ENUM ('a')", "DROP TYPE {mine}", "pg_type", "typ"),
    # Statements, cursors, locks, channels.
    Kind("PREPARE", "PREPARE state_{v} AS SELECT 1", "SELECT max(name) FROM pg_prepared_statements WHERE from_sql",
         ends=("DEALLOCATE {mine}", "DEALLOCATE ALL", "DISCARD ALL"), pin="PREPARE", shows="state_{v}", undone=False,
         almost="PREPARE other AS SELECT 1; DEALLOCATE other"),
    Kind("named statement", lambda v: close("S", "state") + parse(f"SELECT '{v}'", "state"),
         bind(statement="state") + execute() + sync(), "26000", ("DEALLOCATE state", "DEALLOCATE ALL", "DISCARD ALL"),
         undone=False, functions=False),
    Kind("long named statement", lambda v: close("S", "state") + parse(long(f"SELECT '{v}'", 70000), "state"),
         bind(statement="state") + execute() + sync(), "26000", ("DEALLOCATE state", "DEALLOCATE ALL", "DISCARD ALL"),
         pin="long prepared statement", undone=False, functions=False),
    Kind("cursor WITH HOLD", "DECLARE state_{v} CURSOR WITH HOLD FOR SELECT 1",
         "SELECT max(name) FROM pg_cursors WHERE is_holdable", ends=("CLOSE {mine}", "CLOSE ALL", "DISCARD ALL"), pin="cursor WITH HOLD", shows="state_{v}",
         almost="DECLARE other CURSOR WITH HOLD FOR SELECT 1; CLOSE other"),
    Kind("LISTEN", "LISTEN state_{v}", "SELECT max(c) FROM pg_listening_channels() AS c",
         ends=("UNLISTEN {mine}", "UNLISTEN *", "DISCARD ALL"), pin="LISTEN", shows="state_{v}", almost="UNLISTEN other"),
    advisory("advisory lock", "SELECT pg_advisory_lock({v})", "SELECT pg_advisory_unlock({mine})",
             almost="SELECT pg_advisory_lock(0), pg_advisory_unlock(0)"),
    advisory("shared advisory lock", "SELECT pg_try_advisory_lock_shared({v})", "SELECT pg_advisory_unlock_shared({mine})",
             almost="SELECT pg_advisory_unlock({mine})"),
    advisory("advisory lock taken twice", "SELECT pg_advisory_lock({v}), pg_advisory_lock({v})",
             "SELECT pg_advisory_unlock({mine}), pg_advisory_unlock({mine})", almost="SELECT pg_advisory_unlock({mine})"),
    Kind("currval()", "SELECT setval('numbers', {v})", "SELECT currval('numbers')", "55000", ("DISCARD SEQUENCES", "DISCARD ALL"),
         pin="sequence value", undone=False),
    Kind("lastval()", "SELECT setval('numbers', 100 + {v} - 1), nextval('numbers')", "SELECT lastval()", "55000",
         ("DISCARD SEQUENCES", "DISCARD ALL"), pin="sequence value", shows="10{v}", undone=False),
    # What no statement ends.
    Kind("random seed", "SELECT setseed(0.{v})", DRAWN,
         pin="random seed", undone=False, functions=False),
    Kind("SET SEED", "SET SEED TO 0.{v}", DRAWN,
         pin="random seed", undone=False, functions=False),
    Kind("LOAD", "LOAD 'auto_explain'", "SELECT current_setting('auto_explain.log_min_duration', true)", values=("-1",),
         pin="LOAD", undone=False, functions=False),
    Kind("temporary replication slot", "SELECT pg_create_physical_replication_slot('{slot}_{v}', false, true)",
         "SELECT max(slot_name) FROM pg_replication_slots WHERE active_pid = pg_backend_pid()", shows="{slot}_{v}",
         pin="backup or temporary slot", undone=False, frail=True, functions=False),
    Kind("replication origin", "SELECT CASE WHEN NOT pg_replication_origin_session_is_setup() "
         "THEN pg_replication_origin_session_setup('{slot}') END",
         "SELECT nullif(pg_replication_origin_session_is_setup(), false)",
         values=("t",), pin="backup or temporary slot", undone=False, functions=False),
)

NAMES = [kind.name for kind in KINDS]


# ---- what happens to a session ----------------------------------------------------------------

SLEEP = "DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(60); END $$"


@dataclasses.dataclass(frozen=True)
class Event:
    """Steps in which a client brings one more value, between `before` and `then` in one batch."""
    name: str
    first: tuple = ()
    before: str = ""
    then: str = ""
    last: tuple = ()
    fate: str = "undone"                        # of that value: kept, undone, or never there

    @property
    def fails(self):
        return {"SELECT 1/0", SLEEP} & {self.before, self.then, *self.last}


EVENTS = (
    Event("commit", ("BEGIN",), last=("COMMIT",), fate="kept"),
    Event("rollback", ("BEGIN",), last=("ROLLBACK",)),
    Event("rollback to a savepoint", ("BEGIN", "SAVEPOINT s"), last=("ROLLBACK TO s", "COMMIT")),
    Event("error in its transaction", ("BEGIN",), last=("SELECT 1/0", "COMMIT")),
    Event("error behind it", then="SELECT 1/0"),
    Event("error before it", before="SELECT 1/0", fate="never"),
    Event("cancel", then=SLEEP),
)


# ---- the stories ------------------------------------------------------------------------------

FURNITURE = """
CREATE TABLE hidden (kind int, sql text);
CREATE FUNCTION hide(number int) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN EXECUTE (SELECT sql FROM hidden WHERE kind = number); END $$;
CREATE SEQUENCE numbers;
CREATE TABLE seeds (seed int, r float8);
DO $$ BEGIN FOR seed IN 1..9 LOOP
    PERFORM setseed(seed / 10.0); INSERT INTO seeds SELECT seed, random() FROM generate_series(1, 99);
END LOOP; END $$;
SELECT lo_create(0);
"""


class Table(story.Story):
    """Two clients, numbered 1 and 2, and one server connection."""

    timeout = 300
    uids, config, events = (None, None), {}, EVENTS

    @classmethod
    def setUpClass(cls):
        if cls.uids[0] and not process.is_root():
            raise unittest.SkipTest("other uids can only be had by root")
        server, cls.world = story.shared_server(), cls.enterClassContext(World(story.shared_server()))
        environment = cls.world.add("prod", pool={"pool_size": 1}, access={"users": list(UIDS)}, **cls.config)
        cls.words = {"role": environment.role, "slot": server.unique("slot"), "zone": server.sql("SHOW TimeZone")[0][0]}
        slot = literal(cls.words["slot"])
        hidden = "".join(f"INSERT INTO hidden VALUES ({number}, {literal(fill(kind.begin, v=kind.value(0)))});"
                         for number, kind in enumerate(KINDS) if isinstance(kind.begin, str))
        server.sql(f'ALTER ROLE "{environment.role}" SUPERUSER; SELECT pg_replication_origin_create({slot});'
                   + FURNITURE + hidden, environment.database)
        cls.addClassCleanup(lambda: server.sql(f"SELECT pg_replication_origin_drop({slot})"))
        cls.daemon = cls.world.start()
        cls.console = cls.enterClassContext(cls.daemon.connect("pgbroker"))

    def setUp(self):
        self.brokers.append(self.daemon)

    def each(self, tell, kinds):
        """Each kind has clients of its own."""
        for kind in kinds:
            with self.subTest(kind=kind.name), contextlib.ExitStack() as self.clients:
                tell(dataclasses.replace(kind, **{
                    name: fill(text, **self.words) for name, text in vars(kind).items() if isinstance(text, str)}))

    # ---- clients ----

    def client(self, kind, number):
        startup = {name: fill(value, n=str(number)) for name, value in kind.startup.items()}
        uid = self.uids[number % 2]
        client = self.clients.enter_context(self.daemon.connect("prod", uid=uid, **startup))
        client.number, client.uid = number, uid
        return client

    def ask(self, client, kind, first=b""):
        """Sends the question, and one for the server's pid; in one go with what comes first."""
        client.send(first + kind.question() + query("SELECT pg_backend_pid()"))

    def hear(self, client):
        """(what the question gave, the server's pid)"""
        result, pid = client.collect(), client.answer().value()
        if result.error:
            return result.error.sqlstate, pid
        return (result.rows[0][0] if result.rows else NONE), pid

    def bring(self, client, kind, number):
        client.send(kind.batch(number))
        client.answer()

    # ---- what is seen of it ----

    def untouched(self, client, kind):
        return kind.fresh and fill(kind.fresh, n=str(client.number))

    def sees(self, client, kind, wanted, when):
        self.ask(client, kind)
        self.hears(client, kind, wanted, when)

    def hears(self, client, kind, wanted, when):
        self.assertEqual(self.hear(client), (wanted, self.pid), when)

    def pins(self):
        return [row["reason"] for row in self.console.query("SHOW PINS").dicts() if row["environment"] == "prod"]

    def waiting(self):
        return sum(int(row["cl_waiting"]) for row in self.console.query("SHOW POOLS").dicts() if row["database"] == "prod")

    # ---- the walk ----

    def happen(self, event, client, kind, number):
        for sql in event.first:
            client.query(sql)
        client.send(kind.batch(number, event.then, event.before))
        if event.then == SLEEP:
            client.read_until("N")              # from now on there is something to cancel
            with self.daemon.raw(uid=client.uid) as request:
                request.send(protocol.cancel_request(client.pid, client.key))
                self.assertTrue(request.closed())
        error = client.collect().error
        self.assertEqual(error and error.sqlstate, {SLEEP: "57014", "": None}.get(event.then + event.before, "22012"))
        for sql in event.last:
            client.send(query(sql))
            self.assertEqual(client.collect().status == "I", sql == event.last[-1])

    def stand(self, client, kind):
        """The other client asks, and has to wait: the server is not free."""
        self.ask(client, kind)
        self.until(lambda: self.waiting() == 1, "the other client to wait")

    def walk(self, kind):
        one, other = self.client(kind, 1), self.client(kind, 2)
        self.pid = one.query("SELECT pg_backend_pid()").value()
        for client in (one, other):
            self.sees(client, kind, self.untouched(client, kind), "at first")
        self.bring(one, kind, 0)
        if kind.pin:
            self.assertEqual(self.pins(), [kind.pin])
            self.stand(other, kind)
        else:
            self.bring(other, kind, 1)
        self.go_through_events(kind, one, other)
        self.bring_to_its_ends(kind, one, other)
        for politely in (True, False):
            self.leave_with_it(kind, one, other, politely)
            one = self.client(kind, 1)
            self.sees(one, kind, self.untouched(one, kind), "in a new session")

    def go_through_events(self, kind, one, other):
        self.last = 0
        for number, event in enumerate(self.events, 2):
            self.happen(event, one, kind, number)
            if event.fate == "kept" or event.fate == "undone" and not kind.undone:
                self.last = number
            if kind.frail and event.fails:
                self.last = NONE
            self.sees(one, kind, kind.shown(self.last), f"after {event.name}")
            if not kind.pin:
                self.sees(other, kind, kind.shown(1), f"after the other's {event.name}")
        if kind.almost:
            one.query(fill(kind.almost, mine=kind.shown(self.last)))
            self.sees(one, kind, kind.shown(self.last), f"after {kind.almost}")
        self.assertEqual(self.pins(), [kind.pin] if kind.pin else [])
        self.assertTrue(other.silent(0))

    def bring_to_its_ends(self, kind, one, other):
        for end in reversed(kind.ends):
            if end != kind.ends[-1]:
                self.last = 0
                self.bring(one, kind, 0)
                if kind.pin:
                    self.stand(other, kind)
            one.query(fill(end, mine=kind.shown(self.last)))
            if kind.pin:
                self.hears(other, kind, self.untouched(other, kind), f"after the other's {end}")
            else:
                self.sees(other, kind, kind.shown(1), f"after the other's {end}")
            self.sees(one, kind, self.untouched(one, kind), f"after {end}")
            self.assertEqual(self.pins(), [], f"after {end}")

    def leave_with_it(self, kind, one, other, politely):
        if kind.ends or not politely:
            self.bring(one, kind, 0)
        if not politely:
            one.query("BEGIN")
            self.bring(one, kind, 1)
        if kind.pin and (kind.ends or not politely):
            self.stand(other, kind)
        one.close(politely)
        if not kind.pin:
            self.ask(other, kind)
        seen, pid = self.hear(other)
        self.assertEqual(seen, self.untouched(other, kind) if kind.pin else kind.shown(1), "when the other had left")
        self.assertEqual(pid == self.pid, bool(kind.ends), "the server connection goes only with what no statement ends")
        self.pid = pid

    # ---- more of it ----

    def walk_through_a_transaction(self, kind):
        """What ends with the transaction needs no pin and leaves nothing."""
        one, other = self.client(kind, 1), self.client(kind, 2)
        self.pid = one.query("SELECT pg_backend_pid()").value()
        for last in ("COMMIT", "ROLLBACK", "SELECT 1/0", None):
            one.query("BEGIN")
            self.bring(one, kind, 0)
            self.sees(one, kind, kind.shown(0), "in the transaction")
            self.assertEqual(self.pins(), [])
            self.stand(other, kind)
            if last is None:
                one.close(politely=False)
            else:
                one.send(query(last))
                if one.collect().status == "E":
                    one.query("ROLLBACK")
            self.hears(other, kind, self.untouched(other, kind), f"after the other's {last}")
            if last:
                self.sees(one, kind, self.untouched(one, kind), f"after {last}")

    def all_at_once(self):
        """Many parameters together, the role among them, under which others may not be SET."""
        kinds = [kind for kind in KINDS if not kind.pin and not kind.local and isinstance(kind.begin, str)]
        one, other = self.client(kinds[0], 1), self.client(kinds[0], 2)
        self.pid = one.query("SELECT pg_backend_pid()").value()
        last = {kind.read: kind for kind in kinds}.values()
        fresh = [self.look_up(other, kind.read) for kind in last]
        for kind in kinds:
            self.bring(one, kind, 0)
            self.bring(other, kind, 1)
        for _ in range(2):
            for number, client in enumerate((one, other)):
                for kind in last:
                    self.sees(client, kind, kind.shown(number), "among others")
        one.query("DISCARD ALL")
        for kind in last:
            self.sees(other, kind, kind.shown(1), "after the other's DISCARD ALL")
        self.assertEqual([self.look_up(one, kind.read) for kind in last], fresh)

    def look_up(self, client, sql):
        return client.query(sql).value()

    def hide(self, kind):
        """State that a function brings is no other's: the server is reset, whatever was seen."""
        one, other = self.client(kind, 1), self.client(kind, 2)
        self.pid = one.query("SELECT pg_backend_pid()").value()
        number = NAMES.index(kind.name)
        for call in (f"SELECT hide({number})", f"DO $$ BEGIN PERFORM hide({number}); END $$"):
            self.ask(one, kind, query(call))
            one.answer()
            self.hears(one, kind, kind.shown(0), f"after {call}")
            self.assertEqual(self.pins(), [], "it was seen: this story tests nothing")
            self.sees(other, kind, self.untouched(other, kind), f"after the other's {call}")
            self.sees(one, kind, kind.shown(0) if kind.reported else self.untouched(one, kind), "after both")
            one.query("DISCARD ALL")


class OneUid(Table):
    """Clients of one uid: what the broker saw is carried along, pinned, or wiped."""

    def test_each_client_keeps_its_own_state_and_no_other_meets_it(self):
        self.each(self.walk, (kind for kind in KINDS if not kind.local))

    def test_what_ends_with_the_transaction_pins_nobody(self):
        self.each(self.walk_through_a_transaction, (kind for kind in KINDS if kind.local))

    def test_the_unnamed_statement_is_its_client_s_own_until_a_simple_query(self):
        run, statement = bind() + execute() + sync(), "SELECT '{}', pg_backend_pid()"
        with contextlib.ExitStack() as self.clients:
            one, other = self.client(KINDS[0], 1), self.client(KINDS[0], 2)
            pid = one.query("SELECT pg_backend_pid()").value()
            for client, name in ((one, "one"), (other, "other")):
                client.send(run)
                self.assertEqual(client.collect().error.sqlstate, "26000")
                client.send(parse(statement.format(name)) + sync())
                client.answer()
            for client, name in ((one, "one"), (other, "other"), (one, "one")):
                client.send(run)
                self.assertEqual(client.answer().rows, [(name, pid)])
            one.send(parse(long(statement.format("long"), 9000)) + sync())
            one.answer()
            self.assertEqual(self.pins(), ["long unnamed statement"])
            other.send(run)
            self.until(lambda: self.waiting() == 1, "the other client to wait")
            one.send(run)
            self.assertEqual(one.answer().rows, [("long", pid)])
            one.query("SELECT 1")
            self.assertEqual(other.answer().rows, [("other", pid)])
            one.send(run)
            self.assertEqual(one.collect().error.sqlstate, "26000")

    def test_a_prepared_transaction_is_ended_by_whoever_comes(self):
        if self.server.sql("SHOW max_prepared_transactions")[0][0] == "0":
            self.skipTest("max_prepared_transactions is 0")
        name = literal(self.words["slot"])
        with contextlib.ExitStack() as self.clients:
            one, other = self.client(KINDS[0], 1), self.client(KINDS[0], 2)
            for last, kept in (("COMMIT", "1"), ("ROLLBACK", "0")):
                one.query("CREATE TABLE ended (x int)")
                one.query("BEGIN")
                one.query("INSERT INTO ended VALUES (1)")
                one.query(f"PREPARE TRANSACTION {name}")
                self.assertEqual(self.pins(), [])
                other.query(f"{last} PREPARED {name}")
                self.assertEqual(one.query("SELECT count(*) FROM ended").value(), kept)
                one.query("DROP TABLE ended")

    def test_all_parameters_at_once(self):
        with contextlib.ExitStack() as self.clients:
            self.all_at_once()


class Reset(OneUid):
    """Between these two the server is reset in full, whatever has happened: a few events will do."""

    events = EVENTS if story.LONG else EVENTS[::3]

    def test_state_hidden_in_functions_and_do_blocks_is_not_met(self):
        self.each(self.hide, (kind for kind in KINDS if kind.functions and not kind.local))


class TwoUids(Reset):
    uids = UIDS


class Strict(Reset):
    config = {"isolation": "strict"}


del Table, Reset                                # not stories themselves


if __name__ == "__main__":
    story.main()
