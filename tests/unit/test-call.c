/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls as methods see them, at one end of a socket pair; the test is the client at the other. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/access.h"
#include "daemon/call_private.h"
#include "daemon/manager.h"
#include "daemon/server.h"
#include "test.h"

struct fixture {
	struct manager manager;
	char directory[32], socket[48];
	struct connection *connection;
	int client; /* -1: it went away */
	int gone;
};

static const struct peer somebody = { .uid = 4711, .gid = 4711 };

static void start(struct fixture *f, const char *config)
{
	struct manager *manager = &f->manager;
	struct vpmu_error error;
	uint32_t limit;
	int ends[2];

	*f = (struct fixture){ .directory = "/tmp/test-call-XXXXXX" };
	CHECK(mkdtemp(f->directory));
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->directory);
	CHECK_EQ(config_parse("x.conf", config, strlen(config), &manager->config, NULL), 0);
	CHECK_EQ(sd_event_new(&manager->loop), 0);
	CHECK_EQ(access_new(manager->config, &manager->access, NULL), 0);
	if (server_new(manager, f->socket, -1, true, &manager->server, &error) < 0)
		FAIL("%s", error.text);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	f->client = ends[1];
	CHECK_EQ(access_charge(manager->access, somebody.uid, CHARGE_CONNECTION, &limit), 0);
	CHECK_EQ(connection_new(manager->server, ends[0], &somebody, false, &f->connection), 0);
}

/* The connection, unless it is closed already. */
static void stop(struct fixture *f, bool connected)
{
	if (connected)
		connection_free(f->connection);
	CHECK_EQ(access_charged(f->manager.access, CHARGE_CONNECTION), 0);
	if (f->client >= 0)
		close(f->client);
	server_free(f->manager.server);
	access_free(f->manager.access);
	config_free(f->manager.config);
	sd_event_unref(f->manager.loop);
	CHECK_EQ(rmdir(f->directory), 0); /* so the socket is gone, too */
}

static void settle(struct fixture *f)
{
	while (sd_event_run(f->manager.loop, 0) > 0)
		;
}

static struct call *begin(struct fixture *f, const char *parameters, bool more)
{
	const struct call_wishes wishes = { .more = more };
	struct call *call;

	CHECK_EQ(call_new(f->connection, "org.vpmu.Metrics", json_tokener_parse(parameters), &wishes, &call), 0);
	return call;
}

