"""The processes of one soak: those of its session. Nothing else is ever sent a signal."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass

CLONE_NEWPID = 0x20000000
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Process:
    """A process as /proc showed it."""

    pid: int
    state: str

    @property
    def stopped(self) -> bool:
        return self.state == "T"


def _stat(pid: int) -> tuple[str, int] | None:
    """State and session of a process; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[3])


def of_session(session: int, but: set[int]) -> Iterator[Process]:
    """Living processes of a session, the zombies left out."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in but:
            continue
        found = _stat(int(name))
        if found is not None and found[1] == session and found[0] not in "ZX":
            yield Process(int(name), found[0])


def own_number(pid: int) -> int:
    """What a process calls itself: its pid in its own pid namespace; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Grip:
    """A process that cannot be mistaken for the next one of its number."""

    def __init__(self, pid: int, session: int) -> None:
        self.pid = pid
        self._file = os.pidfd_open(pid)
        found = _stat(pid)
        if found is None or found[1] != session:
            os.close(self._file)
            raise ProcessLookupError(pid)

    def send(self, number: int) -> None:
        signal.pidfd_send_signal(self._file, number)

    def await_end(self, timeout_s: float) -> bool:
        """Whether it ended in time: its memory is gone then, and with it its slot lock."""
        return bool(select.select([self._file], [], [], timeout_s)[0])

    def is_stopped(self) -> bool:
        found = _stat(self.pid)
        return found is not None and found[0] == "T"

    def close(self) -> None:
        os.close(self._file)


def adopt_orphans() -> None:
    """Children of this process's dead children become its own, so that it can wait for them."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def enter_pid_namespace() -> bool:
    """Whether this process's next children live in a pid namespace of their own."""
    return bool(_libc.unshare(CLONE_NEWPID) == 0)
