/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our own feature sections (vpmu_section.h), little-endian whatever the machine:
 *
 *	guests	u32 version, u32 count, string source, then each guest:
 *		u32 size of what follows, u32 pid, u64 start_ticks, u32 accel, strings name, uuid, exe,
 *		u32 vCPUs, each u32 index, u32 tid, then u64 from_ns, u64 until_ns
 *		behind the last guest: string boot_id
 *	tables	u32 version, u32 count, then each table:
 *		u32 size of what follows, u32 kind, u32 guest, string path, u32 build-id bytes, the build-id,
 *		u32 image bytes, the image
 *
 * A later writer may add fields at the end of an entry, whose size leads over them, or behind the last: so came from_ns, until_ns
 * and boot_id, which older files lack.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "format/vpmu_section.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/vec.h"

#define SECTION_VERSION 1

static void put_u32(struct strbuf *out, uint32_t value)
{
	value = htole32(value);
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_u64(struct strbuf *out, uint64_t value)
{
	value = htole64(value);
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_bytes(struct strbuf *out, const void *bytes, size_t n)
{
	put_u32(out, (uint32_t)n);
	strbuf_add(out, bytes ?: "", n);
}

static void put_string(struct strbuf *out, const char *string)
{
	put_bytes(out, string ?: "", string ? strlen(string) : 0);
}

/* The size of the entry that began at @start with four bytes for it. */
static int end_entry(struct strbuf *out, size_t start)
{
	size_t n = out->n - start - 4;
	uint32_t size = htole32((uint32_t)n);

	if (out->failed)
		return -ENOMEM;
	if (n > UINT32_MAX)
		return -EFBIG;
	memcpy(out->text + start, &size, sizeof(size));
	return 0;
}

int vpmu_section_guests_encode(const struct vpmu_section_guests *guests, struct strbuf *out)
{
	int r;

	if (guests->n_guests > VPMU_SECTION_MAX_GUESTS)
		return -E2BIG;
	put_u32(out, SECTION_VERSION);
	put_u32(out, (uint32_t)guests->n_guests);
	put_string(out, guests->source);
	for (size_t i = 0; i < guests->n_guests; i++) {
		const struct vpmu_guest_info *guest = &guests->guests[i];
		size_t start = out->n;

		if (guest->n_vcpus > VPMU_SECTION_MAX_VCPUS)
			return -E2BIG;
		put_u32(out, 0);
		put_u32(out, (uint32_t)guest->pid);
		put_u64(out, guest->start_ticks);
		put_u32(out, (uint32_t)guest->accel);
		put_string(out, guest->name);
		put_string(out, guest->uuid);
		put_string(out, guest->exe);
		put_u32(out, (uint32_t)guest->n_vcpus);
		for (size_t v = 0; v < guest->n_vcpus; v++) {
			put_u32(out, guest->vcpus[v].index);
			put_u32(out, (uint32_t)guest->vcpus[v].tid);
		}
		put_u64(out, guests->lives ? guests->lives[i].from_ns : 0);
		put_u64(out, guests->lives ? guests->lives[i].until_ns : 0);
		put_u32(out, guests->lives && guests->lives[i].not_linux);
		r = end_entry(out, start);
		if (r < 0)
			return r;
	}
	put_string(out, guests->boot_id);
	return out->failed ? -ENOMEM : 0;
}

int vpmu_section_tables_encode(const struct vpmu_section_table *tables, size_t n_tables,
			       struct strbuf *out)
{
	put_u32(out, SECTION_VERSION);
	put_u32(out, (uint32_t)n_tables);
	for (size_t i = 0; i < n_tables; i++) {
		const struct vpmu_section_table *table = &tables[i];
		size_t start = out->n;
		int r;

		if (table->image_bytes > UINT32_MAX ||
		    table->build_id_bytes > sizeof(table->build_id))
			return -EINVAL;
		put_u32(out, 0);
		put_u32(out, table->kind);
		put_u32(out, table->guest);
		put_string(out, table->path);
		put_bytes(out, table->build_id, table->build_id_bytes);
		put_bytes(out, table->image, table->image_bytes);
		r = end_entry(out, start);
		if (r < 0)
			return r;
	}
	return out->failed ? -ENOMEM : 0;
}

static uint32_t get_u32(struct cursor *c)
{
	return le32toh(cursor_u32(c));
}

/*
 * A copy with control characters replaced: names end up on terminals. NULL when out of memory or,
 * c->failed, bytes.
 */
static char *get_string(struct cursor *c)
{
	uint32_t n = get_u32(c);
	const char *bytes = cursor_bytes(c, n);
	char *copy = bytes ? strndup(bytes, n) : NULL;

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return copy;
}

/* A cursor over the next entry. */
static struct cursor get_entry(struct cursor *c)
{
	uint32_t n = get_u32(c);
	const void *bytes = cursor_bytes(c, n);
	struct cursor entry = cursor_of(bytes ?: c->end, bytes ? n : 0);

	entry.failed = !bytes;
	return entry;
}

static void free_guest(struct vpmu_guest_info *guest)
{
	free((char *)guest->name);
	free((char *)guest->uuid);
	free((char *)guest->exe);
	free((void *)guest->vcpus);
}

static int get_vcpus(struct cursor *c, struct vpmu_guest_info *guest)
{
	uint32_t n = get_u32(c);
	struct vpmu_vcpu_info *vcpus;

	if (c->failed || n > VPMU_SECTION_MAX_VCPUS || n > cursor_left(c) / 8)
		return -EBADMSG;
	vcpus = calloc(n ?: 1, sizeof(*vcpus));
	if (!vcpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		vcpus[i].index = get_u32(c);
		vcpus[i].tid = (pid_t)get_u32(c);
	}
	guest->vcpus = vcpus;
	guest->n_vcpus = n;
	return 0;
}

/* What it has got when it fails is left in @ret for free_guest(). */
static int get_guest(struct cursor *c, struct vpmu_guest_info *ret, struct vpmu_section_life *ret_life)
{
	uint32_t accel;
	int r;

	ret->pid = (pid_t)get_u32(c);
	ret->start_ticks = le64toh(cursor_u64(c));
	accel = get_u32(c);
	ret->accel = accel <= VPMU_ACCEL_TCG ? (enum vpmu_accel)accel : VPMU_ACCEL_UNKNOWN;
	ret->name = get_string(c);
	ret->uuid = get_string(c);
	ret->exe = get_string(c);
	if (c->failed)
		return -EBADMSG;
	if (!ret->name || !ret->uuid || !ret->exe)
		return -ENOMEM;
	r = get_vcpus(c, ret);
	if (r == 0 && cursor_left(c) >= 2 * sizeof(uint64_t)) {
		ret_life->from_ns = le64toh(cursor_u64(c));
		ret_life->until_ns = le64toh(cursor_u64(c));
	}
	if (r == 0 && cursor_left(c) >= sizeof(uint32_t))
		ret_life->not_linux = get_u32(c) & 1;
	return r;
}

static int get_header(struct cursor *c, uint32_t *ret_count)
{
	uint32_t version = get_u32(c);

	*ret_count = get_u32(c);
	return c->failed || version != SECTION_VERSION ? -EBADMSG : 0;
}

static int get_guests(struct cursor *c, uint32_t count, struct vpmu_section_guests *ret)
{
	VEC(struct vpmu_guest_info) guests = {};
	VEC(struct vpmu_section_life) lives = {};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		struct cursor entry = get_entry(c);
		struct vpmu_guest_info guest = {};
		struct vpmu_section_life life = {};

		r = entry.failed ? -EBADMSG : get_guest(&entry, &guest, &life);
		if (r == 0 && (!vec_push(&lives, life) || !vec_push(&guests, guest)))
			r = -ENOMEM;
		if (r < 0)
			free_guest(&guest);
	}
	ret->guests = guests.items;
	ret->n_guests = guests.n;
	ret->lives = lives.items;
	return r;
}

int vpmu_section_guests_decode(const void *bytes, size_t n, struct vpmu_section_guests *ret)
{
	struct vpmu_section_guests guests = {};
	struct cursor c = cursor_of(bytes, n);
	uint32_t count;
	int r;

	r = get_header(&c, &count);
	if (r < 0 || count > VPMU_SECTION_MAX_GUESTS)
		return -EBADMSG;
	guests.source = get_string(&c);
	if (!guests.source)
		return c.failed ? -EBADMSG : -ENOMEM;
	r = get_guests(&c, count, &guests);
	if (r == 0) {
		guests.boot_id = cursor_left(&c) ? get_string(&c) : strdup("");
		r = c.failed ? -EBADMSG : guests.boot_id ? 0 : -ENOMEM;
	}
	if (r < 0) {
		vpmu_section_guests_deinit(&guests);
		return r;
	}
	*ret = guests;
	return 0;
}

void vpmu_section_guests_deinit(struct vpmu_section_guests *guests)
{
	for (size_t i = 0; i < guests->n_guests; i++)
		free_guest(&guests->guests[i]);
	free(guests->guests);
	free(guests->lives);
	free(guests->boot_id);
	free(guests->source);
	*guests = (struct vpmu_section_guests){};
}

static int get_table(struct cursor *c, struct vpmu_section_table *ret, char **ret_path)
{
	const uint8_t *build_id;
	uint32_t n;

	ret->kind = get_u32(c);
	ret->guest = get_u32(c);
	*ret_path = get_string(c);
	ret->path = *ret_path;
	n = get_u32(c);
	build_id = cursor_bytes(c, n);
	if (build_id && n <= sizeof(ret->build_id)) {
		memcpy(ret->build_id, build_id, n);
		ret->build_id_bytes = (uint8_t)n;
	}
	ret->image_bytes = get_u32(c);
	ret->image = cursor_bytes(c, ret->image_bytes);
	if (c->failed || n > sizeof(ret->build_id))
		return -EBADMSG;
	return ret->path ? 0 : -ENOMEM;
}

int vpmu_section_tables_decode(const void *bytes, size_t n,
			       int (*fn)(const struct vpmu_section_table *table, void *data),
			       void *data)
{
	struct cursor c = cursor_of(bytes, n);
	uint32_t count;
	int r;

	r = get_header(&c, &count);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		struct cursor entry = get_entry(&c);
		struct vpmu_section_table table = {};
		_free_ char *path = NULL;

		r = entry.failed ? -EBADMSG : get_table(&entry, &table, &path);
		if (r == 0)
			r = fn(&table, data);
	}
	return r;
}
