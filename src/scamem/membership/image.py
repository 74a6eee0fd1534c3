"""Copy a control file's words to private memory, and write back those that changed.

Only parts that have memory are read: reading holes through a mapping would allocate them.
"""

from __future__ import annotations

import errno
import mmap
import os
from array import array
from collections.abc import Iterator

from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry


def copy(fd: int, nbytes: int) -> memoryview:
    """Copy a sparse file to private memory that is equally sparse."""
    copy = memoryview(mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    for start, end in _extents(fd, nbytes):
        while start < end:
            done = os.preadv(fd, [copy[start:end]], start)
            if done == 0:
                break
            start += done
    return copy.cast("Q")


def _extents(fd: int, nbytes: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data. The file's position is not used: every read gives its offset."""
    end = 0
    while end < nbytes:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                return
            raise
        end = min(os.lseek(fd, start, os.SEEK_HOLE), nbytes)
        yield start, end


def put_back(words: memoryview) -> int:
    """Undo, in a copy, what a member had begun; return how many words were restored."""
    count = min(words[L.JOURNAL_LENGTH], L.JOURNAL_ENTRIES_MAX)
    for k in reversed(range(count)):
        at = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * k
        if L.HEADER_WORDS <= words[at] < len(words):  # the journal never holds header words
            words[words[at]] = words[at + 1]
    words[L.JOURNAL_LENGTH] = 0
    return int(count)


def private_words(geometry: Geometry) -> array[int]:
    """Return a member's private words, as `check` needs them: where the tables lie."""
    mine = array("Q", bytes(L.WORD_BYTES * L.MINE_TABLES_AT))
    geometry.describe_to(mine)
    return mine


def changed(before: memoryview, after: memoryview) -> list[int]:
    """Return the places of the words that differ between two copies."""
    step = L.PAGE_WORDS
    found: list[int] = []
    for start in range(0, len(after), step):
        if bytes(before[start : start + step]) != bytes(after[start : start + step]):
            end = min(start + step, len(after))
            found += [at for at in range(start, end) if before[at] != after[at]]
    return found


def write_word(fd: int, at: int, value: int) -> None:
    """Store one word in the file."""
    os.pwrite(fd, value.to_bytes(L.WORD_BYTES, "little"), at * L.WORD_BYTES)


def write_words(fd: int, words: memoryview, places: list[int]) -> None:
    """Store words of a copy in the file, one by one, in the given order."""
    for at in places:
        write_word(fd, at, words[at])
