#include "secret/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"
#include "secret/profile.h"

enum { FILE_LIMIT = 1 << 20 };

/* What a profile may hold that this version has no provider for, in the order in which AWS's own
 * SDKs would use it: some before static keys, some only without them. */
static const char *const before_keys[] = {"role_arn", "sso_session", "sso_start_url"};
static const char *const after_keys[] = {"login_session", "credential_process"};

static const char *const setting_names[] = {
#define X(name) #name,
        SHARED_SETTINGS(X)
#undef X
};

const char *shared_setting_name(enum shared_setting s)
{
        return setting_names[s];
}

/* ---- Paths ---- */

static const char *set(const char *(*getenv_)(const char *), const char *name)
{
        const char *value = getenv_(name);

        return value && *value ? value : NULL;
}

/* A service often has no HOME: then there are no files but those named. */
static char *path_of(const char *(*getenv_)(const char *), const char *name, const char *usual)
{
        const char *path = set(getenv_, name), *home = set(getenv_, "HOME");

        if (path && strncmp(path, "~/", 2) == 0 && home)
                return own_format("%s/%s", home, path + 2);
        if (path)
                return own_string(path);
        return home ? own_format("%s/.aws/%s", home, usual) : NULL;
}

struct shared *shared_new(const char *(*getenv_)(const char *name))
{
        struct shared *s = own_new(struct shared);
        const char *profile = set(getenv_, "AWS_PROFILE");

        s->credentials_path = path_of(getenv_, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
        s->config_path = path_of(getenv_, "AWS_CONFIG_FILE", "config");
        s->profile = own_string(profile ? profile : "default");
        s->profile_wanted = profile != NULL;
        return s;
}

struct shared *shared_again(const struct shared *s)
{
        struct shared *again = own_new(struct shared);

        again->credentials_path = own_string(s->credentials_path);
        again->config_path = own_string(s->config_path);
        again->profile = own_string(s->profile);
        again->profile_wanted = s->profile_wanted;
        return again;
}

void shared_free(struct shared *s)
{
        if (!s)
                return;
        free(s->credentials_path);
        free(s->config_path);
        free(s->profile);
        free(s->access_key_id);
        sealed_free(s->secret_access_key);
        sealed_free(s->session_token);
        for (int i = 0; i < SHARED_COUNT; i++)
                free(s->settings[i]);
        free(s->service_endpoint);
        free(s);
}

/* ---- Files ---- */

bool shared_read_all(int fd, struct bytes *content)
{
        for (;;) {
                uint8_t *room = bytes_room(content, 4096);
                ssize_t n;

                if (!room) {
                        errno = EFBIG;
                        return false;
                }
                do
                        n = read(fd, room, 4096);
                while (n < 0 && errno == EINTR);
                if (n <= 0)
                        return n == 0;
                bytes_added(content, (size_t) n);
        }
}

/* True with *out NULL where there is no such file: that is nobody's mistake. */
static bool read_file(const char *path, struct profile **out, struct error *e)
{
        struct bytes content;
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

        *out = NULL;
        if (fd < 0 && (!path || errno == ENOENT || errno == ENOTDIR))
                return true;
        bytes_init(&content, FILE_LIMIT);
        if (fd < 0 || !shared_read_all(fd, &content)) {
                error_set(e, "08001", "%s: %s", path, strerrordesc_np(errno));
                error_hint(e, "The broker's user must be able to read it.");
        } else {
                size_t n = bytes_length(&content);

                *out = profile_parse(n ? (const char *) bytes_data(&content) : "", n, e);
                error_context(*out ? NULL : e, "%s", path);
        }
        bytes_wipe(&content);
        if (fd >= 0)
                close(fd);
        return *out;
}

/* ---- One profile of both files ---- */

struct files {
        const struct profile *credentials, *config;
        const char *name, *config_kind; /* [profile NAME]; [default] may stand without the word */
};

/* For one key the credentials file wins. */
static const char *get(const struct files *f, const char *key)
{
        const char *value =
                f->credentials ? profile_get(f->credentials, "", f->name, NULL, key) : NULL;

        if (!value && f->config)
                value = profile_get(f->config, f->config_kind, f->name, NULL, key);
        return value;
}

static bool refuse(struct shared *s, const char *what)
{
        error_set(&s->error, "08001", "profile %s: %s is not in this version", s->profile, what);
        error_hint(&s->error, "Give the broker aws_access_key_id and aws_secret_access_key, in a "
                              "profile or in the environment.");
        s->offer = SHARED_REFUSED;
        return false;
}

static bool refuse_any(struct shared *s, const struct files *f, const char *const *keys, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (get(f, keys[i]))
                        return refuse(s, keys[i]);
        return true;
}

static struct sealed *seal(const char *text)
{
        return text ? sealed_new(text, strlen(text)) : NULL;
}

static void take_keys(struct shared *s, const struct files *f)
{
        const char *id = get(f, "aws_access_key_id"), *key = get(f, "aws_secret_access_key");

        if (!refuse_any(s, f, before_keys, sizeof before_keys / sizeof *before_keys))
                return;
        if (!id && !key) {
                refuse_any(s, f, after_keys, sizeof after_keys / sizeof *after_keys);
                return;
        }
        if (!id || !key) {
                error_set(&s->error, "08001", "profile %s: %s is missing", s->profile,
                          id ? "aws_secret_access_key" : "aws_access_key_id");
                error_hint(&s->error,
                           "Set both aws_access_key_id and aws_secret_access_key, or none.");
                s->offer = SHARED_REFUSED;
                return;
        }
        s->access_key_id = own_string(id);
        s->secret_access_key = seal(key);
        s->session_token = seal(get(f, "aws_session_token"));
        s->offer = SHARED_KEYS;
}

static void take_settings(struct shared *s, const struct files *f)
{
        const char *services = get(f, "services");
        const char *endpoint = NULL;

        for (int i = 0; i < SHARED_COUNT; i++)
                s->settings[i] = own_string(get(f, setting_names[i]));
        if (services && f->config)
                endpoint = profile_get(f->config, "services", services, "secrets_manager",
                                       "endpoint_url");
        s->service_endpoint = own_string(endpoint);
}

static void take_profile(struct shared *s, const struct profile *credentials,
                         const struct profile *config)
{
        struct files f = {credentials, config, s->profile, "profile"};
        bool plain = config && strcmp(s->profile, "default") == 0 &&
                     !profile_has(config, "profile", s->profile);

        if (plain)
                f.config_kind = "";
        if (s->profile_wanted && !(credentials && profile_has(credentials, "", s->profile)) &&
            !(config && profile_has(config, f.config_kind, s->profile))) {
                error_set(&s->error, "08001", "there is no profile %s (AWS_PROFILE) in %s or %s",
                          s->profile, s->credentials_path ? s->credentials_path : "(no HOME)",
                          s->config_path ? s->config_path : "(no HOME)");
                s->offer = SHARED_REFUSED;
                return;
        }
        take_keys(s, &f);
        take_settings(s, &f);
}

void shared_read(struct shared *s)
{
        struct profile *credentials = NULL, *config = NULL;

        if (read_file(s->credentials_path, &credentials, &s->error) &&
            read_file(s->config_path, &config, &s->error))
                take_profile(s, credentials, config);
        else
                s->offer = SHARED_REFUSED;
        profile_free(credentials);
        profile_free(config);
}
