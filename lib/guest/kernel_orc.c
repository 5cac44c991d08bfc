/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "guest/confined.h"
#include "guest/kernel_orc.h"
#include "guest/kernel_types.h"
#include "guest/modules.h"
#include "util/error.h"
#include "util/hash.h"
#include "util/macro.h"
#include "util/vec.h"

/* Of all guests together: kernels of a few distributions and releases. */
#define SHARED_BYTES_MAX    (128u << 20)
#define MODULE_ENTRIES_MAX  (256u << 10)
#define MODULES_ENTRIES_MAX (1u << 20) /* together */
#define ONE_ENTRY_BYTES	    (sizeof(uint32_t) + ORC_ENTRY_BYTES)

/* What is the same wherever KASLR put the kernel. */
struct shared {
	struct shared *next;
	uint64_t hash;
	unsigned int n_users;
	size_t n;
	uint32_t *at;
	uint8_t *entries;
};

static struct shared *all_shared;
static size_t shared_bytes;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

typedef VEC(struct orc_table) orc_tables;

struct kernel_orc {
	struct orc_kernel view;
	struct orc_table text; /* its arrays are the shared ones */
	struct shared *shared;
	orc_tables modules; /* by address; they do not overlap */
	bool missed;
};

/* ---- shared tables ---- */

static bool same(const struct shared *shared, uint64_t hash, const struct orc_table *table)
{
	return shared->hash == hash && shared->n == table->n &&
	       memcmp(shared->at, table->at, table->n * sizeof(*table->at)) == 0 &&
	       memcmp(shared->entries, table->entries, table->n * ORC_ENTRY_BYTES) == 0;
}

/* Takes @table's arrays, or puts those in their place that are there already. */
static int share_locked(struct orc_table *table, struct shared **ret)
{
	uint64_t hash = hash_bytes(table->at, table->n * sizeof(*table->at)) ^
			hash_bytes(table->entries, table->n * ORC_ENTRY_BYTES);
	struct shared *shared;

	for (shared = all_shared; shared; shared = shared->next)
		if (same(shared, hash, table))
			break;
	if (shared) {
		free(table->at);
		free(table->entries);
	} else {
		if (shared_bytes + table->n * ONE_ENTRY_BYTES > SHARED_BYTES_MAX)
			return -EOPNOTSUPP;
		shared = malloc(sizeof(*shared));
		if (!shared)
			return -ENOMEM;
		*shared = (struct shared){all_shared, hash, 0, table->n, table->at, table->entries};
		all_shared = shared;
		shared_bytes += table->n * ONE_ENTRY_BYTES;
	}
	shared->n_users++;
	table->at = shared->at;
	table->entries = shared->entries;
	*ret = shared;
	return 0;
}

static int share(struct orc_table *table, struct shared **ret)
{
	int r;

	pthread_mutex_lock(&shared_lock);
	r = share_locked(table, ret);
	pthread_mutex_unlock(&shared_lock);
	return r;
}

static void share_drop(struct shared *shared)
{
	pthread_mutex_lock(&shared_lock);
	if (--shared->n_users == 0) {
		struct shared **link = &all_shared;

		while (*link != shared)
			link = &(*link)->next;
		*link = shared->next;
		shared_bytes -= shared->n * ONE_ENTRY_BYTES;
		free(shared->at);
		free(shared->entries);
		free(shared);
	}
	pthread_mutex_unlock(&shared_lock);
}

/* ---- reading ---- */

static int read_table(struct vpmu_kernel *k, uint64_t ips_gva, uint64_t entries_gva, uint64_t n, uint64_t end_gva,
		      struct orc_table *ret)
{
	_free_ uint8_t *ips = malloc(n * ORC_IP_BYTES + 1), *entries = malloc(n * ORC_ENTRY_BYTES + 1);
	int r;

	if (!ips || !entries)
		return -ENOMEM;
	r = kernel_read_large(k, ips_gva, ips, n * ORC_IP_BYTES);
	if (r == 0)
		r = kernel_read_large(k, entries_gva, entries, n * ORC_ENTRY_BYTES);
	if (r == 0)
		r = orc_table_load(ips, n * ORC_IP_BYTES, ips_gva, entries, n * ORC_ENTRY_BYTES, end_gva, ret);
	return r;
}

static enum orc_layout read_layout(struct vpmu_kernel *k)
{
	uint8_t header[ORC_HEADER_BYTES];
	uint64_t gva = k->gva[KERNEL_ORC_HEADER];

	return orc_layout_of(gva && kernel_read(k, gva, header, sizeof(header)) == 0 ? header : NULL, k->release);
}

/* What a look gives: the kernel's tables, or those of its modules. */
struct found {
	enum orc_layout layout;
	orc_tables tables;
};

