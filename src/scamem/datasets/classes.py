"""Classes by name: dataclasses, named tuples and enums that a frozen value has items of."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import sys
from typing import Any

from scamem.errors import DatasetDamagedError, ScamemError

from .layout import DATACLASSES, NAMED_TUPLES


def is_named_tuple(kind: type) -> bool:
    """Return whether a class was made by collections.namedtuple or typing.NamedTuple."""
    fields = getattr(kind, "_fields", None)
    return issubclass(kind, tuple) and isinstance(fields, tuple) and hasattr(kind, "_make")


def fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or named tuple."""
    if is_named_tuple(kind):
        names: tuple[str, ...] = getattr(kind, "_fields")  # noqa: B009 - not of every class
        return names
    return tuple(field.name for field in dataclasses.fields(kind))


def name_of(kind: type) -> str:
    """Return the name by which another process finds a class.

    Raises
    ------
    TypeError : it would not find it, or find another.
    """
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = _look_up(name)
    except (ImportError, AttributeError):
        found = None
    if found is not kind:
        raise TypeError(
            f"other processes cannot find its class as {kind.__module__}.{kind.__qualname__}; "
            "define it at the top of a module"
        )
    return name


def class_named(name: str, form: int) -> type:
    """Return the dataclass or named tuple of a name.

    Raises
    ------
    ScamemError : this process cannot import it. DatasetDamagedError : it is no such class.
    """
    found = find_class(name)
    fits = {
        DATACLASSES: dataclasses.is_dataclass(found),
        NAMED_TUPLES: isinstance(found, type) and is_named_tuple(found),
    }
    if not isinstance(found, type) or not fits.get(form):
        raise DatasetDamagedError(
            f"a frozen value has items of {name.replace(':', '.')}, which is no class of this kind "
            "here. Use the module that it was frozen with, or freeze it again"
        )
    return found


def _enum_named(name: str, kind: type[enum.Enum]) -> Any:
    found = find_class(name)
    if not isinstance(found, type) or not issubclass(found, kind):
        raise DatasetDamagedError(
            f"a frozen value has a member of {name.replace(':', '.')}, which is no enum here. Use "
            "the module that it was frozen with, or freeze it again"
        )
    return found


def flags_of(name: str, value: Any) -> Any:
    """Return the combination of an enum's flags that has a value; errors as `class_named`."""
    found = _enum_named(name, enum.Flag)
    try:
        return found(value)
    except (ValueError, TypeError):
        raise DatasetDamagedError(
            f"a frozen value has {name.replace(':', '.')}({value!r:.60}), which the enum does not "
            "accept here. Use the module that it was frozen with, or freeze it again"
        ) from None


def enum_member(name: str, member: str) -> Any:
    """Return the member of an enum; errors as `class_named`."""
    found = _enum_named(name, enum.Enum)
    try:
        return found[member]
    except KeyError:
        raise DatasetDamagedError(
            f"a frozen value has {name.replace(':', '.')}.{member}; the enum has no such member "
            "here. Use the module that it was frozen with, or freeze it again"
        ) from None


def find_class(name: str) -> Any:
    """Return what a name stands for; ScamemError if this process cannot import it."""
    try:
        return _look_up(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ScamemError(
            f"a frozen value has items of {name.replace(':', '.')}, which this process cannot "
            f"import ({error}). Put the module on its path, or freeze plain dicts"
        ) from error


def _look_up(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found
