/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where samples fell, coarsely: enough to know at the end of a recording which files and kernels
 * were hit, and which pages of the host's kernel, so that their symbols and build-ids go into the file and nobody
 * else's do. One address a page and process, bounded; samples are not kept.
 */
#ifndef SESSION_HITS_H
#define SESSION_HITS_H

#include <stdbool.h>
#include <stdint.h>
#include "session/process.h"
#include "sym/symbolizer.h"
#include "util/vec.h"

struct hit {
	uint64_t address, time_ns;
	uint32_t pid, tid;
	bool used;
};

struct hits {
	struct hit *slots; /* open addressing by (pid, page); the host's kernel is pid 0, which runs no user code */
	size_t n, room;
	bool host_kernel;
	bool host_kernel_forgotten; /* not every page of the host's kernel is among them */
	uint64_t host_kernel_address;
	uint64_t recent_pages[256]; /* of the host's kernel: samples fall into few pages, again and again */
	VEC(struct hit) guests; /* by guest index and kernel or user: 2 * guest + user */
};

void hits_deinit(struct hits *hits);

/*
 * All of these forget rather than fail: a table that is missing in the file costs names, not
 * samples.
 */
void hits_user(struct hits *hits, uint32_t pid, uint32_t tid, uint64_t address, uint64_t time_ns);
void hits_host_kernel(struct hits *hits, uint64_t address);
void hits_guest(struct hits *hits, uint32_t guest, bool user, uint64_t address);

/* In an address space of a process in a guest. */
void hits_guest_user(struct hits *hits, uint32_t space, uint64_t address);

/* Looks every hit up once, so that @symbolizer loads its table. */
void hits_resolve(const struct hits *hits, struct processes *processes,
		  struct vpmu_symbolizer *symbolizer);

/*
 * The pages of the host's kernel that were hit: page numbers, ascending, the caller's to free. NULL: too many to know, or out
 * of memory.
 */
uint64_t *hits_kernel_pages(const struct hits *hits, size_t *ret_n);

#endif
