/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdlib.h>
#include <vpmu/session.h>

#include "preload.h"
#include "util/error.h"
#include "util/macro.h"

/* Outlives its owner while the job is under way. */
struct preload {
	struct vpmu_session *session; /* NULL = not there yet, or it cannot be had */
	bool busy, freed;
};

static void destroy(struct preload *preload)
{
	vpmu_session_free(preload->session);
	free(preload);
}

static void load(void *data)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock", .guest_chains = true);
	struct preload *preload = data;
	struct vpmu_error error;

	(void)vpmu_session_new(&opts, &preload->session, &error);
}

static void loaded(void *data, bool cancelled)
{
	struct preload *preload = data;

	(void)cancelled;
	preload->busy = false;
	if (preload->freed)
		destroy(preload);
}

int preload_new(struct jobs *jobs, struct preload **ret_preload, struct vpmu_error *reterr)
{
	_cleanup_(preload_freep) struct preload *preload = calloc(1, sizeof(*preload));
	int r;

	if (!preload)
		return error_oom(reterr);
	r = jobs_run(jobs, load, loaded, preload);
	if (r < 0)
		return error_errno(reterr, r, "load", "BPF programs");
	preload->busy = true;
	*ret_preload = take_ptr(preload);
	return 0;
}

struct preload *preload_free(struct preload *preload)
{
	if (!preload)
		return NULL;
	preload->freed = true;
	if (!preload->busy)
		destroy(preload);
	return NULL;
}
