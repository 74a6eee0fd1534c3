"""The default arena of a process, and the module-level functions that use it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

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
from .memory.allocation import Where
from .views.view import View

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from .together.queues import Queue
    from .together.topics import Topic

_default: Arena | None = None
_parents_arena = b""  # where the parent's default arena is; it said so when it started us
FORKING = frozenset(f"{family}.popen_fork" for family in relatives.FAMILIES)


def default() -> Arena:
    """Return the default arena, which `scamem.array` and the like use; create it if necessary.

    >>> x = scamem.zeros(3)
    >>> scamem.default().stats().objects >= 1
    True

    It is the first of these that exists: the default arena already in use; the arena that
    SCAMEM_ARENA names (joined or created); in a child of multiprocessing, its parent's default
    arena; the first arena that was joined by a handle. Otherwise a new anonymous arena is created.
    A process that has imported scamem creates its default arena no later than when it starts a
    child.

    Threads: any; only one creates it. fork: the child has its parent's.
    """
    global _default
    found = _default
    if found is not None and found._seat.is_usable():
        return found
    with joined.lock:
        found = _default
        if found is None or not found._seat.is_usable():
            seat = _find_default()
            seat.by_handle = False  # in use from now on, even if nothing in it is held
            found = _default = seat.arena
        return found


def adopt(seat: Seat) -> Arena:
    """Make an arena that this process has joined its default arena; return it."""
    global _default
    with joined.lock:
        seat.by_handle = False  # in use from now on, even if nothing in it is held
        _default = seat.arena
        return _default


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
    """Return where the default arena is; b"" if there can be none, or SCAMEM_ARENA names it."""
    if os.environ.get("SCAMEM_ARENA"):
        return b""
    try:
        return pack_prefix(default()._seat.address())
    except (OSError, ScamemError):
        return b""  # the child starts anyway, and reports the error when it needs an arena


def _hear_parent(told: bytes) -> None:
    """Take over the parent's default arena, even if main created one while it was imported."""
    global _default, _parents_arena
    if told != _parents_arena:
        _parents_arena = told
        _default = None


def _before_fork() -> None:
    """Create the default arena before multiprocessing forks: else both processes create one."""
    if sys._getframe(1).f_globals.get("__name__") in FORKING:
        _tell_children()


_inheritance = relatives.Inheritance(_tell_children, _hear_parent)
_inheritance.watch()
os.register_at_fork(before=_before_fork)


def _default_of(pid: int) -> Seat | None:
    """Join another process's default arena; None if it has none, or it cannot be reached."""
    for descriptor, label in joining.labelled(pid, DEFAULT_LABEL):
        arena_id = int(label.removeprefix(DEFAULT_LABEL), 16)
        try:
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")
            candidates = ((pid, descriptor),)
            return joined.reach(Address(arena_id, found.st_dev, found.st_ino, "", candidates))
        except (OSError, ScamemError):
            continue  # it was closed, or its process has ended
    return None


def empty(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Unpack[Where]) -> Array:
    """Create an uninitialised shared array in the default arena.

    >>> x = scamem.empty((2, 3), np.float32)
    >>> x.shape, x.dtype
    ((2, 3), dtype('float32'))

    Parameters
    ----------
    shape : an int or ints.
    dtype : any dtype that holds no Python objects.
    order : "C" or "F".
    node, zone : where its frames come from (keywords); see `Arena.alloc`. None: anywhere.

    Raises
    ------
    OutOfMemoryError : a MemoryError that names the limit.
    TooScatteredError : the free frames are too scattered for one contiguous view.
    TypeError, ValueError : as NumPy; also for a dtype that holds Python objects.

    Ownership: the array holds one reference, dropped when the last array over this memory in this
    process is deallocated.
    Threads: any. fork: the child's copy holds its own reference.
    """
    return default().empty(shape, dtype, order, **where)


def zeros(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Unpack[Where]) -> Array:
    """Create a shared array of zeros in the default arena.

    >>> x = scamem.zeros(3)
    >>> x[0] = 1    # every process that received x sees this
    >>> x.tolist()
    [1.0, 0.0, 0.0]

    Parameters, errors and ownership: as `empty`.
    """
    return default().zeros(shape, dtype, order, **where)


