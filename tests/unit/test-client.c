/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <vpmu/client.h>

#include "util/macro.h"
#include "util/strbuf.h"
#include "test.h"

/*
 * The other end: a thread that takes one connection, waits for a call and sends what it was told to, step by step. It knows
 * nothing of the client's code.
 */
struct step {
	const char *text; /* a message, sent with its NUL … */
	size_t n;	  /* … or so many bytes of it; 0 = all */
	bool file;	  /* with a descriptor of a file that says "hello" */
	int pause_ms;	  /* before */
	_Atomic int *wait_for; /* until it is not 0 */
	bool next_call;	  /* wait for another call first */
};

struct server {
	char dir[32], path[64];
	int fd;
	pthread_t thread;
	const struct step *steps;
	size_t n_steps;
	char heard[4096]; /* the last call */
};

static void read_call(int fd, char *text, size_t room)
{
	for (size_t n = 0; n < room && read(fd, &text[n], 1) == 1 && text[n]; n++)
		;
}

static void send_step(int fd, const struct step *step)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec piece = { (void *)(uintptr_t)step->text, step->n ? step->n : strlen(step->text) + 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	int pipe_fds[2];

	usleep((useconds_t)step->pause_ms * 1000);
	if (step->wait_for)
		WAIT_UNTIL(*step->wait_for, usleep(1000));
	if (step->file && pipe(pipe_fds) == 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &pipe_fds[0], sizeof(int));
		if (write(pipe_fds[1], "hello", 5) != 5)
			abort();
	}
	sendmsg(fd, &message, MSG_NOSIGNAL);
	if (step->file) {
		close(pipe_fds[0]);
		close(pipe_fds[1]);
	}
}

static void *serve(void *data)
{
	struct server *server = data;
	int fd = accept(server->fd, NULL, NULL);

	read_call(fd, server->heard, sizeof(server->heard));
	for (size_t i = 0; i < server->n_steps; i++) {
		if (server->steps[i].next_call)
			read_call(fd, server->heard, sizeof(server->heard));
		send_step(fd, &server->steps[i]);
	}
	close(fd);
	return NULL;
}

