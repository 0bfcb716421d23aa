"""A raw PostgreSQL v3 client: it sends any bytes, whole or in pieces, and shows every answer.

Drivers hide what a broker must get right: half messages, pipelines, replies owed. This one hides
nothing. It can also connect as another uid, which is what a broker that asks the kernel sees.
"""
import ctypes
import platform
import select
import socket
import struct
import threading
import time

PROTOCOL_3_0 = 196608
_SETGROUPS_SETRESGID_SETRESUID = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}


class ServerError(Exception):
    """An ErrorResponse; the fields are those of the protocol: S severity, C SQLSTATE, M message, H hint."""

    def __init__(self, fields):
        self.fields = fields
        self.severity = fields.get("V", fields.get("S", ""))
        self.sqlstate = fields.get("C", "")
        self.message = fields.get("M", "")
        self.hint = fields.get("H", "")
        super().__init__(f"{self.severity} {self.sqlstate}: {self.message}"
                         + (f" (hint: {self.hint})" if self.hint else ""))


class Gone(Exception):
    """The other side closed the connection."""


class Result:
    """What one query gave: columns, rows (text, None for NULL), command tags, notices, final status."""

    def __init__(self):
        self.columns, self.types, self.rows, self.tags, self.notices = [], [], [], [], []
        self.notifications, self.parameters, self.error, self.status = [], {}, None, None
        self.suspended = False

    def dicts(self):
        return [dict(zip(self.columns, row)) for row in self.rows]

    def value(self):
        return self.rows[0][0]


# ---- builders ---------------------------------------------------------------------------------

def text(value):
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def message(kind, payload=b""):
    return kind.encode() + struct.pack("!I", len(payload) + 4) + payload


def startup_message(parameters, version=PROTOCOL_3_0):
    body = b"".join(text(name) + text(value) for name, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, version) + body


def query(sql):
    return message("Q", text(sql))


def parse(sql, name="", types=()):
    return message("P", text(name) + text(sql) + struct.pack("!H", len(types))
                   + b"".join(struct.pack("!I", oid) for oid in types))


def bind(parameters=(), statement="", portal=""):
    values = b"".join(struct.pack("!i", -1) if value is None
                      else struct.pack("!i", len(str(value).encode())) + str(value).encode()
                      for value in parameters)
    return message("B", text(portal) + text(statement) + struct.pack("!H", 0)
                   + struct.pack("!H", len(parameters)) + values + struct.pack("!H", 0))


def describe(what="P", name=""):
    return message("D", what.encode() + text(name))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!I", rows))


def close(what="S", name=""):
    return message("C", what.encode() + text(name))


def sync():
    return message("S")


def flush():
    return message("H")


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(reason):
    return message("f", text(reason))


def terminate():
    return message("X")


def cancel_request(pid, key):
    return struct.pack("!II", 12 + len(key), 80877102) + struct.pack("!I", pid) + key


# ---- readers ----------------------------------------------------------------------------------

def error_fields(payload):
    return {chr(field[0]): field[1:].decode(errors="replace")
            for field in payload.split(b"\0") if field}


def row_description(payload):
    count, = struct.unpack_from("!H", payload)
    at, columns, types = 2, [], []
    for _ in range(count):
        end = payload.index(b"\0", at)
        columns.append(payload[at:end].decode())
        types.append(struct.unpack_from("!I", payload, end + 7)[0])
        at = end + 19
    return columns, types


def data_row(payload):
    count, = struct.unpack_from("!H", payload)
    at, values = 2, []
    for _ in range(count):
        length, = struct.unpack_from("!i", payload, at)
        at += 4
        values.append(None if length < 0 else payload[at:at + length].decode(errors="replace"))
        at += max(length, 0)
    return tuple(values)


# ---- the connection ---------------------------------------------------------------------------

def socket_path(directory, port=5432):
    return f"{directory}/.s.PGSQL.{port}"


def _connect_as(sock, address, uid, gid, groups):
    """Connects with another uid: the kernel notes a thread's own credentials, so one thread changes its."""
    numbers = _SETGROUPS_SETRESGID_SETRESUID.get(platform.machine())
    if numbers is None:
        raise RuntimeError(f"no syscall numbers for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    failure = []

    def change_and_connect():
        try:
            array = (ctypes.c_uint32 * len(groups))(*groups)
            for number, arguments in zip(numbers, ((len(groups), array), (gid,) * 3, (uid,) * 3)):
                if libc.syscall(ctypes.c_long(number), *arguments) != 0:
                    raise OSError(ctypes.get_errno(), "changing the thread's uid")
            sock.connect(address)
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=change_and_connect)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


