/* SPDX-License-Identifier: MIT */
/*
 * reach.c - see reach.h.
 */
#include "program/reach.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "program/script.h"

/* As many scripts may be each other's interpreters (the kernel's limit). */
enum { SCRIPTS = 5 };

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

/* The "#!" line's interpreter into path; false where the file is no script. */
static bool read_script(int fd, char path[PATH_MAX])
{
	char line[SCRIPT_LINE], argument[SCRIPT_LINE];
	const ssize_t len = pread(fd, line, sizeof(line), 0);

	return len > 0 && script_line(line, (size_t)len, path, argument);
}

/*
 * Would it run with more rights than we have? Then ld.so takes no library from its caller. It may
 * be one that we may execute and not read.
 */
static bool gains_privileges(const char *path)
{
	struct stat status;
	struct statvfs disk;

	if (stat(path, &status) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return false;
	if (statvfs(path, &disk) == 0 && (disk.f_flag & ST_NOSUID))
		return false;
	if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
		return true;
	if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid())
		return true;
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
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

static bool is_same_machine(const struct elf_file *program, const char *library)
{
	const int fd = open(library, O_RDONLY | O_CLOEXEC);
	struct elf_file ours = {.is_elf = false};

	if (fd >= 0) {
		elf_file_read(fd, &ours);
		close(fd);
	}
	return !ours.is_elf ||
	       (ours.word_size == program->word_size && ours.machine == program->machine);
}

/* The dynamic linker itself is a program too: ld.so ./server. */
static bool is_linker(const char *path)
{
	return begins_with(base_name(path), "ld-") || begins_with(base_name(path), "ld.so");
}

enum reach reach_of_file(int fd, const char *path, const char *library, struct elf_file *ret)
{
	elf_file_read(fd, ret);
	if (fd < 0)
		return gains_privileges(path) ? REACH_PRIVILEGED : REACH_YES;
	if (!ret->is_elf)
		return REACH_YES;
	if (!is_same_machine(ret, library))
		return REACH_MACHINE;
	if (!ret->is_go && !*ret->linker && is_linker(path))
		return REACH_YES;
	if (gains_privileges(path))
		return REACH_PRIVILEGED;
	if (ret->is_go)
		return REACH_GO;
	return *ret->linker ? REACH_YES : REACH_STATIC;
}

enum reach reach_of(char path[PATH_MAX], const char *library)
{
	static struct elf_file file;
	enum reach reach = REACH_YES;

	for (int scripts = 0; scripts <= SCRIPTS; scripts++) {
		const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		const bool is_script = fd >= 0 && read_script(fd, path);

		if (!is_script)
			reach = reach_of_file(fd, path, library, &file);
		if (fd >= 0)
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
	case REACH_GO:
		return "is made by Go, which makes its system calls itself";
	case REACH_YES:
		break;
	}
	return "is reached";
}

const char *reach_effect(enum reach reach)
{
	return reach == REACH_GO ? "libreuse.so does nothing in it"
				 : "libreuse.so can't be loaded into it, so it runs without";
}
