"""Where every word of the control file is, and what its bits mean.

This module is the one place for offsets, bits, limits and states; `layout.pxd` (C constants) and
the reference page are generated from it. All sizes are in words of 64 bits unless a name says
otherwise. A record index of 0 means "none": every table's first record is left unused.

The control file begins with the header and the global words below, followed by the tables. Their
places depend on the geometry (`geometry.py`). They are checked once at joining and kept in the
member's private words, so that no word that another process can change is used as an address.
"""

WORD_BYTES = 8
MASK_8 = 0xFF
MASK_16 = 0xFFFF
MASK_24 = 0xFFFFFF
MASK_28 = 0xFFFFFFF
MASK_32 = 0xFFFFFFFF
SHIFT_32 = 32
ALL_ONES = 0xFFFFFFFFFFFFFFFF

# --- header: written once, before others can see the file ---------------------------------------
HEADER_MAGIC = 0
HEADER_VERSION = 1
HEADER_BYTE_ORDER = 2
HEADER_ID_LOW = 3
HEADER_ID_HIGH = 4
HEADER_GEOMETRY = 5  # the words of Geometry.words(), GEOMETRY_WORDS of them
GEOMETRY_WORDS = 13
HEADER_CHECKSUM = 18
HEADER_CREATED_NS = 19  # CLOCK_MONOTONIC at creation; transit counts seconds from it
HEADER_BOOT_LOW = 20  # boot id: outside the checksum, since recovery after a reboot replaces it
HEADER_BOOT_HIGH = 21
HEADER_FRAMES_DEVICE = 22  # of an anonymous arena's frame file, which has no path
HEADER_FRAMES_INODE = 23
HEADER_HUGE_DEVICE = 24  # of the file of zone HUGE, 0 without one
HEADER_HUGE_INODE = 25
HEADER_SETTINGS = 28  # {SETTING_ bits 32, the same inverted 32}: decided by its creator, for good
HEADER_WORDS = 32
SETTING_INIT_ON_ALLOC = 1
SETTINGS_KNOWN = 1  # all SETTING_ bits of this version
CHECKSUM_START = 0xCBF29CE484222325  # 64-bit FNV-1a
CHECKSUM_FACTOR = 0x100000001B3

MAGIC = 0x6D656D6163730A1A  # "\x1a\nscamem" read as little-endian bytes
VERSION = 3
BYTE_ORDER = 0x0102030405060708

# --- the stop hook of test builds (words.h): which process halts at which store -----------------
STOP_PID = 32
STOP_COUNTDOWN = 33
STOP_SIGNAL = 34
STOP_HITS = 35

# --- the lock: {ticket 46, flags 2, slot 16}; the futex is its low half -------------------------
LOCK = 40
LOCK_SLOT_MASK = 0xFFFF
LOCK_WAITERS = 0x10000
LOCK_DROPS = 0x20000
LOCK_FLAGS = 0x30000
LOCK_TICKET_SHIFT = 18
LOCK_TICKET_ONE = 0x40000
LOCK_TAKEOVERS = 41  # unlogged: how often a dead holder's lock was taken over
LOCK_ROLLBACKS = 42  # unlogged: how many words those takeovers restored

# --- the journal --------------------------------------------------------------------------------
JOURNAL_LENGTH = 48
JOURNAL_FAILED = 49  # unlogged: ensure() failed in the current transaction
JOURNAL_DAMAGED = 50  # unlogged, sticky: the arena refuses further work
JOURNAL_ENTRIES = 4096  # first of JOURNAL_ENTRIES_MAX pairs {place, old value}
JOURNAL_ENTRIES_MAX = 1024
JOURNAL_ENTRY_WORDS = 2

