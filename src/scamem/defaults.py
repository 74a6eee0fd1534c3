"""The default arena of a process, and the functions that use it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .arena import Arena
from .arrays.array import Array
from .arrays.place import root
from .backing import head_room, joining
from .core.store.geometry import Geometry
from .errors import ScamemError
from .membership import joined
from .membership.files import DEFAULT_LABEL, Address
from .membership.member import Hold
from .membership.seat import Seat
from .views.view import View

_default: Arena | None = None


def default() -> Arena:
    """Return the arena that `scamem.array` and so on use, made if there is none.

    In order: the one in use; SCAMEM_ARENA (joined or created); in a child of multiprocessing, its
    parent's; the first arena that was joined by a handle; a new anonymous one.

    Threads: one is made, once. fork: the child has its parent's.
    """
    global _default
    found = _default
    if found is not None and found._seat.is_usable():
        return found
    with joined.lock:
        found = _default
        if found is None or not found._seat.is_usable():
            seat = _find_default()
            seat.by_handle = False  # it is in use from now on, whatever is held
            found = _default = seat.arena
        return found


def _find_default() -> Seat:
    name = os.environ.get("SCAMEM_ARENA")
    if name:
        return joined.join_or_create(name, None)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        found = _default_of(parent.pid)
        if found is not None:
            return found
    for seat in joined.seats():
        if seat.by_handle and seat.is_usable():
            return seat
    size = Geometry.for_capacity(head_room.default_capacity_bytes())
    return joined.make(size, "", DEFAULT_LABEL)


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
    arena: Any = None
    for values in arrays:
        base = root(values) if isinstance(values, np.ndarray) else None
        hold = base.hold if isinstance(base, View) else base
        if arena is None and isinstance(hold, Hold):
            arena = hold.member.seat.arena
    chosen: Arena = arena or default()
    return chosen.concatenate(arrays, axis, copy)
