/* A few clients share fewer servers through the broker's tracking, and each has a PostgreSQL of its
 * own beside it that hears the same requests directly: the client must not be able to tell the
 * difference. The part of the broker around the tracking is done here as its relay and pool do it.
 *
 * A script says what happens next, a letter and a few digits for each step (world_act()). What must
 * hold is said with expect(). */
#ifndef PGB_TEST_WORLD_H
#define PGB_TEST_WORLD_H

#include "postgres.h"
#include "track/again.h"
#include "track/audit.h"
#include "track/fit.h"
#include "track/track.h"
#include "wire/compose.h"
#include "wire/reply.h"

#define WORLD_CLIENTS 3
#define WORLD_SERVERS 2
#define WORLD_HOLD    48                /* a message with more than this may come in pieces */

struct world_server {
        enum { SERVER_IDLE, SERVER_LENT, SERVER_CLEANING } state;
        struct pg pg;
        struct track_server track;
        struct frame_cutter cutter;
        bool used;
        unsigned last_uid;
};

struct world_client {
        bool there;
        int id;
        unsigned uid;
        struct track_client track;
        struct frame_cutter cutter;
        struct world_server *server;
        struct bytes sent, heard;       /* to and from the broker */
        struct pg direct;
        uint8_t told[PG_SETTINGS], told_directly[PG_SETTINGS];
        bool listened;                  /* LISTEN was sent */
        bool altered;                   /* tables have been, since it came */
        bool loose;                     /* its settings may differ from here on: see world_judge() */
        bool diverged;                  /* its replies may, too */
        bool waiting;
};

struct world {
        struct world_client client[WORLD_CLIENTS];
        struct world_server server[WORLD_SERVERS];
        struct settings *known;         /* what servers report after login */
        struct texts *texts;
        unsigned ledger[PG_OWNERS], ledger_directly[PG_OWNERS];
        int lives, turn, version;
        unsigned altered;               /* how often tables have been */
        unsigned lent, cleaned, closed, audits, heard, held, again;    /* how much has happened */
};

/* ---- servers ---- */

static inline struct settings *world_reported(const struct pg *p)
{
        char version[16];
        struct settings *s = settings_new();
        snprintf(version, sizeof version, "15.%d", p->version);
        settings_put(&s, "server_version", version);
        for (unsigned i = 0; i < PG_SETTINGS; i++) {
                if (pg_parameters[i].reported)
                        settings_put(&s, pg_parameters[i].name,
                                     pg_parameters[i].values[p->reported[i]]);
        }
        return s;
}

static inline void world_server_open(struct world *w, struct world_server *s)
{
        memset(s, 0, sizeof *s);
        pg_init(&s->pg, w->version++ % 3, NULL);
        s->pg.eager = w->version & 4;
        s->pg.ledger = w->ledger;
        s->pg.altered = &w->altered;
        s->pg.borrower = PG_OWNERS;     /* nobody's statements */
        track_server_init(&s->track, world_reported(&s->pg));
}

static inline void world_server_close(struct world *w, struct world_server *s)
{
        w->closed++;
        track_server_free(&s->track);
        pg_free(&s->pg);
        world_server_open(w, s);
}

/* Nothing but changed parameters, which may come at any time. */
static inline bool world_says_only_status(const struct bytes *b)
{
        for (size_t at = 0; at < bytes_length(b); at += 1 + (size_t) frame_get32(bytes_data(b) + at + 1)) {
                if (bytes_data(b)[at] != 'S')
                        return false;
        }
        return true;
}

/* The named statements that are there are those that the broker knows of, with these texts. */
static inline void world_statements(struct world_server *s)
{
        size_t at = 0;
        const char *name;
        void *value;
        unsigned known = 0, there = 0;
        expect(s->track.prepared.change_count == 0);
        for (unsigned i = 1; i < PG_NAMED; i++)
                there += s->pg.statement[i].there;
        while (s->track.prepared.there && map_next(s->track.prepared.there, &at, &name, &value)) {
                struct prepared_one *one = value;
                struct pg_statement *statement = pg_named(&s->pg, name);
                expect(one->pending == 0 && ++known && statement->there);
                expect(!one->text->key || strcmp(statement->sql, pg_without_padding((const char *) one->text->body)) == 0);
        }
        expect(s->track.soiled || known == there);
}

