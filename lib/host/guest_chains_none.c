/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without clang or bpftool, or for a machine whose guests we cannot walk. */
#include <errno.h>

#include "host/guest_chains.h"
#include "util/error.h"

int guest_chains_open(unsigned int wanted, struct guest_chains **ret_chains, struct vpmu_error *reterr)
{
	(void)wanted, (void)ret_chains;
	error_set(reterr, -EOPNOTSUPP, "no guest call chains: this libvpmu was built without BPF programs");
	error_hint(reterr, "clang and bpftool are needed to build them");
	return -EOPNOTSUPP;
}

struct guest_chains *guest_chains_free(struct guest_chains *chains)
{
	(void)chains;
	return NULL;
}

int guest_chains_attach(struct guest_chains *chains, int event_fd, uint64_t event_id, bool by_nmi)
{
	(void)chains, (void)event_fd, (void)event_id, (void)by_nmi;
	return -EOPNOTSUPP;
}

int guest_chains_know(struct guest_chains *chains, pid_t pid, const struct vpmu_bpf_guest *guest)
{
	(void)chains, (void)pid, (void)guest;
	return -EOPNOTSUPP;
}

bool guest_chains_take_stacks(const struct guest_chains *chains)
{
	(void)chains;
	return false;
}

int guest_chains_drain(struct guest_chains *chains,
		       int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data)
{
	(void)chains, (void)fn, (void)data;
	return 0;
}

bool guest_chains_counted(const struct guest_chains *chains)
{
	(void)chains;
	return false;
}

bool guest_chains_overflowed(const struct guest_chains *chains)
{
	(void)chains;
	return false;
}

int guest_chains_drain_counts(struct guest_chains *chains, int (*fn)(const struct sample_count *count, void *data), void *data)
{
	(void)chains, (void)fn, (void)data;
	return 0;
}

size_t guest_chains_drained_bytes(const struct guest_chains *chains)
{
	(void)chains;
	return 0;
}

void guest_chains_misses(const struct guest_chains *chains, uint64_t ret_misses[VPMU_BPF_MISS_COUNT])
{
	(void)chains;
	for (int i = 0; i < VPMU_BPF_MISS_COUNT; i++)
		ret_misses[i] = 0;
}

const char *guest_chains_miss_name(enum vpmu_bpf_miss miss)
{
	(void)miss;
	return "";
}
