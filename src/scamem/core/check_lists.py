# cython: boundscheck=True, wraparound=True, annotation_typing=False
"""I2: an object's holder records are on its list and each on exactly one slot's; the count says
how many. Also what belongs to the records: loans, areas, and the stacks of records to be dropped.

As in check.py: nothing is stored, and nothing is trusted unchecked.
"""

import cython

from . import kinds, walk
from .walk import Image

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L


def check_lists(arena: Image, mine: Image) -> list[walk.Finding]:
    """I2: each holder record is on its object's list and on one slot's; counts say how many."""
    found: list[walk.Finding] = []
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    by_object: dict[int, int] = {}
    for obj, at in walk.objects_in(arena, mine, walk.LIVING):
        start = walk.low(arena[at + L.OBJECT_HOLDERS])
        records, wrong = walk.two_way(arena, mine, start, L.HOLDER_OBJECT_LINKS)
        members = [arena[first + r * L.HOLDER_WORDS] >> L.HOLDER_SLOT_SHIFT for r in records]
        members = [value for value in members if value >> L.MASK_16.bit_length() == L.HOLDER_MEMBER]
        if not wrong and len(records) != walk.high(arena[at + L.OBJECT_NR]):
            wrong = (
                f"counts {walk.high(arena[at + L.OBJECT_NR])} holder records, has {len(records)}"
            )
        transit = [arena[first + r * L.HOLDER_WORDS] >> L.HOLDER_KIND_SHIFT for r in records]
        if not wrong and transit.count(L.HOLDER_TRANSIT) != walk.high(arena[at + L.OBJECT_HOLDERS]):
            wrong = (
                f"counts {walk.high(arena[at + L.OBJECT_HOLDERS])} records in transit, "
                f"has {transit.count(L.HOLDER_TRANSIT)}"
            )
        if not wrong and len(set(members)) != len(members):
            wrong = "has two records of one member"
        for record in records:
            if walk.low(arena[first + record * L.HOLDER_WORDS]) != obj:
                wrong = f"lists holder record {record}, which holds another object"
            by_object[record] = obj
        if wrong:
            found.append(walk.Finding("I2", f"object {obj}", wrong))
    by_slot: dict[int, int] = {}
    for slot in range(min(arena[L.SLOTS_NEXT], mine[L.MINE_SLOTS_MAX])):
        found += check_slot_list(arena, mine, slot, by_slot)
    for record in by_object.keys() ^ by_slot.keys():
        where = "a slot's list, but no object's" if record in by_slot else "no slot's list"
        found.append(walk.Finding("I2", f"holder record {record}", f"is on {where}"))
    return (
        found
        + check_loans(arena, mine, by_slot)
        + check_areas(arena, mine, by_slot)
        + check_weak_names(arena, mine, by_slot)
        + check_drops(arena, mine, by_slot)
    )


def check_slot_list(
    arena: Image, mine: Image, slot: int, by_slot: dict[int, int]
) -> list[walk.Finding]:
    """Part of I2: one slot's list of holder records, their kinds, and its count."""
    at = L.SLOTS + L.SLOT_WORDS * slot
    newest, oldest = walk.low(arena[at + L.SLOT_HOLDERS]), walk.high(arena[at + L.SLOT_HOLDERS])
    records, wrong = walk.two_way(arena, mine, newest, L.HOLDER_SLOT_LINKS)
    kind = kinds.of_slot(slot).number
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    if not wrong and len(records) != arena[at + L.SLOT_HOLDERS_COUNT]:
        wrong = f"counts {arena[at + L.SLOT_HOLDERS_COUNT]} holder records, has {len(records)}"
    if not wrong and oldest != (records[-1] if records else 0):
        wrong = f"names the wrong oldest record, {oldest}"
    for record in records:
        whose = arena[first + record * L.HOLDER_WORDS + L.HOLDER_OBJECT] >> L.HOLDER_SLOT_SHIFT
        if whose != slot | kind << (L.HOLDER_KIND_SHIFT - L.HOLDER_SLOT_SHIFT):
            wrong = f"lists holder record {record}, which is of another kind or slot"
        if record in by_slot:
            wrong = f"lists holder record {record}, which slot {by_slot[record]} lists too"
        by_slot[record] = slot
    return [walk.Finding("I2", f"slot {slot}", wrong)] if wrong else []


