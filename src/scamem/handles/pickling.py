"""How arrays are pickled: by handle between processes, by value into files.

ForkingPickler is what multiprocessing and concurrent.futures send with, so an Array's reducer there
lends; loky's likewise, where it is loaded. Plain pickle goes by value, as a file written by handle
would silently lose its data; `by_handle()` says otherwise for a block of code.
"""

from __future__ import annotations

import copyreg
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from scamem.arrays.array import Array, Reduced
from scamem.arrays.construct import address_of, new_array
from scamem.arrays.place import locate, root
from scamem.core.store import layout as L
from scamem.errors import ScamemError
from scamem.membership.seat import Seat
from scamem.objects.scamem import Scamem
from scamem.views import making
from scamem.views.view import View

from . import subclasses
from .convert import RAW_DESCRIPTION, from_handle, handle, load_handle
from .description import ARRAY, Description, encode_array, extent
from .elsewhere import is_sending, register_elsewhere, register_reducer
from .handle import lend
from .runs import for_pickler, sent_by
from .unloaded import or_unloaded

if TYPE_CHECKING:
    from scamem.views.view import Part

_by_handle: ContextVar[bool] = ContextVar("scamem_by_handle", default=False)


@contextmanager
def by_handle() -> Iterator[None]:
    """Within the block, plain pickling of arrays goes by handle too (this thread or task only).

    A `pickle.dumps`, `pickle.dump` or `Pickler(file).dump` that fails gives back what it has lent.
    What a pickler that is kept under a name has lent stays until its grace is over
    (`Arena.transit_grace_s`), and then until room is wanted.
    """
    token = _by_handle.set(True)
    try:
        yield
    finally:
        _by_handle.reset(token)


@or_unloaded
def load_array(data: bytes, kind: type[Array] = Array, dtype: Any = None) -> Any:
    """Return the array of a handle's bytes: what a pickle by handle calls.

    Parameters
    ----------
    kind : the subclass of Array that it was.
    dtype : the dtype that it was, where a handle cannot say so.
    """
    found = from_handle(data)
    if dtype is not None:
        found = found.view(dtype)
    return found if kind is Array else found.view(kind)


def reduce_by_handle(array: Array) -> Reduced:
    """Pickle an array by handle; by value where its memory is private or would not be there."""
    return reduce_for(array, sys._getframe(1))


def reduce_for(array: Array, caller: FrameType) -> Reduced:
    """Pickle an array for the pickler that was called there."""
    place = locate(array)
    if place is None:
        view = root(array)
        if isinstance(view, View) and view.parts is not None:
            if not would_die_with_us(view.hold.member.seat):
                return reduce_stitched(array, view, view.parts, caller)
    if place is None or array.itemsize == 0 or would_die_with_us(place.hold.member.seat):
        # The pickler sees to the ndarray: in band or out, in whatever protocol it writes.
        return np.asarray, (array.view(np.ndarray),)
    hold = place.hold
    try:
        description = encode_array(array, place.offset)
    except TypeError:  # a dtype that only pickle knows
        description = encode_array(array.view(f"V{array.itemsize}"), place.offset)
        sent = for_pickler(hold.member, lend(hold, description), caller)
        return load_array, (sent, type(array), array.dtype)
    sent = for_pickler(hold.member, lend(hold, description), caller)
    return load_array, ((sent,) if type(array) is Array else (sent, type(array)))


def reduce_stitched(
    array: Array, view: View, parts: tuple[Part, ...], caller: FrameType
) -> Reduced:
    """Pickle an array over several objects: a handle for each, and how to join them again."""
    offset = address_of(array) - view.address
    sent = tuple(
        (for_pickler(hold.member, lend(hold, RAW_DESCRIPTION), caller), start, count)
        for hold, start, count in parts
    )
    layout = (offset, array.shape, array.strides, array.dtype, bool(array.flags.writeable))
    return load_stitched, (sent, *layout, type(array))


@or_unloaded
def load_stitched(
    lent: tuple[tuple[bytes, int, int], ...],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writable: bool,
    kind: type[Array],
) -> Array:
    """Return an array over several objects, from the bytes of a handle of each."""
    loaded = [(load_handle(data), start, count) for data, start, count in lent]
    found = Description(ARRAY, offset, shape, strides, dtype, not writable)
    seat = loaded[0][0].seat
    parts = [(one.hold, start, count) for one, start, count in loaded]
    view = making.stitched(seat, parts, writable=writable)
    first, last = extent(found)
    if first < 0 or last > view.nbytes or dtype.hasobject:
        raise ScamemError(
            f"a handle describes bytes {first} to {last} of a view of {view.nbytes}; it was "
            "tampered with"
        )
    made: Array = new_array(kind, dtype, shape, strides, view.address + offset, writable, view)
    return made


def would_die_with_us(seat: Seat) -> bool:
    """Tell whether an arena may be gone before a handle of it is loaded: a child's, anonymous."""
    if seat.closed:
        return True  # no new handles of it are made
    if seat.path or multiprocessing.parent_process() is None:
        return False
    return not seat.has_other_members()


def reduce_in_context(array: Array) -> Reduced | None:
    """Pickle by handle where by_handle() is in force, else leave it to the plain way."""
    register_elsewhere()
    return reduce_for(array, sys._getframe(1)) if _by_handle.get() or is_sending() else None


def reduce_scamem(obj: Scamem, caller: FrameType | None = None) -> tuple[Any, ...]:
    """Pickle a Scamem by handle, in every pickler: it has no value of its own."""
    return load_scamem, (sent_by(handle(obj), caller or sys._getframe(1)),)


@or_unloaded
def load_scamem(data: bytes) -> Scamem:
    """Return the Scamem of a handle's bytes."""
    loaded = load_handle(data)
    return Scamem(loaded.seat, loaded.hold.another(L.BY_HAND))


def register(kind: type[Array]) -> None:
    """Let arrays of exactly this type go by handle between processes."""
    register_reducer(kind, reduce_by_handle)
    if kind is not Array:
        subclasses.note(kind)


def explain(value: Any) -> str:
    """Say how an array goes to another process, and why, in one line for people.

    Nothing is lent. Plain `pickle.dumps` always goes by value, but within `by_handle()`.
    """
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__} is pickled as usual; the Arrays in it go by handle"
    place = locate(value)
    base = root(value)
    if place is None and isinstance(base, View) and base.parts is not None:
        if isinstance(value, Array) and not would_die_with_us(base.hold.member.seat):
            return (
                f"by handle: {value.nbytes:,} bytes from {len(base.parts)} objects, stitched anew"
            )
    if place is None and isinstance(base, View) and base.private:
        return f"by value ({value.nbytes:,} bytes): it lies in a private, copy-on-write view"
    if place is None:
        return f"by value ({value.nbytes:,} bytes): its memory is private; scamem.array() copies it"
    where = f"byte {place.offset:,} of object {place.hold.index} of {place.hold.member.seat!r}"
    if not isinstance(value, Array):
        return (
            f"by value ({value.nbytes:,} bytes): it lies at {where}, but is a "
            f"{type(value).__name__}; x.view(scamem.Array) goes by handle"
        )
    if value.itemsize == 0 or would_die_with_us(place.hold.member.seat):
        return (
            f"by value ({value.nbytes:,} bytes): {place.hold.member.seat!r} was closed, or no "
            "other process has joined it, so that it may end with this one"
        )
    return f"by handle: {value.nbytes:,} bytes from {where}"


Array.reduce_by_handle = staticmethod(reduce_in_context)
Array.on_subclass = staticmethod(register)
copyreg.pickle(Scamem, reduce_scamem)
register(Array)
