/* pgbrokerctl: asks the broker how it is, and gives it orders, through its console. */
#include <ctype.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "console.h"
#include "json.h"
#include "pgbroker.h"
#include "screen.h"
#include "table.h"

enum { FINE = 0, NOT_FINE = 1, NO_BROKER = 2, USAGE = 2 };
enum { ANSWER_MS = 10000 }; /* for what the broker answers at once */

struct ctl {
        struct pgbroker_options options;
        bool json;
        char place[160];
};

/* Commands, how many words may follow, and whether the broker answers at once. */
struct command {
        const char *name;
        int least, most;
        bool at_once;
};

static const struct command commands[] = {
        {"status", 0, 0, true},       {"show", 1, 4, true},        {"reload", 0, 0, false},
        {"pause", 0, 1, false},       {"resume", 0, 1, false},     {"disable", 0, 1, false},
        {"enable", 0, 1, false},      {"reconnect", 0, 1, false},  {"kill", 0, 1, false},
        {"kill_client", 1, 1, false}, {"wait_close", 0, 1, false}, {"refresh", 0, 1, false},
        {"shutdown", 0, 1, false},    {"set", 1, 64, false},
};

static const char help[] =
        "pgbrokerctl asks pgbrokerd how it is, and gives it orders.\n"
        "\n"
        "  pgbrokerctl [-h DIRECTORY] [-p PORT] [--json] COMMAND\n"
        "\n"
        "  status           one screen: is it healthy, on what credentials, who waits for what\n"
        "  show THING       pools, clients, servers, stats, databases, lists, config,\n"
        "                   version, secrets, rotations, pins, waits, errors, latency;\n"
        "                   \"show help\" lists them all\n"
        "  reload           read the configuration again\n"
        "  refresh [ENV]    look for new credentials now\n"
        "  pause [ENV]      lend no more servers, and answer when none is left\n"
        "  resume [ENV]     go on\n"
        "  disable [ENV]    take no new clients\n"
        "  enable [ENV]     take them again\n"
        "  reconnect [ENV]  replace every server connection as it becomes free\n"
        "  wait_close [ENV] answer when those that must be replaced are closed\n"
        "  kill [ENV]       end all clients and server connections, and pause\n"
        "  kill_client ID   end one client; ID as in \"show clients\"\n"
        "  set KEY = VALUE  change a setting until the next reload; KEY as in \"show config\"\n"
        "  shutdown [WAIT_FOR_CLIENTS|WAIT_FOR_SERVERS]\n"
        "\n"
        "  -h DIRECTORY     of the socket (else PGBROKER_DIRECTORY, else /run/pgbroker)\n"
        "  -p PORT          the number in the socket's name (5432)\n"
        "  --json           print JSON\n"
        "  --version, --help\n"
        "\n"
        "An environment is\n"
        "  failing    without credentials; or when the server has refused them for longer\n"
        "             than bridge_timeout; or when the last login or fetch failed and\n"
        "             there is no server connection (unless it was about a new version,\n"
        "             with the old one still good), or a client has waited for a second\n"
        "             although there may be more of them\n"
        "  disabled, paused\n"
        "             by an administrator\n"
        "  bridging   while the server refuses the credentials and others are looked for:\n"
        "             new server connections wait, those that are open go on\n"
        "  ok         else\n"
        "The broker is healthy when each of its environments is ok or bridging.\n"
        "\n"
        "Exit status: 0 fine; 1 not healthy, or refused; 2 wrong usage, or no broker.\n";

/* ---- what went wrong ---- */

static int usage(const char *what, const char *word)
{
        fprintf(stderr, "pgbrokerctl: %s%s%s\n  pgbrokerctl --help shows what can be said.\n", what,
                *word ? ": " : "", word);
        return USAGE;
}

static int exit_status(const struct pgbroker_error *e)
{
        switch (e->failure) {
        case PGBROKER_NONE:
                return FINE;
        case PGBROKER_BAD_ARGUMENT:
        case PGBROKER_NO_BROKER:
        case PGBROKER_TIMEOUT:
                return NO_BROKER;
        case PGBROKER_OTHER:
                return *e->sqlstate ? NOT_FINE : NO_BROKER;
        default:
                return NOT_FINE;
        }
}

static int report(const struct ctl *ctl, const struct pgbroker_error *e)
{
        struct json j = {.to = stdout};

        fprintf(stderr, "pgbrokerctl: %s\n", e->message);
        if (*e->hint)
                fprintf(stderr, "  %s\n", e->hint);
        if (!ctl->json)
                return exit_status(e);
        json_object(&j, NULL);
        json_bool(&j, "healthy", false);
        json_object(&j, "error");
        json_text(&j, "sqlstate", *e->sqlstate ? e->sqlstate : NULL);
        json_text(&j, "message", e->message);
        json_text(&j, "hint", *e->hint ? e->hint : NULL);
        json_end_object(&j);
        json_end_object(&j);
        return exit_status(e);
}

/* ---- doing it ---- */

