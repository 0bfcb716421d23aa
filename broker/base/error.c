#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* A cut may have gone through a UTF-8 character; half of one would make the whole message
 * unreadable to a client that checks its encoding, so that half goes too. */
static void drop_half_character(char *text, size_t length)
{
        size_t start = length, need = 1;

        while (start > 0 && length - start < 4) {
                unsigned char c = (unsigned char) text[--start];

                if ((c & 0xc0) == 0x80)
                        continue;
                if (c >= 0xc0)
                        need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
                if (length - start < need)
                        text[start] = 0;
                return;
        }
}

__attribute__((format(printf, 3, 0))) static void format_cut(char *into, size_t size,
                                                             const char *format, va_list args)
{
        int n = vsnprintf(into, size, format, args);

        if (n < 0)
                into[0] = 0;
        else if ((size_t) n >= size)
                drop_half_character(into, size - 1);
}

bool error_set(struct error *e, const char *sqlstate, const char *format, ...)
{
        char text[sizeof e->text];
        va_list args;

        if (!e)
                return false;
        /* By way of `text`, for the arguments may be parts of `e`. */
        va_start(args, format);
        format_cut(text, sizeof text, format, args);
        va_end(args);
        snprintf(e->sqlstate, sizeof e->sqlstate, "%s", sqlstate ? sqlstate : "");
        memcpy(e->text, text, sizeof text);
        e->hint[0] = 0;
        return false;
}

bool error_hint(struct error *e, const char *format, ...)
{
        char hint[sizeof e->hint];
        va_list args;

        if (!e)
                return false;
        va_start(args, format);
        format_cut(hint, sizeof hint, format, args);
        va_end(args);
        memcpy(e->hint, hint, sizeof hint);
        return false;
}

bool error_context(struct error *e, const char *format, ...)
{
        char context[sizeof e->text];
        char text[sizeof e->text];
        va_list args;

        if (!e || !error_is_set(e))
                return false;
        va_start(args, format);
        format_cut(context, sizeof context, format, args);
        va_end(args);

        /* Cut wherever it must be: context and cause are both at the front of what they say. */
        size_t used = strlen(context), cause = strlen(e->text);

        if (used > sizeof text - 3)
                used = sizeof text - 3;
        memcpy(text, context, used);
        memcpy(text + used, ": ", 2);
        used += 2;
        if (cause > sizeof text - 1 - used) {
                cause = sizeof text - 1 - used;
                memcpy(text + used, e->text, cause);
                text[used + cause] = 0;
                drop_half_character(text, used + cause);
        } else {
                memcpy(text + used, e->text, cause + 1);
        }
        memcpy(e->text, text, sizeof text);
        return false;
}
