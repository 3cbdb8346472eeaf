/* SPDX-License-Identifier: MIT */
/*
 * process.c - see process.h.
 */
#include "why/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The beginning of a file of the process's, as a string. Its length, -1 where it can't be read. */
static ssize_t read_file(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (len < size - 1 && (got = read(fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)got;
	close(fd);
	ret[len] = '\0';
	return (ssize_t)len;
}

struct stat_line {
	char prog[16];
	pid_t parent, session;
	uint64_t start_ticks;
};

/* "4242 (name) S parent group session …", the 22nd when it started; the name may hold anything. */
static bool read_stat(pid_t pid, struct stat_line *ret)
{
	char text[1024];
	const char *name, *end;
	int parent, session;
	unsigned long long start;

	if (read_file(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	name = strchr(text, '(');
	end = strrchr(text, ')');
	if (!name || !end || end < name ||
	    sscanf(end,
		   ") %*c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %llu",
		   &parent, &session, &start) != 3)
		return false;
	*ret = (struct stat_line){.parent = parent, .session = session, .start_ticks = start};
	snprintf(ret->prog, sizeof(ret->prog), "%.*s", (int)(end - name - 1), name + 1);
	return true;
}

static bool is_shell(const char *prog)
{
	static const char *const shells[] = {"sh",	"bash", "dash", "zsh",	"fish",
					     "ksh",	"mksh", "csh",	"tcsh", "ash",
					     "busybox", "nu",	"xonsh"};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (strcmp(prog, shells[i]) == 0)
			return true;
	return false;
}

/* Parents that change meanwhile can't make it endless. */
static void read_ancestors(struct process *ret, pid_t parent)
{
	struct stat_line stat;

	while (parent > 0 && ret->ancestor_count < ANCESTORS && read_stat(parent, &stat)) {
		struct ancestor *one = &ret->ancestors[ret->ancestor_count++];

		one->pid = parent;
		memcpy(one->prog, stat.prog, sizeof(one->prog));
		one->is_shell = stat.session == parent && is_shell(stat.prog);
		if (one->is_shell)
			return;
		parent = stat.parent;
	}
}

static void read_user(struct process *ret)
{
	char text[2048];
	const char *at;
	unsigned int uid;
	const struct passwd *entry;

	if (read_file(ret->pid, "status", text, sizeof(text)) <= 0)
		return;
	at = strstr(text, "\nUid:\t");
	if (!at || sscanf(at, "\nUid:\t%*u\t%u", &uid) != 1)
		return;
	ret->has_uid = true;
	ret->uid = uid;
	entry = getpwuid(uid);
	if (entry)
		snprintf(ret->user, sizeof(ret->user), "%s", entry->pw_name);
}

static void read_age(struct process *ret, uint64_t start_ticks)
{
	const long ticks = sysconf(_SC_CLK_TCK);
	struct timespec now;

	if (ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return;
	ret->has_age = true;
	if ((uint64_t)now.tv_sec > start_ticks / (uint64_t)ticks)
		ret->age_s = (uint64_t)now.tv_sec - start_ticks / (uint64_t)ticks;
}

/* "-container-ip 172.17.0.2 -container-port 80" among docker-proxy's words. */
static void read_docker_proxy(struct process *ret, const char *words, size_t len)
{
	for (const char *word = words; word < words + len; word += strlen(word) + 1) {
		const char *value = word + strlen(word) + 1;

		if (value >= words + len)
			return;
		if (strcmp(word, "-container-ip") == 0)
			snprintf(ret->container_ip, sizeof(ret->container_ip), "%s", value);
		if (strcmp(word, "-container-port") == 0)
			snprintf(ret->container_port, sizeof(ret->container_port), "%s", value);
	}
}

static void read_command(struct process *ret)
{
	char words[sizeof(ret->command)];
	ssize_t len = read_file(ret->pid, "cmdline", words, sizeof(words));

	if (len <= 0)
		return;
	if (strcmp(ret->prog, "docker-proxy") == 0)
		read_docker_proxy(ret, words, (size_t)len);
	while (len > 0 && !words[len - 1])
		len--;
	for (ssize_t i = 0; i < len; i++)
		ret->command[i] = words[i] ? words[i] : ' ';
	ret->command[len] = '\0';
}

static void read_folder(struct process *ret)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/cwd", ret->pid);
	len = readlink(path, ret->folder, sizeof(ret->folder) - 1);
	ret->folder[len < 0 ? 0 : len] = '\0';
}

static void read_cgroup(struct process *ret)
{
	char text[8192];
	const ssize_t len = read_file(ret->pid, "cgroup", text, sizeof(text));

	if (len > 0)
		cgroup_parse(text, (size_t)len, &ret->cgroup);
}

/* sd_listen_fds(3): as the process was started. */
static void read_activation(struct process *ret)
{
	enum { LARGE = 131072 };
	char *text = malloc(LARGE);
	const ssize_t len = text ? read_file(ret->pid, "environ", text, LARGE) : -1;
	bool is_meant = false;

	for (const char *word = text; len > 0 && word < text + len; word += strlen(word) + 1) {
		if (strncmp(word, "LISTEN_PID=", 11) == 0)
			is_meant = strtol(word + 11, NULL, 10) == ret->pid;
		if (strncmp(word, "LISTEN_FDS=", 11) == 0)
			ret->listen_fds = (unsigned int)strtoul(word + 11, NULL, 10);
	}
	ret->socket_activated = is_meant && ret->listen_fds;
	free(text);
}

bool process_read(pid_t pid, struct process *ret)
{
	struct stat_line stat;

	*ret = (struct process){.pid = pid};
	if (!read_stat(pid, &stat))
		return false;
	memcpy(ret->prog, stat.prog, sizeof(ret->prog));
	read_user(ret);
	read_age(ret, stat.start_ticks);
	read_command(ret);
	read_folder(ret);
	read_cgroup(ret);
	read_activation(ret);
	read_ancestors(ret, stat.parent);
	return true;
}
