/* SPDX-License-Identifier: MIT */
/*
 * sys.h - the kernel, without libc: each function is one system call and returns
 * what the kernel returned, that is -errno where it failed.
 *
 * Nothing here writes errno, is a cancellation point, takes a lock or can come
 * back into a hook, so all of it may run wherever the program's own call may: in
 * a signal handler, in a vfork child, before main, after exit.
 */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#include "sys/arch/arch.h"

/* Objects that are made for tests/unit/test_failing.c alone: any call of ours can fail there. */
#ifdef SYS_FAILING
long sys_call6_or_fail(long n, long a, long b, long c, long d, long e, long f);
#define sys_call6 sys_call6_or_fail
#endif

/* Pointers and numbers alike travel as longs. */
#define SYS6(n, a, b, c, d, e, f)                                                                  \
	sys_call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS4(n, a, b, c, d) SYS6(n, a, b, c, d, 0, 0)
#define SYS3(n, a, b, c) SYS6(n, a, b, c, 0, 0, 0)
/* Up to six, of which one may be SYS_WIDE. */
#define SYS_UP_TO_6(n, a, b, c, d, e, f, ...) SYS6(n, a, b, c, d, e, f)
#define SYS(...) SYS_UP_TO_6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/*
 * Where a long has 32 bits: calls with room for more have numbers of their own, and take a number
 * of 64 bits as two.
 */
#if __SIZEOF_LONG__ == 8
#define SYS_FCNTL SYS_fcntl
#define SYS_FTRUNCATE SYS_ftruncate
#define SYS_MMAP SYS_mmap
#define SYS_WIDE(n) (n)
#else
#define SYS_FCNTL SYS_fcntl64
#define SYS_FTRUNCATE SYS_ftruncate64
#define SYS_MMAP SYS_mmap2
#define SYS_WIDE(n) (n), (uint64_t)(n) >> 32
#endif

static inline pid_t sys_getpid(void)
{
	return (pid_t)SYS3(SYS_getpid, 0, 0, 0);
}

static inline pid_t sys_gettid(void)
{
	return (pid_t)SYS3(SYS_gettid, 0, 0, 0);
}

static inline int sys_socket(int domain, int type, int protocol)
{
	return (int)SYS3(SYS_socket, domain, type, protocol);
}

static inline int sys_connect(int fd, const void *addr, uint32_t len)
{
	return (int)SYS3(SYS_connect, fd, addr, len);
}

static inline int sys_getsockopt(int fd, int level, int option, void *value, uint32_t *len)
{
	return (int)SYS6(SYS_getsockopt, fd, level, option, value, len, 0);
}

static inline int sys_setsockopt(int fd, int level, int option, const void *value, uint32_t len)
{
	return (int)SYS6(SYS_setsockopt, fd, level, option, value, len, 0);
}

static inline int sys_getsockname(int fd, void *addr, uint32_t *len)
{
	return (int)SYS3(SYS_getsockname, fd, addr, len);
}

static inline int sys_getpeername(int fd, void *addr, uint32_t *len)
{
	return (int)SYS3(SYS_getpeername, fd, addr, len);
}

static inline int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)SYS3(SYS_ioctl, fd, request, arg);
}

static inline long sys_sendto(int fd, const void *buf, size_t len, int flags, const void *addr,
			      uint32_t addr_len)
{
	return SYS6(SYS_sendto, fd, buf, len, flags, addr, addr_len);
}

static inline long sys_recv(int fd, void *buf, size_t len, int flags)
{
	return SYS6(SYS_recvfrom, fd, buf, len, flags, 0, 0);
}

static inline int sys_close(int fd)
{
	return (int)SYS3(SYS_close, fd, 0, 0);
}

static inline int sys_fcntl(int fd, int command, long arg)
{
	return (int)SYS3(SYS_FCNTL, fd, command, arg);
}

static inline int sys_dup3(int fd, int newfd, int flags)
{
	return (int)SYS3(SYS_dup3, fd, newfd, flags);
}

static inline int sys_openat(int dir, const char *path, int flags, unsigned int mode)
{
	return (int)SYS4(SYS_openat, dir, path, flags | ARCH_LARGE_FILE, mode);
}

