#include "track/state.h"

#include <string.h>
#include <strings.h>
#include "base/own.h"

bool track_two_readings(const struct settings *wanted)
{
        static const char *const shifty[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC",
                                             "GB18030", "JOHAB"};
        const char *conforming = settings_get(wanted, "standard_conforming_strings");
        const char *encoding = settings_get(wanted, "client_encoding");
        if (conforming && strcmp(conforming, "on") != 0)
                return true;
        for (size_t i = 0; encoding && i < sizeof shifty / sizeof *shifty; i++) {
                if (strcasecmp(encoding, shifty[i]) == 0)
                        return true;
        }
        return false;
}

bool track_temporary_path(const struct settings *wanted)
{
        const char *path = settings_get(wanted, "search_path");
        return path && strcasestr(path, "pg_temp");
}

void track_server_init(struct track_server *t, struct settings *reported)
{
        memset(t, 0, sizeof *t);
        turns_init(&t->turns);
        prepared_init(&t->prepared);
        t->status = 'I';
        t->reported = reported;
        t->applied = settings_new();
        bytes_init(&t->audit_row, TRACK_AUDIT_MAX);
        bytes_init(&t->again.batch, 0);
}

void track_server_free(struct track_server *t)
{
        turns_free(&t->turns);
        prepared_free(&t->prepared);
        settings_unref(t->reported);
        settings_unref(t->applied);
        settings_unref(t->aligned);
        bytes_free(&t->audit_row);
        bytes_free(&t->again.batch);
        text_unref(t->again.tried);
        free(t->restore_reason);
        memset(t, 0, sizeof *t);
}

bool track_fresh(const struct track_client *c, const struct track_server *t)
{
        bool begun = t->status == 'T' && t->span.tags == t->span.begins;
        return (t->status == 'I' || begun) && !t->unsynced && turns_own_only(&t->turns) &&
               !(c->pins.kinds & PIN_BIT(PIN_UNNAMED));
}

void track_client_init(struct track_client *c, struct settings *told, struct settings *said,
                       struct settings *known, struct texts *texts, unsigned prepared)
{
        memset(c, 0, sizeof *c);
        c->wanted = settings_ref(told);
        c->startup = settings_ref(said);
        c->known = settings_ref(known);
        c->two_readings = track_two_readings(c->wanted);
        c->temporary_path = track_temporary_path(c->wanted);
        pins_init(&c->pins);
        statements_init(&c->statements);
        c->statements.texts = texts;
        c->statements.max = prepared;
}

void track_client_free(struct track_client *c)
{
        settings_unref(c->wanted);
        settings_unref(c->startup);
        settings_unref(c->own);
        settings_unref(c->known);
        settings_unref(c->touched);
        settings_unref(c->asked);
        pins_free(&c->pins);
        statements_free(&c->statements);
        free(c->lexer);
        if (c->question)
                bytes_free(&c->question->refusal);
        free(c->question);
        memset(c, 0, sizeof *c);
}

void track_client_note(struct track_client *c, uint32_t pins, const char *sql, size_t size)
{
        pins &= ~c->pins.kinds;
        if (pins && !c->two_readings)
                pins_note(&c->pins, pins, sql, size);
}
