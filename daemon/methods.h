/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.vpmu, one function each; which file has which is methods.c's to say. See call.h. */
#ifndef DAEMON_METHODS_H
#define DAEMON_METHODS_H

#include "call.h"
#include "manager.h"

/* methods_guests.c */
int method_list_guests(struct call *call, struct manager *manager);
int method_subscribe(struct call *call, struct manager *manager);
/* methods_profiles.c */
int method_report(struct call *call, struct manager *manager);
int method_diff(struct call *call, struct manager *manager);
int method_export(struct call *call, struct manager *manager);
/* methods_top.c */
int method_top(struct call *call, struct manager *manager);
/* methods_counters.c */
int method_counters(struct call *call, struct manager *manager);
int method_exits(struct call *call, struct manager *manager);
int method_time(struct call *call, struct manager *manager);
int method_metrics(struct call *call, struct manager *manager);
/* methods_about.c */
int method_capabilities(struct call *call, struct manager *manager);
int method_stats(struct call *call, struct manager *manager);

/* methods_sessions.c, recordings.c */
int method_start_session(struct call *call, struct manager *manager);
int method_stop_session(struct call *call, struct manager *manager);
int method_list_sessions(struct call *call, struct manager *manager);
int method_record(struct call *call, struct manager *manager);

#endif
