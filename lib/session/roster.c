/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/kernel_orc.h"
#include "session/roster.h"
#include "util/cleanup.h"
#include "util/macro.h"

static struct roster_guest *guest_free(struct roster_guest *guest)
{
	if (!guest)
		return NULL;
	if (guest->proc_fd >= 0)
		close(guest->proc_fd);
	kernel_orc_free(guest->orc);
	free((char *)guest->info.name);
	free((char *)guest->info.uuid);
	free((char *)guest->info.exe);
	vec_free(&guest->vcpus);
	tasks_deinit(&guest->threads);
	free(guest);
	return NULL;
}
DEFINE_CLEANUP(struct roster_guest *, guest_free)

void roster_deinit(struct roster *roster)
{
	vec_for_each (guest, &roster->guests)
		guest_free(*guest);
	vec_free(&roster->guests);
	vec_free(&roster->threads);
	vec_free(&roster->processes);
}

/* The first key that is not below @id. */
static size_t keys_position(const struct roster_keys *keys, pid_t id)
{
	size_t low = 0, high = keys->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (keys->items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct roster_key *keys_find(const struct roster_keys *keys, pid_t id)
{
	size_t i = keys_position(keys, id);

	return i < keys->n && keys->items[i].id == id ? &keys->items[i] : NULL;
}

static int keys_put(struct roster_keys *keys, struct roster_key key)
{
	size_t i = keys_position(keys, key.id);

	if (i == keys->n || keys->items[i].id != key.id) {
		if (!vec_reserve(keys, 1))
			return -ENOMEM;
		memmove(keys->items + i + 1, keys->items + i, (keys->n - i) * sizeof(key));
		keys->n++;
	}
	keys->items[i] = key;
	return 0;
}

static void keys_drop(struct roster_keys *keys, uint32_t guest)
{
	size_t kept = 0;

	for (size_t i = 0; i < keys->n; i++)
		if (keys->items[i].guest != guest)
			keys->items[kept++] = keys->items[i];
	keys->n = kept;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The kernel counts from boot, the time asleep included, in ticks that the hardware knows nothing of. */
static uint64_t since_ns(uint64_t start_ticks)
{
	uint64_t asleep_ns = now_ns(CLOCK_BOOTTIME) - now_ns(CLOCK_MONOTONIC), start_ns;

	if (__builtin_mul_overflow(start_ticks, 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK), &start_ns))
		return 0;
	return start_ns > asleep_ns ? start_ns - asleep_ns : 0;
}

int roster_add(struct roster *roster, const struct vpmu_guest_info *info, int proc_fd)
{
	_cleanup_(guest_freep) struct roster_guest *guest = calloc(1, sizeof(*guest));
	uint32_t index = (uint32_t)roster->guests.n;
	int r;

	if (!guest) {
		close(proc_fd);
		return -ENOMEM;
	}
	guest->proc_fd = proc_fd;
	guest->info = *info;
	guest->from_ns = since_ns(info->start_ticks);
	guest->info.vcpus = NULL;
	guest->info.n_vcpus = 0;
	guest->info.name = strdup(info->name ? info->name : "");
	guest->info.uuid = strdup(info->uuid ? info->uuid : "");
	guest->info.exe = strdup(info->exe ? info->exe : "");
	if (!guest->info.name || !guest->info.uuid || !guest->info.exe)
		return -ENOMEM;
	r = keys_put(&roster->processes, (struct roster_key){info->pid, index, VPMU_NO_VCPU});
	if (r < 0)
		return r;
	if (!vec_push(&roster->guests, guest)) {
		keys_drop(&roster->processes, index);
		return -ENOMEM;
	}
	guest = NULL;
	r = roster_add_vcpus(roster, index, info->vcpus, info->n_vcpus);
	return r < 0 ? r : (int)index;
}

uint32_t roster_find(const struct roster *roster, const struct vpmu_guest_info *info)
{
	for (size_t i = 0; i < roster->guests.n; i++) {
		const struct roster_guest *guest = roster->guests.items[i];

		if (guest->proc_fd >= 0 && guest->info.pid == info->pid &&
		    guest->info.start_ticks == info->start_ticks)
			return (uint32_t)i;
	}
	return VPMU_NO_GUEST;
}

static int compare_vcpus(const void *a, const void *b)
{
	const struct vpmu_vcpu_info *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static bool has_vcpu(const struct roster_guest *guest, const struct vpmu_vcpu_info *vcpu)
{
	for (size_t i = 0; i < guest->vcpus.n; i++)
		if (guest->vcpus.items[i].tid == vcpu->tid &&
		    guest->vcpus.items[i].index == vcpu->index)
			return true;
	return false;
}

int roster_add_vcpus(struct roster *roster, uint32_t index, const struct vpmu_vcpu_info *vcpus,
		     size_t n)
{
	struct roster_guest *guest = roster->guests.items[index];

	for (size_t i = 0; i < n; i++) {
		if (has_vcpu(guest, &vcpus[i]))
			continue;
		if (!vec_push(&guest->vcpus, vcpus[i]) ||
		    keys_put(&roster->threads,
			     (struct roster_key){vcpus[i].tid, index, vcpus[i].index}) < 0)
			return -ENOMEM;
	}
	if (guest->vcpus.n)
		qsort(guest->vcpus.items, guest->vcpus.n, sizeof(*guest->vcpus.items),
		      compare_vcpus);
	guest->info.vcpus = guest->vcpus.items;
	guest->info.n_vcpus = guest->vcpus.n;
	return 0;
}

void roster_bury(struct roster *roster, uint32_t index)
{
	struct roster_guest *guest = roster->guests.items[index];

	if (guest->proc_fd >= 0)
		close(guest->proc_fd);
	guest->proc_fd = -1;
	if (!guest->until_ns)
		guest->until_ns = now_ns(CLOCK_MONOTONIC);
	keys_drop(&roster->threads, index);
	keys_drop(&roster->processes, index);
}

void roster_drop_last(struct roster *roster)
{
	guest_free(roster->guests.items[--roster->guests.n]);
}

void roster_at(const struct roster *roster, pid_t pid, pid_t tid, uint32_t *ret_guest,
	       uint32_t *ret_vcpu)
{
	const struct roster_key *key = keys_find(&roster->threads, tid);

	if (!key)
		key = keys_find(&roster->processes, pid);
	*ret_guest = key ? key->guest : VPMU_NO_GUEST;
	*ret_vcpu = key ? key->vcpu : VPMU_NO_VCPU;
}
