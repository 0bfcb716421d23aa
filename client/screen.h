/* The status as one screen of text, and the same as JSON. */
#ifndef PGBROKER_SCREEN_H
#define PGBROKER_SCREEN_H

#include <stdio.h>
#include "status.h"

/* `place`: where the broker is. */
void screen_print(FILE *to, const struct status *s, const char *place);
void screen_json(FILE *to, const struct status *s, const char *place);

#endif
