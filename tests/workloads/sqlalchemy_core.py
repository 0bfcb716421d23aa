"""SQLAlchemy Core over psycopg2: one engine with its own pool, a thread a lane.

    sqlalchemy_core.py DIRECTORY WORKER LANES
"""
import sys

import lanes
import sqlalchemy
from sqlalchemy import bindparam, column, delete, func, insert, select, table, update

ENTRIES = table("entries", column("id"), column("lane"), column("n"), column("body"))
ACCOUNTS = table("accounts", column("id"), column("balance"), column("moves"))
NAMES = ("id", "lane", "n", "body")
ENGINE = sqlalchemy.create_engine("postgresql+psycopg2://core@/prod", pool_size=2, max_overflow=1, pool_timeout=120,
                                  connect_args={"host": sys.argv[1]}, future=True)


def values(lane, n):
    return dict(zip(NAMES, lane.entry(n)))


def rows(lane):
    with ENGINE.begin() as connection:
        for n in lanes.ROWS:
            connection.execute(insert(ENTRIES).values(values(lane, n)))
    with ENGINE.begin() as connection:
        mine = ENTRIES.c.lane == lane.number
        connection.execute(update(ENTRIES).where(mine, ENTRIES.c.n % 2 == 0).values(body=ENTRIES.c.body + " changed"))
        gone = connection.execute(delete(ENTRIES).where(mine, ENTRIES.c.n > lanes.KEPT))
        lanes.same(gone.rowcount, len(lanes.ROWS) - lanes.KEPT)
        connection.execute(insert(ENTRIES), [values(lane, n) for n in lanes.MANY])
        connection.execute(insert(ENTRIES).values({name: bindparam(name) for name in NAMES}),
                           [values(lane, n) for n in lanes.COPIED])
        lanes.same(connection.execute(select(func.count()).select_from(ENTRIES).where(mine)).scalar_one(),
                   lanes.KEPT + len(lanes.MANY) + len(lanes.COPIED))


def undone(lane):
    with ENGINE.connect() as connection:
        transaction = connection.begin()
        connection.execute(delete(ENTRIES).where(ENTRIES.c.lane == lane.number))
        transaction.rollback()
    try:
        with ENGINE.begin() as connection:
            connection.execute(insert(ENTRIES).values(values(lane, lanes.LOST)))
            connection.execute(sqlalchemy.text("SELECT 1/0"))
    except sqlalchemy.exc.DataError as error:
        lanes.same(error.orig.pgcode, "22012")
    with ENGINE.begin() as connection:
        connection.execute(insert(ENTRIES).values(values(lane, lanes.SAVED[0])))
        inner = connection.begin_nested()
        connection.execute(insert(ENTRIES).values(values(lane, lanes.LOST)))
        inner.rollback()
        connection.execute(insert(ENTRIES).values(values(lane, lanes.SAVED[1])))


def large():
    with ENGINE.connect().execution_options(stream_results=True) as connection:
        result = connection.execute(sqlalchemy.text(lanes.SERIES))
        lanes.same(sum(n for part in result.scalars().partitions(700) for n in part), lanes.SERIES_SUM)
    with ENGINE.connect() as connection:
        lanes.same(lanes.digest(connection.execute(sqlalchemy.text(lanes.WIDE)).scalars()), lanes.WIDE_DIGEST)
        back = connection.execute(select(func.md5(bindparam("long", lanes.LONG_TEXT, sqlalchemy.Text)))).scalar_one()
        lanes.same(back, lanes.LONG_MD5)


def transfers(lane):
    for source, target in lane.transfers():
        with ENGINE.begin() as connection:
            found = connection.execute(select(ACCOUNTS.c.balance).where(ACCOUNTS.c.id.in_([source, target]))
                                       .order_by(ACCOUNTS.c.id).with_for_update()).all()
            lanes.same(len(found), 2)
            for account, change, moves in ((source, -1, 1), (target, 1, 0)):
                connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account).values(
                    balance=ACCOUNTS.c.balance + change, moves=ACCOUNTS.c.moves + moves))


def work(lane):
    rows(lane)
    undone(lane)
    large()
    transfers(lane)


if __name__ == "__main__":
    lanes.in_threads(work, *sys.argv[1:])
