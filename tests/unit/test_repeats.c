/* SPDX-License-Identifier: MIT */
/*
 * test_repeats.c - log/repeats: what a thread keeps of its failures. Each test in a child of
 * its own, which begins without any.
 */
#include "log/repeats.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "sys/process.h"
#include "unit.h"

#define SECOND UINT64_C(1000000000)

enum { LISTENER = 3 };

static uint64_t now = 100 * SECOND;

static struct event event(enum call_id call, int error)
{
	now += 1000;
	return (struct event){
		.call = (uint8_t)call,
		.error = error,
		.pid = getpid(),
		.tid = gettid(),
		.fd = LISTENER,
		.has_fd = true,
		.ret = error ? -1 : 7,
		.has_ret = true,
		.began_ns = now - 10,
		.dur_ns = 10,
		.sock = {.cookie = 77, .state = STATE_LISTEN},
	};
}

/* As log.c does it, without telling anybody: is it counted? */
static bool emit(const struct event *ev)
{
	struct repeats *repeats = repeats_hold(ev);
	struct failure *same;
	bool counts;

	MUST(repeats);
	same = repeats_find(repeats, ev);
	counts = same && failure_may_count(same, ev);
	if (counts)
		failure_count(same, ev);
	else
		failure_keep(repeats_place(repeats, ev), ev);
	repeats_release(repeats, ev);
	return counts;
}

static bool emit_failure(enum call_id call, int error)
{
	const struct event ev = event(call, error);

	return emit(&ev);
}

/* How many of that kind are counted; -1: it is not kept. */
static int counted(const struct event *ev)
{
	struct repeats *repeats = repeats_hold(ev);
	struct failure *same;
	int times;

	MUST(repeats);
	same = repeats_find(repeats, ev);
	times = same ? (int)same->ev.more.repeated.times : -1;
	repeats_release(repeats, ev);
	return times;
}

static void for_a_second_body(void *arg)
{
	struct event ev = event(CALL_accept, EMFILE);

	(void)arg;
	MUST(!emit_failure(CALL_accept, EMFILE));
	MUST(emit_failure(CALL_accept, EMFILE));
	MUST(!emit_failure(CALL_accept, EAGAIN));
	MUST(emit_failure(CALL_accept, EMFILE)); /* in a row or not */
	MUST(emit_failure(CALL_accept, EAGAIN));
	MUST(counted(&ev) == 2);
	now += SECOND;
	ev = event(CALL_accept, EMFILE);
	MUST(failure_is_overdue(repeats_find(repeats_hold(&ev), &ev), &ev));
}

static void for_a_second(void **state)
{
	(void)state;
	in_child(for_a_second_body, NULL);
}

static void told_each_second_body(void *arg)
{
	(void)arg;
	MUST(!emit_failure(CALL_accept, EMFILE));
	for (int i = 1; i < 100; i++) {
		now += SECOND / 10 - 1000;
		MUST(emit_failure(CALL_accept, EMFILE) == (i % 10 != 0));
	}
}

static void told_each_second(void **state)
{
	(void)state;
	in_child(told_each_second_body, NULL);
}

/* Whatever differs in an event makes it another one. */
static void what_is_alike_body(void *arg)
{
	struct event first = event(CALL_setsockopt, EINVAL), ev;

	(void)arg;
	first.has_args = true;
	first.more.value = (struct option_value){.readable = true, .len = 4};
	MUST(!emit(&first));
#define DIFFERS(member, value)                                                                     \
	ev = first;                                                                                \
	ev.member = value;                                                                         \
	MUST(counted(&ev) == -1)
	DIFFERS(call, CALL_listen);
	DIFFERS(error, EPERM);
	DIFFERS(fd, LISTENER + 1);
	DIFFERS(by_shim, true);
	DIFFERS(stack, 5);
	DIFFERS(args.sockopt.option, 9);
	DIFFERS(more.value.bytes[3], 1);
	DIFFERS(sock.cookie, 78);
	DIFFERS(sock.state, STATE_CLOSED);
	DIFFERS(sock.local.port, 80);
	DIFFERS(sock.peer.port, 80);
#undef DIFFERS
	MUST(counted(&first) == 0);
}

