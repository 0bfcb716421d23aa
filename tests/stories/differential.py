"""Through the broker as without it: random conversations get the same answers, word for word.

Eight clients each follow a script, once with PostgreSQL directly and once, all at the same time, through a
broker with two servers. A script depends on nobody else: tables, channels, locks and names bear the client's
number, and each value that comes back bears its tag: another client's is a failure wherever it turns up. Shared on
purpose are names and texts of prepared statements. PGBROKER_SEED=N tells the round with that number again,
over and over; PGBROKER_LONG=1 goes on for longer.
"""
import os
import pathlib
import random
import re
import select
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import process
import protocol
import story
from protocol import bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, parse, query, sync, text
from world import World

UIDS = (20001, 20002)
CLIENTS, MOVES = 8, 40
SECONDS = 230 if story.LONG else 4           # half an hour in all
STATEMENTS = 3                                  # max_prepared_statements: fewer than texts are shared
ABS_INT4 = 1397                                 # the number of a function, for FunctionCall
PATIENCE = 60
DEATHS = r"Gone|ServerError|BrokenPipe|Connection"      # what a client may die of that is killed
OTHER_ROLE = "pg_read_all_settings"             # one that is in every cluster, for SET ROLE
TABLES = "; ".join(f"CREATE TABLE t_{n} (k int PRIMARY KEY, v text NOT NULL); CREATE SEQUENCE s_{n}"
                   for n in range(CLIENTS)) + """;
CREATE FUNCTION hide(tag text, number int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('my.tag', tag, false), set_config('work_mem', '99kB', false), pg_advisory_lock(number);
    EXECUTE format('CREATE TEMP TABLE mine AS SELECT %L AS v', tag);
    EXECUTE format('PREPARE mine AS SELECT %L', tag);
    EXECUTE format('DECLARE mine CURSOR WITH HOLD FOR SELECT %L', tag);
    EXECUTE format('LISTEN %I', 'hidden_' || number);
    RETURN tag;
END $$"""

# The same names and texts for all clients; what they give is known by its parameters.
NAMES = ("s1", "s2", "a_statement")
TEXTS = (("SELECT $1::text", 1), ("SELECT $1::text, $2::int + 1", 2), ("SELECT $1::text FROM generate_series(1, 3)", 1),
         ("SELECT $1::text, 1 / ($2::int - 7)", 2), ("SELECT $1::text, current_setting('TimeZone')", 1),
         ("SELEC $1", 1))


# ---- scripts ----------------------------------------------------------------------------------

class Step:
    """Bytes to be sent, in these pieces, and what is waited for then.

    "ready" so many ReadyForQuery; "copy" CopyInResponse or ReadyForQuery; "flushed" so many CloseComplete, or an error;
    "notice" NoticeResponse; "canceled" as "ready", after a cancel request; "heard" nothing, but notifications are
    compared; "gone" the other side's end of the connection; "leave"
    and "vanish" end it. `after`: only if the step before ended with a message of this kind.
    """

    def __init__(self, what, data=b"", wait="ready", count=1, after=None, parameters=None):
        self.what, self.data, self.wait, self.count = what, data, wait, count
        self.after, self.parameters = after, parameters
        self.pieces = [data] if data else []

    def split(self, dice):
        cuts = sorted(dice.randrange(len(self.data)) for _ in range(dice.choice((1, 1, 2, 5))))
        edges = [0, *cuts, len(self.data)]
        self.pieces = [self.data[a:b] for a, b in zip(edges, edges[1:]) if a < b]


