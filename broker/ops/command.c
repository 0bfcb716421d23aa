#include "ops/command.h"

#include <strings.h>
#include "ops/command_driver.h"
#include "ops/setting.h"

/* What follows the words of a command. */
enum follows { NOTHING, ENVIRONMENT, CLIENT, SETTING, FOLLOWS };

static const struct {
        const char *shown;    /* in the help */
        const char *expected; /* in an error */
} follows[FOLLOWS] = {
        [NOTHING] = {"", "nothing more"},
        [ENVIRONMENT] = {" [environment]", "the name of one environment, or nothing for all"},
        [SETTING] = {" key = value", "a key and a value, such as SET pool_size = 20"},
        [CLIENT] = {" id", "the number of one client, id in SHOW CLIENTS"},
};

/* The first that fits counts. */
static const struct rule {
        const char *name;
        enum command_kind kind;
        enum command_right right;
        enum follows follows;
        const char *description; /* one sentence */
} rules[] = {
        {"RELOAD", COMMAND_RELOAD, COMMAND_CHANGE, NOTHING,
         "Reads the configuration again, as SIGHUP does, and answers when it holds or with what is "
         "wrong."},
        {"PAUSE", COMMAND_PAUSE, COMMAND_CHANGE, ENVIRONMENT,
         "Lends no more servers and answers when none is left; clients wait until RESUME."},
        {"RESUME", COMMAND_RESUME, COMMAND_CHANGE, ENVIRONMENT, "Ends PAUSE."},
        {"REFRESH", COMMAND_REFRESH, COMMAND_CHANGE, ENVIRONMENT,
         "Looks for a new version of the secret now; SHOW SECRETS and SHOW ROTATIONS tell what "
         "came of it."},
        {"SHUTDOWN WAIT_FOR_SERVERS", COMMAND_SHUTDOWN_SERVERS, COMMAND_CHANGE, NOTHING,
         "Takes no new clients, sends each one away when its transaction is over, and ends the "
         "broker, as "
         "SIGTERM does."},
        {"SHUTDOWN WAIT_FOR_CLIENTS", COMMAND_SHUTDOWN_CLIENTS, COMMAND_CHANGE, NOTHING,
         "Takes no new clients and ends the broker when the last one has left."},
        {"SHUTDOWN", COMMAND_SHUTDOWN, COMMAND_CHANGE, NOTHING, "Ends the broker at once."},
        {"DISABLE", COMMAND_DISABLE, COMMAND_CHANGE, ENVIRONMENT,
         "Takes no new clients (57P03) until ENABLE; those that are there go on."},
        {"ENABLE", COMMAND_ENABLE, COMMAND_CHANGE, ENVIRONMENT, "Ends DISABLE."},
        {"RECONNECT", COMMAND_RECONNECT, COMMAND_CHANGE, ENVIRONMENT,
         "Closes every server connection as soon as no client has it, and those that are idle at "
         "once; new ones take their place."},
        {"WAIT_CLOSE", COMMAND_WAIT_CLOSE, COMMAND_CHANGE, ENVIRONMENT,
         "Answers when every server connection that RECONNECT, RELOAD or a rotation has marked "
         "(close_needed in SHOW SERVERS) is closed."},
        {"KILL", COMMAND_KILL, COMMAND_CHANGE, ENVIRONMENT,
         "Ends every client and server connection at once (57P01), and pauses until RESUME."},
        {"KILL_CLIENT", COMMAND_KILL_CLIENT, COMMAND_CHANGE, CLIENT,
         "Ends one client at once (57P01)."},
        {"SET", COMMAND_SET, COMMAND_CHANGE, SETTING,
         "Changes a setting until RELOAD or the end of the broker. The key is one of SHOW CONFIG "
         "(`environments.prod.pool.pool_size`, also `prod.pool_size`), or without an environment "
         "(`pool.pool_size`, `pool_size`) that of all; the value is written as in the file."},
};
#define RULES (sizeof rules / sizeof *rules)

/* ---- HELP ---- */

static const struct snapshot_column help_columns[] = {
        {"command", 's', "The command; [environment] may be left out."},
        {"description", 's', "What it does, or what it shows."},
};

static void help_row(struct snapshot_rows *r, const char *before, const char *name,
                     const char *after, const char *description)
{
        char command[80];
        snprintf(command, sizeof command, "%s%s%s", before, name, after);
        snapshot_text(r, command);
        snapshot_text(r, description);
        snapshot_end(r);
}

