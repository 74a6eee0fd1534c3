"""Updates in place of which no reader sees a part: `Array.write` and `Array.read_consistent`.

One sequence word of the object counts its updates, and names the process that makes one
(core/sync/sequence.py). Readers that use neither of the two methods see memory, as ever.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from scamem.errors import TornError
from scamem.membership.claims import pid_of
from scamem.membership.waiting import Deadline

from .place import Place, locate
from .sequences import Claim

FIRST_NAP_S = 0.001
LONGEST_NAP_S = 0.25
LOOKS_BEFORE_CLAIM = 4  # copies that writers may spoil before a reader keeps them out

Key = tuple[int, int, int]

_writing: dict[Key, tuple[int, int]] = {}  # by object: {pid, thread} of this process's update


def _place_of(array: NDArray[Any], asked: str) -> Place:
    """Return where an array lies; TypeError if it is not the memory of one object."""
    place = locate(array)
    if place is None:
        raise TypeError(
            f"asked to {asked} an array that lies in private memory, or in a view of several "
            "objects. Only one object of an arena has a sequence number; use scamem.array()"
        )
    return place


def _key(place: Place) -> Key:
    return place.hold.member.seat.arena_id, place.hold.index, place.hold.generation


def _me() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


class Update:
    """An update in place, as a context manager; see `Array.write`.

    Attributes
    ----------
    recovered : whether the last writer died, or failed, in the middle of its update.
    """

    def __init__(self, array: Any, timeout: float | None) -> None:
        self._place = _place_of(array, "update")
        if not array.flags.writeable:
            raise ValueError("asked to update an array that is read-only; get a writable one")
        self._array = array
        self._timeout = timeout
        self._claim: Claim | None = None
        self.recovered = False

    def __enter__(self) -> Any:
        key = _key(self._place)
        if self._claim is not None or _writing.get(key) == _me():
            raise RuntimeError(
                "this thread is updating this object already; it would wait for itself"
            )
        claim = Claim(self._place.hold)
        status = _claim(claim, Deadline(self._timeout), reads=False)
        self.recovered = status == P.OWNER_DIED
        self._claim = claim
        _writing[key] = _me()
        return self._array

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        claim, self._claim = self._claim, None
        if claim is not None and _writing.get(_key(self._place)) == _me():
            del _writing[_key(self._place)]
            claim.end(kind is not None)


def _claim(claim: Claim, deadline: Deadline, *, reads: bool) -> int:
    """Claim an object's sequence word; return the status, which is not BUSY."""
    for nap_s in deadline.slices(LONGEST_NAP_S, first_s=FIRST_NAP_S):
        status = claim.begin(reads)
        if status != L.BUSY:
            return status
        claim.nap(nap_s)
    raise _too_late(deadline)


def _too_late(deadline: Deadline) -> Exception:
    return deadline.error(
        "an update of this object to end", "another thread or process is updating it", "Wait longer"
    )


def _torn(claim: Claim, place: Place) -> TornError:
    pid = pid_of(place.hold.member, *claim.owner())
    who = f"process {pid}" if pid else "a writer"
    return TornError(
        f"{who} died, or failed, in the middle of an update of this object, so its data may be "
        "half old and half new. Write it again: with x.write(): ...",
        pid=pid,
    )


def read_consistent(array: Any, timeout: float | None) -> NDArray[Any]:
    """Return a private copy of an array as of between two updates; see `Array.read_consistent`."""
    place = _place_of(array, "read")
    deadline = Deadline(timeout)
    source = array.view(np.ndarray)
    made: NDArray[Any]
    if _writing.get(_key(place)) == _me():
        made = source.copy()
        return made
    claim = Claim(place.hold)
    spoilt = 0
    for nap_s in deadline.slices(LONGEST_NAP_S, first_s=FIRST_NAP_S):
        status = claim.look()
        while status == L.OK and spoilt < LOOKS_BEFORE_CLAIM:
            made = source.copy()
            if claim.is_unchanged():
                return made
            spoilt += 1
            status = claim.look()
        if status == P.BROKEN:
            raise _torn(claim, place)
        if spoilt >= LOOKS_BEFORE_CLAIM:
            return _copy_claimed(claim, place, source, deadline)
        claim.nap(nap_s)
    raise _too_late(deadline)


def _copy_claimed(
    claim: Claim, place: Place, source: NDArray[Any], deadline: Deadline
) -> NDArray[Any]:
    """Copy an array while no writer is let in."""
    if _claim(claim, deadline, reads=True) == P.BROKEN:
        raise _torn(claim, place)
    try:
        made: NDArray[Any] = source.copy()
        return made
    finally:
        claim.end(False)
