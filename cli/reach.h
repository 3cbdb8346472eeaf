/*
 * reach.h - does LD_PRELOAD reach a program? Answered from its file alone.
 */
#ifndef CLI_REACH_H
#define CLI_REACH_H

#include <limits.h>
#include <stdbool.h>

enum reach {
	REACH_YES, /* as far as can be told: also where the file can't be read */
	REACH_STATIC,
	REACH_PRIVILEGED, /* gains privileges: the dynamic linker ignores LD_PRELOAD */
	REACH_MACHINE,	  /* made for another machine, or of another word size */
};

/* The file that execvp would run for this name. False where there is none. */
bool reach_find(const char *name, char path[PATH_MAX]);

/*
 * A script is followed to its interpreter. path becomes the program that the verdict is about.
 * library is the one that is to be loaded.
 */
enum reach reach_of(char path[PATH_MAX], const char *library);

/* The verdict as the end of a sentence: "… is statically linked". */
const char *reach_words(enum reach reach);

#endif
