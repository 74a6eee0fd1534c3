"""Join arrays without copying them: one view over the frames of several objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scamem.core.store import layout as L
from scamem.errors import OutOfMemoryError, TooScatteredError
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.views import making

from .array import Array
from .construct import new_array
from .create import empty
from .over import over
from .place import locate

Piece = tuple[Hold, int, int]  # reference, first byte in the object, bytes


def concatenate(
    seat: Seat, arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None
) -> Array:
    """Join arrays along an axis, like np.concatenate; see `scamem.concatenate`."""
    sources = [np.asanyarray(values) for values in arrays]
    shape, dtype, axis = _joined(sources, axis)
    why = "copy=True"
    if not copy:
        try:
            found = _stitch(seat, sources, shape, dtype, axis)
        except (TooScatteredError, OutOfMemoryError) as error:
            if copy is False:
                raise
            found = str(error)
        if not isinstance(found, str):
            return found
        why = found
    if copy is False:
        raise ValueError(
            f"asked to concatenate {len(sources)} arrays without a copy (copy=False): {why}. Make "
            "each with scamem.empty or zeros, of whole frames (4,096 bytes), or use copy=None"
        )
    made = empty(seat, shape, dtype)
    np.concatenate([source.view(np.ndarray) for source in sources], axis, out=made.view(np.ndarray))
    return made


def _joined(sources: list[NDArray[Any]], axis: int) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape, dtype and axis of the result. The errors are NumPy's own."""
    # Dummies without memory of their own: NumPy checks them and raises its own errors.
    shapes = [np.broadcast_to(np.empty((), source.dtype), source.shape) for source in sources]
    if not shapes or any(source.ndim == 0 for source in sources):
        np.concatenate(shapes)  # raises
    first = sources[0]
    normal = range(first.ndim)[axis] if -first.ndim <= axis < first.ndim else None
    if normal is None:
        np.concatenate([one[(slice(0, 0),) * one.ndim] for one in shapes], axis)  # raises
    at = normal or 0
    for one in sources[1:]:
        if one.ndim != first.ndim or any(
            one.shape[k] != first.shape[k] for k in range(first.ndim) if k != at
        ):
            np.concatenate(shapes, at)  # raises
    dtype = np.result_type(*{source.dtype for source in sources})
    length = sum(source.shape[at] for source in sources)
    return (*first.shape[:at], length, *first.shape[at + 1 :]), dtype, at


def _stitch(
    seat: Seat,
    sources: list[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axis: int,
) -> Array | str:
    """Join the arrays without a copy; return the reason, a str, if that is not possible."""
    frame = seat.frame_bytes
    pieces: list[Piece] = []
    for number, source in enumerate(sources):
        if source.size == 0:
            continue
        if source.dtype != dtype:
            return f"array {number} has dtype {source.dtype}, the result {dtype}"
        if not source.flags.c_contiguous or math.prod(source.shape[:axis]) != 1:
            return f"array {number} is not contiguous along axis {axis}"
        place = locate(source)
        if place is None or place.hold.member is not seat.member:
            return f"array {number} is in private memory, or not in a single object of this arena"
        _add_piece(pieces, place.hold, place.offset, source.nbytes)
    if not pieces:
        return "they are empty"
    for number, (_, start, nbytes) in enumerate(pieces):
        if number > 0 and start % frame:
            return f"piece {number} begins {start % frame:,} bytes after the start of a frame"
        if number < len(pieces) - 1 and (start + nbytes) % frame:
            return f"piece {number} ends {(start + nbytes) % frame:,} bytes into a frame"
    writable = all(source.flags.writeable for source in sources if source.size)
    if len(pieces) == 1:
        hold, start, _ = pieces[0]
        return over(
            seat, hold.another(L.BY_PIN), start, shape, dtype, writable=writable, kind=Array
        )
    parts = [
        (hold, start // frame, -(-(start + nbytes) // frame) - start // frame)
        for hold, start, nbytes in pieces
    ]
    if making.overlaps(parts):
        return "the same frames occur twice, so the result would change in two places at once"
    view = making.stitched(seat, parts, writable=writable)
    address = view.address + pieces[0][1] % frame
    made: Array = new_array(Array, dtype, shape, None, address, writable, view)
    return made


def _add_piece(pieces: list[Piece], hold: Hold, start: int, nbytes: int) -> None:
    """Add a piece; merge it with the last one if it directly follows that in the same object."""
    if pieces:
        last, begin, length = pieces[-1]
        if last.index == hold.index and begin + length == start:
            pieces[-1] = (last, begin, length + nbytes)
            return
    pieces.append((hold, start, nbytes))
