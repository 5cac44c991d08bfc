/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file is named by its directory entry (dentry), which knows the one above; where a file system's
 * root is reached, the name goes on at the place where that is mounted.
 *
 * Files that are mapped through overlayfs have two names: since 6.7 (def3ae83da02) f_path is that
 * of the layer below, and the one that users know is kept behind struct file, in struct
 * backing_file.
 */
#include <errno.h>
#include <string.h>

#include "guest/file_names.h"
#include "guest/kernel_types.h"
#include "util/macro.h"

#define COMPONENTS_MAX	2048
#define COMPONENT_BYTES 256
#define MODE_BACKING	(1u << 24) /* FMODE_BACKING */

/* Writes a path from its end to its beginning. */
struct backwards {
	char *text;
	size_t at;
};

static bool prepend(struct backwards *b, const char *s)
{
	size_t n = strlen(s);

	if (n > b->at)
		return false;
	b->at -= n;
	memcpy(b->text + b->at, s, n);
	return true;
}

struct place {
	uint64_t mount, dentry; /* struct mount, not the vfsmount in it */
};

/* One step up from a file system's root: to where it is mounted. -ENOENT: it is the guest's root.
 */
static int cross_mount(struct vpmu_kernel *k, struct place *place)
{
	const struct kernel_types *t = k->types;
	uint64_t parent;
	int r = kernel_read_u64(k, place->mount + t->file.mount_parent, &parent);

	if (r < 0)
		return r;
	if (parent == place->mount)
		return -ENOENT;
	r = kernel_read_u64(k, place->mount + t->file.mount_mountpoint, &place->dentry);
	place->mount = parent;
	return r;
}

static int read_component(struct vpmu_kernel *k, uint64_t dentry, char name[COMPONENT_BYTES])
{
	uint64_t at;
	int r = kernel_read_u64(k, dentry + k->types->file.dentry_name, &at);

	return r < 0 ? r : (int)MIN(kernel_read_string(k, at, name, COMPONENT_BYTES), 0);
}

static int walk_up(struct vpmu_kernel *k, struct place place, struct backwards *b)
{
	const struct kernel_types *t = k->types;
	char name[COMPONENT_BYTES];
	int r;

	for (int i = 0; i < COMPONENTS_MAX; i++) {
		uint64_t root, parent;

		r = kernel_read_u64(k, place.mount + t->file.mount_root, &root);
		if (r == 0 && place.dentry == root) {
			r = cross_mount(k, &place);
			if (r == -ENOENT)
				return b->text[b->at] == '/' || prepend(b, "/") ? 0 : -EFAULT;
			if (r < 0)
				return r;
			continue;
		}
		if (r == 0)
			r = kernel_read_u64(k, place.dentry + t->file.dentry_parent, &parent);
		if (r == 0)
			r = read_component(k, place.dentry, name);
		if (r < 0)
			return r;
		if (parent == place.dentry)
			/* In no tree: memfd, shared memory, pipes. They count as deleted
			 * (simple_dname()). */
			return prepend(b, name) && prepend(b, "/") && i == 0 ? -ENOENT : -EFAULT;
		if (!prepend(b, name) || !prepend(b, "/"))
			return -EFAULT;
		place.dentry = parent;
	}
	return -EFAULT;
}

static int read_path(struct vpmu_kernel *k, uint64_t path_gva, struct place *ret)
{
	uint64_t words[2]; /* struct path: mnt, dentry */
	int r = kernel_read(k, path_gva, words, sizeof(words));

	if (r == 0)
		*ret = (struct place){.mount = words[0] - k->types->file.mount_vfs,
				      .dentry = words[1]};
	return r;
}

static int read_device(struct vpmu_kernel *k, uint64_t inode, struct file_name *ret)
{
	const struct kernel_types *t = k->types;
	uint64_t super;
	uint32_t dev = 0;
	int r = kernel_read_u64(k, inode + t->file.inode_number, &ret->inode);

	if (r == 0)
		r = kernel_read_u64(k, inode + t->file.inode_super, &super);
	if (r == 0)
		r = kernel_read_u32(k, super + t->file.super_dev, &dev);
	ret->major = dev >> 20;
	ret->minor = dev & 0xfffff;
	return r;
}

/* " (deleted)" goes behind the name of what is not in its directory any more: d_unlinked(). */
static int is_unlinked(struct vpmu_kernel *k, uint64_t dentry, bool *ret)
{
	uint64_t hashed, parent = 0;
	int r = kernel_read_u64(k, dentry + k->types->file.dentry_hashed, &hashed);

	if (r == 0)
		r = kernel_read_u64(k, dentry + k->types->file.dentry_parent, &parent);
	*ret = r == 0 && !hashed && parent != dentry;
	return r;
}

int file_name_read(struct vpmu_kernel *k, uint64_t file_gva, char *text, size_t room,
		   struct file_name *ret)
{
	const struct kernel_types *t = k->types;
	static const char deleted[] = " (deleted)";
	struct backwards b = {text, room - 1 - (sizeof(deleted) - 1)};
	uint64_t path_gva = file_gva + t->file.path, inode;
	struct place place;
	bool unlinked = false;
	uint32_t mode = 0;
	int r;

	text[0] = '\0';
	text[b.at] = '\0';
	if (t->file.user_path != NO_MEMBER)
		kernel_read_u32(k, file_gva + t->file.mode, &mode);
	if (mode & MODE_BACKING)
		path_gva = file_gva + t->file.user_path;
	r = read_path(k, path_gva, &place);
	if (r == 0 && mode & MODE_BACKING)
		r = kernel_read_u64(k, place.dentry + t->file.dentry_inode, &inode);
	else if (r == 0)
		r = kernel_read_u64(k, file_gva + t->file.inode, &inode);
	if (r == 0)
		r = read_device(k, inode, ret);
	if (r == 0)
		r = is_unlinked(k, place.dentry, &unlinked);
	if (r == 0)
		r = walk_up(k, place, &b);
	if (r < 0 && r != -ENOENT)
		return r;
	memmove(text, text + b.at, strlen(text + b.at) + 1);
	if (r == -ENOENT || unlinked)
		strcat(text, deleted);
	return 0;
}
