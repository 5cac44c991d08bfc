/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written is read back by our own reader, and by stock perf where that is installed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "format/perf_data.h"
#include "format/perf_data_write.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"

#define SAMPLES 7

static const uint64_t ids[] = { 101, 102 };
static const struct perf_data_write_event event = {
	.attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK, .freq = 1, .sample_freq = 1000,
		.sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
			       PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD,
		.sample_id_all = 1, .mmap = 1, .mmap2 = 1, .comm = 1,
	},
	.name = "cpu-clock:mine", .ids = ids, .n_ids = ARRAY_SIZE(ids),
};

static void add_samples(struct strbuf *out)
{
	for (uint64_t i = 0; i < SAMPLES; i++) {
		struct {
			struct perf_event_header header;
			uint64_t id, ip;
			uint32_t pid, tid;
			uint64_t time;
			uint32_t cpu, zero;
			uint64_t period;
		} sample = {
			.header = { .type = PERF_RECORD_SAMPLE,
				    .misc = PERF_RECORD_MISC_USER,
				    .size = sizeof(sample) },
			.id = ids[i % 2],
			.ip = 0x401000 + i,
			.pid = 4242,
			.tid = 4243,
			.time = 1000 + i,
			.cpu = 1,
			.period = 1000000,
		};
		strbuf_add(out, (const char *)&sample, sizeof(sample));
	}
}

static void add_records(struct strbuf *out)
{
	struct perf_mmap_record map = {
		.pid = 4242,
		.tid = 4242,
		.start = 0x400000,
		.length_bytes = 0x10000,
		.prot = PROT_READ | PROT_EXEC,
		.path = "/usr/bin/synthetic",
	};
	struct perf_layout layout;

	perf_layout_init(&layout, &event.attr);
	perf_record_make_comm(&layout, 4242, 4243, "synthetic", ids[0], out);
	perf_record_make_mmap2(&layout, PERF_RECORD_MISC_USER, &map, 8, 1, 77, ids[0], out);
	map.path = "[kernel.kallsyms]_text";
	map.pid = UINT32_MAX;
	map.tid = 0;
	perf_record_make_mmap(&layout, PERF_RECORD_MISC_KERNEL, &map, ids[0], out);
	add_samples(out);
}

struct sections {
	struct strbuf bodies[8];
	struct perf_data_section list[8];
	size_t n;
};

static struct strbuf *add_section(struct sections *s, unsigned int feature)
{
	s->list[s->n].feature = feature;
	return &s->bodies[s->n++];
}

static void add_sections(struct sections *s)
{
	const char *words[] = { "vpmu", "record", "web1" };
	const uint64_t times[] = { 1000, 1000 + SAMPLES - 1 };
	const uint8_t build_id[20] = { 0xab, 0xcd, 0xef };

	perf_feature_build_id("/usr/bin/synthetic", PERF_RECORD_MISC_USER, -1, build_id, 20,
			      add_section(s, PERF_FEATURE_BUILD_ID));
	perf_feature_string("node7", add_section(s, PERF_FEATURE_HOSTNAME));
	perf_feature_nrcpus(2, 4, add_section(s, PERF_FEATURE_NRCPUS));
	perf_feature_cmdline(words, ARRAY_SIZE(words), add_section(s, PERF_FEATURE_CMDLINE));
	perf_feature_event_desc(&event, 1, add_section(s, PERF_FEATURE_EVENT_DESC));
	perf_feature_u64s(times, 2, add_section(s, PERF_FEATURE_SAMPLE_TIME));
	strbuf_adds(add_section(s, PERF_FEATURE_VPMU_GUESTS), "guests");
	strbuf_adds(add_section(s, PERF_FEATURE_VPMU_SYMBOLS), "symbols");
	for (size_t i = 0; i < s->n; i++) {
		s->list[i].bytes = s->bodies[i].text;
		s->list[i].n = s->bodies[i].n;
	}
}

/* A whole recording; @finished: else as it is before the end, with the records alone. */
static struct strbuf make_file(bool finished)
{
	struct strbuf file = {}, records = {};
	struct sections s = {};