static void drop_tables(orc_tables *tables)
{
	vec_for_each (table, tables)
		orc_table_deinit(table);
	vec_free(tables);
}

static int read_kernel(struct vpmu_kernel *k, struct found *ret, struct vpmu_error *reterr)
{
	uint64_t n = (k->gva[KERNEL_STOP_ORC_IPS] - k->gva[KERNEL_START_ORC_IPS]) / ORC_IP_BYTES;
	struct orc_table table;
	int r;

	if (!k->gva[KERNEL_START_ORC_IPS] || !k->gva[KERNEL_STOP_ORC_IPS] || !k->gva[KERNEL_START_ORC] || n == 0)
		return error_set(reterr, -ENODATA, "the guest's kernel %s has no unwind tables (ORC)", k->release);
	ret->layout = read_layout(k);
	if (!ret->layout)
		return error_set(reterr, -EOPNOTSUPP, "the guest's kernel %s has unwind tables in a layout that is not known",
				 k->release);
	if (n > ORC_ENTRIES_MAX)
		r = -EBADMSG;
	else
		r = read_table(k, k->gva[KERNEL_START_ORC_IPS], k->gva[KERNEL_START_ORC], n, k->gva[KERNEL_ETEXT], &table);
	if (r == -EBADMSG || r == -EFAULT)
		return error_set(reterr, -EOPNOTSUPP, "the unwind tables of the guest's kernel %s cannot be read", k->release);
	if (r < 0)
		return kernel_failed(r, reterr);
	if (!vec_push(&ret->tables, table)) {
		orc_table_deinit(&table);
		return error_oom(reterr);
	}
	return 0;
}

/* ---- modules ---- */

struct gathering {
	struct vpmu_kernel *kernel;
	orc_tables tables;
	size_t n_entries;
};

