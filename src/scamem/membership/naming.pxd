from scamem.core.store.words cimport word
from scamem.membership.member cimport Member

cdef extern from *:
    """
    #define SCAMEM_FNV_OFFSET 0xCBF29CE484222325ull
    #define SCAMEM_FNV_PRIME 0x100000001B3ull
    """
    const unsigned long long FNV_OFFSET "SCAMEM_FNV_OFFSET"
    const unsigned long long FNV_PRIME "SCAMEM_FNV_PRIME"

cdef void store_name(Member member, char* name, size_t name_bytes, char* text,
                     size_t text_bytes) noexcept nogil
