"""A soak: fifty clients of every kind, while sessions and clients are killed and queries canceled at random.
Twenty seconds of it in an ordinary run, five minutes with PGBROKER_LONG=1."""
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import meter
import pgbench
import process
import protocol
import story
from world import World

SECONDS = 300 if story.LONG else 20

SCRIPTS = {
    "simple": (pgbench.READ_AND_ADD, "simple"),
    "extended": (pgbench.READ_AND_ADD_IN_BLOCK, "extended"),
    "prepared": (pgbench.READ_AND_ADD, "prepared"),
    "settings": ("SET work_mem TO '3MB';\n" + pgbench.READ_AND_ADD + "RESET work_mem;\n", "simple"),
    "long": ("BEGIN;\nSELECT n FROM counters LIMIT 3;\n\\sleep 200 ms\nSELECT count(*) FROM counters;\nEND;\n", "simple"),
    "big": ("SELECT repeat('x', 1000) FROM generate_series(1, 2000);\n", "extended"),
}


class Soak(story.Story):
    timeout = SECONDS + 120.0

    def start(self, daemon):
        """pgbench gives up a client that was killed: each is started again as it ends. 50 clients in all."""
        return {name: self.bench(daemon, name) for name in SCRIPTS}

    def bench(self, daemon, name):
        script, mode = SCRIPTS[name]
        bench = pgbench.Pgbench(daemon.uri(), seconds=SECONDS, clients=7, query_mode=mode, script=script, rate=70)
        self.addCleanup(bench.stop)
        return bench

    @staticmethod
    def copies_and_errors(daemon, stop, complaints):
        """COPY both ways, and errors in every protocol, with the answers checked."""
        lines = b"".join(b"%d\tline\n" % number for number in range(2000))
        while not stop.is_set():
            try:
                with daemon.connect(timeout=60) as client:
                    while not stop.is_set():
                        client.send(protocol.query("BEGIN; CREATE TEMP TABLE t (n int, v text) ON COMMIT DROP; "
                                                   "COPY t FROM STDIN"))
                        client.read_until("G")
                        client.send(protocol.copy_data(lines) + protocol.copy_done())
                        client.answer()
                        client.send(protocol.query("COPY t TO STDOUT"))
                        data = b"".join(payload for kind, payload in client.read_until("Z") if kind == "d")
                        if data != lines:
                            complaints.append(f"COPY gave {len(data)} bytes back, not {len(lines)}")
                        client.query("ROLLBACK")
                        client.send(protocol.parse("SELECT 1/$1::int") + protocol.bind([0]) + protocol.execute()
                                    + protocol.sync() + protocol.query("SELECT 'after'"))
                        if client.collect().error.sqlstate != "22012" or client.answer().value() != "after":
                            complaints.append("an error was answered wrongly")
            except (protocol.ServerError, protocol.Gone, OSError) as error:
                if "violation" in str(error) or "closed: the server sent" in str(error):
                    complaints.append(str(error))

    @staticmethod
    def cancels(daemon, stop):
        """Queries that are canceled at some moment, often when they are over."""
        dice = random.Random(7)
        while not stop.is_set():
            try:
                with daemon.connect(timeout=60) as client:
                    for _ in range(20):
                        client.send(protocol.query("SELECT pg_sleep(0.02)"))
                        stop.wait(dice.random() * 0.04)
                        with daemon.raw() as other:
                            other.send(protocol.cancel_request(client.pid, client.key))
                        client.collect()
            except (protocol.ServerError, protocol.Gone, OSError):
                pass

    def disturb(self, daemon, benches, admin, dice):
        """One mishap."""
        if dice.random() < 0.6:
            admin.query("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
                        "WHERE usename = current_user AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS one")
        else:
            process.stop(benches[dice.choice(sorted(benches))].child, story.signal.SIGKILL)

    def test_nothing_gets_out_of_step_and_nothing_grows(self):
        with World(self.server) as world:
            world.add("prod", counters=True, pool={"pool_size": 15, "server_lifetime": "5s"})
            daemon = self.watch(world.start())
            stop, complaints, dice = threading.Event(), [], random.Random(time.time_ns())
            threads = [threading.Thread(target=self.copies_and_errors, args=(daemon, stop, complaints), daemon=True)
                       for _ in range(4)]
            threads += [threading.Thread(target=self.cancels, args=(daemon, stop), daemon=True) for _ in range(4)]
            benches = self.start(daemon)
            for thread in threads:
                thread.start()
            end, warm, mishaps, began_with = time.monotonic() + SECONDS, SECONDS / 4, 0, None
            while time.monotonic() < end:
                try:
                    with daemon.connect(timeout=60) as admin:
                        while time.monotonic() < end:
                            self.disturb(daemon, benches, admin, dice)
                            mishaps += 1
                            time.sleep(0.25)
                            for name, bench in benches.items():
                                if bench.child.poll() is not None:
                                    process.stop(bench.child)
                                    benches[name] = self.bench(daemon, name)
                            if began_with is None and time.monotonic() > end - SECONDS + warm:
                                began_with = daemon.resident_kb()
                except (protocol.ServerError, protocol.Gone):
                    pass
            grown = daemon.resident_kb() - began_with
            stop.set()
            for bench in benches.values():
                bench.stop()
            for thread in threads:
                thread.join(60)
            self.until(lambda: not daemon.show("CLIENTS", database="prod"), "all clients to be gone")
            self.assertEqual(complaints, [])
            self.assertNotIn("out of sync", daemon.log())
            self.assertNotRegex(daemon.log(), r"protocol violation|XX000")
            self.assertGreater(mishaps, SECONDS / 4)
            self.assertEqual(daemon.connect().query("SELECT 1").value(), "1")
            if not meter.sanitized(daemon):
                self.assertLess(grown, 8192, "kB more than when it was warm")
            transactions = int(daemon.show("STATS_TOTALS", database="prod")[0]["xact_count"])
            print(f"      {mishaps} mishaps, {transactions} transactions in {SECONDS} s, {grown} kB more than when it was warm",
                  flush=True)
            self.assertGreater(transactions, 10 * SECONDS)


if __name__ == "__main__":
    story.main()
