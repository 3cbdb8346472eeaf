/* SPDX-License-Identifier: MIT */
/*
 * elf_file.c - see elf_file.h.
 */
#include "program/elf_file.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

enum {
	SEGMENTS = 65536 / sizeof(Elf32_Phdr), /* the kernel refuses programs with more */
	SECTIONS = 4096,		       /* more are not looked at */
	NOTES = 16384,			       /* nor more bytes of them in one segment */
	STRINGS = 1 << 20,		       /* nor more bytes of names */
};

/* Headers of either word size, as wide as the wider one's; what is read of them. */
struct head {
	bool narrow;
	uint64_t parts_at, sections_at;
	unsigned int parts, part_size, sections, section_size, names;
};
struct part {
	uint32_t type;
	uint64_t offset, address, size;
};
struct section {
	uint32_t name;
	uint64_t offset;
};

/* Bytes of a file; false where it does not have as many there. */
static bool read_at(int fd, void *buf, size_t size, uint64_t where)
{
	return where < INT64_MAX && pread(fd, buf, size, (off_t)where) == (ssize_t)size;
}

/* As many of them as there are. */
static size_t read_some(int fd, void *buf, size_t size, uint64_t where)
{
	const ssize_t got = where < INT64_MAX ? pread(fd, buf, size, (off_t)where) : -1;

	return got < 0 ? 0 : (size_t)got;
}

static size_t least(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

static void read_linker(int fd, const struct part *part, char linker[PATH_MAX])
{
	const size_t size = least(part->size, PATH_MAX - 1);

	if (size == 0 || !read_at(fd, linker, size, part->offset))
		strcpy(linker, "?"); /* the kernel refuses it */
	else
		linker[size] = '\0';
}

/* Go's linker leaves the build's name in a note of its own. */
static bool has_note_of_go(int fd, const struct part *part)
{
	static _Alignas(Elf64_Nhdr) char bytes[NOTES];
	const size_t size = read_some(fd, bytes, least(part->size, NOTES), part->offset);
	size_t at = 0;
	Elf64_Nhdr note;

	while (size - at >= sizeof(note) + 4) {
		uint64_t len;

		memcpy(&note, bytes + at, sizeof(note));
		if (note.n_namesz == 4 && memcmp(bytes + at + sizeof(note), "Go\0", 4) == 0)
			return true;
		len = sizeof(note) + ((uint64_t)note.n_namesz + 3) / 4 * 4 +
		      ((uint64_t)note.n_descsz + 3) / 4 * 4;
		if (len > size - at)
			return false;
		at += (size_t)len;
	}
	return false;
}

/* Where that address of the program's memory stands in its file; UINT64_MAX: nowhere. */
static uint64_t offset_of(const struct part *parts, unsigned int count, uint64_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (parts[i].type == PT_LOAD && address >= parts[i].address &&
		    address - parts[i].address < parts[i].size)
			return parts[i].offset + (address - parts[i].address);
	return UINT64_MAX;
}

/* An entry of the dynamic section; false where there is none. */
static bool read_dynamic(int fd, const struct part *part, bool narrow, uint64_t i, Elf64_Dyn *ret)
{
	Elf32_Dyn small;
	const size_t size = narrow ? sizeof(small) : sizeof(*ret);

	if ((i + 1) * size > part->size ||
	    !read_at(fd, narrow ? (void *)&small : ret, size, part->offset + i * size))
		return false;
	if (narrow)
		*ret = (Elf64_Dyn){.d_tag = small.d_tag, .d_un.d_val = small.d_un.d_val};
	return true;
}

/* The table of its dynamic symbols' names: where it stands, and its size. */
static bool find_strings(int fd, const struct part *part, bool narrow, uint64_t *ret_at,
			 uint64_t *ret_size)
{
	enum { ENTRIES = 1024 };
	Elf64_Dyn entry = {.d_tag = -1};

	*ret_at = *ret_size = 0;
	for (uint64_t i = 0; i < ENTRIES && entry.d_tag != DT_NULL; i++) {
		if (!read_dynamic(fd, part, narrow, i, &entry))
			break;
		if (entry.d_tag == DT_STRTAB)
			*ret_at = entry.d_un.d_ptr;
		if (entry.d_tag == DT_STRSZ)
			*ret_size = entry.d_un.d_val;
	}
	return *ret_at && *ret_size;
}

static bool names_dlopen(int fd, const struct part *parts, unsigned int count, unsigned int dynamic,
			 bool narrow)
{
	static const char name[] = "\0dlopen"; /* with its end */
	static char bytes[STRINGS];
	uint64_t at, size;

	if (!find_strings(fd, &parts[dynamic], narrow, &at, &size))
		return false;
	size = read_some(fd, bytes, least(size, STRINGS), offset_of(parts, count, at));
	return memmem(bytes, (size_t)size, name, sizeof(name)) != NULL;
}

static void take_part(struct part *ret, const char *bytes, bool narrow)
{
	Elf64_Phdr wide;
	Elf32_Phdr small;

	if (narrow) {
		memcpy(&small, bytes, sizeof(small));
		*ret = (struct part){small.p_type, small.p_offset, small.p_vaddr, small.p_filesz};
	} else {
		memcpy(&wide, bytes, sizeof(wide));
		*ret = (struct part){wide.p_type, wide.p_offset, wide.p_vaddr, wide.p_filesz};
	}
}

/* All of them, or none. How many. */
static unsigned int read_parts(int fd, const struct head *head, struct part *ret)
{
	static char bytes[65536];
	const size_t size = head->narrow ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);

	if (head->part_size != size || head->parts > sizeof(bytes) / size ||
	    !read_at(fd, bytes, head->parts * size, head->parts_at))
		return 0;
	for (unsigned int i = 0; i < head->parts; i++)
		take_part(&ret[i], bytes + i * size, head->narrow);
	return head->parts;
}

