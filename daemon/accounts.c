/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accounts.h"
#include "readings.h"
#include "say.h"
#include "util/error.h"
#include "util/macro.h"

#define FRESH_NS 1000000000ull
#define OTHERS	 "other"

/* Exits, or clocks: a set of all guests, and what the job read of them. */
struct side {
	struct accounts *accounts; /* NULL = only the job has it any more */
	struct readings *readings;
	VEC(struct guest_account) news; /* the job's */
	bool busy; /* a reading is under way that somebody waits for */
	bool said; /* why it cannot be had */
};

struct waiter {
	void (*fn)(bool cancelled, void *data);
	void *data;
};

struct accounts {
	struct accounts_opts opts;
	struct side *exits, *clock; /* NULL = not accounted */
	uint64_t read_ns;
	bool silence_said;
	VEC(struct guest_account) guests;
	VEC(struct waiter) waiters;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- sums ---- */

void guest_account_deinit(struct guest_account *account)
{
	vec_free(&account->reasons);
	vec_free(&account->vcpus);
}

/* The place of @name, made if there is none. NULL: no memory. */
static struct account_reason *find_reason(struct guest_account *account, const char *name)
{
	struct account_reason new = {};

	vec_for_each (reason, &account->reasons)
		if (streq(reason->name, name))
			return reason;
	if (account->reasons.n >= ACCOUNT_REASONS_MAX && !streq(name, OTHERS))
		return find_reason(account, OTHERS);
	snprintf(new.name, sizeof(new.name), "%s", name);
	return vec_push(&account->reasons, new) ? &account->reasons.items[account->reasons.n - 1] : NULL;
}

static int add_reason(struct guest_account *account, const char *name, uint64_t count, uint64_t total_ns)
{
	char cut[sizeof(((struct account_reason *)NULL)->name)];
	struct account_reason *reason;

	snprintf(cut, sizeof(cut), "%s", name);
	reason = find_reason(account, cut);
	if (!reason)
		return -ENOMEM;
	reason->count += count;
	reason->total_ns += total_ns;
	return 0;
}

int guest_account_add_exits(struct guest_account *account, const struct vpmu_exit_rows *rows)
{
	int r = 0;

	account->has_exits = true;
	for (size_t i = 0; r >= 0 && i < rows->n; i++) {
		const struct vpmu_exit *exit = &rows->items[i];

		if (exit->key == VPMU_EXIT_REASON)
			r = add_reason(account, exit->reason, exit->count, exit->total_ns);
		else
			account->events[exit->key] += exit->count;
	}
	return r;
}

/* The place of vCPU @index, made if there is none; NULL if there may be no more, or no memory (*ret_error). */
static struct account_vcpu *find_vcpu(struct guest_account *account, uint32_t index, int *ret_error)
{
	size_t at = 0;

