"""Nobody gets another's data or session: tags, settings, tables, locks and notifications stay with their client."""
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import World

UIDS = (20001, 20002)
CLIENTS, SERVERS = 20, 3
SECONDS = 40 if story.LONG else 8


class Client:
    """One client's life: queries that bear its tag, session state of its own, errors, disconnects."""

    def __init__(self, daemon, number, uid, end):
        self.daemon, self.tag, self.uid, self.end = daemon, f"client-{number}", uid, end
        self.dice = random.Random(number)
        self.rounds, self.wrong = 0, []
        self.connection = None

    def run(self):
        try:
            while time.monotonic() < self.end:
                self.connect(application_name=self.tag)
                for _ in range(self.dice.randint(1, 8)):
                    self.dice.choice(self.ACTIONS)(self)
                    self.rounds += 1
                if self.dice.random() < 0.2:
                    self.leave_rudely()
                self.connection.close()
        except Exception as error:                  # told to the story at the end
            self.wrong.append(f"{self.tag}: {type(error).__name__}: {error}")

    def connect(self, **parameters):
        self.connection = self.daemon.connect("prod", uid=self.uid, user=self.tag, timeout=60, **parameters)

    def same(self, sql, wanted):
        got = self.connection.query(sql).rows
        if got != wanted:
            self.wrong.append(f"{self.tag}: {sql}: {got}, not {wanted}")

    # ---- what it does ----

    def simple(self):
        self.same(f"SELECT '{self.tag}', current_setting('application_name')", [(self.tag, self.tag)])

    def extended(self):
        result = self.connection.extended("SELECT $1::text, current_setting('application_name')", [self.tag])
        if result.rows != [(self.tag, self.tag)]:
            self.wrong.append(f"{self.tag}: extended gave {result.rows}")

    def pipeline(self):
        words = [f"{self.tag}-{number}" for number in range(5)]
        self.connection.send(b"".join(protocol.parse("SELECT $1::text") + protocol.bind([word]) + protocol.execute()
                                      + protocol.sync() for word in words))
        got = [self.connection.answer().rows for _ in words]
        if got != [[(word,)] for word in words]:
            self.wrong.append(f"{self.tag}: the pipeline gave {got}")

    def setting(self):
        self.connection.query(f"SET timezone TO 'Etc/GMT+{len(self.tag)}'; SET work_mem TO '{64 + len(self.tag)}kB'")
        self.same("SELECT current_setting('timezone'), current_setting('work_mem')",
                  [(f"Etc/GMT+{len(self.tag)}", f"{64 + len(self.tag)}kB")])
        self.connection.query("RESET timezone; RESET work_mem")

    def setting_left_behind(self):
        """The connection ends with it: the next one must not have it."""
        self.connection.query(f"SET my.tag TO '{self.tag}'; SET statement_timeout TO 54321")
        self.same("SHOW my.tag", [(self.tag,)])

    def clean_start(self):
        """Whatever others left, a connection of ours starts with the server's defaults."""
        self.connection.close()
        self.connect()
        rows = self.connection.query(
            "SELECT current_setting('my.tag', true), current_setting('statement_timeout'), "
            "current_setting('application_name'), to_regclass('pg_temp.mine') IS NULL").rows
        tag, timeout, name, no_table = rows[0]
        if tag not in (None, "") or timeout != "0" or name.startswith("client-") or no_table != "t":
            self.wrong.append(f"{self.tag}: started with {rows}")
        self.connection.close()
        self.connect(application_name=self.tag)

    def temporary_table(self):
        self.connection.query(f"CREATE TEMP TABLE mine AS SELECT '{self.tag}'::text AS t")
        self.same("SELECT t FROM mine", [(self.tag,)])
        if self.dice.random() < 0.5:
            self.connection.query("DROP TABLE mine")
        else:
            self.connection.query("DISCARD ALL")

    def prepared(self):
        self.connection.query(f"PREPARE mine AS SELECT '{self.tag}'::text")
        self.same("EXECUTE mine", [(self.tag,)])
        self.connection.query("DEALLOCATE mine")

    def named_statement(self):
        self.connection.send(protocol.parse(f"SELECT '{self.tag}'::text", "mine") + protocol.sync())
        self.connection.answer()
        self.connection.send(protocol.bind((), "mine") + protocol.execute() + protocol.close("S", "mine") + protocol.sync())
        rows = self.connection.answer().rows
        if rows != [(self.tag,)]:
            self.wrong.append(f"{self.tag}: the named statement gave {rows}")

    def cursor(self):
        self.connection.query(f"DECLARE mine CURSOR WITH HOLD FOR SELECT '{self.tag}'::text")
        self.same("FETCH mine", [(self.tag,)])
        self.connection.query("CLOSE mine")

    def advisory_lock(self):
        """Nobody else may hold it: the key is ours alone, and it must be free when we come back."""
        key = int(self.tag.removeprefix("client-")) + 1000
        self.same(f"SELECT pg_try_advisory_lock({key})", [("t",)])
        self.same(f"SELECT pg_advisory_unlock({key})", [("t",)])

    def notification(self):
        channel = self.tag.replace("-", "_")
        self.connection.query(f"LISTEN {channel}")
        got = self.connection.query(f"NOTIFY {channel}, '{self.tag}'").notifications
        got += self.connection.query("SELECT 1").notifications
        if [(name, extra) for _, name, extra in got] != [(channel, self.tag)]:
            self.wrong.append(f"{self.tag}: heard {got}")
        self.connection.query(f"UNLISTEN {channel}")

    def transaction(self):
        self.connection.query("BEGIN")
        self.connection.query(f"SET LOCAL my.other TO '{self.tag}'")
        self.same("SELECT current_setting('my.other')", [(self.tag,)])
        self.connection.query(self.dice.choice(["COMMIT", "ROLLBACK"]))

    def error(self):
        self.connection.send(protocol.query("SELECT 1/0"))
        if self.connection.collect().error.sqlstate != "22012":
            self.wrong.append(f"{self.tag}: another error than its own")

    def error_in_pipeline(self):
        self.connection.send(protocol.parse("SELECT 1/0") + protocol.bind() + protocol.execute()
                             + protocol.parse("SELECT 2") + protocol.bind() + protocol.execute() + protocol.sync())
        result = self.connection.collect()
        if result.error is None or result.rows:
            self.wrong.append(f"{self.tag}: after an error came {result.rows}")
        self.simple()

    def failed_transaction(self):
        self.connection.query("BEGIN")
        self.connection.send(protocol.query("SELECT nothing FROM nowhere"))
        if self.connection.collect().status != "E":
            self.wrong.append(f"{self.tag}: the transaction did not fail")
        self.connection.query("ROLLBACK")

    def big_result(self):
        rows = self.connection.query(f"SELECT '{self.tag}' FROM generate_series(1, 3000)").rows
        if len(rows) != 3000 or set(rows) != {(self.tag,)}:
            self.wrong.append(f"{self.tag}: {len(rows)} rows of {set(rows)}")

    def leave_rudely(self):
        """Gone in the middle of a reply, of a transaction, or of a message."""
        last = self.dice.choice([protocol.query(f"SELECT '{self.tag}' FROM generate_series(1, 200000)"),
                                 protocol.query("BEGIN") + protocol.query("SELECT 1/0"),
                                 protocol.query(f"SELECT '{self.tag}'")[:-4]])
        self.connection.send(last)
        self.connection.close(politely=False)

    ACTIONS = (simple, simple, simple, extended, extended, pipeline, setting, setting_left_behind, clean_start,
               temporary_table, prepared, named_statement, cursor, advisory_lock, notification, transaction, error,
               error_in_pipeline, failed_transaction, big_result)


