/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libvirt_follow.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/vec.h"

#define RETRY_FIRST_MS	     250
#define RETRY_LAST_MS	     15000
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT	     3
#define TURN_WAIT_S	     1

struct uuid {
	char text[VIR_UUID_STRING_BUFLEN];
};

struct follow {
	const char *uri;
	libvirt_word_fn fn;
	void *data;
	virConnectPtr conn;
	bool stopping, broken;
	VEC(struct uuid) touched; /* domains that something happened to */
};

static void silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

static void prepare_libvirt(void)
{
	/* By default libvirt writes every error to stderr. */
	virSetErrorFunc(NULL, silent);
	virEventRegisterDefaultImpl();
}

static void tell(struct follow *follow, enum libvirt_word word, const struct libvirt_domain *domain, const char *text)
{
	if (follow->fn(word, domain, text, follow->data) != 0)
		follow->broken = true;
}

static const char *state_name(int state)
{
	static const char *const names[] = {
		[VIR_DOMAIN_NOSTATE] = "unknown",     [VIR_DOMAIN_RUNNING] = "running",
		[VIR_DOMAIN_BLOCKED] = "blocked",     [VIR_DOMAIN_PAUSED] = "paused",
		[VIR_DOMAIN_SHUTDOWN] = "shutdown",   [VIR_DOMAIN_SHUTOFF] = "shutoff",
		[VIR_DOMAIN_CRASHED] = "crashed",     [VIR_DOMAIN_PMSUSPENDED] = "pmsuspended",
	};

	return state >= 0 && (size_t)state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

/* Where libvirt's QEMU driver notes which process a domain is. Often not readable; the UUID does as well (domain.h). */
static pid_t read_pid(const char *uri, const char *name)
{
	_free_ char *text = NULL;
	char path[512];

	if (!streq(uri, "qemu:///system") || strchr(name, '/') || strlen(name) > 255)
		return 0;
	snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.pid", name);
	if (io_read_file(AT_FDCWD, path, 64, &text, &(size_t){ 0 }) < 0)
		return 0;
	return atoi(text);
}

static void tell_domain(struct follow *follow, virDomainPtr dom)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct libvirt_domain domain = { .name = virDomainGetName(dom), .uuid = uuid };
	int state;

	/* Gone since, or the connection broke: an event tells of the one, the close callback of the other. */
	if (!domain.name || virDomainGetUUIDString(dom, uuid) < 0 || virDomainGetState(dom, &state, NULL, 0) < 0)
		return;
	domain.state = state_name(state);
	if (state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_CRASHED)
		domain.pid = read_pid(follow->uri, domain.name);
	tell(follow, LIBVIRT_HAS, &domain, NULL);
}

static void touch(struct follow *follow, virDomainPtr dom)
{
	struct uuid uuid;

	if (virDomainGetUUIDString(dom, uuid.text) < 0)
		return;
	vec_for_each(other, &follow->touched)
		if (streq(other->text, uuid.text))
			return;
	if (!vec_push(&follow->touched, uuid))
		follow->broken = true;
}

static void look_again(struct follow *follow, const char *uuid)
{
	virDomainPtr dom = virDomainLookupByUUIDString(follow->conn, uuid);

	if (dom) {
		tell_domain(follow, dom);
		virDomainFree(dom);
	} else if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
		tell(follow, LIBVIRT_LOST, &(struct libvirt_domain){ .uuid = uuid }, NULL);
	}
}

/* Not in the callbacks: what they would ask libvirt may deliver further events. */
static void look_at_touched(struct follow *follow)
{
	for (size_t i = 0; i < follow->touched.n; i++)
		look_again(follow, follow->touched.items[i].text);
	follow->touched.n = 0;
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *data)
{
	(void)conn;
	(void)event;
	(void)detail;
	touch(data, dom);
	return 0;
}

static void on_reboot(virConnectPtr conn, virDomainPtr dom, void *data)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	(void)conn;
	if (virDomainGetUUIDString(dom, uuid) == 0)
		tell(data, LIBVIRT_REBOOTED, &(struct libvirt_domain){ .uuid = uuid }, NULL);
}

