# What the atfork handlers call: plain system calls, no malloc, no Python, no GIL.
ctypedef unsigned long long word

cdef bint is_file(int fd, word device, word inode) noexcept nogil
cdef int reopen(int fd, word device, word inode) noexcept nogil
cdef word slot_byte(word slot) noexcept nogil
cdef void* lock_byte(int fd, word device, word inode, word offset, bint inherit,
                     int* error) noexcept nogil
cdef void* lock_slot(int fd, word device, word inode, word slot, bint inherit,
                     int* error) noexcept nogil
cdef int keep_page(void* page) noexcept nogil
cdef int unlock_slot(void* page) noexcept nogil
cdef int probe_byte(int fd, word device, word inode, word offset) noexcept nogil
cdef int probe_slot(int fd, word device, word inode, word slot) noexcept nogil
