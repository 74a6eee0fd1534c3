"""How values lie in queues and topics: in the item, in an object of their own, or where they were.

A small value is pickled into the item itself. An Array of the arena, a Scamem or a View goes as it
is: the item holds its object. Any other value is stored as `arena.put` stores it, in an object that
only the item holds; so whoever takes it may write to it. One that is leased may come back to the
queue, and those of a topic have several readers: they are read-only.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import QueueClosedError, ScamemError
from scamem.handles.convert import RAW_DESCRIPTION, check_whole, scamem_of
from scamem.handles.description import RAW, decode, encode_array
from scamem.handles.values import get, put, put_split
from scamem.membership.channel import (
    BYTES,
    COPY,
    PICKLE,
    READ,
    SHARED,
    SMALL_BYTES,
    TAKEN,
    Channel,
    never_small,
)
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.memory.room import make_room
from scamem.objects.scamem import Scamem
from scamem.views.view import View

never_small.update((np.ndarray, Array, Scamem, View))

# Classes of objects that are queues or topics, by their kind: they go as they are.
WHOLE: dict[int, Callable[[Scamem], Any]] = {}
MODULES = {L.KIND_QUEUE: "scamem.together.queues", L.KIND_TOPIC: "scamem.together.topics"}


def goes_whole(number: int, kind: type) -> None:
    """Let queues or topics go by handle: their kind, and their class."""
    WHOLE[number] = kind
    never_small.add(kind)


class Content(NamedTuple):
    """A value on its way into an item.

    Attributes
    ----------
    form : one of the forms of membership/channel.py.
    payload : the value, or the description of what `hold` holds.
    hold : a reference that lasts until the item has its own.
    """

    form: int
    payload: bytes
    hold: Hold | None = None


def content_of(seat: Seat, value: Any) -> Content:
    """Store a value if it needs an object.

    Raises
    ------
    OutOfMemoryError : there is no room for it. Whatever pickling raises.
    """
    if isinstance(value, np.ndarray):
        return _of_array(seat, value)
    inner = scamem_of(value)
    whole = isinstance(value, Scamem | View) or type(value) in WHOLE.values()
    if whole and inner.hold.member is seat.member:
        check_whole(value)
        return Content(SHARED, RAW_DESCRIPTION, inner.hold)
    if type(value) is bytes:
        if len(value) <= SMALL_BYTES:
            return Content(BYTES, value)
        stored = put(seat, value)
        return Content(COPY, stored.description, stored.hold)
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    if not buffers and len(stream) <= SMALL_BYTES:
        return Content(PICKLE, stream)
    return _stored(seat, stream, buffers)


def put_content(seat: Seat, channel: Channel, content: Content) -> bool:
    """Put a value into a queue or topic; return False if that is full.

    Raises
    ------
    QueueClosedError : it was closed. OutOfMemoryError : no item can be made.
    """
    while True:
        status = channel.put(*content)
        if status == L.CLOSED:
            raise QueueClosedError(
                "asked to put into a queue or topic that was closed; make a new one, or put before "
                "close()"
            )
        if status in (L.OK, L.QUEUE_FULL):
            return status == L.OK
        make_room(seat, status)


def _stored(seat: Seat, stream: bytes, buffers: list[pickle.PickleBuffer]) -> Content:
    stored = put_split(seat, stream, [buffer.raw() for buffer in buffers])
    return Content(COPY, stored.description, stored.hold)


def _of_array(seat: Seat, value: np.ndarray[Any, Any]) -> Content:
    form, description = COPY, b""
    hold: Hold | None = None
    place = locate(value) if isinstance(value, Array) else None
    if place is not None and place.hold.member is seat.member:
        with contextlib.suppress(TypeError):  # a dtype that only pickle knows
            form, description, hold = SHARED, encode_array(value, place.offset), place.hold
    if hold is None:
        stored = put(seat, value)
        description, hold = stored.description, stored.hold
    if len(description) <= SMALL_BYTES:
        return Content(form, description, hold)
    # Its dtype takes more words than an item has: the pickle has them.
    buffers: list[pickle.PickleBuffer] = []
    plain = np.asarray(value).view(np.ndarray)
    stream = pickle.dumps(plain, protocol=5, buffer_callback=buffers.append)
    return _stored(seat, stream, buffers)


def kind_of(obj: Scamem) -> int:
    """Return layout.KIND_QUEUE or KIND_TOPIC; 0 for an object that is neither."""
    try:
        return Channel(obj.seat.member, obj.hold, None).kind
    except ScamemError:
        return 0


def value_from(hold: Hold, description: bytes, form: int, way: int) -> Any:
    """Return the value of an item that lies in an object. Ownership: it takes `hold` over."""
    seat: Seat = hold.member.seat
    found = decode(description, seat.member.nr(hold) * L.FRAME_BYTES)
    if found.kind == RAW:
        obj = Scamem(seat, hold.another(L.BY_HAND))
        kind = kind_of(obj)
        if kind:
            import_module(MODULES[kind])  # it registers its class
        return WHOLE[kind](obj) if kind else obj
    if form == COPY and way == TAKEN and not seat.readonly:
        found = found._replace(read_only=False)
    elif way == READ:
        found = found._replace(read_only=True)
    return get(seat, hold, found)
