/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/hash.h"
#include "test.h"

TEST(fingerprints_are_the_same_in_every_process)
{
	CHECK_EQ(hash_fingerprint("", 0), hash_fingerprint("x", 0));
	CHECK(hash_fingerprint("a", 1) != hash_fingerprint("b", 1));
	CHECK(hash_fingerprint("a\0", 2) != hash_fingerprint("a", 1));
	CHECK_EQ(hash_fingerprint("libvpmu", 7), 0xbfff1847c98bd26cu);
}

TEST(a_process_has_a_key_of_its_own)
{
	/* Keys that collide under the public constants do not under ours. */
	uint64_t a[2] = { 1, 0xd1b54a32d192ed03u }, b[2] = { 2, 0xd1b54a32d192ed03u };
	const uint64_t fixed[2] = { 0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u };

	CHECK_EQ(hash_mix_with(fixed, a[0], a[1]), hash_mix_with(fixed, b[0], b[1]));
	CHECK(hash_mix(a[0], a[1]) != hash_mix(b[0], b[1]));
}

int main(void)
{
	return test_main();
}