/* What the client can read now, NULs shown as '|'. */
static const char *heard(struct fixture *f)
{
	static char text[4096];
	ssize_t n = recv(f->client, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : '|';
	return text;
}

static struct json_object *metrics(const char *text)
{
	struct json_object *answer = json_new_object();

	json_put_string(answer, "text", text);
	return answer;
}

static void count_gone(struct call *call, void *data)
{
	struct fixture *f = data;

	(void)call;
	f->gone++;
}

TEST(call_answers_once_or_goes_on)
{
	struct fixture f;
	struct call *call;

	start(&f, "");
	call = begin(&f, "{}", true);
	CHECK_STR(call_method(call), "Metrics");
	CHECK(call_wants_more(call));
	CHECK_EQ(call_reply_more(call, metrics("a")), 0);
	CHECK_STR(heard(&f), "{\"parameters\":{\"text\":\"a\"},\"continues\":true}|");
	CHECK_EQ(call_reply(call, metrics("b")), 0);
	CHECK_STR(heard(&f), "{\"parameters\":{\"text\":\"b\"}}|");
	/* It is over: nothing more is said, and the client's end is not news. */
	call_on_gone(call, count_gone, &f);
	CHECK_EQ(call_reply(call, metrics("c")), 0);
	CHECK_STR(heard(&f), "");
	settle(&f);
	stop(&f, true);
	CHECK_EQ(f.gone, 0);
	call_unref(call);
}

TEST(call_has_parameters)
{
	_free_ const char **strings = NULL;
	struct fixture f;
	struct call *call;
	size_t n = 9;

	start(&f, "");
	call = begin(&f, "{\"s\":\"x\",\"i\":-5,\"b\":true,\"f\":2,\"l\":[\"p\",\"q\"],\"none\":null}", false);
	CHECK_STR(call_string(call, "s"), "x");
	CHECK(!call_string(call, "none"));
	CHECK_EQ(call_int(call, "i", 1), -5);
	CHECK_EQ(call_int(call, "none", 1), 1);
	CHECK(call_bool(call, "b"));
	CHECK(!call_bool(call, "none"));
	CHECK(call_float(call, "f", 0) == 2.0);
	CHECK_EQ(call_strings(call, "none", &strings, &n), 0);
	CHECK(!strings && n == 0);
	CHECK_EQ(call_strings(call, "l", &strings, &n), 0);
	CHECK_EQ(n, 2);
	CHECK_STR(strings[1], "q");
	CHECK_EQ(call_peer(call)->uid, somebody.uid);
	call_reply(call, metrics(""));
	call_unref(call);
	stop(&f, true);
}

TEST(call_fails_with_the_error_that_fits)
{
	static const struct {
		int code;
		const char *says;
	} expected[] = {
		{ -ENOENT, "GuestNotFound\",\"parameters\":{\"guest\":\"it\",\"text\":\"why\",\"hint\":\"try\"}}|" },
		{ -EACCES, "PermissionDenied\",\"parameters\":{\"text\":\"why\",\"hint\":\"try\"}}|" },
		{ -EOPNOTSUPP, "NotAvailable\",\"parameters\":{\"text\":\"why\",\"hint\":\"try\"}}|" },
		{ -ENODATA, "NoData\",\"parameters\":{\"text\":\"why\",\"hint\":\"try\"}}|" },
		{ -EINVAL, "BadValue\",\"parameters\":{\"parameter\":\"it\",\"text\":\"why\",\"hint\":\"try\"}}|" },
		{ -EIO, "Failed\",\"parameters\":{\"code\":5,\"text\":\"why\",\"hint\":\"try\"}}|" },
	};
	struct vpmu_error error = { .text = "why", .hint = "try" };
	struct fixture f;

	start(&f, "");
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct call *call = begin(&f, "{}", false);

		error.code = expected[i].code;
		CHECK_EQ(call_fail_with(call, &error, "it"), 0);
		CHECK_CONTAINS(heard(&f), expected[i].says);
		call_unref(call);
	}
	stop(&f, true);
}

TEST(call_answers_are_what_the_interface_says)
{
	struct fixture f;
	struct call *call;

	start(&f, "");
	call = begin(&f, "{}", true);
	call_reply_more(call, json_new_object());
	CHECK_CONTAINS(heard(&f), "\"text\":\"text: is missing\"");
	call_unref(call);
	call = begin(&f, "{}", true);
	call_fail(call, "NoSuchError", NULL);
	CHECK_CONTAINS(heard(&f), "there is no 'NoSuchError' in org.vpmu");
	call_unref(call);
	stop(&f, true);
}

/* An error is the last that a client hears of its call: what came behind it would be taken for the answer to the next. */
TEST(call_ends_with_an_answer_that_is_too_long)
{
	size_t n = 17 << 20;
	_free_ char *text = malloc(n + 1);
	struct fixture f;
	struct call *call;

	CHECK(text);
	memset(text, 'x', n);
	text[n] = '\0';
	start(&f, "");
	call = begin(&f, "{}", true);
	call_on_gone(call, count_gone, &f);
	CHECK_EQ(call_reply_more(call, metrics("a")), 0);
	CHECK_CONTAINS(heard(&f), "continues");
	CHECK_EQ(call_reply_more(call, metrics(text)), -EMSGSIZE);
	CHECK(call_ended(call));
	CHECK_CONTAINS(heard(&f), "longer than 16 MiB");
	CHECK_EQ(call_reply_more(call, metrics("b")), 0);
	CHECK_STR(heard(&f), "");
	settle(&f);
	CHECK_EQ(f.gone, 0);
	call_unref(call);
	stop(&f, true);
}