# --- global words (logged) ----------------------------------------------------------------------
NEXT_INCARNATION = 64
NEXT_LOAN_ID = 65
DYING_HEAD = 66  # first object whose runs still have to be given back
CHANGING = 67  # {section + 1 : 32, slot : 16} or 0; one member changes one section at a time
CHANGING_INCARNATION = 68
AREAS_COUNT = 69
OBJECTS_COUNT = 70  # objects ALLOCATING or LIVE
LOANS_COUNT = 71
LOANS_LIMIT = 72
SLOTS_NEXT = 73  # first slot that was never used
TRANSIT_GRACE_S = 74
REAPED_MEMBERS = 75  # how many dead members were reaped, for reports
REAPED_HOLDERS = 76
LOANS_ORPHANED = 77  # holder records that ever turned over to the arena
CLEANING_HEAD = 78  # first DYING object whose frames must be cleaned before they are free
CLEANING = 79  # {object 32, slot 16} or 0; one member cleans at a time
CLEANING_INCARNATION = 82
RETENTION_FRAMES = 83  # free frames that are kept; more than these are given back automatically
POPULATED_S = 84  # unlogged: second of CLOCK_MONOTONIC when trimmed memory was last needed again
NEXT_VERSION = 85  # of the next publish, of any name; a version is never used again
DRAINING = 81  # unlogged: {record being popped 32, its slot 16, low bits of its pops 16}

# --- tables with free lists: {free head, next fresh, backed} per table --------------------------
TABLES = 96
TABLE_WORDS = 4
TABLES_MAX = 16
TABLE_FREE = 0
TABLE_NEXT = 1
TABLE_BACKED = 2
TABLE_OBJECTS = 0
TABLE_HOLDERS = 1
TABLE_RUNS = 2
TABLE_LOANS = 3
TABLE_AREAS = 4
TABLES_COUNT = 5

# --- zones: frames of one kind on one node ------------------------------------------------------
ZONES = 160
ZONE_WORDS = 8
ZONES_MAX = 16
ZONE_FREE = 0  # frames in free runs
ZONE_RESERVED = 1  # of those, promised to large requests under way
ZONE_ROOT_LEVEL = 2  # level of the tree node that covers all online sections
ZONE_ONLINE = 3  # sections whose frames can be used: ONLINE, TRIMMING, POPULATING
ZONE_NORMAL = 0  # the first zone, which every arena has: frames of 4 KiB
KIND_NORMAL = 0  # frames of 4 KiB
KIND_HUGE = 1  # frames of 2 MiB: runs of such a zone begin and end with whole huge pages
HUGE_FRAMES = 512  # a huge page, counted in frames of 4 KiB like everything else

# --- spans: which zones there are, in the order of their frames; the header's checksum has them --
SPANS = 288
SPAN_WORDS = 2
SPAN_PLACE = 0  # {node 16, kind 16}
SPAN_SECTIONS = 1
SPAN_KIND_SHIFT = 16
NODES_MAX = 1024

# --- event words: counters that members wait on, each a futex (its low half); unlogged -----------
EVENTS_AWAITED = 320  # one bit per event: a member may be waiting for it
EVENTS = 384
EVENTS_MAX = 256  # two conditions may share an event: a waiter checks again whenever it wakes
EVENTS_SHIFT = 6  # log2 of the events per word of EVENTS_AWAITED
EVENTS_MASK = 63
EVENT_AREAS = 0  # a name was published

# --- slots of members: SLOT_WORDS each ----------------------------------------------------------
SLOTS = 8192
SLOT_WORDS = 16
SLOT_STATE = 0  # {state 8, unused 8, parent slot 16 while FORKING}
SLOT_INCARNATION = 1
SLOT_PID = 2
SLOT_JOINED_NS = 3
SLOT_HOLDERS = 4  # {newest 32, oldest 32}: the member's list
SLOT_HOLDERS_COUNT = 5
SLOT_DROPS = 6  # unlogged: {top of the stack of records without counts 32, number of pops 32}
SLOT_DESCRIPTORS = 7  # unlogged: {control 32, frames 32}: descriptors, for joining through /proc
SLOT_PARENT_SHIFT = 16
SLOT_AREAS = 0  # not a member: the list of records that areas hold
SLOT_TRANSIT = 1  # not a member: the list of records whose loans outlive their lender
SLOT_GUEST = 2  # never ACTIVE: lent to a joiner that must reap before a slot is free
SLOT_FIRST = 3

SLOT_STATE_FREE = 0
SLOT_STATE_ACTIVE = 1
SLOT_STATE_FORKING = 2
SLOT_STATE_REAPING = 3

