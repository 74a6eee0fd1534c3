"""Picklers of other libraries, which have registers of reducers of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import Any

import numpy as np

from scamem.arrays.array import Array

from .runs import watch_dump

REGISTERS = ("loky.backend.reduction", "joblib.externals.loky.backend.reduction")

_reducers: dict[type, Callable[[Any], Any]] = {}
_hashing: set[type] = set()  # classes of joblib's that hash an Array as an ndarray


def register_reducer(kind: type, reduce: Callable[[Any], Any]) -> None:
    """Let objects of exactly this type be reduced so wherever processes send to each other."""
    _reducers[kind] = reduce
    watch_dump(ForkingPickler)
    ForkingPickler.register(kind, reduce)
    register_elsewhere()


def register_elsewhere() -> None:
    """Register with loky, plain or inside joblib, where it has been imported."""
    for name in REGISTERS:
        module = sys.modules.get(name)
        if module is not None:
            for kind, reduce in _reducers.items():
                module.register(kind, reduce)
            watch_dump(module.get_loky_pickler())
    _hash_as_ndarray()


def _hash_as_ndarray() -> None:
    """Let joblib.hash, and so joblib.Memory, give an Array the hash of the same ndarray.

    It hashes an array's bytes, dtype, shape and strides, and pickles its class beside them. Where
    joblib is imported after the last arena was made or array sent, its hashes differ.
    """
    hasher = getattr(sys.modules.get("joblib.hashing"), "Hasher", None)
    dispatch = getattr(hasher, "dispatch", None)
    if hasher is None or dispatch is None or hasher in _hashing:
        return
    save_type = dispatch[type]

    def save(self: Any, kind: type) -> None:
        if kind is Array:
            self.save(np.ndarray)  # which looks whether it was saved before
        else:
            save_type(self, kind)

    dispatch[type] = save
    _hashing.add(hasher)


def is_sending() -> bool:
    """Tell whether a pickler of theirs is at work that was made before ours were registered.

    It asks an object's __reduce_ex__ then, as plain pickle does; its frame is on the stack.
    """
    if not any(name in sys.modules for name in REGISTERS):
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in REGISTERS:
            return True
        frame = frame.f_back
    return False