TEST(call_carries_a_file)
{
	char text[128], control[CMSG_SPACE(4 * sizeof(int))], content[8] = "";
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct fixture f;
	struct call *call;
	int fds[2], received;

	start(&f, "");
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(write(fds[1], "inside", 6), 6);
	close(fds[1]);
	call = begin(&f, "{}", false);
	CHECK_EQ(call_reply_file(call, metrics("a"), fds[0]), 0);
	CHECK_EQ(recvmsg(f.client, &message, MSG_CMSG_CLOEXEC), sizeof("{\"parameters\":{\"text\":\"a\"}}"));
	CHECK_STR(text, "{\"parameters\":{\"text\":\"a\"}}");
	CHECK_EQ(CMSG_FIRSTHDR(&message)->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	CHECK_EQ(read(received, content, sizeof(content)), 6);
	CHECK_STR(content, "inside");
	close(received);
	call_unref(call);
	stop(&f, true);
}

/* Each takes room on the disk: who does not read gets one. */
TEST(call_begins_when_the_file_before_was_read)
{
	static const char next[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
	struct fixture f;
	struct call *call;

	start(&f, "");
	call = begin(&f, "{}", false);
	CHECK_EQ(call_reply_file(call, metrics("a"), memfd_create("file", MFD_CLOEXEC)), 0);
	call_unref(call);
	CHECK_EQ(send(f.client, next, sizeof(next), 0), sizeof(next));
	for (int i = 0; i < 10; i++)
		CHECK_CMP(sd_event_run(f.manager.loop, 2000), >=, 0);
	CHECK_STR(heard(&f), "{\"parameters\":{\"text\":\"a\"}}|");
	CHECK_STR(heard(&f), "");
	WAIT_UNTIL(server_counts(f.manager.server)->calls, CHECK_CMP(sd_event_run(f.manager.loop, 10000), >=, 0));
	CHECK_CONTAINS(heard(&f), "vpmud");
	stop(&f, true);
}

TEST(call_hears_once_and_from_the_loop_that_its_client_is_gone)
{
	struct fixture f;
	struct call *call;

	start(&f, "");
	call = begin(&f, "{}", true);
	call_on_gone(call, count_gone, &f);
	close(f.client);
	f.client = -1;
	call_reply_more(call, metrics("to nobody"));
	CHECK_EQ(f.gone, 0);
	settle(&f);
	CHECK_EQ(f.gone, 1);
	CHECK_EQ(call_reply(call, metrics("late")), 0);
	call_unref(call);
	stop(&f, false);
	CHECK_EQ(f.gone, 1);
}

TEST(call_that_is_still_worked_for_is_charged)
{
	struct fixture f;
	struct call *call;
	uint32_t limit;

	start(&f, "");
	call = begin(&f, "{}", true);
	CHECK_EQ(access_charge(f.manager.access, somebody.uid, CHARGE_STREAM, &limit), 0);
	call_set_streaming(call);
	close(f.client);
	f.client = -1;
	settle(&f);
	CHECK(call_ended(call));
	CHECK_EQ(access_charged(f.manager.access, CHARGE_STREAM), 1);
	call_unref(call);
	CHECK_EQ(access_charged(f.manager.access, CHARGE_STREAM), 0);
	stop(&f, false);
}

TEST(call_of_a_client_that_does_not_read_ends)
{
	char text[10001] = "";
	struct fixture f;
	struct call *call;

	start(&f, "[limits]\nmax-queued = 64K\n");
	memset(text, 'x', sizeof(text) - 1);
	call = begin(&f, "{}", true);
	call_on_gone(call, count_gone, &f);
	/* First the kernel's buffer is filled, then ours. */
	for (int i = 0; i < 10000 && !call_ended(call) && f.gone == 0; i++) {
		call_reply_more(call, metrics(text));
		CHECK(call_queued_bytes(call) <= 65536);
		settle(&f);
	}
	CHECK_EQ(f.gone, 1);
	call_unref(call);
	stop(&f, false);
}

int main(void)
{
	return test_main();
}
