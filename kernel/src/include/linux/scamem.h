/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A scamem is "some pages" that are counted as one object: a vmalloc() area that user space may
 * map, or a driver's own pages. Its pages carry PG_scamem, and page->private leads to it.
 */
#ifndef _LINUX_SCAMEM_H
#define _LINUX_SCAMEM_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct obj_cgroup;
struct page;
struct vm_struct;

enum scamem_mode {
	SCAMEM_TODAY,	/* a count for each page, as before the patch */
	SCAMEM_AREA,	/* option 3: the count lies in vm_struct, which lives as long */
	SCAMEM_PAGES,	/* 4d: {refcount, nr, pages[]}, and vm_struct holds one reference */
	SCAMEM_CHOIR,	/* 4d, and the memory cgroup is charged until the last reference goes */
	/* "word" is choir, and node and zone are taken out of page->flags */
};

/* Why a page's count or flags are wanted; the callers are counted by it. */
enum scamem_why {
	SCAMEM_GET,	/* a caller who has a reference takes one more */
	SCAMEM_TRY,	/* a caller who has none: fast GUP, walkers of pfns */
	SCAMEM_PUT,
	SCAMEM_READ,
	SCAMEM_FREEZE,
	SCAMEM_NODE,
	SCAMEM_ZONE,
	SCAMEM_ZONEID,
	SCAMEM_WHYS,
};

struct scamem {
	atomic_t refcount;	/* stands in for page->_refcount, so it is of the same type */
	unsigned int nr;
	struct page **pages;	/* 4d and choir: behind this structure; 3: vm_struct's */
	struct obj_cgroup *objcg;
	struct vm_struct *area;	/* 3 only */
	unsigned long *flags;	/* 4a's, one for each page; only with scamem=word */
	struct list_head live;
	struct rcu_head rcu;
};

extern enum scamem_mode scamem_mode;

/* Macros, since the headers that use them come before struct page is whole. */
#define scamem_page(page)	unlikely(test_bit(PG_scamem, &(page)->flags))
#define scamem_refp(page, why)	(scamem_page(page) ? scamem_held(page, why) : &(page)->_refcount)
#define scamem_flags(page, why)	(scamem_page(page) ? scamem_flags_of(page, why) : (page)->flags)

/* For callers with a reference: where the count is. */
atomic_t *scamem_held(const struct page *page, enum scamem_why why);
/* For callers without: false if the page is of no scamem (any more). */
bool scamem_try_add(const struct page *page, int nr, int unless, bool *taken);
bool scamem_read(const struct page *page, int *count);
/* page->flags with node and zone in it, wherever those are kept. */
unsigned long scamem_flags_of(const struct page *page, enum scamem_why why);

/* The last reference is gone, found through one of its pages. Any context. */
void scamem_last_put(struct page *page);

/* vmalloc: charge, attach, free. */
gfp_t scamem_charge(struct vm_struct *area, gfp_t gfp, unsigned long size);
int scamem_attach(struct vm_struct *area);
bool scamem_vfree(const void *addr);
void scamem_free_area(struct vm_struct *area);

/* A driver's own pages as one object, without an area. */
struct scamem *scamem_alloc(unsigned int nr, gfp_t gfp);
void scamem_put(struct scamem *sc);
struct scamem *scamem_of_page(struct page *page);

#endif
