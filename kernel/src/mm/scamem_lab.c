// SPDX-License-Identifier: GPL-2.0
/* /proc/scamem_lab: a driver whose areas, objects and mappings a program can try out. */
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/proc_fs.h>
#include <linux/scamem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include "internal.h"
#include "scamem_lab.h"

#define SLOTS 4
#define MARK 0x5ca3e300UL	/* page->private of a page that is no scamem's, until it is freed */

struct slot {
	void *area;
	bool foreign;
	unsigned int count;
	struct page **pages;	/* our own list, to compare with */
	struct scamem *object;	/* without an area */
	bool folios;
};

struct lab {
	struct mutex lock;
	struct slot slot[SLOTS];
	enum lab_map how;
	void *driver_data;
};

static long lab_ioctl(struct file *file, unsigned int call, unsigned long at);

static void keep_list(struct slot *s, unsigned int count)
{
	unsigned int i;

	s->pages = kvcalloc(count, sizeof(*s->pages), GFP_KERNEL);
	s->count = count;
	for (i = 0; s->pages && i < count && s->area; i++)
		s->pages[i] = vmalloc_to_page(s->area + i * PAGE_SIZE);
}

static long lab_vmalloc(struct slot *s, struct lab_arg *arg)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | (arg->flags & LAB_ACCOUNT ? __GFP_ACCOUNT : 0);
	unsigned long flags = arg->flags & LAB_NOT_FOR_USERS ? 0 : VM_USERMAP;

	if (!arg->count || arg->count > LAB_PAGES || s->pages)
		return -EINVAL;
	s->area = __vmalloc_node_range(arg->count * PAGE_SIZE, SHMLBA, VMALLOC_START, VMALLOC_END,
				       gfp, PAGE_KERNEL, flags, NUMA_NO_NODE,
				       lab_ioctl);	/* its name in /proc/vmallocinfo */
	if (!s->area)
		return -ENOMEM;
	keep_list(s, arg->count);
	return s->pages ? 0 : -ENOMEM;
}

static long lab_pages(struct slot *s, struct lab_arg *arg, bool as_object)
{
	unsigned int i, n;

	if (!arg->count || arg->count > LAB_PAGES || s->pages)
		return -EINVAL;
	if (as_object && scamem_mode == SCAMEM_AREA)
		return -EOPNOTSUPP;	/* no vm_struct, no count */
	keep_list(s, arg->count);
	if (!s->pages)
		return -ENOMEM;
	s->folios = !as_object || scamem_mode == SCAMEM_TODAY;
	if (!s->folios) {
		s->object = scamem_alloc(arg->count, GFP_KERNEL | __GFP_ZERO);
		if (!s->object)
			return -ENOMEM;
		memcpy(s->pages, s->object->pages, arg->count * sizeof(*s->pages));
		return 0;
	}
	for (i = 0; i < arg->count; i++) {
		s->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		for (n = 1; s->pages[i] && n < (as_object ? 1 : arg->flags); n++)
			get_page(s->pages[i]);
	}
	return 0;
}

static long lab_vmap(struct lab *lab, struct slot *s, struct lab_arg *arg)
{
	struct slot *from = &lab->slot[arg->from % SLOTS];
	unsigned long flags = VM_USERMAP;
	struct page **list = from->pages;

	if (s->pages || !from->pages)
		return -EINVAL;
	if (arg->flags & LAB_PUT_PAGES) {
		flags |= VM_MAP_PUT_PAGES;
		list = kvmalloc_array(from->count, sizeof(*list), GFP_KERNEL);
		if (!list)
			return -ENOMEM;
		memcpy(list, from->pages, from->count * sizeof(*list));
	}
	s->area = vmap(list, from->count, flags, PAGE_KERNEL);
	if (!s->area)
		return -ENOMEM;
	s->foreign = !(arg->flags & LAB_PUT_PAGES);
	keep_list(s, from->count);
	return 0;
}

static void lab_free(struct slot *s)
{
	unsigned int i;

	if (s->foreign)
		vunmap(s->area);
	else if (s->area)
		vfree(s->area);
	else if (s->object)
		scamem_put(s->object);
	else if (s->folios)
		for (i = 0; i < s->count; i++)
			put_page(s->pages[i]);
	s->area = NULL;
	s->object = NULL;
	s->foreign = s->folios = false;
}

static void lab_forget(struct slot *s)
{
	lab_free(s);
	kvfree(s->pages);
	memset(s, 0, sizeof(*s));
}

static long lab_pfns(struct slot *s, struct lab_arg *arg)
{
	unsigned int i;

	for (i = 0; i < s->count; i++) {
		unsigned long pfn = page_to_pfn(s->pages[i]);

		if (!scamem_of_page(s->pages[i]) && !page_private(s->pages[i]))
			set_page_private(s->pages[i], MARK);
		if (put_user(pfn, (unsigned long __user *)arg->pfns + i))
			return -EFAULT;
	}
	arg->nr = s->count;
	return 0;
}

