#include "wire/startup.h"

#include <string.h>
#include <strings.h>

enum {
        TLS_RECORD = 0x16,
        CODE_MAJOR = 1234,              /* no version: a request of another kind */
        CODE_SUCCESSOR = 5431,
        CODE_CANCEL = 5678,
        CODE_SSL = 5679,
        CODE_GSSENC = 5680,
        LONGEST_KEY = 256
};

static enum frame_verdict bad(struct error *e, const char *what)
{
        error_set(e, "08P01", "invalid startup packet: %s", what);
        return FRAME_BAD;
}

static enum frame_verdict read_code(const uint8_t *p, struct startup *s, uint16_t code,
                                    struct error *e)
{
        if (code == CODE_CANCEL) {
                if (s->size < 16 || s->size > 12 + LONGEST_KEY)
                        return bad(e, "a cancel request needs a key of 4 to 256 bytes");
                s->kind = STARTUP_CANCEL;
                s->cancel_pid = frame_get32(p + 8);
                s->cancel_key = p + 12;
                s->cancel_key_size = s->size - 12;
                return FRAME_READY;
        }
        if (s->size != 8)
                return bad(e, "a request of this kind is 8 bytes long");
        s->kind = code == CODE_SSL      ? STARTUP_SSL
                  : code == CODE_GSSENC ? STARTUP_GSSENC
                                        : STARTUP_SUCCESSOR;
        return FRAME_READY;
}

/* Takes the text at *p and moves behind its NUL; NULL if there is none before the end. */
static const char *take_text(const uint8_t **p, const uint8_t *end)
{
        const uint8_t *nul = memchr(*p, 0, (size_t) (end - *p));
        if (!nul)
                return NULL;
        const char *text = (const char *) *p;
        *p = nul + 1;
        return text;
}

static enum frame_verdict read_parameters(const uint8_t *p, struct startup *s, struct error *e)
{
        const uint8_t *end = p + s->size;
        p += 8;
        for (;;) {
                const char *name = take_text(&p, end);
                if (!name)
                        return bad(e, "no terminator as its last byte");
                if (!*name)
                        break;
                const char *value = take_text(&p, end);
                if (!value)
                        return bad(e, "a parameter without a value");
                if (s->count == STARTUP_MAX_PARAMETERS)
                        return bad(e, "more than 128 parameters");
                s->parameters[s->count++] = (struct startup_parameter){name, value};
                if (strncmp(name, "_pq_.", 5) == 0)
                        s->unknown_options++;
        }
        return p == end ? FRAME_READY : bad(e, "bytes behind its terminator");
}

enum frame_verdict startup_read(const uint8_t *p, size_t n, struct startup *s, struct error *e)
{
        s->size = s->count = s->unknown_options = s->cancel_key_size = 0;
        s->major = s->minor = 0;
        s->cancel_pid = 0;
        s->cancel_key = NULL;
        if (n == 0)
                return FRAME_SHORT;
        if (p[0] == TLS_RECORD) {
                s->kind = STARTUP_TLS_HELLO;
                return FRAME_READY;
        }
        if (p[0] != 0)          /* no packet is that long: some other protocol */
                return bad(e, "this is not the PostgreSQL protocol");
        if (n < 4)
                return FRAME_SHORT;
        s->size = frame_get32(p);
        if (s->size < 8 || s->size > STARTUP_MAX)
                return bad(e, "its length is out of bounds");
        if (n < 8)
                return FRAME_SHORT;
        uint16_t major = frame_get16(p + 4), minor = frame_get16(p + 6);
        bool code = major == CODE_MAJOR &&
                    (minor == CODE_SUCCESSOR || (minor >= CODE_CANCEL && minor <= CODE_GSSENC));
        if (!code && major != 3) {
                error_set(e, "0A000", "unsupported frontend protocol %u.%u: "
                          "3.0 to 3.2 are supported", major, minor);
                return FRAME_BAD;
        }
        if (n < s->size)
                return FRAME_SHORT;
        if (code)
                return read_code(p, s, minor, e);
        s->kind = STARTUP_SESSION;
        s->major = major;
        s->minor = minor;
        return read_parameters(p, s, e);
}

const char *startup_get(const struct startup *s, const char *name)
{
        for (size_t i = s->count; i-- > 0;)
                if (strcmp(s->parameters[i].name, name) == 0)
                        return s->parameters[i].value;
        return NULL;
}

/* --- the parameter "options" --- */

struct argument {
        const char *next;               /* what is left of the options */
        size_t size;
        char text[STARTUP_MAX];
};

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next argument, unescaped. At the end: `none` is set. False: it is too long. */
static bool next_argument(struct argument *a, bool *none)
{
        const char *p = a->next;
        while (is_blank(*p))
                p++;
        *none = !*p;
        a->size = 0;
        for (; *p && !is_blank(*p); p++) {
                if (*p == '\\' && *++p == 0)    /* a last backslash stands for nothing */
                        break;
                if (a->size + 1 == sizeof a->text)
                        return false;
                a->text[a->size++] = *p;
        }
        a->text[a->size] = 0;
        a->next = p;
        return true;
}

