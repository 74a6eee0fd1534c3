"""The compiled core: it stores in source order, and does what the interpreted one does."""

import importlib
import itertools
import platform
import random
import re
import shutil
import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from scamem.core.store import layout as L
from scamem.core.store.words import Words
from scamem.membership import naming
from scamem.membership.member import Hold, Member, release
from scamem.memory import changes
from tests.explore import figures
from tests.explore import scenarios as S
from tests.explore.arena import IGNORED, JOURNAL, kinds_of
from tests.explore.interpreted import TRANSACTIONS, Core
from tests.explore.world import TINY, World, new_world

STEPS = 150


JUMP = re.compile(r"(ret|j\w+)")
STORE = re.compile(r"movq?\s+([%$]\w+),([^,%]*\((?!%rsp)[^)]*\))$")  # not to the stack
LOAD = re.compile(r"mov\s+([^,%]*\([^)]*\)),(%\w+)$")
LENGTH = re.compile(rf"{L.JOURNAL_LENGTH * L.WORD_BYTES:#x}\(")


def compiled_transactions() -> list[Path]:
    """Return the compiled modules of transactions that log."""
    found = []
    for name in TRANSACTIONS:
        module = importlib.import_module(f"scamem.core.transactions.{name}")
        path = Path(str(module.__file__))
        assert path.suffix == ".so", f"{name} is not compiled"
        found.append(path)
    return found


def instructions(path: Path) -> list[str]:
    """Return a module's machine code, one instruction per line."""
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split("\t", 1)[1] for line in text.splitlines() if "\t" in line]
    return [line.split("#")[0].strip() for line in lines]


def stores_from(code: list[str], at: int, step: int) -> Iterator[tuple[int, str, str]]:
    """Yield the stores before or after an instruction, up to where the code jumps away or returns:
    (where, what, to which place). Backwards, jumps that may fall through are passed over."""
    at += step
    while 0 <= at < len(code) and not (
        JUMP.match(code[at]) if step > 0 else re.match(r"(ret|jmp)", code[at])
    ):
        store = STORE.match(code[at])
        if store:
            yield at, store[1], store[2]
        at += step


def unordered(code: list[str], at: int) -> str:
    """Say what is wrong around a store of the journal's length at `at`; "" for nothing.

    Before it, the entry was stored: last the old value, loaded from some place. The next store
    goes to that same place. (An x86-64 processor keeps the order of its stores.)
    """
    before = list(itertools.islice(stores_from(code, at, -1), 2))
    after = next(stores_from(code, at, 1), None)
    if len(before) < 2 or after is None:
        return "no entry before it, or no word after it"
    for number in range(before[0][0] - 1, -1, -1):
        load = LOAD.match(code[number])
        if load and load[2] == before[0][1]:
            if load[1] == after[2] or spilled(code, number, load[1]) == spilled(code, *after[::2]):
                return ""
            return f"{load[1]} was logged, {after[2]} stored"
    return f"nothing was logged, {after[2]} stored"


def spilled(code: list[str], at: int, place: str) -> tuple[str, str]:
    """Return a place as {offset, where on the stack its address was kept}: one address may be
    loaded into two registers, one after the other."""
    parts = re.fullmatch(r"(0x[0-9a-f]+)?\((%\w+)\)", place)
    if parts is None:
        return place, ""
    for line in reversed(code[:at]):
        match = re.match(rf"\w+\s+(\S+),{parts[2]}$", line)
        if match:
            kept = match[1] if "(%rsp)" in match[1] else ""
            return (f"{int(parts[1] or '0', 16)}", kept) if kept else (place, "")
    return place, ""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the machine code of x86-64")
def test_log_before_store_in_machine_code() -> None:
    """Each logged store of each transaction: place, old value, length, and only then the word."""
    logged = 0
    for path in compiled_transactions():
        code = instructions(path)
        for at, line in enumerate(code):
            store = STORE.match(line)
            if store and LENGTH.match(store[2]) and store[1].startswith("%"):  # a commit stores $0
                logged += 1
                wrong = unordered(code, at)
                assert not wrong, f"{path.name}: {wrong}: {code[max(0, at - 12) : at + 8]}"
    figures.say(f"machine code: {logged} logged stores, each after its entry")
    assert logged > 100, "the code of a logged store looks otherwise than it did"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the machine code of x86-64")
def test_a_store_before_its_entry_is_seen() -> None:
    """The check above can fail: if the word is stored first, and if another word is stored."""
    length = f"{L.JOURNAL_LENGTH * L.WORD_BYTES:#x}(%rdi)"
    place, old, word = (
        "mov    %rsi,(%rdi,%rax,8)",
        "mov    %r9,8(%rdi,%rax,8)",
        "mov    %rdx,(%rcx)",
    )
    load, count = "mov    (%rcx),%r9", f"mov    %r8,{length}"
    assert unordered([load, place, old, count, word], 3) == ""
    assert unordered([load, place, word, old, count, "ret"], 4) != ""
    assert unordered([load, place, old, count, "mov %rdx,(%rbx)"], 3) != ""
    assert unordered(["ret", load, old, count, word], 3) != ""


