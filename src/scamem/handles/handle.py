"""Handles: some 100 bytes of data by which another process finds an object, once or more.

The rules of transit, as users are to read them:

1. Each pickling of a handle (or `bytes(handle)`) lends the object once; the first load takes the
   loan over, in the sender or a forked child as well.
2. While the sender still holds the object, its loans cost nothing.
3. When the sender lets go *or dies*, an untaken loan lives on in the arena for at least 60 s (from
   that moment), then until memory is wanted, oldest first, and only where nobody else holds the
   object.
4. Later loads work while anybody holds the object, else StaleHandleError.
5. Loans carry an id that is never used again, so old bytes cannot steal a newer loan.

Bytes of a handle are data: loading them runs no code and reaches no memory outside the arena.
"""

from __future__ import annotations

import os
import struct
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from scamem.arena.attach import Address
from scamem.arena.member import Hold, release
from scamem.core.store import layout as L
from scamem.errors import ClosedError, ScamemError, StaleHandleError, TooManyLoansError

if TYPE_CHECKING:
    from scamem.arena.arena import ArenaBase

MAGIC = b"scm1"
# magic, arena's id, bytes of the prefix, candidates, bytes of the path, device, inode
PREFIX = struct.Struct("<4s16sHBxHxxQQ")
CANDIDATE = struct.Struct("<II")
TAIL = struct.Struct("<IIQQ")  # object, loan, generation, loan's id; the description follows
ID_START, ID_END = 4, 20
PREFIX_BYTES = struct.Struct("<H")
CANDIDATES_MAX = 8
CANCEL_MAX = 1000
PATH_BYTES_MAX = 4096
PREFIX_LIFE_S = 1.0

_prefixes: weakref.WeakKeyDictionary[ArenaBase, tuple[int, float, bytes]] = (
    weakref.WeakKeyDictionary()
)


class Wire(NamedTuple):
    """A handle's bytes, taken apart; the prefix says how to join its arena."""

    arena_id: bytes
    prefix: bytes
    index: int
    loan: int
    generation: int
    loan_id: int
    description: bytes


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
    ScamemError : the bytes are none of a handle.
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
        if len(data) != at + path_bytes:
            raise struct.error
    except struct.error:
        raise _not_a_handle() from None
    return Address(
        int.from_bytes(arena_id, "little"), device, inode, os.fsdecode(data[at:]), found
    )


def unpack(data: bytes | bytearray | memoryview) -> Wire:
    """Take a handle's bytes apart; what they say is checked where it is used.

    Raises
    ------
    ScamemError : they are none.
    """
    try:
        (size,) = PREFIX_BYTES.unpack_from(data, ID_END)
        numbers = TAIL.unpack_from(data, size)
    except (struct.error, TypeError):
        raise _not_a_handle() from None
    if data[:ID_START] != MAGIC:
        raise _not_a_handle()
    return Wire(
        bytes(data[ID_START:ID_END]), bytes(data[:size]), *numbers, bytes(data[size + TAIL.size :])
    )


def _not_a_handle() -> ScamemError:
    return ScamemError(
        "these are not the bytes of a handle: they were cut, changed, or made by another version "
        "of scamem"
    )


def prefix_of(arena: ArenaBase) -> bytes:
    """Return this process's prefix for handles of an arena, made anew once a second.

    Who else is a member changes; a handle that names members that have ended since is still loaded
    by way of this process, or of any other it names.
    """
    now_s = time.monotonic()
    slot, made_s, prefix = _prefixes.get(arena, (0, 0.0, b""))
    if now_s - made_s > PREFIX_LIFE_S or slot != arena.slot:
        prefix = pack_prefix(arena.address())
        _prefixes[arena] = arena.slot, now_s, prefix
    return prefix


