/* A client and a server connection with only the tracking between them. Requests are sent with
 * ask_...(); what the server says is written as words, a type with its text each: "1 2 C:SELECT 1 ZI",
 * with an underscore for a blank (not in a parameter's name); the answer tells each one's fate: f forwarded, s swallowed, b bad. */
#ifndef PGB_TEST_STAGE_H
#define PGB_TEST_STAGE_H

#include "../base/cmocka_all.h"
#include <stdio.h>
#include "base/own.h"
#include "track/track.h"
#include "wire/compose.h"

struct stage {
        struct track_client c;
        struct track_server t;
        struct track_request q;         /* of the last request */
        enum track_verdict v;
        struct texts *texts;
        unsigned prepared;              /* how many statements a server may have */
        struct bytes before;            /* what went to the server ahead of requests, since it was read */
        struct bytes told;              /* what the client was told besides the server's replies */
        size_t replaced;                /* bytes of the last request that something else was sent for */
        char fates[256], text[4096];
};

static inline struct settings *settings_of(const char *const *pairs)
{
        struct settings *s = settings_new();
        for (; pairs[0]; pairs += 2)
                settings_put(&s, pairs[0], pairs[1]);
        return s;
}

static inline struct settings *reported_by_server(void)
{
        static const char *const pairs[] = {"server_version", "15.1", "TimeZone", "UTC", "DateStyle",
                                            "ISO, MDY", "application_name", "", "client_encoding", "UTF8",
                                            "standard_conforming_strings", "on", "session_authorization",
                                            "app", NULL};
        return settings_of(pairs);
}

static inline void stage_server(struct stage *s)
{
        track_server_init(&s->t, reported_by_server());
}

/* `said`: name, value, ..., NULL: the client's start parameters, beyond what servers report. */
static inline void stage_client(struct stage *s, const char *const *said)
{
        struct settings *known = reported_by_server(), *all = settings_ref(known), *own = NULL;
        for (; said && said[0]; said += 2) {
                settings_put(&all, said[0], said[1]);
                settings_put(&own, said[0], said[1]);
        }
        track_client_init(&s->c, all, own, known, s->texts, s->prepared);
        settings_unref(own);
        s->c.trying = true;             /* what is SET is seen without what ends all if it is refused */
        settings_unref(all);
        settings_unref(known);
}

static inline void stage_open(struct stage *s, const char *const *said)
{
        memset(s, 0, sizeof *s);
        bytes_init(&s->before, 0);
        bytes_init(&s->told, 0);
        s->texts = texts_new();
        s->prepared = 100;
        stage_server(s);
        stage_client(s, said);
}

static inline void stage_close(struct stage *s)
{
        track_client_free(&s->c);
        track_server_free(&s->t);
        texts_free(s->texts);
        bytes_free(&s->before);
        bytes_free(&s->told);
}

static inline void lend(struct stage *s, bool reset)
{
        track_lend(&s->c, &s->t, reset, &s->before, &s->told);
}

/* ---- requests ---- */

static inline size_t put_header(uint8_t *m, char type, size_t payload)
{
        uint32_t length = (uint32_t) payload + 4;
        m[0] = (uint8_t) type;
        for (int i = 0; i < 4; i++)
                m[1 + i] = (uint8_t) (length >> (24 - 8 * i));
        return 5 + payload;
}

/* A message, or a piece of one; the broker brings the server's parameters in line before, as needed. */
static inline enum track_verdict ask_piece(struct stage *s, const uint8_t *m, size_t size, bool begins,
                                           bool ends, uint64_t length, char type)
{
        struct error e = {0};
        struct frame_piece piece = {.type = (uint8_t) type, .begins = begins, .ends = ends,
                                    .messages = ends, .length = length, .data = m, .size = size};
        s->v = track_look(&s->c, &s->t, &piece, &s->q, &e);
        if (s->v != TRACK_FORWARD)
                return s->v;
        if (begins && s->t.aligned != s->c.wanted && track_idle(&s->t))
                track_realign(&s->c, &s->t, &s->before, &s->told);
        s->replaced = track_send(&s->c, &s->t, &s->q, &piece, &s->before);
        if (s->replaced)                /* what was put in its place is whole only with the rest */
                bytes_append(&s->before, m + s->replaced, size - s->replaced);
        return s->v;
}

static inline enum track_verdict ask_bytes(struct stage *s, char type, const void *payload, size_t n)
{
        uint8_t *m = own_alloc(n + 5);
        if (n)
                memcpy(m + 5, payload, n);
        size_t size = put_header(m, type, n);
        enum track_verdict v = ask_piece(s, m, size, true, true, size, type);
        free(m);
        return v;
}

static inline void ask(struct stage *s, char type)
{
        ask_bytes(s, type, NULL, 0);
}

static inline void ask_query(struct stage *s, const char *sql)
{
        ask_bytes(s, 'Q', sql, strlen(sql) + 1);
}

static inline void ask_parse(struct stage *s, const char *name, const char *sql)
{
        char payload[1024] = {0};
        strcpy(stpcpy(payload, name) + 1, sql);
        ask_bytes(s, 'P', payload, strlen(name) + strlen(sql) + 4);
}

static inline void ask_bind(struct stage *s, const char *portal, const char *name)
{
        char payload[128] = {0};
        strcpy(stpcpy(payload, portal) + 1, name);
        ask_bytes(s, 'B', payload, strlen(portal) + strlen(name) + 8);
}

static inline void ask_execute(struct stage *s, const char *portal)
{
        char payload[64] = {0};
        strcpy(payload, portal);
        ask_bytes(s, 'E', payload, strlen(portal) + 5);
}

