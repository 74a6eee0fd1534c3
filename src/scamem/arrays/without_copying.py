"""What an arena offers beyond making arrays: joining them, and memory that processes work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import ArrayLike, DTypeLike

from scamem.backing.text import Size, bytes_of

from .array import Array
from .concatenate import concatenate
from .growable import GrowableArray
from .ring import RingBuffer

if TYPE_CHECKING:
    from scamem.arena.arena import ArenaBase


class WithoutCopying:
    """Part of Arena: see there."""

    def concatenate(
        self, arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None
    ) -> Array:
        """Join arrays along an axis, without copying them where that can be.

        See `scamem.concatenate`; a copy is made in this arena, and only its arrays are stitched.
        """
        return concatenate(cast("ArenaBase", self), arrays, axis, copy)

    def ring(self, nbytes: Size) -> RingBuffer:
        """Make a ring that one process writes to and another reads.

        Parameters
        ----------
        nbytes : its capacity at least, a number of bytes or text such as "64K".

        Returns
        -------
        RingBuffer : its capacity is whole frames; it goes to another process by any pickling.

        Raises
        ------
        OutOfMemoryError : with the limit that was met.
        TooScatteredError : its frames are too scattered to be mapped, twice.
        """
        return RingBuffer.create(cast("ArenaBase", self), bytes_of(nbytes))

    def growable(
        self, row_shape: Any = (), dtype: DTypeLike = float, *, reserve: Size | None = None
    ) -> GrowableArray:
        """Make an append-only array that grows in place, and that other processes follow.

        Parameters
        ----------
        row_shape : an int or ints; () for an array of one dimension.
        dtype : of its elements; anything but one that holds Python objects.
        reserve : bytes of address space, a number or text such as "1G", that each process
            reserves for it, which is as far as it can grow; None: the arena's capacity.

        Raises
        ------
        OutOfMemoryError : no frame, or no address space, is left; `limit` says which.
        TypeError, ValueError : as NumPy's.
        """
        room = None if reserve is None else bytes_of(reserve)
        return GrowableArray.create(cast("ArenaBase", self), row_shape, dtype, room)
