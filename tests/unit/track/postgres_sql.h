/* The SQL of the model PostgreSQL: a few statements, told by how they begin. A comment "c7" at the
 * end of each names its owner; what the broker sends has none. */
#ifndef PGB_TEST_POSTGRES_SQL_H
#define PGB_TEST_POSTGRES_SQL_H

static inline bool pg_starts(const char *sql, const char *with)
{
        return strncmp(sql, with, strlen(with)) == 0;
}

static inline bool pg_blank(const char *sql)
{
        sql += strspn(sql, " ");
        return !*sql || (pg_starts(sql, "/*") && !strchr(sql, ';') && !strchr(sql + 1, ' '));
}

/* A comment in front, to make a text long. */
static inline const char *pg_without_padding(const char *sql)
{
        if (!pg_starts(sql, "/*-"))
                return sql;
        sql = strstr(sql, "*/") + 2;
        return sql + strspn(sql, " ");
}

static inline int pg_owner(const char *sql)
{
        const char *tag = strstr(sql, "/*c");
        return tag ? atoi(tag + 3) % PG_OWNERS : -1;
}

static inline bool pg_ends_transaction(const char *sql)
{
        return pg_starts(sql, "COMMIT") || pg_starts(sql, "ROLLBACK");
}

static inline bool pg_returns_rows(const char *sql)
{
        return pg_starts(sql, "SELECT") || pg_starts(sql, "EXECUTE");
}

/* The next word, or what is quoted, without the quotes. */
static inline const char *pg_word(const char *sql, char *word, size_t size)
{
        size_t n = 0;
        sql += strspn(sql, " =(,");
        bool escapes = pg_starts(sql, "E'");
        sql += escapes;
        char quote = *sql == '"' || *sql == '\'' ? *sql++ : 0;
        for (; *sql && n < size - 1; sql++) {
                if (quote ? *sql == quote && sql[1] != quote : strchr(" =(,)\n", *sql) != NULL)
                        break;
                sql += quote && (*sql == quote || (escapes && *sql == '\\'));
                word[n++] = *sql;
        }
        word[n] = 0;
        return sql + (quote && *sql == quote);
}

static inline int pg_find_setting(const char *name)
{
        for (unsigned s = 0; s < PG_SETTINGS; s++) {
                if (strcasecmp(name, pg_parameters[s].name) == 0)
                        return (int) s;
        }
        return -1;
}

static inline int pg_find_value(unsigned s, const char *value)
{
        for (int v = 0; v < 4; v++) {
                if (strcmp(value, pg_parameters[s].values[v]) == 0)
                        return v;
        }
        return -1;
}

static inline bool pg_done(struct pg *p, const char *tag)
{
        pg_say_tag(p, tag);
        return true;
}

static inline bool pg_put(struct pg *p, const char *name, const char *value, bool local)
{
        int s = pg_find_setting(name), v = s < 0 ? -1 : pg_find_value((unsigned) s, value);
        bool back = s >= 0 && strcmp(value, "DEFAULT") == 0;
        if (back)
                v = p->reset_value[s];
        if (s == PG_DATESTYLE && strcmp(value, "ISO") == 0)     /* the order stays */
                v = pg_value(p, PG_DATESTYLE) % 3 ? 1 : 0;
        if (v < 0)
                return pg_fail(p, s < 0 ? "42704" : "22023", "no such value");
        if (local && p->tx == 'I')
                return true;
        if (local) {
                p->now.local[s] = (uint8_t) (PG_LOCAL | v);
        } else {
                p->now.set[s] = (uint8_t) v;
                p->now.session[s] = !back;
                p->now.local[s] = 0;
        }
        if (p->eager)
                pg_report(p);
        return true;
}

