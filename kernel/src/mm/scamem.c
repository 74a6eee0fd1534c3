// SPDX-License-Identifier: GPL-2.0
/*
 * Scattered memory: pages that are counted as one object.
 *
 * State of a page's own _refcount: 1 after its allocation, 0 while PG_scamem is set, 1 again just
 * before it is freed. The object's count stands for all of its pages in between.
 *
 * Looking an object up from a page (scamem_find()) without a reference:
 *
 *	attach				find			last put
 *	own count 1 -> 0		flag?			count is 0
 *	private = object		object = private	clear the flag
 *	set the flag			flag and private	private = NULL
 *					still so?		own count = 1
 *					count unless 0		free pages
 *							        free the object after a grace period
 *
 * Between the steps of attach and of the last put there is no count above zero to take: the own one
 * is 0 and so is the object's. A reader who found the object is in an RCU read section, so the
 * memory is still its count, which stays 0. A reader who saw the flag clear uses the page's own
 * count; had it been taken before attach, attach would have waited for it to be given back.
 */
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/scamem.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "internal.h"

enum scamem_mode scamem_mode = SCAMEM_CHOIR;
static bool word_debug;		/* node and zone are taken out of page->flags */
static bool grace = true;	/* objects are freed after a grace period */
static bool counting = true;	/* callers are counted */
static unsigned int delay_us;	/* waited between finding an object and taking its count */

static const char *const mode_names[] = { "today", "3", "4d", "choir" };

static int __init scamem_setup(char *text)
{
	int mode;

	if (!strcmp(text, "word")) {
		word_debug = true;
		return 1;
	}
	mode = match_string(mode_names, ARRAY_SIZE(mode_names), text);
	if (mode < 0)
		pr_err("scamem=%s: today, 3, 4d, choir or word\n", text);
	else
		scamem_mode = mode;
	return 1;
}
__setup("scamem=", scamem_setup);

static LIST_HEAD(live);
static DEFINE_SPINLOCK(live_lock);
static unsigned int live_objects;
static atomic_long_t attach_waits, found_freed;

/* ---- who asks ---- */

#define ASKERS 512
#define FREED 0xdead5ca3u	/* nr of an object freed with grace=0, for readers who come late */

static struct asker {
	unsigned long caller;
	atomic_long_t count[SCAMEM_WHYS];
} askers[ASKERS];

static void note(unsigned long caller, enum scamem_why why)
{
	unsigned int i, slot = hash_long(caller, 9);

	if (!counting)
		return;
	for (i = 0; i < ASKERS; i++, slot = (slot + 1) % ASKERS) {
		unsigned long old = READ_ONCE(askers[slot].caller);

		if (!old)
			old = cmpxchg(&askers[slot].caller, 0, caller) ?: caller;
		if (old == caller) {
			atomic_long_inc(&askers[slot].count[why]);
			return;
		}
	}
}

/* ---- from a page to its object ---- */

static struct scamem *scamem_find(const struct page *page)
{
	struct scamem *sc;

	while (test_bit(PG_scamem, &page->flags)) {
		sc = (struct scamem *)READ_ONCE(page->private);
		smp_rmb();	/* pairs with attach_page() and detach_page() */
		if (test_bit(PG_scamem, &page->flags) &&
		    READ_ONCE(page->private) == (unsigned long)sc)
			return sc;
	}
	return NULL;
}

struct scamem *scamem_of_page(struct page *page)
{
	return scamem_find(page);
}

atomic_t *scamem_held(const struct page *page, enum scamem_why why)
{
	note(_RET_IP_, why);
	return &((struct scamem *)page->private)->refcount;
}

bool scamem_try_add(const struct page *page, int nr, int unless, bool *taken)
{
	struct scamem *sc;

	rcu_read_lock();
	sc = scamem_find(page);
	if (sc) {
		if (delay_us)
			udelay(delay_us);
		if (unlikely(READ_ONCE(sc->nr) == FREED))
			atomic_long_inc(&found_freed);
		*taken = atomic_add_unless(&sc->refcount, nr, unless);
	}
	rcu_read_unlock();
	if (sc)
		note(_RET_IP_, SCAMEM_TRY);
	return sc;
}

