// SPDX-License-Identifier: GPL-2.0
/*
 * The first and only program of the booted kernel. It acts the scenarios of `scamem designs` out
 * through /proc/scamem_lab and says on the serial line what it saw, one line a scenario:
 *
 *	@@ NAME key=value ...
 *
 * Values are decimal. Verdicts are not given here: kernel/verdicts.py reads these lines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "scamem_lab.h"

#define PAGE 4096UL
#define MAGIC 0x5ca3e35ca3e35ca3UL
#define ADDRESS ((char *)0x200000000UL)
#define MPOL_DEFAULT 0
#define MPOL_INTERLEAVE 3
#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

struct frames {
	unsigned int count;
	unsigned long pfn[LAB_PAGES];
};

static const char *scenario;
static int stress_ms = 1500;
static int look_fd;

/* ---- saying ---- */

static char line[4096];
static size_t line_length;

static void fact(const char *key, long value)
{
	line_length += snprintf(line + line_length, sizeof(line) - line_length, " %s=%ld", key, value);
}

static void say(const char *format, ...)
{
	char text[512];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (n > 0 && write(1, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1) < 0)
		_exit(3);
}

static void must(int condition, const char *what)
{
	if (condition)
		return;
	say("@! %s %s errno=%d\n", scenario, what, errno);
	_exit(2);
}

/* ---- files ---- */

static size_t slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t have = 0;
	ssize_t n;

	while (fd >= 0 && have < size - 1 && (n = read(fd, text + have, size - 1 - have)) > 0)
		have += n;
	if (fd >= 0)
		close(fd);
	text[have] = 0;
	return have;
}

static int spit(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int result = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return result;
}

static char big[1 << 20];

