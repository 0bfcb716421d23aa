#include "ops/command_words.h"

#include <ctype.h>
#include <strings.h>

/* Ends the last word, a comment up to the line's end, and the last statement. */
static const char terminator[] = "\n;";

void command_reader_init(struct command_reader *r, const char *text, size_t size)
{
        *r = (struct command_reader){.text = text, .size = size};
        sqllex_init(&r->lex, false);
        sqllex_feed(&r->lex, text, size);
}

static const struct sqltoken *next_token(struct command_reader *r)
{
        const struct sqltoken *t = sqllex_next(&r->lex);
        if (t || r->at_end)
                return t;
        r->at_end = true;
        sqllex_feed(&r->lex, terminator, sizeof terminator - 1);
        return sqllex_next(&r->lex);
}

/* Where the lexer stands: right behind the token, which may be the terminator's. */
static const char *place(const struct command_reader *r)
{
        return r->at_end ? r->text + r->size : r->lex.quote.at;
}

/* The lexer does not keep numbers, but it stands right behind this one; what is before it ends at
 * `least`. */
static void copy_number(const char *least, struct command_word *out)
{
        const char *end = out->behind;
        const char *begin = end;
        while (begin > least && end - begin < SQLTOKEN_KEPT &&
               (isdigit((unsigned char) begin[-1]) || begin[-1] == '.'))
                begin--;
        memcpy(out->text, begin, (size_t) (end - begin));
}

static void keep(const struct command_reader *r, const struct sqltoken *t, struct command_words *w)
{
        if (w->count++ >= COMMAND_WORDS)
                return;
        struct command_word *out = &w->word[w->count - 1];
        *out = (struct command_word){
                .kind = t->kind, .cut = t->length > SQLTOKEN_KEPT, .behind = place(r)};
        if (t->kind == SQLTOKEN_MARK)
                out->text[0] = t->mark;
        else if (t->kind == SQLTOKEN_NUMBER)
                copy_number(w->count > 1 ? out[-1].behind : r->text, out);
        else if (t->kind != SQLTOKEN_STRING && t->text)
                memcpy(out->text, t->text, t->length < SQLTOKEN_KEPT ? t->length : SQLTOKEN_KEPT);
}

bool command_words(struct command_reader *r, struct command_words *out, struct error *e)
{
        const struct sqltoken *t;
        out->count = 0;
        out->end = r->text;
        while (!r->over && (t = next_token(r))) {
                if (t->kind != SQLTOKEN_MARK || t->mark != ';') {
                        keep(r, t, out);
                        continue;
                }
                r->over = r->at_end;
                out->end = r->at_end ? place(r) : place(r) - 1;
                if (out->count)
                        return true;
        }
        if (!r->over)
                error_set(e, "42601", "unterminated quotes or comment");
        r->over = true;
        return false;
}

static bool same_word(const struct command_word *w, const char *pattern, size_t n)
{
        return w->kind != SQLTOKEN_QUOTED && w->kind != SQLTOKEN_STRING && strlen(w->text) == n &&
               strncasecmp(w->text, pattern, n) == 0;
}

size_t command_starts(const struct command_words *w, const char *pattern)
{
        size_t count = 0;
        while (*pattern) {
                size_t n = strcspn(pattern, " ");
                if (count >= w->count || count >= COMMAND_WORDS ||
                    !same_word(&w->word[count], pattern, n))
                        return 0;
                count++;
                pattern += n + (pattern[n] == ' ');
        }
        return count;
}

bool command_rest(const struct command_words *w, size_t after, char *text, size_t size)
{
        const char *begin = w->word[after].behind, *end = w->end;
        while (begin < end && isspace((unsigned char) *begin))
                begin++;
        while (end > begin && isspace((unsigned char) end[-1]))
                end--;
        size_t n = (size_t) (end - begin);
        if (n == 0 || n >= size)
                return false;
        memcpy(text, begin, n);
        text[n] = 0;
        return strlen(text) == n;
}

bool command_name(const struct command_words *w, size_t from, char *name, size_t size)
{
        size_t used = 0;
        if (w->count > COMMAND_WORDS)
                return false;
        for (size_t i = from; i < w->count; i++) {
                const struct command_word *word = &w->word[i];
                size_t n = strlen(word->text);
                if (n == 0 || word->cut || n >= size - used || word->kind == SQLTOKEN_STRING)
                        return false;
                if (word->kind == SQLTOKEN_MARK && !strchr("-._", word->text[0]))
                        return false;
                if (i + 1 < w->count && word->behind < w->end &&
                    isspace((unsigned char) *word->behind))
                        return false;
                memcpy(name + used, word->text, n);
                used += n;
        }
        name[used] = 0;
        return used > 0;
}
