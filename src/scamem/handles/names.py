"""Names: publishing an object under one, finding it, taking the name away.

A name is UTF-8, without surrogates, of a bounded length.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from scamem.arrays import create
from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import ArenaDamagedError, NameExistsError, NameNotFoundError
from scamem.looks.objects import records
from scamem.membership.member import Hold, release
from scamem.membership.seat import Seat
from scamem.memory.room import make_room
from scamem.objects.scamem import Scamem
from scamem.views.view import View

from .convert import RAW_DESCRIPTION, check_whole, scamem_of
from .description import encode_array
from .handle import Handle
from .values import put, value_of

DESCRIPTION_BYTES_MAX = L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES
LOOK_AGAIN_S = 1.0

NAME_BYTES_MAX = 255


def decode_name(name: bytes) -> str:
    """Return a name that an area has; ArenaDamagedError if nobody can have published it."""
    try:
        text = name.decode()
        encode_name(text)
    except ValueError:
        raise ArenaDamagedError(
            f"the arena is damaged: an area has the name {name[:60]!r}, which cannot be published. "
            "`scamem check` says where; make a new arena"
        ) from None
    return text


def encode_name(name: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"names are strings, not {type(name).__name__}")
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_BYTES_MAX or "\0" in name:
        raise ValueError(
            f"asked for a name of {len(encoded)} bytes; a name has 1 to {NAME_BYTES_MAX} bytes of "
            "UTF-8 and no NUL"
        )
    return encoded


def publish(seat: Seat, name: str, value: Any, *, replace: bool = False) -> None:
    """Give an object a name; see Arena.publish."""
    encoded = encode_name(name)
    seat.check_open()
    seat.check_still_there()
    hold, description = _describe(seat, value)
    if len(description) > DESCRIPTION_BYTES_MAX:
        raise ValueError(
            f"asked to publish an array whose dtype takes {len(description)} bytes to describe; an "
            f"area holds {DESCRIPTION_BYTES_MAX}. Publish its fields one by one, or arena.put() it"
        )
    while True:
        area = seat.member.publish(hold, encoded, description, replace)
        if area < L.STATUS:
            return
        if area == L.EXISTS:
            raise NameExistsError(
                f"{name!r} is published already; unpublish it first, choose another name, or "
                "replace it (arena[name] = value)"
            )
        make_room(seat, area)


def _describe(seat: Seat, value: Any) -> tuple[Hold, bytes]:
    """Return a reference to what a value lies in, and its description."""
    value = scamem_of(value)
    if isinstance(value, Handle | Scamem | View):
        check_whole(value)
        if value.hold.member is not seat.member:
            raise ValueError(
                f"asked to publish {value!r} here; it belongs to another arena, and would not be "
                "kept by this one. Publish it there, or a copy of its data here"
            )
        return value.hold, value.description if isinstance(value, Handle) else RAW_DESCRIPTION
    place = locate(value) if isinstance(value, np.ndarray) else None
    if place is not None and place.hold.member is seat.member:
        return place.hold, encode_array(value, place.offset)
    if type(value) is np.ndarray or isinstance(value, Array):
        try:
            made = create.array(seat, value)
            place = locate(made)
            if place is not None:
                return place.hold, encode_array(made, place.offset)
        except TypeError:
            pass  # a dtype that only pickle knows
    handle = put(seat, value)
    return handle.hold.another(L.BY_HAND), handle.description


def unpublish(seat: Seat, name: str) -> None:
    """Take a name away; see Arena.unpublish."""
    seat.check_open()
    if not seat.member.unpublish(encode_name(name)):
        raise NameNotFoundError(f"nothing is published as {name!r}; {count(seat)} names are")


def find(seat: Seat, name: str, timeout: float | None, writable: bool = True) -> Any:
    """Return what is published under a name, waiting for it if asked to; see Arena.get."""
    encoded = encode_name(name)
    deadline_s = None if timeout is None else time.monotonic() + timeout
    while True:
        seat.check_open()
        held, description, event = seat.member.hold_name(encoded, L.BY_PIN)
        if isinstance(held, Hold):
            return value_of(seat, held, description, writable)
        if held != L.NOT_FOUND:
            make_room(seat, held)
            continue
        seat.check_still_there()
        left_s = 0.0 if deadline_s is None else deadline_s - time.monotonic()
        if left_s <= 0:
            raise NameNotFoundError(
                f"nothing is published as {name!r}"
                + (f" after {timeout:g} s" if timeout else "")
                + f"; {count(seat)} other names are (scamem ls). Publish it first, or wait "
                "for it with timeout="
            )
        seat.member.await_names(event, min(left_s, LOOK_AGAIN_S))
        seat.reap()  # whom we wait for may be dead, and nobody else here to notice


def contains(seat: Seat, name: object) -> bool:
    """Tell whether something is published under a name."""
    seat.check_open()
    if not isinstance(name, str):
        return False
    try:
        encoded = encode_name(name)
    except ValueError:
        return False
    held, _, _ = seat.member.hold_name(encoded, L.BY_PIN)
    if isinstance(held, Hold):
        release(held)
    return bool(held != L.NOT_FOUND)


def count(seat: Seat) -> int:
    """Return how many names are published."""
    seat.check_open()
    return min(int(seat.member.read_word(L.AREAS_COUNT)), seat.geometry.areas_max)


def names(seat: Seat) -> Iterator[str]:
    """Yield every published name, in no order."""
    seat.check_open()
    for area in records(seat, L.TABLE_AREAS):
        found = seat.member.read_area(area)
        if found is not None:
            yield decode_name(found[0])
