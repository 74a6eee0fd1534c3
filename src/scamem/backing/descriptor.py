"""A kept descriptor of an arena's file, closed without running Python code.

It may be closed when the last object that a process holds of an arena is deallocated. A finalizer
in Python could lose a signal that arrives at that moment.
"""

import cython
from cython.cimports.posix.unistd import close
from cython.cimports.scamem.backing import slot_locks


@cython.no_gc  # it refers to no Python object
@cython.cclass
class Descriptor:
    """A descriptor of the file (device, inode).

    A descriptor that other code closed or replaced is neither used nor closed.
    """

    def __init__(self, fd: cython.int, device: cython.ulonglong, inode: cython.ulonglong) -> None:
        self.fd = fd
        self.device = device
        self.inode = inode

    def is_ours(self) -> bool:
        """Tell whether the number is a descriptor of the file now."""
        return self.fd >= 0 and slot_locks.is_file(self.fd, self.device, self.inode)

    def replace(self, fd: cython.int) -> None:
        """Keep another descriptor of the file: other code now uses the number of this one."""
        self.fd = fd

    def close(self) -> None:
        """Close it, if it is ours. A second call does nothing."""
        self.close_now()

    def close_now(self) -> cython.void:
        fd: cython.int = self.fd
        self.fd = -1
        if fd >= 0 and slot_locks.is_file(fd, self.device, self.inode):
            close(fd)

    def __dealloc__(self) -> None:
        self.close_now()
