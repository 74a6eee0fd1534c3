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
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

from scamem.arena.objects import Scamem
from scamem.arrays.array import Array, Reduced, locate

from .arena import from_handle, handle
from .description import encode_array
from .handle import lend, load_handle

if TYPE_CHECKING:
    from scamem.arena.arena import ArenaBase

_by_handle: ContextVar[bool] = ContextVar("scamem_by_handle", default=False)
_kinds: list[type[Array]] = []


@contextmanager
def by_handle() -> Iterator[None]:
    """Within the block, plain pickling of arrays goes by handle too (this thread or task only)."""
    token = _by_handle.set(True)
    try:
        yield
    finally:
        _by_handle.reset(token)


def load_array(data: bytes) -> Any:
    """Return the array of a handle's bytes: what a pickle by handle calls."""
    return from_handle(data)


def reduce_by_handle(array: Array) -> Reduced:
    """Pickle an array by handle; by value where its memory is private or would not be there."""
    place = locate(array)
    if place is None or would_die_with_us(place.hold.member.owner):
        import numpy as np

        return array.view(np.ndarray).__reduce_ex__(5)
    data = lend(place.hold, encode_array(array, place.offset))
    return load_array, (data,)


def would_die_with_us(arena: ArenaBase) -> bool:
    """Tell whether a child's anonymous arena may be gone before its parent loads a handle of it."""
    if arena.path or multiprocessing.parent_process() is None:
        return False
    return not arena.has_other_members()


def reduce_in_context(array: Array) -> Reduced | None:
    """Pickle by handle where by_handle() is in force, else leave it to the plain way."""
    register_elsewhere()
    return reduce_by_handle(array) if _by_handle.get() else None


def reduce_scamem(obj: Scamem) -> tuple[Any, ...]:
    """Pickle a Scamem by handle, in every pickler: it has no value of its own."""
    made = handle(obj)
    return load_scamem, (bytes(made),)


def load_scamem(data: bytes) -> Scamem:
    """Return the Scamem of a handle's bytes."""
    from scamem.core.store import layout as L

    loaded = load_handle(data)
    return Scamem(loaded.arena, loaded.hold.another(L.BY_HAND))


def register(kind: type[Array]) -> None:
    """Let arrays of exactly this type go by handle between processes."""
    _kinds.append(kind)
    ForkingPickler.register(kind, reduce_by_handle)
    register_elsewhere()


def register_elsewhere() -> None:
    """Register with loky, plain or inside joblib, where it has been imported."""
    for name in ("loky.backend.reduction", "joblib.externals.loky.backend.reduction"):
        module = sys.modules.get(name)
        if module is not None:
            for kind in _kinds:
                module.register(kind, reduce_by_handle)


Array.reduce_by_handle = staticmethod(reduce_in_context)
Array.on_subclass = staticmethod(register)
copyreg.pickle(Scamem, reduce_scamem)
register(Array)
