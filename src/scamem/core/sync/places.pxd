"""C constants; written from places.py by tools/generate_layout.py. Change that one."""
cdef extern from *:
    """
    #define SCAMEM_PLACES_KIND 0x0ULL
    #define SCAMEM_PLACES_VALUE 0x1ULL
    #define SCAMEM_PLACES_LIMIT 0x2ULL
    #define SCAMEM_PLACES_MUTEX 0x8ULL
    #define SCAMEM_PLACES_THREAD 0x9ULL
    #define SCAMEM_PLACES_DEPTH 0xaULL
    #define SCAMEM_PLACES_GUARD 0x10ULL
    #define SCAMEM_PLACES_TICKET 0x11ULL
    #define SCAMEM_PLACES_POISON 0x12ULL
    #define SCAMEM_PLACES_PHASE 0x13ULL
    #define SCAMEM_PLACES_USED 0x14ULL
    #define SCAMEM_PLACES_FLAG 0x18ULL
    #define SCAMEM_PLACES_ENTRIES 0x40ULL
    #define SCAMEM_PLACES_PRIMITIVE_WORDS 0x200ULL
    #define SCAMEM_PLACES_WAITERS 0x10000ULL
    #define SCAMEM_PLACES_HUNGRY 0x20000ULL
    #define SCAMEM_PLACES_MUTEX_FLAGS 0xffff0000ULL
    #define SCAMEM_PLACES_HUNGRY_LOOKS 0x4ULL
    #define SCAMEM_PLACES_TRIES 0x8ULL
    #define SCAMEM_PLACES_ENTRY_WORDS 0x8ULL
    #define SCAMEM_PLACES_ENTRIES_MAX 0xf8ULL
    #define SCAMEM_PLACES_TABLE_WORDS 0x800ULL
    #define SCAMEM_PLACES_ENTRY_WHO 0x0ULL
    #define SCAMEM_PLACES_ENTRY_WHAT 0x1ULL
    #define SCAMEM_PLACES_ENTRY_UNITS 0x2ULL
    #define SCAMEM_PLACES_ENTRY_THREAD 0x3ULL
    #define SCAMEM_PLACES_ENTRY_WAKE 0x4ULL
    #define SCAMEM_PLACES_WHAT_SHIFT 0x8ULL
    #define SCAMEM_PLACES_WAITING 0x1ULL
    #define SCAMEM_PLACES_HELD 0x2ULL
    #define SCAMEM_PLACES_SLEEPING 0x3ULL
    #define SCAMEM_PLACES_NOTIFIED 0x4ULL
    #define SCAMEM_PLACES_UNITS_ALL 0x100000000ULL
    #define SCAMEM_PLACES_SEQUENCE_CLAIMED 0x20000ULL
    #define SCAMEM_PLACES_SEQUENCE_READS 0x40000ULL
    #define SCAMEM_PLACES_SEQUENCE_ONE 0x100000ULL
    #define SCAMEM_PLACES_SEQUENCE_TORN 0x20000ULL
    #define SCAMEM_PLACES_CLOCK_SHIFT 0xaULL
    #define SCAMEM_PLACES_SEQUENCE_SHIFT 0x14ULL
    #define SCAMEM_PLACES_WATCH_LOOKS 0x0ULL
    #define SCAMEM_PLACES_WATCH_AT 0x1ULL
    #define SCAMEM_PLACES_WATCH_SEEN 0x2ULL
    #define SCAMEM_PLACES_WATCH_ENTRY 0x3ULL
    #define SCAMEM_PLACES_WATCH_RESULT 0x4ULL
    #define SCAMEM_PLACES_WATCH_WORDS 0x8ULL
    #define SCAMEM_PLACES_OWNER_DIED 0x100000050ULL
    #define SCAMEM_PLACES_QUEUED 0x100000051ULL
    #define SCAMEM_PLACES_BROKEN 0x100000052ULL
    #define SCAMEM_PLACES_LAST 0x100000053ULL
    """
    const unsigned long long KIND "SCAMEM_PLACES_KIND"  # 0
    const unsigned long long VALUE "SCAMEM_PLACES_VALUE"  # 1
    const unsigned long long LIMIT "SCAMEM_PLACES_LIMIT"  # 2
    const unsigned long long MUTEX "SCAMEM_PLACES_MUTEX"  # 8
    const unsigned long long THREAD "SCAMEM_PLACES_THREAD"  # 9
    const unsigned long long DEPTH "SCAMEM_PLACES_DEPTH"  # 10
    const unsigned long long GUARD "SCAMEM_PLACES_GUARD"  # 16
    const unsigned long long TICKET "SCAMEM_PLACES_TICKET"  # 17
    const unsigned long long POISON "SCAMEM_PLACES_POISON"  # 18
    const unsigned long long PHASE "SCAMEM_PLACES_PHASE"  # 19
    const unsigned long long USED "SCAMEM_PLACES_USED"  # 20
    const unsigned long long FLAG "SCAMEM_PLACES_FLAG"  # 24
    const unsigned long long ENTRIES "SCAMEM_PLACES_ENTRIES"  # 64
    const unsigned long long PRIMITIVE_WORDS "SCAMEM_PLACES_PRIMITIVE_WORDS"  # 512
    const unsigned long long WAITERS "SCAMEM_PLACES_WAITERS"  # 65536
    const unsigned long long HUNGRY "SCAMEM_PLACES_HUNGRY"  # 0x20000
    const unsigned long long MUTEX_FLAGS "SCAMEM_PLACES_MUTEX_FLAGS"  # 0xffff0000
    const unsigned long long HUNGRY_LOOKS "SCAMEM_PLACES_HUNGRY_LOOKS"  # 4
    const unsigned long long TRIES "SCAMEM_PLACES_TRIES"  # 8
    const unsigned long long ENTRY_WORDS "SCAMEM_PLACES_ENTRY_WORDS"  # 8
    const unsigned long long ENTRIES_MAX "SCAMEM_PLACES_ENTRIES_MAX"  # 248
    const unsigned long long TABLE_WORDS "SCAMEM_PLACES_TABLE_WORDS"  # 2048
    const unsigned long long ENTRY_WHO "SCAMEM_PLACES_ENTRY_WHO"  # 0
    const unsigned long long ENTRY_WHAT "SCAMEM_PLACES_ENTRY_WHAT"  # 1
    const unsigned long long ENTRY_UNITS "SCAMEM_PLACES_ENTRY_UNITS"  # 2
    const unsigned long long ENTRY_THREAD "SCAMEM_PLACES_ENTRY_THREAD"  # 3
    const unsigned long long ENTRY_WAKE "SCAMEM_PLACES_ENTRY_WAKE"  # 4
    const unsigned long long WHAT_SHIFT "SCAMEM_PLACES_WHAT_SHIFT"  # 8
    const unsigned long long WAITING "SCAMEM_PLACES_WAITING"  # 1
    const unsigned long long HELD "SCAMEM_PLACES_HELD"  # 2
    const unsigned long long SLEEPING "SCAMEM_PLACES_SLEEPING"  # 3
    const unsigned long long NOTIFIED "SCAMEM_PLACES_NOTIFIED"  # 4
    const unsigned long long UNITS_ALL "SCAMEM_PLACES_UNITS_ALL"  # 0x100000000
    const unsigned long long SEQUENCE_CLAIMED "SCAMEM_PLACES_SEQUENCE_CLAIMED"  # 0x20000
    const unsigned long long SEQUENCE_READS "SCAMEM_PLACES_SEQUENCE_READS"  # 0x40000
    const unsigned long long SEQUENCE_ONE "SCAMEM_PLACES_SEQUENCE_ONE"  # 0x100000
    const unsigned long long SEQUENCE_TORN "SCAMEM_PLACES_SEQUENCE_TORN"  # 0x20000
    const unsigned long long CLOCK_SHIFT "SCAMEM_PLACES_CLOCK_SHIFT"  # 10
    const unsigned long long SEQUENCE_SHIFT "SCAMEM_PLACES_SEQUENCE_SHIFT"  # 20
    const unsigned long long WATCH_LOOKS "SCAMEM_PLACES_WATCH_LOOKS"  # 0
    const unsigned long long WATCH_AT "SCAMEM_PLACES_WATCH_AT"  # 1
    const unsigned long long WATCH_SEEN "SCAMEM_PLACES_WATCH_SEEN"  # 2
    const unsigned long long WATCH_ENTRY "SCAMEM_PLACES_WATCH_ENTRY"  # 3
    const unsigned long long WATCH_RESULT "SCAMEM_PLACES_WATCH_RESULT"  # 4
    const unsigned long long WATCH_WORDS "SCAMEM_PLACES_WATCH_WORDS"  # 8
    const unsigned long long OWNER_DIED "SCAMEM_PLACES_OWNER_DIED"  # 0x100000050
    const unsigned long long QUEUED "SCAMEM_PLACES_QUEUED"  # 0x100000051
    const unsigned long long BROKEN "SCAMEM_PLACES_BROKEN"  # 0x100000052
    const unsigned long long LAST "SCAMEM_PLACES_LAST"  # 0x100000053
