/*
 * peek.c - the one place that reads memory through a pointer of the program's.
 */
#include "sys/sys.h"

#include <errno.h>

/* One page is readable or not as a whole; 4096 is the least size of a page. */
enum { PAGE = 4096 };

/*
 * The kernel reads the set before it looks at what to do with it, and no such
 * thing as -1 can be done: EINVAL where it could read, EFAULT where not.
 */
static int readable(uintptr_t address)
{
	const uintptr_t word = address & ~(uintptr_t)(sizeof(uint64_t) - 1);

	/* No set at all is a set that is not given, not one that can't be read. */
	return word && sys_sigprocmask(-1, (const uint64_t *)word, NULL) != -EFAULT;
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

	/*
	 * Byte by byte, and not by memcpy: that may be a checker's by now, which would
	 * judge the program by a length that only the kernel was to see.
	 */
	const volatile unsigned char *in = from;
	unsigned char *out = ret;

	for (size_t i = 0; i < len; i++)
		out[i] = in[i];
	return 0;
}
