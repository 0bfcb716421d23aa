/* Text from elsewhere, made fit to be shown: what clients say of themselves may hold anything. */
#ifndef PGBROKER_TEXT_H
#define PGBROKER_TEXT_H

#include <stdio.h>

/* Bytes of the UTF-8 character at p; 0 if there is none (a stray byte, an overlong form, ...). */
size_t text_character(const char *p);
/* Columns on a screen, one a character. */
size_t text_width(const char *text);
/* Control characters and stray bytes as '?'. At most `most` columns, the last of them a '~' if some
 * are cut off; then blanks up to `least`. */
void text_print(FILE *to, const char *text, size_t least, size_t most);

#endif
