/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "host/sample_counts.h"
#include "util/macro.h"

/* Entries that are read at once. A bucket of the kernel's table must fit; it has about one. */
#define BATCH	     256u
#define BATCH_CHAINS 64u

struct generation {
	int counts_fd, chains_fd; /* -1 = none */
};

struct batch {
	struct vpmu_bpf_count_key keys[BATCH];
	struct vpmu_bpf_count counts[BATCH];
	uint64_t names[BATCH_CHAINS];
	struct vpmu_bpf_sample chains[BATCH_CHAINS];
};

struct sample_counts {
	struct sample_seat seat;
	struct generation generations[2];
	uint32_t current;
	struct batch batch; /* of drain() */
};

/* A map of the session, where the program finds it. */
static int put_map(int outer_fd, uint32_t index, const char *name, uint32_t key_bytes, uint32_t value_bytes, uint32_t n,
		   int *ret_fd)
{
	_close_ int fd = bpf_map_create(BPF_MAP_TYPE_HASH, name, key_bytes, value_bytes, n, NULL);

	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(outer_fd, &index, &fd, BPF_ANY) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int forget_tasks(const struct sample_counts *counts)
{
	static const struct vpmu_bpf_seen none;

	return bpf_map_update_elem(counts->seat.seen_fd, &counts->seat.session, &none, BPF_ANY) < 0 ? -errno : 0;
}

static int set_generation(struct sample_counts *counts, uint32_t generation)
{
	counts->current = generation;
	return bpf_map_update_elem(counts->seat.generations_fd, &counts->seat.session, &generation, BPF_ANY) < 0 ? -errno : 0;
}

int sample_counts_open(const struct sample_seat *seat, bool chains, struct sample_counts **ret_counts)
{
	_cleanup_(sample_counts_freep) struct sample_counts *counts = calloc(1, sizeof(*counts));
	int r = 0;

	if (!counts)
		return -ENOMEM;
	counts->seat = *seat;
	for (uint32_t i = 0; i < 2; i++)
		counts->generations[i] = (struct generation){-1, -1};
	for (uint32_t i = 0; i < 2 && r == 0; i++) {
		struct generation *generation = &counts->generations[i];
		uint32_t index = VPMU_BPF_GENERATION(seat->session, i);

		r = put_map(seat->counts_fd, index, "vpmu_counts", sizeof(struct vpmu_bpf_count_key),
			    sizeof(struct vpmu_bpf_count), VPMU_BPF_MAX_COUNTS, &generation->counts_fd);
		if (r == 0 && chains)
			r = put_map(seat->chains_fd, index, "vpmu_chains", sizeof(uint64_t),
				    sizeof(struct vpmu_bpf_sample), VPMU_BPF_MAX_COUNTED_CHAINS, &generation->chains_fd);
	}
	if (r == 0)
		r = set_generation(counts, 0);
	if (r == 0)
		r = forget_tasks(counts);
	if (r < 0)
		return r;
	*ret_counts = take_ptr(counts);
	return 0;
}

struct sample_counts *sample_counts_free(struct sample_counts *counts)
{
	if (!counts)
		return NULL;
	for (uint32_t i = 0; i < 2; i++) {
		struct generation *generation = &counts->generations[i];
		uint32_t index = VPMU_BPF_GENERATION(counts->seat.session, i);

		if (generation->counts_fd >= 0)
			(void)bpf_map_delete_elem(counts->seat.counts_fd, &index);
		if (generation->chains_fd >= 0)
			(void)bpf_map_delete_elem(counts->seat.chains_fd, &index);
		closep(&generation->counts_fd);
		closep(&generation->chains_fd);
	}
	free(counts);
	return NULL;
}

/* ---- reading ---- */

/* Puts the generation that was left where it is already: that is what waits for the programs that may still count in it. */
static int wait_for_programs(const struct sample_counts *counts, uint32_t left)
{
	uint32_t index = VPMU_BPF_GENERATION(counts->seat.session, left);

	return bpf_map_update_elem(counts->seat.counts_fd, &index, &counts->generations[left].counts_fd, BPF_ANY) < 0 ? -errno : 0;
}

static const struct vpmu_bpf_sample *find_chain(struct sample_counts *counts, int chains_fd, uint64_t name, size_t i)
{
	struct vpmu_bpf_sample *chain = &counts->batch.chains[i];

	if (!name || chains_fd < 0 || bpf_map_lookup_elem(chains_fd, &name, chain) < 0)
		return NULL;
	return chain->n_frames <= ARRAY_SIZE(chain->frames) ? chain : NULL;
}

static int hand_over(struct sample_counts *counts, int chains_fd, uint32_t n,
		     int (*fn)(const struct sample_count *count, void *data), void *data)
{
	int r = 0;

	for (uint32_t i = 0; i < n && r >= 0; i++) {
		struct sample_count count = {.key = &counts->batch.keys[i], .count = &counts->batch.counts[i]};

		for (size_t k = 0; k < ARRAY_SIZE(count.chains); k++)
			count.chains[k] = find_chain(counts, chains_fd, count.key->chains[k], k);
		r = fn(&count, data);
	}
	return MIN(r, 0);
}

/*
 * Takes out up to @most entries of a map; *@ret_n: how many. Returns 1 if there are more, 0 if not. @position: what the kernel wants to know
 * for the next call; NULL in the first one.
 */
static int take_batch(int fd, uint32_t *position, bool first, void *keys, void *values, uint32_t most, uint32_t *ret_n)
{
	*ret_n = most;
	if (bpf_map_lookup_and_delete_batch(fd, first ? NULL : position, position, keys, values, ret_n, NULL) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	*ret_n = 0;
	return -errno;
}

bool sample_counts_overflowed(const struct sample_counts *counts)
{
	struct vpmu_bpf_seen seen;

	return bpf_map_lookup_elem(counts->seat.seen_fd, &counts->seat.session, &seen) == 0 && seen.n_unfit;
}

static int drain_counts(struct sample_counts *counts, const struct generation *left,
			int (*fn)(const struct sample_count *count, void *data), void *data)
{
	struct batch *batch = &counts->batch;
	uint32_t position = 0, n;
	int more = 1, r = 0;

	for (bool first = true; more > 0; first = false) {
		more = take_batch(left->counts_fd, &position, first, batch->keys, batch->counts, BATCH, &n);
		if (r >= 0)
			r = hand_over(counts, left->chains_fd, n, fn, data);
	}
	return r < 0 ? r : more;
}

static int forget_chains(struct sample_counts *counts, const struct generation *left)
{
	struct batch *batch = &counts->batch;
	uint32_t position = 0, n;
	int more = left->chains_fd >= 0;

	for (bool first = true; more > 0; first = false)
		more = take_batch(left->chains_fd, &position, first, batch->names, batch->chains, BATCH_CHAINS, &n);
	return more;
}

int sample_counts_drain(struct sample_counts *counts, int (*fn)(const struct sample_count *count, void *data), void *data)
{
	uint32_t left = counts->current;
	const struct generation *generation = &counts->generations[left];
	int r = set_generation(counts, !left), forgotten;

	if (r == 0)
		r = wait_for_programs(counts, left);
	if (r == 0)
		r = forget_tasks(counts);
	if (r < 0)
		return r;
	r = drain_counts(counts, generation, fn, data);
	forgotten = forget_chains(counts, generation);
	return r < 0 ? r : forgotten;
}
