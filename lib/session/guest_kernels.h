/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* While a session runs: its guests' kernels are looked for, and the BPF program is told how to see their tasks. */
#ifndef SESSION_GUEST_KERNELS_H
#define SESSION_GUEST_KERNELS_H

#include "session/session.h"

/*
 * To be called each round. A guest's kernel is looked for, in a thread of its own, once the guest was sampled; whether it still is
 * the same boot is checked once a second. Never fails: samples then have no task.
 */
void guest_kernels_follow(struct vpmu_session *session, uint64_t now_ns);

/*
 * At the start of a recording: looks for the kernels of its guests now, and waits a little, so that the first samples too tell their
 * tasks. Not for more than a few guests.
 */
void guest_kernels_begin(struct vpmu_session *session);

/* Guest @index is gone. */
void guest_kernels_forget(struct vpmu_session *session, uint32_t index);

#endif
