#include "track/reading.h"

#include <string.h>
#include <strings.h>
#include "base/own.h"
#include "wire/compose.h"

#define READING_END "\1"

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
                bytes_format(&way, "%s" READING_END, value ? value : "");
        }
        char *text = bytes_string(&way);
        bytes_free(&way);
        return text;
}

const char *reading_running(const struct track_client *c)
{
        const struct statements *s = &c->statements;
        const char *sql = statements_running(s);
        if (!sql || (bytes_ascii(sql, strlen(sql)) && !strchr(sql, '\\')))
                return sql;             /* words are words in every way */
        OWN(free) char *way = s->bound_text ? reading_of(c) : NULL;
        bool so = s->bound_text ? text_read_so(s->bound_text, way) : !s->two_readings || c->two_readings;
        return so ? sql : NULL;
}

/* What was not known of a parameter was the server's own. */
bool reading_set(const char *way, struct bytes *sql)
{
        if (way[0] == '?')
                return false;
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                OWN(free) char *value = own_text(way, strcspn(way, READING_END));
                way += strlen(value) + 1;
                bytes_text(sql, "; SET LOCAL ");
                compose_identifier(sql, ways[i]);
                bytes_text(sql, " TO ");
                if (*value)
                        compose_literal(sql, value);
                else
                        bytes_text(sql, "DEFAULT");
        }
        return true;
}
