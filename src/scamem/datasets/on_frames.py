"""What every container of a frozen value has: a place on frames, by which it travels."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from scamem.handles.convert import from_handle
from scamem.handles.handle import Handle
from scamem.handles.runs import sent_by
from scamem.handles.unloaded import or_unloaded

from .layout import Place
from .source import Source

SHOWN = 6  # items in a repr
SHOWN_DEPTH = 3
SHOWN_TEXT = 60


class OnFrames:
    """A part of a frozen value. It cannot be changed, and is pickled by handle in every pickler.

    Items are instances of the user's classes too, so all names here are dunders or begin with
    `_scamem`: any other name may be a field or a method of such a class.

    Ownership: it keeps the frozen object. Threads: any. fork: the child reads on.
    """

    __slots__ = ()

    def _scamem_place(self) -> tuple[Source, Place] | None:
        """Return where it is; None if it is a value that was made from a frozen one."""
        raise AssertionError

    def _scamem_show(self, depth: int) -> str:
        """Return its repr as part of another, `depth` levels down."""
        raise AssertionError(depth)

    def _scamem_thaw(self) -> Any:
        """Return a copy in plain objects."""
        raise AssertionError

    def __scamem_handle__(self) -> Handle | None:
        """Return a handle: see `scamem.handle`, and `arena[name] = ...`; None without a place."""
        found = self._scamem_place()
        return None if found is None else found[0].handle(found[1])

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        handle = self.__scamem_handle__()
        assert handle is not None
        return load_frozen, (sent_by(handle, sys._getframe(1)),)

    def __copy__(self) -> OnFrames:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Container(OnFrames):
    """What lists, tuples, dicts and sets on frames share."""

    __slots__ = ()

    def thaw(self) -> Any:
        """Return a copy in plain objects: lists, dicts and so on, which can be changed."""
        return self._scamem_thaw()


@or_unloaded
def load_frozen(data: bytes) -> Any:
    """Return the container of a handle's bytes; pickles call this."""
    return from_handle(data)


def thaw(value: Any) -> Any:
    """Return a frozen value as plain objects, which can be changed; anything else as it is.

    >>> scamem.thaw(scamem.freeze({"x": [1, 2]}))
    {'x': [1, 2]}

    Arrays become ordinary arrays in private memory. The copy is deep.
    """
    if isinstance(value, OnFrames):
        return value._scamem_thaw()
    if isinstance(value, np.ndarray):
        return np.array(value, order="K", subok=False)
    if type(value) is tuple:
        return tuple(map(thaw, value))
    return value


def is_same(one: Any, other: Any) -> bool:
    """Return whether two items are equal, as `==` of lists has it; arrays by their elements."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
            return False
        return one.shape == other.shape and bool(np.all(one == other))
    return bool(one == other)


def short(value: Any, depth: int = 0) -> str:
    """Return a value's repr, cut to some items of each container."""
    show = getattr(type(value), "_scamem_show", None)
    if show is not None:
        found: str = "..." if depth >= SHOWN_DEPTH else show(value, depth)
        return found
    if isinstance(value, np.ndarray):
        return f"<array of {value.dtype}, {value.shape}>"
    if type(value) is tuple:
        return f"({', '.join(short(item, depth + 1) for item in value)})"
    text = repr(value)
    if len(text) > SHOWN_TEXT:
        return f"{text[: SHOWN_TEXT - 20]}...{text[-10:]}"
    return text
