#include "track/restore.h"

#include <string.h>
#include <strings.h>
#include "base/own.h"
#include "wire/compose.h"

/* RESET SESSION AUTHORIZATION takes the role with it, so RESET ROLE follows: it leads back to the
 * role that ALTER ROLE ... SET role gave at login. */
static const char reset_parameters[] = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; ";
static const char reset_others[] =
        "CLOSE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DEALLOCATE ALL; "
        "DISCARD TEMP; DISCARD SEQUENCES; ";

/* The client's request is on its way behind what is SET for it. Should a part of that be refused, the
 * session ends at once, and the server never reads a request that was meant for other settings. */
#define EXIT_ON_ERROR "exit_on_error"
static const char or_else[] = "SET " EXIT_ON_ERROR " = on; ";

bool restore_settable(const char *name)
{
        static const char *const fixed[] = {"server_version", "server_encoding", "is_superuser",
                                            "session_authorization", "integer_datetimes",
                                            "in_hot_standby"};
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
                if (strcasecmp(name, fixed[i]) == 0)
                        return false;
        }
        return true;
}

bool restore_own(const struct track_client *c, const char *name)
{
        return settings_get(c->startup, name) || settings_get(c->own, name);
}

bool restore_quotes(const char *name)
{
        static const char *const lists[] = {"search_path", "temp_tablespaces",
                                            "local_preload_libraries", "session_preload_libraries",
                                            "shared_preload_libraries", "unix_socket_directories"};
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
                if (strcasecmp(name, lists[i]) == 0)
                        return true;
        }
        return false;
}

static void want(struct track_client *c, const char *name, const char *value)
{
        settings_put(&c->wanted, name, value);
        c->two_readings = c->two_readings || track_two_readings(c->wanted);
        c->temporary_path = track_temporary_path(c->wanted);
}

void restore_append_set(struct bytes *sql, const char *name, const char *value)
{
        if (restore_quotes(name)) {
                bytes_text(sql, "SELECT pg_catalog.set_config(");
                compose_literal(sql, name);
                bytes_text(sql, ", ");
                compose_literal(sql, value);
                bytes_text(sql, ", false); ");
                return;
        }
        bytes_text(sql, "SET ");
        compose_identifier(sql, name);
        bytes_text(sql, " = ");
        compose_literal(sql, value);
        bytes_text(sql, "; ");
}

static void append_reset(struct bytes *sql, const char *name)
{
        bytes_text(sql, "RESET ");
        compose_identifier(sql, name);
        bytes_text(sql, "; ");
}

static bool is_role(const char *name)
{
        return strcasecmp(name, "role") == 0;
}

/* Is the server being asked whose value of it that is, or will it be? */
static bool in_doubt(const struct track_client *c, const char *name)
{
        return settings_get(c->touched, name) || settings_get(c->asked, name);
}

static bool stays(const struct track_client *c, const char *name, bool kept)
{
        return is_role(name) || restore_own(c, name) || (kept && in_doubt(c, name));
}

/* May the RESET of what is not this client's be refused? A role that had more rights may have SET it, and a library
 * may have been loaded that does not know it. RESET ALL never is. */
static bool may_be_refused(const struct track_client *c, const struct track_server *t)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(t->applied, &at, &name, &value)) {
                if (!stays(c, name, false) && (t->roles || strchr(name, '.')))
                        return true;
        }
        return false;
}

static void undo_all(const struct track_client *c, struct track_server *t, struct bytes *sql)
{
        OWN(free) char *role = settings_get(t->applied, "role") ? own_string(settings_get(t->applied, "role")) : NULL;
        bytes_text(sql, "RESET ALL; ");
        bytes_text(sql, c->trying ? "" : or_else);
        settings_clear(&t->applied);
        if (role)
                settings_put(&t->applied, "role", role);
        t->roles = role != NULL;
}

/* What was SET for the last client, or by it, and is not this one's. `kept`: there was no other. */
static void undo_applied(struct track_client *c, struct track_server *t, bool kept, struct bytes *sql)
{
        size_t at = 0;
        const char *name, *value;
        struct settings *before = settings_ref(t->applied);
        while (settings_next(before, &at, &name, &value)) {
                if (stays(c, name, kept))
                        continue;
                append_reset(sql, name);
                if (!c->trying && strcasecmp(name, EXIT_ON_ERROR) == 0)
                        bytes_text(sql, or_else);
                settings_remove(&t->applied, name);
        }
        settings_unref(before);
}

