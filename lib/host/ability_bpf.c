/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Abilities that are found by loading programs: the shortest there is, `return 0`. */
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/ability.h"
#include "util/cleanup.h"

static void btf_freep(struct btf **btf)
{
	btf__free(*btf); /* accepts NULL */
}

/* Not by bpf_prog_load(): libbpf lifts the process's memory limit there, and a trial should change nothing. */
static int load(enum bpf_prog_type type, enum bpf_attach_type attach_type, uint32_t attach_btf_id)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = ARRAY_SIZE(program);
	attr.license = (uintptr_t) "GPL";
	attr.expected_attach_type = attach_type;
	attr.attach_btf_id = attach_btf_id;
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static void explain(struct vpmu_ability_info *info, const char *what, int code)
{
	ability_missing(info, code, "%s: %s", what, strerror(-code));
	if (code == -EPERM || code == -EACCES)
		ability_how(info, "run as root, or with CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8)");
	else if (code == -EINVAL || code == -ENOSYS)
		ability_how(info, "this kernel lacks it (CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS)");
}

void ability_probe_bpf(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	static const struct {
		enum bpf_prog_type type;
		const char *what;
	} types[] = {
		{ BPF_PROG_TYPE_PERF_EVENT, "a program on a perf event" },
		{ BPF_PROG_TYPE_TRACEPOINT, "a program on a tracepoint" },
	};

	(void)host;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int r = load(types[i].type, 0, 0);

		if (r < 0)
			return explain(info, types[i].what, r);
	}
	ability_ok(info, "programs on perf events and tracepoints load");
}

/*
 * An iterator program names the function in the kernel that will call it, bpf_iter_task_file: it walks all open files and so
 * finds the vCPUs. Its number comes from the kernel's BTF, which CO-RE needs as well.
 */
void ability_probe_bpf_iter(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	_cleanup_(btf_freep) struct btf *btf = NULL;
	char path[PATH_MAX];
	int id, r;

	snprintf(path, sizeof(path), "%.*s/kernel/btf/vmlinux", PATH_MAX - 32, host->sys_path);
	btf = btf__parse(path, NULL);
	if (!btf) {
		ability_missing(info, -errno, "the kernel's BTF, '%.100s': %s", path, strerror(errno));
		ability_how(info, "a kernel built with CONFIG_DEBUG_INFO_BTF");
		return;
	}
	id = btf__find_by_name_kind(btf, "bpf_iter_task_file", BTF_KIND_FUNC);
	if (id < 0) {
		ability_missing(info, id, "this kernel has no iterator over open files");
		ability_how(info, "Linux 5.8 or later");
		return;
	}
	r = load(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, (uint32_t)id);
	if (r < 0)
		return explain(info, "an iterator over open files", r);
	ability_ok(info, "iterators over open files load; kernel BTF is there");
}
