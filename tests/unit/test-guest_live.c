/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This process plays the hypervisor of a guest whose memory is the largest of its mappings. */
#include <errno.h>
#include <sys/mman.h>
#include <vpmu/vpmu.h>

#include "guest_maker.h"
#include "sym/guest_live.h"
#include "sym/symbolizer.h"

static uint8_t *guest_ram;

/* The made guest's memory, with nothing mapped beside it. */
static void guest_start(const struct kallsyms_form *form)
{
	uint8_t *room = mmap(NULL, RAM_BYTES + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(room != MAP_FAILED);
	guest_ram = room + 4096;
	CHECK_EQ(mprotect(guest_ram, RAM_BYTES, PROT_READ | PROT_WRITE), 0);
	guest_make(form, 4);
	memcpy(guest_ram, ram, RAM_BYTES);
}

static struct vpmu_symbolizer *symbolizer_with(bool in_background)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .no_debuginfod = true, .in_background = in_background);
	struct vpmu_guest_info info = {.pid = getpid(), .name = "self", .uuid = ""};
	struct vpmu_symbolizer *s = NULL;
	struct vpmu_error error;

	CHECK_EQ(symbolizer_new(&opts, &s, &error), 0);
	CHECK_EQ(symbolizer_guest_runs(s, 0, &info), -EINVAL);
	CHECK_EQ(symbolizer_set_guest(s, 0, &info), 0);
	CHECK_EQ(symbolizer_guest_runs(s, 0, &info), 0);
	return s;
}

static struct vpmu_symbolizer *symbolizer_of_guest(void)
{
	return symbolizer_with(false);
}

static struct vpmu_frame guest_frame(struct vpmu_symbolizer *s, uint64_t address)
{
	struct vpmu_frame frame;

	symbolizer_frame(s, VPMU_SIDE_GUEST_KERNEL, 0, SPACE_NONE, address, false, &frame);
	return frame;
}

TEST(names_of_a_guests_kernel_come_out_of_its_memory)
{
	struct vpmu_symbolizer *s;
	struct vpmu_frame frame;

	guest_start(&kallsyms_forms[2]);
	s = symbolizer_of_guest();
	frame = guest_frame(s, MADE_TEXT_GVA + 5 * 16 + 3);
	CHECK_EQ(frame.status, VPMU_FRAME_OK);
	CHECK_STR(frame.symbol, "fn_5");
	CHECK_STR(frame.dso, "[kernel]");
	CHECK_EQ(frame.symbol_offset, 3);
	CHECK_EQ(guest_frame(s, 0xffff888000001000).status, VPMU_FRAME_NO_SYMBOL);
	symbolizer_free(s);
}

TEST(another_boot_has_other_addresses)
{
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21;
	struct vpmu_symbolizer *s;
	struct vpmu_frame frame;

	guest_start(&kallsyms_forms[5]); /* a form whose addresses follow from one number */
	s = symbolizer_of_guest();
	CHECK_STR(guest_frame(s, MADE_TEXT_GVA + 7 * 16).symbol, "fn_7");

	/* The kernel 2 MiB higher. */
	memmove(guest_ram + MADE_LEVEL2_GPA + (first + 1) * 8,
		guest_ram + MADE_LEVEL2_GPA + first * 8, 3 * 8);
	memset(guest_ram + MADE_LEVEL2_GPA + first * 8, 0, 8);
	for (size_t at = MADE_TEXT_GPA; at < RAM_BYTES - 8; at += 8) {
		uint64_t word;

		memcpy(&word, guest_ram + at, 8);
		if (word == MADE_TEXT_GVA) { /* relative_base */
			word += 0x200000;
			memcpy(guest_ram + at, &word, 8);
		}
	}
	symbolizer_refresh_guests(s);
	frame = guest_frame(s, MADE_TEXT_GVA + 0x200000 + 7 * 16);
	CHECK_EQ(frame.status, VPMU_FRAME_OK);
	CHECK_STR(frame.symbol, "fn_7");
	symbolizer_free(s);
}

TEST(a_guest_without_linux_has_no_symbols_and_is_asked_once)
{
	struct vpmu_symbolizer *s;

	guest_start(&kallsyms_forms[2]);
	memset(guest_ram, 0, RAM_BYTES);
	s = symbolizer_of_guest();
	CHECK_EQ(guest_frame(s, MADE_TEXT_GVA).status, VPMU_FRAME_NO_SYMBOLS);
	memcpy(guest_ram, ram, RAM_BYTES);
	CHECK_EQ(guest_frame(s, MADE_TEXT_GVA).status, VPMU_FRAME_NO_SYMBOLS);
	symbolizer_refresh_guests(s); /* as a session does at its end */
	CHECK_EQ(guest_frame(s, MADE_TEXT_GVA).status, VPMU_FRAME_OK);
	symbolizer_free(s);
}

TEST(in_the_background_names_come_when_the_look_is_over)
{
	struct vpmu_symbolizer *s;
	struct vpmu_frame frame;

	guest_start(&kallsyms_forms[2]);
	symbolizer_free(symbolizer_with(true));
	s = symbolizer_with(true);
	WAIT_UNTIL((frame = guest_frame(s, MADE_TEXT_GVA + 5 * 16)).status == VPMU_FRAME_OK, usleep(10000));
	CHECK_STR(frame.symbol, "fn_5");
	symbolizer_free(s);
	/* Nobody waits for this one; it ends by itself, and its descriptors with it. */
	s = symbolizer_with(true);
	(void)symbolizer_guest_kernel(s, 0);
	symbolizer_free(s);
}

/* More than can have a turn at once: those that are waited for are read, the others are let go. */
TEST(many_look_ups_take_turns_and_can_be_cancelled)
{
	struct vpmu_guest_info info = {.pid = getpid(), .name = "self", .uuid = ""};
	struct guest_live *lives[20];
	struct guest_names names;

	guest_start(&kallsyms_forms[2]);
	for (size_t i = 0; i < 20; i++) {
		lives[i] = guest_live_new(&info);
		CHECK(lives[i]);
		guest_live_begin(lives[i]);
	}
	for (size_t i = 0; i < 10; i++) {
		int r = guest_live_read(lives[i], NULL, &names);

		/* So many threads have memory, too, which may be taken for the guest's. */
		CHECK(r == 0 || r == -ENOENT);
		if (r < 0)
			continue;
		CHECK_EQ(names.kernel_gva, MADE_TEXT_GVA);
		guest_names_deinit(&names);
	}
	for (size_t i = 10; i < 20; i++)
		guest_live_cancel(lives[i]);
	for (size_t i = 0; i < 20; i++)
		guest_live_free(lives[i]);
}

int main(void)
{
	return test_main();
}
