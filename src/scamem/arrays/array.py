"""`Array`: a NumPy array on scattered memory.

It is an ndarray in every way but how it travels: views and slices of it remember which object they
lie in, so that they go to another process by handle. An Array is shared; what NumPy computes from
it or copies out of it (arithmetic, `x.copy()`, `np.sort(x)`, fancy indexing, `np.zeros_like(x)`)
lies in private memory and is a plain ndarray.

NumPy makes a copy of a subclass an instance of that subclass, and a class cannot change that where
the copy is made. So it is changed where the copy is handed over: in `__array_function__` for the
functions of NumPy, and in the methods and attributes in COPYING and COPYING_ATTRIBUTES.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scamem.core.store import layout as L
from scamem.membership.member import Hold
from scamem.views.view import View

from .over import copied, over
from .place import locate, root

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
COPYING_ATTRIBUTES = ("imag",)  # of real numbers it is new memory, all zeros


class Array(np.ndarray[Any, Any]):
    """An array on frames of an arena; made by `scamem.array`, `zeros` and so on, or by a handle.

    Ownership: its base holds one reference (a pin), dropped when the last array that looks at the
    same memory is gone, in any thread and order, also at interpreter exit.
    Threads: as ndarray. fork: the child's copy is held by a reference of the child's own.
    Pickling: by handle in multiprocessing and concurrent.futures; by value in plain pickle.
    """

    __slots__ = ()

    # Set by handles: how an array is pickled where by_handle() is in force, or None.
    reduce_by_handle: Callable[[Array], Reduced | None] | None = None
    # Called with each subclass, since ForkingPickler goes by the exact type.
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
        return array.view(np.ndarray)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = super().__array_function__(func, types, args, kwargs)
        if isinstance(found, Array):
            return plain(found)
        if type(found) in (list, tuple):
            return type(found)(map(plain, found))
        return found

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, Array) and isinstance(root(found), np.ndarray):  # a copy
            return found.view(np.ndarray)
        return found

    def __reduce_ex__(self, protocol: Any) -> Reduced:
        if Array.reduce_by_handle is not None:
            reduced = Array.reduce_by_handle(self)
            if reduced is not None:
                return reduced
        return self.view(np.ndarray).__reduce_ex__(protocol)

    def __reduce__(self) -> Reduced:
        return self.__reduce_ex__(2)

    def readonly(self) -> Array:
        """Return a read-only array of the same memory, that nothing can make writable again.

        Its pages are mapped read-only: even C code that does not ask gets SIGSEGV. Who has a
        writable array goes on writing, and this one shows it (see `snapshot`). Of an array that
        lies in private memory, or in a view of several objects: an ordinary read-only view.

        Ownership: it holds a reference of its own. Cost: as getting the array from a handle.
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

    def snapshot(self, copy: bool | None = None) -> Array:
        """Return the array as it is now, whoever writes to its memory later.

        Parameters
        ----------
        copy : None: copied, but for rows of a GrowableArray, which nobody writes again; True:
            copied in any case; False: ValueError where it would have to be copied.

        Returns
        -------
        Array : a copy in the same arena, or this array itself.

        Why it is a copy: of a private view (`Scamem.map(private=True)`) only those pages stand
        still that this process wrote itself, and nothing keeps others from writing to theirs. A
        copy of what others write meanwhile is as torn as any: agree with them when to take it.
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
    """Return an Array that lies in private memory as an ndarray; anything else as it is."""
    if isinstance(found, Array) and isinstance(root(found), np.ndarray):
        return found.view(np.ndarray)
    return found


def _handing_over(name: str) -> Callable[..., Any]:
    """Return ndarray's method of a name, its result made plain."""
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def handing_over(self: Array, *args: Any, **keywords: Any) -> Any:
        found = method(self, *args, **keywords)
        if isinstance(found, Array):
            base = found.base
            if base is None or (base is not self and base is not self.base):  # no view of this
                return plain(found)
        return found

    return handing_over


def _attribute(name: str) -> property:
    """Return ndarray's attribute of a name, its value made plain."""
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
