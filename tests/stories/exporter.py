"""Debian's prometheus-pgbouncer-exporter, as it is packaged, reads the console and is read like Prometheus would."""
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import story
from world import World

PROGRAM = "/usr/bin/prometheus-pgbouncer-exporter"


class Exporter(story.Story):
    """The exporter knows PgBouncer 1.7's columns: PGOPTIONS asks the console for them."""

    def start(self, daemon, **variables):
        """The exporter, listening or at its end."""
        if not shutil.which(PROGRAM):
            self.skipTest("prometheus-pgbouncer-exporter is not installed")
        for _ in range(10):
            child = self.start_once(daemon, **variables)
            self.until(lambda: child.poll() is not None or "Listing on port" in self.said.read_text(),
                       "the exporter to listen or to end", 30)
            if "Address already in use" not in self.said.read_text():       # else somebody took the port first
                return child
        raise AssertionError("no free port")

    def start_once(self, daemon, **variables):
        self.port = place.free_port()
        self.said = place.directory("exporter") / "log"
        with open(self.said, "wb") as log:
            child = process.start([PROGRAM, "--host", "127.0.0.1", "--port", self.port, "--pgbouncer-host",
                                   daemon.directory, "--pgbouncer-port", daemon.port], stdout=log, stderr=log,
                                  env=broker.environment("/nonexistent", **variables))
        self.addCleanup(process.stop, child)
        return child

    def scrape(self):
        """{'metric{labels}': value}, once there is an answer."""
        def page():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                    return answer.read().decode()
            except (urllib.error.URLError, OSError):
                return None
        lines = self.until(page, "the exporter to answer", 30).splitlines()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in lines if line.startswith("pgbouncer_"))}

    def test_it_tells_prometheus_what_the_console_says(self):
        with World(self.server) as world:
            environment = world.add("prod", pool={"pool_size": 4, "reserve_pool_size": 2})
            daemon = self.watch(world.start())
            with daemon.connect() as client:
                for _ in range(10):
                    client.query("SELECT 1")
                self.start(daemon, PGOPTIONS="-c pgbroker.former_columns=on")
                metrics = self.scrape()
                stats, = daemon.show("STATS")
                labels = f'database="prod",user="{environment.role}"'
                database = f'{{database="{environment.database}"}}'
                self.assertEqual(metrics['pgbouncer_requests_total{database="prod"}'], int(stats["total_query_count"]))
                self.assertGreaterEqual(metrics['pgbouncer_requests_total{database="prod"}'], 10)
                for name in ("received_bytes_total", "sent_bytes_total", "query_microseconds_total"):
                    self.assertGreater(metrics[f'pgbouncer_{name}{{database="prod"}}'], 0)
                self.assertEqual((metrics[f"pgbouncer_active_clients{{{labels}}}"],
                                  metrics[f"pgbouncer_waiting_clients{{{labels}}}"]), (1, 0))
                self.assertEqual((metrics[f"pgbouncer_pool_size{database}"],
                                  metrics[f"pgbouncer_reserve_pool{database}"]), (4, 2))
                self.assertEqual((metrics["pgbouncer_databases"], metrics["pgbouncer_used_clients"]), (1, 1))
                client.query("SELECT 1")
                self.assertEqual(self.scrape()['pgbouncer_requests_total{database="prod"}'],
                                 metrics['pgbouncer_requests_total{database="prod"}'] + 1)

    def test_without_those_columns_it_does_not_start_as_with_any_pgbouncer_since_1_8(self):
        with World(self.server) as world:
            world.add("prod")
            child = self.start(self.watch(world.start()))
            self.assertNotEqual(child.wait(20), 0)
            self.assertIn("KeyError: 'total_requests'", self.said.read_text())


if __name__ == "__main__":
    story.main()
