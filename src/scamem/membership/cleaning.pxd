from scamem.core.store.words cimport Words, word

cdef enum:
    PAGE_BYTES = 4096
    MADV_POPULATE_WRITE = 23  # Linux 5.14; not in every libc's headers

cdef word clean_frames(Words arena, Words mine, word obj) noexcept nogil
cdef word renew_pages(Words arena, Words mine, word obj) noexcept nogil
cdef word each_run(Words arena, Words mine, word obj, int advice) noexcept nogil
