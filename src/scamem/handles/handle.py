"""Handles: some 100 bytes that let another process find an object, once or more often.

The rules of transit, for users:

1. Each pickling of a handle (or `bytes(handle)`) lends the object once. The first load takes over
   the loan, also if it is in the sender or in a forked child.
2. While the sender still holds the object, its loans cost nothing.
3. When the sender lets go *or dies*, a loan that was not taken keeps the object for at least 60 s
   from that moment, and then until memory is needed, oldest first.
4. Later loads work while any process holds the object, else they raise StaleHandleError.
5. Loans carry an id that is never used again, so old bytes cannot take a newer loan.
6. When there are as many loans as the arena allows, those whose grace is over make room: 60 s after
   they were lent and after their sender let go. First go loans of objects that are held (also by
   the sender); their handles still load by rule 4.
7. A pickling that fails gives back what it lent; runs.py says where a failure cannot be seen.

The bytes of a handle are data. Taking a reference by them runs no code, and however they were
changed, they reach no memory outside the arena. A pickle is loaded only if the *arena* says that
one was stored there (`Arena.put`); bytes that claim this for an array are refused.
"""

import os
import struct

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.string import memcpy
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import monotonic_ns
from cython.cimports.scamem.membership.member import Hold, Member, release

from scamem.errors import (
    ClosedError,
    OutOfMemoryError,
    ScamemError,
    StaleHandleError,
    TooManyLoansError,
)
from scamem.membership.files import Address
from scamem.membership.lending import make_loans
from scamem.memory.room import make_room

from .guard import Guard

MAGIC = b"scm1"
# magic, arena's id, bytes of the prefix, candidates, bytes of the path, device, inode
PREFIX = struct.Struct("<4s16sHBxHxxQQ")
CANDIDATE = struct.Struct("<II")
TAIL = struct.Struct("<IIQQ")  # object, loan, generation, loan's id; the description follows
CANDIDATES_MAX = 8
CANCEL_MAX = 1000
PATH_BYTES_MAX = 4096


@cython.cclass
class Wire:
    """A handle's bytes, parsed. The prefix says how to join its arena."""


def pack_prefix(address: Address) -> bytes:
    """Return the part of a handle's bytes that says where its arena is."""
    path = os.fsencode(address.path)
    size = PREFIX.size + CANDIDATE.size * len(address.candidates) + len(path)
    head = PREFIX.pack(
        MAGIC,
        address.arena_id.to_bytes(16, "little"),
        size,
        len(address.candidates),
        len(path),
        address.device,
        address.inode,
    )
    return b"".join((head, *(CANDIDATE.pack(*found) for found in address.candidates), path))


def unpack_prefix(data: bytes) -> Address:
    """Return where a handle's arena is.

    Raises
    ------
    ScamemError : these are not the bytes of a handle.
    """
    try:
        _, arena_id, _, candidates, path_bytes, device, inode = PREFIX.unpack_from(data)
        if candidates > CANDIDATES_MAX or path_bytes > PATH_BYTES_MAX:
            raise struct.error
        at = PREFIX.size
        found = tuple(
            CANDIDATE.unpack_from(data, at + k * CANDIDATE.size) for k in range(candidates)
        )
        at += candidates * CANDIDATE.size
        path = data[at:]
        if len(path) != path_bytes or b"\0" in path or (path and path[:1] != b"/"):
            raise struct.error
    except struct.error:
        raise _not_a_handle() from None
    return Address(int.from_bytes(arena_id, "little"), device, inode, os.fsdecode(path), found)


def unpack(data: object) -> Wire:
    """Parse a handle's bytes. Their contents are checked where they are used.

    Raises
    ------
    ScamemError : these are not the bytes of a handle.
    """
    whole: bytes = data if type(data) is bytes else as_bytes(data)
    length: cython.Py_ssize_t = len(whole)
    at: cython.p_char = PyBytes_AS_STRING(whole)
    size: cython.ushort = 0
    tail: WireTail
    made: Wire
    if length >= PREFIX_SIZE + TAIL_SIZE:
        memcpy(cython.address(size), at + SIZE_AT, 2)
    if size < PREFIX_SIZE or size + TAIL_SIZE > length or whole[:4] != MAGIC:
        raise _not_a_handle()
    memcpy(cython.address(tail), at + size, TAIL_SIZE)
    made = Wire.__new__(Wire)
    made.arena_id = whole[ID_AT : ID_AT + ID_BYTES]
    made.prefix_bytes = size
    made.data = whole
    made.tail = tail
    made.description = whole[size + TAIL_SIZE :]
    return made


