"""Hashes of keys that are the same in every process, unlike Python's of strings and None.

Equal keys have equal hashes, as in a dict: 1, 1.0, True, Decimal(1) and np.int64(1) are one key,
and so are a tuple and the named tuple or frozen tuple that equals it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import numbers
import pathlib
import uuid
from collections.abc import Iterable
from typing import Any
from zlib import crc32

import numpy as np

from .layout import MASK_64, MULTIPLIER

OF_NONE = 0x5CA3E3
OF_BYTES = 0xB17E5
OF_OTHERS = 7  # of types that only their own == compares: all in one bucket
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
    if isinstance(key, enum.Enum):
        return crc32(f"{type(key).__qualname__}.{key.name}".encode("utf-8", "surrogatepass"))
    if isinstance(key, dt.datetime):
        offset = key.utcoffset() or dt.timedelta()  # equal moments are equal keys
        seconds = key.hour * 3600 + key.minute * 60 + key.second
        return _of_sequence((key.toordinal() * 86_400 + seconds - int(offset.total_seconds()),))
    if isinstance(key, dt.date):
        return key.toordinal()
    if isinstance(key, dt.timedelta):
        return _of_sequence((key.days, key.seconds, key.microseconds))
    if isinstance(key, uuid.UUID):
        return key.int & MASK_64
    if isinstance(key, pathlib.PurePosixPath):
        return crc32(str(key).encode("utf-8", "surrogatepass"))
    if dataclasses.is_dataclass(key) and _compares_fields(key.__class__):
        fields = dataclasses.fields(key)
        return _of_sequence(getattr(key, field.name) for field in fields if field.compare)
    return OF_OTHERS


def _compares_fields(kind: Any) -> bool:
    """Return whether `==` is the one that `dataclass` made."""
    code = getattr(kind.__eq__, "__code__", None)
    return code is not None and code.co_filename == "<string>"


def buckets_of(hashes: Any, bits: int) -> Any:
    """Return the bucket, of 2**bits, for each hash of an array of uint64."""
    return hashes * np.uint64(MULTIPLIER) >> np.uint64(64 - bits)


def bucket_of(value: int, bits: int) -> int:
    """Return the bucket, of 2**bits, for one hash."""
    return (value * MULTIPLIER & MASK_64) >> 64 - bits
