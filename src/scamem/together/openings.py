"""The methods of an arena that make what processes use together."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from scamem.backing.text import Size, bytes_of
from scamem.membership.seat import Seated

from .growable import GrowableArray
from .ring import RingBuffer


def ring(arena: Seated, nbytes: Size) -> RingBuffer:
    """Create a ring of at least `nbytes` bytes (a number, or text such as "64K").

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.ring("64K").capacity
    65536

    One process writes to it and another reads; see `scamem.RingBuffer`. Raises
    OutOfMemoryError, or TooScatteredError if its frames cannot be mapped twice in a row.
    """
    return RingBuffer.create(arena._seat, bytes_of(nbytes))


def growable(
    arena: Seated, row_shape: Any = (), dtype: DTypeLike = float, *, reserve: Size | None = None
) -> GrowableArray:
    """Create an append-only array that other processes follow; see `scamem.GrowableArray`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> rows = arena.growable(3)
    >>> rows.extend(np.ones((10, 3))), len(rows)
    (0, 10)

    `reserve` is how far it can grow: bytes of address space that each process reserves for it
    (a number, or text such as "1G"), by default the arena's capacity. Raises OutOfMemoryError.
    """
    room = None if reserve is None else bytes_of(reserve)
    return GrowableArray.create(arena._seat, row_shape, dtype, room)
