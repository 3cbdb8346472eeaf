/* SPDX-License-Identifier: MIT */
/*
 * apart.h - work that opens something, out of the program's sight.
 *
 * What is opened gets the lowest free number. For a moment another thread could meet
 * it there, a fork copy it for good, and a handler that leaves by siglongjmp leave it
 * behind. So this work has a table of descriptors of its own.
 */
#ifndef SYS_APART_H
#define SYS_APART_H

#include <stdbool.h>
#include <stddef.h>

typedef void apart_work(void *arg);

/*
 * Call work() with a copy of the size bytes at arg, and copy it back. There no descriptor
 * is open, and none that it opens outlives it; the caller stands still meanwhile, all its
 * signals blocked. The numbers of the program's descriptors and of the shim's own mean
 * nothing there. Of the caller's stack little is taken.
 *
 * False where it can't be had (Linux before 5.9, no room for another thread, a filter that
 * refuses it), and where a low number is a file that may have something to do with each close:
 * then nothing was called.
 */
bool apart_run(apart_work *work, void *arg, size_t size);

#endif
