/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's memory of which only a few lines are known: what the walks through one real guest have read. All else is zero.
 *
 *	head, then lines until the end
 */
#ifndef TESTS_FUZZ_SPARSE_IMAGE_H
#define TESTS_FUZZ_SPARSE_IMAGE_H

#include <stdint.h>

#define SPARSE_LINE_BYTES 64

struct sparse_head {
	uint64_t ram_bytes;
	uint64_t task_gva, mm_gva; /* of the process whose areas are read */
	int32_t pid;
	uint32_t seed; /* of what changes while it is read */
};

struct sparse_line {
	uint64_t gpa;
	uint8_t bytes[SPARSE_LINE_BYTES];
};

#endif
