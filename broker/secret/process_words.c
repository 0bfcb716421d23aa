#include "secret/process_words.h"

#include <string.h>
#include "base/own.h"
#include "base/sealed.h"

/* One word from *from into *to; false if a quote stays open. */
static bool take_word(const char **from, char **to)
{
        const char *s = *from;
        char quote = 0;

        for (; *s && (quote || !strchr(" \t\r\n", *s)); s++) {
                bool escapes = *s == '\\' && quote != '\'' && s[1] &&
                               (!quote || s[1] == '"' || s[1] == '\\');

                if (escapes)
                        *(*to)++ = *++s;
                else if (quote ? *s == quote : *s == '"' || *s == '\'')
                        quote = quote ? 0 : *s;
                else
                        *(*to)++ = *s;
        }
        *(*to)++ = 0;
        *from = s;
        return !quote;
}

bool process_words_split(const char *command, struct process_words *out, struct error *e)
{
        char *to;

        *out = (struct process_words){.size = strlen(command) + 2};
        out->text = own_alloc(out->size);
        to = out->text;
        for (;;) {
                command += strspn(command, " \t\r\n");
                if (!*command)
                        break;
                if (out->count == PROCESS_WORDS)
                        return error_set(e, "08001", "it has more than %d words", PROCESS_WORDS);
                out->words[out->count++] = to;
                if (!take_word(&command, &to))
                        return error_set(e, "08001", "a quote is not closed");
        }
        if (!out->count || !*out->words[0])
                return error_set(e, "08001", "it names no program");
        return true;
}

void process_words_clear(struct process_words *w)
{
        if (w->text)
                sealed_wipe(w->text, w->size);
        free(w->text);
        *w = (struct process_words){0};
}
