"""What every driver's workload does, whatever the driver: numbers, texts, and the threads that do it.

A lane is one line of work, a thread or a task. All leave the same rows behind, which the story then counts:
see tests/support/workload.py.
"""
import contextlib
import hashlib
import random
import threading
import traceback

ROWS, KEPT = range(1, 21), 15                # inserted one by one; the last five are deleted again
SAVED, LOST = (100, 102), 101                # around a savepoint; LOST is always rolled back
MANY = range(201, 251)
COPIED = range(1001, 1501)
ACCOUNTS, TRANSFERS = 10, 20

SERIES, SERIES_SUM = "SELECT g FROM generate_series(1, 5000) g", 5000 * 5001 // 2
WIDE = "SELECT repeat(md5(g::text), 8) FROM generate_series(1, 20000) g"        # five megabytes
LONG_TEXT = "wide " * 400_000                                                   # two megabytes


def digest(texts):
    return hashlib.md5("".join(texts).encode()).hexdigest()


WIDE_DIGEST = digest(hashlib.md5(str(g).encode()).hexdigest() * 8 for g in range(1, 20001))
LONG_MD5 = digest([LONG_TEXT])


def same(got, wanted):
    """An assertion whose message stays short."""
    if got != wanted:
        raise AssertionError(f"{str(got)[:200]}, not {str(wanted)[:200]}")


class Lane:
    """One line of work: its number, its rows, its way to the broker."""

    closing = staticmethod(contextlib.closing)

    def __init__(self, directory, number):
        self.directory, self.number = directory, number

    def entry(self, n):
        """The row of `entries` that has this number: id, lane, n, body."""
        return (self.number * 10000 + n, self.number, n, f"{self.number}:{n}")

    def connect(self, driver):
        return driver.connect(host=self.directory, dbname="prod", user=f"lane{self.number}")

    def transfers(self):
        """Pairs of different accounts, the same in each run."""
        dice = random.Random(self.number)
        return [tuple(dice.sample(range(1, ACCOUNTS + 1), 2)) for _ in range(TRANSFERS)]


def all_of(directory, worker, count):
    return [Lane(directory, int(worker) * 10 + number) for number in range(int(count))]


def in_threads(work, directory, worker, count):
    """work(lane) in a thread for each lane; exit status 1 and the traceback if one fails."""
    failed = []

    def one(lane):
        try:
            work(lane)
        except BaseException:
            traceback.print_exc()
            failed.append(lane)

    threads = [threading.Thread(target=one, args=(lane,)) for lane in all_of(directory, worker, count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise SystemExit(1 if failed else 0)
