"""Atomic operations on elements of shared arrays, and waits for their change.

    counter = scamem.zeros(1, np.int64)
    atomics.add(counter, 0, 1)                       # from any process; nothing is lost
    atomics.wait(counter, 0, value=1, timeout=5)     # sleep while the element is 1

The array is of dtype int32, uint32, int64 or uint64, in the machine's byte order, and lies in
shared frames. `index` is a number, or a tuple for several dimensions. Each operation is one step
for all processes and threads, and orders everything before it against everything after it.

Each function raises TypeError for another dtype or an array in private memory, IndexError for an
index outside the array, ValueError if the element would change and the array is read-only, and
OverflowError for a value that the dtype cannot hold.

A process that dies has made an operation, or has not; there is nothing in between.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .membership.waiting import LOOK_AGAIN_S, Deadline
from .together.elements import (
    add,
    and_,
    compare_exchange,
    exchange,
    load,
    nap,
    or_,
    store,
    sub,
    wake,
    xor,
)

__all__ = [
    "add",
    "and_",
    "compare_exchange",
    "exchange",
    "load",
    "or_",
    "store",
    "sub",
    "wait",
    "wake",
    "xor",
]

WIDE_NAP_S = 0.1  # the kernel compares 32 bits: a change of the upper half alone ends no nap


def wait(array: NDArray[Any], index: Any, value: int, timeout: float | None = None) -> bool:
    """Wait while an element is `value`; return True once it is not, False if the time is over.

    The process that changes the element calls `wake`. Without that, or if it died in between, the
    change is seen within a second.

    Parameters
    ----------
    timeout : seconds; None: without an end.
    """
    longest_s = WIDE_NAP_S if getattr(array, "itemsize", 0) > 4 else LOOK_AGAIN_S
    return any(nap(array, index, value, nap_s) for nap_s in Deadline(timeout).slices(longest_s))
