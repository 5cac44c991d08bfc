/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest_select.h"
#include "util/macro.h"

int guest_patterns(struct call *call, const char *parameter, const char ***ret_patterns, size_t *ret_n)
{
	_free_ const char **patterns = NULL;
	size_t n;
	int r = call_strings(call, parameter, &patterns, &n);

	if (r < 0)
		return r;
	if (n > GUEST_PATTERNS_MAX) {
		call_bad_value(call, parameter, "more than %d guests are named", GUEST_PATTERNS_MAX);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (strnlen(patterns[i], GUEST_PATTERN_BYTES_MAX + 1) <= GUEST_PATTERN_BYTES_MAX)
			continue;
		call_bad_value(call, parameter, "a name longer than %d bytes", GUEST_PATTERN_BYTES_MAX);
		return 0;
	}
	*ret_patterns = take_ptr(patterns);
	*ret_n = n;
	return 1;
}

bool guest_selected(const struct domain *domain, const struct access *access, const struct peer *peer,
		    const char *const *patterns, size_t n_patterns)
{
	bool meant = n_patterns == 0;

	for (size_t i = 0; !meant && i < n_patterns; i++)
		meant = domain_matches(domain, patterns[i]);
	return meant && access_may_see(access, peer, domain->name, domain->uuid);
}
