/* SPDX-License-Identifier: MIT */
/*
 * object.c - see object.h. Everything that is not ours is read softly: a library
 * may be on its way out.
 */
#include "observe/object.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "sys/sys.h"

static int (*find_object)(void *address, struct dl_found *ret);
static char program_name[FRAME_MODULE_MAX];

static void copy_name(char *ret, size_t size, const char *name)
{
	const size_t len = strnlen(name, size - 1);

	memcpy(ret, name, len);
	ret[len] = '\0';
}

void object_init(int (*find)(void *, struct dl_found *), const char *program)
{
	find_object = find;
	copy_name(program_name, sizeof(program_name), program);
}

/* A text of unknown length, as much of it as can be read and fits; always ended. */
static bool peek_text(char *ret, size_t size, const char *from, struct sys_pages *pages)
{
	enum { PIECE = 64 };
	size_t len = 0;

	while (len + 1 < size) {
		const size_t take = size - 1 - len < PIECE ? size - 1 - len : PIECE;
		const size_t to_end_of_page = 4096 - (((uintptr_t)from + len) & 4095);
		const size_t n = take < to_end_of_page ? take : to_end_of_page;

		if (sys_peek_again(pages, ret + len, from + len, n) < 0)
			break;
		if (memchr(ret + len, '\0', n))
			return true;
		len += n;
	}
	ret[len] = '\0';
	return false;
}

enum { NAME_MAX_READ = 256 };

static uint64_t identity_of(const struct object *object, struct sys_pages *pages)
{
	const struct link_map *map = object->link_map;
	uint64_t hash = object->start ^ object->tables << 20;
	const char *name;
	char text[NAME_MAX_READ];

	if (sys_peek_again(pages, &name, &map->l_name, sizeof(name)) < 0)
		return hash;
	peek_text(text, sizeof(text), name, pages);
	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return hash;
}

bool object_find(uint64_t address, struct object *ret, struct sys_pages *pages)
{
	struct dl_found found;

	if (find_object((void *)(uintptr_t)address, &found) != 0)
		return false;
	*ret = (struct object){
		.start = (uint64_t)(uintptr_t)found.start,
		.end = (uint64_t)(uintptr_t)found.end,
		.tables = (uint64_t)(uintptr_t)found.tables,
		.link_map = found.link_map,
	};
	ret->identity = identity_of(ret, pages);
	return true;
}

/* What of the dynamic section tells where the symbols are. */
struct symbols {
	uint64_t table, strings, strings_size, gnu_hash, hash;
};

static bool find_symbols(struct symbols *ret, const struct link_map *map, struct sys_pages *pages)
{
	enum { ENTRIES_MAX = 128 };
	ElfW(Dyn) entry;

	*ret = (struct symbols){0};
	for (int i = 0; i < ENTRIES_MAX; i++) {
		if (sys_peek_again(pages, &entry, &map->l_ld[i], sizeof(entry)) < 0 ||
		    entry.d_tag == DT_NULL)
			break;

		uint64_t value = entry.d_un.d_ptr;

		/* ld.so makes the addresses absolute, but not in a table that it can't write. */
		if (entry.d_tag != DT_STRSZ && value < map->l_addr)
			value += map->l_addr;
		if (entry.d_tag == DT_SYMTAB)
			ret->table = value;
		else if (entry.d_tag == DT_STRTAB)
			ret->strings = value;
		else if (entry.d_tag == DT_STRSZ)
			ret->strings_size = value;
		else if (entry.d_tag == DT_GNU_HASH)
			ret->gnu_hash = value;
		else if (entry.d_tag == DT_HASH)
			ret->hash = value;
	}
	return ret->table && ret->strings;
}

static uint32_t peek_u32(uint64_t address, struct sys_pages *pages)
{
	uint32_t number;

	return sys_peek_again(pages, &number, (const void *)(uintptr_t)address, sizeof(number)) < 0
		       ? 0
		       : number;
}

/* Read as many whole items as are left of the page, at least one. */
static size_t peek_items(char *scratch, uint64_t address, size_t item, uint64_t left,
			 struct sys_pages *pages)
{
	const size_t to_end_of_page = 4096 - (address & 4095);
	size_t n = to_end_of_page / item;

