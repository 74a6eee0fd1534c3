"""Every exception that scamem raises on purpose, and every warning.

Each message says what was asked, what there was, and what to do; the numbers are attributes too.
All of them survive pickling with their attributes, since they cross process pools.
"""

from __future__ import annotations

from typing import Any


def _rebuild(kind: type[ScamemError], message: str, state: dict[str, Any]) -> ScamemError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class ScamemError(Exception):
    """Base of all errors of scamem.

    Parameters
    ----------
    message : what was asked, what there was, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call the class with args only and lose the keyword numbers.
        return _rebuild, (type(self), self.args[0], self.__dict__.copy())


class OutOfMemoryError(ScamemError, MemoryError):
    """There is not enough memory, address space or room in the arena.

    Attributes
    ----------
    asked_bytes : what was asked for.
    free_bytes : what there was.
    limit : name of the limit that was met, for example ``"cgroup memory.max"``.
    """

    def __init__(
        self, message: str, *, asked_bytes: int = 0, free_bytes: int = 0, limit: str = ""
    ) -> None:
        super().__init__(message)
        self.asked_bytes = asked_bytes
        self.free_bytes = free_bytes
        self.limit = limit


class ArenaNotFoundError(ScamemError, FileNotFoundError):
    """No arena has this name."""


class ArenaRemovedError(ArenaNotFoundError):
    """The arena's files were deleted, or replaced by another arena, while this process was in it.

    Arrays and other objects that the process holds stay usable. Newcomers cannot find them: open
    the name again, and publish there.
    """


class ArenaExistsError(ScamemError, FileExistsError):
    """An arena of this name exists already."""


class ArenaRefusedError(ScamemError):
    """Something about the arena's files is not as it must be: owner, type, mode, size, header.

    Attributes
    ----------
    path : the file or directory that was refused, or an empty string.
    reason : one word for what was wrong, for example ``"owner"`` or ``"mode"``.
    """

    def __init__(self, message: str, *, path: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason


class ArenaUnreachableError(ScamemError):
    """Joining by a handle failed; the message says what was tried and the ways out.

    Attributes
    ----------
    tried : one line for each attempt, with why it failed.
    """

    def __init__(self, message: str, *, tried: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tried = tried


class ArenaDamagedError(ScamemError):
    """A word of the arena holds what no store of ours could have made; ``scamem check`` says where.

    Attributes
    ----------
    where : the place of the finding, or an empty string.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class ArenaBusyError(ScamemError):
    """No member slot is left.

    Attributes
    ----------
    members : slots in use.
    limit : slots there are.
    """

    def __init__(self, message: str, *, members: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.members = members
        self.limit = limit


class LockTimeoutError(ScamemError, TimeoutError):
    """The arena's lock, or the door to it, was held by a living process for too long.

    Attributes
    ----------
    slot : member slot of the holder; None where it is not known.
    pid : process id of the holder; None where it is not known.
    """

    def __init__(self, message: str, *, slot: int | None = None, pid: int | None = None) -> None:
        super().__init__(message)
        self.slot = slot
        self.pid = pid


class StaleHandleError(ScamemError):
    """The object that this handle stands for is gone."""


class TooScatteredError(ScamemError):
    """One contiguous view of this object would take more mappings than the process may have.

    Attributes
    ----------
    runs : mappings that the view would need.
    limit : mappings that are left to it.
    """

    def __init__(self, message: str, *, runs: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.runs = runs
        self.limit = limit


class ObjectBusyError(ScamemError):
    """Others hold an object, or it has views, so its frames cannot be taken away.

    Attributes
    ----------
    holders : who holds it: what `Arena.holders` returned at that moment.
    """

    def __init__(self, message: str, *, holders: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.holders = holders


class TooManyLoansError(ScamemError):
    """As many handles are on their way as the arena allows, and none of them is old enough to go.

    Attributes
    ----------
    loans : loans there are.
    limit : loans there may be.
    """

    def __init__(self, message: str, *, loans: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.loans = loans
        self.limit = limit


class NameNotFoundError(ScamemError, KeyError):
    """Nothing is published under this name."""


class NameExistsError(ScamemError):
    """Something is published under this name already."""


class ClosedError(ScamemError, ValueError):
    """The arena, object, mapping or pin was closed before."""


class NotAMemberError(ScamemError):
    """This forked child is no member of the arena: what it inherited cannot be used."""


class BlindError(ScamemError):
    """The descriptor of an arena's file was closed or replaced, and no way leads to the file.

    A blind member cannot tell who is alive: it reaps nobody, and its forked children are no
    members. What it has mapped stays usable.
    """


class SectionBusyError(ScamemError):
    """A section cannot go offline: frames of it are in use, or promised.

    Attributes
    ----------
    section : its number.
    objects : numbers of the objects that have frames of it.
    """

    def __init__(self, message: str, *, section: int = 0, objects: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.section = section
        self.objects = objects


class NotSharedWarning(UserWarning):
    """A large array was sent by value, since its arena may end before a handle could be loaded.

    Shown once per process. It has no fault by itself; but what one side writes, the other does not
    see, and the data is copied.
    """


class PlatformError(ScamemError, ImportError):
    """scamem does not run on this machine, kernel or interpreter."""


class FileTooShortError(ScamemError, EOFError):
    """A file has less than was to be read from it, from the beginning or since.

    Attributes
    ----------
    asked_bytes : how long it would have to be.
    found_bytes : how long it is.
    """

    def __init__(self, message: str, *, asked_bytes: int = 0, found_bytes: int = 0) -> None:
        super().__init__(message)
        self.asked_bytes = asked_bytes
        self.found_bytes = found_bytes


class PageNotHeldError(ScamemError, ValueError):
    """A reference to a page was to be dropped that this `Page` does not hold.

    Attributes
    ----------
    pfn : number of the page.
    """

    def __init__(self, message: str, *, pfn: int = 0) -> None:
        super().__init__(message)
        self.pfn = pfn


class ViewInUseError(ScamemError, BufferError):
    """Memory was to be unmapped that buffers (arrays, memoryviews) still look at.

    Attributes
    ----------
    views : buffers in use over it.
    """

    def __init__(self, message: str, *, views: int = 0) -> None:
        super().__init__(message)
        self.views = views


class BusyError(ScamemError):
    """Another process, or thread, does what only one may do at a time.

    Attributes
    ----------
    pid : of the process that does, 0 where it is another thread of this one.
    """

    def __init__(self, message: str, *, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class PeerDiedError(ScamemError, ConnectionError):
    """The process at the other end ended without closing it, so that waiting has no end.

    Attributes
    ----------
    pid : which process it was, 0 where that is not known any more.
    bytes_done : bytes of a write that are in the ring all the same.
    """

    def __init__(self, message: str, *, pid: int = 0, bytes_done: int = 0) -> None:
        super().__init__(message)
        self.pid = pid
        self.bytes_done = bytes_done


class WaitTimeoutError(ScamemError, TimeoutError):
    """What was waited for did not come in the time that was given.

    Attributes
    ----------
    bytes_done : bytes of a write that are in the ring all the same.
    """

    def __init__(self, message: str, *, bytes_done: int = 0) -> None:
        super().__init__(message)
        self.bytes_done = bytes_done
