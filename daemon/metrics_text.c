/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "metrics_text.h"
#include "util/cleanup.h"
#include "util/macro.h"

/* A guest that runs, and the labels that all of its samples begin with. */
struct labelled {
	const struct metrics_guest *guest;
	struct strbuf labels;
};

struct text {
	struct exposition x;
	struct labelled *guests; /* by labels */
	size_t n_guests;
	size_t n_left_out; /* vCPUs */
};

/* ---- guests and their labels ---- */

static int compare_labels(const void *a, const void *b)
{
	const struct labelled *x = a, *y = b;
	int r = strcmp(x->labels.text, y->labels.text);

	return r ? r : (x->guest->domain->id > y->guest->domain->id) - (x->guest->domain->id < y->guest->domain->id);
}

static void make_labels(struct labelled *guest, bool with_pid)
{
	const struct domain *domain = guest->guest->domain;
	_strbuf_ struct strbuf name = {};

	if (with_pid)
		strbuf_addf(&name, "pid:%d ", (int)domain->guest.pid);
	strbuf_adds(&name, domain->name);
	strbuf_clear(&guest->labels);
	exposition_label(&guest->labels, "guest", name.text ? name.text : "");
	exposition_label(&guest->labels, "uuid", domain->uuid);
	guest->labels.failed |= name.failed;
}

/* Neighbours with the same labels get their pid in front, where no cut takes it away; a pid is one guest's. */
static void tell_apart(struct text *text)
{
	for (size_t i = 0; i < text->n_guests;) {
		size_t end = i + 1;

		while (end < text->n_guests &&
		       streq(text->guests[end].labels.text, text->guests[i].labels.text))
			end++;
		for (size_t k = i; end - i > 1 && k < end; k++)
			make_labels(&text->guests[k], true);
		i = end;
	}
}

/* A guest may still be called like one that was told apart. Then only the first is shown. */
static void drop_doubles(struct text *text)
{
	size_t kept = 0;

	for (size_t i = 0; i < text->n_guests; i++) {
		struct labelled *guest = &text->guests[i];

		if (kept && streq(text->guests[kept - 1].labels.text, guest->labels.text)) {
			text->n_left_out += guest->guest->domain->guest.n_vcpus;
			strbuf_deinit(&guest->labels);
		} else {
			text->guests[kept++] = *guest;
		}
	}
	text->n_guests = kept;
}

static int label_guests(struct text *text, const struct metrics_guest *guests, size_t n)
{
	text->guests = calloc(n + 1, sizeof(*text->guests));
	if (!text->guests)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct labelled *guest = &text->guests[text->n_guests];

		if (!guests[i].domain->running)
			continue;
		text->n_guests++;
		guest->guest = &guests[i];
		make_labels(guest, false);
		if (guest->labels.failed)
			return -ENOMEM;
	}
	qsort(text->guests, text->n_guests, sizeof(*text->guests), compare_labels);
	tell_apart(text);
	for (size_t i = 0; i < text->n_guests; i++)
		if (text->guests[i].labels.failed)
			return -ENOMEM;
	qsort(text->guests, text->n_guests, sizeof(*text->guests), compare_labels);
	drop_doubles(text);
	return 0;
}

/* ---- guests ---- */

static void add_infos(struct text *text)
{
	exposition_family(&text->x, "vpmu_guest", EXPOSITION_INFO, NULL, "Guests that run on this node.");
	for (size_t i = 0; i < text->n_guests; i++) {
		struct strbuf *labels = &text->guests[i].labels;
		const struct domain *domain = text->guests[i].guest->domain;
		size_t n = labels->n;

		exposition_label(labels, "accel", vpmu_accel_name(domain->guest.accel));
		exposition_label(labels, "kernel", domain->kernel ? domain->kernel : "");
		exposition_label(labels, "libvirt", domain->libvirt ? "yes" : "no");
		exposition_u64(&text->x, labels, 1);
		labels->n = n;
	}
	exposition_family(&text->x, "vpmu_guest_vcpus", EXPOSITION_GAUGE, NULL, "vCPUs of each guest.");
	for (size_t i = 0; i < text->n_guests; i++)
		exposition_u64(&text->x, &text->guests[i].labels,
			       text->guests[i].guest->domain->guest.n_vcpus);
}

/* @add adds a vCPU's samples of one family; @labels are its. */
typedef void (*vcpu_fn)(struct exposition *x, struct strbuf *labels, const struct vcpu_totals *vcpu, const void *what);

