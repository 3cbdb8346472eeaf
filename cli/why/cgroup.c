/* SPDX-License-Identifier: MIT */
/*
 * cgroup.c - see cgroup.h. A container is known by its id in the path (docker, podman, CRI-O,
 * containerd, with either driver), or by a folder that LXC gives it; a unit by its ending.
 */
#include "why/cgroup.h"

#include <string.h>

static void copy(char *ret, size_t size, const char *text, size_t len)
{
	const size_t n = len < size ? len : size - 1;

	memcpy(ret, text, n);
	ret[n] = '\0';
}

/* The path of the line that begins so: "0::", "…:name=systemd:". */
static bool find_path(const char *text, size_t len, bool v2, char *ret, size_t size)
{
	static const char named[] = ":name=systemd:";

	for (const char *line = text, *end = text + len; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const size_t length = (size_t)((newline ? newline : end) - line);
		const char *colon = memchr(line, ':', length);
		const size_t head = v2 ? 3 : (size_t)(colon ? colon - line : 0) + sizeof(named) - 1;

		if (colon && length > head &&
		    (v2 ? memcmp(line, "0::", 3) == 0
			: memcmp(colon, named, sizeof(named) - 1) == 0)) {
			copy(ret, size, line + head, length - head);
			return strcmp(ret, "/") != 0;
		}
		line += length + 1;
	}
	return false;
}

/* 64 hexadecimal digits that are there in a row; NULL: none. */
static const char *find_id(const char *name, size_t len)
{
	enum { ID = 64 };
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		run = strchr("0123456789abcdef", name[i]) ? run + 1 : 0;
		if (run == ID && (i + 1 == len || !strchr("0123456789abcdef", name[i + 1])))
			return name + i + 1 - ID;
	}
	return NULL;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	const size_t n = strlen(end);

	return len > n && memcmp(name + len - n, end, n) == 0;
}

static bool begins_with(const char *name, size_t len, const char *begin)
{
	const size_t n = strlen(begin);

	return len > n && memcmp(name, begin, n) == 0;
}

/* "docker-ID.scope", "ID" below "docker", "cri-containerd-ID.scope". */
static void take_id(struct cgroup *ret, const char *name, const char *id)
{
	const char *parent_end = name > ret->path ? name - 1 : ret->path, *parent = parent_end;
	size_t len = (size_t)(id - name);

	copy(ret->container, sizeof(ret->container), id, 64);
	if (len) {
		copy(ret->runtime, sizeof(ret->runtime), name, len - (name[len - 1] == '-'));
		return;
	}
	while (parent > ret->path && parent[-1] != '/')
		parent--;
	len = (size_t)(parent_end - parent);
	if (!memchr(parent, '.', len) && !begins_with(parent, len, "pod"))
		copy(ret->runtime, sizeof(ret->runtime), parent, len);
}

static bool take_lxc(struct cgroup *ret, const char *name, size_t len)
{
	static const char payload[] = "lxc.payload.";
	const bool below = name - ret->path >= 5 && memcmp(name - 5, "/lxc/", 5) == 0;

	if (!below && !begins_with(name, len, payload))
		return false;
	copy(ret->runtime, sizeof(ret->runtime), "lxc", 3);
	if (!below) {
		name += sizeof(payload) - 1;
		len -= sizeof(payload) - 1;
	}
	copy(ret->container, sizeof(ret->container), name, len);
	return true;
}

/* One folder of the path. Return whether it tells enough. */
static bool take(struct cgroup *ret, const char *name, size_t len)
{
	const char *id = find_id(name, len);

	if (!*ret->container && id)
		take_id(ret, name, id);
	else if (!*ret->container && !*ret->unit && take_lxc(ret, name, len))
		return true;
	else if (!*ret->unit && !*ret->container &&
		 (ends_with(name, len, ".service") || ends_with(name, len, ".scope")))
		copy(ret->unit, sizeof(ret->unit), name, len);
	return *ret->container;
}

bool cgroup_parse(const char *text, size_t len, struct cgroup *ret)
{
	const char *end;

	*ret = (struct cgroup){{0}, {0}, {0}, {0}};
	if (!find_path(text, len, true, ret->path, sizeof(ret->path)) &&
	    !find_path(text, len, false, ret->path, sizeof(ret->path))) {
		*ret->path = '\0';
		return false;
	}
	/* The innermost first: what a unit has made for itself says less than its name. */
	for (end = ret->path + strlen(ret->path); end > ret->path;) {
		const char *name = end;

		while (name > ret->path && name[-1] != '/')
			name--;
		if (take(ret, name, (size_t)(end - name)))
			break;
		end = name > ret->path ? name - 1 : ret->path;
	}
	if (*ret->container)
		*ret->unit = '\0';
	return true;
}
