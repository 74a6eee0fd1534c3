from .. cimport holders, loans, objects
from ..store cimport journal, tables
from ..store.private cimport note_look, record_of, set_record
from ..store.words cimport Words, high, low, monotonic_ns, word
from . cimport free, hold

cdef word lend(Words arena, Words mine, word obj, word loan_id) noexcept nogil
cdef word load(Words arena, Words mine, word obj, word generation, word loan, word loan_id,
               word by) noexcept nogil
cdef void take_loan(Words arena, Words mine, word loan) noexcept nogil
cdef word cancel(Words arena, Words mine, word loan, word loan_id) noexcept nogil
cdef word expire(Words arena, Words mine, word holder, word grace_s) noexcept nogil
cdef bint is_over(Words arena, Words mine, word holder, word grace_s) noexcept nogil
cdef bint is_needed(Words arena, Words mine, word loan, word grace_s, word now_ns) noexcept nogil
cdef word reclaim(Words arena, Words mine, word grace_s) noexcept nogil
cdef word oldest(Words arena, Words mine) noexcept nogil
