"""Values that a pool's worker could not load: the error reaches the caller; the worker goes on.

A worker of multiprocessing.Pool that fails to unpickle a task ends, and its caller waits for ever;
a worker of concurrent.futures takes the whole pool with it. So when a pool unpickles, a value that
cannot be loaded is replaced by an `Unloaded`, which raises the error as soon as the task uses it.
The pool sends that to the caller, like any error of a task. Everywhere else the error is raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

# (module, function) that unpickles, and (module, function) of the pools that it serves
READERS = {("multiprocessing.queues", "get"), ("multiprocessing.connection", "recv")}
POOLS = {
    ("multiprocessing.pool", "worker"),
    ("multiprocessing.pool", "_handle_results"),
    ("concurrent.futures.process", "_process_worker"),
    ("loky.process_executor", "_process_worker"),
    ("joblib.externals.loky.process_executor", "_process_worker"),
}
USES = (
    "add radd iadd sub rsub isub mul rmul imul matmul rmatmul truediv rtruediv itruediv floordiv "
    "rfloordiv mod rmod pow rpow and rand or ror xor rxor lshift rshift neg pos abs invert eq ne "
    "lt le gt ge hash bool len iter next contains getitem setitem delitem call int float complex "
    "index bytes array enter exit setattr delattr "
)

Arguments = ParamSpec("Arguments")
Loaded = TypeVar("Loaded")


class Unloaded:
    """Replaces a value that could not be loaded. Every use of it raises the error."""

    __slots__ = ("error",)
    error: BaseException

    def __getattribute__(self, name: str) -> Any:  # `isinstance` and pickling ask here too
        raise error_of(self)

    def __repr__(self) -> str:
        return f"<not loaded: {error_of(self)!r}>"


def error_of(value: Unloaded) -> BaseException:
    """Return why a value could not be loaded."""
    error: BaseException = object.__getattribute__(value, "error")
    return error


def _raise(value: Unloaded, *_: object) -> Any:
    raise error_of(value)


for _name in USES.split():
    setattr(Unloaded, f"__{_name}__", _raise)


def or_unloaded(load: Callable[Arguments, Loaded]) -> Callable[Arguments, Loaded]:
    """Make a loader that pickles call return an Unloaded if a pool unpickles and loading fails."""

    @wraps(load)
    def loading(*args: Arguments.args, **keywords: Arguments.kwargs) -> Loaded:
        try:
            return load(*args, **keywords)
        except Exception as error:
            if not _is_in_pool():
                raise
            made: Any = object.__new__(Unloaded)
            object.__setattr__(made, "error", error)
            return made  # type: ignore[no-any-return]  # stands for it

    return loading


def _is_in_pool() -> bool:
    """Return whether a pool's own loop is unpickling now, and not one of its tasks."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith("scamem.") and frame.f_back:
        frame = frame.f_back
    if _called(frame) not in READERS or frame.f_back is None:
        return False
    return _called(frame.f_back) in POOLS


def _called(frame: Any) -> tuple[str, str]:
    return frame.f_globals.get("__name__", ""), frame.f_code.co_name
