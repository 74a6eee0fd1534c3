"""Copy an arena's control file as of one moment, for checks that take time."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from scamem.backing import system
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.core.walk import Finding
from scamem.errors import ArenaDamagedError
from scamem.membership.image import private_words
from scamem.membership.seat import Seat, member_pids

from .frames import section_words


@contextmanager
def taken(seat: Seat) -> Iterator[memoryview]:
    """Copy the used parts of the control file, under the lock; yield the copy as words.

    Unused parts read as zeros and take no memory.
    """
    nbytes = seat.geometry.control_words * L.WORD_BYTES
    flags = system.MAP_PRIVATE | system.MAP_ANONYMOUS | system.MAP_NORESERVE
    address = system.mmap(None, nbytes, system.PROT_READ | system.PROT_WRITE, flags, -1, 0)
    try:
        memory = (ctypes.c_uint64 * seat.geometry.control_words).from_address(address)
        words = memoryview(memory).cast("B").cast("Q")
        sizes = None
        while sizes != _sizes(seat, words):  # more came online while the ranges were computed
            sizes = _sizes_now(seat)
            seat.member.copy_into(address, _ranges(seat, sizes))
        yield words
    finally:
        system.munmap(address, nbytes)


def _places() -> list[int]:
    """Return the words that say how much of each table is in use."""
    return [L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED for table in range(L.TABLES_COUNT)]


def _backed(values: Iterable[int]) -> list[tuple[int, int]]:
    """Return (first section, sections) of each stretch of sections whose words have memory."""
    found: list[tuple[int, int]] = []
    for number, value in enumerate(values):
        if value & L.SECTION_BACKED:
            if found and sum(found[-1]) == number:
                found[-1] = (found[-1][0], found[-1][1] + 1)
            else:
                found.append((number, 1))
    return found


Sizes = tuple[list[int], list[tuple[int, int]]]


def _sizes(seat: Seat, words: memoryview) -> Sizes:
    at = seat.geometry.regions()["sections"].start
    return [words[at] for at in _places()], _backed(words[at : at + seat.geometry.sections])


def _sizes_now(seat: Seat) -> Sizes:
    sections = section_words(seat.member, 0, seat.geometry.sections)
    return [seat.member.read_word(at) for at in _places()], _backed(sections)


def _ranges(seat: Seat, sizes: Sizes) -> array[int]:
    size, regions = seat.geometry, seat.geometry.regions()
    tables, backed_sections = sizes
    most = [getattr(size, name) for name, _, _ in TABLE_RECORDS]
    for place, value, limit in zip(_places(), tables, most, strict=True):
        if value > limit:
            raise ArenaDamagedError(
                f"the arena is damaged: word {place} counts {value:,} in use, at most "
                f"{limit:,} are possible. Nothing was changed; make a new arena"
            )
    found = array("Q", [0, size.fixed_words()])
    for first, count in backed_sections:
        for name, words in (
            ("section_trees", size.section_tree_words),
            ("memdescs", size.section_frames),
        ):
            found.extend([regions[name].start + first * words, count * words])
    for (name, record_words, _), backed in zip(TABLE_RECORDS, tables, strict=True):
        found.extend([regions[name].start, backed * record_words])
    return found


def _dead(seat: Seat) -> list[tuple[int, int]]:
    """Return the slot and incarnation of every member that is dead and not reaped yet."""
    read = seat.member.read_word
    return [
        (slot, read(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_INCARNATION))
        for slot, _, _ in member_pids(seat.member)
        if seat.member.is_slot_dead(slot)
    ]


def findings(seat: Seat) -> list[Finding]:
    """Return the violations of I1 to I8 after reaping dead members; [] if there are none.

    I6 is checked for members that were dead *before* the reap, identified by incarnation. Others
    may die between the reap and the copy, and a slot may have a new owner by then; neither is the
    reap's omission.
    """
    dead = _dead(seat)
    seat.member.reap()
    mine = private_words(seat.geometry)
    with taken(seat) as words:
        left = tuple(
            slot
            for slot, incarnation in dead
            if words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_INCARNATION] == incarnation
        )
        return check(words, mine, left)
