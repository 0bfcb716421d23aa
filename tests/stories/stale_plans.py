"""A table changes under statements that were prepared before: who is misled by nothing does not hear of it."""
import asyncio
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from protocol import bind, close, describe, execute, flush, parse, query, sync
from world import OneEnvironment

ALL = "SELECT * FROM t"
STALE = "0A000"


def run(name="all"):
    """As libpq executes a prepared statement: it describes what it executes."""
    return bind((), name) + describe() + execute() + sync()


def blind(name="all"):
    """As a driver does that remembers what the statement returns."""
    return bind((), name) + execute() + sync()


def kinds(client, upto="Z"):
    return "".join(kind for kind, _ in client.read_until(upto))


def fault(client):
    """The SQLSTATE of the error up to ReadyForQuery."""
    error = client.collect().error
    return error and error.sqlstate


class StalePlans(OneEnvironment):
    def table(self, **pool):
        """A broker with a table t of one column and one row, made by the login itself."""
        world = self.enterContext(self.world(**{"pool_size": 1, **pool}))
        daemon = self.watch(world.start())
        environment = world.environments["prod"]
        self.role = environment.role
        self.direct = lambda sql: self.server.sql(sql, environment.database, environment.role, environment.password)
        self.direct("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
        return daemon

    def prepare(self, client, sql=ALL, name="all"):
        client.send(parse(sql, name) + sync())
        client.answer()

    def add_column(self, name="b"):
        self.direct(f"ALTER TABLE t ADD {name} int DEFAULT 2")

    # ---- unseen ----

    def test_who_describes_what_it_executes_sees_the_new_columns_and_no_error(self):
        with self.table().connect() as client:
            self.prepare(client)
            client.send(run())
            self.assertEqual(client.answer().columns, ["a"])
            self.add_column()
            client.send(run())
            self.assertEqual(kinds(client), "2TDCZ")
            client.send(run())
            self.assertEqual(client.answer().dicts(), [{"a": "1", "b": "2"}])

    def test_what_was_answered_before_is_not_answered_twice(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.add_column()
            client.send(parse("SELECT 1", "one") + close("S", "nothing") + describe("S", "one") + flush() + run())
            self.assertEqual(kinds(client), "13tT2TDCZ")
            self.add_column("c")
            client.send(describe("S", "all") + sync())
            self.assertEqual(kinds(client), "tEZ")      # half of its answer is there by then
            client.send(describe("S", "all") + sync())
            self.assertEqual(kinds(client), "tTZ")

    def test_a_pipeline_is_done_again_if_its_first_fails(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.prepare(client, "INSERT INTO t VALUES (10) RETURNING *", "more")
            self.add_column()
            both = bind((), "more") + describe() + execute() + bind((), "all") + describe() + execute() + sync()
            client.send(both)
            self.assertEqual(kinds(client), "2TDC2TDDCZ")
            self.assertEqual(client.query("SELECT count(*) FROM t").value(), "2")

    def test_what_is_asked_meanwhile_waits_behind_it(self):
        with self.table().connect() as client:
            self.prepare(client)
            for number in range(20):
                self.add_column(f"b{number}")
                client.send(run())
                client.send(query("SELECT 'behind'"))
                first = client.collect()
                if first.error:                         # it came so early that it was sent on at once
                    self.assertEqual(first.error.sqlstate, STALE)
                else:
                    self.assertEqual(len(first.columns), number + 2)
                self.assertEqual(client.answer().value(), "behind")

    def test_a_parameter_in_text_may_be_of_another_type_now(self):
        with self.table().connect() as client:
            self.prepare(client, "SELECT * FROM t WHERE a = $1")
            self.direct("ALTER TABLE t ALTER a TYPE bigint")
            client.send(bind(("1",), "all") + describe() + execute() + sync())
            self.assertEqual(client.answer().rows, [("1",)])

    # ---- prepared after the table was changed ----

    def test_who_prepares_after_the_change_hears_nothing_of_what_others_prepared_before(self):
        daemon = self.table(pool_size=2)
        with daemon.connect() as old, daemon.connect() as new, daemon.connect() as holder:
            self.both_have_it(old, holder)
            self.add_column()
            holder.query("BEGIN")                       # new prepares on one server ...
            self.prepare(new)
            here = self.backend(new)
            new.send(blind())
            self.assertEqual(new.answer().rows, [("1", "2")])
            old.query("BEGIN")                          # ... and executes on the other
            holder.query("COMMIT")
            self.assertNotEqual(self.backend(new), here)
            new.send(blind())
            self.assertEqual(new.answer().rows, [("1", "2")])

    def test_nor_within_a_transaction(self):
        daemon = self.table(pool_size=2)
        with daemon.connect() as old, daemon.connect() as new, daemon.connect() as holder:
            self.both_have_it(old, holder)
            self.add_column()
            holder.query("BEGIN")
            self.prepare(new)
            here = self.backend(new)
            old.query("BEGIN")
            holder.query("COMMIT")
            new.query("BEGIN")
            self.assertNotEqual(self.backend(new), here)
            new.send(blind())
            self.assertEqual(new.answer().rows, [("1", "2")])
            new.query("COMMIT")

    def both_have_it(self, one, other):
        """Each of two servers has the statement, prepared before the change."""
        for client in (one, other):
            self.prepare(client)
        other.query("BEGIN")
        for client in (one, other):
            client.send(blind())
            client.answer()
        other.query("COMMIT")
        one.query("BEGIN")
        other.send(blind())
        other.answer()
        one.query("COMMIT")

    # ---- as on a direct connection ----

    def test_who_remembers_what_a_statement_returns_hears_that_it_has_changed_and_each_hears_it(self):
        daemon = self.table(pool_size=2)
        with daemon.connect() as one, daemon.connect() as other:
            self.both_have_it(one, other)
            self.add_column()
            one.query("BEGIN")                          # each on a server of its own
            other.send(blind())
            self.assertEqual(fault(other), STALE)
            other.query("BEGIN")
            one.query("COMMIT")
            one.send(blind())
            self.assertEqual(fault(one), STALE)
            other.query("COMMIT")
            for client in (one, other, one, other):
                client.send(blind())
                self.assertEqual(client.answer().rows, [("1", "2")])

    def test_binary_parameters_are_not_taken_for_another_type(self):
        with self.table().connect() as client:
            self.prepare(client, "SELECT * FROM t WHERE a = $1")
            self.direct("ALTER TABLE t ALTER a TYPE float4")
            in_binary = protocol.message("B", b"\0all\0" + b"\0\1\0\1" + b"\0\1" + b"\0\0\0\4\0\0\0\1" + b"\0\0")
            client.send(in_binary + describe() + execute() + sync())
            self.assertEqual(fault(client), STALE)

    def test_within_a_transaction_the_error_is_heard(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.add_column()
            client.query("BEGIN")
            client.send(run())
            self.assertEqual(fault(client), STALE)
            client.query("ROLLBACK")
            client.send(run())
            self.assertEqual(client.answer().columns, ["a", "b"])

    def test_after_something_was_executed_the_error_is_heard_and_nothing_is_done_twice(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.prepare(client, "INSERT INTO t VALUES (10)", "more")
            self.direct("CREATE SEQUENCE taken")
            self.prepare(client, "SELECT nextval('taken')", "next")
            self.add_column()
            for name in ("more", "next"):
                client.send(bind((), name) + describe() + execute() + run())
                seen = client.read_until("Z")
                self.assertEqual(seen[-2][0], "E")
                self.assertEqual(protocol.error_fields(seen[-2][1])["C"], STALE)
                client.send(run())
                client.answer()
                self.add_column(f"c_{name}")
            self.assertEqual(client.query("SELECT count(*) FROM t").value(), "1")
            self.assertEqual(client.query("SELECT last_value FROM taken").value(), "1")

    def test_with_another_batch_behind_it_the_error_is_heard_and_the_order_is_right(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.add_column()
            client.send(run() + parse("INSERT INTO t VALUES (3)") + bind() + execute() + sync() + query("SELECT 'last'"))
            self.assertEqual(fault(client), STALE)
            self.assertEqual(client.answer().tags, ["INSERT 0 1"])
            self.assertEqual(client.answer().value(), "last")
            self.assertEqual(client.query("SELECT count(*) FROM t").value(), "2")

    def test_what_fails_again_is_heard(self):
        with self.table().connect() as client:
            self.prepare(client, "SELECT *, 1/(a - 1) FROM t")
            self.direct("ALTER TABLE t ADD b int")
            client.send(run())
            self.assertEqual(fault(client), "22012")
            self.prepare(client, "SELECT * FROM t", "whole")
            self.direct("DROP TABLE t")
            client.send(run("whole"))
            self.assertEqual(fault(client), "42P01")
            self.assertEqual(client.query("SELECT 'alive'").value(), "alive")

    def test_a_batch_whose_Sync_comes_late_is_the_clients_to_hear(self):
        with self.table().connect() as client:
            self.prepare(client)
            self.add_column()
            client.send(bind((), "all") + describe() + execute() + flush())
            self.assertEqual(kinds(client, "E"), "E")
            client.send(sync())
            self.assertEqual(kinds(client), "Z")

    def test_a_batch_too_long_to_keep_is_the_clients_to_hear(self):
        with self.table().connect() as client:
            self.prepare(client, "SELECT *, length($1) FROM t")
            self.add_column()
            client.send(bind(("x" * 20000,), "all") + describe() + execute() + sync())
            self.assertEqual(fault(client), STALE)
            client.send(bind(("x" * 20000,), "all") + describe() + execute() + sync())
            self.assertEqual(client.answer().rows, [("1", "2", "20000")])

    # ---- on a server that has not had the statement ----

    def move(self, daemon, client):
        """From here on the client is on the other one of two servers; returns who keeps it from the first."""
        holder = self.enterContext(daemon.connect())
        here = self.backend(client)
        while True:
            holder.query("BEGIN")
            if self.backend(holder) == here:
                return holder
            holder.query("COMMIT")
            client.query("BEGIN")                       # has the one that was used last
            here = self.backend(client)
            client.query("COMMIT")

    def told(self, daemon, sql=ALL, name="all", how=None):
        """A client that has prepared a statement and knows what it takes and gives."""
        client = self.enterContext(daemon.connect())
        client.send(parse(sql, name) + (how or describe("S", name)) + sync())
        client.answer()
        return client

    def insert(self, number, portal=b"\0"):
        """Binds an int4 in binary."""
        return protocol.message("B", portal + b"all\0" + b"\0\1\0\1" + b"\0\1" + b"\0\0\0\4" + struct.pack("!i", number)
                                + b"\0\0") + execute() + sync()

    def test_who_remembers_its_rows_hears_that_they_have_changed_until_it_looks_again(self):
        for look in (describe("S", "all") + sync(), close("S", "all") + parse(ALL, "all") + sync()):
            with self.subTest(look=look[:1]):
                daemon = self.table(pool_size=2)
                client = self.told(daemon)
                self.add_column()
                self.move(daemon, client)
                for _ in range(3):
                    client.send(blind())
                    error = client.collect().error
                    self.assertEqual((error.sqlstate, error.fields["R"]), (STALE, "RevalidateCachedQuery"))
                client.send(look)
                client.answer()
                for _ in range(2):
                    client.send(blind())
                    self.assertEqual(client.answer().rows, [("1", "2")])

    def test_a_description_of_the_portal_is_remembered_as_well(self):
        daemon = self.table(pool_size=2)
        client = self.told(daemon, how=bind((), "all") + describe() + execute())
        self.add_column()
        self.move(daemon, client)
        client.send(blind())
        self.assertEqual(fault(client), STALE)
        client.send(run())                              # who looks before it executes hears nothing
        self.assertEqual(client.answer().columns, ["a", "b"])

    def test_a_table_made_anew_with_the_same_columns_is_the_same(self):
        daemon = self.table(pool_size=2)
        client = self.told(daemon)
        self.direct("DROP TABLE t; CREATE TABLE t (a int); INSERT INTO t VALUES (7)")
        self.move(daemon, client)
        client.send(blind())
        self.assertEqual(client.answer().rows, [("7",)])

    def test_in_a_transaction_it_fails(self):
        daemon = self.table(pool_size=2)
        client = self.told(daemon)
        self.add_column()
        self.move(daemon, client)
        client.query("BEGIN")
        client.query("INSERT INTO t VALUES (5)")
        client.send(blind())
        result = client.collect()
        self.assertEqual((result.error.sqlstate, result.status), (STALE, "E"))
        client.send(blind())
        self.assertEqual(fault(client), "25P02")
        client.query("ROLLBACK")
        self.assertEqual(client.query("SELECT count(*) FROM t").value(), "1")

    def test_nothing_is_done_before_it_is_known(self):
        daemon = self.table(pool_size=2)
        client = self.told(daemon, "INSERT INTO t VALUES (9) RETURNING *")
        self.add_column()
        holder = self.move(daemon, client)
        client.send(blind() + query("SELECT 'behind'"))
        self.assertEqual(fault(client), STALE)
        self.assertEqual(client.answer().value(), "behind")
        holder.query("COMMIT")
        self.assertEqual(holder.query("SELECT count(*) FROM t").value(), "1")

    def test_what_can_not_be_parsed_there_fails_in_the_servers_words(self):
        for begin, status in (("", "I"), ("BEGIN", "E")):
            with self.subTest(begin):
                daemon = self.table(pool_size=2)
                client = self.told(daemon)
                self.move(daemon, client)
                client.query(begin)
                self.direct("DROP TABLE t")
                client.send(blind())
                result = client.collect()
                self.assertEqual((result.error.sqlstate, result.status), ("42P01", status))
                client.query("ROLLBACK")
                self.assertEqual(client.query("SELECT 'alive'").value(), "alive")

    def test_parameters_keep_the_types_that_the_client_was_told(self):
        for changed, text in (("bigint", "7"), ("text", "7"), ("float4", "7"), ("numeric(9,2)", "7.00")):
            with self.subTest(changed):
                daemon = self.table(pool_size=2)
                client = self.told(daemon, "INSERT INTO t VALUES ($1)")
                self.direct(f"TRUNCATE t; ALTER TABLE t ALTER a TYPE {changed}")
                holder = self.move(daemon, client)
                for _ in range(2):
                    client.send(self.insert(7))
                    client.answer()
                holder.query("COMMIT")
                client.send(self.insert(7))
                client.answer()
                self.assertEqual(client.query("SELECT a FROM t").rows, 3 * [(text,)])
                with daemon.connect() as new:           # and others have what there is now
                    new.send(parse("INSERT INTO t VALUES ($1)", "all") + describe("S", "all") + sync())
                    new.answer()
                    new.send(bind(("8",), "all") + execute() + sync())
                    new.answer()

    def test_who_prepares_later_is_not_held_to_what_others_were_told(self):
        daemon = self.table(pool_size=2)
        with daemon.connect() as old, daemon.connect() as other:
            for client in (old, other):
                self.prepare(client, "INSERT INTO t VALUES ($1)")
            other.query("BEGIN")
            for client in (old, other):
                client.send(bind(("1",), "all") + execute() + sync())
                client.answer()
            other.query("COMMIT")
            self.direct("ALTER TABLE t ALTER a TYPE bigint")
            client = self.told(daemon, "INSERT INTO t VALUES ($1)")
            unaware = self.told(daemon, "INSERT INTO t VALUES ($1)", how=flush())
            for each in (unaware, client):
                for _ in range(2):
                    holder = self.move(daemon, each)
                    each.send(bind(("3000000000",), "all") + execute() + sync())
                    each.answer()
                    holder.query("COMMIT")

    def test_the_same_text_may_mean_another_table_to_each(self):
        """By a search_path, a temporary table, or a change that was rolled back."""
        daemon = self.table()
        self.direct("CREATE SCHEMA other; CREATE TABLE other.t (a float4); INSERT INTO other.t VALUES (2.5)")
        value = protocol.message("B", b"\0put\0" + b"\0\1\0\1" + b"\0\1" + b"\0\0\0\4" + struct.pack("!i", 5) + b"\0\0")
        mine = (("SET search_path = other", "TABLE t"), ("CREATE TEMP TABLE t AS SELECT 2.5::float4 AS a", "DROP TABLE t"),
                ("BEGIN; ALTER TABLE t ALTER a TYPE float4", "ROLLBACK"))
        for first, last in mine:
            with self.subTest(first):
                one, other = self.told(daemon), self.enterContext(daemon.connect())
                one.send(parse("INSERT INTO t VALUES ($1)", "put") + describe("S", "put") + sync())
                one.answer()
                other.query(first)
                for name, sql in (("all", ALL), ("put", "INSERT INTO t VALUES ($1)")):
                    other.send(parse(sql, name) + describe("S", name) + sync())
                    other.answer()
                other.query(last)
                for _ in range(2):
                    one.send(value + execute() + sync())
                    one.answer()
                    one.send(blind())
                    self.assertEqual(one.answer().rows[-1], ("5",))
                    if first.startswith("SET"):
                        other.send(blind())
                        self.assertEqual(other.answer().rows, [("2.5",)])
                self.direct("DELETE FROM t WHERE a = 5")
                other.close()

    def test_a_clients_first_temporary_table_takes_its_statements_along(self):
        daemon = self.table()
        with daemon.connect() as before:                # its server has had one by then
            before.query("CREATE TEMP TABLE t (a int)")
        client = self.told(daemon, "INSERT INTO t VALUES (7)")
        client.send(blind())
        client.answer()
        client.query("CREATE TEMP TABLE t (a int)")
        client.send(blind())
        client.answer()
        self.assertEqual(client.query("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM public.t)").rows, [("1", "2")])

    def test_a_pipeline_waits_for_each_and_keeps_its_order(self):
        daemon = self.table(pool_size=2)
        client = self.enterContext(daemon.connect())
        for number in range(20):
            client.send(parse(f"SELECT {number}, a FROM t", f"s{number}") + describe("S", f"s{number}") + sync())
            client.answer()
        self.move(daemon, client)
        for _ in range(2):
            client.send(b"".join(bind((), f"s{number}") + execute() for number in range(20)) + sync())
            self.assertEqual(client.answer().rows, [(str(number), "1") for number in range(20)])

    # ---- in the middle of it ----

    def test_a_client_that_leaves_meanwhile_is_missed_by_nobody(self):
        daemon = self.table(pool_size=2)
        for number in range(10):
            client = daemon.connect()
            self.prepare(client)
            self.add_column(f"b{number}")
            client.send(run())
            client.close(politely=number % 2)
        with daemon.connect() as other:
            self.assertEqual(other.query("SELECT count(*) FROM t").value(), "1")
        self.until(lambda: daemon.pool()["sv_active"] == 0, "all servers to be given back")

    def test_a_server_that_ends_while_it_is_done_again_tells_the_client_why(self):
        daemon = self.table()
        with daemon.connect() as client:
            self.sleeping(client)
            self.server.kill_sessions(self.role)
            with self.assertRaises(protocol.ServerError) as heard:
                client.collect()
            self.assertEqual(heard.exception.sqlstate, "57P01")

    def sleeping(self, client):
        """The client waits for what is done again."""
        self.prepare(client, "SELECT *, pg_sleep(60) FROM t WHERE a > 0")
        self.add_column()
        client.send(run())
        self.until(lambda: self.server.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'active' "
                                           "AND query LIKE 'SELECT *, pg_sleep%'"), "it to run")

    def test_a_cancel_reaches_what_is_done_again(self):
        daemon = self.table(pool_size=2)
        with daemon.connect() as client:
            self.sleeping(client)
            with protocol.Connection(daemon.directory, daemon.port) as asking:
                asking.send(protocol.cancel_request(client.pid, client.key))
                asking.closed(5)
            self.assertEqual(fault(client), "57014")
            self.assertEqual(client.query("SELECT 'alive'").value(), "alive")

    # ---- drivers ----

    def test_psycopg_and_asyncpg_go_on(self):
        try:
            import asyncpg
            import psycopg
        except ImportError:
            self.skipTest("needs psycopg and asyncpg")
        daemon = self.table(pool_size=2)
        with psycopg.connect(daemon.uri(), autocommit=True, prepare_threshold=1) as connection:
            for number in range(6):
                for _ in range(4):
                    self.assertEqual(len(connection.execute(ALL).fetchone()), number + 1)
                self.add_column(f"b{number}")

        async def lives():
            connection = await asyncpg.connect(host=str(daemon.directory), database="prod", user="a")
            for number in range(6, 12):
                for _ in range(4):
                    self.assertEqual(len(await connection.fetchrow(ALL)), number + 1)
                self.add_column(f"b{number}")
            await connection.close()
        asyncio.run(lives())


if __name__ == "__main__":
    story.main()
