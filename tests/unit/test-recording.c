/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "recording_maker.h"

#define HOST_KERNEL PERF_RECORD_MISC_KERNEL
#define GUEST_USER  PERF_RECORD_MISC_GUEST_USER

/* Samples as a line of text: "comm@ip:guest/vcpu …". */
static char seen[1000];

static void see(const struct vpmu_sample *s, void *data)
{
	size_t n = strlen(seen);

	(void)data;
	n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%s%s@%" PRIx64, n ? " " : "", s->comm,
			      s->ip);
	if (s->guest != VPMU_NO_GUEST)
		n += (size_t)snprintf(seen + n, sizeof(seen) - n, ":%u", s->guest);
	if (s->vcpu != VPMU_NO_VCPU)
		snprintf(seen + n, sizeof(seen) - n, "/%u", s->vcpu);
}

static const char *read_all(struct vpmu_recording *rec)
{
	struct vpmu_error error;

	seen[0] = '\0';
	if (vpmu_recording_read(rec, see, NULL, &error) < 0)
		FAIL("%s", error.text);
	return seen;
}

static void sample(struct maker *m, uint64_t time, uint32_t pid, uint32_t tid, uint16_t side,
		   uint64_t ip)
{
	struct made s = { .time = time, .pid = pid, .tid = tid, .side = side, .ip = ip };

	make_sample(m, &s, 0, NULL);
}

TEST(a_sample_knows_what_the_file_says_later)
{
	struct maker m = {};
	struct vpmu_recording *rec;
	struct vpmu_coverage c;

	sample(&m, 15, 7, 7, HOST_KERNEL, 0x1);
	sample(&m, 25, 7, 7, HOST_KERNEL, 0x2);
	make_comm(&m, 20, 7, 7, "new");
	make_comm(&m, 10, 7, 7, "old");
	rec = make_open(make_file(&m));
	CHECK_STR(read_all(rec), "old@1 new@2");
	CHECK_STR(read_all(rec), "old@1 new@2");
	vpmu_recording_coverage(rec, &c);
	CHECK_EQ(c.samples, 2);
	CHECK_EQ(c.sides[VPMU_SIDE_HOST_KERNEL], 2);
	CHECK_STR(c.source, "cpu-clock 999 Hz");
	CHECK(!vpmu_recording_free(rec));
	maker_deinit(&m);
}