static void server_start(struct server *server, const struct step *steps, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(server, 0, sizeof(*server));
	strcpy(server->dir, "/tmp/test-client.XXXXXX");
	CHECK(mkdtemp(server->dir));
	snprintf(server->path, sizeof(server->path), "%s/socket", server->dir);
	strcpy(address.sun_path, server->path);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_EQ(0, bind(server->fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK_EQ(0, listen(server->fd, 1));
	server->steps = steps;
	server->n_steps = n;
	if (steps)
		CHECK_EQ(0, pthread_create(&server->thread, NULL, serve, server));
}

static void server_end(struct server *server)
{
	if (server->steps)
		pthread_join(server->thread, NULL);
	close(server->fd);
	unlink(server->path);
	rmdir(server->dir);
}

static struct vpmu_client *dial_with(const struct server *server, uint32_t timeout_ms, uint32_t wake_ms)
{
	VPMU_OPTS(vpmu_client_opts, opts, .socket = server->path, .timeout_ms = timeout_ms, .wake_ms = wake_ms);
	struct vpmu_client *client = NULL;
	struct vpmu_error error = {};

	if (vpmu_client_new(&opts, &client, &error) < 0)
		FAIL("%s", error.text);
	return client;
}

static struct vpmu_client *dial(const struct server *server)
{
	return dial_with(server, 0, 0);
}

/* Calls @method on a server that plays @steps; the connection and the server are gone afterwards. */
static int call_once(const struct step *steps, size_t n, char **ret_reply, struct vpmu_error *error)
{
	struct vpmu_client *client;
	struct server server;
	int r;

	server_start(&server, steps, n);
	client = dial(&server);
	r = vpmu_client_call(client, "Stats", NULL, ret_reply, error);
	vpmu_client_free(client);
	server_end(&server);
	return r;
}

TEST(a_refusal_before_the_call_is_heard)
{
	static const struct step refusal = {
		"{\"error\":\"org.vpmu.LimitReached\",\"parameters\":{\"what\":\"connections\",\"limit\":7}}"
	};
	struct vpmu_client *client;
	struct vpmu_error error = {};
	struct server server;
	char *reply;
	int fd;

	server_start(&server, NULL, 0);
	client = dial(&server);
	fd = accept(server.fd, NULL, NULL);
	send_step(fd, &refusal);
	close(fd);
	CHECK_EQ(vpmu_client_call(client, "Stats", NULL, &reply, &error), -EDQUOT);
	CHECK_CONTAINS(error.text, "7");
	vpmu_client_free(client);
	server_end(&server);
}

TEST(a_call_is_sent_as_varlink_has_it)
{
	static const struct step steps[] = { { "{\"parameters\":{\"guests\":[]}}" } };
	struct vpmu_error error = {};
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, steps, 1);
	client = dial(&server);
	CHECK_EQ(0, vpmu_client_call(client, "ListGuests", "{\"guests\": [\"web*\"]}", &reply, &error));
	CHECK_STR(reply, "{\"guests\":[]}");
	CHECK_STR(vpmu_client_error(client), "");
	free(reply);
	vpmu_client_free(client);
	server_end(&server);
	CHECK_STR(server.heard, "{\"method\":\"org.vpmu.ListGuests\",\"parameters\":{\"guests\":[\"web*\"]}}");
}

TEST(an_interface_of_its_own_is_not_touched)
{
	static const struct step steps[] = { { "{}" } };
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, steps, 1);
	client = dial(&server);
	CHECK_EQ(0, vpmu_client_call(client, "org.varlink.service.GetInfo", NULL, &reply, NULL));
	CHECK_STR(reply, "{}");
	free(reply);
	vpmu_client_free(client);
	server_end(&server);
	CHECK_STR(server.heard, "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{}}");
}

/* ---- replies in pieces, several, with descriptors ---- */

TEST(a_reply_may_come_in_pieces)
{
	static const struct step steps[] = {
		{ "{\"para", 6 }, { "meters\":", 8, .pause_ms = 5 }, { "{\"n\":\"1", 7, .pause_ms = 5 }, { "2\"}}" },
	};
	char *reply = NULL;

	CHECK_EQ(0, call_once(steps, ARRAY_SIZE(steps), &reply, NULL));
	CHECK_STR(reply, "{\"n\":\"12\"}");
	free(reply);
}

struct listener {
	struct strbuf heard;
	int files, stop_after, result;
	_Atomic int wakes;
};

static int listen_to(const char *reply, int fd, void *data)
{
	struct listener *listener = data;
	char text[8] = {};

	if (!reply) {
		listener->wakes++;
		return 0;
	}
	strbuf_addf(&listener->heard, "%s ", reply);
	if (fd >= 0) {
		CHECK(read(fd, text, sizeof(text) - 1) == 5);
		strbuf_addf(&listener->heard, "[%s] ", text);
		close(fd);
		listener->files++;
	}
	return listener->stop_after && --listener->stop_after == 0 ? listener->result : 0;
}

TEST(more_replies_come_one_by_one_even_if_sent_at_once)
{
	static const char two[] = "{\"parameters\":{\"i\":1},\"continues\":true}\0{\"parameters\":{\"i\":2},\"continues\":true}";
	static const struct step steps[] = { { two, sizeof(two) }, { "{\"parameters\":{\"i\":3}}" } };
	struct listener listener = {};
	struct vpmu_client *client;
	struct server server;

	server_start(&server, steps, 2);
	client = dial(&server);
	CHECK_EQ(0, vpmu_client_more(client, "Counters", "{}", listen_to, &listener, NULL));
	CHECK_STR(listener.heard.text, "{\"i\":1} {\"i\":2} {\"i\":3} ");
	vpmu_client_free(client);
	server_end(&server);
	strbuf_deinit(&listener.heard);
	CHECK_CONTAINS(server.heard, "\"more\":true");
}