def full(
    shape: Any,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "C",
    **where: Unpack[Where],
) -> Array:
    """Create a shared array filled with a value; parameters, errors and ownership as `empty`.

    >>> scamem.full(3, 7).tolist()
    [7, 7, 7]
    """
    return default().full(shape, fill_value, dtype, order, **where)


def array(
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    **where: Unpack[Where],
) -> Array:
    """Copy an array, or anything that np.array takes, to a new shared array in the default arena.

    >>> x = scamem.array([[1, 2], [3, 4]])
    >>> type(x).__name__, x.shape
    ('Array', (2, 2))

    Parameters
    ----------
    values, dtype : as np.array.
    order : "K", "A", "C" or "F".
    node, zone : where its frames come from (keywords); see `Arena.alloc`. None: anywhere.

    Errors and ownership: as `empty`.
    """
    return default().array(values, dtype, order=order, **where)


def asarray(
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    writable: bool = True,
    **where: Unpack[Where],
) -> Array:
    """Return an array as it is if it lies in the default arena, else a shared copy.

    >>> x = scamem.zeros(3)
    >>> scamem.asarray(x) is x, scamem.asarray([1, 2]).tolist()
    (True, [1, 2])

    A copy is also made if `dtype` or `order` requires one. With writable=False the result is
    read-only, as from `Array.readonly`. Other parameters, errors and ownership: as `array`.
    """
    return default().asarray(values, dtype, order=order, writable=writable, **where)


def ones(shape: Any, dtype: DTypeLike = float, order: str = "C", **where: Unpack[Where]) -> Array:
    """Create a shared array of ones; parameters, errors and ownership as `empty`.

    >>> scamem.ones(3, np.int8).tolist()
    [1, 1, 1]
    """
    return default().full(shape, 1, dtype, order, **where)


def empty_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Unpack[Where],
) -> Array:
    """Create an uninitialised shared array with the shape and dtype of another array.

    >>> scamem.empty_like(np.ones((2, 3))).shape
    (2, 3)

    `np.empty_like(x)` of an Array gives a plain ndarray in private memory; this function shares.

    Parameters
    ----------
    prototype : an array, or anything that np.asarray takes. If it lies in an arena, that arena is
        used, else the default arena.
    dtype, shape : used in place of the prototype's.
    order : "K" (as the prototype), "A", "C" or "F".
    node, zone : where its frames come from (keywords); see `Arena.alloc`. None: anywhere.

    Errors, ownership, threads and fork: as `empty`.
    """
    return create.empty_like(_seat_for(prototype), prototype, dtype, order, shape, **where)


def zeros_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Unpack[Where],
) -> Array:
    """Create a shared array of zeros like another array; parameters and errors as `empty_like`.

    >>> scamem.zeros_like([1, 2]).tolist()
    [0, 0]
    """
    return create.zeroed(empty_like(prototype, dtype, order, shape, **where))


def ones_like(
    prototype: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Unpack[Where],
) -> Array:
    """Create a shared array of ones like another array; parameters and errors as `empty_like`.

    >>> scamem.ones_like([3, 4]).tolist()
    [1, 1]
    """
    return full_like(prototype, 1, dtype, order, shape, **where)


def full_like(
    prototype: ArrayLike,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "K",
    shape: Any = None,
    **where: Unpack[Where],
) -> Array:
    """Create a filled shared array like another array; parameters and errors as `empty_like`.

    >>> scamem.full_like([1, 2], 7).tolist()
    [7, 7]
    """
    made = empty_like(prototype, dtype, order, shape, **where)
    made[...] = fill_value
    return made


def copy(values: ArrayLike, order: str = "K", **where: Unpack[Where]) -> Array:
    """Copy an array to a new shared array, in the arena that it lies in, else in the default arena.

    >>> x = scamem.ones(3)
    >>> scamem.is_shared(scamem.copy(x)), scamem.is_shared(x.copy())
    (True, False)

    `x.copy()` and `np.copy(x)` give plain ndarrays in private memory. Parameters, errors and
    ownership: as `array`.
    """
    return create.array(_seat_for(values), values, order=order, **where)


def _seat_of(values: Any) -> Seat | None:
    """Return the seat of the arena that an array lies in, None if it lies in none."""
    base = root(values) if isinstance(values, np.ndarray) else None
    hold = base.hold if isinstance(base, View) else base
    return hold.member.seat if isinstance(hold, Hold) else None


