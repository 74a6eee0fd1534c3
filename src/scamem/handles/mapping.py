"""An arena's names as a mapping: the methods of a dict, and `watch` for newer versions of a name.

Other processes publish and unpublish at any time. An iteration yields each name that exists from
its start to its end, and perhaps others. A name that disappears meanwhile is left out.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView as Items
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import KeysView as Keys
from collections.abc import ValuesView as Values
from itertools import chain
from typing import Any

from scamem.errors import NameExistsError, NameNotFoundError
from scamem.membership.seat import Seat, Seated

from . import names
from .missing import MISSING


class Names(Keys[str]):
    """A live view of the names that begin with a prefix."""

    def __init__(self, seat: Seat, prefix: str = "") -> None:
        self._seat = seat
        self._prefix = prefix

    def __len__(self) -> int:
        if not self._prefix:
            return names.count(self._seat)
        return sum(1 for _ in names.names(self._seat, self._prefix))

    def __contains__(self, name: object) -> bool:
        begins = isinstance(name, str) and name.startswith(self._prefix)
        return begins and names.contains(self._seat, name)

    def __iter__(self) -> Iterator[str]:
        return names.names(self._seat, self._prefix)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(names.names(self._seat, self._prefix))})"


class NamedItems(Items[str, Any]):
    """A live view of (name, value) of names that begin with a prefix; loads each value in turn."""

    def __init__(self, seat: Seat, prefix: str = "") -> None:
        self._names = Names(seat, prefix)
        self._seat = seat

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, item: object) -> bool:
        return any(one is item or one == item for one in self)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name in self._names:
            try:
                value = names.find(self._seat, name)[0]
            except NameNotFoundError:
                continue  # unpublished meanwhile
            yield name, value

    def __repr__(self) -> str:
        return f"<items of {len(self)} names>"


class NamedValues(Values[Any]):
    """A live view of the values whose names begin with a prefix; loads each value in turn."""

    def __init__(self, seat: Seat, prefix: str = "") -> None:
        self._items = NamedItems(seat, prefix)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, value: object) -> bool:
        return any(one is value or one == value for one in self)

    def __iter__(self) -> Iterator[Any]:
        for _, value in self._items:
            yield value

    def __repr__(self) -> str:
        return f"<values of {len(self)} names>"


class Watch:
    """An iterator over the versions of a name: always the latest one; it skips those in between.

    `Arena.watch` makes one: `for frame in arena.watch("camera")`.

    Attributes
    ----------
    name : the watched name.
    version : the version that was returned last; 0 before the first.

    Threads: one at a time. fork: the child continues where its parent was.
    """

    def __init__(
        self, seat: Seat, name: str, newer_than: int, timeout: float | None, writable: bool
    ) -> None:
        names.encode_name(name)
        names.checked_timeout(timeout)
        self._seat = seat
        self._timeout = timeout
        self._writable = writable
        self.name: str = name
        self.version: int = names.checked_version(newer_than)

    def get(self, timeout: float | None = None) -> Any:
        """Return the latest value if it is newer than the last one; wait for it if asked to.

        Parameters
        ----------
        timeout : seconds to wait; None: do not wait; math.inf: wait for ever.

        Raises
        ------
        NameNotFoundError : the name was not published in time.
        WaitTimeoutError : nothing newer was published in time.
        """
        value, self.version = names.find(
            self._seat, self.name, timeout, writable=self._writable, newer_than=self.version
        )
        return value

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Any:
        return self.get(self._timeout)

    def __repr__(self) -> str:
        return f"<Watch of {self.name!r}, version {self.version}>"


def publish(arena: Seated, name: str, value: Any, *, replace: bool = False) -> None:
    """Publish a value under a name. Every member can get it, even after this process has ended.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.publish("run/config", {"steps": 100})
    >>> arena.get("run/config")
    {'steps': 100}

    Parameters
    ----------
    name : 1 to 255 bytes of UTF-8.
    value : an Array of this arena (or a view of one), a Scamem, a View or a Handle is published
        without a copy. Another array is copied into this arena; any other value is stored as by
        `put`.
    replace : drop the value that the name has now, in the same step. `arena[name] = value` does so.

    Raises
    ------
    NameExistsError : the name is taken, and `replace` is False.
    ArenaRemovedError : the arena was removed, so new processes could not find the name.
    OutOfMemoryError : no memory for the name's record, or for a copy.
    ValueError : the name, or the description of a dtype, is too long; or the Scamem, View or Handle
        belongs to another arena.

    Ownership: the name holds one reference until it is unpublished or replaced.
    """
    names.publish(arena._seat, name, value, replace=replace)


def unpublish(arena: Seated, name: str) -> None:
    """Remove a name and drop its reference; processes that use the object keep it.

    Raises
    ------
    NameNotFoundError : there is no such name.
    """
    names.unpublish(arena._seat, name)


def keys(arena: Seated, prefix: str = "") -> Names:
    """Return the names, or those that begin with `prefix`: a live view as of a dict, in no order.

    `arena.keys("camera/")`. Each use of the view goes through all names of the arena.
    """
    return Names(arena._seat, prefix)


def values(arena: Seated, prefix: str = "") -> NamedValues:
    """Return a live view of the published values; see `keys`. Each value is loaded in turn."""
    return NamedValues(arena._seat, prefix)


def items(arena: Seated, prefix: str = "") -> NamedItems:
    """Return a live view of (name, value); see `keys`. Each value is loaded in turn."""
    return NamedItems(arena._seat, prefix)


def pop(arena: Seated, name: str, default: Any = MISSING) -> Any:
    """Unpublish a name and return its value. No other process that pops it gets the same value.

    Raises
    ------
    NameNotFoundError : there is no such name, and no default was given.
    """
    try:
        return names.take(arena._seat, name)
    except NameNotFoundError:
        if default is MISSING:
            raise
        return default


def popitem(arena: Seated) -> tuple[str, Any]:
    """Unpublish any one name and return (name, value); NameNotFoundError if there is none."""
    for name in names.names(arena._seat):
        try:
            return name, names.take(arena._seat, name)
        except NameNotFoundError:
            continue  # another process was faster
    raise NameNotFoundError("asked for any name of the arena; it has no names")


def setdefault(arena: Seated, name: str, default: Any = None) -> Any:
    """Return a name's value; publish `default` first if there is no such name.

    If several processes do so at once, one of them publishes, and all get its value.
    """
    while True:
        try:
            return names.find(arena._seat, name)[0]
        except NameNotFoundError:
            pass
        try:
            names.publish(arena._seat, name, default)
        except NameExistsError:
            continue  # another process was faster: what it published is the value


def update(
    arena: Seated, other: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **more: Any
) -> None:
    """Publish several values, one after the other in order; names that exist are replaced."""
    source: Any = other
    pairs = source
    if hasattr(source, "keys"):
        pairs = ((name, source[name]) for name in source.keys())  # noqa: SIM118  # as dict.update
    for name, value in chain(pairs, more.items()):
        names.publish(arena._seat, name, value, replace=True)


def clear(arena: Seated) -> None:
    """Unpublish every name in the arena, whichever process published it."""
    for name in names.names(arena._seat):
        try:
            names.unpublish(arena._seat, name)
        except NameNotFoundError:
            continue  # another process was faster


def version(arena: Seated, name: str) -> int:
    """Return the version of a name's value.

    Each publish gets a version larger than that of every earlier publish in the arena, of any name.

    Raises
    ------
    NameNotFoundError : there is no such name.
    """
    return names.version(arena._seat, name)


def watch(
    arena: Seated,
    name: str,
    *,
    newer_than: int = 0,
    timeout: float | None = math.inf,
    writable: bool = True,
) -> Watch:
    """Return an iterator over a name's values: the one that it has now, then each newer version.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena["camera/latest"] = b"frame 1"
    >>> frames = arena.watch("camera/latest", timeout=5)
    >>> next(frames)
    b'frame 1'

    A reader that is slower than the publisher gets the latest version and skips those in between.
    It sleeps until there is one.

    Parameters
    ----------
    name : it need not be published yet.
    newer_than : a version; values up to this version are skipped.
    timeout : seconds to wait for each value; math.inf: wait for ever. If the time runs out, the
        iterator raises WaitTimeoutError, or NameNotFoundError if the name is not published. It can
        be used again afterwards.
    writable : False for arrays that cannot be written.
    """
    return Watch(arena._seat, name, newer_than, timeout, writable)
