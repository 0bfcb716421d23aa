"""A PostgreSQL server stand-in for what a real one won't do on demand.

    with PgStandin(refuse("57P03", "the database system is starting up")) as server: ... server.port ...

A behaviour is a function of one Session, run in its own thread; the ready-made ones stand at the end.
Everything the other side sent is kept in server.sessions[n].received.
"""
import socket
import ssl
import struct
import threading
import time

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


def message(kind, payload=b""):
    return kind.encode() + struct.pack("!I", len(payload) + 4) + payload


def error(code, text, severity="FATAL"):
    fields = {"S": severity, "V": severity, "C": code, "M": text}
    return message("E", b"".join(name.encode() + value.encode() + b"\0"
                                 for name, value in fields.items() if value) + b"\0")


def parameter(name, value):
    return message("S", f"{name}\0{value}\0".encode())


def one_row(value):
    """RowDescription, DataRow and CommandComplete of a single text column."""
    data = value.encode()
    return (message("T", struct.pack("!H", 1) + b"answer\0" + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0))
            + message("D", struct.pack("!Hi", 1, len(data)) + data) + message("C", b"SELECT 1\0"))


READY = message("Z", b"I")
LOGGED_IN = (message("R", struct.pack("!I", 0)) + parameter("server_version", "15.0")
             + parameter("server_encoding", "UTF8") + parameter("client_encoding", "UTF8")
             + parameter("DateStyle", "ISO, MDY") + parameter("TimeZone", "UTC")
             + parameter("IntervalStyle", "postgres") + parameter("integer_datetimes", "on")
             + parameter("standard_conforming_strings", "on") + parameter("application_name", "")
             + parameter("is_superuser", "off") + parameter("session_authorization", "app")
             + message("K", struct.pack("!II", 4711, 815)) + READY)


class Session:
    """One connection, seen from the server."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.received, self.startup, self.tls_asked = [], None, 0
        self.began, self.ended = time.monotonic(), None
        self.status = b"I"                          # "T" in a transaction

    def send(self, data):
        self.sock.sendall(data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise ConnectionError("the other side left")
            data += more
        return data

    def read_startup(self):
        """The startup parameters; a TLS request before them is answered as the stand-in is set up."""
        while True:
            length, code = struct.unpack("!II", self.exactly(8))
            rest = self.exactly(length - 8)
            if code == SSL_REQUEST:
                self.tls_asked += 1
                self.sock.sendall(b"S" if self.server.tls else b"N")
                if self.server.tls:
                    self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
            elif code == GSS_REQUEST:
                self.sock.sendall(b"N")
            elif code == CANCEL_REQUEST:
                self.received.append(("cancel", rest))
                self.server.cancels_end.wait()
                raise ConnectionError("a cancel request ends here")
            else:
                words = rest.split(b"\0")[:-2]
                self.startup = {name.decode(): value.decode() for name, value in zip(words[::2], words[1::2])}
                return self.startup

    def login(self):
        """Lets anybody in."""
        self.read_startup()
        self.send(LOGGED_IN)

    def read(self):
        head = self.exactly(5)
        kind, length = chr(head[0]), struct.unpack("!I", head[1:])[0]
        payload = self.exactly(length - 4)
        self.received.append((kind, payload))
        return kind, payload

    def answer(self, kind, payload):
        """What a server says to one message, as far as a SELECT in a transaction or without one needs it."""
        if kind == "Q":
            text = payload[:-1].decode()
            self.status = {"BEGIN": b"T", "COMMIT": b"I", "ROLLBACK": b"I"}.get(text, self.status)
            self.send(self.server.answer_query(text) + message("Z", self.status))
        answers = {"P": message("1"), "B": message("2"), "C": message("3"), "S": message("Z", self.status),
                   "D": message("n"), "E": message("C", b"SELECT 0\0")}
        if kind in answers:
            self.send(answers[kind])

    def serve(self):
        """Answers until the client leaves."""
        while True:
            kind, payload = self.read()
            if kind == "X":
                return
            self.answer(kind, payload)

    def is_first(self):
        """Is it the first that logged in?"""
        return self.server.logins()[:1] == [self]

    def queries(self):
        return [payload[:-1].decode() for kind, payload in self.received if kind == "Q"]

    def wait(self, seconds):
        """Sleeps, but not past the stand-in's end."""
        self.server.closing.wait(seconds)


