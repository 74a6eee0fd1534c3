"""Find where an array lies: in which object, and at which byte of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scamem.membership.member import Hold
from scamem.views.making import offset_in_object
from scamem.views.view import View
from scamem.views.window import Window

from .construct import address_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Place(NamedTuple):
    """Where an array lies: the reference that keeps it, and its offset in the object in bytes."""

    hold: Hold
    offset: int


def root(array: NDArray[Any]) -> Any:
    """Return what keeps an array's memory: a Hold, a View, a foreign object, or an ndarray."""
    base: Any = array
    while True:
        if isinstance(base, np.ndarray):
            if base.base is None:
                return base
            base = base.base
        elif isinstance(base, memoryview):
            base = base.obj
        elif isinstance(base, Window):
            base = base.base
        else:
            return base


def locate(array: NDArray[Any]) -> Place | None:
    """Return where an array lies; None if its memory is private, or belongs to several objects."""
    base = root(array)
    if type(base) is Hold:
        address = address_of(array)
        offset = address - base.member.address_of(base)
        if not 0 <= offset < base.member.seat.capacity:
            offset = offset_in_object(base, address)
        return Place(base, offset)
    if isinstance(base, View) and not base.private and base.parts is None:
        return Place(base.hold, address_of(array) - base.address)
    return None
