"""How arrays are pickled: by handle between processes, by value into files.

multiprocessing and concurrent.futures send with ForkingPickler. An Array's reducer there lends the
array and pickles a handle; so do the reducers in other libraries that send to processes
(elsewhere.py). Plain pickle goes by value: a file written by handle would silently lose its data.
`by_handle()` changes that for a block of code.

An anonymous arena ends with its last member, and its handles are useless then. So an array goes by
value if only this process keeps the arena alive and no child of it is known that could receive the
array: `would_die_with_us`.
"""

from __future__ import annotations

import copyreg
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from scamem.arrays.array import Array, Reduced
from scamem.arrays.construct import address_of, new_array
from scamem.arrays.place import locate, root
from scamem.core.store import layout as L
from scamem.errors import NotSharedWarning, ScamemError
from scamem.membership.seat import Seat
from scamem.objects.scamem import Scamem
from scamem.views import making
from scamem.views.view import View

from . import relatives, subclasses
from .convert import RAW_DESCRIPTION, from_handle, handle, load_handle
from .description import ARRAY, Description, encode_array, extent
from .elsewhere import is_sending, register_elsewhere, register_reducer
from .handle import Handle, lend
from .modes import received
from .runs import for_pickler, sent_by
from .unloaded import or_unloaded

if TYPE_CHECKING:
    from scamem.views.view import Part

WARN_BYTES = 1 << 20  # smaller arrays are not worth a warning

_by_handle: ContextVar[bool] = ContextVar("scamem_by_handle", default=False)
# While `explain` counts (in this thread or task), plain pickling calls this and nothing else.
counting: ContextVar[Callable[[Array], Reduced] | None] = ContextVar(
    "scamem_counting", default=None
)
_warned = False


@contextmanager
def by_handle() -> Iterator[None]:
    """Within the block, pickle arrays by handle in every pickler (for this thread or task only).

    >>> import pickle
    >>> x = scamem.zeros(1_000_000)
    >>> with scamem.by_handle():
    ...     data = pickle.dumps(x)
    >>> len(data) < 1000
    True

    This includes plain pickle, and arenas that may end with this process: keep the arena alive
    until the handle is loaded.

    If `pickle.dumps`, `pickle.dump` or `Pickler(file).dump` fails, it gives back what it lent. If a
    pickler that is kept in a variable fails, its loans stay until their grace is over
    (`Arena.transit_grace_s`), and then until memory is needed.
    """
    token = _by_handle.set(True)
    try:
        yield
    finally:
        _by_handle.reset(token)


@or_unloaded
def load_array(data: bytes, kind: type[Array] = Array, dtype: Any = None) -> Any:
    """Return the array of a handle's bytes; pickles by handle call this.

    Parameters
    ----------
    kind : the subclass of Array that it was.
    dtype : its dtype, if a handle cannot describe it.
    """
    found = from_handle(data, mode=received())
    if dtype is not None:
        found = found.view(dtype)
    return found if kind is Array else found.view(kind)


def reduce_by_handle(array: Array) -> Reduced:
    """Pickle an array by handle, or by value if its memory is private or might end too early."""
    return reduce_for(array, sys._getframe(1))


def reduce_for(array: Array, caller: FrameType) -> Reduced:
    """Pickle an array for the pickler that was called in the frame `caller`."""
    place = locate(array)
    if place is None:
        view = root(array)
        if isinstance(view, View) and view.parts is not None:
            if not goes_by_value(array, view.hold.member.seat):
                return reduce_stitched(array, view, view.parts, caller)
    if place is None or goes_by_value(array, place.hold.member.seat):
        # The pickler handles the ndarray: in band or out of band, in its own protocol.
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
    """Pickle an array over several objects: a handle of each, and how to join them again."""
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
    """Return an array over several objects, from the bytes of their handles."""
    loaded = [(load_handle(data), start, count) for data, start, count in lent]
    found = Description(ARRAY, offset, shape, strides, dtype, not writable)
    seat = loaded[0][0].seat
    parts = [(one.hold, start, count) for one, start, count in loaded]
    mode = received()
    writable = mode == "c" or (writable and mode != "r")
    view = making.stitched(seat, parts, writable=writable, private=mode == "c")
    first, last = extent(found)
    if first < 0 or last > view.nbytes or dtype.hasobject:
        raise ScamemError(
            f"a handle describes bytes {first} to {last} of a view of {view.nbytes}; it was "
            "tampered with"
        )
    made: Array = new_array(kind, dtype, shape, strides, view.address + offset, writable, view)
    return made


def goes_by_value(array: Array, seat: Seat) -> bool:
    """Return whether an array in an arena must go by value; warn if it is large."""
    if seat.closed or array.itemsize == 0:
        return True
    if _by_handle.get() or not would_die_with_us(seat):
        return False
    if array.nbytes >= WARN_BYTES:
        _warn(array, seat)
    return True


def would_die_with_us(seat: Seat) -> bool:
    """Return whether an arena may end before a handle of it is loaded.

    It cannot if the arena is named, if another living process is a member, or if a child of this
    process is about to join, since the handle goes to that child.
    """
    if seat.path or seat.has_other_members():
        return False
    return not relatives.is_sending_to_children()


def _warn(array: Array, seat: Seat) -> None:
    """Warn once per process that an array is sent by value, and so is not shared."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"sent an array of {array.nbytes:,} bytes by value, so the receiver gets a copy: only this "
        f"process is a member of {seat!r}, which would end with it. To share it, import scamem in "
        "the program that starts this process, or use a named arena (SCAMEM_ARENA=name, or "
        "Arena.open(name)). This warning is shown once per process",
        NotSharedWarning,
        stacklevel=2,
    )


def reduce_in_context(array: Array) -> Reduced | None:
    """Pickle by handle within by_handle(), or in a pickler that sends to a process; else None."""
    count = counting.get()
    if count is not None:
        return count(array)
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


def reduce_handle(value: Handle) -> tuple[Any, ...]:
    """Pickle a Handle, in every pickler: this lends its object."""
    return load_handle, (sent_by(value, sys._getframe(1)),)


def register(kind: type[Array]) -> None:
    """Let arrays of exactly this type go by handle between processes."""
    register_reducer(kind, reduce_by_handle)
    if kind is not Array:
        subclasses.note(kind)


Array.reduce_by_handle = staticmethod(reduce_in_context)
Array.on_subclass = staticmethod(register)
copyreg.pickle(Scamem, reduce_scamem)
copyreg.pickle(Handle, reduce_handle)
register(Array)