class PgStandin:
    """Listens on loopback; the behaviour may be changed while it runs and holds for new connections."""

    def __init__(self, behaviour=None, certificate=None, port=0, address="127.0.0.1"):
        self.behaviour = behaviour or serve
        self.sessions, self.closing = [], threading.Event()
        self.cancels_end = threading.Event()        # cleared: connections that cancel are not closed
        self.cancels_end.set()
        self.gate = threading.Event()               # cleared: gated() logins wait
        self.gate.set()
        self.answer_query = default_answer
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _accept(self):
        while not self.closing.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(self, sock)
            self.sessions.append(session)
            threading.Thread(target=self._run, args=(session,), daemon=True).start()

    def _run(self, session):
        try:
            self.behaviour(session)
        except (OSError, struct.error, ValueError):
            pass                                    # the other side left, which is its right
        finally:
            session.ended = time.monotonic()
            session.sock.close()

    def stop(self):
        self.closing.set()
        self.cancels_end.set()
        self.gate.set()
        for sock in [self.listener, *(session.sock for session in self.sessions)]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def logins(self):
        """The sessions that have sent their startup message: not those that only asked for TLS."""
        return [session for session in self.sessions if session.startup is not None]

    def open_sessions(self):
        return [session for session in self.logins() if session.ended is None]

    def cancels(self):
        """The sessions that brought a cancel request."""
        return [session for session in self.sessions if any(kind == "cancel" for kind, _ in session.received)]

    def secret(self, **more):
        """A secret document that leads here."""
        return {"host": "127.0.0.1", "port": str(self.port), "username": "app", "password": "of-no-use",
                "database": "stand_in", **more}


def default_answer(sql):
    """Every query gives its own text back; commands that are no SELECT only complete."""
    word = sql.split()[0].upper() if sql.split() else ""
    return one_row(sql) if word == "SELECT" else message("C", word.encode() + b"\0") if word else message("I")


# ---- behaviours -------------------------------------------------------------------------------

def serve(session):
    """A server without TLS and without passwords that answers."""
    session.login()
    session.serve()


def serve_on(session):
    """What comes after a login."""
    session.serve()


def silent(session):
    """Accepts and never says a word."""
    session.wait(600)


def deaf(session):
    """Says no more, but sees the other side leave."""
    while True:
        session.read()


def garbage(session):
    """Not a PostgreSQL server at all."""
    session.exactly(8)
    session.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def slow(seconds):
    """Takes its time before the login succeeds."""
    def behave(session):
        session.read_startup()
        session.wait(seconds)
        session.send(LOGGED_IN)
        session.serve()
    return behave


def gated(session):
    """Logins go through while the gate is open, and wait for it otherwise."""
    session.read_startup()
    session.server.gate.wait()
    session.send(LOGGED_IN)
    session.serve()


def ask_cleartext(session):
    """Asks for the password in clear text and keeps it: what a false server would do."""
    session.read_startup()
    session.send(message("R", struct.pack("!I", 3)))
    session.read()
    session.send(LOGGED_IN)
    session.serve()


def refuse(code, text):
    """Refuses each login with this SQLSTATE."""
    def behave(session):
        session.read_startup()
        session.send(error(code, text))
    return behave


def refuse_without_sqlstate(session):
    """An ErrorResponse that lacks the field every reader counts on."""
    session.read_startup()
    session.send(error("", "no code today"))


def refuse_first(times, code, text):
    """The first logins are refused, later ones served."""
    def behave(session):
        if len(session.server.logins()) < times:
            refuse(code, text)(session)
        else:
            serve(session)
    return behave


def say_when_idle(data, after=0.3):
    """After the first query has been answered, says something nobody asked for."""
    def behave(session):
        session.login()
        while True:
            kind, payload = session.read()
            session.answer(kind, payload)
            if kind == "Q" and session.is_first():
                session.wait(after)
                session.send(data)
    return behave


def leave_when_idle(after=0.3):
    """The first connection is closed some time after its first query."""
    def behave(session):
        session.login()
        while session.is_first():
            kind, payload = session.read()
            session.answer(kind, payload)
            if kind == "Q":
                session.wait(after)
                return
        session.serve()
    return behave


def in_pieces(size=1):
    """Everything it says comes in pieces of so many bytes."""
    def behave(session):
        whole = session.send

        def piecewise(data):
            for at in range(0, len(data), size):
                whole(data[at:at + size])
                time.sleep(0.0005)
        session.send = piecewise
        serve(session)
    return behave


def on_query(word, act):
    """Serves; act(session, sql) answers the queries that hold the word."""
    def behave(session):
        session.login()
        while True:
            kind, payload = session.read()
            if kind == "X":
                return
            sql = payload[:-1].decode(errors="replace") if kind == "Q" else ""
            if word in sql:
                act(session, sql)
            else:
                session.answer(kind, payload)
    return behave


def at_login(data, then=serve_on):
    """Says these bytes where the answer to the startup packet belongs."""
    def behave(session):
        session.read_startup()
        session.send(data)
        then(session)
    return behave
