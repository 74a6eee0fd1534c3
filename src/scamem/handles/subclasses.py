"""Subclasses of Array by name: data in handles and areas, never an import.

A description may say which subclass an array was. Who reads it gets an array of that class if this
process has defined a class of that name, by an import of its own; otherwise a plain Array. Nothing
is imported, looked up in modules, or called by name.
"""

from __future__ import annotations

from scamem.arrays.array import Array

NAME_BYTES_MAX = 200  # a longer one is left out: an area has room for 704 bytes of description

_known: dict[type, bytes] = {}
_named: dict[bytes, type[Array]] = {}


def note(kind: type[Array]) -> None:
    """Know a subclass by its name; of two of one name the last that was defined counts."""
    name = f"{kind.__module__}:{kind.__qualname__}".encode("utf-8", "replace")
    if len(name) <= NAME_BYTES_MAX:
        _known[kind] = name
        _named[name] = kind


def subclass_of(array: object) -> bytes:
    """Return what a description calls an array's subclass of Array; b"" for Array and all else."""
    return _known.get(type(array), b"")


def kind_of(name: bytes) -> type[Array]:
    """Return the subclass of a name, if this process has it, else Array."""
    return _named.get(name, Array)
