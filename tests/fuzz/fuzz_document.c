/* Any bytes as a database secret: a usable document, or a reason. */
#include <stdint.h>
#include <string.h>
#include "base/expect.h"
#include "secret/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_with(const uint8_t *data, size_t size, const struct document_endpoint *endpoint)
{
        struct error e = {0};
        OWN(document_free)
        struct document *d = document_read((const char *) data, size, endpoint, &e);

        expect(!d == error_is_set(&e));
        if (!d)
                return;
        expect(d->host[0] && d->port && d->username[0] && d->database[0]);
        expect(d->hosts.count >= 1 && d->hosts.count <= HOSTS_MAX && d->port == d->hosts.at[0].port);
        for (unsigned i = 0; i < d->hosts.count; i++) {
                const struct server_host *h = &d->hosts.at[i];

                expect(h->name[0] && h->name[0] != '@' && !strchr(h->name, ',') && h->port);
        }
        expect(sealed_length(d->password) > 0);
        expect(strlen(sealed_open(d->password)) == sealed_length(d->password));
        expect(document_equal(d, d) && document_same_endpoint(d, d));
        expect(*ssl_mode_name(d->ssl_mode) || d->ssl_mode == SSL_MODE_UNSET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        try_with(data, size, &(struct document_endpoint){"", 0, ""});
        try_with(data, size, &(struct document_endpoint){"db.example", 6432, "forecaster"});
        return 0;
}
