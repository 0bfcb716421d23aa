"""SQLAlchemy's ORM over psycopg2: units of work, a session a piece of work, a thread a lane.

    sqlalchemy_orm.py DIRECTORY WORKER LANES
"""
import sys

import lanes
import sqlalchemy
from sqlalchemy import BigInteger, Column, Integer, Text, func, select
from sqlalchemy.orm import declarative_base, sessionmaker

Base = declarative_base()
ENGINE = sqlalchemy.create_engine("postgresql+psycopg2://orm@/prod", pool_size=2, max_overflow=1, pool_timeout=120,
                                  pool_pre_ping=True, connect_args={"host": sys.argv[1]}, future=True)
Session = sessionmaker(ENGINE, future=True)


class Entry(Base):
    __tablename__ = "entries"
    id = Column(BigInteger, primary_key=True)
    lane = Column(Integer)
    n = Column(Integer)
    body = Column(Text)


class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    balance = Column(Integer)
    moves = Column(Integer)


def entry(lane, n):
    return Entry(**dict(zip(("id", "lane", "n", "body"), lane.entry(n))))


def rows(lane):
    with Session.begin() as session:
        session.add_all(entry(lane, n) for n in lanes.ROWS)
    with Session.begin() as session:
        for found in session.scalars(select(Entry).where(Entry.lane == lane.number).order_by(Entry.n)):
            if found.n > lanes.KEPT:
                session.delete(found)
            elif found.n % 2 == 0:
                found.body += " changed"
    with Session.begin() as session:
        session.add_all(entry(lane, n) for n in lanes.MANY)
        session.bulk_save_objects([entry(lane, n) for n in lanes.COPIED])
        session.flush()
        lanes.same(session.scalar(select(func.count(Entry.id)).where(Entry.lane == lane.number)),
                   lanes.KEPT + len(lanes.MANY) + len(lanes.COPIED))


def undone(lane):
    with Session() as session:
        session.query(Entry).filter_by(lane=lane.number).delete()
        session.rollback()
    try:
        with Session.begin() as session:
            session.add(entry(lane, lanes.LOST))
            session.flush()
            session.execute(sqlalchemy.text("SELECT 1/0"))
    except sqlalchemy.exc.DataError as error:
        lanes.same(error.orig.pgcode, "22012")
    with Session.begin() as session:
        session.add(entry(lane, lanes.SAVED[0]))
        inner = session.begin_nested()
        session.add(entry(lane, lanes.LOST))
        inner.rollback()
        session.add(entry(lane, lanes.SAVED[1]))


def large(lane):
    with Session() as session:
        mine = select(Entry).where(Entry.lane == lane.number).execution_options(yield_per=100)
        lanes.same(sum(1 for _ in session.scalars(mine)),
                   lanes.KEPT + len(lanes.MANY) + len(lanes.COPIED) + len(lanes.SAVED))
        lanes.same(lanes.digest(session.scalars(sqlalchemy.text(lanes.WIDE))), lanes.WIDE_DIGEST)


def transfers(lane):
    for pair in lane.transfers():
        with Session.begin() as session:
            found = {account.id: account for account in session.scalars(
                select(Account).where(Account.id.in_(pair)).order_by(Account.id).with_for_update())}
            found[pair[0]].balance -= 1
            found[pair[0]].moves += 1
            found[pair[1]].balance += 1


def work(lane):
    rows(lane)
    undone(lane)
    large(lane)
    transfers(lane)


if __name__ == "__main__":
    lanes.in_threads(work, *sys.argv[1:])