static void for_each_vcpu(struct text *text, vcpu_fn add, const void *what)
{
	for (size_t i = 0; i < text->n_guests; i++) {
		struct strbuf *labels = &text->guests[i].labels;
		const struct guest_totals *totals = text->guests[i].guest->totals;
		size_t n = labels->n;

		for (size_t k = 0; totals && k < totals->vcpus.n; k++) {
			strbuf_addf(labels, ",vcpu=\"%u\"", totals->vcpus.items[k].index);
			add(&text->x, labels, &totals->vcpus.items[k], what);
			labels->n = n;
		}
	}
}

static void add_labelled(struct exposition *x, struct strbuf *labels, const char *label, uint64_t value,
			 void (*add)(struct exposition *, const struct strbuf *, uint64_t))
{
	size_t n = labels->n;

	strbuf_adds(labels, label);
	add(x, labels, value);
	labels->n = n;
}

static void add_times(struct exposition *x, struct strbuf *labels, const struct vcpu_totals *vcpu, const void *what)
{
	static const char *const modes[] = {
		[VCPU_GUEST] = ",mode=\"guest\"",   [VCPU_USER] = ",mode=\"user\"",
		[VCPU_SYSTEM] = ",mode=\"system\"", [VCPU_WAIT] = ",mode=\"steal\"",
		[VCPU_SLEEP] = ",mode=\"sleep\"",
	};

	(void)what;
	for (int kind = 0; kind < VCPU_TIME_COUNT; kind++)
		if (vcpu->has_times & 1u << kind)
			add_labelled(x, labels, modes[kind], vcpu->times_ns[kind], exposition_ns);
}

/* Up to two events make a family, told apart by a label. */
struct event_family {
	const char *name, *help;
	struct {
		enum vcpu_event event;
		const char *label;
	} parts[2];
	int n;
};

static const struct event_family event_families[] = {
	{ "vpmu_guest_vcpu_switches", "Context switches of each vCPU thread; voluntary: it went to sleep.",
	  { { VCPU_VOLUNTARY_SWITCHES, ",kind=\"voluntary\"" }, { VCPU_INVOLUNTARY_SWITCHES, ",kind=\"involuntary\"" } }, 2 },
	{ "vpmu_guest_vcpu_migrations", "Moves of each vCPU thread from one CPU to another.",
	  { { VCPU_MIGRATIONS, "" } }, 1 },
	{ "vpmu_guest_vcpu_page_faults", "Page faults that each vCPU thread took on the host.",
	  { { VCPU_PAGE_FAULTS, "" } }, 1 },
	{ "vpmu_guest_vcpu_exits", "Exits from the guest, as KVM counts them.", { { VCPU_EXITS, "" } }, 1 },
	{ "vpmu_guest_vcpu_cycles", "CPU cycles of each vCPU, in the guest and on the host for it.",
	  { { VCPU_GUEST_CYCLES, ",side=\"guest\"" }, { VCPU_HOST_CYCLES, ",side=\"host\"" } }, 2 },
	{ "vpmu_guest_vcpu_instructions", "Instructions of each vCPU, in the guest and on the host for it.",
	  { { VCPU_GUEST_INSTRUCTIONS, ",side=\"guest\"" }, { VCPU_HOST_INSTRUCTIONS, ",side=\"host\"" } }, 2 },
};

static void add_events(struct exposition *x, struct strbuf *labels, const struct vcpu_totals *vcpu, const void *what)
{
	const struct event_family *family = what;

	for (int i = 0; i < family->n; i++)
		if (vcpu->has_events & 1u << family->parts[i].event)
			add_labelled(x, labels, family->parts[i].label, vcpu->events[family->parts[i].event],
				     exposition_u64);
}

static bool anybody_has(const struct text *text, const struct event_family *family)
{
	for (size_t i = 0; i < text->n_guests; i++) {
		const struct guest_totals *totals = text->guests[i].guest->totals;

		for (size_t k = 0; totals && k < totals->vcpus.n; k++)
			for (int p = 0; p < family->n; p++)
				if (totals->vcpus.items[k].has_events & 1u << family->parts[p].event)
					return true;
	}
	return false;
}

/* ---- exits, and the vCPUs' clocks ---- */

static bool has_exits(const struct guest_account *account)
{
	return account->has_exits && !account->silent;
}

static bool has_events(const struct guest_account *account)
{
	for (int key = 0; key < VPMU_EXIT_KEY_COUNT; key++)
		if (account->events[key])
			return true;
	return false;
}

static bool has_clock(const struct guest_account *account)
{
	return account->has_clock;
}

/* Families that are to be had nowhere are not there. */
static bool any_account(const struct text *text, bool (*has)(const struct guest_account *account))
{
	for (size_t i = 0; i < text->n_guests; i++)
		if (text->guests[i].guest->account && has(text->guests[i].guest->account))
			return true;
	return false;
}

