/* SPDX-License-Identifier: MIT */
/*
 * proc.c - see proc.h. Buffers are pages mapped for the call.
 */
#include "observe/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "facts/out.h"
#include "observe/subject.h"
#include "sys/clock.h"
#include "sys/sys.h"

enum { LISTING_SIZE = 32768 };

/*
 * The number that the text begins with, at most UINT32_MAX; *text moves behind it. -1 where
 * there is none.
 */
static int64_t number_at(const char **text)
{
	int64_t number = 0;
	const char *at = *text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (number < UINT32_MAX)
			number = number * 10 + (*at - '0');
	if (at == *text)
		return -1;
	*text = at;
	return number < UINT32_MAX ? number : UINT32_MAX;
}

/* The beginning of a small file as a string. Return its length or -errno. */
static long read_file(int dir, const char *path, char *ret, size_t size)
{
	const int fd = sys_openat(dir, path, O_RDONLY | O_CLOEXEC, 0);
	long got;

	if (fd < 0)
		return fd;
	got = sys_read(fd, ret, size - 1);
	sys_close(fd);
	if (got >= 0)
		ret[got] = '\0';
	return got;
}

bool proc_numbers(const char *path, uint32_t *ret, unsigned int n)
{
	char text[64];
	const char *at = text;

	if (read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		while (*at == ' ' || *at == '\t')
			at++;

		const int64_t number = number_at(&at);

		if (number < 0)
			return false;
		ret[i] = (uint32_t)number;
	}
	return true;
}

bool proc_port_range(uint16_t *first, uint16_t *last)
{
	uint32_t range[2];

	if (!proc_numbers("/proc/sys/net/ipv4/ip_local_port_range", range, 2) ||
	    range[0] > range[1] || range[1] > UINT16_MAX)
		return false;
	*first = (uint16_t)range[0];
	*last = (uint16_t)range[1];
	return true;
}

static int visit_names(const char *listing, size_t len, proc_visit *visit, void *arg)
{
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		const struct dirent64 *entry = (const void *)(listing + at);
		const char *name = entry->d_name;
		const int64_t number = number_at(&name);

		if (number >= 0 && number <= INT_MAX && !*name)
			rc = visit((int)number, arg);
		at += entry->d_reclen;
	}
	return rc;
}

int proc_list(int dir, const char *path, proc_visit *visit, void *arg)
{
	const int fd = sys_openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	char *listing;
	long len;
	int rc = 0;

	if (fd < 0)
		return fd;
	listing = sys_mmap_pages(LISTING_SIZE);
	if (sys_failed(listing)) {
		sys_close(fd);
		return -ENOMEM;
	}
	while (rc == 0 && (len = sys_getdents64(fd, listing, LISTING_SIZE)) != 0)
		rc = len < 0 ? (int)len : visit_names(listing, (size_t)len, visit, arg);
	sys_munmap(listing, LISTING_SIZE);
	sys_close(fd);
	return rc;
}

void out_proc_self(struct out *out)
{
	out_str(out, "/proc/");
	if (subject)
		out_i64(out, subject->pid);
	else
		out_str(out, "self");
}

/* "/proc/PID/what", and a number behind it if that is not negative. */
static void out_proc_path(char *ret, size_t size, pid_t pid, const char *what, int number)
{
	struct out out = out_into(ret, size - 1);

	out_str(&out, "/proc/");
	out_i64(&out, pid);
	out_str(&out, what);
	if (number >= 0)
		out_i64(&out, number);
	*out.at = '\0';
}

/* Behind n words. */
static const char *skip_words(const char *at, unsigned int n)
{
	while (n && *at)
		n -= *at++ == ' ';
	return at;
}

