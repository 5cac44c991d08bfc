/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <string.h>

#include "guest/qemu_args.h"
#include "util/macro.h"

/* The length of the UTF-8 character at @s (never past its NUL); 0 if there is none, or an unwanted one. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	uint32_t c;

	if (n <= 1)
		return n == 1 && s[0] >= 0x20 && s[0] != 0x7f;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	/* C1 controls move a terminal's cursor too, and U+202A..E, U+2066..9 reorder what stands beside them. */
	if (c < 0xa0 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return n;
}

void name_sanitise(char *s)
{
	while (*s) {
		size_t n = utf8_length((const unsigned char *)s);

		if (n == 0)
			*s = '?';
		s += n ? n : 1;
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
