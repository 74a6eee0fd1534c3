"""What every object of the soak holds: words that say what the other words must be.

{MARK, words in all, checksum of the rest, rest ...}. An object is filled before anybody else can
find it and never changed afterwards, so whoever holds it may check it at any time.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

MARK = 0x536F616B
HEAD_WORDS = 3
FACTOR = 0x9E3779B97F4A7C15
WORD_BYTES = 8


class SpoiledError(AssertionError):
    """A held object does not hold what was written into it."""


def fill(words: Any, seed: int) -> None:
    """Write checksummed contents into an array of uint64."""
    rest = words[HEAD_WORDS:]
    rest[:] = np.arange(len(rest), dtype=np.uint64)
    rest *= np.uint64(FACTOR)
    rest ^= np.uint64(seed)
    words[0] = MARK
    words[1] = len(words)
    words[2] = zlib.crc32(rest)


def verify(words: Any, where: str) -> int:
    """Check an array of uint64 against its own checksum; return how many bytes were checked."""
    mark, length, checksum = (int(word) for word in words[:HEAD_WORDS])
    if mark != MARK or not HEAD_WORDS <= length <= len(words):
        raise SpoiledError(f"{where}: begins with {mark:#x}, {length:#x}, {checksum:#x}")
    found = zlib.crc32(words[HEAD_WORDS:length])
    if found != checksum:
        raise SpoiledError(f"{where}: checksum {found:#x} of {length} words, not {checksum:#x}")
    return length * WORD_BYTES
