"""Dtypes as text that other processes read. It is data, not code, and parsed strictly as input.

A plain dtype is NumPy's short name for it ("<f8"), a subarray is [base, [lengths]], a structure is
{"fields": [[name, dtype, offset] or [name, dtype, offset, title], ...], "bytes": n, "aligned": 0}.
If the scalars are np.record, or there is metadata, it is
{"dtype": ..., "record": 1, "metadata": {...}}. All of it is JSON, whose parser bounds the depth;
that of `ast` can overflow the C stack.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

import numpy as np

from scamem.errors import ScamemError

TEXT_BYTES_MAX = 1 << 20
TEXTS_MAX = 256
# kinds of plain data, with the unit of a datetime or timedelta
PLAIN = re.compile(r"[<>|][biufcSUVmM][0-9]{1,10}(\[[0-9]{0,9}[A-Za-z]{1,8}\])?")


def dtype_text(dtype: np.dtype[Any]) -> bytes:
    """Return a dtype as text that `dtype_of` can read.

    Raises
    ------
    TypeError : the text could not represent it: another library's dtype, one without bytes, one
        with a scalar class of the user's, or metadata that JSON cannot represent.
    """
    if dtype.names is None and dtype.subdtype is None and dtype.metadata is None:
        return _plain_text(dtype)
    # NumPy calls dtypes equal that differ in metadata or in their scalars' class: go by identity.
    known = _texts.get(id(dtype))
    if known is None:
        if len(_texts) >= TEXTS_MAX:
            _texts.clear()
        known = _texts[id(dtype)] = dtype, _text(dtype)
    return known[1]


_texts: dict[int, tuple[np.dtype[Any], bytes]] = {}  # by id; keeping the dtype keeps its id


@lru_cache(maxsize=256)
def _plain_text(dtype: np.dtype[Any]) -> bytes:
    return _text(dtype)


def _text(dtype: np.dtype[Any]) -> bytes:
    try:
        described = _described(dtype)
        text = _json(described)
        again = dtype_of(text)
        if again == dtype and _described(again) == described:
            return text
    except (ScamemError, TypeError, ValueError, RecursionError):
        pass
    raise TypeError(
        f"asked to share an array of dtype {dtype!r}; only NumPy's own fixed-width dtypes of at "
        "least one byte can be shared, with metadata that JSON can say. Send a view of the array, "
        f"x.view('V{dtype.itemsize}'), and view that as the dtype again"
    )


def _described(dtype: np.dtype[Any]) -> Any:
    """Return a dtype's representation in JSON; TypeError if there is none."""
    described = _described_fields(dtype)
    more: dict[str, Any] = {}
    if dtype.type is np.record:
        more["record"] = 1
    elif dtype.kind == "V" and dtype.type is not np.void:
        raise TypeError
    if dtype.metadata:
        more["metadata"] = dict(dtype.metadata)
        if not _is_json(more["metadata"]):
            raise TypeError
    return {"dtype": described, **more} if more else described


def _described_fields(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        return [_described(dtype.subdtype[0]), list(dtype.subdtype[1])]
    if dtype.names is None or dtype.fields is None:
        return dtype.str
    fields = [
        [name, _described(dtype.fields[name][0]), *dtype.fields[name][1:]] for name in dtype.names
    ]
    return {"fields": fields, "bytes": dtype.itemsize, "aligned": int(dtype.isalignedstruct)}


def _is_json(value: Any) -> bool:
    """Return whether JSON preserves a value: no tuples, and only strings as keys."""
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or type(value) in (str, int, float, bool)


@lru_cache(maxsize=256)
def dtype_of(text: bytes) -> np.dtype[Any]:
    """Return the dtype that a text describes.

    Raises
    ------
    ScamemError : it does not describe a dtype of plain data.
    """
    try:
        if len(text) > TEXT_BYTES_MAX:
            raise ValueError
        found = _built(_unquoted(text))
        if found.itemsize == 0 or found.hasobject:
            raise ValueError
        return found
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError):
        raise ScamemError(
            f"a handle or area describes an invalid dtype: {text[:60]!r}. It was tampered "
            "with, or made by another version"
        ) from None


def _json(described: Any) -> bytes:
    if isinstance(described, str) and PLAIN.fullmatch(described):
        return f'"{described}"'.encode()  # what json says
    import json  # 2 ms, for dtypes that few programs have

    return json.dumps(described, separators=(",", ":"), allow_nan=False).encode()


def _unquoted(text: bytes) -> Any:
    """Return what the JSON says; ValueError if it is none."""
    plain = text[1:-1].decode("ascii", "replace")
    if text == f'"{plain}"'.encode() and PLAIN.fullmatch(plain):
        return plain
    import json

    return json.loads(text)


def _built(described: Any) -> np.dtype[Any]:
    """Return the dtype of a description; ValueError, TypeError or LookupError if it is not one."""
    if isinstance(described, str):
        if PLAIN.fullmatch(described) is None:
            raise ValueError
        return np.dtype(described)
    if isinstance(described, list):
        base, lengths = described
        if any(type(length) is not int for length in lengths):
            raise TypeError
        return np.dtype((_built(base), tuple(lengths)))
    if "dtype" in described:
        return _built_more(described)
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


def _built_more(described: dict[str, Any]) -> np.dtype[Any]:
    """Return a dtype with np.record scalars or with metadata."""
    made = _built(described["dtype"])
    if described.keys() - {"dtype", "record", "metadata"}:
        raise ValueError
    if described.get("record", 0) not in (0, 1):
        raise ValueError
    if described.get("record"):
        if made.kind != "V" or made.subdtype is not None:
            raise ValueError
        made = np.dtype((np.record, made))
    metadata = described.get("metadata")
    if metadata is not None:
        if type(metadata) is not dict:
            raise TypeError
        made = np.dtype(cast("Any", made), metadata=metadata)
    return made
