/* SPDX-License-Identifier: MIT */
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

static void refuse(const struct setting *setting, const char *value)
{
	char text[800];
	struct out out = out_into(text, sizeof(text) - 1);

	settings_refuse(&out, setting->variable, setting, value);
	*out.at = '\0'; /* its place was kept */
	COMPLAIN(setting->variable, NULL, text, "; using ", setting->otherwise);
}

void environment_read(struct settings *set)
{
	settings_init_zeroed(set);
	for (unsigned int i = 0; i < settings_count; i++) {
		const struct setting *setting = &settings_table[i];
		const char *value = secure_getenv(setting->variable);

		if (value && *value && !setting->parse(set, value))
			refuse(setting, value);
	}
}

/* Room that lives as long as the process, for a text that goes into the environment. */
static char *lasting_room(size_t size)
{
	char *room = sys_mmap_pages(size);

	return sys_failed(room) ? NULL : room;
}

/*
 * "cwd/" in front of a relative path, without a leading "./". A folder's own % is
 * doubled where the text will be expanded. What does not fit is truncated.
 */
static void out_absolute(struct out *out, const char *path, size_t len, bool expanded)
{
	char cwd[4096];

	/* A folder that is out of reach is told as "(unreachable)…": no path. */
	if (sys_getcwd(cwd, sizeof(cwd)) < 0 || cwd[0] != '/') {
		out->truncated = true;
		return;
	}
	for (const char *c = cwd; *c; c++) {
		if (*c == '%' && expanded)
			out_char(out, '%');
		out_char(out, *c);
	}
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

static void absolute_log(const struct settings *set)
{
	enum { SIZE = 8192 };
	const char *path = set->log_path;
	char **entry = find_entry(__environ, "TCPSHIM_LOG");
	char *room;
	struct out out;

	if (!entry || path[0] == '/' || (set->log == LOG_UNIX && path[0] == '@'))
		return;
	room = lasting_room(SIZE);
	if (!room)
		return;
	out = out_into(room, SIZE - 1);
	out_mem(&out, *entry, (size_t)(path - *entry));
	out_absolute(&out, path, set->log_path_len, true);
	out_str(&out, path + set->log_path_len); /* a ring's size */
	if (!out.truncated)
		*entry = room;
}

/* How long is the first entry of a list like LD_PRELOAD's? */
static size_t entry_len(const char *list)
{
	size_t len = 0;

	while (list[len] && list[len] != ' ' && list[len] != ':')
		len++;
	return len;
}

/* Is it an entry that ld.so took from the current folder, and the one that gave us? */
static bool is_our_relative_entry(const char *entry, size_t len)
{
	Dl_info self;

	return len > 0 && entry[0] != '/' && memchr(entry, '/', len) && !memchr(entry, '$', len) &&
	       dladdr((void *)&is_our_relative_entry, &self) && self.dli_fname &&
	       strlen(self.dli_fname) == len && memcmp(self.dli_fname, entry, len) == 0;
}

/* The entry of LD_PRELOAD that is ours and relative; NULL where there is none. */
static const char *find_our_entry(const char *list, size_t *ret_len)
{
	for (; *list; list += *ret_len + (list[*ret_len] != '\0')) {
		*ret_len = entry_len(list);
		if (is_our_relative_entry(list, *ret_len))
			return list;
	}
	return NULL;
}

static void absolute_preload(void)
{
	enum { SIZE = 16384 };
	char **variable = find_entry(__environ, "LD_PRELOAD"), *room, *start;
	const char *list = variable ? strchr(*variable, '=') + 1 : "", *entry;
	struct out out;
	size_t len;

	entry = find_our_entry(list, &len);
	room = entry ? lasting_room(SIZE) : NULL;
	if (!room)
		return;
	out = out_into(room, SIZE - 1);
	out_mem(&out, *variable, (size_t)(entry - *variable));
	start = out.at;
	out_absolute(&out, entry, len, false);
	/* A folder with a separator in its name can't be written there. */
	if (entry_len(start) < (size_t)(out.at - start))
		return;
	out_str(&out, entry + len);
	if (!out.truncated)
		*variable = room;
}

void environment_make_absolute(const struct settings *set)
{
	if (!__environ)
		return;
	absolute_preload();
	if (set->log >= LOG_FILE)
		absolute_log(set);
}

/* Digits and nothing else, else -1. Not strtol, which newer headers take from a newer libc. */
static int number(const char *text)
{
	int ret = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
		return -1;
	for (; *text; text++)
		ret = ret * 10 + (*text - '0');
	return ret;
}

int environment_listen_fds(void)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");

	/* Who inherits the variables is not who was meant: sd_listen_fds(3). */
	return pid && count && number(pid) == sys_getpid() && number(count) > 0 ? number(count) : 0;
}
