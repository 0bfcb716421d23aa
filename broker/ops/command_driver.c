#include "ops/command_driver.h"

#include <string.h>
#include <strings.h>

/* As of PostgreSQL 15: drivers read what they may use from it. */
#define SERVER_VERSION "15.0"

static const struct command_parameter parameters[] = {
        {"server_version", SERVER_VERSION " (pgbroker " PGBROKER_VERSION ")", true},
        {"server_encoding", "UTF8", true},
        {"client_encoding", "UTF8", true},
        {"standard_conforming_strings", "on", true},
        {"integer_datetimes", "on", true},
        {"DateStyle", "ISO, MDY", true},
        {"IntervalStyle", "postgres", true},
        {"TimeZone", "UTC", true},
        {"application_name", "", true},
        {"is_superuser", "off", true},
        {"session_authorization", "", true},
        {"in_hot_standby", "off", true},
        {"default_transaction_read_only", "off", true},
        {"server_version_num", "150000", false},
        {"transaction_isolation", "read committed", false},
        {"default_transaction_isolation", "read committed", false},
        {"transaction_read_only", "off", false},
        {"search_path", "public", false},
        {"max_identifier_length", "63", false},
        {"bytea_output", "hex", false},
};

const struct command_parameter *command_parameters(size_t *count)
{
        *count = sizeof parameters / sizeof *parameters;
        return parameters;
}

/* Other spellings of SHOW name. */
static const struct {
        const char *pattern, *name;
} spellings[] = {
        {"SHOW TIME ZONE", "TimeZone"},
        {"SHOW TRANSACTION ISOLATION LEVEL", "transaction_isolation"},
        {"SHOW SESSION AUTHORIZATION", "session_authorization"},
};

/* What SET is taken for, whatever the value. */
static const char *const set[] = {
        "application_name",
        "bytea_output",
        "client_encoding",
        "client_min_messages",
        "DateStyle",
        "default_transaction_deferrable",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "extra_float_digits",
        "idle_in_transaction_session_timeout",
        "IntervalStyle",
        "jit",
        "lock_timeout",
        "names",
        "search_path",
        "session",
        "standard_conforming_strings",
        "statement_timeout",
        "time",
        "TimeZone",
        "transaction",
        "transaction_isolation",
};

/* What starts like this has no effect; the first that fits counts. */
static const struct {
        const char *pattern, *tag;
        enum command_kind kind;
} statements[] = {
        {"BEGIN", "BEGIN", COMMAND_BEGIN},
        {"START TRANSACTION", "START TRANSACTION", COMMAND_BEGIN},
        {"COMMIT", "COMMIT", COMMAND_COMMIT},
        {"END", "COMMIT", COMMAND_COMMIT},
        {"ROLLBACK TO", "ROLLBACK", COMMAND_NOTED},
        {"ROLLBACK WORK TO", "ROLLBACK", COMMAND_NOTED},
        {"ROLLBACK TRANSACTION TO", "ROLLBACK", COMMAND_NOTED},
        {"ROLLBACK", "ROLLBACK", COMMAND_COMMIT},
        {"ABORT", "ROLLBACK", COMMAND_COMMIT},
        {"SAVEPOINT", "SAVEPOINT", COMMAND_NOTED},
        {"RELEASE", "RELEASE", COMMAND_NOTED},
        {"RESET", "RESET", COMMAND_NOTED},
        {"CLOSE ALL", "CLOSE CURSOR ALL", COMMAND_NOTED},
        {"UNLISTEN", "UNLISTEN", COMMAND_NOTED},
        {"DISCARD ALL", "DISCARD ALL", COMMAND_DEALLOCATE},
        {"DEALLOCATE ALL", "DEALLOCATE ALL", COMMAND_DEALLOCATE},
        {"DEALLOCATE PREPARE ALL", "DEALLOCATE ALL", COMMAND_DEALLOCATE},
};