static void help_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);
        (void) w;
        help_row(r, "SHOW ", r->of->name, "", r->of->description);
        for (size_t i = 0; i < count; i++)
                help_row(r, "SHOW ", shows[i]->name, "", shows[i]->description);
        for (size_t i = 0; i < RULES; i++)
                help_row(r, "", rules[i].name, follows[rules[i].follows].shown,
                         rules[i].description);
}

static const struct snapshot help = {
        .name = "HELP",
        .description = "Every command with what it does.",
        SNAPSHOT_OF(help_columns),
        .rows = help_rows,
};

/* ---- reading ---- */

static bool show(const struct command_words *w, bool former, struct command *out)
{
        const char *name = w->word[1].text;
        const struct snapshot *s = strcasecmp(name, help.name) == 0 ? &help : snapshot_find(name);
        if (!s || w->count != 2)
                return false;
        if (former && s->former)
                s = s->former;
        *out = (struct command){
                .kind = COMMAND_SHOW, .right = COMMAND_LOOK, .tag = "SHOW", .show = s};
        return true;
}

static const struct rule *find_rule(const struct command_words *w)
{
        for (size_t i = 0; i < RULES; i++) {
                if (command_starts(w, rules[i].name))
                        return &rules[i];
        }
        return NULL;
}

static enum command_verdict bad(struct command *out)
{
        *out = (struct command){0};
        return COMMAND_BAD;
}

/* KEY = VALUE, or KEY TO VALUE. */
static bool follow_setting(const struct command_words *w, size_t from, struct command *out)
{
        struct command_words key = *w;
        size_t i = from;
        while (i < w->count && i < COMMAND_WORDS && w->word[i].text[0] != '=' &&
               (w->word[i].kind != SQLTOKEN_WORD || strcasecmp(w->word[i].text, "TO") != 0))
                i++;
        if (i >= w->count || i >= COMMAND_WORDS)
                return false;
        key.count = i;
        return command_name(&key, from, out->argument, sizeof out->argument) &&
               command_rest(w, i, out->value, sizeof out->value);
}

/* The words from the given one on are what the rule says. */
static bool follow(const struct rule *rule, const struct command_words *w, size_t words,
                   struct command *out)
{
        char *argument = out->argument;
        switch (rule->follows) {
        case ENVIRONMENT:
                return w->count == words || command_name(w, words, argument, COMMAND_ARGUMENT);
        case CLIENT:
                return w->count == words + 1 &&
                       command_name(w, words, argument, COMMAND_ARGUMENT) &&
                       strlen(argument) < 20 && strspn(argument, "0123456789") == strlen(argument);
        case SETTING:
                return follow_setting(w, words, out);
        default:
                return w->count == words;
        }
}

static enum command_verdict apply(const struct rule *rule, const struct command_words *w,
                                  struct command *out, struct error *e)
{
        size_t words = command_starts(w, rule->name);
        *out = (struct command){.kind = rule->kind, .right = rule->right, .tag = rule->name};
        if (follow(rule, w, words, out))
                return COMMAND_READ;
        error_set(e, "42601", "%s takes %s", rule->name, follows[rule->follows].expected);
        return bad(out);
}

/* The SHOW or command that was probably meant; NULL: there is none like it. */
static const char *nearest(const char *word, bool after_show)
{
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);
        const char *best = NULL;
        unsigned least = 3;
        count = after_show ? count : RULES;
        for (size_t i = 0; i < count; i++) {
                const char *name = after_show ? shows[i]->name : rules[i].name;
                unsigned steps = setting_distance(word, name);
                if (steps < least) {
                        least = steps;
                        best = name;
                }
        }
        return best;
}

static enum command_verdict refuse(const struct command_words *w, struct command *out,
                                   struct error *e)
{
        bool after_show = command_starts(w, "SHOW") && w->count > 1;
        const char *word = w->word[after_show].text;
        const char *meant = nearest(word, after_show);
        if (after_show && strcasecmp(word, "FDS") == 0)
                error_set(e, "0A000", "SHOW FDS is not offered: it would show secrets");
        else if (after_show)
                error_set(e, "42704", "unrecognized configuration parameter \"%s\"", word);
        else
                error_set(e, "42601", "\"%s\" is not a command of the console", word);
        if (meant)
                error_hint(e, "%s%s is one; SHOW HELP lists all.", after_show ? "SHOW " : "",
                           meant);
        else
                error_hint(e, "SHOW HELP lists what is.");
        return bad(out);
}

enum command_verdict command_next(struct command_reader *r, struct command *out, struct error *e)
{
        struct command_words w;
        if (!command_words(r, &w, e)) {
                *out = (struct command){0};
                return error_is_set(e) ? COMMAND_BAD : COMMAND_END;
        }
        if (command_starts(&w, "SHOW") && show(&w, r->former, out))
                return COMMAND_READ;
        if (command_driver(&w, out))
                return COMMAND_READ;
        const struct rule *rule = find_rule(&w);
        return rule ? apply(rule, &w, out, e) : refuse(&w, out, e);
}

