"""This process's side of a queue or topic: put, take, lease, read, and wait, as a member.

A value passes through the member's private words, where the transactions find it: both locks are
held from `stage` to the end of the transaction, and no Python object is touched in between.
"""

import pickle

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.string import memcpy
from cython.cimports.scamem.core import consumers, queues
from cython.cimports.scamem.core.store import events, tables
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import (
    Words,
    futex_wait,
    high,
    load_acquire,
    low,
    monotonic_ns,
    word,
)
from cython.cimports.scamem.core.transactions import broadcast, configure, dequeue, enqueue
from cython.cimports.scamem.membership.member import Hold, Member, new_hold

from scamem.errors import ClosedError, ScamemError

PICKLE = 1  # forms of a value: a pickle in the item,
BYTES = 2  # bytes in the item,
COPY = 3  # an object that only the item holds, as its description says,
SHARED = 4  # an object that others may hold too
TAKEN = 0  # ways in which a value is got: for good,
LEASED = 1  # by a lease,
READ = 2  # with other readers
SMALL_BYTES: int = L.ITEM_PAYLOAD_WORDS * L.WORD_BYTES  # of a value that lies in the item

# Exact types of values that are never small: arrays, and those that go by handle.
never_small: set = set()

dumps = pickle.dumps
loads = pickle.loads


@cython.cclass
class Status:
    """Why a queue gave no item: a status of the core, and the counter to wait on."""

    def __init__(self) -> None:
        raise TypeError("a Status is made by a Channel")


def new_status(code: word, seen: word, until_ns: word) -> Status:
    made: Status = Status.__new__(Status)
    made.code = code
    made.seen = seen
    made.until_ns = until_ns
    return made


def make(
    member: Member, held: Hold, kind: word, policy: word, maxsize: word, lease_ns: word
) -> int:
    """Make a held object a queue or topic; return its record, or the status of the failure."""
    if held.index == 0:
        raise ClosedError("this reference was closed")
    member.begin()
    status: word = configure.make(
        member.arena, member.mine, held.index, kind, policy, maxsize, lease_ns
    )
    member.end()
    return status


