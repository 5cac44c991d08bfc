/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvpmu: where does my VM's time go? Answered from the host, with nothing installed in the guest. */
#ifndef VPMU_VPMU_H
#define VPMU_VPMU_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/log.h>
#include <vpmu/host.h>
#include <vpmu/guest.h>
#include <vpmu/introspect.h>
#include <vpmu/sample.h>
#include <vpmu/symbolize.h>
#include <vpmu/session.h>
#include <vpmu/count.h>
#include <vpmu/clock.h>
#include <vpmu/exits.h>
#include <vpmu/recording.h>
#include <vpmu/profile.h>
#include <vpmu/export.h>
#include <vpmu/client.h>

#define VPMU_VERSION_MAJOR 0
#define VPMU_VERSION_MINOR 1

VPMU_BEGIN_DECLS

/* The library that runs, which may be newer than the headers: "0.1.0". A static string. */
VPMU_API const char *vpmu_version(void);

VPMU_END_DECLS

#endif
