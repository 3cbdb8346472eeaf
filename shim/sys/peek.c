/* SPDX-License-Identifier: MIT */
/*
 * peek.c - the one place that reads memory through a pointer of the program's.
 */
#include "sys/sys.h"

#include <errno.h>

/* One page is readable or not as a whole; 4096 is the least size of a page. */
enum { PAGE = 4096 };

typedef uint64_t __attribute__((may_alias)) word;

/*
 * The kernel reads the set before it looks at what to do with it, and no such
 * thing as -1 can be done: EINVAL where it could read, EFAULT where not.
 */
static int readable(uintptr_t address)
{
	const uintptr_t aligned = address & ~(uintptr_t)(sizeof(uint64_t) - 1);

	/*
	 * No set at all is a set that is not given, not one that can't be read. Another error is
	 * a filter's, and says nothing of the pointer.
	 */
	return aligned && sys_sigprocmask(-1, (const uint64_t *)aligned, NULL) == -EINVAL;
}

/*
 * In a loop, and not by memcpy: that may be a checker's by now, which would judge the
 * program by a length that only the kernel was to see.
 */
static __attribute__((no_sanitize_address)) void copy(void *ret, const void *from, size_t len)
{
	const volatile unsigned char *in = from;
	unsigned char *out = ret;

	if ((((uintptr_t)in | (uintptr_t)out) & (sizeof(uint64_t) - 1)) == 0) {
		for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) {
			*(word *)out = *(const volatile word *)in;
			in += sizeof(uint64_t);
			out += sizeof(uint64_t);
		}
	}
	for (size_t i = 0; i < len; i++)
		out[i] = in[i];
}

int sys_peek(void *ret, const void *from, size_t len)
{
	const uintptr_t first = (uintptr_t)from, last = first + len - 1;

	if (len == 0)
		return 0;
	if (len > PAGE || last < first || !readable(first))
		return -EFAULT;
	if (first / PAGE != last / PAGE && !readable(last))
		return -EFAULT;

	copy(ret, from, len);
	return 0;
}

__attribute__((no_sanitize_address)) int sys_peek_word(uint64_t *ret, const void *from)
{
	if ((uintptr_t)from % sizeof(*ret))
		return sys_peek(ret, from, sizeof(*ret));
	if (!readable((uintptr_t)from))
		return -EFAULT;
	*ret = *(const volatile word *)from;
	return 0;
}

static int readable_again(struct sys_pages *pages, uintptr_t address)
{
	const unsigned int n = sizeof(pages->page) / sizeof(pages->page[0]);

	if (pages->page[(pages->next - 1) % n] == address / PAGE)
		return 1;
	for (unsigned int i = 0; i < n; i++)
		if (pages->page[i] == address / PAGE)
			return 1;
	if (!readable(address))
		return 0;
	pages->page[pages->next++ % n] = address / PAGE;
	return 1;
}

/* Most reads are of one page, and of words in it. */
__attribute__((no_sanitize_address)) int sys_peek_word_again(struct sys_pages *pages, uint64_t *ret,
							     const void *from)
{
	const uintptr_t address = (uintptr_t)from;

	if (address % sizeof(*ret) || address < PAGE)
		return sys_peek_again(pages, ret, from, sizeof(*ret));
	if (!readable_again(pages, address))
		return -EFAULT;
	*ret = *(const volatile word *)from;
	return 0;
}

int sys_peek_again(struct sys_pages *pages, void *ret, const void *from, size_t len)
{
	const uintptr_t first = (uintptr_t)from, last = first + len - 1;

	if (len == 0)
		return 0;
	/* Page 0 is what an empty place looks like; nothing is there. */
	if (len > PAGE || last < first || first < PAGE || !readable_again(pages, first))
		return -EFAULT;
	if (first / PAGE != last / PAGE && !readable_again(pages, last))
		return -EFAULT;

	copy(ret, from, len);
	return 0;
}
