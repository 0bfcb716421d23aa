"""What a broker holds: descriptors, memory, processor time; and that it gives back what it took.

    with meter.holding(story, daemon): ... a hundred times the same mishap ...

The memory check is exact enough to fail: two hundred rounds that leak a session each do not pass.
"""
import contextlib
import os
import pathlib
import re

# What the allocator may keep for itself: less than two hundred sessions that are never freed cost.
GROWTH_KB = 192
# Where TLS sessions come and go, on threads that each have an arena of their own.
GROWTH_TLS_KB = 1536


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.child.pid}/fd"))


def processor_seconds(daemon):
    """User and system time so far."""
    fields = pathlib.Path(f"/proc/{daemon.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_kb(daemon):
    status = pathlib.Path(f"/proc/{daemon.child.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def forget_peak(daemon):
    """The peak counts from here."""
    pathlib.Path(f"/proc/{daemon.child.pid}/clear_refs").write_text("5")


def sanitized(daemon):
    """A sanitizer keeps what was freed: its resident memory says nothing, its own report at the end does."""
    return re.search(r"lib[atu]b?san", pathlib.Path(f"/proc/{daemon.child.pid}/maps").read_text()) is not None


@contextlib.contextmanager
def holding(story, daemon, servers=4, growth_kb=GROWTH_KB, patience=20.0):
    """At the end the broker has no more descriptors than before, but for servers that came back meanwhile
    (two each), and no more memory than it may keep."""
    open_before, before = descriptors(daemon) + 2 * servers, daemon.resident_kb()
    yield
    story.until(lambda: descriptors(daemon) <= open_before,
                f"descriptors to be {open_before} again", patience)
    if not sanitized(daemon):
        story.until(lambda: daemon.resident_kb() <= before + growth_kb,
                    f"memory to be {before} kB and not more than {growth_kb} kB above", patience)
