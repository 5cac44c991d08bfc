/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest memory for bpf/guest_walk.h outside the kernel: RAM from guest-physical 0 on, one page of which may be absent. A
 * read that nobody allowed is for the sanitizers to find: RAM is an allocation of just its size.
 */
#ifndef TESTS_BPF_GUEST_RAM_H
#define TESTS_BPF_GUEST_RAM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/vpmu_bpf.h"

struct guest_memory {
	uint8_t *ram;
	uint64_t ram_bytes;
	uint64_t absent_gpa; /* a page; UINT64_MAX = none */
	unsigned int reads;
};

static inline uint64_t guest_hva(struct guest_memory *memory, uint64_t gpa)
{
	uint64_t page = gpa & ~(uint64_t)4095;

	/* The last page may be cut: memory slots are whole pages. */
	memory->reads++;
	if (page >= memory->ram_bytes || memory->ram_bytes - page < 4096)
		return 0;
	return page == memory->absent_gpa ? 1 : (uintptr_t)memory->ram + gpa;
}

static inline int guest_copy(void *dst, size_t n, uint64_t hva)
{
	if (hva < 4097) /* absent: 1, and what lies in that page */
		return -1;
	memcpy(dst, (const void *)(uintptr_t)hva, n);
	return 0;
}

static inline void guest_loop(uint32_t n, long (*fn)(uint32_t i, void *data), void *data)
{
	for (uint32_t i = 0; i < n && fn(i, data) == 0; i++)
		;
}

#define guest_walk_function static inline

#include "bpf/guest_walk.h"

#endif