static void what_is_alike(void **state)
{
	(void)state;
	in_child(what_is_alike_body, NULL);
}

/* Another socket's attempt to the same peer; but not one that goes on. */
static void connects_body(void *arg)
{
	struct event ev = event(CALL_connect, ECONNREFUSED);

	(void)arg;
	ev.sock.peer = (struct endpoint){.family = AF_INET, .port = 80};
	for (int error = 0; error < 2; error++) {
		ev.error = error ? EINPROGRESS : ECONNREFUSED;
		MUST(!emit(&ev));
		ev.fd++;
		ev.sock.cookie++;
		ev.sock.local.port++;
		MUST(emit(&ev) == !error);
	}
	ev.error = ECONNREFUSED;
	ev.sock.peer.port = 81;
	MUST(!emit(&ev));
}

static void connects(void **state)
{
	(void)state;
	in_child(connects_body, NULL);
}

static void news_is_told_body(void *arg)
{
	struct event ev = event(CALL_accept, EMFILE);

	(void)arg;
	ev.notes = NOTE_BIT(NOTE_STILL_OPEN);
	MUST(!emit(&ev));
	MUST(emit(&ev));
	ev.notes |= NOTE_BIT(NOTE_CLOSE_WAIT);
	MUST(!emit(&ev));
	ev.notes = NOTE_BIT(NOTE_STILL_OPEN);
	MUST(emit(&ev));
	ev.notes = NOTE_BIT(NOTE_CLOSE_WAIT);
	MUST(emit(&ev));
}

static void news_is_told(void **state)
{
	(void)state;
	in_child(news_is_told_body, NULL);
}

/* The fifth takes the place of the one that failed longest ago. */
static void four_are_kept_body(void *arg)
{
	static const int errors[] = {EMFILE, EAGAIN, EINTR, ECONNABORTED, EPERM};

	(void)arg;
	for (size_t i = 0; i < 4; i++)
		MUST(!emit_failure(CALL_accept, errors[i]));
	MUST(emit_failure(CALL_accept, errors[0]));
	MUST(!emit_failure(CALL_accept, errors[4]));
	MUST(emit_failure(CALL_accept, errors[0]));
	MUST(!emit_failure(CALL_accept, errors[1]));
}

static void four_are_kept(void **state)
{
	(void)state;
	in_child(four_are_kept_body, NULL);
}

static bool ends_before(const struct event *ev)
{
	const struct event failed = event(CALL_accept, EMFILE);
	struct repeats *repeats = repeats_hold(&failed);
	bool ends = false;

	for (int i = 0; i < REPEATS_KEPT; i++)
		ends |= failure_ends_before(&repeats->failures[i], ev);
	repeats_release(repeats, ev);
	return ends;
}

static void the_socket_goes_on_body(void *arg)
{
	struct event ev = event(CALL_close, 0);

	(void)arg;
	MUST(!emit_failure(CALL_accept, EMFILE));
	MUST(!repeats_hold(&ev)); /* nothing counted: nothing to be done */
	MUST(emit_failure(CALL_accept, EMFILE));
	MUST(ends_before(&ev));
	ev.sock.cookie = 78; /* the listener's number, as of an accept that worked */
	MUST(ends_before(&ev));
	ev.fd = LISTENER + 1;
	MUST(!ends_before(&ev));
	ev.sock.cookie = 77; /* another number of it */
	MUST(ends_before(&ev));
}

static void the_socket_goes_on(void **state)
{
	(void)state;
	in_child(the_socket_goes_on_body, NULL);
}

/* A number that was not open is another socket's when a call has returned it. */
static void a_number_is_used_again_body(void *arg)
{
	struct event failed = event(CALL_close, EBADF), ev = event(CALL_socket, 0);

	(void)arg;
	failed.sock = (struct sock_view){0};
	MUST(!emit(&failed));
	ev.has_fd = false;
	ev.fd = -1;
	MUST(!ends_before(&ev));
	ev.ret = LISTENER;
	MUST(repeats_watch && ends_before(&ev));
}

static void a_number_is_used_again(void **state)
{
	(void)state;
	in_child(a_number_is_used_again_body, NULL);
}

