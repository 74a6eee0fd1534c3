"""64-bit words in frames of an object, as several processes use them: ordered, and waited on.

What was stored before a `store` is seen by whoever `load`s what it stored (release and acquire, on
x86-64 and aarch64). `compare_exchange` orders everything before it against everything after it.
"""

import cython
from cython.cimports.scamem.core.store.words import (
    Words,
    compare_exchange,
    futex_wait,
    futex_wake,
    load_acquire,
    store,
    word,
)


@cython.cclass
class SharedWords:
    """Words at an address that is mapped for as long as `base` is there.

    Ownership: it holds `base`. Threads: any. fork: works in the child, if the mapping does.
    """

    def __init__(self, base: object, address: int, count: int) -> None:
        self.base = base
        self.words = cython.cast(Words, cython.cast(word, address))
        self.count = count

    def load(self, at: word) -> word:
        """Return a word; whoever stored it stored before what it stored before."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        return load_acquire(self.words, at)

    def store(self, at: word, value: word) -> None:
        """Store a word, after all that was stored before."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        store(self.words, at, value)

    def compare_exchange(self, at: word, old: word, value: word) -> bool:
        """Store a word if `old` is there, as one step; tell whether it was."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        return compare_exchange(self.words, at, old, value)

    def wait(self, at: word, seen: word, timeout_s: float) -> None:
        """Wait until somebody wakes the word's waiters, at most so long; not if it changed.

        It may return early: look again. Wakes are by the word's lower half; a wait is at most 1 s.
        """
        nap_ns: word = cython.cast(word, max(0.0, min(1.0, timeout_s)) * 1e9)
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        with cython.nogil:
            futex_wait(self.words, at, seen, nap_ns)

    def wake(self, at: word) -> None:
        """Wake every waiter of a word, in any process."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        futex_wake(self.words, at, WAITERS_MAX)
