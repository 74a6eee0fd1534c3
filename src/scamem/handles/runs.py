"""Runs of picklers: what one message lends, and what gives it back if the message fails.

Known picklers, which are each ForkingPickler and loky's, get a `dump` that records what is lent
while it runs, and gives it all back if it raises. This covers multiprocessing, concurrent.futures,
multiprocess, loky and joblib. Plain pickle has no end that could be observed; guard.py says when
its failure is detected.

Neither detects the failure of another library's pickler that is kept in a variable, or of the first
message of a loky that was imported after scamem. Those loans end like the loans of any message that
is never read: when their grace is over and room is needed.
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

# Modules with frames between a plain pickler and a reducer.
OURS = ("scamem.handles.pickling", "scamem.arrays.array")

PYTHON_PICKLERS = ("pickle", "dill._dill")

_dumps: set[CodeType] = set()  # the known picklers' original `dump`, if that is Python


def watch_dump(kind: type) -> None:
    """Make a class of picklers give back what a message lent, if the message fails."""
    dump = getattr(kind, "dump")  # noqa: B009 - not an attribute of every class
    if getattr(dump, "__code__", None) is RUN:
        return
    setattr(kind, "dump", in_a_run(dump))  # noqa: B010 - likewise
    if isinstance(dump, FunctionType):
        _dumps.add(dump.__code__)


def in_a_run(dump: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pickler's `dump`, changed to give back what it lent if it fails."""

    @functools.wraps(dump)
    def run(pickler: Any, obj: Any) -> Any:
        lent: list[tuple[Member, bytes]] = []  # reducers find it in this frame: see for_pickler
        try:
            return dump(pickler, obj)
        except BaseException:
            give_back(lent)
            raise

    return run


RUN = in_a_run(len).__code__  # all of them have the same code


def give_back(lent: list[tuple[Member, bytes]]) -> None:
    """Take back the loans of a message that failed, except those that were loaded."""
    for member, data in lent:
        with contextlib.suppress(ScamemError):  # a closed or damaged arena has no loans
            member.cancel(*loan_of(data))


def for_pickler(member: Member, data: bytes, caller: FrameType) -> bytes | Guard:
    """Return a handle's new bytes in the form that goes into the running pickler's message.

    Parameters
    ----------
    caller : the frame that called the reducer. A pickler in C has no frame, so it is then the frame
        that called the pickler.
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

    In between there may be one `dump` of the pickler's class, as in cloudpickle, and the frames of
    a pickler in Python (dill, for multiprocess). Any other caller of a reducer inside a run is
    another pickler, which works for one of the run's reducers.
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
    """Return the frame that called a plain pickler, which calls an array's methods."""
    while caller.f_globals.get("__name__") in OURS and caller.f_back is not None:
        caller = caller.f_back
    return caller
