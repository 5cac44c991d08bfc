/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "perf_bytes.h"
#include "util/io.h"

TEST(records_come_in_order_whatever_their_size)
{
	/*
	 * Large ones lie across the ends of the reader's buffer; odd ones leave their followers
	 * unaligned.
	 */
	const size_t sizes[] = { 16, 24, 65528, 17, 4001, 65535, 16 };
	_strbuf_ struct strbuf file = {};
	const struct perf_event_header *record;
	struct perf_data *data;
	uint64_t n = 0, offset = DATA_AT;

	add_head(&file, 64 << 20);
	while (file.n < 2 << 20)
		add_record(&file, PERF_RECORD_SAMPLE, sizes[n % ARRAY_SIZE(sizes)], n), n++;
	memcpy(file.text + 48, &(uint64_t){ file.n - DATA_AT }, 8);
	struct bytes b = { .bytes = file.text, .n = file.n };

	CHECK_EQ(open_bytes(&b, &data, NULL), 0);
	for (int walk = 0; walk < 2; walk++) {
		offset = DATA_AT;
		for (uint64_t i = 0; i < n; i++) {
			CHECK_EQ(perf_data_next(data, &record), 1);
			CHECK_EQ(word_of(record), i);
			CHECK_EQ(record->size, sizes[i % ARRAY_SIZE(sizes)]);
			CHECK_EQ(perf_data_offset(data), offset);
			offset += record->size;
		}
		CHECK_EQ(perf_data_next(data, &record), 0);
		CHECK_EQ(perf_data_next(data, &record), 0);
		perf_data_rewind(data);
	}
	CHECK(!perf_data_damage(data, &offset));
	perf_data_free(data);
}

static void check_refused(const char *bytes, size_t n, int code, const char *text)
{
	struct bytes b = { .bytes = bytes, .n = n };
	struct vpmu_error error = {};
	struct perf_data *data = (void *)1;

	CHECK_EQ(open_bytes(&b, &data, &error), code);
	CHECK_CONTAINS(error.text, text);
	CHECK(data == (void *)1);
}

TEST(what_is_no_recording_is_named)
{
	check_refused("", 0, -ENODATA, "empty");
	check_refused("\x7f" "ELF\2\1\1...........", 18, -EBADMSG, "an ELF binary");
	check_refused("\x1f\x8b\x08...............", 18, -EBADMSG, "gzip");
	check_refused("hello world, hello moon", 23, -EBADMSG, "looks like text");
	check_refused("PERF", 4, -EBADMSG, "cut off after 4 bytes");
	check_refused("2ELIFREP........", 16, -EOPNOTSUPP, "other byte order");
	check_refused("PERFILE2\x68\0\0\0\0\0\0\0....", 20, -EBADMSG, "cut off");
}

/*
 * The file's first @n bytes, with @records records of 16 bytes promised: how many come, and what is
 * said of the rest.
 */
static void check_cut(struct strbuf *file, size_t n, uint64_t want_records, const char *want_damage,
		      uint64_t want_at)
{
	struct bytes b = { .bytes = file->text, .n = n };
	const struct perf_event_header *record;
	uint64_t records = 0, at = 0;
	struct perf_data *data;
	const char *damage;

	CHECK_EQ(open_bytes(&b, &data, NULL), 0);
	while (perf_data_next(data, &record) == 1)
		records++;
	damage = perf_data_damage(data, &at);
	CHECK_EQ(records, want_records);
	if (want_damage)
		CHECK_CONTAINS(damage, want_damage);
	else
		CHECK(!damage);
	CHECK_EQ(at, want_at);
	perf_data_free(data);
}

TEST(what_is_there_of_a_cut_file_is_read_and_the_place_is_said)
{
	_strbuf_ struct strbuf file = {};

	add_head(&file, 3 * 16);
	for (int i = 0; i < 3; i++)
		add_record(&file, PERF_RECORD_SAMPLE, 16, 0);
	check_cut(&file, file.n, 3, NULL, 0);
	check_cut(&file, file.n - 1, 2, "cut off", DATA_AT + 32);
	check_cut(&file, file.n - 9, 2, "cut off", DATA_AT + 32);
	check_cut(&file, file.n - 16, 2, "cut off", DATA_AT + 32);
	check_cut(&file, DATA_AT + 3, 0, "cut off", DATA_AT);
	memset(file.text + 48, 0, 8); /* data.size: the recorder died */
	check_cut(&file, file.n, 3, "did not finish", file.n);
	check_cut(&file, file.n - 4, 2, "did not finish", file.n - 4);
}

TEST(a_record_smaller_than_its_header_ends_the_walk)
{
	_strbuf_ struct strbuf file = {};

	add_head(&file, 64);
	for (int i = 0; i < 4; i++)
		add_record(&file, PERF_RECORD_SAMPLE, 16, 0);
	memset(file.text + DATA_AT + 32, 0, 16); /* what a crash leaves on some file systems */
	check_cut(&file, file.n, 2, "a record of 0 bytes", DATA_AT + 32);
}

