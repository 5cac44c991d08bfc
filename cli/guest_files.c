/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --guest-kallsyms and its kin: files that name a guest's addresses, each for one guest or for
 * all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/macro.h"
#include "input.h"

#define FIELD(name) offsetof(struct guest_file_args, name)

const struct option_spec guest_file_options[] = {
	{ .name = "guest-kallsyms", .arg = "[GUEST=]FILE", .set = option_name_list, .offset = FIELD(kallsyms),
	  .help = "a copy of the guest's /proc/kallsyms, of this boot and read as root" },
	{ .name = "guest-modules", .arg = "[GUEST=]FILE", .set = option_name_list, .offset = FIELD(modules),
	  .help = "a copy of the guest's /proc/modules" },
	{ .name = "guest-vmlinux", .arg = "[GUEST=]FILE", .set = option_name_list, .offset = FIELD(vmlinux),
	  .help = "the guest kernel's vmlinux, not stripped" },
	{ .name = "guest-kaslr", .arg = "[GUEST=]OFFSET", .set = option_name_list, .offset = FIELD(kaslr),
	  .help = "how far the guest's kernel is from where its vmlinux was linked, e.g. 0x1a000000 "
		  "(default: worked out from --guest-kallsyms)" },
	{ .name = "guest-image", .arg = "[GUEST=]ELF", .set = option_name_list, .offset = FIELD(images),
	  .help = "an ELF file that runs in the guest at its link addresses" },
	{ .name = "guest-root", .arg = "[GUEST=]DIR", .set = option_name_list, .offset = FIELD(roots),
	  .help = "a directory with the guest's files: its programs are looked for there" },
	{},
};

const struct option_spec guest_types_options[] = {
	{ .name = "guest-vmlinux", .arg = "[GUEST=]FILE", .set = option_name_list, .offset = FIELD(types),
	  .help = "the guest kernel's vmlinux with section .BTF, for a kernel without type information" },
	{},
};

/*
 * Splits "GUEST=REST"; *ret_guest is empty without one. A file's name may hold a '=' too: what
 * stands before it is a guest unless it looks like a path (names of guests cannot hold a '/').
 */
static int split(const char *text, char *ret_guest, size_t room, const char **ret_rest,
		 struct vpmu_error *reterr)
{
	const char *equals = strchr(text, '='), *slash = strchr(text, '/');

	ret_guest[0] = '\0';
	*ret_rest = text;
	if (!equals || (slash && slash < equals))
		return 0;
	if (equals == text || !equals[1] || (size_t)(equals - text) >= room)
		return error_set(reterr, -EINVAL, "'%s' is not of the form GUEST=FILE", text);
	memcpy(ret_guest, text, (size_t)(equals - text));
	ret_guest[equals - text] = '\0';
	*ret_rest = equals + 1;
	return 0;
}

struct guest_file {
	uint32_t guest;
	const char *rest; /* file or offset */
};

static int parse(const struct guest_finder *finder, const char *text, struct guest_file *ret,
		 struct vpmu_error *reterr)
{
	char guest[256];
	int r;

	ret->guest = VPMU_NO_GUEST;
	r = split(text, guest, sizeof(guest), &ret->rest, reterr);
	if (r < 0 || !guest[0])
		return r;
	return finder->find(finder->data, guest, &ret->guest, reterr);
}

static int parse_offset(const char *text, int64_t *ret_bytes, struct vpmu_error *reterr)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 16);
	if (!starts_with(text, "0x") || !text[2] || *end || errno || value > INT64_MAX)
		return error_set(reterr, -EINVAL, "'%s' is no KASLR offset: it looks like 0x1a000000", text);
	*ret_bytes = (int64_t)value;
	return 0;
}

/* The offset given for @guest, or the one given for all; untouched if there is neither. */
static int find_kaslr(const struct guest_finder *finder, const struct name_list *offsets,
		      uint32_t guest, int64_t *ret_bytes, struct vpmu_error *reterr)
{
	for (size_t i = 0; i < offsets->n; i++) {
		struct guest_file offset;
		int64_t bytes = 0;
		int r;

		r = parse(finder, offsets->items[i], &offset, reterr);
		if (r < 0)
			return r;
		r = parse_offset(offset.rest, &bytes, reterr);
		if (r < 0)
			return r;
		if (offset.guest == guest ||
		    (offset.guest == VPMU_NO_GUEST && *ret_bytes == VPMU_KASLR_AUTO))
			*ret_bytes = bytes;
	}
	return 0;
}

