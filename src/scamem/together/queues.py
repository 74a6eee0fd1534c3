"""Queues that own what they carry: `queue.Queue` and `multiprocessing.JoinableQueue` between any
processes, in which no death of a sender, a receiver or a bystander loses or leaks anything.

How items are kept: core/transactions/enqueue.py, dequeue.py and settle.py. How members wait:
core/queues.py.
"""

from __future__ import annotations

import queue as standard
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

from scamem.core.store import layout as L
from scamem.errors import OutOfMemoryError, QueueClosedError, ScamemError
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
from .contents import Content, content_of, goes_whole, put_content, value_from
from .leases import Lease, lease_time_ns

POLICIES: Final = ("block", "drop_oldest", "reject")
ITEMS, ROOM, DONE = L.QUEUE_EVENT_ITEMS, L.QUEUE_EVENT_ROOM, L.QUEUE_EVENT_DONE
FIRST_NAP_S: Final = 0.01  # of a wait for memory, which nobody signals


class Queue:
    """A queue between any number of processes, with the methods of `multiprocessing.JoinableQueue`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> jobs = arena.queue(maxsize=100)
    >>> jobs.put({"run": 7})
    >>> jobs.get()
    {'run': 7}

    `arena.queue(...)` makes one, or joins one by its name. It goes to another process by any
    pickling, and by fork. An Array of the arena goes into it by handle, without a copy; any other
    array is copied once; a pickle of up to 256 bytes lies in the queue's own memory.

    The queue holds what is in it. What each death does:

    - of a producer: what it put stays; an item that it was putting is in the queue whole, or not.
    - of a consumer: an item that it had taken is gone with it (at most once), and counts as done,
      so that `join` ends. One that it had leased (`get(lease=True)`) goes back to its place in the
      queue (at least once). A stopped consumer keeps its leases, unless they have a timeout.
    - of any process that waits: nothing. Those that wait find the dead and settle what they had.
    - of all processes: a named queue stays in its arena with all items.

    Attributes
    ----------
    scamem : the object, a reference; `arena[name] = queue` publishes it.
    maxsize : the most items, leased ones included; 0: no limit. policy : what `put` does at that.

    Differences from multiprocessing: `close` closes the queue for everybody; `put` has put the item
    when it returns, and raises what pickling raises; `qsize` is exact.

    Ownership: one reference, until deallocation. Threads: any. fork: the child has the queue too;
    leases, and what `task_done` counts, stay with the process that took the items.
    """

    def __init__(self, obj: Scamem) -> None:
        self.scamem = obj
        self._channel = Channel(obj.seat.member, obj.hold, value_from)
        if self._channel.kind != L.KIND_QUEUE:
            raise ScamemError(f"object {obj.index} is a topic, not a queue")
        self.maxsize = self._channel.maxsize
        self.policy = POLICIES[self._channel.policy]
        self._take = self._channel.take
        self._offer = self._channel.offer

    # --- putting -------------------------------------------------------------------------------

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put a value into the queue.

        Parameters
        ----------
        block : whether to wait for room, with policy "block". timeout : seconds; None: no end.

        Raises
        ------
        queue.Full : there was no room in time, or at once with `block=False` or policy "reject".
        QueueClosedError : the queue was closed (a ValueError).
        OutOfMemoryError : the arena is full, and taking items would not change that, or no waiting
            was asked for. Nothing of the value is left anywhere.
        """
        if self._offer(obj) != L.OK:
            self._put_slowly(obj, block, timeout)

    def put_nowait(self, obj: Any) -> None:
        """Put a value if there is room now; else queue.Full."""
        self.put(obj, False)

    def put_many(
        self, values: Iterable[Any], block: bool = True, timeout: float | None = None
    ) -> int:
        """Put several values, each as `put` does, in their order; return how many.

        The timeout is for all of them. On an error, those before it are in the queue.
        """
        deadline = Deadline(timeout)
        count = 0
        for value in values:
            if self._offer(value) != L.OK:
                left = None if deadline.timeout is None else deadline.left_s()
                self._put_slowly(value, block, left)
            count += 1
        return count

    def _put_slowly(self, value: Any, block: bool, timeout: float | None) -> None:
        deadline = Deadline(timeout if block else 0)
        content = self._store(value, deadline)
        waited = False
        try:
            for nap_s in deadline.slices():
                seen = self._channel.counter(ROOM)
                if put_content(self.scamem.seat, self._channel, content):
                    return
                if nap_s == 0 or self.policy != "block":
                    break
                waited = True
                if not self._channel.wait(ROOM, seen, nap_s):
                    self.scamem.seat.reap()
        except BaseException:
            if waited:
                self._channel.pass_on(ROOM)
            raise
        raise standard.Full(self._full(deadline))

    def _store(self, value: Any, deadline: Deadline) -> Content:
        """Store a value; if the arena is full, do what the policy says: drop, wait, or raise."""
        seat = self.scamem.seat
        for nap_s in deadline.slices(first_s=FIRST_NAP_S):
            seen = self._channel.counter(ROOM)
            try:
                return content_of(seat, value)
            except OutOfMemoryError as error:
                ready, leased, _, _ = self._channel.state()
                if error.asked_bytes > seat.capacity or nap_s == 0 or self.policy == "reject":
                    raise
                if self.policy == "drop_oldest":
                    if self._channel.drop_oldest() != L.OK:
                        raise
                elif ready + leased == 0:
                    raise  # nothing that anybody takes from here would free memory
                else:
                    self._channel.wait(ROOM, seen, nap_s)
        raise standard.Full(self._full(deadline))  # unreachable: the last slice returns or raises

    def _full(self, deadline: Deadline) -> str:
        ready, leased, _, _ = self._channel.state()
        after = f" after {deadline.timeout:g} s" if deadline.timeout else ""
        return (
            f"asked to put into a queue that is full{after}: {ready:,} items and {leased:,} leased "
            f"ones, maxsize {self.maxsize:,}. Take some, or wait longer"
        )

    # --- taking --------------------------------------------------------------------------------

    def get(
        self,
        block: bool = True,
        timeout: float | None = None,
        *,
        lease: bool = False,
        lease_timeout: float | None = None,
    ) -> Any:
        """Take the oldest item out of the queue, or lease it.

        Parameters
        ----------
        block : whether to wait for an item. timeout : seconds; None: no end.
        lease : return a Lease; the item stays in the queue until the lease is done.
        lease_timeout : seconds after which the lease ends by itself, and the item goes back.
            None: what the queue was made with, by default never.

        Raises
        ------
        queue.Empty : there was no item in time.
        QueueClosedError : the queue was closed, and nothing is left in it (a ValueError).
        OutOfMemoryError : the arena has no room for this process's own reference.
        """
        if lease or lease_timeout is not None:
            return self._get_slowly(block, timeout, self._leasing(lease_timeout))
        value = self._take()
        if value.__class__ is Status:
            return self._get_slowly(block, timeout, self._take)
        return value

    def get_nowait(self) -> Any:
        """Take the oldest item if there is one; else queue.Empty."""
        return self.get(False)

    def get_many(
        self,
        max: int,  # noqa: A002 - a promised name
        block: bool = True,
        timeout: float | None = None,
        *,
        lease: bool = False,
        lease_timeout: float | None = None,
    ) -> list[Any]:
        """Take up to `max` items that are there; wait only for the first one. Errors as `get`.

        Returns
        -------
        list : at least one item, or one Lease, for `max` > 0.
        """
        take = self._leasing(lease_timeout) if lease or lease_timeout is not None else self._take
        found: list[Any] = []
        if max > 0:
            found.append(self._get_slowly(block, timeout, take))
        while len(found) < max:
            value = self._tried(take)
            if value.__class__ is Status:
                break
            found.append(value)
        return found

    def _leasing(self, timeout: float | None) -> Any:
        """Return a function that leases the oldest item, or returns a Status."""
        lease_ns = self._channel.lease_ns if timeout is None else lease_time_ns(timeout)

        def take() -> Any:
            found = self._channel.lease(lease_ns)
            return found if isinstance(found, Status) else Lease(self._channel, found)

        return take

    def _get_slowly(self, block: bool, timeout: float | None, take: Any) -> Any:
        deadline = Deadline(timeout if block else 0)
        waited = False
        try:
            for nap_s in deadline.slices():
                found = self._tried(take)
                if found.__class__ is not Status:
                    return found
                if nap_s == 0:
                    break
                waited = True
                if found.until_ns:
                    nap_s = min(nap_s, making.seconds_until(found.until_ns))
                if not self._channel.wait(ITEMS, found.seen, nap_s):
                    self.scamem.seat.reap()
        except BaseException:
            if waited:
                self._channel.pass_on(ITEMS)
            raise
        raise standard.Empty

    def _tried(self, take: Any) -> Any:
        """Return an item, or a Status that says that there is none now."""
        while True:
            found = take()
            if found.__class__ is not Status or found.code == L.EMPTY:
                return found
            if found.code == L.CLOSED:
                raise QueueClosedError("the queue was closed, and nothing is left in it")
            make_room(self.scamem.seat, found.code)  # for this process's own records

    def __iter__(self) -> Iterator[Any]:
        """Take items until the queue is closed and nothing is left in it."""
        while True:
            try:
                value = self.get()
            except QueueClosedError:
                return
            yield value

    # --- asyncio -------------------------------------------------------------------------------

    async def aget(self, *, lease: bool = False, lease_timeout: float | None = None) -> Any:
        """Take or lease the oldest item, as `get`, in asyncio; asyncio.timeout() limits the wait.

        A task that is cancelled has taken nothing. One thread waits for all tasks of a process.
        """
        take = self._leasing(lease_timeout) if lease or lease_timeout is not None else self._take
        while True:
            found = self._tried(take)
            if found.__class__ is not Status:
                return found
            await until_changed(self._channel, ITEMS, found.seen)

    async def aput(self, obj: Any) -> None:
        """Put a value, as `put`, in asyncio; a task that is cancelled has not put it."""
        seat = self.scamem.seat
        content = self._store(obj, Deadline(0))
        while True:
            seen = self._channel.counter(ROOM)
            if put_content(seat, self._channel, content):
                return
            if self.policy != "block":
                raise standard.Full(self._full(Deadline(0)))
            await until_changed(self._channel, ROOM, seen)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Take items until the queue is closed and nothing is left in it."""
        while True:
            try:
                value = await self.aget()
            except QueueClosedError:
                return
            yield value

    # --- looking -------------------------------------------------------------------------------

    def qsize(self) -> int:
        """Return how many items can be taken now; leased ones are not counted."""
        return self._channel.state()[0]

    def __len__(self) -> int:
        return self.qsize()

    def __bool__(self) -> bool:
        return True  # an empty queue is still a queue

    def empty(self) -> bool:
        """Return whether no item can be taken now."""
        return self._channel.state()[0] == 0

    def full(self) -> bool:
        """Return whether there are `maxsize` items, leased ones included."""
        ready, leased, _, _ = self._channel.state()
        return 0 < self.maxsize <= ready + leased

    @property
    def leased(self) -> int:
        """How many items are leased now."""
        return self._channel.state()[1]

    @property
    def unfinished(self) -> int:
        """How many items were put and are not done yet: `join` waits for 0."""
        return self._channel.state()[2]

    @property
    def closed(self) -> bool:
        """Whether the queue was closed, by any process."""
        return self._channel.state()[3]

    @property
    def dropped(self) -> int:
        """How many items made room for newer ones, with policy "drop_oldest"."""
        return self._channel.dropped()

    # --- done ----------------------------------------------------------------------------------

    def task_done(self) -> None:
        """Say that one item is done that this process took, or the one that it has leased.

        Raises
        ------
        ValueError : it took no such item; or it has several leases, and it is not clear which one
            is meant: call `done` of the Lease.
        """
        status = self._channel.task_done()
        if status == L.TOO_MANY_LEASES:
            raise ValueError(
                "task_done() was called while this process has several leases; call done() of the "
                "Lease that is meant"
            )
        if status == L.NOT_LEASED:
            raise ValueError(
                "task_done() was called more often than this process took items. Each process says "
                "what it took itself"
            )

    def join(self, timeout: float | None = None) -> None:
        """Wait until every item that was put is done: by `task_done`, `Lease.done`, or a death.

        Raises
        ------
        WaitTimeoutError : some are not done yet.
        """
        deadline = Deadline(timeout)
        for nap_s in deadline.slices():
            seen = self._channel.counter(DONE)
            if self.unfinished == 0:
                return
            if nap_s and not self._channel.wait(DONE, seen, nap_s):
                self.scamem.seat.reap()
        raise deadline.error(
            "all items of a queue to be done",
            f"{self.unfinished:,} are not",
            "Wait longer, or check what the consumers do",
        )

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the queue for all processes: `put` raises from now on. A second call does nothing.

        What is in it can still be taken; then `get` raises QueueClosedError, and iteration ends.
        """
        self._channel.close()

    def shutdown(self, immediate: bool = False) -> None:
        """Close the queue; with `immediate`, drop what is in it, except what is leased."""
        self.close()
        while immediate and self._channel.drop_oldest() == L.OK:
            pass

    def join_thread(self) -> None:
        """Do nothing: there is no thread. For programs written for multiprocessing.Queue."""

    def cancel_join_thread(self) -> None:
        """Do nothing: there is no thread. For programs written for multiprocessing.Queue."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by handle, in every pickler."""
        return _load, (type(self), sent_by(handle(self.scamem), sys._getframe(1)))

    def __repr__(self) -> str:
        if not self.scamem.seat.member.is_active():
            return "<Queue, arena closed>"
        ready, leased, _, closed = self._channel.state()
        most = f" of {self.maxsize:,}" if self.maxsize else ""
        return f"<Queue: {ready:,}{most} items, {leased:,} leased{', closed' if closed else ''}>"


