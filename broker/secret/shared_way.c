#include "secret/shared_way.h"

#include <string.h>
#include <strings.h>
#include "base/own.h"

enum { DURATION_MIN_S = 900, DURATION_MAX_S = 43200 };

/* What needs a person at a browser or with a code generator. */
#define EXPORT "aws configure export-credentials --profile %s --format process"

/* ---- The files ---- */

/* [profile NAME]; [default] may stand without the word. */
static const char *config_kind(const struct shared_files *f, const char *name)
{
        bool plain = strcmp(name, "default") == 0 && !profile_has(f->config, "profile", name);

        return plain ? "" : "profile";
}

bool shared_has_profile(const struct shared_files *f, const char *name)
{
        return (f->credentials && profile_has(f->credentials, "", name)) ||
               (f->config && profile_has(f->config, config_kind(f, name), name));
}

const char *shared_get(const struct shared_files *f, const char *profile, const char *key)
{
        const char *value =
                f->credentials ? profile_get(f->credentials, "", profile, NULL, key) : NULL;

        if (!value && f->config)
                value = profile_get(f->config, config_kind(f, profile), profile, NULL, key);
        return value;
}

/* ---- Refusals ---- */

static bool refuse(struct shared_way *w, const char *what)
{
        w->offer = SHARED_REFUSED;
        return error_set(&w->error, "08001", "profile %s: %s", w->profile, what);
}

static bool refuse_key(struct shared_way *w, const char *key, const char *what)
{
        w->offer = SHARED_REFUSED;
        return error_set(&w->error, "08001", "profile %s: %s %s", w->profile, key, what);
}

/* A daemon has no one whom it could ask. */
static bool refuse_person(const struct shared_files *f, struct shared_way *w,
                          const char *const *keys)
{
        for (; *keys; keys++)
                if (shared_get(f, w->profile, *keys)) {
                        refuse_key(w, *keys, "needs a person to log in, which the broker can't do");
                        error_hint(&w->error,
                                   "Give it a profile of its own with a role or keys, or with "
                                   "credential_process = " EXPORT ".",
                                   w->profile);
                        return true;
                }
        return false;
}

static bool refuse_mfa(const struct shared_files *f, struct shared_way *w)
{
        if (!shared_get(f, w->profile, "mfa_serial"))
                return false;
        refuse_key(w, "mfa_serial",
                   "asks for a code of a person's device, which the broker has not");
        error_hint(&w->error, "Give it a profile of its own whose role's trust policy asks for no "
                              "MFA, and remove mfa_serial from it.");
        return true;
}

/* ---- Roles ---- */

static bool take_duration(const struct shared_files *f, struct shared_way *w)
{
        const char *text = shared_get(f, w->profile, "duration_seconds");
        unsigned long value;
        char *end;

        if (!text)
                return true;
        value = strtoul(text, &end, 10);
        if (*end || *text == '-' || value < DURATION_MIN_S || value > DURATION_MAX_S) {
                refuse_key(w, "duration_seconds", "is no number from 900 to 43200");
                return error_hint(&w->error, "Leave it out for an hour.");
        }
        w->duration_s = (unsigned) value;
        return true;
}

static bool take_role(const struct shared_files *f, struct shared_way *w)
{
        w->role_arn = own_string(shared_get(f, w->profile, "role_arn"));
        w->session_name = own_string(shared_get(f, w->profile, "role_session_name"));
        w->external_id = own_string(shared_get(f, w->profile, "external_id"));
        return take_duration(f, w);
}

static void take_web_identity(const struct shared_files *f, struct shared_way *w)
{
        w->token_file = own_string(shared_get(f, w->profile, "web_identity_token_file"));
        if (!shared_get(f, w->profile, "role_arn")) {
                refuse(w, "web_identity_token_file is set, role_arn is not");
                error_hint(&w->error, "Set role_arn to the role that trusts the token's issuer.");
        } else if (take_role(f, w)) {
                w->offer = SHARED_WEB_IDENTITY;
        }
}

/* ---- Others ---- */

static struct sealed *seal(const char *text)
{
        return text ? sealed_new(text, strlen(text)) : NULL;
}

/* False if there are none: no key at all. */
static bool take_keys(const struct shared_files *f, struct shared_way *w)
{
        const char *id = shared_get(f, w->profile, "aws_access_key_id");
        const char *key = shared_get(f, w->profile, "aws_secret_access_key");

        if (!id && !key)
                return false;
        if (!id || !key) {
                refuse_key(w, id ? "aws_secret_access_key" : "aws_access_key_id", "is missing");
                error_hint(&w->error,
                           "Set both aws_access_key_id and aws_secret_access_key, or none.");
                return true;
        }
        w->access_key_id = own_string(id);
        w->secret_access_key = seal(key);
        w->session_token = seal(shared_get(f, w->profile, "aws_session_token"));
        w->offer = SHARED_KEYS;
        return true;
}