static int show_status(const struct ctl *ctl, PGconn *conn)
{
        struct pgbroker_error e;
        struct status s;
        int result;

        if (!status_read(&s, conn, ANSWER_MS, &e)) {
                result = report(ctl, &e);
        } else {
                (ctl->json ? screen_json : screen_print)(stdout, &s, ctl->place);
                result = s.healthy ? FINE : NOT_FINE;
        }
        status_free(&s);
        return result;
}

static void print_answer(const struct ctl *ctl, PGresult *answer)
{
        struct json j = {.to = stdout};

        if (PQresultStatus(answer) == PGRES_TUPLES_OK) {
                if (ctl->json)
                        table_json(&j, NULL, answer);
                else
                        table_print(stdout, answer);
                return;
        }
        if (!ctl->json) {
                printf("%s\n", PQcmdStatus(answer));
                return;
        }
        json_object(&j, NULL);
        json_text(&j, "done", PQcmdStatus(answer));
        json_end_object(&j);
}

/* The broker may end before it has answered, or tell us so as it tells every client. */
static bool has_gone(const char *command, const struct pgbroker_error *e)
{
        return strncasecmp(command, "SHUTDOWN", strlen("SHUTDOWN")) == 0 &&
               (e->failure == PGBROKER_NO_BROKER || strcmp(e->sqlstate, "57P01") == 0);
}

static int give_order(const struct ctl *ctl, PGconn *conn, const char *command, bool at_once)
{
        struct pgbroker_error e;
        PGresult *answer = console_ask(conn, command, at_once ? ANSWER_MS : 0, &e);

        if (!answer && has_gone(command, &e))
                answer = PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK);
        if (!answer)
                return report(ctl, &e);
        print_answer(ctl, answer);
        PQclear(answer);
        return FINE;
}

/* The words as one command; 0 if they are too long. */
static size_t join(char *to, size_t size, char *const words[])
{
        size_t used = 0;

        *to = '\0';
        for (; *words; words++) {
                int n = snprintf(to + used, size - used, "%s%s", used ? " " : "", *words);

                if (n < 0 || (size_t) n >= size - used)
                        return 0;
                used += (size_t) n;
        }
        for (char *p = to; *p && *p != ' '; p++)
                *p = (char) toupper((unsigned char) *p);
        return used;
}

/* A name, a number or a keyword; what follows SET may be any text. */
static const char *strange_word(const struct command *command, char *const words[])
{
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

        for (words++; *words && strcmp(command->name, "set") != 0; words++)
                if (!**words || strspn(*words, letters) != strlen(*words))
                        return *words;
        return NULL;
}

static const struct command *find(const char *word)
{
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                if (strcasecmp(commands[i].name, word) == 0)
                        return &commands[i];
        return NULL;
}

static int run(struct ctl *ctl, int count, char *const words[])
{
        const struct command *command = count ? find(words[0]) : NULL;
        struct pgbroker_error e;
        char text[1024];

        if (!command)
                return count ? usage("there is no such command", words[0])
                             : usage("say what to do", "");
        if (count - 1 < command->least || count - 1 > command->most)
                return usage(count - 1 < command->least ? "something is missing after"
                                                        : "too many words after",
                             command->name);
        if (strange_word(command, words))
                return usage("this is neither a name nor a number", strange_word(command, words));
        if (!join(text, sizeof text, words))
                return usage("too long", command->name);
        pgbroker_socket_path(&ctl->options, ctl->place, sizeof ctl->place);
        ctl->options.timeout_ms = ANSWER_MS;
        ctl->options.application_name = "pgbrokerctl";

        PGconn *conn = console_open(&ctl->options, &e);

        if (!conn)
                return report(ctl, &e);

        int result = command == &commands[0] ? show_status(ctl, conn)
                                             : give_order(ctl, conn, text, command->at_once);

        PQfinish(conn);
        return result;
}

static bool read_port(const char *word, unsigned *port)
{
        char *end;
        unsigned long number = strtoul(word, &end, 10);

        *port = (unsigned) number;
        return isdigit((unsigned char) *word) && !*end && number > 0 && number <= 65535;
}

int main(int argc, char *argv[])
{
        enum { JSON = 256, HELP, VERSION };
        static const struct option options[] = {{"json", no_argument, NULL, JSON},
                                                {"help", no_argument, NULL, HELP},
                                                {"version", no_argument, NULL, VERSION},
                                                {0}};
        struct ctl ctl = {0};
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h:p:", options, NULL)) != -1) {
                switch (option) {
                case 'h':
                        ctl.options.directory = optarg;
                        break;
                case 'p':
                        if (!read_port(optarg, &ctl.options.port))
                                return usage("expected a port from 1 to 65535", optarg);
                        break;
                case JSON:
                        ctl.json = true;
                        break;
                case HELP:
                        fputs(help, stdout);
                        return FINE;
                case VERSION:
                        puts("pgbrokerctl " PGBROKER_VERSION);
                        return FINE;
                case ':':
                        return usage("something is missing after", argv[optind - 1]);
                default:
                        return usage("there is no such option", argv[optind - 1]);
                }
        }

        int result = run(&ctl, argc - optind, argv + optind);

        /* What could not be written (a full disk, a closed pipe) was not shown. */
        return fflush(stdout) == 0 ? result : NOT_FINE;
}
