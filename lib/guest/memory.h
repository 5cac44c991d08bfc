/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's physical memory, read from the host while the guest runs. It is where it is in the
 * hypervisor's address space; segments say which guest-physical addresses (gpa) are where.
 * Everything between the segments does not exist.
 *
 * Sources:
 *	a process	process_vm_readv(); neither the guest nor the hypervisor notices. Where the
 *			memory is KVM says (host/vm_slots.h); where that cannot be asked, and for
 *			emulated guests, /proc/PID/maps lets guess (memory_process.c).
 *	a file		a copy of the memory, such as QEMU's `pmemsave` writes
 *	another process	that may read where this one may not: who parses what is in the memory has no rights of its own
 *			(guest/parser.h), and asks who has
 *
 * Small reads go through a cache of pages, as tens of thousands of them fall on a few hundred
 * pages. What is cached is as old as the last memory_forget(); whoever begins a new look at the
 * guest forgets first.
 *
 * Not in a balloon, not written yet, swapped out: all that reads as it would for the hypervisor
 * itself. Only the search for the kernel, which touches all of memory, leaves out what is not
 * resident (memory_scan()), as reading makes it so.
 */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "util/cleanup.h"

#define PAGE_BYTES 4096u

struct memory;

struct memory_segment {
	uint64_t gpa, n_bytes;
	uint64_t at; /* in the process's address space, or in the file */
};

/*
 * A copy of @segments is kept; they are sorted by gpa and do not overlap (else -EINVAL). -ENOMEM.
 */
int memory_of_process(pid_t pid, const struct memory_segment *segments, size_t n_segments,
		      struct memory **ret_memory);

/* @path: all of memory from address 0 on, with whatever holes there are. */
int memory_of_file(const char *path, struct memory **ret_memory, struct vpmu_error *reterr);

/* What reads for us: both as memory_read_large() and memory_words() of the other side. */
struct memory_words;
struct memory_remote {
	int (*read)(void *data, uint64_t gpa, void *bytes, size_t n);
	int (*words)(void *data, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *words);
	void *data;
};

/* Segments' `at` does not matter. Errors as memory_of_process(). */
int memory_of_remote(const struct memory_remote *remote, const struct memory_segment *segments, size_t n_segments,
		     struct memory **ret_memory);

struct memory *memory_free(struct memory *memory);
DEFINE_CLEANUP(struct memory *, memory_free)

void memory_forget(struct memory *memory);

/* How many bytes there are in all. */
uint64_t memory_bytes(const struct memory *memory);
const struct memory_segment *memory_segments(const struct memory *memory, size_t *ret_n);
bool memory_has(const struct memory *memory, uint64_t gpa, uint64_t n_bytes);

/* 0; -EFAULT: there is no such memory, or it cannot be read; -ESRCH: the process is gone. */
int memory_read(struct memory *memory, uint64_t gpa, void *bytes, size_t n);

/* The same past the cache, for large pieces. */
int memory_read_large(struct memory *memory, uint64_t gpa, void *bytes, size_t n);

/*
 * Hands the word at @offset of every resident page to @fn, by ascending addresses. Stops when it
 * returns non-zero, and returns that. Errors: -ESRCH, -ENOMEM.
 */
int memory_scan(struct memory *memory, unsigned int offset,
		int (*fn)(uint64_t page_gpa, uint64_t word, void *data), void *data);

/*
 * A piece of that: of @n_pages pages from @gpa on, all of one segment (else -EFAULT), the resident ones' words. At most
 * MEMORY_WORDS_PAGES pages. Errors: -ESRCH.
 */
#define MEMORY_WORDS_PAGES 1024
struct memory_words {
	size_t n;
	struct {
		uint64_t page_gpa, word;
	} items[MEMORY_WORDS_PAGES];
};
int memory_words(struct memory *memory, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *words);

/*
 * The memory of the guest that process @pid runs, as far as its mappings tell: mappings that may be
 * it, the largest first, each with the ways in which it may be laid out. Memory that was added
 * while the guest ran is not found, nor that of a guest whose memory is in several pieces (NUMA
 * nodes).
 */
#define MEMORY_LAYOUT_SEGMENTS 2
struct memory_layout {
	struct memory_segment segments[MEMORY_LAYOUT_SEGMENTS];
	size_t n_segments;
};
#define MEMORY_LAYOUTS_MAX 16

/* The number of layouts or a negative errno: -EACCES, -ESRCH, what opening gave. */
int memory_layouts_guess(const char *proc_path, pid_t pid,
			 struct memory_layout layouts[MEMORY_LAYOUTS_MAX]);

#endif
