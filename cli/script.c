/*
 * script.c - see script.h. A shell's language is not understood here, only looked at: by words
 * with blanks between them.
 */
#include "script.h"

#include <string.h>

static const char blanks[] = " \t";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool script_line(const char *text, size_t len, char interpreter[SCRIPT_LINE],
		 char argument[SCRIPT_LINE])
{
	char line[SCRIPT_LINE];
	size_t size = len < sizeof(line) ? len : sizeof(line) - 1, word;
	char *at = line + 2;

	if (size < 2 || text[0] != '#' || text[1] != '!')
		return false;
	memcpy(line, text, size);
	line[size] = '\0';
	size = strcspn(line, "\n");
	while (size > 2 && is_blank(line[size - 1]))
		size--;
	line[size] = '\0';
	at += strspn(at, blanks);
	word = strcspn(at, blanks);
	memcpy(interpreter, at, word);
	interpreter[word] = '\0';
	strcpy(argument, at + word + strspn(at + word, blanks));
	return word > 0;
}

/* A line, cut into words. */
struct words {
	char text[1024];
	char *word[64];
	unsigned int count;
};

/* What ends a command is a word of its own, empty. */
static void split(struct words *ret, const char *line, size_t len)
{
	char *at = ret->text;

	len = len < sizeof(ret->text) ? len : sizeof(ret->text) - 1;
	memcpy(ret->text, line, len);
	ret->text[len] = '\0';
	ret->count = 0;
	while (*(at += strspn(at, " \t\r()")) && *at != '#' && ret->count < 62) {
		const size_t size = strcspn(at, " \t\r;&|()`");
		const char end = at[size];

		at[size] = '\0';
		ret->word[ret->count++] = at;
		at += size + (end != '\0');
		if (end && strchr(";&|`", end) && size)
			ret->word[ret->count++] = at - 1; /* the zero */
	}
}

static bool is(const char *word, const char *text)
{
	return strcmp(word, text) == 0;
}

static bool begins(const char *word, const char *beginning)
{
	return strncmp(word, beginning, strlen(beginning)) == 0;
}

/* env -i, env -, env -u LD_PRELOAD: of the options alone. */
static bool env_loses(char *const *word, unsigned int count)
{
	for (unsigned int i = 1; i < count && word[i][0] == '-'; i++) {
		if (is(word[i], "-") || begins(word[i], "--ignore-env"))
			return true;
		if (word[i][1] != '-' && strchr(word[i], 'i'))
			return true;
		if (is(word[i], "-u") && ++i < count && is(word[i], "LD_PRELOAD"))
			return true;
	}
	return false;
}

static bool unset_loses(char *const *word, unsigned int count)
{
	for (unsigned int i = 1; i < count && *word[i]; i++)
		if (is(word[i], "LD_PRELOAD"))
			return true;
	return false;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Does the command that begins with this word take the library from what is started? */
static bool loses_it(char *const *word, unsigned int count, script_loses *loses)
{
	if (begins(word[0], "LD_PRELOAD="))
		return !strstr(word[0], "LD_PRELOAD}") && !strstr(word[0], "$LD_PRELOAD");
	if (is(word[0], "unset"))
		return unset_loses(word, count);
	if (is(last_part(word[0]), "env"))
		return env_loses(word, count);
	if (is(word[0], "exec"))
		return count > 1 && is(word[1], "-c");
	return loses(last_part(word[0]));
}

/* A redirection alone changes no program. */
static bool becomes_another(char *const *word, unsigned int count)
{
	return count > 1 && is(word[0], "exec") && *word[1] && !strpbrk(word[1], "<>");
}

/* Words of which the next one may be a command, too. */
static bool goes_on(const char *word)
{
	static const char *const before[] = {"if",    "then",  "else",	  "elif", "do",
					     "while", "until", "!",	  "{",	  "time",
					     "&&",    "||",    "command", "exec", "export"};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (is(word, before[i]))
			return true;
	return !*word || strchr(word, '=');
}

static void note(struct script_place *place, unsigned int line, char *const *word,
		 unsigned int count)
{
	size_t len = 0;

	if (place->line)
		return;
	place->line = line;
	for (unsigned int i = 0; i < count && *word[i]; i++) {
		const size_t size = strlen(word[i]);

		if (len + size + 2 > sizeof(place->words))
			break;
		if (len)
			place->words[len++] = ' ';
		memcpy(place->words + len, word[i], size);
		len += size;
	}
	place->words[len] = '\0';
}

/* Names without a slash in front mean something else after it. */
static bool moves(const char *word)
{
	return is(word, "cd") || is(word, "pushd") || begins(word, "PATH=");
}

static void look_at(struct script_view *ret, const struct words *words, unsigned int line,
		    script_loses *loses)
{
	bool first = true;

	for (unsigned int i = 0; i < words->count; i++) {
		char *const *word = words->word + i;
		const unsigned int rest = words->count - i;

		if (first && loses_it(word, rest, loses))
			note(&ret->loses, line, word, rest);
		if (first && moves(*word))
			ret->moves = true;
		if (first && becomes_another(word, rest))
			note(&ret->execs, line, word, rest);
		first = goes_on(*word);
	}
}

void script_look(struct script_view *ret, const char *text, size_t len, script_loses *loses)
{
	const char *const end = text + len;
	struct words words;

	memset(ret, 0, sizeof(*ret));
	for (unsigned int line = 1; text < end; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const size_t size = (size_t)((stop ? stop : end) - text);

		split(&words, text, size);
		look_at(ret, &words, line, loses);
		text += size + 1;
	}
}