	add_records(&records);
	add_sections(&s);
	CHECK_EQ(perf_data_header(&event, 1, finished ? records.n : 0, s.list, finished ? s.n : 0,
				  &file),
		 0);
	CHECK_EQ(file.n % 8, 0);
	strbuf_add(&file, records.text, records.n);
	if (finished)
		CHECK_EQ(perf_data_features(file.n, s.list, s.n, &file), 0);
	for (size_t i = 0; i < s.n; i++)
		strbuf_deinit(&s.bodies[i]);
	strbuf_deinit(&records);
	return file;
}

static ssize_t read_text(void *data, void *bytes, size_t n, uint64_t offset)
{
	struct strbuf *file = data;

	n = offset < file->n ? MIN(n, file->n - offset) : 0;
	memcpy(bytes, file->text + offset, n);
	return (ssize_t)n;
}

static struct perf_data *open_text(struct strbuf *file)
{
	struct perf_data_source source = { .data = file,
					   .read_at = read_text,
					   .size_bytes = file->n };
	struct perf_data *data;
	struct vpmu_error error;

	if (perf_data_open(&source, &data, &error) < 0)
		FAIL("%s", error.text);
	return data;
}

static void check_records(struct perf_data *data)
{
	const struct perf_layout *layout = &perf_data_event(data, 0)->layout;
	const struct perf_event_header *record;
	struct perf_sample_record sample;
	struct perf_comm_record comm;
	struct perf_mmap_record map;
	struct perf_record_id id;

	CHECK_EQ(perf_data_next(data, &record), 1);
	CHECK_EQ(perf_record_comm(layout, record, &comm), 0);
	CHECK_STR(comm.comm, "synthetic");
	CHECK_EQ(perf_record_id(layout, record, &id), 0);
	CHECK_EQ(id.pid, 4242);
	CHECK_EQ(id.id, ids[0]);
	CHECK_EQ(perf_data_next(data, &record), 1);
	CHECK_EQ(perf_record_mmap(layout, record, &map), 0);
	CHECK_STR(map.path, "/usr/bin/synthetic");
	CHECK_EQ(map.prot, PROT_READ | PROT_EXEC);
	CHECK_EQ(perf_data_next(data, &record), 1);
	CHECK_EQ(record->type, PERF_RECORD_MMAP);
	for (uint64_t i = 0; i < SAMPLES; i++) {
		CHECK_EQ(perf_data_next(data, &record), 1);
		CHECK_EQ(perf_record_sample(layout, record, &sample), 0);
		CHECK_EQ(sample.ip, 0x401000 + i);
	}
	CHECK_EQ(perf_data_next(data, &record), 0);
}

TEST(what_is_written_is_read_back)
{
	_strbuf_ struct strbuf file = make_file(true);
	struct perf_data *data = open_text(&file);
	char *host, *words;
	void *bytes;
	uint64_t offset;
	size_t n;

	CHECK_EQ(perf_data_n_events(data), 1);
	CHECK_STR(perf_data_event(data, 0)->name, "cpu-clock:mine");
	CHECK_EQ(perf_data_event(data, 0)->n_ids, 2);
	CHECK_EQ(perf_data_event(data, 0)->attr.sample_freq, 1000);
	check_records(data);
	CHECK(!perf_data_damage(data, &offset));
	CHECK(perf_data_is_ended(data));
	host = perf_data_feature_string(data, PERF_FEATURE_HOSTNAME);
	words = perf_data_feature_string(data, PERF_FEATURE_CMDLINE);
	CHECK_STR(host, "node7");
	CHECK_STR(words, "vpmu record web1");
	CHECK_EQ(perf_data_feature(data, PERF_FEATURE_VPMU_SYMBOLS, &bytes, &n), 0);
	CHECK_EQ(n, 7);
	CHECK(memcmp(bytes, "symbols", 7) == 0);
	CHECK_EQ(perf_data_n_build_ids(data), 1);
	CHECK_STR(perf_data_build_id(data, 0)->path, "/usr/bin/synthetic");
	CHECK_EQ(perf_data_build_id(data, 0)->size_bytes, 20);
	CHECK_EQ(perf_data_build_id(data, 0)->bytes[1], 0xcd);
	free(host);
	free(words);
	free(bytes);
	perf_data_free(data);
}

