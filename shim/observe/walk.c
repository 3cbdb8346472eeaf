/* SPDX-License-Identifier: MIT */
/*
 * walk.c - see walk.h.
 */
#include "observe/walk.h"

#include <errno.h>
#include <string.h>

#include "facts/callsite.h"
#include "facts/frames.h"
#include "observe/object.h"
#include "observe/unwind.h"
#include "sys/sys.h"
#include "sys/work.h"

static bool ready;
static uint64_t own_start; /* the object that this code lies in */

struct walk {
	struct sys_pages pages;
	struct unwind_view view;
	struct unwind_cursor cursor;
	struct unwind_view lesson_view;
	struct unwind_cursor lesson_cursor;
	struct object object; /* that the last frame lies in */
	unsigned int wanted, found;
	uint64_t frames[CALLSITE_FRAMES];
	char scratch[OBJECT_SCRATCH];
};

_Static_assert(sizeof(struct walk) <= WORK_SIZE / 2, "the other half is the stack");

/* Room that is given once and stays; a second one is thrown away. */
static void *lasting_room(size_t size)
{
	void *room = sys_mmap_pages(size);

	return sys_failed(room) ? NULL : room;
}

int walk_init(const struct unwind *unwind)
{
	void *callsites_room = lasting_room(callsites_size());
	struct sys_pages pages = {0};
	void *frames_room = lasting_room(frames_size());
	struct object self;

	if (!frames_room || !callsites_room)
		return -ENOMEM;
	if (!unwind_init(unwind) || !object_find((uint64_t)(uintptr_t)&walk_init, &self, &pages))
		return -ENOSYS;
	own_start = self.start;
	frames_init(frames_room);
	callsites_init(callsites_room);
	work_init();
	ready = true;
	return 0;
}

/* Is that where the kernel's signal frames return to? */
static bool is_signal_return(uint64_t address, struct sys_pages *pages)
{
	static const unsigned char code[] = {ARCH_SIGNAL_RETURN};
	unsigned char there[sizeof(code)];

	return sys_peek_again(pages, there, (const void *)(uintptr_t)address, sizeof(there)) == 0 &&
	       memcmp(there, code, sizeof(code)) == 0;
}

static struct frame *learn(struct walk *walk, uint64_t ip, uint64_t address,
			   const struct object *object)
{
	struct frame *frame = frames_claim(address);

	if (!frame)
		return NULL;
	frame->object = object->identity;
	frame->ours = object->start == own_start;
	frame->interrupts = is_signal_return(ip, &walk->pages);
	if (!frame->ours) /* which nobody is shown */
		object_name(frame, object, address, walk->scratch, &walk->pages);
	unwind_learn(frame, address, object, &walk->lesson_view, &walk->lesson_cursor);
	frames_enter(frame, address);
	return frame;
}

/* The entry of an address, which is made where there is none or not one of this object. */
static struct frame *known(struct walk *walk, uint64_t ip, uint64_t address)
{
	struct object *object = &walk->object;
	struct frame *frame;

	if ((address < object->start || address >= object->end) &&
	    !object_find(address, object, &walk->pages))
		return NULL;
	frame = frames_find(address);
	if (frame && frame->object == object->identity)
		return frame;
	if (frame)
		frames_strike_out(frame);
	return learn(walk, ip, address, object);
}

/*
 * A frame stands for the call in it, not for the instruction after, which may be
 * another line or function: so one less than where it goes on. Where a signal
 * interrupted it, it goes on with just that instruction.
 */
static void walk_up(void *arg)
{
	enum { OWN_MOST = 16 };
	struct walk *walk = arg;
	uint64_t ip = walk->view.regs[ARCH_IP], address = ip;

	if (!unwind_begin(&walk->cursor, &walk->view))
		return;
	for (unsigned int steps = 0; ip && steps < CALLSITE_FRAMES + OWN_MOST; steps++) {
		const struct frame *frame = known(walk, ip, address);

		if (!frame)
			return;
		if (!frame->ours)
			walk->frames[walk->found++] = frames_number(frame);
		if (walk->found == walk->wanted)
			return;
		ip = unwind_step(&walk->cursor, frame);
		address = frame->interrupts ? ip : ip - 1;
	}
}

__attribute__((noinline)) uint32_t walk_callers(unsigned int n)
{
	const int errno_before = errno; /* libunwind writes it */
	struct work work;
	uint32_t id;

	if (!ready || n == 0 || !work_begin(&work))
		return 0;

	struct walk *walk = (struct walk *)work.room;

	memset(&walk->pages, 0, sizeof(walk->pages));
	memset(&walk->view, 0, sizeof(walk->view));
	walk->view.pages = walk->lesson_view.pages = &walk->pages;
	walk->object.start = walk->object.end = 0;
	walk->wanted = n < CALLSITE_FRAMES ? n : CALLSITE_FRAMES;
	walk->found = 0;
	arch_take_registers(walk->view.regs);
	work_on_stack(work.room + WORK_SIZE, walk_up, walk);
	id = callsite_id(walk->frames, walk->found);
	errno = errno_before;
	work_end(&work);
	return id;
}
