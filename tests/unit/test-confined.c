/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of lib/guest/confined.c and what it stands on: a guest's memory is parsed by a process without rights, which may fail in any way.
 * This program is its own nursery.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <vpmu/introspect.h>

#include "guest/conduct.h"
#include "guest/confine.h"
#include "guest/confined.h"
#include "guest/kernel.h"
#include "guest/parser_process.h"
#include "guest_maker.h"
#include "orc_guest.h"
#include "sym/guest_live.h"
#include "sym/guest_tables.h"

/* The sanitizers' runtimes need more than a parser has: see confine.c. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static const char *const nursery[] = {"test-confined", "--parser", NULL};
static const char *const liars[] = {"test-confined", "--liars", NULL};
static const char *const silent[] = {"test-confined", "--silent", NULL};

static struct vpmu_kernel *open_made(int *ret_fd)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};

	guest_make(&kallsyms_forms[2], 4);
	vpmu_parser_use("/proc/self/exe", nursery);
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(ret_fd));
	if (vpmu_kernel_open(NULL, &opts, &kernel, &error) < 0)
		FAIL("%s", error.text);
	CHECK(kernel->confined);
	return kernel;
}

static void close_made(struct vpmu_kernel *kernel, int fd)
{
	vpmu_kernel_free(kernel);
	vpmu_parser_use(NULL, NULL);
	close(fd);
}

TEST(another_process_finds_what_this_one_would)
{
	const struct vpmu_kernel_info *info;
	struct symtab *table, *modules;
	struct vpmu_kernel *kernel;
	struct symbol symbol;
	int fd;

	kernel = open_made(&fd);
	info = vpmu_kernel_info(kernel);
	CHECK_STR(info->release, "6.1.0-made");
	CHECK_STR(info->build_id, "deadbeef");
	CHECK_EQ(info->text_gva, MADE_TEXT_GVA);
	CHECK_EQ(info->paging_levels, 4);
	CHECK_EQ(info->memory_bytes, RAM_BYTES);
	CHECK_EQ(info->n_symbols, made_count(&kallsyms_forms[2]) + 4);
	CHECK_EQ(guest_tables_kernel(kernel, &table, NULL), 0);
	CHECK(symtab_lookup(table, 5 * 16 + 3, &symbol));
	CHECK_STR(symbol.name, "fn_5");
	CHECK_EQ(guest_tables_modules(kernel, &modules, NULL), 0);
	CHECK_EQ(symtab_count(modules), 0);
	symtab_free(table);
	symtab_free(modules);
	close_made(kernel, fd);
}

TEST(unwind_tables_are_those_that_this_process_would_read)
{
	static const struct orc_rule rules[] = {{0, 8, ORC_SP}, {0x100, 24, ORC_SP}, {0x200, 0, ORC_OUTERMOST}};
	struct kernel_orc *here, *there;
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	int fd;

	kernel = orc_guest_open(rules, 3, &fd);
	CHECK_EQ(kernel_orc_load(kernel, &here, &error), 0);
	vpmu_kernel_free(kernel);
	close(fd);
	vpmu_parser_use("/proc/self/exe", nursery);
	kernel = orc_guest_open(rules, 3, &fd);
	CHECK(kernel->confined);
	CHECK_EQ(kernel_orc_load(kernel, &there, &error), 0);
	CHECK_EQ(kernel_orc_look_again(there, kernel, &error), 0);
	CHECK_EQ(kernel_orc_view(there)->layout, kernel_orc_view(here)->layout);
	/* One copy of what is the same. */
	CHECK(kernel_orc_view(there)->find(ORC_CODE_GVA + 0x180, there) == kernel_orc_view(here)->find(ORC_CODE_GVA + 0x180, here));
	kernel_orc_free(here);
	kernel_orc_free(there);
	close_made(kernel, fd);
	vpmu_parser_use("/proc/self/exe", nursery);
	kernel = orc_guest_open(rules, 0, &fd);
	CHECK_EQ(kernel_orc_load(kernel, &there, &error), -ENODATA);
	CHECK_CONTAINS(error.text, "has no unwind tables");
	close_made(kernel, fd);
}

TEST(memory_without_a_kernel_is_told_as_such)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};
	int fd;

	memset(ram, 0, sizeof(ram));
	vpmu_parser_use("/proc/self/exe", nursery);
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(&fd));
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "no Linux kernel");
	vpmu_parser_use(NULL, NULL);
	close(fd);
}

/* The number behind @key in /proc/PID/status. */
static uint64_t status_of(pid_t pid, const char *key, int base)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0) {
			fclose(file);
			return strtoull(line + strlen(key), NULL, base);
		}
	FAIL("no '%s' in %s", key, path);
}