static void read_segments(int fd, const struct head *head, struct elf_file *ret)
{
	static struct part parts[SEGMENTS];
	const unsigned int count = read_parts(fd, head, parts);

	for (unsigned int i = 0; i < count; i++) {
		if (parts[i].type == PT_INTERP && !*ret->linker)
			read_linker(fd, &parts[i], ret->linker);
		if (parts[i].type == PT_NOTE)
			ret->is_go = ret->is_go || has_note_of_go(fd, &parts[i]);
		if (parts[i].type == PT_DYNAMIC)
			ret->loads_modules = names_dlopen(fd, parts, count, i, head->narrow);
	}
}

static bool is_section_of_go(const char *name)
{
	static const char *const ours[] = {".go.buildinfo", ".note.go.buildid", ".gopclntab",
					   ".data.rel.ro.gopclntab"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

static bool read_section(int fd, const struct head *head, unsigned int i, struct section *ret)
{
	Elf64_Shdr wide;
	Elf32_Shdr small;
	const size_t size = head->narrow ? sizeof(small) : sizeof(wide);

	if (head->section_size != size || !read_at(fd, head->narrow ? (void *)&small : &wide, size,
						   head->sections_at + (uint64_t)i * size))
		return false;
	if (head->narrow)
		*ret = (struct section){small.sh_name, small.sh_offset};
	else
		*ret = (struct section){wide.sh_name, wide.sh_offset};
	return true;
}

/* Where the build's name was left out: by the names of its sections, if it has kept them. */
static bool has_section_of_go(int fd, const struct head *head)
{
	const unsigned int count = head->sections < SECTIONS ? head->sections : SECTIONS;
	struct section names, section;
	char name[32];

	if (!read_section(fd, head, head->names, &names))
		return false;
	for (unsigned int i = 0; i < count; i++) {
		if (!read_section(fd, head, i, &section))
			return false;
		name[read_some(fd, name, sizeof(name) - 1, names.offset + section.name)] = '\0';
		if (is_section_of_go(name))
			return true;
	}
	return false;
}

#define HEAD_OF(raw)                                                                               \
	{                                                                                          \
		.parts_at = (raw).e_phoff, .sections_at = (raw).e_shoff, .parts = (raw).e_phnum,   \
		.part_size = (raw).e_phentsize, .sections = (raw).e_shnum,                         \
		.section_size = (raw).e_shentsize, .names = (raw).e_shstrndx,                      \
	}

/* False where it is no program of a word size that we know. */
static bool read_head(int fd, struct head *ret, uint16_t *ret_machine)
{
	Elf64_Ehdr wide;
	Elf32_Ehdr small;

	if (!read_at(fd, &small, sizeof(small), 0) || memcmp(small.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	*ret_machine = small.e_machine; /* at the same place in either */
	if (small.e_ident[EI_CLASS] == ELFCLASS32) {
		*ret = (struct head)HEAD_OF(small);
		ret->narrow = true;
		return true;
	}
	if (!read_at(fd, &wide, sizeof(wide), 0))
		return false;
	*ret = (struct head)HEAD_OF(wide);
	return true;
}

void elf_file_read(int fd, struct elf_file *ret)
{
	struct head head;

	memset(ret, 0, sizeof(*ret));
	if (!read_head(fd, &head, &ret->machine))
		return;
	ret->is_elf = true;
	ret->word_size = head.narrow ? ELFCLASS32 : ELFCLASS64;
	read_segments(fd, &head, ret);
	ret->is_go = ret->is_go || has_section_of_go(fd, &head);
}