@cython.cclass
class Channel:
    """One queue or topic, as this process uses it.

    Parameters
    ----------
    held : a reference to the object; ScamemError if it is no queue or topic.
    decode : called with (hold, description, form, way) for a value that lies in an object.

    Ownership: it holds the object. Threads: any. fork: leases and subscriptions are the parent's.
    """

    def __init__(self, member: Member, held: Hold, decode: object) -> None:
        self.member = member
        self.held = held
        self.decode = decode
        self.consumer = 0
        if held.index == 0:
            raise ClosedError("this reference was closed")
        member.begin()
        queue: word = configure.find(member.arena, member.mine, held.index)
        place: word = 0
        if queue < L.STATUS:
            place = queues.at(member.arena, member.mine, queue)
            self.kind = queues.kind(member.arena, place)
            self.policy = queues.policy(member.arena, place)
            self.maxsize = member.arena[place + L.QUEUE_MAXSIZE]
            self.lease_ns = member.arena[place + L.QUEUE_LEASE_NS]
        member.end()
        if queue == L.NOT_FOUND:
            raise ScamemError(f"object {held.index} is no queue and no topic")
        if queue >= L.STATUS:
            raise member.refuse(queue)
        self.queue = queue

    # --- putting -------------------------------------------------------------------------------

    def stage(self, payload: bytes) -> word:
        """Take both locks and store a value where the next transaction reads it."""
        length: cython.Py_ssize_t = len(payload)
        member: Member = self.member
        if length > IN_ITEM_MAX:
            raise ValueError(f"{length} bytes; an item has room for {IN_ITEM_MAX}")
        member.begin()
        memcpy(
            cython.cast(cython.p_void, member.mine + L.MINE_DESCRIPTION),
            PyBytes_AS_STRING(payload),
            length,
        )
        member.mine[L.MINE_DESCRIPTION_BYTES] = length
        return 1

    def put(self, form: word, payload: bytes, held: Hold | None) -> word:
        """Put or publish a value; return OK or the status of the failure.

        Parameters
        ----------
        payload : the value, or the description of what `held` holds.
        """
        obj: word = 0
        status: word
        member: Member = self.member
        if held is not None:
            obj = held.index
            if obj == 0:
                raise ClosedError("this reference was closed")
        self.stage(payload)
        if self.kind == L.KIND_TOPIC:
            status = broadcast.publish(member.arena, member.mine, self.queue, form, obj)
        else:
            status = enqueue.put(member.arena, member.mine, self.queue, form, obj)
        if end_work(member):
            member.finish_dying()
        else:
            member.end()
        return status

    def offer(self, value: object) -> word:
        """Put a value that is small; return OK, NO_FRAMES for any other, or why it was not put."""
        payload: bytes
        buffers: list
        if type(value) is bytes:
            payload = value
            if len(payload) <= IN_ITEM_MAX:
                return self.put(IN_BYTES, payload, None)
            return L.NO_FRAMES
        if type(value) in never_small:
            return L.NO_FRAMES
        buffers = []
        payload = dumps(value, 5, buffer_callback=buffers.append)
        if len(payload) > IN_ITEM_MAX or buffers:
            return L.NO_FRAMES
        return self.put(IN_PICKLE, payload, None)

    # --- taking --------------------------------------------------------------------------------

    def refused(self, status: word, event: word) -> Status:
        """Return why there is no item, give up both locks. Needs: both locks held."""
        member: Member = self.member
        place: word = queues.at(member.arena, member.mine, self.queue)
        seen: word = member.arena[queues.event_at(place, event)]
        first: word = low(member.arena[place + L.QUEUE_TIMED])
        until_ns: word = 0
        if first != 0:
            until_ns = member.arena[
                queues.item_at(member.arena, member.mine, first) + L.ITEM_UNTIL_NS
            ]
        member.end()
        return new_status(status, seen, until_ns)

    def expire(self) -> cython.void:
        """Give back leases whose time is over. Needs: both locks held."""
        left: word = 8
        while (
            left > 0 and dequeue.expire(self.member.arena, self.member.mine, self.queue) == L.MORE
        ):
            left -= 1

    def item(self, leased: word) -> object:
        """Return the item in the private words: give up both locks. Needs: both locks held."""
        member: Member = self.member
        mine: Words = member.mine
        form: word = mine[L.MINE_ITEM_FORM]
        obj: word = mine[L.MINE_ITEM_OBJECT]
        generation: word = mine[L.MINE_ITEM_GENERATION]
        count: cython.Py_ssize_t = mine[L.MINE_DESCRIPTION_BYTES]
        text = cython.declare(cython.char[512])
        held: Hold = None
        memcpy(
            cython.cast(cython.p_void, text),
            cython.cast(cython.p_void, mine + L.MINE_DESCRIPTION),
            count,
        )
        if end_work(member):
            member.finish_dying()
        else:
            member.end()
        if obj != 0:
            held = new_hold(member, obj, generation, L.BY_PIN)
        payload: bytes = PyBytes_FromStringAndSize(text, count)
        if form == IN_BYTES:
            return payload
        if form == IN_PICKLE:
            return loads(payload)
        return self.decode(held, payload, form, leased)

    def take(self) -> object:
        """Take the oldest item; return its value, or a Status."""
        member: Member = self.member
        member.begin()
        place: word = queues.at(member.arena, member.mine, self.queue)
        if member.arena[place + L.QUEUE_TIMED] != 0:
            self.expire()
        status: word = dequeue.take(member.arena, member.mine, self.queue, self.consumer)
        if status != L.OK:
            return self.refused(status, L.QUEUE_EVENT_ITEMS)
        self.consumer = member.mine[L.MINE_ITEM_CONSUMER]
        return self.item(TO_TAKE)

    def lease(self, lease_ns: word) -> object:
        """Lease the oldest item; return (item, ticket, attempts, value, error), or a Status."""
        member: Member = self.member
        value: object = None
        error: object = None
        until_ns: word = monotonic_ns() + lease_ns if lease_ns != 0 else 0
        member.begin()
        place: word = queues.at(member.arena, member.mine, self.queue)
        if member.arena[place + L.QUEUE_TIMED] != 0:
            self.expire()
        status: word = dequeue.lease(member.arena, member.mine, self.queue, self.consumer, until_ns)
        if status != L.OK:
            return self.refused(status, L.QUEUE_EVENT_ITEMS)
        self.consumer = member.mine[L.MINE_ITEM_CONSUMER]
        item: word = member.mine[L.MINE_ITEM]
        ticket: word = member.mine[L.MINE_ITEM_TICKET]
        attempts: word = member.mine[L.MINE_ITEM_ATTEMPTS]
        try:
            value = self.item(TO_LEASE)
        except Exception as raised:  # noqa: BLE001 - reading the lease's value raises it
            error = raised
        return item, ticket, attempts, value, error

    def done(self, item: word, ticket: word, attempts: word) -> int:
        """Say that a leased item is done; return OK or NOT_LEASED."""
        member: Member = self.member
        member.begin()
        status: word = dequeue.done(member.arena, member.mine, item, ticket, attempts)
        member.finish_dying()
        return status

    def give_back(self, item: word, ticket: word, attempts: word) -> int:
        """Put a leased item back to its place; return OK or NOT_LEASED."""
        member: Member = self.member
        member.begin()
        status: word = dequeue.give_back(member.arena, member.mine, item, ticket, attempts)
        member.end()
        return status

    def task_done(self) -> int:
        """Say that one taken item is done; return OK, NOT_LEASED or TOO_MANY_LEASES."""
        member: Member = self.member
        member.begin()
        status: word = dequeue.task_done(member.arena, member.mine, self.queue, self.consumer)
        member.finish_dying()
        return status

    def tend(self) -> None:
        """Give back leases whose time is over."""
        member: Member = self.member
        member.check_active()
        if member.arena[tables.place(member.mine, L.TABLE_QUEUES, self.queue) + L.QUEUE_TIMED] != 0:
            member.begin()
            self.expire()
            member.end()

    def drop_oldest(self) -> int:
        """Drop the oldest item that is not leased; return OK or EMPTY."""
        member: Member = self.member
        member.begin()
        status: word = enqueue.drop_oldest(member.arena, member.mine, self.queue)
        member.finish_dying()
        return status

    def close(self) -> None:
        """Let nothing more be put in, and wake all who wait."""
        member: Member = self.member
        member.begin()
        status: word = configure.close(member.arena, member.mine, self.queue)
        member.end()
        if status != L.OK:
            raise member.refuse(status)

    # --- subscriptions -------------------------------------------------------------------------

    def subscribe(self, cursor: word, last: word) -> int:
        """Begin a subscription; return its record, or the status of the failure."""
        member: Member = self.member
        member.begin()
        status: word = broadcast.subscribe(member.arena, member.mine, self.queue, cursor, last)
        member.end()
        return status

    def unsubscribe(self, consumer: word) -> int:
        """End a subscription of this process; return OK or NOT_FOUND."""
        member: Member = self.member
        member.begin()
        status: word = broadcast.unsubscribe(member.arena, member.mine, self.queue, consumer)
        member.end()
        return status

    def read(self, consumer: word, newest: word) -> object:
        """Read a subscription's next item, or the newest; return (value, cursor, item, missed).

        A Status if there is none.
        """
        member: Member = self.member
        member.begin()
        status: word = broadcast.read(member.arena, member.mine, self.queue, consumer, newest)
        if status != L.OK:
            return self.refused(status, L.QUEUE_EVENT_ITEMS)
        at: word = consumers.at(member.arena, member.mine, consumer)
        missed: word = member.arena[at + L.CONSUMER_MISSED]
        ticket: word = member.mine[L.MINE_ITEM_TICKET]
        item: word = member.mine[L.MINE_ITEM]
        return self.item(TO_READ), ticket + 1, item, missed

    # --- waiting -------------------------------------------------------------------------------

    def state(self) -> tuple[int, int, int, bool]:
        """Return (items that can be taken, leased items, unfinished, closed). No lock."""
        member: Member = self.member
        member.check_active()
        place: word = tables.place(member.mine, L.TABLE_QUEUES, self.queue)
        counts: word = load_acquire(member.arena, place + L.QUEUE_COUNTS)
        unfinished: word = member.arena[place + L.QUEUE_UNFINISHED]
        closed: cython.bint = queues.is_closed(member.arena, place)
        return low(counts), high(counts), unfinished, closed

    def dropped(self) -> int:
        """Return how many items ever made room for newer ones."""
        member: Member = self.member
        member.check_active()
        return member.arena[tables.place(member.mine, L.TABLE_QUEUES, self.queue) + L.QUEUE_DROPPED]

    def counter(self, event: word) -> int:
        """Return a counter to wait on. Look at the state after this, then wait."""
        member: Member = self.member
        member.check_active()
        place: word = tables.place(member.mine, L.TABLE_QUEUES, self.queue)
        return load_acquire(member.arena, queues.event_at(place, event))

    def wait(self, event: word, seen: word, nap_s: float) -> bool:
        """Wait until a counter is no longer `seen`, at most `nap_s`; return whether it changed.

        It may return early. The GIL is released.
        """
        member: Member = self.member
        nap_ns: word = cython.cast(word, max(0.0, min(1.0, nap_s)) * 1e9)
        member.check_active()
        arena: Words = member.arena
        place: word = tables.place(member.mine, L.TABLE_QUEUES, self.queue)
        at: word = queues.event_at(place, event)
        k: word = 0
        changed: cython.bint = False
        with cython.nogil:
            while k < SPINS and not changed:
                changed = load_acquire(arena, at) & L.MASK_32 != seen & L.MASK_32
                pause()
                k += 1
            if not changed:
                queues.announce(arena, place, event)
                futex_wait(arena, at, seen, nap_ns)
        member.check_active()  # closed by another thread meanwhile
        return member.arena[at] & L.MASK_32 != seen & L.MASK_32

    def pass_on(self, event: word) -> None:
        """Stop waiting: another waiter gets the wake that may have come for this one."""
        member: Member = self.member
        if not member.is_active():
            return
        member.begin()
        place: word = queues.at(member.arena, member.mine, self.queue)
        awaited: word = queues.signal(member.arena, place, self.queue, event)
        queues.deliver(member.arena, place, awaited, 1)
        member.end()

    def watch(self) -> None:
        """Ask to be told of changes by the arena's event of queues. Read its counter before."""
        member: Member = self.member
        member.check_active()
        place: word = tables.place(member.mine, L.TABLE_QUEUES, self.queue)
        queues.announce(member.arena, place, L.QUEUE_EVENT_WATCHED)


def queues_counter(member: Member) -> int:
    """Return the counter of the arena's event of queues."""
    member.check_active()
    return load_acquire(member.arena, L.EVENTS + L.EVENT_QUEUES)


def await_queues(member: Member, seen: word, nap_s: float) -> bool:
    """Wait until a watched queue changes, at most `nap_s`; return whether one did."""
    nap_ns: word = cython.cast(word, max(0.0, min(1.0, nap_s)) * 1e9)
    member.check_active()
    events.announce(member.arena, L.EVENT_QUEUES)
    with cython.nogil:
        futex_wait(member.arena, L.EVENTS + L.EVENT_QUEUES, seen, nap_ns)
    member.check_active()
    return member.arena[L.EVENTS + L.EVENT_QUEUES] != seen


def rouse(member: Member) -> None:
    """Wake those who wait for any queue, so that they look again."""
    member.begin()
    events.post(member.arena, L.EVENT_QUEUES)
    member.end()


def end_work(member: Member) -> cython.bint:
    """Tell whether something that ended has to be freed."""
    return (
        member.arena[L.DYING_HEAD] != 0
        or member.arena[L.QUEUES_ENDING] != 0
        or member.arena[L.CLEANING_HEAD] != 0
    )
