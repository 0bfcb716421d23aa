"""Child processes that cannot outlive the test that started them.

Each child asks the kernel for a signal at its parent's death (setpriv --pdeathsig), so even a test
killed with SIGKILL leaves no server behind. That signal comes when the *thread* that started the
child ends: start children from the main thread.
"""
import atexit
import os
import pwd
import signal
import subprocess
import threading
import time

_living = []
_owner = os.getpid()


def is_root():
    return os.geteuid() == 0


def unprivileged_uid():
    """The uid PostgreSQL runs as, since it refuses root; None where we are not root anyway."""
    if not is_root():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            pass
    raise RuntimeError("neither user postgres nor nobody exists, and PostgreSQL refuses to run as root")


def as_uid(argv, uid=None, gid=None, death="KILL"):
    """argv wrapped so that it dies with its parent and, if uid is given, runs as that uid alone."""
    wrapper = ["setpriv", "--pdeathsig", death]
    if uid is not None and uid != os.geteuid():
        wrapper += ["--reuid", str(uid), "--regid", str(uid if gid is None else gid), "--clear-groups"]
    return wrapper + ["--"] + [str(word) for word in argv]


def start(argv, *, uid=None, gid=None, death="KILL", **popen):
    """A running child in a session of its own: Ctrl-C reaches the test, and the test ends its children."""
    assert threading.current_thread() is threading.main_thread(), "see the module's docstring"
    popen.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen(as_uid(argv, uid, gid, death), start_new_session=True, **popen)
    _living.append(child)
    return child


def run(argv, *, uid=None, gid=None, check=True, timeout=60, **popen):
    """Runs argv to its end and returns the CompletedProcess with text output."""
    if "input" not in popen:
        popen.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(as_uid(argv, uid, gid), text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def stop(child, signum=signal.SIGTERM, patience=10.0):
    """Ends one child by its pid and returns its exit status; past the patience it is killed."""
    if child.poll() is None:
        child.send_signal(signum)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child in _living:
        _living.remove(child)
    return child.returncode


def _stop_all():
    if os.getpid() != _owner:
        return
    for child in reversed(list(_living)):
        stop(child, patience=5.0)


atexit.register(_stop_all)


def end_cleanly_on_signals():
    """SIGTERM and SIGHUP end the program the ordinary way, so that the clean-up above runs."""
    def leave(signum, _frame):
        raise SystemExit(128 + signum)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, leave)


def wait_until(condition, what, timeout=60.0, interval=0.05):
    """The condition's first true value; a clear failure if it does not come in time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)
