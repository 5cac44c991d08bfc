/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/exit_reason.h"
#include "format/msr_name.h"
#include "session/exit_rows.h"
#include "util/hash.h"
#include "util/macro.h"

#define NESTED (1ull << 32) /* in an entry's value of REASON */

_Static_assert(VPMU_EXIT_BUCKETS == VPMU_BPF_EXIT_BUCKETS, "both sides count alike");

int exit_rows_init(struct exit_rows *rows)
{
	rows->names = intern_new();
	return rows->names ? 0 : -ENOMEM;
}

void exit_rows_deinit(struct exit_rows *rows)
{
	vec_free(&rows->entries);
	vec_free(&rows->items);
	idtable_deinit(&rows->index);
	intern_free(rows->names);
}

/* ---- names ---- */

static void reason_text(uint8_t isa, uint32_t code, char *text, size_t room)
{
	const char *name = exit_reason_name(isa, code);

	if (name)
		snprintf(text, room, "%s", name);
	else
		snprintf(text, room, "0x%" PRIx32, code);
}

/*
 * Error codes of page faults: Intel SDM vol. 3, "page-fault exceptions", as KVM makes them up for
 * nested paging, too.
 */
static void fault_text(uint32_t error, char *text, size_t room)
{
	snprintf(text, room, "%s%s%s%s%s", error & 16 ? "fetch" : error & 2 ? "write" : "read",
		 error & 1 ? ", protected" : ", absent", error & 8 ? ", reserved" : "",
		 error & 4 ? ", user" : "", error & 32 ? ", key" : "");
}

static void user_text(uint64_t value, char *text, size_t room)
{
	const char *name = (int64_t)value < 0 ? "interrupted" : exit_user_name((uint32_t)value);

	if (name)
		snprintf(text, room, "%s", name);
	else
		snprintf(text, room, "%" PRIu64, value);
}

static void value_text(uint8_t isa, enum vpmu_exit_key key, uint64_t value, char *text, size_t room)
{
	switch (key) {
	case VPMU_EXIT_REASON:
	case VPMU_EXIT_TRIP:
	case VPMU_EXIT_RUN:
		reason_text(isa, (uint32_t)value, text, room);
		break;
	case VPMU_EXIT_MSR:
		msr_name((uint32_t)value, text, room);
		break;
	case VPMU_EXIT_VECTOR:
		if (value & VPMU_BPF_EXIT_NMI) {
			snprintf(text, room, "NMI");
			break;
		}
		/* fall through */
	case VPMU_EXIT_PORT:
		snprintf(text, room, "0x%" PRIx32, (uint32_t)value);
		break;
	case VPMU_EXIT_MMIO:
		snprintf(text, room, "0x%" PRIx64, value & ~(uint64_t)VPMU_BPF_EXIT_MMIO_WRITE);
		break;
	case VPMU_EXIT_CPUID:
		if (value >> 32)
			snprintf(text, room, "0x%" PRIx32 ".%" PRIu64, (uint32_t)value, value >> 32);
		else
			snprintf(text, room, "0x%" PRIx32, (uint32_t)value);
		break;
	case VPMU_EXIT_HYPERCALL:
		snprintf(text, room, "%" PRIu64, value);
		break;
	case VPMU_EXIT_FAULT:
		fault_text((uint32_t)value, text, room);
		break;
	case VPMU_EXIT_ADDRESS:
		snprintf(text, room, "0x%" PRIx64, value);
		break;
	case VPMU_EXIT_ANCILLARY:
		reason_text(isa, (uint32_t)(value >> 32), text, room);
		break;
	case VPMU_EXIT_USER:
		user_text(value, text, room);
		break;
	}
}

/* ---- keeping ---- */

static uint32_t hash_of(uint32_t thread, enum vpmu_exit_key key, uint64_t value)
{
	return (uint32_t)(hash_mix((uint64_t)thread << 32 | (uint32_t)key, value) >> 32);
}

static struct exit_entry *find(struct exit_rows *rows, uint32_t hash, uint32_t thread,
			       enum vpmu_exit_key key, uint64_t value)
{
	uint32_t id, i = idtable_first(&rows->index, hash);

	for (; (id = idtable_at(&rows->index, i, hash)) != IDTABLE_END; i = idtable_step(&rows->index, i)) {
		struct exit_entry *entry = id == IDTABLE_OTHER ? NULL : &rows->entries.items[id];

		if (entry && entry->thread == thread && entry->key == key && entry->value == value)
			return entry;
	}
	return NULL;
}

