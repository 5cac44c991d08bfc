/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/bpf_load.h"
#include "host/sample_program.h"
#include "bpf/sample.skel.h"
#include "util/cleanup.h"
#include "util/macro.h"

/*
 * A ring, once made, stays with its number: to put one into the map of rings, or to take it out, takes the kernel a grace period of RCU
 * (maybe_wait_bpf_programs(), kernel/bpf/syscall.c), some tens of milliseconds. But a ring is a megabyte of the kernel's memory, and
 * where one session never ends (vpmud's always-on one), nor does the program: of the rings that nobody uses it keeps these.
 */
#define SPARE_RINGS 4

struct seat {
	bool taken;
	int ring_fd; /* -1 = none yet */
};

struct sample_program {
	struct sample_program *next;
	struct vpmu_sample_bpf *bpf;
	struct seat seats[VPMU_BPF_MAX_SESSIONS];
	unsigned int n_taken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sample_program *programs; /* another one is loaded when all seats of those before are taken */

/* @btf_path: where types are looked up; NULL = the running kernel and its modules. */
static int load_with(void *data, const char *btf_path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf_path);
	struct sample_program *program = data;
	int r;

	program->bpf = vpmu_sample_bpf__open_opts(&opts);
	if (!program->bpf)
		return -errno;
	program->bpf->rodata->vpmu_flavour = bpf_load_flavour();
	r = vpmu_sample_bpf__load(program->bpf);
	if (r < 0) {
		vpmu_sample_bpf__destroy(program->bpf);
		program->bpf = NULL;
	}
	return r;
}

static struct sample_program *program_free(struct sample_program *program)
{
	if (!program)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(program->seats); i++)
		closep(&program->seats[i].ring_fd);
	vpmu_sample_bpf__destroy(program->bpf);
	free(program);
	return NULL;
}
DEFINE_CLEANUP(struct sample_program *, program_free)

static int program_new(struct sample_program **ret_program)
{
	_cleanup_(program_freep) struct sample_program *program = calloc(1, sizeof(*program));
	int r;

	if (!program)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(program->seats); i++)
		program->seats[i].ring_fd = -1;
	bpf_load_begin();
	r = bpf_load_twice(load_with, program);
	bpf_load_end();
	if (r < 0)
		return r;
	*ret_program = take_ptr(program);
	return 0;
}

static int make_ring(struct sample_program *program, uint32_t session)
{
	_close_ int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "vpmu_samples", 0, 0, VPMU_BPF_RING_BYTES, NULL);

	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(bpf_map__fd(program->bpf->maps.vpmu_rings), &session, &fd, BPF_ANY) < 0)
		return -errno;
	program->seats[session].ring_fd = take_fd(&fd);
	return 0;
}

static int forget_misses(const struct sample_program *program, uint32_t session)
{
	int n_cpus = libbpf_num_possible_cpus();
	_free_ uint64_t *none = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*none)) : NULL;

	if (!none)
		return -ENOMEM;
	for (uint32_t i = 0; i < VPMU_BPF_MISS_COUNT; i++) {
		uint32_t key = session * VPMU_BPF_MISS_COUNT + i;

		if (bpf_map_update_elem(bpf_map__fd(program->bpf->maps.vpmu_misses), &key, none, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

static bool has_spare_ring(const struct seat *seat)
{
	return !seat->taken && seat->ring_fd >= 0;
}

/* One with a ring, if there is one. */
static uint32_t free_seat(const struct sample_program *program)
{
	uint32_t found = VPMU_BPF_MAX_SESSIONS;

	for (uint32_t i = VPMU_BPF_MAX_SESSIONS; i-- > 0;)
		if (!program->seats[i].taken && (found == VPMU_BPF_MAX_SESSIONS || has_spare_ring(&program->seats[i]) ||
						 !has_spare_ring(&program->seats[found])))
			found = i;
	return found;
}

/* Nobody is left on @seat, whose number nobody has yet. */
static void drop_ring(struct sample_program *program, uint32_t session)
{
	struct seat *seat = &program->seats[session];

	if (bpf_map_delete_elem(bpf_map__fd(program->bpf->maps.vpmu_rings), &session) == 0)
		close(take_fd(&seat->ring_fd));
}

static int take_seat(struct sample_program *program, struct sample_seat *ret_seat)
{
	uint32_t session = free_seat(program);
	struct seat *seat = &program->seats[session];
	int r = seat->ring_fd >= 0 ? 0 : make_ring(program, session);

	if (r == 0)
		r = forget_misses(program, session);
	if (r < 0)
		return r;
	seat->taken = true;
	program->n_taken++;
	*ret_seat = (struct sample_seat){
		.program = program,
		.session = session,
		.flavour = program->bpf->rodata->vpmu_flavour,
		.program_fd = bpf_program__fd(program->bpf->progs.vpmu_sample),
		.guests_fd = bpf_map__fd(program->bpf->maps.vpmu_guests),
		.misses_fd = bpf_map__fd(program->bpf->maps.vpmu_misses),
		.counts_fd = bpf_map__fd(program->bpf->maps.vpmu_counts),
		.chains_fd = bpf_map__fd(program->bpf->maps.vpmu_chains),
		.generations_fd = bpf_map__fd(program->bpf->maps.vpmu_generations),
		.seen_fd = bpf_map__fd(program->bpf->maps.vpmu_seen),
		.ring_fd = seat->ring_fd,
	};
	return 0;
}

static void unload_if_unused(struct sample_program *program)
{
	struct sample_program **at = &programs;

	if (program->n_taken)
		return;
	while (*at != program)
		at = &(*at)->next;
	*at = program->next;
	program_free(program);
}

/* So that the others become empty. */
static struct sample_program *fullest_with_room(void)
{
	struct sample_program *found = NULL;

	for (struct sample_program *program = programs; program; program = program->next)
		if (program->n_taken < VPMU_BPF_MAX_SESSIONS && (!found || program->n_taken > found->n_taken))
			found = program;
	return found;
}

int sample_program_join(struct sample_seat *ret_seat)
{
	struct sample_program *program;
	int r = 0;

	pthread_mutex_lock(&lock);
	program = fullest_with_room();
	if (!program) {
		r = program_new(&program);
		if (r == 0) {
			program->next = programs;
			programs = program;
		}
	}
	if (r == 0) {
		r = take_seat(program, ret_seat);
		unload_if_unused(program);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* The last one that leaves unloads it all. */
static bool has_enough_spares(const struct sample_program *program)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(program->seats); i++)
		n += has_spare_ring(&program->seats[i]);
	return n >= SPARE_RINGS && program->n_taken > 1;
}

static int drop_record(void *data, void *record, size_t n_bytes)
{
	(void)data, (void)record, (void)n_bytes;
	return 0;
}

void sample_program_leave(struct sample_seat *seat)
{
	struct ring_buffer *ring;
	bool drop;

	if (!seat->program)
		return;
	pthread_mutex_lock(&lock);
	drop = has_enough_spares(seat->program);
	pthread_mutex_unlock(&lock);
	if (drop)
		drop_ring(seat->program, seat->session); /* not with the lock held: it takes a while */
	ring = seat->program->seats[seat->session].ring_fd < 0 ? NULL : ring_buffer__new(seat->ring_fd, drop_record, NULL, NULL);
	if (ring)
		(void)ring_buffer__consume(ring);
	ring_buffer__free(ring);
	pthread_mutex_lock(&lock);
	seat->program->seats[seat->session].taken = false;
	seat->program->n_taken--;
	unload_if_unused(seat->program);
	pthread_mutex_unlock(&lock);
	*seat = (struct sample_seat){};
}