/* What the next one would find of others' sessions: nothing. */
static inline void world_server_idles(struct world_server *s)
{
        struct pg *p = &s->pg;
        while (pg_step(p))
                continue;
        expect(!bytes_length(&p->in) && world_says_only_status(&p->out) && frame_at_border(&s->cutter));
        expect(!p->dead && !p->copying && !p->skipping && p->tx == 'N');
        for (unsigned i = 0; i < PG_SETTINGS; i++) {
                const char *name = pg_parameters[i].name, *is = pg_parameters[i].values[p->now.set[i]];
                const char *thought = settings_get(pg_parameters[i].reported ? s->track.reported
                                                                             : s->track.applied, name);
                expect(s->track.soiled || strcmp(is, thought ? thought : pg_parameters[i].values[0]) == 0);
        }
        if (!s->track.soiled)
                expect(!p->now.listen && !p->now.temp && !p->now.cursor && !p->lock && !p->sequence &&
                       !p->prepared);
        world_statements(s);
        s->state = SERVER_IDLE;
        p->borrower = PG_OWNERS;
}

/* ---- what a client hears ---- */

static inline bool world_next(const struct bytes *b, size_t *size)
{
        *size = bytes_length(b) < 5 ? 5 : 1 + (size_t) frame_get32(bytes_data(b) + 1);
        return bytes_length(b) >= *size;
}

static inline void world_status(uint8_t *told, const uint8_t *message, size_t size)
{
        struct reply_parameter r;
        expect(reply_parameter(message + 5, size - 5, &r) == FRAME_READY);
        int s = pg_find_setting(r.name), v = s < 0 ? -1 : pg_find_value((unsigned) s, r.value);
        if (s >= 0)
                told[s] = (uint8_t) v;
}

static inline void world_compare(struct world_client *c, const uint8_t *message, size_t size)
{
        size_t n;
        struct bytes *direct = &c->direct.out;
        bool loose = c->loose || c->direct.reset_ran;
        while (world_next(direct, &n) && *bytes_data(direct) == 'S') {
                world_status(c->told_directly, bytes_data(direct), n);
                bytes_consume(direct, n);
        }
        expect(world_next(direct, &n) && *bytes_data(direct) == *message);
        expect((loose && *message == 'N') || (n == size && !memcmp(bytes_data(direct), message, n)));
        bytes_consume(direct, n);
        if (*message == 'Z' && !loose)
                expect(memcmp(c->told, c->told_directly, sizeof c->told) == 0);
}

static inline void world_hear(struct world *w, struct world_client *c)
{
        size_t n;
        for (; world_next(&c->heard, &n); bytes_consume(&c->heard, n)) {
                const uint8_t *message = bytes_data(&c->heard);
                w->heard++;
                if (*message == 'S')
                        world_status(c->told, message, n);
                else if (*message == 'A')
                        expect(c->listened);
                else if (!c->diverged)
                        world_compare(c, message, n);
        }
}

/* Everything that was asked has been answered, or the client waits for a server. */
static inline bool world_content(const struct world_client *c)
{
        return world_says_only_status(&c->direct.out) && bytes_length(&c->sent) == 0;
}

/* ---- the broker: servers lent and taken back ---- */

static inline void world_send(struct bytes *to, struct bytes *b)
{
        bytes_append(to, bytes_data(b), bytes_length(b));
        bytes_free(b);
}

static inline struct world_server *world_idle(struct world *w)
{
        for (int i = 0; i < WORLD_SERVERS; i++) {
                struct world_server *s = &w->server[(w->turn + i) % WORLD_SERVERS];
                if (s->state != SERVER_IDLE)
                        continue;
                w->turn = (w->turn + i + 1) % WORLD_SERVERS;
                return s;
        }
        return NULL;
}

static inline bool world_lend(struct world *w, struct world_client *c)
{
        struct bytes first, tell;
        struct world_server *s = world_idle(w);
        c->waiting = !s;
        if (!s)
                return false;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        s->state = SERVER_LENT;
        s->pg.borrower = c->id;
        c->server = s;
        track_lend(&c->track, &s->track, s->used && s->last_uid != c->uid, &first, &tell);
        world_send(&s->pg.in, &first);
        world_send(&c->heard, &tell);
        s->last_uid = c->uid;
        s->used = true;
        w->lent++;
        return true;
}

static inline bool world_done(const struct world_client *c)
{
        return frame_at_border(&c->cutter) && frame_at_border(&c->server->cutter) &&
               track_lendable(&c->track, &c->server->track);
}