def check_loans(arena: Image, mine: Image, by_slot: dict[int, int]) -> list[walk.Finding]:
    """Part of I2: each loan is on one record; a record in transit has at least one."""
    found = []
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    loans_at = walk.place(mine, L.TABLE_LOANS, 0)
    seen: set[int] = set()
    ids: set[int] = {0}
    for record, slot in by_slot.items():
        if slot == L.SLOT_AREAS:
            continue
        head = walk.low(arena[first + record * L.HOLDER_WORDS + L.HOLDER_LOANS])
        loans, wrong = walk.chain(arena, mine, L.TABLE_LOANS, head, L.LOAN_LINKS)
        before = 0
        for loan in loans:
            at = loans_at + loan * L.LOAN_WORDS
            if arena[at + L.LOAN_HOLDER] != record or loan in seen:
                wrong = f"lists loan {loan}, which belongs to another record"
            elif walk.high(arena[at + L.LOAN_LINKS]) != before:
                wrong = f"has loan {loan}, which does not link back to {before}"
            elif arena[at + L.LOAN_ID] in ids or arena[at + L.LOAN_ID] >= arena[L.NEXT_LOAN_ID]:
                wrong = f"has loan {loan} under an id that is 0, taken or not given out yet"
            ids.add(arena[at + L.LOAN_ID])
            seen.add(loan)
            before = loan
        if slot == L.SLOT_TRANSIT and not loans:
            wrong = "is in transit without a loan"
        if wrong:
            found.append(walk.Finding("I2", f"holder record {record}", wrong))
    if len(seen) != arena[L.LOANS_COUNT]:
        text = f"recorded {arena[L.LOANS_COUNT]}, counted {len(seen)}"
        found.append(walk.Finding("I2", "loans", text))
    return found + unaccounted(arena, mine, L.TABLE_LOANS, seen, "I2")


def check_areas(arena: Image, mine: Image, by_slot: dict[int, int]) -> list[walk.Finding]:
    """Part of I2: each area is in the chain of its name, and has one record of its own."""
    found = []
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    areas_at = walk.place(mine, L.TABLE_AREAS, 0)
    records = {record for record, slot in by_slot.items() if slot == L.SLOT_AREAS}
    seen: set[int] = set()
    for bucket in range(mine[L.MINE_HASH_BUCKETS]):
        head = arena[mine[L.MINE_HASH_AT] + bucket]
        areas, wrong = walk.chain(arena, mine, L.TABLE_AREAS, head, L.AREA_LINK)
        for area in areas:
            at = areas_at + area * L.AREA_WORDS
            record = walk.high(arena[at + L.AREA_LINK])
            sizes = arena[at + L.AREA_SIZES]
            if area in seen or arena[at + L.AREA_HASH] % mine[L.MINE_HASH_BUCKETS] != bucket:
                wrong = f"lists area {area}, which belongs to another bucket"
            elif record not in records:
                wrong = f"has area {area}, whose holder record {record} belongs to something else"
            elif arena[first + record * L.HOLDER_WORDS + L.HOLDER_LOANS] != area:
                wrong = f"has area {area}, whose holder record names another area"
            elif (
                not 0 < walk.low(sizes) <= L.AREA_NAME_WORDS * L.WORD_BYTES
                or walk.high(sizes) > L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES
            ):
                wrong = f"has area {area}, whose name or description has an impossible size"
            elif arena[at + L.AREA_VERSION] >= arena[L.NEXT_VERSION]:
                wrong = f"has area {area}, whose version was not given out yet"
            records.discard(record)
            seen.add(area)
        if wrong:
            found.append(walk.Finding("I2", f"name bucket {bucket}", wrong))
    for record in records:
        found.append(
            walk.Finding("I2", f"holder record {record}", "belongs to an area that does not exist")
        )
    if len(seen) != arena[L.AREAS_COUNT]:
        text = f"recorded {arena[L.AREAS_COUNT]}, counted {len(seen)}"
        found.append(walk.Finding("I2", "areas", text))
    return found + unaccounted(arena, mine, L.TABLE_AREAS, seen, "I2")