/* Describe or Close, of 'S' or 'P'. */
static inline void ask_target(struct stage *s, char type, char kind, const char *name)
{
        char payload[128] = {kind};
        strcpy(payload + 1, name);
        ask_bytes(s, type, payload, strlen(name) + 2);
}

/* Parse, Bind and Execute of the unnamed statement, and Sync. */
static inline void ask_extended(struct stage *s, const char *sql)
{
        ask_parse(s, "", sql);
        ask_bind(s, "", "");
        ask_execute(s, "");
        ask(s, 'S');
}

/* ---- replies ---- */

static inline enum track_verdict hear(struct stage *s, struct track_client *c, const uint8_t *m,
                                      size_t size)
{
        struct frame_piece piece = {.type = m[0], .begins = true, .ends = true, .messages = 1,
                                    .length = size, .data = m, .size = size};
        return track_reply(c, &s->t, &piece, &s->told);
}

/* An ErrorResponse with these fields, each behind its letter and with its NUL. */
static inline enum track_verdict hear_error(struct stage *s, const char *fields, size_t size)
{
        uint8_t m[256];
        assert_true(size <= sizeof m - 5);
        memcpy(m + 5, fields, size);
        return hear(s, &s->c, m, put_header(m, 'E', size));
}

/* Columns with a bar between them; a tilde is NULL. */
static inline size_t put_row(const char *text, uint8_t *p)
{
        size_t n = 2;
        p[0] = p[1] = 0;
        for (;; text++) {
                size_t length = strcspn(text, "|");
                bool null = *text == '~';
                memcpy(p + n, null ? "\377\377\377\377" : "\0\0\0", 4);
                p[n + 3] = null ? 0xff : (uint8_t) length;
                memcpy(p + n + 4, text, null ? 0 : length);
                n += 4 + (null ? 0 : length);
                p[1]++;
                text += length;
                if (!*text)
                        return n;
        }
}

/* The payload of the word behind its type. */
static inline size_t put_payload(char type, const char *text, uint8_t *p)
{
        switch (type) {
        case 'Z':
                *p = (uint8_t) *text;
                return 1;
        case 'C':
                return (size_t) sprintf((char *) p, "%s", text) + 1;
        case 'E':
        case 'N':
                return (size_t) sprintf((char *) p, "SERROR%cV%s%cC22000%cMbad%c", 0,
                                        *text ? text : "ERROR", 0, 0, 0) + 1;
        case 'S':
                return (size_t) sprintf((char *) p, "%.*s%c%s", (int) strcspn(text, "="), text, 0,
                                        strchr(text, '=') + 1) + 1;
        case 'D':
                return put_row(text, p);
        case 'A':
                memcpy(p, "\0\0\0\1a\0\0", 7);
                return 7;
        case 'T':
        case 't':
                memcpy(p, "\0\0", 2);
                return 2;
        case 'V':
                memcpy(p, "\377\377\377\377", 4);
                return 4;
        case 'G':
        case 'H':
                memcpy(p, "\0\0\0", 3);
                return 3;
        case 'd':
                memcpy(p, "1\n", 2);
                return 2;
        default:
                return 0;
        }
}

/* The server says this. */
static inline const char *says_to(struct stage *s, struct track_client *c, const char *words)
{
        static const char fate[] = {[TRACK_FORWARD] = 'f', [TRACK_SWALLOW] = 's', [TRACK_BAD] = 'b'};
        size_t n = 0;
        for (; *words; words += strspn(words, " ")) {
                uint8_t m[512];
                char text[256];
                size_t length = strcspn(words, " ");
                snprintf(text, sizeof text, "%.*s", (int) length, words);
                for (char *p = *text == 'S' ? strchr(text, '=') : text; *p; p++)
                        *p = *p == '_' ? ' ' : *p;
                size_t size = put_payload(*text, text + 1 + (text[1] == ':'), m + 5);
                s->fates[n++] = fate[hear(s, c, m, put_header(m, *text, size))];
                words += length;
        }
        s->fates[n] = 0;
        return s->fates;
}

static inline const char *says(struct stage *s, const char *words)
{
        return says_to(s, &s->c, words);
}

/* ---- what else went where ---- */

/* Messages as words: a Query and a Parse with their text, a ParameterStatus with what it says. */
static inline const char *words_of(struct stage *s, struct bytes *b)
{
        size_t n = 0, at = 0, size;
        s->text[0] = 0;
        for (; at < bytes_length(b); at += size) {
                const uint8_t *m = bytes_data(b) + at;
                size = 1 + (size_t) frame_get32(m + 1);
                const char *first = (const char *) m + 5;
                n += (size_t) sprintf(s->text + n, "%s%c", n ? " " : "", m[0]);
                if (m[0] == 'Q')
                        n += (size_t) sprintf(s->text + n, ":%s", first);
                if (m[0] == 'P' || m[0] == 'S')
                        n += size > 5 ? (size_t) sprintf(s->text + n, ":%s=%s", first,
                                                         first + strlen(first) + 1) : 0;
        }
        bytes_free(b);
        return s->text;
}

/* What the broker has sent to the server of its own, since the last time. */
static inline const char *sent_first(struct stage *s)
{
        return words_of(s, &s->before);
}

/* What it has told the client of its own. */
static inline const char *told(struct stage *s)
{
        return words_of(s, &s->told);
}

static inline bool lendable(const struct stage *s)
{
        return track_lendable(&s->c, &s->t);
}

static inline const char *reason(const struct stage *s)
{
        return pins_reason(&s->c.pins);
}

/* A whole exchange that succeeds. */
static inline void done(struct stage *s, const char *sql, const char *words)
{
        ask_query(s, sql);
        assert_null(strchr(says(s, words), 'b'));
}

#endif
