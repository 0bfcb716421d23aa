/* The steps of a script. `c` is a client (a digit), `n` a statement's name (0 unnamed, 1, 2), `p` a
 * portal's, `t` a text by its letter:
 *
 *   Q c t    Query                 L c t    the same, made long
 *   P c n t  Parse                 l c n t  the same, made long
 *   B c p n  Bind                  D c k n  Describe (k: S, P)       C c k n  Close
 *   E c p m  Execute, m rows       S c      Sync        H c  Flush   F c      FunctionCall
 *   x c t    Parse, Bind, Describe, Execute, Sync        y c t    the same without Describe and Sync
 *   z c n    Bind, Describe, Execute, Sync        Z c n    the same without Describe
 *   d c v    CopyData (! is bad)   k c      CopyDone    f c  CopyFail
 *   r c m    the broker reads m * 16 bytes of the client's, 9: all
 *   s j      server j processes a message               w j m    the broker reads of the server's
 *   X c u    the client vanishes, another one comes, with start parameters u
 *   N j      a notification        V j      a changed parameter       .        all is done
 *   A        tables are altered: what named statements return is not what it was */
#ifndef PGB_TEST_WORLD_ACT_H
#define PGB_TEST_WORLD_ACT_H

static const struct world_text {
        char letter;
        const char *sql;
} world_texts[] = {
        {'a', "SELECT 1"},
        {'b', "SELECT boom"},
        {'c', "BEGIN"},
        {'d', "COMMIT"},
        {'e', "ROLLBACK"},
        {'f', "SAVEPOINT s"},
        {'g', "ROLLBACK TO s"},
        {'h', "SET TimeZone = 'Asia/Tokyo'"},
        {'i', "SET LOCAL TimeZone = 'Europe/Berlin'"},
        {'j', "RESET TimeZone"},
        {'k', "SET work_mem = '2MB'"},
        {'l', "RESET work_mem"},
        {'m', "SET LOCAL work_mem = '8MB'"},
        {'n', "RESET ALL"},
        {'o', "DISCARD ALL"},
        {'p', "SELECT set_config('work_mem', '8MB', false)"},
        {'q', "LISTEN a"},
        {'r', "UNLISTEN *"},
        {'s', "CREATE TEMP TABLE x (a int)"},
        {'t', "DROP TABLE x"},
        {'u', "DECLARE c CURSOR WITH HOLD FOR SELECT 1"},
        {'v', "CLOSE c"},
        {'w', "SELECT pg_advisory_lock(1)"},
        {'x', "SELECT pg_advisory_unlock(1)"},
        {'y', "PREPARE p AS SELECT set_config('work_mem', '1MB', false)"},
        {'z', "EXECUTE p"},
        {'A', "DEALLOCATE p"},
        {'1', "DEALLOCATE \"1\""},
        {'2', "DEALLOCATE ALL"},
        {'B', "SELECT nextval('s')"},
        {'C', "DISCARD SEQUENCES"},
        {'D', "INSERT INTO t VALUES (1)"},
        {'E', "SELECT many"},
        {'F', "SELECT deferred"},
        {'G', "COPY t FROM STDIN"},
        {'H', "COPY view FROM STDIN"},
        {'I', "COPY t TO STDOUT"},
        {'J', "COPY broken TO STDOUT"},
        {'K', "COPY bad FROM STDIN"},
        {'L', ""},
        {'M', "SELEC 1"},
        {'N', "SET role = 'r2'"},
        {'O', "RESET role"},
        {'P', "SET DateStyle = 'ISO'"},
        {'Q', "BEGIN; LISTEN a; ROLLBACK"},
        {'R', "RESET ALL; SET work_mem = '8MB'"},
        {'S', "SET work_mem = '2MB'; SELECT boom"},
        {'T', "INSERT INTO t VALUES (1); COPY t FROM STDIN; INSERT INTO t VALUES (2); COPY t FROM STDIN"},
        {'U', "RESET ALL; SET TimeZone = 'Asia/Tokyo'"},
        {'V', "PREPARE p AS SELECT pg_advisory_lock(1)"},
        {'W', "SET search_path = 'a, b'"},
        {'X', "BEGIN; SET work_mem = '8MB'; SELECT pg_advisory_lock(1); INSERT INTO t VALUES (1); COMMIT"},
        {'Y', "RESET TimeZone; RESET DateStyle"},
        {'Z', "SET DateStyle = 'German, DMY'; SET application_name = 'back\\slash'"},
};

#define WORLD_TEXTS (sizeof world_texts / sizeof *world_texts)

struct world_script {
        const uint8_t *at, *end;
};

static inline uint8_t world_byte(struct world_script *s)
{
        return s->at < s->end ? *s->at++ : (uint8_t) '0';
}

static inline unsigned world_digit(struct world_script *s)
{
        return ((unsigned) world_byte(s) - '0') & 0xff;
}