static void on_close(virConnectPtr conn, int reason, void *data)
{
	struct follow *follow = data;

	(void)conn;
	(void)reason;
	follow->broken = true;
}

static void on_stop(int watch, int fd, int events, void *data)
{
	struct follow *follow = data;

	(void)watch;
	(void)fd;
	(void)events;
	follow->stopping = true;
}

static int list_all(struct follow *follow)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(follow->conn, &doms, 0);

	if (n < 0)
		return -1;
	tell(follow, LIBVIRT_CONNECTED, NULL, NULL);
	for (int i = 0; i < n; i++) {
		tell_domain(follow, doms[i]);
		virDomainFree(doms[i]);
	}
	free(doms);
	tell(follow, LIBVIRT_LISTED, NULL, NULL);
	return 0;
}

/* Events first, then the list: what happens meanwhile is told twice rather than never. */
static void serve(struct follow *follow)
{
	int lifecycle = virConnectDomainEventRegisterAny(follow->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
							 VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), follow, NULL);
	int reboot = virConnectDomainEventRegisterAny(follow->conn, NULL, VIR_DOMAIN_EVENT_ID_REBOOT,
						      VIR_DOMAIN_EVENT_CALLBACK(on_reboot), follow, NULL);

	/* Not every driver needs or has these two. */
	virConnectRegisterCloseCallback(follow->conn, on_close, follow, NULL);
	virConnectSetKeepAlive(follow->conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
	if (lifecycle < 0 || list_all(follow) < 0)
		follow->broken = true;
	while (!follow->stopping && !follow->broken && virConnectIsAlive(follow->conn) == 1 &&
	       virEventRunDefaultImpl() == 0)
		look_at_touched(follow);
	follow->touched.n = 0;
	if (lifecycle >= 0)
		virConnectDomainEventDeregisterAny(follow->conn, lifecycle);
	if (reboot >= 0)
		virConnectDomainEventDeregisterAny(follow->conn, reboot);
	virConnectUnregisterCloseCallback(follow->conn, on_close);
}

/* One connection, as long as it lasts. true if there was one. */
static bool connect_and_serve(struct follow *follow)
{
	char why[512];

	virResetLastError();
	follow->broken = false;
	follow->conn = virConnectOpenReadOnly(follow->uri);
	if (!follow->conn) {
		snprintf(why, sizeof(why), "cannot connect to libvirt at %.200s: %.250s", follow->uri,
			 virGetLastErrorMessage());
		tell(follow, LIBVIRT_DOWN, NULL, why);
		return false;
	}
	serve(follow);
	virConnectClose(follow->conn);
	follow->conn = NULL;
	if (!follow->stopping) {
		snprintf(why, sizeof(why), "libvirt at %.200s went away", follow->uri);
		tell(follow, LIBVIRT_DOWN, NULL, why);
	}
	return true;
}

/*
 * libvirt's event loop is the whole process's, and two threads in it would call each other's callbacks. So who follows another
 * libvirt waits until the one before has ended; not for ever, since that one may wait for a libvirt that does not answer.
 */
static bool take_turn(pthread_mutex_t *turn)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TURN_WAIT_S;
	return pthread_mutex_timedlock(turn, &until) == 0;
}

void libvirt_follow(const char *uri, int stop_fd, libvirt_word_fn fn, void *data)
{
	static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct follow follow = { .uri = uri, .fn = fn, .data = data };
	bool my_turn = take_turn(&turn);
	int retry_ms = RETRY_FIRST_MS, watch;

	pthread_once(&once, prepare_libvirt);
	watch = virEventAddHandle(stop_fd, VIR_EVENT_HANDLE_READABLE, on_stop, &follow, NULL);
	while (!follow.stopping) {
		struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

		if (connect_and_serve(&follow))
			retry_ms = RETRY_FIRST_MS;
		if (poll(&stop, 1, follow.stopping ? 0 : retry_ms) > 0)
			break;
		retry_ms = MIN(retry_ms * 2, RETRY_LAST_MS);
	}
	if (watch >= 0)
		virEventRemoveHandle(watch);
	vec_free(&follow.touched);
	if (my_turn)
		pthread_mutex_unlock(&turn);
}