/* More names behind the first: each is quoted again where it must be. */
static inline void pg_list(const char *sql, char *value, size_t size)
{
        char list[200] = "", one[80];
        snprintf(one, sizeof one, "%s", value);
        for (size_t n = 0;; sql = pg_word(sql, one, sizeof one)) {
                bool plain = strspn(one, "abcdefghijklmnopqrstuvwxyz_") == strlen(one);
                n += (size_t) snprintf(list + n, sizeof list - n, plain ? "%s%s" : "%s\"%s\"", n ? ", " : "", one);
                if (*sql != ',')
                        break;
        }
        snprintf(value, size, "%s", list);
}

static inline bool pg_set(struct pg *p, const char *sql)
{
        char name[40], value[80];
        bool local = pg_starts(sql, "SET LOCAL ");
        sql += local ? 10 : pg_starts(sql, "SET SESSION ") ? 12 : 4;
        if (pg_starts(sql, "TIME ZONE")) {
                snprintf(name, sizeof name, "TimeZone");
                sql += 9;
        } else {
                sql = pg_word(sql, name, sizeof name);
        }
        sql += pg_starts(sql, " TO ") ? 4 : 0;
        sql = pg_word(sql, value, sizeof value);
        if (*sql == ',')
                pg_list(sql, value, sizeof value);
        if (strcmp(name, "exit_on_error") == 0)         /* no client asks for it here */
                return pg_done(p, "SET");
        return pg_put(p, name, value, local) && pg_done(p, "SET");
}

static inline void pg_reset_one(struct pg *p, unsigned s)
{
        p->now.set[s] = p->reset_value[s];
        p->now.local[s] = 0;
        p->now.session[s] = false;
}

static inline bool pg_reset(struct pg *p, const char *sql)
{
        char name[40];
        pg_word(sql + 6, name, sizeof name);
        if (strcmp(name, "exit_on_error") == 0)
                return pg_done(p, "RESET");
        p->reset_ran = true;
        int one = pg_find_setting(name);
        if (strcmp(name, "SESSION") == 0)
                p->now.set[PG_ROLE] = p->now.local[PG_ROLE] = p->now.session[PG_ROLE] = 0;
        else if (one >= 0)
                pg_reset_one(p, (unsigned) one);
        for (unsigned s = 0; strcmp(name, "ALL") == 0 && s < PG_SETTINGS; s++) {
                if (pg_parameters[s].reset_all)
                        pg_reset_one(p, s);
        }
        return pg_done(p, "RESET");
}

static inline void pg_deallocate_all(struct pg *p)
{
        p->prepared = false;
        for (unsigned i = 1; i < PG_NAMED; i++)
                p->statement[i].there = false;
}

static inline bool pg_discard(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        if (pg_starts(sql, "DISCARD SEQUENCES")) {
                p->sequence = false;
                return pg_done(p, "DISCARD SEQUENCES");
        }
        if (pg_starts(sql, "DISCARD TEMP")) {
                p->now.temp = false;
                return pg_done(p, "DISCARD TEMP");
        }
        if (p->tx != 'I' || !p->one_statement || (!portal && p->executed > 0))
                return pg_fail(p, "25001", "DISCARD ALL in a transaction");
        p->reset_ran = true;
        for (unsigned s = 0; s < PG_SETTINGS; s++)
                pg_reset_one(p, s);
        p->now.listen = p->now.temp = p->now.cursor = p->lock = p->sequence = false;
        pg_deallocate_all(p);
        pg_commit(p);                           /* at once, in a pipeline, too */
        return pg_done(p, "DISCARD ALL");
}

static inline bool pg_transaction(struct pg *p, const char *sql)
{
        if (pg_starts(sql, "BEGIN")) {
                if (p->tx == 'B')
                        pg_say_fields(p, 'N', "WARNING", "25001", "there is one already");
                p->tx = 'B';
                return pg_done(p, "BEGIN");
        }
        if (pg_starts(sql, "SAVEPOINT")) {
                if (p->tx != 'B')
                        return pg_fail(p, "25P01", "no transaction");
                p->savepoint = true;
                p->saved = p->now;
                return pg_done(p, "SAVEPOINT");
        }
        if (pg_starts(sql, "ROLLBACK TO")) {
                if (p->tx == 'I' || !p->savepoint)
                        return pg_fail(p, p->tx == 'I' ? "25P01" : "3B001", "no savepoint");
                p->now = p->saved;
                p->tx = 'B';
                return pg_done(p, "ROLLBACK");
        }
        if (p->tx == 'I')
                pg_say_fields(p, 'N', "WARNING", "25P01", "there is no transaction");
        if (pg_starts(sql, "ROLLBACK") || p->tx == 'F') {
                pg_roll_back(p);
                return pg_done(p, "ROLLBACK");
        }
        return pg_commit(p) && pg_done(p, "COMMIT");
}

