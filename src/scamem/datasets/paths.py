"""Say where in a value something is that cannot be frozen, and find cycles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SEARCH_DEPTH = 8  # a value nested more deeply is searched for cycles


class UnfitError(Exception):
    """Something cannot be frozen.

    Attributes
    ----------
    why : what it is, and what to do. path : from the value at hand to it, such as "[3]['x']".
    index : which of the values that were added at once has it.
    """

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path
        self.index = 0

    def within(self, step: str) -> UnfitError:
        """Put a step before the path; return this error."""
        self.path = step + self.path
        return self


class CycleError(UnfitError):
    """A value contains itself."""


def shortest_cycle(value: Any) -> UnfitError | None:
    """Return the error for a value that contains itself, with the path from outside."""
    try:
        search_cycle((value,))
    except CycleError as error:
        return error
    return None


def search_cycle(values: Iterable[Any]) -> None:
    """Raise CycleError if a value contains itself, with the path to it."""
    done: dict[int, Any] = {}  # containers without a cycle; keeping them keeps their ids
    active: set[int] = set()
    for index, value in enumerate(values):
        stack: list[tuple[int, str, Iterator[tuple[str, Any]]]] = []
        _enter(value, "", stack, active, done)
        while stack:
            own, _, inside = stack[-1]
            found = next(inside, None)
            if found is None:
                active.discard(own)
                stack.pop()
                continue
            step, item = found
            if id(item) in active:
                error = CycleError("it contains itself", "".join(s for _, s, _ in stack) + step)
                error.index = index
                raise error
            _enter(item, step, stack, active, done)


def _enter(value: Any, step: str, stack: Any, active: set[int], done: dict[int, Any]) -> None:
    inside = _inside(value)
    if inside is not None and id(value) not in done:
        done[id(value)] = value
        active.add(id(value))
        stack.append((id(value), step, inside))


def _inside(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Return the steps into a container, and what is there; None if it is none."""
    if isinstance(value, Mapping):
        return ((f"[{key!r}]", item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ((f"[{k}]", item) for k, item in enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return ((f".{name}", getattr(value, name, None)) for name in names)
    return None
