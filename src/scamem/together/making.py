"""Make a queue or topic, or join the one of a name: the same for both."""

from __future__ import annotations

import time
from typing import NamedTuple

from scamem.core.store import layout as L
from scamem.errors import NameExistsError, NameNotFoundError
from scamem.handles import names
from scamem.membership import channel
from scamem.membership.seat import Seat
from scamem.memory.allocation import allocate
from scamem.memory.room import make_room
from scamem.objects.scamem import Scamem

from .contents import kind_of

NS_PER_S = 1_000_000_000
WHAT = {L.KIND_QUEUE: "queue", L.KIND_TOPIC: "topic"}


class Kind(NamedTuple):
    """What is made: layout.KIND_*, layout.POLICY_*, the most items, and how long leases last."""

    number: int
    policy: int
    maxsize: int
    lease_ns: int


def seconds_until(moment_ns: int) -> float:
    """Return how many seconds are left until a moment of CLOCK_MONOTONIC, at least 0."""
    return max(0.0, (moment_ns - time.monotonic_ns()) / NS_PER_S)


def make(seat: Seat, kind: Kind) -> Scamem:
    """Make an object that is a queue or a topic. Ownership: the reference is the caller's."""
    seat.check_open()
    obj = Scamem(seat, allocate(seat, seat.frame_bytes, L.BY_HAND))
    while True:
        status = channel.make(seat.member, obj.hold, *kind)
        if status < L.STATUS:
            return obj
        make_room(seat, status)


def made_or_joined(seat: Seat, name: str | None, kind: Kind) -> Scamem:
    """Return the object of a queue or topic: a new one, or the one that has the name.

    Raises
    ------
    TypeError : the name belongs to something else.
    """
    if name is None:
        return make(seat, kind)
    while True:  # bound: again only if another process just published or removed the name
        try:
            return joined(seat, name, kind)
        except NameNotFoundError:
            pass
        made = make(seat, kind)
        try:
            names.publish(seat, name, made)
            return made
        except NameExistsError:
            made.close()


def joined(seat: Seat, name: str, kind: Kind) -> Scamem:
    """Return the object that has a name, if it is of this kind."""
    found, _ = names.find(seat, name)
    what = WHAT[kind.number]
    if isinstance(found, Scamem):
        there = kind_of(found)
        if there == kind.number:
            return found
        other = WHAT.get(there, "an object")
    else:
        other = type(found).__name__
    raise TypeError(
        f"asked for the {what} {name!r}; that name belongs to something else ({other}). Choose "
        "another name, or unpublish it first"
    )
