#include "base/errors.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *past_digits(const char *p)
{
        while (isdigit((unsigned char) *p))
                p++;
        return p;
}

/* Of a text that was cut, what is left counts. */
static bool same_text(const char *kept, const char *text)
{
        const char *cut = kept + ERRORS_TEXT - 1;
        while (*kept) {
                if (isdigit((unsigned char) *kept) && isdigit((unsigned char) *text)) {
                        kept = past_digits(kept);
                        text = past_digits(text);
                } else if (*kept++ != *text++) {
                        return false;
                }
        }
        return !*text || kept == cut;
}

static bool same(const struct errors_one *one, const char *source, const char *sqlstate,
                 const char *text)
{
        return one->count && strcmp(one->source, source) == 0 &&
               strncmp(one->sqlstate, sqlstate, sizeof one->sqlstate - 1) == 0 &&
               same_text(one->text, text);
}

static struct errors_one *place_for(struct errors *e, const char *source, const char *sqlstate,
                                    const char *text)
{
        struct errors_one *oldest = &e->kept[0];
        for (size_t i = 0; i < ERRORS_KEPT; i++) {
                struct errors_one *one = &e->kept[i];
                if (same(one, source, sqlstate, text))
                        return one;
                if (one->order < oldest->order)
                        oldest = one;
        }
        *oldest = (struct errors_one){.source = source};
        return oldest;
}

void errors_note(struct errors *e, const char *source, const char *sqlstate, const char *text,
                 int64_t now)
{
        struct errors_one *one = place_for(e, source, sqlstate, text);
        snprintf(one->sqlstate, sizeof one->sqlstate, "%s", sqlstate);
        snprintf(one->text, sizeof one->text, "%s", text);
        one->count++;
        one->last = now;
        one->order = ++e->order;
}

const struct errors_one *errors_get(const struct errors *e, size_t i)
{
        uint64_t below = UINT64_MAX;
        const struct errors_one *found = NULL;
        for (size_t n = 0; n <= i; n++) {
                found = NULL;
                for (size_t j = 0; j < ERRORS_KEPT; j++) {
                        const struct errors_one *one = &e->kept[j];
                        if (one->count && one->order < below &&
                            (!found || one->order > found->order))
                                found = one;
                }
                if (!found)
                        return NULL;
                below = found->order;
        }
        return found;
}
