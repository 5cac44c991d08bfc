/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "domain.h"
#include "qemu_users.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)

/*
 * How often /proc is looked at: so that a guest is known within a second of its start also where nobody tells. That costs
 * something for each process of the node, and must not take more than 0.2 % of a CPU. libvirt tells, and the end of a
 * process is heard of at once (pidfd), so with very many processes the looks may well be rarer.
 */
#define LOOK_EVERY_NS	  (800 * UINT64_C(1000000))
#define LOOK_EVERY_NS_MAX (10 * UINT64_C(1000000000))
#define LOOK_COST_FACTOR  500

struct listener {
	int id;
	domain_fn fn; /* NULL: unlistened while everybody is told something */
	void *data;
};

struct domains {
	sd_event *loop;
	bool other_guests;
	bool real_proc;
	char *proc_path;
	struct qemu_users qemu_users;
	struct vpmu_guests *guests;
	sd_event_source *timer;
	VEC(struct entry *) entries; /* by name, then id */
	uint64_t last_id;
	VEC(struct listener) listeners;
	int last_listener, telling;
	bool listing; /* between domains_libvirt_begin() and _end() */
};

static int by_name(const void *a, const void *b)
{
	const struct domain *x = &(*(struct entry *const *)a)->domain, *y = &(*(struct entry *const *)b)->domain;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->id > y->id) - (x->id < y->id);
}

static void sort(struct domains *domains)
{
	if (domains->entries.n)
		qsort(domains->entries.items, domains->entries.n, sizeof(struct entry *), by_name);
}

static void tell(struct domains *domains, enum domain_change change, const struct entry *entry,
		 const struct vpmu_vcpu_info *vcpu)
{
	size_t n = domains->listeners.n, kept = 0;

	domains->telling++;
	for (size_t i = 0; i < n; i++) {
		struct listener listener = domains->listeners.items[i];

		if (listener.fn)
			listener.fn(change, &entry->domain, vcpu, listener.data);
	}
	if (--domains->telling > 0)
		return;
	vec_for_each(listener, &domains->listeners)
		if (listener->fn)
			domains->listeners.items[kept++] = *listener;
	domains->listeners.n = kept;
}

/* The one line that says what keeps us from more: the nearest cause. */
static void explain(struct entry *entry, bool *ret_changed)
{
	const char *why = entry->kernel_why;

	if (entry->missing)
		why = "libvirt says that it runs, but no process here is it";
	/* Out of memory the old line stands. */
	(void)text_update(&entry->domain.why, why, ret_changed);
}

static struct entry *find(struct domains *domains, bool (*is)(const struct entry *entry, const void *key),
			  const void *key)
{
	vec_for_each(entry, &domains->entries)
		if (is(*entry, key))
			return *entry;
	return NULL;
}

static struct entry *add(struct domains *domains, const char *name, const char *uuid, const char *state, bool libvirt)
{
	_cleanup_(entry_freep) struct entry *entry = entry_new(domains->last_id + 1, name, uuid, state);
	struct entry *added = entry;

	if (!entry)
		return NULL;
	entry->domain.libvirt = libvirt;
	if (!vec_push(&domains->entries, entry))
		return NULL;
	domains->last_id++;
	entry = NULL; /* now the vector's */
	sort(domains);
	tell(domains, DOMAIN_APPEARED, added, NULL);
	return added;
}

static void drop(struct domains *domains, struct entry *entry)
{
	size_t kept = 0;

	vec_for_each(other, &domains->entries)
		if (*other != entry)
			domains->entries.items[kept++] = *other;
	domains->entries.n = kept;
	tell(domains, DOMAIN_GONE, entry, NULL);
	entry_free(entry);
}

/* ---- processes ---- */

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
	if (find(domains, dies_by, source))
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
	explain(entry, &changed);
	tell(domains, DOMAIN_STARTED, entry, NULL);
}

/* Its process is gone. libvirt's own word on it may come later, or when it is back; "crashed" is for it to say. */
static void stop(struct domains *domains, struct entry *entry)
{
	bool changed;

	entry->domain.running = false;
	entry->libvirt_pid = 0;
	entry->death = sd_event_source_disable_unref(entry->death);
	closep(&entry->pidfd);
	entry->pidfd = -1;
	if (!streq(entry->domain.state, "crashed"))
		(void)text_update(&entry->domain.state, "shutoff", &changed);
	tell(domains, DOMAIN_STOPPED, entry, NULL);
	(void)text_replace(&entry->domain.kernel, NULL);
	(void)text_replace(&entry->kernel_why, NULL);
	explain(entry, &changed);
	if (!entry->domain.libvirt)
		drop(domains, entry);
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
			tell(domains, DOMAIN_VCPU_GONE, entry, &old[i]);
	for (size_t i = 0; i < mine->n_vcpus; i++)
		if (!has_vcpu(old, n, &mine->vcpus[i]))
			tell(domains, DOMAIN_VCPU_APPEARED, entry, &mine->vcpus[i]);
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
			stop(domains, entry);
	}
}

