/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection to vpmud. What goes over the wire is varlink.h's; a call is
 *
 *	{"method": "org.vpmu.Counters", "parameters": {…}, "more": true}
 *
 * and a reply {"parameters": {…}, "continues": true} or {"error": "org.vpmu.NoData", "parameters": {…}}.
 *
 * A descriptor travels beside the bytes (SCM_RIGHTS). The kernel ends a recvmsg() behind the piece that a descriptor came
 * with, so it belongs to the last message that has begun in what was received by then.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <vpmu/client.h>

#include "client/client_error.h"
#include "client/varlink.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/strbuf.h"

#define DEFAULT_SOCKET	   "/run/vpmud/org.vpmu"
#define DEFAULT_TIMEOUT_MS 30000
#define FDS_MAX		   16

/* vpmud sends 16 MiB at most; a chain's frame is the deepest value. */
static const struct varlink_limits limits = { .max_bytes = 32u << 20, .max_depth = 32, .max_values = 8u << 20 };

struct vpmu_client {
	int fd; /* -1: of no more use */
	uint32_t timeout_ms, wake_ms;
	struct varlink_input in;
	/*
	 * Descriptors that came, and where in the input their messages begin. Nothing is received while a whole message is
	 * there, so these are at most the unfinished one's and the one's behind it.
	 */
	struct {
		int fd;
		size_t at;
	} files[2];
	size_t n_files;
	char *error, *error_parameters; /* of the last call; NULL = none */
};

DEFINE_CLEANUP(struct json_object *, json_object_put)

static void disconnect(struct vpmu_client *client)
{
	for (size_t i = 0; i < client->n_files; i++)
		close(client->files[i].fd);
	client->n_files = 0;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* ---- life cycle ---- */

static int connect_to(const char *path, uint32_t timeout_ms, int *ret_fd, struct vpmu_error *reterr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* Is only for connect(), which waits while too many others do; later everybody waits in poll(). */
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	_close_ int fd = -1;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(reterr, -EINVAL, "the socket's path '%s' is longer than %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(reterr, -errno, "open a socket for", path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		error_errno(reterr, r, "connect to vpmud at", path);
		if (r == -ENOENT || r == -ECONNREFUSED)
			error_hint(reterr, "vpmud does not run here: systemctl start vpmud");
		if (r == -EACCES)
			error_hint(reterr, "the socket is for root and the groups that vpmud.conf names");
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

DEFINE_CLEANUP(struct vpmu_client *, vpmu_client_free)

int vpmu_client_new(const struct vpmu_client_opts *opts, struct vpmu_client **ret_client, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	struct vpmu_client_opts known;
	const char *path;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "client options of an unknown kind");
	opts_take(&known, opts);
	path = known.socket ? known.socket : secure_getenv("VPMU_SOCKET");
	client = calloc(1, sizeof(*client));
	if (!client)
		return error_oom(reterr);
	client->fd = -1;
	client->timeout_ms = known.timeout_ms ? known.timeout_ms : DEFAULT_TIMEOUT_MS;
	client->wake_ms = known.wake_ms;
	r = connect_to(path && *path ? path : DEFAULT_SOCKET, client->timeout_ms, &client->fd, reterr);
	if (r < 0)
		return r;
	*ret_client = take_ptr(client);
	return 0;
}

struct vpmu_client *vpmu_client_free(struct vpmu_client *client)
{
	if (!client)
		return NULL;
	disconnect(client);
	varlink_input_deinit(&client->in);
	free(client->error);
	free(client->error_parameters);
	free(client);
	return NULL;
}

const char *vpmu_client_error(const struct vpmu_client *client)
{
	return client->error ? client->error : "";
}

const char *vpmu_client_error_parameters(const struct vpmu_client *client)
{
	return client->error_parameters ? client->error_parameters : "{}";
}

/* ---- bytes ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int gone(struct vpmu_error *reterr)
{
	return error_set(reterr, -ECONNRESET, "vpmud closed the connection");
}

static int wait_failed(int code, struct vpmu_error *reterr)
{
	if (code == -ETIMEDOUT)
		return error_set(reterr, code, "vpmud does not answer");
	return error_errno(reterr, code, "wait for", "vpmud");
}

/*
 * Until the socket can be read (or written), @until_ms, or a signal: returns 1 if it can, 0 for a signal or the time,
 * -errno.
 */
static int wait_until(struct vpmu_client *client, short events, uint64_t until_ms)
{
	struct pollfd socket = { .fd = client->fd, .events = events };
	uint64_t now = now_ms();
	int r;

	r = poll(&socket, 1, until_ms <= now ? 0 : (int)MIN(until_ms - now, (uint64_t)INT32_MAX));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r;
}

static int send_all(struct vpmu_client *client, const char *bytes, size_t n, struct vpmu_error *reterr)
{
	uint64_t until_ms = now_ms() + client->timeout_ms;

	while (n) {
		ssize_t sent = send(client->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (sent >= 0) {
			bytes += sent;
			n -= (size_t)sent;
			until_ms = now_ms() + client->timeout_ms;
			continue;
		}
		/* Who was one connection too many was told so, and then hung up on: that waits to be read. */
		if ((errno == EPIPE || errno == ECONNRESET) && wait_until(client, POLLIN, 0) > 0)
			return 0;
		if (errno == EPIPE || errno == ECONNRESET)
			return gone(reterr);
		if (errno != EAGAIN && errno != EINTR)
			return error_errno(reterr, -errno, "write to", "vpmud");
		r = wait_until(client, POLLOUT, until_ms);
		if (r == 0 && now_ms() >= until_ms)
			r = -ETIMEDOUT;
		if (r < 0)
			return wait_failed(r, reterr);
	}
	return 0;
}

/* Where the last message begins that has begun. */
static size_t last_begin(const struct varlink_input *in)
{
	const char *first = in->bytes + in->start, *nul = in->n > 1 ? memrchr(first, '\0', in->n - 1) : NULL;

	return nul ? (size_t)(nul + 1 - first) : 0;
}

/* Keeps the first descriptor of what came; nobody sends two with one message. */
static void keep_file(struct vpmu_client *client, struct msghdr *message)
{
	size_t at = last_begin(&client->in);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			bool taken = client->n_files == ARRAY_SIZE(client->files) ||
				     (client->n_files && client->files[client->n_files - 1].at == at);
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (taken) {
				close(fd);
				continue;
			}
			client->files[client->n_files].fd = fd;
			client->files[client->n_files++].at = at;
		}
	}
}

/* What is there now: 1 if something was, 0 if nothing is yet. */
static int receive(struct vpmu_client *client, struct vpmu_error *reterr)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec piece;
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	char *place;
	ssize_t n;
	int r;

	r = varlink_input_reserve(&client->in, limits.max_bytes, &place, &piece.iov_len);
	if (r == -EMSGSIZE)
		return error_set(reterr, -EPROTO, "vpmud sends a reply of more than %zu MiB", limits.max_bytes >> 20);
	if (r < 0)
		return error_oom(reterr);
	piece.iov_base = place;
	n = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return gone(reterr);
	if (n < 0)
		return error_errno(reterr, -errno, "read from", "vpmud");
	varlink_input_added(&client->in, (size_t)n);
	keep_file(client, &message);
	return 1;
}