/* A text of this client's, each statement with its mark. */
static inline void world_sql(struct world_script *s, struct world_client *c, bool pad, char *sql)
{
        uint8_t letter = world_byte(s);
        const char *text = world_texts[letter % WORLD_TEXTS].sql;
        for (size_t i = 0; i < WORLD_TEXTS; i++) {
                if (world_texts[i].letter == letter)
                        text = world_texts[i].sql;
        }
        if (pad)
                sql += sprintf(sql, "/*-%90s*/ ", "-");
        for (; *text; text++) {
                if (*text == ';')
                        sql += sprintf(sql, " /*c%d*/", c->id);
                *sql++ = *text;
        }
        sprintf(sql, " /*c%d*/", c->id);
}

/* ---- a client sends ---- */

static inline void world_say(struct world_client *c, struct bytes *b, char type, const void *payload,
                             size_t n)
{
        uint32_t length = (uint32_t) n + 4;
        uint8_t head[5] = {(uint8_t) type, (uint8_t) (length >> 24), (uint8_t) (length >> 16),
                           (uint8_t) (length >> 8), (uint8_t) length};
        (void) c;
        bytes_append(b, head, sizeof head);
        if (n)
                bytes_append(b, payload, n);
}

static inline const char *world_name(unsigned digit, unsigned names)
{
        static const char *const name[] = {"", "1", "2"};
        return name[digit % names];
}

static inline void world_parse(struct world_script *s, struct world_client *c, bool pad, bool named,
                               struct bytes *b)
{
        char payload[4 * PG_TEXT + 200] = {0}, *p = payload;
        p = stpcpy(p, named ? world_name(world_digit(s), 3) : "") + 1;
        world_sql(s, c, pad, p);
        /* Only of a short text that is executed at once, as the unnamed statement, is it known what it
         * DEALLOCATEs. */
        if (named && (strstr(p, "DEALLOCATE") || strstr(p, "DISCARD ALL")))
                c->diverged = true;
        /* What is wrong with it comes second if the statement that has the name must be brought first. */
        if (named && c->direct.tx == 'F')
                c->diverged = true;
        p += strlen(p) + 3;
        world_say(c, b, 'P', payload, (size_t) (p - payload));
}

static inline void world_bind(struct world_client *c, unsigned portal, unsigned name, struct bytes *b)
{
        char payload[16] = {0}, *p = payload;
        if (name % 3 == 0 && c->direct.unnamed_unsure)
                c->diverged = true;
        /* Through a named portal nobody knows what is DEALLOCATEd. */
        if (portal % 2 && name % 3 == 0 && strstr(c->direct.statement[0].sql, "DEALLOCATE"))
                c->diverged = true;
        p = stpcpy(p, world_name(portal, 2)) + 1;
        p = stpcpy(p, world_name(name, 3)) + 7;
        world_say(c, b, 'B', payload, (size_t) (p - payload));
}

static inline void world_target(struct world_client *c, char type, bool statement, unsigned name,
                                struct bytes *b)
{
        char payload[8] = {statement ? 'S' : 'P'};
        if (type == 'D' && statement && name % 3 == 0 && c->direct.unnamed_unsure)
                c->diverged = true;
        /* It can't be brought to another server any more, even if it needs nothing but to be described. */
        if (type == 'D' && statement && c->direct.tx == 'F')
                c->diverged = true;
        strcpy(payload + 1, world_name(name, statement ? 3 : 2));
        world_say(c, b, type, payload, 2 + strlen(payload + 1));
}

static inline void world_execute(struct world_client *c, unsigned portal, unsigned rows, struct bytes *b)
{
        char payload[16] = {0}, *p = stpcpy(payload, world_name(portal, 2)) + 1;
        const struct pg_portal *o = &c->direct.portal[portal % 2];
        /* As in world_bind(), which does not see a statement that is parsed and bound in one write. */
        if (portal % 2 && o->there && strstr(o->sql, "DEALLOCATE"))
                c->diverged = true;
        p[3] = (char) (rows % 4);
        world_say(c, b, 'E', payload, (size_t) (p + 4 - payload));
}

static inline void world_whole(struct world_script *s, struct world_client *c, bool sync, struct bytes *b)
{
        world_parse(s, c, false, false, b);
        world_bind(c, 0, 1, b);         /* of the unnamed statement just parsed */
        b->memory[b->end - 8] = 0;
        if (sync)
                world_target(c, 'D', false, 0, b);
        world_execute(c, 0, 0, b);
        if (sync)
                world_say(c, b, 'S', NULL, 0);
}

/* What the client said at its start comes back only when all that was sent with a RESET is over:
 * until then its settings aren't compared. For good they aren't after a COPY of which one does not know
 * which requests it swallowed. */
