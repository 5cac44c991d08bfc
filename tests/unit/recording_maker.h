/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recordings by hand: a file in memory, put together record by record.
 *
 *	struct maker m = {};
 *	make_comm(&m, time, pid, tid, "name", exec);
 *	make_sample(&m, &(struct made){ .time = 5, .pid = 7, … }, 3, chain);
 *	struct vpmu_recording *rec = make_recording(&m);
 */
#ifndef TESTS_UNIT_RECORDING_MAKER_H
#define TESTS_UNIT_RECORDING_MAKER_H

#include <sys/mman.h>
#include <vpmu/vpmu.h>

#include "format/perf_data.h"
#include "format/perf_data_write.h"
#include "format/vpmu_section.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/strbuf.h"

struct maker {
	struct strbuf records, guests; /* guests: body of our section, if not empty */
	uint64_t promised_bytes;       /* more than there are: a file cut off */
	uint16_t max_stack;
	struct strbuf build_ids; /* body of that feature, if not empty */
	char path[32]; /* of the file that make_file() made */
	int fd;
};

struct made { /* a sample */
	uint64_t time, ip, period;
	uint32_t pid, tid;
	uint16_t side;
};

static inline void maker_u64(struct strbuf *b, uint64_t value)
{
	strbuf_add(b, (const char *)&value, sizeof(value));
}

static inline void maker_u32s(struct strbuf *b, uint32_t first, uint32_t second)
{
	maker_u64(b, first | (uint64_t)second << 32);
}

/* The trailer: TID, TIME. */
static inline void make_record(struct maker *m, uint32_t type, uint16_t misc,
			       const struct strbuf *body, uint64_t time)
{
	struct perf_event_header header = { .type = type, .misc = misc };

	header.size = (uint16_t)(sizeof(header) + body->n + (type == PERF_RECORD_SAMPLE ? 0 : 16));
	strbuf_add(&m->records, (const char *)&header, sizeof(header));
	strbuf_add(&m->records, body->text, body->n);
	if (type == PERF_RECORD_SAMPLE)
		return;
	maker_u32s(&m->records, 0, 0);
	maker_u64(&m->records, time);
}

static inline void maker_string(struct strbuf *b, const char *string)
{
	char padded[64] = {};

	snprintf(padded, sizeof(padded), "%s", string);
	strbuf_add(b, padded, (strlen(padded) + 8) & ~7ul);
}

static inline void make_comm(struct maker *m, uint64_t time, uint32_t pid, uint32_t tid,
			     const char *name)
{
	_strbuf_ struct strbuf b = {};

	maker_u32s(&b, pid, tid);
	maker_string(&b, name);
	make_record(m, PERF_RECORD_COMM, 0, &b, time);
}

static inline void make_mmap(struct maker *m, uint64_t time, uint32_t pid, uint64_t start,
			     uint64_t length, const char *path)
{
	_strbuf_ struct strbuf b = {};

	maker_u32s(&b, pid, pid);
	maker_u64(&b, start);
	maker_u64(&b, length);
	maker_u64(&b, 0);
	maker_string(&b, path);
	make_record(m, PERF_RECORD_MMAP, PERF_RECORD_MISC_USER, &b, time);
}

static inline void make_ksymbol(struct maker *m, uint64_t address, uint32_t length,
				const char *name)
{
	_strbuf_ struct strbuf b = {};

	maker_u64(&b, address);
	maker_u32s(&b, length, PERF_RECORD_KSYMBOL_TYPE_BPF);
	maker_string(&b, name);
	make_record(m, PERF_RECORD_KSYMBOL, 0, &b, 0);
}

static inline void make_lost(struct maker *m, uint32_t type, uint64_t lost)
{
	_strbuf_ struct strbuf b = {};

	if (type == PERF_RECORD_LOST)
		maker_u64(&b, 1);
	maker_u64(&b, lost);
	make_record(m, type, 0, &b, 0);
}

static inline void make_sample(struct maker *m, const struct made *s, uint64_t n_chain,
			       const uint64_t *chain)
{
	_strbuf_ struct strbuf b = {};

	maker_u64(&b, s->ip);
	maker_u32s(&b, s->pid, s->tid);
	maker_u64(&b, s->time);
	maker_u64(&b, s->period ?: 1);
	maker_u64(&b, n_chain);
	for (uint64_t i = 0; i < n_chain && chain; i++)
		maker_u64(&b, chain[i]);
	make_record(m, PERF_RECORD_SAMPLE, s->side, &b, 0);
}

/* Writes the file; returns its path, which works as long as m->fd is open. */
static inline const char *make_file(struct maker *m)
{
	struct perf_data_write_event event = {
		.attr = {
			.type = PERF_TYPE_SOFTWARE,
			.size = sizeof(event.attr),
			.config = PERF_COUNT_SW_CPU_CLOCK,
			.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
				       PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN,
			.sample_id_all = 1,
			.freq = 1,
			.sample_freq = 999,
			.sample_max_stack = m->max_stack,
		},
		.name = "cpu-clock",
	};
	struct perf_data_section sections[4] = {};
	size_t n = 0;
	_strbuf_ struct strbuf file = {}, host = {}, version = {};

	perf_feature_string("node7", &host);
	perf_feature_string("6.1.192", &version);
	if (m->build_ids.n)
		sections[n++] = (struct perf_data_section){ PERF_FEATURE_BUILD_ID, m->build_ids.text, m->build_ids.n };
	sections[n++] = (struct perf_data_section){ PERF_FEATURE_HOSTNAME, host.text, host.n };
	sections[n++] = (struct perf_data_section){ PERF_FEATURE_VERSION, version.text, version.n };
	if (m->guests.n)
		sections[n++] = (struct perf_data_section){ PERF_FEATURE_VPMU_GUESTS, m->guests.text, m->guests.n };
	CHECK_EQ(perf_data_header(&event, 1, m->promised_bytes ?: m->records.n, sections, n, &file), 0);
	strbuf_add(&file, m->records.text ?: "", m->records.n);
	if (!m->promised_bytes)
		CHECK_EQ(perf_data_features(file.n, sections, n, &file), 0);
	m->fd = memfd_create("recording", MFD_CLOEXEC);
	CHECK_EQ(io_write_all(m->fd, file.text, file.n), 0);
	snprintf(m->path, sizeof(m->path), "/proc/self/fd/%d", m->fd);
	return m->path;
}

static inline void maker_deinit(struct maker *m)
{
	strbuf_deinit(&m->records);
	strbuf_deinit(&m->guests);
	strbuf_deinit(&m->build_ids);
	close(m->fd);
}

/* Symbols from nowhere but the recording. */
static inline struct vpmu_recording *make_open(const char *path)
{
	VPMU_OPTS(vpmu_recording_opts, opts,
		  .symbolizer = { .sz = sizeof(opts.symbolizer), .kallsyms_path = "/dev/null",
				  .cache_dir = "", .no_debuginfod = true });
	struct vpmu_recording *rec = NULL;
	struct vpmu_error error;

	if (vpmu_recording_open(path, &opts, &rec, &error) < 0)
		FAIL("%s", error.text);
	return rec;
}

#endif
