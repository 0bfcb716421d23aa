"""A PostgreSQL server of the tests' own, with TLS, SCRAM and a log that can be counted.

start_cluster() gives either a throw-away cluster or, if PGBROKER_TEST_SERVER holds a superuser's
URI, that server: then everything a test makes there bears a unique name and is dropped at the end,
and stories that need the server's files are skipped.
"""
import fcntl
import os
import pathlib
import re
import secrets
import shutil
import signal
import unittest
import urllib.parse

import certificates
import place
import process

BINARIES = pathlib.Path(os.environ.get("PGBROKER_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))

SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "200", "shared_buffers": "16MB",
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
    "password_encryption": "scram-sha-256", "lc_messages": "C", "jit": "off",
    "log_connections": "on", "log_disconnections": "on", "log_line_prefix": "%m|%p|%r|%e|%u|%d| ",
    "ssl": "on", "ssl_min_protocol_version": "TLSv1.2", "max_prepared_transactions": "5",
}

# What TCP clients may do; the local socket always takes SCRAM, it is the tests' own way in.
ACCESS = {
    "both": ["host all all all scram-sha-256"],
    "tls": ["hostssl all all all scram-sha-256", "hostnossl all all all reject"],
    "plain": ["hostnossl all all all scram-sha-256", "hostssl all all all reject"],
}

_FIELD, _RECORD = "\x1f", "\x1e"


def literal(value):
    """A SQL string constant, whatever the value holds."""
    return "E'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def start_cluster(**options):
    """The server the stories run against: an own one unless PGBROKER_TEST_SERVER names another."""
    uri = os.environ.get("PGBROKER_TEST_SERVER")
    return GivenServer(uri) if uri else Cluster(**options).start()


class Server:
    """What own and given servers have in common: host, port, a superuser, objects to be dropped."""

    own = False
    host, port, superuser, superuser_password, root_cert = "localhost", 5432, "postgres", "", ""
    admin_database = "postgres"

    def __init__(self):
        self._databases, self._roles = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def admin_host(self):
        return self.host

    def sql(self, text, database=None, user=None, password=None, variables=None, check=True):
        """Rows of the last statement as tuples of text; raises RuntimeError with psql's words."""
        done = self.psql(text, database, user, password, variables, check=check)
        output = done.stdout.removesuffix("\n")
        return [tuple(row.split(_FIELD)) for row in output.split(_RECORD)] if output else []

    def psql(self, text=None, database=None, user=None, password=None, variables=None, file=None, check=True):
        """One psql run over the tests' own way in."""
        argv = [BINARIES / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", _FIELD, "-R", _RECORD,
                "-h", self.admin_host(), "-p", self.port,
                "-U", user or self.superuser, "-d", database or self.admin_database]
        for name, value in (variables or {}).items():
            argv += ["-v", f"{name}={value}"]
        argv += ["-f", file] if file else ["-f", "-"]
        environment = {**os.environ, "PGPASSWORD": self.superuser_password if password is None else password,
                       "PGCONNECT_TIMEOUT": "10", **self.client_environment()}
        return process.run(argv, check=check, env=environment, **({} if file else {"input": text}))

    def client_environment(self):
        return {}

    def unique(self, name):
        """A name nobody else uses on this server."""
        return f"{name}_{secrets.token_hex(4)}"

    def create_database(self, name="stories", owner=None):
        name = self.unique(name)
        self.sql(f"CREATE DATABASE {identifier(name)}" + (f" OWNER {identifier(owner)}" if owner else ""))
        self._databases.append(name)
        return name

    def create_login(self, name="app", password=None, options=""):
        """A login role with a password; returns (name, password)."""
        name, password = self.unique(name), password or secrets.token_urlsafe(18)
        self.sql(f"CREATE ROLE {identifier(name)} LOGIN {options} PASSWORD {literal(password)}")
        self._roles.append(name)
        return name, password

    def adopt_role(self, name):
        """Marks a role somebody else created for dropping at the end."""
        if name not in self._roles:
            self._roles.append(name)

    def set_password(self, role, password, user=None, user_password=None):
        self.sql(f"ALTER ROLE {identifier(role)} WITH PASSWORD {literal(password)}",
                 user=user, password=user_password)

    def login_works(self, role, password, database=None):
        """True or False by the server's word about the password; anything else is an error."""
        done = self.psql("SELECT 1", database, role, password, check=False)
        if done.returncode == 0:
            return True
        if "password authentication failed" in done.stderr:
            return False
        raise RuntimeError(done.stderr)

    def sessions(self, role):
        """Pids of the role's server processes."""
        return [int(pid) for (pid,) in self.sql(
            f"SELECT pid FROM pg_stat_activity WHERE usename = {literal(role)} ORDER BY pid")]

    def kill_sessions(self, role):
        self.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {literal(role)}")

    def drop_everything(self):
        for name in self._databases:
            self.sql(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
        for name in reversed(self._roles):
            self.sql(f"DROP ROLE IF EXISTS {identifier(name)}")
        self._databases, self._roles = [], []

    def stop(self):
        raise NotImplementedError

    def need_own(self):
        """Skips the story where the server's files or process are out of reach."""
        if not self.own:
            raise unittest.SkipTest("needs a server of its own (PGBROKER_TEST_SERVER is set)")


class GivenServer(Server):
    """An already running server, reached by a superuser's URI."""

    def __init__(self, uri):
        super().__init__()
        parts = urllib.parse.urlsplit(uri)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.host, self.port = parts.hostname or "localhost", parts.port or 5432
        self.superuser = urllib.parse.unquote(parts.username or "postgres")
        self.superuser_password = urllib.parse.unquote(parts.password or "")
        self.admin_database = parts.path.lstrip("/") or "postgres"
        self.ssl_mode, self.root_cert = query.get("sslmode", "prefer"), query.get("sslrootcert", "")

    def client_environment(self):
        return {"PGSSLMODE": self.ssl_mode, **({"PGSSLROOTCERT": self.root_cert} if self.root_cert else {})}

    def stop(self):
        self.drop_everything()


class Cluster(Server):
    """A throw-away cluster in a fresh directory on a free port."""

    own = True

    def __init__(self, access="both", settings=None, addresses=(), standby_of=None):
        super().__init__()
        self.place = place.directory("pg")
        self.data, self.log = self.place / "data", self.place / "log"
        self.socket_directory = self.place
        self.uid = process.unprivileged_uid()
        self.superuser_password = standby_of.superuser_password if standby_of else secrets.token_urlsafe(18)
        self.certificates = certificates.make(self.place, addresses)
        self.root_cert = self.place / "ca.crt"
        self.wrong_root_cert = self.place / "wrong_ca.crt"
        self.settings = {**SETTINGS, "unix_socket_directories": str(self.place)}
        if addresses:
            self.settings["listen_addresses"] = ",".join(["127.0.0.1", *addresses])
        self.settings.update(settings or {})
        self.access, self.hba_lines = access, None
        self.postmaster = None
        self._own_files()
        self._copy(standby_of) if standby_of else self._initdb()
        self.use_certificate("server", reload=False)

    # ---- files ----

    def _own_files(self):
        if self.uid is None:
            return
        for path in [self.place, *self.place.glob("*.key")]:
            os.chown(path, self.uid, -1)

    def _initdb(self):
        """A copy of what initdb has made in $PGBROKER_TEST_TEMPLATE, if that is set: the first one to come makes it."""
        template = os.environ.get("PGBROKER_TEST_TEMPLATE")
        if not template:
            self._initdb_in(self.place)
            return
        template = pathlib.Path(template)
        with open(template / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (template / "made").exists():
                self._initdb_in(template)
                (template / "made").touch()
        self.superuser_password = (template / "superuser").read_text().strip()
        process.run(["cp", "-a", template / "data", self.data])

    def _initdb_in(self, folder):
        words = folder / "superuser"
        words.touch(mode=0o600)
        words.write_text(self.superuser_password + "\n")
        if self.uid is not None:
            os.chown(words, self.uid, -1)
            os.chown(folder, self.uid, -1)
        process.run([BINARIES / "initdb", "-D", folder / "data", "-U", self.superuser, "-A", "scram-sha-256",
                     "--pwfile", words, "-N", "--no-locale", "-E", "UTF8", "--no-instructions"],
                    uid=self.uid, cwd=folder)

    def _copy(self, primary):
        """The data of a primary, which this one follows from its start on."""
        process.run([BINARIES / "pg_basebackup", "-D", self.data, "-h", primary.place, "-p", primary.port,
                     "-U", primary.superuser, "-X", "stream", "-c", "fast"],
                    uid=self.uid, cwd=self.place, env={**os.environ, "PGPASSWORD": primary.superuser_password})
        self.follow(primary)

    def follow(self, primary):
        """From its next start on it is a standby of this one."""
        self.settings["primary_conninfo"] = (f"host={primary.place} port={primary.port} user={primary.superuser} "
                                             f"password={primary.superuser_password}")
        self.settings["recovery_target_timeline"] = "latest"
        (self.data / "standby.signal").touch()

    def promote(self):
        self.sql("SELECT pg_promote(true, 60)")

    def caught_up(self, primary):
        """Has it all that the primary had when this was asked?"""
        there, = primary.sql("SELECT pg_current_wal_lsn()")[0]
        return self.sql(f"SELECT pg_last_wal_replay_lsn() >= '{there}'")[0][0] == "t"

    def _write(self):
        lines = [f"{name} = {_setting(value)}\n" for name, value in self.settings.items()]
        (self.data / "postgresql.auto.conf").write_text("".join(lines))
        hba = ["local all all scram-sha-256", "local replication all scram-sha-256", *(self.hba_lines or ACCESS[self.access])]
        (self.data / "pg_hba.conf").write_text("\n".join(hba) + "\n")

    # ---- life ----

    def start(self):
        """Starts on a free port; takes another one if somebody was faster."""
        for _ in range(5):
            self.port = place.free_port()
            if self._start_on_port():
                return self
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-4000:]}")

    def _start_on_port(self):
        self.settings["port"] = str(self.port)
        self._write()
        with open(self.log, "ab") as log:
            self.postmaster = process.start([BINARIES / "postgres", "-D", self.data], uid=self.uid,
                                            death="QUIT", stdout=log, stderr=log, cwd=self.place)
        process.wait_until(lambda: self.postmaster.poll() is not None or self.accepts(),
                           "PostgreSQL to accept connections", timeout=60)
        return self.postmaster.poll() is None

    def accepts(self):
        return process.run([BINARIES / "pg_isready", "-q", "-h", self.place, "-p", self.port],
                           check=False).returncode == 0

    def restart(self, how=signal.SIGINT):
        """Stops (fast; immediately by SIGQUIT) and starts on the same port; the sessions are lost, as in a
        real restart."""
        self._stop_postmaster(how)
        if not self._start_on_port():
            raise RuntimeError(f"PostgreSQL did not start again:\n{self.log.read_text()[-4000:]}")

    def pause(self, how=signal.SIGINT):
        """Down until resume(): connections are refused."""
        self._stop_postmaster(how)

    def resume(self):
        if not self._start_on_port():
            raise RuntimeError(f"PostgreSQL did not start again:\n{self.log.read_text()[-4000:]}")

    def _stop_postmaster(self, how=signal.SIGINT):
        if self.postmaster:
            process.stop(self.postmaster, how, patience=15)
            self.postmaster = None

    def stop(self):
        self._stop_postmaster()
        shutil.rmtree(self.place, ignore_errors=True)

    def admin_host(self):
        return str(self.place)

    # ---- changes while it runs ----

    def reload(self):
        """Writes settings and hba, and returns when new connections see them."""
        self._write()
        before, = self.sql("SELECT pg_conf_load_time()")[0]
        self.postmaster.send_signal(signal.SIGHUP)
        process.wait_until(lambda: self.sql("SELECT pg_conf_load_time()")[0][0] != before, "the reload")

    def configure(self, **settings):
        self.settings.update(settings)
        self.reload()

    def set_access(self, access=None, hba_lines=None):
        """"both", "tls" or "plain" for TCP clients, or pg_hba lines of your own."""
        self.access, self.hba_lines = access or self.access, hba_lines
        self.reload()

    def use_certificate(self, name, reload=True):
        """"server" (localhost, 127.0.0.1) or "elsewhere" (a host name that is not ours)."""
        self.settings["ssl_cert_file"] = str(self.place / f"{name}.crt")
        self.settings["ssl_key_file"] = str(self.place / f"{name}.key")
        if reload:
            self.reload()

    # ---- the log ----

    def log_lines(self):
        """Log records as dicts: time pid remote sqlstate user database text."""
        names = ("time", "pid", "remote", "sqlstate", "user", "database", "text")
        for line in self.log.read_text(errors="replace").splitlines():
            fields = line.split("|", 6)
            if len(fields) == 7:
                yield dict(zip(names, fields))

    def refused_logins(self, role=None, sqlstates=("28P01", "28000")):
        """Logins over TCP the server refused. The tests' own probes use the local socket and don't count."""
        return [line for line in self.log_lines()
                if line["sqlstate"] in sqlstates and "FATAL" in line["text"]
                and line["remote"] != "[local]" and role in (None, line["user"])]

    def count_refused_logins(self, role=None):
        return len(self.refused_logins(role))

    def count_logins(self, role):
        """Logins over TCP that succeeded."""
        return sum(1 for line in self.log_lines()
                   if "connection authorized" in line["text"] and line["remote"] != "[local]"
                   and re.search(rf"user={re.escape(role)}\b", line["text"]))


def _setting(value):
    return "'" + str(value).replace("'", "''") + "'"
