"""What could not be loaded in a pool's worker: the error reaches the caller, not the worker's end.

A worker of multiprocessing.Pool that fails to unpickle a task ends, and its caller waits for ever;
one of concurrent.futures ends the whole pool. So where it is a pool that unpickles, what cannot be
loaded is replaced by an `Unloaded`, which raises the error as soon as the task uses it: the pool
sends that to the caller, as it does with any error of a task. Everywhere else the error is raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

# {module, function} that unpickles, and {module, function} of a pool that it does so for
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
    """Stands for a value that could not be loaded: every use of it raises why."""

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
    """Make a function that pickles call return an Unloaded where it is a pool that unpickles."""

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
    """Tell whether a pool's own loop unpickles just now, and no task of it."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith("scamem.") and frame.f_back:
        frame = frame.f_back
    if _called(frame) not in READERS or frame.f_back is None:
        return False
    return _called(frame.f_back) in POOLS


def _called(frame: Any) -> tuple[str, str]:
    return frame.f_globals.get("__name__", ""), frame.f_code.co_name