class Compiled:
    """A member of an arena in private memory, run by the compiled core."""

    def __init__(self, world: World) -> None:
        self.words = array("Q", world.arena.tobytes())
        self.mine = array("Q", bytes(8 * world.geometry.private_words))
        world.geometry.describe_to(cast("Words", self.mine))
        self.member = Member(self.words.buffer_info()[0], self.mine.buffer_info()[0])
        self.held: dict[int, Hold] = {}

    def join(self) -> None:
        slot = self.member.find_free_slot(0)
        assert self.member.join(slot, 1000 + slot, 0)

    def alloc(self, frames: int, index: int) -> None:
        """Allocate; keep the reference under the index that the other core gave it."""
        held = self.member.reserve(frames, 0, L.BY_HAND)
        if isinstance(held, int):
            assert held == index, "the cores do not give the same status"
            return
        while self.member.take_run(held) == L.MORE:
            pass
        self.member.finish(held)
        self.held[index] = held

    def online(self) -> None:
        section = changes.find_section(self.member, changes.OFFLINE, 0, TINY.sections)
        changes.begin_online(self.member, section, L.MASK_16)
        changes.finish_online(self.member, L.MASK_16)

    def publish(self, index: int, number: int) -> None:
        name = number.to_bytes(8, "little")
        text = number.to_bytes(8, "little")
        naming.publish_name(self.member, self.held[index], name, text, L.PUBLISH_REPLACE)

    def unpublish(self, number: int) -> None:
        naming.unpublish_name(self.member, number.to_bytes(8, "little"), 0)

    def drop(self, index: int) -> None:
        release(self.held.pop(index))


class Interpreted:
    """The same member, run by the interpreted core."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.held: set[int] = set()

    def join(self) -> None:
        self.world.join()

    def alloc(self, frames: int) -> int:
        member = self.world.members[0]
        world = self.world
        obj: int = world.run(member, world.core.alloc.reserve, 0, frames, L.BY_HAND)
        if obj < L.STATUS:
            S.take_runs(world, member, obj)
            world.alone(member, world.core.alloc.describe, obj)
            world.run(member, world.core.alloc.finish, obj)
            self.held.add(obj)
        return obj

    def online(self) -> None:
        self.world.online(self.world.members[0])

    def name(self, number: int, hashed: int) -> None:
        S.name(self.world.members[0], number, number)
        self.world.members[0].mine[L.MINE_NAME_HASH] = hashed

    def publish(self, index: int, number: int, hashed: int) -> None:
        world, member = self.world, self.world.members[0]
        self.name(number, hashed)
        world.run(member, world.core.publish.publish, index, S.generation(world, index), 1)
        S.free_all(world, member)

    def unpublish(self, number: int, hashed: int) -> None:
        world, member = self.world, self.world.members[0]
        self.name(number, hashed)
        world.run(member, world.core.publish.unpublish)
        S.free_all(world, member)

    def drop(self, index: int) -> None:
        self.held.remove(index)
        S.let_go(self.world, self.world.members[0], index)


def times(core: Core) -> set[int]:
    """Return the words that hold a time, or an id of the process."""
    regions = TINY.regions()
    words = {L.SLOTS + L.SLOT_WORDS * slot + word for slot in range(TINY.slots_max)
             for word in (L.SLOT_JOINED_NS, L.SLOT_PID, L.SLOT_DESCRIPTORS)}  # fmt: skip
    words |= {regions["areas_max"].start + L.AREA_WORDS * area + L.AREA_PUBLISHED_NS
              for area in range(TINY.areas_max)}  # fmt: skip
    return words


def differing(compiled: Any, interpreted: Any, but: set[int]) -> list[int]:
    kinds = kinds_of(TINY)
    return [
        at
        for at, (one, other) in enumerate(zip(compiled, interpreted, strict=True))
        if one != other and at not in but and at not in IGNORED and kinds[at] != JOURNAL
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_same_program_gives_the_same_words(seed: int, core: Core) -> None:
    """Joining, sections, objects, names: word for word, after each step."""
    world = new_world(core, members=0, sections=0)
    one, other = Compiled(world), Interpreted(world)
    dice = random.Random(seed)
    but = times(core)
    one.join()
    other.join()
    try:
        for step in range(STEPS):
            what = dice.choice(("alloc", "alloc", "drop", "drop", "publish", "unpublish", "online"))
            if what == "alloc":
                frames = dice.choice((1, 1, 2, 3, 5))
                one.alloc(frames, other.alloc(frames))
            elif what == "drop" and other.held:
                index = dice.choice(sorted(other.held))
                one.drop(index)
                other.drop(index)
            elif what == "publish" and other.held:
                index, number = dice.choice(sorted(other.held)), dice.randrange(1, 4)
                one.publish(index, number)
                other.publish(index, number, one.mine[L.MINE_NAME_HASH])
            elif what == "unpublish":
                number = dice.randrange(1, 4)
                one.unpublish(number)
                other.unpublish(number, one.mine[L.MINE_NAME_HASH])
            elif what == "online" and world.arena[L.ZONES + L.ZONE_ONLINE] < TINY.sections:
                one.online()
                other.online()
            found = differing(one.words, world.arena, but)
            assert not found, f"step {step}, {what}: words {found[:8]} differ"
    finally:
        one.held.clear()
        closed = one.member.close()  # or fork's handlers would use words that are gone
    assert closed