TEST(a_parser_has_no_rights)
{
	struct vpmu_kernel *kernel;
	pid_t parser;
	int fd;

	kernel = open_made(&fd);
	parser = confined_parser(kernel->confined);
	CHECK(parser > 0);
	CHECK_EQ(status_of(parser, "CapPrm:", 16), 0);
	CHECK_EQ(status_of(parser, "CapEff:", 16), 0);
	CHECK_EQ(status_of(parser, "CapInh:", 16), 0);
	CHECK_EQ(status_of(parser, "CapAmb:", 16), 0);
	CHECK_EQ(status_of(parser, "NoNewPrivs:", 10), 1);
	CHECK_EQ(status_of(parser, "Seccomp:", 10), 2);
	close_made(kernel, fd);
}

TEST(a_parser_that_dies_is_replaced_after_a_while)
{
	struct vpmu_error error = {};
	struct symtab *table;
	struct vpmu_kernel *kernel;
	int fd, r = -EAGAIN;

	kernel = open_made(&fd);
	CHECK_EQ(kill(confined_parser(kernel->confined), SIGKILL), 0);
	CHECK_EQ(guest_tables_modules(kernel, &table, &error), -EIO);
	CHECK_CONTAINS(error.text, "was ended by signal 9");
	CHECK_EQ(confined_parser(kernel->confined), 0);
	CHECK_EQ(guest_tables_modules(kernel, &table, &error), -EAGAIN);
	for (int i = 0; i < 1000 && r == -EAGAIN; i++) {
		usleep(10000);
		r = guest_tables_modules(kernel, &table, &error);
	}
	CHECK_EQ(r, 0);
	symtab_free(table);
	/* The new one goes on from what the first one found: it has no use for the kernel's own symbols. */
	CHECK_EQ(guest_tables_kernel(kernel, &table, &error), -ESTALE);
	CHECK_EQ(kernel_look_again(kernel, &error), 0);
	close_made(kernel, fd);
}

TEST(a_nursery_that_dies_is_replaced_at_once)
{
	struct vpmu_error error = {};
	struct symtab *table;
	struct vpmu_kernel *kernel;
	pid_t parser, nursery_pid;
	int fd;

	kernel = open_made(&fd);
	parser = confined_parser(kernel->confined);
	nursery_pid = (pid_t)status_of(parser, "PPid:", 10);
	CHECK_EQ(status_of(nursery_pid, "CapEff:", 16), 0);
	CHECK_EQ(status_of(nursery_pid, "Seccomp:", 10), 2);
	usleep(2100000); /* so long it must have lived to count as a good one */
	CHECK_EQ(kill(nursery_pid, SIGKILL), 0);
	CHECK_EQ(guest_tables_modules(kernel, &table, &error), 0); /* by the parser that is there still */
	symtab_free(table);
	vpmu_kernel_free(kernel);
	close(fd);
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(&fd));
	if (vpmu_kernel_open(NULL, &opts, &kernel, &error) < 0)
		FAIL("%s", error.text);
	CHECK(status_of(confined_parser(kernel->confined), "PPid:", 10) != (uint64_t)nursery_pid);
	close_made(kernel, fd);
}

/* ---- one that a guest has taken over ---- */

static void tell(int fd, uint32_t kind, const void *bytes, uint32_t n)
{
	const struct parser_head head = {kind, n};

	CHECK_EQ(io_write_all(fd, &head, sizeof(head)), 0);
	CHECK_EQ(io_write_all(fd, bytes, n), 0);
}

/* Finds a kernel at once, and ends; who goes on from there says that it is in another place. */
static void lie(int fd)
{
	struct kernel_facts facts = {};
	struct parser_done done = {};
	struct parser_head head;

	CHECK_EQ(read(fd, &head, sizeof(head)), (ssize_t)sizeof(head));
	for (uint32_t left = head.n_bytes; left;) {
		char skipped[4096];
		ssize_t n = read(fd, skipped, left < sizeof(skipped) ? left : sizeof(skipped));

		CHECK(n > 0);
		left -= (uint32_t)n;
	}
	facts.place = head.kind == PARSER_RESUME;
	tell(fd, PARSER_FACTS, &facts, sizeof(facts));
	tell(fd, PARSER_DONE, &done, sizeof(done));
}

/* Plays the parsers itself instead of making them: those that lie one after the other, those that are @silent all at once. */
static int be_nursery(bool are_silent)
{
	for (;;) {
		struct nursery_question question = {};
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = {&question, sizeof(question)};
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		nursery_answer answer = getpid();
		int fd;

		if (recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC) != sizeof(question))
			return 0;
		CHECK_EQ(io_write_all(STDIN_FILENO, &answer, sizeof(answer)), 0);
		if (question.kind != NURSERY_START)
			continue;
		if (are_silent)
			continue;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		lie(fd);
		close(fd);
	}
}

