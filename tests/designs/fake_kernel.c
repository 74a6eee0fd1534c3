/* A program with the kernel's vmap structures, for the drgn plugin: areas A (4 pages in 2
 * runs) and B (2 pages in 1 run), and an area without pages. Built with -DNODES it has the
 * per-node lists of 6.9 and newer, and flags as 6.18 has them. It prints "ready" and the address of a page, then waits. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct list_head { struct list_head *next, *prev; };
struct rb_node { unsigned long parent; struct rb_node *right, *left; };
struct rb_root { struct rb_node *rb_node; };
#ifdef NODES	/* newer kernels: page->flags is a struct (6.18) */
typedef struct { unsigned long f; } memdesc_flags_t;
#define FLAGS flags.f
#else
typedef unsigned long memdesc_flags_t;
#define FLAGS flags
#endif
struct page { memdesc_flags_t flags; unsigned long rest[7]; };
struct vm_struct {
	struct vm_struct *next; void *addr; unsigned long size, flags;
	struct page **pages; unsigned int page_order, nr_pages;
	unsigned long phys_addr; const void *caller; unsigned long requested_size;
};
struct vmap_area {
	unsigned long va_start, va_end; struct rb_node rb_node; struct list_head list;
	struct vm_struct *vm; unsigned long flags;
};
struct rb_list { struct rb_root root; struct list_head head; };
struct vmap_node { struct rb_list busy; };

struct page mem_map[32];
struct vmap_area areas[3];
struct vm_struct vms[3];
struct page *pages_a[4], *pages_b[2];
#ifdef NODES
struct vmap_node nodes[1], *vmap_nodes = nodes;
int nr_vmap_nodes = 1;
#define HEAD (&nodes[0].busy.head)
#else
struct list_head vmap_area_list;
#define HEAD (&vmap_area_list)
#endif

__attribute__((noinline)) void array_map_alloc(void) { puts("ready"); }

static void add(int i, unsigned long start, unsigned long size, struct page **pages, int nr)
{
	struct list_head *head = HEAD, *list = &areas[i].list;

	areas[i].va_start = start;
	areas[i].va_end = start + size;
	areas[i].vm = &vms[i];
	vms[i].addr = (void *)start;
	vms[i].size = size;
	vms[i].pages = pages;
	vms[i].nr_pages = nr;
	vms[i].caller = (char *)array_map_alloc;
	list->prev = head->prev;
	list->next = head;
	head->prev->next = list;
	head->prev = list;
}

int main(void)
{
	static const int a[] = { 3, 4, 9, 10 };
	int i;

	HEAD->next = HEAD->prev = HEAD;
	for (i = 0; i < 4; i++)
		pages_a[i] = &mem_map[a[i]];
	pages_b[0] = &mem_map[20];
	pages_b[1] = &mem_map[21];
	mem_map[9].FLAGS = 1UL << 54;
	add(0, 0xffffc90000000000, 5 * 4096, pages_a, 4);
	add(1, 0xffffc90000010000, 3 * 4096, pages_b, 2);
	add(2, 0xffffc90000020000, 2 * 4096, NULL, 0);
	array_map_alloc();
	printf("%p\n", (void *)&mem_map[9]);
	fflush(stdout);
	getchar();
	return 0;
}
