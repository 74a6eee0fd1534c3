"""Publish an object under a name, find it, wait for it, and unpublish it.

A name is UTF-8 without surrogates, of bounded length.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, SupportsFloat

import numpy as np

from scamem.arrays import create
from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.backing.text import existing
from scamem.core.store import layout as L
from scamem.errors import (
    ArenaDamagedError,
    NameExistsError,
    NameNotFoundError,
    WaitTimeoutError,
)
from scamem.looks.objects import records
from scamem.membership import naming
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.membership.waiting import LOOK_AGAIN_S, Deadline
from scamem.memory.room import make_room
from scamem.objects.scamem import Scamem
from scamem.views.view import View

from .convert import RAW_DESCRIPTION, check_whole, scamem_of
from .description import encode_array
from .handle import Handle
from .values import put, value_of

DESCRIPTION_BYTES_MAX = L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES

NAME_BYTES_MAX = 255


def decode_name(name: bytes) -> str:
    """Return an area's name as text; ArenaDamagedError if it cannot have been published."""
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
    """Publish a value under a name; see Arena.publish."""
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
        area = naming.publish_name(seat.member, hold, encoded, description, replace)
        if area < L.STATUS:
            return
        if area == L.EXISTS:
            raise NameExistsError(
                f"{name!r} is already published; unpublish it first, choose another name, or "
                "replace it (arena[name] = value)"
            )
        make_room(seat, area)


def _describe(seat: Seat, value: Any) -> tuple[Hold, bytes]:
    """Return a reference to the object that a value lies in, and the value's description."""
    value = scamem_of(value)
    if isinstance(value, Handle | Scamem | View):
        check_whole(value)
        if value.hold.member is not seat.member:
            raise ValueError(
                f"asked to publish {value!r} here; it belongs to another arena, so this "
                "one cannot keep it. Publish it there, or publish a copy of its data here"
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
    """Remove a name; see Arena.unpublish."""
    seat.check_open()
    if not naming.unpublish_name(seat.member, encode_name(name), 0):
        raise _not_found(seat, name)


def _not_found(seat: Seat, name: str, timeout: float | None = None) -> NameNotFoundError:
    waited = f" after {timeout:g} s" if timeout is not None and timeout > 0 else ""
    return NameNotFoundError(
        f"no object named {name!r}{waited} ({existing(count(seat), 'name')}; `scamem ls` lists "
        "them). Publish it first, or wait for it: arena.get(name, timeout=seconds)"
    )


def checked_timeout(timeout: float | None) -> float:
    """Return a timeout in seconds; 0 (do not wait) for None or a negative number.

    Raises
    ------
    TypeError, ValueError : it is not a number of seconds.
    """
    if timeout is None:
        return 0.0
    if isinstance(timeout, bool) or not isinstance(timeout, SupportsFloat):
        raise TypeError(f"timeout is a number of seconds or None, not {timeout!r}")
    if math.isnan(timeout):
        raise ValueError("timeout is NaN; give a number of seconds, math.inf or None")
    return max(0.0, float(timeout))


def checked_version(version: int) -> int:
    """Return a version as an int; ValueError if there can be no such version."""
    number = operator.index(version)
    if not 0 <= number <= L.ALL_ONES:
        raise ValueError(f"asked for a version newer than {number}; versions begin at 1")
    return number


def find(
    seat: Seat,
    name: str,
    timeout: float | None = None,
    *,
    writable: bool = True,
    newer_than: int = 0,
    read: Callable[[Seat, Hold, bytes, bool], Any] = value_of,
) -> tuple[Any, int]:
    """Return a name's value and its version; wait for it if asked to. See Arena.get.

    `read` makes the value of the held object.

    Raises
    ------
    NameNotFoundError : the name was not published in time.
    WaitTimeoutError : it exists, but nothing newer than `newer_than` came in time.
    """
    encoded = encode_name(name)
    if newer_than != 0:
        newer_than = checked_version(newer_than)
    seconds = checked_timeout(timeout)
    deadline: Deadline | None = None
    while True:
        seat.check_open()
        held, description, number = naming.hold_name(seat.member, encoded, L.BY_PIN, newer_than)
        if isinstance(held, Hold):
            return read(seat, held, description, writable), number
        if held not in (L.NOT_FOUND, L.NOT_NEWER):
            make_room(seat, held)
            continue
        seat.check_still_there()
        deadline = deadline or Deadline(seconds)
        if deadline.is_over():
            if held == L.NOT_FOUND:
                raise _not_found(seat, name, timeout)
            raise WaitTimeoutError(
                f"{name!r} has no version newer than {newer_than:,} after "
                f"{seconds:g} s. Its publisher may be slow, or gone; wait longer, "
                "or publish it again"
            )
        if not naming.await_names(seat.member, number, min(deadline.left_s(), LOOK_AGAIN_S)):
            seat.reap()  # the publisher may be dead, with no other process to notice it


def take(seat: Seat, name: str) -> Any:
    """Return a name's value and unpublish it, if it still has that value; see Arena.pop.

    The value is made first: if that fails, the name stays.
    """
    while True:
        value, shown = find(seat, name)
        if naming.unpublish_name(seat.member, encode_name(name), shown):
            return value


def version(seat: Seat, name: str) -> int:
    """Return the version of a name's value; see Arena.version."""
    seat.check_open()
    found = naming.version_of(seat.member, encode_name(name))
    if found == 0:
        raise _not_found(seat, name)
    return int(found)


def contains(seat: Seat, name: object) -> bool:
    """Return whether a name is published."""
    seat.check_open()
    if not isinstance(name, str):
        return False
    try:
        encoded = encode_name(name)
    except ValueError:
        return False
    return bool(naming.version_of(seat.member, encoded) != 0)


def count(seat: Seat) -> int:
    """Return how many names are published."""
    seat.check_open()
    return min(int(seat.member.read_word(L.AREAS_COUNT)), seat.geometry.areas_max)


def names(seat: Seat, prefix: str = "") -> Iterator[str]:
    """Yield every published name that begins with `prefix`, in no order."""
    seat.check_open()
    for area in records(seat, L.TABLE_AREAS):
        found = naming.read_area(seat.member, area)
        if found is not None:
            name = decode_name(found[0])
            if name.startswith(prefix):
                yield name