static inline bool pg_copy(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        if (strstr(sql, "bad"))
                return pg_fail(p, "42P01", "no such table");
        if (strstr(sql, "STDOUT")) {
                pg_say(p, 'H', "\0\0\0", 3);
                pg_say(p, 'd', "1\n", 2);
                pg_say(p, 'd', "2\n", 2);
                if (strstr(sql, "broken"))
                        return pg_fail(p, "XX001", "broken");
                pg_say(p, 'c', NULL, 0);
                return pg_done(p, "COPY 2");
        }
        pg_say(p, 'G', "\0\0\0", 3);
        p->copy_extended = portal;
        p->copied = 0;
        p->copy_open = true;
        p->copy_synced = false;
        p->copying = !strstr(sql, "view");
        if (p->copying)
                return true;
        p->copy_doubt = true;
        return pg_fail(p, "42809", "a view");
}

static inline bool pg_rows(struct pg *p, const char *value, const struct pg_portal *portal)
{
        if (!portal)
                pg_say_columns(p);
        pg_say_row(p, value);
        return pg_done(p, "SELECT 1");
}

/* The broker's own question: which state is alive, the values of parameters, and where they come from. */
static inline bool pg_audit(struct pg *p, const char *sql)
{
        const char *row[PG_SETTINGS + 2];
        char sum[8] = "0", sources[200] = "";
        unsigned n = 1;
        row[0] = sum;
        if (strstr(sql, "EXISTS"))
                snprintf(sum, sizeof sum, "%d", p->lock + 2 * p->now.listen + 4 * p->prepared +
                                                        8 * p->now.cursor + 16 * p->now.temp);
        for (const char *at = sql; (at = strstr(at, "current_setting(")); n++) {
                char name[40];
                at = pg_word(at + 15, name, sizeof name);
                int s = pg_find_setting(name);
                row[n] = pg_parameters[s].values[pg_value(p, (unsigned) s)];
        }
        for (unsigned s = 0; s < PG_SETTINGS; s++)
                sprintf(sources + strlen(sources), "%s%s=%s", s ? "," : "", pg_parameters[s].name,
                        p->now.session[s] ? "session" : "default");
        if (strstr(sql, "string_agg"))
                row[n++] = sources;
        pg_say_columns(p);
        pg_say_row_of(p, row, n);
        return pg_done(p, "SELECT 1");
}

static inline bool pg_config(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        char name[40], value[80];
        const char *rest = pg_word(strchr(sql, '('), name, sizeof name);
        rest = pg_word(rest, value, sizeof value);
        if (!pg_put(p, name, value, strstr(rest, "true")))
                return false;
        return pg_rows(p, value, portal);
}

static inline bool pg_select(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        if (pg_starts(sql, "SELECT (EXISTS") || pg_starts(sql, "SELECT 0"))
                return pg_audit(p, sql);
        if (pg_starts(sql, "SELECT set_config(") || pg_starts(sql, "SELECT pg_catalog.set_config("))
                return pg_config(p, sql, portal);
        if (pg_starts(sql, "SELECT boom"))
                return pg_fail(p, "22012", "division by zero");
        if (pg_starts(sql, "SELECT deferred"))
                p->now.deferred = true;
        if (pg_starts(sql, "SELECT pg_advisory_lock"))
                p->lock = true;
        if (strstr(sql, "pg_advisory_unlock"))
                p->lock = false;
        if (pg_starts(sql, "SELECT nextval"))
                p->sequence = true;
        return pg_rows(p, "1", portal);
}