def loan_of(data: bytes) -> tuple[int, int]:
    """Return the loan in a handle's bytes, and its id."""
    tail: WireTail = unpack(data).tail
    return tail.loan, tail.loan_id


def as_bytes(data: object) -> bytes:
    """Return the bytes of a buffer; ScamemError if it is not one."""
    if isinstance(data, Guard):  # copy.copy calls the loader without a pickler between
        return data.data
    try:
        return bytes(memoryview(data))
    except (TypeError, ValueError):
        raise _not_a_handle() from None


def _not_a_handle() -> ScamemError:
    return ScamemError(
        "these are not the bytes of a handle: they were cut, changed, or made by another version "
        "of scamem"
    )


def prefix_of(member: Member) -> bytes:
    """Return this process's prefix for handles of an arena; it is renewed once a second.

    The other members change. A handle that names members which have ended is still loaded by way of
    this process, or of any other member that it names. A forked child makes its own prefix.
    """
    now_ns: cython.ulonglong = monotonic_ns()
    slot: cython.ulonglong = member.mine[L.MINE_SLOT]
    if now_ns - member.prefix_ns > PREFIX_LIFE_NS or slot != member.prefix_slot:
        member.prefix = pack_prefix(member.seat.address())
        member.prefix_ns = now_ns
        member.prefix_slot = slot
    return member.prefix


def lend(held: Hold, description: bytes) -> bytes:
    """Lend a held object once; return the bytes that take over the loan.

    The loan is made last, so an error leaves none behind.

    Raises
    ------
    TooManyLoansError : the arena has as many loans as it allows; says what to do.
    """
    prefix: bytes = prefix_of(held.member)
    before: cython.Py_ssize_t = len(prefix)
    behind: cython.Py_ssize_t = len(description)
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, before + TAIL_SIZE + behind)
    at: cython.p_char = PyBytes_AS_STRING(made)
    tail: WireTail
    loan_id: cython.ulonglong = 0
    memcpy(at, PyBytes_AS_STRING(prefix), before)
    memcpy(at + before + TAIL_SIZE, PyBytes_AS_STRING(description), behind)
    tail.index = held.index
    tail.generation = held.generation
    tail.loan = make_loan(held, cython.address(loan_id))
    tail.loan_id = loan_id
    memcpy(at + before, cython.address(tail), TAIL_SIZE)
    return made


def make_loan(held: Hold, loan_id: cython.p_ulonglong) -> cython.uint:
    """Lend a held object once; return the loan, and store its id."""
    member: Member = held.member
    loan: cython.ulonglong
    while True:
        loan_id[0] = 0
        loan = member.lend_words(held, loan_id)
        if loan_id[0] != 0:
            return loan
        if loan == L.NO_LOANS:
            if make_loans(member) == 0:
                raise _too_many_loans(member)
            continue
        try:
            make_room(member.seat, loan)
        except OutOfMemoryError:
            # The table of loans cannot grow: loans that are no longer needed make room in it.
            if loan != L.NO_RECORDS + L.TABLE_LOANS or make_loans(member) == 0:
                raise


def loans_limit(member: Member) -> int:
    """Return how many handles can be sent and not loaded at one time, in the whole arena."""
    return member.read_word(L.LOANS_LIMIT)


def transit_grace_s(member: Member) -> int:
    """Return for how many seconds a loan is kept after its sender lets go, in the whole arena."""
    return member.read_word(L.TRANSIT_GRACE_S)


