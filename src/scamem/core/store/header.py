"""The header of a control file: written once, and trusted only if all of it is right."""

from __future__ import annotations

from itertools import chain

from . import layout as L
from .geometry import Geometry
from .words import WordArray


def checksum(words: WordArray) -> int:
    """Return a 64-bit FNV-1a over header and spans: it detects damage, not malice."""
    value = L.CHECKSUM_START
    covered = (
        range(L.HEADER_VERSION, L.HEADER_CHECKSUM),
        range(L.SPANS, L.SPANS + L.SPAN_WORDS * L.ZONES_MAX),
    )
    for at in chain(*covered):
        value = ((value ^ words[at]) * L.CHECKSUM_FACTOR) & L.ALL_ONES
    return value


def settings_word(settings: int) -> int:
    """Return the header's word for some settings; a single flipped bit is always detected."""
    return settings | (settings ^ L.MASK_32) << L.SHIFT_32


def write_header(
    words: WordArray, geometry: Geometry, arena_id: int, now_ns: int, settings: int = 0
) -> None:
    """Write a new control file's header and first global words; the rest is zeros."""
    words[L.HEADER_VERSION] = L.VERSION
    words[L.HEADER_BYTE_ORDER] = L.BYTE_ORDER
    words[L.HEADER_ID_LOW] = arena_id & L.ALL_ONES
    words[L.HEADER_ID_HIGH] = arena_id >> 64
    for k, value in enumerate(geometry.words()):
        words[L.HEADER_GEOMETRY + k] = value
    for k, value in enumerate(geometry.span_words()):
        words[L.SPANS + k] = value
    words[L.HEADER_CREATED_NS] = now_ns
    words[L.HEADER_SETTINGS] = settings_word(settings)
    words[L.NEXT_INCARNATION] = 1
    words[L.NEXT_LOAN_ID] = 1
    words[L.NEXT_VERSION] = 1
    words[L.LOANS_LIMIT] = geometry.loans_max - 1
    words[L.TRANSIT_GRACE_S] = L.TRANSIT_GRACE_DEFAULT_S
    words[L.SLOTS_NEXT] = L.SLOT_FIRST
    for table in range(L.TABLES_COUNT):
        control = L.TABLES + L.TABLE_WORDS * table
        words[control + L.TABLE_NEXT] = 1
        words[control + L.TABLE_BACKED] = 0
    share = geometry.frames // L.RETENTION_SHARE
    words[L.RETENTION_FRAMES] = max(share, L.RETENTION_FRAMES_MIN)
    for zone in range(geometry.zones):
        root = L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ROOT_LEVEL
        words[root] = geometry.section_shift - geometry.leaf_shift
    words[L.HEADER_CHECKSUM] = checksum(words)
    words[L.HEADER_MAGIC] = L.MAGIC  # last: a file without it was never finished


def header_problems(words: WordArray, size_words: int) -> list[str]:
    """Describe why a control file cannot be trusted; empty if it can."""
    if size_words < L.SLOTS:
        return [f"the file has {size_words * 8:,} bytes, too few for a header"]
    if words[L.HEADER_MAGIC] != L.MAGIC:
        return ["it does not begin with the magic word of scamem"]
    if words[L.HEADER_BYTE_ORDER] != L.BYTE_ORDER:
        return ["it was written with another byte order"]
    if words[L.HEADER_VERSION] != L.VERSION:
        return [f"its layout has version {words[L.HEADER_VERSION]}, not {L.VERSION}"]
    if words[L.HEADER_CHECKSUM] != checksum(words):
        return ["the checksum of its header is wrong"]
    settings = words[L.HEADER_SETTINGS] & L.MASK_32
    if words[L.HEADER_SETTINGS] != settings_word(settings) or settings & ~L.SETTINGS_KNOWN:
        return ["this version does not know its settings"]
    geometry = Geometry.from_words(words)
    found = geometry.problems()
    if not found and geometry.control_words > size_words:
        found.append(
            f"the file has {size_words * 8:,} bytes, its geometry needs "
            f"{geometry.control_words * 8:,}"
        )
    return found


def arena_id(words: WordArray) -> int:
    """Return the 128-bit id from a header."""
    return words[L.HEADER_ID_LOW] | words[L.HEADER_ID_HIGH] << 64