# --- sections: SECTION_WORDS each ---------------------------------------------------------------
SECTION_WORDS = 1
SECTION_STATE = 0  # {state 8, flags 8, unused 16, absent blocks 16, unpunched blocks 16}
SECTION_BACKED = 0x100  # its memdescs and its part of the tree have memory
SECTION_KEPT = 0x200  # taken offline by hand: it only comes online by hand
SECTION_ABSENT_SHIFT = 32  # blocks without memory, whose frames cannot be allocated
SECTION_UNPUNCHED_SHIFT = 48  # absent or offline blocks that may have memory nevertheless
SECTION_BLOCKS_MAX = 4  # so that one transaction can give or take them all
SECTION_STATE_OFFLINE = 0
SECTION_STATE_ONLINING = 1
SECTION_STATE_ONLINE = 2
SECTION_STATE_OFFLINING = 3
SECTION_STATE_TRIMMING = 4
SECTION_STATE_POPULATING = 5

# --- memdesc: {type 4, object 28, generation 32} ------------------------------------------------
MEMDESC_TYPE_MASK = 0xF
MEMDESC_OBJECT_SHIFT = 4
MEMDESC_GENERATION_SHIFT = 32
MEMDESC_NONE = 0
MEMDESC_SCAMEM = 1

# --- object records -----------------------------------------------------------------------------
OBJECT_WORDS = 6
OBJECT_STATE = 0  # {state 4, zone 4, flags 8, owner's slot 16, owner's incarnation 32}
# of a LIVE object, which has no owner, the upper half counts how often its frames changed
OBJECT_GENERATION = 1
OBJECT_NR = 2  # {frames 32, holder records 32}
OBJECT_RUNS = 3  # {first run 32, last run 32}
OBJECT_HOLDERS = 4  # {first holder 32, how many of them are in transit 32}
OBJECT_LINK = 5  # {next free or dying object 32, frames still reserved 32}
# of a LIVE object: its sequence word, which no transaction stores (core/sync/sequence.py)
OBJECT_STATE_MASK = 0xF
OBJECT_ZONE_SHIFT = 4
OBJECT_ZONE_MASK = 0xF0
OBJECT_STATE_ZONE_FLAGS = 0xFFFF
OBJECT_FLAGS_MASK = 0xFF00  # kept across states until the record is free again
OBJECT_TAINTED = 0x100  # a dead member had I/O under way: its pages must not be used again
OBJECT_MOVED = 0x200  # memdescs of its frames may name another object
OBJECT_MIGRATING = 0x400  # a copy of its frames is under way; any new holder clears this
OBJECT_UNCLEAN = 0x300  # TAINTED or MOVED: its frames are cleaned before they are free
OBJECT_PICKLED = 0x800  # its bytes are a pickle that a member of this arena wrote
OBJECT_OWNER_SHIFT = 16
OBJECT_STATE_FREE = 0
OBJECT_STATE_ALLOCATING = 1
OBJECT_STATE_LIVE = 2
OBJECT_STATE_DYING = 3
OBJECT_STATE_RETIRED = 4
OBJECT_STATE_MOVING = 5
OBJECT_CHANGE_ONE = 0x100000000  # in the upper half of a LIVE object's state

# --- run records --------------------------------------------------------------------------------
HOLDERS_LOOKED_AT_MAX = 64  # an object with more holders is not migrated
RUN_WORDS = 2
RUN_FRAMES = 0  # {first pfn 32, frames 32}
RUN_LINK = 1  # {next run or next free record 32}

# --- holder records -----------------------------------------------------------------------------
HOLDER_WORDS = 7
HOLDER_OBJECT = 0  # {object 32, slot 16, kind 8}
HOLDER_OBJECT_LINKS = 1  # {next 32, previous 32} in the object's list; next free record
HOLDER_SLOT_LINKS = 2  # {older 32, newer 32} in the member's list
HOLDER_COUNTS = 3  # unlogged, stored by its member: {mappings 24, hands 24, I/O pins 16}
HOLDER_PINS = 4  # unlogged, stored by its member: pins
HOLDER_LOANS = 5  # {first loan 32, second of turning over 32}; of an area: {area 32, 0}
HOLDER_DROPS = 6  # unlogged: next record on the drop stack; DROPS_END: the last; 0: on no stack
HOLDER_SLOT_SHIFT = 32
HOLDER_KIND_SHIFT = 48
HOLDER_MEMBER = 1
HOLDER_AREA = 2
HOLDER_TRANSIT = 3
HOLDER_DROPPED = 4  # off all lists, but still on a drop stack: free when it is popped
COUNT_MAPPING = 1
COUNT_HAND = 0x1000000
COUNT_IO = 0x1000000000000
COUNT_HANDS_SHIFT = 24
COUNT_IO_SHIFT = 48
DROPS_END = 0xFFFFFFFF  # last record of a drop stack, since 0 means "not on a stack"
DRAINING_POPS_SHIFT = 48
DROPS_AT_ONCE = 8  # records that one unlocking member drops for others