/* ---- messages ---- */

/* The first whole message, and the descriptor that came with it (else -1); 0 if there is none yet. */
static int take_message(struct vpmu_client *client, struct json_object **ret_message, int *ret_fd,
			struct vpmu_error *reterr)
{
	_cleanup_(json_object_putp) struct json_object *message = NULL;
	struct vpmu_error why = {};
	const char *text;
	size_t n;
	int r;

	if (!varlink_input_next(&client->in, &text, &n))
		return 0;
	r = varlink_parse(text, n, &limits, &message, &why);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r < 0)
		return error_set(reterr, -EPROTO, "what answers is not vpmud: no varlink reply, %s", why.text);
	*ret_fd = -1;
	if (client->n_files && client->files[0].at == 0) {
		*ret_fd = client->files[0].fd;
		client->files[0] = client->files[--client->n_files];
	}
	for (size_t i = 0; i < client->n_files; i++)
		client->files[i].at -= n + 1;
	*ret_message = take_ptr(message);
	return 1;
}

/*
 * Waits for the next message. @fn, if there is one, is called whenever wake_ms are over: what it returns, other than 0, is
 * returned in *ret_stop with 0.
 */
static int next_message(struct vpmu_client *client, vpmu_reply_fn fn, void *data, struct json_object **ret_message,
			int *ret_fd, int *ret_stop, struct vpmu_error *reterr)
{
	uint64_t until_ms = now_ms() + client->timeout_ms;
	bool wakes = fn && client->wake_ms;
	int r;

	for (;;) {
		r = take_message(client, ret_message, ret_fd, reterr);
		if (r != 0)
			return r;
		r = receive(client, reterr);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		r = wait_until(client, POLLIN, wakes ? MIN(until_ms, now_ms() + client->wake_ms) : until_ms);
		if (r == 0 && now_ms() >= until_ms)
			r = -ETIMEDOUT;
		if (r < 0)
			return wait_failed(r, reterr);
		if (r == 0 && wakes) {
			*ret_stop = fn(NULL, -1, data);
			if (*ret_stop)
				return 0;
		}
	}
}

/* ---- calls ---- */

