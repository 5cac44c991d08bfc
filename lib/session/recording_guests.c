/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/vcpu_name.h"
#include "session/recording_guests.h"
#include "util/hash.h"
#include "util/macro.h"

void recording_guests_deinit(struct recording_guests *g)
{
	vec_for_each(guest, &g->all)
		vec_free(&guest->vcpus);
	vec_free(&g->all);
	vec_free(&g->threads);
	vec_free(&g->shared);
	idtable_deinit(&g->by_pid);
	idtable_deinit(&g->by_tid);
	g->strings = intern_free(g->strings);
}

static uint32_t hash_of(uint32_t id, uint32_t guest)
{
	return (uint32_t)hash_mix(id, guest);
}

/* The first guest with this pid. */
static struct recording_guest *guest_of(const struct recording_guests *g, uint32_t pid)
{
	uint32_t hash = hash_of(pid, 0), id, i = idtable_first(&g->by_pid, hash);

	for (; (id = idtable_at(&g->by_pid, i, hash)) != IDTABLE_END;
	     i = idtable_step(&g->by_pid, i))
		if (id != IDTABLE_OTHER && (uint32_t)g->all.items[id].info.pid == pid)
			return &g->all.items[id];
	return NULL;
}

/* Threads' ids are used again as processes' are. */
static struct recording_thread *thread_of(const struct recording_guests *g, uint32_t guest, uint32_t tid)
{
	uint32_t hash = hash_of(tid, guest), id, i = idtable_first(&g->by_tid, hash);

	for (; (id = idtable_at(&g->by_tid, i, hash)) != IDTABLE_END;
	     i = idtable_step(&g->by_tid, i))
		if (id != IDTABLE_OTHER && g->threads.items[id].tid == tid &&
		    g->threads.items[id].guest == guest)
			return &g->threads.items[id];
	return NULL;
}

static const char *keep(struct recording_guests *g, const char *string)
{
	uint32_t id;

	if (!g->strings)
		g->strings = intern_new();
	id = g->strings ? intern_add(g->strings, string ?: "") : INTERN_FAILED;
	return id == INTERN_FAILED ? NULL : intern_string(g->strings, id);
}

static int add_shared(struct recording_guests *g, uint32_t index)
{
	struct recording_guest *guest = &g->all.items[index];
	struct recording_life life = { guest->from_ns, (uint32_t)guest->info.pid, index };

	if (guest->shares_pid)
		return 0;
	guest->shares_pid = true;
	return vec_push(&g->shared, life) ? 0 : -ENOMEM;
}

static struct recording_guest *guest_add(struct recording_guests *g, const struct vpmu_guest_info *info,
					 uint64_t from_ns, uint64_t until_ns)
{
	struct recording_guest guest = { .info = *info, .from_ns = from_ns, .until_ns = until_ns };
	const struct recording_guest *other = guest_of(g, (uint32_t)info->pid);
	uint32_t index = (uint32_t)g->all.n, first = other ? (uint32_t)(other - g->all.items) : index;

	guest.info.name = keep(g, info->name);
	guest.info.uuid = keep(g, info->uuid);
	guest.info.exe = keep(g, info->exe);
	guest.info.vcpus = NULL;
	guest.info.n_vcpus = 0;
	if (!guest.info.name || !guest.info.uuid || !guest.info.exe || !vec_reserve(&g->all, 1))
		return NULL;
	g->all.items[g->all.n++] = guest;
	if (first != index && (add_shared(g, first) < 0 || add_shared(g, index) < 0))
		return NULL;
	if (first == index && !idtable_put(&g->by_pid, hash_of((uint32_t)info->pid, 0), index))
		return NULL;
	return &g->all.items[index];
}

/* A vCPU thread of @guest. One that is known gets its number now, if it had none. */
static int thread_add(struct recording_guests *g, const struct recording_guest *guest, uint32_t tid,
		      uint32_t vcpu)
{
	uint32_t index = (uint32_t)(guest - g->all.items);
	struct recording_thread *thread = thread_of(g, index, tid);

	if (thread) {
		if (vcpu != VPMU_NO_VCPU && !guest->declared)
			thread->vcpu = vcpu;
		return 0;
	}
	if (!vec_reserve(&g->threads, 1) ||
	    !idtable_put(&g->by_tid, hash_of(tid, index), (uint32_t)g->threads.n))
		return -ENOMEM;
	g->threads.items[g->threads.n++] = (struct recording_thread){
		.tid = tid, .guest = index, .vcpu = vcpu
	};
	return 0;
}

int recording_guests_declare(struct recording_guests *g, const struct vpmu_guest_info *info,
			     uint64_t from_ns, uint64_t until_ns)
{
	struct recording_guest *guest = guest_add(g, info, from_ns, until_ns);

	if (!guest)
		return -ENOMEM;
	for (size_t i = 0; i < info->n_vcpus; i++)
		if (thread_add(g, guest, (uint32_t)info->vcpus[i].tid, info->vcpus[i].index) < 0)
			return -ENOMEM;
	guest->declared = true;
	return 0;
}