	*ret_error = 0;
	while (at < account->vcpus.n && account->vcpus.items[at].index < index)
		at++;
	if (at < account->vcpus.n && account->vcpus.items[at].index == index)
		return &account->vcpus.items[at];
	if (account->vcpus.n >= ACCOUNT_VCPUS_MAX)
		return NULL;
	if (!vec_reserve(&account->vcpus, 1)) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	memmove(&account->vcpus.items[at + 1], &account->vcpus.items[at],
		(account->vcpus.n - at) * sizeof(*account->vcpus.items));
	account->vcpus.n++;
	account->vcpus.items[at] = (struct account_vcpu){ .index = index };
	return &account->vcpus.items[at];
}

int guest_account_add_times(struct guest_account *account, const struct vpmu_clock_times *times)
{
	account->has_clock = true;
	for (size_t i = 0; i < times->n; i++) {
		const struct vpmu_clock_vcpu *from = &times->items[i];
		struct account_vcpu *vcpu;
		int r;

		vcpu = find_vcpu(account, from->vcpu, &r);
		if (r < 0)
			return r;
		for (int part = 0; vcpu && part < VPMU_CLOCK_PART_COUNT; part++) {
			if (!from->parts[part].known)
				continue;
			vcpu->has |= 1u << part;
			vcpu->parts_ns[part] += from->parts[part].ns;
		}
	}
	return 0;
}

static int merge(struct guest_account *account, const struct guest_account *news)
{
	int r = 0;

	account->has_exits |= news->has_exits;
	account->has_clock |= news->has_clock;
	if (news->has_exits)
		account->silent = news->silent;
	vec_for_each (reason, &news->reasons)
		if (r >= 0)
			r = add_reason(account, reason->name, reason->count, reason->total_ns);
	for (int key = 0; key < VPMU_EXIT_KEY_COUNT; key++)
		account->events[key] += news->events[key];
	vec_for_each (from, &news->vcpus) {
		struct account_vcpu *to = r < 0 ? NULL : find_vcpu(account, from->index, &r);

		for (int part = 0; to && part < VPMU_CLOCK_PART_COUNT; part++)
			to->parts_ns[part] += from->parts_ns[part];
		if (to)
			to->has |= from->has;
	}
	return r;
}

static struct guest_account *find_guest(const struct accounts *accounts, uint64_t domain)
{
	vec_for_each (guest, &accounts->guests)
		if (guest->domain == domain)
			return guest;
	return NULL;
}

/* ---- readings ---- */

static bool is_silent(const struct reading *reading)
{
	return *vpmu_exits_silent(reading->exits);
}

static void on_reading(const struct reading *reading, void *data)
{
	struct side *side = data;
	struct guest_account news = { .domain = reading->domain };
	int r;

	if (reading->last)
		return; /* its sums went with it */
	if (reading->exits) {
		r = guest_account_add_exits(&news, &reading->rows);
		news.silent = is_silent(reading);
	} else {
		r = guest_account_add_times(&news, &reading->times);
	}
	if (r < 0 || !vec_push(&side->news, news))
		guest_account_deinit(&news);
}

static void answer(struct accounts *accounts, bool cancelled)
{
	/* Whoever is called may ask again. */
	__typeof__(accounts->waiters) waiters = accounts->waiters;

	accounts->waiters = (__typeof__(accounts->waiters)){};
	vec_for_each (waiter, &waiters)
		waiter->fn(cancelled, waiter->data);
	vec_free(&waiters);
}

static bool is_busy(const struct accounts *accounts)
{
	return (accounts->exits && accounts->exits->busy) || (accounts->clock && accounts->clock->busy);
}

static void answer_if_done(struct accounts *accounts)
{
	if (is_busy(accounts))
		return;
	accounts->read_ns = now_ns();
	answer(accounts, false);
}

/* Once: it is so for all guests, and for as long as this kernel runs. */
static void say_what_is_missing(struct accounts *accounts, struct side *side)
{
	struct vpmu_error error = {};

	readings_error(side->readings, &error);
	if (error.code < 0 && error.code != -ESRCH && !side->said) {
		say_warning("no metrics of %s: %s%s%s", side == accounts->exits ? "exits" : "vCPUs' time", error.text,
			    error.hint[0] ? "; " : "", error.hint);
		side->said = true;
	}
	if (accounts->silence_said)
		return;
	vec_for_each (guest, &accounts->guests)
		if (guest->silent && !accounts->silence_said) {
			say_info("this KVM does not tell of exits (kvm_exit does not fire): metrics have its events instead");
			accounts->silence_said = true;
		}
}

static void on_done(uint64_t start_ns, uint64_t end_ns, void *data)
{
	struct side *side = data;
	struct accounts *accounts = side->accounts;

	(void)start_ns;
	(void)end_ns;
	vec_for_each (news, &side->news) {
		struct guest_account *guest = find_guest(accounts, news->domain);
		const struct domain *domain = domains_by_id(accounts->opts.domains, news->domain);

		if (guest)
			(void)merge(guest, news);
		else if (domain && domain->running && vec_push(&accounts->guests, *news))
			continue; /* what it has went with it */
		guest_account_deinit(news);
	}
	side->news.n = 0;
	say_what_is_missing(accounts, side);
	side->busy = false;
	answer_if_done(accounts);
}

static void on_gone(uint64_t domain, void *data)
{
	struct side *side = data;
	struct accounts *accounts = side->accounts;
	struct guest_account *guest = find_guest(accounts, domain);

	if (!guest)
		return;
	guest_account_deinit(guest);
	*guest = accounts->guests.items[--accounts->guests.n];
}

static bool wants(const struct domain *domain, void *data)
{
	(void)data;
	return domain->guest.accel != VPMU_ACCEL_TCG;
}

/* ---- life ---- */

static void side_destroy(void *data)
{
	struct side *side = data;

	vec_for_each (news, &side->news)
		guest_account_deinit(news);
	vec_free(&side->news);
	free(side);
}

/* Events that are noted by themselves where there are no exits need no keys (vpmu/exits.h). */
static int side_new(struct accounts *accounts, bool exits, struct side **ret_side)
{
	struct side *side = calloc(1, sizeof(*side));
	struct readings_opts opts = {
		.jobs = accounts->opts.jobs,
		.domains = accounts->opts.domains,
		.wants = wants,
		.read = on_reading,
		.done = on_done,
		.gone = on_gone,
		.release = side_destroy,
		.data = side,
	};
	int r;

	if (!side)
		return -ENOMEM;
	side->accounts = accounts;
	r = exits ? gauge_exits_new(0, accounts->opts.proc_path, &opts.gauge) :
		    gauge_clock_new(accounts->opts.proc_path, &opts.gauge);
	if (r >= 0)
		r = readings_new(&opts, &side->readings);
	if (r < 0) {
		side_destroy(side);
		return r;
	}
	*ret_side = side;
	return 0;
}

static void side_end(struct side **side)
{
	struct side *ended = *side;

	*side = NULL;
	if (ended)
		readings_free(ended->readings); /* which lets go of it */
}

static void forget_exits(struct guest_account *guest)
{
	vec_free(&guest->reasons);
	memset(guest->events, 0, sizeof(guest->events));
	guest->has_exits = guest->silent = false;
}

static void set_side(struct accounts *accounts, struct side **side, bool wanted, bool exits)
{
	int r = 0;

	if (wanted && !*side)
		r = side_new(accounts, exits, side);
	else if (!wanted)
		side_end(side);
	if (r < 0)
		say_warning("no metrics of %s: %s", exits ? "exits" : "vCPUs' time", strerror(-r));
}

void accounts_set(struct accounts *accounts, bool exits, bool clock)
{
	set_side(accounts, &accounts->exits, exits, true);
	set_side(accounts, &accounts->clock, clock, false);
	vec_for_each (guest, &accounts->guests) {
		if (!exits)
			forget_exits(guest);
		if (!clock) {
			vec_free(&guest->vcpus);
			guest->has_clock = false;
		}
	}
	accounts->read_ns = 0;
	/* Those of a side that is gone would wait for ever. */
	if (!is_busy(accounts))
		answer(accounts, false);
}

int accounts_new(const struct accounts_opts *opts, struct accounts **ret_accounts, struct vpmu_error *reterr)
{
	struct accounts *accounts = calloc(1, sizeof(*accounts));

	if (!accounts)
		return error_oom(reterr);
	accounts->opts = *opts;
	*ret_accounts = accounts;
	return 0;
}

struct accounts *accounts_free(struct accounts *accounts)
{
	if (!accounts)
		return NULL;
	answer(accounts, true);
	side_end(&accounts->exits);
	side_end(&accounts->clock);
	vec_for_each (guest, &accounts->guests)
		guest_account_deinit(guest);
	vec_free(&accounts->guests);
	vec_free(&accounts->waiters);
	free(accounts);
	return NULL;
}

const struct guest_account *accounts_guest(const struct accounts *accounts, uint64_t domain)
{
	return find_guest(accounts, domain);
}

static int read_side(struct side *side)
{
	int r = side ? readings_read(side->readings) : 0;

	if (side && r >= 0)
		side->busy = true;
	return r;
}

int accounts_ask(struct accounts *accounts, void (*fn)(bool cancelled, void *data), void *data)
{
	int r;

	if ((!accounts->exits && !accounts->clock) ||
	    (accounts->read_ns && now_ns() - accounts->read_ns < FRESH_NS && !is_busy(accounts))) {
		fn(false, data);
		return 0;
	}
	if (!vec_push(&accounts->waiters, (struct waiter){ fn, data }))
		return -ENOMEM;
	r = read_side(accounts->exits);
	if (r >= 0)
		r = read_side(accounts->clock);
	/* If one is under way, the end of that is waited for. */
	if (r < 0 && !is_busy(accounts)) {
		accounts->waiters.n--;
		return r;
	}
	return 0;
}
