/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <vpmu/guest.h>

#include "fake_proc.h"

static struct vpmu_guests *look(void)
{
	VPMU_OPTS(vpmu_guests_opts, opts, .proc_path = fake_dir());
	struct vpmu_guests *guests = NULL;
	struct vpmu_error error = {};

	if (vpmu_guests_new(&opts, &guests, &error) < 0)
		FAIL("vpmu_guests_new: %s", error.text);
	return guests;
}

/* A QEMU guest with named threads. */
static void fake_qemu(int pid, const char *name, const char *uuid, int n_vcpus)
{
	char text[512], link[64];
	int n = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=%s,debug-threads=on%c-uuid%c%s%c", 0,
			 0, name, 0, 0, uuid, 0);

	fake_process(pid, "qemu-system-x86", 2 + n_vcpus);
	fake_write(fake_path("%d/cmdline", pid), text, (size_t)n);
	fake_link(pid, "exe", "/usr/bin/qemu-system-x86_64 (deleted)");
	fake_link(pid, "fd/3", "/dev/kvm");
	fake_link(pid, "fd/8", "anon_inode:kvm-vm");
	fake_thread(pid, pid + 1, "call_rcu", 0);
	for (int i = 0; i < n_vcpus; i++) {
		snprintf(text, sizeof(text), "fd/%d", 20 + i);
		snprintf(link, sizeof(link), "anon_inode:kvm-vcpu:%d", i);
		fake_link(pid, text, link);
		snprintf(text, sizeof(text), "CPU %d/KVM", i);
		fake_thread(pid, pid + 2 + i, text, 5);
	}
}

TEST(a_qemu_guest_has_a_name_a_uuid_and_vcpus_in_order)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest;

	fake_qemu(400, "web1", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", 11);
	fake_process(1, "init", 1);
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 1);
	guest = vpmu_guests_get(guests, 0);
	CHECK_STR(guest->name, "web1");
	CHECK_STR(guest->uuid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	CHECK_STR(guest->exe, "/usr/bin/qemu-system-x86_64");
	CHECK_EQ(guest->pid, 400);
	CHECK_EQ(guest->start_ticks, FAKE_YOUNG);
	CHECK_EQ(guest->accel, VPMU_ACCEL_KVM);
	CHECK_EQ(guest->n_vcpus, 11);
	for (uint32_t i = 0; i < 11; i++) {
		CHECK_EQ(guest->vcpus[i].index, i);
		CHECK_EQ(guest->vcpus[i].tid, 402 + (int)i);
	}
	CHECK(!vpmu_guests_get(guests, 1));
	vpmu_guests_free(guests);
}

TEST(an_emulated_guest_is_known_by_its_program_and_thread_names)
{
	struct vpmu_guests *guests;

	fake_process(50, "renamed", 3);
	fake_link(50, "exe", "/usr/bin/qemu-system-aarch64");
	fake_thread(50, 52, "CPU 1/TCG", 0);
	fake_thread(50, 53, "CPU 0/TCG", 0);
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 1);
	CHECK_STR(vpmu_guests_get(guests, 0)->name, "pid:50");
	CHECK_EQ(vpmu_guests_get(guests, 0)->accel, VPMU_ACCEL_TCG);
	CHECK_EQ(vpmu_guests_get(guests, 0)->n_vcpus, 2);
	CHECK_EQ(vpmu_guests_get(guests, 0)->vcpus[0].tid, 53);
	vpmu_guests_free(guests);
}

TEST(a_borrowed_name_makes_no_guest)
{
	struct vpmu_guests *guests;

	fake_process(60, "CPU 0/KVM", 2);
	fake_thread(60, 61, "CPU 1/KVM", 0);
	fake_link(60, "fd/3", "/tmp/anon_inode:kvm-vcpu:0");
	fake_link(60, "fd/4", "anon_inode:kvm-vcpu-stats:0");
	fake_link(60, "fd/5", "anon_inode:[eventfd]");
	fake_process(70, "sh", 2);
	fake_thread(70, 71, "CPU 0/TCG", 0);
	fake_link(70, "exe", "/usr/bin/sh");
	fake_process(80, ") S 1 (CPU 0/KVM", 1);
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 0);
	vpmu_guests_free(guests);
}

