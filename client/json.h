/* Writes one JSON document, piece by piece. `key` is NULL inside an array and at the top. */
#ifndef PGBROKER_JSON_H
#define PGBROKER_JSON_H

#include <stdbool.h>
#include <stdio.h>

struct json {
        FILE *to;
        unsigned depth;
        bool follows;           /* something stands before in this object or array */
};

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);

/* Stray bytes become U+FFFD. NULL is null. */
void json_text(struct json *j, const char *key, const char *text);
/* As a number if it is one, else as text. */
void json_number(struct json *j, const char *key, const char *digits);
void json_count(struct json *j, const char *key, long long number);
void json_seconds(struct json *j, const char *key, double seconds);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
