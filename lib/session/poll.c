/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running session goes round its rings by the clock. How often depends on how full they are
 * found: a ring that was a quarter full halves the pace, one that was full has it found anew from a short one, one that was nearly
 * empty doubles it, up to ten rounds a second (or what the options say). So a slow rate costs ten wake-ups a second,
 * whatever the number of threads, and a fast one loses nothing.
 *
 * Where the kernel counts samples (aggregate), the rings have what it could not count, and are gone round as well, every RINGS_NS at least;
 * what was counted is taken in when the pace that was asked for has passed, or there is no room left.
 *
 * Every FOLLOW_NS (or what the options say) the guests' threads are compared with the targets.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "session/follow.h"
#include "session/guest_kernels.h"
#include "session/session.h"
#include "session/sideband.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

/* For guests' memory maps, each round: some processes'. */
#define MAPS_BUDGET_NS 2000000u
#define PACE_MIN_NS    1000000ull
#define PACE_MAX_NS    100000000ull
#define PACE_UNSURE_NS 10000000ull
#define RINGS_NS       10000000000ull
#define FOLLOW_NS      200000000ull
/* With whole CPUs every process of the host is looked at, only to learn whose a thread is. */
#define FOLLOW_HOST_NS 1000000000ull

/* ---- pace ---- */

void session_set_pace(struct vpmu_session *session)
{
	uint64_t rate = session->plan.bytes_a_second, now = session_now_ns();
	uint64_t pace = rate ? session->plan.ring_bytes / 4 * 1000000000u / rate : PACE_UNSURE_NS;

	if (!session->pace_max_ns)
		session->pace_max_ns = PACE_MAX_NS;
	if (!session->follow_every_ns)
		session->follow_every_ns = session->whole_cpus ? FOLLOW_HOST_NS : FOLLOW_NS;
	session->counts_every_ns = session->pace_max_ns;
	session->counts_at_ns = now + session->counts_every_ns;
	if (session->plan.aggregates)
		session->pace_max_ns = MIN(session->pace_max_ns, RINGS_NS);
	if (session->plan.guest_chains && guest_chains_counted(session->plan.guest_chains))
		pace = session->pace_max_ns;
	session->pace_ns = MAX(PACE_MIN_NS, MIN(session->pace_max_ns, pace));
	session->follow_at_ns = now + session->follow_every_ns;
	session->round_at_ns = now + session->pace_ns;
}

/* @fill: the fullest ring's, in 1/256. One that is full says nothing of how much more there was. */
static void adapt_pace(struct vpmu_session *session, size_t fill)
{
	if (fill > 256 * 7 / 8)
		session->pace_ns = MAX(PACE_MIN_NS, MIN(session->pace_ns / 2, PACE_UNSURE_NS));
	else if (fill > 256 / 4)
		session->pace_ns = MAX(PACE_MIN_NS, session->pace_ns / 2);
	else if (fill < 256 / 16)
		session->pace_ns = MIN(session->pace_max_ns, session->pace_ns * 2);
	session->round_at_ns = session_now_ns() + session->pace_ns;
}

/* Returns false if a signal came, or somebody woke the session. */
static bool sleep_until(const struct vpmu_session *session, uint64_t time_ns)
{
	uint64_t now = session_now_ns(), left = time_ns > now ? time_ns - now : 0, n;
	struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	struct pollfd woken = {.fd = session->wake_fd, .events = POLLIN};
	int r = ppoll(&woken, 1, &t, NULL);

	if (r > 0 && read(session->wake_fd, &n, sizeof(n)) < 0)
		return true;
	return r == 0;
}

VPMU_API void vpmu_session_wake(struct vpmu_session *session)
{
	uint64_t one = 1;
	int before = errno;

	/* Cannot fail before 2^64 - 1; and then it is awake. */
	if (write(session->wake_fd, &one, sizeof(one)) < 0)
		errno = before;
}

/* ---- threads that come and go ---- */

static struct target *find_target(const struct vpmu_session *session, uint32_t index, pid_t tid)
{
	for (size_t i = 0; i < session->targets.n; i++)
		if (session->targets.items[i]->tid == tid &&
		    session->targets.items[i]->guest == index)
			return session->targets.items[i];
	return NULL;
}

static int open_thread(struct vpmu_session *session, uint32_t index, pid_t tid, uint32_t vcpu,
		       struct vpmu_error *reterr)
{
	const struct roster_guest *guest = session->roster.guests.items[index];
	_cleanup_(target_freep) struct target *target = NULL;
	_strbuf_ struct strbuf records = {};
	int r;

