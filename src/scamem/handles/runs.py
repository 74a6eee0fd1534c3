"""Runs of picklers: what one message lends, and what gives it back if the message fails.

Picklers that are known, ForkingPickler and loky's, get a `dump` that notes what is lent while it
runs, and gives it all back if it raises. Those of multiprocessing, concurrent.futures, loky and
joblib are such. Plain pickle has no end to be noted; see watch.py for where its failing is seen.

Where neither sees it, a pickler of another library that is kept under a name, or the first message
of a loky that was imported after scamem, the loans end as those of any message that nobody reads:
when their grace is over and room is wanted.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from .handle import loan_of
from .watch import Watch

if TYPE_CHECKING:
    from scamem.arena.member import Member

# What stands between a plain pickler and this module.
OURS = (__name__, "scamem.handles.pickling", "scamem.arrays.array")

# What the innermost run of a known pickler in this thread has lent.
_lent: ContextVar[list[tuple[Member, bytes]]] = ContextVar("scamem_lent")
_dumps: set[CodeType] = set()  # what the known picklers' own `dump` is, where that is Python


def watch_dump(kind: type) -> None:
    """Have a class of picklers give back what a message has lent, if it fails."""
    dump: Callable[..., Any] = kind.dump  # type: ignore[attr-defined]
    if getattr(dump, "__code__", None) is RUN:
        return

    kind.dump = in_a_run(dump)  # type: ignore[attr-defined]
    if isinstance(dump, FunctionType):
        _dumps.add(dump.__code__)


def in_a_run(dump: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pickler's `dump` that gives back what it has lent, if it fails."""

    @functools.wraps(dump)
    def run(*args: Any, **kwargs: Any) -> Any:
        lent: list[tuple[Member, bytes]] = []
        before = _lent.set(lent)
        try:
            return dump(*args, **kwargs)
        except BaseException:
            give_back(lent)
            raise
        finally:
            _lent.reset(before)

    return run


RUN = in_a_run(len).__code__  # the same of all


def give_back(lent: list[tuple[Member, bytes]]) -> None:
    """Take back the loans of a message that failed, but for those that were loaded."""
    for member, data in lent:
        member.cancel(*loan_of(data))


def for_pickler(member: Member, data: bytes) -> bytes | Watch:
    """Return a handle's bytes, just made, as they go into the message of the pickler that runs."""
    try:
        frame = calling_frame()
        if frame is None:
            return data
        if is_run(frame):
            _lent.get().append((member, data))
            return data
        return Watch(data, member, *loan_of(data), frame, frame.f_lasti)
    except MemoryError:
        give_back([(member, data)])
        raise


def calling_frame() -> FrameType | None:
    """Return the frame that called the pickler."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not RUN:
        if frame.f_globals.get("__name__") not in OURS:
            break
        frame = frame.f_back
    return frame


def is_run(frame: FrameType) -> bool:
    """Tell whether a known pickler was called there; a plain one may be at work inside of its run.

    Between its run and C there may be one `dump` of its own, as cloudpickle's.
    """
    if frame.f_code is RUN:
        return True
    outer = frame.f_back
    return frame.f_code in _dumps and outer is not None and outer.f_code is RUN
