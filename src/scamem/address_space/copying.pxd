cdef extern from "copying.h" nogil:
    enum:
        SCAMEM_COPY_THREADS_MAX

    ctypedef struct scamem_copying:
        size_t string_from
        size_t string_to
        size_t stream_from
        size_t part_from
        int threads

    void scamem_choose(scamem_copying* how, size_t cache_bytes)
    void scamem_copy(const scamem_copying* how, char* to, const char* source, size_t nbytes)

cdef enum:
    ALONE_BYTES = 262144  # a copy of more lets other threads run Python

cdef scamem_copying how
cdef void copy(void* destination, void* source, size_t nbytes) noexcept nogil
