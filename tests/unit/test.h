/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A test program is a list of stories:
 *
 *	TEST(cursor_stops_at_the_end) { … CHECK_EQ(cursor_u32(&c), 0); … }
 *	int main(void) { return test_main(); }
 *
 * TEST() registers itself. CHECK*() prints both sides, fails the test and leaves it. skip("why") ends the program with 77.
 * Each test runs in a process of its own, and fails if it leaves file descriptors open.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_list, **test_tail = &test_list;

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	static struct test test_entry_##id = { .name = #id, .run = test_##id };                    \
	__attribute__((constructor)) static void test_register_##id(void)                          \
	{                                                                                          \
		*test_tail = &test_entry_##id;                                                     \
		test_tail = &test_entry_##id.next;                                                 \
	}                                                                                          \
	static void test_##id(void)

#define FAIL(...)                                                                                  \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		exit(1);                                                                           \
	} while (0)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			FAIL("not true: %s", #cond);                                               \
	} while (0)

#define CHECK_CMP(a, op, b)                                                                        \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (!(a_ op b_))                                                                   \
			FAIL("%s %s %s: %lld (0x%llx) vs %lld (0x%llx)", #a, #op, #b, a_,          \
			     (unsigned long long)a_, b_, (unsigned long long)b_);                  \
	} while (0)

#define CHECK_EQ(a, b) CHECK_CMP(a, ==, b)

#define CHECK_STR(a, b)                                                                            \
	do {                                                                                       \
		const char *a_ = (a), *b_ = (b);                                                   \
		if (!a_ || !b_ || strcmp(a_, b_) != 0)                                             \
			FAIL("%s == %s: \"%s\" vs \"%s\"", #a, #b, a_ ? a_ : "(null)",             \
			     b_ ? b_ : "(null)");                                                  \
	} while (0)

#define CHECK_CONTAINS(haystack, needle)                                                           \
	do {                                                                                       \
		const char *h_ = (haystack), *n_ = (needle);                                       \
		if (!h_ || !strstr(h_, n_))                                                        \
			FAIL("%s contains \"%s\": \"%s\"", #haystack, n_, h_ ? h_ : "(null)");     \
	} while (0)

__attribute__((unused)) static _Noreturn void skip(const char *why)
{
	printf("SKIP: %s\n", why);
	fflush(stdout);
	_exit(77);
}

/* Valgrind preloads a library of its own into what it runs. */
__attribute__((unused)) static bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

/* Valgrind 3.19 does not know what newer commands of bpf(2) write, and takes it for uninitialised. */
#define SKIP_WITHOUT_BPF_IN_VALGRIND()                                                             \
	do {                                                                                       \
		if (under_valgrind())                                                              \
			skip("valgrind does not know what reading BPF maps gives");                \
	} while (0)

#define SKIP_OWN_PROGRAM_IN_VALGRIND()                                                             \
	do {                                                                                       \
		if (under_valgrind())                                                              \
			skip("under valgrind /proc/self/exe is valgrind");                         \
	} while (0)

__attribute__((unused)) static uint64_t test_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * When what has to happen is not waited for any more: by the clock, as a number of turns may be over at once where there is much to
 * do in each. So late that a busy machine is not taken for a fault, nor valgrind, under which threads take turns.
 */
__attribute__((unused)) static uint64_t test_deadline_ms(void)
{
	return test_now_ms() + (under_valgrind() ? 300000 : 30000);
}

#define WAIT_UNTIL(cond, step)                                                                     \
	do {                                                                                       \
		uint64_t deadline_ms_ = test_deadline_ms();                                        \
		while (!(cond)) {                                                                  \
			if (test_now_ms() > deadline_ms_)                                          \
				FAIL("never: %s", #cond);                                          \
			step;                                                                      \
		}                                                                                  \
	} while (0)

__attribute__((unused)) static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* A thread that nobody waits for may have some for a moment; what leaked stays. */
static void check_fds(const struct test *t, int before)
{
	uint64_t deadline_ms = test_deadline_ms();

	while (count_fds() != before) {
		if (test_now_ms() > deadline_ms)
			FAIL("%s: %d file descriptors left open", t->name, count_fds() - before);
		usleep(1000);
	}
}

static int test_run_one(const struct test *t)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int before = count_fds();

		t->run();
		check_fds(t, before);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: killed by signal %d\n", t->name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int test_main(void)
{
	int failed = 0, passed = 0, skipped = 0;

	for (const struct test *t = test_list; t; t = t->next) {
		int r = test_run_one(t);

		printf("%s %s\n", r == 0 ? "ok     " : r == 77 ? "skipped" : "FAILED ", t->name);
		passed += r == 0;
		skipped += r == 77;
		failed += r != 0 && r != 77;
	}
	if (failed)
		return 1;
	return passed == 0 && skipped ? 77 : 0;
}

#endif
