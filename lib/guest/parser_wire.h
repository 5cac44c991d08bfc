/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said between a process that has rights over guests and the one that parses a guest's memory for it. Both run the same
 * program on the same machine, so the bytes are those of C structures; but the parser may be under the guest's control by now, so who
 * has the rights checks whatever it gets (parser_ask.c).
 *
 *	question	PARSER_FIND … PARSER_MODULES_UNWIND		->
 *	reads			<- PARSER_READ, PARSER_WORDS: bytes at a guest-physical address
 *			PARSER_BYTES				->
 *	answer			<- PARSER_PART, any number; PARSER_FACTS, if there is something new; PARSER_DONE
 */
#ifndef GUEST_PARSER_WIRE_H
#define GUEST_PARSER_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <vpmu/error.h>
#include "guest/memory.h"
#include "host/vm_slots.h"

enum parser_kind {
	PARSER_FIND = 1,      /* struct parser_start, segments: looks for the kernel. Answer: facts */
	PARSER_RESUME,	      /* the same and struct kernel_facts: takes it that it is there */
	PARSER_KERNEL_TABLE,  /* answer: the image of a symbol table, addresses from _text on; right behind PARSER_FIND only */
	PARSER_MODULES_TABLE, /* the same, for modules and all that comes and goes; by addresses */
	PARSER_CURRENT,	      /* answer: struct vpmu_bpf_guest */
	PARSER_CODE_AREAS,    /* struct parser_process; answer: as code_areas_encode() */
	PARSER_EXPORTED_TABLE, /* struct parser_area; answer: the image of a symbol table, by places in the file */
	PARSER_KERNEL_UNWIND, /* answer: as kernel_orc_encode() */
	PARSER_MODULES_UNWIND,
	PARSER_BYTES,	      /* int32_t result, then what was read */
	PARSER_READ = 32,     /* struct parser_read */
	PARSER_WORDS,	      /* struct parser_read, with n_bytes the number of pages and offset that of the word */
	PARSER_PART,	      /* bytes of the answer */
	PARSER_FACTS,	      /* struct kernel_facts */
	PARSER_DONE,	      /* struct parser_done: the end of the answer */
};

struct parser_head {
	uint32_t kind, n_bytes; /* behind this */
};

#define PARSER_READ_MAX (1u << 20)
#define PARSER_PART_MAX (64u << 10)

struct parser_start {
	uint32_t n_places, n_roots, told, has_facts;
	uint64_t cr3[VM_ROOTS_MAX];
	/* for each place: uint64_t n, struct memory_segment × n (`at` is 0); then struct kernel_facts if it has them */
};

struct parser_process {
	uint64_t task_gva, mm_gva;
	int64_t tgid;
};

/* One of its code areas. */
struct parser_area {
	struct parser_process process;
	uint64_t start_gva;
};

struct parser_read {
	uint64_t gpa;
	uint32_t place, n_bytes, offset, zero;
};

struct parser_done {
	int32_t result;
	char text[236]; /* of the error */
};

/* A stream of bytes both ways: all of them, or a negative errno. */
struct parser_link {
	int (*receive)(void *data, void *bytes, size_t n);
	int (*send)(void *data, const void *bytes, size_t n);
	void *data;
};

int parser_send(const struct parser_link *link, uint32_t kind, const void *bytes, size_t n);
/* The answer's bytes, in parts. */
int parser_send_parts(const struct parser_link *link, const void *bytes, size_t n);

#endif
