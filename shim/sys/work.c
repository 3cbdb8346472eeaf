/*
 * work.c - see work.h.
 */
#include "sys/work.h"

#include <stdatomic.h>

#include "sys/sys.h"

enum { AREAS = 16 };

static char *areas;

/*
 * Not wiped by a fork: an area that another thread, or the code below a signal
 * handler, was using then stays taken in the child. It has others.
 */
static _Atomic(bool) taken[AREAS];

void work_init(void)
{
	char *room;

	if (areas)
		return;
	room = sys_mmap_pages((size_t)AREAS * WORK_SIZE);
	if (!sys_failed(room))
		areas = room;
}

bool work_begin(struct work *ret)
{
	for (int slot = 0; areas && slot < AREAS; slot++) {
		if (atomic_load_explicit(&taken[slot], memory_order_relaxed) ||
		    atomic_exchange_explicit(&taken[slot], true, memory_order_acquire))
			continue;
		*ret = (struct work){.room = areas + (size_t)slot * WORK_SIZE, .slot = slot};
		return true;
	}
	*ret = (struct work){.room = sys_mmap_pages(WORK_SIZE), .slot = -1};
	return !sys_failed(ret->room);
}

void work_end(const struct work *work)
{
	if (work->slot < 0)
		sys_munmap(work->room, WORK_SIZE);
	else
		atomic_store_explicit(&taken[work->slot], false, memory_order_release);
}

#ifdef __x86_64__

/* A frame like any other to who unwinds it: the caller's stack is found by rbp. */
__asm__(".pushsection .text\n"
	".type work_on_stack, @function\n"
	".globl work_on_stack\n"
	".hidden work_on_stack\n"
	"work_on_stack:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbp, -16\n"
	"mov %rsp, %rbp\n"
	".cfi_def_cfa_register %rbp\n"
	"mov %rdi, %rsp\n"
	"mov %rdx, %rdi\n"
	"call *%rsi\n"
	"leave\n"
	".cfi_def_cfa %rsp, 8\n"
	"ret\n"
	".cfi_endproc\n"
	".size work_on_stack, . - work_on_stack\n"
	".popsection\n");

#else

void work_on_stack(void *top, void (*function)(void *arg), void *arg)
{
	(void)top;
	function(arg);
}

#endif