static inline void world_quiet(struct world *w, struct world_client *c)
{
        struct bytes out;
        struct world_server *s = c->server;
        bytes_init(&out, 0);
        if (frame_at_border(&c->cutter) && track_audit(&c->track, &s->track, &out)) {
                world_send(&s->pg.in, &out);
                w->audits++;
        } else if (world_done(c)) {
                world_server_idles(s);
                c->server = NULL;
        }
}

static inline void world_leave(struct world *w, struct world_client *c)
{
        struct bytes out;
        struct world_server *s = c->server;
        bytes_init(&out, 0);
        if (s && (!frame_at_border(&s->cutter) || !track_clean(&c->track, &s->track, &out))) {
                world_server_close(w, s);
        } else if (s && bytes_length(&out)) {
                w->cleaned++;
                s->state = SERVER_CLEANING;
                s->pg.borrower = PG_OWNERS;
                world_send(&s->pg.in, &out);
                while (pg_step(&s->pg))
                        continue;
        } else if (s) {
                world_server_idles(s);
        }
        expect(c->diverged || w->ledger[c->id] <= w->ledger_directly[c->id]);
        track_client_free(&c->track);
        bytes_free(&c->sent);
        bytes_free(&c->heard);
        bytes_free(&out);
        pg_free(&c->direct);
        memset(c, 0, sizeof *c);
}

/* ---- the broker: requests ---- */

static inline void world_realign(struct world_client *c, struct bytes *first, struct bytes *tell)
{
        struct track_server *t = &c->server->track;
        if (t->aligned != c->track.wanted && track_idle(t))
                track_realign(&c->track, t, first, tell);
}

/* True: what it needs to know it knows by now. */
static inline bool world_ask(struct world_client *c, const struct frame_piece *piece)
{
        struct bytes first, tell;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        world_realign(c, &first, &tell);
        fit_ask(&c->track, &c->server->track, piece, &first);
        world_send(&c->server->pg.in, &first);
        world_send(&c->heard, &tell);
        return c->track.check != CHECK_ASKED;
}

static inline void world_forward(struct world_client *c, const struct track_request *q,
                                 const struct frame_piece *piece)
{
        struct track_server *t = &c->server->track;
        struct bytes first, tell;
        bytes_init(&first, 0);
        bytes_init(&tell, 0);
        if (piece->begins)
                world_realign(c, &first, &tell);
        size_t replaced = track_send(&c->track, t, q, piece, &first);
        world_send(&c->server->pg.in, &first);
        world_send(&c->heard, &tell);
        bytes_append(&c->server->pg.in, piece->data + replaced, piece->size - replaced);
}

/* False: not before a server is free. */
static inline bool world_request(struct world *w, struct world_client *c, const struct frame_piece *piece)
{
        struct track_request q;
        struct error e;
        switch (track_look(&c->track, c->server ? &c->server->track : NULL, piece, &q, &e)) {
        case TRACK_SWALLOW:
                return true;
        case TRACK_ANSWER:
                compose_ready(&c->heard, 'I');
                return true;
        case TRACK_WAIT:
                return false;
        case TRACK_ASK:
                return world_ask(c, piece) && world_request(w, c, piece);
        case TRACK_FORWARD:
                break;
        default:
                expect(!"a fair request was refused");
        }
        if (!c->server && !world_lend(w, c))
                return false;
        world_forward(c, &q, piece);
        /* In a text that comes in pieces nobody prepares the server for a DEALLOCATE. */
        if (piece->begins && !piece->ends && memmem(piece->data, piece->length, "DEALLOCATE", 10))
                c->diverged = true;
        /* While it has a long unnamed statement, or nobody knows which requests a failed COPY has
         * swallowed, the server can't be asked what a RESET came to. */
        c->loose = c->loose || c->server->track.turns.lost ||
                   (c->track.pins.kinds & PIN_BIT(PIN_UNNAMED) && audit_open(&c->track));
        return true;
}

/* Reads up to `n` bytes of what the client has sent. */
static inline void world_read_client(struct world *w, struct world_client *c, size_t n)
{
        struct frame_piece piece;
        size_t at = 0;
        if (n > bytes_length(&c->sent))
                n = bytes_length(&c->sent);
        while (at < n && !(c->server && track_settling(&c->track, &c->server->track))) {
                struct frame_cutter before = c->cutter;
                enum frame_verdict v = frame_next(&c->cutter, &frame_from_client,
                                                  bytes_data(&c->sent) + at, n - at, WORLD_HOLD, &piece);
                expect(v != FRAME_BAD);
                if (v == FRAME_SHORT)
                        break;
                if (!world_request(w, c, &piece)) {
                        c->cutter = before;
                        break;
                }
                at += piece.size;
        }
        bytes_consume(&c->sent, at);
        world_hear(w, c);
}

