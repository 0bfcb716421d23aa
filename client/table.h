/* Rows as the console sent them: to look at, to read by column, to print. */
#ifndef PGBROKER_TABLE_H
#define PGBROKER_TABLE_H

#include <stdbool.h>
#include <stdio.h>
#include <libpq-fe.h>
#include "json.h"

/* "" for NULL, and for a column that is not there. Lives as long as the rows. */
const char *table_text(const PGresult *rows, int row, const char *column);
long long table_number(const PGresult *rows, int row, const char *column);
/* The first row whose column holds this; -1: none. */
int table_find(const PGresult *rows, const char *column, const char *text);
bool table_matches(const PGresult *rows, int row, const char *column, const char *text);

/* In columns, numbers to the right. */
void table_print(FILE *to, const PGresult *rows);
/* One row as an object: numbers as numbers, NULL as null. */
void table_json_row(struct json *j, const char *key, const PGresult *rows, int row);
/* All as an array of objects. */
void table_json(struct json *j, const char *key, const PGresult *rows);

#endif