TEST(threads_without_names_are_vcpus_if_they_run_the_guest)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest;

	fake_process(90, "vm", 4);
	fake_link(90, "fd/7", "anon_inode:kvm-vcpu:0");
	fake_link(90, "fd/9", "anon_inode:kvm-vcpu:1");
	fake_thread(90, 91, "vm", 0);
	fake_thread(90, 92, "vm", 0);
	fake_text(fake_path("90/task/92/syscall"), "16 0x7 0xae80 0x0 0x0 0x0 0x0 0x7ffc 0x7f00\n");
	fake_thread(90, 93, "vm", 44);
	fake_text(fake_path("90/task/93/syscall"), "running\n");
	fake_stat(fake_path("90/task/94/stat"), 94, "kvm-nx-lpage-re", 0x404040, 4, FAKE_YOUNG, 0);
	fake_text(fake_path("90/task/94/syscall"), "16 0x9 0xae80 0x0 0x0 0x0 0x0 0x7ffc 0x7f00\n");
	guests = look();
	guest = vpmu_guests_get(guests, 0);
	CHECK(guest);
	CHECK_EQ(guest->n_vcpus, 2);
	CHECK_EQ(guest->vcpus[0].tid, 92);
	CHECK_EQ(guest->vcpus[0].index, 0);
	CHECK_EQ(guest->vcpus[1].tid, 93);
	CHECK_EQ(guest->vcpus[1].index, 1);
	vpmu_guests_free(guests);
}

TEST(busy_threads_stand_in_for_vcpus_that_show_no_guest_time)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest;

	fake_process(90, "vm", 4);
	fake_link(90, "fd/7", "anon_inode:kvm-vcpu:0");
	fake_link(90, "fd/8", "anon_inode:kvm-vcpu:1");
	fake_text(fake_path("90/task/90/syscall"), "running\n");
	fake_thread(90, 91, "vm", 0);
	fake_text(fake_path("90/task/91/syscall"), "202 0x7 0x0 0x0 0x0 0x0 0x0 0x7ffc 0x7f00\n");
	fake_thread(90, 92, "vm", 0);
	fake_text(fake_path("90/task/92/syscall"), "running\n");
	fake_thread(90, 93, "vm", 0);
	fake_text(fake_path("90/task/93/syscall"), "16 0x8 0xae80 0x0 0x0 0x0 0x0 0x7ffc 0x7f00\n");
	guests = look();
	guest = vpmu_guests_get(guests, 0);
	CHECK(guest);
	CHECK_EQ(guest->n_vcpus, 2);
	CHECK_EQ(guest->vcpus[0].tid, 92);
	CHECK_EQ(guest->vcpus[1].tid, 93);
	vpmu_guests_free(guests);
}

TEST(a_guest_that_gives_up_its_vcpu_is_one_no_longer)
{
	struct vpmu_guests *guests;

	fake_process(90, "vm", 2);
	fake_thread(90, 91, "vcpu0", 3);
	fake_link(90, "fd/7", "anon_inode:kvm-vcpu:0");
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 1);
	remove(fake_path("90/fd/7"));
	fake_link(90, "fd/7", "pipe:[12]");
	fake_link(90, "fd/8", "anon_inode:kvm-vcpu:1");
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_count(guests), 1);
	remove(fake_path("90/fd/8"));
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_count(guests), 0);
	vpmu_guests_free(guests);
}

static char changes[1024];

static void note(enum vpmu_guest_change change, const struct vpmu_guest_info *guest,
		 const struct vpmu_vcpu_info *vcpu, void *data)
{
	static const char *const words[] = { "+", "-", "+vcpu", "-vcpu" };
	char line[64];

	CHECK(data == changes);
	CHECK_EQ(vcpu == NULL, change == VPMU_GUEST_APPEARED || change == VPMU_GUEST_GONE);
	if (vcpu)
		snprintf(line, sizeof(line), "%s %s %u:%d\n", words[change], guest->name, vcpu->index, vcpu->tid);
	else
		snprintf(line, sizeof(line), "%s %s\n", words[change], guest->name);
	strcat(changes, line);
}