TEST(a_record_that_reaches_beyond_the_data_is_damage)
{
	_strbuf_ struct strbuf file = {};

	add_head(&file, 32);
	add_record(&file, PERF_RECORD_SAMPLE, 16, 0);
	add_record(&file, PERF_RECORD_SAMPLE, 4096, 0);
	check_cut(&file, file.n, 1, "cut off", DATA_AT + 16);
}

TEST(events_written_by_older_and_newer_recorders_are_read)
{
	const size_t sizes[] = {
		PERF_ATTR_SIZE_VER0, PERF_ATTR_SIZE_VER5, sizeof(clock_attr), 200,
	};
	uint64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_strbuf_ struct strbuf file = {};
		char attr[256] = {};
		uint32_t size = (uint32_t)sizes[i];
		const uint64_t ids_at = 104 + size + 16;
		const uint64_t head[12] = { 104, size + 16, 104, size + 16, ids_at + 8, 16 };
		const uint64_t tail[] = { ids_at, 8, 4711 }; /* where the ids are; the id */
		struct bytes b;
		struct perf_data *data;

		memcpy(attr, &clock_attr, sizeof(clock_attr));
		memcpy(attr + 4, &size, sizeof(size));
		strbuf_adds(&file, "PERFILE2");
		strbuf_add(&file, (const char *)head, sizeof(head));
		strbuf_add(&file, attr, size);
		strbuf_add(&file, (const char *)tail, sizeof(tail));
		add_record(&file, PERF_RECORD_SAMPLE, 16, 0);
		b = (struct bytes){ .bytes = file.text, .n = file.n };
		CHECK_EQ(open_bytes(&b, &data, NULL), 0);
		CHECK_EQ(perf_data_event(data, 0)->attr.sample_type, PERF_SAMPLE_IP);
		CHECK_EQ(perf_data_event(data, 0)->layout.sample_type, PERF_SAMPLE_IP);
		CHECK_EQ(perf_data_event(data, 0)->ids[0], 4711);
		CHECK_STR(perf_data_event(data, 0)->name, "cpu-clock");
		CHECK(!perf_data_damage(data, &at));
		perf_data_free(data);
	}
}

TEST(aux_data_between_records_is_stepped_over)
{
	for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
		_strbuf_ struct strbuf file = {};
		const uint64_t pipe_size = 16;
		const struct perf_event_header *record;
		struct bytes b = { .is_pipe = is_pipe };
		struct perf_data *data;
		char *aux = malloc(3 << 20);

		memset(aux, 0xee, 3 << 20);
		if (is_pipe) {
			strbuf_adds(&file, "PERFILE2");
			strbuf_add(&file, (const char *)&pipe_size, 8);
		} else {
			add_head(&file, 16 + 48 + (3 << 20) + 16);
		}
		add_record(&file, PERF_RECORD_COMM, 16, 1);
		add_record(&file, PERF_USER_AUXTRACE, 48, 3 << 20);
		strbuf_add(&file, aux, 3 << 20);
		add_record(&file, PERF_RECORD_EXIT, 16, 2);
		b.bytes = file.text;
		b.n = file.n;
		CHECK_EQ(open_bytes(&b, &data, NULL), 0);
		CHECK_EQ(perf_data_next(data, &record), 1);
		CHECK_EQ(word_of(record), 1);
		CHECK_EQ(perf_data_next(data, &record), 1);
		CHECK_EQ(word_of(record), 2);
		CHECK_EQ(perf_data_offset(data), file.n - 16);
		CHECK_EQ(perf_data_next(data, &record), 0);
		perf_data_free(data);
		free(aux);
	}
}

/* What the perf that made them says: tests/fuzz/corpus/perf_data/README.md. */
static const struct {
	const char *name;
	uint64_t kernel, user, guest_user, chain;
	struct {
		const char *name;
		uint64_t samples;
	} events[4];
} corpus[] = {
	{ "plain-6.1", 1, 45, 0, 0, { { "cpu-clock", 46 } } },
	{ "plain-6.12", 1, 41, 0, 0, { { "cpu-clock", 42 } } },
	{ "chains-6.1", 3, 20, 0, 107, { { "cpu-clock", 23 } } },
	{ "chains-6.12", 2, 21, 0, 108, { { "cpu-clock", 23 } } },
	{ "events-6.1", 4, 42, 0, 0,
	  { { "cpu-clock", 20 }, { "task-clock", 20 }, { "page-faults", 6 } } },
	{ "events-6.12", 2, 46, 0, 0,
	  { { "cpu-clock", 21 }, { "task-clock", 21 }, { "page-faults", 6 } } },
	{ "compressed-6.1", 17, 215, 0, 910, { { "cpu-clock", 232 } } },
	{ "compressed-6.12", 13, 225, 0, 894, { { "cpu-clock", 238 } } },
	{ "pipe-6.1", 0, 44, 0, 160, { { "cpu-clock", 22 }, { "task-clock", 22 } } },
	{ "pipe-6.12", 0, 42, 0, 140, { { "cpu-clock", 21 }, { "task-clock", 21 } } },
	{ "pipe-compressed-6.1", 2, 78, 0, 0, { { "cpu-clock", 80 } } },
	{ "pipe-compressed-6.12", 1, 74, 0, 0, { { "cpu-clock", 75 } } },
	{ "kvm-6.1", 0, 0, 137, 0, { { "cpu-clock", 137 } } },
	{ "kvm-6.12", 1, 0, 96, 0, { { "cpu-clock", 97 } } },
};

