/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces as numbers: which file is mapped at an address of a process, at some stretch of its life.
 *
 * A number never changes its meaning for an address that was mapped when somebody could have sampled it. So a mapping goes
 * into the space itself as long as it lands on free addresses or repeats what is there; if it replaces something, a new number
 * is made, and the old one keeps the old mapping. Numbers are cheap: all spaces share what they have in common.
 */
#ifndef SYM_SPACES_H
#define SYM_SPACES_H

#include <stdbool.h>
#include <stdint.h>
#include "util/cleanup.h"

#define SPACES_FAILED UINT32_MAX

struct spaces;

struct mapping {
	uint64_t start, end;   /* [start, end) */
	uint64_t offset_bytes; /* in the file, of @start */
	uint32_t file;	       /* the caller's number */
};

struct spaces *spaces_new(void);
struct spaces *spaces_free(struct spaces *spaces);
DEFINE_CLEANUP(struct spaces *, spaces_free)

/* A new empty space; SPACES_FAILED when out of memory. Space 0 is there from the start and stays empty. */
uint32_t spaces_add(struct spaces *spaces);

/* Puts @mapping into @space. Returns the space to use from now on, or SPACES_FAILED. Empty mappings are ignored. */
uint32_t spaces_map(struct spaces *spaces, uint32_t space, const struct mapping *mapping);

/* The mapping that holds @address. */
bool spaces_find(const struct spaces *spaces, uint32_t space, uint64_t address, struct mapping *ret_mapping);

#endif
