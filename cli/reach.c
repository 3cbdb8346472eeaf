/*
 * reach.c - see reach.h.
 */
#include "reach.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As many scripts may be each other's interpreters (the kernel's limit). */
enum { SCRIPTS = 5 };

/* Headers of 64-bit programs. One of another word size is not read any further. */
_Static_assert(sizeof(void *) == 8, "the headers read are those of 64-bit programs");

static bool is_program(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* As execvp does: PATH, or the system's own where there is none; an empty part is "here". */
bool reach_find(const char *name, char path[PATH_MAX])
{
	char standard[256] = "/bin:/usr/bin";
	const char *part = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && is_program(path);
	if (!part) {
		confstr(_CS_PATH, standard, sizeof(standard));
		part = standard;
	}
	for (;;) {
		const size_t len = strcspn(part, ":");

		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)len, part, len ? "/" : "./", name) <
			    PATH_MAX &&
		    is_program(path))
			return true;
		if (!part[len])
			return false;
		part += len + 1;
	}
}

/* Bytes of a file; false where it does not have as many there. */
static bool read_at(int fd, void *buf, size_t size, uint64_t where)
{
	return where < INT64_MAX && pread(fd, buf, size, (off_t)where) == (ssize_t)size;
}

/* The "#!" line's interpreter into path; false where the file is no script. */
static bool read_script(int fd, char path[PATH_MAX])
{
	char line[256];
	const ssize_t len = pread(fd, line, sizeof(line) - 1, 0);
	const char *word;
	size_t word_len;

	if (len < 2 || line[0] != '#' || line[1] != '!')
		return false;
	line[len] = '\0';
	word = line + 2 + strspn(line + 2, " \t");
	word_len = strcspn(word, " \t\n");
	if (word_len == 0)
		return false;
	memcpy(path, word, word_len);
	path[word_len] = '\0';
	return true;
}

/* Would it run with more rights than we have? Then ld.so takes no library from its caller. */
static bool gains_privileges(int fd)
{
	struct stat status;
	struct statvfs disk;

	if (fstat(fd, &status) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	if (fstatvfs(fd, &disk) == 0 && (disk.f_flag & ST_NOSUID))
		return false;
	if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
		return true;
	if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid())
		return true;
	return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Does the program ask for a dynamic linker? */
static bool asks_for_linker(int fd, const Elf64_Ehdr *head)
{
	Elf64_Phdr part;

	for (unsigned int i = 0; i < head->e_phnum; i++) {
		if (!read_at(fd, &part, sizeof(part), head->e_phoff + i * sizeof(part)))
			return false;
		if (part.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Class and machine stand at the same place in headers of either word size. */
static bool is_same_machine(const Elf64_Ehdr *program, const char *library)
{
	const int fd = open(library, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr ours;
	bool same = true;

	if (fd >= 0 && read_at(fd, &ours, sizeof(ours), 0))
		same = ours.e_ident[EI_CLASS] == program->e_ident[EI_CLASS] &&
		       ours.e_machine == program->e_machine;
	if (fd >= 0)
		close(fd);
	return same;
}

static enum reach reach_of_elf(int fd, const char *path, const char *library)
{
	Elf64_Ehdr head;

	if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return REACH_YES;
	if (!is_same_machine(&head, library))
		return REACH_MACHINE;
	if (!asks_for_linker(fd, &head)) {
		/* The dynamic linker itself is a program too: ld.so ./server. */
		const bool is_linker = begins_with(base_name(path), "ld-") ||
				       begins_with(base_name(path), "ld.so");

		return is_linker ? REACH_YES : REACH_STATIC;
	}
	return gains_privileges(fd) ? REACH_PRIVILEGED : REACH_YES;
}

enum reach reach_of(char path[PATH_MAX], const char *library)
{
	enum reach reach = REACH_YES;

	for (int scripts = 0; scripts <= SCRIPTS; scripts++) {
		const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		bool is_script;

		if (fd < 0)
			return REACH_YES;
		is_script = read_script(fd, path);
		if (!is_script)
			reach = reach_of_elf(fd, path, library);
		close(fd);
		if (!is_script)
			break;
	}
	return reach;
}

const char *reach_words(enum reach reach)
{
	switch (reach) {
	case REACH_STATIC:
		return "is statically linked";
	case REACH_PRIVILEGED:
		return "gains privileges when it starts";
	case REACH_MACHINE:
		return "is made for another machine";
	case REACH_YES:
		break;
	}
	return "is reached";
}