/* ---- the broker: replies ---- */

static inline struct world_client *world_borrower(struct world *w, const struct world_server *s)
{
        for (int i = 0; i < WORLD_CLIENTS; i++) {
                if (w->client[i].there && w->client[i].server == s)
                        return &w->client[i];
        }
        return NULL;
}

/* The direct PostgreSQL makes its plans anew. Here a client may hear that one is stale: not if it came when no
 * table was altered any more, and sent its batch in one write. */
static inline void world_stale(struct world_client *c, const struct frame_piece *piece, enum again_state before)
{
        struct reply_error e;
        if (piece->type != 'E' || reply_error(frame_payload(piece), frame_payload_size(piece), &e) != FRAME_READY ||
            strcmp(e.sqlstate, "0A000") != 0)
                return;
        expect(c->altered || before != AGAIN_SENT);
        c->diverged = true;
}

static inline void world_again(struct world *w, struct world_client *c, struct world_server *s)
{
        struct track_request q;
        struct error e;
        struct frame_piece piece;
        w->again += s->track.again.state == AGAIN_DUE;
        for (size_t at = 0; again_next(&s->track, &at, &piece);) {
                enum track_verdict v = track_look(&c->track, &s->track, &piece, &q, &e);
                expect(v == TRACK_FORWARD || v == TRACK_ASK);
                world_forward(c, &q, &piece);
        }
}

/* False: the server can't be trusted any more. */
static inline bool world_reply(struct world *w, struct world_client *c, struct world_server *s,
                               const struct frame_piece *piece)
{
        struct bytes extra;
        bytes_init(&extra, 0);
        enum again_state before = s->track.again.state;
        enum track_verdict v = track_reply(c ? &c->track : NULL, &s->track, piece, &extra);
        if (c)
                world_send(&c->heard, &extra);
        if (v == TRACK_FORWARD)
                world_stale(c, piece, before);
        else if (v == TRACK_SWALLOW && c && piece->type == 'Z')
                world_again(w, c, s);
        if (v == TRACK_FORWARD)
                bytes_append(&c->heard, piece->data, piece->size);
        bytes_free(&extra);
        if (c && s->track.turns.lost)
                c->loose = c->diverged = true;
        return v != TRACK_BAD;
}

static inline void world_lost(struct world *w, struct world_client *c, struct world_server *s)
{
        world_hear(w, c);
        c->server = NULL;
        world_leave(w, c);
        world_server_close(w, s);
}

static inline void world_after_replies(struct world *w, struct world_client *c, struct world_server *s)
{
        expect(!s->track.restore_failed);
        if (c && s->pg.dead && !bytes_length(&s->pg.out))
                world_lost(w, c, s);
        else if (c && track_quiet(&s->track) && !bytes_length(&s->pg.out))
                world_quiet(w, c);
        else if (s->state == SERVER_CLEANING && track_quiet(&s->track)) {
                s->used = false;
                world_server_idles(s);
        }
}

/* Reads up to `n` bytes of what the server has said. */
static inline void world_read_server(struct world *w, struct world_server *s, size_t n)
{
        struct world_client *c = world_borrower(w, s);
        struct frame_piece piece;
        size_t at = 0;
        if (n > bytes_length(&s->pg.out))
                n = bytes_length(&s->pg.out);
        while (at < n) {
                enum frame_verdict v = frame_next(&s->cutter, &frame_from_server,
                                                  bytes_data(&s->pg.out) + at, n - at, 4 * WORLD_HOLD, &piece);
                expect(v != FRAME_BAD);
                if (v == FRAME_SHORT)
                        break;
                if (!world_reply(w, c, s, &piece)) {
                        /* The one thing that can't be told from outside: a COPY failed, and there
                         * are requests of which one doesn't know whether it had read them. */
                        expect(c && c->direct.copy_doubt);
                        world_lost(w, c, s);
                        return;
                }
                at += piece.size;
        }
        bytes_consume(&s->pg.out, at);
        if (c)
                world_hear(w, c);
        world_after_replies(w, c, s);
}

#include "world_act.h"

#endif