/* "4242 (name) S parent group session terminal its-group flags …": the name may hold anything. */
static bool read_stat(struct sharer *ret, char text[PROC_ROOM])
{
	enum { FORKED_WITHOUT_EXEC = 0x40 }; /* PF_FORKNOEXEC in linux/sched.h */
	const char *at, *name, *end;

	out_proc_path(text, PROC_ROOM, ret->pid, "/stat", -1);
	if (read_file(AT_FDCWD, text, text, PROC_ROOM) < 0)
		return false;
	name = strchr(text, '(');
	end = strrchr(text, ')');
	if (!name || !end || (size_t)(end - name) > sizeof(ret->prog))
		return false;
	memset(ret->prog, 0, sizeof(ret->prog));
	memcpy(ret->prog, name + 1, (size_t)(end - name) - 1);
	at = skip_words(end, 2);
	ret->parent = (pid_t)number_at(&at);
	at = skip_words(at, 5);
	ret->execed = !(number_at(&at) & FORKED_WITHOUT_EXEC);
	return true;
}

/* "flags:\t02000002" among other lines, in octal. */
static bool outlives_exec(pid_t pid, int fd, char text[PROC_ROOM])
{
	unsigned int flags = 0;

	out_proc_path(text, PROC_ROOM, pid, "/fdinfo/", fd);
	if (read_file(AT_FDCWD, text, text, PROC_ROOM) < 0)
		return false;
	const char *at = strchr(text, '\n');

	if (!at || strncmp(at, "\nflags:\t", 8) != 0)
		return false;
	for (at += 8; *at >= '0' && *at < '8'; at++)
		flags = flags * 8 + (unsigned int)(*at - '0');
	return !(flags & O_CLOEXEC);
}

bool proc_sharer(pid_t pid, int fd, char room[PROC_ROOM], struct sharer *ret)
{
	*ret = (struct sharer){.pid = pid, .fd = fd};
	if (!read_stat(ret, room))
		return false;
	ret->cloexec = !outlives_exec(pid, fd, room);
	return true;
}

enum { FOUND = 1, GIVEN_UP };

/* The processes, as /proc lists them: by number. And those that were found. */
struct processes {
	struct sharing sharing;
	int count, ours; /* ours: the index of our own */
	pid_t self;
	char room[PROC_ROOM];
	int pids[8000];
};

struct search {
	uint32_t inode; /* the socket's */
	uint64_t deadline_ns;
	unsigned int left;
	int fds;     /* /proc/PID/fd */
	int fd;	     /* the number that was looked at last */
	int closed;  /* the number that it had with us; -1: no matter */
	pid_t tid;   /* a thread of ours that waits in a call on that number */
	bool every;  /* go on to all that have it */
	bool missed; /* something could not be looked at, which may be what is searched for */
};

/* One more that is looked at, if there is time for it. */
static bool may_look(struct search *search)
{
	return search->left-- != 0 && clock_ns(CLOCK_MONOTONIC) <= search->deadline_ns;
}

/* "socket:[12345]" */
int64_t proc_socket_inode(int fds, int number)
{
	static const char begin[] = "socket:[";
	char name[12], link[32];
	struct out out = out_into(name, sizeof(name) - 1);
	const char *at = link + sizeof(begin) - 1;
	long len;

	out_i64(&out, number);
	*out.at = '\0';
	len = sys_readlinkat(fds, name, link, sizeof(link) - 1);
	if (len < 0)
		return len;
	link[len] = '\0';
	return strncmp(link, begin, sizeof(begin) - 1) == 0 ? number_at(&at) : 0;
}

static int visit_fd(int number, void *arg)
{
	struct search *search = arg;
	int64_t inode;

	if (!may_look(search))
		return GIVEN_UP;
	search->fd = number;
	inode = proc_socket_inode(search->fds, number);
	search->missed |= inode < 0 && inode != -ENOENT; /* else it was closed a moment ago */
	return inode > 0 && inode == search->inode ? FOUND : 0;
}

