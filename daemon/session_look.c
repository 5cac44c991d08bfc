/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a session has seen: the runner's cuts, merged into one profile (total), of which who looks gets a copy: one for all who
 * wait at that time, read-only, so that many who look take no more memory than one.
 *
 *	look -> cut (the runner's thread names addresses) -> job (merge, copy) -> fn
 *
 * One of these is under way at a time, and serves all who were waiting when the cut came back. The job has the total while
 * it works, so nobody else touches it.
 */
#include <errno.h>

#include "session.h"
#include "util/error.h"
#include "util/macro.h"

#define LOOKS_MAX 64
/* A session whose profile is larger ends: what has so many places is no profile any more. */
#define TOTAL_BYTES (64u << 20)

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

struct merge {
	struct session *session;
	unsigned int epoch;
	struct vpmu_profile *total, *from, *copy;
	struct vpmu_error error, copy_error; /* of the merging; of the copying */
	size_t n;
	struct look looks[];
};

/* ---- in the pool ---- */

static int copy_profile(const struct vpmu_profile *of, struct vpmu_profile **ret_copy, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *copy = NULL;
	int r = vpmu_profile_new(NULL, &copy, reterr);

	if (r == 0)
		r = vpmu_profile_merge(copy, of, reterr);
	if (r < 0)
		return r;
	*ret_copy = take_ptr(copy);
	return 0;
}

static void merge_and_copy(void *data)
{
	struct merge *merge = data;

	if (!merge->total)
		merge->total = take_ptr(merge->from);
	else if (merge->from)
		(void)vpmu_profile_merge(merge->total, merge->from, &merge->error);
	merge->from = vpmu_profile_free(merge->from);
	if (merge->n && merge->total)
		(void)copy_profile(merge->total, &merge->copy, &merge->copy_error);
}

/* ---- in the loop ---- */

static void go_on(struct session *session);

static void serve(const struct merge *merge, const struct vpmu_error *error)
{
	const struct vpmu_error *why = merge->copy_error.code ? &merge->copy_error : error;

	for (size_t i = 0; i < merge->n; i++)
		merge->looks[i].fn(merge->copy ? vpmu_profile_ref(merge->copy) : NULL, merge->copy ? NULL : why,
				   merge->looks[i].data);
}

static void merged(void *data, bool cancelled)
{
	struct merge *merge = data;
	_cleanup_(session_unrefp) struct session *session = merge->session;
	struct vpmu_error none;

	error_set(&none, cancelled ? -ECANCELED : -ENODATA,
		  cancelled ? "vpmud ends" : "session '%s' has no samples yet", session->name);
	if (merge->error.code)
		session->look_error = merge->error;
	if (merge->epoch == session->epoch)
		session->total = take_ptr(merge->total);
	vpmu_profile_free(merge->total);
	vpmu_profile_free(merge->from);
	session->looking = false;
	if (session->total && vpmu_profile_memory(session->total) > TOTAL_BYTES)
		session_end_early(session, "its profile has grown to 64 MiB");
	serve(merge, session->look_error.code ? &session->look_error : &none);
	vpmu_profile_free(merge->copy);
	free(merge);
	if (session->all && session->runner && session->last_taken)
		session_closed(session);
	if (session->all)
		go_on(session);
}

static void merge_in_loop(void *data)
{
	merge_and_copy(data);
	merged(data, false);
}

/*
 * @profile: what the cut gave, taken. Nobody is called from here. -ENOMEM: those who wait still do, and will not be served.
 */
static int begin_merge(struct session *session, struct vpmu_profile *profile)
{
	struct merge *merge = calloc(1, sizeof(*merge) + session->looks.n * sizeof(merge->looks[0]));
	int r;

	if (!merge) {
		vpmu_profile_free(profile);
		session->looking = false;
		return -ENOMEM;
	}
	merge->session = session_ref(session);
	merge->epoch = session->epoch;
	merge->total = take_ptr(session->total);
	merge->from = profile;
	merge->n = session->looks.n;
	for (size_t i = 0; i < merge->n; i++)
		merge->looks[i] = session->looks.items[i];
	session->looks.n = 0;
	r = jobs_run(session->jobs, merge_and_copy, merged, merge);
	/* The pool is full: better a slow loop than a profile with a hole. */
	if (r < 0)
		r = jobs_post(session->jobs, merge_in_loop, merge);
	if (r == 0)
		return 0;
	session->looks.n = merge->n; /* they are still there */
	session->total = merge->total;
	session->looking = false;
	vpmu_profile_free(merge->from);
	session_unref(merge->session);
	free(merge);
	return r;
}

/* There is no memory for those who wait. */
static void give_up(struct session *session)
{
	_cleanup_(session_unrefp) struct session *held = session_ref(session);
	struct vpmu_error error;

	error_oom(&error);
	session_fail_looks(held, &error);
	if (held->all && held->runner && held->last_taken)
		session_closed(held);
}

static void on_cut(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct session *session = data;

	session->cutting = false;
	session->look_error = (struct vpmu_error){};
	if (error && error->code != -ENODATA)
		session->look_error = *error;
	session->last_taken = session->runner_ended;
	if (begin_merge(session, profile) < 0)
		give_up(session);
}

/* Begins what there is to do, unless something is under way. As begin_merge(). */
static int kick(struct session *session)
{
	bool last = session->runner && session->runner_ended && !session->last_taken;

	if (session->looking || (session->looks.n == 0 && !last && !session->no_room))
		return 0;
	session->looking = true;
	session->no_room = false;
	session->cutting = session->runner && runner_cut(session->runner, on_cut, session) == 0;
	if (session->cutting)
		return 0;
	session->last_taken = session->runner_ended;
	return begin_merge(session, NULL);
}

static void go_on(struct session *session)
{
	if (kick(session) < 0)
		give_up(session);
}

int session_look(struct session *session, session_look_fn fn, void *data)
{
	int r;

	if (session->is_recording)
		return -EINVAL;
	if (session->looks.n >= LOOKS_MAX)
		return -EBUSY;
	if (!vec_push(&session->looks, (struct look){ fn, data }))
		return -ENOMEM;
	r = kick(session);
	if (r < 0)
		session->looks.n--;
	return r;
}

void session_make_room(struct session *session)
{
	session->no_room = true;
	go_on(session);
}

void session_take_last(struct session *session)
{
	go_on(session);
}

void session_look_on(struct session *session)
{
	go_on(session);
}

void session_free_runner(struct session *session)
{
	session->runner = runner_free(session->runner);
	if (session->cutting)
		session->cutting = session->looking = false;
}

void session_fail_looks(struct session *session, const struct vpmu_error *error)
{
	looks waiting = session->looks;

	session->looks = (looks){};
	vec_for_each (look, &waiting)
		look->fn(NULL, error, look->data);
	vec_free(&waiting);
}

void session_forget_profile(struct session *session)
{
	session->epoch++;
	session->total = vpmu_profile_free(session->total);
	session->look_error = (struct vpmu_error){};
}
