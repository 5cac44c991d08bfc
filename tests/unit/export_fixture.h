/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A profile with every kind of frame, and what became of it in a file. */
#ifndef TESTS_UNIT_EXPORT_FIXTURE_H
#define TESTS_UNIT_EXPORT_FIXTURE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <vpmu/export.h>

#include "profile_fixture.h"
#include "util/io.h"

/*
 * Samples: web1 vCPU 0: 17 guest-kernel (two threads' 12 + 5), 4 host-kernel called from QEMU; vCPU
 * 1: 3 guest-user; no vCPU: 2 in an unnamed place of QEMU; no guest: 7. Event 1: 100.
 */
__attribute__((unused)) static struct vpmu_profile *varied_profile(void)
{
	struct vpmu_profile *p = new_profile();
	uint32_t web1 = profile_put_guest(p, "web1", "7f1c44a0-0001-4000-8000-000000000001");
	uint32_t gk[] = { put_frame(p, VPMU_SIDE_GUEST_KERNEL, "ksys_read", "[kernel]"),
			  put_frame(p, VPMU_SIDE_GUEST_KERNEL, "do_syscall_64", "[kernel]") };
	uint32_t gu[] = { put_frame(p, VPMU_SIDE_GUEST_USER, "Lcom/x;run", "/opt/app") };
	uint32_t hk[] = { put_frame(p, VPMU_SIDE_HOST_KERNEL, "do_syscall_64", "[kernel]"),
			  put_frame(p, VPMU_SIDE_HOST_USER, "kvm_cpu_exec", "/usr/bin/qemu") };
	uint32_t hu[] = { put_frame(p, VPMU_SIDE_HOST_USER, "0x26d0a", "/usr/lib/libc.so.6") };
	struct hit hits[] = {
		{ web1, 0, 0, "CPU 0/KVM", VPMU_SIDE_GUEST_KERNEL, 12, 0, gk, 2 },
		{ web1, 0, 0, "renamed", VPMU_SIDE_GUEST_KERNEL, 5, 0, gk, 2 },
		{ web1, 0, 0, "CPU 0/KVM", VPMU_SIDE_HOST_KERNEL, 4, 0, hk, 2 },
		{ web1, 1, 0, "CPU 1/KVM", VPMU_SIDE_GUEST_USER, 3, 0, gu, 1 },
		{ web1, VPMU_NO_VCPU, 0, "qemu", VPMU_SIDE_HOST_USER, 2, 0, hu, 1 },
		{ VPMU_NO_GUEST, VPMU_NO_VCPU, 0, "caf\xe9", VPMU_SIDE_HOST_USER, 7, 0, hk + 1, 1 },
		{ web1, 0, 1, "CPU 0/KVM", VPMU_SIDE_HOST_KERNEL, 100, 0, hk, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hits); i++)
		put_hit(p, &hits[i]);
	return p;
}

/* The whole file; the caller's to free(). */
__attribute__((unused)) static char *exported(const struct vpmu_profile *p, const char *format,
					      const struct vpmu_export_opts *opts, size_t *ret_n)
{
	int fd = memfd_create("export", MFD_CLOEXEC);
	struct vpmu_error error = {};
	char path[64], *text;
	size_t n;

	CHECK(fd >= 0);
	if (vpmu_export(p, format, opts, fd, &error) < 0)
		FAIL("vpmu_export: %s", error.text);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(io_read_file(AT_FDCWD, path, 1 << 26, &text, &n), 0);
	close(fd);
	if (ret_n)
		*ret_n = n;
	return text;
}

#endif
