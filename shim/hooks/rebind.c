/* SPDX-License-Identifier: MIT */
/*
 * rebind.c - see rebind.h.
 *
 * An object's relocations name its slots: the words through which it calls and
 * takes the addresses of other objects' functions. Each slot of one of our names
 * that holds libc's function gets ours. So does one that is not bound yet, where it
 * would be bound to libc's; but only in an object that is new: in an older one,
 * another library may come first.
 *
 * All this is done while ld.so holds its lock on the list of loaded objects
 * (dl_iterate_phdr). Otherwise two threads could make the same page read-only, one
 * in the midst of the other's writing.
 */
#include "hooks/rebind.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "hooks/hook.h"
#include "sys/sys.h"

struct range {
	uintptr_t start, end;
};

struct name {
	const char *name;
	uintptr_t ours;
	uintptr_t theirs; /* what it means to the module */
};

enum {
	NAMES = 0
#define CALL(name, args, more) +1
#define CARRIER(name) +1
#define ALIAS(name, call) +1
#define TWIN(name, call) +1
#include "reuse/calls.def"
	,
	MEMBERS_MAX = 32, /* with more new libraries the last ones are left alone */
	LIBC_PARTS = 3,
};

/* What an object's dynamic section tells. */
struct tables {
	const ElfW(Dyn) * dynamic;
	const char *strings;
	const ElfW(Sym) * symbols;
	const ARCH_RELOCATION *rela[2];
	size_t rela_size[2];
};

struct object {
	const struct dl_phdr_info *info;
	struct tables tables;
	struct range all, relro;
	bool is_new, relro_opened;
};

struct member {
	const ElfW(Dyn) * dynamic;
	const char *strings;
};

struct rebinding {
	const struct link_map *module;
	unsigned int index, before;
	struct name names[NAMES];
	struct range libc[LIBC_PARTS];
	size_t n_members, n_libc;
	struct member members[MEMBERS_MAX]; /* the module, and what was loaded for it */
};

/* ld.so's functions: libc's or another library's behind us, but not the program's. */
struct loader {
	__typeof__(dl_iterate_phdr) *iterate;
	__typeof__(dlinfo) *info;
	__typeof__(dlerror) *error;
};

static bool find_loader(struct loader *ret)
{
	*(void **)&ret->iterate = dlsym(RTLD_NEXT, "dl_iterate_phdr");
	*(void **)&ret->info = dlsym(RTLD_NEXT, "dlinfo");
	*(void **)&ret->error = dlsym(RTLD_NEXT, "dlerror");
	return ret->iterate && ret->info && ret->error;
}

static bool in_range(const struct range *range, uintptr_t address)
{
	return address >= range->start && address < range->end;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* libc; where it is older than 2.34, in three parts. */
static bool is_libc(const char *path)
{
	const char *name = base_name(path);

	return strcmp(name, "libc.so.6") == 0 || strcmp(name, "libpthread.so.0") == 0 ||
	       strcmp(name, "libdl.so.2") == 0;
}

static bool in_libc(const struct rebinding *re, uintptr_t address)
{
	for (size_t i = 0; i < re->n_libc; i++)
		if (in_range(&re->libc[i], address))
			return true;
	return false;
}

/* From the first loaded segment to the end of the last. */
static struct range range_of(const struct dl_phdr_info *info)
{
	struct range range = {UINTPTR_MAX, 0};

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type != PT_LOAD)
			continue;
		if (start < range.start)
			range.start = start;
		if (start + segment->p_memsz > range.end)
			range.end = start + segment->p_memsz;
	}
	return range;
}

/* The whole pages that ld.so has made read-only. */
static struct range relro_of(const struct dl_phdr_info *info)
{
	const uintptr_t page = getauxval(AT_PAGESZ);
	struct range range = {0, 0};

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_GNU_RELRO) {
			range.start = start & -page;
			range.end = (start + segment->p_memsz) & -page;
		}
	}
	return range;
}

static const ElfW(Dyn) * dynamic_of(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	return NULL;
}

static bool read_tables(struct tables *ret, const struct dl_phdr_info *info)
{
	*ret = (struct tables){.dynamic = dynamic_of(info)};
	if (!ret->dynamic)
		return false;
	for (const ElfW(Dyn) *entry = ret->dynamic; entry->d_tag != DT_NULL; entry++) {
		uintptr_t value = entry->d_un.d_ptr;
		/* ld.so makes the addresses absolute, but not in a table that it can't write. */
		const void *address =
			(const void *)(value < info->dlpi_addr ? value + info->dlpi_addr : value);

		if (entry->d_tag == DT_STRTAB)
			ret->strings = address;
		else if (entry->d_tag == DT_SYMTAB)
			ret->symbols = address;
		else if (entry->d_tag == DT_JMPREL)
			ret->rela[0] = address;
		else if (entry->d_tag == DT_PLTRELSZ)
			ret->rela_size[0] = value;
		else if (entry->d_tag == ARCH_RELOCATIONS)
			ret->rela[1] = address;
		else if (entry->d_tag == ARCH_RELOCATIONS_SIZE)
			ret->rela_size[1] = value;
	}
	return ret->strings && ret->symbols;
}

/* Is it the file that another object needs? Where that is a path, it was loaded by it as it stands.
 */
static bool is_file(const char *path, const char *needed)
{
	return strcmp(needed, path) == 0 || strcmp(needed, base_name(path)) == 0;
}

