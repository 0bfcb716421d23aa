/* Any bytes as an answer of STS, XML or JSON: the first line is the status. */
#include <stdint.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"
#include "secret/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
        for (; *text; text++)
                expect(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        OWN(free) char *text = own_text((const char *) data, size);
        char *body = memchr(text, '\n', size);
        struct aws_credentials c;
        struct answer why = {0};
        bool read;

        body = body ? body + 1 : text + size;
        read = sts_read(&(struct http_answer){.status = abs(atoi(text) % 1000),
                                              .body = body,
                                              .body_size = size - (size_t) (body - text),
                                              .content_type = "",
                                              .request_id = "",
                                              .error_type = ""},
                        NULL, &c, &why);
        expect(read == (c.access_key_id != NULL));
        if (read)
                expect(aws_credentials_is_visible(sealed_open(c.secret_access_key),
                                                  sealed_length(c.secret_access_key)));
        else
                expect(why.kind != ANSWER_VALUE && !why.value && (why.code[0] || why.message[0]));
        check_text(why.code);
        check_text(why.message);
        aws_credentials_free(&c);
        return 0;
}