/* The descriptor is the second message's, whether the first one was read together with it or not. */
TEST(a_descriptor_belongs_to_the_message_it_came_with)
{
	static const struct step steps[] = {
		{ "{\"parameters\":{\"i\":1},\"continues\":true}" },
		{ "{\"parameters\":{\"i\":2},\"contin", 29, .file = true },
		{ "ues\":true}", .pause_ms = 20 },
		{ "{\"parameters\":{\"i\":3},\"continues\":true}" },
		{ "{\"parameters\":{\"i\":4}}", .file = true },
	};
	struct listener listener = {};
	struct vpmu_client *client;
	struct server server;

	server_start(&server, steps, ARRAY_SIZE(steps));
	client = dial(&server);
	CHECK_EQ(0, vpmu_client_more(client, "Record", NULL, listen_to, &listener, NULL));
	CHECK_STR(listener.heard.text, "{\"i\":1} {\"i\":2} [hello] {\"i\":3} {\"i\":4} [hello] ");
	vpmu_client_free(client);
	server_end(&server);
	strbuf_deinit(&listener.heard);
}

/* Nobody asked for them; that none stays open is for the test's own look at descriptors. */
TEST(unwanted_descriptors_are_closed)
{
	static const struct step steps[] = { { "{\"param", 7, .file = true }, { "eters\":{}}", .file = true } };
	char *reply = NULL;

	CHECK_EQ(0, call_once(steps, 2, &reply, NULL));
	free(reply);
}

/* ---- stopping, waiting ---- */

TEST(who_stops_listening_has_ended_the_connection)
{
	static const struct step steps[] = { { "{\"parameters\":{\"i\":1},\"continues\":true}" } };
	struct listener listener = { .stop_after = 1, .result = 1 };
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, steps, 1);
	client = dial(&server);
	CHECK_EQ(0, vpmu_client_more(client, "Top", NULL, listen_to, &listener, NULL));
	CHECK_EQ(-ENOTCONN, vpmu_client_call(client, "Stats", NULL, &reply, NULL));
	vpmu_client_free(client);
	server_end(&server);
	strbuf_deinit(&listener.heard);
}

TEST(what_the_listener_fails_with_is_returned)
{
	static const struct step steps[] = { { "{\"parameters\":{\"i\":1}}" } };
	struct listener listener = { .stop_after = 1, .result = -ENOSPC };
	struct vpmu_client *client;
	struct server server;

	server_start(&server, steps, 1);
	client = dial(&server);
	CHECK_EQ(-ENOSPC, vpmu_client_more(client, "Top", NULL, listen_to, &listener, NULL));
	vpmu_client_free(client);
	server_end(&server);
	strbuf_deinit(&listener.heard);
}

TEST(the_listener_is_woken_while_nothing_comes)
{
	struct listener listener = {};
	const struct step steps[] = { { "{}", .wait_for = &listener.wakes } };
	struct vpmu_client *client;
	struct server server;

	server_start(&server, steps, 1);
	client = dial_with(&server, 0, 5);
	CHECK_EQ(0, vpmu_client_more(client, "Top", NULL, listen_to, &listener, NULL));
	CHECK_CMP(listener.wakes, >, 0);
	vpmu_client_free(client);
	server_end(&server);
	strbuf_deinit(&listener.heard);
}

TEST(a_server_that_does_not_answer_is_not_waited_for_for_ever)
{
	struct vpmu_error error = {};
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, NULL, 0);
	client = dial_with(&server, 20, 0);
	CHECK_EQ(-ETIMEDOUT, vpmu_client_call(client, "Stats", NULL, &reply, &error));
	CHECK_STR(error.text, "vpmud does not answer");
	CHECK_EQ(-ENOTCONN, vpmu_client_call(client, "Stats", NULL, &reply, &error));
	vpmu_client_free(client);
	server_end(&server);
}

