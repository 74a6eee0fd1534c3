"""64-bit words in frames of an object, for several processes: ordered, and waited on.

A `load` that sees a value sees everything that was stored before the `store` of that value (release
and acquire, on x86-64 and aarch64). `compare_exchange` orders everything before it against
everything after it.
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
    """Words at an address that stays mapped as long as `base` exists.

    Ownership: it holds `base`. Threads: any. fork: works in the child if the mapping does.
    """

    def __init__(self, base: object, address: int, count: int) -> None:
        self.base = base
        self.words = cython.cast(Words, cython.cast(word, address))
        self.count = count

    def load(self, at: word) -> word:
        """Return a word, and see everything that was stored before it."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        return load_acquire(self.words, at)

    def store(self, at: word, value: word) -> None:
        """Store a word, after everything that was stored before."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        store(self.words, at, value)

    def compare_exchange(self, at: word, old: word, value: word) -> bool:
        """Store `value` if the word is `old`, in one step; return whether it was."""
        if at >= self.count:
            raise IndexError(f"word {at} of {self.count}")
        return compare_exchange(self.words, at, old, value)

    def wait(self, at: word, seen: word, timeout_s: float) -> None:
        """Wait until the word is woken, at most `timeout_s`; return at once if it has changed.

        It may return early: look again. The futex is the word's lower half; a wait is at most 1 s.
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
