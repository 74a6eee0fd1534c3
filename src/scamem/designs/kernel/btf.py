"""A reader of BTF, enough for sizes, members and enumerations (/sys/kernel/btf/vmlinux).

Members are looked up by name and never assumed: 7.1 renamed page::compound_head, and 6.18
gave flags a type of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = 0xEB9F
STRUCT, UNION, ENUM, TYPEDEF, ENUM64 = 4, 5, 6, 8, 19
# bytes behind each type's 12-byte head: (fixed, times vlen)
_TAIL = {
    1: (4, 0),  # INT
    3: (12, 0),  # ARRAY
    STRUCT: (0, 12),
    UNION: (0, 12),
    ENUM: (0, 8),
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    17: (4, 0),  # DECL_TAG
    ENUM64: (0, 12),
}


@dataclass(frozen=True, slots=True)
class BtfMember:
    """A member's name, its offset in bits and its type's number."""

    name: str
    offset_bits: int
    type_id: int


@dataclass(slots=True)
class Btf:
    """Structs and enumerations by name."""

    sizes: dict[str, int] = field(default_factory=dict)
    members: dict[str, tuple[BtfMember, ...]] = field(default_factory=dict)
    enums: dict[str, int] = field(default_factory=dict)
    typedefs: set[str] = field(default_factory=set)

    def has_member(self, struct_name: str, member: str) -> bool:
        """Whether a struct (named members at its top level) has it."""
        return any(item.name == member for item in self.members.get(struct_name, ()))


def read(path: str | Path = "/sys/kernel/btf/vmlinux") -> Btf:
    """Read a BTF file.

    Raises
    ------
    OSError : it cannot be read.
    ValueError : it is not BTF of this machine's byte order.
    """
    return parse(Path(path).read_bytes())


def parse(data: bytes) -> Btf:
    """Read BTF from memory."""
    if len(data) < 24 or struct.unpack_from("<H", data)[0] != MAGIC:
        raise ValueError("not little-endian BTF: the magic number is missing")
    header, type_offset, type_bytes, name_offset, name_bytes = struct.unpack_from("<5I", data, 4)
    types = data[header + type_offset : header + type_offset + type_bytes]
    names = data[header + name_offset : header + name_offset + name_bytes]
    found = Btf()
    at = 0
    while at < len(types):
        name, info, size = struct.unpack_from("<3I", types, at)
        kind, length = info >> 24 & 0x1F, info & 0xFFFF
        at += 12
        if kind in (STRUCT, UNION) and name:
            _add_struct(found, names, types, at, (name, size, length, bool(info >> 31)))
        elif kind in (ENUM, ENUM64):
            _add_enum(found, names, types, at, length, 8 if kind == ENUM else 12)
        elif kind == TYPEDEF:
            found.typedefs.add(_string(names, name))
        fixed, each = _TAIL.get(kind, (0, 0))
        at += fixed + each * length
    return found


def _add_struct(
    found: Btf, names: bytes, types: bytes, at: int, head: tuple[int, int, int, bool]
) -> None:
    name_at, size, length, bitfields = head
    name = _string(names, name_at)
    if name in found.sizes:
        return
    rows = []
    for item in range(length):
        member, type_id, offset = struct.unpack_from("<3I", types, at + 12 * item)
        rows.append(
            BtfMember(_string(names, member), offset & 0xFFFFFF if bitfields else offset, type_id)
        )
    found.sizes[name] = size
    found.members[name] = tuple(rows)


def _add_enum(found: Btf, names: bytes, types: bytes, at: int, length: int, step: int) -> None:
    for item in range(length):
        name, value = struct.unpack_from("<2I", types, at + step * item)
        found.enums.setdefault(_string(names, name), value)


def _string(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode("ascii", "replace")