/* Reads `name=value`, in place. */
static bool assignment(char *text, option_found *found, void *arg, struct error *e)
{
        char *equals = strchr(text, '=');
        if (!equals)
                return error_set(e, "42601", "option \"%s\" requires a value", text);
        if (equals == text)
                return error_set(e, "42601", "option \"%s\" has no name", text);
        *equals = 0;
        for (char *c = text; *c; c++)
                if (*c == '-')
                        *c = '_';
        found(arg, text, equals + 1);
        return true;
}

/* A letter and what it stands for: a parameter's value, NULL: the argument; or what the argument begins with. */
static const struct {
        char letter;
        const char *argument;           /* "": any; NULL: it has none */
        const char *name, *value;
} switches[] = {
        {'e', NULL, "DateStyle", "euro"},
        {'s', NULL, "log_statement_stats", "true"},
        {'O', NULL, "allow_system_table_mods", "true"},
        {'P', NULL, "ignore_system_indexes", "true"},
        {'F', NULL, "fsync", "false"},
        {'S', "", "work_mem", NULL},
        {'B', "", "shared_buffers", NULL},
        {'N', "", "max_connections", NULL},
        {'W', "", "post_auth_delay", NULL},
        {'f', "s", "enable_seqscan", "false"},
        {'f', "i", "enable_indexscan", "false"},
        {'f', "o", "enable_indexonlyscan", "false"},
        {'f', "b", "enable_bitmapscan", "false"},
        {'f', "t", "enable_tidscan", "false"},
        {'f', "n", "enable_nestloop", "false"},
        {'f', "m", "enable_mergejoin", "false"},
        {'f', "h", "enable_hashjoin", "false"},
        {'t', "pa", "log_parser_stats", "true"},
        {'t', "pl", "log_planner_stats", "true"},
        {'t', "e", "log_executor_stats", "true"},
};

enum { SWITCHES = sizeof switches / sizeof *switches };

static int find_switch(char letter, const char *argument)
{
        for (int i = 0; i < SWITCHES; i++) {
                const char *wanted = switches[i].argument;
                if (switches[i].letter == letter &&
                    (!argument || !wanted || strncmp(argument, wanted, strlen(wanted)) == 0))
                        return i;
        }
        return SWITCHES;
}

/* One argument of letters, as getopt() reads it; an option's own argument may be the next one. */
static bool take_switches(struct argument *a, option_found *found, void *arg, struct error *e)
{
        char letters[STARTUP_MAX];
        memcpy(letters, a->text, a->size + 1);
        for (const char *p = letters + 1; *p; p++) {
                int i = find_switch(*p, NULL);
                bool none = false, takes = i < SWITCHES && switches[i].argument;
                const char *value = takes ? p + 1 : NULL;
                if (takes && !*value) {
                        if (!next_argument(a, &none))
                                return error_set(e, "42601", "an option is too long");
                        value = a->text;
                }
                if (takes)
                        i = none ? SWITCHES : find_switch(*p, value);
                if (i == SWITCHES) {
                        error_set(e, "42601", "invalid command-line argument for server process: %s", letters);
                        return error_hint(e, "-c name=value and --name=value are taken, and PostgreSQL's letters for "
                                             "parameters: -e -f -S -s -t and the like.");
                }
                found(arg, switches[i].name, switches[i].value ? switches[i].value : value);
                if (takes)
                        return true;
        }
        return true;
}

bool startup_options(const char *options, option_found *found, void *arg, struct error *e)
{
        struct argument a = {.next = options};
        for (bool none;;) {
                if (!next_argument(&a, &none))
                        return error_set(e, "42601", "an option is too long");
                if (none)
                        return true;
                char *text = a.text;
                if (strcmp(text, "-c") == 0) {
                        if (!next_argument(&a, &none))
                                return error_set(e, "42601", "an option is too long");
                        if (none)
                                return error_set(e, "42601", "switch -c requires name=value");
                } else if (strncmp(text, "-c", 2) == 0 || strncmp(text, "--", 2) == 0) {
                        text += 2;
                } else if (text[0] == '-' && text[1]) {
                        if (!take_switches(&a, found, arg, e))
                                return false;
                        continue;
                } else {
                        return error_set(e, "42601", "invalid command-line argument for server process: %s", text);
                }
                if (!assignment(text, found, arg, e))
                        return false;
        }
}

bool startup_only(const char *name)
{
        static const char *const names[] = {"ignore_system_indexes", "post_auth_delay", "jit_debugging_support",
                                            "jit_profiling_support", "log_connections", "log_disconnections",
                                            "local_preload_libraries", "session_preload_libraries"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if (strcasecmp(name, names[i]) == 0)
                        return true;
        }
        return false;
}

/* ---- replication ---- */

/* Is it this word, or the beginning of it? PostgreSQL takes that, too, from so many letters on. */
static bool begins(const char *word, const char *value, size_t least)
{
        size_t n = strlen(value);
        return n >= least && strncasecmp(word, value, n) == 0;
}

enum replication startup_replication(const char *value)
{
        if (strcmp(value, "database") == 0)
                return REPLICATION_LOGICAL;
        return begins("false", value, 1) || begins("no", value, 1) || begins("off", value, 2) ||
                               strcmp(value, "0") == 0
                       ? REPLICATION_NONE
                       : REPLICATION_PHYSICAL;
}

const char *replication_name(enum replication r)
{
        static const char *const names[] = {
#define X(name, label) [REPLICATION_##name] = label,
                REPLICATIONS(X)
#undef X
        };
        return names[r];
}
