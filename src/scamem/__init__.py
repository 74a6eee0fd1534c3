"""Share NumPy arrays between Python processes without copying.

    import numpy as np, scamem

    x = scamem.array(np.ones((50_000, 100)))    # one copy, into shared memory
    pool.map(work, [x] * 8)                     # each worker maps x; nothing is copied

An array lives in an *arena*: memory that several processes have joined. The memory is freed when
its last user closes it, drops it, or dies, even by SIGKILL. No server runs, and no clean-up code is
needed.

`scamem.array`, `zeros` and the like use the process's default arena, which its child processes
share. `scamem.Arena.open(name)` gives unrelated processes a common arena. Start with those two, and
with `scamem.explain(x)`, which says how a value travels to another process.
"""

import typing as _typing

from . import supported
from .errors import (
    ArenaBusyError,
    ArenaDamagedError,
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    ArenaRemovedError,
    ArenaUnreachableError,
    BlindError,
    BusyError,
    ClosedError,
    DatasetDamagedError,
    FileTooShortError,
    LeaseLostError,
    LockTimeoutError,
    NameExistsError,
    NameNotFoundError,
    NotAMemberError,
    NotSharedWarning,
    ObjectBusyError,
    OutOfMemoryError,
    OwnerDiedError,
    PageNotHeldError,
    PeerDiedError,
    PlatformError,
    QueueClosedError,
    ReadOnlyMemberError,
    ScamemError,
    SectionBusyError,
    StaleHandleError,
    TooManyLoansError,
    TooScatteredError,
    TornError,
    ViewInUseError,
    WaitTimeoutError,
)

if _refusal := supported.refusal():  # before anything compiled is loaded
    raise PlatformError(_refusal)

from .arena import Arena
from .arrays.array import Array
from .defaults import (
    array,
    asarray,
    concatenate,
    copy,
    default,
    empty,
    empty_like,
    freeze,
    full,
    full_like,
    ones,
    ones_like,
    queue,
    topic,
    zeros,
    zeros_like,
)
from .handles.convert import from_handle, handle
from .handles.handle import Handle
from .handles.modes import receive_mode
from .handles.pickling import by_handle
from .later import load as _load
from .objects.pin import Pin
from .objects.scamem import Scamem
from .views.view import View

if _typing.TYPE_CHECKING:
    from . import atomics
    from .backing.nodes import Machine, MachineNode
    from .datasets.mappings import FrozenDict, FrozenSet
    from .datasets.on_frames import thaw
    from .datasets.sequences import FrozenList, FrozenStrings, FrozenTuple
    from .handles.explaining import explain
    from .handles.shared import is_shared
    from .looks.objects import Holder, LoanInfo, ObjectInfo
    from .looks.stats import MemberInfo, Stats
    from .membership.serving import Serving
    from .memory.sections import SectionInfo
    from .together.barriers import Barrier
    from .together.conditions import Condition
    from .together.events import Event
    from .together.growable import GrowableArray
    from .together.leases import Lease
    from .together.locks import Lock, RLock
    from .together.queues import Queue
    from .together.ring import RingBuffer
    from .together.semaphores import RWLock, Semaphore
    from .together.topics import Subscription, Topic

__version__ = "0.1.0"

__all__ = [
    "Arena",
    "ArenaBusyError",
    "ArenaDamagedError",
    "ArenaExistsError",
    "ArenaNotFoundError",
    "ArenaRefusedError",
    "ArenaRemovedError",
    "ArenaUnreachableError",
    "Array",
    "Barrier",
    "BlindError",
    "BusyError",
    "ClosedError",
    "Condition",
    "DatasetDamagedError",
    "Event",
    "FileTooShortError",
    "FrozenDict",
    "FrozenList",
    "FrozenSet",
    "FrozenStrings",
    "FrozenTuple",
    "GrowableArray",
    "Handle",
    "Holder",
    "Lease",
    "LeaseLostError",
    "LoanInfo",
    "Lock",
    "LockTimeoutError",
    "Machine",
    "MachineNode",
    "MemberInfo",
    "NameExistsError",
    "NameNotFoundError",
    "NotAMemberError",
    "NotSharedWarning",
    "ObjectBusyError",
    "ObjectInfo",
    "OutOfMemoryError",
    "OwnerDiedError",
    "PageNotHeldError",
    "PeerDiedError",
    "Pin",
    "PlatformError",
    "Queue",
    "QueueClosedError",
    "RLock",
    "RWLock",
    "ReadOnlyMemberError",
    "RingBuffer",
    "Scamem",
    "ScamemError",
    "SectionBusyError",
    "SectionInfo",
    "Serving",
    "Semaphore",
    "StaleHandleError",
    "Stats",
    "Subscription",
    "TooManyLoansError",
    "TooScatteredError",
    "Topic",
    "TornError",
    "View",
    "ViewInUseError",
    "WaitTimeoutError",
    "array",
    "asarray",
    "atomics",
    "by_handle",
    "concatenate",
    "copy",
    "default",
    "empty",
    "empty_like",
    "explain",
    "freeze",
    "from_handle",
    "full",
    "full_like",
    "handle",
    "is_shared",
    "ones",
    "ones_like",
    "queue",
    "topic",
    "receive_mode",
    "thaw",
    "zeros",
    "zeros_like",
]

# What few programs need is imported when it is first used.
_LATER = {
    "Barrier": "together.barriers",
    "Condition": "together.conditions",
    "Event": "together.events",
    "FrozenDict": "datasets.mappings",
    "FrozenList": "datasets.sequences",
    "FrozenSet": "datasets.mappings",
    "FrozenStrings": "datasets.sequences",
    "FrozenTuple": "datasets.sequences",
    "GrowableArray": "together.growable",
    "Holder": "looks.objects",
    "Lease": "together.leases",
    "LoanInfo": "looks.objects",
    "Lock": "together.locks",
    "Machine": "backing.nodes",
    "MachineNode": "backing.nodes",
    "MemberInfo": "looks.stats",
    "ObjectInfo": "looks.objects",
    "Queue": "together.queues",
    "RLock": "together.locks",
    "RWLock": "together.semaphores",
    "RingBuffer": "together.ring",
    "SectionInfo": "memory.sections",
    "Semaphore": "together.semaphores",
    "Serving": "membership.serving",
    "Stats": "looks.stats",
    "Subscription": "together.topics",
    "Topic": "together.topics",
    "atomics": "atomics",
    "explain": "handles.explaining",
    "is_shared": "handles.shared",
    "thaw": "datasets.on_frames",
}


def __getattr__(name: str) -> _typing.Any:
    """Import a part of the package that was not needed so far (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _load(f"{__name__}.{_LATER[name]}")
    found = module if name == _LATER[name] else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
