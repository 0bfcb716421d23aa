// node-postgres (pg): one pg.Pool, lanes as promises; statements have a name where the program gives one.
//     node_postgres.js DIRECTORY WORKER LANES
const { Client, Pool } = require('pg');
const lanes = require('./lanes.js');

const INSERT = 'INSERT INTO entries VALUES ($1, $2, $3, $4)';

async function within(pool, work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const value = await work(client);
    await client.query('COMMIT');
    return value;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function rows(pool, lane) {
  for (const n of lanes.ROWS) {
    const done = await pool.query({ name: 'insert', text: INSERT + ' RETURNING n', values: lane.entry(n) });
    lanes.same(done.rows, [{ n }]);
  }
  await within(pool, async client => {
    await client.query("UPDATE entries SET body = body || ' changed' WHERE lane = $1 AND n % 2 = 0", [lane.number]);
    const gone = await client.query('DELETE FROM entries WHERE lane = $1 AND n > $2', [lane.number, lanes.KEPT]);
    lanes.same(gone.rowCount, lanes.ROWS.length - lanes.KEPT);
  });
  await Promise.all(lanes.MANY.map(n => pool.query(INSERT, lane.entry(n))));
  const many = lanes.COPIED.map(n => lane.entry(n));
  await pool.query('INSERT INTO entries SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::text[])',
    [0, 1, 2, 3].map(column => many.map(entry => entry[column])));
}

async function undone(pool, lane) {
  try {
    await within(pool, async client => {
      await client.query('DELETE FROM entries WHERE lane = $1', [lane.number]);
      await client.query('SELECT 1/0');
    });
  } catch (error) {
    lanes.same(error.code, '22012');
  }
  await within(pool, async client => {
    await client.query(INSERT, lane.entry(lanes.SAVED[0]));
    await client.query('SAVEPOINT before');
    await client.query(INSERT, lane.entry(lanes.LOST));
    await client.query('ROLLBACK TO SAVEPOINT before');
    await client.query(INSERT, lane.entry(lanes.SAVED[1]));
  });
}

async function large(pool) {
  const total = await within(pool, async client => {
    await client.query('DECLARE portions CURSOR FOR ' + lanes.SERIES);
    for (let sum = 0; ;) {
      const part = await client.query('FETCH 700 FROM portions');
      if (part.rows.length === 0) return sum;
      sum = part.rows.reduce((before, row) => before + row.g, sum);
    }
  });
  lanes.same(total, lanes.SERIES_SUM);
  const wide = await pool.query(lanes.WIDE);
  lanes.same(lanes.md5(wide.rows.map(row => row.text).join('')), lanes.WIDE_DIGEST);
  const back = await pool.query('SELECT md5($1::text) AS md5, $1::text AS text', [lanes.LONG_TEXT]);
  lanes.same(back.rows, [{ md5: lanes.LONG_MD5, text: lanes.LONG_TEXT }]);
}

async function transfers(pool, lane) {
  for (const [source, target] of lane.transfers()) {
    await within(pool, async client => {
      const found = await client.query('SELECT balance FROM accounts WHERE id = ANY($1::int[]) ORDER BY id FOR UPDATE',
        [[source, target]]);
      lanes.same(found.rows.length, 2);
      await client.query('UPDATE accounts SET balance = balance - 1, moves = moves + 1 WHERE id = $1', [source]);
      await client.query('UPDATE accounts SET balance = balance + 1 WHERE id = $1', [target]);
    });
  }
}

async function notices(directory, pool, lane) {
  const listener = new Client({ host: directory, port: 5432, database: 'prod', user: 'listener' });
  await listener.connect();
  const heard = new Promise(resolve => listener.on('notification', resolve));
  await listener.query(`LISTEN lane_${lane.number}`);
  await pool.query('SELECT pg_notify($1, $2)', [`lane_${lane.number}`, 'hello']);
  lanes.same((await heard).payload, 'hello');
  await listener.end();
}

lanes.run(async (directory, all) => {
  const pool = new Pool({ host: directory, port: 5432, database: 'prod', user: 'node', max: all.length });
  await Promise.all(all.map(async lane => {
    await rows(pool, lane);
    await undone(pool, lane);
    await large(pool);
    await transfers(pool, lane);
    await notices(directory, pool, lane);
  }));
  await pool.end();
});
