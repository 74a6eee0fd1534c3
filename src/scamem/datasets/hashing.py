"""Hashes of keys that are the same in every process, unlike Python's of strings and None.

Equal keys have equal hashes, as in a dict: 1, 1.0, True, Decimal(1) and np.int64(1) are one key,
and so are a tuple and the named tuple or frozen tuple that equals it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress as ip
import numbers
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import numpy as np

from .layout import MASK_64, MULTIPLIER

OF_NONE = 0x5CA3E3
OF_BYTES = 0xB17E5
OF_OTHERS = 7  # of types that only their own == compares: all in one bucket
OF_EMPTY_RANGE = 0x3A96E
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - what NumPy counts from
MICROSECOND = dt.timedelta(microseconds=1)
MONTHS = {"Y": 12, "M": 1}
ATTOSECONDS = {
    "W": 7 * 86_400 * 10**18,
    "D": 86_400 * 10**18,
    "h": 3600 * 10**18,
    "m": 60 * 10**18,
    "s": 10**18,
    "ms": 10**15,
    "us": 10**12,
    "ns": 10**9,
    "ps": 10**6,
    "fs": 10**3,
    "as": 1,
}
NUMPY_NUMBERS = "biufc"


def stable_hash(key: Any) -> int:
    """Return a key's hash, from 0 to 2**64 - 1. Needs: the key is hashable."""
    kind = type(key)
    if kind is str:
        return crc32(key.encode("utf-8", "surrogatepass"))
    if kind is int:
        return hash(key) & MASK_64
    if isinstance(key, str):
        return crc32(str.encode(key, "utf-8", "surrogatepass"))
    if isinstance(key, (np.datetime64, np.timedelta64)):  # the latter says it is a number
        return _of_numpy_time(key)
    if isinstance(key, numbers.Number):
        return _of_number(key)
    if isinstance(key, bytes):
        return crc32(key) ^ OF_BYTES
    if isinstance(key, np.generic):
        return _of_number(key.item()) if key.dtype.kind in NUMPY_NUMBERS else OF_OTHERS
    if key is None:
        return OF_NONE
    if isinstance(key, tuple) or getattr(kind, "is_frozen_tuple", False):
        return _of_sequence(key)
    if isinstance(key, frozenset) or getattr(kind, "is_frozen_set", False):
        return sum(_mixed(stable_hash(item)) for item in key) & MASK_64
    return _of_other(key)


def _of_number(key: Any) -> int:
    # The hash of a NaN, which alone differs from itself, is its address.
    return 0 if key != key else hash(key) & MASK_64


def _mixed(value: int) -> int:
    value = (value ^ value >> 32) * MULTIPLIER & MASK_64
    return value ^ value >> 29


def _of_sequence(items: Iterable[Any]) -> int:
    value = 1
    for item in items:
        value = _mixed(value * 31 + stable_hash(item) & MASK_64)
    return value


def _of_other(key: Any) -> int:
    if isinstance(key, enum.Flag):
        return _of_sequence((type(key).__qualname__, key.value))
    if isinstance(key, enum.Enum):
        return crc32(f"{type(key).__qualname__}.{key.name}".encode("utf-8", "surrogatepass"))
    for kinds, hash_of in _OF_KINDS:
        if isinstance(key, kinds):
            return hash_of(key)
    if dataclasses.is_dataclass(key):
        return _of_dataclass(key)
    return OF_OTHERS


def _of_text(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


def _of_attoseconds(value: int) -> int:
    """Return the hash of a duration, or of a moment since 1970, in the smallest unit of NumPy.

    Python's and NumPy's are equal keys if they are equal.
    """
    return _of_sequence((value,))


def _of_datetime(key: dt.datetime) -> int:
    # Equal moments are equal keys. Of a moment that a clock shows twice, == takes the first.
    offset = key.replace(fold=0).utcoffset() or dt.timedelta()
    return _of_attoseconds((key.replace(tzinfo=None) - EPOCH - offset) // MICROSECOND * 10**12)


def _of_time(key: dt.time) -> int:
    # As == has it, which leaves the microseconds of an offset out.
    offset = key.replace(fold=0).utcoffset() or dt.timedelta()
    seconds = key.hour * 3600 + key.minute * 60 + key.second
    return _of_sequence((seconds - offset // dt.timedelta(seconds=1), key.microsecond))


def _of_zone(key: dt.timezone) -> int:
    return _of_sequence((key.utcoffset(None) // MICROSECOND,))


def _of_range(key: range) -> int:
    if not key:
        return OF_EMPTY_RANGE
    step = key.step if key[0] != key[-1] else 0  # of a single item, none counts
    return _of_sequence((key[0], key[-1], step))


def _of_numpy_time(key: Any) -> int:
    """Return the hash of a datetime64 or timedelta64: the same in all units."""
    if np.isnat(key):
        return OF_OTHERS
    unit, count = np.datetime_data(key.dtype)
    if unit in MONTHS and isinstance(key, np.datetime64):
        key, unit, count = key.astype("M8[D]"), "D", 1
    number = int(key.view(np.int64))
    if unit not in ATTOSECONDS:  # NumPy has these equal to the number of months
        return _of_number(number * MONTHS.get(unit, 1))
    return _of_attoseconds(number * count * ATTOSECONDS[unit])


def _of_dataclass(key: Any) -> int:
    """Return the hash of the fields that `==` compares, if that is one that `dataclass` made."""
    owner: Any = next(kind for kind in key.__class__.__mro__ if "__eq__" in vars(kind))
    code = getattr(owner.__eq__, "__code__", None)
    if code is None or code.co_filename != "<string>":
        return OF_OTHERS
    fields = dataclasses.fields(owner)
    return _of_sequence(getattr(key, field.name) for field in fields if field.compare)


_OF_KINDS: tuple[tuple[Any, Callable[[Any], int]], ...] = (
    (dt.datetime, _of_datetime),
    (dt.date, lambda key: _of_attoseconds((key - EPOCH.date()).days * ATTOSECONDS["D"])),
    (dt.timedelta, lambda key: _of_attoseconds(key // MICROSECOND * 10**12)),
    (dt.time, _of_time),
    (dt.timezone, _of_zone),
    (uuid.UUID, lambda key: key.int & MASK_64),
    (pathlib.PurePosixPath, lambda key: _of_text(str(key))),
    (pathlib.PureWindowsPath, lambda key: _of_text(str(key).lower())),
    (range, _of_range),
    (slice, lambda key: _of_sequence((key.start, key.stop, key.step))),
    ((ip.IPv4Address, ip.IPv6Address), lambda key: _of_sequence((key.version, int(key)))),
    (
        (ip.IPv4Network, ip.IPv6Network),
        lambda key: _of_sequence((key.version, int(key.network_address), key.prefixlen)),
    ),
    (zoneinfo.ZoneInfo, lambda key: _of_text(str(key.key))),
)


def buckets_of(hashes: Any, bits: int) -> Any:
    """Return the bucket, of 2**bits, for each hash of an array of uint64."""
    return hashes * np.uint64(MULTIPLIER) >> np.uint64(64 - bits)


def bucket_of(value: int, bits: int) -> int:
    """Return the bucket, of 2**bits, for one hash."""
    return (value * MULTIPLIER & MASK_64) >> 64 - bits
