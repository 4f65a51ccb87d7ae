/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int
weir_error_set(struct weir_error *error, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->line, sizeof(error->line), format, args);
	va_end(args);
	return code;
}

void
weir_text_no_memory(void)
{
	fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
	exit(1);
}

/* Length of the well-formed UTF-8 sequence at text, and its code point; 0 when there is none. */
static size_t
utf8_decode(const unsigned char *text, size_t bytes, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n;

	if (text[0] < 0x80) {
		*code = text[0];
		return 1;
	}
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		n = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		n = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > bytes)
		return 0;
	*code = text[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3fU);
	}
	if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

/* C0, DEL and C1 controls; soft hyphen; zero-width, line-breaking and direction-changing ones. */
static bool
is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0xad || code == 0x61c ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff0 && code <= 0xfffb) || code >= 0xe0000;
}

char *
weir_text_clean(const char *text, size_t bytes, bool lines)
{
	char *clean = malloc(bytes + 1);
	size_t used = 0;

	if (clean == NULL)
		weir_text_no_memory();
	for (size_t i = 0; i < bytes;) {
		uint32_t code;
		size_t n = utf8_decode((const unsigned char *)text + i, bytes - i, &code);
		bool kept = n > 0 && !is_unsafe(code);

		if (n > 0 && lines && (code == '\n' || code == '\t'))
			kept = true;
		if (kept) {
			memcpy(clean + used, text + i, n);
			used += n;
		} else {
			clean[used++] = '?';
		}
		i += n > 0 ? n : 1;
	}
	clean[used] = '\0';
	return clean;
}

void
weir_text_put(FILE *out, const char *text, size_t bytes, bool lines)
{
	char *clean = weir_text_clean(text, bytes, lines);

	fputs(clean, out);
	free(clean);
}

size_t
weir_text_columns(const char *text)
{
	size_t columns = 0;

	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

size_t
weir_text_fit(const char *text, size_t columns)
{
	size_t bytes = 0;

	for (; text[bytes] != '\0'; bytes++) {
		if (((unsigned char)text[bytes] & 0xc0) != 0x80) {
			if (columns == 0)
				break;
			columns--;
		}
	}
	return bytes;
}

#define COLUMNS_MAX 12U

struct weir_table {
	const struct weir_column *columns;
	size_t n_columns, n_cells, room;
	size_t widths[COLUMNS_MAX];
	char **cells;
};

struct weir_table *
weir_table_new(const struct weir_column *columns, size_t n_columns)
{
	struct weir_table *table = calloc(1, sizeof(*table));

	assert(n_columns > 0 && n_columns <= COLUMNS_MAX);
	if (table == NULL)
		weir_text_no_memory();
	table->columns = columns;
	table->n_columns = n_columns;
	for (size_t i = 0; i < n_columns; i++)
		table->widths[i] = weir_text_columns(columns[i].title);
	return table;
}

void
weir_table_cell(struct weir_table *table, const char *format, ...)
{
	size_t column = table->n_cells % table->n_columns, width;
	char *text;
	va_list args;
	int bytes;

	if (table->n_cells == table->room) {
		size_t room = table->room == 0 ? 64 : table->room * 2;
		char **cells = reallocarray(table->cells, room, sizeof(*cells));

		if (cells == NULL)
			weir_text_no_memory();
		table->cells = cells;
		table->room = room;
	}
	va_start(args, format);
	bytes = vasprintf(&text, format, args);
	va_end(args);
	if (bytes < 0)
		weir_text_no_memory();
	table->cells[table->n_cells++] = weir_text_clean(text, (size_t)bytes, false);
	free(text);
	width = weir_text_columns(table->cells[table->n_cells - 1]);
	if (width > table->widths[column])
		table->widths[column] = width;
}

/* Writes one line. gap carries the spaces that are due before the next text that is not empty. */
static void
print_row(const struct weir_table *table, FILE *out, char *const *cells)
{
	size_t gap = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		const char *text = cells == NULL ? table->columns[i].title : cells[i];
		size_t pad = table->widths[i] - weir_text_columns(text);

		if (table->columns[i].right)
			gap += pad;
		if (*text != '\0') {
			fprintf(out, "%*s%s", (int)gap, "", text);
			gap = 0;
		}
		gap += table->columns[i].right ? 2 : pad + 2;
	}
	fputc('\n', out);
}

void
weir_table_print(struct weir_table *table, FILE *out)
{
	assert(table->n_cells % table->n_columns == 0);
	print_row(table, out, NULL);
	for (size_t i = 0; i < table->n_cells; i += table->n_columns)
		print_row(table, out, &table->cells[i]);
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void
weir_text_draw(const char *text)
{
	static const char more[] = "(more: enlarge the window)";
	struct winsize size = {0};
	size_t columns = 80, rows = 24, row = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		columns = size.ws_col;
		rows = size.ws_row;
	}
	fputs("\033[H", stdout);
	for (; *text != '\0' && row + 1 < rows; row++) {
		size_t bytes = strcspn(text, "\n");
		size_t fit = weir_text_fit(text, columns);

		fwrite(text, 1, fit < bytes ? fit : bytes, stdout);
		fputs("\033[K\n", stdout);
		text += bytes + (text[bytes] == '\n');
	}
	fputs("\033[J", stdout);
	if (*text != '\0')
		printf("%.*s", (int)weir_text_fit(more, columns), more);
}
