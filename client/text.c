#include "text.h"

#include <stdbool.h>

static size_t length_of(unsigned char first)
{
        if (first < 0x80)
                return 1;
        if (first >= 0xc2 && first < 0xe0)
                return 2;
        if (first >= 0xe0 && first < 0xf0)
                return 3;
        return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Not in a shorter form, no half of a surrogate pair, not beyond U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
        switch (first) {
        case 0xe0:
                return second >= 0xa0;
        case 0xed:
                return second < 0xa0;
        case 0xf0:
                return second >= 0x90;
        case 0xf4:
                return second < 0x90;
        default:
                return true;
        }
}

size_t text_character(const char *p)
{
        size_t length = *p ? length_of((unsigned char) *p) : 0;

        for (size_t i = 1; i < length; i++)
                if (((unsigned char) p[i] & 0xc0) != 0x80)
                        return 0;
        if (length > 1 && !second_fits((unsigned char) p[0], (unsigned char) p[1]))
                return 0;
        return length;
}

/* Of a character that a terminal would obey instead of show: 0. */
static size_t printable(const char *p)
{
        size_t length = text_character(p);
        unsigned char first = (unsigned char) p[0];

        if (length == 1 && (first < 0x20 || first == 0x7f))
                return 0;
        if (length == 2 && first == 0xc2 && (unsigned char) p[1] < 0xa0)
                return 0;
        return length;
}

static const char *step(const char *p)
{
        size_t length = text_character(p);

        return p + (length ? length : 1);
}

size_t text_width(const char *text)
{
        size_t width = 0;

        for (const char *p = text; *p; p = step(p))
                width++;
        return width;
}

void text_print(FILE *to, const char *text, size_t least, size_t most)
{
        size_t width = text_width(text), shown = 0;
        const char *p = text;

        for (; *p && shown < most && (width <= most || shown + 1 < most); p = step(p), shown++) {
                size_t length = printable(p);

                if (length)
                        fwrite(p, 1, length, to);
                else
                        fputc('?', to);
        }
        if (*p && most) {
                fputc('~', to);
                shown++;
        }
        for (; shown < least; shown++)
                fputc(' ', to);
}
