/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.vpmu, one function each; which file has which is methods.c's to say. See call.h. */
#ifndef DAEMON_METHODS_H
#define DAEMON_METHODS_H

#include "call.h"
#include "manager.h"

/* methods_guests.c */
int method_list_guests(struct call *call, struct manager *manager);
int method_subscribe(struct call *call, struct manager *manager);

#endif