class Author:
    """Writes one client's script, all by its dice."""

    def __init__(self, seed, number, more=()):
        self.moves = OUTSIDE + more
        self.dice = random.Random(f"{seed}/{number}")
        self.number, self.words, self.steps, self.depth = number, 0, [], 0
        self.inside = False                     # a transaction is open, or was before it failed
        self.table, self.sequence, self.channel = f"t_{number}", f"s_{number}", f"channel_{number}"

    def write(self):
        self.enter()
        self.ask(f"TRUNCATE {self.table}; ALTER SEQUENCE {self.sequence} RESTART")
        for _ in range(MOVES):
            self.dice.choice(self.moves)(self)
        self.ask("DISCARD ALL")
        self.probe()
        self.add("leave", protocol.terminate(), "leave")
        return self.steps

    # ---- small things ----

    def word(self):
        self.words += 1
        return f"client-{self.number}-{self.words}"

    def chance(self, likely):
        return self.dice.random() < likely

    def add(self, what, data=b"", wait="ready", count=1, **more):
        step = Step(what, data, wait, count, **more)
        if data and self.chance(0.15):
            step.split(self.dice)
        self.steps.append(step)

    def ask(self, sql):
        self.add(sql[:60], query(sql))

    def key(self):
        return self.dice.randrange(30)

    def value(self):
        """An expression that gives a word of ours."""
        return self.dice.choice((f"'{self.word()}'", f"'{self.word()}'::text", f"concat('{self.word()}', 'x')"))

    def fails(self):
        return self.dice.choice((f"SELECT 1/0, '{self.word()}'", f"SELEC '{self.word()}'", "SELECT * FROM nowhere",
                                 f"SELECT '{self.word()}'::int", "SELECT pg_no_such_function()"))

    def do(self, sql):
        """As a query string, or in the extended protocol, and maybe looked at before its Sync."""
        if self.chance(0.5):
            self.ask(sql)
            return
        name = self.dice.choice(("", "", "done"))
        data = (close("S", name) if name else b"") + parse(sql, name) + bind((), name) + execute()
        look = parse("SELECT current_setting('work_mem'), current_setting('TimeZone'), current_setting('extra_float_digits'), "
                     "coalesce(current_setting('my.tag', true), '')")
        if self.chance(0.5):
            data += look + bind() + execute()
        elif self.chance(0.2):
            data += self.batch()
        self.add(sql[:60], data + sync())

    def statement(self, failing=0.15):
        """Any statement that leaves no session state."""
        if self.chance(failing):
            return self.fails()
        return self.dice.choice((
            lambda: f"SELECT {self.value()}",
            lambda: f"SELECT {self.value()} FROM generate_series(1, {self.dice.randrange(40)})",
            lambda: f"INSERT INTO {self.table} VALUES ({self.key()}, {self.value()}) RETURNING *",
            lambda: f"INSERT INTO {self.table} VALUES ({self.key()}, {self.value()})"
                    " ON CONFLICT (k) DO UPDATE SET v = excluded.v",
            lambda: f"UPDATE {self.table} SET v = {self.value()} WHERE k = {self.key()} RETURNING v",
            lambda: f"DELETE FROM {self.table} WHERE k = {self.key()}",
            lambda: f"SELECT * FROM {self.table} ORDER BY k",
            lambda: f"DO $$ BEGIN RAISE NOTICE '%', {self.value()}; END $$",
            lambda: f"SHOW {self.dice.choice(('DateStyle', 'TimeZone', 'work_mem', 'application_name'))}",
            lambda: "", lambda: "-- nothing",
        ))()

    def some(self, moves, most=3):
        self.depth += 1
        for _ in range(self.dice.randint(0, most) if self.depth < 4 else 0):
            self.dice.choice(moves)(self)
        self.depth -= 1

    # ---- coming and going ----

    def enter(self):
        parameters = {"application_name": self.word()}
        for name, values in (("DateStyle", ("iso", "SQL, DMY", "German")), ("TimeZone", ("utc", "Asia/Tokyo")),
                             ("work_mem", ("1MB", "70kB")), ("extra_float_digits", ("0", "3")),
                             ("search_path", ("public, pg_catalog", 'public, "No Such"')),
                             ("options", ("-c statement_timeout=1h -c geqo=off", "-c IntervalStyle=iso_8601"))):
            if self.chance(0.25):
                parameters[name] = self.dice.choice(values)
        self.add("enter", wait="enter", parameters=parameters)
        self.probe()

    def leave(self):
        self.add("leave", protocol.terminate(), "leave")
        self.enter()

    def vanish(self):
        """In the middle of a reply, of a message, of a COPY or of a transaction that wrote."""
        write = query(f"BEGIN; INSERT INTO {self.table} VALUES (100, '{self.word()}')")
        data = self.dice.choice((
            query(f"SELECT '{self.word()}' FROM generate_series(1, 50000)"),
            query(f"SELECT '{self.word()}'")[:-3], write, write + query(self.fails()),
            query("BEGIN") + copy_data(b"x" * 300)[:-50], write + bind() + flush(),
            query("BEGIN") + query(f"COPY {self.table} FROM STDIN") + copy_data(b"100\tx\n"),
            parse(self.fails()) + bind() + execute(), copy_data(b"y" * 90000)[:70000], b"Q\0\0"))
        self.add("vanish", data, "vanish")
        self.enter()

    def probe(self):
        """All session state that can be seen."""
        self.add("probe", query(
            "SELECT current_user, current_setting('search_path'), current_setting('work_mem'), "
            "current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'), "
            "current_setting('geqo'), current_setting('statement_timeout'), current_setting('extra_float_digits'), "
            "current_setting('application_name'), coalesce(current_setting('my.tag', true), ''), "
            "(SELECT count(*) FROM pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_cursors WHERE is_holdable), "
            "(SELECT string_agg(c, ' ') FROM pg_listening_channels() c), (SELECT string_agg(objid::text, ' ') "
            "FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), to_regclass('pg_temp.mine') IS NULL, "
            "pg_current_xact_id_if_assigned() IS NULL"))

    # ---- simple protocol ----

    def simple(self):
        self.ask(self.statement())

    def several(self):
        self.ask("; ".join(self.statement() for _ in range(self.dice.randint(2, 5))))

    def queue(self):
        count = self.dice.randint(2, 6)
        self.add("queue", b"".join(query(self.statement()) for _ in range(count)), count=count)

    def function_call(self):
        argument = str(self.dice.choice((-5, 7, "x"))).encode()
        self.add("function call", protocol.message("F", struct.pack("!IHHHi", ABS_INT4, 1, 0, 1, len(argument))
                                                   + argument + struct.pack("!H", 0)))

    # ---- extended protocol ----

    def batch(self, failing=0.15):
        """Parse to Execute of the unnamed statement, in the ways drivers do it."""
        if self.chance(0.5):
            word = None if self.chance(0.1) else self.word()
            data = parse("SELECT $1::text, $2::int + 1") + self.dice.choice((b"", describe("S", "")))
            data += bind([word, "x" if self.chance(failing) else self.key()])
        else:
            data = parse(self.statement(failing)) + bind()
        data += self.dice.choice((b"", describe()))
        for _ in range(self.dice.choice((0, 0, 0, 1, 2))):
            data += execute(rows=self.dice.randint(1, 12))
        return data + execute() + self.dice.choice((b"", b"", close("P", ""), close("S", "")))

    def extended(self):
        self.add("extended", self.batch() + sync())

    def pipeline(self):
        data, count = b"", 0
        for _ in range(self.dice.randint(2, 6)):
            data += self.batch()
            if self.chance(0.6):
                data, count = data + sync(), count + 1
        self.add("pipeline", data + sync(), count=count + 1)

    def skipped_query(self):
        """After an error a Query is skipped as everything is; otherwise it is answered, Sync or not."""
        self.add("skipped query", parse(self.fails()) + bind() + execute() + query(self.statement()) + sync())

    def flushes(self):
        for _ in range(self.dice.randint(1, 3)):
            batch = self.batch() + (execute("no_such_portal") if self.chance(0.1) else b"")
            self.add("flush", batch + close("P", "last") + flush(), "flushed",
                     batch.count(b"C\0\0\0\6") + 1)
        self.add("sync", sync())

    def unnamed_later(self):
        """The unnamed statement outlives its Sync: other clients have the server meanwhile."""
        word = self.word()
        self.add("parse", parse(f"SELECT '{word}', $1::text") + sync())
        for _ in range(self.dice.randint(1, 3)):
            if self.chance(0.3):
                self.add("describe", describe("S", "") + sync())
            self.add("bind later", bind([self.word()]) + execute() + sync())
        if self.chance(0.3):
            self.ask(self.statement())
            self.add("bind too late", bind([self.word()]) + execute() + sync())

    def shared_batch(self):
        """Of statements that all clients call the same, whether this one has them at the moment or not."""
        name, (sql, count) = self.dice.choice(NAMES), self.dice.choice(TEXTS)
        values = [self.word(), self.dice.choice((self.dice.randrange(9), "x"))][:count]
        return self.dice.choice((
            lambda: parse(sql, name), lambda: close("S", name), lambda: describe("S", name),
            lambda: close("S", name) + parse(sql, name) + bind(values, name) + execute(),
            lambda: close("S", name) + parse(sql, name) + describe("S", name) + bind(values, name) + describe() + execute(rows=1),
            lambda: parse(sql, name) + bind(values, name) + execute(rows=2) + execute(),
            lambda: bind([self.word()], name) + execute(), lambda: bind([self.word(), 7], name) + execute(),
            lambda: bind([self.word()], name) + close("S", name) + execute(),
            lambda: parse(sql) + bind(values) + execute(),
        ))()

    def shared(self):
        data, count = b"", 0
        for _ in range(self.dice.randint(1, 9)):
            data += self.shared_batch()
            if self.chance(0.3):
                data, count = data + sync(), count + 1
        self.add("shared", data + sync(), count=count + 1)

    def shared_end(self):
        name, value = self.dice.choice(NAMES), self.value()
        if self.chance(0.7):
            self.do(self.dice.choice((f"DEALLOCATE {name}", f"DEALLOCATE {name}", "DEALLOCATE ALL", "DISCARD PLANS",
                                      f"EXECUTE {name}({value})", f"EXECUTE {name}({value}, {self.key()})")))
        else:
            self.ask(self.dice.choice((f"EXECUTE {name}({value}); SELECT {value}; EXECUTE {name}",
                                       f"PREPARE {name} AS SELECT {value}; DEALLOCATE {name}")))
        self.add("shared", self.shared_batch() + sync())

    def prepared_in_sql(self):
        """And bound in the protocol, whatever was bound before."""
        self.ask(f"PREPARE of_sql AS SELECT set_config('my.tag', '{self.word()}', false)")
        self.some((Author.extended, Author.shared, Author.simple), 2)
        self.add("prepared in SQL", bind((), "of_sql") + execute() + sync())
        self.ask("DEALLOCATE of_sql")
        self.probe()

    def unknown_names(self):
        name = self.word()
        self.add("unknown names", self.dice.choice((
            bind((), name), describe("S", name), describe("P", name), execute(name), close("S", name),
            close("P", name))) + sync())

    def portals(self):
        """Rows by and by, from two portals: across Syncs only inside a transaction."""
        inside = self.dice.choice((b"", sync()))
        rows = f"SELECT '{self.word()}', x FROM generate_series(1, 9) x"
        data = parse(rows) + bind((), "", "one") + bind((), "", "two")
        for _ in range(self.dice.randint(2, 6)):
            data += execute(self.dice.choice(("one", "two")), self.dice.randrange(6))
            if self.chance(0.3):
                data += inside
        count = data.count(sync()) + 1
        if inside:
            self.ask("BEGIN")
        self.add("portals", data + close("P", "one") + sync(), count=count)
        if inside:
            self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))

    # ---- COPY ----

    def rows(self):
        good = [f"{1000 + self.words * 10 + i}\t{self.word()}\n".encode() for i in range(self.dice.randint(0, 5))]
        if self.chance(0.25):
            good.insert(self.dice.randint(0, len(good)), self.dice.choice((b"bad\n", b"x\ty\tz\n", b"1\t\\N\n1\ta\n")))
        if self.chance(0.1):
            good.append(f"{2000 + self.words}\t{self.word() * 9000}\n".encode())
        return b"".join(map(copy_data, good))

    def copy_end(self):
        return copy_done() if self.chance(0.75) else copy_fail(self.word())

    def copy_in(self):
        table = self.table if self.chance(0.9) else "nowhere"
        self.add("copy in", query(f"COPY {table} FROM STDIN"), "copy")
        data = self.rows() + self.dice.choice((b"", flush())) + self.rows()
        self.add("copy data", data + self.copy_end(), after="G")

    def copy_in_blind(self):
        """Nothing is waited for: what comes after an error is ignored."""
        table = self.table if self.chance(0.8) else "nowhere"
        self.add("blind copy in", query(f"COPY {table} FROM STDIN") + self.rows() + self.copy_end())

    def copy_in_extended(self):
        self.add("extended copy in", parse(f"COPY {self.table} FROM STDIN") + bind() + execute() + self.rows()
                 + self.copy_end() + sync())

    def copy_broken_off(self):
        """A Query in the middle of a COPY: the server can't tell any more where a message begins, and leaves."""
        self.ask("RESET ROLE")                  # else there is no COPY
        self.add("broken off", query(f"COPY {self.table} (k, v) FROM STDIN") + copy_data(b"1\tx\n")
                 + query("SELECT 1"), "gone")
        self.enter()

    def copy_out(self):
        sql = self.dice.choice((f"COPY {self.table} TO STDOUT", f"COPY (SELECT {self.value()} FROM "
                                f"generate_series(1, {self.dice.choice((3, 3000))})) TO STDOUT", "COPY nowhere TO STDOUT"))
        self.add("copy out", query(sql) if self.chance(0.5) else parse(sql) + bind() + execute() + sync())

    def strays(self):
        """What belongs to no COPY is ignored."""
        strays = [self.dice.choice((copy_data(b"z" * self.dice.choice((0, 10, 70000, 200000))), copy_done(),
                                    copy_fail("why"), flush(), sync())) for _ in range(self.dice.randint(1, 4))]
        self.add("strays", b"".join(strays) + sync(), count=strays.count(sync()) + 1)

    # ---- large ----

    def large(self):
        size = self.dice.choice((9000, 65530, 66000, 150000, 400000))
        word = self.word() * (size // 14)
        self.add("large", self.dice.choice((
            lambda: query(f"SELECT '{self.word()}', md5('{word}')"),
            lambda: query(f"SELECT repeat('{self.word()}', {size // 10}), 1"),
            lambda: query(f"SELECT '{self.word()}', x FROM generate_series(1, {size // 40}) x"),
            lambda: parse("SELECT md5($1), length($1)") + bind([word]) + execute() + sync(),
            lambda: parse(f"SELECT md5('{word}')") + bind() + execute() + sync(),
            lambda: parse(f"SELECT 1/0, '{word}'") + bind() + describe() + execute() + sync(),
            lambda: query(f"SELECT '{word}'::int"),
        ))())

    # ---- transactions and session state ----

    def transaction(self):
        begin = self.dice.choice(("BEGIN", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        self.inside = True
        if self.chance(0.7):
            self.ask(begin)
        else:
            self.add("begin", parse(begin) + bind() + execute() + sync())
        self.some(INSIDE, 5)
        if self.chance(0.3):
            self.ask("SAVEPOINT here")
            self.some(INSIDE)
            self.ask(self.dice.choice(("ROLLBACK TO here", "RELEASE here")))
            self.some(INSIDE)
        self.ask(self.dice.choice(("COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN; COMMIT")))
        self.inside = False

    def local_setting(self):
        self.ask(f"SET LOCAL my.tag TO '{self.word()}'; SET LOCAL TimeZone TO 'Asia/Tokyo'")
        self.probe()

    def lasting_setting(self):
        """Of a parameter that is reported: followed, with or without the transaction it is in."""
        name, value = self.dice.choice((("TimeZone", "Europe/Berlin"), ("DateStyle", "Postgres, DMY"),
                                        ("IntervalStyle", "sql_standard"), ("application_name", self.word())))
        ways = [f"SET {name} TO '{value}'", f"SELECT set_config('{name}', '{value}', false)", f"SET {name} TO nonsense",
                f"RESET {name}", f"SET {name} TO DEFAULT"]
        self.do(self.dice.choice(ways))
        self.ask(f"SHOW {name}")

    def followed_setting(self):
        """Of those that are not reported: followed from server to server, by itself or in a transaction, with
        savepoints and rollbacks. What it was is found by the probe."""
        def change():
            ways = [f"SET my.tag TO '{self.word()}'", f"SELECT set_config('my.tag', '{self.word()}', false)",
                    "SET work_mem TO '96kB'", "SELECT set_config('work_mem', '80kB', false)", "SET search_path TO public, pg_temp",
                    "SET statement_timeout TO '50min'", "SET geqo TO off", "SET work_mem TO nonsense", f"SET ROLE {OTHER_ROLE}",
                    "SET LOCAL work_mem TO '70kB'", "SELECT set_config('work_mem', '71kB', true)",
                    "RESET work_mem", "RESET ALL", "RESET my.tag", "SET search_path TO DEFAULT",
                    "SET LOCAL extra_float_digits TO DEFAULT"]
            if not self.inside:
                ways += ["RESET ROLE", "SET ROLE NONE"]
            self.do(self.dice.choice(ways))
        if self.inside or self.chance(0.5):
            change()
            self.probe()
            return
        self.inside = True
        self.ask("BEGIN")
        for _ in range(self.dice.randint(1, 2)):
            change()
            self.ask("SAVEPOINT here")
            change()
            self.ask(self.dice.choice(("ROLLBACK TO here", "RELEASE here", "SELECT 1")))
        self.ask(self.dice.choice(("COMMIT", "COMMIT", "ROLLBACK")))
        self.inside = False
        self.probe()

    def role_ends(self):
        self.ask("RESET ROLE")

    def canceled(self):
        """A request that says when it runs, and one cancel request. Nothing behind its Sync: PostgreSQL signals twice."""
        sleep = f"DO $$ BEGIN RAISE NOTICE '{self.word()}'; PERFORM pg_sleep({PATIENCE * 2}); END $$"
        if self.inside or self.chance(0.5):
            data = query(sleep)
        else:
            data = parse(sleep) + bind() + execute() + self.shared_batch() + sync()
        self.add("to be canceled", data, "notice")
        self.add("canceled", wait="canceled", after="N")

    def own_end(self):
        """The end of its server in the middle of a pipeline: the answers before it have come."""
        data = b"".join(self.batch() + sync() for _ in range(self.dice.randint(0, 3)))
        ends = "SELECT pg_terminate_backend(pg_backend_pid())"
        data += self.dice.choice((query(ends), query(f"BEGIN; SELECT {self.value()}") + query(ends),
                                  parse(ends) + bind() + execute() + sync()))
        self.ask("RESET ROLE")                  # who else may not
        self.add("own end", data + query(f"SELECT {self.value()}"), "gone")
        self.enter()

    def hidden(self):
        """State of all kinds that a function leaves behind with nobody seeing it, and its client is gone."""
        self.add("hidden", query(f"SELECT hide('{self.word()}', {self.number})")
                 if self.chance(0.5) else query(f"BEGIN; DO $$ BEGIN PERFORM hide('{self.word()}', {self.number}); END $$; COMMIT"))
        self.leave()

    def altered(self):
        """A table changes under statements that were prepared: whose plans are stale depends on the server."""
        self.ask(self.dice.choice((f"ALTER TABLE t_{self.dice.randrange(CLIENTS)} ADD c int",
                                   f"ALTER TABLE t_{self.dice.randrange(CLIENTS)} DROP c")))
        for _ in range(3):
            sql, name = f"SELECT * FROM {self.table}", self.dice.choice(NAMES)
            self.add("altered", self.dice.choice((b"", close("S", name) + parse(sql, name))) + bind((), name) + execute() + sync())

    def state(self, begin, use, end):
        """Session state that pins, and its end; sometimes the first or the last is in a transaction."""
        within = self.inside = self.chance(0.25)
        self.ask(f"BEGIN; {begin}" if within else begin)
        self.some(INSIDE, 2)
        self.ask(use)
        if within:
            self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))
            self.inside = False
            self.some(INSIDE, 2)
        self.ask(end)
        self.probe()

    def own_setting(self):
        self.state(f"SET my.tag TO '{self.word()}'; SET work_mem TO '77kB'", "SHOW work_mem",
                   self.dice.choice(("RESET my.tag; RESET work_mem", "RESET ALL", "DISCARD ALL")))

    def temporary_table(self):
        self.state(f"CREATE TEMP TABLE mine AS SELECT '{self.word()}' AS v", "SELECT * FROM mine",
                   self.dice.choice(("DROP TABLE IF EXISTS mine", "DISCARD TEMP", "DISCARD ALL")))

    def prepared(self):
        self.state(f"PREPARE mine AS SELECT '{self.word()}'", "EXECUTE mine",
                   self.dice.choice(("DEALLOCATE mine", "DEALLOCATE ALL", "DISCARD ALL")))

    def held_cursor(self):
        self.state(f"DECLARE mine CURSOR WITH HOLD FOR SELECT '{self.word()}' FROM generate_series(1, 5)",
                   "FETCH 2 FROM mine", self.dice.choice(("CLOSE mine", "CLOSE ALL", "DISCARD ALL")))

    def advisory_lock(self):
        self.state(f"SELECT pg_try_advisory_lock({self.number})", f"SELECT pg_try_advisory_lock({self.number})",
                   self.dice.choice(("SELECT pg_advisory_unlock_all()", "DISCARD ALL")))

    def current_value(self):
        self.state(f"SELECT nextval('{self.sequence}'), '{self.word()}'", f"SELECT currval('{self.sequence}')",
                   self.dice.choice(("DISCARD SEQUENCES", "DISCARD ALL")))

    def notifications(self):
        self.state(f"LISTEN {self.channel}", f"NOTIFY {self.channel}, '{self.word()}'", "SELECT 'heard?'")
        self.add("heard", wait="heard")
        self.ask(self.dice.choice(("UNLISTEN *", f"UNLISTEN {self.channel}", "DISCARD ALL")))

    def named_statement(self):
        name = self.word()
        sql = self.fails() if self.chance(0.2) else f"SELECT '{self.word()}', $1::text"
        self.add("named parse", parse(sql, name) + self.dice.choice((b"", describe("S", name))) + sync())
        self.some(INSIDE, 2)
        for _ in range(self.dice.randint(0, 2)):
            self.add("named bind", bind([self.word()], name) + execute() + sync())
        if self.chance(0.2):
            self.add("parsed twice", parse(sql, name) + sync())
        self.add("named close", close("S", name) + sync())
        if self.chance(0.2):
            self.add("closed", bind([self.word()], name) + execute() + sync())

    def discard(self):
        self.ask(self.dice.choice(("DISCARD ALL", "RESET ALL", "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *")))


INSIDE = (Author.simple, Author.simple, Author.several, Author.queue, Author.function_call, Author.extended,
          Author.extended, Author.pipeline, Author.skipped_query, Author.flushes, Author.unnamed_later,
          Author.unknown_names, Author.copy_in, Author.copy_in_blind, Author.copy_in_extended,
          Author.copy_out, Author.strays, Author.large, Author.local_setting,
          Author.lasting_setting, Author.followed_setting, Author.probe, Author.shared, Author.shared, Author.shared_end,
          Author.canceled)
OUTSIDE = INSIDE + 4 * (Author.transaction,) + (
    Author.portals, Author.own_setting, Author.temporary_table, Author.prepared, Author.held_cursor,
    Author.advisory_lock, Author.current_value, Author.notifications, Author.named_statement,
    Author.named_statement, Author.discard, Author.leave, Author.vanish, Author.copy_broken_off, Author.own_end,
    Author.shared, Author.shared, Author.shared, Author.followed_setting, Author.followed_setting, Author.role_ends,
    Author.prepared_in_sql)


# ---- following a script -----------------------------------------------------------------------

def plain(kind, payload):
    """A message without what may differ: the numbers of tables, and what is too long to be shown."""
    if kind == "T":
        count, = struct.unpack_from("!H", payload)
        at, fields = 2, []
        for _ in range(count):
            end = payload.index(b"\0", at)
            fields.append((payload[at:end], payload[end + 5:end + 19]))
            at = end + 19
        return kind, tuple(fields)
    if kind in "EN":
        fields = protocol.error_fields(payload)
        if fields.get("C") == "57014":                  # where a cancel request finds it is chance
            fields.pop("W", None)
        fields["M"] = SAME.sub("of that text", fields.get("M", ""))
        return kind, tuple(sorted(fields.items()))
    return kind, payload if len(payload) <= 200 else (payload[:80], len(payload), zlib.crc32(payload))


# A transaction has failed: a statement that this server lacks is refused before PostgreSQL looks at what it is for.
FAILED, REFUSED = ("25P02", "08P01", "42601"), b"C25P02\0\0"
# Of several names for the same text an error bears any.
SAME = re.compile('prepared statement "(%s)"(?= requires)' % "|".join(NAMES))
TAG = re.compile(rb"client-(\d+)-")


class Leak(Exception):
    """What was another client's."""


class Actor:
    """Follows a script over connections that `connect` makes, and notes what it is answered."""

    def __init__(self, number, script, connect, end=float("inf")):
        self.script, self.connect, self.end = script, connect, end
        self.number = str(number).encode()
        self.connection, self.notes, self.failure = None, [], None
        self.buffer, self.heard, self.seen, self.failed = bytearray(), [], [], False

    def run(self):
        try:
            for step in self.script:
                if time.monotonic() < self.end:
                    self.notes.append(self.follow(step))
        except Exception as error:                      # told at the end
            self.failure = f"{type(error).__name__}: {error}; then {self.seen[-5:]}"
        if self.connection:
            self.connection.close(politely=False)

    def follow(self, step):
        if step.wait == "enter":
            self.connection = self.connect(step.parameters)
            self.buffer, self.heard, self.failed = bytearray(), [], False
            return dict(self.connection.parameters)
        if step.after and not (self.seen and self.seen[-1][0] == step.after):
            return "not sent"
        if step.wait in ("leave", "vanish"):
            self.connection.send(step.data)
            while step.wait == "leave" and self.receive(self.connection.sock):
                pass                                    # it is gone when what it held is free
            self.connection.close(politely=False)
            return None
        skipping = step.wait == "flushed" and self.skipping
        self.seen = []
        if step.wait == "canceled":
            self.cancel()
        if step.wait != "heard":
            self.exchange(step.pieces, None if step.wait == "gone" else
                          (lambda: True) if skipping else lambda: self.enough(step))
        self.skipping = step.wait == "flushed" and (skipping or self.seen[-1][0] == "E")
        note = [plain(*message) for message in self.seen]
        if step.wait == "gone":
            self.connection.close(politely=False)
        if step.wait == "heard":
            note, self.heard = self.heard, []
        return note, dict(self.connection.parameters) if step.wait in ("ready", "canceled") else None

    def cancel(self):
        """One request, by the same user, and it has been passed on when its connection ends."""
        other = protocol.Connection(timeout=PATIENCE, **self.connection.way)
        other.send(protocol.cancel_request(self.connection.pid, self.connection.key))
        self.receive(other.sock)
        other.close(politely=False)

    skipping = False                                    # an error came, and no Sync was sent since

    def enough(self, step):
        kinds = [kind for kind, _ in self.seen]
        if step.wait == "notice":
            return bool(kinds) and kinds[-1] in "NZ"
        if step.wait in ("ready", "canceled"):
            return kinds.count("Z") >= step.count
        if step.wait == "copy":
            return bool(kinds) and kinds[-1] in "GZ"
        return bool(kinds) and (kinds[-1] == "E" or kinds.count("3") == step.count)

    def exchange(self, pieces, enough):
        """Sends and reads at the same time, as large pipelines demand; `enough` None: until the end."""
        sock, waiting = self.connection.sock, [memoryview(piece) for piece in pieces]
        end = time.monotonic() + PATIENCE
        while waiting or enough is None or not enough():
            readable, writable, _ = select.select([sock], [sock] if waiting else [], [], end - time.monotonic())
            if not readable and not writable:
                raise TimeoutError(f"no answer in {PATIENCE} s")
            if writable:
                waiting[0] = waiting[0][self.sent(sock, waiting[0][:65536]):]
                if not waiting[0]:
                    waiting.pop(0)
            if readable:
                data = self.receive(sock)
                if not data and enough is None:
                    return
                if not data:
                    raise protocol.Gone("closed by the other side")
                self.take(data)

    @staticmethod
    def sent(sock, data):
        try:
            return sock.send(data)
        except ConnectionError:                         # it has left: what it said before is still to be read
            return len(data)

    @staticmethod
    def receive(sock):
        try:
            return sock.recv(1 << 18)
        except ConnectionError:                         # it left with something of ours unread
            return b""

    def take(self, data):
        self.buffer += data
        at = 0
        while len(self.buffer) - at >= 5:
            length, = struct.unpack_from("!I", self.buffer, at + 1)
            if len(self.buffer) - at <= length:
                break
            self.sort(chr(self.buffer[at]), bytes(self.buffer[at + 5:at + 1 + length]))
            at += 1 + length
        del self.buffer[:at]

    def sort(self, kind, payload):
        """Parameters are compared by what they come to, notifications by their order alone."""
        for tag in set(TAG.findall(payload)):
            if tag != self.number:
                raise Leak(f"client {tag.decode()}'s: {payload[:200]!r}")
        if kind == "Z":
            self.failed = payload == b"E"
        elif kind == "E" and self.failed and protocol.error_fields(payload)["C"] in FAILED:
            payload = REFUSED
        if kind == "S":
            name, value, _ = payload.split(b"\0")
            self.connection.parameters[name.decode()] = value.decode()
        elif kind == "A":
            self.heard.append(payload[4:])
        else:
            self.seen.append((kind, payload))


def known_as(connection, **way):
    """The connection, and how another one is made that may cancel it."""
    connection.way = way
    return connection


def play(scripts, connectors):
    """All scripts at the same time; the actors."""
    actors = [Actor(number, script, connect) for number, (script, connect) in enumerate(zip(scripts, connectors))]
    threads = [threading.Thread(target=actor.run) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return actors


def play_under(trouble, scripts, connectors):
    """The same, with `trouble` again and again meanwhile."""
    over, wrong = threading.Event(), []

    def go_on():
        try:
            while not over.is_set():
                trouble()
        except Exception as error:                      # told at the end
            wrong.append(error)
    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        return play(scripts, connectors)
    finally:
        over.set()
        thread.join()
        if wrong:
            raise wrong[0]


def shortened(script, direct, through):
    """As difference(), but its connections may have ended anywhere, with a FATAL or without."""
    number = len(through.notes)
    broken = number < len(script) or through.failure
    if broken and not re.match(DEATHS, through.failure or ""):
        return f"step {number} ({script[number].what}): {through.failure}"
    notes, over = list(through.notes), False
    if broken and script[number].wait != "enter":
        notes.append(([plain(*message) for message in through.seen], None))
    for at, (step, said, whole) in enumerate(zip(script, notes, direct.notes)):
        over = over and step.wait != "enter"
        if over and step.wait == "heard" and said and said[0] == whole[0][:len(said[0])]:
            notes[at] = whole                       # those had come before it
            continue
        if over and isinstance(said, tuple) and said[0]:
            return f"step {at} ({step.what}): {said[0][:2]} after the last word"
        last = step.wait == "gone" or at == number or isinstance(said, tuple) and (ends_fatally(said[0]) or over and not said[0])
        if last and said != whole and isinstance(whole, tuple):
            if words := not_begun(whole[0], said[0]):
                return f"step {at} ({step.what}): {words}"
            notes[at], over = (whole[0], whole[1] if at == number else said[1]), True
            if step.wait == "gone" and at < number:     # what it had not come to is missing from the tables, too
                notes[at + 1:] = direct.notes[at + 1:]
                break
    through.notes = notes + direct.notes[len(notes):]
    return difference(script, direct, through)


def ends_fatally(messages):
    return bool(messages) and messages[-1][0] == "E" and ("V", "FATAL") in messages[-1][1]


def not_begun(whole, begun):
    """Why this is not how those messages begin, followed by a FATAL at most; "" if it is."""
    for at, message in enumerate(begun[:-1] if ends_fatally(begun) else begun):
        if at >= len(whole) or message != whole[at]:
            return f"message {at}: directly {whole[at:at + 2]}, through {begun[at:at + 2]}"
    return ""


def difference(script, direct, through):
    """The first answer that differs, in words; "" if none does."""
    for number, step in enumerate(script):
        notes = [actor.notes[number] if number < len(actor.notes) else actor.failure for actor in (direct, through)]
        if notes[0] != notes[1] or len(direct.notes) <= number:
            before = [before.what for before in script[max(0, number - 6):number]]
            return (f"step {number} ({step.what}) after {before}\nsent: {step.data[:600]!r}\n"
                    f"directly: {shown(notes[0], notes[1])}\nthrough:  {shown(notes[1], notes[0])}")
    return ""


def shown(note, other):
    """A note in words: how the messages begin, the first that differs, and the parameters that do."""
    if not (isinstance(note, tuple) and isinstance(other, tuple)):
        return repr(note)[:1500]
    same = 0
    while same < min(len(note[0]), len(other[0])) and note[0][same] == other[0][same]:
        same += 1
    kinds = "".join(kind for kind, _ in note[0]) if note[0] and isinstance(note[0][0], tuple) else ""
    parameters = {name: value for name, value in (note[1] or {}).items() if (other[1] or {}).get(name) != value}
    return f"{kinds[:100]}, from {same}: {note[0][same:same + 2]} {parameters or ''}"[:1500]


class Tables:
    """What scripts find in a database."""

    def prepare_for(self, role, password, *databases):
        self.server.sql(f"GRANT {OTHER_ROLE} TO {role}")
        for name in databases:
            self.server.sql(TABLES, name, role, password)


class Differential(Tables, story.Story):
    """Eight clients, two servers."""

    timeout = SECONDS + 150

    def doors(self, world, daemon, uids):
        """For each client how it connects: directly, and through the broker."""
        environment = world.environments["prod"]
        role, database = environment.role, self.server.create_database("direct", owner=environment.role)
        self.server.set_access(hba_lines=[f"hostnossl {database} {role} 127.0.0.1/32 trust",
                                          "host all all all scram-sha-256"])
        self.prepare_for(role, environment.password, database, environment.database)

        def directly(parameters):
            connection = protocol.Connection(host="127.0.0.1", port=self.server.port, timeout=PATIENCE)
            return known_as(connection.login(database, role, **parameters), host="127.0.0.1", port=self.server.port)

        def through(uid):
            return lambda parameters: known_as(daemon.connect("prod", uid=uid, user=role, timeout=PATIENCE, **parameters),
                                               directory=daemon.directory, port=daemon.port, uid=uid)
        return [directly] * CLIENTS, [through(uids[n % len(uids)]) for n in range(CLIENTS)]

    def compare(self, seed, doors, more=(), trouble=None, judge=difference):
        scripts = [Author(seed, number, more).write() for number in range(CLIENTS)]
        direct = play(scripts, doors[0])
        through = play_under(trouble, scripts, doors[1]) if trouble else play(scripts, doors[1])
        steps = sum(len(actor.notes) for actor in through)
        wrong = [f"client {number}: {words}" for number in range(CLIENTS)
                 if (words := judge(scripts[number], direct[number], through[number]))]
        if wrong:
            self.fail("\n".join([f"PGBROKER_SEED={seed}", *wrong]))
        return steps

    def rounds(self, uids, isolation="tracked", more=(), trouble=(), judge=difference, **pool):
        """`more` moves for the scripts; `trouble`: what happens at random moments meanwhile."""
        self.server.need_own()
        given = os.environ.get("PGBROKER_SEED")
        chance = random.SystemRandom().randrange(1 << 32)
        seed = int(given) if given else chance
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 2, "max_prepared_statements": STATEMENTS,
                                                  "query_wait_notify": 0, **pool},
                                    isolation=isolation, access={"users": [uid for uid in uids if uid]})
            daemon = self.watch(world.start())
            doors = self.doors(world, daemon, uids)
            end, told, steps = time.monotonic() + SECONDS, 0, 0
            happens = self.happening(trouble, seed, daemon, environment.role) if trouble else None
            while told == 0 or time.monotonic() < end:
                steps += self.compare(seed if given else seed + told, doors, more, happens, judge)
                told += 1
            print(f"      {told} rounds from PGBROKER_SEED={seed}, {steps} steps", flush=True)

    def happening(self, kinds, seed, daemon, role):
        dice = random.Random(seed)

        def once():
            kind = dice.choice(kinds)
            if kind == "terminate":
                self.server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}' "
                                f"AND random() < {dice.choice((0.4, 1))}")
            elif kind == "reconnect":
                daemon.console("RECONNECT prod")
            else:
                self.kill_one(dice, daemon)
            time.sleep(dice.random() / 5)
        return once

    @staticmethod
    def kill_one(dice, daemon):
        clients = [row["id"] for row in daemon.show("CLIENTS", database="prod")]
        try:
            if clients:
                daemon.console(f"KILL_CLIENT {dice.choice(clients)}")
        except protocol.ServerError as error:
            if error.sqlstate != "42704":               # it has left by itself
                raise

    def test_two_uids_hear_through_the_broker_what_postgresql_says(self):
        self.need_root()
        self.rounds(UIDS)

    def test_one_uid_hears_through_the_broker_what_postgresql_says(self):
        self.rounds((None,))

    def test_servers_and_clients_that_are_killed_have_answered_truly_till_then(self):
        self.rounds(UIDS if process.is_root() else (None,), judge=shortened,
                    trouble=("terminate", "terminate", "reconnect", "kill client"))

    def test_servers_that_go_between_two_requests_are_not_missed(self):
        self.need_long()
        self.rounds(UIDS if process.is_root() else (None,), trouble=("reconnect",))

    def test_one_server_is_enough_for_all(self):
        self.need_long()
        self.rounds(UIDS if process.is_root() else (None,), pool_size=1)

    def test_strict_isolation_changes_no_answer(self):
        self.need_long()
        self.rounds((None,), isolation="strict", more=6 * (Author.hidden,))

    def test_session_mode_changes_no_answer(self):
        self.need_long()
        self.rounds((None,), pool_mode="session", pool_size=CLIENTS)

    def need_long(self):
        if not story.LONG:
            self.skipTest("only with PGBROKER_LONG=1")