	if (n == 0)
		n = 1;
	if (n > left)
		n = (size_t)left;
	return sys_peek_again(pages, scratch, (const void *)(uintptr_t)address, n * item) < 0 ? 0
											      : n;
}

/*
 * How many symbols there are: the dynamic section does not say, but its hash
 * tables do. GNU's: the last chain begins at the highest bucket and ends with an
 * odd entry.
 */
static uint64_t count_symbols(const struct symbols *symbols, char *scratch, struct sys_pages *pages)
{
	if (!symbols->gnu_hash)
		return symbols->hash ? peek_u32(symbols->hash + 4, pages) : 0;

	const uint64_t n_buckets = peek_u32(symbols->gnu_hash, pages);
	const uint64_t first = peek_u32(symbols->gnu_hash + 4, pages);
	const uint64_t buckets =
		symbols->gnu_hash + 16 + 8 * (uint64_t)peek_u32(symbols->gnu_hash + 8, pages);
	const uint64_t chains = buckets + 4 * n_buckets;
	uint32_t last = 0;

	for (uint64_t i = 0; i < n_buckets;) {
		const size_t n = peek_items(scratch, buckets + 4 * i, 4, n_buckets - i, pages);

		if (n == 0)
			return 0;
		for (size_t k = 0; k < n; k++) {
			uint32_t bucket;

			memcpy(&bucket, scratch + 4 * k, sizeof(bucket));
			if (bucket > last)
				last = bucket;
		}
		i += n;
	}
	if (last < first)
		return first;
	while (!(peek_u32(chains + 4 * (last - first), pages) & 1) && last < UINT32_MAX)
		last++;
	return (uint64_t)last + 1;
}

/* The symbol that covers the offset, the innermost where several do. */
static bool best_symbol(ElfW(Sym) * ret, const struct symbols *symbols, uint64_t offset,
			char *scratch, struct sys_pages *pages)
{
	enum { MOST = 1 << 20 };
	const uint64_t count = count_symbols(symbols, scratch, pages);
	bool found = false;

	*ret = (ElfW(Sym)){0};
	for (uint64_t i = 0; i < count && i < MOST;) {
		const size_t n = peek_items(scratch, symbols->table + i * sizeof(*ret),
					    sizeof(*ret), count - i, pages);

		if (n == 0)
			break;
		for (size_t k = 0; k < n; k++) {
			ElfW(Sym) symbol;

			memcpy(&symbol, scratch + k * sizeof(symbol), sizeof(symbol));

			const unsigned int type = ELF64_ST_TYPE(symbol.st_info);

			if (symbol.st_shndx == SHN_UNDEF || offset < symbol.st_value ||
			    offset - symbol.st_value >= symbol.st_size ||
			    (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
			    (found && symbol.st_value <= ret->st_value))
				continue;
			*ret = symbol;
			found = true;
		}
		i += n;
	}
	return found;
}

static void name_symbol(struct frame *frame, const struct link_map *map, char *scratch,
			struct sys_pages *pages)
{
	struct symbols symbols;
	ElfW(Sym) symbol;

	if (!find_symbols(&symbols, map, pages) ||
	    !best_symbol(&symbol, &symbols, frame->offset, scratch, pages) ||
	    symbol.st_name >= symbols.strings_size)
		return;
	/* Half a mangled name is no name. */
	if (!peek_text(frame->symbol, sizeof(frame->symbol),
		       (const char *)(uintptr_t)(symbols.strings + symbol.st_name), pages))
		frame->symbol[0] = '\0';
	frame->symbol_offset = frame->offset - symbol.st_value;
}

void object_name(struct frame *frame, const struct object *object, uint64_t address,
		 char scratch[OBJECT_SCRATCH], struct sys_pages *pages)
{
	struct link_map map;
	const char *base;

	frame->symbol[0] = '\0';
	frame->offset = address - object->start;
	copy_name(frame->module, sizeof(frame->module), "?");
	if (sys_peek_again(pages, &map, object->link_map, sizeof(map)) < 0)
		return;
	frame->offset = address - map.l_addr;
	peek_text(scratch, OBJECT_SCRATCH, map.l_name, pages);
	base = scratch;
	for (const char *c = scratch; *c; c++)
		if (*c == '/')
			base = c + 1;
	copy_name(frame->module, sizeof(frame->module), *base ? base : program_name);
	name_symbol(frame, &map, scratch, pages);
}
