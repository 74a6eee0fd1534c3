"""The format of a frozen value: nodes of 64-bit words in one buffer, and columns behind them.

The header has 8 words: magic, version with the byte order, bytes in all, the root's ref, the place
of the section table, the number of sections, two of 0. All numbers are little-endian.

A *ref* stands for a value. Its three low bits say how: 0, the byte where its node begins; 1, an
integer of 61 bits in the bits above; 2, an index into CONSTANTS. A node begins with a word of
{tag 8, form 8, count 48}; words, then bytes follow. A node only refers to nodes before it, so
whatever the words say, a walk through them ends.

Section 0 is the buffer itself: nodes, strings, arrays and short columns. Each long column is a
section of its own, on frames of its own; the section table says where each begins and its length.

A dict or set of more than SMALL entries has a hash table: where each bucket begins in `order`, one
more than there are buckets, then `order`, the positions of the entries by bucket.
"""

from __future__ import annotations

import struct
import sys
from typing import Final, NamedTuple

from scamem.errors import DatasetDamagedError

MAGIC: Final = int.from_bytes(b"scm-frzn", "little")
VERSION: Final = 1
LITTLE_ENDIAN: Final = 0x01020304 << 32  # reads otherwise in another byte order
HEADER_BYTES: Final = 64
HEADER: Final = struct.Struct("<6Q16x")
WORD: Final = 8
MASK_64: Final = (1 << 64) - 1
COUNT_SHIFT: Final = 16

# How a ref is to be read
AT_NODE: Final = 0
INTEGER: Final = 1
CONSTANT: Final = 2
REF_BITS: Final = 7
REF_SHIFT: Final = 3
SIGN: Final = 1 << 63
INTEGER_MAX: Final = (1 << 60) - 1
CONSTANTS: Final = (None, False, True, Ellipsis)

# Tags of nodes, with the words and bytes that follow the first word
FLOAT: Final = 1  # float64
COMPLEX: Final = 2  # float64, float64
INT: Final = 3  # `count` bytes, signed
STR: Final = 4  # `count` bytes of UTF-8, lone surrogates encoded as if they were characters
BYTES: Final = 5  # `count` bytes
PICKLE: Final = 6  # `count` bytes: a pickle of one of the types in leaves.py
ENUM: Final = 7  # class: ref of a string; by form
SCALAR: Final = 8  # dtype: ref of bytes; `count` bytes
ARRAY: Final = 9  # `count` dimensions; dtype: ref of bytes; byte of the data; shape
LIST: Final = 10  # `count` items; by form
TUPLE: Final = 11  # as LIST
DICT: Final = 12  # `count` items; keys, values: refs of lists; section, byte, bits of the table
SET: Final = 13  # `count` items; items: ref of a list; section, byte, bits of the table
FROZENSET: Final = 14  # as SET
SCHEMA: Final = 15  # `count` fields; class: ref of a string, names: ref of a list
INSTANCE: Final = 16  # `count` fields; schema; a ref for each field

# Forms of LIST and TUPLE
REFS: Final = 0  # prefix: ref of a list or 0; section, byte of a ref for each further item
NUMBERS: Final = 1  # format character, dtype of scalars: ref of bytes or 0; section, byte
ARRAYS: Final = 2  # dtype: ref of bytes; section, byte; dimensions, shape of an item
TEXT: Final = 3  # section, byte of the offsets, one more than items; section, byte of data; bytes
BINARY: Final = 4  # as TEXT
LISTS: Final = 5  # tag of the items; section, byte of the offsets; items' items: ref of a list
RECORDS: Final = 6  # schema; a list for each field

# Forms of ENUM
BY_NAME: Final = 0  # name of the member: ref of a string
BY_VALUE: Final = 1  # value of a combination of flags: ref of an integer

# Forms of ARRAY
C_ORDER: Final = 0
FORTRAN_ORDER: Final = 1

# Forms of SCHEMA
DICTS: Final = 0
DATACLASSES: Final = 1
NAMED_TUPLES: Final = 2
TUPLES: Final = 3  # without names

SMALL: Final = 8  # a dict or set of up to so many entries has no hash table
MULTIPLIER: Final = 0x9E3779B97F4A7C15  # spreads the bits of a hash; odd

# Kinds of places
VALUE: Final = 0  # a node's value
ITEMS: Final = 1  # rows start, stop, step of a list, as a list
TUPLE_ITEMS: Final = 2  # the same, as a tuple
ROW: Final = 3  # row `start` of a list of records
PLACE: Final = struct.Struct("<5q")
PLACE_ERROR: Final = struct.error

if sys.byteorder != "little":
    raise ImportError("scamem's frozen values are little-endian; this machine is not")


class Place(NamedTuple):
    """Which part of a frozen object a container shows."""

    kind: int
    ref: int
    start: int = 0
    stop: int = 0
    step: int = 1


def damaged(what: str) -> DatasetDamagedError:
    """Return the error for a frozen object whose bytes cannot be right."""
    return DatasetDamagedError(
        f"a frozen value is damaged: {what}. It was overwritten, cut, or made by another version; "
        "freeze it again"
    )
