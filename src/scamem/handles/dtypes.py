"""Dtypes as text that other processes read: data, no code, and read strictly, since it is input.

A plain dtype is NumPy's short name for it ("<f8"), a subarray is [base, [lengths]], a structure is
{"fields": [[name, dtype, offset] or [name, dtype, offset, title], ...], "bytes": n, "aligned": 0};
all of it is JSON, whose reader bounds its depth (ast's can run out of the C stack).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, cast

import numpy as np

from scamem.errors import ScamemError

TEXT_BYTES_MAX = 1 << 20
# kinds of plain data, with the unit of a datetime or timedelta
PLAIN = re.compile(r"[<>|][biufcSUVmM][0-9]{1,10}(\[[0-9]{0,9}[A-Za-z]{1,8}\])?")


@lru_cache(maxsize=256)
def dtype_text(dtype: np.dtype[Any]) -> bytes:
    """Return a dtype as text that `dtype_of` reads.

    Raises
    ------
    TypeError : the text would not stand for it: it is another library's dtype, or has no bytes.
    """
    text = json.dumps(_described(dtype), separators=(",", ":")).encode()
    try:
        known = dtype_of(text) == dtype
    except ScamemError:
        known = False
    if not known:
        raise TypeError(
            f"asked to describe the dtype {dtype!r} as data; only NumPy's own fixed-width dtypes "
            f"of at least one byte can be. Send a view of it, x.view('V{dtype.itemsize}'), and "
            "view that as the dtype again"
        )
    return text


def _described(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        return [_described(dtype.subdtype[0]), list(dtype.subdtype[1])]
    if dtype.names is None or dtype.fields is None:
        return dtype.str
    fields = [
        [name, _described(dtype.fields[name][0]), *dtype.fields[name][1:]] for name in dtype.names
    ]
    return {"fields": fields, "bytes": dtype.itemsize, "aligned": int(dtype.isalignedstruct)}


@lru_cache(maxsize=256)
def dtype_of(text: bytes) -> np.dtype[Any]:
    """Return the dtype that a text describes.

    Raises
    ------
    ScamemError : it describes no dtype of plain data.
    """
    try:
        if len(text) > TEXT_BYTES_MAX:
            raise ValueError
        found = _built(json.loads(text))
        if found.itemsize == 0 or found.hasobject:
            raise ValueError
        return found
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError):
        raise ScamemError(
            f"a handle or area describes a dtype that is none: {text[:60]!r}. It was tampered "
            "with, or made by another version"
        ) from None


def _built(described: Any) -> np.dtype[Any]:
    """Return the dtype of a description; ValueError, TypeError or LookupError if none."""
    if isinstance(described, str):
        if PLAIN.fullmatch(described) is None:
            raise ValueError
        return np.dtype(described)
    if isinstance(described, list):
        base, lengths = described
        if any(type(length) is not int for length in lengths):
            raise TypeError
        return np.dtype((_built(base), tuple(lengths)))
    fields = described["fields"]
    if any(type(field[2]) is not int or type(field[0]) is not str for field in fields):
        raise TypeError
    parts: dict[str, Any] = {
        "names": [field[0] for field in fields],
        "formats": [_built(field[1]) for field in fields],
        "offsets": [field[2] for field in fields],
        "itemsize": described["bytes"],
        "aligned": bool(described["aligned"]),
    }
    if any(not isinstance(title, str) for field in fields for title in field[3:]):
        raise TypeError
    if any(len(field) > 3 for field in fields):
        parts["titles"] = [field[3] if len(field) > 3 else None for field in fields]
    made: np.dtype[Any] = np.dtype(cast("Any", parts))
    return made
