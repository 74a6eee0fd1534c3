"""A frozen object as a process reads it: its bytes, and the values of its nodes.

What the bytes say is checked where it is used: every place lies inside the object, and every ref is
smaller than that of the node that has it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from scamem.arrays.array import Array
from scamem.arrays.over import over
from scamem.core.store import layout as L
from scamem.handles.description import FROZEN, Description, encode
from scamem.handles.dtypes import dtype_of
from scamem.handles.handle import Handle
from scamem.membership.member import Hold
from scamem.membership.seat import Seat

from . import layout as F
from .classes import enum_member, flags_of
from .layout import Place, damaged
from .leaves import load_leaf

U8 = np.dtype(np.uint8)
DIMENSIONS_MAX = 64


class Source:
    """The bytes of a frozen object.

    Attributes
    ----------
    array : all of them, uint8, read-only. plain : the same as an ndarray. bytes : as a memoryview.
    nbytes : how many. root : the ref of the outermost value.

    Ownership: it takes `hold` over. Threads: any. fork: the child reads on.
    """

    __slots__ = ("array", "bytes", "hold", "nbytes", "plain", "root", "seat", "sections", "words")

    def __init__(self, seat: Seat, hold: Hold) -> None:
        room = seat.member.nr(hold) * seat.frame_bytes
        if not seat.member.is_pickled(hold):
            raise damaged("no frozen value was stored in this object")
        whole = over(seat, hold, 0, (room,), U8, writable=False, kind=Array)
        magic, version, nbytes, self.root, table, count = F.HEADER.unpack_from(whole.data)
        if magic != F.MAGIC:
            raise damaged("it has no header")
        if version != F.VERSION | F.LITTLE_ENDIAN:
            raise damaged(f"its version is {version:#x}, not {F.VERSION | F.LITTLE_ENDIAN:#x}")
        if not F.HEADER_BYTES <= nbytes <= room:
            raise damaged(f"it has {nbytes:,} bytes by its header, and {room:,} bytes of frames")
        self.seat = seat
        self.hold = hold
        self.nbytes = nbytes
        self.array = whole[:nbytes]
        self.plain = self.array.view(np.ndarray)
        self.bytes = self.plain.data
        self.words = self.bytes[: nbytes // F.WORD * F.WORD].cast("Q")
        if table % F.WORD or table + 2 * F.WORD * count > nbytes:
            raise damaged("its table of sections is cut off")
        numbers = self.words[table // F.WORD :][: 2 * count].tolist()
        self.sections = [(0, nbytes), *zip(numbers[::2], numbers[1::2], strict=True)]

    # --- places --------------------------------------------------------------------------------

    def node(self, ref: int, below: int) -> int:
        """Return a node's first word. Needs: `below` is at most nbytes + 1."""
        if ref & F.REF_BITS or not F.HEADER_BYTES <= ref < below or ref + F.WORD > self.nbytes:
            raise damaged(f"a value refers to byte {ref:,}, which begins no earlier value")
        word: int = self.words[ref // F.WORD]
        return word

    def numbers(self, ref: int, count: int, skip: int = 1) -> list[int]:
        """Return `count` words of a node, behind the first `skip`."""
        first = ref // F.WORD + skip
        found: list[int] = self.words[first : first + count].tolist()
        if len(found) != count:
            raise damaged(f"the value at byte {ref:,} is cut off")
        return found

    def start_of(self, section: int, at: int, nbytes: int) -> int:
        """Return where bytes of a section begin, all of which are there."""
        if section >= len(self.sections):
            raise damaged(f"a column is in section {section}; there are {len(self.sections)}")
        start: int
        start, size = self.sections[section]
        if at + nbytes > size or start + size > self.nbytes:
            raise damaged(
                f"a column has bytes {at:,} to {at + nbytes:,} of section {section}, whose "
                f"{size:,} bytes begin at {start:,} of {self.nbytes:,}"
            )
        return start + at

    def view(self, section: int, at: int, nbytes: int) -> memoryview:
        """Return bytes of a section."""
        start = self.start_of(section, at, nbytes)
        found: memoryview = self.bytes[start : start + nbytes]
        return found

    def behind(self, ref: int, words: int, count: int) -> memoryview:
        """Return the bytes behind a node's words."""
        return self.view(0, ref + words * F.WORD, count)

    # --- values --------------------------------------------------------------------------------

    def value(self, ref: int, below: int) -> Any:
        """Return what a ref stands for. `below` : the ref of the node that has it."""
        kind = ref & F.REF_BITS
        if kind == F.INTEGER:
            return ((ref ^ F.SIGN) - F.SIGN) >> F.REF_SHIFT
        if kind == F.CONSTANT:
            if ref >> F.REF_SHIFT >= len(F.CONSTANTS):
                raise damaged(f"there is no constant {ref >> F.REF_SHIFT}")
            return F.CONSTANTS[ref >> F.REF_SHIFT]
        word = self.node(ref, below)
        read = READERS.get(word & L.MASK_8)
        if read is None:
            raise damaged(f"the value at byte {ref:,} is of the unknown type {word & L.MASK_8}")
        return read(self, ref, word >> F.COUNT_SHIFT)

    def text(self, ref: int, below: int) -> str:
        """Return a string; it is damaged if another value is there."""
        found = self.value(ref, below)
        if type(found) is not str:
            raise damaged(f"at byte {ref:,} should be a name")
        return found

    def dtype(self, ref: int, below: int) -> np.dtype[Any]:
        """Return a dtype."""
        found = self.value(ref, below)
        if type(found) is not bytes:
            raise damaged(f"at byte {ref:,} should be a dtype")
        return dtype_of(found)

    # --- itself --------------------------------------------------------------------------------

    def handle(self, place: Place) -> Handle:
        """Return a handle of a part of the value."""
        of = b"" if place == (F.VALUE, self.root, 0, 0, 1) else F.PLACE.pack(*place)
        description = encode(Description(FROZEN, 0, (self.nbytes,), None, None, True, of))
        return Handle(self.seat, self.hold.another(L.BY_HAND), description)

    def is_same_object(self, other: Source) -> bool:
        """Return whether another source reads the same object."""
        return self.seat is other.seat and self.key() == other.key()

    def key(self) -> tuple[int, int]:
        """Return what identifies the object in its arena."""
        return self.hold.index, self.hold.generation


Reader = Callable[[Source, int, int], Any]  # (source, ref, count) -> value


def decode_text(data: memoryview) -> str:
    """Return a string from UTF-8 in which lone surrogates may be."""
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise damaged(f"a string is no UTF-8 ({error.reason})") from None


def _float(source: Source, ref: int, _: int) -> float:
    found: float = struct.unpack("<d", source.behind(ref, 1, 8))[0]
    return found


def _complex(source: Source, ref: int, _: int) -> complex:
    return complex(*struct.unpack("<2d", source.behind(ref, 1, 16)))


def _int(source: Source, ref: int, count: int) -> int:
    return int.from_bytes(source.behind(ref, 1, count), "little", signed=True)


def _str(source: Source, ref: int, count: int) -> str:
    return decode_text(source.behind(ref, 1, count))


def _bytes(source: Source, ref: int, count: int) -> bytes:
    return bytes(source.behind(ref, 1, count))


def _pickle(source: Source, ref: int, count: int) -> Any:
    return load_leaf(bytes(source.behind(ref, 1, count)))


def _enum(source: Source, ref: int, _: int) -> Any:
    kind, member = source.numbers(ref, 2)
    name = source.text(kind, ref)
    if source.words[ref // F.WORD] >> 8 & L.MASK_8 == F.BY_VALUE:
        return flags_of(name, source.value(member, ref))
    return enum_member(name, source.text(member, ref))


def _scalar(source: Source, ref: int, count: int) -> Any:
    dtype = source.dtype(source.numbers(ref, 1)[0], ref)
    if dtype.itemsize != count:
        raise damaged(f"the scalar at byte {ref:,} has {count:,} bytes, its dtype {dtype.itemsize}")
    return np.frombuffer(bytes(source.behind(ref, 2, count)), dtype)[0]


def _array(source: Source, ref: int, count: int) -> Array:
    dimensions = min(count, DIMENSIONS_MAX)
    dtype_ref, at, *shape = source.numbers(ref, 2 + dimensions)
    form = source.words[ref // F.WORD] >> 8 & L.MASK_8
    lengths = tuple(shape if form == F.C_ORDER else reversed(shape))
    found = array_at(source, source.dtype(dtype_ref, ref), 0, at, lengths)
    return found if form == F.C_ORDER else found.transpose()


def array_at(
    source: Source, dtype: np.dtype[Any], section: int, at: int, shape: tuple[int, ...]
) -> Array:
    """Return a read-only array over bytes of a section. Ownership: it keeps the object."""
    items = 1
    for length in shape:
        items *= length
    nbytes = items * dtype.itemsize
    start = source.start_of(section, at, nbytes)
    base, kind = (dtype, ()) if dtype.subdtype is None else dtype.subdtype
    try:
        flat = source.array[start : start + nbytes].view(base)
        found: Array = flat.reshape(shape + tuple(kind))
        return found
    except (ValueError, TypeError) as error:
        raise damaged(f"an array cannot be of shape {shape} ({error})") from None


READERS: dict[int, Reader] = {
    F.FLOAT: _float,
    F.COMPLEX: _complex,
    F.INT: _int,
    F.STR: _str,
    F.BYTES: _bytes,
    F.PICKLE: _pickle,
    F.ENUM: _enum,
    F.SCALAR: _scalar,
    F.ARRAY: _array,
}
