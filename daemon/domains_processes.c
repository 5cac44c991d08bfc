/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "domains_private.h"
#include "util/macro.h"

/*
 * How often /proc is looked at: so that a guest is known within a second of its start also where nobody tells. That costs
 * something for each process of the node, and must not take more than 0.2 % of a CPU. libvirt tells, and the end of a
 * process is heard of at once (pidfd), so with very many processes the looks may well be rarer.
 */
#define LOOK_EVERY_NS_MAX (10 * UINT64_C(1000000000))
#define LOOK_COST_FACTOR  500

/* vpmu_guests_glance() or vpmu_guests_refresh() */
typedef int (*look_fn)(struct vpmu_guests *guests, vpmu_guest_change_fn fn, void *data, struct vpmu_error *reterr);
static void look(struct domains *domains, look_fn how);

static bool dies_by(const struct entry *entry, const void *source)
{
	return entry->death == source;
}

/* Seldom a glance does not see it: a dead hypervisor of one thread, for which nobody has waited yet. */
static int on_death(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct domains *domains = data;

	(void)fd;
	(void)events;
	/* It stays readable: once is enough. The look frees the source. */
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	look(domains, vpmu_guests_glance);
	if (domains_find(domains, dies_by, source))
		look(domains, vpmu_guests_refresh);
	return 0;
}

/* Without it (an old kernel, no descriptors left) the next look finds out. */
static void watch_death(struct domains *domains, struct entry *entry)
{
	if (!domains->real_proc)
		return;
	entry->pidfd = (int)syscall(SYS_pidfd_open, entry->domain.guest.pid, 0);
	if (entry->pidfd >= 0)
		sd_event_add_io(domains->loop, &entry->death, entry->pidfd, EPOLLIN, on_death, domains);
}

static void start(struct domains *domains, struct entry *entry, const struct vpmu_guest_info *guest, bool trusted)
{
	_free_ struct vpmu_vcpu_info *old = NULL;
	bool changed;
	size_t n;

	if (entry_take_guest(entry, guest) < 0 || entry_take_vcpus(entry, guest, &old, &n) < 0)
		return; /* the next look tries again */
	entry->domain.running = true;
	entry->trusted = trusted;
	entry->missing = false;
	if (!libvirt_says_it_runs(entry->domain.state))
		(void)text_update(&entry->domain.state, "running", &changed); /* libvirt will say if it is something else */
	watch_death(domains, entry);
	entry_explain(entry, &changed);
	domains_tell(domains, DOMAIN_STARTED, entry, NULL);
}

void domains_stop_guest(struct domains *domains, struct entry *entry)
{
	bool changed;

	entry->domain.running = false;
	entry->libvirt_pid = 0;
	entry->death = sd_event_source_disable_unref(entry->death);
	closep(&entry->pidfd);
	entry->pidfd = -1;
	if (!streq(entry->domain.state, "crashed"))
		(void)text_update(&entry->domain.state, "shutoff", &changed);
	domains_tell(domains, DOMAIN_STOPPED, entry, NULL);
	(void)text_replace(&entry->domain.kernel, NULL);
	(void)text_replace(&entry->kernel_why, NULL);
	entry_explain(entry, &changed);
	if (!entry->domain.libvirt)
		domains_drop(domains, entry);
}

static bool has_vcpu(const struct vpmu_vcpu_info *vcpus, size_t n, const struct vpmu_vcpu_info *vcpu)
{
	for (size_t i = 0; i < n; i++)
		if (vcpus[i].index == vcpu->index && vcpus[i].tid == vcpu->tid)
			return true;
	return false;
}