/* ---- errors ---- */

TEST(errors_of_vpmud_come_with_its_words)
{
	static const struct step steps[] = {
		{ "{\"error\":\"org.vpmu.GuestNotFound\",\"parameters\":{\"guest\":\"web9\","
		  "\"text\":\"no guest 'web9'\",\"hint\":\"there are: web1, web2\"}}" },
		{ "{\"parameters\":{}}", .next_call = true },
	};
	struct vpmu_error error = {};
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, steps, 2);
	client = dial(&server);
	CHECK_EQ(-ENOENT, vpmu_client_call(client, "Stats", NULL, &reply, &error));
	CHECK(!reply);
	CHECK_EQ(error.code, -ENOENT);
	CHECK_STR(error.text, "no guest 'web9'");
	CHECK_STR(error.hint, "there are: web1, web2");
	CHECK_STR(vpmu_client_error(client), "org.vpmu.GuestNotFound");
	CHECK_CONTAINS(vpmu_client_error_parameters(client), "\"guest\":\"web9\"");
	CHECK_EQ(0, vpmu_client_call(client, "Stats", NULL, &reply, &error)); /* the connection is still good */
	CHECK_STR(vpmu_client_error(client), "");
	CHECK_STR(vpmu_client_error_parameters(client), "{}");
	free(reply);
	vpmu_client_free(client);
	server_end(&server);
}

TEST(each_error_has_its_errno)
{
	static const struct {
		int code;
		const char *reply, *text;
	} cases[] = {
		{ -EBUSY, "{\"error\":\"org.vpmu.Refused\",\"parameters\":{\"events\":[{\"event\":\"cycles\","
			  "\"status\":\"refused\",\"why\":\"no counter is free\"}]}}", "cycles (no counter is free)" },
		{ -EBUSY, "{\"error\":\"org.vpmu.Refused\",\"parameters\":{\"events\":7}}", "no counters" },
		{ -EDQUOT, "{\"error\":\"org.vpmu.LimitReached\",\"parameters\":{\"what\":\"sessions\",\"limit\":4}}",
		  "sessions, 4 at most" },
		{ -EACCES, "{\"error\":\"org.vpmu.PermissionDenied\",\"parameters\":{\"text\":\"no\"}}", "no" },
		{ -ENOENT, "{\"error\":\"org.vpmu.SessionNotFound\",\"parameters\":{\"name\":\"s\"}}", "no session 's'" },
		{ -EEXIST, "{\"error\":\"org.vpmu.SessionExists\",\"parameters\":{\"name\":\"s\"}}", "'s' already" },
		{ -EOPNOTSUPP, "{\"error\":\"org.vpmu.NotAvailable\",\"parameters\":{\"text\":\"no PMU\"}}", "no PMU" },
		{ -ENODATA, "{\"error\":\"org.vpmu.NoData\",\"parameters\":{\"text\":[1]}}", "no samples" },
		{ -EINVAL, "{\"error\":\"org.vpmu.BadValue\",\"parameters\":{\"parameter\":\"sort\",\"text\":\"x\"}}", "x" },
		{ -EREMOTEIO, "{\"error\":\"org.vpmu.Failed\",\"parameters\":{\"code\":28,\"text\":\"full\\nup\"}}", "full?up" },
		{ -EREMOTEIO, "{\"error\":\"org.vpmu.NeverHeardOf\"}", "NeverHeardOf" },
		{ -EREMOTEIO, "{\"error\":\"com.example.Odd\",\"parameters\":[]}", "com.example.Odd" },
		{ -ENOSYS, "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"x\"}}", "Stats" },
		{ -EINVAL, "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"p\"}}", "'p'" },
		{ -EPROTO, "{\"error\":7}", "without a name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct step step = { cases[i].reply };
		struct vpmu_error error = {};
		char *reply = NULL;

		CHECK_EQ(cases[i].code, call_once(&step, 1, &reply, &error));
		CHECK_CONTAINS(error.text, cases[i].text);
		CHECK(!reply);
	}
}

TEST(what_is_no_varlink_is_refused)
{
	static const char *const replies[] = { "", "hello", "[]", "7", "{\"parameters\":{}", "{\"a\":\"\xff\"}", "{} {}",
		"{\"parameters\":{},\"continues\":true}" };

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct step step = { replies[i] };
		struct vpmu_error error = {};
		char *reply = NULL;

		CHECK_EQ(-EPROTO, call_once(&step, 1, &reply, &error));
		CHECK(!reply && error.text[0]);
	}
}

