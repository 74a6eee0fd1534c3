"""Read files straight into frames: the file is not mapped, and nothing is copied in between."""

from __future__ import annotations

import ast
import math
import os
import stat
from collections.abc import Callable
from typing import IO, Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import DTypeLike

from scamem.address_space.io import transfer_file
from scamem.errors import FileTooShortError
from scamem.membership.seat import Seat
from scamem.memory.allocation import Where
from scamem.objects.spans import spans_of

from .array import Array
from .checks import checked_dtype, checked_shape
from .create import empty
from .place import locate

PART_BYTES = 16 << 20  # read between two calls of `progress`
HEADER_BYTES_MAX = 10_000  # as NumPy: a longer header is not trusted
Path = str | os.PathLike[str]
Progress = Callable[[int, int], object]


class Contents(NamedTuple):
    """What a file contains, from byte `offset` on."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    offset: int

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return self.dtype.itemsize * math.prod(self.shape)


def from_file(
    seat: Seat,
    path: Path,
    dtype: DTypeLike | None = None,
    shape: Any = None,
    offset: int = 0,
    progress: Progress | None = None,
    **where: Unpack[Where],
) -> Array:
    """Read a file into a new array in an arena, straight into its frames; see `Arena.from_file`.

    After an error the memory is freed with the exception.
    """
    with open(path, "rb", buffering=0) as file:
        if dtype is None and shape is None and os.fspath(path).lower().endswith(".npy"):
            contents = npy_contents(file, offset, path)
        else:
            contents = raw_contents(file, dtype, shape, offset, path)
        made = empty(seat, contents.shape, contents.dtype, contents.order, **where)
        read_into(made, file, contents, path, progress)
    return made


def read_into(
    made: Array, file: IO[bytes], contents: Contents, path: Path, progress: Progress | None
) -> None:
    """Read a file's data into an array that begins at its object's first byte."""
    place = locate(made)
    total = contents.nbytes
    done = 0
    seekable = file.seekable()
    while place is not None and done < total:
        part = min(PART_BYTES, total - done)
        at = contents.offset + done if seekable else None
        count = transfer_file(spans_of(place.hold, place.offset + done, part), file, at, False)
        done += count
        if count < part:
            raise _too_short(path, contents.offset + total, contents.offset + done)
        if progress is not None and done < total:
            progress(done, total)
    if progress is not None:
        progress(total, total)


def raw_contents(file: IO[bytes], dtype: Any, shape: Any, offset: int, path: Path) -> Contents:
    """Describe the contents of a file of bare elements."""
    if offset < 0:
        raise ValueError(f"asked to read {os.fspath(path)!r} from byte {offset}; it begins at 0")
    kind = checked_dtype(np.uint8 if dtype is None else dtype)
    about = os.fstat(file.fileno())
    if not stat.S_ISREG(about.st_mode):
        if shape is None or offset:
            raise ValueError(
                f"asked for all of {os.fspath(path)!r}, which is no regular file and does not say "
                "how long it is. Give the shape (and no offset)"
            )
        return _shaped(kind, checked_shape(shape), offset)
    rest = about.st_size - offset
    if shape is None:
        if rest < 0:
            raise _too_short(path, offset, about.st_size)
        if kind.itemsize == 0 or rest % kind.itemsize:
            raise ValueError(
                f"{os.fspath(path)!r} has {rest:,} bytes from byte {offset:,} on, which is no "
                f"whole number of elements of {kind.itemsize} bytes ({kind}). Give the shape, "
                "another offset or another dtype"
            )
        return Contents(kind, (rest // kind.itemsize,), "C", offset)
    found = _shaped(kind, checked_shape(shape), offset)
    if found.nbytes > rest:
        raise _too_short(path, offset + found.nbytes, about.st_size)
    return found


def _shaped(kind: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Contents:
    if kind.subdtype is not None:
        kind, inner = kind.subdtype
        shape += inner
    return Contents(kind, shape, "C", offset)


def npy_contents(file: IO[bytes], offset: int, path: Path) -> Contents:
    """Describe the contents of a `.npy` file from its header; ValueError if it is not one."""
    if offset:
        raise ValueError(
            f"asked to read {os.fspath(path)!r} from byte {offset}: a .npy file says itself where "
            "its data is. Give a dtype to read its bytes as they are"
        )
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, HEADER_BYTES_MAX)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file, HEADER_BYTES_MAX)
    elif version == (3, 0):
        shape, fortran, dtype = _read_header_3(file)
    else:
        raise ValueError(
            f"{os.fspath(path)!r} is a .npy file of version {version}; 1.0 to 3.0 can be read"
        )
    if dtype.hasobject:
        raise TypeError(
            f"{os.fspath(path)!r} has Python objects (dtype {dtype}), which live in one process. "
            "Load it with np.load(allow_pickle=True), and arena.put() the result"
        )
    at = file.tell()
    found = Contents(dtype, shape, "F" if fortran else "C", at)
    size = os.fstat(file.fileno()).st_size
    if file.seekable() and at + found.nbytes > size:
        raise _too_short(path, at + found.nbytes, size)
    return found


def _read_header_3(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read a header of version 3.0. It is UTF-8, for field names outside Latin-1."""
    length = int.from_bytes(file.read(4), "little")
    if length > HEADER_BYTES_MAX:
        raise ValueError(f"a .npy header of {length:,} bytes; {HEADER_BYTES_MAX:,} is the most")
    try:
        found = ast.literal_eval(file.read(length).decode())
        dtype = np.lib.format.descr_to_dtype(found["descr"])
        return checked_shape(found["shape"]), bool(found["fortran_order"]), dtype
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no .npy header of version 3.0: {error}") from error


def _too_short(path: Path, asked_bytes: int, found_bytes: int) -> FileTooShortError:
    return FileTooShortError(
        f"asked for the first {asked_bytes:,} bytes of {os.fspath(path)!r}; it has "
        f"{found_bytes:,}. It was cut off, or is still being written: wait until it is "
        "complete, or ask for a smaller shape",
        asked_bytes=asked_bytes,
        found_bytes=found_bytes,
    )
