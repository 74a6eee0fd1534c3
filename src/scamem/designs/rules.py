"""The questions that a design answers, each with the answers that are possible.

A design is a set of these answers (`Rules`) and the structs that follow from them. The
machine acts on the answers alone and knows no design by name, so a verdict changes exactly
when an answer does; `remedies.py` tries every other answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from .page_words import WordKind

CountIn = Literal["page", "object", "area", "none"]
FlagsIn = Literal["memdesc", "slot", "once", "pfn", "nowhere"]
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
FullCount = Literal["saturates", "wraps", "refuses"]


@dataclass(frozen=True, slots=True)
class Rules:
    """One design's answers, each beside its question; a design gives those that are not these."""

    word: Annotated[WordKind, "what does the page's own word hold?"] = "pointer"
    count: Annotated[CountIn, "where is the reference count?"] = "object"
    mapping: Annotated[MappingHolds, "what of a mapping holds a reference?"] = "pte"
    vma_slot: Annotated[VmaSlot, "where does a VMA keep the object?"] = "vm_private_data"
    dup_holds: Annotated[bool, "does a split, moved or forked VMA take its own reference?"] = True
    put: Annotated[PutWhen, "when does munmap drop references?"] = "after flush"
    pte: Annotated[PteKind, "does the PTE admit to having a struct page?"] = "normal"
    recheck: Annotated[bool, "does GUP-fast look again after it took the count?"] = True
    flags: Annotated[FlagsIn, "where are node, zone, section if not in the word?"] = "nowhere"
    flags_when: Annotated[FlagsWhen, "can they be asked of a live page?"] = "always"
    table: Annotated[TableName, "which table answers by pfn?"] = "range"
    pages: Annotated[ListIn, "who keeps the list of pages?"] = "object"
    area_pages: Annotated[bool, "does vm_struct keep a pages[] of its own?"] = True
    entries: Annotated[Entries, "what is an entry of that list?"] = "page"
    array: Annotated[Array, "is the list the tail of the object, or allocated beside it?"] = (
        "separate"
    )
    lists_foreign: Annotated[bool, "may the object list pages that belong to others?"] = False
    area_ends: Annotated[AreaEnds, "when do the addresses and vm_struct go?"] = "vfree"
    charge: Annotated[ChargeIn, "where is the memory cgroup's pointer?"] = "area"
    memory: Annotated[ObjectMemory, "how is the object's own memory freed?"] = "typesafe"
    poison: Annotated[PoisonIn, "where does memory-failure leave its mark?"] = "word"
    offline: Annotated[OfflineAsks, "what does has_unmovable_pages() look at?"] = "refcount"
    insert_check: Annotated[InsertCheck, "which pages does vm_insert_page() take?"] = "untyped"
    vmap: Annotated[Vmap, "does vmap() write the words of pages it is given?"] = "leaves words"
    longterm: Annotated[Longterm, "what does a long-term pin look at?"] = "zone"
    typed: Annotated[Typed, "when does a kernel stack's page get its type?"] = "no stack type"
    full_count: Annotated[FullCount, "what does a count do that is full?"] = "saturates"
    mapcount: Annotated[bool, "does each page count its mappings?"] = False
    pure_sections: Annotated[bool, "is every section of one node and zone by construction?"] = False

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
    found = []
    for rule, hint in get_type_hints(Rules, include_extras=True).items():
        kind, text = get_args(hint)
        answers = get_args(kind) if get_origin(kind) is Literal else (True, False)
        found.append(Question(rule, text, answers))
    return found


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
