# Constants of slot_locks.py that no header of Cython's has.
cdef extern from "<fcntl.h>" nogil:
    enum: F_OFD_GETLK
    enum: F_OFD_SETLK

cdef enum:
    SLOT_BYTES_SHIFT = 41  # SLOT_BYTES_AT in files.py: slot n's lock is the byte 2**41 + n
    PATH_BYTES = 32  # "/proc/self/fd/" and ten digits
    DIGIT_ZERO = 48
    ONE_PAGE = 1  # the kernel rounds a length up to its page size