# ways in which a member can hold an object
BY_MAPPING = 0
BY_HAND = 1
BY_PIN = 2
BY_IO = 3

# --- loan records -------------------------------------------------------------------------------
LOAN_WORDS = 4
LOAN_ID = 0
LOAN_HOLDER = 1
LOAN_LINKS = 2  # {next 32, previous 32} in the lender's list; next free record
LOAN_LENT_NS = 3

# --- area records -------------------------------------------------------------------------------
AREA_WORDS = 128
AREA_LINK = 0  # {next in the hash chain or next free record 32, holder 32}
AREA_HASH = 1
AREA_SIZES = 2  # {bytes of the name 32, bytes of the description 32}
AREA_PUBLISHED_NS = 3
AREA_VERSION = 4  # grows with each publish of any name
AREA_NAME = 8
AREA_NAME_WORDS = 32
AREA_DESCRIPTION = 40
AREA_DESCRIPTION_WORDS = 88

# --- the tree of free frames --------------------------------------------------------------------
NODE_WORDS = 2
NODE_ENDS = 0  # {free frames at its start 32, at its end 32}
NODE_LONGEST = 1
LEAF_FRAMES_MAX = 64
LEVELS_MAX = 40

# --- a member's private words -------------------------------------------------------------------
MINE_SLOT = 0
MINE_INCARNATION = 1
MINE_FRAMES = 2  # frames of the whole arena, all zones
MINE_LEAF_SHIFT = 3
MINE_SECTION_SHIFT = 4
MINE_SECTIONS = 5
MINE_SLOTS_MAX = 6
MINE_HASH_BUCKETS = 7
MINE_SECTIONS_AT = 8
MINE_MEMDESCS_AT = 10
MINE_HASH_AT = 11
MINE_ZONES = 12
MINE_SECTION_TREE_WORDS = 13
MINE_CONTROL_WORDS = 14
MINE_BLOCK_SHIFT = 15
MINE_ZONE_TABLE = 16  # per zone: first frame, frames, its trees
MINE_ZONE_WORDS = 5
MINE_ZONE_FIRST = 0
MINE_ZONE_FRAMES = 1
MINE_ZONE_TOP_AT = 2
MINE_ZONE_TOP_HEIGHT = 3
MINE_ZONE_TREES_AT = 4  # the tree of its first section
MINE_TREE_HEIGHT = 96  # levels of a section's tree above its leaves
MINE_TABLES = 100  # per table: {place, words a record, link's offset, records}
MINE_TABLE_WORDS = 4
MINE_TABLE_AT = 0
MINE_TABLE_RECORD = 1
MINE_TABLE_LINK = 2
MINE_TABLE_MAX = 3
# a name and a description on their way into or out of the arena
MINE_NAME_HASH = 168
MINE_NAME_BYTES = 169
MINE_DESCRIPTION_BYTES = 170
MINE_VERSION = 171
MINE_NAME = 172
MINE_DESCRIPTION = 204
# the table of this member's own records, one word per object: {record 32, epoch 32}. There are two,
# since fork fills the child's while the parent uses its own (private.py).
MINE_EPOCH = 296
MINE_RECORDS_AT = 297
MINE_OTHER_AT = 298
# for fork handlers and deallocations, which cannot use Python objects
MINE_CONTROL_FD = 304
MINE_CONTROL_DEVICE = 305
MINE_CONTROL_INODE = 306
MINE_SLOT_PAGE = 307  # address of the page that keeps this member's slot lock
MINE_CHILD_SLOT = 308  # while forking: the child's slot, its page, and whether everything succeeded
MINE_CHILD_PAGE = 309
MINE_CHILD_READY = 310
MINE_STATUS = 311  # one of the MEMBER_ values
MINE_RANGES = 312  # address of the table of this process's mappings {address, bytes}; its use
MINE_RANGES_COUNT = 313
MINE_RANGES_MAX = 314
MINE_ARRIVING = 315  # 1: a forked child that has not yet stored its pid
MINE_REAPED = 316  # members that this process has reaped
MINE_DIRECT = 317  # address of the direct map, through which frames are cleaned
MINE_SURPLUS = 318  # 1: a release left free memory to trim, or frames to clean
MINE_MIGRATING = 319  # object that this process is about to migrate; 0: a thread looked at it
MINE_CLEANING = 320  # 1: a thread of this process cleans frames, without the local lock
MINE_BUSY = 321  # threads of this process that work here without the local lock
MINE_NUMBER = 322  # the arena's number in this process (LOCAL_JOINED)
MINE_LOANS_NEXT = 323  # where this member continues its search for loans that nobody needs
MINE_LOANS_SINCE = 324  # all loans seen in this turn through the table were lent then or later
MINE_LOANS_OLDEST = 325  # the same for all loans, at the end of the last turn
MINE_TABLES_AT = 384

