/* Any bytes as Secrets Manager's answer. The first line is "STATUS ERROR-TYPE", the rest the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/expect.h"
#include "secret/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool printable(const char *s)
{
        for (; *s; s++)
                if (*s < ' ' || *s > '~')
                        return false;
        return true;
}

static void check(const struct answer *a)
{
        expect(printable(a->code) && printable(a->message) && printable(a->version_id));
        expect((a->kind == ANSWER_VALUE) == (a->value != NULL));
        expect(a->value ? a->version_id[0] : a->code[0] || a->message[0]);
        expect(*answer_kind_name(a->kind) && answer_rule(a->kind)->current <= SOURCE_REFUSED);
        if (a->value) {
                struct error e = {0};

                document_free(document_read(sealed_open(a->value), sealed_length(a->value),
                                            &(struct document_endpoint){"h", 1, "d"}, &e));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        OWN(free) char *text = own_text((const char *) data, size);
        char *end = memchr(text, '\n', size);
        char *body = end ? end + 1 : text + size;
        struct answer a;

        if (end)
                *end = 0;

        char *type = strchr(text, ' ');

        answer_read(&(struct http_answer){.status = abs(atoi(text) % 1000),
                                          .body = body,
                                          .body_size = size - (size_t) (body - text),
                                          .content_type = "",
                                          .request_id = type ? type : "",
                                          .error_type = type ? type + 1 : ""},
                    NULL, &a);
        check(&a);
        answer_clear(&a);
        return 0;
}
