"""Words in the compiled core; `words.py` is the same for the interpreted one."""
ctypedef unsigned long long word

cdef extern from "words.h" nogil:
    ctypedef unsigned long long scamem_word
    ctypedef scamem_word* Words "scamem_words"
    void store "scamem_store"(Words w, word at, word value)
    word load_acquire "scamem_load_acquire"(Words w, word at)
    bint compare_exchange "scamem_compare_exchange"(Words w, word at, word old, word value)
    word exchange "scamem_exchange"(Words w, word at, word value)
    word trailing_zeros "scamem_trailing_zeros"(word value)
    word leading_zeros "scamem_leading_zeros"(word value)
    word monotonic_ns "scamem_monotonic_ns"()
    int futex_wait "scamem_futex_wait"(Words w, word at, word seen, word nap_ns)
    int futex_wake "scamem_futex_wake"(Words w, word at, int waiters)
    word low "scamem_low"(word value)
    word high "scamem_high"(word value)
    word pair "scamem_pair"(word low_half, word high_half)