struct counts {
	uint64_t modes[8], events[4], chain;
};

static struct counts count_samples(struct perf_data *data)
{
	const struct perf_event_header *record;
	struct perf_sample_record sample;
	struct counts counts = {};
	int r;

	while ((r = perf_data_next(data, &record)) == 1) {
		int event = perf_data_event_of(data, record);

		CHECK_CMP(event, >=, 0);
		CHECK_CMP(event, <, 4);
		CHECK_EQ((uintptr_t)record % 8, 0);
		if (record->type != PERF_RECORD_SAMPLE)
			continue;
		CHECK_EQ(perf_record_sample(&perf_data_event(data, (size_t)event)->layout, record,
					    &sample),
			 0);
		counts.modes[sample.cpumode]++;
		counts.events[event]++;
		counts.chain += sample.n_chain;
	}
	CHECK_EQ(r, 0);
	return counts;
}

static char *read_corpus(size_t i, size_t *ret_n)
{
	char path[512], *bytes;

	snprintf(path, sizeof(path), TESTS_UNIT_DIR "/../fuzz/corpus/perf_data/%s.data",
		 corpus[i].name);
	CHECK_EQ(io_read_file(AT_FDCWD, path, 1 << 20, &bytes, ret_n), 0);
	return bytes;
}

TEST(files_of_stock_perf_give_the_counts_that_stock_perf_gives)
{
	for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
		struct bytes b = {};
		struct perf_data *data;
		struct counts counts;
		char *bytes = read_corpus(i, &b.n), *version;
		uint64_t at;

		b.bytes = bytes;
		b.is_pipe = strstr(corpus[i].name, "pipe");
		CHECK_EQ(open_bytes(&b, &data, NULL), 0);
		counts = count_samples(data);
		CHECK_EQ(counts.modes[PERF_RECORD_MISC_KERNEL], corpus[i].kernel);
		CHECK_EQ(counts.modes[PERF_RECORD_MISC_USER], corpus[i].user);
		CHECK_EQ(counts.modes[PERF_RECORD_MISC_GUEST_USER], corpus[i].guest_user);
		CHECK_EQ(counts.chain, corpus[i].chain);
		for (size_t e = 0; e < perf_data_n_events(data); e++) {
			CHECK_STR(perf_data_event(data, e)->name, corpus[i].events[e].name);
			CHECK_EQ(counts.events[e], corpus[i].events[e].samples);
		}
		CHECK(!perf_data_damage(data, &at));
		version = perf_data_feature_string(data, PERF_FEATURE_VERSION);
		CHECK_CONTAINS(version, strstr(corpus[i].name, "6.12") ? "6.12." : "6.1.");
		free(version);
		perf_data_free(data);
		free(bytes);
	}
}

TEST(a_second_walk_over_a_pipe_recording_in_a_file_gives_the_same)
{
	for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
		struct bytes b = {};
		struct perf_data *data;
		struct counts first, second;
		size_t n_events, n_build_ids;
		char *bytes = read_corpus(i, &b.n);

		b.bytes = bytes;
		CHECK_EQ(open_bytes(&b, &data, NULL), 0);
		first = count_samples(data);
		n_events = perf_data_n_events(data);
		n_build_ids = perf_data_n_build_ids(data);
		perf_data_rewind(data);
		second = count_samples(data);
		CHECK(memcmp(&first, &second, sizeof(first)) == 0);
		CHECK_EQ(perf_data_n_events(data), n_events);
		CHECK_EQ(perf_data_n_build_ids(data), n_build_ids);
		perf_data_free(data);
		free(bytes);
	}
}

TEST(files_of_stock_perf_cut_anywhere_are_read_as_far_as_they_go)
{
	for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
		size_t n;
		char *bytes = read_corpus(i, &n);
		uint64_t last = 0;

		for (size_t cut = 0; cut < n; cut += 13) {
			char *part = malloc(cut ?: 1);
			struct bytes b = { .bytes = part, .n = cut };
			struct perf_data *data;
			struct counts counts;
			uint64_t samples;

			memcpy(part, bytes, cut);
			if (open_bytes(&b, &data, NULL) == 0) {
				counts = count_samples(data);
				samples = counts.modes[1] + counts.modes[2] + counts.modes[5];
				CHECK_CMP(samples, >=, last);
				last = samples;
				perf_data_free(data);
			}
			free(part);
		}
		CHECK_EQ(last, corpus[i].kernel + corpus[i].user + corpus[i].guest_user);
		free(bytes);
	}
}

int main(void)
{
	return test_main();
}