# --- the words of a process, for all arenas that it has joined -----------------------------------
LOCAL_LOCK = 0  # 0: free; 1: held; 2: held, and others wait
LOCAL_UNMAPPED = 1  # mappings of stitched views that were ever given back
LOCAL_LEFT = 2  # 1: a deallocation left a reference below, because the lock was held
LOCAL_JOINED = 3  # numbers of joined arenas are below this; a number is used again
LOCAL_LEFT_AT = 8  # references to release: {object 32, arena's number 24, by 8}, or 0
LOCAL_LEFT_MAX = 56
LOCAL_LEFT_NUMBER_SHIFT = 32
LOCAL_LEFT_BY_SHIFT = 56
LOCAL_WORDS = 64

# --- the words of one wait for the arena's lock (procedures/waiting.py) --------------------------
WATCH_SEEN = 0  # the lock word, without flags, when this wait last looked; 0: not yet
WATCH_HELD_NS = 1  # how long this same acquisition was seen to last
WATCH_SPENT_NS = 2  # how long the wait was seen to last
WATCH_LAST_NS = 3  # when time was last counted
WATCH_LIMIT_NS = 4  # how long one acquisition may last
WATCH_NAP = 5  # the lock word to nap on; 0: look again at once
WATCH_WORDS = 8

MEMBER_ACTIVE = 1
MEMBER_LOST = 2  # a forked child for which no slot or record was available
MEMBER_CLOSED = 3

# --- what transactions return: a record's index, or one of these --------------------------------
STATUS = 0x100000000  # at and above: not an index
OK = 0
BUSY = 0x100000001
NO_FRAMES = 0x100000002
NO_RECORDS = 0x100000010  # + table
NO_SLOTS = 0x100000003
STALE = 0x100000004
DAMAGED = 0x100000005
NOT_FOUND = 0x100000006
EXISTS = 0x100000007
NOT_HELD = 0x100000008
TOO_MANY = 0x100000009
NOT_OWNER = 0x10000000A
DONE = 0x10000000B
ONLINE_BUSY = 0x10000000C
ALL_ONLINE = 0x10000000D
MORE = 0x10000000E
NO_RUN = 0x10000000F
FULL = 0x100000020
AGAIN = 0x100000022
NO_LOANS = 0x100000021
NOT_ALONE = 0x100000023
IN_USE = 0x100000030  # frames of the section are in use or promised
WRONG_STATE = 0x100000031  # the section is in the wrong state for this
STUCK = 0x100000040  # one acquisition of the arena's lock lasted for a waiter's whole limit
STARVED = 0x100000041  # the lock changed hands all the time, but this waiter never got it
NOT_NEWER = 0x100000032  # the name still shows the version that the caller has seen

WAKE_ALL = 0x7FFFFFFF
NS_PER_S = 1000000000
NAP_NS = 2000000  # a waiter looks again after this time, even if a wake was lost in a death
LAPSE_NS = 8000000  # the most that one nap counts: a waiter that was stopped itself saw nothing
STARVED_TIMES = 6  # a waiter waits this many times its limit while the lock changes hands
CLEAN_NS = 100000000  # how long a member that cleaned tries to get the lock back
FORK_NS = 1000000000  # the time that prepare may take in all
SPINS = 200  # tries before a wait
REAPED_AT_ONCE = 32  # records reaped under one hold of the arena's lock: some microseconds
COPIES_TIMED = 64  # fork reads the clock once per this many records that it copies
COPY_LOOKS = 8  # how often fork looks at a record before the list is called damaged