static long number_after(const char *path, const char *key)
{
	char *at;

	slurp(path, big, sizeof(big));
	at = strstr(big, key);
	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static long objects(void)
{
	return number_after("/proc/scamem", "\nobjects ");
}

/* Option 3 frees addresses in a work item, so freeing is waited for, for a bounded time. */
static long objects_left(void)
{
	long left = objects();
	int i;

	for (i = 0; left > 0 && i < 200; i++) {
		usleep(10000);
		left = objects();
	}
	return left;
}

static long areas_of_lab(void)
{
	char *at = big;
	long count = 0;

	slurp("/proc/vmallocinfo", big, sizeof(big));
	while ((at = strstr(at, "lab_"))) {
		count++;
		at = strchr(at, '\n');
	}
	return count;
}

/* ---- the driver ---- */

static long call(int fd, unsigned int what, struct lab_arg *arg)
{
	return ioctl(fd, what, arg) < 0 ? -errno : 0;
}

static int lab_open(void)
{
	int fd = open("/proc/scamem_lab", O_RDWR);

	must(fd >= 0, "open");
	return fd;
}

static long lab_vmalloc(int fd, unsigned int slot, unsigned int count, unsigned int flags)
{
	struct lab_arg arg = { .slot = slot, .count = count, .flags = flags };

	return call(fd, LAB_VMALLOC, &arg);
}

static void lab_vfree(int fd, unsigned int slot)
{
	struct lab_arg arg = { .slot = slot };

	must(!call(fd, LAB_VFREE, &arg), "vfree");
}

static void map_how(int fd, enum lab_map how)
{
	struct lab_arg arg = { .flags = how };

	must(!call(fd, LAB_MAP_HOW, &arg), "map how");
}

static void lab_pfns(int fd, unsigned int slot, struct frames *f)
{
	struct lab_arg arg = { .slot = slot, .pfns = (unsigned long)f->pfn };

	must(!call(fd, LAB_PFNS, &arg), "pfns");
	f->count = arg.nr;
}

static struct lab_arg look(const struct frames *f)
{
	struct lab_arg arg = { .count = f->count, .pfns = (unsigned long)f->pfn };

	must(!call(look_fd, LAB_LOOK, &arg), "look");
	return arg;
}

static char *lab_map_at(char *at, int fd, unsigned int slot, unsigned int first, unsigned int count)
{
	int flags = MAP_SHARED | (at ? MAP_FIXED : 0);

	return mmap(at, count * PAGE, PROT_READ | PROT_WRITE, flags, fd,
		    (((long)slot << 12) | first) * PAGE);
}

static char *lab_map(int fd, unsigned int slot, unsigned int first, unsigned int count)
{
	char *at = lab_map_at(NULL, fd, slot, first, count);

	must(at != MAP_FAILED, "mmap");
	return at;
}

static void fill(char *at, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		*(volatile unsigned long *)(at + i * PAGE) = MAGIC + i;
}

/* An area of `count` pages in slot 0 of a new file, mapped and filled. */
static int area(unsigned int count, struct frames *f, char **at)
{
	int fd = lab_open();

	must(!lab_vmalloc(fd, 0, count, 0), "vmalloc");
	if (f)
		lab_pfns(fd, 0, f);
	if (at) {
		*at = lab_map(fd, 0, 0, count);
		fill(*at, count);
	}
	return fd;
}

struct pin {
	int out, in;
};

static long pin(struct pin *p, char *at)
{
	struct iovec piece = { at, PAGE };
	int ends[2];
	ssize_t n;

	must(!pipe(ends), "pipe");
	p->out = ends[0];
	p->in = ends[1];
	n = vmsplice(p->in, &piece, 1, 0);
	return n < 0 ? -errno : n;
}

/* Read the page from the pipe, which drops the reference. 1: it is the page that was pinned. */
static long unpin(struct pin *p, unsigned long value)
{
	static _Thread_local unsigned long page[PAGE / sizeof(unsigned long)];
	long good;

	good = read(p->out, page, PAGE) == (ssize_t)PAGE && page[0] == value;
	close(p->out);
	close(p->in);
	return good;
}

static void all_free(const struct frames *f)
{
	long left = objects_left();
	struct lab_arg now;
	int i;

	now = look(f);
	for (i = 0; now.held && i < 100; i++) {	/* work items, delayed frees of today's pages */
		usleep(10000);
		now = look(f);
	}
	fact("left_objects", left);
	fact("left_frames", now.held);
}

/* ---- pins ---- */

static void gup_fast(void)
{
	struct frames f;
	struct pin p;
	char *at;
	int fd = area(4, &f, &at);

	fact("pinned", pin(&p, at + PAGE) == (long)PAGE);
	fact("count_pinned", look(&f).refcount);
	fact("data", unpin(&p, MAGIC + 1));
	munmap(at, 4 * PAGE);
	close(fd);
	all_free(&f);
}

static void gup_slow(void)
{
	struct frames f;
	char *at, copy[64] = "";
	int fd = area(4, &f, &at);
	struct iovec to = { copy, sizeof(copy) }, from = { at + PAGE, sizeof(copy) };

	fact("pinned", process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof(copy));
	fact("data", *(unsigned long *)copy == MAGIC + 1);
	munmap(at, 4 * PAGE);
	close(fd);
	all_free(&f);
}

static void gup_after_munmap(void)
{
	struct frames f;
	struct pin p;
	char *one, *two;
	int fd = area(17, &f, NULL);

	one = lab_map(fd, 0, 1, 16);
	two = lab_map(fd, 0, 1, 16);
	fill(one, 16);
	fact("count_mapped", look(&f).refcount);
	fact("pinned", pin(&p, two + 3 * PAGE) == (long)PAGE);
	munmap(one, 16 * PAGE);
	munmap(two, 16 * PAGE);
	close(fd);
	fact("area_left", areas_of_lab());
	fact("held", look(&f).held);
	fact("count_pinned", look(&f).refcount);
	fact("data", unpin(&p, MAGIC + 3));
	all_free(&f);
}

static void vfree_while_pinned(void)
{
	struct frames f;
	struct pin p;
	char *at;
	int fd = area(17, &f, &at);

	fact("pinned", pin(&p, at + 3 * PAGE) == (long)PAGE);
	munmap(at, 17 * PAGE);
	lab_vfree(fd, 0);
	fact("area_left", areas_of_lab());
	fact("held", look(&f).held);
	fact("data", unpin(&p, MAGIC + 3));
	close(fd);
	all_free(&f);
}

static void vfree_while_mapped(void)
{
	struct frames f;
	unsigned int i, good = 0;
	char *at;
	int fd = area(17, &f, &at);

	lab_vfree(fd, 0);
	for (i = 0; i < 17; i++)
		good += *(volatile unsigned long *)(at + i * PAGE) == MAGIC + i;
	fact("pages_readable", good);
	fact("held", look(&f).held);
	munmap(at, 17 * PAGE);
	close(fd);
	all_free(&f);
}

/* Statistics are flushed when enough of them have changed: so many pages are charged for it. */
static long kernel_bytes_charged(void)
{
	char *at = mmap(NULL, 1024 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	munmap(at, 1024 * PAGE);
	return number_after("/cgroup/lab/memory.stat", "\nkernel ");
}

static void charge_while_pinned(void)
{
	struct frames f;
	struct pin p;
	char *at;
	long before, charged, pinned, after;
	int fd = lab_open();

	must(!spit("/cgroup/lab/cgroup.procs", "0"), "cgroup");
	before = kernel_bytes_charged();
	must(!lab_vmalloc(fd, 0, 17, LAB_ACCOUNT), "vmalloc");
	charged = kernel_bytes_charged();
	lab_pfns(fd, 0, &f);
	at = lab_map(fd, 0, 0, 17);
	fill(at, 17);
	fact("pinned", pin(&p, at + 3 * PAGE) == (long)PAGE);
	munmap(at, 17 * PAGE);
	lab_vfree(fd, 0);
	fact("held", look(&f).held);
	pinned = kernel_bytes_charged();
	fact("data", unpin(&p, MAGIC + 3));
	all_free(&f);
	after = kernel_bytes_charged();
	spit("/cgroup/cgroup.procs", "0");
	fact("charged_at_first", (charged - before) / (long)PAGE);
	fact("charged_while_pinned", (pinned - after) / (long)PAGE);
	close(fd);
}

/* ---- mappings ---- */

static void split_fork(void)
{
	struct frames f;
	unsigned int i, good = 0;
	char *at, *moved;
	pid_t child;
	int fd = area(16, &f, NULL), status;

	map_how(fd, LAB_LAZY);
	at = lab_map(fd, 0, 0, 16);
	fact("count_lazy", look(&f).refcount);
	fill(at, 16);
	fact("count_faulted", look(&f).refcount);
	munmap(at + 6 * PAGE, 4 * PAGE);
	moved = mremap(at + 12 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ADDRESS);
	must(moved == ADDRESS, "mremap");
	fact("count_hole", look(&f).refcount);
	child = fork();
	if (!child) {
		for (i = 0; i < 16; i++) {
			char *page = i < 12 ? at + i * PAGE : moved + (i - 12) * PAGE;

			if (i < 6 || i >= 10)
				good += *(volatile unsigned long *)page == MAGIC + i;
		}
		_exit(good == 12 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	fact("child", status == 0);
	munmap(at, 16 * PAGE);
	munmap(moved, 4 * PAGE);
	fact("count_again", look(&f).refcount);
	close(fd);
	all_free(&f);
}

static void two_objects(int private_data)
{
	struct frames f, g;
	char *one, *two;
	int fd = area(4, &f, NULL);

	must(!lab_vmalloc(fd, 1, 4, 0), "vmalloc");
	lab_pfns(fd, 1, &g);
	if (private_data)
		map_how(fd, LAB_PRIVATE);
	one = lab_map(fd, 0, 0, 4);
	two = lab_map(fd, 1, 0, 4);
	fill(one, 4);
	*(volatile unsigned long *)two = 7;
	fact("apart", *(volatile unsigned long *)one == MAGIC);
	fact("count_one", look(&f).refcount);
	fact("count_two", look(&g).refcount);
	munmap(one, 4 * PAGE);
	munmap(two, 4 * PAGE);
	close(fd);
	all_free(&f);
	fact("left_of_second", look(&g).held);
}

static void two_objects_one_file(void)
{
	two_objects(0);
}

static void private_data_taken(void)
{
	two_objects(1);
}

static void vma_of_many(void)
{
	struct lab_arg folio = { .slot = 2, .count = 3, .flags = 1 };
	struct frames f, g, h;
	char *at;
	int fd = area(3, &f, NULL);

	must(!lab_vmalloc(fd, 1, 3, 0), "vmalloc");
	must(!call(fd, LAB_FOLIO, &folio), "folio");
	lab_pfns(fd, 1, &g);
	lab_pfns(fd, 2, &h);
	map_how(fd, LAB_MANY);
	at = lab_map(fd, 0, 0, 3);
	fill(at, 3);
	fact("count_one", look(&f).refcount);
	fact("count_two", look(&g).refcount);
	munmap(at, 3 * PAGE);
	h.pfn[0] = h.pfn[2];
	fact("folio_count", look(&h).count_of_first);
	close(fd);
	all_free(&f);
	fact("left_of_second", look(&g).held);
}

static void object_without_area(void)
{
	struct lab_arg arg = { .slot = 0, .count = 4 };
	struct frames f;
	char *at;
	int fd = lab_open();
	long result = call(fd, LAB_OBJECT, &arg);

	fact("object", result == 0);
	if (result) {
		close(fd);
		return;
	}
	lab_pfns(fd, 0, &f);
	at = lab_map(fd, 0, 0, 4);
	fill(at, 4);
	lab_vfree(fd, 0);
	fact("held", look(&f).held);
	munmap(at, 4 * PAGE);
	close(fd);
	all_free(&f);
}

static void page_twice(void)
{
	struct frames f;
	pid_t child;
	char *at;
	int fd = area(4, &f, NULL);

	map_how(fd, LAB_TWICE);
	at = lab_map(fd, 0, 0, 8);
	fill(at, 4);
	fact("same_page", *(volatile unsigned long *)(at + 4 * PAGE) == MAGIC);
	fact("count_mapped", look(&f).refcount);
	munmap(at + 2 * PAGE, 4 * PAGE);
	child = fork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	fact("count_child_gone", look(&f).refcount);
	munmap(at, 8 * PAGE);
	fact("count_again", look(&f).refcount);
	close(fd);
	all_free(&f);
}

static void vmap_foreign(void)
{
	struct lab_arg folio = { .slot = 0, .count = 4, .flags = 1 };
	struct lab_arg vmap = { .slot = 1, .from = 0 };
	struct frames f;
	char *at;
	int fd = lab_open();

	must(!call(fd, LAB_FOLIO, &folio), "folio");
	lab_pfns(fd, 0, &f);
	must(!call(fd, LAB_VMAP, &vmap), "vmap");
	at = lab_map(fd, 1, 0, 4);
	fill(at, 4);
	fact("in_object", look(&f).in_object);
	lab_vfree(fd, 1);
	munmap(at, 4 * PAGE);
	fact("folio_count", look(&f).count_of_first);
	fact("held", look(&f).held);
	close(fd);
	all_free(&f);
}

/* Work items of earlier scenarios may still be freeing. */
static long vmalloc_used(void)
{
	long before, now = number_after("/proc/meminfo", "VmallocUsed:");
	int i = 0;

	do {
		before = now;
		usleep(50000);
		now = number_after("/proc/meminfo", "VmallocUsed:");
	} while (now != before && ++i < 100);
	return now;
}

static void vmap_put_pages(void)
{
	struct lab_arg folio = { .slot = 0, .count = 4, .flags = 2 };
	struct lab_arg vmap = { .slot = 1, .from = 0, .flags = LAB_PUT_PAGES };
	struct frames f;
	long pages;
	int fd = lab_open();

	must(!call(fd, LAB_FOLIO, &folio), "folio");
	lab_pfns(fd, 0, &f);
	pages = vmalloc_used();
	must(!call(fd, LAB_VMAP, &vmap), "vmap");
	fact("folio_count_before", look(&f).count_of_first);
	lab_vfree(fd, 1);
	fact("folio_count", look(&f).count_of_first);
	fact("held", look(&f).held);
	fact("vmalloc_used_drift", vmalloc_used() - pages);
	close(fd);
	all_free(&f);
}

static void remap_of_vmap(void)
{
	struct lab_arg object = { .slot = 0, .count = 4 };
	struct lab_arg vmap = { .slot = 1, .from = 0 };
	struct frames f;
	char *at;
	int fd = lab_open();
	long result = call(fd, LAB_OBJECT, &object);

	fact("object", result == 0);
	if (result) {
		close(fd);
		return;
	}
	lab_pfns(fd, 0, &f);
	must(!call(fd, LAB_VMAP, &vmap), "vmap");
	at = lab_map(fd, 1, 0, 4);
	fill(at, 4);
	fact("count_mapped", look(&f).refcount);
	munmap(at, 4 * PAGE);
	lab_vfree(fd, 1);
	lab_vfree(fd, 0);
	close(fd);
	all_free(&f);
}

static void rss_and_mapcount(void)
{
	struct frames f;
	uint64_t count = 0;
	char *at, *found;
	char head[32];
	int fd = area(16, &f, &at), counts = open("/proc/kpagecount", O_RDONLY);

	must(pread(counts, &count, 8, f.pfn[3] * 8) == 8, "kpagecount");
	close(counts);
	slurp("/proc/self/smaps", big, sizeof(big));
	snprintf(head, sizeof(head), "\n%lx-", (unsigned long)at);
	found = strstr(big, head);
	must(found != NULL, "smaps");
	fact("rss_kb", strtol(strstr(found, "\nRss:") + 5, NULL, 10));
	fact("pss_kb", strtol(strstr(found, "\nPss:") + 5, NULL, 10));
	fact("mapcount", (long)count);
	munmap(at, 16 * PAGE);
	close(fd);
	all_free(&f);
}

static void typed_page_insert(void)
{
	int fd = open("/proc/scamem_typed", O_RDWR);
	char *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	fact("typed", at == MAP_FAILED ? -errno : 0);
	close(fd);
}

static void map_a_stack(void)
{
	struct frames f;
	char *at;
	int fd = lab_open();

	must(!lab_vmalloc(fd, 0, 4, LAB_NOT_FOR_USERS), "vmalloc");
	lab_pfns(fd, 0, &f);
	at = lab_map_at(NULL, fd, 0, 0, 4);
	fact("remap_vmalloc_range", at == MAP_FAILED ? -errno : 0);
	map_how(fd, LAB_INSERT);
	at = lab_map_at(NULL, fd, 0, 0, 4);
	fact("vm_insert_page", at == MAP_FAILED ? -errno : 0);
	if (at != MAP_FAILED)
		munmap(at, 4 * PAGE);
	close(fd);
	all_free(&f);
}

static void vrealloc_(void)
{
	struct lab_arg shrink = { .slot = 0, .count = 4 }, grow = { .slot = 0, .count = 32 };
	struct frames f;
	char *at;
	int fd = area(8, &f, &at);
	long result = call(fd, LAB_VREALLOC, &shrink);

	fact("supported", result == 0);
	if (!result) {
		fact("held_after_shrink", look(&f).held);
		must(!call(fd, LAB_VREALLOC, &grow), "vrealloc");
		fact("moved", grow.value);
		fact("held_after_grow", look(&f).held);
		fact("data", *(volatile unsigned long *)(at + PAGE) == MAGIC + 1);
	}
	munmap(at, 8 * PAGE);
	close(fd);
	all_free(&f);
}

/* ---- places ---- */

static void interleave(int on)
{
	unsigned long nodes = 3;

	syscall(SYS_set_mempolicy, on ? MPOL_INTERLEAVE : MPOL_DEFAULT, on ? &nodes : NULL,
		on ? 8 : 0);
}

static void node_of_live_page(void)
{
	struct lab_arg arg = { .slot = 0 };
	struct frames f;
	void *pages[64];
	int status[64], i, fd, on_node[2] = { 0, 0 };
	char *at, *found, *n0, *n1;

	interleave(1);
	fd = area(64, &f, &at);
	interleave(0);
	must(!call(fd, LAB_PLACES, &arg), "places");
	fact("node0", arg.nodes[0]);
	fact("node1", arg.nodes[1]);
	fact("zones", !!arg.zones[0] + !!arg.zones[1] + !!arg.zones[2]);
	fact("disagree", arg.wrong);
	for (i = 0; i < 64; i++)
		pages[i] = at + i * PAGE;
	fact("move_pages", syscall(SYS_move_pages, 0, 64UL, pages, NULL, status, 0));
	for (i = 0; i < 64; i++)
		if (status[i] == 0 || status[i] == 1)
			on_node[status[i]]++;
	fact("move_pages_node0", on_node[0]);
	fact("move_pages_node1", on_node[1]);
	slurp("/proc/vmallocinfo", big, sizeof(big));
	found = strstr(big, "lab_");
	n0 = found ? strstr(found, " N0=") : NULL;
	n1 = found ? strstr(found, " N1=") : NULL;
	fact("vmallocinfo_node0", n0 ? strtol(n0 + 4, NULL, 10) : -1);
	fact("vmallocinfo_node1", n1 ? strtol(n1 + 4, NULL, 10) : -1);
	munmap(at, 64 * PAGE);
	close(fd);
	all_free(&f);
}

static long free_pages_on(int node)
{
	struct lab_arg arg = { 0 };
	char path[64];

	must(!call(look_fd, LAB_DRAIN, &arg), "drain");
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	return number_after(path, "MemFree:") / 4;
}

static void free_across_zones(void)
{
	struct frames f;
	long before[2], during[2];
	int fd;

	interleave(1);
	before[0] = free_pages_on(0);
	before[1] = free_pages_on(1);
	fd = area(4000, &f, NULL);
	interleave(0);
	during[0] = free_pages_on(0);
	during[1] = free_pages_on(1);
	close(fd);
	all_free(&f);
	fact("taken_node0", before[0] - during[0]);
	fact("taken_node1", before[1] - during[1]);
	fact("missing_node0", before[0] - free_pages_on(0));
	fact("missing_node1", before[1] - free_pages_on(1));
}

static void metadata(unsigned int count)
{
	struct lab_arg arg = { .slot = 0 };
	struct frames f;
	int fd = area(count, &f, NULL);

	must(!call(fd, LAB_META, &arg), "meta");
	fact("nested", arg.nested);
	close(fd);
	all_free(&f);
}

static void metadata_512(void)
{
	metadata(512);
}

static void metadata_4096(void)
{
	metadata(4096);
}

/* ---- upkeep ---- */

static void poison(int pinned)
{
	struct frames f;
	struct pin p;
	struct lab_arg now;
	char *at;
	int fd = area(17, &f, &at);

	if (pinned)
		fact("pinned", pin(&p, at + 3 * PAGE) == (long)PAGE);
	fact("madvise", madvise(at + 3 * PAGE, PAGE, MADV_HWPOISON) ? -errno : 0);
	fact("poisoned", look(&f).poisoned);
	if (pinned)
		fact("data", unpin(&p, MAGIC + 3));
	munmap(at, 17 * PAGE);
	close(fd);
	fact("left_objects", objects_left());
	now = look(&f);
	fact("held_after", now.held);
	fact("poisoned_after", now.poisoned);
}

static void poison_mapped(void)
{
	poison(0);
}

static void poison_pinned(void)
{
	poison(1);
}

static void offline_in_use(void)
{
	struct lab_arg arg = { .slot = 0 };
	struct frames f;
	char path[64];
	long block;
	int fd;

	must(!call(look_fd, LAB_ISOLATE, &arg), "isolate");
	fact("frozen_start_isolate", arg.isolate);
	fact("frozen_test_isolated", arg.isolated);
	interleave(1);
	fd = area(4, &f, NULL);
	interleave(0);
	slurp("/sys/devices/system/memory/block_size_bytes", big, sizeof(big));
	block = strtol(big, NULL, 16);
	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%ld/state",
		 (long)(f.pfn[1] * PAGE / block));
	fact("offline", spit(path, "offline"));
	fact("held", look(&f).held);
	close(fd);
	all_free(&f);
}

static void whose_page(void)
{
	struct lab_arg arg = { .slot = 0 };
	struct frames f;
	int fd = area(4, &f, NULL);

	must(!call(fd, LAB_META, &arg), "meta");
	fact("object", arg.supported);
	fact("nr", arg.nr);
	close(fd);
	all_free(&f);
}

static void overflow(void)
{
	struct lab_arg set = { .slot = 0, .value = INT_MAX - 8 };
	struct frames f;
	struct pin p, q;
	char *at, *more;
	long real, pinned;
	int fd = area(16, &f, &at);

	if (call(fd, LAB_SET_COUNT, &set)) {
		fact("supported", 0);
		munmap(at, 16 * PAGE);
		close(fd);
		all_free(&f);
		return;
	}
	real = set.refcount;
	fact("supported", 1);
	pinned = pin(&p, at);
	fact("pin_below", pinned == (long)PAGE);
	more = lab_map_at(NULL, fd, 0, 0, 16);
	fact("mapped_over", more != MAP_FAILED);
	fact("count_negative", look(&f).refcount < 0);
	fact("pin_over", pin(&q, at) == (long)PAGE);
	set.value = real + (pinned == (long)PAGE) + (more != MAP_FAILED ? 16 : 0);
	must(!call(fd, LAB_SET_COUNT, &set), "set count");
	unpin(&p, MAGIC);
	close(q.out);
	close(q.in);
	if (more != MAP_FAILED)
		munmap(more, 16 * PAGE);
	munmap(at, 16 * PAGE);
	close(fd);
	all_free(&f);
}

/* An object with a thousand references looks as if it were pinned for DMA. */
static void many_references(void)
{
	struct frames f;
	char *at;
	int fd = area(1100, &f, &at);

	fact("count_mapped", look(&f).refcount);
	fact("looks_pinned", look(&f).count_of_first >= 1024);
	munmap(at, 1100 * PAGE);
	close(fd);
	all_free(&f);
}

/* ---- stress: two CPUs ---- */

static atomic_int stop, go, rounds_done;
static atomic_long good, refused, stale;

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static long now_ns(void);

/* Let the other CPU come to its work, for a bounded time. */
static void meet(long seen)
{
	long end = now_ns() + 20000000L;

	while (good == seen && now_ns() < end)
		;
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void *pin_all_the_time(void *unused)
{
	unsigned long page[PAGE / sizeof(unsigned long)];
	struct iovec piece = { ADDRESS, PAGE };
	int ends[2];

	on_cpu(1);
	must(!pipe(ends), "pipe");
	while (!stop) {
		if (vmsplice(ends[1], &piece, 1, SPLICE_F_NONBLOCK) != (ssize_t)PAGE) {
			refused++;
			sched_yield();
			continue;
		}
		if (read(ends[0], page, PAGE) != (ssize_t)PAGE)
			break;
		if (page[0] == 0 || page[0] == MAGIC)
			good++;
		else
			stale++;
	}
	return unused;
}

/* A mapping is the last reference; it goes while another CPU pins what it finds there. */
static void final_put_stress(void)
{
	long freed_before = number_after("/proc/scamem", "\nfound_freed ");
	long end = now_ns() + stress_ms * 1000000L, rounds = 0;
	pthread_t thread;

	on_cpu(0);
	pthread_create(&thread, NULL, pin_all_the_time, NULL);
	while (now_ns() < end) {
		int fd = lab_open();
		long seen;
		char *at;

		must(!lab_vmalloc(fd, 0, 1, 0), "vmalloc");
		at = lab_map_at(ADDRESS, fd, 0, 0, 1);
		must(at == ADDRESS, "mmap");
		seen = good;
		*(volatile unsigned long *)at = MAGIC;
		lab_vfree(fd, 0);
		meet(seen);
		munmap(at, PAGE);
		close(fd);
		rounds++;
	}
	stop = 1;
	pthread_join(thread, NULL);
	fact("rounds", rounds);
	fact("pins", good);
	fact("refused", refused);
	fact("stale", stale);
	fact("found_freed", number_after("/proc/scamem", "\nfound_freed ") - freed_before);
	fact("left_objects", objects_left());
}

static void gup_fast_against_final_put(void)
{
	final_put_stress();
}

static struct frames walked;

static void *walk_all_the_time(void *unused)
{
	struct lab_arg arg = { .pfns = (unsigned long)walked.pfn };

	on_cpu(1);
	while (!stop) {
		arg.count = walked.count;
		if (call(look_fd, LAB_TRY, &arg))
			break;
		good += arg.value;
		refused += arg.count - arg.value;
	}
	return unused;
}

/*
 * A walker of pfns, who has neither a PTE nor interrupts off, against the last put. With `patience`
 * it goes on so many times as long, or until an object was found freed.
 */
static void walk_stress(int patience)
{
	long freed_before = number_after("/proc/scamem", "\nfound_freed ");
	long end = now_ns() + patience * stress_ms * 1000000L, rounds = 0;
	pthread_t thread;

	on_cpu(0);
	pthread_create(&thread, NULL, walk_all_the_time, NULL);
	while (now_ns() < end) {
		close(area(1, &walked, NULL));
		if (++rounds % 64 == 0 && patience > 1 &&
		    number_after("/proc/scamem", "\nfound_freed ") > freed_before)
			break;
	}
	stop = 1;
	pthread_join(thread, NULL);
	fact("rounds", rounds);
	fact("taken", good);
	fact("refused", refused);
	fact("found_freed", number_after("/proc/scamem", "\nfound_freed ") - freed_before);
	fact("left_objects", objects_left());
}

static void walk_with_delays(int patience)
{
	spit("/proc/scamem", "delay=50");
	walk_stress(patience);
	spit("/proc/scamem", "delay=0");
}

static void walker_against_final_put(void)
{
	walk_with_delays(1);
}

static void walker_without_grace(void)
{
	spit("/proc/scamem", "grace=0");
	walk_with_delays(20);
	spit("/proc/scamem", "grace=1");
}

static void final_put_without_grace(void)
{
	spit("/proc/scamem", "grace=0");
	spit("/proc/scamem", "delay=100");
	final_put_stress();
	spit("/proc/scamem", "delay=0");
	spit("/proc/scamem", "grace=1");
}

static void final_put_delayed(void)
{
	spit("/proc/scamem", "delay=100");
	final_put_stress();
	spit("/proc/scamem", "delay=0");
}

static int race_fd;

static void *free_once(void *unused)
{
	int seen = 0;

	on_cpu(1);
	while (!stop) {
		if (go == seen)
			continue;
		seen = go;
		lab_vfree(race_fd, 0);
		rounds_done = seen;
	}
	return unused;
}

static void vfree_against_fork(void)
{
	long end = now_ns() + stress_ms * 1000000L;
	pthread_t thread;
	int round = 0, bad = 0, status;

	on_cpu(0);
	pthread_create(&thread, NULL, free_once, NULL);
	while (now_ns() < end) {
		char *at;
		pid_t child;

		race_fd = area(4, NULL, &at);
		go = ++round;
		child = fork();
		if (!child)
			_exit(*(volatile unsigned long *)(at + PAGE) == MAGIC + 1 ? 0 : 1);
		waitpid(child, &status, 0);
		bad += status != 0;
		while (rounds_done != round)
			;
		munmap(at, 4 * PAGE);
		close(race_fd);
	}
	stop = 1;
	pthread_join(thread, NULL);
	fact("rounds", round);
	fact("bad", bad);
	fact("left_objects", objects_left());
}

static struct pin race_pin;
static char *race_map;

static void *drop_once(void *unused)
{
	int seen = 0;

	on_cpu(1);
	while (!stop) {
		if (go == seen)
			continue;
		seen = go;
		if (!unpin(&race_pin, MAGIC + 1))
			stale++;
		rounds_done = seen;
	}
	return unused;
}

static void two_mappings_and_an_unpin(void)
{
	long end = now_ns() + stress_ms * 1000000L;
	pthread_t thread;
	int round = 0;

	on_cpu(0);
	pthread_create(&thread, NULL, drop_once, NULL);
	while (now_ns() < end) {
		int fd = area(2, NULL, &race_map), wait_for[2];
		pid_t child;

		must(!pipe(wait_for), "pipe");
		must(pin(&race_pin, race_map + PAGE) == (long)PAGE, "pin");
		child = fork();	/* the second mapping */
		if (!child) {
			char byte;

			close(wait_for[1]);
			_exit(read(wait_for[0], &byte, 1) < 0);
		}
		close(wait_for[0]);
		lab_vfree(fd, 0);
		go = ++round;
		close(wait_for[1]);	/* the child ends, and its mapping */
		munmap(race_map, 2 * PAGE);
		waitpid(child, NULL, 0);
		while (rounds_done != round)
			;
		close(fd);
	}
	stop = 1;
	pthread_join(thread, NULL);
	fact("rounds", round);
	fact("stale", stale);
	fact("left_objects", objects_left());
}

static sigjmp_buf back;

static void on_fault(int signal)
{
	siglongjmp(back, signal);
}

static void *read_all_the_time(void *unused)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	on_cpu(1);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	while (!stop) {
		if (sigsetjmp(back, 0)) {
			refused++;
			continue;
		}
		while (!stop) {
			unsigned long value = *(volatile unsigned long *)ADDRESS;

			if (value == 0 || value == MAGIC)
				good++;
			else
				stale++;
		}
	}
	return unused;
}

/* A CPU reads on while the mapping goes; what it reads must never be somebody else's page. */
static void munmap_tlb(int last_put)
{
	long end = now_ns() + stress_ms * 1000000L, rounds = 0;
	pthread_t thread;

	on_cpu(0);
	pthread_create(&thread, NULL, read_all_the_time, NULL);
	while (now_ns() < end) {
		int fd = lab_open();
		long seen = good;
		char *at, *other;

		must(!lab_vmalloc(fd, 0, 4, 0), "vmalloc");
		at = lab_map_at(ADDRESS, fd, 0, 0, 4);
		must(at == ADDRESS, "mmap");
		*(volatile unsigned long *)at = MAGIC;
		if (last_put)
			lab_vfree(fd, 0);
		meet(seen);
		munmap(at, 4 * PAGE);
		close(fd);
		other = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		memset(other, 0xee, 16 * PAGE);
		munmap(other, 16 * PAGE);
		rounds++;
	}
	stop = 1;
	pthread_join(thread, NULL);
	fact("rounds", rounds);
	fact("reads", good);
	fact("faults", refused);
	fact("stale", stale);
	fact("left_objects", objects_left());
}

static void munmap_tlb_held(void)
{
	munmap_tlb(0);
}

static void munmap_tlb_last_put(void)
{
	munmap_tlb(1);
}

/* Two CPUs pin and unpin two pages of one area: one count between them, or one each. */
struct hammer {
	int cpu;
	char *at;
	long pairs, ns;
};

static void *hammer(void *given)
{
	unsigned long page[PAGE / sizeof(unsigned long)];
	struct hammer *h = given;
	struct iovec piece = { h->at, PAGE };
	long begin, end;
	int ends[2];

	on_cpu(h->cpu);
	must(!pipe(ends), "pipe");
	while (!go)
		;
	begin = now_ns();
	end = begin + stress_ms * 300000L;
	while (now_ns() < end) {
		int i;

		for (i = 0; i < 64; i++) {
			if (vmsplice(ends[1], &piece, 1, 0) != (ssize_t)PAGE ||
			    read(ends[0], page, PAGE) != (ssize_t)PAGE)
				return NULL;
		}
		h->pairs += 64;
	}
	h->ns = now_ns() - begin;
	close(ends[0]);
	close(ends[1]);
	return NULL;
}

static long hammered(char *at, int threads)
{
	struct hammer h[2] = { { 0, at, 0, 0 }, { 1, at + PAGE, 0, 0 } };
	pthread_t thread[2];
	long ns = 0, pairs = 0;
	int i;

	go = 0;
	for (i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, hammer, &h[i]);
	usleep(20000);
	go = 1;
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		ns += h[i].ns;
		pairs += h[i].pairs;
	}
	return pairs ? ns / pairs : -1;
}

static void contention(void)
{
	struct frames f;
	char *at;
	int fd = area(2, &f, &at);

	spit("/proc/scamem", "count=0");
	fact("ns_one_cpu", hammered(at, 1));
	fact("ns_two_cpus", hammered(at, 2));
	spit("/proc/scamem", "count=1");
	munmap(at, 2 * PAGE);
	close(fd);
	all_free(&f);
}

/* ---- what is run ---- */

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "gup-fast", gup_fast },
	{ "gup-slow", gup_slow },
	{ "gup-after-munmap", gup_after_munmap },
	{ "two-mappings-and-an-unpin", two_mappings_and_an_unpin },
	{ "munmap-tlb", munmap_tlb_held },
	{ "munmap-tlb-last-put", munmap_tlb_last_put },
	{ "split-fork", split_fork },
	{ "vfree-against-fork", vfree_against_fork },
	{ "two-objects-one-file", two_objects_one_file },
	{ "private-data-taken", private_data_taken },
	{ "vma-of-many", vma_of_many },
	{ "object-without-area", object_without_area },
	{ "page-twice", page_twice },
	{ "vmap-foreign", vmap_foreign },
	{ "vmap-put-pages", vmap_put_pages },
	{ "remap-of-vmap", remap_of_vmap },
	{ "vfree-while-pinned", vfree_while_pinned },
	{ "vfree-while-mapped", vfree_while_mapped },
	{ "charge-while-pinned", charge_while_pinned },
	{ "node-of-live-page", node_of_live_page },
	{ "free-across-zones", free_across_zones },
	{ "metadata-of-512-pages", metadata_512 },
	{ "metadata-of-4096-pages", metadata_4096 },
	{ "offline-in-use", offline_in_use },
	{ "rss-and-mapcount", rss_and_mapcount },
	{ "whose-page", whose_page },
	{ "typed-page-insert", typed_page_insert },
	{ "map-a-stack", map_a_stack },
	{ "vrealloc", vrealloc_ },
	{ "many-references", many_references },
	{ "contention", contention },
	{ "gup-fast-against-final-put", gup_fast_against_final_put },
	{ "final-put-delayed", final_put_delayed },
	{ "walker-against-final-put", walker_against_final_put },
	{ "poison-mapped", poison_mapped },
	{ "poison-pinned", poison_pinned },
	{ "overflow", overflow },
	{ "final-put-without-grace", final_put_without_grace },
	{ "walker-without-grace", walker_without_grace },
};

