"""The two axes against each other: every object layout under every page word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .design import Design
from .page_words import WordKind
from .scenarios import verdicts

WORDS: tuple[WordKind, ...] = ("pointer", "flags", "both")


@dataclass(frozen=True, slots=True)
class Point:
    """One layout under one word: bytes a page for the word, and how its scenarios end."""

    design: str
    word: WordKind
    own: bool
    """Whether this is the word that the design was written with."""
    word_bytes: int
    passed: int
    failed: int
    failing_paths: tuple[str, ...]


def grid(designs: Sequence[Design]) -> list[Point]:
    """Every design under every word that it could have; struct page is a row of its own."""
    points = []
    for design in designs:
        if design.rules.word == "struct page":
            continue
        for word in WORDS:
            moved = design if design.rules.word == word else design.with_rules(word=word)
            cells = verdicts([moved])
            failing = [cell.path for cell in cells if cell.verdict == "fail"]
            points.append(
                Point(
                    design.name,
                    word,
                    design.rules.word == word,
                    moved.page_struct().size(),
                    sum(cell.verdict == "pass" for cell in cells),
                    len(failing),
                    tuple(dict.fromkeys(failing)),
                )
            )
    return points
