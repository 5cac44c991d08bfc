/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <vpmu/host.h>

#include "node.h"

/* Each of vpmud's sessions is a request, and each always-on or counting part of vpmud; vpmud.conf bounds the former. */
#define REQUESTS_MAX 1000

DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)

int node_probe(struct arbiter_node *ret_node, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_host_freep) struct vpmu_host *host = NULL;
	int r = vpmu_host_new(NULL, &host, reterr);

	if (r < 0)
		return r;
	*ret_node = (struct arbiter_node){
		.mediated = !vpmu_host_ability(host, VPMU_ABILITY_MEDIATED_PMU)->ok,
		.max_requests = REQUESTS_MAX,
	};
	vpmu_host_counters(host, &ret_node->n_counters, &ret_node->fixed);
	return 0;
}
