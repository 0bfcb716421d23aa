#include "secret/credential.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"

struct credential *credential_ref(struct credential *c)
{
        c->references++;
        return c;
}

void credential_unref(struct credential *c)
{
        if (!c || --c->references > 0)
                return;
        document_free(c->document);
        free(c);
}

void credential_set(struct credential **p, struct credential *c)
{
        struct credential *old = *p;

        *p = c ? credential_ref(c) : NULL;
        credential_unref(old);
}

bool credential_is_elsewhere(const struct credential *a, const struct credential *b)
{
        return !document_same_endpoint(a->document, b->document) ||
               strcmp(a->document->username, b->document->username) != 0 ||
               a->document->ssl_mode != b->document->ssl_mode;
}

/* One that isn't set is decided by the host, never below "prefer". */
static int strength(const struct document *d)
{
        return d->ssl_mode == SSL_MODE_UNSET ? SSL_MODE_PREFER : (int) d->ssl_mode;
}

bool credential_fits(const struct credential *c, const struct credential *current)
{
        return document_same_endpoint(c->document, current->document) &&
               strength(c->document) >= strength(current->document);
}

/* ---- Those that are held ---- */

static void drop(struct held *h)
{
        credential_unref(h->credential);
        *h = (struct held){0};
}

void credentials_clear(struct credentials *cs)
{
        for (unsigned i = 0; i < ROTATION_VERSIONS; i++)
                drop(&cs->held[i]);
}

struct held *credentials_find(struct credentials *cs, const char *version)
{
        for (unsigned i = 0; i < ROTATION_VERSIONS; i++) {
                struct held *h = &cs->held[i];

                if (h->credential && !strcmp(h->credential->version_id, version))
                        return h;
        }
        return NULL;
}

struct credential *credentials_read(struct credentials *cs, struct source_answer *a,
                                    enum secret_stage s)
{
        struct held *h = credentials_find(cs, a->version_id);
        struct credential *c;

        if (h && document_equal(h->credential->document, a->document))
                return credential_ref(h->credential);
        c = own_new(struct credential);
        c->references = 1;
        snprintf(c->version_id, sizeof c->version_id, "%s", a->version_id);
        c->stage = s;
        c->document = TAKE(a->document);
        return c;
}

void credentials_forget(struct credentials *cs, const struct rotation *r)
{
        for (unsigned i = 0; i < ROTATION_VERSIONS; i++) {
                struct held *h = &cs->held[i];

                if (h->credential && !rotation_knows(r, h->credential->version_id))
                        drop(h);
        }
}

void credentials_keep(struct credentials *cs, struct credential *c, const char *request_id)
{
        struct held *h = credentials_find(cs, c->version_id);

        for (unsigned i = 0; !h && i < ROTATION_VERSIONS; i++)
                if (!cs->held[i].credential)
                        h = &cs->held[i];
        expect(h);
        if (h->credential == c)
                return;
        drop(h);
        h->credential = credential_ref(c);
        snprintf(h->request_id, sizeof h->request_id, "%s", request_id);
}

void credentials_refused(const struct credentials *cs, struct bytes *out)
{
        for (unsigned i = 0; i < ROTATION_VERSIONS; i++) {
                const struct held *h = &cs->held[i];

                if (h->credential && h->refused)
                        bytes_format(out, "%s%s (found as %s)", bytes_length(out) ? ", " : "",
                                     h->credential->version_id,
                                     secret_stage_name(h->credential->stage));
        }
}
