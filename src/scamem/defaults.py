"""The default arena of a process, and the functions that use it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arena import Arena
from .arrays import create
from .arrays.array import Array
from .arrays.place import root
from .backing import head_room, joining
from .core.store.geometry import Geometry
from .errors import ScamemError
from .handles import relatives
from .handles.handle import pack_prefix, unpack_prefix
from .membership import joined
from .membership.files import DEFAULT_LABEL, Address
from .membership.member import Hold
from .membership.seat import Seat
from .views.view import View

_default: Arena | None = None
_parents_arena = b""  # where our parent's default arena is, as it told when it started us
FORKING = frozenset(f"{family}.popen_fork" for family in relatives.FAMILIES)


def default() -> Arena:
    """Return the arena that `scamem.array` and so on use, made if there is none.

    In order: the one in use; SCAMEM_ARENA (joined or created); in a child of multiprocessing, its
    parent's; the first arena that was joined by a handle; a new anonymous one. A process that has
    imported scamem makes its default arena, at the latest, when it starts a child.

    Threads: one is made, once. fork: the child has its parent's.
    """
    global _default
    found = _default
    if found is not None and found._seat.is_usable():
        return found
    with joined.lock:
        found = _default
        if found is None or not found._seat.is_usable():
            _inheritance.hand_down()  # another family may have been imported since
            seat = _find_default()
            seat.by_handle = False  # it is in use from now on, whatever is held
            found = _default = seat.arena
        return found


def _find_default() -> Seat:
    name = os.environ.get("SCAMEM_ARENA")
    if name:
        return joined.join_or_create(name, None)
    if _parents_arena:
        try:
            return joined.reach(unpack_prefix(_parents_arena))
        except (OSError, ScamemError):
            pass  # its process has ended, or closed it
    for pid in relatives.parents():
        found = _default_of(pid)
        if found is not None:
            return found
    for seat in joined.seats():
        if seat.by_handle and seat.is_usable():
            return seat
    size = Geometry.for_capacity(head_room.default_capacity_bytes())
    return joined.make(size, "", DEFAULT_LABEL)


def _tell_children() -> bytes:
    """Return where the default arena is; nothing if there can be none, or all are told its name."""
    if os.environ.get("SCAMEM_ARENA"):
        return b""
    try:
        return pack_prefix(default()._seat.address())
    except (OSError, ScamemError):
        return b""  # a child starts all the same, and says what is wrong when it needs an arena


def _hear_parent(told: bytes) -> None:
    """Take the parent's default arena, also in place of one made while main was imported."""
    global _default, _parents_arena
    if told != _parents_arena:
        _parents_arena = told
        _default = None


def _before_fork() -> None:
    """Make the default arena before multiprocessing forks: parent and child would make one each."""
    if sys._getframe(1).f_globals.get("__name__") in FORKING:
        _tell_children()


_inheritance = relatives.Inheritance(_tell_children, _hear_parent)
_inheritance.hand_down()
os.register_at_fork(before=_before_fork)


def _default_of(pid: int) -> Seat | None:
    """Join the default arena of another process, None if it has none that can be reached."""
    for descriptor, label in joining.labelled(pid, DEFAULT_LABEL):
        arena_id = int(label.removeprefix(DEFAULT_LABEL), 16)
        try:
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")
            candidates = ((pid, descriptor),)
            return joined.reach(Address(arena_id, found.st_dev, found.st_ino, "", candidates))
        except (OSError, ScamemError):
            continue  # it was closed, or its process has ended: no default to be had there
    return None