size_t command_columns(const struct command *c, const struct snapshot_column **columns)
{
        switch (c->kind) {
        case COMMAND_SHOW:
                *columns = c->show->columns;
                return c->show->column_count;
        case COMMAND_VALUE:
        case COMMAND_PARAMETER:
                *columns = &c->column;
                return 1;
        default:
                *columns = NULL;
                return 0;
        }
}

/* ---- the page ---- */

static const char *type_name(char letter)
{
        static const struct {
                char letter;
                const char *name;
        } types[] = {{'s', "text"},
                     {'i', "int4"},
                     {'q', "int8"},
                     {'N', "numeric"},
                     {'T', "timestamptz"}};
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
                if (types[i].letter == letter)
                        return types[i].name;
        }
        return "bool";
}

static void describe_show(const struct snapshot *s, FILE *to)
{
        fprintf(to, "\n### SHOW %s\n\n%s\n\n| column | type | what it is |\n|---|---|---|\n",
                s->name, s->description);
        for (size_t i = 0; i < s->column_count; i++)
                fprintf(to, "| `%s` | %s | %s |\n", s->columns[i].name,
                        type_name(s->columns[i].type), s->columns[i].description);
}

static void describe_former(FILE *to)
{
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);
        fputs("\n## For programs made for older PgBouncers\n\n"
              "A connection with the parameter `" COMMAND_FORMER "` (for programs on libpq: "
              "`PGOPTIONS=\"-c " COMMAND_FORMER "=on\"` in their environment) gets these columns "
              "besides, behind the others:\n\n| in | column | type | what it is |\n|---|---|---|---|\n",
              to);
        for (size_t i = 0; i < count; i++) {
                const struct snapshot *former = shows[i]->former;
                for (size_t j = shows[i]->column_count; former && j < former->column_count; j++)
                        fprintf(to, "| SHOW %s | `%s` | %s | %s |\n", former->name,
                                former->columns[j].name, type_name(former->columns[j].type),
                                former->columns[j].description);
        }
        fputs("\nDebian 12's prometheus-pgbouncer-exporter needs two of them, and does not start "
              "without (nor with PgBouncer 1.8 or later): "
              "`PGOPTIONS=\"-c " COMMAND_FORMER "=on\" prometheus-pgbouncer-exporter "
              "--pgbouncer-host /run/pgbroker --pgbouncer-port 5432`.\n",
              to);
}

static void describe_rules(FILE *to)
{
        fputs("\n## Commands\n\n| command | what it does |\n|---|---|\n", to);
        for (size_t i = 0; i < RULES; i++)
                fprintf(to, "| `%s%s` | %s |\n", rules[i].name, follows[rules[i].follows].shown,
                        rules[i].description);
}

static void describe_parameters(FILE *to)
{
        size_t count;
        const struct command_parameter *p = command_parameters(&count);
        fputs("\n## What drivers ask\n\nTransactions, `SET` of the usual session parameters, "
              "`RESET`, "
              "`DISCARD ALL`, `DEALLOCATE`, `SELECT 1`, `SELECT version()` and their like are "
              "answered "
              "as PostgreSQL would, and have no effect. `SHOW` knows these parameters: ",
              to);
        for (size_t i = 0; i < count; i++)
                fprintf(to, "%s`%s`", i ? ", " : "", p[i].name);
        fputs(".\n", to);
}

void command_describe(FILE *to)
{
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);
        fputs("# The console\n\n"
              "`psql \"host=/run/pgbroker dbname=pgbroker\"`, or any PostgreSQL driver, in the "
              "simple or the "
              "extended protocol; `dbname=pgbouncer` is the same. Only the broker's own user and "
              "those of "
              "`admin` may connect. This page is made from the tables of `command.c` and of the "
              "files "
              "beside `snapshot.c`; a test compares them.\n\n"
              "Commands and names of SHOW may be written in any case, several of them separated by "
              "semicolons. No password, key or secret value is ever shown.\n",
              to);
        describe_rules(to);
        describe_parameters(to);
        fputs("\n## What it shows\n\n"
              "The columns that PgBouncer has are PgBouncer's, in its order; `database` is the "
              "environment, "
              "`user` the server login.\n",
              to);
        describe_show(&help, to);
        for (size_t i = 0; i < count; i++)
                describe_show(shows[i], to);
        describe_former(to);
}
