"""`explain`: say for a human reader how a value travels to another process."""

from __future__ import annotations

import pickle
import sys
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from scamem.arrays.array import Array, Reduced
from scamem.arrays.place import locate, root
from scamem.looks.addresses import seat_at
from scamem.objects.scamem import Scamem
from scamem.views.view import View

from .handle import Handle
from .pickling import counting, would_die_with_us
from .shared import seat_of

ALONE = "; by value to processes other than its children: no other process has joined the arena"


def explain(value: Any) -> str:
    """Say in one line how a value goes to another process, and why. For reading, not for parsing.

    >>> scamem.explain(np.zeros(3))
    'by value (24 bytes): ...'

    The answer is for a child of this process, reached through multiprocessing. Plain `pickle.dumps`
    sends by value, except within `by_handle()`. A value that is not an array is pickled to find
    out; large buffers are not copied, and no handle is lent.
    """
    if isinstance(value, np.ndarray):
        return _explain_array(value)
    if isinstance(value, (Scamem, Handle)):
        return "by handle: it is a reference to shared memory"
    return _explain_pickled(value)


def _explain_array(value: np.ndarray[Any, Any]) -> str:
    base = root(value)
    by_value = f"by value ({value.nbytes:,} bytes)"
    if isinstance(base, View) and base.private:
        return f"{by_value}: it lies in a private, copy-on-write view"
    seat = seat_of(value)
    if seat is None:
        return f"{by_value}: its memory is private; scamem.array() copies it"
    stitched = isinstance(base, View) and base.parts is not None
    place = None if stitched else locate(value)
    if isinstance(base, View) and base.parts is not None:
        where = f"over {len(base.parts)} objects of {seat!r}"
    elif place is not None:
        where = f"at byte {place.offset:,} of object {place.hold.index} of {seat!r}"
    else:
        return (
            f"{by_value}: it lies in {seat!r}, but another library's object holds it there; send "
            "the Array that it was made from"
        )
    if not isinstance(value, Array):
        return (
            f"{by_value}: it lies {where}, but its type is {type(value).__name__}; "
            "x.view(scamem.Array) goes by handle"
        )
    if seat.closed or value.itemsize == 0:
        why = f"{seat!r} was closed" if seat.closed else "it has no bytes"
        return f"{by_value}: {why}"
    return f"by handle: {value.nbytes:,} bytes {where}{ALONE if would_die_with_us(seat) else ''}"


class _Tally:
    """What a value's pickle consists of."""

    def __init__(self) -> None:
        self.by_value = 0  # bytes
        self.in_arena = 0  # bytes, of those by value
        self.by_handle = 0  # bytes
        self.handles = 0
        self.alone = False  # an array's arena may end with this process

    def write(self, data: Any) -> int:
        """Count a piece of the pickle, as a file would write it."""
        self.by_value += len(data)
        return len(data)

    def leave_out(self, buffer: pickle.PickleBuffer) -> None:
        """Count a buffer without copying it."""
        data = np.frombuffer(buffer.raw(), np.uint8)
        self.count_buffer(data.__array_interface__["data"][0], data.nbytes)

    def count_buffer(self, address: int, nbytes: int) -> None:
        """Count memory that goes by value."""
        self.by_value += nbytes
        if nbytes and seat_at(address, nbytes) is not None:
            self.in_arena += nbytes

    def count(self, array: Array) -> Reduced:
        """Count an array, and return what is pickled in its place."""
        base = root(array)
        stitched = isinstance(base, View) and base.parts is not None
        seat = seat_of(array) if stitched or locate(array) is not None else None
        if seat is None or seat.closed or array.itemsize == 0:
            return np.asarray, (array.view(np.ndarray),)
        self.handles += 1
        self.by_handle += array.nbytes
        self.alone = self.alone or would_die_with_us(seat)
        return bytes, ()


class _Counting(ForkingPickler):
    """A pickler like multiprocessing's, which counts what goes by handle and lends nothing."""

    def __init__(self, tally: _Tally) -> None:
        super().__init__(tally, pickle.HIGHEST_PROTOCOL, True, tally.leave_out)
        self.tally = tally

    def reducer_override(self, value: Any) -> Any:
        """Count an object that goes by handle, instead of lending it."""
        if isinstance(value, (Scamem, Handle)):
            self.tally.handles += 1
            return bytes, ()
        if isinstance(value, Array):
            return self.tally.count(value)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            # Pickled for another process, it would be moved to shared memory of torch's own.
            storage = value.untyped_storage()
            if "scamem.integrations.torch" in sys.modules:
                if seat_at(storage.data_ptr(), storage.nbytes()) is not None:
                    return NotImplemented  # its reducer sends an Array
            self.tally.count_buffer(storage.data_ptr(), storage.nbytes())
            return bytes, ()
        return NotImplemented


def _explain_pickled(value: Any) -> str:
    kind = type(value).__name__
    tally = _Tally()
    token = counting.set(tally.count)
    try:
        _Counting(tally).dump(value)
    except Exception as error:  # noqa: BLE001 - whatever a foreign __reduce__ raises
        return f"cannot be pickled ({kind}): {error}"
    finally:
        counting.reset(token)
    managers = sys.modules.get("multiprocessing.managers")
    if managers is not None and isinstance(value, managers.BaseProxy):
        return (
            f"by reference ({tally.by_value:,} bytes): the object of a {kind} stays in the "
            "manager process. Arrays that are put there or read from it go by handle"
        )
    text = f"by value: {tally.by_value:,} bytes ({kind})"
    if tally.in_arena:
        text += (
            f", {tally.in_arena:,} of which lie in an arena, but not as Arrays: send the Array "
            "that they were made from, and make this from it at the other end"
        )
    if tally.handles:
        number = f"{tally.handles} object{'s' if tally.handles > 1 else ''}"
        text = f"by handle: {tally.by_handle:,} bytes in {number}; {text}"
    return text + (ALONE if tally.alone else "")
