/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/sample.bpf.c, loaded. The kernel takes a tenth of a second of a CPU to verify it, too long for each session; so the
 * sessions of a process share one program, in which each has a number. It is unloaded when the last one has left.
 *
 * What a session is given with its number: a ring for its samples, and room in the maps of guests and misses. A program takes a megabyte
 * for each session that it has, and for up to four that it had, and three for guests; a second one is loaded when all of its numbers are
 * taken, and new sessions go to the fuller one.
 *
 * May be called from any thread; who comes while the program is being loaded waits for it.
 */
#ifndef HOST_SAMPLE_PROGRAM_H
#define HOST_SAMPLE_PROGRAM_H

#include <stdint.h>
#include "bpf/vpmu_bpf.h"

struct sample_program;

struct sample_seat {
	struct sample_program *program;
	uint32_t session;
	uint32_t flavour; /* enum vpmu_bpf_flavour */
	int program_fd, guests_fd, misses_fd, counts_fd, chains_fd, generations_fd, seen_fd, ring_fd; /* the program's, valid until sample_program_leave() */
};

/* Errors: -EPERM, -ENOMEM, what the kernel said to the program. */
int sample_program_join(struct sample_seat *ret_seat);

/*
 * Nothing is attached with the session's number any more, and none of its guests is left in the map. What is still in the ring
 * is dropped. A seat of zeros is left alone.
 */
void sample_program_leave(struct sample_seat *seat);

#endif