PAGE_WORDS = 512  # tables begin on pages, so that each can be given memory separately
FRAME_BYTES = 4096  # of zone NORMAL
SLOTS_DEFAULT = 4096
BLOCK_SHIFT = 9  # 2 MiB: the unit that is given back to the system
RETENTION_SHARE = 4  # by default, 1/4 of the capacity is kept when it is free,
RETENTION_FRAMES_MIN = 16384  # but at least 64 MiB
SECTION_SHIFT = 11  # 8 MiB: small enough to begin with; 131,072 per TiB
HOLDERS_EXTRA = 65536  # in addition to two holders per frame
LOANS_MIN = 65536  # an arena has room for one loan per frame, within these limits
LOANS_MAX = 1048576
LOANS_AT_ONCE = 256  # loans checked under one hold of the lock
AREAS_MIN = 65536  # names: at least this many,
AREA_FRAMES = 16  # one for each 64 KiB of capacity,
AREAS_MAX = 16777216  # and at most this many
CHAIN_AREAS = 16  # names per chain of the hash table if all are in use,
HASH_BUCKETS_MAX = 262144  # but the heads have memory from the start: at most 2 MiB
TRANSIT_GRACE_DEFAULT_S = 60
LARGE_FRAMES = 512  # runs of 2 MiB or more are taken from the zone's top
MEMDESCS_INSIDE_MAX = 64  # objects of at most this many frames are described under the lock


def _prove() -> None:
    """Check at import that the constants agree: order, alignment, no overlap."""
    checks = {
        "header": HEADER_GEOMETRY + GEOMETRY_WORDS <= HEADER_CHECKSUM < HEADER_WORDS,
        "lock": LOCK % 8 == 0 and LOCK > STOP_HITS,
        "lock bits": LOCK_TICKET_ONE == 1 << LOCK_TICKET_SHIFT == LOCK_DROPS << 1,
        "globals": POPULATED_S < TABLES,
        "tables": TABLES_COUNT <= TABLES_MAX and TABLES + TABLES_MAX * TABLE_WORDS <= ZONES,
        "zones": ZONES + ZONES_MAX * ZONE_WORDS <= SPANS,
        "spans": SPANS + ZONES_MAX * SPAN_WORDS <= EVENTS_AWAITED,
        "events": EVENTS_MASK + 1 == 1 << EVENTS_SHIFT == WORD_BYTES * 8
        and EVENTS_AWAITED + (EVENTS_MAX >> EVENTS_SHIFT) <= EVENTS
        and EVENTS + EVENTS_MAX <= JOURNAL_ENTRIES,
        "blocks": SECTION_SHIFT - BLOCK_SHIFT <= SECTION_BLOCKS_MAX.bit_length() - 1,
        "journal": JOURNAL_ENTRIES + JOURNAL_ENTRIES_MAX * JOURNAL_ENTRY_WORDS <= SLOTS,
        "area": AREA_DESCRIPTION + AREA_DESCRIPTION_WORDS == AREA_WORDS,
        "area name": AREA_NAME + AREA_NAME_WORDS == AREA_DESCRIPTION,
        "counts": COUNT_HAND == 1 << COUNT_HANDS_SHIFT and COUNT_IO == 1 << COUNT_IO_SHIFT,
        "private zones": MINE_ZONE_TABLE + ZONES_MAX * MINE_ZONE_WORDS <= MINE_TABLES,
        "private tables": MINE_TABLES + TABLES_MAX * MINE_TABLE_WORDS <= MINE_NAME_HASH,
        "private name": MINE_NAME + AREA_NAME_WORDS == MINE_DESCRIPTION,
        "private description": MINE_DESCRIPTION + AREA_DESCRIPTION_WORDS <= MINE_EPOCH,
        "private words": MINE_EPOCH < MINE_CONTROL_FD < MINE_STATUS < MINE_TABLES_AT < PAGE_WORDS,
        "local words": LOCAL_JOINED < LOCAL_LEFT_AT
        and LOCAL_LEFT_AT + LOCAL_LEFT_MAX <= LOCAL_WORDS,
        "statuses": min(BUSY, NO_RECORDS, MORE) > STATUS,
        "statuses of tables": NO_RECORDS + TABLES_MAX <= FULL,
    }
    wrong = [name for name, holds in checks.items() if not holds]
    if wrong:
        raise ValueError(f"layout is inconsistent: {', '.join(wrong)}")


_prove()
