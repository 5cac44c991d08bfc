/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "access.h"
#include "connection.h"
#include "descriptions.h"
#include "manager.h"
#include "say.h"
#include "server.h"
#include "util/error.h"
#include "util/macro.h"

#define BACKLOG	       128
#define ACCEPT_AT_ONCE 8
#define MAX_GROUPS     1024
/* Connections of a user who may not even look; and of all of them, who may have many user ids. */
#define STRANGERS_MAX	  2
#define ALL_STRANGERS_MAX 16
/* A user's requests of more than a few KiB, together, while they arrive. */
#define LONG_INPUT_MAX_BYTES (32 << 20)
/* Without descriptors or memory, accepting is tried again so much later. */
#define BACK_OFF_US UINT64_C(100000)
/* Whoever drops by to be dropped does not fill the journal. */
#define DROPS_SAID 5
#define MINUTE_NS  (60 * UINT64_C(1000000000))

struct server {
	struct manager *manager;
	struct interface *interface, *service;
	bool check_replies;
	int fd;
	char *path; /* of the socket that we made */
	sd_event_source *io, *back_off;
	struct connection *connections;
	bool said_busy;
	uint64_t drops_until_ns; /* the minute in which drops_said were said */
	unsigned int drops_said;
	struct server_stats stats;
};

/* ---- accepting ---- */

static int get_peer(int fd, struct peer *peer, gid_t *groups, size_t max_groups)
{
	socklen_t n = sizeof(struct ucred);
	struct ucred credentials;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0)
		return -errno;
	*peer = (struct peer){ .uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid };
	/* Linux 4.13. Who is in more groups than we have room for is in none. */
	n = (socklen_t)(max_groups * sizeof(gid_t));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == 0) {
		peer->groups = groups;
		peer->n_groups = n / sizeof(gid_t);
	}
	return 0;
}

/* Too many: the client, which has said nothing yet, will read this as the answer to its first call. */
static void refuse(int fd, uint32_t limit)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
			 "{\"error\":\"org.vpmu.LimitReached\",\"parameters\":{\"what\":\"connections\",\"limit\":%u}}",
			 (unsigned int)limit);

	if (send(fd, text, (size_t)n + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* then it learns from the closed connection */
}

/* They take no room that others need. */
static int admit_stranger(struct server *server, const struct peer *peer, uint32_t *ret_limit)
{
	uint32_t most = MAX(MIN(ALL_STRANGERS_MAX, server->manager->config->max_connections / 4), STRANGERS_MAX);
	uint32_t strangers = 0, mine = 0;

	for (struct connection *c = server->connections; c; c = connection_next(c)) {
		strangers += connection_is_strangers(c);
		mine += connection_peer(c)->uid == peer->uid;
	}
	*ret_limit = mine >= STRANGERS_MAX ? STRANGERS_MAX : most;
	return mine >= STRANGERS_MAX || strangers >= most ? -EDQUOT : 0;
}

static int admit(struct server *server, const struct peer *peer, bool stranger, uint32_t *ret_limit)
{
	struct access *access = server->manager->access;
	int r = stranger ? admit_stranger(server, peer, ret_limit) : 0;

	return r < 0 ? r : access_charge(access, peer->uid, CHARGE_CONNECTION, ret_limit);
}

static void welcome(struct server *server, int accepted)
{
	_close_ int fd = accepted;
	struct connection *connection;
	gid_t groups[MAX_GROUPS];
	uint32_t limit = 0;
	struct peer peer;
	bool stranger;

	if (get_peer(fd, &peer, groups, MAX_GROUPS) < 0)
		return;
	stranger = !access_may(server->manager->access, &peer, RIGHT_READ);
	if (admit(server, &peer, stranger, &limit) < 0) {
		server->stats.clients_refused++;
		refuse(fd, limit);
		return;
	}
	if (connection_new(server, take_fd(&fd), &peer, stranger, &connection) < 0) {
		server->stats.clients_refused++;
		return;
	}
	connection_link(connection, &server->connections);
	server->stats.connections++;
}

/*
 * EMFILE, ENFILE, ENOMEM, ENOBUFS: the client stays in the queue, so the socket stays readable; to look away for a while is
 * all that helps.
 */
static void back_off(struct server *server, int code)
{
	if (!server->said_busy)
		say_warning("cannot accept a client for now: %s", strerror(-code));
	server->said_busy = true;
	sd_event_source_set_enabled(server->io, SD_EVENT_OFF);
	sd_event_source_set_time_relative(server->back_off, BACK_OFF_US);
	sd_event_source_set_enabled(server->back_off, SD_EVENT_ONESHOT);
}

static int on_back_off(sd_event_source *source, uint64_t now_us, void *data)
{
	struct server *server = data;

	(void)source;
	(void)now_us;
	sd_event_source_set_enabled(server->io, SD_EVENT_ON);
	return 0;
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t events, void *data)
{
	struct server *server = data;

	(void)source;
	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			server->said_busy = false;
			welcome(server, fd);
		} else if (errno == EAGAIN) {
			return 0;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			back_off(server, -errno);
			return 0;
		}
	}
	return 0;
}

/* ---- the socket ---- */

