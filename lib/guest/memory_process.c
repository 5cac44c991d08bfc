/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which mapping of a hypervisor's process is the guest's memory, and where it is for the guest.
 *
 * QEMU keeps a machine's memory in one mapping (anonymous, a memfd, or a file on hugetlbfs or
 * /dev/shm), by far the largest that is both written and not executed. It shows the guest the first
 * part from address 0 on and the rest from 4 GiB on, to leave room for devices below 4 GiB. Where
 *it cuts depends on the machine (hw/i386/pc_piix.c, pc_q35.c, microvm.c):
 *
 *	pc	at 3 GiB if there are 3.5 GiB or more, else not; in old versions at 3.5 GiB
 *	q35	at 2 GiB if there are 2.75 GiB or more, else not
 *	microvm	at 3 GiB
 *
 * Nothing outside of QEMU says which. So all are handed out as guesses; the guest's kernel, once it
 * is found, says where its memory ends, which tells them apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/proc_maps.h"
#include "guest/memory.h"
#include "util/io.h"
#include "util/macro.h"

#define GIB	       (1ull << 30)
#define MAPS_MAX       (64u << 20)
#define SMALLEST_GUEST (16ull << 20)
#define CANDIDATES     4

/*
 * Nobody gives a guest so many times the memory that there is. Mappings of terabytes are something
 * else: address sanitizer's shadow, for one. To look through them would take minutes.
 */
#define OVERCOMMIT_MAX 16

struct candidates {
	uint64_t most_bytes;
	struct memory_segment items[CANDIDATES]; /* the largest first */
	size_t n;
};

static int consider(const struct proc_maps_line *line, void *data)
{
	struct candidates *c = data;
	struct memory_segment mapping = {.at = line->start, .n_bytes = line->end - line->start};
	size_t i;

	if ((line->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)) != (PROT_READ | PROT_WRITE) ||
	    line->end <= line->start || mapping.n_bytes < SMALLEST_GUEST ||
	    mapping.n_bytes > c->most_bytes)
		return 0;
	if (line->path_bytes && line->path[0] == '[' && line->path_bytes >= 5 &&
	    memcmp(line->path, "[anon", 5) != 0)
		return 0; /* [heap], [stack] */
	for (i = c->n; i > 0 && c->items[i - 1].n_bytes < mapping.n_bytes; i--)
		if (i < CANDIDATES)
			c->items[i] = c->items[i - 1];
	if (i < CANDIDATES)
		c->items[i] = mapping;
	c->n = MIN(c->n + 1, (size_t)CANDIDATES);
	return 0;
}

/* The ways in which @mapping may be seen by the guest. */
static size_t add_layouts(const struct memory_segment *mapping, struct memory_layout *layouts,
			  size_t n, size_t room)
{
	static const struct {
		uint64_t cut, from; /* cut there if there is at least so much memory */
	} machines[] = {
		{3 * GIB, 3 * GIB + GIB / 2},
		{2 * GIB, 2 * GIB + 3 * GIB / 4},
		{3 * GIB + GIB / 2, 3 * GIB + GIB / 2},
	};

	if (mapping->n_bytes < 3 * GIB + GIB / 2 && n < room)
		layouts[n++] = (struct memory_layout){
			.segments = {{.n_bytes = mapping->n_bytes, .at = mapping->at}},
			.n_segments = 1,
		};
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		uint64_t cut = machines[i].cut;

		if (mapping->n_bytes < machines[i].from || mapping->n_bytes <= cut || n == room)
			continue;
		layouts[n++] = (struct memory_layout){
			.segments = {{.n_bytes = cut, .at = mapping->at},
				     {.gpa = 4 * GIB,
				      .n_bytes = mapping->n_bytes - cut,
				      .at = mapping->at + cut}},
			.n_segments = 2,
		};
	}
	return n;
}

int memory_layouts_guess(const char *proc_path, pid_t pid,
			 struct memory_layout layouts[MEMORY_LAYOUTS_MAX])
{
	struct candidates candidates = {
		.most_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE_BYTES * OVERCOMMIT_MAX,
	};
	_free_ char *text = NULL;
	char path[512];
	size_t n = 0, n_layouts = 0;
	uint64_t bad;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/maps", proc_path, pid) >= sizeof(path))
		return -ENAMETOOLONG;
	r = io_read_file(AT_FDCWD, path, MAPS_MAX, &text, &n);
	if (r < 0)
		return r;
	proc_maps_parse(text, n, consider, &candidates, &bad);
	for (size_t i = 0; i < candidates.n; i++)
		n_layouts =
			add_layouts(&candidates.items[i], layouts, n_layouts, MEMORY_LAYOUTS_MAX);
	return (int)n_layouts;
}
