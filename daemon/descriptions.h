/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interface files as they are, comments included: introspection shows them, and calls are checked by them. */
#ifndef DAEMON_DESCRIPTIONS_H
#define DAEMON_DESCRIPTIONS_H

extern const char description_org_vpmu[], description_service[];

#endif
