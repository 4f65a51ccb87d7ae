/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text for terminals: cleaning of what others wrote, and tables.
 *
 * Names, reasons and messages come from the server, whose policy others may have written. None of
 * it reaches the terminal before it has been cleaned.
 */
#ifndef WEIR_TOOLS_WEIRCTL_TEXT_H
#define WEIR_TOOLS_WEIRCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One line that says what went wrong. */
struct weir_error {
	char line[1024];
};

/* Sets the line (cut where it doesn't fit) and returns code, for `return weir_error_set(...)`. */
int weir_error_set(struct weir_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints "PROGRAM: out of memory" and ends the process with status 1. */
_Noreturn void weir_text_no_memory(void);

/*
 * Copies text with every control character, invisible or direction-changing character and invalid
 * UTF-8 byte replaced by "?". With lines, newlines and tabs stay. The caller frees it; never NULL.
 */
char *weir_text_clean(const char *text, size_t bytes, bool lines);

/* Cleans and writes. */
void weir_text_put(FILE *out, const char *text, size_t bytes, bool lines);

/* Columns that cleaned text takes: its characters, each counted as one. */
size_t weir_text_columns(const char *text);

/* Bytes of cleaned text that fit into columns. */
size_t weir_text_fit(const char *text, size_t columns);

struct weir_column {
	const char *title;
	bool right; /* aligned */
};

struct weir_table;

/* columns must outlive the table. Never NULL. */
struct weir_table *weir_table_new(const struct weir_column *columns, size_t n_columns);

/* Appends the next cell, row by row, cleaned. */
void weir_table_cell(struct weir_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes titles and rows, two spaces between columns, no trailing spaces; then frees the table. */
void weir_table_print(struct weir_table *table, FILE *out);

/*
 * Redraws the screen of the terminal that standard output is, in one write and without clearing it
 * first, so that it doesn't flicker. What does not fit is cut: each line at the right edge, and the
 * lines at the bottom.
 */
void weir_text_draw(const char *text);

#endif
