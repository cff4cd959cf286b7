/* Text from outside, shown to people. A key, a reason, a file's name or an error of Redis may have characters that make
 * a terminal move its cursor, change its title or show text in another order, so that what is read is not what is
 * there.
 *
 * The rule: \u{202e} (the number in hex) stands for a control character (U+0000 to U+001F, U+007F to U+009F), one that
 * changes the direction of text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), a line or paragraph
 * separator (U+2028, U+2029), and a space without width (U+200B, U+FEFF); \xNN stands for a byte that is not UTF-8; \\
 * stands for a backslash. All other characters are shown as they are, so the text can be read back in one way only. */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stdio.h>

#include <likeness/types.h>

/* Whether the text is shown as it is. */
bool lk_printable_is_plain(lk_text text);

/* Prints the text by the rule, then spaces up to `width` bytes (0: none). */
void lk_printable_put(FILE *out, lk_text text, int width);

/* Prints a line of text by the rule and ends it. The first LK_PRINTABLE_LINE bytes of the text are printed. */
enum { LK_PRINTABLE_LINE = 8192 };
void lk_printable_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints JSON of one line, without the line's end, with JSON's own escapes, \u202e, for the characters of the rule: its
 * value is the same. */
void lk_printable_json(FILE *out, const char *json, size_t length);

#endif