static inline void world_judge(struct world_client *c, bool was_content)
{
        struct pg *p = &c->direct;
        if (was_content && !c->loose && !c->diverged)
                expect(memcmp(c->told, c->told_directly, sizeof c->told) == 0);
        if (was_content)
                p->reset_ran = false;
        while (pg_step(p))
                continue;
        if (p->copy_doubt)
                c->loose = true;
        c->listened = c->listened || p->now.listen;
}

static inline void world_sends(struct world_client *c, struct bytes *b)
{
        bool was_content = world_content(c) && c->direct.tx == 'N' && !c->direct.skipping &&
                           !c->direct.unsynced;
        if (was_content)
                c->direct.copy_open = false;
        bytes_append(&c->direct.in, bytes_data(b), bytes_length(b));
        world_judge(c, was_content);
        bytes_append(&c->sent, bytes_data(b), bytes_length(b));
}

static inline void world_client_act(struct world_script *s, struct world_client *c, uint8_t op)
{
        char sql[4 * PG_TEXT];
        struct bytes b;
        bytes_init(&b, 0);
        if (op == 'Q' || op == 'L') {
                world_sql(s, c, op == 'L', sql);
                compose_query(&b, sql);
        } else if (op == 'P' || op == 'l') {
                world_parse(s, c, op == 'l', true, &b);
        } else if (op == 'x' || op == 'y') {
                world_whole(s, c, op == 'x', &b);
        } else if (op == 'z' || op == 'Z') {
                world_bind(c, 0, world_digit(s), &b);
                if (op == 'z')
                        world_target(c, 'D', false, 0, &b);
                world_execute(c, 0, 0, &b);
                world_say(c, &b, 'S', NULL, 0);
        } else if (op == 'B') {
                unsigned portal = world_digit(s);
                world_bind(c, portal, world_digit(s), &b);
        } else if (op == 'D' || op == 'C') {
                bool statement = world_byte(s) != 'P';
                world_target(c, (char) op, statement, world_digit(s), &b);
        } else if (op == 'E') {
                unsigned portal = world_digit(s);
                world_execute(c, portal, world_digit(s), &b);
        } else if (op == 'd') {
                world_say(c, &b, 'd', (char[]){(char) world_byte(s), '\n'}, 2);
        } else if (op == 'F') {
                world_say(c, &b, 'F', "\0\0\0\1\0\0\0\0\0\0", 10);
        } else if (op == 'f') {
                world_say(c, &b, 'f', "no", 3);
        } else {
                world_say(c, &b, op == 'k' ? 'c' : (char) op, NULL, 0);
        }
        world_sends(c, &b);
        bytes_free(&b);
}

/* ---- clients come ---- */

/* What a client says at its start, by the bits of `u`. */
static inline struct settings *world_start(unsigned u, struct pg *direct, uint8_t *reset)
{
        static const uint8_t said[6][2] = {{PG_TIMEZONE, 1}, {PG_WORK_MEM, 1}, {PG_DATESTYLE, 0},
                                           {PG_ROLE, 1}, {PG_SEARCH_PATH, 2}, {PG_APPLICATION, 2}};
        struct settings *s = settings_new();
        memset(reset, 0, PG_SETTINGS);
        for (unsigned i = 0; i < 6; i++) {
                const struct pg_parameter *p = &pg_parameters[said[i][0]];
                if (!(u & 1u << i))
                        continue;
                reset[said[i][0]] = said[i][1];
                settings_put(&s, p->name, said[i][0] == PG_DATESTYLE ? "ISO" : p->values[said[i][1]]);
        }
        pg_init(direct, 0, reset);
        return s;
}

/* What it says is tried on a server; without one free it comes later. */
static inline void world_enter(struct world *w, struct world_client *c, unsigned u)
{
        struct world_server *s = world_idle(w);
        uint8_t reset[PG_SETTINGS];
        const char *name, *value;
        if (!s)
                return;
        memset(c, 0, sizeof *c);
        struct settings *asked = world_start(u, &c->direct, reset);
        struct settings *all = settings_ref(w->known);
        for (size_t at = 0; settings_next(asked, &at, &name, &value);)
                settings_put(&all, name, value);
        track_client_init(&c->track, all, asked, w->known, w->texts, 2);
        settings_unref(asked);
        settings_unref(all);
        c->there = true;
        c->id = ++w->lives % PG_OWNERS;
        c->uid = u % 3 == 0;
        w->ledger[c->id] = w->ledger_directly[c->id] = 0;
        c->direct.ledger = w->ledger_directly;
        w->turn = (int) (s - w->server);
        expect(world_lend(w, c) && c->server == s);
        memcpy(c->told_directly, reset, sizeof reset);
        while (pg_step(&s->pg))
                continue;
        if (track_quiet(&s->track))
                world_quiet(w, c);
        else
                world_read_server(w, s, SIZE_MAX);
        expect(!c->server);
        bytes_clear(&c->heard);
        for (unsigned i = 0; i < PG_SETTINGS; i++) {
                if (pg_parameters[i].reported)
                        c->told[i] = (uint8_t) pg_find_value(i, settings_get(c->track.wanted,
                                                                              pg_parameters[i].name));
                else
                        c->told_directly[i] = c->told[i] = 0;
        }
}

