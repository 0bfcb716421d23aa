/* Any bytes as one of AWS's shared files. */
#include <stdint.h>
#include <string.h>
#include "base/expect.h"
#include "secret/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plain(const char *value)
{
        expect(!value || (*value && !strchr(value, '\n')));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error e = {0};
        OWN(profile_free) struct profile *p = profile_parse((const char *) data, size, &e);

        expect(!p == error_is_set(&e));
        if (!p)
                return 0;
        plain(profile_get(p, "", "default", NULL, "aws_access_key_id"));
        plain(profile_get(p, "profile", "ci", NULL, "region"));
        plain(profile_get(p, "services", "local", "secrets_manager", "endpoint_url"));
        if (profile_get(p, "", "default", NULL, "region"))
                expect(profile_has(p, "", "default"));
        return 0;
}
