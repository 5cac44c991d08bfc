/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PERF_RECORD_* as the kernel writes them (include/uapi/linux/perf_event.h, "enum perf_event_type"), decoded from bytes
 * that may lie. Every decoder takes the whole record, header included; header.size has been checked by whoever cut it
 * out. 0 or -EBADMSG. Strings and arrays point into the record, so they live as long as its bytes do.
 */
#ifndef FORMAT_PERF_RECORD_H
#define FORMAT_PERF_RECORD_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

/* What perf_event_attr says about the shape of an event's records, worked out once. */
struct perf_layout {
	uint64_t sample_type, read_format, branch_sample_type;
	uint32_t user_regs, intr_regs; /* popcount of the masks */
	bool sample_id_all;
	/* Offset of PERF_SAMPLE_IDENTIFIER/ID in a sample, from the record's start; 0 = none. */
	uint16_t id_offset;
	/* Distance of the id from the end of a record that is no sample; 0 = none. */
	uint16_t id_tail;
	/* The fields of a sample up to PERIOD, and the whole sample_id_all trailer: one word each. */
	uint16_t fixed_bytes, trailer_bytes;
};

struct perf_sample_record {
	uint64_t ip, time, addr, id, stream_id, period;
	uint32_t pid, tid, cpu; /* UINT32_MAX where the event has no such field */
	uint8_t cpumode;	/* PERF_RECORD_MISC_CPUMODE_MASK of misc */
	uint32_t n_chain;
	const uint64_t *chain;	/* 8-byte aligned if the record is; may hold context markers */
	const void *raw;	/* PERF_SAMPLE_RAW */
	uint32_t raw_bytes;
};

/* sample_id_all trailer of the other records; zero / UINT32_MAX where absent. */
struct perf_record_id {
	uint64_t time, id;
	uint32_t pid, tid, cpu;
};

struct perf_mmap_record { /* MMAP and MMAP2 */
	uint32_t pid, tid;
	uint64_t start, length_bytes, pgoff_bytes;
	uint32_t prot;	       /* MMAP has none: PROT_EXEC unless PERF_RECORD_MISC_MMAP_DATA */
	uint8_t build_id_bytes; /* 0 = none; up to 20 */
	uint8_t build_id[20];
	const char *path;
};

struct perf_comm_record {
	uint32_t pid, tid;
	bool exec; /* PERF_RECORD_MISC_COMM_EXEC */
	const char *comm;
};

struct perf_task_record { /* FORK and EXIT */
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

struct perf_ksymbol_record {
	uint64_t address;
	uint32_t length_bytes;
	uint16_t type;
	bool unregister;
	const char *name;
};

int perf_layout_init(struct perf_layout *layout, const struct perf_event_attr *attr);

/* The event id of any record, sample or not; 0 if there is none. Does not read past header.size. */
uint64_t perf_record_event_id(const struct perf_layout *layout, const struct perf_event_header *record);

/*
 * Whether the kernel cut a call chain off: it stops at @max_addresses (attr.sample_max_stack, or sysctl
 * kernel.perf_event_max_stack where that is 0), context markers not counted.
 */
static inline bool perf_chain_is_cut(const uint64_t *chain, uint64_t n, uint32_t max_addresses)
{
	uint64_t addresses = 0;

	if (n < max_addresses)
		return false;
	for (uint64_t i = 0; i < n; i++)
		addresses += chain[i] < PERF_CONTEXT_MAX;
	return addresses >= max_addresses;
}

/* What that sysctl is unless somebody changed it. */
#define PERF_MAX_STACK_DEFAULT 127

int perf_record_sample(const struct perf_layout *layout, const struct perf_event_header *record,
		       struct perf_sample_record *ret);
int perf_record_id(const struct perf_layout *layout, const struct perf_event_header *record,
		   struct perf_record_id *ret);
int perf_record_mmap(const struct perf_layout *layout, const struct perf_event_header *record,
		     struct perf_mmap_record *ret);
int perf_record_comm(const struct perf_layout *layout, const struct perf_event_header *record,
		     struct perf_comm_record *ret);
int perf_record_task(const struct perf_event_header *record, struct perf_task_record *ret);
/* LOST: events lost; LOST_SAMPLES (since Linux 4.2; 6.1 perf writes it at the end): samples lost. */
int perf_record_lost(const struct perf_event_header *record, uint64_t *ret_lost);
int perf_record_ksymbol(const struct perf_layout *layout, const struct perf_event_header *record,
			struct perf_ksymbol_record *ret);

#endif