static int send_call(struct vpmu_client *client, const char *method, const char *parameters, bool more,
		     struct vpmu_error *reterr)
{
	_cleanup_(json_object_putp) struct json_object *call = json_object_new_object(), *given = NULL;
	_strbuf_ struct strbuf name = {}, out = {};

	given = json_tokener_parse(parameters ? parameters : "{}");
	if (!json_object_is_type(given, json_type_object))
		return error_set(reterr, -EINVAL, "the parameters of %s are no JSON object", method);
	strbuf_addf(&name, "%s%s", strchr(method, '.') ? "" : "org.vpmu.", method);
	if (!call || name.failed || json_object_object_add(call, "method", json_object_new_string(name.text)) < 0 ||
	    json_object_object_add(call, "parameters", json_object_get(given)) < 0 ||
	    (more && json_object_object_add(call, "more", json_object_new_boolean(true)) < 0))
		return error_oom(reterr);
	varlink_write(&out, call);
	return out.failed ? error_oom(reterr) : send_all(client, out.text, out.n, reterr);
}

/* The error that a reply is, if it is one; it is remembered. */
static int check_error(struct vpmu_client *client, struct json_object *message, const char *method,
		       struct vpmu_error *reterr)
{
	struct json_object *error = NULL, *parameters = NULL;

	if (!json_object_object_get_ex(message, "error", &error) || !error)
		return 0;
	if (!json_object_is_type(error, json_type_string))
		return error_set(reterr, -EPROTO, "what answers is not vpmud: an error without a name");
	json_object_object_get_ex(message, "parameters", &parameters);
	client->error = strdup(json_object_get_string(error));
	if (parameters)
		client->error_parameters = strdup(json_object_to_json_string_ext(parameters, JSON_C_TO_STRING_PLAIN));
	return client_error(json_object_get_string(error), parameters, method, reterr);
}

/* Hands @message's parameters to @fn; 1 if more replies follow. */
static int hand_out(struct json_object *message, int *fd, vpmu_reply_fn fn, void *data, int *ret_stop)
{
	struct json_object *parameters = NULL, *continues = NULL;

	json_object_object_get_ex(message, "parameters", &parameters);
	json_object_object_get_ex(message, "continues", &continues);
	*ret_stop = fn(parameters ? json_object_to_json_string_ext(parameters, JSON_C_TO_STRING_PLAIN) : "{}",
		       take_fd(fd), data);
	return json_object_get_boolean(continues);
}

static int run_call(struct vpmu_client *client, const char *method, const char *parameters, bool more,
		    vpmu_reply_fn fn, void *data, struct vpmu_error *reterr)
{
	int r, stop = 0;
	bool continues;

	r = send_call(client, method, parameters, more, reterr);
	if (r == -EINVAL)
		return r; /* nothing was sent: the connection is as it was */
	if (r < 0)
		goto broken;
	do {
		_cleanup_(json_object_putp) struct json_object *message = NULL;
		_close_ int fd = -1;

		r = next_message(client, more ? fn : NULL, data, &message, &fd, &stop, reterr);
		if (r < 0)
			goto broken;
		continues = true;
		if (stop)
			break;
		r = check_error(client, message, method, reterr);
		if (r == -EPROTO)
			goto broken;
		if (r < 0)
			return r;
		continues = hand_out(message, &fd, fn, data, &stop);
		if (continues && !more) {
			r = error_set(reterr, -EPROTO, "vpmud replies to %s more than once", method);
			goto broken;
		}
	} while (continues && !stop);
	if (continues)
		disconnect(client);
	return MIN(stop, 0); /* what @fn failed with is for it to tell */
broken:
	disconnect(client);
	return r;
}

static int call(struct vpmu_client *client, const char *method, const char *parameters, bool more, vpmu_reply_fn fn,
		void *data, struct vpmu_error *reterr)
{
	free(take_ptr(client->error));
	free(take_ptr(client->error_parameters));
	if (client->fd < 0)
		return error_set(reterr, -ENOTCONN, "the connection to vpmud has ended");
	return run_call(client, method, parameters, more, fn, data, reterr);
}

static int keep_reply(const char *reply, int fd, void *data)
{
	_close_ int unwanted = fd;
	char **ret = data;

	*ret = strdup(reply);
	return *ret ? 0 : -ENOMEM;
}

int vpmu_client_call(struct vpmu_client *client, const char *method, const char *parameters, char **ret_reply,
		     struct vpmu_error *reterr)
{
	_free_ char *reply = NULL;
	int r;

	r = call(client, method, parameters, false, keep_reply, &reply, reterr);
	if (r < 0)
		return r;
	*ret_reply = take_ptr(reply);
	return 0;
}

int vpmu_client_more(struct vpmu_client *client, const char *method, const char *parameters, vpmu_reply_fn fn,
		     void *data, struct vpmu_error *reterr)
{
	return call(client, method, parameters, true, fn, data, reterr);
}