static void update_vcpus(struct domains *domains, struct entry *entry, const struct vpmu_guest_info *guest)
{
	const struct vpmu_guest_info *mine = &entry->domain.guest;
	_free_ struct vpmu_vcpu_info *old = NULL;
	size_t n;

	if (mine->n_vcpus == guest->n_vcpus &&
	    (mine->n_vcpus == 0 || memcmp(mine->vcpus, guest->vcpus, mine->n_vcpus * sizeof(*mine->vcpus)) == 0))
		return;
	if (entry_take_vcpus(entry, guest, &old, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (!has_vcpu(mine->vcpus, mine->n_vcpus, &old[i]))
			domains_tell(domains, DOMAIN_VCPU_GONE, entry, &old[i]);
	for (size_t i = 0; i < mine->n_vcpus; i++)
		if (!has_vcpu(old, n, &mine->vcpus[i]))
			domains_tell(domains, DOMAIN_VCPU_APPEARED, entry, &mine->vcpus[i]);
}

static bool is_guest(const struct entry *entry, const void *guest)
{
	return entry_is_guest(entry, guest);
}

/* A guest that was just seen. */
struct newcomer {
	const struct vpmu_guest_info *guest;
	bool trusted;
};

static bool waits_for_guest(const struct entry *entry, const void *key)
{
	const struct newcomer *newcomer = key;
	const struct libvirt_domain of_libvirt = { entry->domain.name, entry->domain.uuid, entry->domain.state,
						   entry->libvirt_pid };

	return entry->domain.libvirt && !entry->domain.running && libvirt_means(&of_libvirt, newcomer->guest, newcomer->trusted);
}

static void stop_those_that_are_gone(struct domains *domains)
{
	for (size_t i = domains->entries.n; i-- > 0;) {
		struct entry *entry = domains->entries.items[i];
		const struct vpmu_guest_info *guest = NULL;
		bool there = false;

		for (size_t j = 0; !there && (guest = vpmu_guests_get(domains->guests, j)); j++)
			there = entry_is_guest(entry, guest);
		if (entry->domain.running && !there)
			domains_stop_guest(domains, entry);
	}
}

void domains_join(struct domains *domains)
{
	const struct vpmu_guest_info *guest;

	stop_those_that_are_gone(domains);
	for (size_t i = 0; (guest = vpmu_guests_get(domains->guests, i)); i++) {
		struct entry *entry = domains_find(domains, is_guest, guest), *waits = NULL;
		struct newcomer newcomer = { .guest = guest };

		if (!entry || !entry->domain.libvirt) {
			newcomer.trusted = qemu_users_have(&domains->qemu_users, domains->proc_path, guest->pid);
			waits = domains_find(domains, waits_for_guest, &newcomer);
		}
		if (entry && !waits) {
			update_vcpus(domains, entry, guest);
			continue;
		}
		if (entry)
			domains_stop_guest(domains, entry); /* it was taken for one that libvirt does not know */
		if (!waits && domains->other_guests)
			waits = domains_add(domains, guest->name, guest->uuid, "running", false);
		if (waits)
			start(domains, waits, guest, newcomer.trusted);
	}
}

static void note_change(enum vpmu_guest_change change, const struct vpmu_guest_info *guest,
			const struct vpmu_vcpu_info *vcpu, void *data)
{
	(void)change;
	(void)guest;
	(void)vcpu;
	*(bool *)data = true;
}

/* When memory is short, or /proc cannot be opened, what was known stays known. */
static void look(struct domains *domains, look_fn how)
{
	bool changed = false;

	if (how(domains->guests, note_change, &changed, NULL) >= 0 && changed)
		domains_join(domains);
}

void domains_look(struct domains *domains)
{
	look(domains, vpmu_guests_glance);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int domains_on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	uint64_t before_ns = thread_cpu_ns(), pause_ns;

	(void)now_us;
	domains_look(data);
	pause_ns = (thread_cpu_ns() - before_ns) * LOOK_COST_FACTOR;
	pause_ns = MIN(MAX(pause_ns, DOMAINS_LOOK_EVERY_NS), LOOK_EVERY_NS_MAX);
	sd_event_source_set_time_relative(source, pause_ns / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}
