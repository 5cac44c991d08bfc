/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf/guest_code.h: which bytes say where the return address is, and which do not. */
#include "guest_ram.h"
#include "unit/test.h"

struct code {
	uint8_t bytes[GUEST_CODE_BYTES];
};

/* @before in front of the address, @after from there on. */
static struct code code_of(const char *before, size_t n_before, const char *after, size_t n_after)
{
	struct code code = {};

	memcpy(code.bytes + GUEST_CODE_BEFORE - n_before, before, n_before);
	memcpy(code.bytes + GUEST_CODE_BEFORE, after, n_after);
	return code;
}

#define CODE(before, after) code_of(before, sizeof(before) - 1, after, sizeof(after) - 1)

static void check_place(struct code code, enum guest_code_place want, int line)
{
	enum guest_code_place place = guest_code_place(code.bytes);

	if (place != want)
		FAIL("line %d: %d; expected %d", line, place, want);
}

#define CHECK_PLACE(want, before, after) check_place(CODE(before, after), GUEST_CODE_##want, __LINE__)

TEST(a_function_that_begins_has_its_caller_on_top)
{
	CHECK_PLACE(TOP, "", "\x55\x48\x89\xe5");
	CHECK_PLACE(TOP, "", "\xf3\x0f\x1e\xfa\x55\x48\x89\xe5");
	CHECK_PLACE(TOP, "", "\xf3\x0f\x1e\xfa\xe8\x01\x02\x03\x04\x55\x48\x89\xe5");
	CHECK_PLACE(TOP, "", "\x0f\x1f\x44\x00\x00\x55\x48\x89\xe5");
	CHECK_PLACE(TOP, "", "\x55\xbf\x01\x00\x00\x00\x48\x89\xe5"); /* mov $1, %edi between */
}

TEST(a_call_on_its_way_to_a_library_has_its_caller_on_top)
{
	CHECK_PLACE(TOP, "", "\xff\x25\x01\x02\x03\x04\x68\x3e\x00\x00\x00\xe9");
	CHECK_PLACE(TOP, "", "\xf3\x0f\x1e\xfa\xff\x25\x01\x02\x03\x04");
	CHECK_PLACE(TOP, "\xf3\x0f\x1e\xfa", "\xf2\xff\x25\x01\x02\x03\x04");
	CHECK_PLACE(FRAME, "\x31\xc0", "\xff\x25\x01\x02\x03\x04"); /* any jump */
}

TEST(having_pushed_it_is_behind_the_top)
{
	CHECK_PLACE(PUSHED, "\x55", "\x48\x89\xe5");
	CHECK_PLACE(PUSHED, "\x55", "\xbf\x01\x00\x00\x00\x48\x89\xe5");
}

TEST(what_leaves_has_it_on_top_again)
{
	CHECK_PLACE(RETURN, "\x5d", "\xc3");
	CHECK_PLACE(RETURN, "\xc9", "\xc3");
	CHECK_PLACE(RETURN, "", "\xf3\xc3"); /* rep ret */
	CHECK_PLACE(POPPED, "\x5d", "\xe9\x01\x02\x03\x04");
	CHECK_PLACE(POPPED, "\xc9", "\xeb\x10");
	CHECK_PLACE(POPPED, "\x5d", "\xff\xe0");
	CHECK_PLACE(POPPED, "\x5d", "\xff\x25\x01\x02\x03\x04");
}

TEST(other_code_says_nothing)
{
	CHECK_PLACE(FRAME, "", "\x55\x53\x48\x83\xec\x18");	       /* push %rbp, push %rbx, sub: no frame */
	CHECK_PLACE(FRAME, "\x48\x89\xe5", "\x53\x48\x83\xec\x18");     /* the frame is there */
	CHECK_PLACE(FRAME, "\x48\x89\x55", "\xc8\x48\x83\xec\x18");     /* 55 and c8 as operands */
	CHECK_PLACE(FRAME, "\x5b", "\x5d\xc3");			       /* the frame is still there */
	CHECK_PLACE(FRAME, "\x5d", "\xff\xd0");			       /* a call */
	CHECK_PLACE(FRAME, "\x31\xc0", "\xe9\x01\x02\x03\x04");	       /* a jump inside of a function */
	CHECK_PLACE(FRAME, "", "");				       /* nothing could be read */
}

TEST(return_addresses_are_behind_calls)
{
	static const char *const calls[] = {
		"\xe8\x01\x02\x03\x04",	    "\xff\xd0",		    "\x41\xff\xd7",
		"\xff\x10",		    "\xff\x14\xc3",	    "\xff\x50\x08",
		"\xff\x54\x24\x08",	    "\xff\x15\x01\x02\x03\x04", "\xff\x90\x80\x02\x03\x04",
		"\xff\x94\x24\x80\x02\x03\x04", "\xff\x14\x25\x01\x02\x03\x04", "\xff\x14\xc5\x01\x02\x03\x04",
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct code code = code_of(calls[i], strlen(calls[i]), "", 0);

		if (!guest_code_after_call(code.bytes))
			FAIL("call %zu is not taken for one", i);
	}
}

TEST(other_addresses_are_not)
{
	static const char *const others[] = {
		"\xe8\x01\x02\x03\x04\x90", /* one byte later */
		"\xe9\x01\x02\x03\x04",	    /* jmp */
		"\xff\xe0",		    /* jmp *%rax */
		"\xff\x25\x01\x02\x03\x04", /* jmp * */
		"\xff\x35\x01\x02\x03\x04", /* push */
		"\x5d\xc3",
		"\xc3\x0f\x1f\x44\x00",
		"",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct code code = code_of(others[i], strlen(others[i]), "", 0);

		if (guest_code_after_call(code.bytes))
			FAIL("%zu is taken for a call", i);
	}
}

int main(void)
{
	return test_main();
}
