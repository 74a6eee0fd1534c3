from scamem.membership.member cimport Hold, Member

cdef enum:
    ID_AT = 4
    ID_BYTES = 16
    SIZE_AT = 20  # of the prefix's bytes, 16 bits
    PREFIX_SIZE = 44  # without candidates and path; PREFIX.size
    TAIL_SIZE = 24  # TAIL.size
    PREFIX_LIFE_NS = 1000000000

cdef packed struct WireTail:
    unsigned int index
    unsigned int loan
    unsigned long long generation
    unsigned long long loan_id

cdef class Wire:
    cdef readonly bytes arena_id
    cdef readonly bytes data
    cdef readonly bytes description
    cdef readonly int prefix_bytes
    cdef bint lent
    cdef WireTail tail

cdef class Handle:
    cdef readonly object seat
    cdef readonly bytes description
    cdef Hold held
    cdef list lent
    cdef object __weakref__

cdef Handle new_handle(object seat, Hold held, bytes description)
cpdef Wire unpack(object data)
cpdef bytes prefix_of(Member member)
cpdef bytes lend(Hold held, bytes description)
cdef unsigned int make_loan(Hold held, unsigned long long* loan_id) except? 0
cpdef Hold load_hold(Member member, Wire wire, unsigned long long by)
cpdef put_back(Hold held, Wire wire)
