/* SPDX-License-Identifier: MIT */
/*
 * test_subject.c - observe/subject: the observers look at another process than ours. Its numbers
 * are closed here, or something else; its memory, limits and descriptors differ from ours.
 */
#include "observe/subject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "facts/endpoint.h"
#include "observe/attempt.h"
#include "observe/bound.h"
#include "observe/closing.h"
#include "observe/closings.h"
#include "observe/diag.h"
#include "observe/event.h"
#include "observe/explain_accept.h"
#include "observe/fdtable.h"
#include "observe/observe.h"
#include "observe/open_files.h"
#include "observe/proc.h"
#include "supervise/subjects.h"
#include "unit.h"

/* The subject's numbers, and where the handles to what they are begin. */
enum {
	LISTENER = 5,
	CONNECTION = 6,
	COPY = 7,
	CLIENT = 8,
	NUMBERS = 16,
	HANDLES = 900,
	HIDDEN = 800
};
enum { PID = 4242, TID = 4243, LIMIT = 77 };

static struct subject *made(pid_t pid, const struct subject *parent)
{
	struct subject *ret = subject_make(pid, 1, parent);

	assert_non_null(ret);
	atomic_store(&ret->process.tid, pid == PID ? TID : pid);
	return ret;
}

/*
 * A program that is not there: what has the number N in it is kept at HIDDEN + N, and handed out
 * as a copy, as pidfd_getfd does.
 */
static int handed_out;

static int fetch_hidden(const struct subject *from, int number)
{
	const int copy = fcntl(HIDDEN + number, F_DUPFD_CLOEXEC, HANDLES);

	(void)from;
	handed_out += copy >= 0;
	return copy < 0 ? -EBADF : copy;
}

static void hide(int number, int fd)
{
	assert_int_equal(dup3(fd, HIDDEN + number, O_CLOEXEC), HIDDEN + number);
	close(fd);
}

static struct subject *imagined(void)
{
	struct subject *ret = made(PID, NULL);

	ret->fetch = fetch_hidden;
	memcpy(ret->prog, "imagined", sizeof("imagined"));
	return ret;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int tcp_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	return fd;
}

static void assert_is_of(const struct event *ev, int number, uint64_t cookie)
{
	assert_int_equal(ev->fd, number);
	assert_int_equal(ev->pid, PID);
	assert_int_equal(ev->tid, TID);
	assert_string_equal(ev->prog, "imagined");
	assert_true(ev->has_sock);
	assert_int_equal(ev->sock.cookie, cookie);
}

/* The note is on the program's number, and on none of ours. */
static void assert_noted(int number, uint64_t cookie, uint8_t state)
{
	const struct fd_note note = fdtable_get(number);

	assert_int_equal(note.cookie, cookie);
	assert_int_equal(note.state, state);
	for (int fd = 0; fd < HANDLES + NUMBERS; fd++)
		if (fdtable_get(fd).cookie == cookie)
			assert_int_equal(fd, number);
}

