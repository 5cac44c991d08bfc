/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/bpf_load.h"
#include "host/guest_chains.h"
#include "host/sample_program.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

struct guest_chains {
	unsigned int wanted;
	struct sample_counts *counts; /* NULL = they are not */
	struct sample_seat seat;
	struct ring_buffer *ring;
	VEC(uint32_t) known; /* processes that are in the map of guests, or were */
	int (*fn)(const struct vpmu_bpf_sample *sample, void *data); /* while draining */
	void *data;
	size_t drained_bytes;
};

static bool stack_is_whole(const struct vpmu_bpf_record *record, size_t n_bytes)
{
	uint64_t left = n_bytes - sizeof(*record);

	if (n_bytes < sizeof(*record) || record->stack.n_slices > VPMU_BPF_SLICES ||
	    record->stack.has_user > record->stack.n_slices)
		return false;
	for (uint32_t i = 0; i < record->stack.n_slices; i++) {
		if (record->stack.slices[i].n_bytes > left)
			return false;
		left -= record->stack.slices[i].n_bytes;
	}
	return true;
}

static int on_record(void *data, void *record, size_t n_bytes)
{
	struct guest_chains *chains = data;
	const struct vpmu_bpf_sample *sample = record;

	chains->drained_bytes += (n_bytes + 15) / 8 * 8; /* with a head */
	if (n_bytes < VPMU_BPF_SAMPLE_BYTES(0) || n_bytes < VPMU_BPF_SAMPLE_BYTES((size_t)sample->n_frames))
		return 0;
	if (sample->has_stack && !stack_is_whole(record, n_bytes))
		return 0;
	return chains->fn(sample, chains->data);
}

int guest_chains_open(unsigned int wanted, struct guest_chains **ret_chains, struct vpmu_error *reterr)
{
	_cleanup_(guest_chains_freep) struct guest_chains *chains = calloc(1, sizeof(*chains));
	int r;

	if (!chains)
		return error_oom(reterr);
	chains->wanted = wanted;
	r = sample_program_join(&chains->seat);
	if (r < 0)
		return bpf_load_refused(r, "no guest call chains: ", reterr);
	chains->ring = ring_buffer__new(chains->seat.ring_fd, on_record, chains, NULL);
	if (!chains->ring)
		return error_set(reterr, -errno, "no guest call chains: cannot map the ring buffer: %s",
				 strerror(errno));
	if (wanted & GUEST_CHAINS_COUNT)
		(void)sample_counts_open(&chains->seat, wanted & (GUEST_CHAINS_WALK | GUEST_CHAINS_HOST), &chains->counts);
	*ret_chains = take_ptr(chains);
	return 0;
}

struct guest_chains *guest_chains_free(struct guest_chains *chains)
{
	if (!chains)
		return NULL;
	ring_buffer__free(chains->ring);
	vec_for_each (pid, &chains->known)
		(void)guest_chains_know(chains, (pid_t)*pid, NULL);
	vec_free(&chains->known);
	sample_counts_free(chains->counts);
	sample_program_leave(&chains->seat);
	free(chains);
	return NULL;
}

static int attach_with(const struct guest_chains *chains, int event_fd, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);

	/* Not bpf_program__attach_perf_event(): that enables the event, and closes it in the end. */
	return bpf_link_create(chains->seat.program_fd, event_fd, BPF_PERF_EVENT, &opts);
}

int guest_chains_attach(struct guest_chains *chains, int event_fd, uint64_t event_id, bool by_nmi)
{
	uint64_t cookie = VPMU_BPF_COOKIE(event_id, chains->seat.session) | (by_nmi ? VPMU_BPF_COOKIE_NMI : 0);

	if (chains->wanted & GUEST_CHAINS_WALK)
		cookie |= VPMU_BPF_COOKIE_CHAINS;
	if (chains->counts)
		cookie |= VPMU_BPF_COOKIE_COUNT | (chains->wanted & GUEST_CHAINS_HOST ? VPMU_BPF_COOKIE_HOST_CHAINS : 0);
	return attach_with(chains, event_fd, cookie);
}

static int note_known(struct guest_chains *chains, uint32_t pid)
{
	vec_for_each (known, &chains->known)
		if (*known == pid)
			return 0;
	return vec_push(&chains->known, pid) ? 0 : -ENOMEM;
}

int guest_chains_know(struct guest_chains *chains, pid_t pid, const struct vpmu_bpf_guest *guest)
{
	struct vpmu_bpf_guest_key key = { .session = chains->seat.session, .pid = (uint32_t)pid };
	int map = chains->seat.guests_fd, r;

	if (!guest)
		return bpf_map_delete_elem(map, &key) < 0 && errno != ENOENT ? -errno : 0;
	r = note_known(chains, key.pid);
	if (r < 0)
		return r;
	return bpf_map_update_elem(map, &key, guest, BPF_ANY) < 0 ? -errno : 0;
}

bool guest_chains_take_stacks(const struct guest_chains *chains)
{
	return chains->seat.flavour == VPMU_BPF_FLAVOUR_SVM;
}

int guest_chains_drain(struct guest_chains *chains,
		       int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data)
{
	int r;

	chains->fn = fn;
	chains->data = data;
	chains->drained_bytes = 0;
	r = ring_buffer__consume(chains->ring);
	return MIN(r, 0);
}

bool guest_chains_counted(const struct guest_chains *chains)
{
	return chains->counts;
}

bool guest_chains_overflowed(const struct guest_chains *chains)
{
	return chains->counts && sample_counts_overflowed(chains->counts);
}

int guest_chains_drain_counts(struct guest_chains *chains, int (*fn)(const struct sample_count *count, void *data), void *data)
{
	return chains->counts ? sample_counts_drain(chains->counts, fn, data) : 0;
}

size_t guest_chains_drained_bytes(const struct guest_chains *chains)
{
	return chains->drained_bytes;
}

void guest_chains_misses(const struct guest_chains *chains, uint64_t ret_misses[VPMU_BPF_MISS_COUNT])
{
	int n_cpus = libbpf_num_possible_cpus();
	_free_ uint64_t *counts = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*counts)) : NULL;

	for (uint32_t i = 0; i < VPMU_BPF_MISS_COUNT; i++) {
		uint32_t key = chains->seat.session * VPMU_BPF_MISS_COUNT + i;

		ret_misses[i] = 0;
		if (!counts || bpf_map_lookup_elem(chains->seat.misses_fd, &key, counts) < 0)
			continue;
		for (int cpu = 0; cpu < n_cpus; cpu++)
			ret_misses[i] += counts[cpu];
	}
}

const char *guest_chains_miss_name(enum vpmu_bpf_miss miss)
{
	static const char *const names[VPMU_BPF_MISS_COUNT] = {
		[VPMU_BPF_MISS_NESTED] = "in a nested guest",
		[VPMU_BPF_MISS_PROTECTED] = "encrypted guest",
		[VPMU_BPF_MISS_MODE] = "not in 64-bit code",
		[VPMU_BPF_MISS_REGISTERS] = "registers out of reach (Intel)",
		[VPMU_BPF_MISS_ROOM] = "buffer full",
	};

	return miss < VPMU_BPF_MISS_COUNT ? names[miss] : "";
}
