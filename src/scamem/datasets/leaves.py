"""Values of the standard library that are kept as a small pickle, and are read as data.

Reading calls nothing but the constructors of these types: a pickle that names anything else is
refused.
"""

from __future__ import annotations

import io
import pickle
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PosixPath, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from .layout import damaged

LEAVES = (
    date,
    datetime,
    time,
    timedelta,
    timezone,
    Decimal,
    Fraction,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    PosixPath,
    PurePosixPath,
    PureWindowsPath,
    UUID,
    ZoneInfo,
    range,
    slice,
)
MODULES = {
    "datetime",
    "decimal",
    "fractions",
    "ipaddress",
    "pathlib",
    "pathlib._local",  # where Python 3.13 has the classes
    "uuid",
    "zoneinfo",
}
NAMES = {kind.__name__ for kind in LEAVES} | {"SafeUUID", "_unpickle"}
BUILTINS = {"range", "slice", "getattr"}  # getattr only for ZoneInfo's own constructor


class _Unpickler(pickle.Unpickler):
    """Loads the types above, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "builtins" and name == "getattr":
            return _constructor
        if module in MODULES and name.partition(".")[0] in NAMES and name.count(".") < 2:
            if "." not in name or name == "ZoneInfo._unpickle":
                return super().find_class(module, name)
        if module == "builtins" and name in BUILTINS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _constructor(owner: Any, name: str) -> Any:
    """Return ZoneInfo's constructor, which its pickles look up by name."""
    if owner is ZoneInfo and name == "_unpickle":
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"it looks up {name}")


def dump_leaf(value: Any) -> bytes | None:
    """Return a value's pickle; None if it could not be read again, as with a foreign time zone."""
    try:
        data = pickle.dumps(value, protocol=4)
        found = _Unpickler(io.BytesIO(data)).load()
        # A NaN of a Decimal differs from itself, or compares with nothing.
        same = repr(found) == repr(value) if isinstance(value, Decimal) else found == value
    except Exception:  # noqa: BLE001 - whatever parts of other types raise
        return None
    return data if same else None


def load_leaf(data: bytes) -> Any:
    """Return the value of a pickle made by `dump_leaf`; DatasetDamagedError if it is another."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # whatever a damaged pickle makes a constructor raise
        raise damaged(f"a value's pickle cannot be loaded ({error})") from error
