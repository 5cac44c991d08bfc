/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/time_account.h"
#include "util/macro.h"
#include "util/muldiv.h"

/* The kernel's accounts do not go back; should one, nothing was added. */
static uint64_t since(uint64_t to, uint64_t from)
{
	return to > from ? to - from : 0;
}

void time_account(const struct vcpu_time *from, const struct vcpu_time *to, uint64_t wall_ns,
		  struct time_account *ret_account)
{
	uint64_t guest = since(to->guest_ns, from->guest_ns),
		 user = since(to->user_ns, from->user_ns);
	uint64_t system = since(to->system_ns, from->system_ns), ticks = MAX(user, guest) + system;
	/* A thread that had not run yet has nothing but zeros in @from. */
	struct time_account account = { .has_wait = to->has_sched, .run_ns = ticks };

	if (account.has_wait) {
		account.run_ns = since(to->run_ns, from->run_ns);
		account.wait_ns = since(to->wait_ns, from->wait_ns);
	}
	if (ticks) {
		account.guest_ns = mul_div(account.run_ns, guest, ticks);
		account.user_ns =
			mul_div(account.run_ns, MAX(user, guest), ticks) - account.guest_ns;
	}
	account.system_ns = account.run_ns - account.guest_ns - account.user_ns;
	account.sleep_ns = since(wall_ns, account.run_ns + account.wait_ns);
	*ret_account = account;
}
