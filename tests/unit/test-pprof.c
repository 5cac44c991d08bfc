/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <spawn.h>

#include "export_fixture.h"

extern char **environ;

/* What pprof_text.py, which shares nothing with the encoder, reads out of the file. The caller's to free(). */
static char *decoded(const struct vpmu_profile *p, const struct vpmu_export_opts *opts)
{
	char *argv[] = { (char *)"python3", (char *)TESTS_UNIT_DIR "/pprof_text.py", NULL };
	int in = memfd_create("profile", 0), out = memfd_create("text", 0), status;
	posix_spawn_file_actions_t actions;
	char path[64], *text;
	size_t n;
	pid_t pid;

	CHECK_EQ(vpmu_export(p, "pprof", opts, in, NULL), 0);
	lseek(in, 0, SEEK_SET);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (posix_spawnp(&pid, "python3", &actions, NULL, argv, environ) != 0)
		skip("no python3 to decode the file with");
	posix_spawn_file_actions_destroy(&actions);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
	CHECK_EQ(io_read_file(AT_FDCWD, path, 1 << 26, &text, &n), 0);
	if (status != 0)
		FAIL("the decoder refused it behind: %s", text);
	close(in);
	close(out);
	return text;
}

TEST(another_decoder_reads_the_same_samples)
{
	struct vpmu_profile *p = varied_profile();
	char *text = decoded(p, NULL);

	CHECK_CONTAINS(text, "types samples/count weight/count default samples\n");
#define WEB1 "guest=web1,guest_uuid=7f1c44a0-0001-4000-8000-000000000001,"
	CHECK_CONTAINS(text, "\n12|12000|" WEB1 "process=CPU 0/KVM,side=guest-kernel,vcpu=0|"
			     "ksys_read_[gk]<-do_syscall_64_[gk]\n");
	CHECK_CONTAINS(text, "\n5|5000|" WEB1 "process=renamed,side=guest-kernel,vcpu=0|"
			     "ksys_read_[gk]<-do_syscall_64_[gk]\n");
	CHECK_CONTAINS(text, "\n4|4000|" WEB1 "process=CPU 0/KVM,side=host-kernel,vcpu=0|"
			     "do_syscall_64_[k]<-kvm_cpu_exec\n");
	CHECK_CONTAINS(text, "\n3|3000|" WEB1 "process=CPU 1/KVM,side=guest-user,vcpu=1|Lcom/x;run_[gu]\n");
	CHECK_CONTAINS(text, "\n2|2000|" WEB1 "process=qemu,side=host-user|libc.so.6+0x26d0a\n");
	CHECK_CONTAINS(text, "\n7|7000|process=caf\xef\xbf\xbd,side=host-user|kvm_cpu_exec\n");
	CHECK_CONTAINS(text, "\nlocation libc.so.6+0x26d0a 0x26d0a /usr/lib/libc.so.6 - - 0\n");
	CHECK_CONTAINS(text, "\nlocation do_syscall_64_[k] 0x0 [kernel] - - 0\n");
	CHECK_CONTAINS(text, "\nlocation do_syscall_64_[gk] 0x0 guest:[kernel] - - 0\n");
	free(text);
	vpmu_profile_free(p);
}

TEST(clocks_are_cpu_time_and_only_the_selected_is_named)
{
	VPMU_OPTS(vpmu_export_opts, opts, .sides = VPMU_SIDES_GUEST, .is_clock = true,
		  .by_weight = true);
	struct vpmu_profile *p = varied_profile();
	char *text = decoded(p, &opts);

	CHECK_CONTAINS(text, "types samples/count cpu/nanoseconds default cpu\n");
	CHECK(!strstr(text, "kvm_cpu_exec"));
	CHECK(!strstr(text, "qemu"));
	free(text);
	vpmu_profile_free(p);
}

TEST(lines_build_ids_and_large_numbers_survive)
{
	struct vpmu_profile *p = new_profile();
	struct profile_frame frame = {
		.symbol = profile_put_string(p, "work"),
		.dso = profile_put_string(p, "/bin/load"),
		.build_id = profile_put_string(p, "4a5be60c"),
		.src_file = profile_put_string(p, "load.c"),
		.src_line = 300,
		.side = VPMU_SIDE_HOST_USER,
	};
	uint32_t stack[] = { profile_put_frame(p, &frame), 0 };
	char *text;

	frame.src_line = 17;
	stack[1] = profile_put_frame(p, &frame);
	put_hit(p, &(struct hit){ VPMU_NO_GUEST, VPMU_NO_VCPU, 0, "load", VPMU_SIDE_HOST_USER,
				  1ull << 40, 1ull << 62, stack, 2 });
	text = decoded(p, NULL);
	CHECK_CONTAINS(text, "\n1099511627776|4611686018427387904|process=load,side=host-user|work<-work\n");
	CHECK_CONTAINS(text, "\nlocation work 0x0 /bin/load 4a5be60c load.c 300\n");
	CHECK_CONTAINS(text, "\nlocation work 0x0 /bin/load 4a5be60c load.c 17\n");
	free(text);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
