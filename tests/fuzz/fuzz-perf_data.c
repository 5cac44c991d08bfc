/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole recording: opened, walked twice, every record decoded as what it says it is, every
 * feature read.
 */
#include "format/perf_data.h"
#include "fuzz.h"
#include "util/macro.h"

struct bytes {
	const uint8_t *bytes;
	size_t n;
};

static ssize_t read_bytes(void *data, void *to, size_t n, uint64_t offset)
{
	const struct bytes *b = data;

	if (offset >= b->n)
		return 0;
	n = MIN(n, b->n - offset);
	memcpy(to, b->bytes + offset, n);
	return (ssize_t)n;
}

static void decode(const struct perf_layout *layout, const struct perf_event_header *record)
{
	struct perf_sample_record sample;
	struct perf_mmap_record map;
	struct perf_comm_record comm;
	struct perf_record_id id;

	perf_record_id(layout, record, &id);
	if (record->type == PERF_RECORD_SAMPLE &&
	    perf_record_sample(layout, record, &sample) == 0) {
		touch(sample.chain, 8ul * sample.n_chain);
		touch(sample.raw, sample.raw_bytes);
	}
	if ((record->type == PERF_RECORD_MMAP || record->type == PERF_RECORD_MMAP2) &&
	    perf_record_mmap(layout, record, &map) == 0)
		touch_string(map.path);
	if (record->type == PERF_RECORD_COMM && perf_record_comm(layout, record, &comm) == 0)
		touch_string(comm.comm);
}

static uint64_t walk(struct perf_data *data, size_t size)
{
	const struct perf_event_header *record;
	uint64_t records = 0, last = 0;
	int r;

	while ((r = perf_data_next(data, &record)) == 1) {
		int event = perf_data_event_of(data, record);

		HOLDS((uintptr_t)record % 8 == 0);
		HOLDS(record->size >= sizeof(*record));
		HOLDS(record->type < 64);
		HOLDS(perf_data_offset(data) >= last && perf_data_offset(data) < size);
		HOLDS(event < (int)perf_data_n_events(data));
		last = perf_data_offset(data);
		touch(record, record->size);
		if (event >= 0)
			decode(&perf_data_event(data, (size_t)event)->layout, record);
		records++;
	}
	HOLDS(r == 0);
	HOLDS(perf_data_next(data, &record) == 0);
	return records;
}

static void read_features(struct perf_data *data)
{
	for (unsigned int i = 0; i < 257; i++) {
		void *bytes = NULL;
		size_t n = 0;

		if (perf_data_feature(data, i, &bytes, &n) == 0)
			touch(bytes, n);
		free(bytes);
		free(perf_data_feature_string(data, i));
	}
	for (size_t i = 0; i < perf_data_n_build_ids(data); i++)
		touch_string(perf_data_build_id(data, i)->path);
	for (size_t i = 0; i < perf_data_n_events(data); i++) {
		touch_string(perf_data_event(data, i)->name);
		touch(perf_data_event(data, i)->ids, 8 * perf_data_event(data, i)->n_ids);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct bytes b = { .bytes = bytes, .n = size };
	struct perf_data_source source = { .data = &b, .read_at = read_bytes, .size_bytes = size };
	struct perf_data *data = NULL;
	struct vpmu_error error = {};
	uint64_t records, at = 0;
	const char *damage;

	if (perf_data_open(&source, &data, &error) < 0) {
		HOLDS(!data && error.text[0]);
		return 0;
	}
	records = walk(data, size);
	read_features(data);
	damage = perf_data_damage(data, &at);
	HOLDS(!damage || damage[0]);
	/* Ids that came late may give a record another event, but there are as many. */
	perf_data_rewind(data);
	HOLDS(walk(data, size) == records);
	perf_data_free(data);
	return 0;
}