TEST(refresh_tells_what_came_and_went)
{
	struct vpmu_guests *guests;

	fake_qemu(100, "a", "", 2);
	fake_qemu(200, "b", "", 1);
	guests = look();
	CHECK_EQ(vpmu_guests_refresh(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "");
	fake_qemu(300, "c", "", 1);
	remove(fake_path("200/stat"));
	remove(fake_path("100/task/103/stat"));
	fake_thread(100, 105, "CPU 1/KVM", 0);
	CHECK_EQ(vpmu_guests_refresh(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "-vcpu a 1:103\n- b\n+vcpu a 1:105\n+ c\n");
	/* the same pid, and another process */
	changes[0] = '\0';
	fake_stat(fake_path("300/stat"), 300, "qemu", 0, 3, FAKE_YOUNG + 1, 0);
	CHECK_EQ(vpmu_guests_refresh(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "- c\n+ c\n");
	vpmu_guests_free(guests);
}

/* Started long ago. */
static void fake_old_qemu(int pid, const char *name, int n_vcpus)
{
	fake_qemu(pid, name, "", n_vcpus);
	fake_stat(fake_path("%d/stat", pid), pid, "qemu-system-x86", 0, 2 + n_vcpus, 1, 9);
}

TEST(a_glance_looks_where_something_happened)
{
	struct vpmu_guests *guests;

	fake_old_qemu(100, "a", 2);
	fake_old_qemu(200, "b", 1);
	fake_old_qemu(300, "c", 1);
	guests = look();
	fake_qemu(400, "d", "", 1);
	CHECK_EQ(nftw(fake_path("200"), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	fake_thread(100, 110, "CPU 2/KVM", 0);
	/* Nothing says that this one changed: it is looked at when it is its turn. */
	fake_write(fake_path("300/cmdline"), "qemu\0-name\0x", 13);
	CHECK_EQ(vpmu_guests_glance(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "- b\n+vcpu a 2:110\n+ d\n");
	CHECK_STR(vpmu_guests_get(guests, 1)->name, "c");
	CHECK_EQ(vpmu_guests_get(guests, 1)->vcpus[0].tid, 302);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(vpmu_guests_glance(guests, NULL, NULL, NULL), 0);
	CHECK_STR(vpmu_guests_get(guests, 2)->name, "x");
	vpmu_guests_free(guests);
}

TEST(a_glance_knows_another_process_with_the_same_number)
{
	struct vpmu_guests *guests;
	char before[PATH_MAX];

	fake_old_qemu(300, "c", 1);
	fake_process(500, "sh", 1);
	fake_stat(fake_path("500/stat"), 500, "sh", 0, 1, 1, 0);
	guests = look();
	snprintf(before, sizeof(before), "%s", fake_path("300"));
	CHECK_EQ(rename(before, fake_path("was-300")), 0);
	snprintf(before, sizeof(before), "%s", fake_path("500"));
	CHECK_EQ(rename(before, fake_path("was-500")), 0);
	fake_qemu(300, "d", "", 1);
	fake_qemu(500, "e", "", 1);
	CHECK_EQ(vpmu_guests_glance(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "- c\n+ d\n+ e\n");
	vpmu_guests_free(guests);
}

/* A dead process stays in /proc until its parent asks for its exit status. */
TEST(a_process_that_ended_is_no_guest)
{
	struct vpmu_guests *guests;

	fake_qemu(300, "c", "", 1);
	fake_text(fake_path("300/stat"),
		  "300 (qemu-system-x86) Z 1 2 3 0 -1 0 5 0 0 0 7 8 0 0 20 0 1 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
		  "17 1 0 0 0 9 0 0 0 0 0 0 0 0 0\n");
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 0);
	vpmu_guests_free(guests);
}

/* Whose files are looked at: see finder.c. */
TEST(an_old_process_is_looked_at_when_it_runs_guest_code)
{
	struct vpmu_guests *guests;

	fake_process(500, "vmm", 1);
	fake_stat(fake_path("500/stat"), 500, "vmm", 0, 1, 1, 0);
	fake_link(500, "fd/3", "anon_inode:kvm-vcpu:0");
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 0);
	fake_stat(fake_path("500/stat"), 500, "vmm", 0, 1, 1, 1);
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_count(guests), 1);
	CHECK_EQ(vpmu_guests_get(guests, 0)->n_vcpus, 1);
	vpmu_guests_free(guests);
}

TEST(an_old_qemu_is_looked_at_even_if_it_never_ran)
{
	struct vpmu_guests *guests;

	fake_process(500, "sh", 1);
	fake_stat(fake_path("500/stat"), 500, "sh", 0, 1, 1, 0);
	fake_link(500, "exe", "/bin/sh");
	guests = look();
	remove(fake_path("500/exe"));
	fake_link(500, "exe", "/usr/bin/qemu-system-x86_64");
	fake_link(500, "fd/3", "anon_inode:kvm-vcpu:0");
	fake_stat(fake_path("500/stat"), 500, "qemu-system-x86", 0, 1, 1, 0);
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_count(guests), 1);
	vpmu_guests_free(guests);
}

TEST(a_machine_being_set_up_is_watched_closely)
{
	struct vpmu_guests *guests;

	fake_process(500, "vmm", 1);
	fake_stat(fake_path("500/stat"), 500, "vmm", 0, 1, 1, 1);
	fake_link(500, "fd/3", "anon_inode:kvm-vm");
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 0);
	fake_stat(fake_path("500/stat"), 500, "vmm", 0, 1, 1, 0);
	fake_link(500, "fd/4", "anon_inode:kvm-vcpu:0");
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_count(guests), 1);
	vpmu_guests_free(guests);
}

TEST(threads_without_names_keep_their_numbers)
{
	struct vpmu_guests *guests;

	fake_process(90, "vm", 3);
	fake_link(90, "fd/7", "anon_inode:kvm-vcpu:0");
	fake_thread(90, 91, "vm", 0);
	fake_thread(90, 92, "vm", 3);
	guests = look();
	CHECK_EQ(vpmu_guests_get(guests, 0)->vcpus[0].tid, 92);
	fake_thread(90, 91, "vm", 2);
	CHECK_EQ(vpmu_guests_refresh(guests, note, changes, NULL), 0);
	CHECK_STR(changes, "+vcpu pid:90 1:91\n");
	vpmu_guests_free(guests);
}

TEST(find_takes_name_uuid_and_pid)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest = NULL;

	fake_qemu(100, "web1", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", 1);
	fake_qemu(200, "db", "", 1);
	fake_qemu(300, "pid:200", "", 1);
	guests = look();
	CHECK_EQ(vpmu_guests_find(guests, "web1", &guest, NULL), 0);
	CHECK_EQ(guest->pid, 100);
	CHECK_EQ(vpmu_guests_find(guests, "pid:200", &guest, NULL), 0);
	CHECK_STR(guest->name, "db");
	CHECK_EQ(vpmu_guests_find(guests, "6BA7B810-9dad-11D1-80b4-00c04fd430c8", &guest, NULL), 0);
	CHECK_STR(guest->name, "web1");
	vpmu_guests_free(guests);
}

TEST(find_says_whom_one_may_have_meant)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest = NULL;
	struct vpmu_error error = {};

	fake_qemu(100, "web1", "", 1);
	fake_qemu(200, "twin", "", 1);
	fake_qemu(300, "twin", "", 1);
	fake_process(7, "sh", 1);
	guests = look();
	CHECK_EQ(vpmu_guests_find(guests, "web", &guest, &error), -ENOENT);
	CHECK_STR(error.text, "no guest 'web' here; there are 'twin', 'twin', 'web1'");
	CHECK_EQ(vpmu_guests_find(guests, "twin", &guest, &error), -ENOTUNIQ);
	CHECK_CONTAINS(error.text, "pid:200, pid:300");
	CHECK_CONTAINS(error.hint, "pid:N");
	CHECK_EQ(vpmu_guests_find(guests, "", &guest, &error), -ENOENT);
	CHECK_EQ(vpmu_guests_find(guests, "100", &guest, &error), -ENOENT);
	CHECK_CONTAINS(error.hint, "pid:100");
	CHECK_EQ(vpmu_guests_find(guests, "pid:0100", &guest, &error), -ENOENT);
	CHECK_EQ(vpmu_guests_find(guests, "pid:77", &guest, &error), -ENOENT);
	CHECK_CONTAINS(error.hint, "no process 77");
	CHECK_EQ(vpmu_guests_find(guests, "pid:7", &guest, &error), -ENOENT);
	CHECK_CONTAINS(error.hint, "debug-threads=on");
	CHECK(!guest);
	vpmu_guests_free(guests);
}

