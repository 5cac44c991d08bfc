/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export_fixture.h"

/* One line per guest, side and stack; the two threads of one stack are one line; sides can be told apart by eye. */
TEST(a_line_per_stack_with_sides_and_escapes)
{
	struct vpmu_profile *p = varied_profile();
	char *text = exported(p, "folded", NULL, NULL);

	CHECK_STR(text, "web1;host-kernel;kvm_cpu_exec;do_syscall_64_[k] 4\n"
			"web1;host-user;libc.so.6+0x26d0a 2\n"
			"web1;guest-kernel;do_syscall_64_[gk];ksys_read_[gk] 17\n"
			"web1;guest-user;Lcom/x:run_[gu] 3\n"
			"[no guest];host-user;kvm_cpu_exec 7\n");
	free(text);
	vpmu_profile_free(p);
}

TEST(sides_event_guests_and_weight_are_options)
{
	static const char *const guests[] = { "web1" };
	VPMU_OPTS(vpmu_export_opts, opts, .sides = 1u << VPMU_SIDE_HOST_USER, .guests = guests,
		  .n_guests = 1, .by_weight = true);
	struct vpmu_profile *p = varied_profile();
	char *text = exported(p, "folded", &opts, NULL);

	CHECK_STR(text, "web1;host-user;libc.so.6+0x26d0a 2000\n");
	free(text);
	opts.event = 1;
	opts.sides = 0;
	text = exported(p, "folded", &opts, NULL);
	CHECK_STR(text, "web1;host-kernel;kvm_cpu_exec;do_syscall_64_[k] 100000\n");
	free(text);
	vpmu_profile_free(p);
}

TEST(names_cannot_forge_lines)
{
	struct vpmu_profile *p = new_profile();
	char *text;

	profile_put_guest(p, "a\nb;c", "");
	put_symbol(p, VPMU_SIDE_GUEST_USER, "evil 99\nroot;x\x1b[0m", "/x", 1);
	text = exported(p, "folded", NULL, NULL);
	CHECK_STR(text, "a?b:c;guest-user;evil 99?root:x?[0m_[gu] 1\n");
	free(text);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