static bool is_needed(const struct rebinding *re, const char *path)
{
	for (size_t i = 0; i < re->n_members; i++) {
		const struct member *member = &re->members[i];

		for (const ElfW(Dyn) *entry = member->dynamic; entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_NEEDED &&
			    is_file(path, member->strings + entry->d_un.d_val))
				return true;
	}
	return false;
}

static const struct name *find_name(const struct rebinding *re, const char *name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(re->names[i].name, name) == 0)
			return &re->names[i];
	return NULL;
}

/* May it be written to? A read-only table is opened for it, and closed when all is done. */
static bool open_slot(struct object *object, uintptr_t slot)
{
	const struct range *relro = &object->relro;

	if (!in_range(relro, slot) || object->relro_opened)
		return true;
	object->relro_opened = sys_mprotect((void *)relro->start, relro->end - relro->start,
					    PROT_READ | PROT_WRITE) == 0;
	return object->relro_opened;
}

static bool is_writable_data(const struct object *object, uintptr_t slot)
{
	for (int i = 0; i < object->info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->info->dlpi_phdr[i];
		const uintptr_t start = object->info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) && slot >= start &&
		    slot + sizeof(slot) <= start + segment->p_memsz)
			return slot % sizeof(slot) == 0;
	}
	return false;
}

static void rebind_slot(const struct rebinding *re, struct object *object,
			const ARCH_RELOCATION *rela)
{
	const uint32_t type = ARCH_RELOCATION_TYPE(rela->r_info);
	const uintptr_t slot = object->info->dlpi_addr + rela->r_offset;
	const struct name *name;
	const char *text;
	uintptr_t value;
	bool unbound;

	if ((type != ARCH_CALL_SLOT && type != ARCH_ADDRESS_SLOT && type != ARCH_POINTER_SLOT) ||
	    (type == ARCH_POINTER_SLOT && ARCH_HAS_ADDEND(rela)) || !is_writable_data(object, slot))
		return;
	value = __atomic_load_n((uintptr_t *)slot, __ATOMIC_RELAXED);
	unbound = type == ARCH_CALL_SLOT && object->is_new && in_range(&object->all, value);
	if (!unbound && !in_libc(re, value))
		return;
	text = object->tables.strings +
	       object->tables.symbols[ARCH_RELOCATION_SYMBOL(rela->r_info)].st_name;
	name = find_name(re, text);
	if (name && (!unbound || in_libc(re, name->theirs)) && open_slot(object, slot))
		__atomic_store_n((uintptr_t *)slot, name->ours, __ATOMIC_RELAXED);
}

static void rebind_object(const struct rebinding *re, struct object *object)
{
	object->all = range_of(object->info);
	object->relro = relro_of(object->info);
	object->relro_opened = false;
	for (int table = 0; table < 2; table++) {
		const ARCH_RELOCATION *rela = object->tables.rela[table];
		const size_t n = rela ? object->tables.rela_size[table] / sizeof(*rela) : 0;

		for (size_t i = 0; i < n; i++)
			rebind_slot(re, object, &rela[i]);
	}
	if (object->relro_opened)
		sys_mprotect((void *)object->relro.start, object->relro.end - object->relro.start,
			     PROT_READ);
}

/* In the order in which they were loaded: an object comes after the one that needs it. */
static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct rebinding *re = arg;
	struct object object = {.info = info, .is_new = re->index++ >= re->before};
	const bool is_module = info->dlpi_addr == re->module->l_addr &&
			       strcmp(info->dlpi_name, re->module->l_name) == 0;

	(void)size;
	if (is_libc(info->dlpi_name)) {
		if (re->n_libc < LIBC_PARTS)
			re->libc[re->n_libc++] = range_of(info);
		return 0;
	}
	if ((!is_module && !re->n_members) || re->n_members == MEMBERS_MAX ||
	    !read_tables(&object.tables, info) || (!is_module && !is_needed(re, info->dlpi_name)))
		return 0;
	re->members[re->n_members++] =
		(struct member){object.tables.dynamic, object.tables.strings};
	rebind_object(re, &object);
	return 0;
}

/* What each name means to the module; to be asked before ld.so's lock is taken. */
static void look_up_names(struct name *names, void *handle)
{
	size_t n = 0;

	/* By the name that is exported: headers may have another type for it, or none. */
#define ROW(row)                                                                                   \
	{                                                                                          \
		extern void hook_##row(void) __asm__(#row);                                        \
		names[n++] = (struct name){#row, (uintptr_t)hook_##row,                            \
					   (uintptr_t)dlsym(handle, #row)};                        \
	}
#define CALL(name, args, more) ROW(name)
#define CARRIER(name) ROW(name)
#define ALIAS(name, call) ROW(name)
#define TWIN(name, call) ROW(name)
#include "reuse/calls.def"
#undef ROW
}

static int count(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(unsigned int *)arg;
	return 0;
}

unsigned int rebind_loaded(void)
{
	struct loader loader;
	unsigned int n = 0;

	if (find_loader(&loader))
		loader.iterate(count, &n);
	return n;
}

void rebind(void *handle, unsigned int before)
{
	struct rebinding re = {.before = before};
	struct loader loader;

	if (!find_loader(&loader) || loader.info(handle, RTLD_DI_LINKMAP, &re.module) != 0)
		return;
	look_up_names(re.names, handle);
	loader.error(); /* a name that was not found is no error of the program's */
	loader.iterate(visit, &re);
}
