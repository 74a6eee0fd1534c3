"""Races: two or three CPUs, each with a path in atomic steps; every order is run.

`search()` replays a machine from its start for each order, so a run is deterministic and
its order is all that is needed to repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .design import Design
from .page_words import MiscSubtype, PageType
from .paths import Atomic, Kernel, run
from .scenario import folded
from .steps import all_free, set_stack_type
from .verdicts import (
    BrokenError,
    Kind,
    NotApplicableError,
    UnsupportedError,
    Verdict,
    WaitingError,
)

Actor = tuple[str, Callable[[Kernel], Atomic[object]]]
"""What a CPU does, in words and as a path."""
ORDERS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Race:
    """A race: what is there at first, what each CPU does, and what must hold afterwards."""

    name: str
    path: str
    title: str
    setup: Callable[[Kernel], None]
    cpus: tuple[Actor, ...]
    after: Callable[[Kernel], None]

    def play(self, design: Design) -> Verdict:
        """Run every order; the verdict of the shortest that fails, or a pass."""
        found = search(self, design)
        if found.absent:
            return Verdict(
                design.name, self.name, self.path, "n/a", step="0: setup", reason=found.absent
            )
        if found.failure is None:
            told = f"{found.orders} orders of {len(self.cpus)} CPUs, none fails"
            return Verdict(design.name, self.name, self.path, "pass", trace=(told,))
        failure = found.failure
        heads = f"shortest of {found.failing} failing orders out of {found.orders}:"
        cpus = (f"CPU{number}: {name}" for number, (name, _) in enumerate(self.cpus))
        last = f"{len(failure.order)}: {failure.last}"
        return Verdict(
            design.name,
            self.name,
            self.path,
            "fail",
            failure.kind,
            last,
            failure.text,
            (*cpus, heads, *failure.trace, f"  fail: {failure.kind}: {failure.text}"),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One order that fails, cut after the step that does."""

    order: tuple[int, ...]
    kind: Kind
    text: str
    last: str
    trace: tuple[str, ...]

    @property
    def length(self) -> tuple[int, int]:
        """Steps first, then changes of CPU: the measure of what is shortest."""
        pairs = zip(self.order, self.order[1:], strict=False)
        return len(self.order), sum(a != b for a, b in pairs)


@dataclass(slots=True)
class Found:
    """What a search saw."""

    orders: int = 0
    failing: int = 0
    failure: Failure | None = None
    """The shortest that fails."""
    absent: str = ""
    """Why the design does not come to what the race is about, if so; no order is run then."""


def search(race: Race, design: Design) -> Found:
    """Run every order of a race's steps."""
    found = Found()
    try:
        race.setup(Kernel(design))
    except (UnsupportedError, BrokenError) as refusal:
        return Found(absent=f"does not come so far: {refusal}")
    except NotApplicableError as absent:
        return Found(absent=absent.text)
    for failure in _orders(race, design, found):
        found.failing += 1
        if found.failure is None or failure.length < found.failure.length:
            found.failure = failure
    return found


def _orders(race: Race, design: Design, found: Found) -> Iterator[Failure]:
    """Depth first: each replay goes to its end, and leaves the turns not yet taken."""
    pending: list[tuple[int, ...]] = [()]
    while pending:
        replay = _Replay(race, design, pending.pop())
        failure = replay.run()
        pending += replay.branches
        found.orders += not replay.waits
        if failure is not None:
            yield failure
        if found.orders > ORDERS_MAX:
            raise RuntimeError(f"{race.name} has more than {ORDERS_MAX} orders; make it smaller")


