/* SPDX-License-Identifier: MIT */
/*
 * script.c - see script.h. A shell's language is not understood here, only looked at: by words
 * with blanks between them, where no quotes are around those.
 */
#include "program/script.h"

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

/*
 * Up to one of these ends outside quotes. *quote: which kind is open, 0 none; before, and behind
 * it.
 */
static size_t span(const char *at, const char *ends, char *quote)
{
	size_t len = 0;

	for (; at[len] && (*quote || !strchr(ends, at[len])); len++)
		if (at[len] == '\\' && *quote != '\'' && at[len + 1])
			len++;
		else if (*quote ? at[len] == *quote : at[len] == '"' || at[len] == '\'')
			*quote = *quote ? '\0' : at[len];
	return len;
}

/* What ends a command is a word of its own, empty. *quote: as in span. */
static void split(struct words *ret, const char *line, size_t len, char *quote)
{
	static const char ends[] = " \t\r;&|()`";
	char *at = ret->text;

	len = len < sizeof(ret->text) ? len : sizeof(ret->text) - 1;
	memcpy(ret->text, line, len);
	ret->text[len] = '\0';
	ret->count = 0;
	if (*quote)
		at += span(at, ends, quote); /* the last word of an earlier line */
	while (*(at += strspn(at, " \t\r()")) && *at != '#' && ret->count < 62) {
		const size_t size = span(at, ends, quote);
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

/* Where a command begins: words of which the next one may be a command, too. */
static bool goes_on(const char *word)
{
	static const char *const before[] = {"if",    "then",  "else",	  "elif", "do",
					     "while", "until", "!",	  "{",	  "time",
					     "&&",    "||",    "command", "exec", "export"};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (is(word, before[i]))
			return true;
	return strchr(word, '=');
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
		first = !**word || (first && goes_on(*word));
	}
}

/* The word that ends the text that follows this line ("<<END"), without its quotes; "": none. */
static void find_here(const struct words *words, char ret[64])
{
	*ret = '\0';
	for (unsigned int i = 0; i < words->count; i++) {
		const char *at = strstr(words->word[i], "<<");
		size_t len;

		if (!at || at[2] == '<')
			continue;
		at += at[2] == '-' ? 3 : 2;
		if (!*at && i + 1 < words->count)
			at = words->word[i + 1];
		at += strspn(at, "\\'\"");
		len = strcspn(at, "\\'\" ");
		if (len && len < 64 && !strchr("0123456789$", *at)) {
			memcpy(ret, at, len);
			ret[len] = '\0';
		}
	}
}

/* The line that is that word, tabs in front of it apart; NULL: there is none. */
static const char *find_line(const char *text, const char *end, const char *word)
{
	const size_t len = strlen(word);

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *here = text;

		stop = stop ? stop : end;
		while (here < stop && *here == '\t')
			here++;
		if ((size_t)(stop - here) == len && memcmp(here, word, len) == 0)
			return text;
		text = stop + 1;
	}
	return NULL;
}

/* A quote that is not closed any more is none: an apostrophe, somewhere. */
static char still_open(char quote, const char *text, const char *end)
{
	return quote && text < end && memchr(text, quote, (size_t)(end - text)) ? quote : '\0';
}

void script_look(struct script_view *ret, const char *text, size_t len, script_loses *loses)
{
	enum { MISSES = 64 }; /* a word that no line is: each costs a look at all that follows */
	const char *const end = text + len;
	const char *here = NULL; /* the last line of a text that is no command's */
	unsigned int misses = 0;
	struct words words = {.count = 0};
	char quote = '\0', word[64];

	memset(ret, 0, sizeof(*ret));
	for (unsigned int line = 1; text < end; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const size_t size = (size_t)((stop ? stop : end) - text);
		const char *const next = text + size + 1;

		if (here && text <= here) {
			text = next;
			continue;
		}
		split(&words, text, size, &quote);
		look_at(ret, &words, line, loses);
		quote = still_open(quote, next, end);
		find_here(&words, word);
		here = *word && misses < MISSES ? find_line(next, end, word) : NULL;
		misses += *word && !here;
		text = next;
	}
}
