/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <string.h>

#include "guest/qemu_args.h"
#include "util/macro.h"
#include "util/utf8.h"

/*
 * Characters that act on what stands around them: control characters, which move a terminal's cursor (C1's, U+0080 to
 * U+009F, as well), and U+202A to E and U+2066 to 9, which turn the direction of writing.
 */
static bool is_active(const unsigned char *s, size_t n)
{
	if (n == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (n == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	return n == 3 && s[0] == 0xe2 &&
	       ((s[1] == 0x80 && s[2] >= 0xaa && s[2] <= 0xae) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
}

void name_sanitise(char *s)
{
	for (size_t left = strlen(s), n; left; s += n, left -= n) {
		n = utf8_character(s, left);
		if (n == 0 || is_active((const unsigned char *)s, n)) {
			n = MAX(n, 1u);
			memset(s, '?', n);
		}
	}
}

/* Cuts @s to fewer than @room bytes, between characters. */
static void copy_cut(char *dst, size_t room, const char *src, size_t n)
{
	if (n >= room) {
		n = room - 1;
		while (n && ((unsigned char)src[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(dst, src, n);
	dst[n] = '\0';
}

/* The next item of a list: its bytes with ",," made ",", in @item (cut to @room). Returns what follows, or NULL. */
static const char *next_item(const char *list, char *item, size_t room)
{
	char text[2 * GUEST_NAME_BYTES_MAX];
	size_t n = 0;

	for (; *list; list++) {
		if (*list == ',' && *++list != ',')
			break;
		if (n < sizeof(text))
			text[n++] = *list;
	}
	copy_cut(item, room, text, n);
	return *list ? list : NULL;
}

static void parse_name(const char *list, char *ret_name)
{
	char item[GUEST_NAME_BYTES_MAX + sizeof("guest=")];
	bool first = true;

	while (list) {
		list = next_item(list, item, sizeof(item));
		if (starts_with(item, "guest="))
			copy_cut(ret_name, GUEST_NAME_BYTES_MAX, item + 6, strlen(item + 6));
		else if (first && !strchr(item, '='))
			copy_cut(ret_name, GUEST_NAME_BYTES_MAX, item, strlen(item));
		first = false;
	}
	name_sanitise(ret_name);
}

static void parse_uuid(const char *s, char *ret_uuid)
{
	char uuid[GUEST_UUID_BYTES];

	ret_uuid[0] = '\0';
	if (strlen(s) != GUEST_UUID_BYTES - 1)
		return;
	for (size_t i = 0; i < GUEST_UUID_BYTES; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (s[i] && (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i])))
			return;
		uuid[i] = (char)tolower((unsigned char)s[i]);
	}
	memcpy(ret_uuid, uuid, sizeof(uuid));
}

void qemu_args_parse(const char *cmdline, size_t n_bytes, struct qemu_args *ret_args)
{
	const char *end = cmdline + n_bytes, *next, *value_of = NULL;

	memset(ret_args, 0, sizeof(*ret_args));
	for (const char *arg = cmdline; arg < end; arg = next) {
		next = memchr(arg, '\0', (size_t)(end - arg));
		if (!next++)
			break;
		if (value_of) {
			if (streq(value_of, "name"))
				parse_name(arg, ret_args->name);
			else
				parse_uuid(arg, ret_args->uuid);
			value_of = NULL;
			continue;
		}
		if (arg[0] != '-')
			continue;
		arg += arg[1] == '-' ? 2 : 1;
		value_of = streq(arg, "name") || streq(arg, "uuid") ? arg : NULL;
	}
}

bool qemu_args_is_qemu(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	return starts_with(base, "qemu-system-") || streq(base, "qemu-kvm") || streq(base, "kvm");
}