#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static void say_who_asked(const char *name)
{
	char *at, *end;

	slurp("/proc/scamem", big, sizeof(big));
	for (at = big; (end = strchr(at, '\n')); at = end + 1) {
		*end = 0;
		if (!strncmp(at, "asked ", 6))
			say("@? %s %s\n", name, at + 6);
	}
}

static void act(unsigned int i)
{
	int status = 0;
	pid_t child;

	scenario = scenarios[i].name;
	spit("/proc/scamem", "reset");
	child = fork();
	if (!child) {
		alarm(120);
		look_fd = lab_open();
		scenarios[i].run();
		say("@@ %s%s\n", scenario, line);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		say("@! %s signal=%d\n", scenario, WTERMSIG(status));
	say_who_asked(scenario);
}

static void say_state(void)
{
	char *at, *end;

	slurp("/proc/scamem", big, sizeof(big));
	for (at = big; (end = strchr(at, '\n')); at = end + 1) {
		*end = 0;
		if (strncmp(at, "asked ", 6))
			say("@= %s\n", at);
	}
}

static void mounts(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/cgroup", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("cgroup2", "/cgroup", "cgroup2", 0, NULL);
	spit("/cgroup/cgroup.subtree_control", "+memory");
	mkdir("/cgroup/lab", 0755);
}

/* lab_only=NAME,NAME... on the command line; lab_ms=N: how long a stress lasts; lab_halt=NAME: stop
 * with that scenario's object alive, for a dump of the memory. */
static char only[512];

static void options(void)
{
	char *at;

	slurp("/proc/cmdline", big, sizeof(big));
	say("@= cmdline %s", big);
	at = strstr(big, "lab_ms=");
	if (at)
		stress_ms = atoi(at + 7);
	at = strstr(big, "lab_only=");
	if (at) {
		snprintf(only, sizeof(only), ",%s", at + 9);
		only[strcspn(only, " \n")] = 0;
		strncat(only, ",", sizeof(only) - strlen(only) - 1);
	}
}

static int wanted(const char *name)
{
	char item[80];

	snprintf(item, sizeof(item), ",%s,", name);
	if (!only[0])	/* one scenario corrupts memory, as it is meant to: it gets a boot of its own */
		return strcmp(name, "walker-without-grace");
	return !!strstr(only, item);
}

static void hold_for_a_dump(void)
{
	struct frames f;
	struct pin p;
	char *at;
	unsigned int i;

	look_fd = lab_open();
	area(17, &f, &at);
	pin(&p, at + 3 * PAGE);
	say("@= held_refcount %ld\n", look(&f).refcount);
	for (i = 0; i < f.count; i++)
		say("@= held_pfn %lu\n", f.pfn[i]);
	say("@dump\n");
	for (;;)
		pause();
}

int main(void)
{
	unsigned int i;

	mounts();
	slurp("/proc/version", big, sizeof(big));
	say("@= version %s", big);
	options();
	if (wanted("dump") && only[0])
		hold_for_a_dump();
	for (i = 0; i < SCENARIOS; i++)
		if (wanted(scenarios[i].name))
			act(i);
	say_state();
	say("@done\n");
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
