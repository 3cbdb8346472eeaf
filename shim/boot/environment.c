/*
 * environment.c - the environment: read once, and two paths in it made absolute.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/out.h"
#include "sys/sys.h"

void environment_read(struct settings *set)
{
	settings_init(set);
	for (unsigned int i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		const char *value = secure_getenv(setting->variable);

		if (value && *value && !setting->parse(set, value))
			COMPLAIN(setting->variable, "=", value,
				 " is not understood (accepted: ", setting->accepted, "); using ",
				 setting->otherwise);
	}
}

/* Room that lives as long as the process, for a text that goes into the environment. */
static char *lasting_room(size_t size)
{
	char *room = sys_mmap_pages(size);

	return sys_failed(room) ? NULL : room;
}

/* "cwd/" in front of a relative path, without a leading "./"; false where it does not fit. */
static void out_absolute(struct out *out, const char *path, size_t len)
{
	char cwd[4096];

	/* A folder that is out of reach is told as "(unreachable)…": no path. */
	if (sys_getcwd(cwd, sizeof(cwd)) < 0 || cwd[0] != '/') {
		out->truncated = true;
		return;
	}
	out_str(out, cwd);
	if (cwd[1])
		out_char(out, '/');
	while (len > 2 && path[0] == '.' && path[1] == '/') {
		path += 2;
		len -= 2;
	}
	out_mem(out, path, len);
}

/* The environment's entry "name=…", NULL where there is none. */
static char **find_entry(char **environment, const char *name)
{
	const size_t len = strlen(name);

	for (; *environment; environment++)
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
			return environment;
	return NULL;
}

static void absolute_log(char **environment, const char *path)
{
	enum { SIZE = 8192 };
	char **entry = find_entry(environment, "TCPSHIM_LOG");
	char *room;
	struct out out;

	if (!entry || path[0] == '/' || path[0] == '@')
		return;
	room = lasting_room(SIZE);
	if (!room)
		return;
	out = out_into(room, SIZE - 1);
	out_mem(&out, *entry, (size_t)(path - *entry)); /* "TCPSHIM_LOG=", perhaps "unix:" */
	out_absolute(&out, path, strlen(path));
	if (!out.truncated)
		*entry = room;
}

/* Is it an entry that ld.so took from the current folder, and the one that gave us? */
static bool is_our_relative_entry(const char *entry, size_t len)
{
	Dl_info self;

	return len > 0 && entry[0] != '/' && memchr(entry, '/', len) && !memchr(entry, '$', len) &&
	       dladdr((void *)&is_our_relative_entry, &self) && self.dli_fname &&
	       strlen(self.dli_fname) == len && memcmp(self.dli_fname, entry, len) == 0;
}

static void absolute_preload(char **environment)
{
	enum { SIZE = 16384 };
	static const char separators[] = " :";
	char **entry = find_entry(environment, "LD_PRELOAD"), *room;
	const char *at;
	struct out out;
	bool changed = false;

	if (!entry || strlen(*entry) > SIZE / 2)
		return;
	room = lasting_room(SIZE);
	if (!room)
		return;
	out = out_into(room, SIZE - 1);
	at = strchr(*entry, '=') + 1;
	out_mem(&out, *entry, (size_t)(at - *entry));
	while (*at) {
		const size_t len = strcspn(at, separators);
		char *const start = out.at;

		if (is_our_relative_entry(at, len)) {
			out_absolute(&out, at, len);
			/* A folder with a separator in its name can't be written there. */
			if (strcspn(start, separators) < (size_t)(out.at - start))
				return;
			changed = true;
		} else {
			out_mem(&out, at, len);
		}
		at += len;
		if (*at)
			out_char(&out, *at++);
	}
	if (changed && !out.truncated)
		*entry = room;
}

void environment_make_absolute(char **environment, const struct settings *set)
{
	if (!environment)
		return;
	absolute_preload(environment);
	if (set->log == LOG_FILE || set->log == LOG_UNIX)
		absolute_log(environment, set->log_path);
}
