/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "bpf/ksyms.skel.h"
#include "host/bpf_load.h"
#include "host/kernel_symbols.h"
#include "util/cleanup.h"
#include "util/io.h"

static bool may_be_seen(void)
{
	_free_ char *level = NULL;
	size_t n;

	return io_read_file(AT_FDCWD, "/proc/sys/kernel/kptr_restrict", 64, &level, &n) < 0 || atoi(level) < 2;
}

/* What reads the iterator keeps the program. */
static int attach(struct vpmu_ksyms_bpf *bpf)
{
	struct bpf_link *link = bpf_program__attach_iter(bpf->progs.vpmu_list_ksyms, NULL);
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link);
	return fd;
}

int kernel_symbols_open(int *ret_fd)
{
	struct vpmu_ksyms_bpf *bpf;
	int fd;

	if (!may_be_seen())
		return -EACCES;
	bpf_load_begin();
	bpf = vpmu_ksyms_bpf__open_and_load();
	fd = bpf ? attach(bpf) : -errno;
	vpmu_ksyms_bpf__destroy(bpf);
	bpf_load_end();
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}
