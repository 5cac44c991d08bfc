/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/vmcoreinfo.h"
#include "test.h"

#define USUAL                                                                                                          \
	"OSRELEASE=6.1.0-50-cloud-amd64\nBUILD-ID=00\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff9f1a1280\n"       \
	"SYMBOL(swapper_pg_dir)=ffffffff9f010000\nSYMBOL(_stext)=ffffffff9e000000\nNUMBER(phys_base)=-507510784\n"

static size_t make_note(const char *text, char note[VMCOREINFO_HEAD_BYTES + 2 * VMCOREINFO_TEXT_MAX])
{
	uint32_t head[] = {11, (uint32_t)strlen(text), 0};

	memset(note, 0, VMCOREINFO_HEAD_BYTES);
	memcpy(note, head, sizeof(head));
	memcpy(note + 12, "VMCOREINFO", 10);
	memcpy(note + VMCOREINFO_HEAD_BYTES, text, strlen(text));
	return VMCOREINFO_HEAD_BYTES + strlen(text);
}

TEST(a_note_is_read)
{
	char note[VMCOREINFO_HEAD_BYTES + 2 * VMCOREINFO_TEXT_MAX];
	struct vmcoreinfo info;
	size_t n = make_note(USUAL "NUMBER(pgtable_l5_enabled)=1\nKERNELOFFSET=1d000000\n", note);

	CHECK_EQ(vmcoreinfo_parse(note, n, &info), 0);
	CHECK_STR(info.release, "6.1.0-50-cloud-amd64");
	CHECK_EQ(info.swapper_pg_dir, 0xffffffff9f010000);
	CHECK_EQ(info.stext, 0xffffffff9e000000);
	CHECK_EQ(info.phys_base, -507510784);
	CHECK_EQ(info.levels, 5);
	n = make_note(USUAL, note);
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), 0);
	CHECK_EQ(info.levels, 4);
}

TEST(what_is_no_note_or_lacks_something_is_refused)
{
	char note[VMCOREINFO_HEAD_BYTES + 2 * VMCOREINFO_TEXT_MAX], text[VMCOREINFO_TEXT_MAX + 2];
	struct vmcoreinfo info = {.levels = 77};
	size_t n = make_note(USUAL, note);

	CHECK_EQ(vmcoreinfo_parse(note, n - 1, &info), -EBADMSG);
	note[12] = 'X';
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), -EBADMSG);
	n = make_note(USUAL "\x01", note);
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), -EBADMSG);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = make_note(text, note);
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), -EBADMSG);
	n = make_note("OSRELEASE=6.1\nSYMBOL(_stext)=ffffffff9e000000\n", note);
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), -ENOENT);
	n = make_note("NUMBER(phys_base)=many\n" USUAL, note);
	CHECK_EQ(vmcoreinfo_parse(note, n, &info), 0);
	CHECK_EQ(info.phys_base, -507510784);
}

int main(void)
{
	return test_main();
}
