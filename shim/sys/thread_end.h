/* SPDX-License-Identifier: MIT */
/*
 * thread_end.h - to be told when a thread ends.
 */
#ifndef SYS_THREAD_END_H
#define SYS_THREAD_END_H

#include <pthread.h>

typedef __typeof__(pthread_key_create) thread_key_create;
typedef __typeof__(pthread_key_delete) thread_key_delete;
typedef __typeof__(pthread_setspecific) thread_set;

/*
 * At load: libc's own functions, whatever another library has put in their place; and what
 * to call at the end of each thread that asks for it. Where one is NULL nobody is told.
 */
void thread_end_use(thread_key_create *create, thread_key_delete *cancel, thread_set *set,
		    void (*function)(void *arg));

/* This thread asks for it, once more after each time that it was told. */
void thread_end_await(void);

#endif