/* A style or an order alone: the other half stays what it is, which may be another client's. */
static bool half_datestyle(const char *name, const char *value)
{
        return strcasecmp(name, "DateStyle") == 0 && !strchr(value, ',');
}

static void apply_wanted(struct track_client *c, struct track_server *t, bool all, struct bytes *sql)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(c->wanted, &at, &name, &value)) {
                if (is_role(name) || !restore_settable(name) || !restore_own(c, name))
                        continue;
                const char *reported = settings_get(t->reported, name);
                const char *applied = settings_get(t->applied, name), *there = reported ? reported : applied;
                /* What a statement SET is SET here, too: a RESET that is rolled back leads back to it. */
                bool so = there && strcmp(there, value) == 0 && (applied || !settings_get(c->own, name));
                if (!all && so)
                        continue;
                if (!all && reported && half_datestyle(name, value))
                        append_reset(sql, name);
                restore_append_set(sql, name, value);
                settings_put(&t->applied, name, value);
        }
}

/* Not every role may SET everything: the last client's goes before all others, this one's comes behind. */
static void align_role(struct track_client *c, struct track_server *t, const struct bytes *others,
                       struct bytes *sql)
{
        const char *applied = settings_get(t->applied, "role"), *wanted = settings_get(c->wanted, "role");
        if (applied && (bytes_length(others) || !wanted)) {
                append_reset(sql, "role");
                settings_remove(&t->applied, "role");
                applied = NULL;
        }
        bytes_append(sql, bytes_data(others), bytes_length(others));
        if (wanted && (!applied || strcmp(applied, wanted) != 0)) {
                restore_append_set(sql, "role", wanted);
                settings_put(&t->applied, "role", wanted);
                t->roles = true;
        }
}

void restore_query(struct track_server *t, struct bytes *sql, enum turn_owner owner, struct bytes *out)
{
        bytes_append(sql, "", 1);
        compose_query(out, (const char *) bytes_data(sql));
        bytes_free(sql);
        turns_sent(&t->turns, TURN_QUERY, owner);
}

/* `settable`: those, too, that may be about to be SET. */
static void tell(struct track_client *c, const struct track_server *t, bool settable,
                 struct bytes *extra)
{
        size_t at = 0;
        const char *name, *value;
        while (settings_next(t->reported, &at, &name, &value)) {
                const char *told = settings_get(c->wanted, name);
                if (told && strcmp(told, value) == 0)
                        continue;
                if (told && !settable && restore_settable(name))
                        continue;
                /* The server spells it so: what the client said at its start means this. */
                const char *start = settings_get(c->startup, name);
                if (settable && told && start && strcmp(start, told) == 0)
                        settings_put(&c->startup, name, value);
                want(c, name, value);
                compose_parameter(extra, name, value);
        }
}

/* What was SET so that an error ends all is as the client wants it. */
static void lift_guard(const struct track_client *c, struct bytes *sql)
{
        const char *wanted = settings_get(c->wanted, EXIT_ON_ERROR);
        if (wanted)
                restore_append_set(sql, EXIT_ON_ERROR, wanted);
        else
                append_reset(sql, EXIT_ON_ERROR);
}

static void align(struct track_client *c, struct track_server *t)
{
        settings_unref(t->aligned);
        t->aligned = settings_ref(c->wanted);
}

/* A Query is converted as it comes: what is not ASCII needs the client's encoding before it. */
static bool needs_encoding(const struct track_client *c, const struct track_server *t, bool reset,
                           const struct bytes *sql)
{
        const char *wanted = settings_get(c->wanted, "client_encoding");
        const char *there = settings_get(t->reported, "client_encoding");
        return wanted && !bytes_ascii(bytes_data(sql), bytes_length(sql)) &&
               (reset || !there || strcmp(there, wanted) != 0);
}