class _Replay:
    """One machine, taken through a given order and then on with the first CPU that is left."""

    def __init__(self, race: Race, design: Design, prefix: tuple[int, ...]) -> None:
        self.race, self.prefix = race, prefix
        self.kernel = Kernel(design)
        race.setup(self.kernel)
        self.paths = [path(self.kernel) for _, path in race.cpus]
        self.alive = list(range(len(self.paths)))
        self.order: list[int] = []
        self.branches: list[tuple[int, ...]] = []
        self.trace: list[str] = []
        self.waits = False
        """Whether a CPU had to wait, so that the others' orders stand for this one."""

    def run(self) -> Failure | None:
        """Every step, then the checks of what must hold; the first failure ends it."""
        while self.alive:
            cpu = self._turn()
            self.order.append(cpu)
            failure = self._step(cpu)
            if failure is not None or self.waits:
                return failure
        self.kernel.trace = []
        try:
            self.race.after(self.kernel)
        except UnsupportedError as refusal:
            return self._failure("unsupported", refusal.text, "afterwards")
        except BrokenError as broken:
            return self._failure(broken.kind, broken.text, "afterwards")
        return None

    def _turn(self) -> int:
        depth = len(self.order)
        if depth < len(self.prefix):
            return self.prefix[depth]
        first, *others = self.alive
        self.branches += [(*self.order, cpu) for cpu in others]
        return first

    def _step(self, cpu: int) -> Failure | None:
        self.kernel.trace = []
        name = self.race.cpus[cpu][0]
        text = f"CPU{cpu} ends {name}"
        try:
            text = f"CPU{cpu} {next(self.paths[cpu])}"
        except StopIteration:
            self.alive.remove(cpu)
        except WaitingError:
            self.waits = True
        except UnsupportedError as refusal:
            return self._failure("unsupported", refusal.text, f"CPU{cpu} goes on with {name}")
        except BrokenError as broken:
            return self._failure(broken.kind, broken.text, f"CPU{cpu} goes on with {name}")
        self._note(text)
        return None

    def _note(self, text: str) -> None:
        self.trace.append(f"step {len(self.order)}: {text}")
        self.trace += [f"    {line}" for line in folded(self.kernel.trace)]

    def _failure(self, kind: Kind, text: str, last: str) -> Failure:
        self._note(last)
        return Failure(tuple(self.order), kind, text, last, tuple(self.trace))


# -- the races ------------------------------------------------------------------------


def _unpin_all(kernel: Kernel) -> None:
    for name in list(kernel.pins):
        run(kernel.unpin(name))
    for name in list(kernel.mms):
        kernel.exit_mm(name)
    for name, area in list(kernel.areas.items()):
        if not area.gone:
            run(kernel.vfree(name))
    all_free().act(kernel)


def _mapped_and_vfreed(kernel: Kernel) -> None:
    """One page whose mapping is its last reference, and a GUP that would work."""
    kernel.vmalloc("A", 1)
    kernel.mmap("p1", "A", 0)
    kernel.gup_slow("first", "p1", 0)
    probe = kernel.gup_fast("probe", "p1", 0)
    run(probe)
    run(kernel.unpin("probe"))
    run(kernel.unpin("first"))
    run(kernel.vfree("A"))


def _interrupting(kernel: Kernel) -> None:
    """The same on x86 as it is built: flushing the TLB waits for each CPU to take an interrupt."""
    _mapped_and_vfreed(kernel)
    kernel.flush_interrupts = True


def _allocated(kernel: Kernel) -> None:
    kernel.vmalloc("A", 1)


def _vfree_and_reuse(kernel: Kernel) -> Atomic[object]:
    frame = kernel.areas["A"].frames
    yield from kernel.vfree("A")
    if kernel.referee.is_free(frame[0]):
        kernel.vmalloc("B", 1, frames=frame)
        yield "allocates B in the same frame"
    return None


def _unmap_and_reuse(kernel: Kernel) -> Atomic[object]:
    """The final put; then the same frame and the same object memory serve another area."""
    yield from kernel.munmap("p1", 0, 1)
    yield "p1 munmap: reference dropped"
    frame = kernel.areas["A"].frames
    if kernel.referee.is_free(frame[0]):
        kernel.vmalloc("B", 1, frames=frame)
        yield "allocates B in the same frame"
    return None


def _mapped(kernel: Kernel) -> None:
    kernel.vmalloc("A", 1)
    kernel.mmap("p1", "A", 0)


def _two_mappings_and_a_pin(kernel: Kernel) -> None:
    kernel.vmalloc("A", 2)
    kernel.mmap("p1", "A", 0)
    kernel.mmap("p2", "A", 0)
    kernel.gup_slow("pin", "p1", 1)
    run(kernel.vfree("A"))


def _aux_published(kernel: Kernel) -> None:
    """rb_alloc_aux() of one event has pages; its own mapping is about to fail."""
    kernel.vmalloc("aux", 2)


