"""Find a shared object by its name, or create it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from scamem.core.store import layout as L
from scamem.errors import NameExistsError, NameNotFoundError
from scamem.handles import names
from scamem.membership.seat import Seat
from scamem.objects.scamem import Scamem

from .shared import SharedObject

Shared = TypeVar("Shared", bound=SharedObject)


def join_or_create(
    seat: Seat,
    name: str | None,
    what: str,
    create: Callable[[], Shared],
    join: Callable[[Scamem], Shared | None],
) -> Shared:
    """Return the shared object that has a name, or a new one; without a name, a new one.

    Parameters
    ----------
    what : what is asked for, with its article: "a lock".
    create : makes a new one.
    join : opens a published one; None if the object is another thing.

    Raises
    ------
    TypeError : the name belongs to another thing.
    """
    seat.check_open()
    if name is None:
        return create()
    while True:
        try:
            found = names.find(seat, name)[0]
        except NameNotFoundError:
            made = create()
            try:
                names.publish(seat, name, made.scamem)
            except NameExistsError:  # another process was first
                made.close()
                continue
            except BaseException:
                made.close()
                raise
            return made
        joined = join(found) if isinstance(found, Scamem) else None
        if joined is None:
            raise TypeError(
                f"asked for {what} named {name!r}; that name belongs to {_described(found)}. "
                "Choose another name, or unpublish this one first"
            )
        return joined


def _described(found: Any) -> str:
    """Return what a published value is, for people."""
    kind = type(found).__name__
    if isinstance(found, Scamem):
        kind = "object of frames"
        if found.nr:
            with memoryview(found.map(writable=False)) as data:
                first = int.from_bytes(data[: L.WORD_BYTES], "little")
                kind = SharedObject.kinds.get(first, kind)
    return f"an {kind}" if kind[0] in "AEIOUaeiou" else f"a {kind}"