static void ignore_sample(const struct vpmu_sample *sample, void *data)
{
	(void)sample;
	(void)data;
}

static bool names_a_guest(const struct name_list *list)
{
	char guest[256];
	const char *rest;

	for (size_t i = 0; i < list->n; i++)
		if (split(list->items[i], guest, sizeof(guest), &rest, NULL) == 0 && guest[0])
			return true;
	return false;
}

int input_know_guests(struct input *input, const struct guest_file_args *args,
		      const struct name_list *names, struct vpmu_error *reterr)
{
	bool named = names->n || names_a_guest(&args->kallsyms) || names_a_guest(&args->modules) ||
		     names_a_guest(&args->vmlinux) || names_a_guest(&args->kaslr) ||
		     names_a_guest(&args->images) || names_a_guest(&args->roots);

	if (!named || vpmu_recording_info(input->recording)->n_guests || streq(input->path, "-"))
		return 0;
	return vpmu_recording_read(input->recording, ignore_sample, NULL, reterr);
}

int guest_files_name(const struct guest_file_args *args, struct vpmu_symbolizer *symbolizer,
		     const struct guest_finder *finder, struct vpmu_error *reterr)
{
	const struct {
		const struct name_list *list;
		enum vpmu_guest_symbols kind;
	} kinds[] = {
		{ &args->modules, VPMU_GUEST_MODULES }, /* before kallsyms, whose last symbols they end */
		{ &args->kallsyms, VPMU_GUEST_KALLSYMS },
		{ &args->vmlinux, VPMU_GUEST_VMLINUX },
		{ &args->images, VPMU_GUEST_IMAGE },
		{ &args->roots, VPMU_GUEST_ROOT },
		{ &args->types, VPMU_GUEST_TYPES },
	};
	int r;

	if (args->kaslr.n && !args->vmlinux.n)
		return error_set(reterr, -EINVAL, "--guest-kaslr means nothing without --guest-vmlinux");
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < kinds[k].list->n; i++) {
			int64_t kaslr = VPMU_KASLR_AUTO;
			struct guest_file file;

			r = parse(finder, kinds[k].list->items[i], &file, reterr);
			if (r < 0)
				return r;
			r = find_kaslr(finder, &args->kaslr, file.guest, &kaslr, reterr);
			if (r < 0)
				return r;
			r = vpmu_symbolizer_guest_file(symbolizer, file.guest, kinds[k].kind, file.rest,
						       kaslr, reterr);
			if (r < 0)
				return r;
		}
	return 0;
}

static int find_in_input(void *data, const char *spec, uint32_t *ret_guest, struct vpmu_error *reterr)
{
	return input_find_guest(data, spec, ret_guest, reterr);
}

int input_name(struct input *input, const struct guest_file_args *args, struct vpmu_error *reterr)
{
	const struct guest_finder finder = { find_in_input, input };

	return guest_files_name(args, vpmu_recording_symbolizer(input->recording), &finder, reterr);
}

struct live_guests {
	const struct vpmu_guests *guests;
	const struct vpmu_session *session;
};

static int find_live(void *data, const char *spec, uint32_t *ret_guest, struct vpmu_error *reterr)
{
	const struct live_guests *live = data;
	const struct vpmu_guest_info *wanted = NULL, *guest;
	int r = vpmu_guests_find(live->guests, spec, &wanted, reterr);

	if (r < 0)
		return r;
	for (uint32_t i = 0; (guest = vpmu_session_guest(live->session, i)); i++)
		if (guest->pid == wanted->pid) {
			*ret_guest = i;
			return 0;
		}
	return error_set(reterr, -ENOENT, "guest '%s' is not among those to be looked at", spec);
}

int guest_files_name_live(const struct guest_file_args *args, struct vpmu_session *session, const struct vpmu_guests *guests,
			  struct vpmu_error *reterr)
{
	struct live_guests live = { guests, session };

	return guest_files_name(args, vpmu_session_symbolizer(session), &(struct guest_finder){ find_live, &live }, reterr);
}
