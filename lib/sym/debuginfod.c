/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdebuginfod brings libcurl and some thirty more libraries along, which would cost every start of every program that uses us
 * several times what recording does. So it is loaded when first needed, as elfutils' own libdwfl does.
 */
#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <unistd.h>

#include "sym/debuginfod.h"
#include "util/log.h"

struct library {
	void *handle;
	__typeof__(debuginfod_begin) *begin;
	__typeof__(debuginfod_find_debuginfo) *find_debuginfo;
	__typeof__(debuginfod_set_progressfn) *set_progressfn;
	__typeof__(debuginfod_end) *end;
};

static int open_library(struct library *library)
{
	library->handle = dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (!library->handle)
		return -ENOSYS;
	*(void **)&library->begin = dlsym(library->handle, "debuginfod_begin");
	*(void **)&library->find_debuginfo = dlsym(library->handle, "debuginfod_find_debuginfo");
	*(void **)&library->end = dlsym(library->handle, "debuginfod_end");
	*(void **)&library->set_progressfn = dlsym(library->handle, "debuginfod_set_progressfn");
	return library->begin && library->find_debuginfo && library->end && library->set_progressfn ? 0 : -ENOSYS;
}

static _Thread_local const atomic_bool *hurry_of_fetch; /* which calls back in its own thread */

/* Called a few times a second; anything but 0 ends it. */
static int on_progress(debuginfod_client *client, long part, long whole)
{
	(void)client, (void)part, (void)whole;
	return *hurry_of_fetch;
}

/* The library is not closed again: libcurl leaves threads and handlers behind. */
int debuginfod_fetch(const struct build_id *build_id, const atomic_bool *hurry, char **ret_path)
{
	struct library library = {};
	debuginfod_client *client;
	int r, fd;

	/* The first call of on_progress() comes after a second. */
	if (*hurry)
		return -ECANCELED;
	r = open_library(&library);
	if (r < 0)
		return r;
	client = library.begin();
	if (!client)
		return -ENOMEM;
	hurry_of_fetch = hurry;
	library.set_progressfn(client, on_progress);
	fd = library.find_debuginfo(client, build_id->bytes, build_id->n, ret_path);
	library.end(client);
	if (fd < 0) {
		log_debug("debuginfod: no debug information: error %d", -fd);
		return fd;
	}
	close(fd);
	return 0;
}