class Isolation(story.Story):
    """Twenty clients of two uids over three servers."""

    timeout = 180

    def crowd(self, uids, **config):
        with World(self.server) as world:
            pool = {"pool_size": SERVERS, **config.pop("pool", {})}
            world.add("prod", pool=pool, access={"users": list(uids)}, **config)
            daemon = self.watch(world.start())
            end = time.monotonic() + SECONDS
            clients = [Client(daemon, number, uids[number % len(uids)] if uids else None, end)
                       for number in range(CLIENTS)]
            threads = [threading.Thread(target=client.run) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wrong = sum((client.wrong for client in clients), [])
            self.assertEqual(wrong, [], f"{len(wrong)} times")
            self.assertTrue(all(client.rounds > 0 for client in clients))
            if self.server.own:
                self.until(lambda: len(self.server.sessions(world.environments["prod"].role)) <= SERVERS,
                           f"at most {SERVERS} sessions")

    def test_nothing_crosses_between_clients_of_two_uids(self):
        self.need_root()
        self.crowd(UIDS)

    def test_nothing_crosses_between_clients_of_one_uid(self):
        self.crowd(())

    def test_nothing_crosses_in_session_mode(self):
        self.need_root()
        self.crowd(UIDS, pool={"pool_mode": "session"})

    def test_nothing_crosses_with_strict_isolation(self):
        self.crowd((), isolation="strict")


class Sequences(story.Story):
    """What a serial column drew is seen by nobody in a statement: lastval() tells it to the one who drew it, or fails."""

    LASTVAL = "SELECT lastval()"

    def world(self, **pool):
        world = World(self.server)
        environment = world.add("prod", pool={"pool_size": 1, **pool})
        world.server.sql("CREATE TABLE drawn (id serial)", environment.database, environment.role, environment.password)
        return world

    def draw(self, client):
        return int(client.query("INSERT INTO drawn DEFAULT VALUES RETURNING id").value())

    def code(self, client, sql):
        client.send(protocol.query(sql))
        return client.collect().error.sqlstate

    def test_lastval_is_the_clients_own_or_none(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as one, daemon.connect() as other:
                self.draw(other)
                self.assertEqual(self.code(one, self.LASTVAL), "55000")
                mine = self.draw(one)
                self.assertEqual(int(one.query(self.LASTVAL).value()), mine)
                self.draw(other)
                self.assertEqual(self.code(one, "SELECT currval('drawn_id_seq')"), "55000")
                self.assertEqual(self.code(other, self.LASTVAL), "55000")

    def test_it_is_its_own_within_a_transaction(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as one, daemon.connect() as other, daemon.connect() as third:
                self.draw(other)
                one.query("BEGIN")
                self.assertEqual(self.code(one, self.LASTVAL), "55000")
                one.query("ROLLBACK")
                self.draw(other)
                for client in (one, third):         # who has asked before, and who has not
                    client.query("BEGIN")
                    mine = self.draw(client)
                    self.assertEqual(int(client.query(self.LASTVAL).value()), mine)
                    client.query("COMMIT")
                    self.draw(other)
                one.query("BEGIN")                  # somebody has asked by now: nothing of others comes along
                one.query("SELECT 1")
                self.assertEqual(self.code(one, self.LASTVAL), "55000")
                one.query("ROLLBACK")

    def test_a_prepared_question_finds_nothing_of_others_either(self):
        ask = protocol.bind((), "last") + protocol.execute() + protocol.sync()
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as one, daemon.connect() as other:
                one.send(protocol.parse(self.LASTVAL, "last") + protocol.sync())
                one.answer()
                self.draw(other)
                one.send(ask)
                self.assertEqual(one.collect().error.sqlstate, "55000")
                self.assertEqual(self.code(other, self.LASTVAL), "55000")
                one.query("BEGIN")
                mine = self.draw(one)
                one.send(ask)
                self.assertEqual(int(one.answer().value()), mine)
                one.query("COMMIT")

    def test_nextval_brings_nothing_of_others_with_it(self):
        with self.world() as world:
            daemon = self.watch(world.start())
            with daemon.connect() as one, daemon.connect() as other:
                one.query("CREATE SEQUENCE mine")
                self.draw(other)
                one.query("SELECT nextval('mine')")
                self.assertEqual(self.code(one, "SELECT currval('drawn_id_seq')"), "55000")
                self.assertEqual(one.query("SELECT currval('mine')").value(), "1")

    def test_in_session_mode_it_stays_and_the_next_session_begins_without(self):
        with self.world(pool_mode="session") as world:
            daemon = self.watch(world.start())
            for _ in range(2):
                with daemon.connect() as client:
                    self.assertEqual(self.code(client, self.LASTVAL), "55000")
                    mine = self.draw(client)
                    self.assertEqual(int(client.query(self.LASTVAL).value()), mine)


class Blocks(story.Story):
    """A DO block or a procedure may commit, and fail behind that: what it has brought is there, for one client."""

    KINDS = (("PERFORM set_config('my.' || 'word', 'mine', false)", "SELECT current_setting('my.word', true)", "set_config()"),
             ("CREATE TEMP TABLE mine (n int)", "SELECT to_regclass('pg_temp.mine')::text", "temporary object"),
             ("LISTEN mine", "SELECT max(c) FROM pg_listening_channels() AS c", "LISTEN"))

    def test_what_a_block_has_committed_pins_though_it_fails(self):
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 1})
            daemon = self.watch(world.start())
            for sql, look, reason in self.KINDS:
                with self.subTest(reason):
                    with daemon.connect() as one:
                        one.send(protocol.query(f"DO $$ BEGIN {sql}; COMMIT; PERFORM 1/0; END $$"))
                        self.assertEqual(one.collect().error.sqlstate, "22012")
                        self.assertEqual(one.query(look).value(), "mine")
                        self.assertEqual([pin["reason"] for pin in daemon.show("PINS")], [reason])
                    with daemon.connect() as other:
                        self.assertIn(other.query(look).value(), (None, ""))


class BetweenUids(story.Story):
    """One server that passes from one uid to the other is fully reset, whatever was hidden in functions."""

    HIDDEN = ("CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
              "PERFORM set_config('work_mem', '99kB', false); PERFORM set_config('my.hidden', 'yes', false); "
              "CREATE TEMP TABLE hidden AS SELECT 1 AS x; PERFORM pg_advisory_lock(4242); "
              "EXECUTE 'LISTEN hidden_channel'; PERFORM nextval('numbers'); END $$;"
              "CREATE SEQUENCE numbers")
    LEFT = ("SELECT current_setting('work_mem') <> '99kB', coalesce(current_setting('my.hidden', true), '') = '', "
            "to_regclass('pg_temp.hidden') IS NULL, "
            "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
            "NOT EXISTS (SELECT FROM pg_listening_channels())")

    def test_state_hidden_in_a_function_does_not_reach_another_uid(self):
        self.need_root()
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 1}, access={"users": list(UIDS)})
            self.server.sql(self.HIDDEN, environment.database, environment.role, environment.password)
            daemon = self.watch(world.start())
            for sender in ("query", "extended"):
                with daemon.connect("prod", uid=UIDS[0]) as first:
                    first.query("SELECT hide()")
                    first_pid = first.query("SELECT pg_backend_pid()").value()
                with daemon.connect("prod", uid=UIDS[1]) as second:
                    self.assertEqual(getattr(second, sender)(self.LEFT).rows, [("t",) * 5])
                    self.assertEqual(second.query("SELECT pg_backend_pid()").value(), first_pid,
                                     "another server connection: this story tested nothing")
                    with self.assertRaises(protocol.ServerError) as caught:
                        second.query("SELECT currval('numbers')")
                    self.assertEqual(caught.exception.sqlstate, "55000")

    def test_a_client_sees_nothing_of_the_reset_before_its_first_answer(self):
        self.need_root()
        with World(self.server) as world:
            world.add("prod", pool={"pool_size": 1}, access={"users": list(UIDS)})
            daemon = self.watch(world.start())
            with daemon.connect("prod", uid=UIDS[0]) as first, daemon.connect("prod", uid=UIDS[1]) as second:
                for _ in range(5):
                    for client in (first, second):
                        client.send(protocol.query("SELECT 'x'"))
                        kinds = [kind for kind, _ in client.read_until("Z")]
                        self.assertEqual("".join(kinds), "TDCZ")

    def test_set_role_of_one_uid_is_not_the_role_of_another(self):
        self.need_root()
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 1}, access={"users": list(UIDS)})
            other, _ = self.server.create_login("other")
            self.server.sql(f'GRANT "{other}" TO "{environment.role}"')
            daemon = self.watch(world.start())
            with daemon.connect("prod", uid=UIDS[0]) as first:
                first.query(f'SET ROLE "{other}"')
            with daemon.connect("prod", uid=UIDS[1]) as second:
                self.assertEqual(second.query("SELECT current_user").value(), environment.role)


if __name__ == "__main__":
    story.main()
