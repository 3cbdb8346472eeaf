/*
 * fuzz_elf_file.c - any bytes as the file of a program: what is read of it ends, and its strings
 * do.
 */
#include "elf_file.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

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
	HOLDS(file.is_elf == (size >= sizeof(Elf64_Ehdr) && memcmp(data, ELFMAG, SELFMAG) == 0));
	HOLDS(file.is_elf || (!file.is_go && !file.loads_modules && !*file.linker));
	return 0;
}
