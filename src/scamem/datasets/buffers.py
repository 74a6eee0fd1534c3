"""Buffers that grow on frames, and how they become one object without a copy.

The first bytes of a buffer are in private memory. From SPILL_BYTES on, it is a list of objects that
are filled one after the other. When it is complete, the objects are spliced: their frames move to
one object, and no byte is copied.
"""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from scamem.core.store.geometry import FRAME_BYTES
from scamem.membership.seat import Seat
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem

SPILL_BYTES = 256 << 10
OBJECT_BYTES_MAX = 64 << 20  # of the objects that a buffer grows by


class Buffer:
    """Bytes to which more are appended.

    Parameters
    ----------
    on_frames : the buffers that are on frames, to which this one adds itself.

    Attributes
    ----------
    size : bytes so far. few : the bytes while they are in private memory.

    Ownership: the objects that it consists of, until `close`. Threads: one.
    """

    def __init__(self, seat: Seat, on_frames: list[Buffer]) -> None:
        self._seat = seat
        self._on_frames = on_frames
        self.few = bytearray()
        self._objects: list[Scamem] = []
        self._views: list[memoryview] = []
        self._at = 0  # where the next byte goes in the last object
        self.size = 0

    @property
    def is_on_frames(self) -> bool:
        """Whether the bytes are on frames."""
        return bool(self._objects)

    def append(self, data: Any, align: int = 1) -> int:
        """Append a buffer of bytes, at a multiple of `align`; return where it begins.

        Raises
        ------
        OutOfMemoryError : no frames are left.
        """
        gap = -self.size % align
        if gap:
            self._write(memoryview(bytes(gap)))
        start = self.size
        self._write(memoryview(data).cast("B") if len(data) else memoryview(b""))
        return start

    def _write(self, data: memoryview) -> None:
        self.size += data.nbytes
        if not self._objects:
            if self.size < SPILL_BYTES:
                self.few += data
                return
            few, self.few = self.few, bytearray()
            self._write_frames(memoryview(few))
        self._write_frames(data)

    def _write_frames(self, data: memoryview) -> None:
        while data.nbytes:
            if not self._views or self._at == self._views[-1].nbytes:
                self._add_object()
            view = self._views[-1]
            part = min(data.nbytes, view.nbytes - self._at)
            view[self._at : self._at + part] = data[:part]
            self._at += part
            data = data[part:]

    def _add_object(self) -> None:
        if not self._objects:
            self._on_frames.append(self)
        nbytes = min(max(SPILL_BYTES, self.size), OBJECT_BYTES_MAX)
        made = Scamem(self._seat, allocate(self._seat, nbytes, L.BY_HAND, zone="NORMAL"))
        self._objects.append(made)
        self._views.append(memoryview(made.map()))
        self._at = 0

    def patch(self, data: bytes) -> None:
        """Write bytes over the first ones."""
        into: Any = self._views[0] if self._views else self.few
        into[: len(data)] = data

    def to_object(self) -> Scamem:
        """Return the bytes as one object of whole frames; `close` closes it.

        Raises
        ------
        OutOfMemoryError : no frames are left.
        """
        if not self._objects:
            made = Scamem(self._seat, allocate(self._seat, self.size, L.BY_HAND, zone="NORMAL"))
            self._objects.append(made)
            memoryview(made.map())[: self.size] = self.few
            return made
        self._views.clear()
        self._objects[-1].resize(self._at)
        made = self._objects[0]
        for part in self._objects[1:]:
            made.splice(part)
        return made

    def close(self) -> None:
        """Give up all bytes."""
        self._views.clear()
        for part in self._objects:
            part.close()
        self._objects.clear()
        self.few.clear()


def assemble(heap: Buffer, sections: list[Buffer]) -> Scamem:
    """Return one object of a buffer and the sections behind it, each from a new frame on."""
    made = heap.to_object()
    for section in sections:
        made.splice(section.to_object())
    return made


def places(heap_bytes: int, sections: list[Buffer]) -> list[tuple[int, int]]:
    """Return where each section will begin, and its length, behind a heap of so many bytes."""
    at = -(-heap_bytes // FRAME_BYTES) * FRAME_BYTES
    found = []
    for section in sections:
        found.append((at, section.size))
        at += -(-section.size // FRAME_BYTES) * FRAME_BYTES
    return found
