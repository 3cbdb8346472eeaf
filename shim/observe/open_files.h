/* SPDX-License-Identifier: MIT */
/*
 * open_files.h - which numbers the calling thread has open, ours included.
 */
#ifndef OBSERVE_OPEN_FILES_H
#define OBSERVE_OPEN_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct open_files {
	int *numbers; /* as /proc lists them: from the least on */
	size_t count, room;
};

/*
 * Must be given to open_files_done. False where /proc or the helper that looks there
 * can't be had, or there is no memory; then it is empty.
 */
bool open_files_read(struct open_files *ret);
void open_files_done(struct open_files *files);

#endif
