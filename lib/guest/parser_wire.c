/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/parser_wire.h"
#include "util/macro.h"

int parser_send(const struct parser_link *link, uint32_t kind, const void *bytes, size_t n)
{
	const struct parser_head head = {kind, (uint32_t)n};
	int r = link->send(link->data, &head, sizeof(head));

	return r < 0 || !n ? r : link->send(link->data, bytes, n);
}

int parser_send_parts(const struct parser_link *link, const void *bytes, size_t n)
{
	int r = 0;

	for (size_t at = 0; at < n && r == 0; at += PARSER_PART_MAX)
		r = parser_send(link, PARSER_PART, (const char *)bytes + at, MIN(n - at, (size_t)PARSER_PART_MAX));
	return r;
}
