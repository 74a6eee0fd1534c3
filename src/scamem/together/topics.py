"""Topics: what is published once is read by every subscriber, from one place in memory.

The protocol is in core/transactions/broadcast.py.
"""

from __future__ import annotations

import contextlib
import queue as standard
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Self

from numpy.typing import DTypeLike

from scamem.arrays import create
from scamem.arrays.array import Array
from scamem.core.store import layout as L
from scamem.errors import ClosedError, QueueClosedError, ScamemError
from scamem.handles.convert import handle
from scamem.handles.pickling import load_scamem
from scamem.handles.runs import sent_by
from scamem.membership.channel import Channel, Status
from scamem.membership.seat import Seated
from scamem.membership.waiting import Deadline
from scamem.memory.room import make_room
from scamem.objects.scamem import Scamem

from . import making
from .awaiting import until_changed
from .contents import content_of, goes_whole, put_content, value_from

POLICIES: Final = ("block", "drop_oldest")
STARTS: Final = {"oldest": 0, "latest": L.ALL_ONES}
ITEMS, ROOM = L.QUEUE_EVENT_ITEMS, L.QUEUE_EVENT_ROOM


class Subscription:
    """One reader of a topic, at its own pace; an iterator over what is published.

    >>> topic = scamem.topic(history=10)
    >>> subscription = topic.subscribe()
    >>> topic.publish("hello")
    >>> subscription.get()
    'hello'

    `topic.subscribe()` makes one. Arrays are views of the one value in memory, and read-only.

    Attributes
    ----------
    missed : how many values made room for newer ones before this subscription read them.

    It ends with `close`, deallocation, or its process, and holds no publisher back after that.

    Threads: any; each value goes to one of them. fork: the child's goes on from the same place as a
    subscription of its own.
    """

    def __init__(self, topic: Topic, cursor: int) -> None:
        self._topic = topic
        self._channel = topic._channel
        self._cursor = cursor
        self._last = 0
        self._before = 0  # missed by the subscriptions of this process's parents
        self._missed = 0
        self._record = -1
        self._begin()

    def _begin(self) -> None:
        """Subscribe where this reader is, after a fork too."""
        self._before += self._missed
        self._missed = 0
        while True:
            status = self._channel.subscribe(self._cursor, self._last)
            if status < L.STATUS:
                self._record = status
                return
            make_room(self._topic.scamem.seat, status)

    @property
    def missed(self) -> int:
        """How many values this subscription missed so far."""
        return self._before + self._missed

    def _tried(self, newest: int) -> Any:
        """Return a value in a list, or a Status that says that there is none now."""
        while True:
            if self._record < 0:
                raise ClosedError("this subscription was closed; subscribe again")
            found = self._channel.read(self._record, newest)
            if not isinstance(found, Status):
                value, self._cursor, self._last, self._missed = found
                return [value]
            if found.code == L.EMPTY:
                return found
            if found.code == L.CLOSED:
                raise QueueClosedError("the topic was closed, and nothing is left to read")
            if found.code == L.NOT_FOUND:
                self._begin()  # a forked child: the record is its parent's
            else:
                make_room(self._topic.scamem.seat, found.code)

    def _get(self, timeout: float | None, newest: int) -> Any:
        deadline = Deadline(timeout)
        for nap_s in deadline.slices():
            found = self._tried(newest)
            if found.__class__ is list:
                return found[0]
            if nap_s and not self._channel.wait(ITEMS, found.seen, nap_s):
                self._topic.scamem.seat.reap()
        raise standard.Empty

    def get(self, timeout: float | None = None) -> Any:
        """Return the next value, waiting for it.

        Raises
        ------
        queue.Empty : nothing was published in time.
        QueueClosedError : the topic was closed, and everything was read.
        """
        return self._get(timeout, 0)

    def get_nowait(self) -> Any:
        """Return the next value if there is one; else queue.Empty."""
        return self._get(0, 0)

    def latest(self, timeout: float | None = 0) -> Any:
        """Return the newest value, also if it was read before, and continue behind it.

        What is skipped is not counted as missed. Raises queue.Empty if nothing is there in time.
        """
        return self._get(timeout, 1)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self.get()
        except QueueClosedError:
            raise StopIteration from None

    async def aget(self) -> Any:
        """Return the next value, as `get`, in asyncio."""
        while True:
            found = self._tried(0)
            if found.__class__ is list:
                return found[0]
            await until_changed(self._channel, ITEMS, found.seen)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Read until the topic is closed and everything was read."""
        while True:
            try:
                value = await self.aget()
            except QueueClosedError:
                return
            yield value

    def close(self) -> None:
        """End the subscription. A second call does nothing."""
        record, self._record = self._record, -1
        if record >= 0:
            with contextlib.suppress(ScamemError):  # a closed arena has no subscriptions of ours
                self._channel.unsubscribe(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_record"):
            self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "a subscription belongs to one process; send the topic, and subscribe there"
        )

    def __repr__(self) -> str:
        return f"<Subscription, {self.missed:,} missed{'' if self._record >= 0 else ', closed'}>"


class Topic:
    """Publish to any number of subscribers in any processes.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> frames = arena.topic(history=10)
    >>> reader = frames.subscribe()
    >>> frames.publish({"frame": 1})
    >>> reader.get()
    {'frame': 1}

    `arena.topic(...)` makes one, or joins one by its name. It goes to another process by any
    pickling, and by fork. An Array of the arena is published by handle, without a copy; a value is
    in memory once, however many read it.

    The topic holds its last `history` values, each reader what it has got. What each death does:

    - of the publisher: what it published stays; a value is published whole, or not at all. Another
      process may continue.
    - of a subscriber: its subscription ends, and holds no publisher back.
    - of all processes: a named topic stays in its arena with its history.

    Attributes
    ----------
    scamem : the object, a reference. history : how many values it keeps.
    policy : "drop_oldest", or "block".

    Ownership: one reference, until deallocation. Threads: any. fork: the child has the topic too.
    """

    def __init__(self, obj: Scamem) -> None:
        self.scamem = obj
        self._channel = Channel(obj.seat.member, obj.hold, value_from)
        if self._channel.kind != L.KIND_TOPIC:
            raise ScamemError(f"object {obj.index} is a queue, not a topic")
        self.history = self._channel.maxsize
        self.policy = POLICIES[self._channel.policy]

    def publish(self, value: Any, block: bool = True, timeout: float | None = None) -> None:
        """Publish a value to all subscribers, and to those that come while it is in the history.

        Parameters
        ----------
        block, timeout : with policy "block": whether to wait until every subscriber has read the
            oldest value, and for how many seconds; None: no end.

        Raises
        ------
        queue.Full : a subscriber had not read the oldest value in time.
        QueueClosedError : the topic was closed.
        OutOfMemoryError : no room for the value; nothing was published.
        """
        if self._channel.offer(value) == L.OK:
            return
        seat = self.scamem.seat
        content = content_of(seat, value)
        deadline = Deadline(timeout if block else 0)
        waited = False
        try:
            for nap_s in deadline.slices():
                seen = self._channel.counter(ROOM)
                if put_content(seat, self._channel, content):
                    return
                if nap_s:
                    waited = True
                    if not self._channel.wait(ROOM, seen, nap_s):
                        seat.reap()
        except BaseException:
            if waited:
                self._channel.pass_on(ROOM)
            raise
        raise standard.Full(self._full())

    async def apublish(self, value: Any) -> None:
        """Publish a value, as `publish`, in asyncio; a task that is cancelled published nothing."""
        seat = self.scamem.seat
        content = content_of(seat, value)
        while True:
            seen = self._channel.counter(ROOM)
            if put_content(seat, self._channel, content):
                return
            await until_changed(self._channel, ROOM, seen)

    def _full(self) -> str:
        return (
            f"asked to publish; a subscriber has not read the oldest of {self.history:,} values, "
            'and the policy is "block". Wait longer, or make a topic with a longer history'
        )

    def loan(self, shape: Any, dtype: DTypeLike = float) -> Array:
        """Return an array to fill in place; publishing it costs no copy.

        Its elements are arbitrary before. Do not write to it after it was published: its readers
        see that. Raises OutOfMemoryError.
        """
        return create.empty(self.scamem.seat, shape, dtype)

    def subscribe(self, start: str = "latest") -> Subscription:
        """Begin to read.

        Parameters
        ----------
        start : "latest": what is published from now on; `Subscription.latest` shows what was
            published before. "oldest": the whole history first.
        """
        if start not in STARTS:
            raise ValueError(f"asked to start at {start!r}; there are {', '.join(STARTS)}")
        return Subscription(self, STARTS[start])

    def __len__(self) -> int:
        """Return how many values the history has now."""
        return self._channel.state()[0]

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return self.subscribe()

    @property
    def closed(self) -> bool:
        """Whether the topic was closed, by any process."""
        return self._channel.state()[3]

    def close(self) -> None:
        """Close the topic for all: subscribers read what is there, and then learn of the end."""
        self._channel.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by handle, in every pickler."""
        return _load, (type(self), sent_by(handle(self.scamem), sys._getframe(1)))

    def __repr__(self) -> str:
        if not self.scamem.seat.member.is_active():
            return "<Topic, arena closed>"
        return f"<Topic: {len(self):,} of {self.history:,} values{', closed' * self.closed}>"


