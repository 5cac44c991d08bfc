/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without clang or bpftool, or for a machine whose exits we do not know. */
#include <errno.h>

#include "host/exit_probe.h"
#include "util/error.h"

bool exit_probe_mute(void)
{
	return true;
}

int exit_probe_open(const struct exit_probe_plan *plan, struct exit_probe **ret_probe,
		    struct vpmu_error *reterr)
{
	(void)plan, (void)ret_probe;
	error_set(reterr, -EOPNOTSUPP, "cannot account VM exits: this libvpmu was built without BPF programs");
	error_hint(reterr, "clang and bpftool are needed to build them");
	return -EOPNOTSUPP;
}

struct exit_probe *exit_probe_free(struct exit_probe *probe)
{
	(void)probe;
	return NULL;
}

int exit_probe_add_thread(struct exit_probe *probe, pid_t tid)
{
	(void)probe, (void)tid;
	return -EOPNOTSUPP;
}

void exit_probe_remove_thread(struct exit_probe *probe, pid_t tid)
{
	(void)probe, (void)tid;
}

int exit_probe_read(const struct exit_probe *probe, pid_t tid, struct vpmu_bpf_exit_thread *ret)
{
	(void)probe, (void)tid, (void)ret;
	return -ENOENT;
}

int exit_probe_each_detail(const struct exit_probe *probe, exit_probe_detail_fn fn, void *data)
{
	(void)probe, (void)fn, (void)data;
	return 0;
}

int exit_probe_drain(struct exit_probe *probe,
		     int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data)
{
	(void)probe, (void)fn, (void)data;
	return 0;
}

uint32_t exit_probe_next_epoch(struct exit_probe *probe)
{
	(void)probe;
	return 0;
}

uint64_t exit_probe_missed(const struct exit_probe *probe)
{
	(void)probe;
	return 0;
}

const char *exit_probe_missing(const struct exit_probe *probe)
{
	(void)probe;
	return "";
}