static struct exit_entry *add(struct exit_rows *rows, uint32_t hash, struct exit_entry entry,
			      uint8_t isa)
{
	char text[128] = "";

	value_text(isa, entry.key, entry.value, text, sizeof(text));
	entry.name = intern_add(rows->names, text);
	if (entry.name == INTERN_FAILED || !vec_reserve(&rows->entries, 1) ||
	    !idtable_put(&rows->index, hash, (uint32_t)rows->entries.n))
		return NULL;
	(void)vec_push(&rows->entries, entry);
	return &rows->entries.items[rows->entries.n - 1];
}

static void widen(struct exit_range *range, const struct vpmu_bpf_exit_range *by)
{
	if (!range->is_set) {
		*range = (struct exit_range){ true, by->min_ns, by->max_ns };
		return;
	}
	range->min_ns = MIN(range->min_ns, by->min_ns);
	range->max_ns = MAX(range->max_ns, by->max_ns);
}

int exit_rows_update(struct exit_rows *rows, uint32_t thread, uint8_t isa, enum vpmu_exit_key key,
		     uint64_t value, const struct vpmu_bpf_exit_row *now, uint32_t epoch)
{
	const struct vpmu_bpf_exit_range *range = &now->ranges[epoch & 1];
	struct exit_entry *entry;
	uint32_t hash;

	if (key == VPMU_EXIT_REASON && now->nested)
		value |= NESTED;
	hash = hash_of(thread, key, value);
	entry = find(rows, hash, thread, key, value);
	if (!entry)
		entry = add(rows, hash, (struct exit_entry){ .thread = thread, .key = key, .value = value }, isa);
	if (!entry)
		return -ENOMEM;
	entry->now = *now;
	if (range->epoch == epoch) {
		widen(&entry->whole, range);
		widen(&entry->since_last, range);
	}
	return 0;
}

int exit_rows_renumber(struct exit_rows *rows, const uint32_t *places)
{
	struct idtable index = {};
	uint32_t kept = 0;

	/* First all that may fail. */
	vec_for_each (entry, &rows->entries) {
		uint32_t place = places[entry->thread];

		if (place == EXIT_ROWS_NOWHERE)
			continue;
		if (!idtable_put(&index, hash_of(place, entry->key, entry->value), kept++)) {
			idtable_deinit(&index);
			return -ENOMEM;
		}
	}
	idtable_deinit(&rows->index);
	rows->index = index;
	kept = 0;
	for (size_t i = 0; i < rows->entries.n; i++) {
		struct exit_entry *entry = &rows->entries.items[i];

		if (places[entry->thread] == EXIT_ROWS_NOWHERE)
			continue;
		entry->thread = places[entry->thread];
		rows->entries.items[kept++] = *entry;
	}
	rows->entries.n = kept;
	rows->items.n = 0;
	return 0;
}

void exit_rows_told(struct exit_rows *rows)
{
	vec_for_each (entry, &rows->entries) {
		entry->last = entry->now;
		entry->since_last.is_set = false;
	}
}

/* ---- handing out ---- */

static void take_value(struct vpmu_exit *item, const struct exit_entry *entry)
{
	item->value = entry->value;
	if (entry->key == VPMU_EXIT_REASON) {
		item->value = 0;
	} else if (entry->key == VPMU_EXIT_MSR || entry->key == VPMU_EXIT_PORT) {
		item->value = (uint32_t)entry->value;
		item->write = entry->value & VPMU_BPF_EXIT_WRITE;
		item->zero = entry->value & VPMU_BPF_EXIT_ZERO;
		if (entry->key == VPMU_EXIT_MSR)
			item->pmu = msr_pmu_name(msr_pmu((uint32_t)entry->value));
	} else if (entry->key == VPMU_EXIT_VECTOR) {
		item->value = (uint32_t)entry->value;
		item->nmi = entry->value & VPMU_BPF_EXIT_NMI;
	} else if (entry->key == VPMU_EXIT_MMIO) {
		item->value &= ~VPMU_BPF_EXIT_MMIO_WRITE;
		item->write = entry->value & VPMU_BPF_EXIT_MMIO_WRITE;
	}
}