/* Apart from its caller, whose walk goes deep. */
__attribute__((noinline)) static bool add_sharer(struct processes *all, pid_t pid, int fd)
{
	struct sharer sharer;

	if (!proc_sharer(pid, fd, all->room, &sharer))
		return false;
	sharing_add(&all->sharing, &sharer, all->self);
	return true;
}

/* Return 0, FOUND, GIVEN_UP, or -errno. */
static int search_process(int pid, struct search *search, struct processes *all)
{
	const bool missed = search->missed;
	char path[40];
	int rc;

	if (clock_ns(CLOCK_MONOTONIC) > search->deadline_ns)
		return GIVEN_UP;
	out_proc_path(path, sizeof(path), pid, "/fd", -1);
	search->fds = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (search->fds < 0)
		return search->fds; /* gone, or another user's */
	rc = proc_list(search->fds, ".", visit_fd, search);
	sys_close(search->fds);
	if (pid != all->self)
		search->missed = missed; /* nor what can't be seen of another's */
	if (rc == FOUND && !add_sharer(all, pid, search->fd))
		search->missed = true;
	return rc == FOUND && search->every ? 0 : rc;
}

/* Calls that may wait, with a socket as their first argument. */
static bool is_call_on_socket(int64_t call)
{
	switch (call) {
#ifdef SYS_accept
	case SYS_accept:
#endif
	case SYS_accept4:
	case SYS_connect:
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_sendfile:
	case SYS_splice:
		return true;
	default:
		return false;
	}
}

/* The next argument of a call in that file: " 0x7f…". */
static uint64_t argument_at(const char **text)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t ret = 0;
	const char *at = *text, *digit;

	if (strncmp(at, " 0x", 3) != 0)
		return UINT64_MAX;
	for (at += 3; *at && (digit = strchr(digits, *at)); at++)
		ret = ret * 16 + (uint64_t)(digit - digits);
	*text = at;
	return ret;
}

#ifdef SYS_socketcall
/* One call for all of a socket's: the arguments are in memory, and this is a thread of ours. */
static int is_socketcall_on(uint64_t call, uint64_t arguments, uint64_t fd)
{
	enum { SOCKET = 1, SOCKETPAIR = 8 }; /* linux/net.h */
	long first;
	int rc;

	if (call == SOCKET || call == SOCKETPAIR)
		return 0;
	rc = subject_peek(&first, (const void *)(uintptr_t)arguments, sizeof(first));
	return rc < 0 ? rc : (uint64_t)first == fd;
}
#endif

/* "45 0x5 0x7f…", the call and its arguments, or "running". -errno where that can't be seen. */
static int is_in_call_on(const char *text, uint64_t fd)
{
	const int64_t call = number_at(&text);
	const uint64_t first = argument_at(&text);

#ifdef SYS_socketcall
	if (call == SYS_socketcall)
		return is_socketcall_on(first, argument_at(&text), fd);
#endif
	return is_call_on_socket(call) && first == fd;
}

/* In what is a thread of ours? */
static int visit_thread(int tid, void *arg)
{
	struct search *search = arg;
	char path[48], text[64];
	struct out out = out_into(path, sizeof(path) - 1);
	long len;
	int rc;

	if (!may_look(search))
		return GIVEN_UP;
	out_proc_self(&out);
	out_str(&out, "/task/");
	out_i64(&out, tid);
	out_str(&out, "/syscall");
	*out.at = '\0';
	len = read_file(AT_FDCWD, path, text, sizeof(text));
	rc = len < 0 ? (int)len : is_in_call_on(text, (uint64_t)search->closed);
	search->missed |= rc < 0 && rc != -ENOENT && rc != -ESRCH; /* else it has ended */
	if (rc <= 0)
		return 0;
	search->tid = tid;
	return FOUND;
}

/* A call that waits keeps its socket open, whatever becomes of the number. */
static int search_threads(struct search *search)
{
	char path[40];
	struct out out = out_into(path, sizeof(path) - 1);

	if (search->closed < 0)
		return 0;
	out_proc_self(&out);
	out_str(&out, "/task");
	*out.at = '\0';
	return proc_list(AT_FDCWD, path, visit_thread, search);
}