bool scamem_read(const struct page *page, int *count)
{
	struct scamem *sc;

	rcu_read_lock();
	sc = scamem_find(page);
	if (sc)
		*count = atomic_read(&sc->refcount);
	rcu_read_unlock();
	if (sc)
		note(_RET_IP_, SCAMEM_READ);
	return sc;
}

/* ---- the page's word: node and zone kept elsewhere, and every answer compared ---- */

#define PLACE_MASK ((NODES_MASK << NODES_PGSHIFT) | (ZONES_MASK << ZONES_PGSHIFT))

struct place_range {
	unsigned long start, end, place;
};

struct place_table {
	unsigned int nr;
	struct place_range range[];
};

#define RANGES_MAX 64

static struct place_table __rcu *ranges;
static unsigned long *truth;	/* by pfn: what was taken out of page->flags */
static unsigned long truth_end;

static struct word_method {
	const char *name;
	atomic_long_t asked, wrong, probes, cycles;
} by_slot = { "4a flags[] of the object" }, by_table = { "4c table by pfn" },
  by_word = { "both words" };
static atomic_long_t back_at_free, wrong_at_free, no_object;

static unsigned long place_in_slot(const struct page *page, struct scamem *sc, long *probes)
{
	unsigned int i;

	for (i = 0; i < sc->nr; i++) {
		++*probes;
		if (sc->pages[i] == page)
			return sc->flags[i];
	}
	return ~0UL;
}

static unsigned long place_in_table(unsigned long pfn, long *probes)
{
	const struct place_table *table = rcu_dereference(ranges);
	unsigned int low = 0, high = table->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct place_range *r = &table->range[mid];

		++*probes;
		if (pfn < r->start)
			high = mid;
		else if (pfn >= r->end)
			low = mid + 1;
		else
			return r->place;
	}
	return ~0UL;
}

static void judge(struct word_method *m, unsigned long answer, unsigned long right,
		  long probes, cycles_t cycles)
{
	atomic_long_inc(&m->asked);
	atomic_long_add(probes, &m->probes);
	atomic_long_add(cycles, &m->cycles);
	if (answer != right)
		atomic_long_inc(&m->wrong);
}

unsigned long scamem_flags_of(const struct page *page, enum scamem_why why)
{
	unsigned long pfn = page_to_pfn(page), flags = READ_ONCE(page->flags);
	unsigned long right, slot = ~0UL, table;
	long slot_probes = 0, table_probes = 0;
	cycles_t t[4];
	struct scamem *sc;

	note(_RET_IP_, why);
	if (!word_debug)
		return flags;
	rcu_read_lock();
	t[0] = get_cycles();
	sc = scamem_find(page);
	if (sc)
		slot = place_in_slot(page, sc, &slot_probes);
	t[1] = get_cycles();
	table = place_in_table(pfn, &table_probes);
	t[2] = get_cycles();
	right = READ_ONCE(truth[pfn]);	/* what a second word beside the pointer would hold */
	t[3] = get_cycles();
	rcu_read_unlock();
	if (sc)
		judge(&by_slot, slot, right, slot_probes, t[1] - t[0]);
	else
		atomic_long_inc(&no_object);
	judge(&by_table, table, right, table_probes, t[2] - t[1]);
	judge(&by_word, right, right, 1, t[3] - t[2]);
	return (flags & ~PLACE_MASK) | table;
}

static void change_flags(struct page *page, unsigned long clear, unsigned long set)
{
	unsigned long old = READ_ONCE(page->flags), new;

	do {
		new = (old & ~clear) | set;
	} while (!try_cmpxchg(&page->flags, &old, new));
}

static void take_place(struct page *page, unsigned long *slot)
{
	*slot = truth[page_to_pfn(page)] = page->flags & PLACE_MASK;
	change_flags(page, PLACE_MASK, 0);
}

/* "reconstruct the zone/section/node information at freeing time" */
static void give_place_back(struct page *page)
{
	unsigned long pfn = page_to_pfn(page), place;
	long probes = 0;

	rcu_read_lock();
	place = place_in_table(pfn, &probes);
	rcu_read_unlock();
	atomic_long_inc(&back_at_free);
	if (place != truth[pfn]) {
		atomic_long_inc(&wrong_at_free);
		place = truth[pfn];
	}
	change_flags(page, PLACE_MASK, place);
}