def check_weak_names(arena: Image, mine: Image, by_slot: dict[int, int]) -> list[walk.Finding]:
    """Part of I3: an object is marked exactly if it has a weak name, one, which is not its last."""
    first, areas_at = walk.place(mine, L.TABLE_HOLDERS, 0), walk.place(mine, L.TABLE_AREAS, 0)
    weak: list[int] = []
    for record in (record for record, slot in by_slot.items() if slot == L.SLOT_AREAS):
        at = first + record * L.HOLDER_WORDS
        area = arena[at + L.HOLDER_LOANS]
        if area < walk.table_end(arena, mine, L.TABLE_AREAS):
            if arena[areas_at + area * L.AREA_WORDS + L.AREA_FLAGS] & L.AREA_WEAK:
                weak.append(walk.low(arena[at + L.HOLDER_OBJECT]))
    found = []
    for obj, at in walk.objects_in(arena, mine, walk.LIVING):
        marked, names = arena[at + L.OBJECT_STATE] & L.OBJECT_WEAK != 0, weak.count(obj)
        if names != marked:
            text = f"is {'' if marked else 'not '}marked as weak, and has {names} weak names"
            found.append(walk.Finding("I3", f"object {obj}", text))
        elif marked and walk.high(arena[at + L.OBJECT_NR]) == 1:
            found.append(walk.Finding("I3", f"object {obj}", "is kept by its weak name alone"))
    return found


def check_drops(arena: Image, mine: Image, by_slot: dict[int, int]) -> list[walk.Finding]:
    """Part of I2: a member's record on a stack of drops has no counts; none is lost."""
    found = []
    first = walk.place(mine, L.TABLE_HOLDERS, 0)
    seen = {walk.low(arena[L.DRAINING])} if arena[L.DRAINING] else set()
    for slot in range(min(arena[L.SLOTS_NEXT], mine[L.MINE_SLOTS_MAX])):
        head = walk.low(arena[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_DROPS])
        records, wrong = walk.chain(arena, mine, L.TABLE_HOLDERS, head, L.HOLDER_DROPS)
        for record in records:
            at = first + record * L.HOLDER_WORDS
            kind = arena[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT
            counts = arena[at + L.HOLDER_COUNTS] | arena[at + L.HOLDER_PINS]
            if record in seen and record != walk.low(arena[L.DRAINING]):
                wrong = f"drops holder record {record}, which is on another stack"
            elif kind == L.HOLDER_MEMBER and (counts or by_slot.get(record) != slot):
                wrong = f"drops holder record {record}, which is in use or belongs to another slot"
            elif kind == 0:
                wrong = f"drops holder record {record}, which is free"
            elif kind in (L.HOLDER_AREA, L.HOLDER_QUEUE):
                wrong = f"drops holder record {record}, which does not belong to a member"
            seen.add(record)
        if wrong:
            found.append(walk.Finding("I2", f"slot {slot}", wrong))
    used = set(by_slot)
    for record in range(1, walk.table_end(arena, mine, L.TABLE_HOLDERS)):
        at = first + record * L.HOLDER_WORDS
        if arena[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT == L.HOLDER_DROPPED:
            used.add(record)
            if record not in seen:
                text = "was dropped while on a stack, but is on no stack"
                found.append(walk.Finding("I2", f"holder record {record}", text))
    return found + unaccounted(arena, mine, L.TABLE_HOLDERS, used, "I2")


def unaccounted(
    arena: Image, mine: Image, table: int, used: set[int], rule: str
) -> list[walk.Finding]:
    """Report the records of a table that are neither used nor free, or both."""
    free, wrong = walk.free_list(arena, mine, table)
    unit = walk.UNITS[table]
    found = [walk.Finding(rule, f"free {unit}s", wrong)] if wrong else []
    both = used.intersection(free)
    lost = set(range(1, walk.table_end(arena, mine, table))).difference(free, used)
    found += [walk.Finding(rule, f"{unit} {k}", "is both in use and free") for k in sorted(both)]
    found += [walk.Finding(rule, f"{unit} {k}", "is neither in use nor free") for k in sorted(lost)]
    return found