/* Does anybody listen at @address? -ENOENT, 0 = nobody does any more, -EADDRINUSE, -EEXIST. */
static int look_at(const struct sockaddr_un *address)
{
	_close_ int fd = -1;
	struct stat there;

	if (lstat(address->sun_path, &there) < 0)
		return -errno;
	if (!S_ISSOCK(there.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return -EADDRINUSE;
	/* EAGAIN: somebody does, and is busy. */
	return errno == ECONNREFUSED ? 0 : errno == EAGAIN ? -EADDRINUSE : -errno;
}

static int clear_path(const struct sockaddr_un *address, struct vpmu_error *reterr)
{
	int r = look_at(address);

	if (r == -ENOENT)
		return 0;
	if (r == -EADDRINUSE) {
		error_set(reterr, r, "socket '%s' is in use: another vpmud answers there", address->sun_path);
		error_hint(reterr, "stop it, or give this one another --socket");
		return r;
	}
	if (r == -EEXIST)
		return error_set(reterr, r, "'%s' is there and no socket", address->sun_path);
	if (r < 0)
		return error_errno(reterr, r, "look at the socket", address->sun_path);
	if (unlink(address->sun_path) < 0)
		return error_errno(reterr, -errno, "remove the old socket", address->sun_path);
	return 0;
}

/* /run/vpmud, when nobody made it for us. */
static void make_directory(const char *path)
{
	_free_ char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash || slash == directory)
		return;
	*slash = '\0';
	/* What goes wrong here is told by bind(). */
	if (mkdir(directory, 0755) < 0)
		return;
}

static int listen_at(struct server *server, const char *path, struct vpmu_error *reterr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_close_ int fd = -1;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(reterr, -ENAMETOOLONG, "socket path '%s' is longer than %zu characters", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	make_directory(path);
	r = clear_path(&address, reterr);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(reterr, -errno, "open", "a socket");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(reterr, -errno, "make the socket", path);
	server->path = strdup(path);
	if (!server->path)
		return error_oom(reterr);
	if (chmod(path, 0666) < 0)
		return error_errno(reterr, -errno, "open to everyone", path);
	if (listen(fd, BACKLOG) < 0)
		return error_errno(reterr, -errno, "listen at", path);
	server->fd = take_fd(&fd);
	return 0;
}

/* ---- life ---- */

static int read_interfaces(struct server *server, struct vpmu_error *reterr)
{
	int r = interface_parse(description_org_vpmu, strlen(description_org_vpmu), &server->interface, reterr);

	return r < 0 ? r : interface_parse(description_service, strlen(description_service), &server->service, reterr);
}

static int watch(struct server *server, struct vpmu_error *reterr)
{
	sd_event *loop = server->manager->loop;
	int r = sd_event_add_io(loop, &server->io, server->fd, EPOLLIN, on_accept, server);

	if (r >= 0)
		r = sd_event_add_time(loop, &server->back_off, CLOCK_MONOTONIC, UINT64_MAX, 0, on_back_off, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->back_off, SD_EVENT_OFF);
	return r < 0 ? error_errno(reterr, r, "watch", "the socket") : 0;
}

int server_new(struct manager *manager, const char *path, int listen_fd, bool check_replies, struct server **ret_server,
	       struct vpmu_error *reterr)
{
	_close_ int fd = listen_fd;
	_cleanup_(server_freep) struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return error_oom(reterr);
	server->manager = manager;
	server->check_replies = check_replies;
	server->fd = -1;
	r = read_interfaces(server, reterr);
	if (r < 0)
		return r;
	if (fd >= 0)
		server->fd = take_fd(&fd);
	else
		r = listen_at(server, path, reterr);
	if (r == 0)
		r = watch(server, reterr);
	if (r < 0)
		return r;
	*ret_server = take_ptr(server);
	return 0;
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	sd_event_source_disable_unref(server->io);
	sd_event_source_disable_unref(server->back_off);
	/* Gone before the last client hears of it: who connects from now on gets a clear answer. */
	if (server->path)
		unlink(server->path);
	closep(&server->fd);
	while (server->connections)
		connection_free(server->connections);
	interface_free(server->interface);
	interface_free(server->service);
	free(server->path);
	free(server);
	return NULL;
}

void server_drops(struct server *server, const struct peer *peer, const char *why)
{
	uint64_t now = manager_now_ns();

	server->stats.clients_dropped++;
	if (now > server->drops_until_ns) {
		server->drops_until_ns = now + MINUTE_NS;
		server->drops_said = 0;
	}
	if (server->drops_said < DROPS_SAID)
		say_info("dropping a client (pid %d, user %u): %s", (int)peer->pid, (unsigned int)peer->uid, why);
	else if (server->drops_said == DROPS_SAID)
		say_info("dropping clients, of which no more is said in this minute");
	server->drops_said++;
}

void server_forget(struct server *server)
{
	server->stats.connections--;
}

void server_stats(const struct server *server, struct server_stats *ret_stats)
{
	*ret_stats = server->stats;
}

struct manager *server_manager(struct server *server)
{
	return server->manager;
}

const struct interface *server_interface(const struct server *server)
{
	return server->interface;
}

const struct interface *server_service(const struct server *server)
{
	return server->service;
}

bool server_checks_replies(const struct server *server)
{
	return server->check_replies;
}

struct server_stats *server_counts(struct server *server)
{
	return &server->stats;
}

int server_may_charge_input(const struct server *server, const struct connection *connection, size_t more)
{
	uid_t uid = connection_peer(connection)->uid;
	size_t bytes = more;

	/* Whoever may not look has little to say. */
	if (connection_is_strangers(connection))
		return -EDQUOT;
	for (const struct connection *c = server->connections; c; c = connection_next(c))
		if (connection_peer(c)->uid == uid)
			bytes += connection_charged_input(c);
	return bytes > LONG_INPUT_MAX_BYTES ? -EDQUOT : 0;
}
