/*
 * elf_file.c - see elf_file.h.
 */
#include "elf_file.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

/* Headers of 64-bit programs. One of another word size is not read any further. */
_Static_assert(sizeof(void *) == 8, "the headers read are those of 64-bit programs");

enum {
	SEGMENTS = 65536 / sizeof(Elf64_Phdr), /* the kernel refuses programs with more */
	SECTIONS = 4096,		       /* more are not looked at */
	NOTES = 16384,			       /* nor more bytes of them in one segment */
	STRINGS = 1 << 20,		       /* nor more bytes of names */
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

static void read_linker(int fd, const Elf64_Phdr *part, char linker[PATH_MAX])
{
	const size_t size = least(part->p_filesz, PATH_MAX - 1);

	if (size == 0 || !read_at(fd, linker, size, part->p_offset))
		strcpy(linker, "?"); /* the kernel refuses it */
	else
		linker[size] = '\0';
}

/* Go's linker leaves the build's name in a note of its own. */
static bool has_note_of_go(int fd, const Elf64_Phdr *part)
{
	static _Alignas(Elf64_Nhdr) char bytes[NOTES];
	const size_t size = read_some(fd, bytes, least(part->p_filesz, NOTES), part->p_offset);
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
static uint64_t offset_of(const Elf64_Phdr *parts, unsigned int count, uint64_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (parts[i].p_type == PT_LOAD && address >= parts[i].p_vaddr &&
		    address - parts[i].p_vaddr < parts[i].p_filesz)
			return parts[i].p_offset + (address - parts[i].p_vaddr);
	return UINT64_MAX;
}

/* The table of its dynamic symbols' names: where it stands, and its size. */
static bool find_strings(int fd, const Elf64_Phdr *part, uint64_t *ret_at, uint64_t *ret_size)
{
	enum { ENTRIES = 1024 };
	Elf64_Dyn entry = {.d_tag = -1};

	*ret_at = *ret_size = 0;
	for (uint64_t i = 0; i < ENTRIES && entry.d_tag != DT_NULL; i++) {
		if ((i + 1) * sizeof(entry) > part->p_filesz ||
		    !read_at(fd, &entry, sizeof(entry), part->p_offset + i * sizeof(entry)))
			break;
		if (entry.d_tag == DT_STRTAB)
			*ret_at = entry.d_un.d_ptr;
		if (entry.d_tag == DT_STRSZ)
			*ret_size = entry.d_un.d_val;
	}
	return *ret_at && *ret_size;
}

static bool names_dlopen(int fd, const Elf64_Phdr *parts, unsigned int count, unsigned int dynamic)
{
	static const char name[] = "\0dlopen"; /* with its end */
	static char bytes[STRINGS];
	uint64_t at, size;

	if (!find_strings(fd, &parts[dynamic], &at, &size))
		return false;
	size = read_some(fd, bytes, least(size, STRINGS), offset_of(parts, count, at));
	return memmem(bytes, (size_t)size, name, sizeof(name)) != NULL;
}

static void read_segments(int fd, const Elf64_Ehdr *head, struct elf_file *ret)
{
	static Elf64_Phdr parts[SEGMENTS];
	const unsigned int count = head->e_phnum;

	if (count > SEGMENTS || head->e_phentsize != sizeof(*parts) ||
	    !read_at(fd, parts, count * sizeof(*parts), head->e_phoff))
		return;
	for (unsigned int i = 0; i < count; i++) {
		if (parts[i].p_type == PT_INTERP && !*ret->linker)
			read_linker(fd, &parts[i], ret->linker);
		if (parts[i].p_type == PT_NOTE)
			ret->is_go = ret->is_go || has_note_of_go(fd, &parts[i]);
		if (parts[i].p_type == PT_DYNAMIC)
			ret->loads_modules = names_dlopen(fd, parts, count, i);
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

/* Where the build's name was left out: by the names of its sections, if it has kept them. */
static bool has_section_of_go(int fd, const Elf64_Ehdr *head)
{
	const unsigned int count = head->e_shnum < SECTIONS ? head->e_shnum : SECTIONS;
	Elf64_Shdr names, section;
	char name[32];

	if (head->e_shentsize != sizeof(section) ||
	    !read_at(fd, &names, sizeof(names),
		     head->e_shoff + (uint64_t)head->e_shstrndx * sizeof(names)))
		return false;
	for (unsigned int i = 0; i < count; i++) {
		if (!read_at(fd, &section, sizeof(section), head->e_shoff + i * sizeof(section)))
			return false;
		name[read_some(fd, name, sizeof(name) - 1, names.sh_offset + section.sh_name)] =
			'\0';
		if (is_section_of_go(name))
			return true;
	}
	return false;
}

void elf_file_read(int fd, struct elf_file *ret)
{
	Elf64_Ehdr head;

	memset(ret, 0, sizeof(*ret));
	if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return;
	/* Both stand at the same place in headers of either word size. */
	ret->is_elf = true;
	ret->word_size = head.e_ident[EI_CLASS];
	ret->machine = head.e_machine;
	if (ret->word_size != ELFCLASS64)
		return;
	read_segments(fd, &head, ret);
	ret->is_go = ret->is_go || has_section_of_go(fd, &head);
}
