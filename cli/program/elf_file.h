/* SPDX-License-Identifier: MIT */
/*
 * elf_file.h - what the file of a program says of itself. It may be anybody's: nothing in it is
 * believed beyond the file's end, and none of its tables is read for ever.
 */
#ifndef CLI_ELF_FILE_H
#define CLI_ELF_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct elf_file {
	bool is_elf;
	uint8_t word_size; /* ELFCLASS32 or ELFCLASS64 */
	uint16_t machine;
	bool is_go;	       /* made by Go's own compiler */
	bool loads_modules;    /* it calls dlopen */
	char linker[PATH_MAX]; /* the dynamic linker that it asks for; "": none */
};

void elf_file_read(int fd, struct elf_file *ret);

#endif