static void take_process(const struct shared_files *f, struct shared_way *w)
{
        w->command = own_string(shared_get(f, w->profile, "credential_process"));
        if (w->command)
                w->offer = SHARED_PROCESS;
}

/* In the order of AWS's SDKs. `hop`: a role is assumed with this one. */
static void take_way(const struct shared_files *f, struct shared_way *w, bool hop)
{
        static const char *const sso[] = {"sso_session", "sso_start_url", NULL};
        static const char *const login[] = {"login_session", NULL};

        if (shared_get(f, w->profile, "web_identity_token_file"))
                take_web_identity(f, w);
        else if (hop && shared_get(f, w->profile, "role_arn"))
                refuse_key(w, "role_arn", "would be a second role on the way, and one is the most");
        else if (!refuse_person(f, w, sso) && !take_keys(f, w) && !refuse_person(f, w, login))
                take_process(f, w);
        if (hop && w->offer == SHARED_NOTHING)
                refuse(w, "it is a source_profile and has no credentials");
        if (hop && w->offer == SHARED_REFUSED && !w->error.hint[0])
                error_hint(&w->error, "Give it keys, credential_process or "
                                      "web_identity_token_file.");
}

/* ---- A role by other credentials ---- */

static bool take_source(struct shared_way *w, const char *word)
{
        static const char *const words[] = {[SHARED_ENVIRONMENT] = "Environment",
                                            [SHARED_CONTAINER] = "EcsContainer",
                                            [SHARED_INSTANCE] = "Ec2InstanceMetadata"};

        for (size_t i = SHARED_ENVIRONMENT; i < sizeof words / sizeof *words; i++)
                if (strcasecmp(words[i], word) == 0) {
                        w->source = (enum shared_source) i;
                        return true;
                }
        refuse(w, "credential_source is none that there is");
        return error_hint(&w->error, "Environment, EcsContainer or Ec2InstanceMetadata.");
}

/* A profile that is its own source has keys of its own; else it would go round for ever. */
static void take_source_profile(const struct shared_files *f, const char *name,
                                struct shared_way *w, struct shared_way *source)
{
        source->profile = own_string(name);
        if (!shared_has_profile(f, name)) {
                refuse_key(w, "source_profile", "names a profile that is not there");
                error_hint(&w->error, "Write a section for profile %.100s.", name);
                return;
        }
        if (strcmp(name, w->profile) != 0) {
                take_way(f, source, true);
        } else if (!take_keys(f, source)) {
                refuse(source, "it is its own source_profile and has no keys");
                error_hint(&source->error, "Name the profile that has the keys.");
        }
        if (source->offer == SHARED_REFUSED) {
                w->offer = SHARED_REFUSED;
                w->error = source->error;
                error_context(&w->error, "profile %s: source_profile", w->profile);
        }
}

static void take_assumed(const struct shared_files *f, struct shared_way *w,
                         struct shared_way *source)
{
        const char *profile = shared_get(f, w->profile, "source_profile");
        const char *word = shared_get(f, w->profile, "credential_source");

        if (refuse_mfa(f, w) || !take_role(f, w))
                return;
        w->offer = SHARED_ROLE;
        if (!profile == !word) {
                refuse(w, profile ? "source_profile and credential_source are both set"
                                  : "role_arn is set, and nothing to assume it with");
                error_hint(&w->error, "Set one of source_profile, credential_source and "
                                      "web_identity_token_file.");
        } else if (word) {
                take_source(w, word);
        } else {
                take_source_profile(f, profile, w, source);
        }
}

void shared_find_ways(const struct shared_files *f, const char *profile, struct shared_way *way,
                      struct shared_way *source)
{
        way->profile = own_string(profile);
        if (shared_get(f, profile, "role_arn") &&
            !shared_get(f, profile, "web_identity_token_file"))
                take_assumed(f, way, source);
        else
                take_way(f, way, false);
}

/* ---- A way ---- */

void shared_way_clear(struct shared_way *w)
{
        free(w->profile);
        free(w->access_key_id);
        sealed_free(w->secret_access_key);
        sealed_free(w->session_token);
        free(w->command);
        free(w->role_arn);
        free(w->session_name);
        free(w->external_id);
        free(w->token_file);
        *w = (struct shared_way){0};
}

static bool same_text(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_sealed(const struct sealed *a, const struct sealed *b)
{
        return a && b ? sealed_equal(a, b) : a == b;
}

bool shared_same_way(const struct shared_way *a, const struct shared_way *b)
{
        return a->offer == b->offer && same_text(a->profile, b->profile) &&
               same_text(a->access_key_id, b->access_key_id) &&
               same_sealed(a->secret_access_key, b->secret_access_key) &&
               same_sealed(a->session_token, b->session_token) &&
               same_text(a->command, b->command) && same_text(a->role_arn, b->role_arn) &&
               same_text(a->session_name, b->session_name) &&
               same_text(a->external_id, b->external_id) &&
               same_text(a->token_file, b->token_file) && a->duration_s == b->duration_s &&
               a->source == b->source;
}
