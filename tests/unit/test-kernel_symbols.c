/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "host/kernel_symbols.h"
#include "sym/kernel_cache.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/macro.h"

static FILE *by_bpf(void)
{
	int fd = -1, r = kernel_symbols_open(&fd);
	FILE *file;

	if (r == -EPERM || r == -EACCES)
		skip("no rights for BPF (CAP_BPF, CAP_PERFMON), or kernel.kptr_restrict is 2");
	if (r < 0)
		skip("no BPF iterator over symbols here (Linux 6.0)");
	file = fdopen(fd, "r");
	CHECK(file);
	return file;
}

/* All but use these capabilities; what is not in @keep is gone for this process. */
static void keep_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	for (int i = 0; i < 2; i++)
		data[i].effective &= (uint32_t)(keep >> (32 * i));
	CHECK_EQ(syscall(SYS_capset, &header, data), 0);
}

#define WHAT_VPMUD_HAS (UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_BPF)

/* Of the symbol @name in /proc/kallsyms; 0 if it is hidden. */
static uint64_t address_of(const char *name)
{
	_fclose_ FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char line[1024], found[512];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %*c %511s", &address, found) == 2 && streq(found, name))
			return address;
	return 0;
}

TEST(they_are_those_of_proc_kallsyms)
{
	_fclose_ FILE *ours = by_bpf(), *theirs = fopen("/proc/kallsyms", "re");
	char our_line[1024], their_line[1024];
	int n = 0;

	if (!address_of("_stext"))
		skip("/proc/kallsyms hides addresses");
	CHECK(theirs);
	/* Further down modules and BPF programs come and go. */
	while (n < 10000 && fgets(our_line, sizeof(our_line), ours) && fgets(their_line, sizeof(their_line), theirs)) {
		CHECK_STR(our_line, their_line);
		n++;
	}
	CHECK_EQ(n, 10000);
}

TEST(without_cap_syslog_addresses_have_names_nevertheless)
{
	const struct sym_env env = { .kallsyms_path = (char *)"/proc/kallsyms" };
	uint64_t address = address_of("vfs_read");
	struct symtab *table = NULL;
	struct symbol symbol;

	fclose(by_bpf());
	if (!address)
		skip("/proc/kallsyms hides addresses from us already");
	keep_capabilities(WHAT_VPMUD_HAS);
	if (address_of("vfs_read"))
		skip("/proc/kallsyms shows addresses to everybody (kernel.perf_event_paranoid is below 2)");
	CHECK_EQ(kernel_cache_read_live(&env, &table, NULL), 0);
	CHECK(symtab_lookup(table, address, &symbol));
	CHECK_STR(symbol.name, "vfs_read");
	symtab_free(table);
}

int main(void)
{
	return test_main();
}
