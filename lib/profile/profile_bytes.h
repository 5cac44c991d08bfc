/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A resolved profile as bytes: what vpmud keeps of every guest and minute, and hands to who asks for it.
 *
 *	8 bytes "vpmuprof", u8 version, then a packed body (format/packed.h)
 *
 * The body consists of varints (util/varint.h) and strings (a varint length, the bytes). Things are numbered in the order in
 * which they stand; what refers to "a string" and so on has its number; string 0 is the empty one, which is not written.
 *
 *	flags		1: with call chains
 *	coverage	how many totals there are, then lost, throttled, truncated chains, damaged records, guest chains,
 *			samples whose guest process is known;
 *			how many chain ends, then each (by enum vpmu_chain_end); source: a string's text
 *	strings		how many, then each one's text
 *	events		how many, then each: name string, flags (1: a clock, 2: excludes guests), frequency, period
 *	guests		how many, then each: name string, UUID string
 *	frames		how many, then each: symbol, dso, build-id, source file strings, source line,
 *			side + 8 * status
 *	stacks		how many, then each: how many frames, then each one's number, innermost first
 *	entries		how many, then each: guest + 1 or 0, vCPU + 1 or 0, process string, side + 8 * event,
 *			stack + 1 and nothing more (its first frame is the leaf), or 0 and the leaf frame; samples, weight
 *
 * Samples by side, resolved and opaque ones are not written: they are the entries' sums. A later writer may add totals, chain
 * ends, and whatever else behind the entries.
 */
#ifndef PROFILE_PROFILE_BYTES_H
#define PROFILE_PROFILE_BYTES_H

#define PROFILE_BYTES_MAGIC   "vpmuprof"
#define PROFILE_BYTES_VERSION 1
#define PROFILE_BYTES_HEADER  9 /* magic and version */

#define PROFILE_BYTES_CHAINS	     1u /* flags of the profile */
#define PROFILE_BYTES_CLOCK	     1u /* flags of an event */
#define PROFILE_BYTES_EXCLUDES_GUEST 2u

/* So that who reads foreign bytes can say how much memory that may take. */
#define PROFILE_BYTES_MAX	 (128u << 20)
#define PROFILE_BYTES_GUESTS_MAX 8192u
#define PROFILE_BYTES_EVENTS_MAX 1024u

#endif
