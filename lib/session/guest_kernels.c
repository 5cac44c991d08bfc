/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "guest/current.h"
#include "guest/kernel_orc.h"
#include "host/guest_chains.h"
#include "session/guest_kernels.h"
#include "util/log.h"

#define CHECK_NS     1000000000ull
#define RETRY_NS     10000000000ull /* a guest may be in its firmware yet; twice as long each time */
#define MODULES_MAX_NS 64000000000ull /* from CHECK_NS on, twice as long each time */
#define RETRY_MAX_NS 160000000000ull
#define BEGIN_NS     1000000000ull /* a tenth of that is usual */
#define BEGIN_GUESTS 8

/* There is a guest whose tasks can be told: from now on samples go through the program. */
static bool has_program(struct vpmu_session *session)
{
	bool had = session->plan.guest_chains;

	if (!session->plan.sees_guests || !plan_open_guest_chains(&session->plan))
		return false;
	if (!had)
		vec_for_each (target, &session->targets)
			target_attach_chains(*target, &session->plan);
	return true;
}

/* Kernel stacks are worth copying if they can be unwound. */
static void prepare_unwinding(struct vpmu_session *session, struct roster_guest *guest, struct vpmu_kernel *kernel,
			      struct vpmu_bpf_guest *facts)
{
	struct vpmu_error error = {};

	guest->orc = kernel_orc_free(guest->orc);
	if (facts->stack_bytes && session->plan.walks_guests && guest_chains_take_stacks(session->plan.guest_chains) &&
	    kernel_orc_load(kernel, &guest->orc, &error) < 0)
		log_debug("guest '%s': its kernel's call chains are walked by frame pointers: %s", guest->info.name, error.text);
	if (guest->orc)
		log_debug("guest '%s': its kernel's call chains are unwound by its tables (ORC)", guest->info.name);
	else
		facts->stack_bytes = 0;
	guest->modules_at_ns = guest->modules_wait_ns = 0;
}

/* Code that is not known may be that of modules which were loaded meanwhile. */
static void look_for_modules(struct roster_guest *guest, struct vpmu_kernel *kernel, uint64_t now_ns)
{
	if (!guest->orc || !kernel_orc_missed(guest->orc) || now_ns < guest->modules_at_ns)
		return;
	(void)kernel_orc_look_again(guest->orc, kernel, NULL);
	guest->modules_wait_ns = guest->modules_wait_ns ? guest->modules_wait_ns * 2 : CHECK_NS;
	if (guest->modules_wait_ns > MODULES_MAX_NS)
		guest->modules_wait_ns = MODULES_MAX_NS;
	guest->modules_at_ns = now_ns + guest->modules_wait_ns;
}

/* A program's stack is worth copying if the program can be there to tell how it is unwound. */
static void prepare_user_unwinding(const struct vpmu_session *session, uint32_t index, struct vpmu_bpf_guest *facts)
{
	bool useful = session->plan.walks_guests && guest_chains_take_stacks(session->plan.guest_chains) &&
		      symbolizer_guest_has_files(session->symbolizer, index);

	facts->user_stack_bytes = useful ? session->plan.guest_stack_bytes : 0;
}

/* 0, or what kept us: -EAGAIN: not known yet. */
static int tell_program(struct vpmu_session *session, uint32_t index, struct vpmu_error *reterr)
{
	struct vpmu_kernel *kernel = symbolizer_guest_kernel(session->symbolizer, index);
	struct roster_guest *guest = session->roster.guests.items[index];
	struct vpmu_bpf_guest facts;
	int r;

	if (!kernel)
		return -EAGAIN;
	r = current_describe(kernel, &facts, reterr);
	if (r == 0 && !has_program(session))
		return 0;
	if (r < 0)
		return r;
	prepare_unwinding(session, guest, kernel, &facts);
	prepare_user_unwinding(session, index, &facts);
	return guest_chains_know(session->plan.guest_chains, guest->info.pid, &facts);
}

static void look_for(struct vpmu_session *session, uint32_t index, uint64_t now_ns)
{
	struct roster_guest *guest = session->roster.guests.items[index];
	struct vpmu_error error = {};
	int r = tell_program(session, index, &error);

	if (r == 0) {
		guest->tasks_known = true;
		guest->not_linux = false;
		guest->look_at_ns = now_ns + CHECK_NS;
		return;
	}
	if (r == -EAGAIN && symbolizer_guest_is_looked_for(session->symbolizer, index))
		return;
	guest->not_linux = symbolizer_guest_is_not_linux(session->symbolizer, index);
	if (error.text[0])
		log_debug("guest '%s': samples without tasks: %s", guest->info.name, error.text);
	guest->retry_ns = guest->retry_ns ? guest->retry_ns * 2 : RETRY_NS;
	if (guest->retry_ns > RETRY_MAX_NS)
		guest->retry_ns = RETRY_MAX_NS;
	guest->look_at_ns = now_ns + guest->retry_ns;
	symbolizer_guest_look_again(session->symbolizer, index);
}

static void check(struct vpmu_session *session, uint32_t index, uint64_t now_ns)
{
	struct roster_guest *guest = session->roster.guests.items[index];
	struct vpmu_kernel *kernel = symbolizer_guest_kernel(session->symbolizer, index);

	guest->look_at_ns = now_ns + CHECK_NS;
	if (kernel && kernel_look_again(kernel, NULL) == 0) {
		look_for_modules(guest, kernel, now_ns);
		return;
	}
	guest_kernels_forget(session, index);
	symbolizer_guest_look_again(session->symbolizer, index);
}

void guest_kernels_forget(struct vpmu_session *session, uint32_t index)
{
	struct roster_guest *guest = session->roster.guests.items[index];

	if (guest->proc_fd < 0 && !guest->told_gone) {
		guest->told_gone = true;
		symbolizer_guest_gone(session->symbolizer, index);
	}
	if (guest->tasks_known && session->plan.guest_chains)
		(void)guest_chains_know(session->plan.guest_chains, guest->info.pid, NULL);
	guest->tasks_known = false;
	guest->orc = kernel_orc_free(guest->orc);
}

static bool any_is_looked_for(const struct vpmu_session *session)
{
	for (uint32_t i = 0; i < session->roster.guests.n; i++)
		if (symbolizer_guest_is_looked_for(session->symbolizer, i))
			return true;
	return false;
}

void guest_kernels_begin(struct vpmu_session *session)
{
	static const struct timespec nap = {.tv_nsec = 2000000};
	uint64_t until_ns = session_now_ns() + BEGIN_NS;

	if (session->roster.guests.n > BEGIN_GUESTS)
		return;
	for (uint32_t i = 0; i < session->roster.guests.n; i++)
		session->roster.guests.items[i]->sampled = true;
	do
		guest_kernels_follow(session, session_now_ns());
	while (any_is_looked_for(session) && session_now_ns() < until_ns && nanosleep(&nap, NULL) == 0);
}

void guest_kernels_follow(struct vpmu_session *session, uint64_t now_ns)
{
	for (uint32_t i = 0; i < session->roster.guests.n; i++) {
		const struct roster_guest *guest = session->roster.guests.items[i];

		if (guest->proc_fd < 0) {
			guest_kernels_forget(session, i);
			continue;
		}
		if (!guest->sampled || now_ns < guest->look_at_ns)
			continue;
		if (guest->tasks_known)
			check(session, i, now_ns);
		else
			look_for(session, i, now_ns);
	}
}
