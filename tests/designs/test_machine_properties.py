"""Random histories: a design that counts what it should harms nobody, whatever the order."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scamem.designs import Design, design
from scamem.designs.kernel_objects import Mm
from scamem.designs.paths import Kernel, run
from scamem.designs.steps import all_free
from scamem.designs.verdicts import BrokenError

PAGES = 4
Act = tuple[str, int, int]
ACTS = ("mmap", "munmap", "fork", "mremap", "slow", "fast", "unpin", "vfree", "exit", "touch")
histories = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 3), st.integers(0, 7)), max_size=14
)
SOUND = {
    "today": design("today"),
    "1": design("1"),
    "3": design("3"),
    "4c": design("4c"),
    "4d": design("4d"),
    "choir, mended": design("choir").with_rules(flags_when="always", memory="kfree_rcu"),
    "4b, both": design("4b").with_rules(word="both"),
}


class History:
    """Applies acts to a kernel, skipping those that make no sense in its state."""

    def __init__(self, kind: Design) -> None:
        self.kernel = Kernel(kind)
        self.kernel.vmalloc("A", PAGES, where=((0, "Normal"), (1, "Normal")), account=True)
        self.freed = False
        self.names = 0

    def do(self, act: str, who: int, number: int) -> None:
        name = f"p{who}"
        mm = self.kernel.mms.get(name)
        getattr(self, act)(name, mm, number)

    def mmap(self, name: str, mm: Mm | None, number: int) -> None:
        at = 16 * number
        taken = mm is not None and any(vma.start < at + 16 and at < vma.end for vma in mm.vmas)
        if not self.freed and not taken:
            self.kernel.mmap(name, "A", at)

    def munmap(self, name: str, mm: Mm | None, number: int) -> None:
        if mm is not None and mm.vmas:
            vma = mm.vmas[number % len(mm.vmas)]
            length = vma.end - vma.start
            first = number % length
            run(self.kernel.munmap(name, vma.start + first, max(1, (length - first) // 2)))

    def fork(self, name: str, mm: Mm | None, number: int) -> None:
        child = f"p{number % 4}"
        if mm is not None and (child not in self.kernel.mms or not self.kernel.mms[child].vmas):
            run(self.kernel.fork(name, child))

    def mremap(self, name: str, mm: Mm | None, number: int) -> None:
        if mm is not None and mm.vmas:
            vma = mm.vmas[number % len(mm.vmas)]
            self.names += 1
            self.kernel.mremap(name, vma.start, vma.end - vma.start, 1000 + 16 * self.names)

    def slow(self, name: str, mm: Mm | None, number: int) -> None:
        self._pin(name, mm, number, self.kernel.gup_slow)

    def fast(self, name: str, mm: Mm | None, number: int) -> None:
        self._pin(name, mm, number, lambda *args: run(self.kernel.gup_fast(*args)))

    def _pin(
        self, name: str, mm: Mm | None, number: int, gup: Callable[[str, str, int], object]
    ) -> None:
        if mm is not None and mm.ptes:
            self.names += 1
            addresses = sorted(mm.ptes)
            gup(f"pin{self.names}", name, addresses[number % len(addresses)])

    def unpin(self, _name: str, _mm: Mm | None, number: int) -> None:
        pins = sorted(self.kernel.pins)
        if pins:
            run(self.kernel.unpin(pins[number % len(pins)]))

    def vfree(self, _name: str, _mm: Mm | None, _number: int) -> None:
        if not self.freed:
            self.freed = True
            run(self.kernel.vfree("A"))

    def exit(self, name: str, mm: Mm | None, _number: int) -> None:
        if mm is not None:
            self.kernel.exit_mm(name)

    def touch(self, name: str, mm: Mm | None, number: int) -> None:
        if mm is not None and mm.ptes:
            addresses = sorted(mm.ptes)
            self.kernel.touch(name, addresses[number % len(addresses)], number % 2)

    def end(self) -> None:
        for pin in list(self.kernel.pins):
            run(self.kernel.unpin(pin))
        for name in list(self.kernel.mms):
            self.kernel.exit_mm(name)
        self.vfree("", None, 0)
        all_free().act(self.kernel)


@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=40, deadline=None)
@given(histories)
def test_no_history_harms_a_counting_design(name: str, history: list[Act]) -> None:
    past = History(SOUND[name])
    for act in history:
        past.do(*act)
    past.end()


def broken_by(kind: Design, history: list[Act]) -> str | None:
    past = History(kind)
    try:
        for act in history:
            past.do(*act)
        past.end()
    except BrokenError as broken:
        return broken.kind
    return None


def test_the_same_histories_do_find_harm_where_a_rule_is_missing() -> None:
    kind = design("4c")
    history = [("mmap", 0, 0), ("vfree", 0, 0)]
    assert broken_by(kind, history) is None
    assert broken_by(kind.with_rules(mapping="none"), history) == "use after free"
    touched = [("mmap", 0, 0), ("touch", 0, 1), ("vfree", 0, 0), ("exit", 0, 0)]
    assert broken_by(kind, touched) is None
    assert broken_by(kind.with_rules(put="at zap"), touched) == "use after free"
    assert broken_by(design("4a"), [*touched]) == "leak"


def test_rules_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(design("4c").rules, "put", "at zap")  # noqa: B010  # mypy knows it is frozen