/* One that cannot be read is left out: it may be on its way in or out. */
static int gather(const struct module_copy *module, void *data)
{
	struct gathering *gathering = data;
	const struct kernel_types *t = gathering->kernel->types;
	uint32_t n = module_u32(module, t->module.num_orcs);
	uint64_t text = module_u64(module, t->module.parts[0].base);
	struct orc_table table;
	int r;

	if (!n || n > MODULE_ENTRIES_MAX || n > MODULES_ENTRIES_MAX - gathering->n_entries)
		return 0;
	r = read_table(gathering->kernel, module_u64(module, t->module.orc_ips), module_u64(module, t->module.orcs), n,
		       text + module_u32(module, t->module.parts[0].size), &table);
	if (r == -ENOMEM || r == -ESRCH)
		return r;
	if (r < 0)
		return 0;
	if (!vec_push(&gathering->tables, table)) {
		orc_table_deinit(&table);
		return -ENOMEM;
	}
	gathering->n_entries += n;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct orc_table *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

static void sort_tables(orc_tables *tables)
{
	size_t kept = 0;

	if (tables->n)
		qsort(tables->items, tables->n, sizeof(*tables->items), by_address);
	/* Code has one owner. Init code is gone, but its entries may lie below the rest. */
	for (size_t i = 0; i < tables->n; i++) {
		if (kept && tables->items[i].base < tables->items[kept - 1].end)
			orc_table_deinit(&tables->items[i]);
		else
			tables->items[kept++] = tables->items[i];
	}
	tables->n = kept;
}

static int read_modules(struct vpmu_kernel *k, orc_tables *ret, struct vpmu_error *reterr)
{
	struct gathering gathering = {.kernel = k};
	int r = kernel_types_load(k, reterr);

	if (r == -EOPNOTSUPP) /* nor are modules to be found */
		return 0;
	if (r < 0)
		return r;
	if (k->types->module.num_orcs == NO_MEMBER || k->types->module.orcs == NO_MEMBER)
		return 0;
	r = modules_each(k, gather, &gathering);
	if (r < 0) {
		drop_tables(&gathering.tables);
		return kernel_failed(r, reterr);
	}
	*ret = gathering.tables;
	return 0;
}

/* ---- by way of a parser ---- */

static int look_here(struct vpmu_kernel *k, bool modules, struct found *ret, struct vpmu_error *reterr)
{
	return modules ? read_modules(k, &ret->tables, reterr) : read_kernel(k, ret, reterr);
}

int kernel_orc_encode(struct vpmu_kernel *k, bool modules, struct strbuf *out, struct vpmu_error *reterr)
{
	struct found found = {};
	int r = look_here(k, modules, &found, reterr);

	if (r == 0) {
		uint64_t head[2] = {found.layout, found.tables.n};

		strbuf_add(out, (const char *)head, sizeof(head));
		vec_for_each (table, &found.tables)
			orc_table_encode(table, out);
		r = out->failed ? error_oom(reterr) : 0;
	}
	drop_tables(&found.tables);
	return r;
}

static int decode(struct cursor from, struct found *ret)
{
	uint64_t layout = cursor_u64(&from), n = cursor_u64(&from);
	int r = 0;

	if (layout > ORC_LAYOUT_7_1 || n > MODULES_MAX)
		return -EBADMSG;
	ret->layout = (enum orc_layout)layout;
	for (uint64_t i = 0; i < n && r == 0; i++) {
		struct orc_table table;

		r = orc_table_decode(&from, &table);
		if (r == 0 && !vec_push(&ret->tables, table)) {
			orc_table_deinit(&table);
			r = -ENOMEM;
		}
	}
	return r;
}

static int look(struct vpmu_kernel *k, bool modules, struct found *ret, struct vpmu_error *reterr)
{
	struct parser_answer answer = {
		.most_bytes = (modules ? MODULES_ENTRIES_MAX : ORC_ENTRIES_MAX) * ONE_ENTRY_BYTES + PARSER_PART_MAX,
	};
	int r;

	if (!k->confined)
		return look_here(k, modules, ret, reterr);
	r = confined_ask(k->confined, modules ? PARSER_MODULES_UNWIND : PARSER_KERNEL_UNWIND, NULL, 0, &answer, reterr);
	if (r == 0)
		r = decode(cursor_of(answer.bytes.text, answer.bytes.n), ret);
	strbuf_deinit(&answer.bytes);
	if (r == -EBADMSG)
		return error_set(reterr, r, "the guest's unwind tables are not told right");
	return r == -ENOMEM ? error_oom(reterr) : r;
}

/* ---- life ---- */

static int take_kernel(struct kernel_orc *orc, struct vpmu_kernel *k, struct vpmu_error *reterr)
{
	struct found found = {};
	int r = look(k, false, &found, reterr);

	if (r == 0 && (!found.layout || found.tables.n != 1))
		r = error_set(reterr, -EBADMSG, "the guest's unwind tables are not told right");
	if (r == 0) {
		r = share(&found.tables.items[0], &orc->shared);
		if (r < 0)
			error_set(reterr, r, r == -ENOMEM ? "out of memory" : "the guests have too many different unwind tables");
	}
	if (r == 0) {
		orc->view.layout = found.layout;
		orc->text = found.tables.items[0];
		found.tables.n = 0;
	}
	drop_tables(&found.tables);
	return r;
}

int kernel_orc_look_again(struct kernel_orc *orc, struct vpmu_kernel *k, struct vpmu_error *reterr)
{
	struct found found = {};
	int r = look(k, true, &found, reterr);

	if (r < 0) {
		drop_tables(&found.tables);
		return r;
	}
	sort_tables(&found.tables);
	drop_tables(&orc->modules);
	orc->modules = found.tables;
	orc->missed = false;
	return 0;
}

static const uint8_t *find(uint64_t ip, void *data)
{
	struct kernel_orc *orc = data;
	size_t low = 0, high = orc->modules.n;
	const uint8_t *entry;

	if (ip >= orc->text.base && ip < orc->text.end)
		return orc_table_find(&orc->text, ip);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (orc->modules.items[middle].end <= ip)
			low = middle + 1;
		else
			high = middle;
	}
	entry = low < orc->modules.n ? orc_table_find(&orc->modules.items[low], ip) : NULL;
	orc->missed |= !entry;
	return entry;
}

/* 5.12 reads an indirect stack pointer in another way (format/orc.h). */
static bool adds_after(const char *release)
{
	unsigned int major = 0, minor = 0;

	return sscanf(release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 12));
}

int kernel_orc_load(struct vpmu_kernel *k, struct kernel_orc **ret_orc, struct vpmu_error *reterr)
{
	_cleanup_(kernel_orc_freep) struct kernel_orc *orc = calloc(1, sizeof(*orc));
	int r;

	if (!orc)
		return error_oom(reterr);
	orc->view = (struct orc_kernel){.adds_after = adds_after(k->release), .find = find, .data = orc};
	r = kernel_look_again(k, reterr);
	if (r == 0)
		r = take_kernel(orc, k, reterr);
	if (r == 0)
		r = kernel_orc_look_again(orc, k, reterr);
	if (r < 0)
		return r;
	*ret_orc = take_ptr(orc);
	return 0;
}

struct kernel_orc *kernel_orc_free(struct kernel_orc *orc)
{
	if (!orc)
		return NULL;
	if (orc->shared)
		share_drop(orc->shared);
	drop_tables(&orc->modules);
	free(orc);
	return NULL;
}

bool kernel_orc_missed(const struct kernel_orc *orc)
{
	return orc->missed;
}

const struct orc_kernel *kernel_orc_view(struct kernel_orc *orc)
{
	return &orc->view;
}
