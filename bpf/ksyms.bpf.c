/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's symbols as text, the lines being those of /proc/kallsyms. Run once for each symbol by the iterator of Linux 6.0
 * (647cafa22349 "bpf: add a ksym BPF iterator"), and once more at the end.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct kallsym_iter {
	unsigned long value;
	char type;
	char name[1]; /* longer, and longer since Linux 6.1: only where it begins matters */
	char module_name[1];
};

struct bpf_iter__ksym {
	struct bpf_iter_meta *meta;
	struct kallsym_iter *ksym;
};

#pragma clang attribute pop

SEC("iter/ksym")
int vpmu_list_ksyms(struct bpf_iter__ksym *context)
{
	struct seq_file *seq = context->meta->seq;
	struct kallsym_iter *ksym = context->ksym;

	if (!ksym)
		return 0;
	BPF_SEQ_PRINTF(seq, "%016lx %c %s", ksym->value, ksym->type, ksym->name);
	if (ksym->module_name[0])
		BPF_SEQ_PRINTF(seq, "\t[%s]", ksym->module_name);
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}
