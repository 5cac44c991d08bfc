/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmud as systemd sees it (sd_notify(3)): ready, reloading, stopping; what it is doing, in one line that `systemctl status` shows;
 * and a sign of life for the watchdog, which comes out of the loop, so that a loop that hangs is noticed. Without systemd all of this
 * does nothing.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "manager.h"

struct service;

/* Errors: -ENOMEM, what the loop gave. */
int service_new(struct manager *manager, struct service **ret_service, struct vpmu_error *reterr);
struct service *service_free(struct service *service);
DEFINE_CLEANUP(struct service *, service_free)

void service_ready(struct service *service);
void service_reloading(void);
void service_stopping(void);

/* service_status - the line: "3 guests with 7 vCPUs, 2 clients, 1 session". */
struct strbuf;
void service_status(const struct manager *manager, struct strbuf *out);

#endif