static void bound_and_listening(uint64_t *ret_cookie)
{
	const struct sockaddr_in any = loopback(0);
	const int handle = subject_fetch(LISTENER);
	struct event ev;

	assert_true(handle >= HANDLES);
	*ret_cookie = sock_cookie(handle);
	event_begin(&ev, CALL_bind, LISTENER);
	event_end(&ev, bind(handle, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_true(observe_bind(&ev, handle, &(struct endpoint){0}, 0));
	assert_is_of(&ev, LISTENER, *ret_cookie);
	assert_int_equal(ev.sock.state, STATE_CLOSED);
	assert_true(ev.sock.netns != 0 || sock_netns(handle) == 0); /* the first event tells it */
	assert_noted(LISTENER, *ret_cookie, STATE_CLOSED);

	event_begin(&ev, CALL_listen, LISTENER);
	event_end(&ev, listen(handle, 4), 0);
	assert_true(observe_listen(&ev, handle));
	assert_is_of(&ev, LISTENER, *ret_cookie);
	assert_int_equal(ev.sock.was, STATE_CLOSED);
	assert_int_equal(ev.sock.state, STATE_LISTEN);
	assert_noted(LISTENER, *ret_cookie, STATE_LISTEN);
	subject_let_go(handle);
}

/* Its CLIENT connects there. */
static struct event connected(const struct endpoint *there)
{
	const struct sockaddr_in addr = loopback(there->port);
	const struct sock_ref ref = {.number = CLIENT, .handle = subject_fetch(CLIENT)};
	struct attempt before;
	struct event ev;
	uint64_t began;
	int rc;

	attempt_before(ref, &before);
	began = observe_began(CALL_connect, ref);
	event_begin(&ev, CALL_connect, CLIENT);
	rc = connect(ref.handle, (const struct sockaddr *)&addr, sizeof(addr));
	event_end(&ev, rc, rc < 0 ? errno : 0);
	assert_true(observe_connect(&ev, ref.handle, there, &before, began));
	assert_is_of(&ev, CLIENT, sock_cookie(ref.handle));
	subject_let_go(ref.handle);
	return ev;
}

static void accepted(uint64_t listener, uint64_t *ret_cookie)
{
	const int handle = subject_fetch(LISTENER);
	const struct endpoint at = sock_local(handle);
	uint64_t began;
	struct event ev;
	int made_handle;

	began = observe_began(CALL_accept, (struct sock_ref){.number = LISTENER, .handle = handle});
	assert_int_equal(began, listener);
	hide(CLIENT, tcp_socket());
	ev = connected(&at);
	assert_int_equal(ev.sock.state, STATE_ESTABLISHED);
	assert_noted(CLIENT, ev.sock.cookie, STATE_ESTABLISHED);
	hide(CONNECTION, accept(handle, NULL, NULL));
	made_handle = subject_fetch(CONNECTION);
	*ret_cookie = sock_cookie(made_handle);
	event_begin(&ev, CALL_accept, LISTENER);
	event_end(&ev, CONNECTION, 0);
	assert_true(observe_accept(&ev, handle, made_handle, began, true));
	assert_is_of(&ev, LISTENER, *ret_cookie);
	assert_int_equal(ev.sock.state, STATE_ESTABLISHED);
	assert_noted(CONNECTION, *ret_cookie, STATE_ESTABLISHED);
	subject_let_go(made_handle);
	subject_let_go(handle);
}

/* Its FIN has been acknowledged, or is about to be. */
static bool waits_for_fin(uint8_t state)
{
	return state == STATE_FIN_WAIT_1 || state == STATE_FIN_WAIT_2;
}

static void half_closed(void)
{
	const int handle = subject_fetch(CLIENT);
	struct tcp_facts before;
	struct event ev;

	observe_before(CALL_shutdown, handle, &before);
	event_begin(&ev, CALL_shutdown, CLIENT);
	ev.has_args = true;
	ev.args.how = SHUT_WR;
	event_end(&ev, shutdown(handle, SHUT_WR), 0);
	assert_true(observe_shutdown(&ev, handle, &before));
	assert_is_of(&ev, CLIENT, sock_cookie(handle));
	assert_int_equal(ev.sock.was, STATE_ESTABLISHED);
	assert_true(waits_for_fin(ev.sock.state));
	assert_int_equal(ev.notes, NOTE_BIT(NOTE_HALF_CLOSED));
	assert_noted(CLIENT, ev.sock.cookie, ev.sock.state);
	subject_let_go(handle);
}

static void copied(uint64_t cookie)
{
	const int handle = subject_fetch(CONNECTION);
	struct event ev;

	assert_int_equal(dup3(HIDDEN + CONNECTION, HIDDEN + COPY, O_CLOEXEC), HIDDEN + COPY);
	event_begin(&ev, CALL_dup, CONNECTION);
	event_end(&ev, COPY, 0);
	assert_true(observe_dup(&ev, handle, 0));
	assert_is_of(&ev, CONNECTION, cookie);
	assert_int_equal(fdtable_get(COPY).cookie, cookie);
	subject_let_go(handle);
}

/* Between the two halves nothing is held. */
static struct event closed(int number)
{
	const struct sock_ref ref = {.number = number, .handle = subject_fetch(number)};
	struct closing closing;
	struct event ev;

	assert_int_equal(observe_closing(&closing, CALL_close, ref, 0), CLOSING_TCP);
	subject_let_go(ref.handle);
	event_begin(&ev, CALL_close, number);
	event_end(&ev, close(HIDDEN + number), 0);
	assert_true(observe_closed(&closing, &ev));
	return ev;
}

static void number_and_handle(void **state)
{
	struct subject *program = imagined();
	uint64_t listener, connection;
	struct event ev;

	(void)state;
	hide(LISTENER, tcp_socket());
	subject_set(program);
	bound_and_listening(&listener);
	accepted(listener, &connection);
	copied(connection);
	half_closed();

	ev = closed(CLIENT);
	assert_true(waits_for_fin(ev.sock.was));
	assert_true(waits_for_fin(ev.sock.state)); /* the kernel's alone by now: by sock_diag */
	ev = closed(CONNECTION);
	assert_is_of(&ev, CONNECTION, connection);
	assert_int_equal(ev.notes, NOTE_BIT(NOTE_STILL_OPEN));
	assert_int_equal(ev.more.holders.pid, PID);
	assert_true(ev.more.holders.own);
	assert_int_equal(ev.more.holders.own_fd, COPY);
	ev = closed(COPY);
	assert_is_of(&ev, COPY, connection);
	assert_int_equal(ev.sock.state, STATE_CLOSED);
	ev = closed(LISTENER);
	assert_is_of(&ev, LISTENER, listener);
	assert_int_equal(ev.sock.was, STATE_LISTEN);
	assert_int_equal(ev.sock.state, STATE_CLOSED);

	event_begin(&ev, CALL_close, LISTENER);
	event_end(&ev, -1, EBADF);
	assert_true(observe_double_close(&ev));
	assert_int_equal(ev.figures.closed_by, TID);
	subject_set(NULL);
	assert_false(observe_double_close(&ev)); /* of ours nothing is known */
	subject_free(program);
	for (int fd = HANDLES; fd < HANDLES + NUMBERS; fd++)
		assert_int_equal(fcntl(fd, F_GETFD), -1); /* all were let go */
	assert_true(handed_out > 0);
}

/* An attempt that did not wait, and whose error is read later. */
static void refused(void **state)
{
	struct subject *program = imagined();
	const struct sockaddr_in any = loopback(0);
	const int nobody = tcp_socket();
	struct endpoint there;
	struct attempt again;
	struct event ev;
	int handle, error = 0;
	socklen_t len = sizeof(error);

	(void)state;
	assert_return_code(bind(nobody, (const struct sockaddr *)&any, sizeof(any)), errno);
	there = sock_local(nobody);
	close(nobody);
	hide(CLIENT, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	subject_set(program);
	ev = connected(&there);
	assert_int_equal(ev.error, EINPROGRESS);
	handle = subject_fetch(CLIENT);
	attempt_before((struct sock_ref){.number = CLIENT, .handle = handle}, &again);
	assert_true(again.under_way);
	event_begin(&ev, CALL_getsockopt, CLIENT);
	event_end(&ev, getsockopt(handle, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, ECONNREFUSED);
	assert_true(observe_call(&ev, handle));
	ev.more.value.readable = true;
	ev.more.value.len = sizeof(error);
	memcpy(ev.more.value.bytes, &error, sizeof(error));
	attempt_of_error(&ev, handle);
	assert_int_equal(ev.notes, NOTE_BIT(NOTE_REFUSED));
	assert_int_equal(ev.figures.connect_how, REFUSED_BY_RST);
	assert_int_equal(fdtable_connects(CLIENT), 0);
	subject_let_go(handle);
	subject_set(NULL);
	subject_free(program);
	close(HIDDEN + CLIENT);
}

/* A bind is looked at beside the program's other numbers, each fetched for that. */
static void another_number_is_in_the_way(void **state)
{
	struct subject *program = imagined();
	const struct sockaddr_in any = loopback(0);
	struct sock_ref ref = {.number = COPY};
	struct endpoint at;

	(void)state;
	hide(LISTENER, tcp_socket());
	hide(COPY, tcp_socket());
	assert_return_code(bind(HIDDEN + LISTENER, (const struct sockaddr *)&any, sizeof(any)),
			   errno);
	at = sock_local(HIDDEN + LISTENER);
	subject_set(program);
	ref.handle = subject_fetch(COPY);
	assert_true(bound_alone(LISTENER, at.port));
	assert_false(bound_alone(COPY, at.port));
	assert_true(bound_refuses(ref, &at));
	close(HIDDEN + LISTENER);
	assert_false(bound_refuses(ref, &at));
	subject_let_go(ref.handle);
	subject_set(NULL);
	assert_true(bound_alone(COPY, at.port)); /* nor have we */
	subject_free(program);
	close(HIDDEN + COPY);
}

/* Who is in the way there can't be asked over our netlink sockets, so nobody is named. */
static void of_another_namespace(void **state)
{
	struct subject *program = imagined();
	const int listener = tcp_socket();
	const struct sockaddr_in any = loopback(0);
	struct endpoint at;
	struct event ev;
	int handle;

	(void)state;
	assert_return_code(bind(listener, (const struct sockaddr *)&any, sizeof(any)), errno);
	assert_return_code(listen(listener, 1), errno);
	at = sock_local(listener);
	hide(CLIENT, tcp_socket());
	subject_set(program);
	handle = subject_fetch(CLIENT);
	for (int here = 0; here < 2; here++) {
		program->elsewhere = !here;
		event_begin(&ev, CALL_bind, CLIENT);
		event_end(&ev, -1, EADDRINUSE);
		assert_true(observe_bind(&ev, handle, &at, 0));
		assert_int_equal(ev.notes, here ? NOTE_BIT(NOTE_IN_USE_LISTENER) : 0);
	}
	subject_let_go(handle);
	subject_set(NULL);
	subject_free(program);
	close(HIDDEN + CLIENT);
	close(listener);
}

static void note(int number, uint64_t cookie)
{
	const struct fd_note about = {.cookie = cookie, .state = STATE_LISTEN};

	fdtable_set(number, &about);
}

/* A child goes on from what its parent knew, and counts for itself. */
static void a_table_each(void **state)
{
	struct subject *parent = made(10, NULL), *child, *other = made(12, NULL);
	struct process *const ours = &this_process;
	const uint32_t generation = process_generation();

	(void)state;
	subject_set(parent);
	assert_ptr_equal(&our_process, ours);
	assert_ptr_equal(&this_process, &parent->process);
	note(LISTENER, 77);
	note(1000, 78);
	event_lost();
	event_lost();
	child = made(11, parent);
	assert_true(process_generation() != generation);

	subject_set(child);
	assert_int_equal(process_owner(), 11);
	assert_int_equal(process_tid(), 11);
	assert_int_equal(fdtable_get(LISTENER).cookie, 77);
	assert_int_equal(fdtable_next(LISTENER + 1), 1000);
	note(LISTENER, 79);
	event_lost();
	assert_int_equal(atomic_load(&this_process.lost), 1);

	subject_set(other);
	assert_int_equal(fdtable_next(0), -1);

	subject_set(parent);
	assert_int_equal(fdtable_get(LISTENER).cookie, 77);
	assert_int_equal(atomic_load(&this_process.seq), 2);
	subject_set(NULL);
	assert_ptr_equal(&this_process, ours);
	assert_int_equal(process_owner(), getpid());
	assert_int_equal(fdtable_next(0), -1);
	subject_free(child);
	subject_free(parent);
	subject_free(other);
}

/* A real one: a forked child, which says by a byte that it is ready and lives until we close. */
static char *memory;
static int ends[2];

static void live(void *unused)
{
	const struct rlimit limit = {LIMIT, LIMIT};
	const int fds[] = {LISTENER, CONNECTION};
	char byte;

	(void)unused;
	close(ends[0]);
	MUST(dup3(ends[1], HIDDEN, 0) == HIDDEN);
	MUST(syscall(SYS_close_range, 3, HIDDEN - 1, 0) == 0);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		const struct sockaddr_in any = loopback(0);
		const int fd = tcp_socket();

		MUST(bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0);
		MUST(listen(fd, 1) == 0);
		MUST(dup3(fd, HIDDEN + 1 + (int)i, 0) >= 0);
		close(fd);
	}
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		MUST(dup3(HIDDEN + 1 + (int)i, fds[i], 0) == fds[i]);
	MUST(syscall(SYS_close_range, HIDDEN + 1, ~0u, 0) == 0);
	strcpy(memory, "the child's");
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	MUST(write(HIDDEN, "", 1) == 1);
	MUST(read(HIDDEN, &byte, 1) == 0);
}

static int fetch_by_pidfd(const struct subject *from, int number)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, from->pid, 0);
	const int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	const int rc = fd < 0 ? -errno : fd;

	close(pidfd);
	return rc;
}

static int peek_across(const struct subject *from, void *ret, const void *at, size_t len)
{
	const struct iovec here = {ret, len}, there = {(void *)(uintptr_t)at, len};

	return process_vm_readv(from->pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

static void assert_memory(void)
{
	char got[16], *unmapped = memory_end(1);

	assert_int_equal(subject_peek(got, memory, sizeof(got)), 0);
	assert_string_equal(got, "the child's");
	assert_int_equal(subject_peek(got, unmapped, 8), -EFAULT);
}

static void assert_listed(void)
{
	struct closings closings;
	bool found[NUMBERS] = {false};

	closings_find(&closings, CALL_close_range, 0, NUMBERS - 1);
	assert_int_equal(closings.count, 2);
	for (size_t i = 0; i < closings.count; i++) {
		assert_in_range(closings.list[i].fd, LISTENER, CONNECTION);
		assert_int_equal(closings.list[i].before, STATE_LISTEN);
		found[closings.list[i].fd] = true;
		assert_int_equal(fdtable_get(closings.list[i].fd).cookie,
				 closings.list[i].view.cookie);
		observe_not_closed(&closings.list[i]);
	}
	assert_true(found[LISTENER] && found[CONNECTION]);
	closings_done(&closings);
}

static uint32_t inode_of(int fd)
{
	struct stat stat;

	assert_return_code(fstat(fd, &stat), errno);
	return (uint32_t)stat.st_ino;
}

/* Its limit, and how many it has. */
static void assert_limit(void)
{
	struct event ev;

	event_begin(&ev, CALL_socket, -1);
	event_end(&ev, -1, EMFILE);
	explain_descriptors(&ev);
	assert_int_equal(ev.more.descriptors.limit, LIMIT);
	assert_int_equal(ev.more.descriptors.tcp_at_least, 2);
	assert_int_equal(ev.more.descriptors.mostly, STATE_LISTEN);
}

/* Who is asked first is the subject: for this moment we have it as well. */
static void assert_owner(void)
{
	const int handle = subject_fetch(LISTENER);
	const uint32_t inode = inode_of(handle);
	struct proc_owner owner;

	proc_find_keeper(inode, -1, &owner);
	assert_int_equal(owner.pid, subject->pid);
	assert_int_equal(owner.fd, LISTENER);
	subject_let_go(handle);
}

static void a_real_child(void **state)
{
	struct subject *program;
	pid_t child;
	char byte;
	int handle;

	(void)state;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(memory, "ours");
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
	child = fork_for_a_while();
	if (child == 0) {
		live(NULL);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	program = made(child, NULL);
	program->parent = getpid();
	program->fetch = fetch_by_pidfd;
	program->peek = peek_across;
	subject_set(program);
	handle = subject_fetch(LISTENER);
	if (handle == -EPERM || handle == -ENOSYS) {
		print_message("skipped: pidfd_getfd is refused\n");
	} else {
		assert_true(handle >= 0);
		subject_let_go(handle);
		assert_memory();
		assert_listed();
		assert_limit();
		assert_owner();
	}
	subject_set(NULL);
	close(ends[0]);
	assert_int_equal(waitpid(child, &(int){0}, 0), child);
	subject_free(program);
	munmap(memory, 4096);
}

static int begin(void **state)
{
	(void)state;
	atomic_store(&shim.hooks, CALL_BIT(CALL_LOGGED) - 1);
	shim.events = CALL_BIT(CALL_LOGGED) - 1;
	memcpy(shim.prog, "supervisor", sizeof("supervisor"));
	if (process_init() < 0)
		return -1;
	diag_open();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_and_handle),
		cmocka_unit_test(refused),
		cmocka_unit_test(another_number_is_in_the_way),
		cmocka_unit_test(of_another_namespace),
		cmocka_unit_test(a_table_each),
		cmocka_unit_test(a_real_child),
	};

	return cmocka_run_group_tests_name("subject", tests, begin, NULL);
}
