#include "track/statements.h"

#include <string.h>
#include "base/own.h"

void statements_init(struct statements *s)
{
        memset(s, 0, sizeof *s);
}

void statements_free(struct statements *s)
{
        free(s->message);
        settings_unref(s->names);
        statements_init(s);
}

void statements_remember(struct statements *s, const uint8_t *message, size_t size)
{
        if (size > s->room) {
                s->message = own_grow(s->message, size);
                s->room = (uint32_t) size;
        }
        memcpy(s->message, message, size);
        s->size = (uint32_t) size;
}

void statements_forget(struct statements *s)
{
        s->size = 0;
        s->unnamed = (struct statement_marks){0};
        s->bound = false;
}

void statements_come(struct statements *s)
{
        s->here = s->fresh = true;
}

void statements_go(struct statements *s)
{
        s->here = s->fresh = s->hoped = false;
}

void statements_synced(struct statements *s)
{
        if (!s->fresh)
                return;
        s->hoped = s->here;
        s->here = s->fresh = false;
}

void statements_proved(struct statements *s)
{
        s->here = s->here || s->hoped;
        s->hoped = false;
}
