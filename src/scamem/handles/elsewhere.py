"""Picklers that send to other processes: multiprocessing's, and those of other libraries.

An integration calls `register_reducer(kind, reduce)`. Objects of that type then use `reduce` in
multiprocessing, concurrent.futures, multiprocess, loky and joblib. Like `__reduce__`,
`reduce(obj)` returns a function and its arguments.

There are two ways. Most of these libraries keep a register of reducers. joblib's "multiprocessing"
backend has none, and a pickler can run inside another one (cloudpickle, in a wrapper's
`__reduce__`). These call `__reduce_ex__`, as a pickler that writes a file does; `is_sending` looks
for the sender on the stack to tell the two cases apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from scamem.arrays.array import Array

from .importing import when_imported
from .runs import watch_dump

# Modules with a function register(type, reduce), used once they are imported.
OURS = "multiprocessing.reduction"  # not another library's
REGISTERS = (
    OURS,
    "multiprocess.reduction",
    "loky.backend.reduction",
    "joblib.externals.loky.backend.reduction",
)
# Modules whose functions are on the stack only while something is pickled for another process.
SENDERS = frozenset((*REGISTERS, "joblib.pool"))
HASHING = "joblib.hashing"

_reducers: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {}
_hashing: set[type] = set()  # joblib's Hasher classes that were changed already


def register_reducer(
    kind: type, reduce: Callable[[Any], Any], elsewhere: Callable[[Any], Any] | None = None
) -> None:
    """Use `reduce` for objects of exactly this type in every pickler that sends to a process.

    `elsewhere` is used in its place in the picklers of other libraries (loky, multiprocess).
    """
    _reducers[kind] = reduce, elsewhere or reduce
    register_elsewhere()


def register_elsewhere() -> None:
    """Register with the libraries that were imported since the last call."""
    for name in REGISTERS:
        module: Any = sys.modules.get(name)
        lokys = getattr(module, "get_loky_pickler", None)
        pickler = lokys() if lokys is not None else getattr(module, "ForkingPickler", None)
        if pickler is None or not hasattr(module, "register"):
            continue  # not imported, or not all of it yet: `when_imported` calls again
        for kind, (reduce, elsewhere) in _reducers.items():
            module.register(kind, reduce if name == OURS else elsewhere)
        watch_dump(pickler)
    _hash_as_ndarray()


def _hash_as_ndarray() -> None:
    """Make joblib.hash, and so joblib.Memory, give an Array the hash of an equal ndarray.

    joblib hashes an array's bytes, dtype, shape and strides, and pickles its class beside them.
    """
    hasher = getattr(sys.modules.get(HASHING), "Hasher", None)
    dispatch = getattr(hasher, "dispatch", None)
    if hasher is None or dispatch is None or hasher in _hashing:
        return
    save_type = dispatch[type]

    def save(self: Any, kind: type) -> None:
        if kind is Array:
            self.save(np.ndarray)  # looks up whether it was saved before
        else:
            save_type(self, kind)

    dispatch[type] = save
    _hashing.add(hasher)


def is_sending() -> bool:
    """Return whether the pickler that calls a value's `__reduce_ex__` sends to another process."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in SENDERS:
            return True
        frame = frame.f_back
    return False


for _name in (*REGISTERS, HASHING):
    when_imported(_name, register_elsewhere)
