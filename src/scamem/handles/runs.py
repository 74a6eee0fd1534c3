"""Runs of picklers: what one message lends, and what gives it back if the message fails.

Picklers that are known, each ForkingPickler and loky's, get a `dump` that notes what is lent while
it runs, and gives it all back if it raises. Those of multiprocessing, concurrent.futures,
multiprocess, loky and joblib are such. Plain pickle has no end to be noted; see guard.py for where
its failing is seen.

Where neither sees it, a pickler of another library that is kept under a name, or the first message
of a loky that was imported after scamem, the loans end as those of any message that nobody reads:
when their grace is over and room is wanted.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

from scamem.errors import ScamemError

from .guard import Guard
from .handle import loan_of

if TYPE_CHECKING:
    from scamem.membership.member import Member

    from .handle import Handle

# What stands between a plain pickler and a reducer.
OURS = ("scamem.handles.pickling", "scamem.arrays.array")

PYTHON_PICKLERS = ("pickle", "dill._dill")

_dumps: set[CodeType] = set()  # what the known picklers' own `dump` is, where that is Python


def watch_dump(kind: type) -> None:
    """Have a class of picklers give back what a message has lent, if it fails."""
    dump = getattr(kind, "dump")  # noqa: B009 - what is no attribute of every class
    if getattr(dump, "__code__", None) is RUN:
        return
    setattr(kind, "dump", in_a_run(dump))  # noqa: B010 - likewise
    if isinstance(dump, FunctionType):
        _dumps.add(dump.__code__)


def in_a_run(dump: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pickler's `dump` that gives back what it has lent, if it fails."""

    @functools.wraps(dump)
    def run(pickler: Any, obj: Any) -> Any:
        lent: list[tuple[Member, bytes]] = []  # reducers find it in this frame: see for_pickler
        try:
            return dump(pickler, obj)
        except BaseException:
            give_back(lent)
            raise

    return run


RUN = in_a_run(len).__code__  # the same of all of them


def give_back(lent: list[tuple[Member, bytes]]) -> None:
    """Take back the loans of a message that failed, but for those that were loaded."""
    for member, data in lent:
        with contextlib.suppress(ScamemError):  # of a closed or damaged arena nothing is lent
            member.cancel(*loan_of(data))


def for_pickler(member: Member, data: bytes, caller: FrameType) -> bytes | Guard:
    """Return a handle's bytes, just made, as they go into the message of the pickler that runs.

    Parameters
    ----------
    caller : what called the reducer. The pickler is C, and has no frame: it is what called that.
    """
    try:
        run = caller if caller.f_code is RUN else run_of(caller)
        if run is not None:
            run.f_locals["lent"].append((member, data))
            return data
        return Guard(data, member, *loan_of(data), plain_caller(caller))
    except MemoryError:
        give_back([(member, data)])
        raise


def sent_by(handle: Handle, caller: FrameType) -> bytes | Guard:
    """Return a Handle's bytes, as `for_pickler` does."""
    return for_pickler(handle.hold.member, bytes(handle), caller)


def run_of(caller: FrameType) -> FrameType | None:
    """Return the frame of a known pickler's run, if that pickler called the reducer.

    Between the two there may be one `dump` of the pickler's own, as cloudpickle's, and the frames
    of a pickler that is Python (dill, for multiprocess). What else calls a reducer inside of a run
    is another pickler at work for one of its reducers.
    """
    while caller.f_globals.get("__name__") in PYTHON_PICKLERS and caller.f_back is not None:
        caller = caller.f_back
    if caller.f_code is RUN:
        return caller
    outer = caller.f_back
    if caller.f_code in _dumps and outer is not None and outer.f_code is RUN:
        return outer
    return None


def plain_caller(caller: FrameType) -> FrameType:
    """Return what called a plain pickler, which asks an array by its methods."""
    while caller.f_globals.get("__name__") in OURS and caller.f_back is not None:
        caller = caller.f_back
    return caller