TEST(the_header_is_told_at_once)
{
	struct maker m = {};
	struct vpmu_recording *rec = make_open(make_file(&m));
	const struct vpmu_recording_info *info = vpmu_recording_info(rec);

	CHECK_STR(info->hostname, "node7");
	CHECK_STR(info->producer, "perf 6.1.192");
	CHECK_STR(info->os_release, "");
	CHECK_EQ(info->n_events, 1);
	CHECK(vpmu_recording_event(rec, 0)->is_clock);
	CHECK_EQ(vpmu_recording_event(rec, 0)->frequency_hz, 999);
	CHECK(!vpmu_recording_event(rec, 1));
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(guests_of_perfs_recordings_are_derived)
{
	struct maker m = {};
	struct vpmu_recording *rec;

	make_comm(&m, 1, 50, 50, "qemu");
	make_comm(&m, 1, 50, 51, "CPU 1/KVM");
	make_comm(&m, 1, 50, 52, "CPU 0/KVM");
	make_comm(&m, 1, 50, 53, "CPU x/KVM");
	make_comm(&m, 1, 60, 60, "tinyvmm");
	sample(&m, 5, 50, 50, HOST_KERNEL, 0xa);
	sample(&m, 5, 50, 51, GUEST_USER, 0xb);
	sample(&m, 5, 60, 62, GUEST_USER, 0xc);
	sample(&m, 5, 60, 61, GUEST_USER, 0xd);
	sample(&m, 5, 60, 61, HOST_KERNEL, 0xe);
	sample(&m, 5, 70, 70, HOST_KERNEL, 0xf);
	rec = make_open(make_file(&m));
	CHECK_STR(read_all(rec),
		  "qemu@a:0 CPU 1/KVM@b:0/1 tinyvmm@c:1/1 tinyvmm@d:1/0 tinyvmm@e:1/0 @f");
	CHECK_EQ(vpmu_recording_info(rec)->n_guests, 2);
	CHECK_STR(vpmu_recording_guest(rec, 0)->name, "pid:50");
	CHECK_EQ(vpmu_recording_guest(rec, 0)->n_vcpus, 2);
	CHECK_EQ(vpmu_recording_guest(rec, 0)->vcpus[0].tid, 52);
	CHECK(!vpmu_recording_guest(rec, 2));
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(our_recordings_name_their_guests)
{
	char source[] = "cycles 99 Hz";
	struct vpmu_vcpu_info vcpus[] = { { .index = 3, .tid = 81 } };
	struct vpmu_guest_info guests[] = { { .pid = 80, .name = "web1", .uuid = "u-u", .exe = "",
					      .n_vcpus = 1, .vcpus = vcpus } };
	struct vpmu_section_guests section = { .source = source, .n_guests = 1, .guests = guests };
	struct maker m = {};
	struct vpmu_recording *rec;
	struct vpmu_coverage c;

	CHECK_EQ(vpmu_section_guests_encode(&section, &m.guests), 0);
	make_comm(&m, 1, 90, 90, "CPU 0/KVM"); /* was not profiled as a guest */
	sample(&m, 5, 80, 81, GUEST_USER, 1);
	sample(&m, 5, 80, 80, HOST_KERNEL, 2);
	sample(&m, 5, 90, 90, HOST_KERNEL, 3);
	rec = make_open(make_file(&m));
	CHECK_STR(vpmu_recording_guest(rec, 0)->uuid, "u-u");
	CHECK_STR(read_all(rec), "@1:0/3 @2:0 CPU 0/KVM@3");
	CHECK_EQ(vpmu_recording_info(rec)->n_guests, 1);
	vpmu_recording_coverage(rec, &c);
	CHECK_STR(c.source, "cycles 99 Hz");
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(a_guest_with_the_pid_of_a_dead_one_gets_its_own_samples)
{
	struct vpmu_vcpu_info vcpus[] = { { .index = 0, .tid = 81 } }, again[] = { { .index = 4, .tid = 81 } };
	struct vpmu_guest_info guests[] = {
		{ .pid = 80, .name = "web1", .n_vcpus = 1, .vcpus = vcpus },
		{ .pid = 80, .name = "web2", .n_vcpus = 1, .vcpus = again },
	};
	struct vpmu_section_life lives[] = { { 10, 40 }, { 60, 90 } };
	struct vpmu_section_guests section = { .n_guests = 2, .guests = guests, .lives = lives };
	struct maker m = {};
	struct vpmu_recording *rec;

	CHECK_EQ(vpmu_section_guests_encode(&section, &m.guests), 0);
	sample(&m, 5, 80, 81, GUEST_USER, 1); /* its birth is known to a clock tick */
	sample(&m, 40, 80, 81, GUEST_USER, 2);
	sample(&m, 50, 80, 81, HOST_KERNEL, 3); /* was something else in between */
	sample(&m, 60, 80, 81, GUEST_USER, 4);
	sample(&m, 91, 80, 81, HOST_KERNEL, 5);
	rec = make_open(make_file(&m));
	CHECK_STR(read_all(rec), "@1:0/0 @2:0/0 @3 @4:1/4 @5");
	CHECK_STR(vpmu_recording_guest(rec, 1)->name, "web2");
	CHECK_EQ(vpmu_recording_guest(rec, 1)->vcpus[0].tid, 81);
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

/* The status of a host kernel's address in a recording of machine "node7" that says no more than that, or also which kernel. */
static enum vpmu_frame_status kernel_status(const uint8_t *build_id)
{
	static const char kallsyms[] = "ffffffff81000000 T _text\nffffffff81001000 T schedule\n";
	struct vpmu_sample s = { .ip = 0xffffffff81001004, .side = HOST_KERNEL, .guest = VPMU_NO_GUEST };
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	struct vpmu_recording *rec = NULL;
	struct vpmu_frame frame;
	struct maker m = {};
	char path[32];

	CHECK_EQ(io_write_all(fd, kallsyms, strlen(kallsyms)), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	VPMU_OPTS(vpmu_recording_opts, opts,
		  .symbolizer = { .sz = sizeof(opts.symbolizer), .kallsyms_path = path, .cache_dir = "" });
	if (build_id)
		perf_feature_build_id("[kernel.kallsyms]", PERF_RECORD_MISC_KERNEL, -1, build_id, 20, &m.build_ids);
	sample(&m, 5, 7, 7, HOST_KERNEL, s.ip);
	CHECK_EQ(vpmu_recording_open(make_file(&m), &opts, &rec, NULL), 0);
	read_all(rec);
	CHECK_EQ(vpmu_symbolize(vpmu_recording_symbolizer(rec), &s, false, &frame, 1), 1);
	vpmu_recording_free(rec);
	maker_deinit(&m);
	close(fd);
	return frame.status;
}

/* A recorder that may not see kernel addresses writes no mapping that tells where the kernel was. */
TEST(a_kernel_without_a_mapping_is_not_taken_for_the_one_here)
{
	const uint8_t foreign[20] = { 1, 2, 3 };

	CHECK_EQ(kernel_status(foreign), VPMU_FRAME_NOT_THIS_KERNEL);
	CHECK_EQ(kernel_status(NULL), VPMU_FRAME_NOT_THIS_KERNEL);
}

TEST(what_is_missing_is_counted)
{
	const uint64_t chain[] = { VPMU_CONTEXT_KERNEL, 1, 2, VPMU_CONTEXT_USER, 3, 4 };
	struct maker m = { .max_stack = 4 };
	struct vpmu_recording *rec;
	struct vpmu_coverage c;
	_strbuf_ struct strbuf nothing = {}, filtered = {};

	make_lost(&m, PERF_RECORD_LOST, 5);
	make_lost(&m, PERF_RECORD_LOST, 6);
	make_lost(&m, PERF_RECORD_LOST_SAMPLES, 9); /* perf's total of the same */
	maker_u64(&filtered, 1000);
	make_record(&m, PERF_RECORD_LOST_SAMPLES, 1u << 15, &filtered, 0); /* left out on purpose */
	maker_u64(&nothing, 0);
	make_record(&m, PERF_RECORD_THROTTLE, 0, &nothing, 0);
	make_sample(&m, &(struct made){ .side = HOST_KERNEL, .ip = 1 }, 6, chain);
	make_sample(&m, &(struct made){ .side = HOST_KERNEL, .ip = 1 }, 5, chain);
	make_sample(&m, &(struct made){ .side = HOST_KERNEL, .ip = 1 }, 1000, NULL);
	rec = make_open(make_file(&m));
	read_all(rec);
	vpmu_recording_coverage(rec, &c);
	CHECK_EQ(c.lost, 11);
	CHECK_EQ(c.throttled, 1);
	CHECK_EQ(c.truncated_chains, 1);
	CHECK_EQ(c.damaged_records, 1);
	CHECK_EQ(c.samples, 2);
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(a_file_cut_off_is_read_up_to_the_cut)
{
	struct maker m = { .promised_bytes = 1 << 20 };
	struct vpmu_recording *rec;

	make_comm(&m, 1, 7, 7, "app");
	sample(&m, 5, 7, 7, HOST_KERNEL, 0x1);
	rec = make_open(make_file(&m));
	CHECK_STR(read_all(rec), "app@1");
	CHECK(vpmu_recording_info(rec)->damaged);
	CHECK_CONTAINS(vpmu_recording_info(rec)->damage, "cut off");
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(a_section_that_claims_too_much_is_damage_and_the_samples_are_read)
{
	struct vpmu_section_guests none = { .source = (char *)"cpu-clock 999 Hz" };
	uint64_t data[2], too_much = 300u << 20;
	struct maker m = {};
	struct vpmu_recording *rec;

	CHECK_EQ(vpmu_section_guests_encode(&none, &m.guests), 0);
	sample(&m, 5, 7, 7, HOST_KERNEL, 0x1);
	make_file(&m);
	/* The table of sections stands behind the records; ours is the third. */
	CHECK_EQ(io_pread_full(m.fd, data, sizeof(data), PERF_DATA_SIZE_OFFSET_BYTES - 8), sizeof(data));
	CHECK_EQ(io_pwrite_all(m.fd, &too_much, sizeof(too_much), data[0] + data[1] + 2 * 16 + 8), 0);
	rec = make_open(m.path);
	CHECK_STR(read_all(rec), "@1");
	CHECK_CONTAINS(vpmu_recording_info(rec)->damage, "feature 200");
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(a_pipe_on_standard_input_is_read_twice)
{
	struct maker m = {};
	struct vpmu_recording *rec;
	int pipe_fds[2], old = dup(STDIN_FILENO);
	_free_ char *bytes = NULL;
	size_t n;

	sample(&m, 25, 7, 7, HOST_KERNEL, 0x2);
	make_comm(&m, 20, 7, 7, "late");
	CHECK_EQ(io_read_file(AT_FDCWD, make_file(&m), 1 << 20, &bytes, &n), 0);
	CHECK_EQ(pipe(pipe_fds), 0);
	CHECK_EQ(io_write_all(pipe_fds[1], bytes, n), 0);
	close(pipe_fds[1]);
	dup2(pipe_fds[0], STDIN_FILENO);
	close(pipe_fds[0]);
	rec = make_open("-");
	CHECK_STR(read_all(rec), "late@2");
	CHECK_EQ(vpmu_recording_info(rec)->size_bytes, n);
	vpmu_recording_free(rec);
	dup2(old, STDIN_FILENO);
	close(old);
	maker_deinit(&m);
}

TEST(what_is_no_recording_is_refused_in_words)
{
	struct vpmu_recording *rec = NULL;
	struct vpmu_error error;

	CHECK_EQ(vpmu_recording_open("/nonexistent", NULL, &rec, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent");
	CHECK_EQ(vpmu_recording_open("/proc", NULL, &rec, &error), -EISDIR);
	CHECK_EQ(vpmu_recording_open("/dev/null", NULL, &rec, &error), -ENODATA);
	CHECK_EQ(vpmu_recording_open("/proc/self/exe", NULL, &rec, &error), -EBADMSG);
	CHECK(!rec);
}

int main(void)
{
	return test_main();
}
