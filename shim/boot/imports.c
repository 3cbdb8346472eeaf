/* SPDX-License-Identifier: MIT */
/*
 * imports.c - what a library that was loaded for us may ask of libc.
 *
 * A library calls libc through slots of its own, which its relocations name. Into the
 * slots of some names we put functions of ours: then the library can't do these things,
 * now or later, whatever its code says. Nobody else is concerned: the slots are that
 * library's alone, and no other thread uses them yet.
 */
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/boot.h"
#include "sys/sys.h"

/* What an object's dynamic section tells. */
struct imports {
	uintptr_t base;
	const char *strings;
	const ElfW(Sym) * symbols;
	const ARCH_RELOCATION *tables[2];
	size_t sizes[2];
	uintptr_t readonly, readonly_end; /* by ld.so, afterwards; opened where needed */
	bool opened;
};

/* ld.so makes the addresses absolute, but not in a table that it can't write. */
static const void *absolute(const struct imports *imports, uintptr_t value)
{
	return (const void *)(value < imports->base ? value + imports->base : value);
}

static bool find_imports(struct imports *ret, const struct link_map *map)
{
	*ret = (struct imports){.base = map->l_addr};
	for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
		const void *address = absolute(ret, entry->d_un.d_ptr);

		if (entry->d_tag == DT_STRTAB)
			ret->strings = address;
		else if (entry->d_tag == DT_SYMTAB)
			ret->symbols = address;
		else if (entry->d_tag == DT_JMPREL)
			ret->tables[0] = address;
		else if (entry->d_tag == DT_PLTRELSZ)
			ret->sizes[0] = entry->d_un.d_val;
		else if (entry->d_tag == ARCH_RELOCATIONS)
			ret->tables[1] = address;
		else if (entry->d_tag == ARCH_RELOCATIONS_SIZE)
			ret->sizes[1] = entry->d_un.d_val;
	}
	return ret->strings && ret->symbols;
}

/* The part that ld.so has made read-only, in whole pages; empty where there is none. */
static void find_readonly(struct imports *imports)
{
	enum { PAGE = 4096 };
	struct sys_pages pages = {0};
	ElfW(Ehdr) head;

	if (sys_peek_again(&pages, &head, (const void *)imports->base, sizeof(head)) < 0 ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return;
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		ElfW(Phdr) part;
		const uintptr_t at = imports->base + head.e_phoff + i * sizeof(part);

		if (sys_peek_again(&pages, &part, (const void *)at, sizeof(part)) < 0)
			return;
		if (part.p_type != PT_GNU_RELRO)
			continue;
		imports->readonly = (imports->base + part.p_vaddr) & -(uintptr_t)PAGE;
		imports->readonly_end =
			(imports->base + part.p_vaddr + part.p_memsz) & -(uintptr_t)PAGE;
	}
}

static int protect(const struct imports *imports, int protection)
{
	return sys_mprotect((void *)imports->readonly, imports->readonly_end - imports->readonly,
			    protection);
}

static bool answer(struct imports *imports, uintptr_t slot, void (*function)(void))
{
	if (slot >= imports->readonly && slot < imports->readonly_end && !imports->opened) {
		if (protect(imports, PROT_READ | PROT_WRITE) < 0)
			return false;
		imports->opened = true;
	}
	*(uintptr_t *)slot = (uintptr_t)function;
	return true;
}

static bool answer_all(struct imports *imports, int table, const struct import *answers)
{
	const ARCH_RELOCATION *rela = imports->tables[table];
	const size_t n = rela ? imports->sizes[table] / sizeof(*rela) : 0;

	for (size_t i = 0; i < n; i++) {
		const ElfW(Sym) *symbol = &imports->symbols[ARCH_RELOCATION_SYMBOL(rela[i].r_info)];
		const char *name = imports->strings + symbol->st_name;
		const uint32_t type = ARCH_RELOCATION_TYPE(rela[i].r_info);
		const struct import *found = answers;

		if (type != ARCH_CALL_SLOT && type != ARCH_ADDRESS_SLOT)
			continue;
		/* The first letter tells most of them apart, at a fraction of the call. */
		while (found->name && (*found->name != *name || strcmp(found->name, name) != 0))
			found++;
		if (found->name &&
		    !answer(imports, imports->base + rela[i].r_offset, found->function))
			return false;
	}
	return true;
}

bool imports_answer(const void *library, const struct import *answers)
{
	struct imports imports;
	bool done;

	if (!find_imports(&imports, library))
		return false;
	find_readonly(&imports);
	done = answer_all(&imports, 0, answers) && answer_all(&imports, 1, answers);
	if (imports.opened)
		protect(&imports, PROT_READ);
	return done;
}
