/* SPDX-License-Identifier: GPL-2.0 */
/* What the lab's driver and its program in user space say to each other. */
#ifndef SCAMEM_LAB_H
#define SCAMEM_LAB_H

#define LAB_PAGES 4096

enum lab_call {		/* ioctl(fd, LAB_..., &struct lab_arg) */
	LAB_VMALLOC = 0x5300,	/* slot, count, flags: an area that user space may map */
	LAB_VFREE,		/* slot */
	LAB_OBJECT,		/* slot, count: a driver's pages as one object, no area */
	LAB_FOLIO,		/* slot, count, flags: references to each of some plain pages */
	LAB_VMAP,		/* slot, from slot, flags */
	LAB_MAP_HOW,		/* flags: how the next mmap() acts, enum lab_map */
	LAB_PFNS,		/* slot, pfns: write the frames' numbers, and mark the pages */
	LAB_LOOK,		/* count, pfns: what those frames are now */
	LAB_PLACES,		/* slot: node and zone of every live page */
	LAB_SET_COUNT,		/* slot, value */
	LAB_ISOLATE,		/* offline's two checks on a page in use whose count is 0 */
	LAB_VREALLOC,		/* slot, count */
	LAB_TRY,		/* count, pfns: get_page_unless_zero() and put_page(), as walkers do */
	LAB_DRAIN,		/* per-CPU lists of free pages go to their zones */
	LAB_META,		/* slot: is the object's memory from vmalloc? */
};

enum lab_map { LAB_REMAP, LAB_LAZY, LAB_TWICE, LAB_MANY, LAB_INSERT, LAB_PRIVATE };

#define LAB_ACCOUNT 1
#define LAB_NOT_FOR_USERS 2
#define LAB_PUT_PAGES 4

struct lab_arg {
	unsigned int slot, from, count, flags;
	long value;
	unsigned long pfns;	/* address of an array in user space */
	/* answers */
	long held, count_of_first, own_count_of_first, poisoned, in_object, buddy, dead_own;
	long refcount, nr, nested, supported;
	long nodes[4], zones[5], wrong;
	long isolate, isolated;
};

#endif
