"""An arena's names as a mapping: what a dict has, and a watch for newer versions of one name.

Other processes publish and unpublish at any time. So iteration shows each name that was there from
its beginning to its end, and perhaps others; a name that goes while it is looked at is left out.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView as Items
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import KeysView as Keys
from collections.abc import ValuesView as Values
from itertools import chain
from typing import Any, Final

from scamem.errors import NameExistsError, NameNotFoundError
from scamem.membership.seat import Seat, Seated

from . import names


class Missing:
    """The type of `MISSING`: no default was given."""

    def __repr__(self) -> str:
        return "<no default>"


MISSING: Final = Missing()


class Names(Keys[str]):
    """The names that begin with a prefix, as they are when they are looked at."""

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
    """(name, value) of the names that begin with a prefix. Each value is loaded as it is met."""

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
    """The values of the names that begin with a prefix. Each is loaded as it is met."""

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
    """Each newer version of what a name shows: the latest one, not those in between.

    Made by `Arena.watch`. An iterator: `for frame in arena.watch("camera")`.

    Attributes
    ----------
    name : what is watched.
    version : of the value that was returned last; 0 before the first.

    Threads: one at a time. fork: the child goes on from where its parent was.
    """

    def __init__(
        self, seat: Seat, name: str, newer_than: int, timeout: float | None, writable: bool
    ) -> None:
        names.encode_name(name)
        names.checked_timeout(timeout)
        self._seat = seat
        self._timeout = timeout
        self._writable = writable
        self.name = name
        self.version = names.checked_version(newer_than)

    def get(self, timeout: float | None = None) -> Any:
        """Return the latest value if it is newer than the last one returned, waiting if asked to.

        Parameters
        ----------
        timeout : seconds to wait; None: do not wait, math.inf: as long as it takes.

        Raises
        ------
        NameNotFoundError : the name is not published, in that time.
        WaitTimeoutError : nothing newer was published, in that time.
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
    """Give an object a name, by which any member gets it, also after this process has ended.

    Parameters
    ----------
    name : 1 to 255 bytes of UTF-8.
    value : an Array or a view of one, a Scamem, a View, a Handle; anything else is `put` first.
    replace : let go of what the name shows now, in the same step; else NameExistsError.

    Raises
    ------
    NameExistsError : the name is taken.
    ArenaRemovedError : the arena was removed, so that no newcomer would find the name.
    OutOfMemoryError : no room for the name's record, or for a copy.
    ValueError : the name, or a dtype's description, is too long.

    Ownership: the area holds one reference until the name is unpublished or replaced.
    """
    names.publish(arena._seat, name, value, replace=replace)


def unpublish(arena: Seated, name: str) -> None:
    """Drop a name and its one reference; processes that use the object go on.

    Raises
    ------
    NameNotFoundError : nothing is published under it.
    """
    names.unpublish(arena._seat, name)


def keys(arena: Seated, prefix: str = "") -> Names:
    """Return the names, or those that begin with `prefix`: a view, as of a dict, in no order.

    `arena.keys("camera/")`. Each look at it goes through all names of the arena.
    """
    return Names(arena._seat, prefix)


def values(arena: Seated, prefix: str = "") -> NamedValues:
    """Return a view of what the names show; see `keys`. Each value is loaded as it is met."""
    return NamedValues(arena._seat, prefix)


def items(arena: Seated, prefix: str = "") -> NamedItems:
    """Return a view of (name, value); see `keys`. Each value is loaded as it is met."""
    return NamedItems(arena._seat, prefix)


def pop(arena: Seated, name: str, default: Any = MISSING) -> Any:
    """Unpublish a name and return what it showed: no other process gets the same one too.

    Raises
    ------
    NameNotFoundError : there is no such name, and no default.
    """
    try:
        return names.take(arena._seat, name)
    except NameNotFoundError:
        if default is MISSING:
            raise
        return default


def popitem(arena: Seated) -> tuple[str, Any]:
    """Unpublish some name and return (name, value); NameNotFoundError if there is none."""
    for name in names.names(arena._seat):
        try:
            return name, names.take(arena._seat, name)
        except NameNotFoundError:
            continue  # another process was faster
    raise NameNotFoundError("asked for any name of the arena; it has no names")


def setdefault(arena: Seated, name: str, default: Any = None) -> Any:
    """Return what a name shows; publish `default` first if there is no such name.

    Of several processes that do so at once one publishes, and all get what that one did.
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
    """Publish several values, replacing what the names show; one after the other, in order."""
    source: Any = other
    pairs = source
    if hasattr(source, "keys"):
        pairs = ((name, source[name]) for name in source.keys())  # noqa: SIM118  # as dict.update
    for name, value in chain(pairs, more.items()):
        names.publish(arena._seat, name, value, replace=True)


def clear(arena: Seated) -> None:
    """Unpublish every name, of all processes."""
    for name in names.names(arena._seat):
        try:
            names.unpublish(arena._seat, name)
        except NameNotFoundError:
            continue  # another process was faster


def version(arena: Seated, name: str) -> int:
    """Return the version of what a name shows.

    Each publish, of any name, has a version larger than all before it in the arena.

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
    """Return an iterator over what a name shows: what it shows now, then each newer version.

    A reader that is slower than the publisher gets the latest version and skips the ones in
    between. It sleeps until there is one.

    >>> for frame in arena.watch("camera/latest", timeout=5):
    ...     show(frame)

    Parameters
    ----------
    name : it need not be published yet.
    newer_than : a version; what was published before is not returned.
    timeout : seconds to wait for each; math.inf: as long as it takes. Then the iterator raises
        WaitTimeoutError, or NameNotFoundError if the name is not there; it can go on after it.
    writable : False for arrays that cannot be written.
    """
    return Watch(arena._seat, name, newer_than, timeout, writable)
