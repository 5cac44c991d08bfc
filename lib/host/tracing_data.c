/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/tracing_data.h"
#include "util/cleanup.h"
#include "util/io.h"

#define FORMAT_BYTES_MAX (1u << 20)

static void put_u32(struct strbuf *out, uint32_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_u64(struct strbuf *out, uint64_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

/* With its NUL. */
static void put_string(struct strbuf *out, const char *string)
{
	strbuf_add(out, string, strlen(string) + 1);
}

static int put_file(const char *tracefs, const char *name, struct strbuf *out)
{
	_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "%s/events/%s", tracefs, name);
	r = io_read_file(AT_FDCWD, path, FORMAT_BYTES_MAX, &text, &n);
	if (r < 0)
		return r;
	put_u64(out, n);
	strbuf_add(out, text, n);
	return 0;
}

/* Each event in a system of its own: perf does not mind a system that comes twice. */
static int put_event(const char *tracefs, const char *name, struct strbuf *out)
{
	char event[NAME_MAX + 1], path[2 * NAME_MAX + 16];
	size_t n = strcspn(name, ":");

	if (n >= sizeof(event) || name[n] != ':')
		return -EINVAL;
	snprintf(event, sizeof(event), "%.*s", (int)n, name);
	put_string(out, event);
	put_u32(out, 1);
	name += n + 1;
	snprintf(path, sizeof(path), "%s/%.*s/format", event, (int)strcspn(name, ":"), name);
	return put_file(tracefs, path, out);
}

int tracing_data_make(const char *tracefs, const char *const *names, size_t n, struct strbuf *out)
{
	int r;

	strbuf_add(out, "\x17\x08\x44tracing", 10);
	put_string(out, "0.6");
	strbuf_addc(out, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	strbuf_addc(out, sizeof(long));
	put_u32(out, (uint32_t)sysconf(_SC_PAGESIZE));
	put_string(out, "header_page");
	r = put_file(tracefs, "header_page", out);
	if (r == 0) {
		put_string(out, "header_event");
		r = put_file(tracefs, "header_event", out);
	}
	put_u32(out, 0);
	put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_event(tracefs, names[i], out);
	put_u32(out, 0);
	put_u32(out, 0);
	put_u64(out, 0);
	if (r < 0)
		return r;
	return out->failed ? -ENOMEM : 0;
}
