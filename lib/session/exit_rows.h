/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows of exits as they add up in the kernel, kept between readings: how far each was at the
 * last one, and the shortest and longest exit, which the kernel knows of one epoch only
 * (bpf/vpmu_bpf.h).
 */
#ifndef SESSION_EXIT_ROWS_H
#define SESSION_EXIT_ROWS_H

#include <vpmu/exits.h>
#include "bpf/vpmu_bpf.h"
#include "util/idtable.h"
#include "util/intern.h"
#include "util/vec.h"

/* A thread that is accounted, or was. */
struct exit_thread {
	pid_t tid;
	uint32_t guest, vcpu;
	bool ended, told; /* told: its end was part of a reading since last */
	uint8_t isa;
	bool ran_known;
	uint64_t ran_before_ns, ran_ns; /* on a CPU, by the scheduler's account: at the start, now */
};

struct exit_range {
	bool is_set;
	uint64_t min_ns, max_ns;
};

struct exit_entry {
	uint32_t thread; /* index */
	uint32_t name;	 /* in the pool */
	uint32_t key;	 /* enum vpmu_exit_key */
	uint64_t value;	 /* as the kernel's key has it; of REASON the code, and bit 32 if nested */
	struct vpmu_bpf_exit_row now, last;
	struct exit_range whole, since_last;
};

struct exit_rows {
	VEC(struct exit_entry) entries;
	struct idtable index;
	struct intern *names;
	VEC(struct vpmu_exit) items; /* the reading handed out */
};

int exit_rows_init(struct exit_rows *rows);
void exit_rows_deinit(struct exit_rows *rows);

/* How far a row is now. @epoch: the one that has just ended. -ENOMEM. */
int exit_rows_update(struct exit_rows *rows, uint32_t thread, uint8_t isa, enum vpmu_exit_key key,
		     uint64_t value, const struct vpmu_bpf_exit_row *now, uint32_t epoch);

/* Makes items: differences to the last reading, or since the start. -ENOMEM. */
int exit_rows_make(struct exit_rows *rows, const struct exit_thread *threads, size_t n_threads,
		   enum vpmu_count_since since);

/*
 * Threads get other numbers: places[old] is the new one, or EXIT_ROWS_NOWHERE; the rows of those go, and so does the reading
 * that was made. -ENOMEM: all stays as it was.
 */
#define EXIT_ROWS_NOWHERE UINT32_MAX
int exit_rows_renumber(struct exit_rows *rows, const uint32_t *places);

/* What is now is what the next reading since last begins with. */
void exit_rows_told(struct exit_rows *rows);

#endif
