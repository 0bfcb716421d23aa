#include "track/reading.h"

#include <strings.h>
#include "base/bytes.h"

/* What PostgreSQL reads a text by, when it is parsed or planned: constants of dates and times, say, are made
 * then. (A search_path or a role that has changed makes it parse again by itself.) */
static const char *const ways[] = {"DateStyle", "TimeZone", "IntervalStyle", "client_encoding",
                                   "standard_conforming_strings", "transform_null_equals", "array_nulls",
                                   "xmloption", "extra_float_digits", "bytea_output", "lc_monetary",
                                   "timezone_abbreviations", "backslash_quote"};

bool reading_depends(const char *parameter)
{
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                if (strcasecmp(ways[i], parameter) == 0)
                        return true;
        }
        return false;
}

char *reading_of(const struct track_client *c)
{
        struct bytes way;
        if (c->rereads)
                return NULL;
        bytes_init(&way, 0);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                const char *value = settings_get(c->wanted, ways[i]);
                bytes_format(&way, "%s,", value ? value : "");
        }
        char *text = bytes_string(&way);
        bytes_free(&way);
        return text;
}
