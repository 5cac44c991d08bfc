/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket is read only while a call could be begun: no call in progress, no whole message waiting, the client reading what it
 * was sent. Otherwise what the client writes waits in the kernel, and the client with it. That it hangs up is told in any case.
 *
 * Some things may take no longer than send-timeout: a message to arrive, once it has begun, and the client to read something of what
 * waits for it. And whoever may not look is not to be idle, either.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "access.h"
#include "client/varlink.h"
#include "connection.h"
#include "call_private.h"
#include "dispatch.h"
#include "manager.h"
#include "sessions.h"
#include "util/macro.h"

#define SMALL_INPUT   (16 << 10) /* most requests are smaller; larger ones are charged */
#define ENOUGH_QUEUED (64 << 10) /* a client with more to read begins no call */
#define TURN_NS	      200000	 /* of work on calls; then others have their turn */
#define USEC_S	      UINT64_C(1000000)
#define LOOK_AGAIN_US 5000	 /* whether a file was read: nothing else tells */

/* A message that waits to be read; its descriptor travels with its first byte. */
struct outgoing {
	struct outgoing *next;
	char *text;
	size_t n, sent;
	int fd;
};

struct connection {
	struct connection *next, **link; /* of the server */
	struct server *server;
	uint64_t id;
	struct peer peer;
	gid_t *groups;
	int fd;
	sd_event_source *io, *again, *timer;
	struct varlink_input input;
	size_t charged_input;
	struct outgoing *first, **last;
	size_t queued_bytes;
	struct call *call;
	uint64_t message_began_us, last_read_us; /* 0: nothing to wait for */
	uint64_t idle_since_us;			 /* the same; a stranger's only */
	bool stranger;
	bool file_waits; /* one that was sent, maybe as far as the kernel, and not read: no call begins, there is one at a time */
	bool ended;  /* the client says no more */
	bool broken; /* to be closed */
};

/* ---- what goes out ---- */

static void drop_outgoing(struct connection *connection)
{
	struct outgoing *out = connection->first;

	connection->first = out->next;
	if (!connection->first)
		connection->last = &connection->first;
	closep(&out->fd);
	free(out->text);
	free(out);
}

static void discharge(struct connection *connection, size_t n)
{
	connection->queued_bytes -= n;
	access_discharge_bytes(server_manager(connection->server)->access, connection->peer.uid, n);
}

