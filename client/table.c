#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

/* Types of numbers, as PostgreSQL's pg_type numbers them. */
enum { INT8 = 20, INT2 = 21, INT4 = 23, NUMERIC = 1700 };

static bool is_number(const PGresult *rows, int column)
{
        switch (PQftype(rows, column)) {
        case INT8:
        case INT2:
        case INT4:
        case NUMERIC:
                return true;
        default:
                return false;
        }
}

/* PQfnumber() would fold the name; the console's are lower case anyway. */
static int column_of(const PGresult *rows, const char *name)
{
        for (int i = 0; i < PQnfields(rows); i++)
                if (strcmp(PQfname(rows, i), name) == 0)
                        return i;
        return -1;
}

const char *table_text(const PGresult *rows, int row, const char *column)
{
        int at = column_of(rows, column);

        return row < 0 || at < 0 ? "" : PQgetvalue(rows, row, at);
}

long long table_number(const PGresult *rows, int row, const char *column)
{
        return strtoll(table_text(rows, row, column), NULL, 10);
}

bool table_matches(const PGresult *rows, int row, const char *column, const char *text)
{
        return strcmp(table_text(rows, row, column), text) == 0;
}

int table_find(const PGresult *rows, const char *column, const char *text)
{
        for (int row = 0; row < PQntuples(rows); row++)
                if (table_matches(rows, row, column, text))
                        return row;
        return -1;
}

static size_t width_of(const PGresult *rows, int column)
{
        size_t width = text_width(PQfname(rows, column));

        for (int row = 0; row < PQntuples(rows); row++) {
                size_t cell = text_width(PQgetvalue(rows, row, column));

                width = cell > width ? cell : width;
        }
        return width;
}

static void print_cell(FILE *to, const PGresult *rows, const char *text, int column, size_t width)
{
        bool last = column + 1 == PQnfields(rows);
        size_t used = text_width(text);

        for (size_t i = used; is_number(rows, column) && i < width; i++)
                fputc(' ', to);
        text_print(to, text, last || is_number(rows, column) ? 0 : width, SIZE_MAX);
        fputs(last ? "\n" : "  ", to);
}

void table_print(FILE *to, const PGresult *rows)
{
        int columns = PQnfields(rows);
        size_t *width = calloc((size_t) columns + 1, sizeof *width);

        for (int c = 0; width && c < columns; c++)
                width[c] = width_of(rows, c);
        for (int row = -1; row < PQntuples(rows); row++)
                for (int c = 0; c < columns; c++)
                        print_cell(to, rows, row < 0 ? PQfname(rows, c) : PQgetvalue(rows, row, c),
                                   c, width ? width[c] : 0);
        free(width);
}

void table_json_row(struct json *j, const char *key, const PGresult *rows, int row)
{
        json_object(j, key);
        for (int c = 0; c < PQnfields(rows); c++) {
                const char *value = PQgetisnull(rows, row, c) ? NULL : PQgetvalue(rows, row, c);

                if (is_number(rows, c))
                        json_number(j, PQfname(rows, c), value);
                else
                        json_text(j, PQfname(rows, c), value);
        }
        json_end_object(j);
}

void table_json(struct json *j, const char *key, const PGresult *rows)
{
        json_array(j, key);
        for (int row = 0; row < PQntuples(rows); row++)
                table_json_row(j, NULL, rows, row);
        json_end_array(j);
}