class Connection:
    """One client connection over a unix socket (directory) or TCP (host)."""

    def __init__(self, directory=None, port=5432, *, host=None, uid=None, gid=None, groups=(), timeout=60.0):
        self.timeout = timeout
        self.buffer = b""
        self.pid, self.key, self.parameters = None, b"", {}
        self.address = (host, port) if host else socket_path(directory, port)
        self.sock = socket.socket(socket.AF_INET if host else socket.AF_UNIX)
        self.sock.settimeout(timeout)
        try:
            if uid is None:
                self.sock.connect(self.address)
            else:
                _connect_as(self.sock, self.address, uid, uid if gid is None else gid, groups)
        except OSError:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                # as libpq does: what the server said before it closed is still to be read

    def close(self, politely=True):
        """Ends the connection, with a Terminate unless a rude client is wanted."""
        if politely:
            try:
                self.sock.sendall(terminate())
            except OSError:
                pass
        self.sock.close()

    def _fill(self, need):
        end = time.monotonic() + self.timeout
        while len(self.buffer) < need:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError as error:
                raise Gone(str(error)) from None
            if not data:
                raise Gone(f"closed with {len(self.buffer)} bytes of a message left")
            self.buffer += data
        self.sock.settimeout(self.timeout)

    def read_bytes(self, count):
        self._fill(count)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read(self):
        """The next message as (kind, payload)."""
        self._fill(5)
        length, = struct.unpack_from("!I", self.buffer, 1)
        whole = self.read_bytes(length + 1)
        return chr(whole[0]), whole[5:]

    def read_until(self, kinds="Z"):
        """All messages up to and with the first of those kinds."""
        seen = []
        while not seen or seen[-1][0] not in kinds:
            seen.append(self.read())
        return seen

    def silent(self, seconds=0.3):
        """True if nothing arrives for so long."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def closed(self, seconds=20.0):
        """True if the other side closes within so long, whatever it says before."""
        self.timeout, before = seconds, self.timeout
        try:
            while True:
                self.read()
        except Gone:
            return True
        except (socket.timeout, TimeoutError):
            return False
        finally:
            self.timeout = before

    def login(self, database, user="story", version=PROTOCOL_3_0, **parameters):
        """Startup to ReadyForQuery; raises ServerError if refused. Returns itself."""
        self.ask(database, user, version, **parameters)
        return self.welcomed()

    def ask(self, database, user="story", version=PROTOCOL_3_0, **parameters):
        """Its startup message alone."""
        self.send(startup_message({"user": user, "database": database, **parameters}, version))

    def welcomed(self):
        """What follows a startup message that was sent."""
        while True:
            kind, payload = self.read()
            if kind == "E":
                raise ServerError(error_fields(payload))
            if kind == "S":
                name, value, _ = payload.split(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif kind == "K":
                self.pid, = struct.unpack_from("!I", payload)
                self.key = payload[4:]
            elif kind == "R" and payload[:4] != b"\0\0\0\0":
                raise ServerError({"S": "FATAL", "C": "28000", "M": "asked for a password"})
            elif kind == "Z":
                return self

    def collect(self):
        """A Result of everything up to ReadyForQuery."""
        result = Result()
        while True:
            kind, payload = self.read()
            if kind == "T":
                result.columns, result.types = row_description(payload)
            elif kind == "D":
                result.rows.append(data_row(payload))
            elif kind == "C":
                result.tags.append(payload[:-1].decode())
            elif kind == "E":
                result.error = ServerError(error_fields(payload))
                if result.error.severity == "FATAL":
                    raise result.error
            elif kind == "N":
                result.notices.append(error_fields(payload))
            elif kind == "A":
                pid, = struct.unpack_from("!I", payload)
                channel, extra, _ = payload[4:].split(b"\0")
                result.notifications.append((pid, channel.decode(), extra.decode()))
            elif kind == "S":
                name, value, _ = payload.split(b"\0")
                result.parameters[name.decode()] = self.parameters[name.decode()] = value.decode()
            elif kind == "s":
                result.suspended = True
            elif kind == "Z":
                result.status = payload.decode()
                return result

    def answer(self):
        """Like collect(), but an error is raised."""
        result = self.collect()
        if result.error:
            raise result.error
        return result

    def query(self, sql):
        """Simple protocol."""
        self.send(query(sql))
        return self.answer()

    def extended(self, sql, parameters=()):
        """Extended protocol with unnamed statement and portal."""
        self.send(parse(sql) + bind(parameters) + describe() + execute() + sync())
        return self.answer()


def connect(directory, database, *, port=5432, uid=None, gid=None, groups=(), timeout=60.0,
            user="story", **parameters):
    """A logged-in Connection; closed again if the login is refused."""
    connection = Connection(directory, port, uid=uid, gid=gid, groups=groups, timeout=timeout)
    try:
        return connection.login(database, user, **parameters)
    except BaseException:
        connection.close(politely=False)
        raise
