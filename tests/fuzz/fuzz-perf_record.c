/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One record. The input: what the event's attr says (sample_type, read_format, branch_sample_type,
 * sample_regs_user, sample_regs_intr, one u64 each; a byte for sample_id_all), then the record,
 * whose size is made to fit.
 */
#include "format/perf_record.h"
#include "fuzz.h"

#define ATTR_BYTES 41

static void decode(const struct perf_layout *layout, const struct perf_event_header *record)
{
	const uint8_t *end = (const uint8_t *)record + record->size;
	struct perf_sample_record sample;
	struct perf_ksymbol_record symbol;
	struct perf_mmap_record map;
	struct perf_comm_record comm;
	struct perf_task_record task;
	struct perf_record_id id;
	uint64_t lost;

	perf_record_event_id(layout, record);
	perf_record_id(layout, record, &id);
	perf_record_task(record, &task);
	perf_record_lost(record, &lost);
	if (perf_record_sample(layout, record, &sample) == 0) {
		HOLDS(!sample.n_chain || (const uint8_t *)(sample.chain + sample.n_chain) <= end);
		HOLDS(!sample.raw || (const uint8_t *)sample.raw + sample.raw_bytes <= end);
		touch(sample.chain, 8ul * sample.n_chain);
		touch(sample.raw, sample.raw_bytes);
	}
	if (perf_record_mmap(layout, record, &map) == 0) {
		HOLDS(map.build_id_bytes <= sizeof(map.build_id));
		touch_string(map.path);
	}
	if (perf_record_comm(layout, record, &comm) == 0)
		touch_string(comm.comm);
	if (perf_record_ksymbol(layout, record, &symbol) == 0)
		touch_string(symbol.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct perf_event_attr attr = {};
	struct perf_event_header *record;
	struct perf_layout layout;
	uint64_t words[5];

	if (size < ATTR_BYTES + sizeof(*record) || size - ATTR_BYTES > UINT16_MAX)
		return 0;
	memcpy(words, bytes, sizeof(words));
	attr.sample_type = words[0];
	attr.read_format = words[1];
	attr.branch_sample_type = words[2];
	attr.sample_regs_user = words[3];
	attr.sample_regs_intr = words[4];
	attr.sample_id_all = bytes[40] & 1;
	if (perf_layout_init(&layout, &attr) < 0)
		return 0;
	record = exact_copy(bytes + ATTR_BYTES, size - ATTR_BYTES);
	record->size = (uint16_t)(size - ATTR_BYTES);
	decode(&layout, record);
	free(record);
	return 0;
}