TEST(a_file_whose_recorder_died_is_read_to_its_end)
{
	_strbuf_ struct strbuf file = make_file(false);
	struct perf_data *data = open_text(&file);
	uint64_t offset;

	check_records(data);
	CHECK_CONTAINS(perf_data_damage(data, &offset), "did not finish");
	CHECK_EQ(offset, file.n);
	CHECK(!perf_data_is_ended(data));
	perf_data_free(data);
}

TEST(a_recording_without_records_is_sound)
{
	_strbuf_ struct strbuf file = {}, host = {};
	const struct perf_event_header *record;
	struct perf_data_section section = { .feature = PERF_FEATURE_HOSTNAME };
	struct perf_data *data;
	uint64_t offset;
	char *name;

	perf_feature_string("node7", &host);
	section.bytes = host.text;
	section.n = host.n;
	CHECK_EQ(perf_data_header(&event, 1, 0, &section, 1, &file), 0);
	CHECK_EQ(perf_data_features(file.n, &section, 1, &file), 0);
	data = open_text(&file);
	CHECK_EQ(perf_data_next(data, &record), 0);
	CHECK(!perf_data_damage(data, &offset));
	name = perf_data_feature_string(data, PERF_FEATURE_HOSTNAME);
	CHECK_STR(name, "node7");
	free(name);
	perf_data_free(data);
}

TEST(sections_out_of_order_are_refused)
{
	const struct perf_data_section wrong[] = { { .feature = 200 }, { .feature = 3 } };
	const struct perf_data_section beyond[] = { { .feature = 256 } };
	_strbuf_ struct strbuf out = {};

	CHECK_EQ(perf_data_header(&event, 1, 0, wrong, 2, &out), -EINVAL);
	CHECK_EQ(perf_data_features(0, wrong, 2, &out), -EINVAL);
	CHECK_EQ(perf_data_features(0, beyond, 1, &out), -EINVAL);
	CHECK_EQ(out.n, 0);
}

/* What `perf @args -i FILE` prints, both streams. */
static char *run_perf(const char *args, const struct strbuf *file)
{
	char path[] = "vpmu-test-XXXXXX", command[256], *text = calloc(1, 1 << 16);
	int fd = mkostemp(path, O_CLOEXEC);
	FILE *pipe;

	CHECK(fd >= 0 && text);
	CHECK_EQ(io_write_all(fd, file->text, file->n), 0);
	close(fd);
	snprintf(command, sizeof(command), "perf %s -i %s 2>&1", args, path);
	pipe = popen(command, "r");
	CHECK(pipe);
	fread(text, 1, (1 << 16) - 1, pipe);
	CHECK_EQ(pclose(pipe), 0);
	unlink(path);
	return text;
}

static int count(const char *text, const char *word)
{
	int n = 0;

	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		n++;
	return n;
}

TEST(stock_perf_opens_it)
{
	_strbuf_ struct strbuf file = make_file(true);
	char *dump, *script, *header;

	if (system("perf --version >/dev/null 2>&1") != 0)
		skip("stock perf is not installed");
	dump = run_perf("report -D", &file);
	CHECK_EQ(count(dump, "PERF_RECORD_SAMPLE"), SAMPLES);
	CHECK_CONTAINS(
		dump,
		"PERF_RECORD_MMAP2 4242/4242: [0x400000(0x10000) @ 0 08:01 77 0]: r-xp /usr/bin/synthetic");
	CHECK_CONTAINS(dump, "PERF_RECORD_COMM: synthetic:4242/4243");
	script = run_perf("script -F comm,tid,cpu,event,ip", &file);
	CHECK_EQ(count(script, "synthetic"), SAMPLES);
	CHECK_EQ(count(script, "cpu-clock:mine"), SAMPLES);
	header = run_perf("report --header-only", &file);
	CHECK_CONTAINS(header, "hostname : node7");
	CHECK_CONTAINS(header, "nrcpus online : 2");
	CHECK_CONTAINS(header, "nrcpus avail : 4");
	CHECK_CONTAINS(header, "cmdline : vpmu record web1");
	CHECK_CONTAINS(header, "name = cpu-clock:mine");
	free(dump);
	free(script);
	free(header);
}

int main(void)
{
	return test_main();
}
