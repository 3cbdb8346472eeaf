/* SPDX-License-Identifier: MIT */
/*
 * log_path.h - the path of a log: may it be written to, and which descriptor does it name?
 */
#ifndef BOOT_LOG_PATH_H
#define BOOT_LOG_PATH_H

struct statx;

/* The name of an error of the kernel's, -errno. */
const char *error_words(int rc);

/* The descriptor of this process that the path names (/dev/stderr, /dev/fd/N…); -1: none. */
int descriptor_named(const char *path);

/* Why that descriptor of this process can't be written to; NULL: it can. */
const char *descriptor_fault(int fd);

/*
 * By what is there now, which is not opened: NULL, or in words why it must not be. *ret_rc is
 * -ENOENT where there is nothing.
 */
const char *log_path_judge(const char *path, int flags, int *ret_rc, struct statx *ret_stat);

/*
 * Open the path, without waiting; where nothing is there, make a file. flags: O_APPEND, or
 * none for what must be read as well. Return NULL, or in words why that can't or must not be.
 * *ret_stat says what it is; with stx_mask 0 it was made now, and nothing else is said.
 */
const char *log_path_open(const char *path, int flags, int *ret_fd, struct statx *ret_stat);

#endif