TEST(nesting_has_an_end)
{
	_strbuf_ struct strbuf deep = {};
	struct step step = {};
	char *reply = NULL;

	for (int i = 0; i < 10000; i++)
		strbuf_adds(&deep, "{\"a\":");
	step.text = deep.text;
	CHECK_EQ(-EPROTO, call_once(&step, 1, &reply, NULL));
}

TEST(a_server_that_dies_is_noticed)
{
	static const struct step half = { "{\"parameters\":", 14 };
	struct vpmu_error error = {};
	char *reply = NULL;

	CHECK_EQ(-ECONNRESET, call_once(&half, 1, &reply, &error));
	CHECK_STR(error.text, "vpmud closed the connection");
}

TEST(bad_parameters_are_not_sent)
{
	static const struct step steps[] = { { "{}" } };
	struct vpmu_client *client;
	struct server server;
	char *reply = NULL;

	server_start(&server, steps, 1);
	client = dial(&server);
	CHECK_EQ(-EINVAL, vpmu_client_call(client, "Stats", "[1]", &reply, NULL));
	CHECK_EQ(-EINVAL, vpmu_client_call(client, "Stats", "{", &reply, NULL));
	CHECK_EQ(0, vpmu_client_call(client, "Stats", "{}", &reply, NULL));
	free(reply);
	vpmu_client_free(client);
	server_end(&server);
}

/* ---- connecting ---- */

TEST(no_vpmud_is_said_with_the_path)
{
	VPMU_OPTS(vpmu_client_opts, opts, .socket = "/nonexistent/org.vpmu");
	struct vpmu_client *client = NULL;
	struct vpmu_error error = {};

	CHECK_EQ(-ENOENT, vpmu_client_new(&opts, &client, &error));
	CHECK_CONTAINS(error.text, "/nonexistent/org.vpmu");
	CHECK_CONTAINS(error.hint, "systemctl");
	CHECK(!client);
}

TEST(a_dead_socket_refuses)
{
	VPMU_OPTS(vpmu_client_opts, opts);
	struct vpmu_client *client = NULL;
	struct server server;

	server_start(&server, NULL, 0);
	close(server.fd);
	server.fd = -1;
	opts.socket = server.path;
	CHECK_EQ(-ECONNREFUSED, vpmu_client_new(&opts, &client, NULL));
	server_end(&server);
}

TEST(the_environment_tells_where_vpmud_is)
{
	struct vpmu_client *client = NULL;
	struct vpmu_error error = {};

	setenv("VPMU_SOCKET", "/nonexistent/of-environment", 1);
	CHECK_EQ(-ENOENT, vpmu_client_new(NULL, &client, &error));
	CHECK_CONTAINS(error.text, "/nonexistent/of-environment");
}

TEST(odd_options_are_refused)
{
	struct {
		struct vpmu_client_opts known;
		int newer;
	} opts = { { .sz = sizeof(opts) }, 1 };
	struct vpmu_client *client = NULL;
	char path[200];

	CHECK_EQ(-EINVAL, vpmu_client_new(&opts.known, &client, NULL));
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	opts.known = (struct vpmu_client_opts){ .sz = sizeof(opts.known), .socket = path };
	CHECK_EQ(-EINVAL, vpmu_client_new(&opts.known, &client, NULL));
	CHECK(!client);
}

int main(void)
{
	return test_main();
}
