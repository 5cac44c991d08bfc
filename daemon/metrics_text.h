/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which metrics there are. Of each running guest: who it is, its exits by reason, and for each vCPU where its time went and what was counted;
 * never anything by symbol or process, whose number the guest could choose. Of vpmud: what struct usage has.
 *
 * vpmud(8) lists them; their names are kept.
 */
#ifndef DAEMON_METRICS_TEXT_H
#define DAEMON_METRICS_TEXT_H

#include "accounts.h"
#include "counting.h"
#include "exposition.h"
#include "usage.h"

#define METRICS_SAMPLES_MAX 50000 /* what a Prometheus server takes from one target by habit */

struct metrics_guest {
	const struct domain *domain;
	const struct guest_totals *totals; /* NULL = none yet */
	const struct guest_account *account; /* likewise */
};

/*
 * metrics_text - appends the whole text. Guests that share name and UUID are told apart by their pid, since two samples with the same
 * labels would cost the reader all of them. @usage NULL: nothing of vpmud, but for how much is missing. Errors: -ENOMEM.
 */
int metrics_text(const struct metrics_guest *guests, size_t n_guests, const struct usage *usage,
		 enum exposition_dialect dialect, struct strbuf *out);

#endif
