from posix.types cimport off_t

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len
    Py_ssize_t readv(int fd, const iovec* spans, int count)
    Py_ssize_t writev(int fd, const iovec* spans, int count)
    Py_ssize_t preadv(int fd, const iovec* spans, int count, off_t offset)
    Py_ssize_t pwritev(int fd, const iovec* spans, int count, off_t offset)

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
        int msg_flags
    Py_ssize_t sendmsg(int fd, const msghdr* message, int flags)
    Py_ssize_t recvmsg(int fd, msghdr* message, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
        MSG_TRUNC

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* descriptors, unsigned long count, int timeout_ms)
    enum:
        POLLIN
        POLLOUT

cdef extern from "<limits.h>" nogil:
    const size_t SSIZE_MAX

cdef enum:
    SPANS_MAX = 1024  # IOV_MAX: one call takes no more
    CALL_BYTES = 16777216  # of one call: a slow disk's read is not to keep a signal waiting
    SLICE_NS = 100000000  # between looks for signals
    SLICE_MS = 100
    NS_IN_MS = 1000000
    NS_IN_S = 1000000000

cdef enum:  # kinds of descriptors
    AT_POSITION = 0  # readv, writev
    AT_OFFSET = 1  # preadv, pwritev
    STREAM = 2  # a socket of bytes
    MESSAGES = 3  # a socket of whole messages: one call, one message

cdef enum:  # how a transfer, or a part of it, ended
    FINISHED = 0
    LOOK = 1  # for signals, then go on
    END = 2  # of the file, or the other side sends no more
    FAILED = 3
    TIMED_OUT = 4

cdef struct Job:
    const iovec* spans
    size_t count
    size_t index  # the span that comes next
    size_t within  # bytes of it that are done
    size_t left
    size_t done
    size_t call_bytes
    size_t asked  # of the last call
    off_t offset
    unsigned long long deadline_ns
    int kind
    int fd
    int error  # errno of what FAILED
    bint writes
    bint waits  # for a socket to be ready
    bint was_short  # the last call did less than it was asked

cdef unsigned long long now_ns() noexcept nogil
cdef int fill(Job* job, iovec* batch) noexcept nogil
cdef void count_done(Job* job, size_t nbytes) noexcept nogil
cdef Py_ssize_t call_file(Job* job, iovec* batch, int count) noexcept nogil
cdef Py_ssize_t call_socket(Job* job, iovec* batch, int count) noexcept nogil
cdef int await_socket(Job* job) noexcept nogil
cdef int after_failure(Job* job, int error) noexcept nogil
cdef int go_on(Job* job) noexcept nogil