/* A frame is held if its page still has the object or the mark that lab_pfns() saw. */
static long lab_look(struct lab_arg *arg)
{
	unsigned int i;

	arg->held = arg->poisoned = arg->in_object = arg->buddy = arg->dead_own = 0;
	for (i = 0; i < arg->count; i++) {
		unsigned long pfn;
		struct page *page;
		struct scamem *sc;

		if (get_user(pfn, (unsigned long __user *)arg->pfns + i))
			return -EFAULT;
		page = pfn_to_online_page(pfn);
		if (!page)
			continue;
		rcu_read_lock();
		sc = scamem_of_page(page);
		if (!i) {
			arg->count_of_first = page_count(page);
			arg->own_count_of_first = atomic_read(&page->_refcount);
			arg->refcount = sc ? atomic_read(&sc->refcount) : -1;
		}
		arg->in_object += !!sc;
		arg->held += sc || (page_count(page) > 0 && page_private(page) == MARK);
		arg->dead_own += sc && !atomic_read(&page->_refcount);
		rcu_read_unlock();
		arg->poisoned += !!PageHWPoison(page);
		arg->buddy += !!PageBuddy(page);
	}
	return 0;
}

/* What compaction, offlining and memory failure do with a page that they come by. */
static long lab_try(struct lab_arg *arg)
{
	unsigned int i;

	arg->value = 0;
	for (i = 0; i < arg->count; i++) {
		unsigned long pfn;
		struct page *page;

		if (get_user(pfn, (unsigned long __user *)arg->pfns + i))
			return -EFAULT;
		page = pfn_to_online_page(pfn);
		if (page && get_page_unless_zero(page)) {
			arg->value++;
			put_page(page);
		}
	}
	return 0;
}

static long lab_places(struct slot *s, struct lab_arg *arg)
{
	unsigned int i;

	memset(arg->nodes, 0, sizeof(arg->nodes));
	memset(arg->zones, 0, sizeof(arg->zones));
	arg->wrong = 0;
	for (i = 0; i < s->count; i++) {
		int nid = page_to_nid(s->pages[i]);
		struct zone *zone = page_zone(s->pages[i]);

		arg->nodes[nid & 3]++;
		arg->zones[zone_idx(zone) % 5]++;
		arg->wrong += zone_to_nid(zone) != nid ||
			      !zone_spans_pfn(zone, page_to_pfn(s->pages[i]));
	}
	return 0;
}

/* has_unmovable_pages() looks at the count; what happens to a page in use that has none? */
static long lab_isolate(struct lab_arg *arg)
{
	struct page *block = alloc_pages(GFP_KERNEL, pageblock_order), *used;
	unsigned long pfn, end, i;

	if (!block)
		return -ENOMEM;
	pfn = page_to_pfn(block);
	end = pfn + pageblock_nr_pages;
	used = block + 7;
	split_page(block, pageblock_order);
	for (i = 0; i < pageblock_nr_pages; i++)
		if (block + i != used)
			__free_page(block + i);
	drain_all_pages(page_zone(used));
	page_ref_freeze(used, 1);
	arg->isolate = start_isolate_page_range(pfn, end, MIGRATE_MOVABLE, MEMORY_OFFLINE,
						GFP_KERNEL);
	arg->isolated = 1;
	if (!arg->isolate) {
		arg->isolated = test_pages_isolated(pfn, end, MEMORY_OFFLINE);
		undo_isolate_page_range(pfn, end, MIGRATE_MOVABLE);
	}
	page_ref_unfreeze(used, 1);
	__free_page(used);
	return 0;
}

static long lab_vrealloc(struct slot *s, struct lab_arg *arg)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	void *moved;

	if (!s->area || !arg->count || arg->count > LAB_PAGES)
		return -EINVAL;
	moved = vrealloc(s->area, arg->count * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
	if (!moved)
		return -ENOMEM;
	arg->value = moved != s->area;
	s->area = moved;
	kvfree(s->pages);
	keep_list(s, arg->count);
	return 0;
#else
	return -EOPNOTSUPP;
#endif
}

static long lab_look_at_object(struct slot *s, struct lab_arg *arg)
{
	struct scamem *sc = s->count ? scamem_of_page(s->pages[0]) : NULL;
	struct vm_struct *area = s->area ? find_vm_area(s->area) : NULL;

	arg->supported = !!sc;
	arg->refcount = sc ? atomic_read(&sc->refcount) : -1;
	arg->nr = sc ? sc->nr : 0;
	arg->nested = sc && is_vmalloc_addr(sc);
	if (area && area->pages)
		arg->nested |= is_vmalloc_addr(area->pages);
	return 0;
}

