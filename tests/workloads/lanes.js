// What both of node's drivers do, in the words of lanes.py; the rows that are left are the same too.
const crypto = require('crypto');

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const md5 = text => crypto.createHash('md5').update(text).digest('hex');

exports.ROWS = range(1, 20);
exports.KEPT = 15;
exports.SAVED = [100, 102];
exports.LOST = 101;
exports.MANY = range(201, 250);
exports.COPIED = range(1001, 1500);
exports.SERIES = 'SELECT g FROM generate_series(1, 5000) g';
exports.SERIES_SUM = 5000 * 5001 / 2;
exports.WIDE = 'SELECT repeat(md5(g::text), 8) AS text FROM generate_series(1, 20000) g';
exports.WIDE_DIGEST = md5(range(1, 20000).map(g => md5(String(g)).repeat(8)).join(''));
exports.LONG_TEXT = 'wide '.repeat(400000);
exports.LONG_MD5 = md5(exports.LONG_TEXT);
exports.md5 = md5;

exports.same = (got, wanted) => {
  const [g, w] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (g !== w) throw new Error(`${String(g).slice(0, 200)}, not ${String(w).slice(0, 200)}`);
};

class Lane {
  constructor(number) { this.number = number; }
  entry(n) { return [this.number * 10000 + n, this.number, n, `${this.number}:${n}`]; }
  transfers() {
    return range(1, 20).map(turn => {
      const source = 1 + (this.number + turn) % 10;
      return [source, 1 + (source + turn % 8) % 10];
    });
  }
}

// All lanes at once; the first that fails ends the program with its error.
exports.run = async work => {
  const [directory, worker, count] = process.argv.slice(2);
  const lanes = range(0, Number(count) - 1).map(number => new Lane(Number(worker) * 10 + number));
  try {
    await work(directory, lanes);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
};
