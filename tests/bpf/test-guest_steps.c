/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/guest_code.h on real code: a process is run instruction by instruction, the calls it makes and returns from are kept, and at each of them the
 * caller that is found, if one is, must be the one there is. The program keeps frame pointers (meson.build), its C library does not: most of
 * what runs must not be mistaken for anything.
 *
 * The process is the guest: its pages are mapped to where they are, with a bit on top that tells them from the page tables.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "bpf/vpmu_bpf.h"

#define TABLES_BYTES ((uint64_t)1024 * 4096)
#define OF_PROCESS   (1ull << 48)
#define MAX_STEPS    40000
#define MAX_CALLS    1000

struct guest_memory {
	uint8_t *tables;
	pid_t pid;
	uint64_t n_tables;
};

static pid_t stepped; /* a test has one */

static inline uint64_t guest_hva(struct guest_memory *memory, uint64_t gpa)
{
	if (gpa & OF_PROCESS)
		return gpa;
	return gpa < TABLES_BYTES ? (uintptr_t)memory->tables + gpa : 0;
}

static inline int guest_copy(void *dst, size_t n, uint64_t hva)
{
	struct iovec to = {dst, n}, from = {(void *)(uintptr_t)(hva & ~OF_PROCESS), n};

	if (hva & OF_PROCESS)
		return process_vm_readv(stepped, &to, 1, &from, 1, 0) == (ssize_t)n ? 0 : -1;
	memcpy(dst, from.iov_base, n);
	return 0;
}

static inline void guest_loop(uint32_t n, long (*fn)(uint32_t i, void *data), void *data)
{
	for (uint32_t i = 0; i < n && fn(i, data) == 0; i++)
		;
}

#define guest_walk_function static inline

#include "bpf/guest_walk.h"
#include "unit/test.h"

static void map_page(struct guest_memory *memory, uint64_t gva)
{
	uint64_t table = 4096, *entry;

	if (gva >> 47)
		return;
	for (unsigned int shift = 39;; shift -= 9) {
		entry = (uint64_t *)(memory->tables + table + (gva >> shift & 511) * 8);
		if (shift == 12)
			break;
		if (!*entry) {
			CHECK((2 + memory->n_tables) * 4096 < TABLES_BYTES);
			*entry = (2 + memory->n_tables++) * 4096 | 7;
		}
		table = *entry & PAGE_ADDRESS;
	}
	*entry = (gva & PAGE_ADDRESS) | OF_PROCESS | 7;
}

static uint64_t word_at(uint64_t gva)
{
	uint64_t word = 0;

	(void)guest_copy(&word, sizeof(word), gva | OF_PROCESS);
	return word;
}

/* ---- what is run ---- */

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) int both(int n, int (*fn)(int n))
{
	return n > 0 ? fn(n - 1) + fn(n - 2) : 1;
}

static __attribute__((noinline)) int fibonacci(int n)
{
	return both(n, fibonacci);
}

static __attribute__((noinline)) void work(void)
{
	char text[100];
	int numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = fibonacci(i % 5) * 37 % 41;
	qsort(numbers, 40, sizeof(*numbers), compare);
	for (int i = 0; i < 10; i++)
		snprintf(text, sizeof(text), "%d %s %f", numbers[i], "of forty", i / 3.0);
	free(strdup(text));
}

/* ---- running it ---- */

struct calls {
	struct {
		uint64_t at, address; /* where the return address lies, and which */
	} items[MAX_CALLS];
	unsigned int n;
	uint64_t ip, sp; /* of the instruction before … */
	uint8_t code[2]; /* … and its first bytes */
};

static void note_step(struct calls *calls, const struct user_regs_struct *regs)
{
	const uint8_t *code = calls->code;
	bool is_call = code[0] == 0xe8 || code[0] == 0xff || (code[0] == 0x41 && code[1] == 0xff) || code[0] == 0x3e || code[0] == 0xf2;
	uint64_t top = word_at(regs->rsp);

	if (is_call && regs->rsp == calls->sp - 8 && top > calls->ip && top <= calls->ip + 8) {
		CHECK(calls->n < MAX_CALLS);
		calls->items[calls->n].at = regs->rsp;
		calls->items[calls->n++].address = top;
	}
	while (calls->n && regs->rsp > calls->items[calls->n - 1].at)
		calls->n--;
	top = word_at(regs->rip);
	memcpy(calls->code, &top, sizeof(calls->code));
	calls->ip = regs->rip;
	calls->sp = regs->rsp;
}

/* The callers that are found at this instruction: 0, 1 or 2, none of them wrong. */
static unsigned int check_step(struct guest_walk *w, const struct calls *calls, const struct user_regs_struct *regs)
{
	const uint64_t pages[] = {regs->rip, regs->rsp - 8, regs->rsp + 8, word_at(regs->rsp), word_at(regs->rsp + 8)};

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		map_page(&w->memory, pages[i]);
	w->bp = regs->rbp;
	w->sp = regs->rsp;
	w->ip = w->sample.ip = regs->rip;
	w->page_hva = 0;
	w->n_callers = 0;
	guest_find_caller(w);
	for (unsigned int i = 0; i < w->n_callers && i < calls->n; i++)
		if (w->sample.frames[i] != calls->items[calls->n - 1 - i].address)
			FAIL("at 0x%llx caller %u is 0x%llx; found was 0x%llx", regs->rip, i,
			     (unsigned long long)calls->items[calls->n - 1 - i].address, (unsigned long long)w->sample.frames[i]);
	return w->n_callers;
}

TEST(no_caller_that_is_found_is_another_than_the_true_one)
{
	unsigned int steps = 0, found = 0;
	struct user_regs_struct regs;
	struct calls *calls;
	struct guest_walk *w;
	int status;

	if (under_valgrind())
		skip("valgrind does not run code step by step");
	w = calloc(1, sizeof(*w));
	calls = calloc(1, sizeof(*calls));
	w->memory.tables = calloc(1, TABLES_BYTES);
	w->cr3 = 4096;
	w->levels = 4;
	stepped = fork();
	if (stepped == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 || raise(SIGSTOP) != 0)
			_exit(77);
		work();
		_exit(0);
	}
	CHECK(waitpid(stepped, &status, 0) == stepped);
	if (WIFEXITED(status))
		skip("no right to trace a process");
	for (; steps < MAX_STEPS && ptrace(PTRACE_SINGLESTEP, stepped, 0, 0) == 0; steps++) {
		if (waitpid(stepped, &status, 0) != stepped || !WIFSTOPPED(status))
			break;
		CHECK_EQ(ptrace(PTRACE_GETREGS, stepped, 0, &regs), 0);
		note_step(calls, &regs);
		found += check_step(w, calls, &regs);
	}
	kill(stepped, SIGKILL);
	waitpid(stepped, NULL, 0);
	printf("%u steps, %u callers found\n", steps, found);
	CHECK(steps > 5000 && found > 300);
	free(w->memory.tables);
	free(calls);
	free(w);
}

int main(void)
{
	return test_main();
}