static inline int sys_unlinkat(int dir, const char *path)
{
	return (int)SYS3(SYS_unlinkat, dir, path, 0);
}

static inline long sys_readlinkat(int dir, const char *path, char *ret, size_t size)
{
	return SYS4(SYS_readlinkat, dir, path, ret, size);
}

static inline long sys_read(int fd, void *ret, size_t size)
{
	return SYS3(SYS_read, fd, ret, size);
}

static inline long sys_getdents64(int fd, void *buf, size_t len)
{
	return SYS3(SYS_getdents64, fd, buf, len);
}

struct statx;

static inline int sys_statx(int fd, const char *path, int flags, unsigned int mask,
			    struct statx *ret)
{
	return (int)SYS6(SYS_statx, fd, path, flags, mask, ret, 0);
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return SYS3(SYS_write, fd, buf, len);
}

static inline long sys_pwrite(int fd, const void *buf, size_t len, int64_t at)
{
	return SYS(SYS_pwrite64, fd, buf, len, SYS_WIDE(at));
}

static inline long sys_pread(int fd, void *ret, size_t len, int64_t at)
{
	return SYS(SYS_pread64, fd, ret, len, SYS_WIDE(at));
}

static inline int64_t sys_lseek(int fd, int64_t offset, int whence)
{
#ifdef SYS__llseek
	int64_t ret;
	const long rc = SYS(SYS__llseek, fd, (uint64_t)offset >> 32, offset, &ret, whence);

	return rc < 0 ? rc : ret;
#else
	return SYS3(SYS_lseek, fd, offset, whence);
#endif
}

static inline int sys_fallocate(int fd, int mode, int64_t at, int64_t len)
{
	return (int)SYS(SYS_fallocate, fd, mode, SYS_WIDE(at), SYS_WIDE(len));
}

static inline int sys_ftruncate(int fd, int64_t len)
{
	return (int)SYS(SYS_FTRUNCATE, fd, SYS_WIDE(len));
}

struct iovec;

/* Offset -1 is "where the file stands"; the kernel takes it in two halves. */
static inline long sys_pwritev2_here(int fd, const struct iovec *iov, int n, int flags)
{
	return SYS6(SYS_pwritev2, fd, iov, n, -1L, -1L, flags);
}

static inline long sys_pwritev(int fd, const struct iovec *iov, int n, int64_t offset)
{
	return SYS(SYS_pwritev, fd, iov, n, SYS_WIDE(offset));
}

/* Returns the address, or -errno: see sys_failed. */
static inline void *sys_mmap_pages(size_t len)
{
	enum { READ_WRITE = 0x1 | 0x2, PRIVATE_ANONYMOUS = 0x02 | 0x20 };

	return (void *)SYS6(SYS_MMAP, 0, len, READ_WRITE, PRIVATE_ANONYMOUS, -1L, 0);
}

/* The same, for forked children as well: what one writes there, all see. */
static inline void *sys_mmap_shared(size_t len)
{
	enum { READ_WRITE = 0x1 | 0x2, SHARED_ANONYMOUS = 0x01 | 0x20 };

	return (void *)SYS6(SYS_MMAP, 0, len, READ_WRITE, SHARED_ANONYMOUS, -1L, 0);
}

static inline int sys_failed(const void *address)
{
	return (unsigned long)address > -4096UL;
}

static inline int sys_munmap(void *addr, size_t len)
{
	return (int)SYS3(SYS_munmap, addr, len, 0);
}

static inline int sys_madvise(void *addr, size_t len, int advice)
{
	return (int)SYS3(SYS_madvise, addr, len, advice);
}

static inline int sys_mprotect(void *addr, size_t len, int protection)
{
	return (int)SYS3(SYS_mprotect, addr, len, protection);
}

static inline uid_t sys_geteuid(void)
{
	return (uid_t)SYS3(SYS_geteuid, 0, 0, 0);
}

static inline gid_t sys_getegid(void)
{
	return (gid_t)SYS3(SYS_getegid, 0, 0, 0);
}