void restore_align(struct track_client *c, struct track_server *t, enum restore_from from, struct bytes *first,
                   struct bytes *extra)
{
        struct bytes head, sql, others;
        bool reset = from == RESTORE_RESET;
        const char *guard = c->trying ? "" : or_else;
        bytes_init(&head, 0);
        bytes_init(&sql, 0);
        bytes_init(&others, 0);
        bytes_text(&head, guard);
        if (reset) {
                bytes_text(&head, reset_parameters);
                bytes_text(&head, guard);
                bytes_text(&head, reset_others);
                settings_clear(&t->applied);
                prepared_clear(&t->prepared);
                t->soiled = t->foreign_sequences = t->roles = false;
        }
        bool all = from == RESTORE_SHARED && may_be_refused(c, t);
        if (all)
                undo_all(c, t, &others);
        else
                undo_applied(c, t, from == RESTORE_KEPT, &others);
        apply_wanted(c, t, reset || all, &others);
        align_role(c, t, &others, &sql);
        bool sent = reset || bytes_length(&sql);
        if (needs_encoding(c, t, reset, &sql)) {
                restore_append_set(&head, "client_encoding", settings_get(c->wanted, "client_encoding"));
                restore_query(t, &head, TURN_RESTORE, first);
                bytes_text(&head, guard);
        }
        if (sent) {
                bytes_append(&head, bytes_data(&sql), bytes_length(&sql));
                if (!c->trying)
                        lift_guard(c, &head);
                restore_query(t, &head, TURN_RESTORE, first);
                statements_go(&c->statements);
        }
        bytes_free(&head);
        bytes_free(&sql);
        bytes_free(&others);
        tell(c, t, !sent, extra);
        align(c, t);
}

void restore_sequences(struct track_client *c, struct track_server *t, struct bytes *out)
{
        compose_query(out, "DISCARD SEQUENCES");
        turns_sent(&t->turns, TURN_QUERY, TURN_RESTORE);
        statements_go(&c->statements);
        t->foreign_sequences = false;
}

void restore_clean(struct track_server *t, bool rollback, struct bytes *out)
{
        struct bytes sql;
        bytes_init(&sql, 0);
        bytes_text(&sql, rollback ? "ROLLBACK; " : "");
        bytes_text(&sql, reset_parameters);
        bytes_text(&sql, reset_others);
        restore_query(t, &sql, TURN_CLEAN, out);
        restore_forget(t);
        prepared_clear(&t->prepared);
        t->soiled = t->foreign_sequences = t->roles = false;
}

void restore_forget(struct track_server *t)
{
        settings_clear(&t->applied);
        settings_unref(t->aligned);
        t->aligned = NULL;
}

void restore_told(struct track_client *c, struct track_server *t, const char *name,
                  const char *value)
{
        const char *told = settings_get(c->wanted, name);
        if (told && strcmp(told, value) == 0)
                return;
        bool agreed = t->aligned == c->wanted;
        want(c, name, value);
        /* Who changed it isn't known: the next client's server is led back. */
        if (restore_settable(name))
                settings_put(&t->applied, name, value);
        if (agreed)
                align(c, t);
}

void restore_tell(struct track_client *c, struct track_server *t, struct bytes *extra)
{
        tell(c, t, true, extra);
        align(c, t);
}

/* As the server spells it: only so do clients know it. NULL: it is not reported. */
static const char *spelling(const struct settings *known, const char *name)
{
        size_t at = 0;
        const char *there, *value;
        while (settings_next(known, &at, &there, &value)) {
                if (strcasecmp(there, name) == 0)
                        return there;
        }
        return NULL;
}

void restore_keep(struct track_client *c, struct track_server *t, const char *name, const char *value)
{
        bool agreed = t->aligned == c->wanted;
        want(c, name, value);
        settings_put(&c->own, name, "");
        settings_put(&t->applied, name, value);
        t->roles = t->roles || is_role(name);
        if (agreed)
                align(c, t);
}

void restore_back(struct track_client *c, struct track_server *t, const char *name, struct bytes *extra)
{
        const char *start = settings_get(c->startup, name), *told = settings_get(c->wanted, name);
        const char *known = spelling(t->reported, name);
        settings_remove(&t->applied, name);
        settings_remove(&c->own, name);
        settings_unref(TAKE(t->aligned));
        if (start && (!told || strcmp(start, told) != 0)) {
                want(c, name, start);
                if (known)
                        compose_parameter(extra, known, start);
        } else if (!start && !known) {
                settings_remove(&c->wanted, name);
                c->temporary_path = track_temporary_path(c->wanted);
        }
}
