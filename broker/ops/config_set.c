/* SET: a configuration that differs from another in one key. */
#include "ops/config_parts.h"

#include <string.h>
#include <strings.h>
#include "ops/rules.h"
#include "ops/tree.h"

/* What a key means. */
struct target {
        const struct setting *setting;
        const struct config_environment *environment; /* NULL: the broker's, or of all */
};

static const struct tree_mark from_set = {"SET", 0, 0};

/* ---- the key ---- */

static bool is_last_word(const struct setting *s, const char *key)
{
        const char *dot = strrchr(s->path, '.');

        return dot && strcasecmp(dot + 1, key) == 0;
}

/* By its path, or by the last word of that. `elsewhere`: the broker's are meant, too. */
static const struct setting *by_key(const char *key, bool elsewhere, struct error *e)
{
        size_t count;
        const struct setting *table = setting_table(&count), *found = NULL;

        for (size_t i = 0; i < count; i++) {
                if (table[i].scope == SETTING_BROKER && !elsewhere)
                        continue;
                if (strcasecmp(table[i].path, key) == 0)
                        return &table[i];
                if (!is_last_word(&table[i], key))
                        continue;
                if (found && !error_is_set(e))
                        error_set(e, "42702", "\"%s\" may be %s or %s", key, found->path,
                                  table[i].path);
                found = &table[i];
        }
        return error_is_set(e) ? NULL : found;
}

/* The environment that the key begins with, if any; *key goes on behind it. */
static const struct config_environment *environment_in(const struct config *c, const char **key)
{
        const struct config_environment *found = NULL;
        const char *rest = *key;

        for (const char *dot = strchr(*key, '.'); dot; dot = strchr(dot + 1, '.')) {
                OWN(free) char *name = own_text(*key, (size_t) (dot - *key));
                const struct config_environment *environment = config_find(c, name);

                if (!environment)
                        continue;
                found = environment;
                rest = dot + 1;
        }
        *key = rest;
        return found;
}

static unsigned steps_to(const struct setting *s, const char *key)
{
        const char *dot = strrchr(s->path, '.');
        unsigned whole = setting_distance(key, s->path);
        unsigned word = dot ? setting_distance(key, dot + 1) : whole;

        return word < whole ? word : whole;
}

static bool unknown(const char *key, bool elsewhere, struct error *e)
{
        size_t count;
        const struct setting *table = setting_table(&count), *best = NULL;

        for (size_t i = 0; i < count; i++) {
                if (table[i].scope == SETTING_BROKER && !elsewhere)
                        continue;
                if (!best || steps_to(&table[i], key) < steps_to(best, key))
                        best = &table[i];
        }
        error_set(e, "42704", "there is no setting \"%s\"", key);
        return error_hint(e, "The nearest is %s; SHOW CONFIG lists all.", best->path);
}

static bool find(const struct config *c, const char *key, struct target *out, struct error *e)
{
        static const char prefix[] = "environments.";
        bool below = strncasecmp(key, prefix, sizeof prefix - 1) == 0;
        const char *rest = below ? key + sizeof prefix - 1 : key;

        *out = (struct target){0};
        if (!below)
                out->setting = by_key(key, true, e);
        if (out->setting || error_is_set(e))
                return out->setting != NULL;
        out->environment = environment_in(c, &rest);
        if (below && !out->environment) {
                error_set(e, "3D000", "\"%s\" begins with no environment", rest);
                return error_hint(e, "SHOW DATABASES lists the environments.");
        }
        if (out->environment)
                out->setting = by_key(rest, false, e);
        if (error_is_set(e))
                return false;
        return out->setting || unknown(rest, !out->environment, e);
}

static bool may_change(const struct setting *s, struct error *e)
{
        if (s->when == SETTING_LATER) {
                error_set(e, "0A000", "%s is not in this version", s->path);
                return error_hint(e, "What it is for: %s", s->description);
        }
        if (s->when == SETTING_RESTART) {
                error_set(e, "55P02", "%s can't be changed while the broker runs", s->path);
                return error_hint(e, "Change it in the configuration file and restart.");
        }
        if (strcmp(s->path, "config") == 0) {
                error_set(e, "55P02", "config names a file, which only RELOAD reads");
                return error_hint(e, "SET database.secret_name and database.secret_region instead.");
        }
        return true;
}

/* ---- the value ---- */

static void put_mark(struct tree *t)
{
        t->mark = from_set;
        for (size_t i = 0; i < t->count; i++)
                put_mark(t->children[i]);
}

static bool put(struct config_memory *m, const struct target *target, const char *value,
                struct error *e)
{
        const char *path = target->setting->path;
        OWN(tree_free) struct tree *t = tree_read("SET", value, strlen(value), e);

        if (!t)
                return false;
        put_mark(t);
        if (target->setting->scope == SETTING_BROKER)
                return sheet_read(m->broker, path, t, e);
        for (size_t i = 0; i < m->count; i++) {
                const char *name = sheet_environment(m->environments[i]);

                if (target->environment && strcmp(target->environment->name, name) != 0)
                        continue;
                if (!sheet_read(m->environments[i], path, t, e))
                        return false;
        }
        return true;
}

static struct config *copy(const struct config *from)
{
        struct config *c = config_new(from->memory->file);
        struct config_memory *m = c->memory;

        sheet_free(m->broker);
        m->broker = sheet_copy(from->memory->broker, from_set);
        for (size_t i = 0; i < from->memory->count; i++)
                config_add(m, sheet_copy(from->memory->environments[i], from_set));
        return c;
}

static bool keeps_rules(const struct config_memory *m, struct error *e)
{
        if (!rules_broker(m->broker, e))
                return false;
        for (size_t i = 0; i < m->count; i++)
                if (!rules_environment(m->environments[i], e))
                        return false;
        return true;
}

bool config_set(const struct config *running, const char *key, const char *value,
                struct config **out, struct error *e)
{
        struct target target;

        if (!find(running, key, &target, e) || !may_change(target.setting, e))
                return false;

        OWN(config_free) struct config *c = copy(running);

        if (!put(c->memory, &target, value, e) || !keeps_rules(c->memory, e) ||
            !config_fill(c, e)) {
                memcpy(e->sqlstate, "22023", sizeof e->sqlstate);
                return false;
        }
        *out = TAKE(c);
        return true;
}
