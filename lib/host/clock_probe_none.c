/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without clang or bpftool, or for a machine whose guests we do not know. */
#include <errno.h>

#include "host/clock_probe.h"
#include "util/error.h"

int clock_probe_open(struct clock_probe **ret_probe, struct vpmu_error *reterr)
{
	(void)ret_probe;
	error_set(reterr, -EOPNOTSUPP, "this libvpmu was built without BPF programs");
	error_hint(reterr, "clang and bpftool are needed to build them");
	return -EOPNOTSUPP;
}

struct clock_probe *clock_probe_free(struct clock_probe *probe)
{
	(void)probe;
	return NULL;
}

int clock_probe_add(struct clock_probe *probe, pid_t tid)
{
	(void)probe, (void)tid;
	return -EOPNOTSUPP;
}

void clock_probe_look(struct clock_probe *probe, pid_t pid)
{
	(void)probe, (void)pid;
}

void clock_probe_remove(struct clock_probe *probe, int clock)
{
	(void)probe, (void)clock;
}

int clock_probe_read(const struct clock_probe *probe, int clock, uint64_t now_ns,
		     struct vpmu_bpf_clock *ret_clock)
{
	(void)probe, (void)clock, (void)now_ns, (void)ret_clock;
	return -EOPNOTSUPP;
}

int clock_probe_drain(struct clock_probe *probe, clock_probe_competitor_fn fn, void *data)
{
	(void)probe, (void)fn, (void)data;
	return 0;
}

bool clock_probe_sees_entries(const struct clock_probe *probe, uint32_t *ret_isa)
{
	(void)probe;
	*ret_isa = 0;
	return false;
}
