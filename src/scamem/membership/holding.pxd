from scamem.core.store.words cimport Words, word

cdef enum:
    COPIED_WORDS = 6  # of each record: what holders_of() returns
    SLACK = 64  # records that may come while a buffer is made

cdef word copy_list(Words arena, Words mine, word obj, Words into, word room) noexcept nogil
cdef word count_records(Words arena, Words mine, word obj) noexcept nogil
cdef word count_loans(Words arena, Words mine, word loan) noexcept nogil