static void for_each_account(struct text *text,
			     void (*add)(struct exposition *x, struct strbuf *labels, const struct guest_account *account))
{
	for (size_t i = 0; i < text->n_guests; i++)
		if (text->guests[i].guest->account)
			add(&text->x, &text->guests[i].labels, text->guests[i].guest->account);
}

static void add_reasons(struct exposition *x, struct strbuf *labels, const struct guest_account *account, bool seconds)
{
	size_t n = labels->n;

	vec_for_each (reason, &account->reasons) {
		exposition_label(labels, "reason", reason->name);
		if (seconds)
			exposition_ns(x, labels, reason->total_ns);
		else
			exposition_u64(x, labels, reason->count);
		labels->n = n;
	}
}

static void add_exit_counts(struct exposition *x, struct strbuf *labels, const struct guest_account *account)
{
	add_reasons(x, labels, account, false);
}

static void add_exit_times(struct exposition *x, struct strbuf *labels, const struct guest_account *account)
{
	add_reasons(x, labels, account, true);
}

static void add_kvm_events(struct exposition *x, struct strbuf *labels, const struct guest_account *account)
{
	size_t n = labels->n;

	for (int key = 0; key < VPMU_EXIT_KEY_COUNT; key++) {
		if (!account->events[key])
			continue;
		exposition_label(labels, "event", vpmu_exit_key_name((enum vpmu_exit_key)key));
		exposition_u64(x, labels, account->events[key]);
		labels->n = n;
	}
}

static void add_clocks(struct exposition *x, struct strbuf *labels, const struct guest_account *account)
{
	size_t n = labels->n;

	vec_for_each (vcpu, &account->vcpus) {
		size_t with_vcpu;

		strbuf_addf(labels, ",vcpu=\"%u\"", vcpu->index);
		with_vcpu = labels->n;
		for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
			if (!(vcpu->has & 1u << part))
				continue;
			exposition_label(labels, "part", vpmu_clock_part_name((enum vpmu_clock_part)part));
			exposition_ns(x, labels, vcpu->parts_ns[part]);
			labels->n = with_vcpu;
		}
		labels->n = n;
	}
}

static void add_accounts(struct text *text)
{
	struct exposition *x = &text->x;

	if (any_account(text, has_exits)) {
		exposition_family(x, "vpmu_guest_exits", EXPOSITION_COUNTER, NULL, "Exits from the guest, by the processor's reason.");
		for_each_account(text, add_exit_counts);
		exposition_family(x, "vpmu_guest_exit_seconds", EXPOSITION_COUNTER, "seconds",
				  "Time from exits until the guest was entered again, asleep and in the hypervisor included.");
		for_each_account(text, add_exit_times);
	}
	if (any_account(text, has_events)) {
		exposition_family(x, "vpmu_guest_kvm_events", EXPOSITION_COUNTER, NULL,
				  "Events of KVM outside of exits: all there is where it does not tell of these; user: returns to the hypervisor.");
		for_each_account(text, add_kvm_events);
	}
	if (any_account(text, has_clock)) {
		exposition_family(x, "vpmu_guest_vcpu_time_seconds", EXPOSITION_COUNTER, "seconds",
				  "Where the wall time of each vCPU went: in the guest, exits, the hypervisor (qemu), polling, halted, …");
		for_each_account(text, add_clocks);
	}
}

static void add_guests(struct text *text)
{
	add_infos(text);
	exposition_family(&text->x, "vpmu_guest_vcpu_seconds", EXPOSITION_COUNTER, "seconds",
			  "Time of each vCPU thread by what it did: ran the guest, ran the hypervisor (user) or the host's "
			  "kernel (system), waited for a CPU (steal), slept.");
	for_each_vcpu(text, add_times, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(event_families); i++) {
		/* Whole families are not to be had without a PMU. */
		if (!anybody_has(text, &event_families[i]))
			continue;
		exposition_family(&text->x, event_families[i].name, EXPOSITION_COUNTER, NULL, event_families[i].help);
		for_each_vcpu(text, add_events, &event_families[i]);
	}
	add_accounts(text);
	for (size_t i = 0; i < text->n_guests; i++)
		text->n_left_out += text->guests[i].guest->totals ? text->guests[i].guest->totals->n_left_out : 0;
}

/* ---- vpmud ---- */

static void add_one(struct exposition *x, const char *name, enum exposition_type type, const char *help, uint64_t value)
{
	exposition_family(x, name, type, NULL, help);
	exposition_u64(x, NULL, value);
}

