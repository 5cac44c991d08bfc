/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "client/base64.h"
#include "test.h"
#include "util/macro.h"

TEST(the_examples_of_the_rfc)
{
	static const char *const pairs[][2] = {
		{ "", "" },	    { "f", "Zg==" },	     { "fo", "Zm8=" },	       { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	char text[64];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		base64_encode(pairs[i][0], strlen(pairs[i][0]), text);
		CHECK_STR(text, pairs[i][1]);
		CHECK_EQ(strlen(text), BASE64_LENGTH(strlen(pairs[i][0])));
		CHECK_EQ(base64_decode(text, strlen(text), text, &n), 0);
		text[n] = '\0';
		CHECK_STR(text, pairs[i][0]);
	}
}

TEST(all_bytes_come_back)
{
	unsigned char bytes[256 * 3], back[sizeof(bytes)];
	char text[BASE64_LENGTH(sizeof(bytes)) + 1];
	size_t n;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t from = 0; from < 3; from++) {
		base64_encode(bytes + from, sizeof(bytes) - from, text);
		CHECK_EQ(base64_decode(text, strlen(text), back, &n), 0);
		CHECK_EQ(n, sizeof(bytes) - from);
		CHECK(memcmp(back, bytes + from, n) == 0);
	}
}

TEST(what_is_no_base64_is_refused)
{
	static const char *const texts[] = { "Z", "Zg", "Zg=", "Zg=v", "=Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm8 ", "Zm-v", "Zg==Zg==" };
	char bytes[64];
	size_t n = 77;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (base64_decode(texts[i], strlen(texts[i]), bytes, &n) != -EBADMSG)
			FAIL("'%s' is taken", texts[i]);
	CHECK_EQ(n, 77);
}

int main(void)
{
	return test_main();
}