static struct vpmu_exit make_item(const struct exit_rows *rows, const struct exit_entry *entry,
				  const struct exit_thread *thread, enum vpmu_count_since since)
{
	static const struct vpmu_bpf_exit_row nothing;
	const struct vpmu_bpf_exit_row *now = &entry->now,
				       *from = since == VPMU_SINCE_LAST ? &entry->last : &nothing;
	const struct exit_range *range = since == VPMU_SINCE_LAST ? &entry->since_last : &entry->whole;
	const char *reason =
		now->has_code ? exit_reason_name(thread->isa, (uint32_t)now->code) : NULL;
	struct vpmu_exit item = {
		.guest = thread->guest,
		.vcpu = thread->vcpu,
		.tid = thread->tid,
		.ended = thread->ended,
		.key = entry->key,
		.nested = now->nested,
		.code = (uint32_t)now->code,
		.name = intern_string(rows->names, entry->name),
		.count = now->count - from->count,
		.untimed = now->untimed - from->untimed,
		.total_ns = now->total_ns - from->total_ns,
		.user_ns = now->user_ns - from->user_ns,
		.blocked_ns = now->blocked_ns - from->blocked_ns,
		.preempted_ns = now->preempted_ns - from->preempted_ns,
		.polled_ns = now->polled_ns - from->polled_ns,
	};

	item.pmu = "";
	item.reason = reason ? reason : entry->key == VPMU_EXIT_REASON ? item.name : "";
	take_value(&item, entry);
	if (range->is_set) {
		item.min_ns = range->min_ns;
		item.max_ns = range->max_ns;
	}
	for (int i = 0; i < VPMU_EXIT_BUCKETS; i++)
		item.buckets[i] = now->buckets[i] - from->buckets[i];
	return item;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_items(const void *a, const void *b)
{
	const struct vpmu_exit *x = a, *y = b;
	int by[] = {
		COMPARE(x->guest, y->guest),	   COMPARE(x->vcpu, y->vcpu),
		COMPARE(x->tid, y->tid),	   COMPARE(x->key, y->key),
		COMPARE(y->total_ns, x->total_ns), COMPARE(y->count, x->count),
		COMPARE(x->value, y->value),	   COMPARE(x->code, y->code),
		COMPARE(x->nested, y->nested),	   COMPARE(x->write, y->write),
	};

	for (size_t i = 0; i < ARRAY_SIZE(by); i++)
		if (by[i])
			return by[i];
	return COMPARE(x->zero, y->zero);
}

int exit_rows_make(struct exit_rows *rows, const struct exit_thread *threads, size_t n_threads,
		   enum vpmu_count_since since)
{
	rows->items.n = 0;
	vec_for_each (entry, &rows->entries) {
		const struct exit_thread *thread =
			entry->thread < n_threads ? &threads[entry->thread] : NULL;
		struct vpmu_exit item;

		if (!thread || (since == VPMU_SINCE_LAST && thread->told))
			continue;
		item = make_item(rows, entry, thread, since);
		if (!item.count)
			continue;
		if (!vec_push(&rows->items, item))
			return -ENOMEM;
	}
	if (rows->items.n)
		qsort(rows->items.items, rows->items.n, sizeof(*rows->items.items), compare_items);
	return 0;
}

/* ---- about one row ---- */

VPMU_API uint64_t vpmu_exit_bucket_ns(unsigned int i)
{
	return i < VPMU_EXIT_BUCKETS - 1 ? UINT64_C(1) << (i + VPMU_BPF_EXIT_BUCKET_SHIFT) : UINT64_MAX;
}

VPMU_API uint64_t vpmu_exit_percentile(const struct vpmu_exit *exit, double percent)
{
	uint64_t timed = 0, seen = 0;

	for (int i = 0; i < VPMU_EXIT_BUCKETS; i++)
		timed += exit->buckets[i];
	for (unsigned int i = 0; i < VPMU_EXIT_BUCKETS; i++) {
		seen += exit->buckets[i];
		if (seen && (double)seen >= (double)timed * percent / 100)
			return MIN(vpmu_exit_bucket_ns(i), exit->max_ns);
	}
	return 0;
}

VPMU_API const char *vpmu_exit_key_name(enum vpmu_exit_key key)
{
	static const char *const names[VPMU_EXIT_KEY_COUNT] = {
		[VPMU_EXIT_REASON] = "reason",	   [VPMU_EXIT_MSR] = "msr",
		[VPMU_EXIT_PORT] = "port",	   [VPMU_EXIT_MMIO] = "mmio",
		[VPMU_EXIT_CPUID] = "cpuid",	   [VPMU_EXIT_HYPERCALL] = "hypercall",
		[VPMU_EXIT_FAULT] = "fault",	   [VPMU_EXIT_VECTOR] = "vector",
		[VPMU_EXIT_ADDRESS] = "address",   [VPMU_EXIT_TRIP] = "trip",
		[VPMU_EXIT_ANCILLARY] = "ancillary", [VPMU_EXIT_USER] = "user",
		[VPMU_EXIT_RUN] = "run",
	};

	return (size_t)key < ARRAY_SIZE(names) ? names[key] : "unknown";
}
