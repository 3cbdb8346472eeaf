/* SPDX-License-Identifier: MIT */
/*
 * thread_end.c - see thread_end.h. libc calls the destructor of a key whose value is not NULL
 * when the thread ends (man 3 pthread_key_create), but not at exit().
 */
#include "sys/thread_end.h"

#include <stddef.h>

/*
 * For the first keys libc has room in the thread itself; for a later one pthread_setspecific
 * would allocate (glibc: PTHREAD_KEY_2NDLEVEL_SIZE).
 */
enum { KEYS_WITH_ROOM = 32 };

static thread_set *libc_set; /* NULL: there is no key */
static pthread_key_t key;

void thread_end_use(thread_key_create *create, thread_key_delete *cancel, thread_set *set,
		    void (*function)(void *arg))
{
	if (!create || !cancel || !set || create(&key, function) != 0)
		return;
	if (key < KEYS_WITH_ROOM)
		libc_set = set;
	else
		cancel(key);
}

void thread_end_await(void)
{
	if (libc_set)
		libc_set(key, &key);
}
