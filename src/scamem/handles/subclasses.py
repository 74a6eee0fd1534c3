"""Subclasses of Array by name: data in handles and areas, never an import.

A description can say which subclass an array was. The reader gets an array of that class if its
process has defined a class of that name, by its own import; otherwise a plain Array. Nothing is
imported, looked up in modules, or called by name.
"""

from __future__ import annotations

from scamem.arrays.array import Array

NAME_BYTES_MAX = 200  # longer names are left out: an area holds 704 bytes of description

_known: dict[type, bytes] = {}
_named: dict[bytes, type[Array]] = {}


def note(kind: type[Array]) -> None:
    """Remember a subclass by its name; if two have the same name, the later one wins."""
    name = f"{kind.__module__}:{kind.__qualname__}".encode("utf-8", "replace")
    if len(name) <= NAME_BYTES_MAX:
        _known[kind] = name
        _named[name] = kind


def subclass_of(array: object) -> bytes:
    """Return the name of an array's subclass in descriptions; b"" for Array and anything else."""
    return _known.get(type(array), b"")


def kind_of(name: bytes) -> type[Array]:
    """Return the subclass with a name, if this process has it, else Array."""
    return _named.get(name, Array)
