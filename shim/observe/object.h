/* SPDX-License-Identifier: MIT */
/*
 * object.h - the loaded object (program or library) that an address lies in.
 *
 * Asked of ld.so through _dl_find_object, which takes no lock and may be asked in
 * a signal handler, also one that interrupts dlopen.
 */
#ifndef OBSERVE_OBJECT_H
#define OBSERVE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "facts/frames.h"

struct object {
	uint64_t start, end;
	uint64_t tables; /* its .eh_frame_hdr, 0: it has none */
	const void *link_map;
	/*
	 * Tells it from another that was, or will be, loaded to the same place: made of
	 * its name, too. (Not from a new version of the same file in the same place.)
	 */
	uint64_t identity;
};

/* glibc's struct dl_find_object, with room for what may be added. */
struct dl_found {
	unsigned long long flags;
	void *start, *end;
	const void *link_map;
	void *tables;
	unsigned long long reserved[16];
};

/* At load: ld.so's function, and the base name of the program's own file. */
void object_init(int (*find)(void *address, struct dl_found *ret), const char *program);

struct sys_pages;

bool object_find(uint64_t address, struct object *ret, struct sys_pages *pages);

/* Room for object_name. */
enum { OBJECT_SCRATCH = 4096 + 1024 };

/*
 * Fill in the module, the offset in its file and, where the object's dynamic table
 * has one, the symbol. What is in the file alone (static functions) is left to
 * later readers, who can open it.
 */
void object_name(struct frame *frame, const struct object *object, uint64_t address,
		 char scratch[OBJECT_SCRATCH], struct sys_pages *pages);

#endif