class Storm(Tables, story.Story):
    """The same clients while servers die, the configuration is read again, and the pool stops and goes on."""

    timeout = SECONDS + 120

    def clients(self, daemon, uids, seed, end):
        """Threads that follow one script after another, whatever happens to them; and what they died of."""
        wrong = []

        def live(number):
            def connect(parameters):
                uid = uids[number % len(uids)]
                return known_as(daemon.connect("prod", uid=uid, timeout=PATIENCE, **parameters),
                                directory=daemon.directory, port=daemon.port, uid=uid)
            for life in range(1 << 30):
                actor = Actor(number, Author(f"{seed}/{life}", number, (Author.altered,)).write(), connect, end)
                actor.run()
                if actor.failure and not re.match(DEATHS, actor.failure):
                    wrong.append(f"client {number}: {actor.failure}")
                if time.monotonic() >= end:
                    return
        return [threading.Thread(target=live, args=(number,)) for number in range(CLIENTS)], wrong

    def blow(self, dice, daemon, role):
        what = dice.choice(("kill", "kill", "reload", "pause", "calm", "calm"))
        if what == "kill":
            self.server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}' "
                            f"AND random() < {dice.choice((0.4, 1))}")
        elif what == "reload":
            daemon.reload()
        elif what == "pause":
            daemon.ctl("pause", "prod")
            daemon.ctl("resume", "prod")
        time.sleep(dice.random() / 4)

    def test_nothing_is_left_behind_by_a_storm(self):
        uids = UIDS if process.is_root() else (None,)
        seed = int(os.environ.get("PGBROKER_SEED", random.SystemRandom().randrange(1 << 32)))
        dice = random.Random(seed)
        print(f"      PGBROKER_SEED={seed}", flush=True)
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 3, "server_lifetime": "2s", "max_prepared_statements": STATEMENTS},
                                    access={"users": [uid for uid in uids if uid]})
            daemon = self.watch(world.start())
            self.prepare_for(environment.role, environment.password, environment.database)
            end = time.monotonic() + SECONDS
            threads, wrong = self.clients(daemon, uids, seed, end)
            for thread in threads:
                thread.start()
            while time.monotonic() < end:
                self.blow(dice, daemon, environment.role)
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.until(lambda: self.at_rest(daemon), "clients, waits, pins and lent servers to be gone")
            with daemon.connect("prod") as client:
                self.assertEqual(client.query("SELECT 'alive'").value(), "alive")

    def at_rest(self, daemon):
        pool = daemon.pool()
        return not any(pool[name] for name in ("cl_active", "cl_waiting", "sv_active", "sv_tested")) and not daemon.show("PINS")


if __name__ == "__main__":
    story.main()
