"""The questions that a design answers, each with the answers that are possible.

A design is a set of these answers (`Rules`) and the structs that follow from them. The
machine acts on the answers alone and knows no design by name, so a verdict changes exactly
when an answer does; `remedies.py` tries every other answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

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


@dataclass(frozen=True, slots=True)
class Rules:
    """One design's answers. The comment beside each is the question."""

    word: WordKind = "pointer"  # what does the page's own word hold?
    count: CountIn = "object"  # where is the reference count?
    mapping: MappingHolds = "pte"  # what of a mapping holds a reference?
    vma_slot: VmaSlot = "vm_private_data"  # where does a VMA keep the object?
    dup_holds: bool = True  # does a split, moved or forked VMA take its own reference?
    put: PutWhen = "after flush"  # when does munmap drop references?
    pte: PteKind = "normal"  # does the PTE admit to having a struct page?
    recheck: bool = True  # does GUP-fast look again after it took the count?
    flags: FlagsIn = "nowhere"  # where are node, zone, section if not in the word?
    flags_when: FlagsWhen = "always"  # can they be asked of a live page?
    table: TableName = "range"  # which table answers by pfn?
    pages: ListIn = "object"  # who keeps the list of pages?
    area_pages: bool = True  # does vm_struct keep a pages[] of its own?
    entries: Entries = "page"  # what is an entry of that list?
    array: Array = "separate"  # is the list the tail of the object, or allocated beside it?
    lists_foreign: bool = False  # may the object list pages that belong to others?
    area_ends: AreaEnds = "vfree"  # when do the addresses and vm_struct go?
    charge: ChargeIn = "area"  # where is the memory cgroup's pointer?
    memory: ObjectMemory = "typesafe"  # how is the object's own memory freed?
    poison: PoisonIn = "word"  # where does memory-failure leave its mark?
    offline: OfflineAsks = "refcount"  # what does has_unmovable_pages() look at?
    insert_check: InsertCheck = "untyped"  # which pages does vm_insert_page() take? (P25 only)
    vmap: Vmap = "leaves words"  # does vmap() write the words of pages it is given?
    longterm: Longterm = "zone"  # what does a long-term pin look at?
    typed: Typed = "no stack type"  # when does a kernel stack's page get its type?
    mapcount: bool = False  # does each page count its mappings?
    pure_sections: bool = False  # is every section of one node and zone by construction?

    def flips(self) -> Iterator[tuple[str, object]]:
        """Every other single answer: (rule, value)."""
        hints = get_type_hints(Rules)
        for item in dataclasses.fields(self):
            hint = hints[item.name]
            choices = get_args(hint) if get_origin(hint) is Literal else (True, False)
            for choice in choices:
                if choice != getattr(self, item.name):
                    yield item.name, choice


def parse_flip(text: str) -> tuple[str, object]:
    """`rule=value` as typed on a command line.

    Raises
    ------
    ValueError : names the rules, or the values of that rule.
    """
    name, equals, value = text.partition("=")
    hints = get_type_hints(Rules)
    if not equals or name not in hints:
        raise ValueError(f"asked for rule {text!r}; write RULE=VALUE, RULE one of {sorted(hints)}")
    hint = hints[name]
    choices: dict[str, object] = {"true": True, "false": False}
    if get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in get_args(hint)}
    if value not in choices:
        raise ValueError(f"asked for {name}={value!r}; it can be {sorted(choices)}")
    return name, choices[value]