static void add_block(struct place_table *table, unsigned long start, unsigned long place)
{
	struct place_range *last = table->nr ? &table->range[table->nr - 1] : NULL;

	if (last && last->end == start && last->place == place)
		last->end += pageblock_nr_pages;
	else if (table->nr < RANGES_MAX)
		table->range[table->nr++] = (struct place_range){ start, start + pageblock_nr_pages, place };
}

static int build_table(void)
{
	struct place_table *new = kzalloc(struct_size(new, range, RANGES_MAX), GFP_KERNEL), *old;
	unsigned long pfn;

	if (!new)
		return -ENOMEM;
	for (pfn = 0; pfn < truth_end; pfn += pageblock_nr_pages) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && !PagePoisoned(page))
			add_block(new, pfn, page->flags & PLACE_MASK);
	}
	old = rcu_dereference_protected(ranges, true);
	rcu_assign_pointer(ranges, new);
	synchronize_rcu();
	kfree(old);
	return 0;
}

static int table_changes(struct notifier_block *self, unsigned long action, void *arg)
{
	if (action == MEM_ONLINE || action == MEM_OFFLINE)
		return notifier_from_errno(build_table());
	return NOTIFY_OK;
}

static struct notifier_block table_notifier = { .notifier_call = table_changes };

static int __init word_init(void)
{
	if (!word_debug)
		return 0;
	truth_end = max_pfn;
	truth = vzalloc(truth_end * sizeof(*truth));
	if (!truth || build_table()) {
		word_debug = false;
		return -ENOMEM;
	}
	return register_memory_notifier(&table_notifier);
}
core_initcall(word_init);

/* ---- attaching pages, and letting them go ---- */

static void attach_page(struct page *page, struct scamem *sc, unsigned int i)
{
	/* A walker of pfns may hold the page for a moment: it must give back what it took. */
	while (atomic_cmpxchg(&page->_refcount, 1, 0) != 1) {
		atomic_long_inc(&attach_waits);
		cond_resched();
	}
	WRITE_ONCE(page->private, (unsigned long)sc);
	if (sc->flags)
		take_place(page, &sc->flags[i]);
	smp_wmb();	/* pairs with scamem_find() */
	set_bit(PG_scamem, &page->flags);
}

static void detach_page(struct page *page)
{
	if (word_debug)
		give_place_back(page);
	clear_bit(PG_scamem, &page->flags);
	smp_mb__after_atomic();	/* pairs with scamem_find() */
	WRITE_ONCE(page->private, 0);
	atomic_set_release(&page->_refcount, 1);
}

static void attach_all(struct scamem *sc, struct page **pages, unsigned int nr)
{
	unsigned int i;
	unsigned long irq;

	atomic_set(&sc->refcount, 1);
	sc->nr = nr;
	sc->pages = pages;
	for (i = 0; i < nr; i++)
		attach_page(pages[i], sc, i);
	spin_lock_irqsave(&live_lock, irq);
	list_add_tail(&sc->live, &live);
	live_objects++;
	spin_unlock_irqrestore(&live_lock, irq);
}

static void detach_all(struct scamem *sc)
{
	unsigned int i;
	unsigned long irq;

	spin_lock_irqsave(&live_lock, irq);
	list_del(&sc->live);
	live_objects--;
	spin_unlock_irqrestore(&live_lock, irq);
	for (i = 0; i < sc->nr; i++)
		detach_page(sc->pages[i]);
}

static void free_object(struct scamem *sc)
{
	if (grace || is_vmalloc_addr(sc)) {
		kvfree_rcu(sc, rcu);
	} else {
		WRITE_ONCE(sc->nr, FREED);
		kfree(sc);
	}
}

/* {refcount, nr, ..., pages[nr]}, and 4a's flags[nr] behind, so that all of it goes at once. */
static struct scamem *new_object(unsigned int nr)
{
	size_t arrays = word_debug ? 2 : 1;
	struct scamem *sc = kvzalloc(sizeof(*sc) + arrays * nr * sizeof(long), GFP_KERNEL);

