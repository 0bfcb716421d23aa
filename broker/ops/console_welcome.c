#include "ops/console_welcome.h"

#include <strings.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/expect.h"
#include "ops/command_driver.h"

static void put_clean(struct settings **to, const char *name, const char *value)
{
        OWN(free) char *clean = own_string(value);
        snapshot_clean(clean);
        settings_put(to, name, clean);
}

/* The client's own words count for two of them only: all else is as it is. */
static struct settings *parameters(const struct greet *greet)
{
        size_t count;
        const struct command_parameter *p = command_parameters(&count);
        const char *application = settings_get(greet->settings, "application_name");
        struct settings *told = settings_new();
        for (size_t i = 0; i < count; i++) {
                if (p[i].reported)
                        settings_put(&told, p[i].name, p[i].value);
        }
        put_clean(&told, "session_authorization", greet->user);
        if (application)
                put_clean(&told, "application_name", application);
        return told;
}

bool console_wants_former(const struct greet *greet)
{
        const char *value = settings_get(greet->settings, COMMAND_FORMER);
        return value && (strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0 ||
                         strcmp(value, "1") == 0);
}

/* The key is a driver's to keep: there is nothing of the console's that it could cancel. */
struct settings *console_welcome(const struct greet *greet, struct bytes *out)
{
        uint8_t key[4];
        struct settings *told = parameters(greet);
        expect(getrandom(key, sizeof key, 0) == (ssize_t) sizeof key);
        greet_negotiate(greet, out);
        greet_welcome(told, told, (uint32_t) getpid(), key, sizeof key, out);
        return told;
}