def empty(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
    """Return an uninitialised array on scattered memory, in the default arena.

    Parameters
    ----------
    shape : an int or ints.
    dtype : anything but one that holds Python objects.
    order : "C" or "F".
    node, zone : where its frames come from (keywords); None: anywhere.

    Raises
    ------
    OutOfMemoryError : a MemoryError that names the limit.
    TooScatteredError : the free frames are too scattered for one view.
    TypeError, ValueError : as NumPy's, and for dtypes that hold Python objects.

    Ownership: the memory is one reference, dropped with the last view of it in this process.
    Threads: any. fork: the child's copy is held by a reference of the child's own.
    """
    return default().empty(shape, dtype, order, **where)


def zeros(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
    """Return an array of zeros on scattered memory; parameters and errors as `empty`."""
    return default().zeros(shape, dtype, order, **where)


def full(
    shape: Any, fill_value: Any, dtype: DTypeLike | None = None, order: str = "C", **where: Any
) -> Array:
    """Return an array filled with a value; parameters and errors as `empty`."""
    return default().full(shape, fill_value, dtype, order, **where)


def array(values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
    """Return a copy of an array, or of what NumPy makes one of, on scattered memory.

    Parameters
    ----------
    values, dtype : as np.array.
    order : "K", "A", "C" or "F" (keyword).

    Errors and ownership as `empty`.
    """
    return default().array(values, dtype, **where)


def asarray(values: ArrayLike, dtype: DTypeLike | None = None, **where: Any) -> Array:
    """Return values themselves if they lie in the default arena already, else a copy there."""
    return default().asarray(values, dtype, **where)


def ones(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Any) -> Array:
    """Return an array of ones on scattered memory; parameters and errors as `empty`."""
    return default().full(shape, 1, dtype, order, **where)


def empty_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Any,
) -> Array:
    """Return an uninitialised shared array, of another array's shape and dtype.

    `np.empty_like(x)` of an Array gives a plain ndarray in private memory; this shares.

    Parameters
    ----------
    prototype : an array, or what NumPy makes one of; its arena is used if it lies in one, else the
        default arena.
    dtype, shape : others than the prototype's.
    order : "K" (as the prototype), "A", "C" or "F".
    node, zone : where its frames come from (keywords); None: anywhere.

    Errors, ownership, threads and fork as `empty`.
    """
    return create.empty_like(_seat_for(prototype), prototype, dtype, order, shape, **where)


def zeros_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Any,
) -> Array:
    """Return a shared array of zeros; parameters and errors as `empty_like`."""
    return create.zeroed(empty_like(prototype, dtype, order, shape, **where))


def ones_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Any,
) -> Array:
    """Return a shared array of ones; parameters and errors as `empty_like`."""
    return full_like(prototype, 1, dtype, order, shape, **where)


def full_like(
    prototype: ArrayLike,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Any,
) -> Array:
    """Return a shared array filled with a value; parameters and errors as `empty_like`."""
    made = empty_like(prototype, dtype, order, shape, **where)
    made[...] = fill_value
    return made


def copy(values: ArrayLike, order: str = "K", **where: Any) -> Array:
    """Return a shared copy: in the arena of `values` if it lies in one, else in the default arena.

    `x.copy()` and `np.copy(x)` give plain ndarrays in private memory. Parameters, errors and
    ownership as `array`.
    """
    return create.array(_seat_for(values), values, order=order, **where)


def _seat_of(values: Any) -> Seat | None:
    """Return the seat in the arena that an array lies in, None if it lies in none."""
    base = root(values) if isinstance(values, np.ndarray) else None
    hold = base.hold if isinstance(base, View) else base
    return hold.member.seat if isinstance(hold, Hold) else None


def _seat_for(values: Any) -> Seat:
    """Return the seat in the arena that an array lies in, else in the default arena."""
    found = _seat_of(values)
    return found if found is not None and found.is_usable() else default()._seat


def concatenate(arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None) -> Array:
    """Join arrays along an axis; where that can be, as one view of their frames and not a copy.

    It can be where all are of one dtype and lie in one arena, each C-contiguous in one object, and
    each but the last ends on a frame boundary (4,096 bytes), each but the first begins on one.
    `empty` and `zeros` begin on one; `array` of 1 MiB and more does not.

    Parameters
    ----------
    arrays : the arrays, or what NumPy makes arrays of.
    axis : along which; only the first (of those that are longer than 1) can do without a copy.
    copy : None: only if needed; True: always; False: ValueError that says why it would be needed.

    Returns
    -------
    Array : in the arena of the first array that lies in one, else in the default arena. Not copied,
        it shares memory with its parts, and is read-only if one of them is. Between processes it
        goes by handle; it has no name and no `scamem.handle`, since it is not one object.

    Raises
    ------
    OutOfMemoryError, TooScatteredError : as `empty`; the second also with copy=False.
    ValueError, TypeError : as np.concatenate.

    Ownership: it holds one reference (a mapping) on each object. Cost: one mmap a run of frames.
    """
    found = next(filter(None, map(_seat_of, arrays)), None)
    chosen: Arena = default() if found is None else found.arena
    return chosen.concatenate(arrays, axis, copy)
