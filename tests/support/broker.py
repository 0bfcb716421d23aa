"""pgbrokerd under test: started in a directory of its own, watched, ended, and asked how it is."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import place
import process
import protocol

SANITIZER_STATUS = 86
_SANITIZER_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|ASSERTION|Assertion .* failed")


def binaries():
    """The directory with pgbrokerd and pgbrokerctl."""
    return pathlib.Path(os.environ.get("PGBROKER_BIN", place.ROOT / "build" / "bin"))


def environment(home, manager=None, **more):
    """A clean environment: no PG* or AWS_* of the caller, HOME where nothing is."""
    values = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": str(home),
              "AWS_EC2_METADATA_DISABLED": "true",
              "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}", "TSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}",
              "UBSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:print_stacktrace=1"}
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            values[name] = ":".join(filter(None, [values.get(name), os.environ[name]]))
    if manager:
        values.update(manager.environment())
    values.update({name: str(value) for name, value in more.items() if value is not None})
    return values


def yaml(config):
    """Text as it stands; anything else as JSON, which is YAML."""
    return config if isinstance(config, str) else json.dumps(config, indent=2, default=str) + "\n"


def run(*words, config=None, home=None, manager=None, timeout=60, **variables):
    """pgbrokerd with these words to its end (--check, bad configurations); config is put in front as -c FILE."""
    home = home or place.directory("run")
    if config is not None:
        path = pathlib.Path(home) / "pgbroker.yaml"
        path.write_text(yaml(config))
        words = ("-c", path, *words)
    return process.run([binaries() / "pgbrokerd", *words], check=False, timeout=timeout, cwd=home,
                       env=environment(home, manager, **variables))


def ctl(*words, directory, port=5432, timeout=30):
    """pgbrokerctl against a socket directory."""
    return process.run([binaries() / "pgbrokerctl", "-h", directory, "-p", port, *words], check=False,
                       timeout=timeout, env=environment(directory))


class Broker:
    """One daemon. config is a dict (socket.directory is filled in), YAML text, or None for args alone."""

    def __init__(self, config=None, manager=None, args=(), uid=None, directory=None, port=5432, **variables):
        self.place = place.directory("br")
        self.directory = pathlib.Path(directory or self.place / "s")
        self.port, self.manager, self.uid = port, manager, uid
        self.args, self.variables = list(args), variables
        self.log_path = self.place / "log"
        self.config_path = self.place / "pgbroker.yaml"
        self.config = config
        self.child = None
        self.directory.mkdir(exist_ok=True)
        self.program = binaries() / "pgbrokerd"
        if uid is not None:
            self.program = shutil.copy(self.program, self.place / "pgbrokerd")     # where that uid can read it
            os.chown(self.directory, uid, -1)
            os.chown(self.place, uid, -1)

    def __enter__(self):
        return self if self.running() else self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    # ---- life ----

    def write_config(self, config):
        """Writes the configuration file; a running broker sees it at the next reload."""
        if isinstance(config, dict):
            config = {"socket": {}, **config}
            config["socket"] = {"directory": str(self.directory), "port": self.port, **config["socket"]}
        self.config = config
        self.config_path.write_text(yaml(config))

    def start(self, wait=True):
        words = list(self.args)
        if self.config is not None:
            self.write_config(self.config)
            words = ["-c", self.config_path, *words]
        with open(self.log_path, "ab") as log:
            self.child = process.start([self.program, *words], uid=self.uid, stdout=log, stderr=log, cwd=self.place,
                                       env=environment(self.place, self.manager, **self.variables))
        if wait:
            self.wait_listening()
        return self

    def wait_listening(self, timeout=30):
        process.wait_until(lambda: self.child.poll() is not None or self._listens(), "the broker to listen", timeout)
        if self.child.poll() is not None:
            raise AssertionError(f"the broker ended with {self.child.returncode}:\n{self.log()}")
        return self

    def _listens(self):
        try:
            protocol.Connection(self.directory, self.port, timeout=2).close(politely=False)
            return True
        except OSError:
            return False

    def wait_ready(self, database="prod", timeout=30, **identity):
        """Until a query goes through: credentials are there and the server takes them."""
        def asks():
            try:
                with self.connect(database, timeout=timeout, **identity) as connection:
                    return connection.query("SELECT 1").value() == "1"
            except (protocol.ServerError, protocol.Gone, OSError):
                return False
        process.wait_until(asks, f"a first query to {database}", timeout)
        return self

    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, signum):
        self.child.send_signal(signum)

    def wait(self, timeout=20):
        """The exit status."""
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the broker did not end in {timeout} s:\n{self.tail()}") from None

    def stop(self, patience=20):
        """SIGTERM, and it must end with 0 and without a word of a sanitizer."""
        if self.child is None:
            return
        if self.running():
            self.signal(signal.SIGTERM)
        status = self.wait(patience)
        self.kill()
        words = _SANITIZER_WORDS.search(self.log())
        assert status == 0 and not words, f"the broker ended with {status}:\n{self.tail(200)}"

    def kill(self):
        if self.child is not None:
            process.stop(self.child, signal.SIGKILL)
            self.child = None

    def reload(self, config=None):
        """SIGHUP, after writing a new configuration if one is given."""
        if config is not None:
            self.write_config(config)
        self.signal(signal.SIGHUP)

    def resident_kb(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    # ---- what it says ----

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_for_log(self, pattern, timeout=20):
        return process.wait_until(lambda: re.search(pattern, self.log()), f"/{pattern}/ in the broker's log", timeout)

    # ---- how to reach it ----

    def uri(self, database="prod", **more):
        words = {"host": self.directory, "port": self.port, "dbname": database, **more}
        return " ".join(f"{name}={value}" for name, value in words.items())

    def connect(self, database="prod", **options):
        """A logged-in protocol.Connection; uid= connects as another uid."""
        return protocol.connect(self.directory, database, port=self.port, **options)

    def raw(self, **options):
        """A connected socket before its startup message."""
        return protocol.Connection(self.directory, self.port, **options)

    def console(self, sql, **options):
        """One console command; the rows as dicts."""
        with self.connect("pgbroker", **options) as connection:
            return connection.query(sql).dicts()

    def show(self, thing, **match):
        """Rows of SHOW thing whose columns have these values."""
        return [row for row in self.console(f"SHOW {thing}")
                if all(row.get(name) == str(value) for name, value in match.items())]

    def pool(self, database="prod"):
        """The environment's row of SHOW POOLS, numbers as int; {} before it has one."""
        rows = self.show("POOLS", database=database)
        if not rows:
            return {}
        merged = dict(rows[0])
        for name, value in rows[0].items():
            if value is not None and value.isdigit():
                merged[name] = sum(int(row[name]) for row in rows)
        return merged

    def ctl(self, *words):
        return ctl(*words, directory=self.directory, port=self.port)

    def psql(self, sql, database="prod", uid=None, check=True, timeout=60):
        """psql over the socket, unaligned tuples only."""
        return process.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.uri(database), "-c", sql], uid=uid,
                           check=check, timeout=timeout, cwd="/", env=environment("/nonexistent"))