static int visit_process(int pid, void *arg)
{
	struct processes *all = arg;

	if (all->count == (int)(sizeof(all->pids) / sizeof(all->pids[0])))
		return GIVEN_UP;
	if (pid == all->self)
		all->ours = all->count;
	all->pids[all->count++] = pid;
	return 0;
}

static int search_at(struct search *search, struct processes *all, int i)
{
	return i >= 0 && i < all->count ? search_process(all->pids[i], search, all) : 0;
}

/*
 * Our own first, and the one that started us, then the neighbours, on both sides: who is in the way
 * was often started beside us. Of others what can't be seen is left out. But where our own can't
 * be, there is no /proc, or no right to it.
 */
static int search_all(struct search *search, struct processes *all)
{
	const int own = search_process(all->self, search, all);
	int rc = own, threads = 0, listed = 0;

	if (rc <= 0)
		rc = threads = search_threads(search);
	if (rc <= 0)
		rc = search_process(subject_parent(), search, all);
	if (rc <= 0)
		listed = proc_list(AT_FDCWD, "/proc", visit_process, all);
	for (int away = 1; away < all->count && rc <= 0; away++) {
		rc = search_at(search, all, all->ours - away);
		if (rc <= 0)
			rc = search_at(search, all, all->ours + away);
	}
	return rc <= 0 && (own < 0 || threads < 0 || listed != 0) ? GIVEN_UP : rc;
}

static void find_owner(struct search *search, struct proc_owner *ret)
{
	struct processes *all;
	const pid_t self = subject_pid();
	int rc;

	*ret = (struct proc_owner){0};
	if (self < 0)
		return;
	all = sys_mmap_pages(sizeof(*all));
	if (sys_failed(all))
		return;
	all->self = self;
	rc = search_all(search, all);
	if (search->tid && !add_sharer(all, self, search->closed))
		search->missed = true;
	ret->looked_up = rc != GIVEN_UP && !search->missed;
	if (all->sharing.count) {
		ret->tid = search->tid;
		ret->pid = all->sharing.named.pid;
		ret->fd = all->sharing.named.fd;
		ret->outlives_exec = !all->sharing.named.cloexec;
		ret->others = all->sharing.count - 1;
		ret->shared = sharing_judge(&all->sharing);
		memcpy(ret->prog, all->sharing.named.prog, sizeof(ret->prog));
	}
	sys_munmap(all, sizeof(*all));
}

void proc_find_keeper_within(uint32_t inode, int closed, uint64_t most_ns,
			     unsigned int most_descriptors, struct proc_owner *ret)
{
	struct search search = {
		.inode = inode,
		.deadline_ns = clock_ns(CLOCK_MONOTONIC) + most_ns,
		.left = most_descriptors,
		.closed = closed,
	};

	find_owner(&search, ret);
}

enum { NOT_CLOSED = -1, MOST_DESCRIPTORS = 2000, MOST_NS = 20000000 };

void proc_find_keeper(uint32_t inode, int closed, struct proc_owner *ret)
{
	proc_find_keeper_within(inode, closed, MOST_NS, MOST_DESCRIPTORS, ret);
}

void proc_find_owner_within(uint32_t inode, uint64_t most_ns, unsigned int most_descriptors,
			    struct proc_owner *ret)
{
	struct search search = {
		.inode = inode,
		.deadline_ns = clock_ns(CLOCK_MONOTONIC) + most_ns,
		.left = most_descriptors,
		.closed = NOT_CLOSED,
		.every = true,
	};

	find_owner(&search, ret);
}

void proc_find_owner(uint32_t inode, struct proc_owner *ret)
{
	proc_find_owner_within(inode, MOST_NS, MOST_DESCRIPTORS, ret);
}