/* A handler that comes in between; and one that never came back. */
static void held_body(void *arg)
{
	struct event ev = event(CALL_accept, EMFILE);
	struct repeats *kept;

	(void)arg;
	MUST(repeats_hold(&ev));
	MUST(!repeats_hold(&ev));
	now += 11 * SECOND;
	ev = event(CALL_accept, EMFILE);
	kept = repeats_hold(&ev);
	MUST(kept);
	/* Given back in between, by a handler that took very long. */
	repeats_forget();
	repeats_release(kept, &ev);
	MUST(repeats_hold(&ev));
}

static void held(void **state)
{
	(void)state;
	in_child(held_body, NULL);
}

static void *fail_in_thread(void *arg)
{
	MUST(!emit_failure(CALL_accept, EMFILE));
	MUST(emit_failure(CALL_accept, EMFILE) == (arg != NULL));
	if (arg) {
		MUST(repeats_of_ending_thread(gettid(), now));
		repeats_forget();
	}
	return NULL;
}

/* More than there are seats: each thread gives its own back, or nobody needs it after a second. */
static void threads_body(void *arg)
{
	pthread_t thread;

	for (int i = 0; i < 3000; i++) {
		MUST(pthread_create(&thread, NULL, fail_in_thread, &now) == 0);
		MUST(pthread_join(thread, NULL) == 0);
	}
	(void)arg;
}

static void threads(void **state)
{
	(void)state;
	in_child(threads_body, NULL);
}

static int visited;

static void visit(struct repeats *repeats)
{
	visited += (int)repeats->failures[0].ev.more.repeated.times;
}

/* What the parent has counted is not the child's. */
static void forked_body(void *arg)
{
	(void)arg;
	MUST(!emit_failure(CALL_accept, EMFILE));
	MUST(emit_failure(CALL_accept, EMFILE));
	if (fork() == 0) {
		repeats_each(visit, now);
		MUST(visited == 0);
		MUST(!emit_failure(CALL_accept, EMFILE));
		_exit(0);
	}
	int status = -1;

	MUST(wait(&status) > 0 && status == 0);
	repeats_each(visit, now);
	MUST(visited == 1);
}

static void forked(void **state)
{
	(void)state;
	in_child(forked_body, NULL);
}

static void ended_body(void *arg)
{
	const struct event ev = event(CALL_accept, EMFILE);

	(void)arg;
	MUST(!emit_failure(CALL_accept, EMFILE));
	repeats_end(getpid());
	MUST(!repeats_hold(&ev));
}

static void ended(void **state)
{
	(void)state;
	in_child(ended_body, NULL);
}

/* One that looks at two threads by turns: each goes on from its own. */
static void of_many_body(void *arg)
{
	struct repeats_thread nobody = {0}, threads[2] = {{0}, {0}};
	struct event ev[2];

	(void)arg;
	for (int i = 0; i < 6; i++) {
		const int of = i % 2;

		repeats_turn_to(&threads[of], &nobody);
		ev[of] = event(CALL_accept, EMFILE);
		ev[of].tid = 4242 + of;
		MUST(emit(&ev[of]) == (i >= 2));
		MUST(repeats_watch == (i >= 2));
		repeats_turn_to(&nobody, &threads[of]);
		MUST(!repeats_watch);
	}
	for (int of = 0; of < 2; of++) {
		repeats_turn_to(&threads[of], &nobody);
		MUST(counted(&ev[of]) == 2);
		MUST(repeats_of_ending_thread(4242 + of, now));
		repeats_forget();
		MUST(counted(&ev[of]) == -1); /* as one that has just begun */
		repeats_turn_to(&nobody, &threads[of]);
	}
}

static void of_many(void **state)
{
	(void)state;
	in_child(of_many_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(for_a_second),
		cmocka_unit_test(told_each_second),
		cmocka_unit_test(what_is_alike),
		cmocka_unit_test(connects),
		cmocka_unit_test(news_is_told),
		cmocka_unit_test(four_are_kept),
		cmocka_unit_test(the_socket_goes_on),
		cmocka_unit_test(a_number_is_used_again),
		cmocka_unit_test(held),
		cmocka_unit_test(threads),
		cmocka_unit_test(forked),
		cmocka_unit_test(ended),
		cmocka_unit_test(of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