def _seat_for(values: Any) -> Seat:
    """Return the seat of the arena that an array lies in, else of the default arena."""
    found = _seat_of(values)
    return found if found is not None and found.is_usable() else default()._seat


def concatenate(arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None) -> Array:
    """Join arrays along an axis, if possible as one view of their frames instead of a copy.

    >>> parts = [scamem.zeros((512, 8)), scamem.zeros((100, 8))]    # 512 rows fill 8 frames
    >>> scamem.concatenate(parts, copy=False).shape
    (612, 8)

    No copy is needed if all arrays have one dtype and lie in one arena, if each is C-contiguous in
    one object, and if every joint falls on a frame boundary (4,096 bytes): each array but the last
    ends on one, and each but the first begins on one. `empty` and `zeros` begin on one; `array`
    does not from 1 MiB on.

    Parameters
    ----------
    arrays : arrays, or anything that np.asarray takes.
    axis : the axis; only the first one longer than 1 can do without a copy.
    copy : None: only if necessary. True: always. False: never; ValueError says why it is necessary.

    Returns
    -------
    Array : in the arena of the first array that lies in one, else in the default arena. If not
        copied, it shares memory with its parts, and is read-only if one of them is. It goes to
        other processes by handle. It cannot be published or passed to `scamem.handle`, since it is
        not one object.

    Raises
    ------
    OutOfMemoryError, TooScatteredError : as `empty`; the second also with copy=False.
    ValueError, TypeError : as np.concatenate.

    Ownership: it holds one reference (a mapping) on each object. Cost: one mmap per run of frames.
    """
    found = next(filter(None, map(_seat_of, arrays)), None)
    chosen: Arena = default() if found is None else found.arena
    return chosen.concatenate(arrays, axis, copy)


def queue(
    name: str | None = None,
    maxsize: int = 0,
    *,
    policy: str = "block",
    lease_timeout: float | None = None,
) -> Queue:
    """Make a queue in the default arena, or join the one of this name; see `Arena.queue`.

    >>> jobs = scamem.queue(maxsize=100)
    """
    return default().queue(name, maxsize, policy=policy, lease_timeout=lease_timeout)


def topic(name: str | None = None, history: int = 1, *, policy: str = "drop_oldest") -> Topic:
    """Make a topic in the default arena, or join the one of this name; see `Arena.topic`.

    >>> frames = scamem.topic(history=10)
    """
    return default().topic(name, history, policy=policy)


def freeze(obj: Any, *, progress: Any = None) -> Any:
    """Store a value in the default arena as an immutable copy that all processes read in place.

    >>> data = scamem.freeze([{"x": 1.5, "label": "cat"}, {"x": 2.5, "label": "dog"}])
    >>> data[1]["label"], len(data), data.column("x")
    ('dog', 2, Array([1.5, 2.5]))

    Parameters
    ----------
    obj : None, bool, int, float, complex, str, bytes; lists, tuples, dicts, sets, frozensets;
        dataclasses, named tuples, enums; dates, times, Decimal, Fraction, UUID, paths, ranges;
        NumPy arrays and scalars; nested in any way. Subclasses are kept as the type that they
        extend. Or an iterator: its items become a list, without all of them in private memory.
    progress : called with (items done, items in all, or None if unknown) now and then; True: show
        a progress bar, on stderr.

    Returns
    -------
    FrozenList, FrozenTuple, FrozenDict, FrozenSet : equal to `obj` (but for NaNs, which equal
        nothing), and read in place. A dataclass or named tuple gives one that reads its fields in
        place; an array gives a read-only Array, a bytearray gives bytes. Anything else cannot be
        changed in the first place, and is returned as it is.

    A list of dicts, dataclasses or named tuples with the same fields is kept as columns, and so are
    lists of numbers, strings, lists or arrays of one shape: see `FrozenList.column`.

    Raises
    ------
    TypeError : something in `obj` cannot be frozen, or contains itself; says where: value[3]['x'].
    OutOfMemoryError : no memory in the arena; nothing was kept.

    Ownership: the result, and each part of it, keeps the frames of all of it. It is pickled by
    handle, in every pickler, and can be published: arena["data"] = scamem.freeze(rows).
    """
    return default().freeze(obj, progress=progress)