goes_whole(L.KIND_TOPIC, Topic)


def _load(kind: type[Topic], data: bytes) -> Topic:
    return kind(load_scamem(data))


def topic(
    arena: Seated, name: str | None = None, history: int = 1, *, policy: str = "drop_oldest"
) -> Topic:
    """Make a topic, or join the one of this name; see `scamem.Topic`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.topic("frames", history=4).history
    4

    Parameters
    ----------
    name : None: without a name, for forked children and processes that it is sent to.
    history : how many values the topic keeps, for late and slow subscribers.
    policy : what a full history does to slow subscribers: "drop_oldest": they lose the oldest
        values, and are told how many; "block": the publisher waits for them.

    Raises
    ------
    TypeError : the name belongs to something else.
    ValueError : a topic of this name has another history or policy than the one asked for.
    OutOfMemoryError : no frame is left.
    """
    if policy not in POLICIES:
        raise ValueError(f"asked for the policy {policy!r}; there are {', '.join(POLICIES)}")
    if history < 1:
        raise ValueError(f"asked for a history of {history:,} values; at least 1")
    number = POLICIES.index(policy)
    kind = making.Kind(L.KIND_TOPIC, number, history, 0)
    found = Topic(making.made_or_joined(arena._seat, name, kind))
    if (history > 1 and found.history != history) or (not number and found.policy != policy):
        raise ValueError(
            f"asked for the topic {name!r} with a history of {history:,} and policy {policy!r}; it "
            f"exists with {found.history:,} and {found.policy!r}"
        )
    return found