	if (sc && word_debug)
		sc->flags = (unsigned long *)(sc + 1) + nr;
	return sc;
}

#ifdef CONFIG_MEMCG
static void uncharge(struct obj_cgroup **objcg, unsigned int nr)
{
	if (!*objcg)
		return;
	obj_cgroup_uncharge(*objcg, (size_t)nr << PAGE_SHIFT);
	obj_cgroup_put(*objcg);
	*objcg = NULL;
}

/* The area is charged as a whole, so its pages are not. */
gfp_t scamem_charge(struct vm_struct *area, gfp_t gfp, unsigned long size)
{
	struct obj_cgroup *objcg;

	if (scamem_mode == SCAMEM_TODAY || !(area->flags & VM_USERMAP) || !(gfp & __GFP_ACCOUNT))
		return gfp;
	objcg = get_obj_cgroup_from_current();
	if (!objcg)
		return gfp;
	if (obj_cgroup_charge(objcg, gfp & GFP_RECLAIM_MASK, size)) {
		obj_cgroup_put(objcg);
		return gfp;	/* page by page, which fails where the limit is */
	}
	area->objcg = objcg;
	return gfp & ~__GFP_ACCOUNT;
}
#else
static void uncharge(struct obj_cgroup **objcg, unsigned int nr)
{
}

gfp_t scamem_charge(struct vm_struct *area, gfp_t gfp, unsigned long size)
{
	return gfp;
}
#endif

int scamem_attach(struct vm_struct *area)
{
	struct scamem *sc;

	if (scamem_mode == SCAMEM_TODAY || !(area->flags & VM_USERMAP))
		return 0;
	sc = scamem_mode == SCAMEM_AREA ? &area->own : new_object(area->nr_pages);
	if (!sc)
		return -ENOMEM;
	if (sc == &area->own) {
		sc->area = area;
	} else {
		memcpy(sc + 1, area->pages, area->nr_pages * sizeof(struct page *));
		kvfree(area->pages);
		area->pages = (struct page **)(sc + 1);
		if (scamem_mode == SCAMEM_CHOIR)
			swap(sc->objcg, area->objcg);
	}
	attach_all(sc, area->pages, area->nr_pages);
	area->scamem = sc;
	return 0;
}

static void release(struct scamem *sc)
{
	unsigned int i;

	detach_all(sc);
	for (i = 0; i < sc->nr; i++)
		__free_page(sc->pages[i]);
	uncharge(&sc->objcg, sc->nr);
	free_object(sc);
}

/* Option 3: the pages are the area's again, and vfree() frees both. */
static void release_area(struct vm_struct *area)
{
	detach_all(&area->own);
	area->scamem = NULL;
	uncharge(&area->objcg, area->nr_pages);
}

static void last_put(struct scamem *sc)
{
	void *addr;

	if (!sc->area) {
		release(sc);
		return;
	}
	addr = sc->area->addr;
	release_area(sc->area);
	vfree_atomic(addr);	/* addresses cannot be given back in every context */
}

void scamem_last_put(struct page *page)
{
	last_put((struct scamem *)page->private);
}

void scamem_put(struct scamem *sc)
{
	if (atomic_dec_and_test(&sc->refcount))
		last_put(sc);
}

/* vfree() of an area with an object. False: there is none (left), go on as ever. */
bool scamem_vfree(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);
	struct scamem *sc = area ? area->scamem : NULL;

	if (!sc)
		return false;
	if (sc->area) {
		if (!atomic_dec_and_test(&sc->refcount))
			return true;	/* addresses, vm_struct and pages stay for the last user */
		release_area(area);
		return false;
	}
	remove_vm_area(addr);
	uncharge(&area->objcg, area->nr_pages);
	scamem_put(sc);
	kfree(area);
	return true;
}

void scamem_free_area(struct vm_struct *area)
{
	if (grace && area->own.nr) {
		kfree_rcu(area, own.rcu);
	} else {
		WRITE_ONCE(area->own.nr, FREED);
		kfree(area);
	}
}

