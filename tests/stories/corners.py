"""Corners in which a broker could mix up messages, settings or clients, each told by the bytes alone."""
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import protocol
import story
from world import OneEnvironment, World


class Borders(OneEnvironment):
    """Where a message ends and the next begins."""

    def test_a_stray_message_in_pieces_reaches_no_server_not_even_its_rest(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                backend = self.backend(client)
                stray = protocol.copy_data(protocol.query("SELECT 'smuggled'") * 6000)
                for piece in (stray[:70000], stray[70000:100000], stray[100000:]):
                    client.send(piece)
                    time.sleep(0.1)
                self.assertEqual(client.query("SELECT 'mine'").rows, [("mine",)])
                self.assertEqual(self.backend(client), backend)

    def test_a_client_that_leaves_within_a_message_takes_its_server_along(self):
        """What cleans the server would be read as the rest of the message, and never be answered."""
        with self.world(pool_size=1, query_wait_timeout="5s") as world:
            daemon = self.watch(world.start())
            for begin in ("BEGIN", "SET work_mem TO '1MB'"):
                client = daemon.connect()
                client.query(begin)
                client.send(protocol.copy_data(b"x" * 100000)[:1000])
                time.sleep(0.2)
                client.close(politely=False)
                with daemon.connect() as other:
                    self.assertEqual(other.query("SELECT 'mine'").rows, [("mine",)])

    def test_no_word_of_the_broker_is_put_into_the_middle_of_a_row(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            client = daemon.connect()
            client.send(protocol.query("SELECT repeat('x', 50000000)"))
            client.read_until("T")
            self.assertEqual(client.read_bytes(1000)[-900:], b"x" * 900)
            self.server.kill_sessions(world.environments["prod"].role)
            data = client.buffer
            while piece := client.sock.recv(1 << 16):
                data = data[-200:] + piece
            self.assertEqual(data[-200:], b"x" * 200)

    def test_a_session_that_the_server_ends_hears_why_once(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.query("SELECT pg_sleep(60)"))
                self.until(lambda: self.server.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'active' "
                                                   "AND query = 'SELECT pg_sleep(60)'"), "it to run")
                self.server.kill_sessions(world.environments["prod"].role)
                messages = [protocol.error_fields(payload)["C"] for kind, payload in self.rest(client) if kind == "E"]
                self.assertEqual(messages, ["57P01"])

    def test_a_sync_within_a_copy_is_ignored_as_the_server_ignores_it(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("CREATE TABLE lines (v text)")
                for _ in range(3):
                    client.send(protocol.query("COPY lines FROM STDIN"))
                    client.read_until("G")
                    client.send((protocol.copy_data(b"x\n") + protocol.sync() + protocol.flush()) * 3 + protocol.copy_done())
                    self.assertEqual([kind for kind, _ in client.read_until("Z")], ["C", "Z"])
                self.assertEqual(client.query("SELECT count(*) FROM lines").value(), "9")

    def test_who_does_not_read_answers_is_not_listened_to_for_ever(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.sock.setblocking(False)
                sent, syncs, quiet = 0, protocol.sync() * 10000, time.monotonic()
                while time.monotonic() - quiet < 1 and sent < 50_000_000:
                    try:
                        sent, quiet = sent + client.sock.send(syncs[sent % 5:]), time.monotonic()
                    except BlockingIOError:
                        time.sleep(0.01)
                self.assertLess(sent, 5_000_000)
                client.sock.setblocking(True)
                self.assertEqual(client.read_bytes(sent // 5 * 6), protocol.message("Z", b"I") * (sent // 5))

    @staticmethod
    def rest(client):
        seen = []
        try:
            while True:
                seen.append(client.read())
        except protocol.Gone:
            return seen


class Settings(OneEnvironment):
    """What is set and told, from the first message on."""

    def hold(self, backend, *clients):
        """The one of these clients that has this server now, in a transaction; the others have none."""
        for client in clients:
            client.query("BEGIN")
            if self.backend(client) == backend:
                break
        for other in clients[:clients.index(client)]:
            other.query("ROLLBACK")
        self.assertEqual(self.backend(client), backend)
        return client

    def test_a_login_begins_with_the_authentication_however_values_are_spelled(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            for spelled, told in (("iso", "ISO, MDY"), ("german", "German, DMY")):
                for _ in range(2):
                    client = daemon.raw()
                    client.send(protocol.startup_message({"user": "story", "database": "prod", "datestyle": spelled}))
                    messages = client.read_until("Z")
                    self.assertEqual("".join(dict.fromkeys(kind for kind, _ in messages)), "RSKZ")
                    self.assertIn(("S", protocol.text("DateStyle") + protocol.text(told)), messages)
                    client.close()

    def test_half_a_datestyle_is_not_made_whole_by_another_client(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(datestyle="SQL, DMY") as first:
                first.query("SELECT 1")
                with daemon.connect(datestyle="ISO") as second:
                    self.assertEqual(second.parameters["DateStyle"], "ISO, MDY")
                    self.assertEqual(second.query("SELECT '01-02-2003'::date").value(), "2003-01-02")

    def test_reset_tells_parameters_by_the_names_that_clients_know(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(intervalstyle="iso_8601") as client:
                client.query("SET IntervalStyle TO sql_standard")
                told = client.query("RESET IntervalStyle").parameters
                self.assertEqual(told["IntervalStyle"], "iso_8601")
                self.assertLessEqual(set(told), {"IntervalStyle"})
                self.assertEqual(client.query("SHOW IntervalStyle").value(), "iso_8601")


    def test_a_client_s_search_path_has_no_say_in_what_the_broker_asks(self):
        """Whatever bears a name that the broker uses would be called in the client's place, with its rights."""
        functions = {"pg_backend_pid()": "int", "pg_my_temp_schema()": "oid", "pg_listening_channels()": "text",
                     "pg_advisory_unlock_all()": "void", "current_setting(text, bool)": "text", "lower(text)": "text",
                     "set_config(text, text, bool)": "text", "same(int, int)": "bool", "same(text, text)": "bool",
                     "same(name, name)": "bool", "same(oid, oid)": "bool", "same(name, text)": "bool", "sum(int, int)": "int"}
        operators = ["=(int, int) same bool", "=(text, text) same bool", "=(oid, oid) same bool", "=(name, text) same bool",
                     "<>(name, name) same bool", "+(int, int) sum int", "*(int, int) sum int"]
        evil = "CREATE SCHEMA evil; CREATE TABLE evil.calls (who text); "
        for name, result in functions.items():
            evil += (f"CREATE FUNCTION evil.{name} RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.calls "
                     f"VALUES ('{name}'); RETURN{'' if result == 'void' else ' NULL'}; END $$; ")
        for operator in operators:
            types, function, _ = operator.rsplit(" ", 2)
            sign, types = types[:types.index("(")], types[types.index("(") + 1:-1].split(", ")
            evil += f"CREATE OPERATOR evil.{sign} (LEFTARG = {types[0]}, RIGHTARG = {types[1]}, FUNCTION = evil.{function}); "
        for name in ("pg_locks", "pg_prepared_statements", "pg_cursors", "pg_class", "pg_settings", "pg_type", "pg_proc"):
            evil += f"CREATE TABLE evil.{name} (nothing int); "
        with World(self.server) as world:
            environment = world.add("prod", isolation="strict", pool={"pool_size": 1})
            self.server.sql(evil, environment.database, environment.role, environment.password)
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                for _ in range(2):
                    with daemon.connect(options="-c search_path=evil,pg_catalog") as client:
                        for sql in ("SET search_path TO evil, pg_catalog", "SET work_mem TO '1MB'", "RESET work_mem",
                                    "SELECT pg_catalog.pg_advisory_lock(1)", "LISTEN x", "PREPARE p AS SELECT 1",
                                    "CREATE TEMP TABLE t (x int)", "DEALLOCATE p", "UNLISTEN y", "BEGIN"):
                            client.query(sql)
                    self.assertEqual(other.query("SELECT DISTINCT who FROM evil.calls").rows, [])

    def test_what_differs_is_set_before_a_message_that_outgrows_the_buffer(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(timezone="Etc/GMT+1", work_mem="1MB") as one, daemon.connect(timezone="Etc/GMT+2", work_mem="2MB") as two:
                sql = "SELECT current_setting('TimeZone'), current_setting('work_mem') -- " + "x" * 300_000
                for _ in range(2):
                    for client, wanted in ((one, ("Etc/GMT+1", "1MB")), (two, ("Etc/GMT+2", "2MB"))):
                        self.assertEqual(client.extended(sql).rows, [wanted])
                        self.assertEqual(client.query(sql).rows, [wanted])      # and nothing long is kept

    def test_what_can_not_be_set_again_ends_the_session_before_its_request_is_done(self):
        """It was meant for other settings: for a role that may do less, say."""
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            environment = world.environments["prod"]
            role = self.server.create_login("short")[0]
            self.server.sql(f"GRANT {role} TO {environment.role}")
            with daemon.connect() as client, daemon.connect() as first, daemon.connect() as second:
                client.query("CREATE TABLE who (name text)")
                client.query(f"GRANT ALL ON who TO {role}")
                client.query(f"SET ROLE {role}")
                backend = self.backend(client)
                self.server.sql(f"REVOKE {role} FROM {environment.role}")
                other = self.hold(backend, first, second)
                self.refused("08006", client.query, "INSERT INTO who VALUES (current_user)")
                self.until(lambda: self.server.sessions(environment.role) == [int(backend)], "the refusing session's end")
                self.assertEqual(other.query("SELECT count(*) FROM who").value(), "0")


class Pins(OneEnvironment):
    """Who holds a server, and who waits for what."""

    STATES = (("LISTEN here", "UNLISTEN *"), ("PREPARE it AS SELECT 1", "DEALLOCATE it"),
              ("DECLARE it CURSOR WITH HOLD FOR SELECT 1", "CLOSE it"), ("CREATE TEMP TABLE it ()", "DROP TABLE it"),
              ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)"))

    def test_each_state_pins_on_after_an_error_until_it_ends(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for begin, end in self.STATES:
                    client.query(begin)
                    client.send(protocol.query("SELECT 1/0"))
                    client.collect()
                    client.query("SELECT 1")
                    self.assertEqual(len(daemon.show("PINS")), 1, begin)
                    client.query(end)
                    client.query("SELECT 1")
                    self.assertEqual(daemon.show("PINS"), [], end)

    def test_who_waits_for_leave_to_pin_gives_his_server_back(self):
        with self.world(pool_size=2, max_pinned=1, query_wait_timeout="20s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as holder, daemon.connect() as waiter, daemon.connect() as other:
                holder.query("LISTEN here")
                waiter.send(protocol.query("SELECT 'first', pg_sleep(0.2)") + protocol.query("LISTEN there"))
                self.assertEqual(waiter.answer().value(), "first")
                self.assertEqual(other.query("SELECT 'unpinned'").value(), "unpinned")
                self.assertTrue(waiter.silent())
                holder.query("UNLISTEN *")
                self.assertEqual(waiter.answer().tags, ["LISTEN"])

    def test_leave_without_a_server_and_a_server_without_leave_do_not_wait_for_each_other(self):
        with self.world(pool_size=2, max_pinned=1, query_wait_timeout="20s") as world:
            daemon = self.watch(world.start())
            with daemon.connect() as first, daemon.connect() as second, daemon.connect() as third:
                first.query("BEGIN")
                second.query("BEGIN")
                third.send(protocol.query("LISTEN here"))
                self.until(lambda: daemon.pool()["cl_waiting"] == 1, "the client with leave to wait")
                first.send(protocol.query("LISTEN there"))
                self.assertEqual(first.answer().tags, ["LISTEN"])
                for client in (first, second):
                    client.query("ROLLBACK")
                self.assertEqual(third.answer().tags, ["LISTEN"])


class Statements(OneEnvironment):
    """The unnamed statement, wherever it is."""

    def test_a_statement_that_was_refused_is_not_there_later(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                client.extended("SELECT 'old'")
                client.send(protocol.parse("SELEC 'new'") + protocol.sync())
                client.collect()
                other.extended("SELECT 'theirs'")
                client.send(protocol.bind() + protocol.execute() + protocol.sync())
                self.assertEqual(client.collect().error.sqlstate, "26000")

    def test_a_text_that_two_clients_prepare_means_what_each_of_them_reads_in_it(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(DateStyle="ISO, MDY") as american, daemon.connect(DateStyle="ISO, DMY") as european:
                for client in (american, european):
                    client.send(protocol.parse("SELECT '01/02/2026'::date", "day") + protocol.sync())
                    client.answer()
                for client, day in 2 * ((american, "2026-01-02"), (european, "2026-02-01")):
                    client.send(protocol.bind((), "day") + protocol.execute() + protocol.sync())
                    self.assertEqual(client.answer().value(), day)
                self.assertEqual(daemon.show("PINS"), [])

    def test_a_text_is_read_on_every_server_as_it_was_when_it_was_prepared(self):
        run = protocol.bind((), "day") + protocol.execute() + protocol.sync()
        for begin in ("", "BEGIN"):
            with self.subTest(begin), self.world(pool_size=2) as world:
                daemon = self.watch(world.start())
                with daemon.connect(DateStyle="ISO, MDY") as client, daemon.connect() as holder:
                    client.send(protocol.parse("SELECT '01/02/2026'::date", "day") + protocol.sync())
                    client.answer()
                    client.query("SET DateStyle = 'SQL, DMY'")
                    holder.query("BEGIN")               # has the server that the client had
                    client.query(begin)
                    if not begin:                       # with something before it in one go
                        client.send(protocol.parse("SELECT 1") + protocol.bind() + protocol.execute() + protocol.sync())
                    client.send(run)
                    if not begin:
                        self.assertEqual(client.answer().value(), "1")
                    result = client.answer()
                    self.assertEqual((result.value(), result.parameters), ("02/01/2026", {}))
                    self.assertEqual(client.query("SELECT '01/02/2026'::date").value(), "01/02/2026")
                    client.send(run)
                    self.assertEqual(client.answer().value(), "02/01/2026")
                    client.query("COMMIT")
                    self.assertEqual(client.query("SHOW DateStyle").value(), "SQL, DMY")

    def test_values_that_are_not_ascii_follow_in_whatever_encoding(self):
        length = "SELECT length(current_setting('my.word')), convert_to(current_setting('my.word'), 'UTF8')::text"
        word = ("4", "\\x" + "n\u00e9e!".encode().hex())
        ways = ((("SET client_encoding = 'LATIN1'", "SET my.word = 'n\u00e9e!'"), "latin-1"),
                (("SET my.word = 'n\u00e9e!'", "SET client_encoding = 'LATIN1'"), "utf-8"))
        for steps, encoding in ways:
            with self.subTest(encoding), self.world(pool_size=2) as world:
                daemon = self.watch(world.start())
                with daemon.connect() as client, daemon.connect() as holder, daemon.connect() as other:
                    for sql in steps:
                        client.query(sql.encode(encoding))
                    holder.query("BEGIN")
                    self.assertEqual(client.query(length).rows, [word])
                    other.query("SET my.word = 'other'")
                    self.assertEqual(client.query(length).rows, [word])
                    client.query("SET client_encoding = 'UTF8'")
                    holder.query("COMMIT")
                    other.query("BEGIN")
                    self.assertEqual(client.query(length).rows, [word])
                    self.assertEqual(client.query("SHOW my.word").value(), "n\u00e9e!")

    def test_a_text_that_is_prepared_under_a_set_local_is_nobody_elses(self):
        sql = "SELECT ('{null}'::text[])[1] IS NULL"
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as usual, daemon.connect() as other:
                usual.send(protocol.parse(sql, "null") + protocol.sync())
                usual.answer()
                other.query("BEGIN; SET LOCAL array_nulls = off")
                other.send(protocol.parse(sql, "null") + protocol.bind((), "null") + protocol.execute() + protocol.sync())
                self.assertEqual(other.answer().value(), "f")
                other.query("COMMIT")
                usual.send(protocol.bind((), "null") + protocol.execute() + protocol.sync())
                self.assertEqual(usual.answer().value(), "t")

    def test_a_name_that_sql_has_prepared_is_taken_for_the_protocol(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.query("PREPARE taken AS SELECT 'sql'")
                client.send(protocol.parse("SELECT 'protocol'", "taken") + protocol.bind((), "taken")
                            + protocol.execute() + protocol.sync())
                error = client.collect().error
                self.assertEqual((error.sqlstate, error.message), ("42P05", 'prepared statement "taken" already exists'))
                self.assertEqual(client.query("EXECUTE taken").value(), "sql")
                client.send(protocol.parse("SELECT 'protocol'", "free") + protocol.bind((), "free")
                            + protocol.execute() + protocol.sync())
                self.assertEqual(client.answer().value(), "protocol")
                client.query("DEALLOCATE taken")
                client.send(protocol.parse("SELECT 'protocol'", "taken") + protocol.bind((), "taken")
                            + protocol.execute() + protocol.sync())
                self.assertEqual(client.answer().value(), "protocol")
                self.assertEqual(daemon.show("PINS"), [])

    def test_reset_leads_back_to_the_start_wherever_it_stands(self):
        start = {"options": "-c work_mem=2MB -c my.word=start", "DateStyle": "German"}
        show = "SELECT current_setting('work_mem'), current_setting('my.word'), current_setting('DateStyle')"
        begun = ("2MB", "start", "German, DMY")
        change = "SET work_mem = '3MB'; SET my.word = 'changed'; SET DateStyle = 'SQL'"
        with self.world(pool_size=1) as world:
            self.server.sql(f"ALTER DATABASE {world.environments['prod'].database} SET my.word = 'of all'")
            daemon = self.watch(world.start())
            with daemon.connect(**start) as client:
                for reset in ("RESET work_mem; RESET my.word; RESET DateStyle", "RESET ALL",
                              "SET work_mem TO DEFAULT; SET my.word TO DEFAULT; SET DateStyle TO DEFAULT",
                              "SELECT set_config('work_mem', NULL, false), set_config('my.word', NULL, false), "
                              "set_config('DateStyle', NULL, false)"):
                    with self.subTest(reset):
                        client.query(change)
                        client.query(reset)
                        self.assertEqual(client.query(show).rows, [begun])
                        client.query(change)                    # with more behind it
                        client.send(protocol.query(reset) + 2 * protocol.query(show))
                        client.collect()
                        self.assertEqual([client.answer().rows for _ in range(2)], 2 * [[begun]])
                        client.query(change)                    # in a transaction
                        client.query("BEGIN")
                        client.query(reset)
                        client.query("ROLLBACK")
                        self.assertEqual(client.query(show).rows, [("3MB", "changed", "SQL, DMY")])
                        client.query("BEGIN; SAVEPOINT s")
                        client.query(reset)
                        client.query("ROLLBACK TO s")
                        self.assertEqual(client.query(show).rows, [("3MB", "changed", "SQL, DMY")])
                        client.query("COMMIT")
                        client.query("BEGIN")
                        client.query(reset)
                        client.query("COMMIT")
                        self.assertEqual(client.query(show).rows, [begun])
                client.query("SET my.word = ''")
                client.query("BEGIN; SET my.word = 'other'; ROLLBACK")
                self.assertEqual(client.query("SHOW my.word").value(), "")

    def test_within_a_transaction_too_if_it_stands_alone(self):
        start = {"options": "-c work_mem=2MB -c my.word=start", "search_path": "mine, public", "DateStyle": "German"}
        names = ("work_mem", "my.word", "search_path", "DateStyle")
        begun = dict(zip(names, ("2MB", "start", "mine, public", "German, DMY")))
        other = dict(zip(names, ("3MB", "changed", "pg_catalog", "SQL, DMY")))

        def shown():
            return {name: client.query(f"SELECT current_setting('{name}')").value() for name in names}
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**start) as client, daemon.connect() as stranger:
                for resets in (["RESET ALL"], ["reset all ;"], [f"RESET {name}" for name in names],
                               [f" Set {name}  to default;" for name in names], [f"SET {name} = DEFAULT" for name in names]):
                    for end, after in (("COMMIT", begun), ("ROLLBACK", other), ("ROLLBACK TO s; COMMIT", other)):
                        with self.subTest(resets[0], end=end):
                            for name, value in other.items():
                                client.query(f"SELECT set_config('{name}', '{value}', false)")
                            client.query("BEGIN; SAVEPOINT s")
                            for reset in resets:
                                client.send(protocol.query(reset))
                                told = client.read_until("Z")
                                self.assertEqual([kind for kind, _ in told if kind != "S"], ["C", "Z"])
                                self.assertIn(("C", reset.split()[0].upper().encode() + b"\0"), told)
                                reported = [payload.decode().split("\0")[1] for kind, payload in told if kind == "S"]
                                self.assertIn(reported, ([], ["German, DMY"]))
                            self.assertEqual(shown(), begun)
                            client.query(end)
                            self.assertEqual(shown(), after)
                            self.assertEqual(stranger.query("SELECT current_setting('work_mem'), current_setting('my.word', true)")
                                             .rows[0][0], "4MB")
                client.query("BEGIN; SELECT 1/1")
                self.refused("42704", client.query, "RESET no_such")
                self.refused("25P02", client.query, "RESET work_mem")
                client.query("ROLLBACK")
                self.assertEqual(shown(), other)

    def test_in_the_extended_protocol_at_once(self):
        """In a transaction or a pipeline, by a statement with a name or without one, and undone with the RESET."""
        start = {"options": "-c work_mem=2MB -c my.word=start", "search_path": "mine, public", "DateStyle": "German"}
        names = ("work_mem", "my.word", "search_path", "DateStyle")
        show = "SELECT concat_ws(' ', " + ", ".join(f"current_setting('{name}')" for name in names) + ")"
        begun, other = "2MB start mine, public German, DMY", "3MB changed pg_catalog SQL, DMY"
        change = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)"
                                       for name, value in zip(names, ("3MB", "changed", "pg_catalog", "SQL, DMY")))

        def run(sql, name=""):
            return protocol.parse(sql, name) + protocol.bind((), name) + protocol.describe("P") + protocol.execute()

        def sent(data, count=1):
            """The last of so many answers, all without an error."""
            client.send(data)
            return [client.answer() for _ in range(count)][-1]
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**start) as client, daemon.connect() as stranger:
                for number, resets in enumerate((["RESET ALL"], [f"RESET {name}" for name in names],
                                                 [f"SET {name} = DEFAULT ;" for name in names])):
                    for statement in ("", "named"):
                        batch = b"".join(run(sql, statement and f"{statement}{number}.{i}") for i, sql in enumerate(resets))
                        again = b"".join(protocol.bind((), statement and f"{statement}{number}.{i}") + protocol.execute()
                                         for i in range(len(resets)))
                        with self.subTest(resets[0], statement=statement):
                            client.query(change)
                            self.assertEqual(sent(batch + run(show) + protocol.sync()).value(), begun)   # in a pipeline
                            self.assertEqual(client.query(show).value(), begun)
                            client.query(change)
                            for end, after in (("ROLLBACK", other), ("ROLLBACK TO s; COMMIT", other), ("COMMIT", begun)):
                                client.query("BEGIN; SAVEPOINT s")
                                use = again if statement else batch
                                self.assertEqual(sent(use + protocol.sync() + run(show) + protocol.sync(), 2).value(), begun)
                                self.assertEqual(client.query(show).value(), begun)
                                client.query(end)
                                self.assertEqual(client.query(show).value(), after)
                                self.assertEqual(stranger.query("SHOW work_mem").value(), "4MB")
                                self.assertEqual(client.query(show).value(), after)
                            client.query(change)                        # what fails behind it undoes it
                            client.send(use + run("SELECT 1/0") + protocol.sync())
                            self.assertEqual(client.collect().error.sqlstate, "22012")
                            self.assertEqual(client.query(show).value(), other)
                client.send(run("RESET work_mem") + protocol.sync())
                told = client.read_until("Z")
                self.assertEqual([kind for kind, _ in told], ["1", "2", "n", "C", "Z"])
                client.send(protocol.parse("RESET work_mem") + protocol.bind(()) + 2 * protocol.execute() + protocol.sync())
                told = client.read_until("Z")
                self.assertEqual([kind for kind, _ in told], ["1", "2", "C", "E", "Z"])
                self.assertEqual(protocol.error_fields(told[-2][1])["C"], "55000")
                client.send(protocol.parse("SELECT 'mine'") + run("RESET work_mem", "again") + protocol.bind(())
                            + protocol.execute() + protocol.sync())
                self.assertEqual(client.answer().value(), "mine")       # its unnamed statement is as it was
                self.assertEqual(daemon.show("PINS"), [])

    def test_what_leads_back_takes_no_snapshot(self):
        with self.world(pool_size=2) as world:
            daemon = self.watch(world.start())
            with daemon.connect(search_path="mine, public") as client, daemon.connect() as other:
                other.query("CREATE TABLE seen (n int)")
                for send in (client.query, client.extended):
                    for sql in ("RESET search_path", "RESET ALL", "SET LOCAL search_path TO DEFAULT"):
                        client.query("BEGIN")
                        send(sql)
                        client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                        send(sql)
                        other.query("INSERT INTO seen VALUES (1)")
                        other.query("TRUNCATE seen; INSERT INTO seen VALUES (1)")
                        self.assertEqual(client.query("SELECT count(*) FROM public.seen").value(), "1")
                        client.query("COMMIT")

    def test_its_unnamed_statement_stays_what_it_was_read_as(self):
        """Parsed anew after the RESET it would be read in another way, and a long one is kept nowhere."""
        long = "x" * 9000
        cases = (("DateStyle", "ISO, DMY", "SELECT '01-02-2003'::date - '2003-02-01'::date", "0"),
                 ("TimeZone", "UTC", "SELECT extract(epoch FROM '2001-02-03'::timestamptz)", "981158400.000000"),
                 ("TimeZone", "UTC", f"SELECT length('{long}')", "9000"))
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(DateStyle="ISO, MDY", TimeZone="Asia/Tokyo") as client:
                for name, value, sql, result in cases:
                    for between in (b"", protocol.sync()):
                        with self.subTest(sql[:40], between=between):
                            client.query(f"SET {name} = '{value}'")
                            client.query("BEGIN")
                            client.send(protocol.close("S", "reset") + protocol.parse(f"RESET {name}", "reset") + protocol.parse(sql)
                                        + protocol.bind((), "reset") + protocol.execute() + between
                                        + protocol.bind() + protocol.execute() + protocol.sync())
                            answers = [client.answer() for _ in range(2 if between else 1)]
                            self.assertEqual(answers[-1].value(), result)
                            client.query("COMMIT")

    def test_what_sql_has_prepared_is_known_when_it_is_bound(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(work_mem="2MB") as client, daemon.connect() as other:
                client.query("PREPARE sets AS SELECT set_config('my.word', 'secret', false), set_config('work_mem', '44MB', false)")
                for before in ("SELECT 1", "RESET work_mem"):
                    client.send(protocol.parse(before, before) + protocol.bind((), before) + protocol.execute() + protocol.sync())
                    client.answer()
                    client.send(protocol.bind((), "sets") + protocol.execute() + protocol.sync())
                    client.answer()
                    self.assertEqual(client.query("SHOW work_mem").value(), "44MB")
                client.query("DEALLOCATE sets")
                self.assertEqual(other.query("SELECT coalesce(current_setting('my.word', true), '')").value(), "")
                self.assertEqual(client.query("SELECT current_setting('my.word'), current_setting('work_mem')").rows,
                                 [("secret", "44MB")])

    def test_who_does_not_wait_is_led_back_too(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(work_mem="2MB", geqo="off") as client:
                client.query("SET work_mem = '3MB'")
                client.send(b"".join(map(protocol.query, ("BEGIN", "SET LOCAL work_mem TO DEFAULT", "SHOW work_mem",
                                                          "RESET geqo", "SHOW geqo", "COMMIT", "SHOW work_mem"))))
                self.assertEqual([row for _ in range(7) for row in client.answer().rows], [("2MB",), ("off",), ("3MB",)])

    def test_where_it_may_take_rights_reset_all_waits(self):
        with self.world(pool_size=1) as world:
            self.server.sql(f'ALTER ROLE "{world.environments["prod"].role}" SUPERUSER')
            daemon = self.watch(world.start())
            with daemon.connect(options="-c log_min_duration_statement=1s") as client:
                for send in (client.query, client.extended):
                    client.query("BEGIN; SET LOCAL ROLE pg_monitor")
                    send("RESET ALL")
                    client.query("COMMIT")
                    self.assertEqual(client.query("SHOW log_min_duration_statement").value(), "1s")

    def test_for_the_transaction_alone_too(self):
        start = {"options": "-c work_mem=2MB", "search_path": "mine, public", "TimeZone": "Asia/Tokyo"}
        names = ("work_mem", "search_path", "TimeZone")
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect(**start) as client:
                def shown():
                    return [client.query(f"SHOW {name}").value() for name in names]
                begun = shown()
                client.query("SET work_mem = '3MB'; SET search_path = pg_catalog; SET TimeZone = 'UTC'")
                other = shown()
                for send in (client.query, client.extended):
                    for resets in ([f"SET LOCAL {name} TO DEFAULT" for name in names],
                                   [f"set local {name} =default;" for name in names]):
                        client.query("BEGIN; SAVEPOINT s")
                        for reset in resets:
                            send(reset)
                        self.assertEqual(shown(), begun)
                        client.query("ROLLBACK TO s")
                        self.assertEqual(shown(), other)
                        for reset in resets:
                            send(reset)
                        client.query("COMMIT")
                        self.assertEqual(shown(), other)
                    warned = send("SET LOCAL work_mem TO DEFAULT").notices
                    self.assertEqual([notice["C"] for notice in warned], ["25P01"])
                    self.assertEqual(shown(), other)

    def test_in_doubt_a_role_is_that_of_the_start(self):
        role = "SELECT current_setting('role')"
        with self.world(pool_size=1) as world:
            self.server.sql(f'GRANT pg_monitor TO "{world.environments["prod"].role}"')
            daemon = self.watch(world.start())
            with daemon.connect(options="-c role=pg_monitor") as client, daemon.connect() as other:
                for steps, wanted in ((("SELECT 1/0", "RESET ROLE"), "pg_monitor"), (("RESET ROLE", "SELECT 1/0"), "pg_monitor"),
                                      (("SELECT 1/0", "SET ROLE none"), "none"), (("RESET ALL",), "none"),
                                      (("SELECT 1/0; RESET ROLE",), "pg_monitor"), (("DISCARD ALL",), "pg_monitor")):
                    with self.subTest(steps):
                        client.query("SET ROLE none")
                        client.send(b"".join(map(protocol.query, steps)))
                        for _ in steps:
                            client.collect()
                        self.assertEqual(other.query(role).value(), "none")
                        self.assertEqual(client.query(role).value(), wanted)

    def test_a_client_s_idle_session_timeout_ends_no_server(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                client.query("SET idle_session_timeout = '50ms'")
                pid = client.query("SELECT pg_backend_pid()").value()
                time.sleep(0.3)
                self.assertEqual(other.query("SELECT pg_backend_pid()").value(), pid)
                self.assertEqual(client.query("SHOW idle_session_timeout").value(), "50ms")

    def test_what_can_not_be_set_is_reset_for_nobody(self):
        refused = ("RESET is_superuser", "SET is_superuser = off", "SELECT set_config('is_superuser', 'off', false)",
                   "SET server_version = '1'", "RESET in_hot_standby")
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as other:
                other.query("SET work_mem = '9MB'")
                for sql in refused:
                    with self.subTest(sql), daemon.connect() as client:
                        client.send(protocol.query(sql))
                        self.assertEqual(client.collect().error.sqlstate, "55P02")
                        self.assertEqual(other.query("SHOW work_mem").value(), "9MB")
                        with daemon.connect(options="-c work_mem=8MB") as new:
                            self.assertEqual(new.query("SHOW work_mem").value(), "8MB")

    def test_what_is_created_under_a_search_path_with_pg_temp_stays_with_its_client(self):
        ways = ({"options": "-c search_path=pg_temp"}, ""), ({}, "SET search_path TO E'pg\\x5ftemp'"), \
               ({}, "SET search_path TO pg_temp; RESET work_mem")
        for startup, first in ways:
            with self.subTest(first or startup), self.world(pool_size=2) as world:
                daemon = self.watch(world.start())
                with daemon.connect(**startup) as client, daemon.connect() as other:
                    client.query(first)
                    client.query("CREATE TABLE hidden (n int)")
                    self.assertEqual([pin["reason"] for pin in daemon.show("PINS")], ["temporary object"])
                    with daemon.connect() as third:
                        third.query("BEGIN")        # has the other server
                        client.query("INSERT INTO hidden VALUES (1)")
                        third.query("COMMIT")
                    self.assertEqual(client.query("SELECT n FROM hidden").value(), "1")
                    other.send(protocol.query("SELECT * FROM hidden"))
                    self.assertEqual(other.collect().error.sqlstate, "42P01")
                    client.query("DROP TABLE hidden")
                    client.query("SELECT 1")
                    self.until(lambda: not daemon.show("PINS"), "the pin to end with it")

    def test_a_statement_that_deallocates_may_have_a_name_itself(self):
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                def ends(name):
                    client.send(protocol.bind((), name) + protocol.execute() + protocol.sync())
                    return client.answer().tags
                for name, sql in (("one", "DEALLOCATE s"), ("all", "DEALLOCATE ALL")):
                    for number in ("1", "2") if name == "one" else ("3",):
                        client.send(protocol.parse(f"SELECT {number}", "s") + protocol.sync())
                        client.answer()
                        if number != "2":
                            client.send(protocol.parse(sql, name) + protocol.sync())
                            client.answer()
                        other.query("SELECT 1")
                        self.assertEqual(ends(name), [sql.removesuffix(" s")])
                        self.assertEqual(self.refused("26000", ends, "s").message, 'prepared statement "s" does not exist')
                self.assertEqual(daemon.show("PINS"), [])

    def test_who_deallocates_the_brokers_own_names_harms_nobody(self):
        again = protocol.bind((), "mine") + protocol.execute() + protocol.sync()
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                client.send(protocol.parse("SELECT 'mine'", "mine") + again)
                client.answer()
                name = other.query("SELECT name FROM pg_prepared_statements").value()
                other.query(f"DEALLOCATE {name}")
                client.send(again)
                self.assertEqual(client.answer().value(), "mine")
                name = other.query("SELECT name FROM pg_prepared_statements").value()
                other.send(protocol.parse(f'DEALLOCATE "{name}"', "drop") + protocol.bind((), "drop")
                           + protocol.execute() + protocol.sync())
                other.answer()
                client.send(again)
                self.assertEqual(client.answer().value(), "mine")

    def test_sql_and_the_protocol_mean_the_same_statement_by_a_name(self):
        with self.world(pool_size=4) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client, daemon.connect() as other:
                for each, number in ((client, 1), (other, 10)):
                    each.send(protocol.parse(f"SELECT $1::int + {number}", "add") + protocol.sync())
                    each.answer()
                self.assertEqual(client.query("EXECUTE add(41)").value(), "42")
                self.assertEqual(other.extended("EXECUTE add(1)").value(), "11")
                self.assertEqual([pin["reason"] for pin in daemon.show("PINS")], 2 * ["PREPARE"])
                client.send(protocol.bind(["1"], "add") + protocol.execute() + protocol.sync())
                self.assertEqual(client.answer().value(), "2")
                client.send(protocol.query("PREPARE add AS SELECT 'another'"))
                self.assertEqual(client.collect().error.sqlstate, "42P05")
                client.query("DEALLOCATE add")
                other.send(protocol.close("S", "add") + protocol.sync())
                other.answer()
                for each in (client, other):
                    each.send(protocol.query("EXECUTE add(1)"))
                    self.assertEqual(each.collect().error.sqlstate, "26000")
                self.until(lambda: daemon.show("PINS") == [], "nobody to be pinned")

    def test_a_row_description_larger_than_any_buffer_stays_whole(self):
        columns = ", ".join(f"1 AS {'c' * 55}{number}" for number in range(1600))
        with self.world(pool_size=1) as world:
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                client.send(protocol.parse("SELECT 'unnamed'") + protocol.sync())
                client.answer()
                client.send(protocol.parse(f"SELECT {columns}", "wide") + protocol.sync())
                client.answer()
                client.send(protocol.describe("S", "wide") + protocol.bind() + protocol.execute() + protocol.sync())
                messages = client.read_until("Z")
                self.assertEqual("".join(kind for kind, _ in messages), "tT2DCZ")
                self.assertEqual(struct.unpack("!H", messages[1][1][:2]), (1600,))


if __name__ == "__main__":
    story.main()
