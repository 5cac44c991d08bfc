/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "readings.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

/*
 * The loop puts guests into the list and says where they are in life; a job opens and reads those it was started with.
 * Who leaves is read once more: events of threads that ended can still be had.
 */
struct member {
	struct gauge_guest guest; /* the job's, while there is one; its domain is everybody's */
	enum { LIVES, LEAVES, GONE } state; /* the loop's alone */
	char *new_name; /* the loop's, for the next job: it was renamed; NULL = it was not */
};

struct readings {
	struct readings_opts opts;
	int listener;
	VEC(struct member *) members;
	bool busy;  /* a job is under way */
	enum job { JOB_NONE, JOB_LOOK, JOB_READ } next; /* what came meanwhile and wants another one */
	bool freed; /* it outlives its owner until the job ends */
	struct vpmu_error error;
	bool was_read;
	/* the job's */
	VEC(struct gauge_guest *) work;
	enum job job; /* LOOK: open, look for threads; READ: that, and read */
	uint64_t last_ns, now_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- members ---- */

static struct member *member_free(struct member *member)
{
	if (!member)
		return NULL;
	free(member->new_name);
	free((char *)member->guest.info.name);
	free((char *)member->guest.info.uuid);
	free((struct vpmu_vcpu_info *)member->guest.info.vcpus);
	free(member);
	return NULL;
}
DEFINE_CLEANUP(struct member *, member_free)

static int member_new(const struct domain *domain, struct member **ret_member)
{
	_cleanup_(member_freep) struct member *member = calloc(1, sizeof(*member));
	const struct vpmu_guest_info *info = &domain->guest;
	struct vpmu_vcpu_info *vcpus = calloc(info->n_vcpus + 1, sizeof(*vcpus));

	if (!member || !vcpus) {
		free(vcpus);
		return -ENOMEM;
	}
	memcpy(vcpus, info->vcpus, info->n_vcpus * sizeof(*vcpus));
	member->guest.domain = domain->id;
	member->guest.info = *info;
	member->guest.info.vcpus = vcpus;
	member->guest.info.exe = "";
	member->guest.info.name = strdup(domain->name);
	member->guest.info.uuid = strdup(domain->uuid);
	if (!member->guest.info.name || !member->guest.info.uuid)
		return -ENOMEM;
	*ret_member = take_ptr(member);
	return 0;
}

static void forget(struct readings *readings, struct member *member)
{
	readings->opts.gauge->close(readings->opts.gauge, &member->guest);
	member_free(member);
}

/* Not while a job may be at them. */
static void drop_gone(struct readings *readings)
{
	size_t kept = 0;

	vec_for_each (member, &readings->members) {
		if ((*member)->state == GONE)
			forget(readings, *member);
		else
			readings->members.items[kept++] = *member;
	}
	readings->members.n = kept;
}

static void free_in_pool(void *data)
{
	struct gauge *gauge = data;

	gauge->free(gauge);
}

static void freed(void *data, bool cancelled)
{
	if (cancelled)
		free_in_pool(data);
}

/* To take programs away from the kernel's tracepoints takes a while. */
static void free_gauge(struct readings *readings)
{
	if (jobs_run(readings->opts.jobs, free_in_pool, freed, readings->opts.gauge) < 0)
		free_in_pool(readings->opts.gauge);
}

static void destroy(struct readings *readings)
{
	vec_for_each (member, &readings->members)
		forget(readings, *member);
	vec_free(&readings->members);
	vec_free(&readings->work);
	free_gauge(readings);
	if (readings->opts.release)
		readings->opts.release(readings->opts.data);
	free(readings);
}

/* ---- in the pool ---- */

static void work(void *data)
{
	struct readings *readings = data;
	struct gauge *gauge = readings->opts.gauge;

	if (readings->job == JOB_READ)
		gauge->read(gauge, readings->work.items, readings->work.n, readings->opts.read, readings->opts.data);
	else
		gauge->look(gauge, readings->work.items, readings->work.n);
	readings->now_ns = now_ns();
}

/* ---- in the loop ---- */

static int start(struct readings *readings, enum job job);

/* Not while a job may be looking at the old one. */
static void take_new_name(struct member *member)
{
	if (!member->new_name)
		return;
	free((char *)member->guest.info.name);
	member->guest.info.name = take_ptr(member->new_name);
}

static void end(void *data, bool cancelled)
{
	struct readings *readings = data;
	uint64_t from_ns = readings->last_ns;
	enum job next;

	/* Still busy meanwhile, so that no job runs beside the callbacks and they may free us. */
	if (!readings->freed && !cancelled) {
		vec_for_each (guest, &readings->work)
			if ((*guest)->error.code < 0)
				readings->error = (*guest)->error;
		if (readings->job == JOB_READ) {
			readings->last_ns = readings->now_ns;
			readings->was_read = true;
			readings->opts.done(from_ns, readings->last_ns, readings->opts.data);
		} else {
			if (!readings->was_read)
				readings->last_ns = readings->now_ns; /* now those of the beginning are open */
			if (readings->opts.opened)
				readings->opts.opened(readings->opts.data);
		}
	}
	readings->busy = false;
	if (readings->freed) {
		destroy(readings);
		return;
	}
	drop_gone(readings);
	next = readings->next;
	readings->next = JOB_NONE;
	if (next && !cancelled)
		(void)start(readings, next);
}

static int start(struct readings *readings, enum job job)
{
	int r;

	if (readings->busy) {
		readings->next = MAX(readings->next, job);
		return 0;
	}
	vec_for_each (member, &readings->members)
		take_new_name(*member);
	readings->work.n = 0;
	if (!vec_reserve(&readings->work, readings->members.n))
		return -ENOMEM;
	vec_for_each (member, &readings->members) {
		if ((*member)->state != LIVES && job != JOB_READ)
			continue;
		(*member)->guest.last = (*member)->state != LIVES;
		readings->work.items[readings->work.n++] = &(*member)->guest;
	}
	readings->job = job;
	r = jobs_run(readings->opts.jobs, work, end, readings);
	if (r < 0)
		return r;
	readings->busy = true;
	vec_for_each (member, &readings->members)
		if (job == JOB_READ && (*member)->state == LEAVES)
			(*member)->state = GONE;
	return 0;
}

/* Returns whether the set changed. */
static bool add(struct readings *readings, const struct domain *domain)
{
	struct member *member = NULL;

	if (readings->opts.wants && !readings->opts.wants(domain, readings->opts.data))
		return false;
	/* Without memory the guest is not counted on; the next start of one says so again. */
	if (member_new(domain, &member) < 0)
		return false;
	if (vec_push(&readings->members, member))
		return true;
	member_free(member);
	return false;
}

static void remove_member(struct readings *readings, uint64_t domain)
{
	vec_for_each (member, &readings->members) {
		if ((*member)->guest.domain != domain || (*member)->state != LIVES)
			continue;
		(*member)->state = LEAVES;
		if (readings->opts.gone)
			readings->opts.gone(domain, readings->opts.data);
	}
}

static struct member *find(const struct readings *readings, uint64_t domain)
{
	vec_for_each (member, &readings->members)
		if ((*member)->guest.domain == domain && (*member)->state == LIVES)
			return *member;
	return NULL;
}

static bool has(const struct readings *readings, uint64_t domain)
{
	return find(readings, domain) != NULL;
}

static void rename_member(struct member *member, const char *name)
{
	char *copy;

	if (streq(member->new_name ? member->new_name : member->guest.info.name, name))
		return;
	/* Without memory the old name stays. */
	copy = strdup(name);
	if (!copy)
		return;
	free(member->new_name);
	member->new_name = copy;
}

/* Something about it is new, which may be what makes it one of the set. Returns whether it joined. */
static bool reconsider(struct readings *readings, const struct domain *domain)
{
	struct member *member = find(readings, domain->id);

	if (!member)
		return domain->running && add(readings, domain);
	if (readings->opts.wants && !readings->opts.wants(domain, readings->opts.data))
		remove_member(readings, domain->id);
	else
		rename_member(member, domain->name);
	return false;
}

static void on_change(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		      void *data)
{
	struct readings *readings = data;

	(void)vcpu;
	switch (change) {
	case DOMAIN_STARTED:
		if (!has(readings, domain->id) && add(readings, domain))
			(void)start(readings, JOB_LOOK);
		break;
	case DOMAIN_CHANGED:
		if (reconsider(readings, domain))
			(void)start(readings, JOB_LOOK);
		break;
	case DOMAIN_STOPPED:
	case DOMAIN_GONE:
		remove_member(readings, domain->id);
		break;
	case DOMAIN_VCPU_APPEARED:
		if (has(readings, domain->id))
			(void)start(readings, JOB_LOOK);
		break;
	default:
		break;
	}
}

void readings_reconsider(struct readings *readings)
{
	const struct domain *domain;
	bool added = false;

	for (size_t i = 0; (domain = domains_get(readings->opts.domains, i)); i++)
		added |= reconsider(readings, domain);
	if (added)
		(void)start(readings, JOB_LOOK);
}

int readings_new(const struct readings_opts *opts, struct readings **ret_readings)
{
	struct readings *readings = calloc(1, sizeof(*readings));
	int r = 0;

	if (!readings) {
		opts->gauge->free(opts->gauge);
		return -ENOMEM;
	}
	readings->opts = *opts;
	readings->opts.release = NULL; /* not before all went well: until then it is the caller's */
	readings->last_ns = now_ns();
	readings->listener = domains_listen(opts->domains, on_change, readings);
	if (readings->listener < 0) {
		destroy(readings);
		return -ENOMEM;
	}
	for (size_t i = 0; i < domains_count(opts->domains); i++) {
		const struct domain *domain = domains_get(opts->domains, i);

		if (domain->running)
			(void)add(readings, domain);
	}
	if (readings->members.n)
		r = start(readings, JOB_LOOK);
	if (r < 0) {
		domains_unlisten(opts->domains, readings->listener);
		destroy(readings);
		return r;
	}
	readings->opts.release = opts->release;
	*ret_readings = readings;
	return 0;
}

struct readings *readings_free(struct readings *readings)
{
	if (!readings)
		return NULL;
	domains_unlisten(readings->opts.domains, readings->listener);
	readings->freed = true;
	if (!readings->busy)
		destroy(readings);
	return NULL;
}

int readings_read(struct readings *readings)
{
	if (readings->busy && readings->job == JOB_READ)
		return 0;
	return start(readings, JOB_READ);
}

int readings_read_again(struct readings *readings)
{
	return start(readings, JOB_READ);
}

size_t readings_guests(const struct readings *readings)
{
	size_t n = 0;

	vec_for_each (member, &readings->members)
		n += (*member)->state == LIVES;
	return n;
}

size_t readings_counted(const struct readings *readings)
{
	size_t n = 0;

	vec_for_each (member, &readings->members)
		n += (*member)->state == LIVES && (*member)->guest.is_open;
	return n;
}

void readings_error(const struct readings *readings, struct vpmu_error *ret_error)
{
	*ret_error = readings->error;
}
