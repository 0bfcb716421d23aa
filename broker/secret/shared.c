#include "secret/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"
#include "secret/profile.h"
#include "secret/shared_way.h"

enum { FILE_LIMIT = 1 << 20 };

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
        shared_way_clear(&s->way);
        shared_way_clear(&s->source);
        for (int i = 0; i < SHARED_COUNT; i++)
                free(s->settings[i]);
        for (int i = 0; i < SHARED_SERVICES; i++)
                free(s->endpoints[i]);
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

static void take_settings(struct shared *s, const struct shared_files *f)
{
        static const char *const services[] = {
                [SHARED_SECRETS_MANAGER] = "secrets_manager", [SHARED_STS] = "sts"};
        const char *section = shared_get(f, s->profile, "services");

        for (int i = 0; i < SHARED_COUNT; i++)
                s->settings[i] = own_string(shared_get(f, s->profile, setting_names[i]));
        for (int i = 0; i < SHARED_SERVICES && section && f->config; i++)
                s->endpoints[i] = own_string(
                        profile_get(f->config, "services", section, services[i], "endpoint_url"));
}

static void take_profile(struct shared *s, const struct shared_files *f)
{
        if (s->profile_wanted && !shared_has_profile(f, s->profile)) {
                error_set(&s->way.error, "08001",
                          "there is no profile %s (AWS_PROFILE) in %s or %s", s->profile,
                          s->credentials_path ? s->credentials_path : "(no HOME)",
                          s->config_path ? s->config_path : "(no HOME)");
                s->way.offer = SHARED_REFUSED;
                return;
        }
        shared_find_ways(f, s->profile, &s->way, &s->source);
        take_settings(s, f);
}

void shared_read(struct shared *s)
{
        struct profile *credentials = NULL, *config = NULL;

        if (read_file(s->credentials_path, &credentials, &s->way.error) &&
            read_file(s->config_path, &config, &s->way.error))
                take_profile(s, &(struct shared_files){credentials, config});
        else
                s->way.offer = SHARED_REFUSED;
        profile_free(credentials);
        profile_free(config);
}

bool shared_same(const struct shared *a, const struct shared *b)
{
        return shared_same_way(&a->way, &b->way) && shared_same_way(&a->source, &b->source);
}