/* Questions with one answer. */
static const struct {
        const char *pattern, *column;
        char type;
        const char *value;
} questions[] = {
        {"SELECT version ( )", "version", 's',
         "PostgreSQL " SERVER_VERSION " (pgbroker " PGBROKER_VERSION ")"},
        {"SELECT pg_catalog . version ( )", "version", 's',
         "PostgreSQL " SERVER_VERSION " (pgbroker " PGBROKER_VERSION ")"},
        {"SELECT current_schema ( )", "current_schema", 's', "public"},
        {"SELECT pg_catalog . current_schema ( )", "current_schema", 's', "public"},
        {"SELECT current_database ( )", "current_database", 's', "pgbroker"},
        {"SELECT pg_is_in_recovery ( )", "pg_is_in_recovery", 'b', "f"},
        {"SELECT pg_catalog . pg_is_in_recovery ( )", "pg_is_in_recovery", 'b', "f"},
        {"SELECT pg_advisory_unlock_all ( )", "pg_advisory_unlock_all", 's', ""},
};

static bool answer(struct command *out, enum command_kind kind, const char *tag, const char *column,
                   char type, const char *value)
{
        *out = (struct command){
                .kind = kind, .right = COMMAND_LOOK, .tag = tag, .column = {column, type, ""}};
        snprintf(out->value, sizeof out->value, "%s", value);
        return true;
}

static bool show_parameter(const char *name, struct command *out)
{
        for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
                const struct command_parameter *p = &parameters[i];
                if (strcasecmp(p->name, name) == 0)
                        return answer(out, COMMAND_PARAMETER, "SHOW", p->name, 's', p->value);
        }
        return false;
}

static bool show(const struct command_words *w, struct command *out)
{
        for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
                if (command_is(w, spellings[i].pattern))
                        return show_parameter(spellings[i].name, out);
        }
        return w->count == 2 && command_starts(w, "SHOW") && show_parameter(w->word[1].text, out);
}

static bool question(const struct command_words *w, struct command *out)
{
        const struct command_word *number = &w->word[1];
        if (w->count == 2 && command_starts(w, "SELECT") && number->kind == SQLTOKEN_NUMBER &&
            *number->text && strlen(number->text) < 10 && !strchr(number->text, '.'))
                return answer(out, COMMAND_VALUE, "SELECT 1", "?column?", 'i', number->text);
        for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
                if (command_is(w, questions[i].pattern))
                        return answer(out, COMMAND_VALUE, "SELECT 1", questions[i].column,
                                      questions[i].type, questions[i].value);
        }
        return false;
}

static bool noted(struct command *out, enum command_kind kind, const char *tag)
{
        *out = (struct command){.kind = kind, .right = COMMAND_LOOK, .tag = tag};
        return true;
}

static bool setting(const struct command_words *w, struct command *out)
{
        size_t name = command_starts(w, "SET");
        if (!name)
                return false;
        if (w->count > 2 && (command_starts(w, "SET SESSION") || command_starts(w, "SET LOCAL")) &&
            !command_starts(w, "SET SESSION CHARACTERISTICS"))
                name = 2;
        if (name >= w->count)
                return false;
        for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
                if (w->word[name].kind == SQLTOKEN_WORD &&
                    strcasecmp(w->word[name].text, set[i]) == 0)
                        return noted(out, COMMAND_NOTED, "SET");
        }
        return false;
}

static bool deallocate(const struct command_words *w, struct command *out)
{
        size_t name = command_starts(w, "DEALLOCATE PREPARE");
        if (!name)
                name = command_starts(w, "DEALLOCATE");
        if (!name || name >= w->count)
                return false;
        noted(out, COMMAND_DEALLOCATE, "DEALLOCATE");
        return command_name(w, name, out->argument, sizeof out->argument);
}

bool command_driver(const struct command_words *w, struct command *out)
{
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
                if (command_starts(w, statements[i].pattern))
                        return noted(out, statements[i].kind, statements[i].tag);
        }
        return show(w, out) || question(w, out) || setting(w, out) || deallocate(w, out);
}