static int note(struct recording_guests *g, uint32_t pid, uint32_t tid, uint32_t vcpu)
{
	struct recording_guest *guest = guest_of(g, pid);
	char name[24];

	if (!guest) {
		snprintf(name, sizeof(name), "pid:%u", pid);
		guest = guest_add(g, &(struct vpmu_guest_info){ .pid = (pid_t)pid, .name = name,
								.accel = VPMU_ACCEL_KVM }, 0, 0);
		if (!guest)
			return -ENOMEM;
	}
	return thread_add(g, guest, tid, vcpu);
}

int recording_guests_note_sample(struct recording_guests *g, uint32_t pid, uint32_t tid)
{
	if (pid == UINT32_MAX || pid == 0 || (pid == g->last_pid && tid == g->last_tid))
		return 0;
	g->last_pid = pid;
	g->last_tid = tid;
	return note(g, pid, tid, VPMU_NO_VCPU);
}

int recording_guests_note_comm(struct recording_guests *g, uint32_t pid, uint32_t tid,
			       const char *comm)
{
	uint32_t vcpu;

	if (vcpu_name_parse(comm, &vcpu) != VCPU_NAME_QEMU_KVM)
		return 0;
	return note(g, pid, tid, vcpu);
}

static int by_tid(const void *pa, const void *pb)
{
	const struct recording_thread *a = pa, *b = pb;

	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	return (a->guest > b->guest) - (a->guest < b->guest);
}

static int by_pid_and_time(const void *pa, const void *pb)
{
	const struct recording_life *a = pa, *b = pb;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->from_ns != b->from_ns)
		return a->from_ns < b->from_ns ? -1 : 1;
	return (a->guest > b->guest) - (a->guest < b->guest);
}

static int by_index(const void *pa, const void *pb)
{
	const struct vpmu_vcpu_info *a = pa, *b = pb;

	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return (a->tid > b->tid) - (a->tid < b->tid);
}

/* Numbers the threads that have no name, behind those that have one. */
static int number_vcpus(struct recording_guests *g)
{
	_free_ uint32_t *next = calloc(g->all.n + 1, sizeof(*next));

	if (!next)
		return -ENOMEM;
	vec_for_each(thread, &g->threads)
		if (thread->vcpu != VPMU_NO_VCPU)
			next[thread->guest] = MAX(next[thread->guest], thread->vcpu + 1);
	vec_for_each(thread, &g->threads)
		if (thread->vcpu == VPMU_NO_VCPU)
			thread->vcpu = next[thread->guest]++;
	return 0;
}

int recording_guests_settle(struct recording_guests *g)
{
	if (g->threads.n) {
		qsort(g->threads.items, g->threads.n, sizeof(*g->threads.items), by_tid);
		idtable_deinit(&g->by_tid);
		for (uint32_t i = 0; i < g->threads.n; i++) {
			const struct recording_thread *thread = &g->threads.items[i];

			if (!idtable_put(&g->by_tid, hash_of(thread->tid, thread->guest), i))
				return -ENOMEM;
		}
	}
	if (g->shared.n)
		qsort(g->shared.items, g->shared.n, sizeof(*g->shared.items), by_pid_and_time);
	if (number_vcpus(g) < 0)
		return -ENOMEM;
	vec_for_each(guest, &g->all)
		guest->vcpus.n = 0;
	vec_for_each(thread, &g->threads) {
		struct recording_guest *guest = &g->all.items[thread->guest];

		if (!vec_push(&guest->vcpus, (struct vpmu_vcpu_info){ .index = thread->vcpu,
								      .tid = (pid_t)thread->tid }))
			return -ENOMEM;
	}
	vec_for_each(guest, &g->all) {
		if (guest->vcpus.n)
			qsort(guest->vcpus.items, guest->vcpus.n, sizeof(*guest->vcpus.items),
			      by_index);
		guest->info.vcpus = guest->vcpus.items;
		guest->info.n_vcpus = guest->vcpus.n;
	}
	return 0;
}

/* Of those with this pid the last that was born by then; before all of them, the first. */
static const struct recording_guest *shared_at(const struct recording_guests *g, uint32_t pid, uint64_t time_ns)
{
	size_t low = 0, high = g->shared.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct recording_life *life = &g->shared.items[middle];

		if (life->pid < pid || (life->pid == pid && life->from_ns <= time_ns))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || g->shared.items[low - 1].pid != pid)
		low++;
	return &g->all.items[g->shared.items[low - 1].guest];
}

void recording_guests_at(const struct recording_guests *g, uint32_t pid, uint32_t tid, uint64_t time_ns,
			 uint32_t *ret_guest, uint32_t *ret_vcpu)
{
	const struct recording_guest *guest = g->all.n ? guest_of(g, pid) : NULL;
	const struct recording_thread *thread;

	*ret_guest = VPMU_NO_GUEST;
	*ret_vcpu = VPMU_NO_VCPU;
	if (guest && guest->shares_pid)
		guest = shared_at(g, pid, time_ns);
	if (!guest || (guest->until_ns && time_ns > guest->until_ns))
		return;
	*ret_guest = (uint32_t)(guest - g->all.items);
	thread = thread_of(g, *ret_guest, tid);
	if (thread)
		*ret_vcpu = thread->vcpu;
}
