// postgres.js: one sql`` with its own pool, lanes as promises; every statement is prepared under a name and pipelined.
//     postgres_js.js DIRECTORY WORKER LANES [unnamed]
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const postgres = require('postgres');
const lanes = require('./lanes.js');

const insert = (sql, entry) => sql`INSERT INTO entries VALUES (${entry[0]}, ${entry[1]}, ${entry[2]}, ${entry[3]})`;

async function rows(sql, lane) {
  await Promise.all(lanes.ROWS.map(n => insert(sql, lane.entry(n))));
  await sql.begin(async sql => {
    await sql`UPDATE entries SET body = body || ' changed' WHERE lane = ${lane.number} AND n % 2 = 0`;
    const gone = await sql`DELETE FROM entries WHERE lane = ${lane.number} AND n > ${lanes.KEPT}`;
    lanes.same(gone.count, lanes.ROWS.length - lanes.KEPT);
  });
  const many = lanes.MANY.map(n => lane.entry(n)).map(([id, lane, n, body]) => ({ id, lane, n, body }));
  await sql`INSERT INTO entries ${sql(many)}`;
}

async function undone(sql, lane) {
  try {
    await sql.begin(async sql => {
      await sql`DELETE FROM entries WHERE lane = ${lane.number}`;
      await sql`SELECT 1/0`;
    });
  } catch (error) {
    lanes.same(error.code, '22012');
  }
  await sql.begin(async sql => {
    await insert(sql, lane.entry(lanes.SAVED[0]));
    await sql.savepoint(async sql => {
      await insert(sql, lane.entry(lanes.LOST));
      throw new Error('back');
    }).catch(error => lanes.same(error.message, 'back'));
    await insert(sql, lane.entry(lanes.SAVED[1]));
  });
}

async function copies(sql, lane) {
  const lines = lanes.COPIED.map(n => lane.entry(n).join('\t') + '\n');
  await pipeline(Readable.from(lines), await sql`COPY entries FROM STDIN`.writable());
  const back = [];
  for await (const chunk of await sql`COPY (SELECT * FROM entries WHERE lane = ${sql.unsafe(String(lane.number))}
      AND n >= 1001 ORDER BY n) TO STDOUT`.readable()) back.push(chunk);
  lanes.same(Buffer.concat(back).toString(), lines.join(''));
}

async function large(sql) {
  let total = 0;
  await sql.unsafe(lanes.SERIES, [], { prepare: false }).cursor(700, part => {
    total = part.reduce((before, row) => before + row.g, total);
  });
  lanes.same(total, lanes.SERIES_SUM);
  const wide = await sql.unsafe(lanes.WIDE);
  lanes.same(lanes.md5(wide.map(row => row.text).join('')), lanes.WIDE_DIGEST);
  const [back] = await sql`SELECT md5(${lanes.LONG_TEXT}::text) AS md5, ${lanes.LONG_TEXT}::text AS text`;
  lanes.same(back, { md5: lanes.LONG_MD5, text: lanes.LONG_TEXT });
}

async function transfers(sql, lane) {
  for (const pair of lane.transfers()) {
    await sql.begin(async sql => {
      const found = await sql`SELECT balance FROM accounts WHERE id = ANY(${pair}::int[]) ORDER BY id FOR UPDATE`;
      lanes.same(found.length, 2);
      await sql`UPDATE accounts SET balance = balance - 1, moves = moves + 1 WHERE id = ${pair[0]}`;
      await sql`UPDATE accounts SET balance = balance + 1 WHERE id = ${pair[1]}`;
    });
  }
}

async function notices(sql, lane) {
  let hear;
  const heard = new Promise(resolve => { hear = resolve; });
  const listening = await sql.listen(`lane_${lane.number}`, hear);      // on a connection of its own
  await sql.notify(`lane_${lane.number}`, 'hello');
  lanes.same(await heard, 'hello');
  await listening.unlisten();
}

lanes.run(async (directory, all) => {
  const sql = postgres({ host: directory, port: 5432, database: 'prod', user: 'js', max: all.length,
    prepare: process.argv[5] !== 'unnamed', onnotice: () => {} });
  await Promise.all(all.map(async lane => {
    await rows(sql, lane);
    await undone(sql, lane);
    await copies(sql, lane);
    await large(sql);
    await transfers(sql, lane);
    await notices(sql, lane);
  }));
  await sql.end();
});
