"""`Array`: a NumPy array in shared memory.

An Array behaves as an ndarray, except in how it travels. Its slices and views know which object
they lie in, so they go to another process by handle. What NumPy computes or copies from an Array
(arithmetic, `x.copy()`, `np.sort(x)`, fancy indexing, `np.zeros_like(x)`) lies in private memory,
and is a plain ndarray.

NumPy makes a copy of a subclass an instance of that subclass, and a class cannot change that where
the copy is made. So this module changes it where the copy is returned: in `__array_function__` for
NumPy's functions, and in the methods and attributes of COPYING and COPYING_ATTRIBUTES.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

import numpy as np
from cython.cimports.numpy import ndarray
from cython.cimports.scamem.arrays.items import is_view, item

from scamem.core.store import layout as L
from scamem.later import Later
from scamem.membership.member import Hold
from scamem.views.view import View

from .items import speed_up
from .over import copied, over
from .place import locate, root

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray

    from . import updates

    Slice: TypeAlias = "slice | EllipsisType | None"
else:
    updates = Later("scamem.arrays.updates")

Reduced = str | tuple[Any, ...]

# Methods of ndarray that may return a copy, which would be an Array in private memory.
COPYING = (
    "__copy__",
    "__deepcopy__",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "astype",
    "byteswap",
    "choose",
    "clip",
    "compress",
    "copy",
    "dot",
    "flatten",
    "nonzero",
    "ravel",
    "repeat",
    "reshape",
    "round",
    "searchsorted",
    "take",
)
COPYING_ATTRIBUTES = ("imag",)  # for real numbers it is new memory, all zeros


class Array(np.ndarray[tuple[Any, ...], np.dtype[Any]]):
    """A NumPy array on frames of an arena, from `scamem.array`, `zeros` and the like, or a handle.

    >>> x = scamem.zeros((2, 3))
    >>> type(x[1]), type(x * 2)
    (<class 'scamem.arrays.array.Array'>, <class 'numpy.ndarray'>)

    Ownership: its base holds one reference (a pin). It is dropped when the last array over the same
    memory is deallocated, in any thread and order, also at interpreter exit.
    Threads: as ndarray. fork: the child's copy holds its own reference.
    Pickling: by handle in multiprocessing and concurrent.futures; by value in plain pickle, unless
    `scamem.by_handle()` is in force.
    """

    __slots__ = ()
    __array_priority__ = 0.0  # as ndarray's, which NumPy finds less quickly

    # Set by `handles`: pickles an array by handle, or returns None for "by value".
    reduce_by_handle: Callable[[Array], Reduced | None] | None = None
    # Called with each subclass, since ForkingPickler looks reducers up by exact type.
    on_subclass: Callable[[type[Array]], None] | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if Array.on_subclass is not None:
            Array.on_subclass(cls)

    def __array_wrap__(
        self, array: NDArray[Any], context: Any = None, return_scalar: bool = False
    ) -> Any:
        if array is self:  # an in-place operation
            return array
        if return_scalar:
            return array[()]
        return array if type(array) is ndarray else array.view(ndarray)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = super().__array_function__(func, types, args, kwargs)
        if isinstance(found, Array):
            return plain(found)
        if type(found) in (list, tuple):
            return type(found)(map(plain, found))
        return found

    @overload  # type: ignore[override]  # what is indexed in an Array is an Array or a scalar
    def __getitem__(self, key: Slice | tuple[Slice, ...], /) -> Self: ...
    @overload
    def __getitem__(self, key: Any, /) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any:
        """Return self[key]: a view of the same memory for slices, else what NumPy returns."""
        return item(self, key)

    def __reduce_ex__(self, protocol: Any) -> Reduced:
        if Array.reduce_by_handle is not None:
            reduced = Array.reduce_by_handle(self)
            if reduced is not None:
                return reduced
        return self.view(np.ndarray).__reduce_ex__(protocol)

    def __reduce__(self) -> Reduced:
        return self.__reduce_ex__(2)

    def readonly(self) -> Array:
        """Return a read-only array over the same memory, which nothing can make writable again.

        >>> x = scamem.zeros(3)
        >>> y = x.readonly()
        >>> x[0] = 1
        >>> y[0].item(), y.flags.writeable
        (1.0, False)

        Its pages are mapped read-only: even C code that ignores the flag gets SIGSEGV. Processes
        with a writable array can still write, and this array shows what they write (see
        `snapshot`). If this array lies in private memory or in a view of several objects, the
        result is an ordinary read-only view.

        Ownership: the result holds its own reference. Cost: as loading an array from a handle.
        """
        if not self.flags.writeable:
            return self
        place = locate(self)
        if place is None:
            made: Array = self.view()
            made.flags.writeable = False
            return made
        return over(
            place.hold.member.seat,
            place.hold.another(L.BY_PIN),
            place.offset,
            self.shape,
            self.dtype,
            self.strides,
            writable=False,
            kind=type(self),
        )

    def write(self, timeout: float | None = None) -> updates.Update:
        """Update the array in place, so that `read_consistent` sees all of it or nothing.

            with x.write():
                x[:500] = 1
                x[500:] = 2

        Writers take turns, whichever arrays of the object they have: one sequence number belongs to
        the whole object. Readers that do not use `read_consistent` see the update as it is made.

        Parameters
        ----------
        timeout : seconds to wait for another writer; None: without an end.

        Returns
        -------
        Update : a context manager, whose value is the array. Its `recovered` says, in the block,
            whether the last writer died or failed; then the data may be half updated.

        Raises
        ------
        WaitTimeoutError : another writer has not ended in time. RuntimeError : this thread is
        updating the object already. TypeError : the array is not the memory of one object of an
        arena. ValueError : it is read-only.

        If the writer dies, or the block raises, readers get TornError until another update has
        ended. fork: the child has no part in an update of its parent.
        """
        return updates.Update(self, timeout)

    def read_consistent(self, timeout: float | None = None) -> NDArray[Any]:
        """Return a private copy of the array, as it was between two updates by `write`.

        Parameters
        ----------
        timeout : seconds to wait for a writer; None: without an end.

        Returns
        -------
        ndarray : of the same shape and dtype.

        Raises
        ------
        TornError : a writer died, or failed, in the middle of an update.
        WaitTimeoutError : a writer has not ended in time. TypeError : as `write`.

        Writers do not wait for readers, unless a reader has met four updates in a row: then it
        keeps them out while it copies.
        """
        return updates.read_consistent(self, timeout)

    def snapshot(self, copy: bool | None = None) -> Array:
        """Return the array as it is now; later writes to its memory do not change the result.

        >>> x = scamem.zeros(3)
        >>> y = x.snapshot()
        >>> x[0] = 1
        >>> y[0].item()
        0.0

        Parameters
        ----------
        copy : None: copy, except rows of a GrowableArray, which are never written again. True:
            always copy. False: never; ValueError if a copy is necessary.

        Returns
        -------
        Array : a copy in the same arena, or this array itself.

        Raises
        ------
        TypeError : the array is in private memory. OutOfMemoryError : no memory for the copy.

        Why a copy: in a private view (`Scamem.map(private=True)`) only the pages that this process
        wrote are stable; others can still write to the rest. If another process writes during the
        copy, the copy is torn, like any copy: agree with the writer on when to take it.
        """
        base = root(self)
        if not copy and isinstance(base, View) and base.growing and not self.flags.writeable:
            return self
        if copy is False:
            raise ValueError(
                f"asked for a snapshot of {self.nbytes:,} bytes without a copy (copy=False); other "
                "processes can write to its memory, so it could change. Use copy=None, or "
                "append to a GrowableArray, whose rows do not change"
            )
        hold = base.hold if isinstance(base, View) else base
        if not isinstance(hold, Hold):
            raise TypeError("asked for a snapshot of an array in private memory; use its copy()")
        return copied(hold.member.seat, self.view(np.ndarray), "K", kind=Array)


def plain(found: Any) -> Any:
    """Return an Array in private memory as an ndarray; return anything else as it is."""
    if isinstance(found, Array) and isinstance(root(found), ndarray):
        return found.view(ndarray)
    return found


def _handing_over(name: str) -> Callable[..., Any]:
    """Return ndarray's method of this name, changed to return plain results."""
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def handing_over(self: Array, *args: Any, **keywords: Any) -> Any:
        found = method(self, *args, **keywords)
        if isinstance(found, Array) and not is_view(found, self):
            return plain(found)
        return found

    return handing_over


def _attribute(name: str) -> Any:
    """Return ndarray's attribute of this name, changed to give plain values."""
    found = getattr(np.ndarray, name)
    return property(lambda self: plain(found.__get__(self)), found.__set__, doc=found.__doc__)


for _name in COPYING:
    setattr(Array, _name, _handing_over(_name))
for _name in COPYING_ATTRIBUTES:
    setattr(Array, _name, _attribute(_name))
# Indexing an iterator copies, so it is an iterator over the same memory as an ndarray.
_flat: Any = vars(np.ndarray)["flat"]
Array.flat = property(  # type: ignore[assignment, method-assign]  # read-only in the stubs
    lambda self: self.view(np.ndarray).flat, _flat.__set__, doc=_flat.__doc__
)
speed_up(Array, plain)
