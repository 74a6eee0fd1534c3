"""The methods of an arena that make arrays, as `scamem.array` and the like do in the default one.

Each parameter means what it means in NumPy's function of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from scamem.later import Later
from scamem.membership.seat import Seated
from scamem.memory.allocation import Where

from . import create
from .array import Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from . import concatenate as joining
    from . import files
else:
    joining = Later("scamem.arrays.concatenate")
    files = Later("scamem.arrays.files")


def empty(
    arena: Seated,
    shape: Any,
    dtype: DTypeLike = float,
    order: str = "C",
    **where: Unpack[Where],
) -> Array:
    """Create an uninitialised array in this arena; see `scamem.empty`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.empty((2, 3), np.float32).nbytes
    24
    """
    return create.empty(arena._seat, shape, dtype, order, **where)


def zeros(
    arena: Seated,
    shape: Any,
    dtype: DTypeLike = float,
    order: str = "C",
    **where: Unpack[Where],
) -> Array:
    """Create an array of zeros in this arena; see `scamem.zeros`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.zeros(3).tolist()
    [0.0, 0.0, 0.0]
    """
    return create.zeros(arena._seat, shape, dtype, order, **where)


def full(
    arena: Seated,
    shape: Any,
    fill_value: Any,
    dtype: DTypeLike | None = None,
    order: str = "C",
    **where: Unpack[Where],
) -> Array:
    """Create an array filled with a value in this arena; see `scamem.full`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.full(3, 7).tolist()
    [7, 7, 7]
    """
    return create.full(arena._seat, shape, fill_value, dtype, order, **where)


def array(
    arena: Seated,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    **where: Unpack[Where],
) -> Array:
    """Copy an array into this arena; see `scamem.array`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.array([1, 2, 3]).sum().item()
    6
    """
    return create.array(arena._seat, values, dtype, order=order, **where)


def asarray(
    arena: Seated,
    values: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    order: str = "K",
    writable: bool = True,
    **where: Unpack[Where],
) -> Array:
    """Return an array as it is if it lies in this arena, else a copy; see `scamem.asarray`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> x = arena.zeros(3)
    >>> arena.asarray(x) is x
    True
    """
    return create.asarray(arena._seat, values, dtype, order=order, writable=writable, **where)


def from_file(
    arena: Seated,
    path: files.Path,
    dtype: DTypeLike | None = None,
    shape: Any = None,
    offset: int = 0,
    progress: files.Progress | None = None,
    **where: Unpack[Where],
) -> Array:
    """Read a file into a new array, straight into its frames.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.from_file(np.__file__).dtype
    dtype('uint8')

    Parameters
    ----------
    path : a file. One named `*.npy` is read as such, unless a dtype or shape is given.
    dtype : of the elements; None: bytes (uint8).
    shape : an int or ints; None: all elements after the offset, in one dimension.
    offset : bytes to skip at the start of the file.
    progress : called with (bytes done, bytes in all) after every 16 MiB and at the end. An
        exception that it raises stops the reading.
    node, zone : where its frames come from (keywords); see `Arena.alloc`. None: anywhere.

    Raises
    ------
    FileTooShortError : an EOFError; the file has less than was asked for, or became shorter.
    ValueError : the rest of the file is not a whole number of elements, or it is not a `.npy` file.
    TypeError : the dtype holds Python objects.
    OutOfMemoryError, TooScatteredError : as `empty`. OSError : opening or reading failed.

    Ownership: the array holds one reference, dropped with the last array over its memory.
    """
    return files.from_file(arena._seat, path, dtype, shape, offset, progress, **where)


def concatenate(
    arena: Seated, arrays: Sequence[ArrayLike], axis: int = 0, copy: bool | None = None
) -> Array:
    """Join arrays along an axis, if possible without a copy; see `scamem.concatenate`.

    A copy is made in this arena, and only arrays of this arena can be joined without one.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.concatenate([arena.zeros(2), arena.zeros(3)]).shape
    (5,)
    """
    return joining.concatenate(arena._seat, arrays, axis, copy)