/* Root may read everything, so it steps down first. */
TEST(other_users_guests_are_known_by_thread_names_and_guest_time)
{
	struct vpmu_guests *guests;
	const struct vpmu_guest_info *guest = NULL;
	struct vpmu_error error = {};

	fake_qemu(100, "hidden", "", 2);
	fake_process(200, "java", 2);
	fake_process(300, "fc", 2);
	fake_stat(fake_path("300/stat"), 300, "fc", 0, 2, FAKE_YOUNG, 9);
	fake_thread(300, 301, "fc_vcpu 0", 9);
	for (int pid = 100; pid <= 300; pid += 100)
		CHECK_EQ(chmod(fake_path("%d/fd", pid), 0), 0);
	CHECK(geteuid() != 0 || seteuid(65534) == 0);
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 2);
	CHECK_EQ(vpmu_guests_find(guests, "hidden", &guest, NULL), 0);
	CHECK_EQ(guest->n_vcpus, 2);
	CHECK_EQ(vpmu_guests_find(guests, "pid:300", &guest, NULL), 0);
	CHECK_EQ(guest->vcpus[0].tid, 301);
	CHECK_EQ(vpmu_guests_find(guests, "pid:200", &guest, &error), -ENOENT);
	CHECK_CONTAINS(error.hint, "CAP_SYS_PTRACE");
	vpmu_guests_free(guests);
	CHECK(getuid() != 0 || seteuid(0) == 0);
	for (int pid = 100; pid <= 300; pid += 100)
		chmod(fake_path("%d/fd", pid), 0700);
}

