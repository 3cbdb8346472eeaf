/* SPDX-License-Identifier: MIT */
/*
 * unwind.c - see unwind.h.
 */
#include "observe/unwind.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "sys/sys.h"

/* libunwind's errors that we give back to it. */
enum { UNSPECIFIED = -1, BAD_REGISTER = -3, READ_ONLY = -4, NO_INFO = -10 };

static struct unwind unwind;
static struct unwind_space *space;

/* Only at load, while libunwind is tried out: at its first question in each of our calls. */
static int watched = -1;
static bool looked, was_used;

bool unwind_watch(int number)
{
	const bool was_free = !was_used;

	watched = number;
	was_used = false;
	return was_free;
}

static void look_again(void)
{
	if (watched >= 0)
		looked = false;
}

static void look_at_watched(void)
{
	if (watched < 0 || looked)
		return;
	looked = true;
	if (sys_fcntl(watched, F_GETFD, 0) >= 0)
		was_used = true;
}

static int access_mem(struct unwind_space *of, uint64_t address, uint64_t *value, int write,
		      void *arg)
{
	struct unwind_view *view = arg;

	(void)of;
	look_at_watched();
	if (write)
		return READ_ONLY;
	return sys_peek_word_again(view->pages, value, (const void *)(uintptr_t)address) < 0
		       ? UNSPECIFIED
		       : 0;
}

static int access_reg(struct unwind_space *of, int reg, uint64_t *value, int write, void *arg)
{
	const struct unwind_view *view = arg;

	(void)of;
	if (write)
		return READ_ONLY;
	if (reg < 0 || reg > ARCH_REGISTERS)
		return BAD_REGISTER;
	*value = view->regs[reg];
	return 0;
}

static int access_fpreg(struct unwind_space *of, int reg, void *value, int write, void *arg)
{
	(void)of;
	(void)reg;
	(void)value;
	(void)write;
	(void)arg;
	return BAD_REGISTER;
}

static int no_dyn_info(struct unwind_space *of, uint64_t *ret, void *arg)
{
	(void)of;
	(void)ret;
	(void)arg;
	return NO_INFO;
}

static void put_unwind_info(struct unwind_space *of, struct unwind_proc_info *info, void *arg)
{
	(void)of;
	(void)info;
	(void)arg;
}

static int no_resume(struct unwind_space *of, struct unwind_cursor *cursor, void *arg)
{
	(void)of;
	(void)cursor;
	(void)arg;
	return UNSPECIFIED;
}

static int no_name(struct unwind_space *of, uint64_t ip, char *ret, size_t size,
		   uint64_t *ret_offset, void *arg)
{
	(void)of;
	(void)ip;
	(void)ret;
	(void)size;
	(void)ret_offset;
	(void)arg;
	return NO_INFO;
}

/* The head of .eh_frame_hdr in the one form that linkers write (DWARF encodings). */
struct eh_frame_hdr {
	uint8_t version, eh_frame_form, count_form, table_form;
	int32_t eh_frame;
	uint32_t count;
};

enum { UDATA4 = 0x03, SDATA4_PCREL = 0x1b, SDATA4_DATAREL = 0x3b };

static int find_proc_info(struct unwind_space *of, uint64_t ip, struct unwind_proc_info *ret,
			  int need_unwind_info, void *arg)
{
	enum { REMOTE_TABLE = 2 };
	const struct unwind_view *view = arg;
	const struct object *object = view->object;
	struct eh_frame_hdr head;

	if (!object || ip < object->start || ip >= object->end || !object->tables ||
	    sys_peek_again(view->pages, &head, (const void *)(uintptr_t)object->tables,
			   sizeof(head)) < 0 ||
	    head.version != 1 || head.eh_frame_form != SDATA4_PCREL || head.count_form != UDATA4 ||
	    head.table_form != SDATA4_DATAREL)
		return NO_INFO;

	struct unwind_dyn_info table = {
		.start_ip = object->start,
		.end_ip = object->end,
		.format = REMOTE_TABLE,
		.segbase = object->tables,
		.table_len = head.count, /* in words; an entry is two halves of one */
		.table = object->tables + sizeof(head),
	};

	return unwind.dwarf_search_unwind_table(of, ip, &table, ret, need_unwind_info, arg);
}

bool unwind_init(const struct unwind *functions)
{
	static struct unwind_accessors accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = no_dyn_info,
		.access_mem = access_mem,
		.access_reg = access_reg,
		.access_fpreg = access_fpreg,
		.resume = no_resume,
		.get_proc_name = no_name,
	};

	unwind = *functions;
	space = unwind.create_addr_space(&accessors, 0);
	return space != NULL;
}

bool unwind_begin(struct unwind_cursor *cursor, struct unwind_view *view)
{
	look_again();
	return unwind.init_remote(cursor, space, view) == 0;
}

uint64_t unwind_step(struct unwind_cursor *cursor, const struct frame *frame)
{
	uint64_t ip;

	if (!frame->rule_len)
		return 0;
	look_again();
	/* libunwind only reads the rule. */
	if (unwind.apply_reg_state(cursor, (void *)(uintptr_t)frame->rule) < 0 ||
	    unwind.get_reg(cursor, ARCH_IP, &ip) < 0)
		return 0;
	return ip;
}

/* For each part of the function that the address lies in. */
struct lesson {
	struct frame *frame;
	uint64_t address;
};

static int take_rule(void *arg, void *state, size_t size, uint64_t start, uint64_t end)
{
	const struct lesson *lesson = arg;

	if (lesson->address >= start && lesson->address < end && size <= FRAME_RULE_MAX) {
		memcpy(lesson->frame->rule, state, size);
		lesson->frame->rule_len = (uint16_t)size;
	}
	return 0;
}

/*
 * Who is learning: how many threads, and of which process. What libunwind locks
 * meanwhile stays locked for ever in a child that is forked just then: there the
 * number is another process's, and nothing is learned any more.
 */
union learners {
	uint64_t word;
	struct {
		int32_t pid;
		uint32_t count;
	} of;
};
static _Atomic(uint64_t) learners;

static bool begin_learning(void)
{
	const pid_t pid = sys_getpid();
	union learners now = {.word = atomic_load(&learners)}, next;

	do {
		if (now.of.count && now.of.pid != pid)
			return false;
		next.of.pid = pid;
		next.of.count = now.of.count + 1;
	} while (!atomic_compare_exchange_weak(&learners, &now.word, next.word));
	return true;
}

static void end_learning(void)
{
	union learners now = {.word = atomic_load(&learners)}, next;

	do {
		next = now;
		next.of.count--;
	} while (!atomic_compare_exchange_weak(&learners, &now.word, next.word));
}

void unwind_learn(struct frame *frame, uint64_t address, const struct object *object,
		  struct unwind_view *view, struct unwind_cursor *cursor)
{
	struct lesson lesson = {.frame = frame, .address = address};

	frame->rule_len = 0;
	if (!begin_learning())
		return;
	view->object = object;
	memset(view->regs, 0, sizeof(view->regs));
	view->regs[ARCH_IP] = address;
	if (!unwind_begin(cursor, view))
		goto out;
	look_again();
	if (unwind.reg_states_iterate(cursor, take_rule, &lesson) < 0)
		frame->rule_len = 0;
out:
	end_learning();
}