static ssize_t send_some(int fd, struct outgoing *out)
{
	struct iovec part = { out->text + out->sent, out->n - out->sent };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (out->fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &out->fd, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void flush_output(struct connection *connection)
{
	struct outgoing *out;

	while (!connection->broken && (out = connection->first)) {
		ssize_t n = send_some(connection->fd, out);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* ETOOMANYREFS: it was sent more descriptors than it takes. */
		if (n < 0) {
			connection_break(connection, NULL);
			return;
		}
		closep(&out->fd);
		out->fd = -1;
		out->sent += (size_t)n;
		discharge(connection, (size_t)n);
		sd_event_now(server_manager(connection->server)->loop, CLOCK_MONOTONIC, &connection->last_read_us);
		if (out->sent == out->n)
			drop_outgoing(connection);
	}
}

void connection_send(struct connection *connection, struct strbuf *message, int fd)
{
	_close_ int owned_fd = fd;
	struct access *access = server_manager(connection->server)->access;
	struct outgoing *out;

	if (connection->broken)
		return;
	if (message->failed || access_charge_bytes(access, connection->peer.uid, message->n) < 0) {
		connection_break(connection, message->failed ? "out of memory" : "replies are not read");
		return;
	}
	connection->queued_bytes += message->n;
	out = malloc(sizeof(*out));
	if (!out) {
		discharge(connection, message->n);
		connection_break(connection, "out of memory");
		return;
	}
	*out = (struct outgoing){ .n = message->n, .fd = take_fd(&owned_fd) };
	connection->file_waits |= out->fd >= 0;
	out->text = strbuf_take(message);
	if (!connection->first)
		sd_event_now(server_manager(connection->server)->loop, CLOCK_MONOTONIC, &connection->last_read_us);
	*connection->last = out;
	connection->last = &out->next;
	flush_output(connection);
	sd_event_source_set_enabled(connection->again, SD_EVENT_ONESHOT);
}

/* ---- what comes in ---- */

static bool may_begin(const struct connection *connection)
{
	return !connection->call && !connection->broken && !connection->file_waits &&
	       connection->queued_bytes < ENOUGH_QUEUED;
}

/* What of the input's room is more than everyone has for nothing. */
static int charge_input(struct connection *connection)
{
	size_t now = connection->input.room > SMALL_INPUT ? connection->input.room : 0, before = connection->charged_input;
	int r = now > before ? server_may_charge_input(connection->server, connection, now - before) : 0;

	if (r == 0)
		connection->charged_input = now;
	return r;
}

static void read_input(struct connection *connection)
{
	size_t max = server_manager(connection->server)->config->max_request_bytes, room;
	ssize_t n;
	char *at;
	int r;

	r = varlink_input_reserve(&connection->input, max, &at, &room);
	if (r == 0)
		r = charge_input(connection);
	if (r < 0) {
		connection_break(connection, r == -EMSGSIZE ? "a request is too long" :
					     r == -EDQUOT   ? "too many long requests at once" :
							      "out of memory");
		return;
	}
	/* Not recvmsg(): descriptors that come along are closed by the kernel. */
	n = recv(connection->fd, at, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		connection_break(connection, NULL);
		return;
	}
	if (n == 0)
		connection->ended = true;
	varlink_input_added(&connection->input, (size_t)n);
}

static void begin_calls(struct connection *connection)
{
	uint64_t until_ns = manager_now_ns() + TURN_NS;
	const char *text;
	size_t n;

	while (may_begin(connection) && manager_now_ns() < until_ns) {
		if (!varlink_input_next(&connection->input, &text, &n))
			return;
		connection->message_began_us = 0;
		dispatch(connection, text, n);
	}
}

void connection_call_begins(struct connection *connection, struct call *call)
{
	connection->call = call_ref(call);
}

void connection_call_ended(struct connection *connection)
{
	connection->call = call_unref(connection->call);
	sd_event_source_set_enabled(connection->again, SD_EVENT_ONESHOT);
}

/* ---- events ---- */

void connection_break(struct connection *connection, const char *why)
{
	if (connection->broken)
		return;
	connection->broken = true;
	if (why)
		server_drops(connection->server, &connection->peer, why);
	sd_event_source_set_enabled(connection->again, SD_EVENT_ONESHOT);
}

static uint64_t deadline(const struct connection *connection)
{
	uint64_t patience = server_manager(connection->server)->config->send_timeout_s * USEC_S;

	if (connection->first || connection->file_waits)
		return connection->last_read_us + patience;
	if (connection->message_began_us)
		return connection->message_began_us + patience;
	return connection->idle_since_us ? connection->idle_since_us + patience : UINT64_MAX;
}

static void set_timer(struct connection *connection)
{
	uint64_t at = deadline(connection), now_us;

	if (connection->file_waits) {
		sd_event_now(server_manager(connection->server)->loop, CLOCK_MONOTONIC, &now_us);
		at = MIN(at, now_us + LOOK_AGAIN_US);
	}
	if (at == UINT64_MAX) {
		sd_event_source_set_enabled(connection->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(connection->timer, at);
	sd_event_source_set_enabled(connection->timer, SD_EVENT_ONESHOT);
}

/* The client may have read the file that we sent: what is left in the socket tells (unix(7), SIOCOUTQ). */
static void look_for_file(struct connection *connection)
{
	int left = 0;

	if (!connection->file_waits || connection->first)
		return;
	connection->file_waits = ioctl(connection->fd, SIOCOUTQ, &left) == 0 && left > 0;
}

/* After whatever happened: what to wait for now. Frees a connection that is over. */
static void go_on(struct connection *connection)
{
	bool ready = varlink_input_ready(&connection->input), reading;
	uint32_t events;

	look_for_file(connection);
	reading = may_begin(connection) && !ready && !connection->ended;
	events = (reading ? EPOLLIN : 0) | (connection->first ? EPOLLOUT : 0);
	if (connection->broken || (connection->ended && !ready && !connection->call && !connection->first)) {
		connection_free(connection);
		return;
	}
	if (connection->input.n == 0 && connection->charged_input) {
		varlink_input_deinit(&connection->input);
		charge_input(connection);
	}
	if (reading && connection->input.n > 0 && !connection->message_began_us)
		sd_event_now(server_manager(connection->server)->loop, CLOCK_MONOTONIC, &connection->message_began_us);
	if (!reading)
		connection->message_began_us = 0;
	if (!reading || connection->input.n > 0)
		connection->idle_since_us = 0;
	else if (connection->stranger && !connection->idle_since_us)
		sd_event_now(server_manager(connection->server)->loop, CLOCK_MONOTONIC, &connection->idle_since_us);
	sd_event_source_set_io_events(connection->io, events);
	if (ready && may_begin(connection))
		sd_event_source_set_enabled(connection->again, SD_EVENT_ONESHOT);
	set_timer(connection);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct connection *connection = data;

	(void)source;
	(void)fd;
	/*
	 * The client has closed its end. What it said before still counts (a "oneway" call needs nobody who waits), but nobody will
	 * hear what a call in progress has to say.
	 */
	if ((events & (EPOLLHUP | EPOLLERR)) &&
	    (connection->call || !((events & EPOLLIN) || varlink_input_ready(&connection->input))))
		connection_break(connection, NULL);
	if (events & EPOLLOUT)
		flush_output(connection);
	if ((events & EPOLLIN) && may_begin(connection))
		read_input(connection);
	begin_calls(connection);
	go_on(connection);
	return 0;
}

static int on_again(sd_event_source *source, void *data)
{
	struct connection *connection = data;

	(void)source;
	begin_calls(connection);
	go_on(connection);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	struct connection *connection = data;

	(void)source;
	look_for_file(connection);
	if (deadline(connection) <= now_us)
		connection_break(connection, connection->first || connection->file_waits ? "it does not read its replies" :
					     connection->message_began_us ? "a request does not come to its end" :
									    "it may not ask, and does not");
	go_on(connection);
	return 0;
}

static int watch(struct connection *connection)
{
	sd_event *loop = server_manager(connection->server)->loop;
	int r = sd_event_add_io(loop, &connection->io, connection->fd, EPOLLIN, on_io, connection);

	if (r >= 0)
		r = sd_event_add_defer(loop, &connection->again, on_again, connection);
	if (r >= 0)
		r = sd_event_add_time(loop, &connection->timer, CLOCK_MONOTONIC, UINT64_MAX, LOOK_AGAIN_US, on_timer,
				      connection);
	/* A stranger's idle time begins now. */
	if (r >= 0)
		r = sd_event_source_set_enabled(connection->again, connection->stranger ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_enabled(connection->timer, SD_EVENT_OFF);
	return r;
}

int connection_new(struct server *server, int fd, const struct peer *peer, bool stranger,
		   struct connection **ret_connection)
{
	static uint64_t last_id;
	_cleanup_(connection_freep) struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection) {
		close(fd);
		access_discharge(server_manager(server)->access, peer->uid, CHARGE_CONNECTION);
		return -ENOMEM;
	}
	connection->server = server;
	connection->fd = fd;
	connection->stranger = stranger;
	connection->id = ++last_id;
	connection->last = &connection->first;
	connection->peer = *peer;
	connection->peer.groups = NULL;
	connection->peer.n_groups = 0;
	if (peer->n_groups > 0) {
		connection->groups = malloc(peer->n_groups * sizeof(gid_t));
		if (!connection->groups)
			return -ENOMEM;
		memcpy(connection->groups, peer->groups, peer->n_groups * sizeof(gid_t));
		connection->peer.groups = connection->groups;
		connection->peer.n_groups = peer->n_groups;
	}
	r = watch(connection);
	if (r < 0)
		return r;
	*ret_connection = take_ptr(connection);
	return 0;
}

struct connection *connection_free(struct connection *connection)
{
	struct call *call;

	if (!connection)
		return NULL;
	connection->broken = true;
	call = take_ptr(connection->call);
	if (call) {
		call_gone(call);
		call_unref(call);
	}
	if (connection->link)
		sessions_connection_gone(server_manager(connection->server)->sessions, connection->id);
	if (connection->link) {
		*connection->link = connection->next;
		if (connection->next)
			connection->next->link = connection->link;
		server_forget(connection->server);
	}
	if (connection->queued_bytes)
		discharge(connection, connection->queued_bytes);
	while (connection->first)
		drop_outgoing(connection);
	access_discharge(server_manager(connection->server)->access, connection->peer.uid, CHARGE_CONNECTION);
	sd_event_source_disable_unref(connection->io);
	sd_event_source_disable_unref(connection->again);
	sd_event_source_disable_unref(connection->timer);
	varlink_input_deinit(&connection->input);
	closep(&connection->fd);
	free(connection->groups);
	free(connection);
	return NULL;
}

void connection_link(struct connection *connection, struct connection **head)
{
	connection->next = *head;
	connection->link = head;
	if (*head)
		(*head)->link = &connection->next;
	*head = connection;
}

struct connection *connection_next(const struct connection *connection)
{
	return connection->next;
}

uint64_t connection_id(const struct connection *connection)
{
	return connection->id;
}

const struct peer *connection_peer(const struct connection *connection)
{
	return &connection->peer;
}

struct server *connection_server(const struct connection *connection)
{
	return connection->server;
}

size_t connection_queued_bytes(const struct connection *connection)
{
	return connection->queued_bytes;
}

size_t connection_charged_input(const struct connection *connection)
{
	return connection->charged_input;
}

bool connection_is_strangers(const struct connection *connection)
{
	return connection->stranger;
}
