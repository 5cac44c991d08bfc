/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PERF_RECORD_SAMPLE: what sample_type asks for, in this order (kernel/events/core.c,
 * perf_output_sample()):
 *
 *	one word each	IDENTIFIER IP TID TIME ADDR ID STREAM_ID CPU PERIOD
 *	variable	READ CALLCHAIN RAW
 *	behind		BRANCH_STACK REGS_USER STACK_USER WEIGHT DATA_SRC TRANSACTION REGS_INTR PHYS_ADDR CGROUP
 *			DATA_PAGE_SIZE CODE_PAGE_SIZE AUX
 *
 * This runs once for every sample of a recording, so the words are checked against the record's
 * size together. What stands behind RAW is not handed out, but walked where an event has it, so
 * that a sample that was cut short is told from a whole one.
 */
#include <errno.h>
#include <string.h>

#include "format/perf_record.h"
#include "util/cursor.h"
#include "util/macro.h"

/* In Linux 6.0 and 6.8; older headers lack them. */
#define READ_FORMAT_LOST       (1u << 4)
#define BRANCH_SAMPLE_COUNTERS (1u << 19)

#define BRANCH_ENTRY_BYTES 24 /* from, to, flags */
#define WORDS_BEHIND_TRANSACTION                                                                   \
	(PERF_SAMPLE_PHYS_ADDR | PERF_SAMPLE_CGROUP | PERF_SAMPLE_DATA_PAGE_SIZE |                 \
	 PERF_SAMPLE_CODE_PAGE_SIZE)
#define BEHIND_RAW                                                                                 \
	(PERF_SAMPLE_BRANCH_STACK | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER |               \
	 PERF_SAMPLE_WEIGHT_TYPE | PERF_SAMPLE_DATA_SRC | PERF_SAMPLE_TRANSACTION |                \
	 PERF_SAMPLE_REGS_INTR | WORDS_BEHIND_TRANSACTION | PERF_SAMPLE_AUX)

/* @n items of @item_bytes; @n comes from the record, so the product may not overflow unseen. */
static void skip_items(struct cursor *c, uint64_t n, uint64_t item_bytes)
{
	if (n > cursor_left(c) / item_bytes)
		n = UINT64_MAX / item_bytes;
	cursor_bytes(c, n * item_bytes);
}

/* struct read_format, see perf_event_open(2). */
static void skip_read(const struct perf_layout *layout, struct cursor *c)
{
	uint64_t format = layout->read_format;
	unsigned int times = !!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) +
			     !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING);
	unsigned int item = 8u * (1 + !!(format & PERF_FORMAT_ID) + !!(format & READ_FORMAT_LOST));

	if (format & PERF_FORMAT_GROUP) {
		uint64_t n = cursor_u64(c);

		cursor_bytes(c, 8 * times);
		skip_items(c, n, item);
	} else {
		cursor_bytes(c, 8 * times + item);
	}
}

static void skip_branches(const struct perf_layout *layout, struct cursor *c)
{
	uint64_t n = cursor_u64(c);

	if (layout->branch_sample_type & PERF_SAMPLE_BRANCH_HW_INDEX)
		cursor_u64(c);
	skip_items(c, n, BRANCH_ENTRY_BYTES);
	if (layout->branch_sample_type & BRANCH_SAMPLE_COUNTERS)
		skip_items(c, n, 8);
}

static void skip_regs(struct cursor *c, uint32_t n_regs)
{
	if (cursor_u64(c) != PERF_SAMPLE_REGS_ABI_NONE)
		skip_items(c, n_regs, 8);
}

static bool fields_behind_raw_fit(const struct perf_layout *layout, struct cursor *c)
{
	uint64_t type = layout->sample_type;

	if (type & PERF_SAMPLE_BRANCH_STACK)
		skip_branches(layout, c);
	if (type & PERF_SAMPLE_REGS_USER)
		skip_regs(c, layout->user_regs);
	if (type & PERF_SAMPLE_STACK_USER) {
		uint64_t n = cursor_u64(c);

		cursor_bytes(c, n);
		if (n)
			cursor_u64(c); /* how much of it was used */
	}
	if (type & PERF_SAMPLE_WEIGHT_TYPE)
		cursor_u64(c);
	if (type & PERF_SAMPLE_DATA_SRC)
		cursor_u64(c);
	if (type & PERF_SAMPLE_TRANSACTION)
		cursor_u64(c);
	if (type & PERF_SAMPLE_REGS_INTR)
		skip_regs(c, layout->intr_regs);
	skip_items(c, (uint64_t)__builtin_popcountll(type & WORDS_BEHIND_TRANSACTION), 8);
	if (type & PERF_SAMPLE_AUX)
		cursor_bytes(c, cursor_u64(c));
	return !c->failed;
}

/* The fields that are a word each; there are layout->fixed_bytes of them at @p. */
static inline const uint8_t *fixed_fields(uint64_t type, const uint8_t *p,
					  struct perf_sample_record *ret)
{
	uint32_t pair[2];

#define TAKE(bit, member)                                                                          \
	do {                                                                                       \
		if (type & (bit)) {                                                                \
			memcpy(&ret->member, p, 8);                                                \
			p += 8;                                                                    \
		}                                                                                  \
	} while (0)
	TAKE(PERF_SAMPLE_IDENTIFIER, id);
	TAKE(PERF_SAMPLE_IP, ip);
	if (type & PERF_SAMPLE_TID) {
		memcpy(pair, p, 8);
		ret->pid = pair[0];
		ret->tid = pair[1];
		p += 8;
	}
	TAKE(PERF_SAMPLE_TIME, time);
	TAKE(PERF_SAMPLE_ADDR, addr);
	TAKE(PERF_SAMPLE_ID, id);
	TAKE(PERF_SAMPLE_STREAM_ID, stream_id);
	if (type & PERF_SAMPLE_CPU) {
		memcpy(&ret->cpu, p, 4);
		p += 8;
	}
	TAKE(PERF_SAMPLE_PERIOD, period);
#undef TAKE
	return p;
}

int perf_record_sample(const struct perf_layout *layout, const struct perf_event_header *record,
		       struct perf_sample_record *ret)
{
	struct perf_sample_record sample = {
		.pid = UINT32_MAX, .tid = UINT32_MAX, .cpu = UINT32_MAX,
	};
	const uint8_t *p = (const uint8_t *)(record + 1);
	uint64_t type = layout->sample_type, n;
	struct cursor c;

	if (unlikely(record->size < sizeof(*record) + layout->fixed_bytes))
		return -EBADMSG;
	sample.cpumode = record->misc & PERF_RECORD_MISC_CPUMODE_MASK;
	p = fixed_fields(type, p, &sample);
	c = (struct cursor){ .p = p, .end = (const uint8_t *)record + record->size };
	if (unlikely(type & PERF_SAMPLE_READ))
		skip_read(layout, &c);
	if (type & PERF_SAMPLE_CALLCHAIN) {
		n = cursor_u64(&c);
		if (unlikely(n > cursor_left(&c) / 8))
			return -EBADMSG;
		sample.n_chain = (uint32_t)n;
		sample.chain = (const uint64_t *)(const void *)c.p;
		c.p += n * 8;
	}
	if (type & PERF_SAMPLE_RAW) {
		sample.raw_bytes = cursor_u32(&c);
		sample.raw = cursor_bytes(&c, sample.raw_bytes);
	}
	if (unlikely(c.failed))
		return -EBADMSG;
	if (unlikely(type & BEHIND_RAW) && !fields_behind_raw_fit(layout, &c))
		return -EBADMSG;
	*ret = sample;
	return 0;
}
