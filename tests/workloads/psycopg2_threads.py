"""psycopg2: a connection a thread, values filled into the text, transactions begun for us.

    psycopg2_threads.py DIRECTORY WORKER LANES
"""
import io
import select
import sys

import lanes
import psycopg2
import psycopg2.errors
import psycopg2.extras


def rows(connection, lane):
    """Create, read, update, delete; every `with connection` is a transaction."""
    with connection, connection.cursor() as cursor:
        for n in lanes.ROWS:
            cursor.execute("INSERT INTO entries VALUES (%s, %s, %s, %s) RETURNING n", lane.entry(n))
            lanes.same(cursor.fetchone(), (n,))
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE entries SET body = body || ' changed' WHERE lane = %s AND n %% 2 = 0", (lane.number,))
        cursor.execute("DELETE FROM entries WHERE lane = %s AND n > %s", (lane.number, lanes.KEPT))
        lanes.same(cursor.rowcount, len(lanes.ROWS) - lanes.KEPT)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO entries VALUES (%s, %s, %s, %s)", [lane.entry(n) for n in lanes.MANY[:25]])
        psycopg2.extras.execute_values(cursor, "INSERT INTO entries VALUES %s", [lane.entry(n) for n in lanes.MANY[25:]])
        cursor.execute("SELECT count(*) FROM entries WHERE lane = %s", (lane.number,))
        lanes.same(cursor.fetchone(), (lanes.KEPT + len(lanes.MANY),))
    connection.autocommit = False


def undone(connection, lane):
    """What is rolled back, by us, by an error, to a savepoint."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM entries WHERE lane = %s", (lane.number,))
        connection.rollback()
        cursor.execute("INSERT INTO entries VALUES (%s, %s, %s, %s)", lane.entry(lanes.LOST))
        try:
            cursor.execute("SELECT 1/0")
        except psycopg2.errors.DivisionByZero:
            connection.rollback()
        cursor.execute("INSERT INTO entries VALUES (%s, %s, %s, %s)", lane.entry(lanes.SAVED[0]))
        cursor.execute("SAVEPOINT before")
        cursor.execute("INSERT INTO entries VALUES (%s, %s, %s, %s)", lane.entry(lanes.LOST))
        cursor.execute("ROLLBACK TO SAVEPOINT before")
        cursor.execute("INSERT INTO entries VALUES (%s, %s, %s, %s)", lane.entry(lanes.SAVED[1]))
        connection.commit()


def copies(connection, lane):
    text = "".join("\t".join(map(str, lane.entry(n))) + "\n" for n in lanes.COPIED)
    with connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY entries FROM STDIN", io.StringIO(text))
        back = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT * FROM entries WHERE lane = {lane.number} AND n >= {lanes.COPIED[0]} "
                           "ORDER BY n) TO STDOUT", back)
        lanes.same(back.getvalue(), text)


def large(connection):
    with connection, connection.cursor("portions") as cursor:       # a cursor on the server, in portions
        cursor.itersize = 700
        cursor.execute(lanes.SERIES)
        lanes.same(sum(n for (n,) in cursor), lanes.SERIES_SUM)
    with connection, connection.cursor() as cursor:
        cursor.execute(lanes.WIDE)
        lanes.same(lanes.digest(text for (text,) in cursor), lanes.WIDE_DIGEST)
        cursor.execute("SELECT md5(%s), %s", (lanes.LONG_TEXT, lanes.LONG_TEXT))
        lanes.same(cursor.fetchone(), (lanes.LONG_MD5, lanes.LONG_TEXT))


def notices(lane):
    with lane.closing(lane.connect(psycopg2)) as listener, listener.cursor() as cursor:
        listener.autocommit = True
        cursor.execute(f"LISTEN lane_{lane.number}")
        with lane.closing(lane.connect(psycopg2)) as other, other, other.cursor() as sender:
            sender.execute("SELECT pg_notify(%s, 'hello')", (f"lane_{lane.number}",))
        while not listener.notifies:
            if not select.select([listener], [], [], 30)[0]:
                raise AssertionError("no notification in 30 s")
            listener.poll()
        lanes.same(listener.notifies[0].payload, "hello")


def transfers(connection, lane):
    for source, target in lane.transfers():
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT balance FROM accounts WHERE id IN %s ORDER BY id FOR UPDATE", ((source, target),))
            lanes.same(len(cursor.fetchall()), 2)
            cursor.execute("UPDATE accounts SET balance = balance - 1, moves = moves + 1 WHERE id = %s", (source,))
            cursor.execute("UPDATE accounts SET balance = balance + 1 WHERE id = %s", (target,))


def work(lane):
    with lane.closing(lane.connect(psycopg2)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET application_name = %s", (f"lane {lane.number}",))
        rows(connection, lane)
        undone(connection, lane)
        copies(connection, lane)
        large(connection)
        transfers(connection, lane)
        notices(lane)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW application_name")
            lanes.same(cursor.fetchone(), (f"lane {lane.number}",))


if __name__ == "__main__":
    lanes.in_threads(work, *sys.argv[1:])
