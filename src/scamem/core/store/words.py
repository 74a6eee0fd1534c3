"""Words of the control file: the one interface between the core and memory.

Compiled, a `Words` is a pointer to volatile 64-bit words and the functions below are C
(`words.pxd`, `words.h`). Interpreted, it is anything that can be indexed: the tests use an array
that crashes after a given store. Everything that the core stores to the arena goes through
`store`, `compare_exchange` or `exchange`; plain indexing is for reading and for private words.
"""

from typing import Protocol

from .layout import ALL_ONES, MASK_32, SHIFT_32

word = int


class WordArray(Protocol):
    """An array of 64-bit words that only one process sees: all that geometry needs."""

    def __getitem__(self, at: int, /) -> int: ...

    def __setitem__(self, at: int, value: int, /) -> None: ...


class Words(WordArray, Protocol):
    """Words that others may see; the interpreted core needs no more of them than this."""

    def exchange(self, at: int, value: int) -> int:
        """Store a word and return its old value, as one step."""
        ...

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        """Store a word if its value is `old`, as one step; tell whether it was."""
        ...

    def futex_wait(self, at: int, seen: int, nap_ns: int) -> int:
        """Wait while the low half of a word is that of `seen`, until a wake or the nap's end."""
        ...

    def futex_wake(self, at: int, waiters: int) -> int:
        """Wake some waiters of a word; return how many were asleep and are woken."""
        ...


clock: list[int] = [0]  # the interpreted core's monotonic clock: explorers set it


def store(w: Words, at: word, value: word) -> None:
    w[at] = value


def load_acquire(w: Words, at: word) -> word:
    return w[at]


def compare_exchange(w: Words, at: word, old: word, value: word) -> bool:
    return w.compare_exchange(at, old, value)


def exchange(w: Words, at: word, value: word) -> word:
    return w.exchange(at, value)


def trailing_zeros(value: word) -> word:
    return (value & -value).bit_length() - 1 if value else 64


def leading_zeros(value: word) -> word:
    return 64 - int(value & ALL_ONES).bit_length()


def monotonic_ns() -> word:
    return clock[0]


def futex_wait(w: Words, at: word, seen: word, nap_ns: word) -> int:
    return w.futex_wait(at, seen, nap_ns)


def futex_wake(w: Words, at: word, waiters: int) -> int:
    return w.futex_wake(at, waiters)


def low(value: word) -> word:
    return value & MASK_32


def high(value: word) -> word:
    return value >> SHIFT_32


def pair(low_half: word, high_half: word) -> word:
    return low_half | high_half << SHIFT_32