goes_whole(L.KIND_QUEUE, Queue)


def _load(kind: type[Queue], data: bytes) -> Queue:
    return kind(load_scamem(data))


def queue(
    arena: Seated,
    name: str | None = None,
    maxsize: int = 0,
    *,
    policy: str = "block",
    lease_timeout: float | None = None,
) -> Queue:
    """Make a queue, or join the one of this name; see `scamem.Queue`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.queue("jobs", maxsize=10).maxsize
    10

    Parameters
    ----------
    name : None: without a name, for forked children and processes that it is sent to.
    maxsize : the most items, leased ones included; 0: no limit.
    policy : what `put` does at the limit: "block" waits, "drop_oldest" drops the oldest item that
        is not leased, "reject" raises queue.Full. If the arena is full, "block" waits as long as
        there are items in the queue.
    lease_timeout : seconds after which leases end by themselves; None: never.

    Raises
    ------
    TypeError : the name belongs to something else.
    ValueError : a queue of this name has another maxsize or policy than the one that is asked for.
    OutOfMemoryError : no frame is left.
    """
    if policy not in POLICIES:
        raise ValueError(f"asked for the policy {policy!r}; there are {', '.join(POLICIES)}")
    lease_ns = lease_time_ns(lease_timeout)
    number = POLICIES.index(policy)
    found = Queue(
        making.made_or_joined(
            arena._seat, name, making.Kind(L.KIND_QUEUE, number, max(0, maxsize), lease_ns)
        )
    )
    if (maxsize > 0 and found.maxsize != maxsize) or (number and found.policy != policy):
        raise ValueError(
            f"asked for the queue {name!r} with maxsize {maxsize:,} and policy {policy!r}; it "
            f"exists with maxsize {found.maxsize:,} and policy {found.policy!r}"
        )
    return found
