"""The control file of an arena, as whoever kills its members sees it; this is no member.

Arming: words of the stop hook say which process gets which signal at which of its stores. Only the
newest arming counts; whoever arms may find its words replaced by another's.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from scamem.core.store import layout as L


@dataclass(frozen=True)
class Forking:
    """A slot that a fork has prepared and whose child has not arrived."""

    control: str
    slot: int
    incarnation: int


class Control:
    """Words of a control file. Ownership: one descriptor, until `close` or the process's end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def read(self, at: int) -> int:
        return int.from_bytes(os.pread(self._file, L.WORD_BYTES, at * L.WORD_BYTES), "little")

    def _write(self, at: int, value: int) -> None:
        os.pwrite(self._file, value.to_bytes(L.WORD_BYTES, "little"), at * L.WORD_BYTES)

    def arm(self, pid: int, stores: int, number: int = signal.SIGKILL) -> None:
        """The process `pid`, as it calls itself, gets a signal at its so-manieth store."""
        self._write(L.STOP_COUNTDOWN, stores)
        self._write(L.STOP_SIGNAL, number)
        self._write(L.STOP_PID, pid)

    def disarm(self) -> None:
        self._write(L.STOP_PID, 0)

    def hits(self) -> int:
        return self.read(L.STOP_HITS)

    def forking(self) -> set[Forking]:
        """Slots in the state FORKING."""
        count = self.read(L.SLOTS_NEXT)
        size = L.SLOT_WORDS * L.WORD_BYTES
        data = os.pread(self._file, count * size, L.SLOTS * L.WORD_BYTES)
        found = set()
        for slot in range(L.SLOT_FIRST, count):
            words = memoryview(data)[slot * size : (slot + 1) * size].cast("Q")
            if words[L.SLOT_STATE] & L.MASK_8 == L.SLOT_STATE_FORKING:
                found.add(Forking(self.path, slot, words[L.SLOT_INCARNATION]))
        return found

    def outcome(self, fork: Forking) -> bool | None:
        """True: the slot was reaped, no child ever arrived. False: not so. None: not known yet."""
        about = L.SLOTS + L.SLOT_WORDS * fork.slot
        state = self.read(about + L.SLOT_STATE) & L.MASK_8
        incarnation = self.read(about + L.SLOT_INCARNATION)
        arrived = self.read(about + L.SLOT_PID) != 0
        if incarnation != fork.incarnation or arrived:
            return False  # also where the slot has its next owner already: not counted
        return True if state == L.SLOT_STATE_FREE else None

    def close(self) -> None:
        os.close(self._file)
