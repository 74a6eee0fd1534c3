"""Where the words of a lock, semaphore, condition, event or barrier are in its frames.

`places.pxd` is generated from this module. A *claim* names a member: {slot 16, flags 16,
incarnation 32}, without flags. 0 is nobody; a slot that no member has is a dead one.
"""

# --- the first frame of a primitive; words 32 to 35 stay 0: test builds stop a process with them --
KIND = 0  # which kind of primitive it is
VALUE = 1  # permits of a semaphore that exist, held ones included; parties of a barrier
LIMIT = 2  # of a bounded semaphore: the most permits that may exist; else 0
MUTEX = 8  # the lock that the user sees: {claim, flags}; its low half is a futex
THREAD = 9  # the thread that holds it, as its own process numbers threads
DEPTH = 10  # how often that thread has taken it
GUARD = 16  # as MUTEX, for the words below and the entries; held for some microseconds
TICKET = 17  # next ticket of an entry
POISON = 18  # claim of a writer that died with the lock; 0 once a writer has had it since
PHASE = 19  # of a barrier: {generation 63, broken 1}
USED = 20  # entries that were ever used
FLAG = 24  # of an event: {how often it was set 63, whether it is set 1}; its low half is a futex
ENTRIES = 64
PRIMITIVE_WORDS = 512  # one frame, without entries

# --- flags of a lock word -------------------------------------------------------------------------
WAITERS = 0x10000  # some member may nap on the word
HUNGRY = 0x20000  # a waiter lost it too often: only members that have napped may take it
MUTEX_FLAGS = 0xFFFF0000
HUNGRY_LOOKS = 4  # looks without success, after which a waiter is hungry
TRIES = 8  # tries in one look

# --- entries: members that hold or wait -----------------------------------------------------------
ENTRY_WORDS = 8
ENTRIES_MAX = 248
TABLE_WORDS = 2048  # four frames
ENTRY_WHO = 0  # claim; 0: the entry is free
ENTRY_WHAT = 1  # {state 8, ticket or generation 56}
ENTRY_UNITS = 2  # permits held or wanted; of a barrier's party, 1: its generation is broken
ENTRY_THREAD = 3
ENTRY_WAKE = 4  # a counter that its owner naps on
WHAT_SHIFT = 8
WAITING = 1
HELD = 2
SLEEPING = 3
NOTIFIED = 4
UNITS_ALL = 0x100000000  # a writer takes all permits of a read-write lock, a reader one

# --- the sequence word of an object ---------------------------------------------------------------
# free: {writes so far 44, 0}; claimed: {incarnation 32, flags 16, slot 16}
SEQUENCE_CLAIMED = 0x20000
SEQUENCE_READS = 0x40000  # the claim is a reader's, which changes nothing
SEQUENCE_ONE = 0x100000
SEQUENCE_TORN = 0x20000  # claimed by nobody: the last writer failed
CLOCK_SHIFT = 10  # nanoseconds to numbers of writes: more than any member can have made
SEQUENCE_SHIFT = 20

# --- the words of one wait ------------------------------------------------------------------------
WATCH_LOOKS = 0  # looks so far
WATCH_AT = 1  # the word to nap on; 0: look again at once
WATCH_SEEN = 2  # its value, or the claim of a dead holder
WATCH_ENTRY = 3  # this wait's entry + 1; 0: none
WATCH_RESULT = 4
WATCH_WORDS = 8

# --- results, beside those of layout --------------------------------------------------------------
OWNER_DIED = 0x100000050  # as OK, and the last holder died with it
QUEUED = 0x100000051  # an entry waits: nap, and look again
BROKEN = 0x100000052
LAST = 0x100000053  # as QUEUED, and all parties are there: trip the barrier