TEST(where_the_kernel_is_may_not_change)
{
	struct kernel_places places = {.n = 2, .told = true};
	struct parser_answer answer = {};
	struct confined *confined = NULL;
	struct vpmu_error error = {};
	int fd, r = -EAGAIN;
	const char *path;

	guest_make(&kallsyms_forms[2], 4);
	path = guest_write(&fd);
	for (uint32_t i = 0; i < places.n; i++)
		CHECK_EQ(memory_of_file(path, &places.memories[i], &error), 0);
	vpmu_parser_use("/proc/self/exe", liars);
	CHECK_EQ(confined_open(&places, 0, &confined, &error), 0);
	CHECK_EQ(confined_ask(confined, PARSER_CURRENT, NULL, 0, &answer, &error), -EIO);
	for (int i = 0; i < 1000 && r == -EAGAIN; i++) {
		usleep(10000);
		r = confined_ask(confined, PARSER_CURRENT, NULL, 0, &answer, &error);
	}
	CHECK_EQ(r, -EIO);
	CHECK_CONTAINS(error.text, "cannot be right");
	CHECK_EQ(confined_check(confined), 0); /* in the memory that was kept */
	confined_free(confined);
	vpmu_parser_use(NULL, NULL);
	close(fd);
}

static void *say_that_it_is_over(void *until_ns)
{
	usleep(20000);
	*(atomic_uint_least64_t *)until_ns = 1;
	return NULL;
}

/* They would be waited for by the clock, and be the parser's failure then. */
TEST(who_has_to_end_waits_for_no_parser_that_hangs)
{
	struct vpmu_guest_info info = {.pid = getpid(), .name = "self", .uuid = ""};
	struct guest_live *live = guest_live_new(&info), *left = guest_live_new(&info);
	atomic_uint_least64_t until_ns = 0;
	struct guest_names names;
	pthread_t other;

	guest_make(&kallsyms_forms[2], 4);
	vpmu_parser_use("/proc/self/exe", silent);
	CHECK_EQ(pthread_create(&other, NULL, say_that_it_is_over, &until_ns), 0);
	CHECK_EQ(guest_live_read(live, &until_ns, &names), -ESHUTDOWN);
	pthread_join(other, NULL);
	until_ns = 0;
	guest_live_begin(live); /* in its own thread, which is waited for */
	CHECK_EQ(pthread_create(&other, NULL, say_that_it_is_over, &until_ns), 0);
	CHECK_EQ(guest_live_read(live, &until_ns, &names), -ESHUTDOWN);
	pthread_join(other, NULL);
	guest_live_begin(left); /* and freed */
	usleep(20000);
	guest_live_free(left);
	guest_live_free(live);
	vpmu_parser_use(NULL, NULL);
}

TEST(who_made_parsers_fail_waits_with_another_kernel_too)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};
	int fd;

	guest_make(&kallsyms_forms[2], 4);
	for (int i = 0; i < 8; i++)
		(void)conduct_failed(0, "it failed"); /* for minutes by now */
	vpmu_parser_use("/proc/self/exe", nursery);
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(&fd));
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, &error), -EAGAIN);
	CHECK_CONTAINS(error.text, "failed a moment ago");
	vpmu_parser_use(NULL, NULL);
	close(fd);
}

TEST(a_reboot_is_noticed_without_a_parser)
{
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21,
		 entry = (MADE_TEXT_GPA + 0x400000) | LARGE_ENTRY;
	struct vpmu_kernel *kernel;
	struct vpmu_error error = {};
	int fd;

	kernel = open_made(&fd);
	CHECK_EQ(io_pwrite_all(fd, &entry, 8, MADE_LEVEL2_GPA + first * 8), 0);
	CHECK_EQ(kernel_look_again(kernel, &error), -ESTALE);
	close_made(kernel, fd);
}

/* How a process ends that is confined like a parser and then calls @fn. */
static int end_of(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (confine_rights() < 0 || confine_nursery() < 0 || confine_parser() < 0)
			_exit(1);
		fn();
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static void do_nothing(void)
{
}

static void open_a_file(void)
{
	open("/dev/null", O_RDONLY);
}

static void make_a_process(void)
{
	fork();
}

static void map_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_a_file(void)
{
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
}

static void take_memory(void)
{
	void *bytes = malloc(8u << 20);

	if (!bytes || malloc(CONFINE_MEMORY_BYTES))
		_exit(2);
	memset(bytes, 1, 8u << 20);
	free(bytes);
}

TEST(a_parser_is_ended_by_what_it_may_not_do)
{
	CHECK_EQ(end_of(do_nothing), 0);
	CHECK_EQ(WTERMSIG(end_of(map_code)), SIGSYS);
	CHECK_EQ(WTERMSIG(end_of(map_a_file)), SIGSYS);
	CHECK_EQ(WTERMSIG(end_of(make_a_process)), SIGSYS);
	if (SANITIZED)
		return;
	CHECK_EQ(WTERMSIG(end_of(open_a_file)), SIGSYS);
	CHECK_EQ(end_of(take_memory), 0);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], liars[1]) == 0)
		return be_nursery(false);
	if (argc == 2 && strcmp(argv[1], silent[1]) == 0)
		return be_nursery(true);
	if (argc == 2 && strcmp(argv[1], nursery[1]) == 0)
		return vpmu_parser_main();
	SKIP_OWN_PROGRAM_IN_VALGRIND();
	return test_main();
}