def _too_many_loans(member: Member) -> TooManyLoansError:
    limit = loans_limit(member)
    return TooManyLoansError(
        f"asked to send a handle; {limit:,} are sent and not loaded, the limit of the arena. Load "
        "some before you send more, cancel some (Handle.cancel), wait until the oldest are "
        f"{transit_grace_s(member):,} s old and expire, or raise arena.loans_limit",
        loans=member.read_word(L.LOANS_COUNT),
        limit=limit,
    )


def load_hold(member: Member, wire: Wire, by: cython.ulonglong) -> Hold:
    """Take a reference by a handle's bytes, and take over its loan unless another load did.

    Raises
    ------
    StaleHandleError : the object was freed.
    """
    tail: WireTail = wire.tail
    while True:
        wire.lent = member.is_lent(tail.loan, tail.loan_id)
        held = member.load(tail.index, tail.generation, tail.loan, tail.loan_id, by)
        if isinstance(held, Hold):
            return held
        if held == L.STALE:
            raise StaleHandleError(
                f"the object of this handle (number {tail.index}, generation {tail.generation}) "
                "is gone: its loan was used or has expired, and no process holds the object. "
                "Keep a reference in the sender, or publish it under a name"
            )
        make_room(member.seat, held)


def put_back(held: Hold, wire: Wire) -> None:
    """Undo a load that could not be completed: restore the loan that it took, under the same id.

    Whether it took one is read before and after the load, without a lock. If two loaders race for
    the same bytes and the loser cannot map, an extra loan keeps the object for its grace.
    """
    member: Member = held.member
    loan_id: cython.ulonglong = wire.tail.loan_id
    if wire.lent and not member.is_lent(wire.tail.loan, loan_id):
        member.lend_words(held, cython.address(loan_id))
    release(held)


@cython.cclass
class Handle:
    """A reference that can be sent to another process: by any pickling, or as `bytes(handle)`.

    >>> handle = scamem.handle(scamem.zeros(3))
    >>> scamem.from_handle(bytes(handle)).shape
    (3,)

    `scamem.handle(x)` and `arena.put(obj)` make one; so does loading one that was sent.

    Ownership: it holds one reference, dropped by `close`, deallocation, or the process's death.
    Each pickling and each `bytes(handle)` lends the object once more, for the process that loads
    it.
    Threads: any. fork: the child holds its own reference.
    """

    def __init__(self, seat: object, held: Hold, description: bytes) -> None:
        self.seat = seat
        self.held = held
        self.description = description

    @property
    def arena(self) -> object:
        """The Arena that the object belongs to."""
        return self.seat.arena

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self.held is None:
            raise ClosedError("this handle was closed")
        return self.held

    def __bytes__(self) -> bytes:
        data: bytes = lend(self.hold, self.description)
        tail: WireTail
        start: cython.Py_ssize_t = len(data) - len(self.description) - TAIL_SIZE
        memcpy(cython.address(tail), PyBytes_AS_STRING(data) + start, TAIL_SIZE)
        try:
            if self.lent is None:
                self.lent = []
            self.lent.append((tail.loan, tail.loan_id))
        except MemoryError:
            self.held.member.cancel(tail.loan, tail.loan_id)
            raise
        if len(self.lent) > CANCEL_MAX:  # cancel() reaches only the newest
            del self.lent[0]
        return data

    def cancel(self) -> int:
        """Take back the loans of this Handle that were not loaded; return how many.

        >>> handle = scamem.handle(scamem.zeros(3))
        >>> data = bytes(handle)    # lends the array
        >>> handle.cancel()
        1
        """
        lent: list = self.lent or []
        self.lent = None
        return sum([self.seat.member.cancel(loan, loan_id) for loan, loan_id in lent])

    def close(self) -> None:
        """Drop this reference. Loans that were sent stay valid. A second call does nothing."""
        held: Hold = self.held
        self.held = None
        if held is not None:
            release(held)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Handle, closed>" if self.held is None else f"<Handle of object {self.held.index}>"


def new_handle(seat: object, held: Hold, description: bytes) -> Handle:
    """Return a Handle, as its constructor does. Ownership: it takes `held` over."""
    made: Handle = Handle.__new__(Handle)
    made.seat = seat
    made.held = held
    made.description = description
    return made
