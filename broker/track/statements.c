#include "track/statements.h"

#include <string.h>
#include "base/own.h"

void statements_init(struct statements *s)
{
        memset(s, 0, sizeof *s);
}

void statements_free(struct statements *s)
{
        free(s->unnamed);
        statements_init(s);
}

void statements_remember(struct statements *s, const uint8_t *message, size_t size)
{
        if (size > STATEMENTS_UNNAMED_MAX) {
                statements_forget(s);
                return;
        }
        if (size > s->unnamed_room) {
                s->unnamed = own_grow(s->unnamed, size);
                s->unnamed_room = (uint32_t) size;
        }
        memcpy(s->unnamed, message, size);
        s->unnamed_size = (uint32_t) size;
}

void statements_forget(struct statements *s)
{
        s->unnamed_size = 0;
        s->unnamed_effects = 0;
        s->place = 0;
}

void statements_sent(struct statements *s, bool unnamed)
{
        s->owed++;
        if (unnamed)
                s->place = s->owed;
}

void statements_accepted(struct statements *s)
{
        s->owed -= s->owed > 0;
        s->place -= s->place > 0;
}

void statements_refused(struct statements *s, uint32_t count)
{
        s->owed -= count < s->owed ? count : s->owed;
        if (s->place > count)
                s->place -= count;
        else if (s->place && count)
                statements_forget(s);
}
