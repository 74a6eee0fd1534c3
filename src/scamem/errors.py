"""The exceptions and warnings of scamem.

Each message says what was asked, what was found, and what to do. The numbers are attributes too.
Exceptions keep their attributes when they are pickled, because they cross process pools.
"""

from __future__ import annotations

from typing import Any


def _rebuild(kind: type[ScamemError], message: str, state: dict[str, Any]) -> ScamemError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class ScamemError(Exception):
    """Base class of all scamem errors.

    Parameters
    ----------
    message : what was asked, what was found, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call the class with args only, and lose the keyword arguments.
        return _rebuild, (type(self), self.args[0], self.__dict__.copy())


class OutOfMemoryError(ScamemError, MemoryError):
    """Not enough memory, address space or room in the arena.

    Attributes
    ----------
    asked_bytes : size of the request.
    free_bytes : how much was free.
    limit : name of the limit that was reached, for example ``"cgroup memory.max"``.
    """

    def __init__(
        self, message: str, *, asked_bytes: int = 0, free_bytes: int = 0, limit: str = ""
    ) -> None:
        super().__init__(message)
        self.asked_bytes = asked_bytes
        self.free_bytes = free_bytes
        self.limit = limit


class ArenaNotFoundError(ScamemError, FileNotFoundError):
    """There is no arena of this name."""


class ArenaRemovedError(ArenaNotFoundError):
    """The arena's files were deleted, or replaced by another arena, while this process was in it.

    Arrays and other objects that the process holds stay usable, but other processes cannot find
    them. Open the name again, and publish there.
    """


class ArenaExistsError(ScamemError, FileExistsError):
    """An arena of this name already exists."""


class ArenaRefusedError(ScamemError):
    """The files of the arena cannot be trusted or used: owner, type, mode, size or header is wrong.

    Attributes
    ----------
    path : the file or directory that was refused, or an empty string.
    reason : one word for what is wrong, for example ``"owner"`` or ``"mode"``.
    """

    def __init__(self, message: str, *, path: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason


class ArenaUnreachableError(ScamemError):
    """Joining the arena of a handle failed. The message says what was tried, and what to do.

    Attributes
    ----------
    tried : one line for each attempt, with the reason of its failure.
    """

    def __init__(self, message: str, *, tried: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tried = tried


class ArenaDamagedError(ScamemError):
    """The arena is damaged: a word has a value that scamem never stores.

    ``scamem check`` says where.

    Attributes
    ----------
    where : the place of the damage, or an empty string.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class ArenaBusyError(ScamemError):
    """All member slots of the arena are in use.

    Attributes
    ----------
    members : slots in use.
    limit : slots of the arena.
    """

    def __init__(self, message: str, *, members: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.members = members
        self.limit = limit


class LockTimeoutError(ScamemError, TimeoutError):
    """A living process held the lock of the arena, or the lock for joining it, for too long.

    Attributes
    ----------
    slot : member slot of the holder; None if unknown.
    pid : process id of the holder; None if unknown.
    """

    def __init__(self, message: str, *, slot: int | None = None, pid: int | None = None) -> None:
        super().__init__(message)
        self.slot = slot
        self.pid = pid


class StaleHandleError(ScamemError):
    """The object of this handle was freed."""


class TooScatteredError(ScamemError):
    """A contiguous view of the object would need more mappings than the process may have.

    Attributes
    ----------
    runs : mappings that the view would need.
    limit : mappings that are left.
    """

    def __init__(self, message: str, *, runs: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.runs = runs
        self.limit = limit


class ObjectBusyError(ScamemError):
    """An object has other holders or views, so its frames cannot be taken away.

    Attributes
    ----------
    holders : the holders, as `Arena.holders` returned them at that moment.
    """

    def __init__(self, message: str, *, holders: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders


class TooManyLoansError(ScamemError):
    """Too many handles were sent and not loaded, and none is old enough to be dropped.

    Attributes
    ----------
    loans : handles sent and not loaded.
    limit : how many the arena allows.
    """

    def __init__(self, message: str, *, loans: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.loans = loans
        self.limit = limit


class NameNotFoundError(ScamemError, KeyError):
    """No object has this name."""


class NameExistsError(ScamemError):
    """An object of this name already exists."""


class ClosedError(ScamemError, ValueError):
    """The arena, object, mapping or pin is closed."""


class NotAMemberError(ScamemError):
    """This forked child is not a member of the arena, so it cannot use what it inherited."""


class BlindError(ScamemError):
    """The descriptor of an arena file was closed or replaced, and the file cannot be reopened.

    A blind member cannot tell which processes are alive. It reaps nobody, and its forked children
    are not members. Memory that it has mapped stays usable.
    """


class SectionBusyError(ScamemError):
    """A section cannot go offline: some of its frames are in use or reserved.

    Attributes
    ----------
    section : number of the section.
    objects : numbers of the objects that have frames in it.
    """

    def __init__(self, message: str, *, section: int = 0, objects: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.section = section
        self.objects = objects


class NotSharedWarning(UserWarning):
    """A large array was sent by value, because its arena could end before a handle is loaded.

    Shown once per process. The receiver gets a correct copy, but neither side sees what the other
    writes.
    """


class PlatformError(ScamemError, ImportError):
    """scamem does not support this machine, kernel or interpreter."""


class FileTooShortError(ScamemError, EOFError):
    """A file is shorter than the requested data, or became shorter while it was read.

    Attributes
    ----------
    asked_bytes : length that the file would need.
    found_bytes : length that it has.
    """

    def __init__(self, message: str, *, asked_bytes: int = 0, found_bytes: int = 0) -> None:
        super().__init__(message)
        self.asked_bytes = asked_bytes
        self.found_bytes = found_bytes


class PageNotHeldError(ScamemError, ValueError):
    """This `Page` does not hold the reference that was to be dropped.

    Attributes
    ----------
    pfn : number of the page.
    """

    def __init__(self, message: str, *, pfn: int = 0) -> None:
        super().__init__(message)
        self.pfn = pfn


class ViewInUseError(ScamemError, BufferError):
    """The memory cannot be unmapped, because buffers (arrays, memoryviews) still use it.

    Attributes
    ----------
    views : number of these buffers.
    """

    def __init__(self, message: str, *, views: int = 0) -> None:
        super().__init__(message)
        self.views = views


class BusyError(ScamemError):
    """Another process or thread does something that only one may do at a time.

    Attributes
    ----------
    pid : process id of the other; 0 if it is another thread of this process.
    """

    def __init__(self, message: str, *, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class PeerDiedError(ScamemError, ConnectionError):
    """The process at the other end exited without closing it, so nothing more will come.

    Attributes
    ----------
    pid : process id of the other end; 0 if unknown.
    bytes_done : bytes of the failed write that are in the ring.
    """

    def __init__(self, message: str, *, pid: int = 0, bytes_done: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.bytes_done = bytes_done


class WaitTimeoutError(ScamemError, TimeoutError):
    """The wait timed out.

    Attributes
    ----------
    bytes_done : bytes of the failed write that are in the ring.
    """

    def __init__(self, message: str, *, bytes_done: int = 0) -> None:
        super().__init__(message)
        self.bytes_done = bytes_done


class OwnerDiedError(ScamemError):
    """The last holder of a lock died with it; **the thread that gets this error holds the lock**.

    What the lock protects may be half changed: repair it, then release the lock.

    Attributes
    ----------
    pid : process id of the dead holder; 0 if unknown.
    """

    def __init__(self, message: str, *, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class TornError(ScamemError):
    """A writer died, or failed, in the middle of an update in place; see `Array.write`.

    Attributes
    ----------
    pid : process id of the writer; 0 if unknown.
    """

    def __init__(self, message: str, *, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