def lend(arena: ArenaBase, hold: Hold, description: bytes) -> bytes:
    """Lend a held object once and return the bytes that take the loan over.

    Raises
    ------
    TooManyLoansError : as many loans are on their way as the arena allows; names what to do.
    """
    while True:
        loan, loan_id = arena.member.lend(hold)
        if loan_id:
            numbers = TAIL.pack(hold.index, loan, hold.generation, loan_id)
            return prefix_of(arena) + numbers + description
        if loan == L.NO_LOANS:
            if arena.member.expire(arena.transit_grace_s) == 0:
                raise _too_many_loans(arena)
            continue
        arena.make_room(loan)


def _too_many_loans(arena: ArenaBase) -> TooManyLoansError:
    limit = arena.loans_limit
    return TooManyLoansError(
        f"asked to send one more handle; {limit:,} are on their way and were not loaded, which is "
        "the arena's limit. Load them, take them back (Handle.cancel, or arena.reap(loans=True) "
        "for those whose sender is gone), or raise arena.loans_limit"
    )


def load_hold(arena: ArenaBase, wire: Wire, by: int) -> Hold:
    """Take a reference by a handle's bytes, and its loan if nobody has taken that yet.

    Raises
    ------
    StaleHandleError : the object is gone.
    """
    while True:
        held = arena.member.load(wire.index, wire.generation, wire.loan, wire.loan_id, by)
        if isinstance(held, Hold):
            return held
        if held == L.STALE:
            raise StaleHandleError(
                f"the object of this handle (number {wire.index}, generation {wire.generation}) is "
                "gone: its loan was taken or its grace is over, and nobody holds it any more. Keep "
                "a reference in the sender, or publish it under a name"
            )
        arena.make_room(held)


def put_back(arena: ArenaBase, hold: Hold, wire: Wire) -> None:
    """Undo a load that could not be finished: the loan is there again, under its id."""
    arena.member.lend(hold, wire.loan_id)
    release(hold)


class Handle:
    """A reference that can be sent: by pickle in any way, or as `bytes(handle)`.

    Made by `scamem.handle(x)` and `arena.put(obj)`, and by loading one that was sent.

    Ownership: it is a reference itself, dropped by `close`, deallocation or death. Each pickling
    and each `bytes()` lends once more. Threads: any. fork: the child holds one of its own.
    """

    __slots__ = ("_hold", "_lent", "arena", "description")

    def __init__(self, arena: ArenaBase, hold: Hold, description: bytes) -> None:
        self.arena = arena
        self._hold: Hold | None = hold
        self.description = description
        self._lent: list[tuple[int, int]] = []

    @property
    def hold(self) -> Hold:
        """The reference; ClosedError after `close`."""
        if self._hold is None:
            raise ClosedError("this handle was closed")
        return self._hold

    def __bytes__(self) -> bytes:
        data = lend(self.arena, self.hold, self.description)
        _, loan, _, loan_id = TAIL.unpack_from(data, len(data) - len(self.description) - TAIL.size)
        self._lent.append((loan, loan_id))
        if len(self._lent) > CANCEL_MAX:  # only the newest can be cancelled through the handle
            del self._lent[0]
        return data

    def cancel(self) -> int:
        """Take back the loans made through this Python object that nobody has loaded; how many."""
        lent, self._lent = self._lent, []
        return sum(self.arena.member.cancel(loan, loan_id) for loan, loan_id in lent)

    def close(self) -> None:
        """Drop this reference now; loans on their way live on as the rules say. Again: nothing."""
        held, self._hold = self._hold, None
        if held is not None:
            release(held)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return load_handle, (bytes(self),)

    def __repr__(self) -> str:
        return "<Handle, closed>" if self._hold is None else f"<Handle of object {self._hold.index}>"


def load_handle(data: bytes) -> Handle:
    """Return a Handle from the bytes of one, joining its arena if need be.

    Raises
    ------
    ArenaUnreachableError, StaleHandleError, ScamemError : as `from_handle`.

    Ownership: the new Handle is a reference; the loan in the bytes is taken if it is still there.
    """
    from .arena import Arena

    wire = unpack(data)
    arena = Arena.of_handle(wire)
    return Handle(arena, load_hold(arena, wire, L.BY_HAND), wire.description)
