/* SPDX-License-Identifier: MIT */
/*
 * unwind.h - what is used of libunwind, and how: never as itself.
 *
 * libunwind reads a program's memory through a pipe that it makes (its own
 * process), or through functions that it is given (another process). Here it is
 * given functions, for this process: then it needs no descriptor at all, and makes
 * none. It also learns nothing from ld.so, keeps nothing, and allocates nothing.
 *
 * The names are those of libunwind's manual without unw_; the types are those of
 * its ABI, as the library must build where libunwind is not.
 */
#ifndef OBSERVE_UNWIND_H
#define OBSERVE_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

#include "facts/frames.h"
#include "observe/object.h"
#include "sys/sys.h"

struct unwind_cursor {
	uint64_t opaque[128];
};

struct unwind_proc_info;
struct unwind_space;

/* unw_dyn_info_t of a table that is read through access_mem. */
struct unwind_dyn_info {
	struct unwind_dyn_info *next, *prev;
	uint64_t start_ip, end_ip, gp;
	int32_t format, pad;
	uint64_t load_offset;
	uint64_t name, segbase, table_len, table;
};

struct unwind_accessors {
	int (*find_proc_info)(struct unwind_space *space, uint64_t ip, struct unwind_proc_info *ret,
			      int need_unwind_info, void *arg);
	void (*put_unwind_info)(struct unwind_space *space, struct unwind_proc_info *info,
				void *arg);
	int (*get_dyn_info_list_addr)(struct unwind_space *space, uint64_t *ret, void *arg);
	int (*access_mem)(struct unwind_space *space, uint64_t address, uint64_t *value, int write,
			  void *arg);
	int (*access_reg)(struct unwind_space *space, int reg, uint64_t *value, int write,
			  void *arg);
	int (*access_fpreg)(struct unwind_space *space, int reg, void *value, int write, void *arg);
	int (*resume)(struct unwind_space *space, struct unwind_cursor *cursor, void *arg);
	int (*get_proc_name)(struct unwind_space *space, uint64_t ip, char *ret, size_t size,
			     uint64_t *ret_offset, void *arg);
	void *later_versions[8]; /* none of them given */
};

/* libunwind's functions, looked up by boot. */
struct unwind {
	struct unwind_space *(*create_addr_space)(struct unwind_accessors *accessors, int order);
	int (*init_remote)(struct unwind_cursor *cursor, struct unwind_space *space, void *arg);
	int (*get_reg)(struct unwind_cursor *cursor, int reg, uint64_t *ret);
	int (*reg_states_iterate)(struct unwind_cursor *cursor,
				  int (*each)(void *arg, void *state, size_t size, uint64_t start,
					      uint64_t end),
				  void *arg);
	int (*apply_reg_state)(struct unwind_cursor *cursor, void *state);
	int (*dwarf_search_unwind_table)(struct unwind_space *space, uint64_t ip,
					 struct unwind_dyn_info *table,
					 struct unwind_proc_info *ret, int need_unwind_info,
					 void *arg);
};

/* Where libunwind finds the registers and reads memory. */
struct unwind_view {
	uint64_t regs[ARCH_REGISTERS + 1];
	struct sys_pages *pages;
	const struct object *object; /* while learning: that the address lies in */
};

/* At load, with the functions looked up. False where libunwind refuses. */
bool unwind_init(const struct unwind *unwind);

/*
 * Learn how to get from an address to its caller: the rule, into the frame. Where
 * that can't be found out, rule_len stays 0. libunwind takes locks here, for some
 * instructions at a time: all signals must be blocked.
 */
void unwind_learn(struct frame *frame, uint64_t address, const struct object *object,
		  struct unwind_view *view, struct unwind_cursor *cursor);

/*
 * A number that is free: from now on libunwind's first question in each call of ours
 * looks whether it still is (-1: no more). Return whether it was, all the time until now.
 */
bool unwind_watch(int number);

/* Stand where the view's registers are. False where that fails. */
bool unwind_begin(struct unwind_cursor *cursor, struct unwind_view *view);

/* Go to the caller. Return where it goes on, 0 where there is none or it can't be read. */
uint64_t unwind_step(struct unwind_cursor *cursor, const struct frame *frame);

#endif
