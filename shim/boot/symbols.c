/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - functions of the kernel's vDSO and of libc itself, from their own
 * symbol tables: dlsym would give what another library has put before them.
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "boot/boot.h"

/* What of a loaded object's dynamic section tells where its symbols are. */
struct symbols {
	uintptr_t bias; /* what is added to the addresses in its file */
	const ElfW(Sym) * table;
	const char *strings;
	const uint32_t *gnu_hash, *hash;
};

/* ld.so makes the addresses absolute, but not in the vDSO, which it can't write. */
static const void *in_memory(const struct symbols *symbols, uintptr_t address)
{
	return (const void *)(address < symbols->bias ? address + symbols->bias : address);
}

static void read_dynamic(struct symbols *ret, const ElfW(Dyn) * entry)
{
	for (; entry->d_tag != DT_NULL; entry++) {
		const void *value = in_memory(ret, entry->d_un.d_ptr);

		if (entry->d_tag == DT_SYMTAB)
			ret->table = value;
		else if (entry->d_tag == DT_STRTAB)
			ret->strings = value;
		else if (entry->d_tag == DT_GNU_HASH)
			ret->gnu_hash = value;
		else if (entry->d_tag == DT_HASH)
			ret->hash = value;
	}
}

static struct symbols symbols_of(uintptr_t bias, const ElfW(Phdr) * head, size_t n)
{
	struct symbols found = {.bias = bias};

	for (; n > 0; n--, head++)
		if (head->p_type == PT_DYNAMIC)
			read_dynamic(&found, (const ElfW(Dyn) *)(bias + head->p_vaddr));
	return found;
}

static bool is_function(const struct symbols *symbols, uint32_t index, const char *name)
{
	const ElfW(Sym) *symbol = &symbols->table[index];

	return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
	       strcmp(symbols->strings + symbol->st_name, name) == 0;
}

/* The older table: a chain of numbers for each bucket. 0 is no symbol. */
static uint32_t find_by_hash(const struct symbols *symbols, const char *name)
{
	const uint32_t n_buckets = symbols->hash[0];
	const uint32_t *buckets = symbols->hash + 2, *chains = buckets + n_buckets;
	uint32_t hash = 0, index;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	for (index = buckets[hash % n_buckets]; index; index = chains[index])
		if (is_function(symbols, index, name))
			break;
	return index;
}

/* GNU's: a bucket's symbols follow each other, and the last one's hash is odd. */
static uint32_t find_by_gnu_hash(const struct symbols *symbols, const char *name)
{
	const uint32_t n_buckets = symbols->gnu_hash[0], first = symbols->gnu_hash[1];
	const uint32_t filter_words = symbols->gnu_hash[2] * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *buckets = symbols->gnu_hash + 4 + filter_words;
	const uint32_t *hashes = buckets + n_buckets;
	uint32_t hash = 5381, index;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	index = buckets[hash % n_buckets];
	for (; index >= first; index++) {
		if ((hashes[index - first] | 1) == (hash | 1) && is_function(symbols, index, name))
			return index;
		if (hashes[index - first] & 1)
			break;
	}
	return 0;
}

static void *find(const struct symbols *symbols, const char *name)
{
	uint32_t index = 0;

	if (!symbols->table || !symbols->strings)
		return NULL;
	if (symbols->gnu_hash)
		index = find_by_gnu_hash(symbols, name);
	else if (symbols->hash)
		index = find_by_hash(symbols, name);
	return index ? (void *)(symbols->bias + symbols->table[index].st_value) : NULL;
}

void *vdso_function(const char *name)
{
	const ElfW(Ehdr) *file = (const ElfW(Ehdr) *)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Phdr) * head;
	struct symbols symbols;

	if (!file || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	head = (const ElfW(Phdr) *)((uintptr_t)file + file->e_phoff);
	for (int i = 0; i < file->e_phnum; i++) {
		if (head[i].p_type != PT_LOAD)
			continue;
		symbols = symbols_of((uintptr_t)file + head[i].p_offset - head[i].p_vaddr, head,
				     file->e_phnum);
		return find(&symbols, name);
	}
	return NULL;
}

/* glibc's name, and musl's, which is its dynamic linker as well. */
static bool is_libc(const char *path)
{
	static const char musl[] = "ld-musl-";
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	return strcmp(base, "libc.so.6") == 0 || strncmp(base, musl, sizeof(musl) - 1) == 0;
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct symbols *libc_symbols = arg;

	(void)size;
	if (!is_libc(info->dlpi_name))
		return 0;
	*libc_symbols = symbols_of(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum);
	return 1;
}

void *libc_function_surely(const char *name)
{
	struct symbols symbols = {0};

	dl_iterate_phdr(visit_object, &symbols);
	return find(&symbols, name);
}

void *libc_function(const char *name)
{
	void *found = libc_function_surely(name);

	/* Another libc, or an older one that has it in another library. */
	return found ? found : dlsym(RTLD_NEXT, name);
}
