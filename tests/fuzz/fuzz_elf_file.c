/* SPDX-License-Identifier: MIT */
/*
 * fuzz_elf_file.c - any bytes as the file of a program: what is read of it ends, and its strings
 * do.
 */
#include "program/elf_file.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* What a program of its word size begins with. */
static size_t header_of(const uint8_t *data, size_t size)
{
	return size > EI_CLASS && data[EI_CLASS] == ELFCLASS32 ? sizeof(Elf32_Ehdr)
							       : sizeof(Elf64_Ehdr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct elf_file file;
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("program", MFD_CLOEXEC);
	HOLDS(fd >= 0);
	HOLDS(ftruncate(fd, 0) == 0);
	HOLDS(pwrite(fd, data, size, 0) == (ssize_t)size);
	elf_file_read(fd, &file);
	HOLDS(memchr(file.linker, '\0', sizeof(file.linker)));
	HOLDS(file.is_elf == (size >= header_of(data, size) && memcmp(data, ELFMAG, SELFMAG) == 0));
	HOLDS(file.is_elf || (!file.is_go && !file.loads_modules && !*file.linker));
	return 0;
}