struct scamem *scamem_alloc(unsigned int nr, gfp_t gfp)
{
	struct scamem *sc = new_object(nr);
	struct page **pages = (struct page **)(sc + 1);
	unsigned int i = 0;

	if (!sc)
		return NULL;
	for (; i < nr; i++) {
		pages[i] = alloc_page(gfp);
		if (!pages[i])
			goto fail;
	}
	attach_all(sc, pages, nr);
	return sc;
fail:
	while (i--)
		__free_page(pages[i]);
	kvfree(sc);
	return NULL;
}

/* ---- /proc/scamem: objects, callers, answers; and switches, written to it ---- */

static const char *const why_names[SCAMEM_WHYS] = {
	"get", "try", "put", "read", "freeze", "node", "zone", "zoneid",
};

static void show_method(struct seq_file *m, struct word_method *w)
{
	seq_printf(m, "word %ld asked %ld wrong %ld probes %ld cycles: %s\n",
		   atomic_long_read(&w->asked), atomic_long_read(&w->wrong),
		   atomic_long_read(&w->probes), atomic_long_read(&w->cycles), w->name);
}

static void show_word(struct seq_file *m)
{
	const struct place_table *table;
	unsigned int i;

	show_method(m, &by_slot);
	show_method(m, &by_table);
	show_method(m, &by_word);
	seq_printf(m, "free %ld reconstructed %ld wrong, %ld asked without an object\n",
		   atomic_long_read(&back_at_free), atomic_long_read(&wrong_at_free),
		   atomic_long_read(&no_object));
	rcu_read_lock();
	table = rcu_dereference(ranges);
	for (i = 0; i < table->nr; i++) {
		const struct place_range *r = &table->range[i];

		seq_printf(m, "range %lu %lu node %lu zone %lu\n", r->start, r->end,
			   r->place >> NODES_PGSHIFT & NODES_MASK,
			   r->place >> ZONES_PGSHIFT & ZONES_MASK);
	}
	rcu_read_unlock();
}

static int scamem_show(struct seq_file *m, void *v)
{
	struct scamem *sc;
	unsigned long irq;
	int i, why;

	seq_printf(m, "mode %s\nword_debug %d\nobjects %u\nattach_waits %ld\nfound_freed %ld\n",
		   mode_names[scamem_mode], word_debug, live_objects,
		   atomic_long_read(&attach_waits), atomic_long_read(&found_freed));
	spin_lock_irqsave(&live_lock, irq);
	list_for_each_entry(sc, &live, live)
		seq_printf(m, "object nr %u refcount %d\n", sc->nr, atomic_read(&sc->refcount));
	spin_unlock_irqrestore(&live_lock, irq);
	for (i = 0; i < ASKERS; i++) {
		if (!askers[i].caller)
			continue;
		for (why = 0; why < SCAMEM_WHYS; why++) {
			long count = atomic_long_read(&askers[i].count[why]);

			if (count)
				seq_printf(m, "asked %s %ld %ps\n", why_names[why], count,
					   (void *)askers[i].caller);
		}
	}
	if (word_debug)
		show_word(m);
	return 0;
}

static int scamem_open(struct inode *inode, struct file *file)
{
	return single_open(file, scamem_show, NULL);
}

static ssize_t scamem_write(struct file *file, const char __user *from, size_t n, loff_t *pos)
{
	char text[32] = "";
	unsigned int value;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EINVAL;
	if (sscanf(text, "delay=%u", &value) == 1)
		delay_us = min(value, 1000U);
	else if (sscanf(text, "grace=%u", &value) == 1)
		grace = value;
	else if (sscanf(text, "count=%u", &value) == 1)
		counting = value;
	else if (!strncmp(text, "reset", 5))
		memset(askers, 0, sizeof(askers));
	else
		return -EINVAL;
	return n;
}

static const struct proc_ops scamem_ops = {
	.proc_open = scamem_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = scamem_write,
};

static int __init scamem_proc_init(void)
{
	return proc_create("scamem", 0600, NULL, &scamem_ops) ? 0 : -ENOMEM;
}
late_initcall(scamem_proc_init);
