"""Rebuild the derived words of an arena from its primary words: on a copy, without members.

Primary words are only read: the header; the states of sections; the states, generations, zones and
chains of runs of objects; the object, slot, kind and counts of each holder record; the ids and
records of loans; the names and descriptions of areas, and which record belongs to which area.

Derived words are rebuilt: the tree of free frames and the numbers of each zone; all memdescs; the
`nr`, last run and counts of objects; all lists of holder records, loans and names, in both
directions; the dying list; the stacks of drops, which become empty; free lists, the first unused
record, and all counts. Then `check` tests the result.
"""

from __future__ import annotations

from scamem.backing.text import counted
from scamem.core import kinds, walk
from scamem.core.check import check_sections
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.core.store.words import high, low, pair

OFFLINE = 2  # how check_sections marks the frames of a section that is not online
FREE_OF_OWNER = bytes([1]) + bytes(255)  # frames without an owner are free until an object has them
FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
VERSION_MAX = L.ALL_ONES >> 1  # no arena publishes so often: the word is damaged
IN_USE = (L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FORKING, L.SLOT_STATE_REAPING)


class Rebuild:
    """A copy of a control file that is being repaired.

    Attributes
    ----------
    cannot : problems of primary words, which prevent a repair.
    """

    def __init__(self, words: memoryview, mine: walk.Image) -> None:
        self.words = words
        self.mine = mine
        self.cannot: list[str] = []
        self.holders: list[int] = []  # records in use
        self.used: list[set[int]] = [set() for _ in range(L.TABLES_COUNT)]

    def run(self) -> None:
        """Rebuild everything; `cannot` lists the obstacles."""
        self.words[L.LOCK] = (self.words[L.LOCK] + L.LOCK_TICKET_ONE) & ~(
            L.LOCK_SLOT_MASK | L.LOCK_FLAGS
        )
        for at in (L.JOURNAL_LENGTH, L.JOURNAL_FAILED, L.JOURNAL_DAMAGED, L.DRAINING, L.CLEANING):
            self.words[at] = 0
        for table in range(L.TABLES_COUNT):
            self.open_table(table)
        self.find_holders()
        self.renew_objects()
        if not self.cannot:
            self.renew_holder_lists()
            self.renew_loans()
            self.renew_areas()
            self.renew_frames()
        for table in range(L.TABLES_COUNT):
            self.close_table(table)

    def at(self, table: int, index: int) -> int:
        return int(walk.place(self.mine, table, index))

    # --- tables --------------------------------------------------------------------------------

    def open_table(self, table: int) -> None:
        """Make every record that may have memory readable, and note those in use."""
        control = L.TABLES + L.TABLE_WORDS * table
        most = self.mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_MAX]
        record_words = TABLE_RECORDS[table][1]
        backed = self.words[control + L.TABLE_BACKED]
        if backed > most or self.words[control + L.TABLE_NEXT] > max(backed, 1):
            # Records without memory read as zeros here, and a zero record is not in use.
            backed = most
        self.words[control + L.TABLE_NEXT] = backed
        if table == L.TABLE_RUNS:
            return  # the runs in use are those in the chain of an object
        first = self.at(table, 0)
        for index in range(1, backed):
            at = first + index * record_words
            if self.words[at + self.telling_word(table)] & self.telling_mask(table):
                self.used[table].add(index)

    def telling_word(self, table: int) -> int:
        """Return which word of a record is 0 while the record is free."""
        words = {
            L.TABLE_OBJECTS: L.OBJECT_STATE,
            L.TABLE_HOLDERS: L.HOLDER_OBJECT,
            L.TABLE_LOANS: L.LOAN_ID,
            L.TABLE_AREAS: L.AREA_SIZES,
        }
        return words[table]

    def telling_mask(self, table: int) -> int:
        if table == L.TABLE_OBJECTS:
            return L.OBJECT_STATE_MASK
        if table == L.TABLE_HOLDERS:
            return L.MASK_16 << L.HOLDER_KIND_SHIFT
        return L.ALL_ONES

    def close_table(self, table: int) -> None:
        """Chain the free records, and store the first unused one."""
        control = L.TABLES + L.TABLE_WORDS * table
        link = self.mine[L.MINE_TABLES + L.MINE_TABLE_WORDS * table + L.MINE_TABLE_LINK]
        used = self.used[table]
        end = max(used, default=0) + 1
        # A member that needs more records gives them memory; to do so twice does no harm.
        self.words[control + L.TABLE_BACKED] = end if used else 0
        self.words[control + L.TABLE_NEXT] = end
        before = 0
        for index in range(end - 1, 0, -1):
            if index not in used:
                self.words[self.at(table, index) + link] = before
                before = index
        self.words[control + L.TABLE_FREE] = before

    # --- holder records ------------------------------------------------------------------------

    def find_holders(self) -> None:
        """Find the records in use; records that were only on a stack of drops become free."""
        living = {obj for obj, _ in walk.objects_in(self.words, self.mine, walk.LIVING)}
        for record in sorted(self.used[L.TABLE_HOLDERS]):
            at = self.at(L.TABLE_HOLDERS, record)
            value = self.words[at + L.HOLDER_OBJECT]
            kind, slot, obj = value >> L.HOLDER_KIND_SHIFT, self.slot_of(record), low(value)
            self.words[at + L.HOLDER_DROPS] = 0
            if kind == L.HOLDER_DROPPED:
                self.words[at + L.HOLDER_OBJECT] = 0
                self.used[L.TABLE_HOLDERS].discard(record)
                continue
            if kind not in kinds.BY_NUMBER or slot not in self.slots_of_kind(kind):
                self.cannot.append(f"holder record {record} has no valid holder (word {value:#x})")
            elif obj not in living:
                self.cannot.append(f"holder record {record} holds object {obj}, which is not alive")
            else:
                self.holders.append(record)

    def slots_of_kind(self, kind: int) -> range:
        """Return the slots whose lists may have records of a kind."""
        slot = kinds.BY_NUMBER[kind].slot
        if slot is None:
            return range(L.SLOT_FIRST, self.mine[L.MINE_SLOTS_MAX])
        return range(slot, slot + 1)

    def slot_of(self, record: int) -> int:
        value = self.words[self.at(L.TABLE_HOLDERS, record) + L.HOLDER_OBJECT]
        return value >> L.HOLDER_SLOT_SHIFT & L.MASK_16

    def link_all(self, records: list[int], table: int, offset: int) -> None:
        """Link records in the given order, in both directions."""
        for before, record, after in zip([0, *records], records, [*records[1:], 0], strict=False):
            self.words[self.at(table, record) + offset] = pair(after, before)

    def renew_holder_lists(self) -> None:
        """Make the lists of the slots, newest first; records in transit go by their second."""
        by_slot: dict[int, list[int]] = {}
        for record in self.holders:
            by_slot.setdefault(self.slot_of(record), []).append(record)
        last = max(by_slot, default=0)
        for slot in range(self.mine[L.MINE_SLOTS_MAX]):
            state = self.words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE] & L.MASK_8
            if state in IN_USE:
                last = max(last, slot)
            elif slot >= L.SLOT_FIRST and slot in by_slot:
                count = counted(len(by_slot[slot]), "holder record")
                self.cannot.append(f"slot {slot} is free but has {count}")
        if not last < self.words[L.SLOTS_NEXT] <= self.mine[L.MINE_SLOTS_MAX]:
            self.words[L.SLOTS_NEXT] = max(last + 1, L.SLOT_FIRST)
        for slot in range(self.words[L.SLOTS_NEXT]):
            records = sorted(by_slot.get(slot, []), key=self.second_of, reverse=True)
            at = L.SLOTS + L.SLOT_WORDS * slot
            self.link_all(records, L.TABLE_HOLDERS, L.HOLDER_SLOT_LINKS)
            ends = pair(records[0], records[-1]) if records else 0
            self.words[at + L.SLOT_HOLDERS] = ends
            self.words[at + L.SLOT_HOLDERS_COUNT] = len(records)
            self.words[at + L.SLOT_DROPS] = high(self.words[at + L.SLOT_DROPS]) << L.SHIFT_32

    def second_of(self, record: int) -> tuple[int, int]:
        if self.slot_of(record) != L.SLOT_TRANSIT:
            return 0, record
        return high(self.words[self.at(L.TABLE_HOLDERS, record) + L.HOLDER_LOANS]), record

    # --- objects -------------------------------------------------------------------------------

    def renew_objects(self) -> None:
        """Make the `nr`, last run, count and list of each object, and the dying list."""
        by_object: dict[int, list[int]] = {}
        for record in self.holders:
            value = self.words[self.at(L.TABLE_HOLDERS, record) + L.HOLDER_OBJECT]
            by_object.setdefault(low(value), []).append(record)
        dying: list[int] = []
        unclean: list[int] = []
        living = 0
        for obj in sorted(self.used[L.TABLE_OBJECTS]):
            at = self.at(L.TABLE_OBJECTS, obj)
            state = self.words[at + L.OBJECT_STATE] & L.OBJECT_STATE_MASK
            if state > L.OBJECT_STATE_MOVING:
                self.cannot.append(f"object {obj} is in the unknown state {state}")
                continue
            if state == L.OBJECT_STATE_RETIRED:
                continue
            self.renew_runs(obj, at)
            records = by_object.get(obj, [])
            transit = sum(self.slot_of(record) == L.SLOT_TRANSIT for record in records)
            self.words[at + L.OBJECT_NR] = pair(low(self.words[at + L.OBJECT_NR]), len(records))
            self.words[at + L.OBJECT_HOLDERS] = pair(records[0] if records else 0, transit)
            self.link_all(records, L.TABLE_HOLDERS, L.HOLDER_OBJECT_LINKS)
            if state == L.OBJECT_STATE_DYING:
                marks = self.words[at + L.OBJECT_STATE] & L.OBJECT_UNCLEAN
                (unclean if marks else dying).append(obj)
                continue
            living += 1
            if not records:
                self.cannot.append(f"object {obj} is alive but has no holder record")
        self.words[L.OBJECTS_COUNT] = living
        for head, found in (L.DYING_HEAD, dying), (L.CLEANING_HEAD, unclean):
            for obj, following in zip(found, [*found[1:], 0], strict=False):
                self.words[self.at(L.TABLE_OBJECTS, obj) + L.OBJECT_LINK] = following
            self.words[head] = found[0] if found else 0

    def renew_runs(self, obj: int, at: int) -> None:
        """Follow the chain of runs of an object; its length and end are derived from it."""
        first = low(self.words[at + L.OBJECT_RUNS])
        records, wrong = walk.chain(self.words, self.mine, L.TABLE_RUNS, first, L.RUN_LINK)
        if wrong or not self.used[L.TABLE_RUNS].isdisjoint(records):
            wrong = wrong or "contains a run of another object"
            self.cannot.append(f"object {obj}: its chain of runs {wrong}")
            return
        self.used[L.TABLE_RUNS].update(records)
        sizes = [high(self.words[self.at(L.TABLE_RUNS, run) + L.RUN_FRAMES]) for run in records]
        self.words[at + L.OBJECT_RUNS] = pair(first, records[-1] if records else 0)
        self.words[at + L.OBJECT_NR] = sum(sizes) & L.MASK_32

    # --- loans and names -----------------------------------------------------------------------

    def renew_loans(self) -> None:
        """Link the loans to their records, newest first."""
        kinds = {record: self.slot_of(record) for record in self.holders}
        by_record: dict[int, list[int]] = {
            record: [] for record, slot in kinds.items() if slot != L.SLOT_AREAS
        }
        ids: dict[int, int] = {}
        for loan in self.used[L.TABLE_LOANS]:
            at = self.at(L.TABLE_LOANS, loan)
            record, number = self.words[at + L.LOAN_HOLDER], self.words[at + L.LOAN_ID]
            if record not in by_record or number in ids.values():
                self.cannot.append(f"loan {loan} has no valid record ({record}), or no own id")
                continue
            ids[loan] = number
            by_record[record].append(loan)
        for record, loans in by_record.items():
            loans.sort(key=ids.__getitem__, reverse=True)
            at = self.at(L.TABLE_HOLDERS, record) + L.HOLDER_LOANS
            self.words[at] = pair(loans[0] if loans else 0, high(self.words[at]))
            self.link_all(loans, L.TABLE_LOANS, L.LOAN_LINKS)
            if kinds[record] == L.SLOT_TRANSIT and not loans:
                self.cannot.append(f"holder record {record} is in transit but has no loan")
        self.words[L.LOANS_COUNT] = len(ids)
        newest = max(ids.values(), default=0)
        self.words[L.NEXT_LOAN_ID] = max(self.words[L.NEXT_LOAN_ID], newest + 1)

    def renew_areas(self) -> None:
        """Put the names into the chains of the hash table."""
        of_area: dict[int, int] = {}
        for record in self.holders:
            if self.slot_of(record) == L.SLOT_AREAS:
                area = self.words[self.at(L.TABLE_HOLDERS, record) + L.HOLDER_LOANS]
                if area in of_area or area not in self.used[L.TABLE_AREAS]:
                    self.cannot.append(f"holder record {record} has no name of its own ({area})")
                of_area[area] = record
        buckets = self.mine[L.MINE_HASH_BUCKETS]
        heads = dict.fromkeys(range(buckets), 0)
        for area in sorted(self.used[L.TABLE_AREAS]):
            at = self.at(L.TABLE_AREAS, area)
            sizes = self.words[at + L.AREA_SIZES]
            most = L.AREA_NAME_WORDS * L.WORD_BYTES, L.AREA_DESCRIPTION_WORDS * L.WORD_BYTES
            if not (0 < low(sizes) <= most[0] and high(sizes) <= most[1] and area in of_area):
                self.cannot.append(f"name {area} has an impossible length, or no holder record")
                continue
            value = self.hash_of(at, low(sizes))
            self.words[at + L.AREA_HASH] = value
            self.words[at + L.AREA_LINK] = pair(heads[value % buckets], of_area[area])
            heads[value % buckets] = area
        for bucket, area in heads.items():
            self.words[self.mine[L.MINE_HASH_AT] + bucket] = area
        self.words[L.AREAS_COUNT] = len(self.used[L.TABLE_AREAS])
        self.renew_weak_marks(of_area)
        newest = 0
        for area in self.used[L.TABLE_AREAS]:
            at = self.at(L.TABLE_AREAS, area) + L.AREA_VERSION
            if self.words[at] > VERSION_MAX:
                self.words[at] = 0
            newest = max(newest, self.words[at])
        self.words[L.NEXT_VERSION] = max(self.words[L.NEXT_VERSION], newest + 1)

    def renew_weak_marks(self, of_area: dict[int, int]) -> None:
        """Mark the objects that have a weak name; a second weak name of one becomes an ordinary."""
        for obj in self.used[L.TABLE_OBJECTS]:
            at = self.at(L.TABLE_OBJECTS, obj) + L.OBJECT_STATE
            self.words[at] &= ~L.OBJECT_WEAK & L.ALL_ONES
        for area, record in of_area.items():
            flags = self.at(L.TABLE_AREAS, area) + L.AREA_FLAGS
            obj = low(self.words[self.at(L.TABLE_HOLDERS, record) + L.HOLDER_OBJECT])
            at = self.at(L.TABLE_OBJECTS, obj)
            counted = high(self.words[at + L.OBJECT_NR])
            marked = self.words[at + L.OBJECT_STATE] & L.OBJECT_WEAK
            if self.words[flags] & L.AREA_WEAK and counted > 1 and not marked:
                self.words[at + L.OBJECT_STATE] |= L.OBJECT_WEAK
            else:
                self.words[flags] = 0

    def hash_of(self, at: int, nbytes: int) -> int:
        """Return the hash of an area's name, as `Member.store_name` makes it."""
        first = (at + L.AREA_NAME) * L.WORD_BYTES
        value = FNV_OFFSET
        for byte in self.words.cast("B")[first : first + nbytes]:
            value = ((value ^ byte) * FNV_PRIME) & L.ALL_ONES
        return value

    # --- frames --------------------------------------------------------------------------------

    def renew_frames(self) -> None:
        """Make the numbers of the zones, the memdescs, and the trees of free frames.

        The words of sections are primary: they say which sections are online, and which of their
        blocks are absent.
        """
        owners, wrong = check_sections(self.words, self.mine)
        self.cannot += [f"{found.place}: {found.message}" for found in wrong]
        free = owners.translate(FREE_OF_OWNER)
        reserved = [0] * self.mine[L.MINE_ZONES]
        memdescs: dict[int, int] = {}
        for obj, place in walk.objects_in(self.words, self.mine, walk.WITH_RUNS):
            word = self.words[place + L.OBJECT_STATE]
            state = word & L.OBJECT_STATE_MASK
            value = self.memdesc(obj, place) if state == L.OBJECT_STATE_LIVE else 0
            if state == L.OBJECT_STATE_ALLOCATING:
                zone = (word & L.OBJECT_ZONE_MASK) >> L.OBJECT_ZONE_SHIFT
                reserved[min(zone, len(reserved) - 1)] += high(self.words[place + L.OBJECT_LINK])
            for start, count in walk.runs_of(self.words, self.mine, place)[0]:
                taken = free[start : start + count]
                if count == 0 or start + count > len(free) or 0 in taken:
                    self.cannot.append(f"object {obj}: frames from {start} on are not its own")
                    return
                free[start : start + count] = bytes(count)
                memdescs.update(dict.fromkeys(range(start, start + count), value) if value else {})
        self.renew_memdescs(owners, memdescs)
        for zone, promised in enumerate(reserved):
            self.renew_zone(zone, free, promised)

    def renew_zone(self, zone: int, free: bytearray, promised: int) -> None:
        """Make the numbers and the tree of a zone, over all sections that were ever online."""
        shift = self.mine[L.MINE_SECTION_SHIFT]
        first = self.mine[walk.about_zone(zone) + L.MINE_ZONE_FIRST]
        end = first + self.mine[walk.about_zone(zone) + L.MINE_ZONE_FRAMES]
        at = self.mine[L.MINE_SECTIONS_AT]
        states = [self.words[at + k] & L.MASK_8 for k in range(first >> shift, end >> shift)]
        backed = [
            k + 1
            for k in range(len(states))
            if self.words[at + (first >> shift) + k] & L.SECTION_BACKED
        ]
        about = L.ZONES + L.ZONE_WORDS * zone
        self.words[about + L.ZONE_FREE] = free.count(1, first, end)
        self.words[about + L.ZONE_RESERVED] = promised
        self.words[about + L.ZONE_ONLINE] = sum(state in walk.USABLE for state in states)
        self.renew_tree(zone, free[first : first + (max(backed, default=0) << shift)])

    def memdesc(self, obj: int, place: int) -> int:
        generation = low(self.words[place + L.OBJECT_GENERATION])
        return (
            L.MEMDESC_SCAMEM
            | obj << L.MEMDESC_OBJECT_SHIFT
            | generation << L.MEMDESC_GENERATION_SHIFT
        )

    def renew_memdescs(self, owners: bytearray, memdescs: dict[int, int]) -> None:
        """Make the frames of each LIVE object lead to it, and no others."""
        first = self.mine[L.MINE_MEMDESCS_AT]
        known = set(memdescs.values())
        for pfn, owner in enumerate(owners):
            if owner == OFFLINE:
                continue
            said = self.words[first + pfn]
            should = memdescs.get(pfn)
            if should is not None and said != should:
                self.words[first + pfn] = should
            elif should is None and said in known:
                self.words[first + pfn] = L.MEMDESC_NONE

    def renew_tree(self, zone: int, free: bytearray) -> None:
        """Write all nodes of the tree of a zone, from the leaves up to the root."""
        shift = self.mine[L.MINE_LEAF_SHIFT]
        size = 1 << shift
        level = self.mine[L.MINE_SECTION_SHIFT] - shift
        while size << level < len(free):
            level += 1
        self.words[L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ROOT_LEVEL] = root = level
        below: list[tuple[int, int, int]] = []
        for leaf in range(len(free) >> shift):
            bits = sum(bit << k for k, bit in enumerate(free[leaf << shift : (leaf + 1) << shift]))
            self.words[walk.leaf_at(self.mine, zone, leaf)] = bits
            below.append(walk.bits_summary(bits, size))
        for level in range(1, root + 1):
            half = size << (level - 1)
            below += [(0, 0, 0)] * (len(below) % 2)
            below = [
                walk.joined(left, right, half)
                for left, right in zip(below[::2], below[1::2], strict=True)
            ]
            for index, (start, end, longest) in enumerate(below):
                at = walk.node_at(self.mine, zone, level, index)
                self.words[at + L.NODE_ENDS] = pair(start, end)
                self.words[at + L.NODE_LONGEST] = longest
