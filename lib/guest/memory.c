/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "guest/memory.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

#define CACHE_PAGES 256 /* 1 MiB: the tables and structures of a few hundred modules and tasks */
#define NO_PAGE	    UINT64_MAX

struct cached {
	uint64_t gpa; /* NO_PAGE: none */
	uint8_t bytes[PAGE_BYTES];
};

struct memory {
	struct memory_segment *segments;
	size_t n_segments;
	pid_t pid;	   /* 0: a file, or another reads */
	int file, pagemap; /* pagemap: -1 where it may not be read, or for a file */
	const struct memory_remote *remote; /* NULL: we read */
	struct cached *cache; /* NULL until something small is read */
};

static int memory_new(const struct memory_segment *segments, size_t n_segments,
		      struct memory **ret_memory)
{
	_cleanup_(memory_freep) struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->file = m->pagemap = -1;
	for (size_t i = 0; i < n_segments; i++) {
		uint64_t end, at_end;

		if (__builtin_add_overflow(segments[i].gpa, segments[i].n_bytes, &end) ||
		    __builtin_add_overflow(segments[i].at, segments[i].n_bytes, &at_end) ||
		    (segments[i].gpa | segments[i].n_bytes | segments[i].at) % PAGE_BYTES ||
		    (i && segments[i].gpa < segments[i - 1].gpa + segments[i - 1].n_bytes))
			return -EINVAL;
	}
	m->segments = calloc(n_segments ? n_segments : 1, sizeof(*segments));
	if (!m->segments)
		return -ENOMEM;
	memcpy(m->segments, segments, n_segments * sizeof(*segments));
	m->n_segments = n_segments;
	*ret_memory = take_ptr(m);
	return 0;
}

struct memory *memory_free(struct memory *m)
{
	if (!m)
		return NULL;
	closep(&m->file);
	closep(&m->pagemap);
	free(m->segments);
	free(m->cache);
	free(m);
	return NULL;
}

int memory_of_process(pid_t pid, const struct memory_segment *segments, size_t n_segments,
		      struct memory **ret_memory)
{
	struct memory *m;
	char path[64];
	int r = memory_new(segments, n_segments, &m);

	if (r < 0)
		return r;
	m->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	m->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	*ret_memory = m;
	return 0;
}

int memory_of_file(const char *path, struct memory **ret_memory, struct vpmu_error *reterr)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct memory_segment all = {};
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "open", path);
	if (!S_ISREG(st.st_mode) || st.st_size < PAGE_BYTES)
		return error_set(reterr, -EINVAL, "'%s' is not a copy of a guest's memory", path);
	all.n_bytes = (uint64_t)st.st_size / PAGE_BYTES * PAGE_BYTES;
	r = memory_new(&all, 1, ret_memory);
	if (r < 0)
		return error_oom(reterr);
	(*ret_memory)->file = take_fd(&fd);
	return 0;
}

int memory_of_remote(const struct memory_remote *remote, const struct memory_segment *segments, size_t n_segments,
		     struct memory **ret_memory)
{
	int r = memory_new(segments, n_segments, ret_memory);

	if (r == 0)
		(*ret_memory)->remote = remote;
	return r;
}

void memory_forget(struct memory *m)
{
	for (size_t i = 0; m->cache && i < CACHE_PAGES; i++)
		m->cache[i].gpa = NO_PAGE;
}

uint64_t memory_bytes(const struct memory *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n_segments; i++)
		n += m->segments[i].n_bytes;
	return n;
}

const struct memory_segment *memory_segments(const struct memory *m, size_t *ret_n)
{
	*ret_n = m->n_segments;
	return m->segments;
}

/* The segment that holds @gpa, or NULL. */
static const struct memory_segment *segment_of(const struct memory *m, uint64_t gpa)
{
	for (size_t i = 0; i < m->n_segments; i++)
		if (gpa - m->segments[i].gpa < m->segments[i].n_bytes)
			return &m->segments[i];
	return NULL;
}

bool memory_has(const struct memory *m, uint64_t gpa, uint64_t n_bytes)
{
	const struct memory_segment *segment = segment_of(m, gpa);

	return segment && n_bytes <= segment->n_bytes - (gpa - segment->gpa);
}

static int read_at(const struct memory *m, uint64_t at, void *bytes, size_t n)
{
	struct iovec here = {bytes, n}, there = {(void *)(uintptr_t)at, n};
	ssize_t got;

	if (!m->pid) {
		got = io_pread_full(m->file, bytes, n, at);
		return got == (ssize_t)n ? 0 : got < 0 ? (int)got : -EFAULT;
	}
	got = process_vm_readv(m->pid, &here, 1, &there, 1, 0);
	if (got < 0)
		return -errno;
	return got == (ssize_t)n ? 0 : -EFAULT;
}

int memory_read_large(struct memory *m, uint64_t gpa, void *opaque, size_t n)
{
	uint8_t *bytes = opaque;

	while (n) {
		const struct memory_segment *segment = segment_of(m, gpa);
		uint64_t within, piece;
		int r;

		if (!segment)
			return -EFAULT;
		within = gpa - segment->gpa;
		piece = MIN((uint64_t)n, segment->n_bytes - within);
		r = m->remote ? m->remote->read(m->remote->data, gpa, bytes, (size_t)piece) :
				read_at(m, segment->at + within, bytes, (size_t)piece);
		if (r < 0)
			return r;
		bytes += piece;
		gpa += piece;
		n -= (size_t)piece;
	}
	return 0;
}