/* ---- all together ---- */

static inline bool world_progress(struct world *w)
{
        unsigned before = w->heard + w->lent;
        size_t left = 0;
        for (int i = 0; i < WORLD_CLIENTS; i++) {
                if (w->client[i].there) {
                        left += bytes_length(&w->client[i].sent);
                        world_read_client(w, &w->client[i], SIZE_MAX);
                        left -= bytes_length(&w->client[i].sent);
                }
        }
        for (int i = 0; i < WORLD_SERVERS; i++) {
                struct world_server *s = &w->server[i];
                left += bytes_length(&s->pg.in) + bytes_length(&s->pg.out);
                while (pg_step(&s->pg))
                        continue;
                world_read_server(w, s, SIZE_MAX);
        }
        return left > 0 || before != w->heard + w->lent;
}

static inline void world_drain(struct world *w)
{
        int rounds = 0;
        while (world_progress(w))
                expect(++rounds < 1000);
        for (int i = 0; i < WORLD_CLIENTS; i++) {
                struct world_client *c = &w->client[i];
                if (!c->there)
                        continue;
                w->held += c->server != NULL;
                if (bytes_length(&c->sent) || c->diverged)
                        continue;
                expect(world_content(c) && w->ledger[c->id] == w->ledger_directly[c->id]);
        }
}

static inline void world_server_act(struct world *w, struct world_script *s, uint8_t op)
{
        struct world_server *v = &w->server[world_digit(s) % WORLD_SERVERS];
        if (op == 's') {
                pg_step(&v->pg);
        } else if (op == 'w') {
                unsigned m = world_digit(s) % 10;
                world_read_server(w, v, m == 9 ? SIZE_MAX : 16 * (m + 1));
        } else if (op == 'N' && v->pg.now.listen && v->pg.tx == 'N' && v->state == SERVER_LENT) {
                pg_say(&v->pg, 'A', "\0\0\0\1a\0\0", 7);
        } else if (op == 'V' && !v->pg.dead) {
                char version[16];
                snprintf(version, sizeof version, "15.%d", ++v->pg.version % 9);
                pg_say_status(&v->pg, "server_version", version);
        }
}

static inline void world_act(struct world *w, struct world_script *s)
{
        static const char ops[] = "QLPlBDECSHFxydkfrswXNV.AzZ";
        uint8_t op = world_byte(s);
        if (!strchr(ops, op) || !op)
                op = (uint8_t) ops[op % (sizeof ops - 1)];
        if (op == '.') {
                world_drain(w);
                return;
        }
        if (op == 'A') {
                w->altered++;
                for (int i = 0; i < WORLD_CLIENTS; i++)
                        w->client[i].altered = true;
                return;
        }
        if (strchr("swNV", op)) {
                world_server_act(w, s, op);
                return;
        }
        struct world_client *c = &w->client[world_digit(s) % WORLD_CLIENTS];
        if (op == 'X' && c->there)
                world_leave(w, c);
        if (!c->there)
                world_enter(w, c, op == 'X' ? world_digit(s) : 0);
        else if (op == 'r')
                world_read_client(w, c, ({ unsigned m = world_digit(s) % 10;
                                           m == 9 ? SIZE_MAX : 16 * (m + 1); }));
        else if (!c->direct.dead && bytes_length(&c->sent) < 10000)
                world_client_act(s, c, op);
}

/* Plays a script from nothing to the end of everything. */
static inline void world_play(const uint8_t *script, size_t size, struct world *w)
{
        struct world_script s = {script, script + size};
        memset(w, 0, sizeof *w);
        for (int i = 0; i < WORLD_SERVERS; i++)
                world_server_open(w, &w->server[i]);
        w->known = settings_ref(w->server[0].track.reported);
        w->texts = texts_new();
        for (int i = 0; i < WORLD_CLIENTS; i++)
                world_enter(w, &w->client[i], s.at < s.end ? world_digit(&s) : 0);
        while (s.at < s.end)
                world_act(w, &s);
        world_drain(w);
        for (int i = 0; i < WORLD_CLIENTS; i++) {
                if (w->client[i].there)
                        world_leave(w, &w->client[i]);
        }
        while (world_progress(w))
                continue;
        for (int i = 0; i < WORLD_SERVERS; i++) {
                track_server_free(&w->server[i].track);
                pg_free(&w->server[i].pg);
        }
        settings_unref(w->known);
        texts_free(w->texts);
}

#endif
