/* Any bytes as the answer of the container endpoint or of instance metadata: as credentials, as
 * what goes with another status, and as a time. */
#include <stdint.h>
#include <string.h>
#include "base/expect.h"
#include "secret/aws_credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visible(const char *text, size_t n)
{
        expect(n > 0 && strlen(text) == n && aws_credentials_is_visible(text, n));
}

static void check_credentials(const char *text, size_t size)
{
        struct aws_credentials c;
        struct error e = {0};
        bool read = aws_credentials_read(text, size, &c, &e);

        expect(read != error_is_set(&e) && read == (c.access_key_id != NULL));
        if (read) {
                visible(c.access_key_id, strlen(c.access_key_id));
                expect(!strpbrk(c.access_key_id, "/,"));
                visible(sealed_open(c.secret_access_key), sealed_length(c.secret_access_key));
                if (c.session_token)
                        visible(sealed_open(c.session_token), sealed_length(c.session_token));
        }
        aws_credentials_free(&c);
}

static void check_complaint(const char *text, size_t size)
{
        char complaint[AWS_CREDENTIALS_COMPLAINT];

        memset(complaint, 'x', sizeof complaint);
        aws_credentials_complaint(text, size, complaint);
        expect(memchr(complaint, 0, sizeof complaint));
        for (const char *s = complaint; *s; s++)
                expect(*s >= ' ' && *s <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        OWN(free) char *text = own_text((const char *) data, size);

        check_credentials(text, size);
        check_complaint(text, size);
        aws_credentials_time(text);
        return 0;
}
