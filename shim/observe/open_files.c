/* SPDX-License-Identifier: MIT */
/*
 * open_files.c - see open_files.h. The list lives in pages mapped for it: it may be
 * long, and the caller's stack short.
 */
#include "observe/open_files.h"

#include <fcntl.h>
#include <sys/types.h>

#include "facts/out.h"
#include "observe/proc.h"
#include "observe/subject.h"
#include "sys/apart.h"
#include "sys/room.h"
#include "sys/sys.h"

enum { FIRST_ROOM = 1024 };

static int add(int number, void *arg)
{
	struct open_files *all = arg;

	if (all->count == all->room &&
	    !room_grow(&all->numbers, &all->room, sizeof(*all->numbers), FIRST_ROOM))
		return 1;
	all->numbers[all->count++] = number;
	return 0;
}

struct look {
	pid_t thread;
	struct open_files all;
	bool complete;
};

/* The helper has a table of its own, and a thread may have one that differs from its leader's. */
static void look(void *arg)
{
	struct look *look = arg;
	char path[48];
	struct out out = out_into(path, sizeof(path) - 1);

	out_proc_self(&out);
	out_str(&out, "/task/");
	out_i64(&out, look->thread);
	out_str(&out, "/fd");
	*out.at = '\0';
	look->complete = proc_list(AT_FDCWD, path, add, &look->all) == 0;
}

bool open_files_read(struct open_files *ret)
{
	struct look how = {.thread = subject ? process_tid() : sys_gettid()};

	apart_run(look, &how, sizeof(how));
	*ret = how.all;
	if (how.complete)
		return true;
	open_files_done(ret);
	return false;
}

void open_files_done(struct open_files *files)
{
	room_done(files->numbers, files->room, sizeof(*files->numbers));
	*files = (struct open_files){0};
}
