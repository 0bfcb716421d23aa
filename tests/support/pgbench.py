"""pgbench as the load: how many transactions ran, how many failed, and how many the database has seen.

Every transaction adds 1 to one of the counters, so their sum says whether a transaction that the
client believes in was lost or done twice.
"""
import pathlib
import re
import signal

import broker
from cluster import BINARIES
import place
import process

SETUP = """
CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
INSERT INTO counters SELECT generate_series(1, 1000);
"""

READ_AND_ADD = """
\\set id random(1, 1000)
SELECT n FROM counters WHERE id = :id;
UPDATE counters SET n = n + 1 WHERE id = :id;
"""

READ_AND_ADD_IN_BLOCK = """
\\set id random(1, 1000)
BEGIN;
SELECT n FROM counters WHERE id = :id;
UPDATE counters SET n = n + 1 WHERE id = :id;
END;
"""


class Outcome:
    """What pgbench said at its end."""

    def __init__(self, status, output):
        self.status, self.output = status, output
        found = re.search(r"number of transactions actually processed: (\d+)", output)
        self.transactions = int(found.group(1)) if found else 0
        found = re.search(r"number of failed transactions: (\d+)", output)
        self.failed = int(found.group(1)) if found else 0
        self.clean = status == 0 and self.failed == 0 and not re.search(r"error:|aborted|ERROR:|FATAL:", output)

    def __str__(self):
        return f"status {self.status}, {self.transactions} transactions, failed {self.failed}\n{self.output[-3000:]}"


class Pgbench:
    """One running pgbench. rate bounds the transactions a second, so that a small machine stays usable. It ends after
    so many seconds or transactions, or by end()."""

    def __init__(self, uri, seconds=3600, clients=4, reconnect=False, query_mode="simple", rate=None,
                 script=READ_AND_ADD, transactions=None, uid=None, jobs=1):
        self.place = place.directory("bench")
        file = self.place / "script.sql"
        file.write_text(script)
        self.output = self.place / "output"
        words = [BINARIES / "pgbench", "-n", "-f", file, "-c", clients, "-j", jobs, "-M", query_mode]
        words += ["-T", seconds] if transactions is None else ["-t", transactions]
        words += ["-C"] if reconnect else []
        words += ["-R", rate] if rate else []
        with open(self.output, "wb") as output:
            self.child = process.start([*words, uri], uid=uid, stdout=output, stderr=output, cwd="/",
                                       env=broker.environment("/nonexistent"))

    def end(self):
        """Ends it as its own clock would."""
        process.wait_until(self._has_set_its_clock, "pgbench to begin", 60)
        self.child.send_signal(signal.SIGALRM)
        return self.finish()

    def _has_set_its_clock(self):
        """Or has ended."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.M)
        return self.child.poll() is not None or int(caught.group(1), 16) >> signal.SIGALRM - 1 & 1

    def finish(self, timeout=180):
        """Waits for its ordinary end."""
        status = self.child.wait(timeout)
        process.stop(self.child)
        return Outcome(status, self.output.read_text(errors="replace"))

    def stop(self):
        process.stop(self.child, signal.SIGKILL)