static long lab_do(struct lab *lab, unsigned int call, struct lab_arg *arg)
{
	struct slot *s = &lab->slot[arg->slot % SLOTS];
	struct scamem *sc;

	switch (call) {
	case LAB_VMALLOC:
		return lab_vmalloc(s, arg);
	case LAB_VFREE:
		lab_free(s);
		return 0;
	case LAB_OBJECT:
		return lab_pages(s, arg, true);
	case LAB_FOLIO:
		return lab_pages(s, arg, false);
	case LAB_VMAP:
		return lab_vmap(lab, s, arg);
	case LAB_MAP_HOW:
		lab->how = arg->flags;
		return 0;
	case LAB_PFNS:
		return lab_pfns(s, arg);
	case LAB_LOOK:
		return lab_look(arg);
	case LAB_DRAIN:
		drain_all_pages(NULL);
		return 0;
	case LAB_TRY:
		return lab_try(arg);
	case LAB_PLACES:
		return lab_places(s, arg);
	case LAB_SET_COUNT:
		sc = s->count ? scamem_of_page(s->pages[0]) : NULL;
		if (!sc)
			return -EOPNOTSUPP;
		arg->refcount = atomic_xchg(&sc->refcount, arg->value);
		return 0;
	case LAB_ISOLATE:
		return lab_isolate(arg);
	case LAB_VREALLOC:
		return lab_vrealloc(s, arg);
	case LAB_META:
		return lab_look_at_object(s, arg);
	}
	return -ENOTTY;
}

static long lab_ioctl(struct file *file, unsigned int call, unsigned long at)
{
	struct lab *lab = file->private_data;
	struct lab_arg *arg = memdup_user((void __user *)at, sizeof(*arg));
	long result;

	if (IS_ERR(arg))
		return PTR_ERR(arg);
	mutex_lock(&lab->lock);
	result = lab_do(lab, call, arg);
	mutex_unlock(&lab->lock);
	if (copy_to_user((void __user *)at, arg, sizeof(*arg)))
		result = -EFAULT;
	kfree(arg);
	return result;
}

static vm_fault_t lab_fault(struct vm_fault *vmf)
{
	struct lab *lab = vmf->vma->vm_file->private_data;
	unsigned long index = vmf->pgoff;
	struct slot *s = &lab->slot[0];

	if (lab->how == LAB_MANY)	/* pages 0, 1, 2: of slots 0, 1, 2 */
		s = &lab->slot[index % 3];
	if (!s->pages || index >= s->count)
		return VM_FAULT_SIGBUS;
	get_page(s->pages[index]);
	vmf->page = s->pages[index];
	return 0;
}

static const struct vm_operations_struct lab_vm_ops = { .fault = lab_fault };

static int lab_insert(struct vm_area_struct *vma, struct slot *s, unsigned long first)
{
	unsigned long pages = vma_pages(vma), i;
	int result = 0;

	for (i = 0; i < pages && !result; i++)
		result = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
					s->pages[(first + i) % s->count]);
	return result;
}

/* Page offsets 0x1000 * slot: one file, several objects. */
static int lab_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct lab *lab = file->private_data;
	struct slot *s = &lab->slot[(vma->vm_pgoff >> 12) % SLOTS];
	unsigned long first = vma->vm_pgoff & 0xfff;

	if (lab->how == LAB_PRIVATE)
		vma->vm_private_data = &lab->driver_data;
	if (lab->how == LAB_LAZY || lab->how == LAB_MANY) {
		vma->vm_ops = &lab_vm_ops;
		return 0;
	}
	if (!s->pages)
		return -EINVAL;
	if (lab->how == LAB_TWICE || lab->how == LAB_INSERT || !s->area)
		return lab_insert(vma, s, first);
	return remap_vmalloc_range(vma, s->area, first);
}

static int lab_open(struct inode *inode, struct file *file)
{
	struct lab *lab = kzalloc(sizeof(*lab), GFP_KERNEL);

	if (!lab)
		return -ENOMEM;
	mutex_init(&lab->lock);
	file->private_data = lab;
	return 0;
}

static int lab_release(struct inode *inode, struct file *file)
{
	struct lab *lab = file->private_data;
	unsigned int i;

	for (i = SLOTS; i--;)
		lab_forget(&lab->slot[i]);
	kfree(lab);
	return 0;
}

static const struct proc_ops lab_ops = {
	.proc_open = lab_open,
	.proc_release = lab_release,
	.proc_mmap = lab_mmap,
	.proc_ioctl = lab_ioctl,
};

/* Typed pages: what vm_insert_page() says to one is read from another file's mmap(). */
static int typed_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	int result;

	if (!page)
		return -ENOMEM;
	__SetPageOffline(page);
	result = vm_insert_page(vma, vma->vm_start, page);
	__ClearPageOffline(page);
	put_page(page);
	return result;
}

static const struct proc_ops typed_ops = { .proc_mmap = typed_mmap };

static int __init lab_init(void)
{
	if (!proc_create("scamem_lab", 0600, NULL, &lab_ops) ||
	    !proc_create("scamem_typed", 0600, NULL, &typed_ops))
		return -ENOMEM;
	return 0;
}
late_initcall(lab_init);