	r = target_open(&session->plan, guest->info.pid, tid, -1, &target, reterr);
	if (r < 0)
		return r == -ESRCH ? 0 : r;
	target->guest = index;
	target->vcpu = vcpu;
	if (!vec_reserve(&session->targets, 1))
		return error_oom(reterr);
	if (session->started) {
		r = ring_enable(target->ring);
		if (r == 0)
			r = sideband_thread(&session->plan, guest->proc_fd, guest->info.pid, tid,
					    session_now_ns(), &records);
		if (r == 0)
			r = intake_records(&session->intake, NULL, records.text, records.n);
		if (r < 0)
			return session_intake_error(session, r, reterr);
	}
	(void)vec_push(&session->targets, take_ptr(target));
	return 0;
}

/* VPMU_NO_VCPU if @tid is none. A thread that was listed twice is what it was called last. */
static uint32_t vcpu_of(const struct roster_guest *guest, pid_t tid)
{
	uint32_t vcpu = VPMU_NO_VCPU;

	for (size_t i = 0; i < guest->vcpus.n; i++)
		if (guest->vcpus.items[i].tid == tid)
			vcpu = guest->vcpus.items[i].index;
	return vcpu;
}

int session_open_threads(struct vpmu_session *session, uint32_t index, struct vpmu_error *reterr)
{
	const struct roster_guest *guest = session->roster.guests.items[index];

	for (size_t i = 0; i < guest->threads.n; i++) {
		pid_t tid = guest->threads.items[i];
		struct target *target = find_target(session, index, tid);
		uint32_t vcpu = vcpu_of(guest, tid);
		int r;

		if (target)
			target->vcpu = vcpu; /* it may have got its name since */
		if (target || (vcpu == VPMU_NO_VCPU && !guest->whole))
			continue;
		r = open_thread(session, index, tid, vcpu, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int session_close_threads(struct vpmu_session *session, uint32_t index)
{
	const struct roster_guest *guest = session->roster.guests.items[index];
	size_t kept = 0;
	int r = session->started ? session_drain_guests(session) : 0;

	if (session->started && r == 0)
		r = session_drain_counts(session);
	for (size_t i = 0; i < session->targets.n; i++) {
		struct target *target = session->targets.items[i];

		if (target->guest == index &&
		    (guest->proc_fd < 0 || !tasks_have(&guest->threads, target->tid) ||
		     ring_hung_up(target->ring))) {
			int taken = session->started ? intake_last(&session->intake, target) : 0;

			r = r ? r : taken;
			target_free(target);
		} else {
			session->targets.items[kept++] = target;
		}
	}
	session->targets.n = kept;
	return r;
}

/* A thread may end and another get its id between two looks: the list of threads does not show it. */
static bool lost_a_thread(const struct vpmu_session *session, uint32_t index)
{
	for (size_t i = 0; i < session->targets.n; i++)
		if (session->targets.items[i]->guest == index && ring_hung_up(session->targets.items[i]->ring))
			return true;
	return false;
}

/* A new thread that cannot be profiled does not end the session; it is said once a guest. */
static void open_new_threads(struct vpmu_session *session, uint32_t index)
{
	struct roster_guest *guest = session->roster.guests.items[index];
	struct vpmu_error error;

	if (session_open_threads(session, index, &error) == 0 || guest->warned)
		return;
	guest->warned = true;
	log_warn("guest '%s': ignoring new threads: %s", guest->info.name, error.text);
}

int session_follow_guest(struct vpmu_session *session, uint32_t index)
{
	int r, change = follow_guest(&session->roster, index);

	if (change < 0)
		return change;
	if (change == FOLLOW_SAME && !lost_a_thread(session, index))
		return 0;
	r = session_close_threads(session, index);
	if (r == 0 && change != FOLLOW_GONE)
		open_new_threads(session, index);
	return r;
}

static int follow_guests(struct vpmu_session *session)
{
	for (uint32_t i = 0; i < session->roster.guests.n; i++) {
		const struct roster_guest *guest = session->roster.guests.items[i];
		int r = guest->follow && guest->proc_fd >= 0 ? session_follow_guest(session, i) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- whole CPUs: whose is a thread? ---- */

static int note_guest(struct vpmu_session *session, const struct vpmu_guest_info *info)
{
	uint32_t index = roster_find(&session->roster, info);
	int fd, added, r;

	if (index != VPMU_NO_GUEST)
		return roster_add_vcpus(&session->roster, index, info->vcpus, info->n_vcpus);
	fd = follow_open(session->proc_path, info);
	if (fd < 0)
		return 0; /* gone meanwhile */
	added = roster_add(&session->roster, info, fd);
	if (added < 0)
		return added;
	r = symbolizer_set_guest(session->symbolizer, (uint32_t)added, info);
	return r < 0 ? r : symbolizer_guest_runs(session->symbolizer, (uint32_t)added, info);
}

static bool is_listed(const struct vpmu_guests *guests, const struct vpmu_guest_info *info)
{
	const struct vpmu_guest_info *other;

	for (size_t i = 0; (other = vpmu_guests_get(guests, i)); i++)
		if (other->pid == info->pid && other->start_ticks == info->start_ticks)
			return true;
	return false;
}

int session_look_for_guests(struct vpmu_session *session, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_guests_opts, opts, .proc_path = session->proc_path);
	const struct vpmu_guest_info *info;
	int r;

	if (session->host_guests)
		r = vpmu_guests_refresh(session->host_guests, NULL, NULL, reterr);
	else
		r = vpmu_guests_new(&opts, &session->host_guests, reterr);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < session->roster.guests.n; i++) {
		const struct roster_guest *guest = session->roster.guests.items[i];

		if (guest->proc_fd >= 0 && !is_listed(session->host_guests, &guest->info))
			roster_bury(&session->roster, i);
	}
	for (size_t i = 0; (info = vpmu_guests_get(session->host_guests, i)); i++)
		if (note_guest(session, info) < 0)
			return error_oom(reterr);
	return 0;
}

/* ---- rounds ---- */

static int follow(struct vpmu_session *session, struct vpmu_error *reterr)
{
	uint64_t now = session_now_ns();
	int r;

	if (now < session->follow_at_ns)
		return 0;
	session->follow_at_ns = now + session->follow_every_ns;
	if (session->whole_cpus)
		return session_look_for_guests(session, reterr);
	r = follow_guests(session);
	return r < 0 ? session_intake_error(session, r, reterr) : 0;
}

/* @undisturbed: else somebody woke us, and wants to see what there is. */
static int drain_counts_if_due(struct vpmu_session *session, bool undisturbed)
{
	const struct guest_chains *chains = session->plan.guest_chains;
	uint64_t now = session_now_ns();

	if (!chains || (undisturbed && now < session->counts_at_ns && !guest_chains_overflowed(chains)))
		return 0;
	session->counts_at_ns = now + session->counts_every_ns;
	return session_drain_counts(session);
}

/* @undisturbed: nobody woke us. */
static int go_round(struct vpmu_session *session, bool undisturbed, struct vpmu_error *reterr)
{
	int r = session_drain_guests(session);
	size_t fill = 0;

	if (session->plan.guest_chains)
		fill = guest_chains_drained_bytes(session->plan.guest_chains) * 256 / VPMU_BPF_RING_BYTES;
	for (size_t i = 0; i < session->targets.n && r == 0; i++) {
		struct target *target = session->targets.items[i];

		r = intake_drain(&session->intake, target);
		fill = MAX(fill,
			   ring_drained_bytes(target->ring) * 256 / ring_size_bytes(target->ring));
	}
	if (r == 0)
		r = drain_counts_if_due(session, undisturbed);
	if (r < 0)
		return session_intake_error(session, r, reterr);
	adapt_pace(session, fill);
	guest_kernels_follow(session, session_now_ns());
	r = guest_tasks_read_maps(session->tasks, session_now_ns(), MAPS_BUDGET_NS);
	if (r < 0)
		return session_intake_error(session, r, reterr);
	r = follow(session, reterr);
	if (r == 0 && session->recorder) {
		r = recorder_end_round(session->recorder);
		if (r < 0)
			return session_intake_error(session, r, reterr);
	}
	return r;
}

static bool all_gone(const struct vpmu_session *session)
{
	for (size_t i = 0; i < session->roster.guests.n; i++)
		if (session->roster.guests.items[i]->proc_fd >= 0)
			return false;
	return !session->whole_cpus && !session->wait_for_guests;
}

VPMU_API void vpmu_session_forget(struct vpmu_session *session)
{
	if (session->recorder)
		return;
	symbolizer_forget_gone(session->symbolizer);
	guest_tasks_forget(session->tasks);
}

VPMU_API ssize_t vpmu_session_poll(struct vpmu_session *session, int timeout_ms,
				   struct vpmu_error *reterr)
{
	uint64_t before = session->intake.coverage.samples, deadline_ns = UINT64_MAX;

	if (!session->started || session->stopped)
		return error_set(reterr, -EINVAL, "the session does not run");
	if (timeout_ms >= 0)
		deadline_ns = session_now_ns() + (uint64_t)timeout_ms * 1000000u;
	for (;;) {
		bool undisturbed = sleep_until(session, MIN(session->round_at_ns, deadline_ns));
		int r = go_round(session, undisturbed, reterr);

		if (r < 0)
			return r;
		if (session->intake.coverage.samples > before)
			return (ssize_t)(session->intake.coverage.samples - before);
		if (all_gone(session))
			return error_set(reterr, -ESRCH, "every guest is gone");
		if (!undisturbed || session_now_ns() >= deadline_ns)
			return 0;
	}
}
