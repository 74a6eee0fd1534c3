"""The questions that a design answers, each with the answers that are possible.

A design is a set of these answers (`Rules`) and the structs that follow from them. The
machine acts on the answers alone and knows no design by name, so a verdict changes exactly
when an answer does; `remedies.py` tries every other answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from .page_words import WordKind

CountIn = Literal["page", "object", "area", "none"]
FlagsIn = Literal["memdesc", "slot", "pfn", "nowhere"]
FlagsWhen = Literal["always", "freeing"]
TableName = Literal["range", "pageblock", "section"]
ListIn = Literal["area", "object"]
Entries = Literal["page", "pfn", "run"]
Array = Literal["trailing", "separate"]
MappingHolds = Literal["pte", "vma", "none"]
VmaSlot = Literal["vm_private_data", "vm_file", "own field"]
PutWhen = Literal["after flush", "at zap"]
PteKind = Literal["normal", "special"]
AreaEnds = Literal["vfree", "last reference"]
ChargeIn = Literal["page", "object", "area"]
ObjectMemory = Literal["permanent", "typesafe", "kfree_rcu", "kfree"]
PoisonIn = Literal["page flag", "word", "object"]
OfflineAsks = Literal["refcount", "type"]
InsertCheck = Literal["untyped", "mappable"]
Vmap = Literal["leaves words", "claims words"]
Longterm = Literal["zone", "type"]
Typed = Literal["at allocation", "afterwards", "no stack type"]

Answer = TypeVar("Answer")


def answer(usual: Answer, question: str) -> Answer:
    """A field of `Rules`: the answer of a design that says nothing else, and the question."""
    found: Answer = dataclasses.field(default=usual, metadata={"question": question})
    return found


@dataclass(frozen=True, slots=True)
class Rules:
    """One design's answers, each beside its question; a design gives those that are not these."""

    word: WordKind = answer("pointer", "what does the page's own word hold?")
    count: CountIn = answer("object", "where is the reference count?")
    mapping: MappingHolds = answer("pte", "what of a mapping holds a reference?")
    vma_slot: VmaSlot = answer("vm_private_data", "where does a VMA keep the object?")
    dup_holds: bool = answer(True, "does a split, moved or forked VMA take its own reference?")
    put: PutWhen = answer("after flush", "when does munmap drop references?")
    pte: PteKind = answer("normal", "does the PTE admit to having a struct page?")
    recheck: bool = answer(True, "does GUP-fast look again after it took the count?")
    flags: FlagsIn = answer("nowhere", "where are node, zone, section if not in the word?")
    flags_when: FlagsWhen = answer("always", "can they be asked of a live page?")
    table: TableName = answer("range", "which table answers by pfn?")
    pages: ListIn = answer("object", "who keeps the list of pages?")
    area_pages: bool = answer(True, "does vm_struct keep a pages[] of its own?")
    entries: Entries = answer("page", "what is an entry of that list?")
    array: Array = answer("separate", "is the list the tail of the object, or allocated beside it?")
    lists_foreign: bool = answer(False, "may the object list pages that belong to others?")
    area_ends: AreaEnds = answer("vfree", "when do the addresses and vm_struct go?")
    charge: ChargeIn = answer("area", "where is the memory cgroup's pointer?")
    memory: ObjectMemory = answer("typesafe", "how is the object's own memory freed?")
    poison: PoisonIn = answer("word", "where does memory-failure leave its mark?")
    offline: OfflineAsks = answer("refcount", "what does has_unmovable_pages() look at?")
    insert_check: InsertCheck = answer("untyped", "which pages does vm_insert_page() take?")
    vmap: Vmap = answer("leaves words", "does vmap() write the words of pages it is given?")
    longterm: Longterm = answer("zone", "what does a long-term pin look at?")
    typed: Typed = answer("no stack type", "when does a kernel stack's page get its type?")
    mapcount: bool = answer(False, "does each page count its mappings?")
    pure_sections: bool = answer(False, "is every section of one node and zone by construction?")

    def flips(self) -> Iterator[tuple[str, object]]:
        """Every other single answer: (rule, value)."""
        for question in questions():
            for choice in question.answers:
                if choice != getattr(self, question.rule):
                    yield question.rule, choice


@dataclass(frozen=True, slots=True)
class Question:
    """One question of `Rules`, and all answers that are possible."""

    rule: str
    text: str
    answers: tuple[object, ...]

    def spelled(self) -> dict[str, object]:
        """The answers by how they are typed on a command line."""
        return {str(a).lower() if isinstance(a, bool) else str(a): a for a in self.answers}


def questions() -> list[Question]:
    """Every question, in the order of `Rules`."""
    hints = get_type_hints(Rules)
    return [
        Question(
            item.name,
            item.metadata["question"],
            get_args(hints[item.name])
            if get_origin(hints[item.name]) is Literal
            else (True, False),
        )
        for item in dataclasses.fields(Rules)
    ]


def parse_flip(text: str) -> tuple[str, object]:
    """`rule=value` as typed on a command line.

    Raises
    ------
    ValueError : names the rules, or the values of that rule.
    """
    name, equals, value = text.partition("=")
    known = {question.rule: question.spelled() for question in questions()}
    if not equals or name not in known:
        raise ValueError(f"asked for rule {text!r}; write RULE=VALUE, RULE one of {sorted(known)}")
    if value not in known[name]:
        raise ValueError(f"asked for {name}={value!r}; it can be {sorted(known[name])}")
    return name, known[name][value]
