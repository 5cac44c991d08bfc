/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/kernel_symbols.h"
#include "sym/cache.h"
#include "sym/kallsyms_table.h"
#include "sym/kernel_cache.h"
#include "util/hash.h"
#include "util/io.h"
#include "util/log.h"
#include "util/macro.h"

#define KALLSYMS	  "/proc/kallsyms"
#define CACHE_NAME	  "host-kallsyms"
#define MAX_NOTES_BYTES	  (1u << 20)
#define MAX_MODULES_BYTES (16u << 20)
#define RULES_VERSION	  1 /* to be raised when kallsyms_table.c or symtab_build.c make something else of the same text */

/* The meta bytes of a cached table. */
struct cache_key {
	uint32_t rules;
	uint32_t build_id_bytes;
	uint8_t build_id[BUILD_ID_MAX_BYTES];
	uint32_t zero;
	uint64_t boot, modules; /* hashes */
};

void kernel_cache_running(struct build_id *ret_build_id)
{
	_free_ char *notes = NULL;
	size_t n;

	ret_build_id->n = 0;
	if (io_read_file(AT_FDCWD, "/sys/kernel/notes", MAX_NOTES_BYTES, &notes, &n) == 0)
		build_id_from_notes(ret_build_id, notes, n);
}

void kernel_cache_boot(char ret_id[KERNEL_BOOT_ID_ROOM])
{
	_free_ char *text = NULL;
	size_t n;

	ret_id[0] = '\0';
	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", KERNEL_BOOT_ID_ROOM - 1, &text, &n) == 0)
		snprintf(ret_id, KERNEL_BOOT_ID_ROOM, "%.*s", (int)strcspn(text, "\n"), text);
}

bool kernel_cache_is_live(const struct sym_env *env)
{
	return streq(env->kallsyms_path, KALLSYMS);
}

/* A kernel without modules has no /proc/modules: an empty text. */
static void read_modules(const struct sym_env *env, char **ret_text, size_t *ret_n)
{
	*ret_n = 0;
	/* Where modules end is known for the real thing only. */
	if (kernel_cache_is_live(env))
		(void)io_read_file(AT_FDCWD, "/proc/modules", MAX_MODULES_BYTES, ret_text, ret_n);
}

/* Addresses that /proc/kallsyms hides may be had from elsewhere. Its own error is the one that tells what to do. */
static int read_table(const struct sym_env *env, const struct kallsyms_source *source, struct symtab **ret_table,
		      struct vpmu_error *reterr)
{
	struct kallsyms_source other = *source;
	struct vpmu_error error;
	int r = kallsyms_table_read(source, ret_table, &error), second;

	if (r != -EACCES || !kernel_cache_is_live(env)) {
		if (r < 0 && reterr)
			*reterr = error;
		return r;
	}
	other.open = kernel_symbols_open;
	second = kallsyms_table_read(&other, ret_table, NULL);
	if (second == 0)
		return 0;
	log_debug("ignoring the kernel's symbols by BPF: %s", strerror(-second));
	if (reterr)
		*reterr = error;
	return r;
}

int kernel_cache_read_live(const struct sym_env *env, struct symtab **ret_table, struct vpmu_error *reterr)
{
	struct kallsyms_source source = { .path = env->kallsyms_path };
	_free_ char *modules = NULL;

	read_modules(env, &modules, &source.modules_bytes);
	source.modules = modules;
	return read_table(env, &source, ret_table, reterr);
}

/*
 * What tells this kernel with these modules from all others; false if that cannot be known. Use counts and states in /proc/modules
 * change without a symbol moving, so a hash of the whole text is too careful, which costs some 40 ms now and then.
 */
static bool make_key(const char *modules, size_t modules_bytes, struct cache_key *ret_key)
{
	char boot[KERNEL_BOOT_ID_ROOM];
	struct build_id build_id;

	kernel_cache_running(&build_id);
	kernel_cache_boot(boot);
	if (!build_id.n || !boot[0])
		return false;
	*ret_key = (struct cache_key){
		.rules = RULES_VERSION,
		.build_id_bytes = build_id.n,
		.boot = hash_fingerprint(boot, strlen(boot)),
		.modules = hash_fingerprint(modules ? modules : "", modules_bytes),
	};
	memcpy(ret_key->build_id, build_id.bytes, build_id.n);
	return true;
}

int kernel_cache_read(const struct sym_env *env, struct symtab **ret_table,
		      enum kernel_table_origin *ret_origin, struct vpmu_error *reterr)
{
	struct kallsyms_source source = { .path = env->kallsyms_path, .without_dynamic = true };
	_free_ char *modules = NULL;
	struct cache_key key;
	int r;

	static_assert(sizeof(key) <= SYMTAB_META_BYTES, "the key is stored with the table");
	*ret_origin = KERNEL_TABLE_LIVE;
	if (!env->cache_dir || !kernel_cache_is_live(env))
		return kernel_cache_read_live(env, ret_table, reterr);
	read_modules(env, &modules, &source.modules_bytes);
	if (!make_key(modules, source.modules_bytes, &key))
		return kernel_cache_read_live(env, ret_table, reterr);
	r = cache_load(env->cache_dir, CACHE_NAME, &key, sizeof(key), ret_table);
	if (r == 0) {
		*ret_origin = KERNEL_TABLE_CACHED;
		return 0;
	}
	if (r != -ENOENT && r != -ESTALE)
		log_debug("ignoring the cached kernel symbols in '%s': %s", env->cache_dir, strerror(-r));
	source.modules = modules;
	source.meta = &key;
	source.meta_bytes = sizeof(key);
	r = read_table(env, &source, ret_table, reterr);
	if (r == 0)
		*ret_origin = KERNEL_TABLE_TO_CACHE;
	return r;
}

int kernel_cache_save(const struct sym_env *env, const struct symtab *table)
{
	return cache_save(env->cache_dir, CACHE_NAME, table);
}
