/* The least that a C program needs: a connection for an environment, a query, and what to say when
 * there is no connection.
 *
 *      cc example.c -lpgbroker -lpq && ./a.out prod */
#include <stdio.h>
#include <stdlib.h>
#include "pgbroker.h"

static bool ask(PGconn *conn)
{
        PGresult *result = PQexec(conn, "SELECT current_database(), current_user");
        bool fine = PQresultStatus(result) == PGRES_TUPLES_OK;

        if (fine)
                printf("connected to %s as %s\n", PQgetvalue(result, 0, 0),
                       PQgetvalue(result, 0, 1));
        else
                fprintf(stderr, "%s", PQerrorMessage(conn));
        PQclear(result);
        return fine;
}

int main(int argc, char *argv[])
{
        struct pgbroker_options options = {.application_name = "example"};
        struct pgbroker_error e;

        if (argc != 2) {
                fprintf(stderr, "usage: %s ENVIRONMENT\n", argv[0]);
                return 2;
        }

        PGconn *conn = pgbroker_connect(argv[1], &options, &e);

        if (!conn) {
                fprintf(stderr, "%s\n%s\n", e.message, e.hint);
                return EXIT_FAILURE;
        }

        bool fine = ask(conn);

        PQfinish(conn);
        return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
