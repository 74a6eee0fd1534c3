"""Scattered memory for Python: page frames as refcounted objects that processes share.

import numpy as np, scamem
x = scamem.array(np.random.rand(50_000, 1_000))   # goes to other processes by handle
"""

import os
import sys

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
    FileTooShortError,
    LockTimeoutError,
    NameExistsError,
    NameNotFoundError,
    NotAMemberError,
    NotSharedWarning,
    ObjectBusyError,
    OutOfMemoryError,
    PageNotHeldError,
    PeerDiedError,
    PlatformError,
    ScamemError,
    SectionBusyError,
    StaleHandleError,
    TooManyLoansError,
    TooScatteredError,
    ViewInUseError,
    WaitTimeoutError,
)

if not sys.platform.startswith("linux") or os.uname().machine not in ("x86_64", "aarch64"):
    raise PlatformError(
        f"scamem runs on Linux on x86-64 and aarch64; this is {sys.platform} on "
        f"{os.uname().machine}"
    )

from .arena import Arena
from .arrays.array import Array
from .backing.nodes import Machine, MachineNode
from .defaults import (
    array,
    asarray,
    concatenate,
    copy,
    default,
    empty,
    empty_like,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from .handles.convert import from_handle, handle
from .handles.explaining import explain
from .handles.handle import Handle
from .handles.pickling import by_handle
from .handles.shared import is_shared
from .looks.objects import Holder, LoanInfo, ObjectInfo
from .looks.stats import MemberInfo, Stats
from .memory.sections import SectionInfo
from .objects.pin import Pin
from .objects.scamem import Scamem
from .together.growable import GrowableArray
from .together.ring import RingBuffer
from .views.view import View

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
    "BlindError",
    "BusyError",
    "ClosedError",
    "FileTooShortError",
    "GrowableArray",
    "Handle",
    "Holder",
    "LoanInfo",
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
    "PageNotHeldError",
    "PeerDiedError",
    "Pin",
    "PlatformError",
    "RingBuffer",
    "Scamem",
    "ScamemError",
    "SectionBusyError",
    "SectionInfo",
    "StaleHandleError",
    "Stats",
    "TooManyLoansError",
    "TooScatteredError",
    "View",
    "ViewInUseError",
    "WaitTimeoutError",
    "array",
    "asarray",
    "by_handle",
    "concatenate",
    "copy",
    "default",
    "empty",
    "empty_like",
    "explain",
    "from_handle",
    "full",
    "full_like",
    "handle",
    "is_shared",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]
