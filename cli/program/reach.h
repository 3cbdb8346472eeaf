/* SPDX-License-Identifier: MIT */
/*
 * reach.h - does LD_PRELOAD reach a program? Answered from its file alone.
 */
#ifndef CLI_REACH_H
#define CLI_REACH_H

#include <limits.h>
#include <stdbool.h>

#include "program/elf_file.h"

enum reach {
	REACH_YES, /* as far as can be told: also where the file can't be read */
	REACH_STATIC,
	REACH_PRIVILEGED, /* gains privileges: the dynamic linker ignores LD_PRELOAD */
	REACH_MACHINE,	  /* made for another machine, or of another word size */
	REACH_GO,	  /* loads it or not, and calls nothing of libc that it would see */
};

/* The file that execvp would run for this name. False where there is none. */
bool reach_find(const char *name, char path[PATH_MAX]);

/*
 * A script is followed to its interpreter. path becomes the program that the verdict is about.
 * library is the one that is to be loaded.
 */
enum reach reach_of(char path[PATH_MAX], const char *library);

/* The same of an open file that is no script (-1: it can't be read); and what was read in it. */
enum reach reach_of_file(int fd, const char *path, const char *library, struct elf_file *ret);

/* The verdict as the end of a sentence: "… is statically linked". */
const char *reach_words(enum reach reach);

/* And what that means to the program, as a sentence. */
const char *reach_effect(enum reach reach);

#endif