static void add_process(struct exposition *x, const struct usage *usage)
{
	_strbuf_ struct strbuf labels = {};

	exposition_label(&labels, "version", VPMU_VERSION_STRING);
	exposition_family(x, "vpmud_build", EXPOSITION_INFO, NULL, "The version of vpmud.");
	exposition_u64(x, &labels, 1);
	exposition_family(x, "vpmud_start_time_seconds", EXPOSITION_GAUGE, "seconds", "When vpmud started, Unix time.");
	exposition_ms(x, NULL, usage->started_ms);
	exposition_family(x, "vpmud_cpu_seconds", EXPOSITION_COUNTER, "seconds", "CPU time that vpmud used.");
	exposition_ns(x, NULL, usage->cpu_ns);
	exposition_family(x, "vpmud_resident_memory_bytes", EXPOSITION_GAUGE, "bytes", "Memory of vpmud.");
	exposition_u64(x, NULL, usage->memory_bytes);
	add_one(x, "vpmud_open_fds", EXPOSITION_GAUGE, "Files that vpmud has open, perf events among them.",
		usage->open_files);
}

static void add_store(struct exposition *x, const struct usage *usage)
{
	exposition_family(x, "vpmud_store_size_bytes", EXPOSITION_GAUGE, "bytes", "Size of the store of profiles.");
	exposition_u64(x, NULL, usage->store_bytes);
	add_one(x, "vpmud_store_profiles", EXPOSITION_GAUGE, "Profiles in the store.", usage->store_profiles);
	add_one(x, "vpmud_store_errors", EXPOSITION_COUNTER, "Failures of the store.", usage->store_errors);
	if (!usage->store_oldest_ms)
		return;
	exposition_family(x, "vpmud_store_oldest_timestamp_seconds", EXPOSITION_GAUGE, "seconds",
			  "Begin of the oldest profile in the store, Unix time.");
	exposition_ms(x, NULL, (uint64_t)usage->store_oldest_ms);
}

static void add_vpmud(struct text *text, const struct usage *usage)
{
	struct exposition *x = &text->x;

	add_process(x, usage);
	add_one(x, "vpmud_guests", EXPOSITION_GAUGE, "Guests that run.", usage->guests);
	add_one(x, "vpmud_vcpus", EXPOSITION_GAUGE, "vCPUs of the guests that run.", usage->vcpus);
	add_one(x, "vpmud_connections", EXPOSITION_GAUGE, "Clients that are connected.", usage->connections);
	add_one(x, "vpmud_sessions", EXPOSITION_GAUGE, "Profiling sessions.", usage->sessions);
	add_one(x, "vpmud_streams", EXPOSITION_GAUGE, "Calls that stream replies.", usage->streams);
	add_one(x, "vpmud_calls", EXPOSITION_COUNTER, "Method calls.", usage->calls);
	add_one(x, "vpmud_failed_calls", EXPOSITION_COUNTER, "Method calls that were answered with an error.",
		usage->calls_failed);
	add_one(x, "vpmud_dropped_clients", EXPOSITION_COUNTER,
		"Connections that vpmud closed: clients that did not read, or did not speak varlink.",
		usage->clients_dropped);
	add_one(x, "vpmud_samples", EXPOSITION_COUNTER, "Samples taken, by all sessions.", usage->samples);
	add_one(x, "vpmud_lost_samples", EXPOSITION_COUNTER, "Samples that were lost, of all sessions.", usage->lost);
	if (usage->has_store)
		add_store(x, usage);
	if (usage->has_counters)
		add_one(x, "vpmud_free_hardware_counters", EXPOSITION_GAUGE,
			"Hardware counters of each CPU that no session holds.", usage->free_counters);
	add_one(x, "vpmud_metrics_errors", EXPOSITION_COUNTER, "Failures to write the textfile.", usage->metrics_errors);
}

static void add_missing(struct text *text)
{
	struct exposition *x = &text->x;

	add_one(x, "vpmud_left_out_vcpus", EXPOSITION_GAUGE, "vCPUs that are missing here: beyond 512 of a guest.",
		text->n_left_out);
	add_one(x, "vpmud_left_out_series", EXPOSITION_GAUGE, "Series that are missing here: beyond 50000 in all.",
		x->n_left_out);
}

int metrics_text(const struct metrics_guest *guests, size_t n_guests, const struct usage *usage,
		 enum exposition_dialect dialect, struct strbuf *out)
{
	struct text text = {
		.x = { .out = out, .dialect = dialect, .max_samples = METRICS_SAMPLES_MAX },
	};
	int r = label_guests(&text, guests, n_guests);

	if (r == 0) {
		add_guests(&text);
		text.x.max_samples = 0; /* so few as come now are always there */
		if (usage)
			add_vpmud(&text, usage);
		add_missing(&text);
		exposition_end(&text.x);
	}
	for (size_t i = 0; i < text.n_guests; i++)
		strbuf_deinit(&text.guests[i].labels);
	free(text.guests);
	return r < 0 || out->failed ? -ENOMEM : 0;
}