static int cached_page(struct memory *m, uint64_t page_gpa, const uint8_t **ret_bytes)
{
	uint64_t number = page_gpa / PAGE_BYTES;
	struct cached *slot;

	if (!m->cache) {
		m->cache = malloc(CACHE_PAGES * sizeof(*m->cache));
		if (!m->cache)
			return -ENOMEM;
		memory_forget(m);
	}
	slot = &m->cache[(number ^ number >> 8) % CACHE_PAGES];
	if (slot->gpa != page_gpa) {
		int r;

		slot->gpa = NO_PAGE;
		r = memory_read_large(m, page_gpa, slot->bytes, PAGE_BYTES);
		if (r < 0)
			return r;
		slot->gpa = page_gpa;
	}
	*ret_bytes = slot->bytes;
	return 0;
}

int memory_read(struct memory *m, uint64_t gpa, void *opaque, size_t n)
{
	uint8_t *bytes = opaque;

	while (n) {
		size_t within = gpa % PAGE_BYTES, piece = MIN(n, PAGE_BYTES - within);
		const uint8_t *page;
		int r = cached_page(m, gpa - within, &page);

		if (r < 0)
			return r;
		memcpy(bytes, page + within, piece);
		bytes += piece;
		gpa += piece;
		n -= piece;
	}
	return 0;
}

/* ---- all of memory ---- */

#define PAGEMAP_PRESENT (1ull << 63)

static_assert(MEMORY_WORDS_PAGES <= IOV_MAX, "one system call for all of them");

/* Which of @n pages from @at on are resident; all of them where that cannot be told. */
static void residence(const struct memory *m, uint64_t at, size_t n, uint64_t *entries)
{
	ssize_t got = m->pagemap < 0
			      ? -1
			      : io_pread_full(m->pagemap, entries, n * 8, at / PAGE_BYTES * 8);

	if (got != (ssize_t)(n * 8))
		memset(entries, 0xff, n * 8);
}

/* Those of pages that cannot be read become 0. */
static int read_words(const struct memory *m, const struct iovec *there, uint64_t *words, size_t n)
{
	size_t done = 0;

	memset(words, 0, n * 8);
	while (done < n) {
		struct iovec here = {words + done, (n - done) * 8};
		ssize_t got = process_vm_readv(m->pid, &here, 1, there + done, n - done, 0);

		if (got < 0 && errno != EFAULT)
			return -errno;
		done += (got > 0 ? (size_t)got / 8 : 0);
		done += done < n; /* the one that stopped it */
	}
	return 0;
}

static void read_file_words(const struct memory *m, const struct iovec *there, uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (io_pread_full(m->file, &words[i], 8, (uint64_t)(uintptr_t)there[i].iov_base) != 8)
			words[i] = 0;
}

int memory_words(struct memory *m, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *ret)
{
	const struct memory_segment *segment = segment_of(m, gpa);
	struct iovec there[MEMORY_WORDS_PAGES];
	uint64_t pagemap[MEMORY_WORDS_PAGES], words[MEMORY_WORDS_PAGES], at;
	int r = 0;

	if (n_pages > MEMORY_WORDS_PAGES || gpa % PAGE_BYTES || offset > PAGE_BYTES - 8 || !segment ||
	    n_pages > (segment->n_bytes - (gpa - segment->gpa)) / PAGE_BYTES)
		return -EFAULT;
	if (m->remote)
		return m->remote->words(m->remote->data, gpa, n_pages, offset, ret);
	at = segment->at + (gpa - segment->gpa);
	residence(m, at, n_pages, pagemap);
	ret->n = 0;
	for (size_t i = 0; i < n_pages; i++) {
		if (!(pagemap[i] & PAGEMAP_PRESENT))
			continue;
		there[ret->n] = (struct iovec){(void *)(uintptr_t)(at + i * PAGE_BYTES + offset), 8};
		ret->items[ret->n++].page_gpa = gpa + i * PAGE_BYTES;
	}
	if (m->pid)
		r = read_words(m, there, words, ret->n);
	else
		read_file_words(m, there, words, ret->n);
	for (size_t i = 0; i < ret->n; i++)
		ret->items[i].word = words[i];
	return r;
}

int memory_scan(struct memory *m, unsigned int offset,
		int (*fn)(uint64_t page_gpa, uint64_t word, void *data), void *data)
{
	_free_ struct memory_words *words = malloc(sizeof(*words));

	if (!words)
		return -ENOMEM;
	for (size_t s = 0; s < m->n_segments; s++) {
		const struct memory_segment *segment = &m->segments[s];

		for (uint64_t first = 0; first < segment->n_bytes; first += (uint64_t)MEMORY_WORDS_PAGES * PAGE_BYTES) {
			uint64_t left = (segment->n_bytes - first) / PAGE_BYTES;
			int r = memory_words(m, segment->gpa + first, (size_t)MIN(left, MEMORY_WORDS_PAGES), offset,
					     words);

			for (size_t i = 0; r == 0 && i < words->n; i++)
				r = fn(words->items[i].page_gpa, words->items[i].word, data);
			if (r)
				return r;
		}
	}
	return 0;
}
