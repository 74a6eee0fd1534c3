"""What opens the values of layers above: kinds of descriptions that they register."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scamem.later import load

if TYPE_CHECKING:
    from scamem.membership.member import Hold
    from scamem.membership.seat import Seat

# By kind of description. Each takes a reference over, and what the description says in `of`.
OPENERS: dict[int, Callable[[Seat, Hold, bytes], Any]] = {}


def opener_of(kind: int) -> Callable[[Seat, Hold, bytes], Any]:
    """Return what opens a kind; import the layer above that registers it, if nobody has yet."""
    if kind not in OPENERS:
        load("scamem.datasets.freezing")
    return OPENERS[kind]


def own_handle(value: Any) -> Any:
    """Return a handle of a value that makes its own, such as a frozen list; else None."""
    make = getattr(type(value), "__scamem_handle__", None)
    return None if make is None else make(value)