TEST(files_that_lie_are_survived)
{
	struct vpmu_guests *guests;

	fake_text(fake_path("1/stat"), "");
	fake_text(fake_path("2/stat"), "2 (x");
	fake_text(fake_path("3/stat"), ") 3 (");
	fake_text(fake_path("4/stat"), "4 (a) S 1 2");
	fake_path("5/stat/");
	fake_text(fake_path("99999999999999999999/stat"), "1 (a) S");
	fake_text(fake_path("6"), "not a directory");
	fake_process(7, "vm", 1);
	fake_link(7, "fd/3", "anon_inode:kvm-vcpu:99999999999999999999");
	fake_text(fake_path("7/task/7/syscall"), "16 0xffffffffffffffffff 0xae80");
	fake_path("7/task/x/");
	guests = look();
	CHECK_EQ(vpmu_guests_count(guests), 1);
	CHECK_EQ(vpmu_guests_get(guests, 0)->n_vcpus, 1);
	vpmu_guests_free(guests);
}

TEST(options_and_paths_that_are_wrong_are_refused)
{
	struct {
		struct vpmu_guests_opts known;
		size_t unknown; /* as wide as the rest: padding would be garbage */
	} opts = { .known = { .sz = sizeof(opts), .proc_path = fake_dir() }, .unknown = 1 };
	struct vpmu_guests *guests = NULL;
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_guests_new(&opts.known, &guests, &error), -EINVAL);
	opts.unknown = 0;
	opts.known.proc_path = "/nonexistent";
	CHECK_EQ(vpmu_guests_new(&opts.known, &guests, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent");
	CHECK(!guests);
}

/* The real /proc: this very process becomes a hypervisor with one vCPU. */
TEST(this_process_is_a_guest_once_it_has_a_vcpu)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu;
	const struct vpmu_guest_info *guest = NULL;
	struct vpmu_guests *guests;
	char spec[32];

	if (kvm < 0)
		skip(errno == ENOENT ? "no /dev/kvm" : "/dev/kvm may not be opened");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		skip("KVM cannot create a machine");
	CHECK_EQ(vpmu_guests_new(NULL, &guests, NULL), 0);
	snprintf(spec, sizeof(spec), "pid:%d", getpid());
	CHECK_EQ(vpmu_guests_find(guests, spec, &guest, NULL), -ENOENT);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	CHECK_CMP(vcpu, >=, 0);
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_find(guests, spec, &guest, NULL), 0);
	CHECK_EQ(guest->accel, VPMU_ACCEL_KVM);
	CHECK_EQ(guest->n_vcpus, 1);
	CHECK_EQ(guest->vcpus[0].tid, getpid());
	CHECK_EQ(guest->exe[0], '/');
	close(vcpu);
	close(vm);
	close(kvm);
	CHECK_EQ(vpmu_guests_refresh(guests, NULL, NULL, NULL), 0);
	CHECK_EQ(vpmu_guests_find(guests, spec, &guest, NULL), -ENOENT);
	vpmu_guests_free(guests);
}

int main(void)
{
	return test_main();
}
