"""asyncpg: a task a lane, all over one asyncpg pool; every statement is prepared under a name.

    asyncpg_tasks.py DIRECTORY WORKER LANES
"""
import asyncio
import io
import sys

import asyncpg
import lanes

INSERT = "INSERT INTO entries VALUES ($1, $2, $3, $4)"


async def rows(pool, lane):
    async with pool.acquire() as connection:
        for n in lanes.ROWS:
            lanes.same(await connection.fetchval(INSERT + " RETURNING n", *lane.entry(n)), n)
        async with connection.transaction():
            await connection.execute("UPDATE entries SET body = body || ' changed' WHERE lane = $1 AND n % 2 = 0",
                                     lane.number)
            lanes.same(await connection.execute("DELETE FROM entries WHERE lane = $1 AND n > $2", lane.number,
                                                lanes.KEPT), f"DELETE {len(lanes.ROWS) - lanes.KEPT}")
        await connection.executemany(INSERT, [lane.entry(n) for n in lanes.MANY])


async def undone(pool, lane):
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM entries WHERE lane = $1", lane.number)
                await connection.fetchval("SELECT 1/0")
        except asyncpg.DivisionByZeroError:
            pass
        async with connection.transaction():
            await connection.execute(INSERT, *lane.entry(lanes.SAVED[0]))
            inner = connection.transaction()                # a transaction in a transaction is a savepoint
            await inner.start()
            await connection.execute(INSERT, *lane.entry(lanes.LOST))
            await inner.rollback()
            await connection.execute(INSERT, *lane.entry(lanes.SAVED[1]))


async def copies(pool, lane):
    async with pool.acquire() as connection:
        await connection.copy_records_to_table("entries", records=[lane.entry(n) for n in lanes.COPIED])
        back = io.BytesIO()
        await connection.copy_from_query(f"SELECT * FROM entries WHERE lane = {lane.number} AND n >= {lanes.COPIED[0]} "
                                         "ORDER BY n", output=back)
        lanes.same(back.getvalue().decode(),
                   "".join("\t".join(map(str, lane.entry(n))) + "\n" for n in lanes.COPIED))


async def large(pool):
    async with pool.acquire() as connection:
        async with connection.transaction():
            total = 0
            async for record in connection.cursor(lanes.SERIES, prefetch=700):
                total += record[0]
            lanes.same(total, lanes.SERIES_SUM)
        lanes.same(lanes.digest(record[0] for record in await connection.fetch(lanes.WIDE)), lanes.WIDE_DIGEST)
        lanes.same(tuple(await connection.fetchrow("SELECT md5($1::text), $1::text", lanes.LONG_TEXT)),
                   (lanes.LONG_MD5, lanes.LONG_TEXT))


async def transfers(pool, lane):
    for source, target in lane.transfers():
        async with pool.acquire() as connection, connection.transaction():
            found = await connection.fetch("SELECT balance FROM accounts WHERE id = ANY($1::int[]) ORDER BY id "
                                           "FOR UPDATE", [source, target])
            lanes.same(len(found), 2)
            await connection.execute("UPDATE accounts SET balance = balance - 1, moves = moves + 1 WHERE id = $1", source)
            await connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = $1", target)


async def notices(pool, lane):
    heard = asyncio.get_running_loop().create_future()
    async with pool.acquire() as connection:
        def hear(_connection, _pid, _channel, payload):
            heard.done() or heard.set_result(payload)
        await connection.add_listener(f"lane_{lane.number}", hear)
        await connection.execute("SELECT pg_notify($1, 'hello')", f"lane_{lane.number}")
        lanes.same(await asyncio.wait_for(heard, 30), "hello")
        await connection.remove_listener(f"lane_{lane.number}", hear)


async def work(pool, lane):
    await rows(pool, lane)
    await undone(pool, lane)
    await copies(pool, lane)
    await large(pool)
    await transfers(pool, lane)
    await notices(pool, lane)


async def main(directory, worker, count):
    async with asyncpg.create_pool(host=directory, database="prod", user="tasks", min_size=1, max_size=int(count)) as pool:
        await asyncio.gather(*(work(pool, lane) for lane in lanes.all_of(directory, worker, count)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