static inline bool pg_run(struct pg *p, const char *sql, const struct pg_portal *portal);

static inline bool pg_prepared(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        if (pg_starts(sql, "EXECUTE")) {
                if (!p->prepared)
                        return pg_fail(p, "26000", "not prepared");
                return pg_select(p, p->prepared_sql, portal);
        }
        if (pg_starts(sql, "DEALLOCATE ALL")) {
                pg_deallocate_all(p);
                return pg_done(p, "DEALLOCATE ALL");
        }
        if (pg_starts(sql, "DEALLOCATE \"")) {
                char name[32];
                pg_word(sql + 11, name, sizeof name);
                struct pg_statement *s = pg_named(p, name);
                if (!s->there)
                        return pg_fail_named(p, "26000", name, "does not exist");
                s->there = false;
                return pg_done(p, "DEALLOCATE");
        }
        if (pg_starts(sql, "DEALLOCATE")) {
                if (!p->prepared)
                        return pg_fail(p, "26000", "not prepared");
                p->prepared = false;
                return pg_done(p, "DEALLOCATE");
        }
        if (p->prepared)
                return pg_fail(p, "42P05", "prepared already");
        p->prepared = true;
        snprintf(p->prepared_sql, sizeof p->prepared_sql, "%s", strstr(sql, "SELECT"));
        return pg_done(p, "PREPARE");
}

static inline bool pg_objects(struct pg *p, const char *sql)
{
        bool create = pg_starts(sql, "CREATE TEMP"), declare = pg_starts(sql, "DECLARE");
        if (create ? p->now.temp : declare && p->now.cursor)
                return pg_fail(p, "42P07", "exists");
        if (pg_starts(sql, "DROP") && !p->now.temp)
                return pg_fail(p, "42P01", "doesn't exist");
        if (pg_starts(sql, "LISTEN") || pg_starts(sql, "UNLISTEN"))
                p->now.listen = *sql == 'L';
        else if (create || pg_starts(sql, "DROP"))
                p->now.temp = create;
        else if (declare || pg_starts(sql, "CLOSE"))
                p->now.cursor = declare;
        else if (pg_starts(sql, "INSERT"))
                p->now.rows++;
        else
                return pg_fail(p, "42601", "syntax");
        return pg_done(p, pg_starts(sql, "INSERT") ? "INSERT 0 1" : "DONE");
}

/* Runs one statement; false if it failed. A COPY FROM STDIN only begins. */
static inline bool pg_run(struct pg *p, const char *sql, const struct pg_portal *portal)
{
        int owner = pg_owner(sql);
        sql += strspn(sql, " ");
        if (p->borrower >= 0 && owner >= 0)
                expect(owner == p->borrower);
        if (p->tx == 'F' && !pg_ends_transaction(sql))
                return pg_fail(p, "25P02", "aborted");
        pg_begin(p);
        if (owner >= 0) {
                pg_say_digest(p);
                p->owner = owner;
        }
        if (pg_starts(sql, "SELECT"))
                return pg_select(p, sql, portal);
        if (pg_starts(sql, "SET "))
                return pg_set(p, sql);
        if (pg_starts(sql, "RESET "))
                return pg_reset(p, sql);
        if (pg_starts(sql, "DISCARD "))
                return pg_discard(p, sql, portal);
        if (pg_starts(sql, "BEGIN") || pg_starts(sql, "SAVEPOINT") || pg_ends_transaction(sql))
                return pg_transaction(p, sql);
        if (pg_starts(sql, "COPY"))
                return pg_copy(p, sql, portal);
        if (pg_starts(sql, "PREPARE") || pg_starts(sql, "EXECUTE") || pg_starts(sql, "DEALLOCATE"))
                return pg_prepared(p, sql, portal);
        return pg_objects(p, sql);
}

#endif