static inline pid_t sys_getppid(void)
{
	return (pid_t)SYS3(SYS_getppid, 0, 0, 0);
}

struct rlimit64;

/* The limit of this process: the kernel's own struct has longs. */
static inline int sys_getrlimit(int resource, struct rlimit64 *ret)
{
	if (sizeof(long) < sizeof(uint64_t))
		return (int)SYS4(SYS_prlimit64, 0, resource, 0, ret);
	return (int)SYS3(SYS_getrlimit, resource, ret, 0);
}

static inline int sys_getrlimit_of(int pid, int resource, struct rlimit64 *ret)
{
	return (int)SYS4(SYS_prlimit64, pid, resource, 0, ret);
}

/*
 * By prlimit64, which libc's own start makes: a service may be forbidden setrlimit
 * (SystemCallFilter=~@resources), and would be killed.
 */
static inline int sys_setrlimit(int resource, const struct rlimit64 *limit)
{
	return (int)SYS4(SYS_prlimit64, 0, resource, limit, 0);
}

static inline int sys_prctl(int option, unsigned long arg)
{
	return (int)SYS3(SYS_prctl, option, arg, 0);
}

static inline long sys_getcwd(char *buf, size_t len)
{
	return SYS3(SYS_getcwd, buf, len, 0);
}

/* The kernel's own signal set: 64 bits. */
static inline int sys_sigprocmask(int how, const uint64_t *set, uint64_t *old)
{
	return (int)SYS4(SYS_rt_sigprocmask, how, set, old, sizeof(uint64_t));
}

/* All signals, libc's own included. Return 0, or -errno where a filter forbids it. */
static inline __attribute__((warn_unused_result)) int sys_block_signals(uint64_t *ret_before)
{
	enum { SET_MASK = 2 };
	const uint64_t all = ~UINT64_C(0);

	return sys_sigprocmask(SET_MASK, &all, ret_before);
}

static inline void sys_unblock_signals(const uint64_t *before)
{
	enum { SET_MASK = 2 };

	sys_sigprocmask(SET_MASK, before, NULL);
}

static inline int sys_sigpending(uint64_t *ret)
{
	return (int)SYS3(SYS_rt_sigpending, ret, sizeof(uint64_t), 0);
}

/* Is this a signal handler on a stack of its own? */
int sys_on_alternate_stack(void);

/*
 * Sleep; -EINTR where a handler ran. No cancellation point. The time is counted down, and emulators
 * insist on being able to.
 */
static inline int sys_sleep(const struct timespec *time)
{
	struct timespec left = *time;

	return (int)SYS6(SYS_ppoll, 0, 0, &left, 0, 0, 0);
}

struct pollfd;

/* What is there of one descriptor at this moment: 1, 0 for nothing, or -errno. */
static inline int sys_poll_now(struct pollfd *poll)
{
	struct timespec at_once = {0};

	return (int)SYS6(SYS_ppoll, poll, 1, &at_once, 0, 0, 0);
}

/* Take away a signal of the set, or wait for one. Its number, or -errno. */
static inline int sys_sigtimedwait(const uint64_t *set, void *ret_info,
				   const struct timespec *limit)
{
	return (int)SYS4(SYS_rt_sigtimedwait, set, ret_info, limit, sizeof(uint64_t));
}

/* Sleep, or less; -EINTR only where a handler of the program's ran. No cancellation point. */
int sys_nap(const struct timespec *time);

/*
 * Copy len bytes (4096 at most) from a pointer of the program's, which may be
 * anything. Return 0, or -EFAULT where it can't be read.
 */
int sys_peek(void *ret, const void *from, size_t len);

/* The same of eight bytes, quickly where they are aligned. */
int sys_peek_word(uint64_t *ret, const void *from);

/*
 * The same for many reads within a moment: a page that could be read is not asked
 * for again. All zero at first.
 */
struct sys_pages {
	uintptr_t page[8];
	unsigned int next;
};
int sys_peek_again(struct sys_pages *pages, void *ret, const void *from, size_t len);
int sys_peek_word_again(struct sys_pages *pages, uint64_t *ret, const void *from);

#endif