def _map_range(kernel: Kernel) -> Atomic[object]:
    """map_range() of the other event, which shares the ring buffer."""
    area = kernel.areas["aux"]
    if area.gone:
        return None
    yield "map_range: sees the aux pages"
    held = kernel.driver_object(area)
    if kernel.rules.mapping == "vma" and (held is None or not held.refcount):
        return None
    vma = kernel.mmap("p2", "aux", 0, populate=False)
    yield "map_range: has a VMA"
    for offset, pfn in enumerate(area.frames):
        if kernel.rules.mapping == "pte" and kernel.words.type(pfn) == PageType.BUDDY:
            return None  # the page's type says that it is gone: the mapping fails
        kernel.insert(kernel.mm("p2"), vma, offset, pfn, area)
        yield f"map_range: maps frame {pfn}"
    return None


def _allocate_stack(kernel: Kernel) -> Atomic[object]:
    area = kernel.vmalloc("S", 1, stack=True)
    yield "vmalloc() of a kernel stack"
    set_stack_type(kernel, area)
    yield "its page is typed"
    return None


def _walk_pfns(kernel: Kernel) -> Atomic[object]:
    """Compaction, offlining, page-types: whoever walks pfns and reads types."""
    area = kernel.areas.get("S")
    if area is not None and kernel.words.subtype(area.frames[0]) != MiscSubtype.KSTACK:
        raise BrokenError("wrong type", "a kernel stack's page says that it is plain vmalloc")
    yield "walks the pfns"
    return None


def _has_stack_type(kernel: Kernel) -> None:
    if kernel.rules.typed == "no stack type" or kernel.rules.word != "flags":
        raise NotApplicableError("this design has no type for kernel stacks")


def _nothing(_: Kernel) -> None:
    return None


RACES = (
    Race(
        "gup-fast-against-final-put",
        "P18",
        "GUP-fast against the last put, where no interrupt waits for it (broadcast flush, arm64)",
        _mapped_and_vfreed,
        (
            ("gup_fast", lambda k: k.gup_fast("pin", "p1", 0)),
            ("munmap, and the frame is allocated again", _unmap_and_reuse),
        ),
        _unpin_all,
    ),
    Race(
        "final-put-interrupting",
        "P18",
        "the same where the TLB flush interrupts, and so waits for GUP-fast",
        _interrupting,
        (
            ("gup_fast", lambda k: k.gup_fast("pin", "p1", 0)),
            ("munmap, and the frame is allocated again", _unmap_and_reuse),
        ),
        _unpin_all,
    ),
    Race(
        "walker-against-final-put",
        "P18",
        "a walker of pfns, with interrupts on, against the last put",
        _allocated,
        (
            ("walk", lambda k: k.walk(k.areas["A"].frames[0])),
            ("vfree, and the frame is allocated again", _vfree_and_reuse),
        ),
        _unpin_all,
    ),
    Race(
        "vfree-against-fork",
        "P4",
        "vfree() while fork copies the mapping",
        _mapped,
        (("fork", lambda k: k.fork("p1", "p2")), ("vfree", lambda k: k.vfree("A"))),
        _unpin_all,
    ),
    Race(
        "two-mappings-and-an-unpin",
        "P2",
        "two munmaps and an unpin, one of them the last put",
        _two_mappings_and_a_pin,
        (
            ("munmap of p1", lambda k: k.munmap("p1", 0, 2)),
            ("munmap of p2", lambda k: k.munmap("p2", 0, 2)),
            ("unpin", lambda k: k.unpin("pin")),
        ),
        _unpin_all,
    ),
    Race(
        "perf-aux",
        "P10",
        "the PFNMAP use-after-free of perf (tip 5948aaf64f81): map_range() against a free",
        _aux_published,
        (("map_range", _map_range), ("the free of aux", lambda k: k.vfree("aux"))),
        _unpin_all,
    ),
    Race(
        "type-after-allocation",
        "P26",
        "a page typed after its allocation says the wrong thing in between",
        _has_stack_type,
        (("clone", _allocate_stack), ("a walk over pfns", _walk_pfns)),
        _nothing,
    ),
)