/* Brings the domains in line with the list of guests. Those that end are told of first. */
static void join(struct domains *domains)
{
	const struct vpmu_guest_info *guest;

	stop_those_that_are_gone(domains);
	for (size_t i = 0; (guest = vpmu_guests_get(domains->guests, i)); i++) {
		struct entry *entry = find(domains, is_guest, guest), *waits = NULL;
		struct newcomer newcomer = { .guest = guest };

		if (!entry || !entry->domain.libvirt) {
			newcomer.trusted = qemu_users_have(&domains->qemu_users, domains->proc_path, guest->pid);
			waits = find(domains, waits_for_guest, &newcomer);
		}
		if (entry && !waits) {
			update_vcpus(domains, entry, guest);
			continue;
		}
		if (entry)
			stop(domains, entry); /* it was taken for one that libvirt does not know */
		if (!waits && domains->other_guests)
			waits = add(domains, guest->name, guest->uuid, "running", false);
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
		join(domains);
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

static int on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	uint64_t before_ns = thread_cpu_ns(), pause_ns;

	(void)now_us;
	domains_look(data);
	pause_ns = (thread_cpu_ns() - before_ns) * LOOK_COST_FACTOR;
	pause_ns = MIN(MAX(pause_ns, LOOK_EVERY_NS), LOOK_EVERY_NS_MAX);
	sd_event_source_set_time_relative(source, pause_ns / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- libvirt's word ---- */

static bool is_libvirt_uuid(const struct entry *entry, const void *uuid)
{
	return entry->domain.libvirt && strcasecmp(entry->domain.uuid, uuid) == 0;
}

/* A guest that was found in /proc before libvirt told of it. */
static bool is_same_guest(const struct entry *entry, const void *of_libvirt)
{
	return !entry->domain.libvirt && libvirt_means(of_libvirt, &entry->domain.guest, entry->trusted);
}

/* What was taken for the domain before libvirt told which process it is. */
static bool is_another_process(const struct entry *entry, const struct libvirt_domain *of_libvirt)
{
	return entry->domain.running && of_libvirt->pid > 0 && of_libvirt->pid != entry->domain.guest.pid &&
	       libvirt_says_it_runs(of_libvirt->state);
}

/* After a look: is the process there of which libvirt speaks? */
static void judge(struct domains *domains, struct entry *entry)
{
	bool changed = false;

	entry->missing = !entry->domain.running && libvirt_says_it_runs(entry->domain.state);
	explain(entry, &changed);
	if (changed)
		tell(domains, DOMAIN_CHANGED, entry, NULL);
}

static int update(struct domains *domains, struct entry *entry, const struct libvirt_domain *of_libvirt)
{
	bool renamed = false, changed = !entry->domain.libvirt;
	int r;

	entry->domain.libvirt = true;
	entry->libvirt_pid = of_libvirt->pid;
	r = text_update(&entry->domain.name, of_libvirt->name, &renamed);
	if (r == 0)
		r = text_update(&entry->domain.uuid, of_libvirt->uuid, &changed);
	if (r == 0)
		r = text_update(&entry->domain.state, of_libvirt->state, &changed);
	entry_name_guest(entry);
	if (renamed)
		sort(domains);
	if (renamed || changed)
		tell(domains, DOMAIN_CHANGED, entry, NULL);
	return r;
}

int domains_libvirt_has(struct domains *domains, const struct libvirt_domain *of_libvirt)
{
	struct entry *entry = find(domains, is_libvirt_uuid, of_libvirt->uuid);
	int r = 0;

	if (entry && is_another_process(entry, of_libvirt))
		stop(domains, entry);
	if (!entry)
		entry = find(domains, is_same_guest, of_libvirt);
	if (entry)
		r = update(domains, entry, of_libvirt);
	else
		entry = add(domains, of_libvirt->name, of_libvirt->uuid, of_libvirt->state, true);
	if (!entry)
		return -ENOMEM;
	entry->told = true;
	entry->libvirt_pid = of_libvirt->pid;
	if (domains->listing)
		return r;
	if (!entry->domain.running && libvirt_says_it_runs(entry->domain.state)) {
		domains_look(domains);
		join(domains); /* it may have been there before, unclaimed */
	}
	judge(domains, entry);
	return r;
}

/* Its process may be there a little longer, or for good: then it is one that libvirt does not manage. */
static void lose(struct domains *domains, struct entry *entry)
{
	entry->domain.libvirt = false;
	entry->missing = false;
	if (entry->domain.running && domains->other_guests)
		tell(domains, DOMAIN_CHANGED, entry, NULL);
	else if (entry->domain.running)
		stop(domains, entry);
	else
		drop(domains, entry);
}

void domains_libvirt_lost(struct domains *domains, const char *uuid)
{
	struct entry *entry;

	domains_look(domains);
	entry = find(domains, is_libvirt_uuid, uuid);
	if (entry)
		lose(domains, entry);
}

void domains_libvirt_rebooted(struct domains *domains, const char *uuid)
{
	struct entry *entry = find(domains, is_libvirt_uuid, uuid);

	if (entry)
		domains_set_kernel(domains, entry->domain.id, NULL, NULL);
}

void domains_libvirt_begin(struct domains *domains)
{
	domains->listing = true;
	vec_for_each(entry, &domains->entries)
		(*entry)->told = false;
}

void domains_libvirt_end(struct domains *domains)
{
	domains->listing = false;
	domains_look(domains);
	join(domains);
	for (size_t i = domains->entries.n; i-- > 0;) {
		struct entry *entry = domains->entries.items[i];

		if (entry->domain.libvirt && !entry->told)
			lose(domains, entry);
		else if (entry->domain.libvirt)
			judge(domains, entry);
	}
}

/* ---- for everybody ---- */

int domains_new(sd_event *loop, const struct config *config, const char *proc_path, struct domains **ret_domains,
		struct vpmu_error *reterr)
{
	_cleanup_(domains_freep) struct domains *domains = calloc(1, sizeof(*domains));
	VPMU_OPTS(vpmu_guests_opts, opts, .proc_path = proc_path);
	int r;

	if (!domains)
		return error_oom(reterr);
	domains->loop = sd_event_ref(loop);
	domains->other_guests = config->other_guests;
	domains->real_proc = !proc_path;
	domains->proc_path = strdup(proc_path ? proc_path : "/proc");
	if (!domains->proc_path)
		return error_oom(reterr);
	qemu_users_find(&domains->qemu_users);
	r = vpmu_guests_new(&opts, &domains->guests, reterr);
	if (r < 0)
		return r;
	r = sd_event_add_time_relative(loop, &domains->timer, CLOCK_MONOTONIC, LOOK_EVERY_NS / 1000, 100000, on_timer,
				       domains);
	if (r < 0)
		return error_errno(reterr, r, "set", "a timer");
	join(domains);
	*ret_domains = take_ptr(domains);
	return 0;
}

struct domains *domains_free(struct domains *domains)
{
	if (!domains)
		return NULL;
	vec_for_each(entry, &domains->entries)
		entry_free(*entry);
	vec_free(&domains->entries);
	vec_free(&domains->listeners);
	sd_event_source_disable_unref(domains->timer);
	vpmu_guests_free(domains->guests);
	free(domains->proc_path);
	sd_event_unref(domains->loop);
	free(domains);
	return NULL;
}

void domains_reload(struct domains *domains, const struct config *config)
{
	domains->other_guests = config->other_guests;
	qemu_users_find(&domains->qemu_users);
	for (size_t i = domains->entries.n; !domains->other_guests && i-- > 0;)
		if (!domains->entries.items[i]->domain.libvirt)
			stop(domains, domains->entries.items[i]);
	join(domains);
}

int domains_listen(struct domains *domains, domain_fn fn, void *data)
{
	struct listener listener = { .id = domains->last_listener + 1, .fn = fn, .data = data };

	if (!vec_push(&domains->listeners, listener))
		return -ENOMEM;
	return ++domains->last_listener;
}

void domains_unlisten(struct domains *domains, int id)
{
	size_t kept = 0;

	vec_for_each(listener, &domains->listeners)
		if (listener->id == id)
			listener->fn = NULL;
	if (domains->telling)
		return; /* who tells sweeps up */
	vec_for_each(listener, &domains->listeners)
		if (listener->fn)
			domains->listeners.items[kept++] = *listener;
	domains->listeners.n = kept;
}

size_t domains_count(const struct domains *domains)
{
	return domains->entries.n;
}

const struct domain *domains_get(const struct domains *domains, size_t i)
{
	return i < domains->entries.n ? &domains->entries.items[i]->domain : NULL;
}

static struct entry *entry_by_id(const struct domains *domains, uint64_t id)
{
	vec_for_each(entry, &domains->entries)
		if ((*entry)->domain.id == id)
			return *entry;
	return NULL;
}

const struct domain *domains_by_id(const struct domains *domains, uint64_t id)
{
	const struct entry *entry = entry_by_id(domains, id);

	return entry ? &entry->domain : NULL;
}

void domains_set_kernel(struct domains *domains, uint64_t id, const char *release, const char *why)
{
	struct entry *entry = entry_by_id(domains, id);
	bool changed = false;

	if (!entry || !entry->domain.running)
		return;
	if (text_replace(&entry->kernel_why, why) < 0 || text_update(&entry->domain.kernel, release, &changed) < 0)
		return;
	explain(entry, &changed);
	if (changed)
		tell(domains, DOMAIN_CHANGED, entry, NULL);
}
