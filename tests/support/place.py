"""Places a test may use and nobody else does: fresh directories and free ports.

Everything below one directory per test process, removed when the process ends, so that files of
parallel runs never meet.
"""
import atexit
import os
import pathlib
import random
import shutil
import socket
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Where the system takes ports of its own accord, for who connects, begins where this ends.
_PORTS = range(10000, int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))

_ours = []
_base = None
_base_owner = None


def _remove_base():
    if _base_owner == os.getpid():
        shutil.rmtree(_base, ignore_errors=True)


def directory(name):
    """A fresh directory; other uids may pass through it, since servers run as another one.

    Names stay short: a unix socket's path must fit into 107 bytes.
    """
    global _base, _base_owner
    if _base is None:
        _base = pathlib.Path(tempfile.mkdtemp(prefix="pgbroker-"))
        _base_owner = os.getpid()
        _base.chmod(0o755)
        atexit.register(_remove_base)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=_base))
    fresh.chmod(0o755)
    return fresh


def free_port(host="127.0.0.1"):
    """A TCP port nobody listens on, and that no other test process gets while this one lives: a server may leave
    it for a while and come back. Strangers don't know that: callers that bind retry."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0pgbroker-port-{port}")    # the kernel takes it away when this process ends
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError:
            mark.close()
            continue
        _ours.append(mark)
        return port
    raise RuntimeError("no free port")


def outside_address():
    """This machine's own address that is not loopback, or None: a "remote" host for ssl_mode rules."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))         # sends nothing, only chooses a route
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith(("127.", "0.")) else address
